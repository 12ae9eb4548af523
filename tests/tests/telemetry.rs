//! What operators see: health, metrics and status beside the data, and a line for each decision.
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "test code fails loudly"
)]

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::atomic::{AtomicU32, Ordering};

use pdp_core::Datetime;
use pdp_grpc::pb::authorization_client::AuthorizationClient;
use pdp_grpc::{Clock, LogConfig, LogTarget, pb};
use pdp_tests::check::{Check, Client};
use pdp_tests::served::{self, Served};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tonic::transport::{Channel, Endpoint};

const NOW: Datetime = Datetime(1_780_315_200_000);

/// Sends bytes and reads to the end: status and body.
async fn exchange(address: SocketAddr, request: &str) -> (u16, String) {
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut text = String::new();
    stream.read_to_string(&mut text).await.unwrap();
    let (head, body) = text.split_once("\r\n\r\n").unwrap_or((&text, ""));
    let status = head.split(' ').nth(1).and_then(|status| status.parse().ok());
    (status.unwrap_or_default(), body.to_owned())
}

async fn get(served: &Served, path: &str) -> (u16, String) {
    let request = format!("GET {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n");
    exchange(served.admin.unwrap(), &request).await
}

/// The samples of a page of metrics.
fn samples(page: &str) -> BTreeMap<String, f64> {
    assert!(page.ends_with("# EOF\n"));
    let lines = page.lines().filter(|line| !line.starts_with('#'));
    lines
        .map(|line| {
            let (name, value) = line.rsplit_once(' ').unwrap();
            (name.to_owned(), value.parse().unwrap())
        })
        .collect()
}

async fn bare(served: &Served) -> AuthorizationClient<Channel> {
    let channel = Endpoint::from_shared(served.url()).unwrap().connect().await.unwrap();
    AuthorizationClient::new(channel)
}

fn logged(path: &Path) -> LogConfig {
    LogConfig {
        target: LogTarget::File { path: path.to_owned(), file_bytes_max: 1 << 30, files_max: 1 },
        queue_bytes_max: 64 << 20,
        context: true,
        mask: vec!["linkToken".to_owned()],
    }
}

/// Cases of `documents` as messages.
fn messages() -> Vec<pb::AuthorizeRequest> {
    use prost::Message;
    let bundle = served::bundle("documents");
    let texts = served::questions(&bundle, 60, 1);
    let message = |text: &String| {
        let arena = pdp_core::json::Arena::new();
        let request = served::read(text, &bundle, &arena, NOW);
        let request = pdp_core::Request { now: None, on_behalf_of: None, ..request };
        pb::AuthorizeRequest::decode(&*pdp_grpc::write_request(&request).unwrap()).unwrap()
    };
    texts.iter().map(message).collect()
}

