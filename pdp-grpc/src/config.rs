//! What a sidecar is told before it starts: where to listen, whom to trust, which clock, and every limit by name.
//!
//! Nothing here has a hidden default: [`Config::sidecar`] states all of it in one place and a caller changes what it
//! must. Limits are checked when the server binds, because some of them would otherwise stop the process much later.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use pdp_core::Datetime;
use serde::{Deserialize, Serialize};

use crate::access::CallerRule;
use crate::decision_log::LogConfig;
use crate::listen::UnixSocket;
use crate::reload::ReloadMonitor;
use crate::tls::TlsConfig;
use crate::trace::SharedTracer;

mod insecure;

pub use insecure::{ConfigError, Insecure};

/// Where a sidecar answers AuthZEN when nothing else is said: on this machine only.
pub const HTTP_ADDRESS_STANDARD: SocketAddr =
    SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 8171);

/// Where a sidecar listens for operators when nothing else is said: on this machine only.
pub const ADMIN_ADDRESS_STANDARD: SocketAddr =
    SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 8172);

/// Where a sidecar listens when nothing else is said: on this machine only.
pub const ADDRESS_STANDARD: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 8170);

/// The deepest nesting of values that any server can be told to accept.
///
/// A record costs three protobuf messages a level and the protobuf decoder gives up at 100. Below that, what is too
/// deep is refused by us, with the path of the field.
pub const VALUE_DEPTH_MAX: u32 = 32;

/// Everything a server is told before it starts.
#[derive(Clone, Debug)]
pub struct Config {
    /// Where to listen. Port 0 takes a free one; [`crate::BoundServer::address`] says which.
    pub address: SocketAddr,
    /// Where to answer AuthZEN over HTTP; `None`: nowhere. Port 0 takes a free one;
    /// [`crate::BoundServer::http_address`] says which.
    pub http: Option<SocketAddr>,
    /// The URL under which AuthZEN's callers reach this server, which discovery states; `None`: that of the address.
    pub public_url: Option<String>,
    /// A socket in the file system to listen on in place of `address`.
    pub unix: Option<UnixSocket>,
    /// TLS of the listeners for gRPC and for AuthZEN; `None`: bare connections. A socket in the file system has none.
    pub tls: Option<TlsConfig>,
    /// Who may ask about whom. Empty: whoever can connect, about anybody; else the first rule that fits a caller holds,
    /// and who fits none is refused. With rules, `trust_delegation` and `explain` are said by them alone.
    pub callers: Vec<CallerRule>,
    /// Which dangers are wanted all the same.
    pub insecure: Insecure,
    /// Where operators ask for health, status and metrics; `None`: nowhere. Port 0 takes a free one;
    /// [`crate::BoundServer::admin_address`] says which.
    pub admin: Option<SocketAddr>,
    /// Whether `admin` may be an address that other machines reach.
    pub admin_anywhere: bool,
    /// What shows how reloading stands, if something reloads.
    pub reload: Option<ReloadMonitor>,
    /// Whether what callers state about delegation (`on_behalf_of`, `actors`, `scopes`) counts.
    ///
    /// Only where every caller that can reach the address has verified what it states. Otherwise a request that states
    /// any of it is denied: ignoring it would drop a leg, and that would add authority.
    pub trust_delegation: bool,
    /// Whether callers may be told why, with policy texts and attribute values, when they ask for it.
    pub explain: bool,
    /// Whether clients may ask which services and messages there are (`grpc.reflection.v1`).
    pub reflection: bool,
    /// Where the time of a request comes from.
    pub clock: Clock,
    /// Where decisions are logged; `None`: nowhere.
    pub log: Option<LogConfig>,
    /// Who hears of each decision as a span of a trace; `None`: nobody.
    pub tracer: Option<SharedTracer>,
    /// Every maximum.
    pub limits: Limits,
}

/// Where the time of a request comes from: never from the caller.
#[derive(Clone)]
pub struct Clock(Arc<dyn Fn() -> Datetime + Send + Sync>);

