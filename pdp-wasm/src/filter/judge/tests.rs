//! Calls as a proxy tells of them, judged by bundles; and what of a call is asked for.
//!
//! What the same calls get through the sidecar and through a proxy is compared in `pdp-tests`.
#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "test code fails loudly")]

use std::sync::Arc;

use pdp_core::{Bundle, CompileOptions, LoadLimits, Source};

use super::*;
use crate::filter::names::Names;

const ROUTES: &str = r#"
action = 'Action::"{method}"'
resource = 'Doc::"{template}"'

[[principal]]
claim = { namespace = "jwt", payload = "p", name = "sub" }
entity = 'User::"{value}"'

[context]
ip = "source_ip"
tier = { extension = "tier" }

[mcp]
server = { action = 'Action::"connect"', entity = 'Doc::"{server}"' }
tool = { action = 'Action::"call"', entity = 'Doc::"{server}/{name}"' }

[[route]]
path = "/mcp"
mcp = { server = "s" }

[[route]]
path = "/closed"
deny = { status = 404, body = "no\n" }

[[route]]
path = "/{rest...}"
strip = ["authorization"]
"#;

const POLICY: &str = r#"
@id("ann") permit(principal == User::"ann", action == Action::"GET", resource == Doc::"/{rest...}");
@id("gold") permit(principal, action, resource == Doc::"gold") when { context.tier == "gold" };
@id("tool") permit(principal == User::"ann", action, resource) when { resource in [Doc::"s", Doc::"s/yes"] };
"#;

pub(crate) fn decider() -> Decider {
    let folder = tempfile::tempdir().unwrap();
    let manifest = "name = \"edge\"\nrevision = 7\nentities_complete = false\n";
    for (name, text) in [("bundle.toml", manifest), ("p.cedar", POLICY), ("routes.toml", ROUTES)] {
        std::fs::write(folder.path().join(name), text).unwrap();
    }
    let source = Source::folder(folder.path()).unwrap();
    let bytes = pdp_core::compile(&source, &CompileOptions::STANDARD).unwrap();
    Decider::new(Arc::new(Bundle::load(&bytes, &LoadLimits::STANDARD).unwrap()))
}

/// A field of bytes in protobuf.
fn field(number: u8, bytes: &[u8]) -> Vec<u8> {
    [&[number << 3 | 2, u8::try_from(bytes.len()).unwrap()], bytes].concat()
}

fn entry(key: &str, value: &[u8]) -> Vec<u8> {
    field(1, &[field(1, key.as_bytes()), field(2, value)].concat())
}

/// Metadata that a filter before this one would leave for a subject.
fn subject(name: &str) -> Vec<u8> {
    let claims = field(5, &entry("sub", &field(3, name.as_bytes())));
    entry("jwt", &entry("p", &claims))
}

fn extension(key: &str, value: &str) -> Vec<u8> {
    entry("pdp", &entry(key, &field(3, value.as_bytes())))
}

pub(crate) fn call(method: &str, target: &str) -> Call {
    Call {
        method: method.into(),
        host: b"shop.example".to_vec(),
        target: target.into(),
        metadata: subject("ann"),
        ..Call::default()
    }
}

fn asked(decider: &Decider, call: &Call) -> Judged {
    let setting = Setting {
        now: Datetime(0),
        id: Names::new(1).next(1),
        list_ttl_ms_max: 1_000,
        shown: Some(Shown { context: true, mask: &[] }),
    };
    judge(decider, &mut Room::new(), call, &setting)
}

/// Status and body; 200 for what goes on.
fn told(judged: &Judged) -> (u16, &str) {
    match &judged.outcome {
        Outcome::Passed(..) => (200, ""),
        Outcome::Stopped(stopped) => (stopped.status, &stopped.body),
    }
}

