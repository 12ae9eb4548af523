//! What an operator can say: one name for each setting, the same in file, environment and flags.
//!
//! The setting `tls_cert` is the key `tls_cert` in the file, `PDP_TLS_CERT` in the environment and `--tls-cert` on the
//! command line. A flag wins over the environment, that over the file, and the file over what is standard; a setting
//! is taken whole from one of them. Unknown names are refused, and everything that is wrong is said at once.

mod callers;
mod launch;
mod layers;

use std::path::PathBuf;

use clap::Args;
use serde::{Deserialize, Deserializer, Serialize};

use callers::CallerShape;
pub use launch::Launch;

/// The settings of a command line, and where to find more.
#[derive(Clone, Debug, Args)]
pub struct SettingsArgs {
    /// Settings in a TOML file, each named like its flag with `_` for `-`; also PDP_CONFIG
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Check settings, certificates and the bundle with its cases, say all that is wrong, and end
    #[arg(long)]
    check: bool,
    #[command(flatten)]
    flags: Settings,
}

/// What is said of each setting; nothing means what is standard.
// Texts are checked when all layers are put together, so that a wrong one is told with all others and with its place.
#[derive(Clone, Debug, Default, PartialEq, Args, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Settings {
    /// What is served: a file written by `pdp build`, for `pdp serve` also a folder; `bundle` in the settings
    #[arg(value_name = "PATH")]
    pub bundle: Option<PathBuf>,
    /// Where to listen [127.0.0.1:8170], or unix:/run/pdp.sock; port 0 takes a free one
    #[arg(long, value_name = "ADDRESS")]
    pub listen: Option<String>,
    /// Who may connect to the socket, as a file mode [600]
    #[arg(long, value_name = "MODE")]
    pub socket_mode: Option<String>,
    /// The server's certificate and those that lead to its authority, a PEM file
    #[arg(long, value_name = "FILE")]
    pub tls_cert: Option<PathBuf>,
    /// The key of the certificate, a PEM file
    #[arg(long, value_name = "FILE")]
    pub tls_key: Option<PathBuf>,
    /// Authorities of callers' certificates, a PEM file; who has none gets no connection
    #[arg(long, value_name = "FILE")]
    pub tls_client_ca: Option<PathBuf>,
    /// Let --listen be an address that other machines reach, without TLS
    #[arg(long, value_name = "BOOL", num_args = 0..=1, require_equals = true, default_missing_value = "true", hide_possible_values = true)]
    pub plaintext_anywhere: Option<bool>,
    /// Believe with --trust-delegation whoever can connect from another machine
    #[arg(long, value_name = "BOOL", num_args = 0..=1, require_equals = true, default_missing_value = "true", hide_possible_values = true)]
    pub trust_anybody: Option<bool>,
    /// Let every user of this machine connect to the socket
    #[arg(long, value_name = "BOOL", num_args = 0..=1, require_equals = true, default_missing_value = "true", hide_possible_values = true)]
    pub socket_for_everybody: Option<bool>,
    /// Believe what callers state about delegation; only where every caller has verified it
    #[arg(long, value_name = "BOOL", num_args = 0..=1, require_equals = true, default_missing_value = "true", hide_possible_values = true)]
    pub trust_delegation: Option<bool>,
    /// Tell callers who ask for it why, with policy texts and attribute values
    #[arg(long, value_name = "BOOL", num_args = 0..=1, require_equals = true, default_missing_value = "true", hide_possible_values = true)]
    pub explain: Option<bool>,
    /// Tell clients which services and messages there are, for tools such as grpcurl
    #[arg(long, value_name = "BOOL", num_args = 0..=1, require_equals = true, default_missing_value = "true", hide_possible_values = true)]
    pub reflection: Option<bool>,
    /// Where to answer AuthZEN over HTTP, or `off` [127.0.0.1:8171, a free port where --listen is]
    #[arg(long, value_name = "ADDRESS")]
    pub http: Option<String>,
    /// The URL under which AuthZEN's callers reach this server, for discovery
    #[arg(long, value_name = "URL")]
    pub public_url: Option<String>,
    /// Where operators ask for health, metrics and status, or `off` [127.0.0.1:8172, a free port where --listen is]
    #[arg(long, value_name = "ADDRESS")]
    pub admin: Option<String>,
    /// Let the address of --admin be one that other machines reach
    #[arg(long, value_name = "BOOL", num_args = 0..=1, require_equals = true, default_missing_value = "true", hide_possible_values = true)]
    pub admin_anywhere: Option<bool>,
    /// Write a line of JSON for each decision to FILE, or to standard output with `-`
    #[arg(long, value_name = "FILE")]
    pub log: Option<PathBuf>,
    /// Log values of the context, not only its keys
    #[arg(long, value_name = "BOOL", num_args = 0..=1, require_equals = true, default_missing_value = "true", hide_possible_values = true)]
    pub log_context: Option<bool>,
    /// Names in contexts whose values are never logged; may be repeated
    #[arg(long, value_name = "NAME", value_delimiter = ',')]
    #[serde(deserialize_with = "one_or_many", skip_serializing_if = "Vec::is_empty")]
    pub log_mask: Vec<String>,
    /// Size at which FILE becomes FILE.1, in bytes [104857600]
    #[arg(long, value_name = "BYTES")]
    pub log_file_bytes: Option<u64>,
    /// How many of FILE.1, FILE.2 and so on are kept [5]
    #[arg(long, value_name = "COUNT")]
    pub log_files: Option<u32>,
    /// Milliseconds between two looks at PATH and certificates; events of the file system cause more of them [1000]
    #[arg(long, value_name = "MS")]
    pub poll_ms: Option<u32>,
    /// Least grave events that standard error tells: error, warn, info or debug [info]
    #[arg(long, value_name = "LEVEL")]
    pub messages_level: Option<String>,
    /// Tell them in JSON, one object a line
    #[arg(long, value_name = "BOOL", num_args = 0..=1, require_equals = true, default_missing_value = "true", hide_possible_values = true)]
    pub messages_json: Option<bool>,
    /// Send a span of each decision whose caller records its trace to a collector, by OTLP over gRPC
    #[arg(long, value_name = "URL")]
    pub traces: Option<String>,
    /// Share of the decisions without a trace that begin one, from 0 to 1 [0]
    #[arg(long, value_name = "RATIO")]
    pub traces_ratio: Option<f64>,
    /// Limits by name, such as connections_max=1024; a table in the file; may be repeated
    #[arg(long, value_name = "NAME=NUMBER", value_delimiter = ',')]
    #[serde(deserialize_with = "limits", skip_serializing_if = "Vec::is_empty")]
    pub limits: Vec<String>,
    #[arg(skip)]
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) callers: Vec<CallerShape>,
}

// === impl SettingsArgs ===

impl SettingsArgs {
    /// Whether to check and end.
    pub fn check(&self) -> bool {
        self.check
    }
}

/// A list, or one text with commas, as the environment has it.
fn one_or_many<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<String>, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged, expecting = "a text or a list of texts")]
    enum Shape {
        One(String),
        Many(Vec<String>),
    }
    Ok(match Shape::deserialize(from)? {
        Shape::One(text) => split(&text),
        Shape::Many(texts) => texts,
    })
}

/// A table of numbers, or `NAME=NUMBER` as text or list.
fn limits<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<String>, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged, expecting = "a table of numbers, such as `connections_max = 1024`")]
    enum Shape {
        Table(std::collections::BTreeMap<String, i64>),
        One(String),
        Many(Vec<String>),
    }
    Ok(match Shape::deserialize(from)? {
        Shape::Table(table) => {
            table.iter().map(|(name, value)| format!("{name}={value}")).collect()
        }
        Shape::One(text) => split(&text),
        Shape::Many(texts) => texts,
    })
}

fn split(text: &str) -> Vec<String> {
    text.split(',').map(|text| text.trim().to_owned()).filter(|text| !text.is_empty()).collect()
}

#[cfg(test)]
mod tests;
