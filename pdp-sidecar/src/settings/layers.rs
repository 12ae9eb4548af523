//! File, environment and flags put together, setting by setting, each with where it was said.
//!
//! It knows names and shapes only; what a text means is for `launch`.

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};

use clap::Args;
use serde::Deserialize;
use toml::{Table, Value};

use super::{Settings, SettingsArgs};

/// What names in the environment begin with.
const PREFIX: &str = "PDP_";
/// Where the file is named in the environment.
const CONFIG: &str = "PDP_CONFIG";
/// Largest file of settings, in bytes.
const FILE_BYTES_MAX: u64 = 1 << 20;

/// Where a setting was said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Origin {
    Standard,
    File(PathBuf),
    Environment,
    Flag,
}

/// Settings, and where each was said.
#[derive(Debug, Default)]
pub(super) struct Layered {
    pub(super) settings: Settings,
    origins: BTreeMap<String, Origin>,
    pub(super) problems: Vec<String>,
    /// Whether what to serve may have been said where it could not be read.
    pub(super) bundle_unread: bool,
}

// === impl Layered ===

impl Layered {
    /// Puts together what was said.
    pub(super) fn gather(
        args: &SettingsArgs,
        environment: impl IntoIterator<Item = (String, String)>,
    ) -> Self {
        let mut layered = Self::default();
        let mut table = Table::new();
        let mut said: Vec<(String, String)> = environment
            .into_iter()
            .filter(|(name, _)| name.starts_with(PREFIX) && !is_of_kubernetes(name))
            .collect();
        said.sort_unstable();
        let named = said.iter().find(|(name, _)| name == CONFIG).map(|(_, path)| path.into());
        if let Some(path) = args.config.clone().or(named) {
            match read(&path) {
                Ok(file) => {
                    for (key, value) in file {
                        layered.say(&mut table, key, value, Origin::File(path.clone()));
                    }
                }
                Err(problem) => {
                    layered.problems.push(problem);
                    layered.bundle_unread = true;
                }
            }
        }
        for (name, text) in &said {
            let key = name.strip_prefix(PREFIX).unwrap_or(name).to_ascii_lowercase();
            if name != CONFIG {
                let value = value(&key, text);
                layered.say(&mut table, key, value, Origin::Environment);
            }
        }
        // What is not said is not in the table.
        for (key, value) in Table::try_from(&args.flags).unwrap_or_default() {
            layered.say(&mut table, key, value, Origin::Flag);
        }
        match Settings::deserialize(table) {
            Ok(settings) => layered.settings = settings,
            // Each was read by itself before.
            Err(error) => layered.problems.push(error.message().to_owned()),
        }
        layered
    }

    /// Takes a setting over from a layer above the ones before, unless it is none.
    fn say(&mut self, table: &mut Table, key: String, value: Value, origin: Origin) {
        if let Err(problem) = parse(&key, &value) {
            self.problems.push(format!("{}: {problem}", Place { key: &key, origin: &origin }));
            self.bundle_unread |= key == "bundle";
            return;
        }
        self.origins.insert(key.clone(), origin);
        table.insert(key, value);
    }

    /// Notes what is wrong with a setting.
    pub(super) fn wrong(&mut self, key: &str, problem: impl fmt::Display) {
        let origin = self.origins.get(key).unwrap_or(&Origin::Standard);
        self.problems.push(format!("{}: {problem}", Place { key, origin }));
    }
}

/// A setting with where it was said, as its reader would find it.
struct Place<'a> {
    key: &'a str,
    origin: &'a Origin,
}

impl fmt::Display for Place<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { key, origin } = self;
        match origin {
            Origin::Standard => write!(f, "`{key}`"),
            Origin::File(path) => write!(f, "`{key}` in `{}`", path.display()),
            Origin::Environment => write!(f, "`{PREFIX}{}`", key.to_ascii_uppercase()),
            Origin::Flag if *key == "bundle" => f.write_str("PATH"),
            Origin::Flag => write!(f, "`--{}`", key.replace('_', "-")),
        }
    }
}

/// Reads a file of settings.
fn read(path: &Path) -> Result<Table, String> {
    let shown = path.display();
    let bytes = std::fs::metadata(path).map(|meta| meta.len());
    if bytes.is_ok_and(|bytes| bytes > FILE_BYTES_MAX) {
        return Err(format!("`{shown}` is larger than settings are ({FILE_BYTES_MAX} bytes)"));
    }
    let text = std::fs::read_to_string(path)
        .map_err(|error| format!("the settings `{shown}` cannot be read: {error}"))?;
    // The library's text has line, column and the line itself.
    text.parse().map_err(|error: toml::de::Error| {
        format!("the settings `{shown}` are not TOML:\n{}", error.to_string().trim_end())
    })
}

/// Reads one setting by itself.
fn parse(key: &str, value: &Value) -> Result<(), String> {
    let known = names();
    if !known.iter().any(|name| name == key) {
        let near = known
            .iter()
            .map(|name| (strsim::jaro_winkler(name, key), name))
            .filter(|(likeness, _)| *likeness > 0.85)
            .max_by(|(a, _), (b, _)| a.total_cmp(b));
        return Err(match near {
            Some((_, near)) => format!("no setting has this name; did you mean `{near}`?"),
            None => "no setting has this name; `--help` lists them".to_owned(),
        });
    }
    let table = Table::from_iter([(key.to_owned(), value.clone())]);
    let read = Settings::deserialize(table);
    read.map(drop).map_err(|error| error.message().trim_end().replace('\n', " "))
}

/// A text of the environment as the kind of value that its setting is.
fn value(key: &str, text: &str) -> Value {
    let kinds = [
        text.parse().ok().map(Value::Boolean),
        text.parse().ok().map(Value::Integer),
        text.parse().ok().map(Value::Float),
    ];
    let fits = |value: &Value| parse(key, value).is_ok();
    kinds.into_iter().flatten().find(fits).unwrap_or_else(|| Value::String(text.to_owned()))
}

/// Every setting: what has a flag, and the one that has none.
fn names() -> Vec<String> {
    let command = Settings::augment_args(clap::Command::new(""));
    let flags = command.get_arguments().map(|arg| arg.get_id().to_string());
    flags.chain(["callers".to_owned()]).collect()
}

/// What Kubernetes sets for a service that is called `pdp` or `pdp-…`.
fn is_of_kubernetes(name: &str) -> bool {
    name.ends_with("_SERVICE_HOST")
        || name.contains("_SERVICE_PORT")
        || name.ends_with("_PORT")
        || name
            .split_once("_PORT_")
            .is_some_and(|(_, rest)| rest.starts_with(|c: char| c.is_ascii_digit()))
}
