//! The decision log of the filter in a real Envoy: lines that arrive at a collector, are kept while it fails, and are
//! counted where they are lost.
#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "test code fails loudly")]

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use pdp_tests::envoy::until;
use pdp_tests::filtered::{Filtered, Plan, bearer, bundle};
use pdp_tests::upstream::{Reply, Upstream};
use serde_json::{Value, json};

/// A collector that fails while it is told to.
async fn collector() -> (Upstream, Arc<AtomicBool>) {
    let fails = Arc::new(AtomicBool::new(false));
    let failing = Arc::clone(&fails);
    let server = Upstream::start(move |_| match failing.load(Ordering::Relaxed) {
        true => Reply::status("503 Service Unavailable"),
        false => Reply::status("204 No Content"),
    })
    .await;
    (server, fails)
}

fn log(more: Value) -> Value {
    let mut log = json!({ "cluster": "collector", "authority": "logs.example", "path": "/lines",
        "every_ms": 100, "timeout_ms": 1_000 });
    for (key, value) in more.as_object().unwrap() {
        log[key] = value.clone();
    }
    log
}

fn lines(batches: &[pdp_tests::upstream::Arrived]) -> Vec<Value> {
    let bodies = batches.iter().map(|batch| std::str::from_utf8(&batch.body).unwrap());
    bodies.flat_map(str::lines).map(|line| serde_json::from_str(line).unwrap()).collect()
}

async fn count(all: &Filtered, name: &str) -> u64 {
    all.envoy.stats().await.get(&format!("wasmcustom.pdp.{name}")).copied().unwrap_or_default()
}

#[tokio::test(flavor = "multi_thread")]
async fn decisions_arrive_at_a_collector() {
    let (server, _) = collector().await;
    let tools = json!({ "jsonrpc": "2.0", "id": 7, "result": { "tools": [
        { "name": "no" }, { "name": "yes" }, { "name": "pay" }] } });
    let upstream = Upstream::start(move |_| Reply::ok("application/json", tools.to_string())).await;
    let all = Plan::inline(&bundle(4, ""))
        .with("log", log(json!({ "context": true, "mask": ["groups"] })))
        .beside("collector", &server)
        .start(upstream)
        .await;
    let traced = "traceparent: 00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01\r\n";
    let ann = format!("{}{traced}", bearer("ann"));
    assert_eq!(all.get("/docs/7?q=1", &ann).await.status, 200);
    let denied = all.get("/docs/7", &bearer("bob")).await;
    assert_eq!(all.get("/docs//7", &ann).await.status, 403);
    all.message("/mcp", &ann, "tools/list", json!({})).await;
    let said = until("five lines", async || {
        let lines = lines(&server.arrived());
        (lines.len() >= 5).then_some(lines)
    })
    .await;
    assert_eq!(said.len(), 5, "{said:?}");
    let find = |wanted: &dyn Fn(&&Value) -> bool| said.iter().find(wanted).unwrap();
    let allowed = find(&|it| it["resource"]["id"] == "/{rest...}" && it["decision"] == "allow");
    assert_eq!(allowed["type"], "decision");
    assert_eq!(allowed["entry"], "proxy_wasm");
    assert_eq!(allowed["trace_id"], "4bf92f3577b34da6a3ce929d0e0e4736");
    assert_eq!(allowed["principal"], json!({ "type": "User", "id": "ann" }));
    assert_eq!(allowed["determining_policies"], json!(["ann-gets"]));
    assert_eq!(
        (&allowed["context"]["path"], &allowed["context"]["groups"]),
        (&json!("/docs/7"), &json!("***"))
    );
    assert_eq!(
        (&allowed["bundle"]["name"], &allowed["bundle"]["revision"]),
        (&json!("edge"), &json!(4))
    );
    assert!(allowed["time"].as_str().unwrap().starts_with("20"), "{allowed}");
    let line = find(&|it| it["decision"] == "deny" && it["reason"] == "not_permitted");
    assert!(denied.body.contains(line["decision_id"].as_str().unwrap()), "{denied:?} {line}");
    assert_eq!(find(&|it| it["refusal"] == "path_ambiguous")["reason"], "invalid_request");
    assert_eq!(find(&|it| it["candidates"] == 3)["allowed"], json!([1, 2]));

    let batch = server.arrived().remove(0);
    assert!(batch.head.starts_with("POST /lines "), "{}", batch.head);
    assert_eq!(batch.header("host"), Some("logs.example"));
    assert_eq!(batch.header("content-type"), Some("application/x-ndjson"));
    assert_eq!((count(&all, "log_dropped").await, count(&all, "log_failed").await), (0, 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn lines_are_kept_while_the_collector_fails_and_what_is_lost_is_said() {
    let (server, fails) = collector().await;
    fails.store(true, Ordering::Relaxed);
    let all = Plan::inline(&bundle(1, ""))
        .with("log", log(json!({ "queue_bytes_max": 5_000 })))
        .beside("collector", &server)
        .start(Upstream::echo().await)
        .await;
    let (ann, calls) = (bearer("ann"), 100);
    for _ in 0..calls {
        // Whatever becomes of the log, calls are answered.
        assert_eq!(all.get("/docs/7", &ann).await.status, 200);
    }
    until("a failure", async || (count(&all, "log_failed").await >= 2).then_some(())).await;
    let heard = server.arrived().len();
    fails.store(false, Ordering::Relaxed);
    let lost = |lines: &[Value]| {
        let dropped = lines.iter().filter(|it| it["type"] == "dropped");
        dropped.map(|it| it["count"].as_u64().unwrap()).sum::<u64>()
    };
    // A batch may have been on its way when the collector came back: it is heard from the next one on.
    until("all that there is", async || {
        let lines = lines(&server.arrived()[heard..]);
        let ids: BTreeSet<&str> =
            lines.iter().filter_map(|it| it["decision_id"].as_str()).collect();
        (ids.len() as u64 + lost(&lines) == calls).then_some(())
    })
    .await;
    let said = lines(&server.arrived()[heard..]);
    assert!(lost(&said) > 0, "more than there is room for");
    assert_eq!(lost(&said), count(&all, "log_dropped").await);
    assert!(said.iter().any(|it| it["context_keys"].is_array() && it["context"].is_null()));
}
