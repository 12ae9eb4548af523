//! The filter in a real Envoy under load: bundles swapped all the while, and machines that crash.
//!
//! Policies of even and of odd revisions show different tools, so a list that is judged by two bundles shows; one is always
//! under way while they are swapped.
#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "test code fails loudly")]

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use pdp_tests::envoy::{Envoy, cluster, config, socket, until};
use pdp_tests::steady::Steady;
use pdp_tests::upstream::{Reply, Upstream};
use pdp_tests::{desk, filtered, module};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinHandle;

/// Calls of a run, and how often bundles are swapped meanwhile.
const CALLS: usize = 50_000;
const SWAP: Duration = Duration::from_millis(400);
const SWAPS_MIN: u64 = 10;
const CALLERS: usize = 4;

const ROUTES: &str = r#"
action = 'Action::"{method}"'
resource = 'Doc::"{template}"'

[mcp]
server = { action = 'Action::"connect"', entity = 'Doc::"{server}"' }
tool = { action = 'Action::"call"', list = 'Action::"list"', entity = 'Doc::"{server}/{name}"' }

[[route]]
path = "/open"
principal = 'User::"u"'

[[route]]
path = "/closed"
principal = 'User::"u"'

[[route]]
path = "/mcp"
principal = 'User::"u"'
mcp = { server = "s" }
"#;

const TOOLS: &str = r#"{"jsonrpc":"2.0","id":1,"result":{"tools":[{"name":"even-1"},{"name":"odd-1"},{"name":"even-2"},{"name":"odd-2"}]}}"#;

/// What a revision's bundle shows of [`TOOLS`].
fn shown(revision: u64) -> [&'static str; 2] {
    if revision.is_multiple_of(2) { ["even-1", "even-2"] } else { ["odd-1", "odd-2"] }
}

fn bundle(revision: u64) -> Vec<u8> {
    let manifest = format!("name = \"load\"\nrevision = {revision}\nentities_complete = false\n");
    let [first, second] = shown(revision);
    let policy = format!(
        "permit(principal, action == Action::\"GET\", resource == Doc::\"/open\");\n\
         permit(principal, action == Action::\"connect\", resource);\n\
         permit(principal, action == Action::\"list\", resource == Doc::\"s/{first}\");\n\
         permit(principal, action == Action::\"list\", resource == Doc::\"s/{second}\");\n"
    );
    desk::compile(&[("bundle.toml", &manifest), ("p.cedar", &policy), ("routes.toml", ROUTES)])
        .unwrap_or_else(|report| unreachable!("cannot be compiled:\n{report}"))
}

/// A server of bundles, whose revision is what it is told.
async fn shelf(revision: &watch::Sender<u64>) -> Upstream {
    let revision = revision.subscribe();
    Upstream::start(move |arrived| {
        let revision = *revision.borrow();
        let mark = format!("\"r{revision}\"");
        if arrived.header("if-none-match") == Some(&mark) {
            return Reply::status("304 Not Modified");
        }
        let mut reply = Reply::ok("application/octet-stream", bundle(revision));
        reply.headers.push(("etag", mark));
        reply
    })
    .await
}

/// A server of tools that answers when the revision has changed twice since it was asked: by then no machine is where it
/// was.
async fn slow_tools(revision: &watch::Sender<u64>) -> (SocketAddr, JoinHandle<()>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let (address, revision) = (listener.local_addr().unwrap(), revision.subscribe());
    let task = tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(answer_late(stream, revision.clone()));
        }
    });
    (address, task)
}

async fn answer_late(mut stream: TcpStream, mut revision: watch::Receiver<u64>) {
    let (mut read, begun) = ([0; 4_096], *revision.borrow());
    // The message is one piece, and what it says does not matter.
    let _ = stream.read(&mut read).await;
    let _ = revision.wait_for(|now| *now >= begun + 2).await;
    let head = "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\nconnection: close";
    let answer = format!("{head}\r\ncontent-length: {}\r\n\r\n{TOOLS}", TOOLS.len());
    let _ = stream.write_all(answer.as_bytes()).await;
}

async fn start(module: &std::path::Path, shelf: &Upstream, tools: SocketAddr) -> Envoy {
    let clusters =
        [cluster("bundles", socket(shelf.address), false), cluster("tools", socket(tools), false)];
    let settings = json!({ "fetch": {
        "cluster": "bundles", "authority": "bundles.example", "path": "/", "every_ms": 100,
    } });
    let routes = [
        json!({ "match": { "path": "/mcp" }, "route": { "cluster": "tools" } }),
        json!({ "match": { "prefix": "/" }, "direct_response": { "status": 200 } }),
    ];
    let filters = [filtered::filter(module, &settings)];
    Envoy::start(2, |port, _| config(port, &filters, &routes, &clusters, json!({}))).await
}

fn get(path: &str, headers: &str) -> Vec<u8> {
    format!("GET {path} HTTP/1.1\r\nhost: a\r\n{headers}\r\n").into_bytes()
}

