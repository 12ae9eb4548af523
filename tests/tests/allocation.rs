//! After warm-up, deciding asks nothing of the heap, and reading requests into an arena that is reset does neither.
//!
//! Every request is asked a few times first, so that the caller's scratch has grown to what it needs; then each is
//! asked again and counted. Looking through the answer belongs to it. Only the sentence about an invalid request may
//! cost memory, and is not asked for here.
#![expect(clippy::unwrap_used, reason = "test code fails loudly")]

use std::path::Path;
use std::sync::Arc;

use pdp_core::json::{Arena, read_request};
use pdp_core::{
    Answer, Bundle, CompileOptions, Datetime, DecideOptions, Decider, LoadLimits, Reason, Request,
    RequestLimits, Scratch, Source,
};
use pdp_tests::counting::{Counting, measure};
use pdp_tests::desk::{self, MANIFEST, request};

#[global_allocator]
static ALLOCATOR: Counting = Counting;

const WARM_UP_ROUNDS: u32 = 4;

/// Reads everything that an answer offers without being copied.
fn look_through(answer: &Answer<'_>) -> usize {
    let legs = answer.legs().map(|leg| leg.policies().count() + leg.errors().count());
    let parts = answer.policies().count() + answer.errors().count() + answer.obligations().count();
    legs.sum::<usize>() + parts + answer.message().len()
}

/// Asks until the scratch is warm, then counts; gives the reasons of the answers.
#[track_caller]
fn check(bytes: &[u8], texts: &[String]) -> Vec<Reason> {
    let decider = Decider::new(Arc::new(Bundle::load(bytes, &LoadLimits::STANDARD).unwrap()));
    let (mut scratch, arena) = (Scratch::new(), Arena::new());
    let bundle = decider.bundle().map(Arc::as_ref);
    let limits = RequestLimits::STANDARD;
    let requests: Vec<Request<'_>> =
        texts.iter().map(|text| read_request(text, bundle, &arena, &limits).unwrap()).collect();
    for options in [
        DecideOptions::STANDARD,
        DecideOptions { validate_request: false, ..DecideOptions::STANDARD },
        DecideOptions { all_policies: true, ..DecideOptions::STANDARD },
    ] {
        for _ in 0..WARM_UP_ROUNDS {
            for request in &requests {
                look_through(&decider.decide_with(&mut scratch, request, &options));
            }
        }
        for (request, text) in requests.iter().zip(texts) {
            let (reason, used) = measure(|| {
                let answer = decider.decide_with(&mut scratch, request, &options);
                look_through(&answer);
                answer.reason()
            });
            let allowed = if reason == Reason::InvalidRequest { u64::MAX } else { 0 };
            assert!(used.calls <= allowed, "{} allocations ({options:?}) for {text}", used.calls);
        }
    }
    let reasons = requests.iter().map(|request| {
        decider.decide_with(&mut scratch, request, &DecideOptions::STANDARD).reason()
    });
    reasons.collect()
}

/// A bundle without schema that fills in a delegation.
fn bundle(policies: &str, manifest: &str) -> Vec<u8> {
    let manifest = format!("{MANIFEST}{manifest}");
    let entities = r#"[{"uid": {"type": "Group", "id": "g"}, "attrs": {}, "parents": []},
        {"uid": {"type": "User", "id": "u"}, "attrs": {"level": 3}, "parents": [{"type": "Group", "id": "g"}]}]"#;
    let files =
        [("bundle.toml", manifest.as_str()), ("p.cedar", policies), ("entities/e.json", entities)];
    desk::compile(&files).unwrap()
}