#[test]
fn calls_get_what_policies_and_routes_say() {
    let decider = decider();
    let gold = |mut call: Call| {
        call.route_metadata =
            [extension("pdp.resource", "Doc::\"gold\""), extension("tier", "gold")].concat();
        call
    };
    let nobody = Call { metadata: Vec::new(), ..call("GET", "/a") };
    let damaged = |bytes: &[u8]| Call { metadata: bytes.to_vec(), ..call("GET", "/a") };
    let bad_route = |bytes: Vec<u8>| Call { route_metadata: bytes, ..call("GET", "/a") };
    for (call, status, why) in [
        (call("GET", "/a"), 200, "permitted"),
        (call("POST", "/a"), 403, "not_permitted"),
        (call("GET", "/a/../b"), 403, "path_ambiguous"),
        (call("GET", "/closed"), 404, "not_permitted"),
        (nobody, 403, "no_principal"),
        (Call { metadata: subject("bob"), ..call("GET", "/a") }, 403, "not_permitted"),
        (Call { metadata: subject(""), ..call("GET", "/a") }, 403, "identity_malformed"),
        (gold(call("POST", "/a")), 200, "permitted"),
        (Call { is_unreadable: true, ..call("GET", "/a") }, 403, "malformed"),
        (damaged(b"\xff"), 403, "malformed"),
        (bad_route(b"\xff".to_vec()), 403, "malformed"),
        (bad_route(entry("pdp", &entry("tier", &[0x20, 1]))), 403, "malformed"),
        (bad_route(extension("pdp.action", "nothing")), 403, "extension_malformed"),
        (bad_route(extension("pdp.other", "x")), 403, "unknown_extension"),
    ] {
        let judged = asked(&decider, &call);
        let line: serde_json::Value = serde_json::from_slice(&judged.line).unwrap();
        let told = told(&judged);
        assert_eq!(told.0, status, "{call:?} {line}");
        assert!([&line["reason"], &line["refusal"]].iter().any(|it| *it == why), "{line}");
        assert_eq!(judged.bundle, "edge@7");
        assert_eq!(line["entry"], "proxy_wasm");
        assert_eq!(line["decision"] == "allow", status == 200);
        if status == 403 {
            assert!(told.1.contains(why) && !told.1.contains("ann"), "{}", told.1);
        }
    }
}

#[test]
fn what_passes_is_told_by_us_and_by_nobody_else() {
    let mut call = call("GET", "/a");
    for name in ["x-pdp-reason", "x-pdp-role", "x-pdp-role", "x-other", "authorization"] {
        call.headers.push((name.to_owned(), b"forged".to_vec()));
    }
    let Outcome::Passed(passed, None) = asked(&decider(), &call).outcome else { unreachable!() };
    assert_eq!(passed.remove, ["authorization", "x-pdp-role"]);
    assert_eq!(passed.set.map(|(name, _)| name), ["x-pdp-decision-id", "x-pdp-reason"]);
}

#[test]
fn without_a_bundle_there_is_one_answer() {
    for call in
        [call("GET", "/a"), Call::default(), Call { is_unreadable: true, ..Call::default() }]
    {
        let judged = asked(&Decider::no_bundle(), &call);
        let (status, body) = told(&judged);
        assert_eq!((status, judged.reason), (503, Reason::NoBundle));
        assert!(body.starts_with("{\"reason\":\"no_bundle\",\"refusal\":\"no_bundle\","), "{body}");
    }
}

#[test]
fn a_body_is_asked_for_where_its_route_reads_it_and_no_more_of_it_than_is_read() {
    let decider = decider();
    let needs = |call: &Call| call.needs_body(&decider, &mut Room::new());
    assert!(needs(&call("POST", "/mcp")));
    assert!(!needs(&call("POST", "/a")) && !needs(&call("POST", "/mcp/../mcp")));
    assert!(!call("POST", "/mcp").needs_body(&Decider::no_bundle(), &mut Room::new()));
    let length = |text: &str| Call {
        headers: vec![("content-length".to_owned(), text.as_bytes().to_vec())],
        ..call("POST", "/mcp")
    };
    for (text, more) in [
        ("0", false),
        ("10", false),
        ("11", true),
        ("-1", true),
        ("", true),
        ("99999999999999999999", true),
    ] {
        assert_eq!(length(text).announces_more_than(10), more, "{text}");
    }
    let setting =
        Setting { now: Datetime(0), id: Names::new(1).next(1), list_ttl_ms_max: 0, shown: None };
    let judged = too_large(&decider, &length("11"), &setting);
    assert_eq!(told(&judged).0, 413);
    assert!(told(&judged).1.contains("body_too_large") && judged.line.is_empty());
}