fn list() -> Vec<u8> {
    let body = r#"{"jsonrpc":"2.0","id":1,"method":"tools/list"}"#;
    format!(
        "POST /mcp HTTP/1.1\r\nhost: a\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    )
    .into_bytes()
}

/// Waits until so many new connections in a row get this, which is to say all workers.
async fn everywhere(envoy: &Envoy, path: &str, status: u16) {
    until(&format!("{status} for {path}"), async || {
        for _ in 0..16 {
            if envoy.get(path.as_bytes(), "").await.status != status {
                return None;
            }
        }
        Some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn swapping_bundles_fails_no_call_and_mixes_none() {
    let (revision, _) = watch::channel(1);
    let shelf = shelf(&revision).await;
    let (tools, _tools) = slow_tools(&revision).await;
    let envoy = start(&module::filter(), &shelf, tools).await;
    everywhere(&envoy, "/open", 200).await;
    let (address, done) = (envoy.address, Arc::new(AtomicUsize::new(0)));
    let callers: Vec<_> = (0..CALLERS)
        .map(|_| {
            let done = Arc::clone(&done);
            tokio::spawn(async move {
                let mut steady = Steady::new(address);
                while done.load(Ordering::Relaxed) < CALLS {
                    assert_eq!(steady.call(&get("/open", "")).await.status, 200);
                    assert_eq!(steady.call(&get("/closed", "")).await.status, 403);
                    done.fetch_add(2, Ordering::Relaxed);
                }
            })
        })
        .collect();
    let stopped = Arc::new(AtomicBool::new(false));
    let stop = Arc::clone(&stopped);
    let lister = tokio::spawn(async move {
        let (mut steady, mut seen) = (Steady::new(address), Vec::new());
        while !stop.load(Ordering::Relaxed) {
            let answer = steady.call(&list()).await;
            assert_eq!(answer.status, 200, "{answer:?}");
            let body: Value = serde_json::from_str(&answer.body).unwrap();
            let names = body["result"]["tools"].as_array().unwrap().iter();
            seen.push(names.map(|tool| tool["name"].as_str().unwrap().to_owned()).collect());
        }
        seen
    });
    // The pace is the workload, and nothing waits for it.
    let mut pace = tokio::time::interval(SWAP);
    pace.tick().await;
    while done.load(Ordering::Relaxed) < CALLS || *revision.borrow() <= SWAPS_MIN {
        pace.tick().await;
        revision.send_modify(|revision| *revision += 1);
    }
    for caller in callers {
        caller.await.unwrap();
    }
    stopped.store(true, Ordering::Relaxed);
    // The last list waits for two more.
    for _ in 0..3 {
        pace.tick().await;
        revision.send_modify(|revision| *revision += 1);
    }
    let lists: Vec<Vec<String>> = lister.await.unwrap();
    for names in &lists {
        assert!(*names == shown(0) || *names == shown(1), "{names:?} is of two bundles");
    }
    for parity in 0..2 {
        assert!(lists.iter().any(|names| *names == shown(parity)), "{lists:?}");
    }
    let last = *revision.borrow();
    until("the last revision", async || {
        let stats = envoy.stats().await;
        (stats.get("wasmcustom.pdp.bundle_revision") == Some(&last)).then_some(())
    })
    .await;
    let stats = envoy.stats().await;
    let swaps = stats.get("wasmcustom.pdp.bundle_swaps").copied().unwrap_or_default();
    assert!(swaps >= SWAPS_MIN, "{swaps} swaps");
    eprintln!("{} calls, {} lists, revision {last}", done.load(Ordering::Relaxed), lists.len());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_crash_under_load_allows_nothing_and_is_over_soon() {
    let (revision, _) = watch::channel(1);
    let shelf = shelf(&revision).await;
    let (tools, _tools) = slow_tools(&revision).await;
    let envoy = start(&module::filter_that_crashes(), &shelf, tools).await;
    everywhere(&envoy, "/open", 200).await;
    let (address, stopped) = (envoy.address, Arc::new(AtomicBool::new(false)));
    let callers: Vec<_> = (0..CALLERS)
        .map(|_| {
            let stop = Arc::clone(&stopped);
            tokio::spawn(async move {
                let (mut steady, mut calls, mut refused) = (Steady::new(address), 0, 0);
                while !stop.load(Ordering::Relaxed) {
                    let (open, closed) = (
                        steady.call(&get("/open", "")).await,
                        steady.call(&get("/closed", "")).await,
                    );
                    // A machine that is away refuses; 0 is a connection that went with it.
                    assert!(matches!(open.status, 200 | 503 | 500 | 0), "{open:?}");
                    assert!(matches!(closed.status, 403 | 503 | 500 | 0), "{closed:?}");
                    (calls, refused) = (calls + 2, refused + usize::from(open.status != 200));
                }
                (calls, refused)
            })
        })
        .collect();
    let mut recoveries = Vec::new();
    for _ in 0..3 {
        let answer = envoy.get(b"/open", "x-crash-the-filter: now\r\n").await;
        assert!(answer.status >= 500, "{answer:?}");
        let begun = Instant::now();
        everywhere(&envoy, "/open", 200).await;
        recoveries.push(begun.elapsed());
    }
    stopped.store(true, Ordering::Relaxed);
    let (mut calls, mut refused) = (0, 0);
    for caller in callers {
        let (own, own_refused) = caller.await.unwrap();
        (calls, refused) = (calls + own, refused + own_refused);
    }
    everywhere(&envoy, "/closed", 403).await;
    eprintln!("{calls} calls, {refused} refused meanwhile; recovered after {recoveries:?}");
    assert!(calls > 1_000 && refused > 0, "{calls} calls, {refused} refused");
}
