//! Entities that come with a request, and the schema: they fit it as stored ones do, or are refused by name.
#![expect(clippy::unwrap_used, reason = "test code fails loudly")]

use pdp_core::{DecideOptions, Reason};
use pdp_tests::desk::{Desk, MANIFEST, request};

const SCHEMA: &str = "
entity G in [G];
entity Colour enum [\"red\", \"blue\"];
entity U in [G] = { level: Long, mfa?: Bool, paint?: Colour, box?: { at: datetime, net?: ipaddr, deep?: { er: Set<Long> } } } tags Set<String>;
entity D;
action a appliesTo { principal: U, resource: D, context: {} };
";
const STORE: &str = r#"[
    {"uid": {"type": "G", "id": "g"}, "attrs": {}, "parents": []},
    {"uid": {"type": "U", "id": "u"}, "attrs": {"level": 1}, "parents": [{"type": "G", "id": "g"}]}]"#;

fn desk() -> Desk {
    let manifest = format!("{MANIFEST}[caller_attributes]\nU = [\"mfa\", \"box\"]\n");
    Desk::folder(&[
        ("bundle.toml", manifest.as_str()),
        ("schema.cedarschema", SCHEMA),
        ("p.cedar", "@id(\"p\") permit(principal, action, resource);"),
        ("entities/e.json", STORE),
    ])
}

fn asking(principal: &str, entities: &str) -> String {
    let plain = request(principal, "Action::\"a\"", "D::\"d\"", "{}");
    format!("{},\"entities\":[{entities}]}}", plain.strip_suffix('}').unwrap())
}

/// `None`: the entity fits. Else it is refused, by the reader or by validation, in words that hold all of these.
#[track_caller]
fn check(desk: &mut Desk, entity: &str, expect: Option<&[&str]>) {
    let text = asking("U::\"new\"", entity);
    let message = match desk.try_ask(&text, &DecideOptions::STANDARD) {
        Ok(answer) if answer.reason == Reason::Permitted => None,
        Ok(answer) => {
            assert_eq!(answer.reason, Reason::InvalidRequest, "{entity}: {answer:?}");
            Some(answer.message)
        }
        Err(error) => Some(error),
    };
    assert_eq!(message.is_none(), expect.is_none(), "{entity}: {message:?}");
    for part in expect.unwrap_or_default() {
        assert!(message.as_ref().is_some_and(|m| m.contains(part)), "{entity}: {message:?}");
    }
}

