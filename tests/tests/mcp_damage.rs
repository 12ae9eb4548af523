//! Damage to messages of the Model Context Protocol and to lists: none makes a message ask about another tool than any of
//! its readers would call, and none shows what may not be seen.
#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::string_slice,
    reason = "test code fails loudly"
)]

use std::collections::BTreeMap;

use pdp_core::McpDenial;
use pdp_core::json::Arena;
use pdp_edge::mcp::{About, Cause, Fault, ListFilter, Message, SseFilter, Unread, told};
use pdp_tests::damage::mutate;
use pdp_tests::rng::Rng;
use serde_json::Value;

/// Reads the body of a call that names no revision.
fn read<'a>(body: &'a [u8], arena: &'a Arena) -> Result<Message<'a>, Unread<'a>> {
    Message::read("POST", &[(b"content-type", b"application/json")], Some(body), arena)
}

/// How a reader that does not look at case, and of members with one name takes the last, finds a member.
fn loosely<'v>(object: &'v Value, name: &str) -> Option<&'v Value> {
    object
        .as_object()?
        .iter()
        .filter(|(key, _)| key.eq_ignore_ascii_case(name))
        .map(|(_, it)| it)
        .next_back()
}

/// How many members a text has, those counted that a reader drops who takes one of two.
fn colons(text: &str) -> usize {
    let (mut inside, mut escaped, mut count) = (false, false, 0);
    for c in text.chars() {
        match c {
            _ if std::mem::take(&mut escaped) => {}
            '\\' => escaped = true,
            '"' => inside = !inside,
            ':' if !inside => count += 1,
            _ => {}
        }
    }
    count
}

/// How many members a value has.
fn keys(value: &Value) -> usize {
    match value {
        Value::Object(members) => members.values().map(|member| 1 + keys(member)).sum(),
        Value::Array(items) => items.iter().map(keys).sum(),
        _ => 0,
    }
}

const MUTATIONS: usize = 20_000;
const SEED: u64 = 11;

#[test]
fn no_damage_makes_a_message_ask_about_another_tool_than_any_reader_would_call() {
    let sound = [
        r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"a","arguments":{"x":[1,{"name":"c"}]}}}"#,
        r#"{"params":{"_meta":{"p":1},"arguments":{},"name":"a"},"method":"tools/call","id":"q","jsonrpc":"2.0"}"#,
        r#"{ "jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": { "name": "a", "task": { "ttl": 1 } } }"#,
    ];
    let mut rng = Rng::new(&[SEED]);
    let (mut taken, mut faults) = (0, BTreeMap::new());
    for number in 0..MUTATIONS {
        let mut body = rng.pick(&sound).as_bytes().to_vec();
        for _ in 0..rng.between(1, 3) {
            if body.len() > 1 {
                body = mutate(&body, &mut rng);
            }
        }
        let (arena, shown) = (Arena::new(), String::from_utf8_lossy(&body).into_owned());
        let read = read(&body, &arena);
        let (message, fault) = match &read {
            Ok(message) => (Some(message), None),
            Err(unread) => (unread.message.as_ref(), Some(unread.fault)),
        };
        // Whatever it is, it can be told of, in JSON.
        let cause =
            Cause { message, fault, reason: "r", refusal: None, decision: "d", headers: &[] };
        let told = told(&McpDenial::default(), &cause);
        assert!(serde_json::from_str::<Value>(&told.body).is_ok(), "{number}: {shown} {told:?}");
        match read {
            Err(unread) => *faults.entry(unread.fault.code()).or_insert(0) += 1,
            Ok(message) => {
                taken += 1;
                let value: Value = serde_json::from_slice(&body).unwrap();
                let params = loosely(&value, "params");
                let (method, name) =
                    (loosely(&value, "method"), params.and_then(|params| loosely(params, "name")));
                assert_eq!(
                    method.and_then(Value::as_str).unwrap_or_default(),
                    message.method,
                    "{shown}"
                );
                if let About::Tool(tool) = message.about {
                    assert_eq!(name.and_then(Value::as_str), Some(tool), "{number}: {shown}");
                    let arguments = params.and_then(|params| loosely(params, "arguments"));
                    let seen =
                        message.arguments.map(|text| serde_json::from_str::<Value>(text).unwrap());
                    assert_eq!(arguments, seen.as_ref(), "{number}: {shown}");
                }
                // No reader finds another one by taking the first of two: there are no two.
                assert_eq!(colons(&shown), keys(&value), "{number}: {shown}");
            }
        }
    }
    // Mutations must reach the parts that decide, or this shows little.
    assert!(taken >= 500, "{taken} taken: {faults:?}");
    for fault in [Fault::Json, Fault::Envelope, Fault::Params, Fault::Method] {
        assert!(faults.get(fault.code()).is_some_and(|count| *count >= 20), "{faults:?}");
    }
}

