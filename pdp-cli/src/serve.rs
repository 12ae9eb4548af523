//! `pdp serve`: runs the sidecar on a folder or a built bundle, until a signal asks it to stop.
//!
//! Loading, the line that says ready, and signals are here; everything about the protocol is `pdp-grpc`'s.

use std::fmt::Display;
use std::io::{self, Write};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::pin::pin;
use std::sync::Arc;

use clap::Args;
use pdp_core::Live;
use pdp_grpc::{
    ADDRESS_STANDARD, ADMIN_ADDRESS_STANDARD, BoundServer, Config, HTTP_ADDRESS_STANDARD, Insecure,
    LogConfig, LogTarget, ReloadMonitor, ServeError, Server, TlsConfig, UnixSocket,
};
use serde::Serialize;
use tokio::runtime::Builder;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::oneshot;

use crate::exit::{self, Exit, Failure};
use crate::load;
use crate::render::{self, Out};
use crate::shapes::BundleShape;
use crate::watch;

/// Serve decisions over gRPC and HTTP
///
/// Answers `pdp.v1.Authorization`, the standard health service, and AuthZEN over HTTP.
/// One line on standard output says that it is ready:
///   pdp: serving NAME revision N (DIGEST) on grpc://127.0.0.1:8170
/// Others say where AuthZEN is answered, and where health, metrics and status are.
/// PATH is watched: what changes there is compiled or read, checked by its own cases, and then served instead, whole.
/// What has errors is not; standard error says why, and the bundle before stays.
/// SIGINT or SIGTERM ends it: no new connections, requests in flight finish. A second one ends it at once.
///
/// What callers state about delegation (on whose behalf, which actors, which scopes) counts only with
/// --trust-delegation; without, a request that states any of it is denied.
///
/// With --tls-cert and --tls-key connections are TLS, with --tls-client-ca only callers with a certificate get one.
/// The files are read again when they change; connections that are there live on. `--listen unix:/run/pdp.sock` listens
/// on a socket. An address that other machines reach needs TLS, or --plaintext-anywhere.
#[derive(Debug, Args)]
#[command(verbatim_doc_comment, after_long_help = exit::help(
    "pdp serve policies/agent-tools\n\
     pdp serve agent-tools.pdpb --listen 127.0.0.1:9000 --trust-delegation\n\
     pdp serve agent-tools.pdpb --listen unix:/run/pdp/pdp.sock --socket-mode 660\n\
     pdp serve agent-tools.pdpb --listen 0.0.0.0:8170 --tls-cert me.pem --tls-key me.key --tls-client-ca ca.pem",
    &[
        (Exit::Ok, "stopped by a signal"),
        (Exit::Usage, "an address that other machines reach, or who is trusted, is dangerous and not said to be wanted"),
        (Exit::Data, "the folder has errors, the file is no bundle, or a case of the bundle fails"),
        (Exit::NoInput, "PATH, a certificate or a key does not exist or cannot be used"),
        (Exit::Unavailable, "an address cannot be listened on"),
        (Exit::Io, "serving broke off"),
    ],
))]
pub(crate) struct ServeArgs {
    /// Bundle folder, or file written by `pdp build`
    #[arg(value_name = "PATH")]
    path: PathBuf,
    /// Where to listen, such as 127.0.0.1:8170 or unix:/run/pdp.sock; port 0 takes a free one
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:8170", value_parser = listen)]
    listen: Listen,
    /// Who may connect to the socket, as a file mode
    #[arg(long, value_name = "MODE", default_value = "600", value_parser = mode)]
    socket_mode: u32,
    /// The server's certificate and those that lead to its authority, a PEM file
    #[arg(long, value_name = "FILE", requires = "tls_key")]
    tls_cert: Option<PathBuf>,
    /// The key of the certificate, a PEM file
    #[arg(long, value_name = "FILE", requires = "tls_cert")]
    tls_key: Option<PathBuf>,
    /// Authorities of callers' certificates, a PEM file; who has none gets no connection
    #[arg(long, value_name = "FILE", requires = "tls_cert")]
    tls_client_ca: Option<PathBuf>,
    /// Let --listen be an address that other machines reach, without TLS
    #[arg(long)]
    plaintext_anywhere: bool,
    /// Believe with --trust-delegation whoever can connect from another machine
    #[arg(long)]
    trust_anybody: bool,
    /// Let every user of this machine connect to the socket
    #[arg(long)]
    socket_for_everybody: bool,
    /// Believe what callers state about delegation; only where every caller has verified it
    #[arg(long)]
    trust_delegation: bool,
    /// Tell callers who ask for it why, with policy texts and attribute values
    #[arg(long)]
    explain: bool,
    /// Where to answer AuthZEN over HTTP [127.0.0.1:8171, a free port where --listen is]
    #[arg(long, value_name = "ADDRESS", value_parser = address)]
    http: Option<SocketAddr>,
    /// The URL under which AuthZEN's callers reach this server, for discovery
    #[arg(long, value_name = "URL")]
    public_url: Option<String>,
    /// Where operators ask for health, metrics and status [127.0.0.1:8172, a free port where --listen is]
    #[arg(long, value_name = "ADDRESS", value_parser = address)]
    admin: Option<SocketAddr>,
    /// Let the address of --admin be one that other machines reach
    #[arg(long)]
    admin_anywhere: bool,
    /// Write a line of JSON for each decision to FILE, or to standard output with `-`
    #[arg(long, value_name = "FILE")]
    log: Option<PathBuf>,
    /// Log values of the context, not only its keys
    #[arg(long, requires = "log")]
    log_context: bool,
    /// A name in contexts whose value is never logged; may be repeated
    #[arg(long, value_name = "NAME", requires = "log_context")]
    log_mask: Vec<String>,
    /// Size at which FILE becomes FILE.1, in bytes
    #[arg(long, value_name = "BYTES", default_value_t = 100 << 20, requires = "log")]
    log_file_bytes: u64,
    /// How many of FILE.1, FILE.2 and so on are kept
    #[arg(long, value_name = "COUNT", default_value_t = 5, requires = "log")]
    log_files: u32,
    /// Milliseconds between two looks at PATH and certificates; events of the file system cause more of them
    #[arg(long, value_name = "MS", default_value_t = 1_000)]
    poll_ms: u32,
}

