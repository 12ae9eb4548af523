//! Messages as they are read and written.

#![expect(clippy::unwrap_used, reason = "a test stops at the first surprise")]

mod against_prost;
mod merging;
mod random;
mod refusals;

use pdp_core::json::Arena;
use pdp_core::{Datetime, Decimal, Duration};
use prost::Message;

use super::*;

const NOW: Datetime = Datetime(1_780_000_000_000);

fn name(entity_type: &str, id: &str) -> pb::EntityUid {
    pb::EntityUid { r#type: entity_type.to_owned(), id: id.to_owned() }
}

fn value(kind: Kind) -> pb::Value {
    pb::Value { kind: Some(kind) }
}

fn entry(key: &str, kind: Kind) -> pb::Entry {
    pb::Entry { key: key.to_owned(), value: Some(value(kind)) }
}

fn record(entries: Vec<pb::Entry>) -> Kind {
    Kind::Record(pb::Record { entries })
}

fn set(elements: Vec<pb::Value>) -> Kind {
    Kind::Set(pb::Set { elements })
}

fn question() -> pb::AuthorizeRequest {
    pb::AuthorizeRequest {
        principal: Some(name("User", "alice")),
        action: Some(name("Action", "view")),
        resource: Some(name("Docs::Document", "")),
        ..pb::AuthorizeRequest::default()
    }
}

fn with_context(context: Vec<pb::Entry>) -> pb::AuthorizeRequest {
    pb::AuthorizeRequest { context, ..question() }
}

/// Reads `message` and hands the request to `look`.
#[track_caller]
fn accepted(message: &pb::AuthorizeRequest, look: impl FnOnce(&Request<'_>)) {
    let arena = Arena::new();
    let bytes = message.encode_to_vec();
    look(&read_request(&bytes, NOW, &arena, VALUE_DEPTH_MAX).unwrap());
}

#[track_caller]
fn refused(message: &pb::AuthorizeRequest, expected: &str) {
    assert_eq!(refusal(&message.encode_to_vec(), VALUE_DEPTH_MAX), expected);
}

/// Why these bytes are refused.
#[track_caller]
fn refusal(bytes: &[u8], depth_max: u32) -> String {
    read_request(bytes, NOW, &Arena::new(), depth_max).unwrap_err().to_string()
}

/// Refused in the context, under the key `x`.
#[track_caller]
fn refused_value(kind: Kind, expected: &str) {
    refused(&with_context(vec![entry("x", kind)]), expected);
}

// === what is read ===

#[test]
fn a_plain_question_is_read_with_the_time_of_the_server() {
    accepted(&question(), |request| {
        assert_eq!(request.principal, Uid::new("User", "alice"));
        assert_eq!(request.action, Uid::new("Action", "view"));
        assert_eq!(request.resource, Uid::new("Docs::Document", ""));
        assert_eq!(request.now, Some(NOW));
        assert!(request.context.is_empty() && request.entities.is_empty());
        assert!(
            request.on_behalf_of.is_none()
                && request.actors.is_empty()
                && request.scopes.is_empty()
        );
    });
}

#[test]
fn every_kind_of_value_is_read_and_written() {
    let ip = |text: &str| Value::Ip(text.parse().unwrap());
    let kinds = [
        (Kind::Boolean(false), Value::Bool(false)),
        (Kind::Long(i64::MIN), Value::Long(i64::MIN)),
        (Kind::String("\0 ü\u{301}".to_owned()), Value::String("\0 ü\u{301}")),
        (Kind::Entity(name("A::B_1", "\"")), Value::Entity(Uid::new("A::B_1", "\""))),
        (set(vec![]), Value::Set(&[])),
        (
            set(vec![value(Kind::Long(1)), value(Kind::Long(1)), value(Kind::Boolean(true))]),
            Value::Set(&[Value::Long(1), Value::Long(1), Value::Bool(true)]),
        ),
        (record(vec![]), Value::Record(&[])),
        (
            record(vec![entry("b", Kind::Long(2)), entry("", Kind::Long(1))]),
            Value::Record(&[("b", Value::Long(2)), ("", Value::Long(1))]),
        ),
        (Kind::DecimalTenThousandths(-123_400), Value::Decimal("-12.34".parse().unwrap())),
        (Kind::Ip("10.0.0.0/8".to_owned()), ip("10.0.0.0/8")),
        (Kind::Ip("0:0:0:0:0:ffff:102:304/128".to_owned()), ip("::ffff:102:304")),
        (Kind::DatetimeMs(-1), Value::Datetime(Datetime(-1))),
        (Kind::DurationMs(i64::MAX), Value::Duration(Duration(i64::MAX))),
    ];
    for (kind, expected) in kinds {
        let message = with_context(vec![entry("x", kind)]);
        accepted(&message, |request| {
            assert_eq!(request.context, [("x", expected)]);
            let written = write(&Request { now: None, ..*request }).unwrap();
            assert_eq!(written, message);
        });
    }
}

#[test]
fn an_address_without_a_range_is_the_range_of_one() {
    accepted(&with_context(vec![entry("x", Kind::Ip("::1".to_owned()))]), |request| {
        assert_eq!(request.context, [("x", Value::Ip("::1/128".parse().unwrap()))]);
    });
}

#[test]
fn delegation_and_entities_are_read_whole() {
    let message = pb::AuthorizeRequest {
        on_behalf_of: Some(name("User", "bob")),
        actors: vec![name("Agent", "a"), name("Agent", "b")],
        scopes: vec!["crm:read".to_owned(), String::new()],
        entities: vec![pb::Entity {
            uid: Some(name("User", "new")),
            parents: vec![name("Group", "g")],
            attributes: vec![entry("mfa", Kind::Boolean(true))],
            tags: vec![entry("t", Kind::Long(7))],
        }],
        ..question()
    };
    accepted(&message, |request| {
        assert_eq!(delegation_fields(request), ["on_behalf_of", "actors", "scopes"]);
        assert_eq!(request.on_behalf_of, Some(Uid::new("User", "bob")));
        assert_eq!(request.actors, [Uid::new("Agent", "a"), Uid::new("Agent", "b")]);
        assert_eq!(request.scopes, ["crm:read", ""]);
        let [entity] = request.entities else { unreachable!("one entity was sent") };
        assert_eq!(entity.uid, Uid::new("User", "new"));
        assert_eq!(entity.parents, [Uid::new("Group", "g")]);
        assert_eq!(entity.attrs, [("mfa", Value::Bool(true))]);
        assert_eq!(entity.tags, [("t", Value::Long(7))]);
        assert_eq!(write(&Request { now: None, ..*request }).unwrap(), message);
    });
}

#[test]
fn each_statement_of_delegation_is_seen() {
    accepted(&question(), |request| assert!(delegation_fields(request).is_empty()));
    let bob = || name("User", "bob");
    for (message, stated) in [
        (pb::AuthorizeRequest { on_behalf_of: Some(bob()), ..question() }, "on_behalf_of"),
        (pb::AuthorizeRequest { actors: vec![bob()], ..question() }, "actors"),
        (pb::AuthorizeRequest { scopes: vec![String::new()], ..question() }, "scopes"),
    ] {
        accepted(&message, |request| assert_eq!(delegation_fields(request), [stated]));
    }
}
