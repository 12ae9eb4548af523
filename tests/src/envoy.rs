//! A real Envoy on free ports of this machine, for as long as its value lives, and the pieces of its configuration that
//! tests have in common.
#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "test code fails loudly")]

use std::collections::BTreeMap;
use std::net::{SocketAddr, TcpListener};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::check::token::{ISSUER, SECRET, base64url};
use crate::parts;
use crate::upstream::header;

/// How long anything here may take before the test fails instead of hanging.
pub const SOON: Duration = Duration::from_secs(30);

/// Envoy, gone with its value.
#[derive(Debug)]
pub struct Envoy {
    /// Where calls come in.
    pub address: SocketAddr,
    admin: SocketAddr,
    child: Child,
    folder: tempfile::TempDir,
}

/// An answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// The status; 0 where there is none.
    pub status: u16,
    /// Status line and headers, in lower case.
    pub head: String,
    /// The body, without its framing.
    pub body: String,
}

/// Where something listens, as Envoy's configuration has it.
pub fn socket(address: SocketAddr) -> Value {
    json!({ "socket_address": {
        "address": address.ip().to_string(),
        "port_value": address.port(),
    } })
}

/// A cluster of one.
pub fn cluster(name: &str, address: Value, http2: bool) -> Value {
    let (protocol, options) = match http2 {
        true => ("http2_protocol_options", json!({})),
        false => ("http_protocol_options", json!({ "enable_trailers": true })),
    };
    json!({
        "name": name,
        "type": "STATIC",
        "typed_extension_protocol_options": {
            "envoy.extensions.upstreams.http.v3.HttpProtocolOptions": {
                "@type": "type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions",
                "explicit_http_config": { protocol: options },
            },
        },
        "load_assignment": {
            "cluster_name": name,
            "endpoints": [{ "lb_endpoints": [{ "endpoint": { "address": address } }] }],
        },
    })
}

/// The filter that verifies tokens of the tests' issuer, if a call has one, and puts their claims into metadata.
pub fn jwt_authn() -> Value {
    let key = base64url(SECRET.as_bytes());
    let keys = json!({ "keys": [{ "kty": "oct", "alg": "HS256", "kid": "k", "k": key }] });
    json!({
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
    })
}

/// All of a configuration: one listener, these filters and the router behind it, these routes, these clusters. `more` goes
/// into the connection manager.
pub fn config(
    port: u16,
    filters: &[Value],
    routes: &[Value],
    clusters: &[Value],
    more: Value,
) -> Value {
    let mut filters = filters.to_vec();
    filters.push(json!({
        "name": "envoy.filters.http.router",
        "typed_config": {
            "@type": "type.googleapis.com/envoy.extensions.filters.http.router.v3.Router",
        },
    }));
    let mut manager = json!({
        "@type": "type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager",
        "stat_prefix": "in",
        "route_config": { "virtual_hosts": [{
            "name": "all",
            "domains": ["*"],
            "routes": routes,
        }] },
        "http_filters": filters,
    });
    for (key, value) in more.as_object().into_iter().flatten() {
        manager[key] = value.clone();
    }
    json!({ "static_resources": {
        "listeners": [{
            "address": { "socket_address": { "address": "127.0.0.1", "port_value": port } },
            "filter_chains": [{ "filters": [{
                "name": "envoy.filters.network.http_connection_manager",
                "typed_config": manager,
            }] }],
        }],
        "clusters": clusters,
    } })
}

