//! Envoy's questions over gRPC: what is allowed and denied, and that no bytes get anything but a well-formed answer.
//! It is longer than 500 lines because all of it asks about one table of routes, which stands here once.
#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "test code fails loudly")]

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use pdp_core::{Bundle, Datetime, LoadLimits};
use pdp_grpc::{Config, Limits};
use pdp_tests::check::{Check, Client, field, json};
use pdp_tests::rng::Rng;
use pdp_tests::served::Served;
use pdp_tests::{desk, parts};
use prost::encoding::decode_varint;
use serde_json::{Value, json};

const MANIFEST: &str = "name = \"edge\"\nrevision = 1\nentities_complete = false\n";

const ROUTES: &str = r#"
action = 'Action::"{method}"'
resource = 'Doc::"{id}"'

[[principal]]
claim = { namespace = "envoy.filters.http.jwt_authn", payload = "jwt", name = "sub" }
entity = 'User::"{value}"'

[context]
path = "path"
note = "body"
tier = { extension = "tier" }
level = { claim = { namespace = "envoy.filters.http.jwt_authn", payload = "jwt", name = "level" } }

[[route]]
path = "/docs/{id}"
strip = ["authorization"]

[[route]]
path = "/hidden/{id}"
deny = { status = 404, body = "gone", headers = { "x-why" = "no" } }
"#;

const POLICY: &str = r#"
@id("p") permit(principal == User::"ann", action == Action::"GET", resource == Doc::"7");
@id("tier") permit(principal, action, resource == Doc::"6") when { context.tier == "gold" };
@id("body") permit(principal, action, resource == Doc::"5") when { context.note == "yes" };
@id("level") permit(principal, action, resource == Doc::"8") when { context.level > 2 };
"#;

fn start(files: &[(&str, &str)]) -> Served {
    started(files, |_| {})
}

fn started(files: &[(&str, &str)], change: impl FnOnce(&mut Config)) -> Served {
    let bytes = desk::compile(files).unwrap();
    let bundle = Bundle::load(&bytes, &LoadLimits::STANDARD).unwrap();
    Served::start(Arc::new(bundle), Datetime(0), change)
}

fn edge() -> Served {
    start(&[("bundle.toml", MANIFEST), ("p.cedar", POLICY), ("routes.toml", ROUTES)])
}

/// A call by somebody.
fn by(subject: &str, target: &str) -> Check {
    Check::get(target).claims(json!({ "sub": subject }))
}

#[tokio::test]
async fn a_call_is_allowed_or_denied_as_the_bundle_says() {
    let served = edge();
    let client = &mut Client::connect(&served).await;
    let call = || by("ann", "/docs/7?x=1");

    let headed = call().header("x-pdp-role", "admin").header("X-PDP-Reason", "mine");
    let allowed = client.ask(&headed.header("accept", "*/*")).await;
    assert!(allowed.allowed);
    assert_eq!(allowed.remove, ["authorization", "x-pdp-role"]);
    let set: Vec<_> = allowed.headers.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(set, ["x-pdp-decision-id", "x-pdp-reason"]);

    let mut elsewhere = call();
    let claims = elsewhere.metadata.pop_first().unwrap().1;
    elsewhere.metadata.insert("envoy.filters.http.lua".to_owned(), claims);
    for (call, reason) in [
        (by("bob", "/docs/7"), "not_permitted"),
        (by("", "/docs/7"), "identity_malformed"),
        (elsewhere, "no_principal"),
        (by("ann", "/docs/9"), "not_permitted"),
        (by("ann", "/docs/../docs/7"), "path_ambiguous"),
        (by("ann", "/docs/%37"), "path_ambiguous"),
        (by("ann", "/elsewhere"), "no_route"),
        (call().extension("pdp.anything", "x"), "unknown_extension"),
    ] {
        let denied = client.ask(&call).await;
        assert_eq!((denied.status, denied.cause()), (403, reason));
        let body: serde_json::Value = serde_json::from_str(&denied.body).unwrap();
        let said = body["refusal"].as_str().or(body["reason"].as_str());
        assert_eq!((said, body["decision_id"].as_str()), (Some(reason), Some(denied.id())));
    }
    assert!(client.ask(&call().extension("theirs", "x")).await.allowed);

    let hidden = client.ask(&by("bob", "/hidden/7")).await;
    assert_eq!((hidden.status, hidden.body.as_str()), (404, "gone"));
    assert_eq!(hidden.headers, [("x-why".to_owned(), "no".to_owned())]);
    served.stop().await;
}

