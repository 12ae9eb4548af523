//! From what was said to what a server takes: texts become addresses, modes and rules, and what is not said is standard.

use std::fmt::Display;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use pdp_grpc::{
    ADDRESS_STANDARD, ADMIN_ADDRESS_STANDARD, Config, HTTP_ADDRESS_STANDARD, Insecure, Limits,
    LogConfig, LogTarget, TlsConfig, UnixSocket,
};
use serde::Deserialize;
use tracing::Level;

use super::SettingsArgs;
use super::layers::Layered;
use crate::failure::{Failure, FailureKind};
use crate::messages::Messages;
use crate::traces::TracesConfig;

/// Time between two looks at files when nothing else is said, in milliseconds.
const POLL_MS: u32 = 1_000;
/// Memory of records that may wait for a slow disk, a hundred thousand of them.
const LOG_QUEUE_BYTES_MAX: u32 = 64 << 20;
/// Size at which the decision log begins a new file when nothing else is said.
const LOG_FILE_BYTES: u64 = 100 << 20;
/// How many old files of it are kept when nothing else is said.
const LOG_FILES: u32 = 5;
/// Rights of a socket when nothing else is said.
const SOCKET_MODE: u32 = 0o600;

/// Everything that a process is told, checked.
#[derive(Clone, Debug)]
pub struct Launch {
    /// What is served.
    pub bundle: PathBuf,
    /// What the server takes.
    pub config: Config,
    /// Time between two looks at the bundle, in milliseconds.
    pub poll_ms: u32,
    /// What is said meanwhile.
    pub messages: Messages,
    /// Where spans of decisions go; `None`: nowhere.
    pub traces: Option<TracesConfig>,
}

/// Where to listen.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Listen {
    Tcp(SocketAddr),
    Unix(PathBuf),
}

// === impl SettingsArgs ===

impl SettingsArgs {
    /// Puts file, environment and flags together and checks them.
    ///
    /// # Errors
    ///
    /// When anything is wrong: all of it.
    pub fn launch(&self) -> Result<Launch, Failure> {
        self.launch_in(std::env::vars_os().filter_map(|(name, value)| {
            // What is no text is no setting of ours, and its name is told apart by its beginning all the same.
            Some((name.into_string().ok()?, value.to_string_lossy().into_owned()))
        }))
    }

    /// The same in an environment that is given.
    pub(crate) fn launch_in(
        &self,
        environment: impl IntoIterator<Item = (String, String)>,
    ) -> Result<Launch, Failure> {
        let mut said = Layered::gather(self, environment);
        let launch = said.launch();
        if let Err(error) = launch.config.check() {
            said.problems.extend(error.problems().iter().cloned());
        }
        match said.problems.as_slice() {
            [] => Ok(launch),
            [one] => Err(Failure::new(FailureKind::Usage, one.clone())),
            all => {
                let mut text = format!("{} settings are wrong:", all.len());
                for problem in all {
                    text.push_str("\n- ");
                    text.push_str(problem);
                }
                Err(Failure::new(FailureKind::Usage, text))
            }
        }
    }
}

// === impl Layered ===

impl Layered {
    /// What was said, made of what could be read; the rest is in the problems.
    fn launch(&mut self) -> Launch {
        let said = self.settings.clone();
        if said.bundle.is_none() && !self.bundle_unread {
            self.problems.push(
                "nothing says what to serve; give PATH, or `bundle` in the settings".to_owned(),
            );
        }
        let listen = self.read("listen", said.listen.as_deref(), listen);
        let mode = self.read("socket_mode", said.socket_mode.as_deref(), mode);
        let owner = self.read("socket_owner", said.socket_owner.as_deref(), owner);
        let (address, unix) = match listen {
            Some(Listen::Unix(path)) => {
                let mode = mode.unwrap_or(SOCKET_MODE);
                (ADDRESS_STANDARD, Some(UnixSocket { path, mode, owner }))
            }
            Some(Listen::Tcp(address)) => (address, None),
            None => (ADDRESS_STANDARD, None),
        };
        for (key, text) in
            [("socket_mode", &said.socket_mode), ("socket_owner", &said.socket_owner)]
        {
            if text.is_some() && unix.is_none() {
                self.wrong(key, "nothing listens on a socket; leave it out");
            }
        }
        // Who takes any port that is free does not want certain ones beside it.
        let beside = |standard: SocketAddr| match address.port() {
            0 => SocketAddr::new(standard.ip(), 0),
            _ => standard,
        };
        let http = self.read("http", said.http.as_deref(), address_or_off);
        let admin = self.read("admin", said.admin.as_deref(), address_or_off);
        let poll_ms = said.poll_ms.unwrap_or(POLL_MS);
        let tls = self.tls(poll_ms);
        let flag = |said: Option<bool>| said.unwrap_or(false);
        let config = Config {
            address,
            unix,
            tls,
            callers: self.callers(),
            insecure: Insecure {
                plaintext_anywhere: flag(said.plaintext_anywhere),
                trust_anybody: flag(said.trust_anybody),
                socket_for_everybody: flag(said.socket_for_everybody),
            },
            http: http.unwrap_or(Some(beside(HTTP_ADDRESS_STANDARD))),
            public_url: said.public_url.clone(),
            admin: admin.unwrap_or(Some(beside(ADMIN_ADDRESS_STANDARD))),
            admin_anywhere: flag(said.admin_anywhere),
            trust_delegation: flag(said.trust_delegation),
            explain: flag(said.explain),
            reflection: flag(said.reflection),
            log: self.log(),
            limits: self.limits(),
            ..Config::sidecar()
        };
        let level = self.read("messages_level", said.messages_level.as_deref(), level);
        let messages =
            Messages { level: level.unwrap_or(Level::INFO), json: flag(said.messages_json) };
        let traces = self.traces();
        Launch { bundle: said.bundle.unwrap_or_default(), config, poll_ms, messages, traces }
    }