fn asking(principal: &str, context: &str, rest: &str) -> String {
    let plain = request(principal, r#"Action::"a""#, r#"Doc::"d""#, context);
    format!("{}{rest}}}", plain.strip_suffix('}').unwrap())
}

const USER: &str = r#"User::"u""#;
const ANY: &str = "@id(\"any\") @obligation(\"log\") permit(principal, action, resource)";

#[test]
fn plain_requests() {
    let policies = "@id(\"p\") permit(principal in Group::\"g\", action, resource) when { principal.level > 2 };";
    let texts = [asking(USER, "{}", ""), asking("User::\"nobody\"", "{}", "")];
    let reasons = check(&bundle(policies, ""), &texts);
    assert_eq!(reasons, [Reason::Permitted, Reason::NotPermitted]);
}

#[test]
fn delegated_requests_with_three_legs() {
    let policies = format!(
        "{ANY} when {{ context.d.chain.contains(principal) || principal == User::\"u\" }};"
    );
    let manifest = "[context]\nnow = \"now\"\ndelegation = \"d\"\n";
    let chain = r#","on_behalf_of":"User::\"u\"","actors":["Agent::\"b\""],"scopes":["x","y"],"now":"2026-01-01""#;
    let refused = chain.replace("User::\\\"u", "User::\\\"v");
    let texts = [asking("Agent::\"a\"", "{}", chain), asking("Agent::\"a\"", "{}", &refused)];
    let reasons = check(&bundle(&policies, manifest), &texts);
    assert_eq!(reasons, [Reason::Permitted, Reason::DelegatorNotPermitted]);
}

#[test]
fn inline_entities() {
    let policies = format!(
        "{ANY} when {{ principal in Group::\"g\" && resource.owner == principal && resource.getTag(\"t\") == 1 }};"
    );
    let entities = r#","entities":[
        {"uid":"User::\"new\"","attrs":{"level":1},"parents":["Group::\"inline\""]},
        {"uid":"Group::\"inline\"","parents":["Group::\"g\""]},
        {"uid":"Doc::\"d\"","attrs":{"owner":{"__entity":{"type":"User","id":"new"}}},"tags":{"t":1}}]"#;
    let texts = [asking("User::\"new\"", "{}", entities), asking(USER, "{}", entities)];
    let reasons = check(&bundle(&policies, ""), &texts);
    assert_eq!(reasons, [Reason::Permitted, Reason::NotPermitted]);
}

#[test]
fn attributes_that_callers_supply() {
    let policies = format!("{ANY} when {{ principal.level == 9 }};");
    let entities = r#","entities":[{"uid":"User::\"u\"","attrs":{"level":9}}]"#;
    let texts = [asking(USER, "{}", entities), asking(USER, "{}", "")];
    let reasons = check(&bundle(&policies, "[caller_attributes]\nUser = [\"level\"]\n"), &texts);
    assert_eq!(reasons, [Reason::Permitted, Reason::NotPermitted]);
}

