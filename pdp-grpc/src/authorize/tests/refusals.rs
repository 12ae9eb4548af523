//! Every reason to refuse a message, with the path it names.

use prost::Message;

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
    // Field 99 of `Value`, in the place of a kind.
    let newer_value: &[u8] = &[0x98, 0x06, 0x01];
    let decoded = pb::Value::decode(newer_value).unwrap();
    refused(
        &with_context(vec![pb::Entry { key: "x".to_owned(), value: Some(decoded) }]),
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
    let arena = Arena::new();
    let text = read(&message, NOW, &arena, VALUE_DEPTH_MAX).unwrap_err().to_string();
    assert!(text.chars().count() < 400, "{text}");
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
    let arena = Arena::new();
    let text = read(&deeper, NOW, &arena, VALUE_DEPTH_MAX).unwrap_err().to_string();
    assert!(
        text.starts_with("`context[\"r\"][\"r\"]") && text.ends_with("values may have 32 levels"),
        "{text}"
    );
    let text = read(&records(3), NOW, &arena, 2).unwrap_err().to_string();
    assert_eq!(text, "`context[\"r\"][\"r\"][\"r\"]` is nested too deep; values may have 2 levels");

    // Far more is refused by the decoder, before anything recurses over it.
    assert!(pb::AuthorizeRequest::decode(&*records(60).encode_to_vec()).is_err());
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