#[tokio::test]
async fn a_route_that_hides_itself_looks_like_none_whatever_is_in_the_way() {
    // All that nobody thought of is told what the hidden route tells.
    let rest = r#"
[[route]]
path = "/{rest...}"
resource = 'Doc::"none"'
deny = { status = 404, body = "gone", headers = { "x-why" = "no" } }
"#;
    let routes = format!("{ROUTES}{rest}");
    let served = start(&[("bundle.toml", MANIFEST), ("p.cedar", POLICY), ("routes.toml", &routes)]);
    let client = &mut Client::connect(&served).await;
    type Call = fn(&str) -> Check;
    let calls: [(Call, &str); 7] = [
        (|target| by("bob", target), "not_permitted"),
        (Check::get, "no_principal"),
        (|target| by("", target), "identity_malformed"),
        (|target| Check { body: b"\xff".to_vec(), ..by("ann", target) }, "body_unreadable"),
        (|target| by("ann", target).extension("pdp.action", "GET"), "extension_malformed"),
        (|target| by("ann", target).extension("pdp.x", "GET"), "unknown_extension"),
        (
            |target| Check::get(target).claims(json!({ "sub": "ann", "level": 0.5 })),
            "identity_malformed",
        ),
    ];
    for (call, cause) in calls {
        let (hidden, none) =
            (client.ask(&call("/hidden/7")).await, client.ask(&call("/nothing/7")).await);
        assert_eq!((hidden.cause(), none.cause()), (cause, cause));
        assert_eq!((hidden.status, hidden.body.as_str()), (404, "gone"), "{cause}");
        assert_eq!(
            (none.status, &none.body, &none.headers),
            (404, &hidden.body, &hidden.headers),
            "{cause}"
        );
        assert_eq!(hidden.headers, [("x-why".to_owned(), "no".to_owned())], "{cause}");
    }
    served.stop().await;
}

#[tokio::test]
async fn the_operator_of_the_proxy_says_what_a_route_of_it_asks() {
    let served = edge();
    let client = &mut Client::connect(&served).await;
    // The call stands for another question than the table has for it, and the path for a part of it.
    let posted = |target: &str| Check { method: "POST".to_owned(), ..by("ann", target) };
    let action = |check: Check| check.extension("pdp.action", "Action::\"GET\"");
    for (call, cause) in [
        (posted("/docs/7"), "not_permitted"),
        (action(posted("/docs/7")), "permitted"),
        (action(posted("/hidden/1")), "not_permitted"),
        (action(posted("/hidden/1")).extension("pdp.resource", "Doc::\"7\""), "permitted"),
        (action(posted("/hidden/7")).extension("pdp.resource", "Doc::\"{id}\""), "permitted"),
        (by("ann", "/docs/7").extension("pdp.resource", "Doc::\"{it}\""), "extension_malformed"),
        (by("ann", "/docs/7").extension("pdp.action", "GET"), "extension_malformed"),
        (by("ann", "/docs/7").extension("pdp.principal", "User::\"ann\""), "unknown_extension"),
        // Nobody becomes somebody by it, and no route appears by it.
        (Check::get("/docs/7").extension("sub", "ann"), "no_principal"),
        (action(by("ann", "/no")).extension("pdp.resource", "Doc::\"7\""), "no_route"),
        // Other extensions are for policies; a header of that name, or metadata, is not one.
        (by("ann", "/docs/6").extension("tier", "gold"), "permitted"),
        (by("ann", "/docs/6").extension("tier", "silver"), "not_permitted"),
        (by("ann", "/docs/6").header("tier", "gold"), "not_permitted"),
        (Check::get("/docs/6").claims(json!({ "sub": "ann", "tier": "gold" })), "not_permitted"),
    ] {
        let told = client.ask(&call).await;
        assert_eq!(told.cause(), cause, "{call:?}");
        assert_eq!(told.allowed, cause == "permitted");
    }
    served.stop().await;
}

