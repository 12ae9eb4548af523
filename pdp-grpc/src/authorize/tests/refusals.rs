//! Every reason to refuse a message, with the path it names.

use super::*;

#[test]
fn a_missing_entity_is_named() {
    let missing = |field: &str| format!("`{field}` is missing; name an entity by its type and id");
    refused(&pb::AuthorizeRequest { principal: None, ..question() }, &missing("principal"));
    refused(&pb::AuthorizeRequest { action: None, ..question() }, &missing("action"));
    refused(&pb::AuthorizeRequest { resource: None, ..question() }, &missing("resource"));
    let entities = vec![
        pb::Entity { uid: Some(name("T", "0")), ..pb::Entity::default() },
        pb::Entity::default(),
    ];
    refused(&pb::AuthorizeRequest { entities, ..question() }, &missing("entities[1].uid"));
}

#[test]
fn an_empty_type_is_named_wherever_it_stands() {
    let empty = |field: &str| {
        format!("`{field}.type` is empty; give the fully qualified type of the entity")
    };
    let nameless = || Some(name("", "id"));
    refused(&pb::AuthorizeRequest { principal: nameless(), ..question() }, &empty("principal"));
    refused(&pb::AuthorizeRequest { action: nameless(), ..question() }, &empty("action"));
    refused(&pb::AuthorizeRequest { resource: nameless(), ..question() }, &empty("resource"));
    refused(
        &pb::AuthorizeRequest { on_behalf_of: nameless(), ..question() },
        &empty("on_behalf_of"),
    );
    let actors = vec![name("T", "0"), name("", "1")];
    refused(&pb::AuthorizeRequest { actors, ..question() }, &empty("actors[1]"));
    let entities = vec![pb::Entity {
        uid: Some(name("T", "0")),
        parents: vec![name("", "p")],
        ..pb::Entity::default()
    }];
    refused(&pb::AuthorizeRequest { entities, ..question() }, &empty("entities[0].parents[0]"));
    refused_value(set(vec![value(Kind::Entity(name("", "")))]), &empty("context[\"x\"][0]"));
}

#[test]
fn a_type_that_no_policy_can_name_is_refused() {
    for text in ["1T", "a b", "A:B", "A::", "::A", "A::::B", "Ü", "T::\"id\""] {
        let message = pb::AuthorizeRequest { principal: Some(name(text, "")), ..question() };
        let shown = text.escape_debug();
        refused(
            &message,
            &format!(
                "`principal.type` is `{shown}`, which is no type name; expected identifiers joined by `::`"
            ),
        );
    }
}

#[test]
fn a_value_without_value_or_kind_is_named() {
    let bare = pb::Entry { key: "k\n".to_owned(), value: None };
    let path = "context[\"k\\n\"]";
    refused(
        &with_context(vec![bare]),
        &format!("`{path}` has no value; give it one or leave the key out"),
    );
    let kindless = |path: &str| {
        format!(
            "`{path}` has no kind, or one that this server does not know; set one of those in `pdp.v1.Value`"
        )
    };
    let hollow = pb::Entry { key: "k".to_owned(), value: Some(pb::Value::default()) };
    refused(&with_context(vec![hollow.clone()]), &kindless("context[\"k\"]"));
    refused_value(
        set(vec![value(Kind::Long(1)), pb::Value::default()]),
        &kindless("context[\"x\"][1]"),
    );
    refused_value(record(vec![hollow.clone()]), &kindless("context[\"x\"][\"k\"]"));
    let entity = pb::Entity {
        uid: Some(name("T", "")),
        attributes: vec![hollow.clone()],
        ..pb::Entity::default()
    };
    let entities = vec![entity];
    refused(
        &pb::AuthorizeRequest { entities, ..question() },
        &kindless("entities[0].attributes[\"k\"]"),
    );
    let entities =
        vec![pb::Entity { uid: Some(name("T", "")), tags: vec![hollow], ..pb::Entity::default() }];
    refused(&pb::AuthorizeRequest { entities, ..question() }, &kindless("entities[0].tags[\"k\"]"));
}

#[test]
fn a_kind_of_a_newer_protocol_is_refused_and_not_dropped() {
    // The key `x`, and a value that has field 99 in the place of a kind.
    let entry: &[u8] = &[0x0A, 1, b'x', 0x12, 3, 0x98, 0x06, 0x01];
    let bytes = [&question().encode_to_vec(), &[0x22, 8][..], entry].concat();
    assert_eq!(
        refusal(&bytes, VALUE_DEPTH_MAX),
        "`context[\"x\"]` has no kind, or one that this server does not know; set one of those in `pdp.v1.Value`",
    );
}

#[test]
fn a_key_that_occurs_twice_is_named() {
    let twice = |path: &str| format!("`{path}` occurs twice; send each key once");
    let pairs =
        || vec![entry("b", Kind::Long(1)), entry("a", Kind::Long(1)), entry("b", Kind::Long(1))];
    refused(&with_context(pairs()), &twice("context[\"b\"]"));
    refused_value(record(pairs()), &twice("context[\"x\"][\"b\"]"));
    let uid = || Some(name("T", ""));
    let entities = vec![pb::Entity { uid: uid(), attributes: pairs(), ..pb::Entity::default() }];
    refused(
        &pb::AuthorizeRequest { entities, ..question() },
        &twice("entities[0].attributes[\"b\"]"),
    );
    let entities = vec![pb::Entity { uid: uid(), tags: pairs(), ..pb::Entity::default() }];
    refused(&pb::AuthorizeRequest { entities, ..question() }, &twice("entities[0].tags[\"b\"]"));
    // Keys are compared byte for byte: the composed and the decomposed letter are two keys.
    accepted(
        &with_context(vec![entry("ü", Kind::Long(1)), entry("u\u{308}", Kind::Long(1))]),
        |_| {},
    );
}

