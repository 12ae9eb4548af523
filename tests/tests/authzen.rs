//! AuthZEN's Authorization API over real HTTP: the certification scenario at its four levels, and what is refused.
//!
//! It is longer than 500 lines because the scenario is one: its levels ask the same server the same questions.
#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "test code fails loudly")]

use std::net::SocketAddr;
use std::sync::Arc;

use pdp_core::Datetime;
use pdp_core::json::Arena;
use pdp_core::{DecideOptions, Decider, EntityChange, OverlayLimits, Scratch, Uid};
use pdp_grpc::{CallerRule, Config, Name, Who, Whom};
use pdp_tests::served::{self, Served};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// 2026-06-01T12:00:00Z, when the cases take place.
const NOW: Datetime = Datetime(1_780_315_200_000);
const JSON: &str = "application/json";

/// A client of one server.
#[derive(Clone)]
struct Client {
    agent: ureq::Agent,
    base: String,
}

/// What came.
#[derive(Debug)]
struct Came {
    status: u16,
    content_type: String,
    request_id: Option<String>,
    text: String,
}

impl Came {
    fn json(&self) -> Value {
        assert_eq!((self.status, self.content_type.as_str()), (200, JSON), "{self:?}");
        serde_json::from_str(&self.text).unwrap()
    }
}

impl Client {
    fn new(served: &Served) -> Self {
        let config = ureq::Agent::config_builder().http_status_as_error(false).build();
        Self { agent: config.into(), base: format!("http://{}", served.http.unwrap()) }
    }

    fn send(&self, path: &str, content_type: &str, body: &[u8]) -> Came {
        let request = self.agent.post(format!("{}{path}", self.base));
        let request = request.header("content-type", content_type).header("x-request-id", "id-1");
        Self::came(request.send(body).unwrap())
    }

    fn get(&self, path: &str) -> Came {
        Self::came(self.agent.get(format!("{}{path}", self.base)).call().unwrap())
    }

    fn came(mut response: ureq::http::Response<ureq::Body>) -> Came {
        let header = |name: &str| {
            response.headers().get(name).map(|value| value.to_str().unwrap().to_owned())
        };
        Came {
            status: response.status().as_u16(),
            content_type: header("content-type").unwrap_or_default(),
            request_id: header("x-request-id"),
            text: response.body_mut().read_to_string().unwrap(),
        }
    }

    fn post(&self, path: &str, body: &Value) -> Came {
        self.send(path, JSON, body.to_string().as_bytes())
    }

    fn decides(&self, body: &Value) -> bool {
        let came = self.post("/access/v1/evaluation", body);
        assert_eq!(came.request_id.as_deref(), Some("id-1"));
        came.json()["decision"].as_bool().unwrap()
    }
}

fn serve(folder: &str, change: impl FnOnce(&mut Config)) -> Served {
    Served::start(served::bundle(folder), NOW, |config| {
        config.http = Some(([127, 0, 0, 1], 0).into());
        change(config);
    })
}

/// Runs a client's blocking work beside the server.
async fn with(served: &Served, work: impl FnOnce(Client) + Send + 'static) {
    let client = Client::new(served);
    tokio::task::spawn_blocking(move || work(client)).await.unwrap();
}

fn question(subject: &str, action: &str, resource: &str) -> Value {
    json!({
        "subject": { "type": "user", "id": subject },
        "action": { "name": action },
        "resource": { "type": "record", "id": resource },
    })
}

/// The same with something changed: `path` is a JSON pointer.
fn changed(mut question: Value, path: &str, value: Value) -> Value {
    let (parent, key) = path.rsplit_once('/').unwrap();
    question.pointer_mut(parent).unwrap()[key] = value;
    question
}

// === Basic ===

