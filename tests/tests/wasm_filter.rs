//! The filter in a real Envoy with two workers, before a real upstream: what is allowed arrives as it was judged, what is
//! denied does not arrive.
#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "test code fails loudly")]

use std::path::Path;
use std::process::Command;

use pdp_tests::check::token::token;
use pdp_tests::envoy::{Answer, until};
use pdp_tests::filtered::{Plan, bearer, bundle};
use pdp_tests::upstream::{Upstream, header};
use pdp_tests::{module, parts};
use serde_json::json;

/// More than one connection, so that each worker has one.
const TIMES: usize = 8;

#[tokio::test(flavor = "multi_thread")]
async fn what_is_allowed_arrives_and_what_is_denied_does_not() {
    let all = Plan::inline(&bundle(3, "")).start(Upstream::echo().await).await;
    let ann = bearer("ann");
    let spoofed = format!("{ann}x-pdp-reason: forged\r\nX-PDP-Role: admin\r\nx-other: kept\r\n");
    for _ in 0..TIMES {
        let Answer { status, body: seen, .. } = all.get("/docs/7?a=b", &spoofed).await;
        assert_eq!(status, 200, "{seen} {}", all.envoy.log());
        assert!(seen.starts_with("GET /docs/7?a=b HTTP/1.1\r\n"), "{seen}");
        assert_eq!(header(&seen, "x-pdp-reason"), Some("permitted"));
        assert_eq!(header(&seen, "x-pdp-decision-id").map(str::len), Some(26));
        assert_eq!(seen.matches("x-pdp-reason").count(), 1);
        assert_eq!(header(&seen, "x-pdp-role"), None);
        assert_eq!(header(&seen, "authorization"), None);
        assert_eq!(header(&seen, "x-other"), Some("kept"));
    }
    let arrived = all.upstream.arrived().len();
    let stranger = format!(
        "authorization: Bearer {}\r\n",
        token("ann", "another-secret-that-nobody-trusts-0123456789")
    );
    let table = [
        (bearer("bob"), "/docs/7", 403, "not_permitted"),
        (String::new(), "/docs/7", 403, "no_principal"),
        (bearer(""), "/docs/7", 403, "identity_malformed"),
        ("x-pdp-reason: permitted\r\n".to_owned(), "/docs/7", 403, "no_principal"),
        (stranger, "/docs/7", 401, ""),
        (ann.clone(), "/docs/../closed", 403, "path_ambiguous"),
        (ann.clone(), "/docs/%2e%2e/closed", 403, "path_ambiguous"),
        (ann.clone(), "/docs//7", 403, "path_ambiguous"),
        // What the operator says of a route, and nobody else.
        (ann.clone(), "/sealed", 403, "not_permitted"),
        (ann.clone(), "/silver", 403, "not_permitted"),
        (ann.clone(), "/other", 403, "not_permitted"),
        (ann.clone(), "/wrong", 403, "malformed"),
        (
            format!("{ann}tier: gold\r\npdp.resource: Doc::\"a\"\r\n"),
            "/silver",
            403,
            "not_permitted",
        ),
        (ann.clone(), "/closed/1", 404, "no such page\n"),
        // The address of a peer that any client could have named is not looked at.
        (format!("{ann}x-forwarded-for: 127.0.0.1\r\n"), "/local", 403, "not_permitted"),
    ];
    for (headers, target, expected, said) in &table {
        for _ in 0..TIMES / 2 {
            let Answer { status, head, body } = all.get(target, headers).await;
            assert_eq!(status, *expected, "{headers}{target}: {body}");
            assert!(body.contains(said), "{headers}{target}: {body}");
            assert!(!body.contains("ann-gets"), "names of policies are nobody's business: {body}");
            assert_eq!(head.contains("x-why: closed"), *expected == 404);
        }
    }
    assert_eq!(all.upstream.arrived().len(), arrived, "what is denied does not arrive");

    // What was decided is in the access log, for what was denied as well.
    let denied = table.len() * TIMES / 2;
    let log = until("the access log", async || {
        let log = all.envoy.written("access.log");
        (log.lines().count() == TIMES + denied).then_some(log)
    })
    .await;
    let lines: Vec<Vec<&str>> = log.lines().map(|line| line.split(' ').collect()).collect();
    let fields = |effect: &str, reason: &str, path: &str| {
        lines
            .iter()
            .filter(|it| it[2] == effect && it[3] == reason && it[5] == "edge@3" && it[6] == path)
            .filter(|it| it[4].len() == 26)
            .count()
    };
    assert_eq!(fields("allow", "permitted", "/docs/7?a=b"), TIMES, "{log}");
    assert_eq!(fields("deny", "not_permitted", "/closed/1"), TIMES / 2, "{log}");
    assert_eq!(fields("deny", "invalid_request", "/docs//7"), TIMES / 2, "{log}");
    let ids = lines.iter().filter_map(|it| it.get(4).copied());
    let mut ids: Vec<&str> = ids.filter(|id| id.len() == 26).collect();
    let named = ids.len();
    assert!(named > TIMES, "{log}");
    ids.sort_unstable();
    ids.dedup();
    assert_eq!(ids.len(), named, "no two workers give one name");

    // And counted.
    let stats = all.envoy.stats().await;
    let count = |name: &str| stats.get(&format!("wasmcustom.pdp.{name}")).copied();
    assert_eq!(count("allowed"), Some(TIMES as u64), "{stats:?}");
    assert_eq!(count("denied.not_permitted"), Some(7 * TIMES as u64 / 2), "{stats:?}");
    assert_eq!(count("denied.invalid_request"), Some(7 * TIMES as u64 / 2), "{stats:?}");
    assert_eq!((count("bundle_revision"), count("errors")), (Some(3), Some(0)), "{stats:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn bodies_are_held_where_they_are_read_and_no_longer_than_is_allowed() {
    let mut plan = Plan::inline(&bundle(1, "")).with("body_bytes_max", json!(100_000));
    plan.manager = json!({ "http_protocol_options": { "enable_trailers": true } });
    let all = plan.start(Upstream::echo().await).await;
    let ann = bearer("ann");
    let ping = |bytes: usize| {
        let body = r#"{"jsonrpc":"2.0","id":7,"method":"ping","params":{"a":""}}"#;
        body.replace("\"\"", &format!("\"{}\"", "x".repeat(bytes - body.len()))).into_bytes()
    };
    let chunked = |body: &[u8], end: &[u8]| {
        let chunks = body.chunks(9_000).flat_map(|chunk| {
            [format!("{:x}\r\n", chunk.len()).as_bytes(), chunk, b"\r\n"].concat()
        });
        let mut chunks: Vec<u8> = chunks.collect();
        chunks.extend([b"0\r\n", end, b"\r\n"].concat());
        chunks
    };
    for _ in 0..2 {
        for (bytes, expected) in [(99, 200), (100_000, 200), (100_001, 413), (3 << 20, 413)] {
            let before = all.upstream.arrived().len();
            let body = ping(bytes);
            let (framed, trailed) = (chunked(&body, b""), chunked(&body, b"x-end: 1\r\n"));
            let in_chunks = "transfer-encoding: chunked\r\n";
            for (headers, sent) in [("", &body), (in_chunks, &framed), (in_chunks, &trailed)] {
                let Answer { status, body: said, .. } =
                    all.post("/mcp", &format!("{ann}{headers}"), sent).await;
                assert_eq!(status, expected, "{bytes} {headers}: {said}");
                assert_eq!(said.contains("body_too_large"), expected == 413, "{said}");
            }
            let arrived = all.upstream.arrived().split_off(before);
            assert_eq!(arrived.len(), if expected == 200 { 3 } else { 0 });
            assert!(arrived.iter().all(|it| it.body == body), "it arrives as it was judged");
            assert!(arrived.iter().all(|it| it.header("x-pdp-reason") == Some("permitted")));
        }
        // What ends with trailers is judged as well.
        let denied = br#"{"jsonrpc":"2.0","id":7,"method":"tools/call","params":{"name":"no"}}"#;
        let headers = format!("{ann}transfer-encoding: chunked\r\n");
        let answer = all.post("/mcp", &headers, &chunked(denied, b"x-end: 1\r\n")).await;
        assert!(answer.body.contains("not_permitted"), "{answer:?}");
        // A length that is only said to be too large; and a large body where none is read.
        let lies = format!("{ann}content-length: 100001\r\n");
        assert_eq!(all.post("/mcp", &lies, b"{}").await.status, 413);
        let large = vec![b'x'; 400_000];
        assert_eq!(all.post("/anything", &ann, &large).await.status, 200);
        assert_eq!(all.upstream.arrived().last().unwrap().body, large);
        let before = all.upstream.arrived().len();
        assert_eq!(all.post("/anything", &bearer("bob"), &large).await.status, 403);
        assert_eq!(all.upstream.arrived().len(), before);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_peers_address_counts_where_no_client_can_name_it() {
    for (trusted, said, expected) in [(false, true, 403), (true, true, 403), (true, false, 200)] {
        // The bundle asks for a loopback address. Without `use_remote_address` a client's header says what it is.
        let mut plan = Plan::inline(&bundle(1, "")).with("source_ip", json!(trusted));
        plan.manager = json!({ "use_remote_address": !said });
        let all = plan.start(Upstream::echo().await).await;
        let forged = format!("{}x-forwarded-for: 10.1.2.3\r\n", bearer("ann"));
        let status = all.get("/local", &forged).await.status;
        assert_eq!(status, expected, "{trusted} {said}: {}", all.envoy.log());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_configuration_that_is_wrong_is_refused_before_it_is_in_force() {
    let bytes = bundle(1, "");
    let mut damaged = bytes.clone();
    *damaged.last_mut().unwrap() ^= 1;
    let digest = pdp_core::Bundle::load(&bytes, &pdp_core::LoadLimits::STANDARD).unwrap();
    let digest = digest.digest_hex().to_owned();
    for (plan, is_good) in [
        (Plan::inline(&bytes), true),
        (Plan::inline(&bytes).with("digest", json!(digest)), true),
        (Plan::inline(&bytes).with("digest", json!("0".repeat(64))), false),
        (Plan::inline(&bytes).with("body_bytes", json!(1)), false),
        (Plan::inline(&damaged), false),
        (Plan::inline(b"no bundle"), false),
        (Plan::new(json!({})), false),
        (Plan::new(json!({ "fetch": { "cluster": "c", "authority": "a", "path": "/b" } })), true),
    ] {
        let settings: String = plan.settings.to_string().chars().take(200).collect();
        assert_eq!(plan.validate().is_ok(), is_good, "{settings}");
    }
}

#[test]
fn the_configuration_to_start_from_is_one_that_envoy_and_the_filter_take() {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../packaging/envoy-filter.yaml");
    let text = std::fs::read_to_string(file).unwrap();
    let place = "/etc/envoy/pdp-filter.wasm";
    assert!(text.contains(place), "the module stands where the comment says");
    let here = module::filter().display().to_string();
    // What is said to the filter is read, so a key that it does not know is refused.
    for (from, to, is_good) in [("", "", true), ("\"source_ip\"", "\"source\"", false)] {
        let folder = tempfile::tempdir().unwrap();
        let copy = folder.path().join("envoy.yaml");
        std::fs::write(&copy, text.replace(place, &here).replace(from, to)).unwrap();
        let output = Command::new(parts::envoy())
            .args(["--mode", "validate", "--log-level", "error", "--config-path"])
            .arg(copy)
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.success(), is_good, "{from}: {said}");
    }
}
