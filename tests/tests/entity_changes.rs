//! Entities that change after a bundle was compiled: what is seen, what is refused, and that it is all or nothing.
//!
//! That the answers are Cedar's is the differential test's to show; here is what it does not draw.
#![expect(clippy::unwrap_used, reason = "test code fails loudly")]

use std::sync::Arc;

use pdp_core::{
    Bundle, ChangeError, DecideOptions, Decider, EntityChange, InlineEntity, LoadLimits,
    OverlayLimits, OverlaySize, Request, Scratch, Uid, Value,
};
use pdp_tests::desk::{MANIFEST, compile, compile_loose};

const SCHEMA: &str = r#"
entity Group in [Group];
entity User in [Group] { level: Long, note?: String } tags Long;
entity Colour enum ["red"];
action act appliesTo { principal: User, resource: User };
"#;
const ACT: Uid<'static> = Uid::new("Action", "act");

fn decider(bytes: &[u8]) -> Decider {
    Decider::new(Arc::new(Bundle::load(bytes, &LoadLimits::STANDARD).unwrap()))
}

fn loose(policies: &str, entities: &str) -> Decider {
    decider(&compile_loose(policies, entities).unwrap())
}

fn strict(policies: &str) -> Decider {
    let files = [
        ("bundle.toml", MANIFEST),
        ("schema.cedarschema", SCHEMA),
        ("p.cedar", policies),
        ("entities/all.json", "[]"),
    ];
    decider(&compile(&files).unwrap())
}

fn upsert<'a>(
    uid: Uid<'a>,
    attrs: &'a [(&'a str, Value<'a>)],
    parents: &'a [Uid<'a>],
) -> EntityChange<'a> {
    EntityChange::Upsert(InlineEntity { uid, attrs, parents, tags: &[] })
}

fn change(decider: &Decider, changes: &[EntityChange<'_>]) -> Result<Decider, ChangeError> {
    decider.with_entities(changes, &OverlayLimits::STANDARD)
}

fn allows(decider: &Decider, principal: Uid<'_>, resource: Uid<'_>) -> bool {
    let request = Request::new(principal, ACT, resource, &[]);
    decider.decide_with(&mut Scratch::new(), &request, &DecideOptions::STANDARD).is_allowed()
}

const fn user(id: &str) -> Uid<'_> {
    Uid::new("User", id)
}

const fn group(id: &str) -> Uid<'_> {
    Uid::new("Group", id)
}

