//! The proxy's functions, as far as the filter calls them: what a call says, memory that machines share, metrics.
//!
//! Nothing is decided here. What the proxy refuses to tell is never taken for something that is not there.

use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use pdp_core::Datetime;
use proxy_wasm::hostcalls;
use proxy_wasm::types::{BufferType, LogLevel, MapType, MetricType, Status};

use super::judge::{Call, Needs};
use super::poll::Board;

/// The memory that the virtual machines with one `vm_id` share.
#[derive(Debug)]
pub(super) struct SharedData;

/// A number that the proxy publishes.
#[derive(Clone, Copy, Debug)]
pub(super) struct Metric(Option<u32>);

/// The time, since 1970.
pub(super) fn since_1970() -> Duration {
    let now = hostcalls::get_current_time().unwrap_or(UNIX_EPOCH);
    now.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default()
}

/// The same in milliseconds.
pub(super) fn now_ms() -> u64 {
    u64::try_from(since_1970().as_millis()).unwrap_or(u64::MAX)
}

/// The same as policies see it.
pub(super) fn datetime(now_ms: u64) -> Datetime {
    Datetime(i64::try_from(now_ms).unwrap_or(i64::MAX))
}

/// Says something to the operator.
pub(super) fn warn(text: &str) {
    // The proxy takes every text.
    let _ = hostcalls::log(LogLevel::Warn, text);
}

/// A call that is at its headers.
pub(super) fn call(needs: Needs, source_ip: bool) -> Call {
    let mut call = Call::default();
    let Ok(headers) = hostcalls::get_map_bytes(MapType::HttpRequestHeaders) else {
        return Call { is_unreadable: true, ..call };
    };
    for (name, value) in headers {
        match name.as_str() {
            ":method" => call.method = value,
            ":authority" => call.host = value,
            ":path" => call.target = value,
            _ if name.starts_with(':') => {}
            _ => call.headers.push((name, value)),
        }
    }
    let mut read = |path: Vec<&str>| match hostcalls::get_property(path) {
        Ok(value) => value.unwrap_or_default(),
        Err(_) => {
            call.is_unreadable = true;
            Vec::new()
        }
    };
    // As a message, so that types are as they were; field by field they would be lost.
    call.route_metadata = read(vec!["xds", "route_metadata"]);
    if needs.claims {
        call.metadata = read(vec!["metadata"]);
    }
    if needs.certificate {
        call.source_principal = read(vec!["connection", "uri_san_peer_certificate"]);
    }
    if needs.source_ip && source_ip {
        call.source_ip = address(&read(vec!["source", "address"]));
    }
    call
}

/// The address without its port; a pipe has none.
fn address(text: &[u8]) -> Option<IpAddr> {
    let address: SocketAddr = std::str::from_utf8(text).ok()?.parse().ok()?;
    Some(address.ip())
}

/// All of a buffer.
pub(super) fn buffer(of: BufferType, bytes: usize) -> Option<Vec<u8>> {
    match hostcalls::get_buffer(of, 0, bytes) {
        Ok(buffer) => Some(buffer.unwrap_or_default()),
        Err(_) => None,
    }
}

/// Writes for access logs, which find it as `wasm.pdp`.
pub(super) fn note(text: &str) -> Result<(), Status> {
    hostcalls::set_property(vec!["pdp"], Some(text.as_bytes()))
}

// === impl SharedData ===

impl Board for SharedData {
    fn read(&self, key: &str) -> (Option<Vec<u8>>, Option<u32>) {
        hostcalls::get_shared_data(key).unwrap_or_default()
    }

    fn write(&self, key: &str, value: &[u8], state: Option<u32>) -> bool {
        hostcalls::set_shared_data(key, Some(value), state).is_ok()
    }
}

// === impl Metric ===

impl Metric {
    /// One that counts.
    pub(super) fn counter(name: &str) -> Self {
        Self(hostcalls::define_metric(MetricType::Counter, &format!("pdp.{name}")).ok())
    }

    /// One that is set.
    pub(super) fn gauge(name: &str) -> Self {
        Self(hostcalls::define_metric(MetricType::Gauge, &format!("pdp.{name}")).ok())
    }

    /// Counts.
    pub(super) fn add(self, count: u64) {
        if let (Some(id), 1..) = (self.0, count) {
            // What is not counted changes no decision.
            let _ = hostcalls::increment_metric(id, i64::try_from(count).unwrap_or(i64::MAX));
        }
    }

    /// Sets.
    pub(super) fn set(self, value: u64) {
        if let Some(id) = self.0 {
            let _ = hostcalls::record_metric(id, value);
        }
    }
}