    fn read<T>(
        &mut self,
        key: &str,
        text: Option<&str>,
        read: impl FnOnce(&str) -> Result<T, String>,
    ) -> Option<T> {
        let value = text.map(read)?;
        value.map_err(|problem| self.wrong(key, problem)).ok()
    }

    fn tls(&mut self, poll_ms: u32) -> Option<TlsConfig> {
        let said = &self.settings;
        let (certificate, key) = (said.tls_cert.clone(), said.tls_key.clone());
        let client_ca = said.tls_client_ca.clone();
        match (certificate, key) {
            (Some(certificate), Some(key)) => {
                Some(TlsConfig { certificate, key, client_ca, poll_ms })
            }
            (None, None) => {
                if client_ca.is_some() {
                    self.needs("tls_client_ca", "tls_cert");
                }
                None
            }
            (Some(_), None) => {
                self.needs("tls_cert", "tls_key");
                None
            }
            (None, Some(_)) => {
                self.needs("tls_key", "tls_cert");
                None
            }
        }
    }

    fn log(&mut self) -> Option<LogConfig> {
        let said = self.settings.clone();
        if !said.log_mask.is_empty() && said.log_context != Some(true) {
            self.needs("log_mask", "log_context");
        }
        let Some(path) = said.log else {
            for (key, is_said) in [
                ("log_context", said.log_context == Some(true)),
                ("log_file_bytes", said.log_file_bytes.is_some()),
                ("log_files", said.log_files.is_some()),
            ] {
                if is_said {
                    self.needs(key, "log");
                }
            }
            return None;
        };
        let target = match path == Path::new("-") {
            true => LogTarget::Stdout,
            false => LogTarget::File {
                path,
                file_bytes_max: said.log_file_bytes.unwrap_or(LOG_FILE_BYTES),
                files_max: said.log_files.unwrap_or(LOG_FILES),
            },
        };
        Some(LogConfig {
            target,
            queue_bytes_max: LOG_QUEUE_BYTES_MAX,
            context: said.log_context.unwrap_or(false),
            mask: said.log_mask,
        })
    }

    fn traces(&mut self) -> Option<TracesConfig> {
        let (url, ratio) = (self.settings.traces.clone(), self.settings.traces_ratio);
        if ratio.is_some_and(|ratio| !(0.0..=1.0).contains(&ratio)) {
            self.wrong("traces_ratio", "give a share from 0 to 1");
        }
        if ratio.is_some() && url.is_none() {
            self.needs("traces_ratio", "traces");
        }
        let url = self.read("traces", url.as_deref(), collector)?;
        Some(TracesConfig { url, ratio: ratio.unwrap_or(0.0) })
    }