/// Waits for something to come true of which nobody tells: a counter of a proxy, a file that it writes. It is looked at until
/// it does, and the pause between two looks keeps no pace: it leaves the proxy the time to get there.
pub async fn until<T, F: Future<Output = Option<T>>>(what: &str, mut look: impl FnMut() -> F) -> T {
    let begun = std::time::Instant::now();
    loop {
        if let Some(found) = look().await {
            return found;
        }
        assert!(begun.elapsed() < SOON, "{what}: not within {SOON:?}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

fn free_port() -> u16 {
    // Free a moment ago; Envoy cannot tell which one it took.
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

// === impl Envoy ===

impl Envoy {
    /// Starts one with so many workers, with the configuration for a port and a folder for what it writes.
    pub async fn start(workers: u32, config: impl FnOnce(u16, &Path) -> Value) -> Self {
        let program = tokio::task::spawn_blocking(parts::envoy).await.unwrap();
        let folder = tempfile::tempdir().unwrap();
        let (port, admin) = (free_port(), free_port());
        let mut config = config(port, folder.path());
        config["admin"] = json!({ "address": { "socket_address": {
            "address": "127.0.0.1", "port_value": admin } } });
        let file = folder.path().join("envoy.json");
        std::fs::write(&file, config.to_string()).unwrap();
        let child = Command::new(program)
            .args([
                "--disable-hot-restart",
                "--log-level",
                "warning",
                "--file-flush-interval-msec",
                "50",
            ])
            .args(["--concurrency", &workers.to_string()])
            .arg("--log-path")
            .arg(folder.path().join("envoy.log"))
            .arg("--config-path")
            .arg(&file)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let local = |port| SocketAddr::from(([127, 0, 0, 1], port));
        let mut envoy = Self { address: local(port), admin: local(admin), child, folder };
        tokio::time::timeout(SOON, async {
            while TcpStream::connect(envoy.address).await.is_err() {
                if let Some(status) = envoy.child.try_wait().unwrap() {
                    unreachable!("Envoy ended with {status}: {}", envoy.log());
                }
                tokio::task::yield_now().await;
            }
        })
        .await
        .unwrap();
        envoy
    }

    /// What it says of itself.
    pub fn log(&self) -> String {
        self.written("envoy.log")
    }

    /// A file that it writes.
    pub fn written(&self, name: &str) -> String {
        std::fs::read_to_string(self.folder.path().join(name)).unwrap_or_default()
    }

    /// Its counters and gauges.
    pub async fn stats(&self) -> BTreeMap<String, u64> {
        let answer =
            exchange(self.admin, b"GET /stats HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n");
        let pair = |line: &str| {
            let (name, value) = line.split_once(": ")?;
            Some((name.to_owned(), value.trim().parse().ok()?))
        };
        answer.await.body.lines().filter_map(pair).collect()
    }

    /// Sends a `GET` with these headers, each line with its end.
    pub async fn get(&self, target: &[u8], headers: &str) -> Answer {
        self.call(b"GET", target, headers, b"").await
    }

    /// Sends a request as it stands. The length of a body is said if the headers say nothing of it.
    pub async fn call(&self, method: &[u8], target: &[u8], headers: &str, body: &[u8]) -> Answer {
        let said = ["content-length:", "transfer-encoding:"].iter().any(|it| headers.contains(it));
        let length = match body {
            [_, ..] if !said => format!("content-length: {}\r\n", body.len()),
            _ => String::new(),
        };
        let request = [
            method,
            b" ",
            target,
            b" HTTP/1.1\r\nhost: shop.example\r\nconnection: close\r\n",
            headers.as_bytes(),
            length.as_bytes(),
            b"\r\n",
            body,
        ];
        exchange(self.address, &request.concat()).await
    }
}

impl Drop for Envoy {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Sends bytes and reads an answer to its end, or to that of its connection.
pub async fn exchange(address: SocketAddr, request: &[u8]) -> Answer {
    let mut stream = TcpStream::connect(address).await.unwrap();
    let (mut reader, mut writer) = stream.split();
    let answered = async {
        let (mut bytes, mut piece) = (Vec::new(), [0; 16_384]);
        loop {
            let answer = Answer::read(&bytes);
            // Envoy may leave the connection open a while.
            if let Some((answer, true)) = answer {
                return answer;
            }
            match reader.read(&mut piece).await {
                Ok(0) | Err(_) => return answer.map_or(Answer::none(), |(answer, _)| answer),
                Ok(read) => bytes.extend(&piece[..read]),
            }
        }
    };
    // It may be answered before all of it was sent, and then not be read any more.
    let both = async { tokio::join!(writer.write_all(request), answered).1 };
    tokio::time::timeout(SOON, both).await.unwrap()
}

// === impl Answer ===

impl Answer {
    pub(crate) fn none() -> Self {
        Self { status: 0, head: String::new(), body: String::new() }
    }

    /// An answer from what has come of it, and whether that is all; `None` before its body.
    pub(crate) fn read(bytes: &[u8]) -> Option<(Self, bool)> {
        let at = bytes.windows(4).position(|end| end == b"\r\n\r\n")? + 4;
        let head = String::from_utf8_lossy(&bytes[..at]).to_ascii_lowercase();
        let status = head.split(' ').nth(1).and_then(|status| status.parse().ok());
        let (body, is_whole) = match header(&head, "content-length") {
            Some(length) => (bytes[at..].to_vec(), length.parse() == Ok(bytes.len() - at)),
            None if head.contains("transfer-encoding: chunked") => joined(&bytes[at..]),
            None => (bytes[at..].to_vec(), false),
        };
        let body = String::from_utf8_lossy(&body).into_owned();
        Some((Self { status: status.unwrap_or_default(), head, body }, is_whole))
    }
}

/// A body out of its chunks, as far as they go, and whether that is to the end.
fn joined(mut chunks: &[u8]) -> (Vec<u8>, bool) {
    let mut body = Vec::new();
    while let Some(at) = chunks.windows(2).position(|end| end == b"\r\n") {
        let size = std::str::from_utf8(&chunks[..at]).ok();
        let size = size.and_then(|size| usize::from_str_radix(size, 16).ok()).unwrap_or_default();
        chunks = &chunks[at + 2..];
        if size == 0 {
            return (body, true);
        }
        if chunks.len() < size + 2 {
            break;
        }
        body.extend(&chunks[..size]);
        chunks = &chunks[size + 2..];
    }
    (body, false)
}