#[tokio::test]
async fn a_body_that_policies_read_is_whole_and_text_or_the_call_is_denied() {
    let (yes, raw) = (b"yes".to_vec(), b"\xff\xfe".to_vec());
    let call = || by("ann", "/docs/5");
    let with = |body: &[u8]| Check { body: body.to_owned(), ..call() };
    let map = |value: &[u8]| Check {
        header_map: vec![("x-envoy-auth-partial-body".to_owned(), value.to_owned())],
        ..with(b"yes")
    };
    let partial = |value: &str| with(b"yes").header("x-envoy-auth-partial-body", value);
    let table = [
        (with(b"yes"), "permitted"),
        (Check { raw_body: yes.clone(), ..call() }, "permitted"),
        (Check { raw_body: yes.clone(), ..with(b"yes") }, "permitted"),
        (partial("false"), "permitted"),
        (map(b"false"), "permitted"),
        // What a client says of the length, or a proxy, is nothing that anybody goes by.
        (with(b"yes").header("content-length", "1"), "permitted"),
        (with(b"yes").header("content-length", "1000000"), "permitted"),
        (Check { size: 1, ..with(b"yes") }, "permitted"),
        (Check { size: 100, ..with(b"yes") }, "permitted"),
        (with(b"no"), "not_permitted"),
        (call(), "not_permitted"),
        (Check { raw_body: yes.clone(), ..with(b"no") }, "body_unreadable"),
        (Check { raw_body: b"no".to_vec(), ..with(b"yes") }, "body_unreadable"),
        (with(&raw), "body_unreadable"),
        (Check { raw_body: raw.clone(), ..call() }, "body_unreadable"),
        (partial("true"), "body_unreadable"),
        (partial("True"), "body_unreadable"),
        (partial(""), "body_unreadable"),
        (partial("false").header("X-Envoy-Auth-Partial-Body", "true"), "body_unreadable"),
        (map(b"true"), "body_unreadable"),
        (map(b"\xff"), "body_unreadable"),
        (Check { headers: partial("true").headers, ..map(b"false") }, "body_unreadable"),
    ];
    let served = edge();
    let client = &mut Client::connect(&served).await;
    for (call, cause) in &table {
        let told = client.ask(call).await;
        assert_eq!((told.cause(), told.allowed), (*cause, *cause == "permitted"), "{call:?}");
    }
    served.stop().await;

    // Where policies do not read it, what is wrong with a body is nobody's business here.
    let routes = ROUTES.replace("note = \"body\"\n", "");
    let served = start(&[("bundle.toml", MANIFEST), ("p.cedar", POLICY), ("routes.toml", &routes)]);
    let client = &mut Client::connect(&served).await;
    for (call, _) in table {
        let told = client.ask(&Check { target: "/docs/7".to_owned(), ..call }).await;
        assert_eq!(told.cause(), "permitted");
    }
    served.stop().await;
}

#[tokio::test]
async fn a_check_that_is_too_large_is_denied_like_any_other() {
    // A body that policies read has a limit of its own.
    let routes = ROUTES.replace("note = \"body\"\n", "");
    let served = start(&[("bundle.toml", MANIFEST), ("p.cedar", POLICY), ("routes.toml", &routes)]);
    let limit = usize::try_from(Limits::SIDECAR.batch_bytes_max).unwrap();
    let client = &mut Client::connect(&served).await;
    let sized = |bytes: usize| {
        let with = |body: usize| Check { body: vec![b'x'; body], ..by("ann", "/docs/7") }.bytes();
        let less = bytes - 1_000;
        let message = with(bytes - (with(less).len() - less));
        assert_eq!(message.len(), bytes);
        message
    };
    for (bytes, cause) in [
        (limit, "permitted"),
        (limit + 1, "check_too_large"),
        (2 * limit, "check_too_large"),
        (limit, "permitted"),
        // More than windows and buffers hold, so that a client is answered that is not done with sending.
        (64 * limit, "check_too_large"),
        (7 * limit, "check_too_large"),
    ] {
        let told = client.send(sized(bytes)).await;
        assert_eq!((told.cause(), told.allowed), (cause, cause == "permitted"), "{bytes}");
        assert!(told.allowed || told.reason() == "invalid_request");
    }
    served.stop().await;
}

#[tokio::test]
async fn a_check_for_which_there_is_no_memory_is_denied_and_the_next_one_is_answered() {
    let files = [("bundle.toml", MANIFEST), ("p.cedar", POLICY), ("routes.toml", ROUTES)];
    let served = started(&files, |config| config.limits.in_flight_bytes_max = 8 << 10);
    let client = &mut Client::connect(&served).await;
    let large = || Check { body: vec![b'x'; 16 << 10], ..by("ann", "/docs/7") };
    for _ in 0..3 {
        let told = client.ask(&large()).await;
        assert_eq!((told.cause(), told.allowed), ("overloaded", false));
        assert!(client.ask(&by("ann", "/docs/7")).await.allowed);
    }
    served.stop().await;
}

#[tokio::test]
async fn without_routes_every_call_is_denied() {
    let served = start(&[("bundle.toml", MANIFEST), ("p.cedar", POLICY)]);
    let client = &mut Client::connect(&served).await;
    let denied = client.ask(&by("ann", "/docs/7")).await;
    assert_eq!((denied.reason(), denied.cause()), ("invalid_request", "no_routes"));
    served.stop().await;
}

