//! A real Envoy in front of a real upstream, asking a sidecar: what is allowed arrives as it was judged, what is denied
//! does not arrive.
#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "test code fails loudly")]

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;

use pdp_core::{Bundle, Datetime, LoadLimits};
use pdp_grpc::{LogConfig, LogTarget, UnixSocket};
use pdp_tests::check::token::{SECRET, token};
use pdp_tests::envoy::{self, Answer, Envoy, cluster, config, jwt_authn, socket};
use pdp_tests::served::Served;
use pdp_tests::upstream::{Upstream, header};
use pdp_tests::{desk, parts};
use serde_json::{Value, json};

const ROUTES: &str = r#"
action = 'Action::"{method}"'
resource = 'Doc::"{template}"'

[[principal]]
claim = { namespace = "envoy.filters.http.jwt_authn", payload = "jwt", name = "sub" }
entity = 'User::"{value}"'

[context]
path = "path"
tier = { extension = "tier" }
expires = { claim = { namespace = "envoy.filters.http.jwt_authn", payload = "jwt", name = "exp" } }
until = { claim_time = { namespace = "envoy.filters.http.jwt_authn", payload = "jwt", name = "exp" } }
groups = { claim = { namespace = "envoy.filters.http.jwt_authn", payload = "jwt", name = "groups" } }

[scopes]
claim = { namespace = "envoy.filters.http.jwt_authn", payload = "jwt", name = "scope" }

[mcp]
server = { action = 'Action::"connect"', entity = 'Doc::"{server}"' }
tool = { action = 'Action::"tools/call"', entity = 'Doc::"{server}/{name}"' }

[[route]]
path = "/mcp"
mcp = { server = "s", deny = { mode = "hide" } }

[[route]]
path = "/closed/{id}"
deny = { status = 404, body = "no such page\n", headers = { "x-why" = "closed" } }

[[route]]
path = "/{rest...}"
strip = ["authorization"]
"#;

const POLICY: &str = r#"
@id("ann-gets") permit(principal == User::"ann", action == Action::"GET", resource)
when {
  resource != Doc::"/closed/{id}" && resource != Doc::"sealed" &&
  context.tier == "gold" && context.expires == 4102444800 &&
  context.until == datetime("2100-01-01") && context.groups == ["all", "staff"] &&
  context.delegation.scopes == ["openid", "docs:read"]
};
@id("tool") permit(principal == User::"ann", action == Action::"tools/call", resource == Doc::"s/yes");
"#;

/// The place of the sidecar, as Envoy's configuration names it.
fn endpoint(served: &Served, socket: Option<&Path>) -> Value {
    match socket {
        Some(path) => json!({ "pipe": { "path": path } }),
        None => envoy::socket(served.address),
    }
}

fn settings(port: u16, upstream: SocketAddr, pdp: Value) -> Value {
    let filters = [
        jwt_authn(),
        json!({
            "name": "envoy.filters.http.ext_authz",
            "typed_config": {
                "@type": "type.googleapis.com/envoy.extensions.filters.http.ext_authz.v3.ExtAuthz",
                "transport_api_version": "V3",
                "failure_mode_allow": false,
                "with_request_body": { "max_request_bytes": 8 << 20 },
                "metadata_context_namespaces": ["envoy.filters.http.jwt_authn"],
                "grpc_service": { "envoy_grpc": { "cluster_name": "pdp" }, "timeout": "10s" },
            },
        }),
    ];
    let route = |prefix: &str, extensions: Value| {
        json!({
            "match": { "prefix": prefix },
            "route": { "cluster": "upstream" },
            "typed_per_filter_config": { "envoy.filters.http.ext_authz": {
                "@type": "type.googleapis.com/envoy.extensions.filters.http.ext_authz.v3.ExtAuthzPerRoute",
                "check_settings": { "context_extensions": extensions },
            } },
        })
    };
    let routes = [
        route("/sealed", json!({ "tier": "gold", "pdp.resource": "Doc::\"sealed\"" })),
        route("/plain", json!({ "tier": "silver" })),
        route("/", json!({ "tier": "gold" })),
    ];
    let clusters = [cluster("upstream", socket(upstream), false), cluster("pdp", pdp, true)];
    config(port, &filters, &routes, &clusters, json!({}))
}

async fn start(upstream: &Upstream, pdp: Value) -> Envoy {
    Envoy::start(1, |port, _| settings(port, upstream.address, pdp)).await
}

fn bundle() -> Arc<Bundle> {
    let manifest = "name = \"edge\"\nrevision = 1\nentities_complete = false\n\
        [context]\ndelegation = \"delegation\"\n";
    let files = [("bundle.toml", manifest), ("p.cedar", POLICY), ("routes.toml", ROUTES)];
    Arc::new(Bundle::load(&desk::compile(&files).unwrap(), &LoadLimits::STANDARD).unwrap())
}