/// Where to listen.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Listen {
    Tcp(SocketAddr),
    Unix(PathBuf),
}

/// Some 50 MB of records that may wait for a slow disk.
const LOG_QUEUE_RECORDS_MAX: u32 = 65_536;

#[derive(Serialize)]
struct ReadyShape {
    serving: String,
    http: Option<String>,
    admin: Option<String>,
    bundle: BundleShape,
}

/// What asks a server to stop.
struct Signals {
    interrupt: Signal,
    terminate: Signal,
}

/// Runs the command.
pub(crate) fn run(args: &ServeArgs, out: &mut Out) -> Result<Exit, Failure> {
    let loaded = load::load(&args.path)?;
    // Beside the point of the output; if standard error is gone, serving goes on.
    let _ = write!(io::stderr(), "{}", loaded.warnings);
    let monitor = ReloadMonitor::default();
    let config = args.config(monitor.clone());
    let decider = pdp_grpc::activate(Arc::clone(&loaded.bundle))
        .map_err(|why| Failure::new(Exit::Data, format!("`{}`: {why}", args.path.display())))?;
    let live = Arc::new(Live::new(decider));
    let server = Server::bind(config, Arc::clone(&live)).map_err(|error| failure(&error))?;
    let reloader = watch::start(&args.path, args.poll_ms, live, monitor)?;
    let runtime = Builder::new_multi_thread().enable_all().build().map_err(|e| no_runtime(&e))?;
    runtime.block_on(async {
        // Before anybody is told that the server is ready: whoever is told may stop it.
        let signals = Signals::install().map_err(|e| no_runtime(&e))?;
        let address = server.url();
        let url = |address| format!("http://{address}");
        let (http, admin) = (server.http_address().map(url), server.admin_address().map(url));
        if out.json() {
            let bundle = BundleShape::new(&loaded.bundle);
            out.shape(&ReadyShape { serving: address, http, admin, bundle })?;
        } else {
            let name = render::bundle_name(&render::name_of(&loaded.bundle));
            out.line(format_args!("pdp: serving {name} on {address}"))?;
            if let Some(http) = http {
                out.line(format_args!("pdp: AuthZEN on {http}"))?;
            }
            if let Some(admin) = admin {
                out.line(format_args!("pdp: /livez, /readyz, /metrics and /status on {admin}"))?;
            }
        }
        out.flush()?;
        until_stopped(server, signals).await.map_err(|error| failure(&error))
    })?;
    drop(reloader);
    Ok(Exit::Ok)
}

