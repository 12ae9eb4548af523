//! Entities that come with a request: new names only, gone with the request, and nothing stored changes by them.
//!
//! What a caller sends must fit in beside the store or be refused as a whole; silently dropping a part of it could
//! take a forbid its grounds. Every answer is asked of the index and without it.
#![expect(clippy::unwrap_used, reason = "test code fails loudly")]

use pdp_core::{DecideOptions, Effect, OwnedAnswer, Reason};
use pdp_tests::desk::{Desk, MANIFEST, if_it_ends, request};

/// `top` above `mid` above `u`; `orphan`'s parent and the owner of `d` are in no store.
const STORE: &str = r#"[
    {"uid": {"type": "G", "id": "top"}, "attrs": {}, "parents": []},
    {"uid": {"type": "G", "id": "mid"}, "attrs": {}, "parents": [{"type": "G", "id": "top"}]},
    {"uid": {"type": "U", "id": "u"}, "attrs": {"level": 1, "mfa": false}, "parents": [{"type": "G", "id": "mid"}]},
    {"uid": {"type": "U", "id": "orphan"}, "attrs": {}, "parents": [{"type": "G", "id": "gone"}]},
    {"uid": {"type": "D", "id": "d"}, "attrs": {"owner": {"__entity": {"type": "U", "id": "u"}}}, "parents": []}]"#;

fn desk(manifest: &str, policies: &str) -> Desk {
    let manifest = format!("{MANIFEST}entities_complete = false\n{manifest}\n");
    Desk::folder(&[
        ("bundle.toml", manifest.as_str()),
        ("p.cedar", policies),
        ("entities/e.json", STORE),
    ])
}

/// A request for `principal` with entities.
fn asking(principal: &str, entities: &str) -> String {
    let plain = request(principal, "Action::\"a\"", "D::\"d\"", "{}");
    format!("{},\"entities\":[{entities}]}}", plain.strip_suffix('}').unwrap())
}

/// The answer, which must be the same with and without the index.
#[track_caller]
fn answer(desk: &mut Desk, text: &str) -> OwnedAnswer {
    let indexed = desk.ask(text);
    let options = DecideOptions { all_policies: true, ..DecideOptions::STANDARD };
    assert_eq!(desk.ask_with(text, &options), indexed, "{text}");
    indexed
}

#[track_caller]
fn holds(condition: &str, principal: &str, entities: &str, expect: bool) {
    let policies =
        format!("@id(\"p\") permit(principal, action, resource) when {{ {condition} }};");
    let answer = answer(&mut desk("", &policies), &asking(principal, entities));
    assert_eq!(answer.effect == Effect::Allow, expect, "{condition} with {entities}: {answer:?}");
    assert!(answer.errors.is_empty(), "{condition} with {entities}: {answer:?}");
}

#[track_caller]
fn refused(desk: &mut Desk, entities: &str, reason: Reason, part: &str) {
    let answer = answer(desk, &asking("U::\"u\"", entities));
    assert_eq!((answer.effect, answer.reason), (Effect::Deny, reason), "{entities}: {answer:?}");
    assert!(answer.message.contains(part), "{entities}: {}", answer.message);
}

const ANY: &str = "@id(\"p\") permit(principal, action, resource);";

// === what arrives is there ===

#[test]
fn an_entity_that_arrives_has_its_attributes_tags_and_parents() {
    let new = r#"{"uid": "U::\"new\"", "attrs": {"level": 3, "r": {"k": [1]}}, "tags": {"t": "x"},
        "parents": [{"type": "G", "id": "mid"}, "G::\"nowhere\""]}"#;
    let who = "U::\"new\"";
    holds("principal.level == 3 && principal.r.k.contains(1)", who, new, true);
    holds(
        "principal.hasTag(\"t\") && principal.getTag(\"t\") == \"x\" && !principal.hasTag(\"level\")",
        who,
        new,
        true,
    );
    holds(
        "principal in G::\"mid\" && principal in G::\"top\" && principal in G::\"nowhere\"",
        who,
        new,
        true,
    );
    holds(
        "principal in G::\"else\" || principal in G::\"gone\" || principal in U::\"u\"",
        who,
        new,
        false,
    );
    holds("principal has mfa || principal has t", who, new, false);
    // Who came with another request's entity is not there.
    holds("principal has level", "U::\"newer\"", new, false);
}

