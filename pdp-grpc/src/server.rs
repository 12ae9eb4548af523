//! Bind, serve, report health, drain.
//!
//! [`Server::bind`] takes the address and checks the limits, so that a wrong configuration stops a start and not a
//! night; [`BoundServer::run`] serves until it is told to stop and returns when the last connection is gone. It reads
//! no files and no signals: what publishes bundles and what ends the process belong to the caller.

use std::fmt;
use std::future::pending;
use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use pdp_core::Live;
use tokio::sync::{oneshot, watch};
use tokio::time::sleep;
use tonic::transport::server::Router;
use tonic_health::server::{HealthReporter, HealthService};
use tonic_reflection::server::v1::{ServerReflection, ServerReflectionServer};

use crate::accept::{Incoming, Speaks, Terms};
use crate::admin::Admin;
use crate::admission::Admission;
use crate::authzen::Authzen;
use crate::config::{Config, ConfigError, Limits};
use crate::decision_log::{DecisionLog, LogTarget};
use crate::desk::{Desk, Telemetry};
use crate::ext_authz::ExtAuthzService;
use crate::health::Health;
use crate::http::{HttpListener, Service as HttpService};
use crate::listen::Bound;
use crate::pb;
use crate::respond::SizeRefused;
use crate::service::AuthorizationService;
use crate::tls::{Tls, TlsError};

/// Makes servers; see [`Server::bind`].
#[derive(Debug)]
pub struct Server(());

/// A server that has its address and does not serve yet.
#[derive(Debug)]
pub struct BoundServer {
    config: Config,
    live: Arc<Live>,
    telemetry: Arc<Telemetry>,
    listener: Bound,
    tls: Option<Arc<Tls>>,
    address: SocketAddr,
    http: Option<HttpListener>,
    admin: Option<HttpListener>,
}

/// Why a server cannot start or go on.
#[derive(Debug)]
#[non_exhaustive]
pub enum ServeError {
    /// What is configured is dangerous and not said to be wanted, contradicts itself, or is outside its range.
    Config(ConfigError),
    /// Certificates or keys cannot be used.
    Tls(TlsError),
    /// The decision log cannot be opened.
    Log(LogError),
    /// The address cannot be listened on.
    Listen(ListenError),
    /// The transport gave up.
    Transport(TransportError),
}

/// Why the decision log cannot be opened.
#[derive(Debug)]
pub struct LogError {
    target: LogTarget,
    source: io::Error,
}

/// Why an address cannot be listened on.
#[derive(Debug)]
pub struct ListenError {
    address: SocketAddr,
    unix: Option<PathBuf>,
    source: io::Error,
}

/// Why the transport gave up.
#[derive(Debug)]
pub struct TransportError {
    address: SocketAddr,
    source: tonic::transport::Error,
}

// === impl Server ===

impl Server {
    /// Takes the address, without serving yet.
    ///
    /// From here on clients can connect; they are answered once [`BoundServer::run`] is polled.
    ///
    /// # Errors
    ///
    /// When the configuration is refused, or the address is in use, not permitted, or not one of this machine.
    pub fn bind(config: Config, live: Arc<Live>) -> Result<BoundServer, ServeError> {
        config.check().map_err(ServeError::Config)?;
        let tls = config.tls.clone().map(Tls::open).transpose().map_err(ServeError::Tls)?;
        let admin = config.admin.map(listen_http).transpose()?;
        let http = config.http.map(listen_http).transpose()?;
        let log = match &config.log {
            Some(log) => Some(DecisionLog::start(log.clone()).map_err(|source| {
                ServeError::Log(LogError { target: log.target.clone(), source })
            })?),
            None => None,
        };
        let admission = Arc::new(Admission::new(config.limits.in_flight_bytes_max));
        let telemetry = Arc::new(Telemetry { log, admission, ..Telemetry::default() });
        let bound = match &config.unix {
            Some(socket) => Bound::unix(socket).map(|bound| (bound, config.address)),
            None => Bound::tcp(config.address),
        };
        let (listener, address) = bound.map_err(|source| {
            let unix = config.unix.as_ref().map(|socket| socket.path.clone());
            ServeError::Listen(ListenError { address: config.address, unix, source })
        })?;
        let tls = tls.map(Arc::new);
        Ok(BoundServer { config, live, telemetry, listener, tls, address, http, admin })
    }
}

