//! What the operator of a proxy says to the filter: the plugin's configuration, JSON, read strictly.
//!
//! A key that is not known, a number out of range or a bundle that is none refuses the whole configuration, so that a
//! proxy that validates its own notices. Whether a cluster exists is for the proxy to say, when it is called.

use pdp_edge::base64;
use serde::Deserialize;

/// More than this of a body is never read: readers of JSON take no more.
const BODY_BYTES_MAX: usize = 1 << 20;

/// The configuration.
#[derive(Debug)]
pub(crate) struct Settings {
    /// Where the bundle comes from.
    pub(crate) origin: Origin,
    /// The digest that a bundle must have, in lower-case hexadecimal, as `pdp inspect` prints it.
    pub(crate) digest: Option<String>,
    /// Larger bodies are refused, and larger lists are not shown.
    pub(crate) body_bytes_max: usize,
    /// How long a list may be kept by whom it was shown to.
    pub(crate) list_ttl_ms_max: u64,
    /// Whether the address that the proxy names as its peer's is one that no client chooses.
    pub(crate) source_ip: bool,
    /// The decision log, if there is one.
    pub(crate) log: Option<LogSettings>,
}

/// Where the bundle comes from.
#[derive(Debug)]
pub(crate) enum Origin {
    /// The configuration itself.
    Inline(Vec<u8>),
    /// A server.
    Fetch(FetchSettings),
}

/// A server that has the bundle.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct FetchSettings {
    /// The proxy's cluster.
    pub(crate) cluster: String,
    /// The host that is asked.
    pub(crate) authority: String,
    /// The path.
    pub(crate) path: String,
    /// How often it is asked.
    #[serde(default = "every_ms")]
    pub(crate) every_ms: u64,
    /// How long it may take.
    #[serde(default = "timeout_ms")]
    pub(crate) timeout_ms: u64,
}

/// Where decisions are logged.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct LogSettings {
    /// The proxy's cluster.
    pub(crate) cluster: String,
    /// The host of the collector.
    pub(crate) authority: String,
    /// The path that takes lines of JSON by `POST`.
    pub(crate) path: String,
    /// How often what waits is sent.
    #[serde(default = "log_every_ms")]
    pub(crate) every_ms: u64,
    /// How long it may take.
    #[serde(default = "timeout_ms")]
    pub(crate) timeout_ms: u64,
    /// Bytes of one batch; one line is sent in any case.
    #[serde(default = "batch_bytes_max")]
    pub(crate) batch_bytes_max: usize,
    /// Bytes of lines that wait, in each virtual machine; a line for which there is no room is dropped and counted.
    #[serde(default = "queue_bytes_max")]
    pub(crate) queue_bytes_max: usize,
    /// Whether values of the context are logged, and not only their keys.
    #[serde(default)]
    pub(crate) context: bool,
    /// Names of attributes whose values are never logged.
    #[serde(default)]
    pub(crate) mask: Vec<String>,
}

/// The JSON.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    bundle: Option<String>,
    fetch: Option<FetchSettings>,
    digest: Option<String>,
    #[serde(default = "body_bytes_max")]
    body_bytes_max: usize,
    #[serde(default = "list_ttl_ms_max")]
    list_ttl_ms_max: u64,
    #[serde(default)]
    source_ip: bool,
    log: Option<LogSettings>,
}

fn every_ms() -> u64 {
    10_000
}

fn timeout_ms() -> u64 {
    5_000
}

fn log_every_ms() -> u64 {
    1_000
}

fn batch_bytes_max() -> usize {
    256 << 10
}

fn queue_bytes_max() -> usize {
    1 << 20
}

fn body_bytes_max() -> usize {
    512 << 10
}

fn list_ttl_ms_max() -> u64 {
    60_000
}

// === impl Settings ===

impl Settings {
    /// Reads a configuration.
    ///
    /// # Errors
    ///
    /// A sentence that names the key that is wrong.
    pub(crate) fn read(json: &[u8]) -> Result<Self, String> {
        // A list would be read as the values of an object's keys in their order here.
        if !json.trim_ascii_start().starts_with(b"{") {
            return Err("the configuration of the filter is no object of JSON".to_owned());
        }
        let written: Written = serde_json::from_slice(json).map_err(|error| {
            format!("the configuration of the filter is not as it must be: {error}")
        })?;
        let Written { bundle, fetch, digest, body_bytes_max, list_ttl_ms_max, source_ip, log } =
            written;
        let origin = match (bundle, fetch) {
            (Some(text), None) => {
                let bytes = base64(text.as_bytes());
                Origin::Inline(
                    bytes.ok_or("`bundle` is not base64 with padding and without line breaks")?,
                )
            }
            (None, Some(fetch)) => {
                within("fetch.every_ms", fetch.every_ms, 100, 86_400_000)?;
                within("fetch.timeout_ms", fetch.timeout_ms, 1, 60_000)?;
                server("fetch", &fetch.cluster, &fetch.authority, &fetch.path)?;
                Origin::Fetch(fetch)
            }
            _ => return Err("say either `bundle` or `fetch`".to_owned()),
        };
        if digest.as_deref().is_some_and(|digest| !is_digest(digest)) {
            return Err("`digest` is not 64 digits of lower-case hexadecimal".to_owned());
        }
        within("body_bytes_max", body_bytes_max as u64, 1, BODY_BYTES_MAX as u64)?;
        if let Some(log) = &log {
            within("log.every_ms", log.every_ms, 100, 86_400_000)?;
            within("log.timeout_ms", log.timeout_ms, 1, 60_000)?;
            within("log.batch_bytes_max", log.batch_bytes_max as u64, 1, 16 << 20)?;
            within("log.queue_bytes_max", log.queue_bytes_max as u64, 1, 64 << 20)?;
            server("log", &log.cluster, &log.authority, &log.path)?;
        }
        Ok(Self { origin, digest, body_bytes_max, list_ttl_ms_max, source_ip, log })
    }

