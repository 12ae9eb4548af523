//! A filter answers each resource as that resource alone would be answered, and "effect only" tells the same effect.
//!
//! The differential campaign compares both with Cedar on generated worlds. Here is what it cannot reach: delegation,
//! limits, refusals, order, the absence of a bundle, and memory.
#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "test code fails loudly")]

use std::sync::Arc;

use pdp_core::json::{Arena, read_request};
use pdp_core::{
    Bundle, DecideOptions, Decider, Effect, LoadLimits, OwnedAnswer, Reason, Request,
    RequestLimits, Scratch, Uid,
};
use pdp_tests::counting::{Counting, measure};
use pdp_tests::desk::{self, MANIFEST, request};

#[global_allocator]
static ALLOCATOR: Counting = Counting;

const SCHEMA: &str = r#"
entity Team;
entity User in [Team] { level: Long };
entity Folder;
entity Doc in [Folder] { level: Long, owner?: User };
entity Door;
action read appliesTo { principal: [User], resource: [Doc], context: { mfa: Bool } };"#;

const POLICIES: &str = r#"
@id("team") permit(principal in Team::"t", action, resource in Folder::"f") when { principal.level >= resource.level };
@id("owner") permit(principal, action, resource) when { resource has owner && resource.owner == principal };
@id("mfa") forbid(principal, action, resource in Folder::"secret") unless { context.mfa };
@id("high") forbid(principal, action, resource) when { resource.level > 7 };"#;

const ENTITIES: &str = r#"[
    {"uid": {"type": "Team", "id": "t"}, "attrs": {}, "parents": []},
    {"uid": {"type": "User", "id": "u"}, "attrs": {"level": 4}, "parents": [{"type": "Team", "id": "t"}]},
    {"uid": {"type": "User", "id": "v"}, "attrs": {"level": 1}, "parents": [{"type": "Team", "id": "t"}]},
    {"uid": {"type": "Doc", "id": "low"}, "attrs": {"level": 1}, "parents": [{"type": "Folder", "id": "f"}]},
    {"uid": {"type": "Doc", "id": "mid"}, "attrs": {"level": 3}, "parents": [{"type": "Folder", "id": "f"}]},
    {"uid": {"type": "Doc", "id": "own"}, "attrs": {"level": 9, "owner": {"__entity": {"type": "User", "id": "v"}}}, "parents": []},
    {"uid": {"type": "Doc", "id": "secret"}, "attrs": {"level": 1}, "parents": [{"type": "Folder", "id": "f"}, {"type": "Folder", "id": "secret"}]}]"#;

const RESOURCES: [(&str, &str); 9] = [
    ("Doc", "low"),
    ("Doc", "own"),
    ("Doc", "unknown"),
    ("Door", "front"),
    ("Nothing", "such"),
    ("Doc", "secret"),
    ("Doc", "unknown"),
    ("Doc", "mid"),
    ("Doc", "low"),
];

fn bundle(manifest: &str) -> Vec<u8> {
    let manifest = format!("{MANIFEST}entities_complete = false\n{manifest}\n");
    let files = [
        ("bundle.toml", manifest.as_str()),
        ("schema.cedarschema", SCHEMA),
        ("p.cedar", POLICIES),
        ("entities/e.json", ENTITIES),
    ];
    desk::compile(&files).unwrap()
}

fn decider(bytes: &[u8]) -> Decider {
    Decider::new(Arc::new(Bundle::load(bytes, &LoadLimits::STANDARD).unwrap()))
}

fn asking(principal: &str, context: &str, rest: &str) -> String {
    let plain = request(principal, r#"Action::"read""#, r#"Doc::"low""#, context);
    format!("{}{rest}}}", plain.strip_suffix('}').unwrap())
}

fn uids() -> Vec<Uid<'static>> {
    RESOURCES.iter().map(|(entity_type, id)| Uid { entity_type, id }).collect()
}

/// The answers of the filter, each of which must be that of the resource alone.
#[track_caller]
fn check(decider: &Decider, text: &str, options: &DecideOptions) -> Vec<OwnedAnswer> {
    let arena = Arena::new();
    let bundle = decider.bundle().map(Arc::as_ref);
    let request = read_request(text, bundle, &arena, &RequestLimits::STANDARD).unwrap();
    let (mut scratch, uids) = (Scratch::new(), uids());
    let mut answers = Vec::new();
    decider.filter(&mut scratch, &request, &uids, options, |at, answer| {
        assert_eq!(at, answers.len(), "in their order, each once");
        answers.push(answer.to_owned());
    });
    let alone: Vec<OwnedAnswer> = uids
        .iter()
        .map(|resource| {
            let request = Request { resource: *resource, ..request };
            decider.decide_with(&mut scratch, &request, options).to_owned()
        })
        .collect();
    assert_eq!(answers, alone, "{text}");
    answers
}