// === impl ServeArgs ===

impl ServeArgs {
    fn config(&self, monitor: ReloadMonitor) -> Config {
        let (address, unix) = match &self.listen {
            Listen::Tcp(address) => (*address, None),
            Listen::Unix(path) => {
                let socket = UnixSocket { mode: self.socket_mode, ..UnixSocket::private(path) };
                (ADDRESS_STANDARD, Some(socket))
            }
        };
        // Who takes any port that is free does not want certain ones beside it.
        let beside = |standard: SocketAddr| match address.port() {
            0 => SocketAddr::new(standard.ip(), 0),
            _ => standard,
        };
        let tls = self.tls_cert.clone().zip(self.tls_key.clone());
        Config {
            address,
            unix,
            tls: tls.map(|(certificate, key)| TlsConfig {
                certificate,
                key,
                client_ca: self.tls_client_ca.clone(),
                poll_ms: self.poll_ms,
            }),
            insecure: Insecure {
                plaintext_anywhere: self.plaintext_anywhere,
                trust_anybody: self.trust_anybody,
                socket_for_everybody: self.socket_for_everybody,
            },
            http: Some(self.http.unwrap_or(beside(HTTP_ADDRESS_STANDARD))),
            public_url: self.public_url.clone(),
            admin: Some(self.admin.unwrap_or(beside(ADMIN_ADDRESS_STANDARD))),
            admin_anywhere: self.admin_anywhere,
            reload: Some(monitor),
            trust_delegation: self.trust_delegation,
            explain: self.explain,
            log: self.log.as_ref().map(|path| self.log_config(path)),
            ..Config::sidecar()
        }
    }

    fn log_config(&self, path: &Path) -> LogConfig {
        let target = match path == Path::new("-") {
            true => LogTarget::Stdout,
            false => LogTarget::File {
                path: path.to_owned(),
                file_bytes_max: self.log_file_bytes,
                files_max: self.log_files,
            },
        };
        LogConfig {
            target,
            queue_records_max: LOG_QUEUE_RECORDS_MAX,
            context: self.log_context,
            mask: self.log_mask.clone(),
        }
    }
}

async fn until_stopped(server: BoundServer, mut signals: Signals) -> Result<(), ServeError> {
    let (stop, stopped) = oneshot::channel::<()>();
    let mut served = pin!(server.run(async {
        // Told, or the one who would tell is gone: both mean stop.
        let _ = stopped.await;
    }));
    tokio::select! {
        result = &mut served => return result,
        () = signals.next() => {}
    }
    let _ = writeln!(
        io::stderr(),
        "pdp: stopping when requests in flight are answered; a second signal stops at once"
    );
    drop(stop);
    tokio::select! {
        result = served => result,
        () = signals.next() => Ok(()),
    }
}

// === impl Signals ===

impl Signals {
    fn install() -> io::Result<Self> {
        Ok(Self {
            interrupt: signal(SignalKind::interrupt())?,
            terminate: signal(SignalKind::terminate())?,
        })
    }

    async fn next(&mut self) {
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
        }
    }
}

fn failure(error: &ServeError) -> Failure {
    let exit = match error {
        ServeError::Listen(_) => Exit::Unavailable,
        ServeError::AdminAnywhere(_) | ServeError::Config(_) => Exit::Usage,
        ServeError::Tls(_) => Exit::NoInput,
        ServeError::Limit(_) => Exit::Internal,
        _ => Exit::Io,
    };
    Failure::new(exit, error.to_string())
}

fn no_runtime(error: &dyn Display) -> Failure {
    Failure::new(Exit::Internal, format!("the runtime of the server cannot start: {error}"))
}

/// Checks the value of `--listen`.
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

/// Checks the value of `--socket-mode`.
fn mode(text: &str) -> Result<u32, String> {
    match u32::from_str_radix(text, 8) {
        Ok(mode) if mode <= 0o777 => Ok(mode),
        _ => Err("give a file mode in octal digits such as `600` or `660`".to_owned()),
    }
}

/// Checks the value of `--admin`, and of `--listen` where that is an address.
fn address(text: &str) -> Result<SocketAddr, String> {
    text.parse().map_err(|_| {
        "give an IP address and a port such as `127.0.0.1:8170` or `[::1]:8170`".to_owned()
    })
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
                address(refused).is_err_and(|text| text.starts_with("give an IP address")),
                "{refused}"
            );
        }
    }
}