#[tokio::test]
async fn every_decision_is_counted_and_has_a_line_with_the_id_of_its_answer() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("decisions.jsonl");
    let served = Served::start(served::bundle("documents"), NOW, |config| {
        config.log = Some(logged(&path));
        config.admin = Some(([127, 0, 0, 1], 0).into());
    });
    let mut bare = bare(&served).await;
    let messages = messages();
    let mut answers = Vec::new();
    for message in &messages {
        answers.push(bare.authorize(message.clone()).await.unwrap().into_inner());
    }
    let batch = pb::AuthorizeBatchRequest { requests: messages.clone() };
    for result in bare.authorize_batch(batch).await.unwrap().into_inner().results {
        match result.result {
            Some(pb::authorize_result::Result::Answer(answer)) => answers.push(answer),
            other => unreachable!("{other:?}"),
        }
    }
    bare.authorize(pb::AuthorizeRequest::default()).await.unwrap_err();
    let first = &messages[0];
    let filter = pb::FilterRequest {
        principal: first.principal.clone(),
        action: first.action.clone(),
        context: first.context.clone(),
        candidates: messages.iter().filter_map(|message| message.resource.clone()).collect(),
        ..pb::FilterRequest::default()
    };
    let filtered = bare.filter(filter).await.unwrap().into_inner();

    let (status, page) = get(&served, "/metrics").await;
    assert_eq!(status, 200);
    let samples = samples(&page);
    let decisions = |protocol: &str, reason: &str| {
        samples[&format!("pdp_decisions_total{{protocol=\"{protocol}\",reason=\"{reason}\"}}")]
    };
    for reason in ["permitted", "not_permitted", "invalid_request", "forbidden"] {
        let expected = answers.iter().filter(|answer| answer.reason == reason).count() / 2;
        assert_eq!(decisions("authorize", reason), expected as f64, "{reason}");
        assert_eq!(decisions("batch", reason), expected as f64, "{reason}");
    }
    assert_eq!(decisions("filter", "permitted"), filtered.allowed.len() as f64);
    assert_eq!(samples["pdp_unanswered_total{protocol=\"authorize\",cause=\"malformed\"}"], 1.0);
    let count = |effect| {
        let labels = format!("protocol=\"authorize\",effect=\"{effect}\"");
        let count = samples[&format!("pdp_decision_seconds_count{{{labels}}}")];
        assert_eq!(samples[&format!("pdp_decision_seconds_bucket{{{labels},le=\"+Inf\"}}")], count);
        count
    };
    assert_eq!(count("allow") + count("deny"), messages.len() as f64);
    assert_eq!(samples["pdp_bundle_revision"], 1.0);
    assert_eq!(samples["pdp_decision_log_records_total"], answers.len() as f64 + 1.0);

    // Stopping writes what waits.
    served.stop().await;
    let text = std::fs::read_to_string(&path).unwrap();
    let lines: Vec<serde_json::Value> =
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(lines.len(), answers.len() + 1);
    for (line, answer) in lines.iter().zip(&answers) {
        assert_eq!(line["decision_id"], answer.decision_id.as_str());
        assert_eq!(line["reason"], answer.reason.as_str());
        assert_eq!(
            line["determining_policies"].as_array().map_or(0, Vec::len),
            answer.policies.len()
        );
        assert_eq!(line["bundle"]["name"], "documents");
        assert_eq!(line["time"], "2026-06-01T12:00:00.000Z");
        assert!(line["context"].get("linkToken").is_none_or(|value| value == "***"));
    }
    assert!(text.contains("\"linkToken\":\"***\""), "the cases must have something to mask");
    let last = lines.last().unwrap();
    assert_eq!(last["entry"], "filter");
    assert_eq!(last["decision_id"], filtered.decision_id.as_str());
    assert_eq!(last["candidates"], messages.len());
    assert_eq!(last["allowed"].as_array().unwrap().len(), filtered.allowed.len());
}

#[tokio::test]
async fn a_call_that_is_no_question_is_counted_and_logged_like_one() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("decisions.jsonl");
    let served = Served::start(served::bundle("routes"), NOW, |config| {
        config.log = Some(logged(&path));
        config.admin = Some(([127, 0, 0, 1], 0).into());
        // Whoever is nobody in particular is refused once there is a question.
        config.callers = vec![pdp_grpc::CallerRule {
            who: pdp_grpc::Who::Anybody,
            trust_delegation: false,
            explain: false,
            principals: Some(vec![pdp_grpc::Whom::Type("Mesh::User".to_owned())]),
            tenants: None,
        }];
    });
    let mut client = Client::connect(&served).await;
    let mut told = Vec::new();
    let mut service = Check::get("/orders");
    service.source_principal = "spiffe://shop.example/checkout".to_owned();
    for (message, refusal) in [
        (b"\xff".to_vec(), "malformed"),
        (Vec::new(), "method_malformed"),
        (Check::get("/orders/").bytes(), "no_route"),
        (Check::get("/orders/..").bytes(), "path_ambiguous"),
        (Check::get("/orders").bytes(), "no_principal"),
        (service.bytes(), "not_for_caller"),
    ] {
        let one = client.send(message).await;
        assert_eq!((one.reason(), one.cause()), ("invalid_request", refusal));
        told.push(one);
    }
    served.live.publish(pdp_core::Decider::no_bundle());
    told.push(client.ask(&Check::get("/orders")).await);

    let samples = samples(&get(&served, "/metrics").await.1);
    for (reason, times) in [("invalid_request", 6.0), ("no_bundle", 1.0), ("permitted", 0.0)] {
        let name = format!("pdp_decisions_total{{protocol=\"ext_authz\",reason=\"{reason}\"}}");
        assert_eq!(samples[&name], times, "{reason}");
    }
    let timed = "pdp_decision_seconds_count{protocol=\"ext_authz\",effect=\"deny\"}";
    assert_eq!(samples[timed], 7.0);
    assert_eq!(samples["pdp_unanswered_total{protocol=\"ext_authz\",cause=\"malformed\"}"], 0.0);
    served.stop().await;
    let text = std::fs::read_to_string(&path).unwrap();
    let lines: Vec<serde_json::Value> =
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(lines.len(), told.len());
    for (line, told) in lines.iter().zip(&told) {
        assert_eq!(line["entry"], "ext_authz");
        assert_eq!(line["decision"], "deny");
        assert_eq!(line["decision_id"], told.id());
        assert_eq!(line["reason"], told.reason());
        assert_eq!(line["refusal"], told.cause());
        assert_eq!(line["time"], "2026-06-01T12:00:00.000Z");
        // Only who may not ask has asked something.
        assert_eq!(line["principal"].is_object(), told.cause() == "not_for_caller");
    }
    assert_eq!(lines[0]["bundle"]["name"], "routes");
    assert!(lines[6]["bundle"].is_null());
}

