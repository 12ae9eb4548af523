//! Where the filter's bundle comes from, in a real Envoy: fetched by one machine and taken by all, swapped under load, kept
//! when the server lies, hangs or is gone; and what is left when a machine crashes.
#![expect(clippy::unwrap_used, reason = "test code fails loudly")]

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use pdp_tests::envoy::until;
use pdp_tests::filtered::{Filtered, Plan, bearer, bundle};
use pdp_tests::module;
use pdp_tests::rng::Rng;
use pdp_tests::upstream::{Reply, Upstream};
use serde_json::json;

/// What a server of bundles gives, to be changed while it runs.
#[derive(Clone)]
struct Shelf(Arc<Mutex<Reply>>);

impl Shelf {
    fn new(reply: Reply) -> Self {
        Self(Arc::new(Mutex::new(reply)))
    }

    fn put(&self, reply: Reply) {
        *self.0.lock().unwrap() = reply;
    }

    async fn serve(&self) -> Upstream {
        let shelf = self.clone();
        Upstream::start(move |arrived| {
            let reply = shelf.0.lock().unwrap().clone();
            let mark = reply.headers.iter().find(|(name, _)| *name == "etag");
            match mark.is_some_and(|(_, mark)| arrived.header("if-none-match") == Some(mark)) {
                true => Reply::status("304 Not Modified"),
                false => reply,
            }
        })
        .await
    }
}

/// A bundle with its mark.
fn marked(revision: u32, more: &str) -> Reply {
    let mut reply = Reply::ok("application/octet-stream", bundle(revision, more));
    reply.headers.push(("etag", format!("\"r{revision}\"")));
    reply
}

fn fetching(server: &Upstream) -> Plan {
    let fetch = json!({ "cluster": "bundles", "authority": "bundles.example", "path": "/edge",
        "every_ms": 100, "timeout_ms": 300 });
    Plan::new(json!({ "fetch": fetch })).beside("bundles", server)
}

async fn count(all: &Filtered, name: &str) -> u64 {
    all.envoy.stats().await.get(&format!("wasmcustom.pdp.{name}")).copied().unwrap_or_default()
}

/// Waits until each of so many connections in a row gets this, which is to say all workers.
async fn everywhere(all: &Filtered, target: &str, headers: &str, status: u16) {
    until(&format!("{status} for {target}"), async || {
        for _ in 0..16 {
            if all.get(target, headers).await.status != status {
                return None;
            }
        }
        Some(())
    })
    .await;
}

const BOB: &str = r#"permit(principal == User::"bob", action, resource == Doc::"/{rest...}");"#;