fn reasons(answers: &[OwnedAnswer]) -> Vec<Reason> {
    answers.iter().map(|answer| answer.reason).collect()
}

const ALL_WAYS: [DecideOptions; 4] = [
    DecideOptions::STANDARD,
    DecideOptions { validate_request: false, ..DecideOptions::STANDARD },
    DecideOptions { all_policies: true, ..DecideOptions::STANDARD },
    DecideOptions { effect_only: true, ..DecideOptions::STANDARD },
];

#[test]
fn each_resource_is_answered_as_if_alone() {
    let decider = decider(&bundle(""));
    let text = asking("User::\"u\"", r#"{"mfa": false}"#, "");
    for options in ALL_WAYS {
        check(&decider, &text, &options);
    }
    let answers = check(&decider, &text, &DecideOptions::STANDARD);
    assert_eq!(
        reasons(&answers),
        [
            Reason::Permitted,
            Reason::Forbidden,
            // Its level cannot be read, and a forbid that fails denies.
            Reason::PolicyError,
            Reason::InvalidRequest,
            Reason::InvalidRequest,
            Reason::Forbidden,
            Reason::PolicyError,
            Reason::Permitted,
            Reason::Permitted,
        ]
    );
    assert_eq!(answers[0].policies, ["team"]);
    assert!(answers[3].message.contains("Door"), "{}", answers[3].message);
}

#[test]
fn delegated_requests_are_filtered_leg_by_leg() {
    let decider = decider(&bundle(""));
    for rest in [r#","on_behalf_of":"User::\"v\"""#, r#","actors":["User::\"v\""]"#] {
        let text = asking("User::\"u\"", r#"{"mfa": true}"#, rest);
        for options in ALL_WAYS {
            check(&decider, &text, &options);
        }
        let answers = check(&decider, &text, &DecideOptions::STANDARD);
        assert_eq!(answers[0].reason, Reason::Permitted);
        assert_eq!(answers[7].reason, Reason::DelegatorNotPermitted, "level 1 is below 3");
    }
    // Inner actors are no legs here, and the principal is alone.
    let ends = self::decider(&bundle("chain_legs = \"ends\""));
    let text = asking("User::\"u\"", r#"{"mfa": true}"#, r#","actors":["User::\"v\""]"#);
    assert_eq!(check(&ends, &text, &DecideOptions::STANDARD)[7].reason, Reason::Permitted);
}

#[test]
fn entities_that_come_along_are_there_for_every_resource() {
    let decider = decider(&bundle(""));
    let entities = r#","entities":[
        {"uid": "User::\"new\"", "attrs": {"level": 9}, "parents": ["Team::\"t\""]},
        {"uid": "Doc::\"unknown\"", "attrs": {"level": 2}, "parents": ["Folder::\"f\""]}]"#;
    for options in ALL_WAYS {
        let text = asking("User::\"new\"", r#"{"mfa": true}"#, entities);
        let answers = check(&decider, &text, &options);
        assert_eq!([answers[2].effect, answers[6].effect], [Effect::Allow; 2], "{options:?}");
    }
}

#[test]
fn what_is_wrong_for_all_is_told_to_each() {
    let decider = decider(&bundle(""));
    for text in [
        asking("User::\"u\"", r#"{"mfa": 1}"#, ""),
        asking("User::\"u\"", r#"{"mfa": true, "more": 1}"#, ""),
        asking("Door::\"d\"", r#"{"mfa": true}"#, ""),
        asking("User::\"u\"", r#"{"mfa": true}"#, r#","actors":["User::\"u\""]"#),
        asking("User::\"u\"", r#"{"mfa": true}"#, r#","entities":[{"uid": "User::\"u\""}]"#),
    ] {
        let answers = check(&decider, &text, &DecideOptions::STANDARD);
        assert!(answers.iter().all(|a| a.reason == Reason::InvalidRequest), "{text}: {answers:?}");
    }
}

#[test]
fn limits_hold_for_each_resource_by_itself() {
    // Enough text for one resource, not for all; enough steps for one, not for all.
    let decider = decider(&bundle("[limits]\nrequest_text_bytes_max = 40\neval_steps_max = 12"));
    let text = asking("User::\"u\"", r#"{"mfa": true}"#, "");
    let answers = check(&decider, &text, &DecideOptions::STANDARD);
    assert_eq!((answers[0].reason, answers[8].reason), (Reason::Permitted, Reason::Permitted));
    let tight = self::decider(&bundle("[limits]\nrequest_text_bytes_max = 25"));
    let answers = check(&tight, &text, &DecideOptions::STANDARD);
    assert_eq!((answers[0].reason, answers[5].reason), (Reason::Permitted, Reason::Limit));
    let slow = self::decider(&bundle("[limits]\neval_steps_max = 2"));
    let answers = check(&slow, &text, &DecideOptions::STANDARD);
    assert!(answers.iter().all(|answer| answer.effect == Effect::Deny), "{answers:?}");
}

#[test]
fn without_a_bundle_each_is_denied() {
    let answers =
        check(&Decider::no_bundle(), &asking("User::\"u\"", "{}", ""), &DecideOptions::STANDARD);
    assert_eq!(answers.len(), RESOURCES.len());
    assert!(answers.iter().all(|answer| answer.reason == Reason::NoBundle));
}

#[test]
fn a_filter_asks_nothing_of_the_heap() {
    let decider = decider(&bundle(""));
    let arena = Arena::new();
    let bundle = decider.bundle().map(Arc::as_ref);
    let text = asking("User::\"u\"", r#"{"mfa": false}"#, "");
    let request = read_request(&text, bundle, &arena, &RequestLimits::STANDARD).unwrap();
    let uids = uids();
    let mut scratch = Scratch::new();
    let mut run = || {
        let mut allowed = 0;
        decider.filter(&mut scratch, &request, &uids, &DecideOptions::STANDARD, |_, answer| {
            allowed += usize::from(answer.is_allowed());
        });
        allowed
    };
    let warm: usize = (0..4).map(|_| run()).sum();
    let (allowed, used) = measure(run);
    assert_eq!((allowed * 4, used.calls), (warm, 0));
}

#[test]
fn the_effect_alone_is_told_without_looking_at_everything() {
    let policies = r#"
        @id("p1") permit(principal, action, resource);
        @id("p2") permit(principal, action, resource) when { context.n > 1 };
        @id("f1") forbid(principal, action == Action::"b", resource);
        @id("f2") forbid(principal, action == Action::"b", resource) when { context.n > 1 };
        @id("e") forbid(principal, action == Action::"c", resource) when { context.missing };"#;
    let manifest = format!("{MANIFEST}entities_complete = false\n");
    let mut desk = desk::Desk::folder(&[("bundle.toml", manifest.as_str()), ("p.cedar", policies)]);
    let options = DecideOptions { effect_only: true, ..DecideOptions::STANDARD };
    let mut ask = |action: &str| {
        let text = request("U::\"u\"", &format!("Action::\"{action}\""), "D::\"d\"", r#"{"n": 2}"#);
        let (whole, only) = (desk.ask(&text), desk.ask_with(&text, &options));
        assert_eq!((only.effect, only.reason), (whole.effect, whole.reason), "{action}");
        assert_eq!(only.policies.len().min(1), whole.policies.len().min(1), "{action}");
        assert!(only.policies.iter().all(|id| whole.policies.contains(id)), "{action}");
        (whole.policies.len(), only.policies.len())
    };
    assert_eq!(ask("a"), (2, 1), "one permit is enough");
    assert_eq!(ask("b"), (2, 1), "one forbid is enough");
    assert_eq!(ask("c"), (0, 0), "a forbid that fails denies");
}

#[test]
fn memory_may_go_from_bundle_to_bundle() {
    // Attributes stand at other places, under the same shape numbers.
    let one = r#"[{"uid": {"type": "U", "id": "u"}, "attrs": {"a": 1, "b": 2}, "parents": []}]"#;
    let other =
        r#"[{"uid": {"type": "U", "id": "u"}, "attrs": {"b": 1, "c": 3, "a": 2}, "parents": []}]"#;
    let policies = |n: i64| {
        format!(
            "@id(\"p\") permit(principal, action, resource) when {{ principal.a == {n} }};\n@id(\"q\") permit(principal, action, resource) when {{ principal.a == 9 }};"
        )
    };
    let load = |entities: &str, n| decider(&desk::compile_loose(&policies(n), entities).unwrap());
    let deciders = [load(one, 1), load(other, 2)];
    let (mut scratch, arena) = (Scratch::new(), Arena::new());
    let text = request("U::\"u\"", "Action::\"a\"", "D::\"d\"", "{}");
    let request = read_request(&text, None, &arena, &RequestLimits::STANDARD).unwrap();
    for _ in 0..3 {
        for decider in &deciders {
            let answer = decider.decide_with(&mut scratch, &request, &DecideOptions::STANDARD);
            assert_eq!(answer.reason(), Reason::Permitted);
        }
    }
}