// === impl BoundServer ===

impl BoundServer {
    /// Where clients find it, as they write it: `grpc://…`, `grpcs://…` with TLS, `unix://…` with its path.
    pub fn url(&self) -> String {
        match (&self.config.unix, &self.tls) {
            (Some(socket), _) => format!("unix://{}", socket.path.display()),
            (None, Some(_)) => format!("grpcs://{}", self.address),
            (None, None) => format!("grpc://{}", self.address),
        }
    }

    /// The address it listens on, with the port that was free when the configuration says 0. With a socket in the file
    /// system it is what the configuration says, and nobody listens there.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Where callers of AuthZEN find it, if they do: with TLS where the listener for gRPC has it.
    pub fn http_url(&self) -> Option<String> {
        let scheme = if self.tls.is_some() { "https" } else { "http" };
        self.http_address().map(|address| format!("{scheme}://{address}"))
    }

    /// The address that it answers AuthZEN on, if it does.
    pub fn http_address(&self) -> Option<SocketAddr> {
        self.http.as_ref().map(HttpListener::address)
    }

    /// The address that it listens on for operators, if it does.
    pub fn admin_address(&self) -> Option<SocketAddr> {
        self.admin.as_ref().map(HttpListener::address)
    }

    /// Serves until `shutdown` is ready, then drains: health says not serving, after `drain_notice_ms` nothing is
    /// accepted any more, requests in flight finish, and after `drain_deadline_ms` what is left is cut.
    ///
    /// Must run on a Tokio runtime with time and I/O. Dropping the future cuts all connections at once.
    ///
    /// # Errors
    ///
    /// When the address cannot be handed to the runtime, or the transport gives up.
    pub async fn run(self, shutdown: impl Future<Output = ()>) -> Result<(), ServeError> {
        let Self { config, live, telemetry, listener, tls, address, http, admin } = self;
        let limits = &config.limits;
        let listener = listener
            .start()
            .map_err(|source| ServeError::Listen(ListenError { address, unix: None, source }))?;
        let (cut, cut_seen) = watch::channel(false);
        let (stop, stopped) = oneshot::channel();
        let terms = Terms {
            greeting: ms(limits.greeting_timeout_ms),
            life: ms(limits.connection_age_ms) + ms(limits.connection_age_grace_ms),
            cut: cut_seen,
            admission: Arc::clone(&telemetry.admission),
        };
        let connections_max = limits.http_connections_max;
        let started = |listener: HttpListener, tls: Option<Arc<Tls>>| {
            let (address, tls) = (listener.address(), tls.map(|tls| (tls, Speaks::Http1)));
            let started = listener.into_bound().start();
            started
                .map(|listener| Incoming::new(listener, tls, connections_max, terms.clone()))
                .map_err(|source| ServeError::Listen(ListenError { address, unix: None, source }))
        };
        let http_address = http.as_ref().map(HttpListener::address);
        // Operators are on this machine, where nobody listens in.
        let admin = admin.map(|listener| started(listener, None)).transpose()?;
        let http = http.map(|listener| started(listener, tls.clone())).transpose()?;
        let secured = tls.clone().filter(|_| config.unix.is_none());
        let secured = secured.map(|tls| (tls, Speaks::Http2));
        let incoming = Incoming::new(listener, secured, limits.connections_max, terms.clone());

        let draining = Arc::new(AtomicBool::new(false));
        let asked = Admin {
            live: Arc::clone(&live),
            telemetry: Arc::clone(&telemetry),
            reload: config.reload.clone(),
            draining: Arc::clone(&draining),
            config: Arc::new(config.clone()),
        };
        let service = |router| HttpService {
            router,
            telemetry: Arc::clone(&telemetry),
            header_bytes_max: limits.header_list_bytes_max,
            head_timeout: ms(limits.greeting_timeout_ms),
            request_timeout: ms(limits.request_timeout_ms),
            connection_age: ms(limits.connection_age_ms),
        };
        let (admin_service, admin_ends) = (service(asked.router()), terms.cut.clone());
        // Beside the data: what becomes of it is nothing that requests should notice.
        let admin = async {
            if let Some(incoming) = admin {
                admin_service.serve(incoming, admin_ends).await;
            }
            pending::<()>().await;
        };

        let desk = Desk::new(&config, Arc::clone(&live), Arc::clone(&telemetry));
        let (stop_http, http_stops) = watch::channel(false);
        let http = async {
            let (Some(incoming), Some(address)) = (http, http_address) else { return };
            let scheme = if tls.is_some() { "https" } else { "http" };
            let own = || format!("{scheme}://{address}");
            let url = config.public_url.clone().unwrap_or_else(own);
            let authzen = Authzen::new(desk.clone(), *limits, &url);
            let mut cut = terms.cut.clone();
            tokio::select! {
                // What becomes of a listener is nothing that the other one should end for.
                () = service(authzen.router()).serve(incoming, http_stops) => {}
                _ = cut.wait_for(|cut| *cut) => {}
            }
        };
        let renewed = async {
            match tls.clone() {
                Some(tls) => tls.follow().await,
                None => pending().await,
            }
        };

        let health = Health::begin(&live).await;
        let served = router(&config, desk.clone(), health.reporter()).serve_with_incoming_shutdown(
            incoming,
            async {
                // A conductor that is gone is a reason to stop as well.
                let _ = stopped.await;
            },
        );
        let conducted = async {
            let every = ms(limits.health_refresh_ms);
            tokio::select! {
                () = shutdown => {}
                () = health.follow(&live, every) => {}
            }
            draining.store(true, Ordering::Relaxed);
            health.end().await;
            sleep(ms(limits.drain_notice_ms)).await;
            let _ = stop.send(());
            let _ = stop_http.send(true);
            health.end_watching().await;
            sleep(ms(limits.drain_deadline_ms)).await;
            let _ = cut.send(true);
            // The connections now end by themselves, and with the last of them the server.
            pending::<()>().await;
        };
        tokio::select! {
            (served, ()) = async { tokio::join!(served, http) } => served.map_err(|source| ServeError::Transport(TransportError { address, source })),
            () = conducted => Ok(()),
            () = admin => Ok(()),
            () = renewed => Ok(()),
        }
    }
}