#[tokio::test(flavor = "multi_thread")]
async fn basic_the_eight_decisions() {
    let served = serve("certification", |_| {});
    with(&served, |client| {
        let archived = json!({ "status": "archived" });
        let write = question("alice", "write", "record-1");
        let as_admin = changed(write.clone(), "/subject/properties", json!({ "role": "admin" }));
        let delete = question("alice", "delete", "record-1");
        let soft =
            |soft: bool| changed(delete.clone(), "/action/properties", json!({ "soft": soft }));
        for (body, expected) in [
            (question("alice", "read", "record-1"), true),
            (write.clone(), true),
            (question("bob", "read", "record-1"), true),
            (question("bob", "write", "record-1"), false),
            (changed(write.clone(), "/resource/properties", archived.clone()), false),
            (changed(as_admin, "/resource/properties", archived), true),
            (soft(true), true),
            (soft(false), false),
            // What is not listed as caller-supplied changes nothing, nor does what the schema does not declare.
            (
                changed(write.clone(), "/subject/properties", json!({ "admin": true, "x": 1.5 })),
                true,
            ),
            (
                changed(write.clone(), "/context", json!({ "mood": null, "n": 1e300, "a": [{}] })),
                true,
            ),
            (changed(write, "/unheard_of", json!([1])), true),
            // Who or what the store lacks is not permitted; it is no error.
            (question("nobody", "write", "record-1"), false),
            (question("alice", "read", "record-9"), true),
            (question("alice", "fly", "record-1"), false),
            (
                changed(question("alice", "read", "record-1"), "/subject/type", json!("ghost")),
                false,
            ),
        ] {
            assert_eq!(client.decides(&body), expected, "{body}");
        }
    })
    .await;
    served.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn basic_what_is_no_message_is_a_bad_request() {
    let served = serve("certification", |config| config.limits.batch_bytes_max = 4_096);
    with(&served, |client| {
        let whole = question("alice", "read", "record-1");
        let path = "/access/v1/evaluation";
        for (pointer, value) in [
            ("/subject", json!(null)),
            ("/subject", json!("alice")),
            ("/subject/type", json!(1)),
            ("/subject/id", json!({})),
            ("/subject/id", json!("")),
            ("/subject/properties", json!([])),
            ("/action", json!("read")),
            ("/action/name", json!(true)),
            ("/action/properties", json!("x")),
            ("/resource/type", json!(null)),
            ("/resource/id", json!(7)),
            ("/context", json!("x")),
        ] {
            let came = client.post(path, &changed(whole.clone(), pointer, value.clone()));
            assert_eq!(came.status, 400, "{pointer} = {value}: {came:?}");
            let name = pointer.trim_start_matches('/').replace('/', ".");
            let first = name.split('.').next().unwrap();
            assert!(came.text.contains(&format!("`{first}")), "{came:?}");
            assert_eq!(came.request_id.as_deref(), Some("id-1"));
        }
        for missing in ["subject", "action", "resource"] {
            let mut body = whole.clone();
            body.as_object_mut().unwrap().remove(missing);
            let came = client.post(path, &body);
            assert_eq!((came.status, came.text), (400, format!("`{missing}` is missing\n")));
        }
        for (missing, of) in
            [("type", "subject"), ("id", "subject"), ("name", "action"), ("id", "resource")]
        {
            let mut body = whole.clone();
            body[of].as_object_mut().unwrap().remove(missing);
            assert_eq!(client.post(path, &body).status, 400, "{of}.{missing}");
        }
        let text = whole.to_string();
        let twice = text.replacen("\"id\":\"alice\"", "\"id\":\"bob\",\"id\":\"alice\"", 1);
        assert_ne!(text, twice);
        for bad in
            ["", "{", "[]", "null", "\u{feff}{}", &twice, &format!("{text} x"), &"[".repeat(4_000)]
        {
            assert_eq!(client.send(path, JSON, bad.as_bytes()).status, 400, "{bad}");
        }
        assert_eq!(client.send(path, JSON, b"{\"subject\":\"\xff\"}").status, 400);
        for wrong in ["text/plain", "application/xml", "application/jsonp", ""] {
            assert_eq!(client.send(path, wrong, text.as_bytes()).status, 400, "{wrong}");
        }
        assert_eq!(
            client.send(path, "Application/JSON; charset=utf-8", text.as_bytes()).status,
            200
        );
        let long = changed(whole.clone(), "/context", json!({ "x": "y".repeat(5_000) }));
        assert_eq!(client.post(path, &long).status, 413);
        assert_eq!(client.get(path).status, 405);
        assert_eq!(client.post("/access/v1/nothing", &whole).status, 404);
        // And after all of that it answers.
        assert!(client.decides(&whole));
    })
    .await;
    served.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_is_confined_asks_and_finds_no_others() {
    let name = |id: &str| Name { entity_type: "user".to_owned(), id: id.to_owned() };
    let rule = CallerRule {
        who: Who::Anybody,
        trust_delegation: false,
        explain: false,
        principals: Some(vec![Whom::One(name("alice"))]),
        tenants: None,
    };
    let served = serve("certification", |config| config.callers = vec![rule]);
    with(&served, |client| {
        assert!(client.decides(&question("alice", "read", "record-1")));
        let refused = client.post("/access/v1/evaluation", &question("bob", "read", "record-1"));
        assert_eq!(refused.status, 403, "{refused:?}");
        let mut batch = question("bob", "read", "record-1");
        batch["evaluations"] = json!([{}, { "subject": { "type": "user", "id": "alice" } }]);
        let came = client.post("/access/v1/evaluations", &batch).json();
        assert_eq!(came["evaluations"][0]["decision"], false);
        assert_eq!(came["evaluations"][1]["decision"], true);
        let found = client.post("/access/v1/search/subject", &question("", "read", "record-1"));
        assert_eq!(found.json()["results"], json!([{ "type": "user", "id": "alice" }]));
    })
    .await;
    served.stop().await;
}

// === Batch ===

#[tokio::test(flavor = "multi_thread")]
async fn batch_three_semantics_and_defaults() {
    let served = serve("certification", |config| config.limits.batch_questions_max = 6);
    with(&served, |client| {
        let ask = |body: &Value| client.post("/access/v1/evaluations", body).json();
        let decisions = |body: &Value| -> Vec<bool> {
            let came = ask(body);
            let evaluations = came["evaluations"].as_array().unwrap();
            evaluations.iter().map(|one| one["decision"].as_bool().unwrap()).collect()
        };
        let read = json!({ "action": { "name": "read" } });
        let write = json!({ "action": { "name": "write" } });
        let mut body = question("bob", "write", "record-1");
        body["evaluations"] = json!([read, write, {}, read]);
        assert_eq!(decisions(&body), [true, false, false, true]);
        body["options"] = json!({ "evaluations_semantic": "deny_on_first_deny" });
        assert_eq!(decisions(&body), [true, false]);
        body["options"] = json!({ "evaluations_semantic": "permit_on_first_permit" });
        assert_eq!(decisions(&body), [true]);
        body["evaluations"] = json!([write, {}, read, read]);
        assert_eq!(decisions(&body), [false, false, true]);
        body["options"] = json!({ "evaluations_semantic": "execute_all", "other": 1 });
        // A member of an item takes the place of the default whole: this subject has no id.
        body["evaluations"] = json!([{ "subject": { "type": "user" } }, read]);
        let came = ask(&body);
        assert_eq!(came["evaluations"][0]["decision"], false);
        assert_eq!(came["evaluations"][0]["context"]["message"], "`subject.id` is missing");
        assert_eq!(came["evaluations"][1]["decision"], true);
        // Nothing to evaluate but the question itself.
        for empty in [json!([]), Value::Null] {
            let mut body = question("alice", "read", "record-1");
            if empty.is_array() {
                body["evaluations"] = empty;
            }
            assert_eq!(ask(&body)["decision"], true);
        }
        for (member, value) in [
            ("evaluations", json!("x")),
            ("evaluations", json!([1])),
            ("evaluations", json!([{}, {}, {}, {}, {}, {}, {}])),
            ("options", json!({ "evaluations_semantic": "sometimes" })),
            ("options", json!([])),
        ] {
            let mut body = question("bob", "read", "record-1");
            body["evaluations"] = json!([{}]);
            body[member] = value;
            assert_eq!(client.post("/access/v1/evaluations", &body).status, 400, "{body}");
        }
    })
    .await;
    served.stop().await;
}

// === Search ===

#[tokio::test(flavor = "multi_thread")]
async fn search_finds_what_re_evaluates_to_permit() {
    let served = serve("certification", |_| {});
    with(&served, |client| {
        let search = |what: &str, body: &Value| -> Vec<String> {
            let came = client.post(&format!("/access/v1/search/{what}"), body).json();
            let results = came["results"].as_array().unwrap().clone();
            assert_eq!(came["page"]["next_token"], "");
            results
                .iter()
                .map(|one| one.get("id").or(one.get("name")).unwrap().as_str().unwrap().to_owned())
                .collect()
        };
        let ask = |subject: &str, action: &str, resource: &str| question(subject, action, resource);
        assert_eq!(search("subject", &ask("ignored", "read", "record-1")), ["alice", "bob"]);
        assert_eq!(search("subject", &ask("", "write", "record-1")), ["alice"]);
        assert_eq!(search("subject", &ask("", "write", "record-2")), ["bob"]);
        assert_eq!(search("resource", &ask("alice", "write", "")), ["record-1"]);
        assert_eq!(search("resource", &ask("bob", "write", "")), ["record-2"]);
        let mut names = search("action", &ask("alice", "", "record-1"));
        names.sort();
        assert_eq!(names, ["read", "write"]);
        let soft =
            changed(ask("alice", "delete", ""), "/action/properties", json!({ "soft": true }));
        assert_eq!(search("resource", &soft), ["record-1", "record-2"]);
        // What the caller supplies counts for what is searched, too.
        let archived = changed(
            ask("bob", "write", ""),
            "/resource/properties",
            json!({ "status": "archived" }),
        );
        assert_eq!(search("resource", &archived), ["record-1", "record-2"]);
        let admins = changed(
            ask("", "write", "record-2"),
            "/subject/properties",
            json!({ "role": "admin" }),
        );
        assert_eq!(search("subject", &admins), ["alice", "bob"]);
        // What nobody knows has no results.
        assert_eq!(
            search(
                "resource",
                &changed(ask("alice", "read", ""), "/resource/type", json!("ghost"))
            ),
            [""; 0]
        );
        assert_eq!(
            search(
                "subject",
                &changed(ask("", "read", "record-1"), "/subject/type", json!("ghost"))
            ),
            [""; 0]
        );
        assert_eq!(search("resource", &ask("alice", "fly", "")), [""; 0]);
        assert_eq!(search("action", &ask("ghost", "", "record-1")), ["read"]);
        // What is not searched needs its id.
        for (what, pointer) in
            [("subject", "/resource"), ("resource", "/subject"), ("action", "/subject")]
        {
            let body =
                changed(ask("alice", "read", "record-1"), pointer, json!({ "type": "user" }));
            assert_eq!(
                client.post(&format!("/access/v1/search/{what}"), &body).status,
                400,
                "{what}"
            );
        }
    })
    .await;
    served.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn search_goes_page_by_page_and_a_token_fits_one_search() {
    // Membership is transitive here: folders in folders, groups in groups.
    let served = serve("documents", |_| {});
    let bundle = served::bundle("documents");
    let case: Value = bundle
        .cases()
        .iter()
        .map(|case| serde_json::from_str(&case.request_json).unwrap())
        .find(|case: &Value| case["action"].as_str().is_some_and(|action| action.contains("view")))
        .unwrap_or_else(|| serde_json::from_str(&bundle.cases()[0].request_json).unwrap());
    let part = |name: &str| {
        let text = case[name].as_str().unwrap();
        let (kind, id) = text.split_once("::\"").unwrap();
        (kind.to_owned(), id.trim_end_matches('"').to_owned())
    };
    let ((kind, id), (_, action), (resource_kind, _)) =
        (part("principal"), part("action"), part("resource"));
    with(&served, move |client| {
        let body = json!({
            "subject": { "type": kind, "id": id },
            "action": { "name": action.rsplit("::").next().unwrap() },
            "resource": { "type": resource_kind },
            "context": case["context"],
        });
        let search = |body: &Value| client.post("/access/v1/search/resource", body);
        let all = search(&body).json()["results"].as_array().unwrap().clone();
        assert!(all.len() > 2, "too few to make pages of: {all:?}");
        let (mut found, mut token, mut pages) = (Vec::new(), String::new(), 0);
        let mut paged = body.clone();
        loop {
            paged["page"] = json!({ "limit": 2, "token": token });
            let came = search(&paged).json();
            found.extend(came["results"].as_array().unwrap().clone());
            token = came["page"]["next_token"].as_str().unwrap().to_owned();
            pages += 1;
            if token.is_empty() {
                break;
            }
            // The token is of this search and of no other.
            let other = changed(paged.clone(), "/subject/id", json!("somebody-else"));
            let refused = search(&changed(other, "/page/token", json!(token)));
            assert_eq!(refused.status, 400);
            assert!(refused.text.starts_with("`page.token` is not of this search"), "{refused:?}");
        }
        assert_eq!(found, all);
        assert!(pages >= all.len() / 2);
        for one in &all {
            let mut question = body.clone();
            question["resource"] = one.clone();
            assert!(client.decides(&question), "{question}");
        }
        for page in [
            json!([]),
            json!({ "limit": 0 }),
            json!({ "limit": "2" }),
            json!({ "token": 1 }),
            json!({ "token": "x" }),
        ] {
            let mut paged = body.clone();
            paged["page"] = page;
            assert_eq!(search(&paged).status, 400, "{paged}");
        }
    })
    .await;
    served.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_does_not_outlive_the_entities_that_it_counted() {
    let served = serve("certification", |_| {});
    let mut body = question("", "read", "record-1");
    body["page"] = json!({ "limit": 1 });
    let client = Client::new(&served);
    let (asking, first) = (client.clone(), body.clone());
    let search = move || asking.post("/access/v1/search/subject", &first).json();
    let came = tokio::task::spawn_blocking(search).await.unwrap();
    assert_eq!(came["results"], json!([{ "type": "user", "id": "alice" }]));
    // Without alice, the second user would stand where the token says that the first one stood.
    let removed = [EntityChange::Remove(Uid::new("user", "alice"))];
    let next = served.live.snapshot().with_entities(&removed, &OverlayLimits::STANDARD).unwrap();
    served.live.publish(next);
    body["page"]["token"] = came["page"]["next_token"].clone();
    let search = move || client.post("/access/v1/search/subject", &body).status;
    assert_eq!(tokio::task::spawn_blocking(search).await.unwrap(), 400);
    served.stop().await;
}

// === Discovery ===

#[tokio::test(flavor = "multi_thread")]
async fn discovery_states_the_public_url_and_endpoints_that_are_there() {
    let url = "https://pdp.example.org/tenant";
    let served = serve("certification", |config| config.public_url = Some(format!("{url}/")));
    with(&served, move |client| {
        let document = client.get("/.well-known/authzen-configuration").json();
        assert_eq!(document["policy_decision_point"], url);
        let members = document.as_object().unwrap();
        assert_eq!(members.len(), 6);
        for (name, endpoint) in members.iter().filter(|(name, _)| name.ends_with("_endpoint")) {
            let path = endpoint.as_str().unwrap().strip_prefix(url).unwrap();
            assert_eq!(client.get(path).status, 405, "{name}");
        }
    })
    .await;
    served.stop().await;
    let served = serve("certification", |_| {});
    let own = format!("http://{}", served.http.unwrap());
    with(&served, move |client| {
        let document = client.get("/.well-known/authzen-configuration").json();
        assert_eq!(document["policy_decision_point"], own);
    })
    .await;
    served.stop().await;
}

// === the same answers as everywhere ===

#[tokio::test(flavor = "multi_thread")]
async fn questions_get_the_answers_of_the_library() {
    for folder in ["certification", "documents", "routes", "agent-tools"] {
        let bundle = served::bundle(folder);
        let served = serve(folder, |_| {});
        let (decider, mut scratch) = (Decider::new(Arc::clone(&bundle)), Scratch::new());
        let mut expected = Vec::new();
        for text in served::questions(&bundle, 2_000, 9) {
            let question: Value = serde_json::from_str(&text).unwrap();
            // AuthZEN has no place for delegation, nor for other entities than subject and resource.
            let elsewhere = ["on_behalf_of", "actors", "scopes", "entities"];
            if elsewhere.iter().any(|member| question.get(*member).is_some()) {
                continue;
            }
            let arena = Arena::new();
            // Contexts of other actions may not be readable along the schema; both would deny them.
            let Some(request) = served::try_read(&text, &bundle, &arena, NOW) else { continue };
            let answer = decider.decide_with(&mut scratch, &request, &DecideOptions::STANDARD);
            let context = question["context"].clone();
            let declares = |key: &String| decider.declares_context(request.action, key);
            if !context.as_object().unwrap().keys().all(declares) {
                continue;
            }
            let body = json!({
                "subject": { "type": request.principal.entity_type, "id": request.principal.id },
                "action": { "name": request.action.id },
                "resource": { "type": request.resource.entity_type, "id": request.resource.id },
                "context": context,
            });
            if decider.actions().contains(&request.action) && !request.principal.id.is_empty() {
                expected.push((body, answer.is_allowed(), answer.reason().as_str()));
            }
        }
        assert!(expected.len() >= 100, "{folder}: {}", expected.len());
        with(&served, move |client| {
            for (body, allowed, reason) in expected {
                let came = client.post("/access/v1/evaluation", &body).json();
                assert_eq!(came["decision"], allowed, "{body}");
                assert_eq!(came["context"]["reason"], reason, "{body}: {came}");
            }
        })
        .await;
        served.stop().await;
    }
}

// === hostile connections ===

#[tokio::test(flavor = "multi_thread")]
async fn garbage_and_silence_do_not_keep_others_from_their_answers() {
    let served = serve("certification", |config| config.limits.greeting_timeout_ms = 200);
    let address: SocketAddr = served.http.unwrap();
    let mut silent = Vec::new();
    for part in ["", "POST /access/v1/evaluation HTTP/1.1\r\n", "\u{0}\u{1}garbage", "GET / HT"] {
        for _ in 0..20 {
            let mut stream = TcpStream::connect(address).await.unwrap();
            stream.write_all(part.as_bytes()).await.unwrap();
            silent.push(stream);
        }
    }
    with(&served, |client| {
        for _ in 0..200 {
            assert!(client.decides(&question("alice", "read", "record-1")));
        }
    })
    .await;
    // Each of them is cut in the end.
    for mut stream in silent {
        let mut rest = Vec::new();
        let _ = stream.read_to_end(&mut rest).await;
        assert!(rest.is_empty() || rest.starts_with(b"HTTP/1.1 4"), "{rest:?}");
    }
    served.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_drain_answers_what_is_in_flight() {
    let served = serve("certification", |_| {});
    let address = served.http.unwrap();
    let body = question("alice", "read", "record-1").to_string();
    let mut stream = TcpStream::connect(address).await.unwrap();
    let head = format!(
        "POST /access/v1/evaluation HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n",
        body.len()
    );
    let (first, rest) = body.split_at(10);
    stream.write_all(format!("{head}{first}").as_bytes()).await.unwrap();
    // One that is answered after it shows that the server has taken up the first.
    with(&served, |client| assert!(client.decides(&question("alice", "read", "record-1")))).await;
    let stopping = tokio::spawn(served.stop());
    while TcpStream::connect(address).await.is_ok() {
        tokio::task::yield_now().await;
    }
    stream.write_all(rest.as_bytes()).await.unwrap();
    let mut text = String::new();
    stream.read_to_string(&mut text).await.unwrap();
    assert!(text.starts_with("HTTP/1.1 200 OK"), "{text}");
    assert!(text.contains("\"decision\":true"), "{text}");
    stopping.await.unwrap();
}
