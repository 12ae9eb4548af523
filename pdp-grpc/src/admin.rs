//! What operators ask: is it alive, is it ready, what does it serve, what did it count.
//!
//! A listener of its own, on this machine's loopback unless somebody says otherwise in so many words, because it tells
//! names of bundles and numbers of decisions to anybody who asks. It changes nothing: there is no method but GET.
//!
//! | path | answer |
//! |---|---|
//! | `/livez` | 200 as long as the process answers |
//! | `/readyz` | 200 while a bundle decides and nothing drains, else 503 and why |
//! | `/metrics` | counts in the format of OpenMetrics |
//! | `/status` | JSON: version, bundle, reloading, decision log, what is in flight |
//! | `/debug/config` | JSON: what the server was told, limits included; of certificates and logs, where they are |

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

use axum::Router;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use pdp_core::Live;
use serde_json::{Value, json};

use crate::config::Config;
use crate::desk::Telemetry;
use crate::reload::ReloadMonitor;

const OPENMETRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// What the answers are made of.
#[derive(Clone, Debug)]
pub(crate) struct Admin {
    pub(crate) live: Arc<Live>,
    pub(crate) telemetry: Arc<Telemetry>,
    pub(crate) reload: Option<ReloadMonitor>,
    pub(crate) draining: Arc<AtomicBool>,
    pub(crate) config: Arc<Config>,
}

// === impl Admin ===

impl Admin {
    pub(crate) fn router(self) -> Router {
        Router::new()
            .route("/livez", get(async || "ok\n"))
            .route("/readyz", get(async |State(admin): State<Self>| admin.ready()))
            .route("/metrics", get(async |State(admin): State<Self>| admin.metrics()))
            .route("/status", get(async |State(admin): State<Self>| admin.status()))
            .route("/debug/config", get(async |State(admin): State<Self>| admin.config()))
            .with_state(self)
    }

    fn ready(&self) -> Response {
        let why = if self.draining.load(Ordering::Relaxed) {
            "draining: asked to stop\n"
        } else if self.live.snapshot().bundle().is_none() {
            "no bundle decides\n"
        } else {
            return "ok\n".into_response();
        };
        (StatusCode::SERVICE_UNAVAILABLE, why).into_response()
    }

    fn metrics(&self) -> Response {
        let Telemetry { metrics, log, admission } = &*self.telemetry;
        let load = admission.load();
        let text = metrics.text(&self.live, load, log.as_ref(), self.reload.as_ref());
        ([(header::CONTENT_TYPE, OPENMETRICS)], text).into_response()
    }

    fn status(&self) -> Response {
        let bundle = self.live.snapshot().bundle().map(|bundle| {
            json!({
                "name": bundle.name(),
                "revision": bundle.revision(),
                "digest": bundle.digest_hex(),
                "policies": bundle.policy_count(),
                "entities": bundle.entity_count(),
            })
        });
        let reload = self.reload.as_ref().map(|monitor| {
            let status = monitor.status();
            json!({
                "activated": status.activated,
                "failed": status.failed,
                "activated_at_s": status.activated_at.map(seconds),
                "error": status.error,
            })
        });
        let log = self.telemetry.log.as_ref().map(|log| {
            let counts = log.counts();
            json!({
                "records": counts.records,
                "dropped_queue": counts.dropped_queue,
                "dropped_write": counts.dropped_write,
            })
        });
        let load = self.telemetry.admission.load();
        let status: Value = json!({
            "version": env!("CARGO_PKG_VERSION"),
            "draining": self.draining.load(Ordering::Relaxed),
            "bundle": bundle,
            "reload": reload,
            "decision_log": log,
            "in_flight": { "bytes": load.bytes, "connections": load.connections },
            "shed": { "memory": load.shed_memory, "connections": load.shed_connections },
        });
        json_page(&status)
    }

    fn config(&self) -> Response {
        let config = &*self.config;
        let callers: Vec<String> =
            config.callers.iter().map(|rule| format!("{:?}", rule.who)).collect();
        let log = config.log.as_ref().map(|log| {
            json!({
                "target": format!("{:?}", log.target),
                "context": log.context,
                "mask": log.mask,
                "queue_bytes_max": log.queue_bytes_max,
            })
        });
        json_page(&json!({
            "address": config.unix.is_none().then_some(config.address),
            "unix": config.unix.as_ref().map(|socket| &socket.path),
            "tls": config.tls.as_ref().map(|tls| {
                json!({
                    "certificate": tls.certificate,
                    "key": tls.key,
                    "client_ca": tls.client_ca,
                    "poll_ms": tls.poll_ms,
                })
            }),
            "http": config.http,
            "public_url": config.public_url,
            "admin": config.admin,
            "callers": callers,
            "trust_delegation": config.trust_delegation,
            "explain": config.explain,
            "reflection": config.reflection,
            "traces": config.tracer.is_some(),
            "decision_log": log,
            "limits": config.limits,
        }))
    }
}

fn json_page(value: &Value) -> Response {
    ([(header::CONTENT_TYPE, "application/json")], format!("{value}\n")).into_response()
}

/// Since 1970.
pub(crate) fn seconds(time: SystemTime) -> u64 {
    time.duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
}