#[test]
fn messages_are_judged_by_what_they_say_and_lists_come_back_through_a_filter() {
    let decider = decider();
    let message = |method: &str, params: &str| Call {
        headers: vec![("content-type".to_owned(), b"application/json".to_vec())],
        body: Some(
            format!(r#"{{"jsonrpc":"2.0","id":1,"method":"{method}","params":{params}}}"#).into(),
        ),
        ..call("POST", "/mcp")
    };
    for (call, why, is_list) in [
        (message("tools/call", r#"{"name":"yes"}"#), "permitted", false),
        (message("tools/call", r#"{"name":"no"}"#), "not_permitted", false),
        (message("tools/list", "{}"), "permitted", true),
        (message("tools/nothing", "{}"), "mcp_method", false),
        (message("tools/call", r#"{"name":"yes","name":"no"}"#), "mcp_json", false),
        (call("POST", "/mcp"), "mcp_content_type", false),
        (call("GET", "/mcp"), "permitted", true),
    ] {
        let judged = asked(&decider, &call);
        let line: serde_json::Value = serde_json::from_slice(&judged.line).unwrap();
        let cause = line.get("refusal").unwrap_or(&line["reason"]);
        assert_eq!(cause, why, "{line}");
        assert_eq!(matches!(judged.outcome, Outcome::Passed(_, Some(_))), is_list, "{line}");
    }
}

#[test]
fn what_routes_do_not_read_is_not_asked_for() {
    let table = |text: &str| {
        let decider = decider();
        let routes = decider.bundle().unwrap().routes().unwrap().clone();
        let mut needs = routes.clone();
        match text {
            "nothing" => (needs.principal.clear(), needs.context.clear()),
            "no ip" => ((), needs.context.clear()),
            _ => ((), ()),
        };
        Needs::of(&needs)
    };
    let all = Needs { claims: true, certificate: false, source_ip: true };
    assert_eq!(table("all"), all);
    assert_eq!(table("no ip"), Needs { source_ip: false, ..all });
    assert_eq!(table("nothing"), Needs::default());
}

/// Numbers that are the same every time (xorshift).
struct Dice(u64);

impl Dice {
    fn below(&mut self, limit: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 % limit.max(1) as u64).unwrap()
    }

    /// Changes, drops, doubles or cuts off some bytes.
    fn spoil(&mut self, bytes: &mut Vec<u8>) {
        for _ in 0..=self.below(3) {
            let at = self.below(bytes.len());
            match self.below(5) {
                0 if !bytes.is_empty() => bytes[at] ^= 1 << self.below(8),
                1 if !bytes.is_empty() => drop(bytes.remove(at)),
                2 => bytes.insert(at, u8::try_from(self.below(256)).unwrap()),
                3 => bytes.truncate(at),
                _ => bytes.extend_from_within(at..),
            }
        }
    }
}

#[test]
fn spoilt_calls_are_judged_and_pass_only_for_whom_they_still_name() {
    let decider = decider();
    let (mut dice, mut passed) = (Dice(0x9E37_79B9), 0);
    let claim =
        pdp_core::Claim { namespace: "jwt".into(), payload: "p".into(), name: "sub".into() };
    for round in 0..20_000 {
        let mut call = call(["GET", "POST"][round % 2], ["/a", "/mcp"][round % 2]);
        call.headers = vec![
            ("content-type".to_owned(), b"application/json".to_vec()),
            ("mcp-method".to_owned(), b"tools/call".to_vec()),
            (
                "traceparent".to_owned(),
                b"00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01".to_vec(),
            ),
        ];
        call.body = (round % 2 == 1).then(|| {
            br#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"yes"}}"#.to_vec()
        });
        call.route_metadata = extension("tier", "gold");
        let spoilt = dice.below(8);
        match (spoilt, &mut call.body) {
            (0, _) => dice.spoil(&mut call.metadata),
            (1, _) => dice.spoil(&mut call.route_metadata),
            (2, Some(body)) => dice.spoil(body),
            (3, _) => dice.spoil(&mut call.target),
            (4, _) => dice.spoil(&mut call.host),
            (5, _) => dice.spoil(&mut call.method),
            (part, _) => dice.spoil(&mut call.headers[part % 3].1),
        }
        let judged = asked(&decider, &call);
        assert!(serde_json::from_slice::<serde_json::Value>(&judged.line).is_ok());
        if let Outcome::Passed(..) = judged.outcome {
            passed += 1;
            let metadata = Metadata::read(&call.metadata).unwrap();
            let named = pdp_edge::Claims::claim(&metadata, &claim);
            assert_eq!(named, Some(pdp_edge::ClaimValue::Text("ann".to_owned())), "{call:?}");
        }
    }
    // Some must pass and most must not, or this shows nothing.
    assert!((1_000..15_000).contains(&passed), "{passed}");
}
