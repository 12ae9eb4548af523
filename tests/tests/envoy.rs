//! A real Envoy in front of a real upstream, asking a sidecar: what is allowed arrives as it was judged, what is denied
//! does not arrive. The file is longer than others by Envoy's configuration and the paths that people with bad intentions
//! write.
#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "test code fails loudly")]

use std::collections::BTreeMap;
use std::net::{SocketAddr, TcpListener as StdListener};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use pdp_core::{Bundle, Datetime, LoadLimits};
use pdp_grpc::{LogConfig, LogTarget, UnixSocket};
use pdp_tests::check::token::{ISSUER, SECRET, base64url, token};
use pdp_tests::served::Served;
use pdp_tests::{desk, parts};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

/// How long anything here may take before the test fails instead of hanging.
const SOON: Duration = Duration::from_secs(30);

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

/// Envoy, gone with its value.
struct Envoy {
    child: Child,
    address: SocketAddr,
    _folder: tempfile::TempDir,
}

impl Drop for Envoy {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The place of the sidecar, as Envoy's configuration names it.
fn endpoint(served: &Served, socket: Option<&Path>) -> Value {
    match socket {
        Some(path) => json!({ "pipe": { "path": path } }),
        None => json!({ "socket_address": {
            "address": served.address.ip().to_string(),
            "port_value": served.address.port(),
        } }),
    }
}

fn cluster(name: &str, address: Value, http2: bool) -> Value {
    let protocol = if http2 { "http2_protocol_options" } else { "http_protocol_options" };
    json!({
        "name": name,
        "type": "STATIC",
        "typed_extension_protocol_options": {
            "envoy.extensions.upstreams.http.v3.HttpProtocolOptions": {
                "@type": "type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions",
                "explicit_http_config": { protocol: {} },
            },
        },
        "load_assignment": {
            "cluster_name": name,
            "endpoints": [{ "lb_endpoints": [{ "endpoint": { "address": address } }] }],
        },
    })
}

fn config(port: u16, upstream: SocketAddr, pdp: Value) -> Value {
    let key = base64url(SECRET.as_bytes());
    let keys = json!({ "keys": [{ "kty": "oct", "alg": "HS256", "kid": "k", "k": key }] });
    let filters = json!([
        {
            "name": "envoy.filters.http.jwt_authn",
            "typed_config": {
                "@type": "type.googleapis.com/envoy.extensions.filters.http.jwt_authn.v3.JwtAuthentication",
                "providers": { "issuer": {
                    "issuer": ISSUER,
                    "local_jwks": { "inline_string": keys.to_string() },
                    "payload_in_metadata": "jwt",
                    "forward": true,
                } },
                "rules": [{ "match": { "prefix": "/" }, "requires": { "requires_any": { "requirements": [
                    { "provider_name": "issuer" },
                    { "allow_missing": {} },
                ] } } }],
            },
        },
        {
            "name": "envoy.filters.http.ext_authz",
            "typed_config": {
                "@type": "type.googleapis.com/envoy.extensions.filters.http.ext_authz.v3.ExtAuthz",
                "transport_api_version": "V3",
                "failure_mode_allow": false,
                "with_request_body": { "max_request_bytes": 8 << 20 },
                "metadata_context_namespaces": ["envoy.filters.http.jwt_authn"],
                "grpc_service": { "envoy_grpc": { "cluster_name": "pdp" }, "timeout": "10s" },
            },
        },
        {
            "name": "envoy.filters.http.router",
            "typed_config": {
                "@type": "type.googleapis.com/envoy.extensions.filters.http.router.v3.Router",
            },
        },
    ]);
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
    let manager = json!({
        "@type": "type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager",
        "stat_prefix": "in",
        "route_config": { "virtual_hosts": [{
            "name": "all",
            "domains": ["*"],
            "routes": routes,
        }] },
        "http_filters": filters,
    });
    let upstream = json!({ "socket_address": {
        "address": upstream.ip().to_string(),
        "port_value": upstream.port(),
    } });
    json!({ "static_resources": {
        "listeners": [{
            "address": { "socket_address": { "address": "127.0.0.1", "port_value": port } },
            "filter_chains": [{ "filters": [{
                "name": "envoy.filters.network.http_connection_manager",
                "typed_config": manager,
            }] }],
        }],
        "clusters": [cluster("upstream", upstream, false), cluster("pdp", pdp, true)],
    } })
}

impl Envoy {
    async fn start(upstream: SocketAddr, pdp: Value) -> Self {
        let program = tokio::task::spawn_blocking(parts::envoy).await.unwrap();
        let folder = tempfile::tempdir().unwrap();
        // Free a moment ago; Envoy cannot tell which one it took.
        let port = StdListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let file = folder.path().join("envoy.json");
        std::fs::write(&file, config(port, upstream, pdp).to_string()).unwrap();
        let log = folder.path().join("envoy.log");
        let child = Command::new(program)
            .args(["--disable-hot-restart", "--concurrency", "1", "--log-level", "warning"])
            .arg("--log-path")
            .arg(&log)
            .arg("--config-path")
            .arg(&file)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let address = SocketAddr::from(([127, 0, 0, 1], port));
        let mut envoy = Self { child, address, _folder: folder };
        tokio::time::timeout(SOON, async {
            while TcpStream::connect(address).await.is_err() {
                if let Some(status) = envoy.child.try_wait().unwrap() {
                    let text = std::fs::read_to_string(&log).unwrap_or_default();
                    unreachable!("Envoy ended with {status}: {text}");
                }
                tokio::task::yield_now().await;
            }
        })
        .await
        .unwrap();
        envoy
    }