#[tokio::test(flavor = "multi_thread")]
async fn a_bundle_is_taken_up_swapped_and_kept() {
    let shelf = Shelf::new(Reply::status("404 Not Found"));
    let server = shelf.serve().await;
    let all = fetching(&server).start(Upstream::echo().await).await;
    let (ann, bob) = (bearer("ann"), bearer("bob"));

    // Without a bundle nothing passes, and callers are told that it is not their fault.
    let answer = all.get("/docs/1", &ann).await;
    assert_eq!((answer.status, answer.body.contains("no_bundle")), (503, true), "{answer:?}");
    assert!(all.upstream.arrived().is_empty());

    shelf.put(marked(1, ""));
    everywhere(&all, "/docs/1", &ann, 200).await;
    everywhere(&all, "/docs/1", &bob, 403).await;
    shelf.put(marked(2, BOB));
    everywhere(&all, "/docs/1", &bob, 200).await;
    assert_eq!(count(&all, "bundle_revision").await, 2);

    // One machine asks: far fewer questions than machines, which are four, would have.
    let (asked, begun) = (server.arrived().len(), Instant::now());
    until("ten more", async || (server.arrived().len() >= asked + 10).then_some(())).await;
    assert!(begun.elapsed() >= Duration::from_millis(800), "{:?}", begun.elapsed());
    let last = server.arrived().pop().unwrap();
    assert_eq!((last.header("if-none-match"), last.target()), (Some("\"r2\""), "/edge"));
    assert_eq!(last.header("host"), Some("bundles.example"));

    // A server that lies, sends garbage, says little or nothing, changes nothing but a count.
    let mut cut = marked(3, "").pieces.concat();
    cut.truncate(cut.len() - 1);
    let mut bent = marked(3, "").pieces.concat();
    let middle = bent.len() / 2;
    *bent.get_mut(middle).unwrap() ^= 1;
    let ok = |bytes: Vec<u8>| Reply::ok("application/octet-stream", bytes);
    for (reply, counted) in [
        (ok(b"garbage".to_vec()), "bundle_refused"),
        (ok(Vec::new()), "bundle_refused"),
        (ok(cut), "bundle_refused"),
        (ok(bent), "bundle_refused"),
        (Reply::status("500 Internal Server Error"), "fetch_failed"),
        (Reply { status: "302 Found", ..marked(3, "") }, "fetch_failed"),
        (Reply::hang(), "fetch_failed"),
    ] {
        let (before, said) = (count(&all, counted).await, format!("{reply:?}"));
        shelf.put(reply);
        let said: String = said.chars().take(80).collect();
        until(&said, async || (count(&all, counted).await >= before + 2).then_some(())).await;
        everywhere(&all, "/docs/1", &bob, 200).await;
        assert_eq!(count(&all, "bundle_revision").await, 2, "{said}");
    }
    // And one that is gone.
    let before = count(&all, "fetch_failed").await;
    drop(server);
    until("it is gone", async || (count(&all, "fetch_failed").await >= before + 2).then_some(()))
        .await;
    everywhere(&all, "/docs/1", &bob, 200).await;
    assert_eq!(count(&all, "errors").await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_digest_that_is_wanted_is_the_only_one_that_is_taken() {
    let wanted = pdp_core::Bundle::load(&bundle(1, ""), &pdp_core::LoadLimits::STANDARD).unwrap();
    let shelf = Shelf::new(marked(2, BOB));
    let server = shelf.serve().await;
    let plan = fetching(&server).with("digest", json!(wanted.digest_hex()));
    let all = plan.start(Upstream::echo().await).await;
    until("a refusal", async || (count(&all, "bundle_refused").await >= 2).then_some(())).await;
    assert_eq!(all.get("/docs/1", &bearer("bob")).await.status, 503);
    shelf.put(marked(1, ""));
    everywhere(&all, "/docs/1", &bearer("ann"), 200).await;
    everywhere(&all, "/docs/1", &bearer("bob"), 403).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn no_call_fails_or_is_judged_by_two_bundles_while_they_are_swapped() {
    let shelf = Shelf::new(marked(1, ""));
    let server = shelf.serve().await;
    let all = Arc::new(fetching(&server).start(Upstream::echo().await).await);
    let ann = bearer("ann");
    everywhere(&all, "/docs/1", &ann, 200).await;
    let (stop, calls) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
    let callers: Vec<_> = (0..4)
        .map(|_| {
            let (all, ann) = (Arc::clone(&all), ann.clone());
            let (stop, calls) = (Arc::clone(&stop), Arc::clone(&calls));
            tokio::spawn(async move {
                while !stop.load(Ordering::Relaxed) {
                    assert_eq!(all.get("/docs/1", &ann).await.status, 200);
                    let listed = all.message("/mcp", &ann, "initialize", json!({})).await;
                    assert!(listed.body.starts_with("POST /mcp "), "{listed:?}");
                    calls.fetch_add(2, Ordering::Relaxed);
                }
            })
        })
        .collect();
    // Every other one is larger than what is loaded in one thread elsewhere; a machine has no other.
    let mut rng = Rng::new(&[5]);
    let text: String =
        (0..3 << 19).map(|_| *rng.pick(&['a', 'b', 'c', 'd', 'e', 'f', 'g', 'h'])).collect();
    let large =
        format!("@note(\"{text}\") forbid(principal == User::\"nobody\", action, resource);");
    for revision in 2..8 {
        let reply = marked(revision, if revision % 2 == 0 { &large } else { "" });
        assert_eq!(reply.pieces.concat().len() > 1 << 20, revision % 2 == 0);
        shelf.put(reply);
        until("a swap", async || {
            (count(&all, "bundle_revision").await == u64::from(revision)).then_some(())
        })
        .await;
    }
    stop.store(true, Ordering::Relaxed);
    for caller in callers {
        caller.await.unwrap();
    }
    assert!(calls.load(Ordering::Relaxed) > 100, "{calls:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_machine_that_crashed_comes_back_with_its_bundle_and_nothing_passes_meanwhile() {
    let shelf = Shelf::new(marked(1, ""));
    let server = shelf.serve().await;
    let mut plan = fetching(&server);
    plan.module = module::filter_that_crashes();
    let all = plan.start(Upstream::echo().await).await;
    let (ann, bob) = (bearer("ann"), bearer("bob"));
    everywhere(&all, "/docs/1", &ann, 200).await;
    // What is there from now on is what machines share.
    shelf.put(Reply::status("404 Not Found"));
    let crash = format!("{ann}x-crash-the-filter: now\r\nx-mark: crashed\r\n");
    for _ in 0..4 {
        let answer = all.get("/docs/1", &crash).await;
        assert!(answer.status >= 500, "{answer:?}");
        // While it is away, and after.
        for _ in 0..4 {
            let answer = all.get("/docs/1", &format!("{bob}x-mark: bob\r\n")).await;
            assert!(matches!(answer.status, 403 | 503), "{answer:?}");
        }
    }
    until("all machines are back", async || {
        for _ in 0..16 {
            let answer = all.get("/docs/1", &ann).await;
            // One that begins anew has its bundle before its first call.
            assert!(!answer.body.contains("no_bundle"), "{answer:?}");
            if answer.status != 200 {
                return None;
            }
        }
        Some(())
    })
    .await;
    everywhere(&all, "/docs/1", &bob, 403).await;
    for arrived in all.upstream.arrived() {
        assert_eq!(arrived.header("x-mark"), None, "{}", arrived.head);
    }
}