    fn limits(&mut self) -> Limits {
        let mut table = toml::Table::try_from(Limits::SIDECAR).unwrap_or_default();
        for text in self.settings.limits.clone() {
            let Some((name, number)) = text.split_once('=') else {
                self.wrong("limits", format_args!("`{text}` is not `NAME=NUMBER`"));
                continue;
            };
            if !table.contains_key(name) {
                let names: Vec<&str> = table.keys().map(String::as_str).collect();
                let names = names.join(", ");
                self.wrong(
                    "limits",
                    format_args!("no limit is called `{name}`; there are {names}"),
                );
                continue;
            }
            match number.parse::<u32>() {
                Ok(number) => drop(table.insert(name.to_owned(), i64::from(number).into())),
                Err(_) => {
                    self.wrong("limits", format_args!("`{number}` is no number for `{name}`"));
                }
            }
        }
        Limits::deserialize(table).unwrap_or(Limits::SIDECAR)
    }

    fn callers(&mut self) -> Vec<pdp_grpc::CallerRule> {
        let mut rules = Vec::new();
        for (at, shape) in (1..).zip(self.settings.callers.clone()) {
            match shape.rule() {
                Ok(rule) => rules.push(rule),
                Err(problems) => {
                    for problem in problems {
                        self.wrong("callers", format_args!("rule {at}: {problem}"));
                    }
                }
            }
        }
        rules
    }

    fn needs(&mut self, key: &str, needed: impl Display) {
        self.wrong(key, format_args!("it needs `{needed}` beside it"));
    }
}

/// Reads `listen`.
fn listen(text: &str) -> Result<Listen, String> {
    match text.strip_prefix("unix:") {
        Some(path) => {
            // As in URLs, which have two slashes more.
            let path = path.strip_prefix("//").unwrap_or(path);
            match path.is_empty() || path.ends_with('/') {
                true => Err("give the path of a socket such as `unix:/run/pdp.sock`".to_owned()),
                false => Ok(Listen::Unix(path.into())),
            }
        }
        None => address(text).map(Listen::Tcp),
    }
}

/// Reads `socket_mode`.
fn mode(text: &str) -> Result<u32, String> {
    match u32::from_str_radix(text, 8) {
        Ok(mode) if mode <= 0o777 => Ok(mode),
        _ => Err("give a file mode in octal digits such as `600` or `660`".to_owned()),
    }
}

/// Reads `socket_owner`.
fn owner(text: &str) -> Result<(u32, u32), String> {
    let ids =
        text.split_once(':').and_then(|(uid, gid)| Some((uid.parse().ok()?, gid.parse().ok()?)));
    ids.ok_or_else(|| format!("`{text}` is no user and group id, such as `1000:1000`"))
}

fn address(text: &str) -> Result<SocketAddr, String> {
    text.parse().map_err(|_| {
        format!("`{text}` is no IP address with a port, such as `127.0.0.1:8170` or `[::1]:8170`")
    })
}

/// Reads `http` and `admin`.
fn address_or_off(text: &str) -> Result<Option<SocketAddr>, String> {
    if text == "off" { Ok(None) } else { address(text).map(Some) }
}

/// Reads `traces`.
fn collector(text: &str) -> Result<String, String> {
    match text.strip_prefix("http://") {
        Some(rest) if !rest.is_empty() => Ok(text.to_owned()),
        _ => Err(format!(
            "`{text}` is no collector; give a URL such as `http://127.0.0.1:4317`, of one on this machine or network that \
             passes spans on"
        )),
    }
}

fn level(text: &str) -> Result<Level, String> {
    match text {
        "error" => Ok(Level::ERROR),
        "warn" => Ok(Level::WARN),
        "info" => Ok(Level::INFO),
        "debug" => Ok(Level::DEBUG),
        _ => Err(format!("`{text}` is none of `error`, `warn`, `info` and `debug`")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_socket_has_a_path_and_a_mode() {
        for text in ["unix:/run/s", "unix:///run/s"] {
            assert_eq!(listen(text), Ok(Listen::Unix("/run/s".into())));
        }
        assert_eq!(listen("127.0.0.1:8170"), Ok(Listen::Tcp(ADDRESS_STANDARD)));
        assert!(listen("unix:").is_err() && listen("unix:/run/").is_err());
        assert_eq!(mode("660"), Ok(0o660));
        for refused in ["", "rw", "680", "1777", "-1"] {
            assert!(mode(refused).is_err(), "{refused}");
        }
    }

    #[test]
    fn an_address_has_a_port() {
        assert_eq!(address("127.0.0.1:8170"), Ok(ADDRESS_STANDARD));
        assert!(address("[::1]:0").is_ok());
        for refused in ["127.0.0.1", "localhost:8170", ":8170", "127.0.0.1:70000", ""] {
            assert!(
                address(refused).is_err_and(|text| text.contains("127.0.0.1:8170")),
                "{refused}"
            );
        }
        assert_eq!(address_or_off("off"), Ok(None));
    }
}
