//! Cedar's sharp edges: what hurts users of the reference, each with what this engine does instead.
//!
//! One test for each entry of the list that the design keeps, plus the limits that exist because of them. Nothing here
//! measures time: where the reference takes seconds, the test would simply not end.
#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "test code fails loudly")]

use pdp_core::{
    Bundle, DecideOptions, Effect, ErrorKind, LoadLimits, Loose, Notation, OwnedAnswer, Reason,
    Source,
};
use pdp_tests::desk::{self, Desk, MANIFEST, if_it_ends, on_stack, request};

const ANY: &str = "permit(principal, action, resource);";
const SMALL_STACK: usize = 256 << 10;
const LARGE_STACK: usize = 64 << 20;

/// A request whose names no bundle here knows.
fn asking(context: &str) -> String {
    request(r#"User::"u""#, r#"Action::"a""#, r#"Doc::"d""#, context)
}

#[track_caller]
fn check(answer: &OwnedAnswer, reason: Reason, policies: &[&str], errors: &[(&str, ErrorKind)]) {
    let errors: Vec<(String, ErrorKind)> =
        errors.iter().map(|(id, kind)| ((*id).to_owned(), *kind)).collect();
    assert_eq!((answer.reason, &answer.errors), (reason, &errors), "{answer:?}");
    assert_eq!(answer.policies, policies, "{answer:?}");
    assert_eq!(answer.effect == Effect::Allow, reason == Reason::Permitted);
}

/// A permit for everybody, and a forbid, in Cedar's own semantics.
fn skipping(forbid: &str, entities: &str) -> Desk {
    Desk::loose(&format!("{ANY}\nforbid(principal, action, resource) {forbid};"), entities)
}

/// The same two, in the semantics that a manifest asks for.
fn saying(manifest: &str, forbid: &str, entities: &str) -> Desk {
    let policies = format!(
        "@id(\"permit\") {ANY}\n@id(\"forbid\") forbid(principal, action, resource) {forbid};"
    );
    let manifest = format!("{MANIFEST}{manifest}\n");
    Desk::folder(&[
        ("bundle.toml", manifest.as_str()),
        ("p.cedar", &policies),
        ("entities/e.json", entities),
    ])
}

// === a forbid that errors ===

const RM: &str = r#"when { context.cmd in ["rm"] }"#;

#[test]
fn a_forbid_that_errors_denies() {
    let answer = saying("", RM, "[]").ask(&asking(r#"{"cmd": "rm"}"#));
    check(&answer, Reason::PolicyError, &[], &[("forbid", ErrorKind::Type)]);
}

#[test]
fn a_forbid_that_errors_is_skipped_where_the_manifest_wants_cedars_own_rule() {
    let answer = saying("on_forbid_error = \"skip\"", RM, "[]").ask(&asking(r#"{"cmd": "rm"}"#));
    check(&answer, Reason::Permitted, &["permit"], &[("forbid", ErrorKind::Type)]);
    let answer = skipping(RM, "[]").ask(&asking(r#"{"cmd": "rm"}"#));
    check(&answer, Reason::Permitted, &["policy0"], &[("policy1", ErrorKind::Type)]);
}

#[test]
fn a_satisfied_forbid_wins_over_one_that_errors_and_both_are_reported() {
    let other = format!("{RM}; @id(\"other\") forbid(principal, action, resource)");
    for manifest in ["", "on_forbid_error = \"skip\""] {
        let answer = saying(manifest, &other, "[]").ask(&asking(r#"{"cmd": "rm"}"#));
        check(&answer, Reason::Forbidden, &["other"], &[("forbid", ErrorKind::Type)]);
    }
}

#[test]
fn a_permit_that_errors_is_skipped_and_listed() {
    let policies = format!("permit(principal, action, resource) {RM}; {ANY}");
    let answer = Desk::loose(&policies, "[]").ask(&asking(r#"{"cmd": "rm"}"#));
    check(&answer, Reason::Permitted, &["policy1"], &[("policy0", ErrorKind::Type)]);
}

#[test]
fn an_owner_that_does_not_exist() {
    let forbid = "unless { principal.owner.active }";
    let entities = r#"[{"uid": {"type": "User", "id": "u"}, "parents": [],
        "attrs": {"owner": {"__entity": {"type": "User", "id": "gone"}}}}]"#;
    let answer = skipping(forbid, entities).ask(&asking("{}"));
    check(&answer, Reason::Permitted, &["policy0"], &[("policy1", ErrorKind::EntityMissing)]);
    let answer = saying("entities_complete = false", forbid, entities).ask(&asking("{}"));
    check(&answer, Reason::PolicyError, &[], &[("forbid", ErrorKind::EntityMissing)]);
    // Unless the author insists, it does not come that far.
    let policies = format!("@id(\"p\") {ANY}");
    let files = [("bundle.toml", MANIFEST), ("p.cedar", &policies), ("entities/e.json", entities)];
    assert_eq!(desk::compile(&files).unwrap_err().items[0].code, "E143");
}

// === depth ===

/// Load and decide on a small stack and on a large one; both must say `forbidden`.
#[track_caller]
fn forbidden_on_every_stack(condition: &str, context: &str) {
    let policies = format!("{ANY} forbid(principal, action, resource) when {{ {condition} }};");
    for stack in [SMALL_STACK, LARGE_STACK] {
        let answer = on_stack(stack, || Desk::loose(&policies, "[]").ask(&asking(context)));
        check(&answer, Reason::Forbidden, &["policy1"], &[]);
    }
}

#[test]
fn the_answer_does_not_depend_on_the_stack() {
    for depth in [100, 400] {
        for (open, core, close) in [
            ("if true then ", "true", " else false"),
            ("if context.b then ", "context.b", " else 1"),
            ("if ", "context.b", " then true else false"),
            ("(", "context.b", ")"),
            ("(false || ", "context.b", ")"),
            ("(context.b && ", "context.b", ")"),
        ] {
            let condition = format!("{}{core}{}", open.repeat(depth), close.repeat(depth));
            forbidden_on_every_stack(&condition, r#"{"b": true}"#);
        }
    }
}

/// What reading a text in a small thread gives: the code of the first finding, if there is one.
fn read_on_small_stack(policies: &str, schema: Option<&str>) -> Option<&'static str> {
    on_stack(SMALL_STACK, || {
        let texts = Loose {
            policies: Notation::Cedar(policies),
            schema: schema.map(Notation::Cedar),
            entities: "[]",
            links: None,
        };
        Source::loose(&texts).err().map(|report| report.items[0].code)
    })
}

/// 30 levels are read, 100 and 200 are read or refused, 10,000 are refused; the process is there afterwards.
#[track_caller]
fn read_or_refused(open: &str, read: impl Fn(usize) -> Option<&'static str>) {
    assert_eq!(read(30), None, "30 times `{open}`");
    for depth in [100, 200] {
        let found = read(depth);
        assert!(matches!(found, None | Some("E103")), "{depth} times `{open}`: {found:?}");
    }
    assert_eq!(read(10_000), Some("E103"), "10,000 times `{open}`");
}

#[test]
fn text_that_nests_is_read_or_refused_and_never_ends_the_process() {
    for (open, core, close) in [
        ("(", "true", ")"),
        ("[", "1", "]"),
        ("{a: ", "1", "}"),
        ("if true then ", "true", " else false"),
        ("if ", "true", " then true else false"),
        ("if true then true else ", "true", ""),
        ("!(", "true", ")"),
        ("-(", "1", ")"),
        ("[1].contains(", "1", ")"),
        ("decimal(", "\"1.0\"", ")"),
        ("(true && ", "true", ")"),
        ("(1 + ", "1", ")"),
        ("[{a: (", "1", ")}]"),
    ] {
        read_or_refused(open, |depth| {
            let condition = format!("{}{core}{}", open.repeat(depth), close.repeat(depth));
            let policies = format!("permit(principal, action, resource) when {{ {condition} }};");
            read_on_small_stack(&policies, None)
        });
    }
}

#[test]
fn schemas_that_nest_are_read_or_refused_and_never_end_the_process() {
    for (open, close) in [("Set<", ">"), ("{a: ", "}"), ("Set<{a: ", "}>")] {
        read_or_refused(open, |depth| {
            let ty = format!("{}Long{}", open.repeat(depth), close.repeat(depth));
            read_on_small_stack(ANY, Some(&format!("entity User {{ a: {ty} }};")))
        });
    }
}

#[test]
fn brackets_in_strings_and_comments_do_not_nest() {
    let policies = format!(
        "// {}\n{ANY} forbid(principal, action, resource) when {{ context.a == \"\\\"{}\" }};",
        "(".repeat(10_000),
        "[".repeat(10_000)
    );
    assert_eq!(read_on_small_stack(&policies, None), None);
}

#[test]
fn a_flat_chain_of_comparisons_does_not_nest() {
    let terms = vec!["context.n < 1"; 1_000].join(" || ");
    let policies = format!("permit(principal, action, resource) when {{ {terms} }};");
    assert_eq!(read_on_small_stack(&policies, None), None);
}

#[test]
fn flat_chains_of_100_000_terms_compile_and_decide() {
    // Every term but the last leaves the answer open, so each chain is evaluated to its end.
    for (term, operator, last) in [
        ("context.yes", " && ", "context.yes"),
        ("context.no", " || ", "context.yes"),
        ("context.one", " + ", "1 == 100001"),
    ] {
        let condition = format!("{}{operator}{last}", vec![term; 100_000].join(operator));
        let context = r#"{"yes": true, "no": false, "one": 1}"#;
        let ended = if_it_ends(move || forbidden_on_every_stack(&condition, context));
        assert!(ended.is_some(), "a chain of `{operator}` takes for ever or does not forbid");
    }
}

#[test]
fn flat_chains_of_20_000_calls_compile_and_decide() {
    // What is written out to its end is one constant, what begins with the context is evaluated call by call.
    for start in ["context.start", "datetime(\"2020-01-01\")"] {
        let calls = ".offset(duration(\"1ms\"))".repeat(20_000);
        let condition = format!("{start}{calls} == datetime(\"2020-01-01T00:00:20Z\")");
        let context = r#"{"start": {"__extn": {"fn": "datetime", "arg": "2020-01-01"}}}"#;
        let ended = if_it_ends(move || forbidden_on_every_stack(&condition, context));
        assert!(ended.is_some(), "a chain on `{start}` takes for ever or does not forbid");
    }
}

#[test]
fn a_chain_of_5_000_parents_loads_and_decides() {
    let entity = |at: u32| {
        let parent = match at {
            0 => String::new(),
            _ => format!("{{\"type\":\"Group\",\"id\":\"{}\"}}", at - 1),
        };
        format!(
            "{{\"uid\":{{\"type\":\"Group\",\"id\":\"{at}\"}},\"attrs\":{{}},\"parents\":[{parent}]}}"
        )
    };
    let entities: Vec<String> = (0..5_000).map(entity).collect();
    let policy = r#"permit(principal in Group::"0", action, resource);"#;
    let mut desk = Desk::loose(policy, &format!("[{}]", entities.join(",")));
    let mut ask = |group: &str| {
        desk.ask(&request(&format!("Group::\"{group}\""), "Action::\"a\"", "Doc::\"d\"", "{}"))
    };
    check(&ask("4999"), Reason::Permitted, &["policy0"], &[]);
    check(&ask("0"), Reason::Permitted, &["policy0"], &[]);
    check(&ask("5000"), Reason::NotPermitted, &[], &[]);
}

#[test]
fn cycles_of_entities_are_refused() {
    for (parents, len) in [([0, 0, 0], 1), ([1, 0, 0], 2), ([1, 2, 0], 3)] {
        let entities: Vec<String> = (0..len)
            .map(|at| {
                format!(
                    r#"{{"uid": {{"type": "G", "id": "{at}"}}, "attrs": {{}}, "parents": [{{"type": "G", "id": "{}"}}]}}"#,
                    parents[at]
                )
            })
            .collect();
        let report = desk::compile_loose(ANY, &format!("[{}]", entities.join(","))).unwrap_err();
        assert_eq!(report.items[0].code, "E142", "{len} entities: {report}");
    }
}

// === JSON ===

#[test]
fn a_key_that_occurs_twice_is_refused_at_every_depth() {
    let mut desk = Desk::loose(ANY, "[]");
    for (context, is_read) in [
        (r#"{"a": 1, "b": {"a": 1}}"#, true),
        (r#"{"a": 1, "a": 2}"#, false),
        (r#"{"a": 1, "b": 2, "a": 1}"#, false),
        (r#"{"a": 1, "\u0061": 2}"#, false),
        (r#"{"o": {"a": 1, "a": 2}}"#, false),
        (r#"{"o": [1, {"p": {"a": 1, "a": 2}}]}"#, false),
        (r#"{"o": {"__entity": {"type": "T", "id": "a", "id": "b"}}}"#, false),
    ] {
        let read = desk.try_ask(&asking(context), &DecideOptions::STANDARD);
        assert_eq!(read.is_ok(), is_read, "{context}: {read:?}");
        if let Err(error) = read {
            assert!(error.contains("occurs twice"), "{context}: {error}");
        }
    }
    let twice = asking("{}").replace("\"action\"", "\"principal\":\"User::\\\"v\\\"\",\"action\"");
    assert!(desk.try_ask(&twice, &DecideOptions::STANDARD).unwrap_err().contains("occurs twice"));
    let entities =
        r#"[{"uid": {"type": "T", "id": "a"}, "attrs": {"x": 1, "x": 2}, "parents": []}]"#;
    assert_eq!(desk::compile_loose(ANY, entities).unwrap_err().items[0].code, "E140");
}

#[test]
fn json_that_nests_is_read_or_refused_and_never_ends_the_process() {
    for (open, close) in [("[", "]"), ("{\"a\":", "}")] {
        for (depth, is_read) in
            [(90, true), (101, false), (128, false), (10_000, false), (1_000_000, false)]
        {
            let context = format!("{{\"a\":{}1{}}}", open.repeat(depth), close.repeat(depth));
            let read = on_stack(SMALL_STACK, || {
                Desk::loose(ANY, "[]").try_ask(&asking(&context), &DecideOptions::STANDARD)
            });
            assert_eq!(read.is_ok(), is_read, "{depth} times `{open}`");
        }
    }
}

#[test]
fn the_order_of_json_keys_changes_no_digest() {
    let digest = |entities: &str| {
        let bytes = desk::compile_loose(ANY, entities).unwrap();
        Bundle::load(&bytes, &LoadLimits::STANDARD).unwrap().digest_hex().to_owned()
    };
    let one = r#"[{"uid": {"type": "T", "id": "a"}, "attrs": {"x": {"p": 1, "q": 2}, "y": 3}, "parents": []},
        {"uid": {"type": "T", "id": "b"}, "attrs": {}, "parents": []}]"#;
    let other = r#"[{"attrs": {}, "parents": [], "uid": {"id": "b", "type": "T"}},
        {"parents": [], "attrs": {"y": 3, "x": {"q": 2, "p": 1}}, "uid": {"id": "a", "type": "T"}}]"#;
    assert_eq!(digest(one), digest(other));
}

// === equality ===

#[track_caller]
fn holds(condition: &str, context: &str, expect: bool) {
    let policy = format!("permit(principal, action, resource) when {{ {condition} }};");
    let answer = Desk::loose(&policy, "[]").ask(&asking(context));
    assert_eq!(answer.effect == Effect::Allow, expect, "{condition} with {context}: {answer:?}");
    assert!(answer.errors.is_empty(), "{condition}: {answer:?}");
}

#[test]
fn strings_and_entities_that_the_bundle_does_not_know_are_equal_only_to_themselves() {
    let two = r#"{"a": "one", "b": "two", "c": "one",
        "e": {"__entity": {"type": "T", "id": "one"}}, "f": {"__entity": {"type": "T", "id": "two"}},
        "g": {"__entity": {"type": "S", "id": "one"}}, "h": {"__entity": {"type": "T", "id": "one"}}}"#;
    holds("context.a == context.b", two, false);
    holds("context.a == context.c", two, true);
    holds("[context.a] == [context.b]", two, false);
    holds("[context.a, context.b] == [context.b, context.c]", two, true);
    holds("[context.a].contains(context.b)", two, false);
    holds("context.a == \"known\"", two, false);
    holds("context.e == context.f || context.e == context.g", two, false);
    holds("context.e == context.h && context.e in context.h", two, true);
    holds("context.e in context.f || context.e in [context.f, context.g]", two, false);
    // A key that no policy names is still a key.
    let keys = r#"{"a": {"only here": 1}, "b": {"and here": 1}, "c": {"only here": 1}}"#;
    holds("context.a == context.b", keys, false);
    holds("context.a == context.c", keys, true);
}

#[test]
fn text_is_compared_byte_for_byte() {
    holds(r#"context.a == "admin""#, "{\"a\": \"\u{430}dmin\"}", false);
    holds("context.a == context.b", "{\"a\": \"\u{e9}\", \"b\": \"e\u{301}\"}", false);
    holds("context.a == context.b", "{\"a\": \"a\u{200b}\", \"b\": \"a\"}", false);
    holds("context.a == context.b", r#"{"a": "\u0061\u00e9", "b": "aé"}"#, true);
}

#[test]
fn values_are_equal_however_they_are_spelled() {
    let extn = |function: &str, arg: &str| {
        format!(r#"{{"__extn": {{"fn": "{function}", "arg": "{arg}"}}}}"#)
    };
    for (function, one, other, expect) in [
        ("ip", "127.0.0.1", "127.0.0.1/32", true),
        ("ip", "::1", "0:0:0:0:0:0:0:1/128", true),
        ("ip", "10.0.0.1/24", "10.0.0.0/24", false),
        ("ip", "::ffff", "0.0.255.255", false),
        ("decimal", "1.0", "1.00", true),
        ("decimal", "-0.0", "0.0", true),
        ("decimal", "1.0", "1.0001", false),
        ("datetime", "2026-01-31", "2026-01-31T00:00:00Z", true),
        ("datetime", "2026-01-31T01:00:00.000+0100", "2026-01-31T00:00:00Z", true),
        ("duration", "1h", "60m", true),
        ("duration", "1d", "24h1ms", false),
    ] {
        let context =
            format!(r#"{{"one": {}, "other": {}}}"#, extn(function, one), extn(function, other));
        holds("context.one == context.other", &context, expect);
        holds("[context.one].contains(context.other)", &context, expect);
        holds("[context.one, context.other] == [context.one]", &context, expect);
        holds(&format!("context.one == {function}(\"{other}\")"), &context, expect);
        holds(&format!("{{a: {function}(\"{one}\")}} == {{a: context.other}}"), &context, expect);
    }
}

#[test]
fn policies_with_odd_ids_are_not_lost() {
    let ids =
        ["plain", "quo\"te", "back\\slash", "new\nline", "\u{0}", "", "\u{e9}\u{200b}", "a b"];
    let policies: Vec<String> = ids
        .iter()
        .map(|id| {
            format!(
                r#"{}: {{"effect": "permit", "principal": {{"op": "All"}}, "action": {{"op": "All"}},
                    "resource": {{"op": "All"}}, "conditions": []}}"#,
                serde_json::to_string(id).unwrap()
            )
        })
        .collect();
    let json = format!(
        r#"{{"staticPolicies": {{{}}}, "templates": {{}}, "templateLinks": []}}"#,
        policies.join(",")
    );
    let source = Source::loose(&Loose {
        policies: Notation::Json(&json),
        schema: None,
        entities: "[]",
        links: None,
    });
    let bytes = pdp_core::compile(&source.unwrap(), &pdp_core::CompileOptions::STANDARD).unwrap();
    let mut came = Desk::bytes(&bytes).ask(&asking("{}")).policies;
    came.sort();
    let mut expected = ids.map(str::to_owned).to_vec();
    expected.sort();
    assert_eq!(came, expected);
}