/// Examples of questions that nobody here wrote; `None`, and said so, where they are not and need not be.
fn examples() -> Option<Vec<(String, Value)>> {
    let folder = parts::examples("ENVOY_DATA", "envoy-check-requests")?;
    let entries = std::fs::read_dir(&folder).unwrap();
    let paths = entries.map(|entry| entry.unwrap().path());
    let mut paths: Vec<_> =
        paths.filter(|path| path.extension() == Some("json".as_ref())).collect();
    paths.sort();
    let read = |path: PathBuf| {
        let text = std::fs::read_to_string(&path).unwrap();
        (path.display().to_string(), serde_json::from_str(&text).unwrap())
    };
    let examples: Vec<_> = paths.into_iter().map(read).collect();
    assert!(examples.len() >= 27, "only {} examples in {}", examples.len(), folder.display());
    Some(examples)
}

const EVERYTHING: &str = r#"
action = 'Action::"{method}"'
resource = 'Doc::"{path}"'
[[route]]
path = "/{rest...}"
principal = 'User::"anybody"'
"#;

#[tokio::test]
async fn examples_of_others_are_allowed_or_denied_by_a_rule() {
    let Some(examples) = examples() else { return };
    let policy = r#"permit(principal, action == Action::"GET", resource);"#;
    let served =
        start(&[("bundle.toml", MANIFEST), ("p.cedar", policy), ("routes.toml", EVERYTHING)]);
    let client = &mut Client::connect(&served).await;
    let mut allowed = 0;
    for (name, example) in &examples {
        let http = &example["attributes"]["request"]["http"];
        // A question has a method, a host and a path, and the policy allows one method.
        let cause = match (http["method"].as_str(), http["host"].as_str(), http["path"].as_str()) {
            (None, ..) => "method_malformed",
            (_, None, _) => "host_malformed",
            (.., None) => "path_ambiguous",
            (Some("GET"), ..) => "permitted",
            _ => "not_permitted",
        };
        let told = client.send(json::encode(example)).await;
        assert_eq!((told.cause(), told.allowed), (cause, cause == "permitted"), "{name}");
        allowed += usize::from(told.allowed);
    }
    assert!(allowed >= 3 && allowed < examples.len(), "{allowed}");
    served.stop().await;
}

#[tokio::test]
async fn bodies_of_examples_are_read_where_they_are_whole() {
    let Some(examples) = examples() else { return };
    let policy = r#"permit(principal, action, resource) when { context.body like "*" };"#;
    let routes = format!("context = {{ body = \"body\" }}\n{EVERYTHING}");
    let served = start(&[("bundle.toml", MANIFEST), ("p.cedar", policy), ("routes.toml", &routes)]);
    let client = &mut Client::connect(&served).await;
    let mut causes = BTreeMap::new();
    for (name, mut example) in examples {
        let http = &mut example["attributes"]["request"]["http"];
        for (key, value) in [("method", "GET"), ("host", "h"), ("path", "/a")] {
            http[key] = value.into();
        }
        let partial = http["headers"]["x-envoy-auth-partial-body"] == "true";
        let some = ["body", "raw_body"]
            .iter()
            .any(|key| http[key].as_str().is_some_and(|text| !text.is_empty()));
        let cause = match (partial, some) {
            (true, _) => "body_unreadable",
            (false, true) => "permitted",
            (false, false) => "not_permitted",
        };
        let told = client.send(json::encode(&example)).await;
        assert_eq!((told.cause(), told.allowed), (cause, cause == "permitted"), "{name}");
        *causes.entry(cause).or_insert(0) += 1;
    }
    assert!(causes["body_unreadable"] >= 3 && causes["permitted"] >= 10, "{causes:?}");
    served.stop().await;
}

/// A field: its number, what it holds if it has a length, all its bytes.
type Field<'m> = (u32, Option<&'m [u8]>, &'m [u8]);

/// The fields of a message; `None` if it is none.
fn split(mut message: &[u8]) -> Option<Vec<Field<'_>>> {
    let mut fields = Vec::new();
    while !message.is_empty() {
        let begun = message;
        let key = u32::try_from(decode_varint(&mut message).ok()?).ok()?;
        let skip = match key & 7 {
            0 => decode_varint(&mut message).map(|_| 0).ok()?,
            1 => 8,
            2 => usize::try_from(decode_varint(&mut message).ok()?).ok()?,
            5 => 4,
            _ => return None,
        };
        let (payload, rest) = message.split_at_checked(skip)?;
        message = rest;
        let whole = &begun[..begun.len() - rest.len()];
        fields.push((key >> 3, (key & 7 == 2).then_some(payload), whole));
    }
    Some(fields)
}