#[test]
fn an_entity_is_gone_with_its_request() {
    let mut desk = desk("", "@id(\"p\") permit(principal in G::\"top\", action, resource);");
    let new = r#"{"uid": "U::\"new\"", "parents": ["G::\"mid\""]}"#;
    for _ in 0..2 {
        assert_eq!(answer(&mut desk, &asking("U::\"new\"", new)).reason, Reason::Permitted);
        assert_eq!(answer(&mut desk, &asking("U::\"new\"", "")).reason, Reason::NotPermitted);
    }
}

#[test]
fn scopes_see_parents_that_arrive() {
    let policies = "@id(\"in\") permit(principal in G::\"top\", action, resource);
        @id(\"is-in\") permit(principal is U in G::\"mid\", action, resource);
        @id(\"is-in-other\") permit(principal is V in G::\"mid\", action, resource);
        @id(\"set\") permit(principal, action, resource) when { [G::\"top\", G::\"x\"].contains(G::\"top\") && principal in [G::\"x\", G::\"mid\"] };
        @id(\"lifted\") permit(principal, action, resource) when { principal in [G::\"x\", G::\"mid\"] };
        @id(\"eq\") permit(principal == U::\"named\", action, resource);
        @id(\"is\") permit(principal is U, action, resource);
        @id(\"owner\") permit(principal, action, resource) when { resource.owner in G::\"top\" };";
    let mut desk = desk("", policies);
    let mut check = |name: &str, parents: &str, expect: &[&str]| {
        let new = format!(r#"{{"uid": {name}, "parents": [{parents}]}}"#);
        let principal: String = serde_json::from_str(name).unwrap();
        assert_eq!(answer(&mut desk, &asking(&principal, &new)).policies, expect, "{new}");
    };
    let (mid, top) = (r#""G::\"mid\"""#, r#""G::\"top\"""#);
    check(r#""U::\"new\"""#, mid, &["in", "is-in", "set", "lifted", "is", "owner"]);
    check(r#""U::\"new\"""#, top, &["in", "is", "owner"]);
    check(r#""U::\"new\"""#, "", &["is", "owner"]);
    // A name that only policies know.
    check(r#""U::\"named\"""#, mid, &["in", "is-in", "set", "lifted", "eq", "is", "owner"]);
    check(r#""U::\"named\"""#, "", &["eq", "is", "owner"]);
    check(r#""V::\"new\"""#, mid, &["in", "is-in-other", "set", "lifted", "owner"]);
    check(r#""W::\"new\"""#, mid, &["in", "set", "lifted", "owner"]);
}

#[test]
fn parents_that_arrive_lead_to_stored_ones_in_any_order() {
    let one = r#"{"uid": "U::\"new\"", "parents": ["T::\"a\""]}"#;
    let two = r#"{"uid": "T::\"a\"", "parents": ["T::\"b\""]}"#;
    let three = r#"{"uid": "T::\"b\"", "parents": ["G::\"mid\"", "G::\"mid\""]}"#;
    for order in [[one, two, three], [three, two, one], [two, three, one]] {
        let condition =
            "principal in T::\"b\" && principal in G::\"top\" && T::\"a\" in G::\"mid\"";
        holds(condition, "U::\"new\"", &order.join(","), true);
    }
    // Without the middle there is no way up.
    holds("principal in G::\"mid\"", "U::\"new\"", &[one, three].join(","), false);
}

// === what is stored stays ===

#[test]
fn a_stored_entity_is_refused() {
    let mut desk = desk("", ANY);
    for (entity, part) in [
        (r#"{"uid": "U::\"u\""}"#, "came again"),
        (r#"{"uid": "U::\"u\"", "attrs": {}, "parents": []}"#, "came again"),
        (r#"{"uid": "U::\"u\"", "attrs": {"level": 1}}"#, "`level`"),
        (r#"{"uid": "U::\"u\"", "attrs": {"unheard of": 1}}"#, "`unheard of`"),
        (r#"{"uid": "U::\"u\"", "parents": ["G::\"mid\""]}"#, "parents"),
        (r#"{"uid": "U::\"u\"", "tags": {"t": 1}}"#, "tags"),
        (r#"{"uid": "G::\"top\"", "parents": ["G::\"x\""]}"#, "parents"),
    ] {
        refused(&mut desk, entity, Reason::InvalidRequest, part);
    }
}

#[test]
fn the_ancestors_of_stored_entities_never_change() {
    let mut desk = desk("", "@id(\"top\") permit(principal in G::\"top\", action, resource);
        @id(\"any\") permit(principal, action, resource) when { principal in G::\"gone\" && G::\"gone\".level == 1 };");
    // `gone` is above `orphan`, so it may come, but with nothing above it.
    refused(
        &mut desk,
        r#"{"uid": "G::\"gone\"", "parents": ["G::\"top\""]}"#,
        Reason::InvalidRequest,
        "G::\"gone\" is an ancestor",
    );
    let alone = r#"{"uid": "G::\"gone\"", "attrs": {"level": 1}}"#;
    assert_eq!(answer(&mut desk, &asking("U::\"orphan\"", alone)).policies, ["any"]);
    // It may be a parent of what comes with it.
    let child = format!(r#"{alone},{{"uid": "U::\"new\"", "parents": ["G::\"gone\""]}}"#);
    assert_eq!(answer(&mut desk, &asking("U::\"new\"", &child)).policies, ["any"]);
}

// === attributes that callers may supply ===

const SUPPLIED: &str = "[caller_attributes]\nU = [\"mfa\", \"note\"]\n";

#[test]
fn a_listed_attribute_replaces_the_stored_one_for_its_request_only() {
    let policies = "@id(\"mfa\") permit(principal, action, resource) when { principal.mfa && principal.level == 1 };
        @id(\"note\") permit(principal, action, resource) when { principal has note && principal.note.k == \"v\" };
        @id(\"path\") permit(principal, action, resource) when { principal has note.k };
        @id(\"owner\") permit(principal, action, resource) when { resource.owner.mfa };";
    let mut desk = desk(SUPPLIED, policies);
    for _ in 0..2 {
        let mfa = r#"{"uid": "U::\"u\"", "attrs": {"mfa": true}}"#;
        // Wherever the entity is reached, it is the same entity.
        assert_eq!(answer(&mut desk, &asking("U::\"u\"", mfa)).policies, ["mfa", "owner"]);
        let note = r#"{"uid": "U::\"u\"", "attrs": {"note": {"k": "v"}}}"#;
        assert_eq!(answer(&mut desk, &asking("U::\"u\"", note)).policies, ["note", "path"]);
        let other = answer(&mut desk, &asking("U::\"other\"", mfa));
        assert_eq!(other.policies, ["owner"]);
        assert!(answer(&mut desk, &asking("U::\"u\"", "")).policies.is_empty());
    }
}

#[test]
fn only_listed_attributes_are_taken_and_each_once() {
    let mut desk = desk(SUPPLIED, ANY);
    for (entities, part) in [
        (r#"{"uid": "U::\"u\"", "attrs": {"mfa": true, "level": 9}}"#, "`level`"),
        (r#"{"uid": "U::\"u\"", "attrs": {"mfa": true}, "parents": ["G::\"top\""]}"#, "parents"),
        (r#"{"uid": "U::\"u\"", "attrs": {"mfa": true}, "tags": {"t": 1}}"#, "tags"),
        (
            r#"{"uid": "U::\"u\"", "attrs": {"mfa": true}},{"uid": "U::\"u\"", "attrs": {"mfa": false}}"#,
            "`mfa`",
        ),
        (r#"{"uid": "U::\"u\""}"#, "came again"),
        (r#"{"uid": "D::\"d\"", "attrs": {"mfa": true}}"#, "`mfa`"),
    ] {
        refused(&mut desk, entities, Reason::InvalidRequest, part);
    }
    let apart =
        r#"{"uid": "U::\"u\"", "attrs": {"mfa": true}},{"uid": "U::\"u\"", "attrs": {"note": 1}}"#;
    assert_eq!(answer(&mut desk, &asking("U::\"u\"", apart)).reason, Reason::Permitted);
}

// === what contradicts itself or is too much ===

#[test]
fn entities_above_themselves_are_refused() {
    let edge =
        |from: &str, to: &str| format!(r#"{{"uid": "T::\"{from}\"", "parents": ["T::\"{to}\""]}}"#);
    let mut desk = desk("", ANY);
    for edges in [
        vec![edge("a", "a")],
        vec![edge("a", "b"), edge("b", "a")],
        vec![edge("a", "b"), edge("b", "c"), edge("c", "a")],
        vec![edge("start", "a"), edge("a", "b"), edge("b", "a")],
    ] {
        refused(&mut desk, &edges.join(","), Reason::InvalidRequest, "is its own ancestor");
    }
    let diamond = r#"{"uid": "T::\"a\"", "parents": ["T::\"b\"", "T::\"c\""]}"#;
    let edges = [diamond.to_owned(), edge("b", "d"), edge("c", "d")].join(",");
    assert_eq!(answer(&mut desk, &asking("T::\"a\"", &edges)).reason, Reason::Permitted);
}

#[test]
fn an_entity_that_comes_twice_is_refused() {
    let new = r#"{"uid": "U::\"new\"", "attrs": {"level": 1}}"#;
    for other in [new, r#"{"uid": {"type": "U", "id": "new"}}"#] {
        refused(
            &mut desk("", ANY),
            &format!("{new},{other}"),
            Reason::InvalidRequest,
            "U::\"new\" came twice",
        );
    }
    let known =
        "@id(\"p\") permit(principal, action, resource) unless { principal == U::\"new\" };";
    refused(
        &mut desk("", known),
        &format!("{new},{new}"),
        Reason::InvalidRequest,
        "U::\"new\" came twice",
    );
}

#[test]
fn what_is_more_than_the_bundle_allows_is_refused() {
    let entity = |id: usize| {
        format!(
            r#"{{"uid": "T::\"{id}\"", "attrs": {{"v": [1, [2]]}}, "parents": ["T::\"{}\""]}}"#,
            id + 1
        )
    };
    let many = |count| (0..count).map(entity).collect::<Vec<_>>().join(",");
    for (limit, fits, part) in [
        ("inline_entities_max = 3", 3, "inline_entities_max"),
        ("inline_ancestors_max = 3", 3, "inline_ancestors_max"),
        ("request_values_max = 12", 3, "request_values_max"),
        ("request_text_bytes_max = 30", 3, "request_text_bytes_max"),
    ] {
        let mut desk = desk(&format!("[limits]\n{limit}\n"), ANY);
        let fitting = answer(&mut desk, &asking("U::\"u\"", &many(fits)));
        assert_eq!(fitting.reason, Reason::Permitted, "{limit}: {fitting:?}");
        refused(&mut desk, &many(fits + 1), Reason::Limit, part);
    }
    let deep = r#"{"uid": "T::\"a\"", "attrs": {"v": [[[1]]]}}"#;
    refused(
        &mut desk("[limits]\nvalue_depth_max = 3\n", ANY),
        deep,
        Reason::Limit,
        "value_depth_max",
    );
    assert_eq!(
        answer(&mut desk("[limits]\nvalue_depth_max = 4\n", ANY), &asking("U::\"u\"", deep)).reason,
        Reason::Permitted
    );
}

#[test]
fn a_deep_store_above_many_entities_is_not_walked_again_and_again() {
    let group = |at: u32| {
        let above = if at == 0 {
            String::new()
        } else {
            format!("{{\"type\":\"G\",\"id\":\"{}\"}}", at - 1)
        };
        format!(
            "{{\"uid\":{{\"type\":\"G\",\"id\":\"{at}\"}},\"attrs\":{{}},\"parents\":[{above}]}}"
        )
    };
    let store: Vec<String> = (0..2_000).map(group).collect();
    let policy = "permit(principal in G::\"0\", action, resource);";
    let mut desk = Desk::loose(policy, &format!("[{}]", store.join(",")));
    let entity = |at: u32| format!(r#"{{"uid": "U::\"{at}\"", "parents": ["G::\"1999\""]}}"#);
    let entities: Vec<String> = (0..1_000).map(entity).collect();
    let text = asking("U::\"999\"", &entities.join(","));
    let reason = if_it_ends(move || desk.ask(&text).reason);
    assert_eq!(reason, Some(Reason::Permitted));
}