    /// How often there is something to see to.
    pub(crate) fn tick_ms(&self) -> u64 {
        let fetch = match &self.origin {
            Origin::Fetch(fetch) => Some(fetch.every_ms),
            Origin::Inline(_) => None,
        };
        let every = fetch.into_iter().chain(self.log.as_ref().map(|log| log.every_ms)).min();
        // What one machine has fetched, the others see at their next tick.
        every.map_or(0, |every| every.min(1_000))
    }
}

fn within(key: &str, value: u64, from: u64, to: u64) -> Result<(), String> {
    match (from..=to).contains(&value) {
        true => Ok(()),
        false => Err(format!("`{key}` is {value}, and must be from {from} to {to}")),
    }
}

fn server(key: &str, cluster: &str, authority: &str, path: &str) -> Result<(), String> {
    let plain = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_graphic());
    if cluster.is_empty() || !plain(authority) || !plain(path) || !path.starts_with('/') {
        return Err(format!(
            "`{key}` needs a `cluster`, an `authority`, and a `path` that begins with `/`"
        ));
    }
    Ok(())
}

fn is_digest(text: &str) -> bool {
    text.len() == 64 && text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "test code fails loudly")]

    use super::*;

    #[test]
    fn what_is_not_said_has_a_value() {
        let settings = Settings::read(br#"{"bundle":"AAEC"}"#).unwrap();
        assert!(matches!(&settings.origin, Origin::Inline(bytes) if bytes == &[0, 1, 2]));
        assert_eq!((settings.body_bytes_max, settings.tick_ms()), (512 << 10, 0));
        assert!(!settings.source_ip && settings.log.is_none() && settings.digest.is_none());
        let fetch = r#"{"fetch":{"cluster":"c","authority":"a","path":"/b"},
            "log":{"cluster":"c","authority":"a","path":"/l","every_ms":300}}"#;
        let settings = Settings::read(fetch.as_bytes()).unwrap();
        assert_eq!(settings.tick_ms(), 300);
        assert!(matches!(&settings.origin, Origin::Fetch(fetch) if fetch.every_ms == 10_000));
    }

    #[test]
    fn what_is_wrong_is_named() {
        let digest = "0".repeat(63);
        for (json, named) in [
            ("", "no object"),
            ("[]", "no object"),
            (r#"["AAEC",null]"#, "no object"),
            ("{", "EOF"),
            ("{}", "either `bundle` or `fetch`"),
            (r#"{"bundle":"AAEC","bundel":""}"#, "bundel"),
            (r#"{"bundle":"AAEC","bundle":"AAEC"}"#, "bundle"),
            (r#"{"bundle":"AAE"}"#, "base64"),
            (r#"{"bundle":"AA\nEC"}"#, "base64"),
            (r#"{"bundle":"AAEC","body_bytes_max":0}"#, "body_bytes_max"),
            (r#"{"bundle":"AAEC","body_bytes_max":1048577}"#, "body_bytes_max"),
            (r#"{"bundle":"AAEC","body_bytes_max":-1}"#, "invalid value"),
            (&format!(r#"{{"bundle":"AAEC","digest":"{digest}"}}"#), "digest"),
            (&format!(r#"{{"bundle":"AAEC","digest":"{digest}A"}}"#), "digest"),
            (r#"{"bundle":"AAEC","fetch":{"cluster":"c","authority":"a","path":"/"}}"#, "either"),
            (r#"{"fetch":{"cluster":"c","authority":"a"}}"#, "path"),
            (r#"{"fetch":{"cluster":"c","authority":"a","path":"b"}}"#, "begins with"),
            (r#"{"fetch":{"cluster":"c","authority":"a b","path":"/b"}}"#, "authority"),
            (r#"{"fetch":{"cluster":"","authority":"a","path":"/b"}}"#, "cluster"),
            (r#"{"fetch":{"cluster":"c","authority":"a","path":"/b","every_ms":99}}"#, "every_ms"),
            (r#"{"fetch":{"cluster":"c","authority":"a","path":"/b","retry":9}}"#, "retry"),
            (
                r#"{"bundle":"AAEC","log":{"cluster":"c","authority":"a","path":"/b","batch":9}}"#,
                "batch",
            ),
        ] {
            let error = Settings::read(json.as_bytes()).err().unwrap();
            assert!(error.contains(named), "{json}: {error}");
        }
    }
}