#[tokio::test]
async fn decisions_go_on_when_the_log_cannot_be_written() {
    let served = Served::start(served::bundle("documents"), NOW, |config| {
        config.log = Some(logged(Path::new("/dev/full")));
        config.admin = Some(([127, 0, 0, 1], 0).into());
    });
    let mut bare = bare(&served).await;
    let message = messages().swap_remove(0);
    loop {
        let answer = bare.authorize(message.clone()).await.unwrap().into_inner();
        assert_eq!(answer.reason, "permitted");
        let samples = samples(&get(&served, "/metrics").await.1);
        if samples["pdp_decision_log_dropped_total{cause=\"write\"}"] > 0.0 {
            break;
        }
    }
    let status: serde_json::Value = serde_json::from_str(&get(&served, "/status").await.1).unwrap();
    assert!(status["decision_log"]["dropped_write"].as_u64().unwrap() > 0, "{status}");
    assert_eq!(status["bundle"]["name"], "documents");
    served.stop().await;
}

#[tokio::test]
async fn health_says_whether_a_bundle_decides_and_the_rest_is_refused() {
    let served = Served::start(served::bundle("documents"), NOW, |config| {
        config.admin = Some(([127, 0, 0, 1], 0).into());
        config.limits.greeting_timeout_ms = 50;
    });
    assert_eq!(get(&served, "/livez").await, (200, "ok\n".to_owned()));
    assert_eq!(get(&served, "/readyz").await, (200, "ok\n".to_owned()));
    served.live.publish(pdp_core::Decider::no_bundle());
    assert_eq!(get(&served, "/readyz").await, (503, "no bundle decides\n".to_owned()));
    assert_eq!(get(&served, "/livez").await.0, 200);
    assert!(!get(&served, "/metrics").await.1.contains("pdp_bundle_info{"));

    let (status, config) = get(&served, "/debug/config").await;
    let config: serde_json::Value = serde_json::from_str(&config).unwrap();
    assert_eq!((status, &config["limits"]["greeting_timeout_ms"]), (200, &50.into()));
    assert_eq!((&config["tls"], &config["explain"]), (&serde_json::Value::Null, &false.into()));

    let address = served.admin.unwrap();
    assert_eq!(get(&served, "/nothing").await.0, 404);
    let post =
        "POST /metrics HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-length: 0\r\n\r\n";
    assert_eq!(exchange(address, post).await.0, 405);
    let long = format!("GET /livez HTTP/1.1\r\nhost: x\r\nx: {}\r\n\r\n", "y".repeat(64 << 10));
    assert_eq!(exchange(address, &long).await.0, 431);
    // Who does not finish the head is cut.
    assert_eq!(exchange(address, "GET /livez HTTP/1.1\r\nhost:").await, (0, String::new()));
    assert_eq!(get(&served, "/livez").await.0, 200);
    served.stop().await;
}