/// Every maximum of a server, with its unit last. Read from settings by name: what is not there is as in
/// [`Limits::SIDECAR`], and what is unknown is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Limits {
    /// Largest `Authorize` request, in bytes. What is larger is refused before it is read.
    pub message_bytes_max: u32,
    /// Largest `Authorize` answer, in bytes. A larger one is replaced by an error, never cut.
    pub answer_bytes_max: u32,
    /// Largest `AuthorizeBatch` and `Filter` request and largest check of Envoy's, body included, in bytes.
    pub batch_bytes_max: u32,
    /// Questions in a batch.
    pub batch_questions_max: u32,
    /// Candidates of a filter.
    pub filter_candidates_max: u32,
    /// Nesting of values in a request; a value of a context key is at level 1.
    pub value_depth_max: u32,
    /// Largest list of HTTP/2 headers of one request, in bytes.
    pub header_list_bytes_max: u32,
    /// Largest HTTP/2 frame, in bytes.
    pub frame_bytes_max: u32,
    /// What one stream may send before the server has read it, in bytes.
    pub stream_window_bytes: u32,
    /// What one connection may send before the server has read it, in bytes.
    pub connection_window_bytes: u32,
    /// Connections at a time. One more is closed at once, so that its caller need not wait to find out.
    /// Keep it below the process's limit of open files.
    pub connections_max: u32,
    /// Memory of all messages that are arriving, in bytes; who sends more is told that there is none.
    pub in_flight_bytes_max: u32,
    /// How long a new connection may take to say that it speaks HTTP/2, in milliseconds; then it is cut.
    pub greeting_timeout_ms: u32,
    /// Connections at a time to each of the listeners for HTTP.
    pub http_connections_max: u32,
    /// Streams that a connection may have open; the client is told and waits.
    pub streams_per_connection_max: u32,
    /// Requests of a connection being served. One more is refused. Equal to the number of streams, it meets only
    /// clients that open and abandon streams faster than they are cleaned up.
    pub requests_per_connection_max: u32,
    /// Streams that the client reset before the server took them up; above it the connection is closed (rapid reset).
    pub pending_accept_resets_max: u32,
    /// Streams that the server reset because of the client's errors; above it the connection is closed.
    pub local_error_resets_max: u32,
    /// From the headers of a request to its answer, in milliseconds. A shorter deadline of the client holds instead.
    pub request_timeout_ms: u32,
    /// How often an idle connection is pinged, in milliseconds.
    pub keepalive_interval_ms: u32,
    /// How long an answer to a ping may take before the connection is closed, in milliseconds.
    pub keepalive_timeout_ms: u32,
    /// Age at which a connection is asked to close, in milliseconds. The client opens a new one.
    pub connection_age_ms: u32,
    /// How long after that the connection is cut, in milliseconds.
    pub connection_age_grace_ms: u32,
    /// How often health looks whether a bundle decides, in milliseconds.
    pub health_refresh_ms: u32,
    /// How long a server that was told to stop goes on accepting while health says not serving, in milliseconds.
    /// 0 where clients hold a connection and learn it there; behind a load balancer, the interval of its probes.
    pub drain_notice_ms: u32,
    /// How long requests in flight have to finish after that, in milliseconds; then their connections are cut.
    pub drain_deadline_ms: u32,
}

/// A limit outside its range.
#[derive(Debug)]
pub struct LimitError {
    name: &'static str,
    value: u32,
    min: u32,
    max: u32,
}

// === impl Config ===

impl Config {
    /// A sidecar on this machine's loopback, with the system clock, that trusts nobody's statements of delegation, has no
    /// listener but the one for gRPC and logs no decisions.
    pub fn sidecar() -> Self {
        Self {
            address: ADDRESS_STANDARD,
            http: None,
            public_url: None,
            unix: None,
            tls: None,
            callers: Vec::new(),
            insecure: Insecure::NOTHING,
            admin: None,
            admin_anywhere: false,
            reload: None,
            trust_delegation: false,
            explain: false,
            reflection: false,
            clock: Clock::system(),
            log: None,
            tracer: None,
            limits: Limits::SIDECAR,
        }
    }
}

// === impl Clock ===

impl Clock {
    /// The system's clock.
    pub fn system() -> Self {
        Self::from_fn(system_now)
    }

    /// A clock that stands still, for tests and for answering as of a certain time.
    pub fn fixed(now: Datetime) -> Self {
        Self::from_fn(move || now)
    }

    /// A clock that asks `now`; asked once a request, on the thread that decides.
    pub fn from_fn(now: impl Fn() -> Datetime + Send + Sync + 'static) -> Self {
        Self(Arc::new(now))
    }

    /// The time.
    pub fn now(&self) -> Datetime {
        (self.0)()
    }
}

impl fmt::Debug for Clock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Clock")
    }
}

fn system_now() -> Datetime {
    let now = SystemTime::now();
    // A clock that stands before 1970 is wrong but not our business; times beyond 64 bits of milliseconds do not occur.
    let ms = match now.duration_since(UNIX_EPOCH) {
        Ok(since) => i64::try_from(since.as_millis()).unwrap_or(i64::MAX),
        Err(before) => i64::try_from(before.duration().as_millis()).map_or(i64::MIN, |ms| -ms),
    };
    Datetime(ms)
}

// === impl Limits ===

impl Limits {
    /// What a sidecar beside one service needs.
    pub const SIDECAR: Self = Self {
        message_bytes_max: 64 << 10,
        // What gRPC clients accept when they are told nothing.
        answer_bytes_max: 4 << 20,
        batch_bytes_max: 1 << 20,
        batch_questions_max: 1_024,
        filter_candidates_max: 8_192,
        value_depth_max: VALUE_DEPTH_MAX,
        header_list_bytes_max: 16 << 10,
        frame_bytes_max: 16 << 10,
        // The largest request in one go, without waiting for the window to be opened again.
        stream_window_bytes: 128 << 10,
        connection_window_bytes: 1 << 20,
        // Half of the usual limit of 1,024 open files.
        connections_max: 512,
        in_flight_bytes_max: 256 << 20,
        greeting_timeout_ms: 5_000,
        http_connections_max: 256,
        streams_per_connection_max: 256,
        requests_per_connection_max: 256,
        pending_accept_resets_max: 20,
        local_error_resets_max: 256,
        request_timeout_ms: 1_000,
        keepalive_interval_ms: 30_000,
        keepalive_timeout_ms: 10_000,
        connection_age_ms: 30 * 60_000,
        connection_age_grace_ms: 30_000,
        health_refresh_ms: 200,
        drain_notice_ms: 0,
        drain_deadline_ms: 10_000,
    };