/// A message that differs from another one: by a bit, an end, a piece of a third one, a field that is there twice.
/// Mostly deep inside, with the lengths around it as they should be.
fn mutate(message: &[u8], donor: &[u8], rng: &mut Rng) -> Vec<u8> {
    if let Some(fields) = split(message).filter(|fields| !fields.is_empty()) {
        let mut parts: Vec<Vec<u8>> = fields.iter().map(|(.., whole)| whole.to_vec()).collect();
        let at = rng.below(fields.len());
        match fields[at] {
            (number, Some(inside), _) if rng.percent(80) => {
                parts[at] = field(number, &mutate(inside, donor, rng));
                return parts.concat();
            }
            (.., whole) if rng.percent(40) => {
                parts.insert(rng.below(parts.len() + 1), whole.to_owned());
                return parts.concat();
            }
            _ => {}
        }
    }
    let mut message = message.to_owned();
    let at = rng.below(message.len() + 1);
    match rng.below(4) {
        0 if at < message.len() => message[at] ^= 1 << rng.below(8),
        1 => message.truncate(at),
        2 => message.insert(at, rng.bits() as u8),
        _ => {
            let from = rng.below(donor.len());
            let piece = &donor[from..rng.between(from + 1, donor.len())];
            let end = rng.between(at, message.len());
            drop(message.splice(at..end, piece.iter().copied()));
        }
    }
    message
}

const MUTATIONS: usize = 5_000;
const SEED: u64 = 7;

#[tokio::test]
async fn no_damage_to_a_message_gets_anything_but_a_well_formed_answer_or_makes_nobody_somebody() {
    let sound = || by("ann", "/docs/7").header("accept", "*/*").header("x-pdp-a", "b");
    let anonymous = || Check::get("/docs/7").header("authorization", "Bearer ann");
    let mut lua = anonymous();
    lua.metadata.insert("envoy.filters.http.lua".to_owned(), json!({ "jwt": { "sub": "ann" } }));
    let map = vec![("accept".to_owned(), b"*/*".to_vec())];
    let identified = [
        sound(),
        Check { header_map: map.clone(), raw_body: b"yes".to_vec(), ..by("ann", "/docs/5") },
        by("ann", "/hidden/1").extension("pdp.resource", "Doc::\"7\""),
        by("ann", "/docs/6").extension("tier", "gold"),
        Check::get("/docs/8").claims(json!({ "sub": "ann", "level": 3, "more": [true, null] })),
    ]
    .map(|check| check.bytes());
    // With what these hold, in whatever order, nobody is anybody.
    let nobody = [
        anonymous(),
        lua.clone(),
        Check { header_map: map, ..lua.clone() }.header("sub", "ann"),
        anonymous().extension("sub", "ann").extension("pdp.resource", "Doc::\"7\""),
        Check {
            source_principal: "spiffe://edge/ann".to_owned(),
            source_ip: "10.0.0.1".to_owned(),
            ..lua
        },
    ]
    .map(|check| check.bytes());

    let served = edge();
    let client = &mut Client::connect(&served).await;
    for message in &identified {
        assert!(client.send(message.clone()).await.allowed);
    }
    for message in &nobody {
        assert_eq!(client.send(message.clone()).await.cause(), "no_principal");
    }
    let mut rng = Rng::new(&[SEED]);
    let (mut allowed, mut causes) = (0, BTreeMap::new());
    for number in 0..MUTATIONS {
        let of = if number % 2 == 0 { &identified } else { &nobody };
        let mut message = rng.pick(of).clone();
        for _ in 0..rng.between(1, 3) {
            let donor: &Vec<u8> = rng.pick(of);
            message = mutate(&message, donor, &mut rng);
        }
        // What is not well-formed, or had a fault behind it, ends the test in there.
        let told = client.send(message.clone()).await;
        if number % 2 == 1 {
            assert!(!told.allowed, "mutation {number} of seed {SEED}: {message:?}");
        }
        allowed += usize::from(told.allowed);
        *causes.entry(told.cause().to_owned()).or_insert(0) += 1;
    }
    served.stop().await;
    // Mutations must reach the parts that decide, or this shows little.
    assert!(allowed >= 200, "{allowed} allowed: {causes:?}");
    for cause in ["malformed", "no_principal", "not_permitted", "no_route", "host_malformed"] {
        assert!(causes.get(cause).is_some_and(|count| *count >= 20), "{cause}: {causes:?}");
    }
}