#[test]
fn other_machines_do_not_reach_it_unless_somebody_says_so() {
    let live = std::sync::Arc::new(pdp_core::Live::new(pdp_core::Decider::no_bundle()));
    let mut config = pdp_grpc::Config::sidecar();
    config.address.set_port(0);
    config.admin = Some(([0, 0, 0, 0], 0).into());
    let refused = pdp_grpc::Server::bind(config.clone(), std::sync::Arc::clone(&live)).unwrap_err();
    assert!(refused.to_string().starts_with("`0.0.0.0:0` would tell other machines"), "{refused}");
    config.admin_anywhere = true;
    assert!(pdp_grpc::Server::bind(config, live).unwrap().admin_address().is_some());
}

#[tokio::test]
async fn a_fault_while_envoy_asks_denies_one_call_and_is_found_in_the_log() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("decisions.jsonl");
    let asked = AtomicU32::new(0);
    let served = Served::start(served::bundle("routes"), NOW, |config| {
        config.log = Some(logged(&path));
        config.admin = Some(([127, 0, 0, 1], 0).into());
        config.clock = Clock::from_fn(move || match asked.fetch_add(1, Ordering::Relaxed) {
            0 => panic!("on purpose, to see what it takes down"),
            _ => NOW,
        });
    });
    let mut client = Client::connect(&served).await;
    let mut call = Check::get("/orders").extension("cert_lifetime", "24h");
    call.method = "POST".to_owned();
    call.source_principal = "spiffe://shop.example/checkout".to_owned();
    call.source_ip = "10.1.4.7".to_owned();
    let (broken, sound) = (client.ask(&call).await, client.ask(&call).await);
    assert_eq!((broken.reason(), broken.cause()), ("invalid_request", "fault"));
    assert_eq!((broken.allowed, broken.status, sound.allowed), (false, 403, true));
    let body: serde_json::Value = serde_json::from_str(&broken.body).unwrap();
    assert_eq!(body["decision_id"], broken.id());

    let samples = samples(&get(&served, "/metrics").await.1);
    // It is no decision.
    for (reason, times) in [("invalid_request", 0.0), ("permitted", 1.0)] {
        let name = format!("pdp_decisions_total{{protocol=\"ext_authz\",reason=\"{reason}\"}}");
        assert_eq!(samples[&name], times, "{reason}");
    }
    assert_eq!(samples["pdp_unanswered_total{protocol=\"ext_authz\",cause=\"panic\"}"], 1.0);
    served.stop().await;
    let text = std::fs::read_to_string(&path).unwrap();
    let lines: Vec<serde_json::Value> =
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(lines.len(), 2);
    assert_eq!(lines[0]["decision_id"], broken.id());
    assert_eq!((&lines[0]["decision"], &lines[0]["refusal"]), (&"deny".into(), &"fault".into()));
    assert_eq!(lines[0]["bundle"]["name"], "routes");
    assert!(lines[0]["principal"].is_null());
    assert_eq!(lines[1]["decision_id"], sound.id());
}

#[tokio::test(flavor = "multi_thread")]
async fn health_is_told_for_each_service_by_itself() {
    use tonic_health::pb::health_check_response::ServingStatus;
    use tonic_health::pb::health_client::HealthClient;
    use tonic_health::pb::{HealthCheckRequest, HealthCheckResponse};
    let (authorization, ext_authz) =
        ("pdp.v1.Authorization", "envoy.service.auth.v3.Authorization");
    for (folder, behind_envoy) in
        [("routes", ServingStatus::Serving), ("documents", ServingStatus::NotServing)]
    {
        let served = Served::start(served::bundle(folder), NOW, |_| {});
        let channel = Endpoint::from_shared(served.url()).unwrap().connect().await.unwrap();
        let mut health = HealthClient::new(channel);
        for (service, expected) in [
            ("", ServingStatus::Serving),
            (authorization, ServingStatus::Serving),
            (ext_authz, behind_envoy),
        ] {
            let request = HealthCheckRequest { service: service.to_owned() };
            let HealthCheckResponse { status } = health.check(request).await.unwrap().into_inner();
            assert_eq!(ServingStatus::try_from(status), Ok(expected), "{folder}: {service}");
        }
        served.stop().await;
    }
}