/// A new user with attributes, tags and parents.
fn user(attrs: &str, tags: &str, parents: &str) -> String {
    format!(r#"{{"uid": "U::\"new\"", "attrs": {attrs}, "tags": {tags}, "parents": [{parents}]}}"#)
}

#[test]
fn what_fits_is_taken() {
    let mut desk = desk();
    check(&mut desk, &user(r#"{"level": 1}"#, "{}", ""), None);
    check(
        &mut desk,
        &user(r#"{"level": 1}"#, r#"{"t": ["x"], "any tag": []}"#, r#""G::\"g\"","G::\"new\"""#),
        None,
    );
    let full = r#"{"level": -1, "mfa": true, "paint": {"type": "Colour", "id": "red"},
        "box": {"at": "2026-01-01", "net": "10.0.0.0/8", "deep": {"er": [1, 2]}}}"#;
    check(&mut desk, &user(full, "{}", ""), None);
    check(&mut desk, r#"{"uid": "Colour::\"red\""}"#, None);
    check(
        &mut desk,
        r#"{"uid": "U::\"u\"", "attrs": {"mfa": true, "box": {"at": "2026-01-01"}}}"#,
        None,
    );
}

#[test]
fn what_does_not_fit_is_refused_and_named() {
    let mut desk = desk();
    let owner = "U::\"new\"";
    for (attrs, parts) in [
        ("{}", &[owner, "`level`"][..]),
        (r#"{"mfa": true}"#, &[owner, "`level`"]),
        (r#"{"level": "1"}"#, &[owner, "level", "Long", "String"]),
        (r#"{"level": true}"#, &[owner, "level", "Long", "Bool"]),
        (r#"{"level": [1]}"#, &[owner, "level", "Long", "set"]),
        (r#"{"level": 1, "lvl": 1}"#, &[owner, "`lvl`"]),
        (r#"{"level": 1, "mfa": 1}"#, &[owner, "mfa", "Bool"]),
        (
            r#"{"level": 1, "paint": {"type": "Colour", "id": "green"}}"#,
            &[owner, "paint", "Colour::\"green\""],
        ),
        (r#"{"level": 1, "paint": {"type": "G", "id": "g"}}"#, &[owner, "paint", "`Colour`"]),
        (r#"{"level": 1, "box": {}}"#, &[owner, "box", "`at`"]),
        (r#"{"level": 1, "box": {"at": "2026-01-01", "x": 1}}"#, &[owner, "box", "`x`"]),
        (r#"{"level": 1, "box": {"at": "noon"}}"#, &["box.at", "`noon`"]),
        (
            r#"{"level": 1, "box": {"at": {"fn": "ip", "arg": "10.0.0.1"}}}"#,
            &[owner, "box.at", "datetime"],
        ),
        (
            r#"{"level": 1, "box": {"at": "2026-01-01", "net": {"fn": "decimal", "arg": "1.0"}}}"#,
            &[owner, "box.net", "ipaddr"],
        ),
        (
            r#"{"level": 1, "box": {"at": "2026-01-01", "deep": {"er": [1, "2"]}}}"#,
            &[owner, "box.deep.er", "Long"],
        ),
    ] {
        check(&mut desk, &user(attrs, "{}", ""), Some(parts));
    }
}

#[test]
fn tags_and_ancestors_that_do_not_fit_are_refused_and_named() {
    let mut desk = desk();
    let level = r#"{"level": 1}"#;
    check(&mut desk, &user(level, r#"{"t": [1]}"#, ""), Some(&["U::\"new\"", "t", "String"]));
    check(&mut desk, &user(level, "{}", r#""U::\"u\"""#), Some(&["U::\"new\"", "U::\"u\""]));
    check(&mut desk, &user(level, "{}", r#""X::\"x\"""#), Some(&["U::\"new\"", "X::\"x\""]));
    check(
        &mut desk,
        &user(level, "{}", r#""Action::\"a\"""#),
        Some(&["U::\"new\"", "Action::\"a\""]),
    );
    check(&mut desk, r#"{"uid": "G::\"new\"", "tags": {"t": 1}}"#, Some(&["G::\"new\"", "`t`"]));
    check(&mut desk, r#"{"uid": "G::\"new\"", "attrs": {"t": 1}}"#, Some(&["G::\"new\"", "`t`"]));
}

#[test]
fn names_that_the_schema_does_not_have_are_refused() {
    let mut desk = desk();
    check(&mut desk, r#"{"uid": "X::\"x\""}"#, Some(&["X::\"x\"", "does not declare"]));
    check(&mut desk, r#"{"uid": "Colour::\"green\""}"#, Some(&["Colour::\"green\"", "enumerated"]));
    check(&mut desk, r#"{"uid": "Action::\"a\"", "parents": []}"#, Some(&["Action::\"a\""]));
    check(&mut desk, r#"{"uid": "Action::\"b\""}"#, Some(&["Action::\"b\""]));
}

#[test]
fn attributes_that_callers_supply_must_fit_too() {
    let mut desk = desk();
    let supplied = |attrs: &str| format!(r#"{{"uid": "U::\"u\"", "attrs": {attrs}}}"#);
    check(&mut desk, &supplied(r#"{"mfa": 1}"#), Some(&["mfa", "Bool"]));
    check(&mut desk, &supplied(r#"{"box": {}}"#), Some(&["box", "`at`"]));
    check(&mut desk, &supplied(r#"{"box": {"at": "2026-01-01", "net": 1}}"#), Some(&["box.net"]));
    check(&mut desk, &supplied(r#"{"level": 2}"#), Some(&["`level`"]));
}