#[test]
fn what_is_new_is_seen_by_the_next_decider_and_by_no_earlier_one() {
    let first = loose(r#"permit(principal in Group::"a", action, resource);"#, "[]");
    let second = change(&first, &[upsert(user("u"), &[], &[group("a")])]).unwrap();
    let third = change(&second, &[EntityChange::Remove(user("u"))]).unwrap();
    let seen = [&first, &second, &third].map(|decider| allows(decider, user("u"), user("u")));
    assert_eq!(seen, [false, true, false]);
    // One scratch meets all of them in turn.
    let mut scratch = Scratch::new();
    for (decider, allowed) in [(&second, true), (&first, false), (&third, false), (&second, true)] {
        let request = Request::new(user("u"), ACT, user("u"), &[]);
        let answer = decider.decide_with(&mut scratch, &request, &DecideOptions::STANDARD);
        assert_eq!(answer.is_allowed(), allowed);
    }
}

#[test]
fn a_group_that_is_moved_takes_those_below_it_along() {
    let entities = r#"[{"uid": {"type": "User", "id": "u"}, "attrs": {}, "parents": [{"type": "Group", "id": "a"}]},
        {"uid": {"type": "Group", "id": "a"}, "attrs": {}, "parents": [{"type": "Group", "id": "x"}]}]"#;
    let first = loose(r#"permit(principal in Group::"x", action, resource);"#, entities);
    let moved = change(&first, &[upsert(group("a"), &[], &[group("y")])]).unwrap();
    let further = change(&moved, &[upsert(group("y"), &[], &[group("x")])]).unwrap();
    let cut = change(&further, &[EntityChange::Remove(group("y"))]).unwrap();
    let seen = [&first, &moved, &further, &cut].map(|d| allows(d, user("u"), user("u")));
    assert_eq!(seen, [true, false, true, false]);
    assert_eq!(moved.overlay_size().entities, 2, "the group and the one below it");
}

#[test]
fn a_parent_is_named_although_it_was_removed_as_if_compiled_without_it() {
    let entities = r#"[{"uid": {"type": "User", "id": "u"}, "attrs": {}, "parents": [{"type": "Group", "id": "a"}]},
        {"uid": {"type": "Group", "id": "a"}, "attrs": {}, "parents": []}]"#;
    let first = loose(r#"permit(principal in Group::"a", action, resource);"#, entities);
    let second = change(&first, &[EntityChange::Remove(group("a"))]).unwrap();
    let without = loose(
        r#"permit(principal in Group::"a", action, resource);"#,
        r#"[{"uid": {"type": "User", "id": "u"}, "attrs": {}, "parents": [{"type": "Group", "id": "a"}]}]"#,
    );
    let seen = [&second, &without].map(|decider| allows(decider, user("u"), user("u")));
    assert_eq!(seen, [true, true]);
}

#[test]
fn a_literal_may_name_what_only_the_overlay_stores_and_strings_agree_with_the_request() {
    let policy = r#"permit(principal, action, resource)
        when { User::"boss".names.contains(resource.name) && User::"boss".level > 1 };"#;
    let first = loose(policy, "[]");
    let names = [Value::String("new"), Value::String("other")];
    let boss = [("names", Value::Set(&names)), ("level", Value::Long(2))];
    let name = [("name", Value::String("new"))];
    let changes = [upsert(user("boss"), &boss, &[]), upsert(user("r"), &name, &[])];
    let second = change(&first, &changes).unwrap();
    assert!(!allows(&first, user("u"), user("r")));
    assert!(allows(&second, user("u"), user("r")));
    // The same text comes with a request.
    let inline = [InlineEntity { uid: user("i"), attrs: &name, parents: &[], tags: &[] }];
    let request = Request { entities: &inline, ..Request::new(user("u"), ACT, user("i"), &[]) };
    let options = DecideOptions::STANDARD;
    assert!(second.decide_with(&mut Scratch::new(), &request, &options).is_allowed());
}

#[test]
fn a_request_may_bring_what_was_removed_and_not_what_was_added() {
    let entities = r#"[{"uid": {"type": "User", "id": "u"}, "attrs": {}, "parents": []}]"#;
    let first = loose(r#"permit(principal, action, resource in Group::"a");"#, entities);
    let removed = change(&first, &[EntityChange::Remove(user("u"))]).unwrap();
    let added = change(&removed, &[upsert(user("v"), &[], &[group("a")])]).unwrap();
    let ask = |decider: &Decider, id: &str, of: &str| {
        let uid = user(id);
        let parents = [group(of)];
        let inline = [InlineEntity { uid, attrs: &[], parents: &parents, tags: &[] }];
        let request = Request { entities: &inline, ..Request::new(uid, ACT, uid, &[]) };
        let mut scratch = Scratch::new();
        let answer = decider.decide_with(&mut scratch, &request, &DecideOptions::STANDARD);
        answer.reason().as_str().to_owned()
    };
    assert_eq!(ask(&first, "u", "a"), "invalid_request");
    assert_eq!(ask(&removed, "u", "a"), "permitted");
    assert_eq!(ask(&added, "u", "b"), "not_permitted");
    assert_eq!(ask(&added, "v", "a"), "invalid_request");
}

#[test]
fn an_explanation_sees_the_change() {
    let first = loose(
        r#"permit(principal in Group::"a", action, resource) when { principal.level > 5 };"#,
        "[]",
    );
    let level = [("level", Value::Long(3))];
    let second = change(&first, &[upsert(user("u"), &level, &[group("a")])]).unwrap();
    let request = Request::new(user("u"), ACT, user("u"), &[]);
    let explained = second.explain(&mut Scratch::new(), &request, &DecideOptions::STANDARD);
    let nearest = explained.legs.first().and_then(|leg| leg.nearest.first()).unwrap();
    assert_eq!(nearest.actual, "3");
}

#[test]
fn what_does_not_fit_is_refused_whole() {
    let strict = strict("permit(principal, action, resource);");
    let level = [("level", Value::Long(1))];
    let text = [("level", Value::String("1"))];
    let more = [("level", Value::Long(1)), ("extra", Value::Long(1))];
    let twice = [("level", Value::Long(1)), ("level", Value::Long(1))];
    let good = upsert(user("good"), &level, &[]);
    let parents = [user("v")];
    let bad = [
        (upsert(user("u"), &[], &[]), "entity User::\"u\" lacks `level`"),
        (upsert(user("u"), &text, &[]), "entity User::\"u\".level must be a Long, not a String"),
        (upsert(user("u"), &more, &[]), "has `extra`, which the schema does not declare"),
        (upsert(user("u"), &twice, &[]), "entity User::\"u\": a record has a key twice"),
        (upsert(user("u"), &level, &parents), "may not have the ancestor User::\"v\""),
        (upsert(Uid::new("Colour", "blue"), &[], &[]), "is not one of its enumerated type"),
        (upsert(ACT, &[], &[]), "is of a type that the schema does not declare"),
        (EntityChange::Remove(ACT), "is of a type that the schema does not declare"),
        (upsert(Uid::new("New", "n"), &[], &[]), "is of a type that the schema does not declare"),
    ];
    for (bad, message) in bad {
        let error = change(&strict, &[good, bad]).unwrap_err();
        assert_eq!(error.code(), "invalid_entity");
        assert!(error.to_string().contains(message), "{error}");
    }
    let tag = [("t", Value::Bool(true))];
    let tagged = InlineEntity { uid: user("u"), attrs: &level, tags: &tag, parents: &[] };
    assert!(change(&strict, &[EntityChange::Upsert(tagged)]).is_err());
    assert_eq!(strict.overlay_size(), OverlaySize::default());
    assert!(change(&strict, &[good, upsert(Uid::new("Colour", "red"), &[], &[])]).is_ok());
}

#[test]
fn nobody_becomes_their_own_ancestor() {
    let entities = r#"[{"uid": {"type": "Group", "id": "a"}, "attrs": {}, "parents": [{"type": "Group", "id": "b"}]}]"#;
    let first = loose("permit(principal, action, resource);", entities);
    let round = change(&first, &[upsert(group("b"), &[], &[group("c")])]).unwrap();
    for (from, to) in [("c", "a"), ("c", "b"), ("c", "c"), ("b", "a")] {
        let parents = [group(to)];
        let error = change(&round, &[upsert(group(from), &[], &parents)]).unwrap_err();
        assert_eq!(error.code(), "entity_cycle");
        assert!(error.to_string().contains("would be its own ancestor"), "{error}");
    }
    // On the way there may be one, if none is left in the end.
    let parents = [group("a")];
    let changes = [upsert(group("c"), &[], &parents), upsert(group("a"), &[], &[])];
    assert!(change(&round, &changes).is_ok());
}

#[test]
fn limits_refuse_more_and_a_decider_without_bundle_has_no_entities() {
    let first = loose("permit(principal, action, resource);", "[]");
    let name = [("name", Value::String("something long enough"))];
    let parents = [group("a"), group("b")];
    let changes = [upsert(user("u"), &name, &parents)];
    let none = OverlayLimits::STANDARD;
    for (limits, limit) in [
        (OverlayLimits { entities_max: 0, ..none }, "entities_max"),
        (OverlayLimits { values_max: 0, ..none }, "values_max"),
        (OverlayLimits { text_bytes_max: 10, ..none }, "text_bytes_max"),
        (OverlayLimits { ancestors_max: 1, ..none }, "ancestors_max"),
    ] {
        let error = first.with_entities(&changes, &limits).unwrap_err();
        assert_eq!(error.code(), "overlay_full");
        assert!(error.to_string().contains(limit), "{error}");
    }
    let error = change(&Decider::no_bundle(), &changes).unwrap_err();
    assert_eq!(error.code(), "no_bundle");
}

#[test]
fn a_value_may_not_nest_deeper_than_the_bundle_says() {
    let first = loose("permit(principal, action, resource);", "[]");
    let mut value = Value::Long(1);
    for _ in 0..200 {
        value = Value::Set(Vec::leak(vec![value]));
    }
    let attrs = [("deep", value)];
    let error = change(&first, &[upsert(user("u"), &attrs, &[])]).unwrap_err();
    assert!(error.to_string().contains("value_depth_max"), "{error}");
}

#[test]
fn ten_thousand_changes_leave_what_the_last_of_each_said() {
    let policy = r#"permit(principal in Group::"a", action, resource)
        when { principal.level == 7 && principal.ip == ip("1:2::3") && principal.many.contains("many99") };"#;
    let mut decider = loose(policy, "[]");
    let names: Vec<String> = (0..100).map(|n| format!("many{n}")).collect();
    let many: Vec<Value<'_>> = names.iter().map(|name| Value::String(name)).collect();
    let ids: Vec<String> = (0..500).map(|n| format!("u{n}")).collect();
    for round in 0..20_i64 {
        for (at, id) in (0_i64..).zip(&ids) {
            let level = if round == 19 { at % 10 } else { 7 };
            let attrs = [
                ("level", Value::Long(level)),
                ("ip", Value::Ip("1:2::3".parse().unwrap())),
                ("many", Value::Set(&many)),
            ];
            decider = change(&decider, &[upsert(user(id), &attrs, &[group("a")])]).unwrap();
        }
    }
    for (at, id) in ids.iter().enumerate() {
        assert_eq!(allows(&decider, user(id), user(id)), at % 10 == 7, "{id}");
    }
    assert_eq!(decider.overlay_size().entities, 500);
}

#[test]
fn who_is_in_what_follows_the_changes() {
    let entities = r#"[
        {"uid": {"type": "User", "id": "u"}, "attrs": {}, "parents": [{"type": "Group", "id": "a"}]},
        {"uid": {"type": "Group", "id": "a"}, "attrs": {}, "parents": [{"type": "Group", "id": "t"}]},
        {"uid": {"type": "Group", "id": "t"}, "attrs": {}, "parents": []}
    ]"#;
    let first = loose("permit(principal, action, resource);", entities);
    let is_in = |decider: &Decider| {
        [group("a"), group("t"), group("n")].map(|above| decider.is_in(&user("u"), &above))
    };
    assert_eq!(is_in(&first), [true, true, false]);
    assert!(!first.is_in(&group("t"), &user("u")), "not the other way round");
    // A type that no entity has, and one that is nobody's parent.
    assert!(!first.is_in(&user("nobody"), &group("t")));
    assert!(first.is_in(&user("nobody"), &user("nobody")), "everybody is in itself");
    let moved = change(&first, &[upsert(user("u"), &[], &[group("n")])]).unwrap();
    assert_eq!(is_in(&moved), [false, false, true]);
    let above = change(&first, &[upsert(group("a"), &[], &[])]).unwrap();
    assert_eq!(is_in(&above), [true, false, false]);
    let gone = change(&first, &[EntityChange::Remove(user("u"))]).unwrap();
    assert_eq!(is_in(&gone), [false, false, false]);
    assert!(!Decider::no_bundle().is_in(&user("u"), &group("a")));
}