    /// Says which limits are outside their ranges.
    pub fn outside(&self) -> Vec<LimitError> {
        const ANY: u32 = u32::MAX;
        // HTTP/2 fixes the range of frames and windows; the libraries below us stop the process outside of it.
        const WINDOW: u32 = (1 << 31) - 1;
        let ranges = [
            ("message_bytes_max", self.message_bytes_max, 1, 1 << 30),
            ("answer_bytes_max", self.answer_bytes_max, 1, 1 << 30),
            ("batch_bytes_max", self.batch_bytes_max, 1, 1 << 30),
            ("batch_questions_max", self.batch_questions_max, 1, 1 << 20),
            ("filter_candidates_max", self.filter_candidates_max, 1, 1 << 20),
            ("value_depth_max", self.value_depth_max, 1, VALUE_DEPTH_MAX),
            ("header_list_bytes_max", self.header_list_bytes_max, 1 << 10, 1 << 24),
            ("frame_bytes_max", self.frame_bytes_max, 1 << 14, (1 << 24) - 1),
            ("stream_window_bytes", self.stream_window_bytes, 1 << 10, WINDOW),
            ("connection_window_bytes", self.connection_window_bytes, 1 << 16, WINDOW),
            ("connections_max", self.connections_max, 1, 1 << 20),
            ("in_flight_bytes_max", self.in_flight_bytes_max, 1 << 10, ANY),
            ("greeting_timeout_ms", self.greeting_timeout_ms, 1, ANY),
            ("http_connections_max", self.http_connections_max, 1, 1 << 20),
            ("streams_per_connection_max", self.streams_per_connection_max, 1, ANY),
            ("requests_per_connection_max", self.requests_per_connection_max, 1, 1 << 20),
            ("pending_accept_resets_max", self.pending_accept_resets_max, 1, ANY),
            ("local_error_resets_max", self.local_error_resets_max, 1, ANY),
            ("request_timeout_ms", self.request_timeout_ms, 1, ANY),
            ("keepalive_interval_ms", self.keepalive_interval_ms, 1, ANY),
            ("keepalive_timeout_ms", self.keepalive_timeout_ms, 1, ANY),
            ("connection_age_ms", self.connection_age_ms, 1, ANY),
            ("connection_age_grace_ms", self.connection_age_grace_ms, 0, ANY),
            ("health_refresh_ms", self.health_refresh_ms, 1, ANY),
            ("drain_notice_ms", self.drain_notice_ms, 0, ANY),
            ("drain_deadline_ms", self.drain_deadline_ms, 0, ANY),
        ];
        let outside =
            ranges.into_iter().filter(|(_, value, min, max)| !(min..=max).contains(&value));
        outside.map(|(name, value, min, max)| LimitError { name, value, min, max }).collect()
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self::SIDECAR
    }
}

// === impl LimitError ===

impl fmt::Display for LimitError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { name, value, min, max } = self;
        write!(f, "the limit `{name}` is {value}; set it to {min} at least and {max} at most")
    }
}

impl std::error::Error for LimitError {}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test stops at the first surprise")]

    use super::*;

    #[test]
    fn the_standard_settings_are_within_their_ranges_and_local() {
        assert!(Limits::SIDECAR.outside().is_empty());
        assert_eq!(Config::sidecar().check().map_err(|error| error.to_string()), Ok(()));
        assert!(Config::sidecar().address.ip().is_loopback());
        assert!(!Config::sidecar().trust_delegation);
    }

    #[test]
    fn a_limit_outside_its_range_is_named_with_the_range() {
        let check = |limits: Limits| limits.outside().pop().unwrap().to_string();
        assert_eq!(
            check(Limits { frame_bytes_max: 100, ..Limits::SIDECAR }),
            "the limit `frame_bytes_max` is 100; set it to 16384 at least and 16777215 at most"
        );
        assert_eq!(
            check(Limits { value_depth_max: 33, ..Limits::SIDECAR }),
            "the limit `value_depth_max` is 33; set it to 1 at least and 32 at most"
        );
        assert_eq!(
            check(Limits { connections_max: 0, ..Limits::SIDECAR }),
            "the limit `connections_max` is 0; set it to 1 at least and 1048576 at most"
        );
    }

    #[test]
    fn the_system_clock_is_of_this_century_and_a_fixed_one_stands() {
        let start_of_2025 = Datetime(1_735_689_600_000);
        assert!(Clock::system().now() > start_of_2025);
        assert_eq!(Clock::fixed(Datetime(-5)).now(), Datetime(-5));
    }
}