#[test]
fn values_that_policies_build() {
    let policies = format!(
        "{ANY} when {{ [context.n, context.n + 1, context.m].containsAll([context.m])
            && {{a: context.n, b: {{c: [context.m]}}}} == {{a: 1, b: {{c: [2]}}}}
            && ip(context.ip).isInRange(ip(\"2001:db8::/32\")) && decimal(context.d) == decimal(\"1.50\")
            && datetime(\"2026-01-01\").offset(duration(context.h)).toTime() == duration(\"1h\")
            && context.text like \"*b*\" }};"
    );
    let context = r#"{"n": 1, "m": 2, "ip": "2001:db8::1", "d": "1.5", "h": "25h", "text": "abc"}"#;
    let reasons = check(&bundle(&policies, ""), &[asking(USER, context, "")]);
    assert_eq!(reasons, [Reason::Permitted]);
}

#[test]
fn errors() {
    let errors = [
        "context.no",
        "principal.no == 1",
        "9223372036854775807 + context.n == 1",
        "decimal(context.t) == decimal(\"1.0\")",
        "User::\"no\".level == 1",
        "principal.getTag(\"t\") == 1",
        "\"x\" && true",
    ];
    let policies: Vec<String> = errors
        .iter()
        .enumerate()
        .map(|(at, error)| format!("@id(\"p{at}\") permit(principal, action, resource) when {{ {error} }};\n@id(\"f{at}\") forbid(principal, action, resource) when {{ {error} }};\n"))
        .collect();
    let texts = [asking(USER, r#"{"n": 1, "t": "x"}"#, "")];
    let manifest = "entities_complete = false\n";
    assert_eq!(check(&bundle(&policies.concat(), manifest), &texts), [Reason::PolicyError]);
}

#[test]
fn names_and_strings_that_the_bundle_does_not_know() {
    let policies = format!(
        "{ANY} when {{ context.a != context.b && context.r == context.r && context.s.contains(context.e) }};"
    );
    let context = r#"{"a": "one that is new", "b": "another", "r": {"new key": ["x", {"deeper": "y"}]},
        "e": {"__entity": {"type": "Planet", "id": "mars"}}, "s": [{"__entity": {"type": "Planet", "id": "mars"}}]}"#;
    let reasons = check(&bundle(&policies, ""), &[asking("Planet::\"venus\"", context, "")]);
    assert_eq!(reasons, [Reason::Permitted]);
}

#[test]
fn requests_that_reach_a_limit() {
    let policies = format!("{ANY} when {{ context.a == context.b }};");
    let numbers: Vec<String> = (0..200).map(|n| n.to_string()).collect();
    let set = format!("[{}]", numbers.join(","));
    let large = asking(USER, &format!("{{\"a\": {set}, \"b\": {set}}}"), "");
    let long = asking(USER, &format!("{{\"a\": \"{}\", \"b\": 1}}", "x".repeat(2_000)), "");
    let many =
        asking(USER, &format!("{{\"a\": {set}, \"b\": 1, \"c\": [{set}, {set}, [{set}, 1]]}}"), "");
    let deep = asking(USER, "{\"a\": [[[[[1]]]]], \"b\": 1}", "");
    let limits = "[limits]\neval_steps_max = 100\nrequest_text_bytes_max = 1000\nrequest_values_max = 500\nvalue_depth_max = 4\n";
    let reasons = check(&bundle(&policies, limits), &[large, long, many, deep]);
    assert_eq!(reasons, [Reason::Limit; 4]);
}

#[test]
fn every_case_of_the_example_bundles() {
    for name in ["agent-tools", "documents", "routes"] {
        let bytes = example(name);
        let bundle = Bundle::load(&bytes, &LoadLimits::STANDARD).unwrap();
        let texts: Vec<String> =
            bundle.cases().iter().map(|case| case.request_json.clone()).collect();
        let reasons = check(&bytes, &texts);
        let permitted = reasons.iter().filter(|reason| **reason == Reason::Permitted).count();
        assert!(
            permitted >= 5 && permitted < reasons.len(),
            "{name}: {permitted} of {}",
            reasons.len()
        );
    }
}

fn example(name: &str) -> Vec<u8> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../policies").join(name);
    pdp_core::compile(&Source::folder(&folder).unwrap(), &CompileOptions::STANDARD).unwrap()
}

// === JSON ===

/// What reading each text asks of the heap, at most, once the arena has grown to what the texts need.
fn reading<T: ?Sized>(texts: &[Box<T>], read: impl Fn(&T, &Arena)) -> u64 {
    let mut arena = Arena::new();
    let mut read = |text: &T| {
        arena.reset();
        measure(|| read(text, &arena)).1.calls
    };
    for text in texts.iter().cycle().take(texts.len() * WARM_UP_ROUNDS as usize) {
        read(text);
    }
    texts.iter().map(|text| read(text)).max().unwrap()
}

fn reading_json(bundle: Option<&Bundle>, texts: &[Box<str>]) -> u64 {
    reading(texts, |text, arena| {
        read_request(text, bundle, arena, &RequestLimits::STANDARD).map(|_| ()).unwrap();
    })
}

#[test]
fn reading_json_whose_names_are_objects() {
    let uid = |ty: &str, id: &str| format!(r#"{{"type":"{ty}","id":"{id}"}}"#);
    let text = format!(
        r#"{{"principal":{},"action":{},"resource":{},"context":{{"a":[1,2,{{"b":"text"}}],"c":true}},"scopes":["x"]}}"#,
        uid("User", "u"),
        uid("Action", "a"),
        uid("Doc", "d")
    );
    assert_eq!(reading_json(None, &[text.into()]), 0);
}

#[test]
fn reading_json_with_escapes_and_many_keys() {
    let keys: Vec<String> = (0..100).map(|key| format!(r#""k\n{key}":"\u00e9{key}""#)).collect();
    let text = asking(r#"A::"\u{e9}\x41""#, &format!("{{{}}}", keys.join(",")), "");
    assert_eq!(reading_json(None, &[text.into()]), 0);
}

#[test]
fn reading_every_case_of_the_example_bundles() {
    for name in ["agent-tools", "documents", "routes"] {
        let bundle = Bundle::load(&example(name), &LoadLimits::STANDARD).unwrap();
        let texts: Vec<Box<str>> =
            bundle.cases().iter().map(|case| case.request_json.clone().into()).collect();
        assert_eq!(reading_json(Some(&bundle), &texts), 0, "{name}");
        // The same questions as protobuf, which states no time.
        let arena = Arena::new();
        let messages = texts.iter().map(|text| {
            let request =
                read_request(text, Some(&bundle), &arena, &RequestLimits::STANDARD).unwrap();
            pdp_grpc::write_request(&Request { now: None, ..request }).unwrap().into()
        });
        let messages: Vec<Box<[u8]>> = messages.collect();
        let calls = reading(&messages, |message, arena| {
            pdp_grpc::read_request(message, Datetime(0), arena, pdp_grpc::VALUE_DEPTH_MAX)
                .map(|_| ())
                .unwrap();
        });
        assert_eq!(calls, 0, "{name}");
    }
}
