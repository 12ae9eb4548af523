//! The sidecar: a policy decision point served over gRPC, and a client that asks one.
//!
//! The protocol is `pdp.v1`, in `proto/pdp/v1/authorization.proto`. The server decides with [`pdp_core`] from the bundle
//! that a [`pdp_core::Live`] holds, answers health in the standard `grpc.health.v1`, and has a limit on everything.
//! It does not compile bundles, read configuration files or handle signals; whoever embeds it does.
//!
//! ```no_run
//! use std::sync::Arc;
//! use pdp_core::{Decider, Live};
//! use pdp_grpc::{Config, Server};
//!
//! # async fn serve() -> Result<(), pdp_grpc::ServeError> {
//! let live = Arc::new(Live::new(Decider::no_bundle()));
//! let server = Server::bind(Config::sidecar(), Arc::clone(&live))?;
//! println!("serving on {}", server.address());
//! // Bundles are activated with `live.publish(…)`; until the first one every question is denied with `no_bundle`.
//! server.run(std::future::pending()).await
//! # }
//! ```
//!
//! In reading order: `config` (what a server is told), `listen`, `tls`, `accept` and `peer` (connections and their other ends), `server` (bind, serve, drain),
//! `service` (one request), `access` and `desk` (who asks, and the decision), `authorize` and `answer` (messages to the core and back), `respond` (what is which status
//! code), `client`.

mod accept;
mod access;
mod admin;
mod admission;
mod answer;
mod authorize;
mod authzen;
mod client;
mod codec;
mod config;
mod decision_id;
mod decision_log;
mod desk;
mod ext_authz;
mod health;
mod http;
mod listen;
mod metrics;
pub mod pb;
mod peer;
mod reload;
mod respond;
mod server;
mod service;
mod text;
mod tls;
mod trace;
mod until;

pub use access::{CallerRule, Name, Who, Whom};
pub use authorize::{Malformed, read_request};
pub use client::{
    Among, AnswerError, Client, ClientError, ClientOptions, ConnectError, DeadlineError, Denied,
    Filtered, QuestionStream, RefusedError, RequestError, UrlError, write_request,
};
pub use config::{
    ADDRESS_STANDARD, ADMIN_ADDRESS_STANDARD, Clock, Config, ConfigError, HTTP_ADDRESS_STANDARD,
    Insecure, LimitError, Limits, VALUE_DEPTH_MAX,
};
pub use decision_log::{LogConfig, LogTarget};
pub use listen::UnixSocket;
pub use reload::{
    BundleFile, BundleSource, ReloadEvent, ReloadMonitor, ReloadSettings, ReloadStatus, Reloader,
    activate,
};
pub use server::{BoundServer, ListenError, LogError, ServeError, Server, TransportError};
pub use tls::{TlsConfig, TlsError};
pub use trace::{DecisionSpan, SharedTracer, TraceParent, Tracer};