/// A sidecar, with its decisions logged and over a Unix socket if one is named.
fn serve(log: &Path, socket: Option<&Path>) -> Served {
    Served::start(bundle(), Datetime(0), |config| {
        config.trust_delegation = true;
        config.unix = socket.map(UnixSocket::private);
        config.log = Some(LogConfig {
            target: LogTarget::File { path: log.to_owned(), file_bytes_max: 1 << 30, files_max: 1 },
            queue_bytes_max: 64 << 20,
            context: true,
            mask: Vec::new(),
        });
    })
}

async fn verified_identity(socket: bool) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("pdp.sock");
    let path = socket.then_some(&*path);
    let served = serve(&folder.path().join("log"), path);
    let upstream = Upstream::echo().await;
    let envoy = start(&upstream, endpoint(&served, path)).await;
    let bearer = |subject: &str, secret: &str| {
        format!("authorization: Bearer {}\r\n", token(subject, secret))
    };
    let ann = bearer("ann", SECRET);

    // Allowed: with our headers, without the caller's own of that kind, and without the token.
    let spoofed = format!("{ann}x-pdp-reason: forged\r\nX-PDP-Role: admin\r\nx-other: kept\r\n");
    let Answer { status, body: seen, .. } = envoy.get(b"/docs/7?a=b", &spoofed).await;
    assert_eq!(status, 200, "{seen}");
    assert!(seen.starts_with("GET /docs/7?a=b HTTP/1.1\r\n"), "{seen}");
    assert_eq!(header(&seen, "x-pdp-reason"), Some("permitted"));
    assert_eq!(header(&seen, "x-pdp-decision-id").map(str::len), Some(26));
    assert_eq!(header(&seen, "x-pdp-role"), None);
    assert_eq!(header(&seen, "authorization"), None);
    assert_eq!(header(&seen, "x-other"), Some("kept"));

    // Denied: by policy, for want of an identity, by a token that does not verify; and as the route says.
    for (headers, target, expected, body) in [
        (bearer("bob", SECRET), "/docs/7", 403, ""),
        (String::new(), "/docs/7", 403, ""),
        ("x-pdp-reason: permitted\r\n".to_owned(), "/docs/7", 403, ""),
        (bearer("ann", "another-secret-that-nobody-trusts-0123456789"), "/docs/7", 401, ""),
        (ann.clone(), "/sealed", 403, ""),
        (ann.clone(), "/plain", 403, ""),
        (format!("{ann}tier: gold\r\n"), "/plain", 403, ""),
        (ann.clone(), "/closed/1", 404, "no such page\n"),
    ] {
        let Answer { status, head, body: text } = envoy.get(target.as_bytes(), &headers).await;
        assert_eq!(status, expected, "{headers}{target}: {text}");
        assert!(!text.contains("GET /"), "the upstream saw it: {text}");
        assert!(!text.contains("ann-gets"), "names of policies are nobody's business: {text}");
        if !body.is_empty() {
            assert_eq!((text.as_str(), head.contains("x-why: closed")), (body, true));
        }
    }
    // A body that makes the check too large for the sidecar denies, in the sidecar's words, before all of it was sent.
    for (bytes, expected) in [(1_000, 200), (4 << 20, 403), (2, 200)] {
        let body = vec![b'x'; bytes];
        let Answer { status, body: text, .. } = envoy.call(b"GET", b"/docs/7", &ann, &body).await;
        assert_eq!(status, expected, "{bytes}: {text}");
        let said = text.contains("\"refusal\":\"check_too_large\"");
        assert_eq!(said, expected == 403, "{bytes}: {text}");
    }
    // A message is judged by what it says, and denied in its own words, with a status that is as good as any.
    for (tool, denied) in [("yes", false), ("no", true)] {
        let body = json!({ "jsonrpc": "2.0", "id": 7, "method": "tools/call", "params": { "name": tool } });
        let headers = format!("{ann}content-type: application/json\r\n");
        let Answer { status, head, body: text } =
            envoy.call(b"POST", b"/mcp", &headers, body.to_string().as_bytes()).await;
        assert_eq!((status, text.starts_with("POST /mcp ")), (200, !denied), "{text}");
        if denied {
            assert!(
                text.contains("\"Unknown tool: no\"") && head.contains("application/json"),
                "{head}{text}"
            );
        }
    }
    // A sidecar that is gone denies.
    served.stop().await;
    let Answer { status, body: text, .. } = envoy.get(b"/docs/7", &ann).await;
    assert_eq!(status, 403, "{text}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_allowed_arrives_and_what_is_denied_does_not() {
    verified_identity(false).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_over_a_unix_socket() {
    verified_identity(true).await;
}

/// Request targets as somebody with bad intentions writes them.
const TARGETS: [&str; 72] = [
    "/a",
    "/a/b",
    "/a/b/",
    "/",
    "/a?x=/../b",
    "/a?x=%2e%2e",
    "/a-b_c.d~e",
    "/a/b;v=1",
    "/a;/b",
    "/a/;b",
    "//a",
    "/a//b",
    "/a//",
    "///",
    "/./a",
    "/a/.",
    "/a/./b",
    "/../a",
    "/a/..",
    "/a/../b",
    "/a/../../b",
    "/...",
    "/a/...",
    "/..a",
    "/a..",
    "/.a",
    "/a.",
    "/%2e/a",
    "/%2E/a",
    "/%2e%2e/a",
    "/a/%2e%2e/b",
    "/a/.%2e/b",
    "/a/%2e./b",
    "/a%2fb",
    "/a%2Fb",
    "/a/..%2fb",
    "/a%5cb",
    "/a\\b",
    "/a\\..\\b",
    "/a/..\\b",
    "/%61",
    "/%41",
    "/a%20b",
    "/a%00b",
    "/a%0ab",
    "/a%0d%0ab",
    "/a%7fb",
    "/a%",
    "/a%2",
    "/a%zz",
    "/a%252e",
    "/a%25252e",
    "/a%c0%ae",
    "/a%c0%af",
    "/a%e0%80%af",
    "/a%ff",
    "/a%c3%a9",
    "/a%c3",
    "/a#b",
    "/a%23b",
    "/a%3fb",
    "/a?b#c",
    "/a?b?c",
    "/A",
    "/a/%2e%2e%2f%2e%2e%2fb",
    "/a/..;/b",
    "/a/.;/b",
    "http://shop.example/a",
    "http://other.example/a/../b",
    "*",
    "a",
    "/a+b",
];

#[tokio::test(flavor = "multi_thread")]
async fn the_path_judged_is_the_path_that_the_upstream_sees() {
    let folder = tempfile::tempdir().unwrap();
    let log = folder.path().join("log");
    let served = serve(&log, None);
    let upstream = Upstream::echo().await;
    let envoy = start(&upstream, endpoint(&served, None)).await;
    let ann = format!("authorization: Bearer {}\r\n", token("ann", SECRET));
    let raw: [&[u8]; 4] = [b"/a\xc3\xa9", b"/a\x00b", b"/a\x7fb", b"/a\tb"];
    let targets = TARGETS.iter().map(|target| target.as_bytes()).chain(raw);
    let mut arrived = BTreeMap::new();
    let mut denied = 0;
    for target in targets {
        let Answer { status, body: seen, .. } = envoy.get(target, &ann).await;
        match status {
            200 => {
                let path = seen.split(' ').nth(1).unwrap().to_owned();
                let id = header(&seen, "x-pdp-decision-id").unwrap().to_owned();
                arrived.insert(id, (target.to_owned(), path));
            }
            400 | 403 | 404 => {
                assert!(!seen.starts_with("GET "), "{seen}");
                denied += 1;
            }
            other => unreachable!("{other} for {}", String::from_utf8_lossy(target)),
        }
    }
    served.stop().await;
    let mut judged = BTreeMap::new();
    for line in std::fs::read_to_string(&log).unwrap().lines() {
        let record: Value = serde_json::from_str(line).unwrap();
        if record["refusal"].is_string() {
            // No path was judged.
            continue;
        }
        let id = record["decision_id"].as_str().unwrap().to_owned();
        judged.insert(id, record["context"]["path"].as_str().unwrap().to_owned());
    }
    for (id, (target, path)) in &arrived {
        let sent = String::from_utf8_lossy(target);
        // What is judged is the path; the query is no part of it.
        let (path, _) = path.split_once('?').unwrap_or((path, ""));
        assert_eq!(judged.get(id).map(String::as_str), Some(path), "{sent}");
    }
    // Plain paths must get through, and most tricks must not, or this shows nothing.
    let plain = |target: &str| arrived.values().any(|(sent, _)| sent == target.as_bytes());
    assert!(plain("/a") && plain("/a/b") && plain("/a-b_c.d~e"), "{arrived:?}");
    assert!(denied >= 40, "{denied} denied, {} arrived", arrived.len());
}

#[test]
fn the_configuration_to_start_from_is_one_that_envoy_takes() {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../packaging/envoy.yaml");
    let program = parts::envoy().display().to_string();
    let file = file.display().to_string();
    parts::run(&program, &["--mode", "validate", "--log-level", "error", "--config-path", &file]);
}
