//! The questions that a call can ask, through the filter in a real Envoy: effect, reason and policies are the library's.
//!
//! Each is a call with a token of its own, verified by the proxy; what of it the proxy's operator says is said of its route.
#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "test code fails loudly")]

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use pdp_core::json::Arena;
use pdp_core::{Bundle, Datetime, DecideOptions, Decider, Effect, OwnedAnswer, Scratch};
use pdp_tests::check::question::Table;
use pdp_tests::check::token::tokens;
use pdp_tests::check::{Check, JWT};
use pdp_tests::envoy::{Answer, Envoy, cluster, config, jwt_authn, socket, until};
use pdp_tests::upstream::{Reply, Upstream, header};
use pdp_tests::{filtered, module, served};
use serde_json::{Value, json};

const FOLDERS: [&str; 3] = ["agent-tools", "documents", "routes"];
/// Of each folder; of these 2,100, 1,674 can be asked by a call.
const QUESTIONS: usize = 700;
const CALLS_MIN: usize = 1_650;

/// A question as a call, and what the library answers.
struct Asked {
    check: Check,
    expected: OwnedAnswer,
    text: String,
}

/// Now, to the second: policies that ask for the time ask for days.
fn now() -> Datetime {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    Datetime(i64::try_from(now.as_secs()).unwrap() * 1_000)
}

/// The questions of a folder, and the bundle's bytes that they are asked of.
fn asked(folder: &str) -> (Vec<u8>, Vec<Asked>) {
    let (plain, now) = (served::bundle(folder), now());
    let texts = served::questions(&plain, QUESTIONS, 4);
    let arena = Arena::new();
    let requests: Vec<_> =
        texts.iter().map(|text| served::read(text, &plain, &arena, now)).collect();
    let table = Table::new(&requests);
    let bytes = served::bytes_with_routes(folder, &table.toml);
    let bundle = Bundle::load(&bytes, &pdp_core::LoadLimits::STANDARD).unwrap();
    let (decider, mut scratch) = (Decider::new(Arc::new(bundle)), Scratch::new());
    let mut asked = Vec::new();
    for (request, text) in requests.iter().zip(texts.iter()) {
        let Some(check) = table.call(request) else { continue };
        let answer = decider.decide_with(&mut scratch, request, &DecideOptions::STANDARD);
        asked.push(Asked { check, expected: answer.to_owned(), text: text.clone() });
    }
    (bytes, asked)
}

/// A route for each set of settings that the operator has for some of these questions, and the number of each question's.
fn routes(asked: &[Asked]) -> (Vec<Value>, Vec<usize>) {
    let mut numbers: BTreeMap<Vec<(String, String)>, usize> = BTreeMap::new();
    let mut routes = Vec::new();
    let of = asked.iter().map(|one| {
        let text = |value: &Vec<u8>| String::from_utf8(value.clone()).unwrap();
        let extensions = one.check.extensions.iter().map(|(key, value)| (key.clone(), text(value)));
        let extensions: Vec<_> = extensions.collect();
        let next = numbers.len();
        *numbers.entry(extensions.clone()).or_insert_with(|| {
            let settings: BTreeMap<_, _> = extensions.into_iter().collect();
            routes.push(json!({
                "match": {
                    "prefix": "/",
                    "headers": [{
                        "name": "x-number",
                        "string_match": { "exact": next.to_string() },
                    }],
                },
                "route": { "cluster": "upstream" },
                "metadata": { "filter_metadata": { "pdp": settings } },
            }));
            next
        })
    });
    let of = of.collect();
    (routes, of)
}

async fn start(bytes: &[u8], routes: &[Value], upstream: &Upstream, collector: &Upstream) -> Envoy {
    let clusters = [
        cluster("upstream", socket(upstream.address), false),
        cluster("collector", socket(collector.address), false),
    ];
    let settings = json!({
        "bundle": filtered::base64(bytes),
        "source_ip": true,
        "log": {
            "cluster": "collector", "authority": "logs.example", "path": "/", "every_ms": 100,
            "queue_bytes_max": 16 << 20,
        },
    });
    let filters = [jwt_authn(), filtered::filter(&module::filter(), &settings)];
    Envoy::start(2, |port, _| config(port, &filters, routes, &clusters, json!({}))).await
}

