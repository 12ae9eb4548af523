//! Protobuf's rules for what stands twice, each by an example: the last counts, and messages are merged.

use super::*;

/// Two encodings in a row are one message, in which what stands in both stands twice.
#[track_caller]
fn both(first: &impl Message, second: &impl Message) -> Vec<u8> {
    [first.encode_to_vec(), second.encode_to_vec()].concat()
}

fn field(number: u8, content: &[u8]) -> Vec<u8> {
    let length = u8::try_from(content.len()).ok().filter(|length| *length < 0x80).unwrap();
    [&[number << 3 | 2, length], content].concat()
}

/// What the value under `x` is whose bytes these are.
#[track_caller]
fn check(value: &[u8], expected: &Value<'_>) {
    let entry = [field(1, b"x"), field(2, value)].concat();
    let bytes = [question().encode_to_vec(), field(4, &entry)].concat();
    let arena = Arena::new();
    let request = read_request(&bytes, NOW, &arena, VALUE_DEPTH_MAX).unwrap();
    assert_eq!(request.context, [("x", *expected)]);
}

#[test]
fn a_name_that_is_sent_twice_is_merged() {
    let first = pb::AuthorizeRequest { on_behalf_of: Some(name("A", "a")), ..question() };
    let second = pb::AuthorizeRequest {
        principal: Some(name("Agent", "")),
        on_behalf_of: Some(name("", "b")),
        ..pb::AuthorizeRequest::default()
    };
    let (bytes, arena) = (both(&first, &second), Arena::new());
    let request = read_request(&bytes, NOW, &arena, VALUE_DEPTH_MAX).unwrap();
    assert_eq!(request.principal, Uid::new("Agent", "alice"));
    assert_eq!(request.on_behalf_of, Some(Uid::new("A", "b")));
}

#[test]
fn of_several_kinds_the_last_counts() {
    check(&both(&value(Kind::Long(1)), &value(Kind::Boolean(true))), &Value::Bool(true));
    check(&both(&value(set(vec![])), &value(Kind::Long(1))), &Value::Long(1));
    check(&both(&value(Kind::Long(1)), &value(Kind::Long(2))), &Value::Long(2));
}

#[test]
fn a_kind_that_is_sent_twice_in_a_row_is_merged() {
    let of = |long| value(set(vec![value(Kind::Long(long))]));
    let merged = Value::Set(&[Value::Long(1), Value::Long(2)]);
    check(&both(&of(1), &of(2)), &merged);
    let interrupted = [both(&of(7), &value(Kind::Long(3))), both(&of(1), &of(2))].concat();
    check(&interrupted, &merged);
    let named = both(&value(Kind::Entity(name("T", "a"))), &value(Kind::Entity(name("", "b"))));
    check(&named, &Value::Entity(Uid::new("T", "b")));
    let records = both(
        &value(record(vec![entry("a", Kind::Long(1))])),
        &value(record(vec![entry("b", Kind::Long(2))])),
    );
    check(&records, &Value::Record(&[("a", Value::Long(1)), ("b", Value::Long(2))]));
}

#[test]
fn the_values_of_an_entry_are_merged() {
    let of = |long| value(set(vec![value(Kind::Long(long))])).encode_to_vec();
    let entry = [field(2, &of(1)), field(1, b"x"), field(2, &of(2))].concat();
    let bytes = [question().encode_to_vec(), field(4, &entry)].concat();
    let arena = Arena::new();
    let request = read_request(&bytes, NOW, &arena, VALUE_DEPTH_MAX).unwrap();
    let merged = Value::Set(&[Value::Long(1), Value::Long(2)]);
    assert_eq!(request.context, [("x", merged)]);
}

#[test]
fn what_does_not_count_must_be_well_formed_and_no_more() {
    // An element without a kind, and a name that is none.
    let of_no_meaning =
        both(&value(set(vec![pb::Value::default()])), &value(Kind::Entity(name("a b", ""))));
    check(&both_bytes(&of_no_meaning, &value(Kind::Long(1))), &Value::Long(1));
    // A string that is not UTF-8, and one that is cut off.
    for damaged in [&[0x1A, 1, 0xFF][..], &[0x2A, 2, 0x0A, 5]] {
        let entry = field(2, &both_bytes(damaged, &value(Kind::Long(1))));
        let bytes = [question().encode_to_vec(), field(4, &entry)].concat();
        let text = refusal(&bytes, VALUE_DEPTH_MAX);
        assert!(text.starts_with("the bytes are no `pdp.v1.AuthorizeRequest`: "), "{text}");
    }
}

fn both_bytes(first: &[u8], second: &impl Message) -> Vec<u8> {
    [first, &second.encode_to_vec()].concat()
}