#[test]
fn a_member_that_is_there_again_in_any_spelling_is_refused() {
    let sound =
        r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"a","arguments":{}}}"#;
    let arena = Arena::new();
    assert!(read(sound.as_bytes(), &arena).is_ok());
    let mut count = 0;
    for (object, members) in [
        (
            "{\"jsonrpc\"",
            &[
                ("method", "\"tools/list\""),
                ("params", "{\"name\":\"b\"}"),
                ("id", "2"),
                ("jsonrpc", "\"2.0\""),
            ][..],
        ),
        ("{\"name\"", &[("name", "\"b\""), ("arguments", "{\"x\":1}")]),
    ] {
        for (name, value) in members {
            let escaped = name
                .replacen('a', "\\u0061", 1)
                .replacen('d', "\\u0064", 1)
                .replacen('p', "\\u0070", 1);
            let title = name[..1].to_uppercase() + &name[1..];
            for spelling in [(*name).to_owned(), escaped, title, name.to_uppercase()] {
                // Before all others, and after them.
                let first = sound.replacen(
                    object,
                    &format!("{{\"{spelling}\":{value},{}", &object[1..]),
                    1,
                );
                let end = if object.contains("name") { sound.len() - 2 } else { sound.len() - 1 };
                let last = format!("{},\"{spelling}\":{value}{}", &sound[..end], &sound[end..]);
                for body in [first, last] {
                    count += 1;
                    assert!(read(body.as_bytes(), &arena).is_err(), "{body}");
                }
            }
        }
    }
    assert_eq!(count, 48);
}

#[test]
fn no_damage_to_a_list_shows_what_may_not_be_seen() {
    let request = r#"{"jsonrpc":"2.0","id":1,"method":"tools/list"}"#;
    let arena = Arena::new();
    let message = read(request.as_bytes(), &arena).unwrap();
    let filter = ListFilter::new(&message, 1_000).unwrap();
    let sound = [
        r#"{"jsonrpc":"2.0","id":1,"result":{"tools":[{"name":"a"},{"name":"b"},{"name":"c"}],"nextCursor":"x"}}"#,
        r#"{"result":{"cacheScope":"public","tools":[{"x":{},"name":"b"},{"name":"a"}]},"id":1,"jsonrpc":"2.0"}"#,
    ];
    let mut rng = Rng::new(&[SEED, 2]);
    let mut shown_some = 0;
    for number in 0..MUTATIONS {
        let mut body = rng.pick(&sound).as_bytes().to_vec();
        for _ in 0..rng.between(1, 3) {
            if body.len() > 1 {
                body = mutate(&body, &mut rng);
            }
        }
        let text = String::from_utf8_lossy(&body).into_owned();
        let seen = filter.body(&body, &mut |item| item.name != "b");
        let value: Value = serde_json::from_str(&seen).unwrap();
        // An error shows nothing of a list.
        let result = loosely(&value, "result");
        let tools = result.and_then(|result| loosely(result, "tools")).and_then(Value::as_array);
        for tool in tools.into_iter().flatten() {
            let name = loosely(tool, "name").and_then(Value::as_str);
            assert!(name.is_some_and(|name| name != "b"), "{number}: {text} {seen}");
            shown_some += 1;
        }
        assert!(tools.is_some(), "{number}: {text} {seen}");
        assert_eq!(value["result"]["cacheScope"], "private", "{number}: {text} {seen}");

        // The same in an event, however it is cut.
        let mut sse = SseFilter::new(filter.clone());
        let (mut out, mut stream) = (Vec::new(), b"data: ".to_vec());
        stream.extend(&body);
        stream.extend(b"\n\n");
        for piece in stream.chunks(rng.between(1, 40)) {
            out.extend(sse.feed(piece, &mut |item| item.name != "b"));
        }
        let out = String::from_utf8(out).unwrap();
        let data: Vec<&str> = out.lines().filter_map(|line| line.strip_prefix("data: ")).collect();
        if let Ok(value) = serde_json::from_str::<Value>(&data.join("\n")) {
            let tools = loosely(&value, "result").and_then(|result| loosely(result, "tools"));
            for tool in tools.and_then(Value::as_array).into_iter().flatten() {
                let name = loosely(tool, "name").and_then(Value::as_str);
                assert!(name.is_some_and(|name| name != "b"), "{number}: {text} {out}");
            }
        }
    }
    assert!(shown_some >= 2_000, "{shown_some}");
}