async fn ask(envoy: &Envoy, one: &Asked, token: &str, route: usize) -> Answer {
    let mut headers = format!("authorization: Bearer {token}\r\nx-number: {route}\r\n");
    if !one.check.source_ip.is_empty() {
        headers.push_str(&format!("x-forwarded-for: {}\r\n", one.check.source_ip));
    }
    let Check { method, target, .. } = &one.check;
    envoy.call(method.as_bytes(), target.as_bytes(), &headers, b"").await
}

/// What an answer says of its decision: allowed or not, the reason, the decision's id.
fn told(answer: &Answer) -> (bool, String, String) {
    if answer.status == 200 {
        // The upstream answers with the head that it got.
        let of = |name| header(&answer.body, name).unwrap().to_owned();
        return (true, of("x-pdp-reason"), of("x-pdp-decision-id"));
    }
    let body: Value = serde_json::from_str(&answer.body).unwrap();
    assert_eq!(body.get("refusal"), None, "{answer:?}");
    let of = |name| body[name].as_str().unwrap().to_owned();
    (false, of("reason"), of("decision_id"))
}

#[tokio::test(flavor = "multi_thread")]
async fn the_questions_that_a_call_can_ask_get_the_librarys_answer_in_the_proxy() {
    let (mut asked_of, mut reasons) = (BTreeMap::new(), BTreeMap::new());
    for folder in FOLDERS {
        let (bytes, asked) = asked(folder);
        let claims: Vec<Value> =
            asked.iter().map(|one| one.check.metadata[JWT]["jwt"].clone()).collect();
        let tokens = tokio::task::spawn_blocking(move || tokens(&claims)).await.unwrap();
        let upstream = Upstream::echo().await;
        let collector = Upstream::start(|_| Reply::status("204 No Content")).await;
        let (routes, numbers) = routes(&asked);
        let envoy = start(&bytes, &routes, &upstream, &collector).await;
        let mut ids = BTreeMap::new();
        for ((one, token), number) in asked.iter().zip(&tokens).zip(numbers) {
            let answer = ask(&envoy, one, token, number).await;
            let (allowed, reason, id) = told(&answer);
            let expected = &one.expected;
            assert_eq!(allowed, expected.effect == Effect::Allow, "{} {answer:?}", one.text);
            assert_eq!(reason, expected.reason.as_str(), "{} {answer:?}", one.text);
            ids.insert(id, one);
            *reasons.entry(expected.reason.as_str()).or_insert(0) += 1;
        }
        assert_eq!(ids.len(), asked.len(), "each decision has an id of its own");
        // Which policies it were is in the log.
        let lines = until("a line for each", async || {
            let batches = collector.arrived();
            let texts = batches.iter().map(|batch| String::from_utf8_lossy(&batch.body));
            let texts = texts.collect::<String>();
            let lines = texts.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
            let lines: Vec<Value> = lines.collect();
            (lines.len() >= asked.len()).then_some(lines)
        })
        .await;
        for line in lines {
            let one = ids.remove(line["decision_id"].as_str().unwrap()).unwrap();
            let named = line["determining_policies"].as_array();
            let named = named.into_iter().flatten().map(|id| id.as_str().unwrap());
            assert!(named.eq(one.expected.policies.iter()), "{} {line}", one.text);
        }
        assert!(ids.is_empty());
        asked_of.insert(folder, asked.len());
    }
    let all: usize = asked_of.values().sum();
    assert!(all >= CALLS_MIN, "{all} of {} questions: {asked_of:?}", FOLDERS.len() * QUESTIONS);
    for reason in
        ["permitted", "forbidden", "not_permitted", "delegator_not_permitted", "invalid_request"]
    {
        assert!(reasons.get(reason).is_some_and(|count| *count >= 40), "{reason}: {reasons:?}");
    }
}