    /// Sends a request as it stands; status, headers and body of the answer.
    async fn send(&self, target: &[u8], headers: &str) -> (u16, String, String) {
        self.call(b"GET ", target, headers).await
    }

    async fn call(&self, method: &[u8], target: &[u8], headers: &str) -> (u16, String, String) {
        let mut stream = TcpStream::connect(self.address).await.unwrap();
        let request = [
            method,
            target,
            b" HTTP/1.1\r\nhost: shop.example\r\nconnection: close\r\n",
            headers.as_bytes(),
            b"\r\n",
        ];
        stream.write_all(&request.concat()).await.unwrap();
        let mut answer = Vec::new();
        tokio::time::timeout(SOON, stream.read_to_end(&mut answer)).await.unwrap().unwrap();
        let text = String::from_utf8_lossy(&answer);
        let (head, body) = text.split_once("\r\n\r\n").unwrap_or((&text, ""));
        let status = head.split(' ').nth(1).and_then(|status| status.parse().ok());
        (status.unwrap_or_default(), head.to_ascii_lowercase(), body.to_owned())
    }
}

/// Answers every request with its head, so that whoever sent it sees what arrived.
async fn upstream() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            tokio::spawn(async move {
                let mut head = Vec::new();
                let mut bytes = [0; 4_096];
                while !head.windows(4).any(|end| end == b"\r\n\r\n") {
                    match stream.read(&mut bytes).await {
                        Ok(read) if read > 0 => head.extend_from_slice(&bytes[..read]),
                        _ => return,
                    }
                }
                let start = format!(
                    "HTTP/1.1 200 OK\r\ncontent-length: {}\r\nconnection: close\r\n\r\n",
                    head.len()
                );
                let _ = stream.write_all(&[start.as_bytes(), &head].concat()).await;
                // What is closed with a body unread takes back its answer.
                let _ = stream.shutdown().await;
                while matches!(stream.read(&mut bytes).await, Ok(read) if read > 0) {}
            });
        }
    });
    address
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

/// The header that the upstream saw.
fn header<'h>(head: &'h str, name: &str) -> Option<&'h str> {
    head.lines().find_map(|line| {
        let (found, value) = line.split_once(':')?;
        found.eq_ignore_ascii_case(name).then_some(value.trim())
    })
}

async fn verified_identity(socket: bool) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("pdp.sock");
    let path = socket.then_some(&*path);
    let served = serve(&folder.path().join("log"), path);
    let envoy = Envoy::start(upstream().await, endpoint(&served, path)).await;
    let bearer = |subject: &str, secret: &str| {
        format!("authorization: Bearer {}\r\n", token(subject, secret))
    };
    let ann = bearer("ann", SECRET);

    // Allowed: with our headers, without the caller's own of that kind, and without the token.
    let spoofed = format!("{ann}x-pdp-reason: forged\r\nX-PDP-Role: admin\r\nx-other: kept\r\n");
    let (status, _, seen) = envoy.send(b"/docs/7?a=b", &spoofed).await;
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
        let (status, head, text) = envoy.send(target.as_bytes(), &headers).await;
        assert_eq!(status, expected, "{headers}{target}: {text}");
        assert!(!text.contains("GET /"), "the upstream saw it: {text}");
        assert!(!text.contains("ann-gets"), "names of policies are nobody's business: {text}");
        if !body.is_empty() {
            assert_eq!((text.as_str(), head.contains("x-why: closed")), (body, true));
        }
    }
    // A body that makes the check too large for the sidecar denies, in the sidecar's words, before all of it was sent.
    for (bytes, expected) in [(1_000, 200), (4 << 20, 403), (2, 200)] {
        // Two bytes are the end of every request here.
        let body = "x".repeat(bytes - 2);
        let headers = format!("{ann}content-length: {bytes}\r\n\r\n{body}");
        let (status, _, text) = envoy.send(b"/docs/7", &headers).await;
        assert_eq!(status, expected, "{bytes}: {text}");
        let said = text.contains("\"refusal\":\"check_too_large\"");
        assert_eq!(said, expected == 403, "{bytes}: {text}");
    }
    // A message is judged by what it says, and denied in its own words, with a status that is as good as any.
    for (tool, denied) in [("yes", false), ("no", true)] {
        let body = json!({ "jsonrpc": "2.0", "id": 7, "method": "tools/call", "params": { "name": tool } });
        let body = format!("{body}\r\n");
        let length = body.len();
        let headers = format!(
            "{ann}content-type: application/json\r\ncontent-length: {length}\r\n\r\n{body}"
        );
        let (status, head, text) =
            envoy.call(b"POST ", b"/mcp", headers.trim_end_matches("\r\n")).await;
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
    let (status, _, text) = envoy.send(b"/docs/7", &ann).await;
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
    let envoy = Envoy::start(upstream().await, endpoint(&served, None)).await;
    let ann = format!("authorization: Bearer {}\r\n", token("ann", SECRET));
    let raw: [&[u8]; 4] = [b"/a\xc3\xa9", b"/a\x00b", b"/a\x7fb", b"/a\tb"];
    let targets = TARGETS.iter().map(|target| target.as_bytes()).chain(raw);
    let mut arrived = BTreeMap::new();
    let mut denied = 0;
    for target in targets {
        let (status, _, seen) = envoy.send(target, &ann).await;
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