fn listen_http(address: SocketAddr) -> Result<HttpListener, ServeError> {
    HttpListener::bind(address)
        .map_err(|source| ServeError::Listen(ListenError { address, unix: None, source }))
}

fn router(config: &Config, desk: Desk, health: HealthReporter) -> Router {
    let limits = &config.limits;
    let ext_authz = ExtAuthzService::new(desk.clone(), config.limits);
    let authorization = AuthorizationService::new(desk, config.limits);
    let health = tonic_health::pb::health_server::HealthServer::new(
        HealthService::from_health_reporter(health),
    )
    .max_decoding_message_size(count(limits.message_bytes_max));
    builder(limits)
        .add_service(SizeRefused(authorization))
        .add_service(ext_authz)
        .add_service(health)
        .add_optional_service(config.reflection.then(reflection).flatten())
}

/// What clients ask that know no `.proto` file.
fn reflection() -> Option<ServerReflectionServer<impl ServerReflection>> {
    tonic_reflection::server::Builder::configure()
        .register_encoded_file_descriptor_set(pb::FILE_DESCRIPTOR_SET)
        .register_encoded_file_descriptor_set(tonic_health::pb::FILE_DESCRIPTOR_SET)
        .build_v1()
        .ok()
}

/// Every setting that the transport has, stated; where a default is right it is stated all the same.
fn builder(limits: &Limits) -> tonic::transport::Server {
    tonic::transport::Server::builder()
        .accept_http1(false)
        .timeout(ms(limits.request_timeout_ms))
        .concurrency_limit_per_connection(count(limits.requests_per_connection_max))
        .load_shed(true)
        .max_concurrent_streams(limits.streams_per_connection_max)
        .initial_stream_window_size(limits.stream_window_bytes)
        .initial_connection_window_size(limits.connection_window_bytes)
        .http2_adaptive_window(Some(false))
        .http2_keepalive_interval(Some(ms(limits.keepalive_interval_ms)))
        .http2_keepalive_timeout(Some(ms(limits.keepalive_timeout_ms)))
        .http2_max_pending_accept_reset_streams(Some(count(limits.pending_accept_resets_max)))
        .http2_max_local_error_reset_streams(Some(count(limits.local_error_resets_max)))
        .http2_max_header_list_size(limits.header_list_bytes_max)
        .max_frame_size(limits.frame_bytes_max)
        // Only the age: with a grace of its own the transport would never ask politely. `accept` cuts instead, and
        // sets the options of the sockets, which the transport leaves alone when it does not accept itself.
        .max_connection_age(ms(limits.connection_age_ms))
}