#[test]
fn an_address_that_cannot_be_read_is_shown() {
    refused_value(
        Kind::Ip("127.0.0.1/33".to_owned()),
        "`context[\"x\"]` is `127.0.0.1/33`; expected an IPv4 or IPv6 address or range like `127.0.0.1`, \
         `10.0.0.0/8` or `ffee::/64`",
    );
    refused_value(
        set(vec![value(Kind::Ip(String::new()))]),
        "`context[\"x\"][0]` is ``; expected an IPv4 or IPv6 address or range like `127.0.0.1`, `10.0.0.0/8` or \
         `ffee::/64`",
    );
}

#[test]
fn long_texts_do_not_make_long_messages() {
    let long = "\u{10ffff}".repeat(30_000);
    let message =
        with_context(vec![entry(&long, record(vec![entry(&long, Kind::Ip(long.clone()))]))]);
    let text = refusal(&message.encode_to_vec(), VALUE_DEPTH_MAX);
    assert!(text.chars().count() < 400, "{text}");
}

#[test]
fn bytes_that_are_no_message_are_refused_with_the_place() {
    let refused = |bytes: &[u8], expected: &str| {
        let expected = format!("the bytes are no `pdp.v1.AuthorizeRequest`: {expected}");
        assert_eq!(refusal(bytes, VALUE_DEPTH_MAX), expected, "{bytes:?}");
    };
    let long = [0xFF; 10];
    refused(&long, "a number is cut off or has more than 64 bits");
    refused(&[0x80], "a number is cut off or has more than 64 bits");
    refused(&[0x00], "a field has no possible number");
    refused(&[0x0A, 5, 1], "a field is longer than what is there");
    refused(&[0x08, 1], "a field is of another wire type than declared, in `principal`");
    refused(
        &[0x0A, 2, 0x08, 1],
        "a field is of another wire type than declared, in `principal.type`",
    );
    refused(&[0x0A, 3, 0x0A, 1, 0xFF], "a string is not UTF-8, in `principal.type`");
    refused(&[0x3A, 1, 0xFF], "a string is not UTF-8, in `scopes`");
    refused(&[0x7B], "a number is cut off or has more than 64 bits");
    refused(&[0x7B, 0x74], "a group ends that was not begun");
    refused(&[0x7C], "a group ends that was not begun");
    refused(&[0x7E], "a field is of another wire type than declared");
    refused(&[0x7B; 101], "messages are nested too deep");
}

// === depth ===

fn records(depth: u32) -> pb::AuthorizeRequest {
    let mut kind = Kind::Entity(name("T", ""));
    for _ in 1..depth {
        kind = record(vec![entry("r", kind)]);
    }
    with_context(vec![entry("r", kind)])
}

#[test]
fn nesting_is_limited_by_us_and_never_by_the_stack() {
    // What is not optimised takes many times the stack, for the messages that the test compares with.
    let bytes = if cfg!(debug_assertions) { 32 << 20 } else { 2 << 20 };
    let tested = std::thread::Builder::new().stack_size(bytes).spawn(nesting_is_limited);
    tested.unwrap().join().unwrap();
}

fn nesting_is_limited() {
    // The deepest that is allowed comes through the protobuf decoder, also where a message has most levels.
    let deepest = records(VALUE_DEPTH_MAX);
    assert_eq!(pb::AuthorizeRequest::decode(&*deepest.encode_to_vec()).unwrap(), deepest);
    accepted(&deepest, |request| {
        assert_eq!(write(&Request { now: None, ..*request }).unwrap(), deepest);
    });
    let inline = pb::Entity {
        uid: Some(name("T", "")),
        attributes: deepest.context,
        ..pb::Entity::default()
    };
    let inline = pb::AuthorizeRequest { entities: vec![inline], ..question() };
    assert_eq!(pb::AuthorizeRequest::decode(&*inline.encode_to_vec()).unwrap(), inline);
    accepted(&inline, |_| {});

    // One more level is refused with its path.
    let deeper = records(VALUE_DEPTH_MAX + 1);
    assert_eq!(pb::AuthorizeRequest::decode(&*deeper.encode_to_vec()).unwrap(), deeper);
    let text = refusal(&deeper.encode_to_vec(), VALUE_DEPTH_MAX);
    assert!(
        text.starts_with("`context[\"r\"][\"r\"]") && text.ends_with("values may have 32 levels"),
        "{text}"
    );
    // A host that allows more than any server does gets what servers allow.
    assert_eq!(refusal(&deeper.encode_to_vec(), u32::MAX), text);
    let text = refusal(&records(3).encode_to_vec(), 2);
    assert_eq!(text, "`context[\"r\"][\"r\"][\"r\"]` is nested too deep; values may have 2 levels");

    // Far more is refused as soon, before anything recurses over it.
    let far_deeper = records(10_000).encode_to_vec();
    assert!(refusal(&far_deeper, VALUE_DEPTH_MAX).ends_with("values may have 32 levels"));
}

#[test]
fn a_request_that_states_a_time_or_nests_too_deep_is_not_sent() {
    let plain = Request::new(Uid::new("T", ""), Uid::new("T", ""), Uid::new("T", ""), &[]);
    assert_eq!(write(&Request { now: Some(NOW), ..plain }), Err(Unsendable::Now));
    let arena = Arena::new();
    let mut value = Value::Long(1);
    for _ in 0..VALUE_DEPTH_MAX {
        value = Value::Set(arena.alloc_slice_fill_copy(1, value));
    }
    let context = [("x", value)];
    assert_eq!(write(&Request { context: &context, ..plain }), Err(Unsendable::TooDeep));
}
