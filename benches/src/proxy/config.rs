//! Envoy's configuration: a listener for each guard, which answers by itself once the guard lets a call through.

use std::path::Path;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use super::Guard;

/// The configuration, with listeners on these ports, in the order of [`Guard::ALL`].
pub(super) fn json(
    ports: &[u16],
    sidecar: &str,
    filter: &Path,
    bundle: &[u8],
) -> Result<Value, String> {
    let (host, port) = sidecar
        .strip_prefix("http://")
        .and_then(|address| address.rsplit_once(':'))
        .and_then(|(host, port)| Some((host, port.parse::<u16>().ok()?)))
        .ok_or_else(|| format!("`{sidecar}` is no address"))?;
    let filter = std::path::absolute(filter).map_err(|error| error.to_string())?;
    let listeners = Guard::ALL.into_iter().zip(ports).map(|(guard, port)| {
        json!({
            "name": guard.name(),
            "address": { "socket_address": { "address": "127.0.0.1", "port_value": port } },
            "filter_chains": [{ "filters": [{
                "name": "envoy.filters.network.http_connection_manager",
                "typed_config": manager(guard.filter(&filter, bundle)),
            }] }],
        })
    });
    Ok(json!({ "static_resources": {
        "listeners": listeners.collect::<Vec<_>>(),
        "clusters": [{
            "name": "pdp",
            "type": "STATIC",
            "typed_extension_protocol_options": {
                "envoy.extensions.upstreams.http.v3.HttpProtocolOptions": {
                    "@type": "type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions",
                    "explicit_http_config": { "http2_protocol_options": {} },
                },
            },
            "load_assignment": {
                "cluster_name": "pdp",
                "endpoints": [{ "lb_endpoints": [{ "endpoint": { "address": {
                    "socket_address": { "address": host, "port_value": port },
                } } }] }],
            },
        }],
    } }))
}

fn manager(guard: Option<Value>) -> Value {
    let router = json!({
        "name": "envoy.filters.http.router",
        "typed_config": {
            "@type": "type.googleapis.com/envoy.extensions.filters.http.router.v3.Router",
        },
    });
    json!({
        "@type": "type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager",
        "stat_prefix": "in",
        "route_config": { "virtual_hosts": [{
            "name": "all",
            "domains": ["*"],
            "routes": [{
                "match": { "prefix": "/" },
                "direct_response": { "status": 200, "body": { "inline_string": "here you are\n" } },
            }],
        }] },
        "http_filters": guard.into_iter().chain([router]).collect::<Vec<_>>(),
    })
}

// === impl Guard ===

impl Guard {
    fn filter(self, module: &Path, bundle: &[u8]) -> Option<Value> {
        let (name, config) = match self {
            Guard::Nothing => return None,
            Guard::Rbac => ("envoy.filters.http.rbac", rbac()),
            Guard::Filter => ("envoy.filters.http.wasm", wasm(module, bundle)),
            Guard::Sidecar => ("envoy.filters.http.ext_authz", ext_authz()),
        };
        Some(json!({ "name": name, "typed_config": config }))
    }
}

/// One rule that says of these calls what ten thousand policies do.
fn rbac() -> Value {
    json!({
        "@type": "type.googleapis.com/envoy.extensions.filters.http.rbac.v3.RBAC",
        "rules": { "action": "ALLOW", "policies": { "granted": {
            "permissions": [{ "and_rules": { "rules": [
                { "header": { "name": ":method", "string_match": { "exact": "GET" } } },
                { "url_path": { "path": { "suffix": "-y" } } },
            ] } }],
            "principals": [{ "header": { "name": ":authority", "string_match": { "exact": "bench" } } }],
        } } },
    })
}

fn wasm(module: &Path, bundle: &[u8]) -> Value {
    let settings = json!({ "bundle": STANDARD.encode(bundle) });
    json!({
        "@type": "type.googleapis.com/envoy.extensions.filters.http.wasm.v3.Wasm",
        "config": {
            "name": "pdp",
            "failure_policy": "FAIL_RELOAD",
            "allow_on_headers_stop_iteration": true,
            "vm_config": {
                "vm_id": "pdp",
                "runtime": "envoy.wasm.runtime.v8",
                "code": { "local": { "filename": module } },
            },
            "configuration": {
                "@type": "type.googleapis.com/google.protobuf.StringValue",
                "value": settings.to_string(),
            },
        },
    })
}

fn ext_authz() -> Value {
    json!({
        "@type": "type.googleapis.com/envoy.extensions.filters.http.ext_authz.v3.ExtAuthz",
        "transport_api_version": "V3",
        "grpc_service": { "envoy_grpc": { "cluster_name": "pdp" }, "timeout": "10s" },
    })
}