fn ms(ms: u32) -> Duration {
    Duration::from_millis(ms.into())
}

fn count(limit: u32) -> usize {
    usize::try_from(limit).unwrap_or(usize::MAX)
}

// === impl ServeError ===

impl fmt::Display for ServeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ServeError::Config(error) => error.fmt(f),
            ServeError::Tls(error) => error.fmt(f),
            ServeError::Log(error) => error.fmt(f),
            ServeError::Listen(error) => error.fmt(f),
            ServeError::Transport(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for ServeError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            ServeError::Config(_) | ServeError::Tls(_) => None,
            ServeError::Log(error) => Some(&error.source),
            ServeError::Listen(error) => Some(&error.source),
            ServeError::Transport(error) => Some(&error.source),
        }
    }
}

impl fmt::Display for LogError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.target {
            LogTarget::Stdout => write!(f, "the decision log cannot be started: {}", self.source),
            LogTarget::File { path, .. } => write!(
                f,
                "the decision log `{}` cannot be opened: {}; its folder must exist and be writable",
                path.display(),
                self.source
            ),
        }
    }
}

impl ListenError {
    /// The address that was asked for.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// What the system said.
    pub fn kind(&self) -> io::ErrorKind {
        self.source.kind()
    }
}

impl fmt::Display for ListenError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { address, unix, source } = self;
        if let Some(path) = unix {
            let path = path.display();
            return match source.kind() {
                io::ErrorKind::AddrInUse => write!(
                    f,
                    "cannot listen on `{path}`: a server listens there; stop it or choose another path"
                ),
                _ => write!(
                    f,
                    "cannot listen on `{path}`: {source}; its folder must exist and be writable"
                ),
            };
        }
        write!(f, "cannot listen on `{address}`: ")?;
        match source.kind() {
            io::ErrorKind::AddrInUse => {
                f.write_str("the address is in use; stop what listens there or choose another port")
            }
            io::ErrorKind::PermissionDenied => f.write_str(
                "not permitted; choose a port from 1024 on or allow this process to use lower ones",
            ),
            io::ErrorKind::AddrNotAvailable => f.write_str(
                "this machine has no such address; choose one that it has, or `127.0.0.1`",
            ),
            _ => write!(f, "{source}"),
        }
    }
}

impl fmt::Display for TransportError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "serving on `{}` failed: {}", self.address, self.source)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_way_not_to_get_an_address_has_its_remedy() {
        let text = |source: io::Error| {
            ListenError { address: crate::ADDRESS_STANDARD, unix: None, source }.to_string()
        };
        assert_eq!(
            text(io::ErrorKind::PermissionDenied.into()),
            "cannot listen on `127.0.0.1:8170`: not permitted; choose a port from 1024 on or allow this process to use \
             lower ones"
        );
        assert_eq!(
            text(io::ErrorKind::AddrNotAvailable.into()),
            "cannot listen on `127.0.0.1:8170`: this machine has no such address; choose one that it has, or `127.0.0.1`"
        );
        assert_eq!(
            text(io::Error::other("no more sockets")),
            "cannot listen on `127.0.0.1:8170`: no more sockets"
        );
    }
}
