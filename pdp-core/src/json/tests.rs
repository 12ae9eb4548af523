//! What is read, and every way not to be read, with the place that is named.

use bumpalo::Bump;

use super::*;
use crate::limits::RequestLimits;
use crate::request::{Request, Uid, Value};

const LIMITS: RequestLimits = RequestLimits::STANDARD;

#[track_caller]
fn accepted(text: &str, look: impl FnOnce(&Request<'_>)) {
    let arena = Bump::new();
    match read_request(text, None, &arena, &LIMITS) {
        Ok(request) => look(&request),
        Err(error) => unreachable!("{error} in {text}"),
    }
}

#[track_caller]
fn refused(text: &str, expected: &str) {
    let arena = Bump::new();
    let error = read_request(text, None, &arena, &LIMITS).err().map(|error| error.to_string());
    assert_eq!(error.as_deref(), Some(expected), "{text}");
}

/// A question with a context.
fn asking(context: &str) -> String {
    format!(
        r#"{{"principal":{{"type":"U","id":"u"}},"action":"A::\"a\"","resource":"D::\"d\"","context":{context}}}"#
    )
}

/// What the value under `x` is.
#[track_caller]
fn value(json: &str, expected: &Value<'_>) {
    accepted(&asking(&format!("{{\"x\":{json}}}")), |request| {
        assert_eq!(request.context, [("x", *expected)], "{json}");
    });
}

/// Why the value under `x` is refused, without the place in the text.
#[track_caller]
fn no_value(json: &str, expected: &str) {
    let (text, arena) = (asking(&format!("{{\"x\":{json}}}")), Bump::new());
    let error = read_request(&text, None, &arena, &LIMITS).err().map(|error| error.to_string());
    let error = error.as_deref().map(|error| error.split(" at line ").next().unwrap_or_default());
    assert_eq!(error, Some(expected), "{json}");
}

// === tokens ===

#[test]
fn numbers_are_integers_of_64_bits() {
    for (json, expected) in [
        ("0", 0),
        ("-1", -1),
        ("9223372036854775807", i64::MAX),
        ("-9223372036854775808", i64::MIN),
    ] {
        value(json, &Value::Long(expected));
    }
    for json in ["9223372036854775808", "-9223372036854775809", "100000000000000000000", "-0"] {
        no_value(json, &format!("`context.x`: {json} is not a 64-bit signed integer"));
    }
    for json in ["1.5", "1e3", "1E+3", "-0.0"] {
        let expected = format!(
            "`context.x`: {json} is not a 64-bit signed integer; for fractions use decimal"
        );
        no_value(json, &expected);
    }
    for json in ["01", "-", "-01", "00"] {
        no_value(json, "`context.x`: a number is written wrong");
    }
}

#[test]
fn strings_are_borrowed_or_unescaped() {
    for length in 0..40 {
        let text = "é".repeat(length / 2) + &"a".repeat(length);
        value(&format!("\"{text}\""), &Value::String(&text));
        value(&format!("\"{text}\\n{text}\""), &Value::String(&format!("{text}\n{text}")));
    }
    let all = r#""\"\\\/\b\f\n\r\t\u0000\u00e9\uD83D\ude00""#;
    value(all, &Value::String("\"\\/\u{8}\u{c}\n\r\t\0é😀"));
    for json in [r#""\x""#, r#""\U0041""#] {
        no_value(json, "`context.x`: a string has an escape that JSON does not know");
    }
    for json in [r#""\u12""#, r#""\ud83d""#, r#""\ud83dx\ude00""#, r#""\ude00""#, r#""\u+123""#] {
        no_value(json, "`context.x`: a string has an escape `\\u` of no character");
    }
    no_value(
        "\"12345678\t\"",
        "`context.x`: a string has a control character; write it as `\\u00…`",
    );
    // Keys are compared as what they mean.
    refused(
        &asking(r#"{"a":1,"\u0061":2}"#),
        "`context`: key `a` occurs twice at line 1 column 106",
    );
}

#[test]
fn every_way_to_be_cut_off_is_refused_and_says_where() {
    let text = asking(r#"{"a":[1,{"b":"x\n"}],"c":true}"#);
    for end in 0..text.len() {
        let Some(cut) = text.get(..end) else { continue };
        let arena = Bump::new();
        let error = read_request(cut, None, &arena, &LIMITS).err().map(|error| error.to_string());
        let error = error.unwrap_or_default();
        assert!(error.contains(" at line 1 column "), "{error} in {cut}");
    }
    refused("", "expected a value, but the text ends at line 1 column 1");
    refused(" \n\r\t[", "a request is an object, not an array");
    refused("{\n\"principal\" 1}", "expected `:`, not `1` at line 2 column 13");
    refused("{,}", "expected a key in quotes or `}`, not `,` at line 1 column 2");
    let more = format!("{} x", asking("{}"));
    refused(&more, "there is something after the end at line 1 column 92");
    for (context, expected) in [
        ("{\"a\":1,}", "`context`: expected a key in quotes, not `}`"),
        ("{\"a\":[1,]}", "`context.a[1]`: expected a value, not `]`"),
        ("{\"a\":[1 2]}", "`context.a`: expected `,` or `]`, not `2`"),
        ("{\"a\":tru}", "`context.a`: expected a value, not `t`"),
        ("{\"a\":nul}", "`context.a`: null is no value; leave the attribute out"),
        ("{\"a\":1 \"b\":2}", "`context`: expected `,` or `}`, not `\"`"),
        ("{a:1}", "`context`: expected a key in quotes or `}`, not `a`"),
    ] {
        let (text, arena) = (asking(context), Bump::new());
        let error = read_request(&text, None, &arena, &LIMITS).err().map(|e| e.to_string());
        assert!(error.is_some_and(|error| error.starts_with(expected)), "{context}: {expected}");
    }
}

#[test]
fn length_and_depth_have_limits() {
    let text = asking("{\"a\":[[1]]}");
    let read = |request_bytes_max: usize, json_depth_max: u32| {
        let limits = RequestLimits { request_bytes_max, json_depth_max };
        read_request(&text, None, &Bump::new(), &limits).map(|_| ()).map_err(|e| e.to_string())
    };
    assert_eq!(read(text.len(), 4), Ok(()));
    let length = text.len();
    let long = format!("the text has {length} bytes, at most {} are read", length - 1);
    assert_eq!(read(length - 1, 4), Err(long));
    let deep = "`context.a[0]`: the value is nested too deeply at line 1 column 94";
    assert_eq!(read(length, 3), Err(deep.to_owned()));
}

// === shapes ===

#[test]
fn escapes_have_one_key() {
    let entity = Uid::new("A::B", "x");
    value(r#"{"__entity":{"id":"x","type":"A::B"}}"#, &Value::Entity(entity));
    let ip = "10.0.0.0/8".parse().map(Value::Ip);
    value(r#"{"__extn":{"fn":"ip","arg":"10.0.0.0/8"}}"#, &ip.unwrap_or(Value::Bool(false)));
    // With a second key it is a record.
    value(
        r#"{"__entity":{"type":"T","id":"x"},"y":1}"#,
        &Value::Record(&[
            (
                "__entity",
                Value::Record(&[("type", Value::String("T")), ("id", Value::String("x"))]),
            ),
            ("y", Value::Long(1)),
        ]),
    );
    value(r#"{"__entity":1}"#, &Value::Record(&[("__entity", Value::Long(1))]));
    for (json, expected) in [
        (r#"{"__expr":"1"}"#, "`__expr` is not supported; use `__entity` or `__extn`"),
        (
            r#"{"__entity":{"type":"T"}}"#,
            "an entity is `{\"type\": …, \"id\": …}` with two strings",
        ),
        (r#"{"__entity":{"type":"1","id":""}}"#, "`1` is not the name of an entity type"),
        (
            r#"{"__entity":{"__entity":{"type":"T","id":"x"}}}"#,
            "an escape is not written inside another",
        ),
        (r#"{"__extn":{}}"#, "an extension value is `{\"fn\": …, \"arg\": …}`"),
        (r#"{"__extn":{"fn":"ip","arg":1}}"#, "`ip` is not called with one string"),
        (
            r#"{"__extn":{"fn":"no","arg":""}}"#,
            "`no` does not make a value; known are decimal, ip, datetime, duration",
        ),
    ] {
        no_value(json, &format!("`context.x`: {expected}"));
    }
    for context in [r#"{"__entity":{"type":"T","id":"x"}}"#, r#"{"__expr":"x"}"#] {
        let expected = "`context`: a context is a record, not another value";
        let error = "`context`: `__expr` is not supported";
        let (text, arena) = (asking(context), Bump::new());
        let said = read_request(&text, None, &arena, &LIMITS).err().map(|e| e.to_string());
        assert!(said.is_some_and(|said| said == expected || said.starts_with(error)), "{context}");
    }
}

#[test]
fn parts_stand_in_any_order_and_once() {
    let ordered = r#"{"principal":"U::\"u\"","action":"A::\"a\"","resource":"D::\"d\"","context":{"a":1},
        "entities":[{"uid":"N::\"n\"","attrs":{"a":1},"tags":{"t":2},"parents":["G::\"g\""]}]}"#;
    let turned = r#"{"entities":[{"tags":{"t":2},"parents":[{"type":"G","id":"g"}],"attrs":{"a":1},"uid":"N::\"n\""}],
        "context":{"a":1},"resource":"D::\"d\"","action":"A::\"a\"","principal":{"__entity":{"id":"u","type":"U"}}}"#;
    accepted(ordered, |one| {
        accepted(turned, |other| assert_eq!(format!("{one:?}"), format!("{other:?}")));
    });
    let doubled = ordered.replacen("\"context\"", "\"action\"", 1);
    refused(&doubled, "key `action` occurs twice at line 1 column 76");
    let twice = ordered.replacen("\"tags\"", "\"attrs\"", 1);
    refused(&twice, "`entities[0]`: key `attrs` occurs twice at line 2 column 63");
    refused(
        &ordered.replacen("\"tags\"", "\"tag\"", 1),
        "`entities[0]`: `tag` is not a part of an entity; parts are uid, attrs, parents, tags",
    );
    refused(
        &ordered.replacen("\"context\"", "\"contexts\"", 1),
        "`contexts` is not a part of a request; parts are principal, action, resource, context, on_behalf_of, actors, \
         scopes, entities, now",
    );
    refused("{}", "`action` is missing");
    refused(
        &ordered.replacen("\"uid\":\"N::\\\"n\\\"\",", "", 1),
        "`entities[0]`: `uid` is missing",
    );
    refused(
        &ordered.replacen("{\"a\":1},\"tags\"", "[],\"tags\"", 1),
        "`entities[0].attrs`: expected an object, not an array",
    );
}

#[test]
fn a_key_among_many_is_found_twice() {
    let pairs = |last: usize| {
        let keys = (0..200).chain([last]).map(|key| format!("\"k{key}\":{key}"));
        asking(&format!("{{{}}}", keys.collect::<Vec<_>>().join(",")))
    };
    accepted(&pairs(200), |request| assert_eq!(request.context.len(), 201));
    let (text, arena) = (pairs(7), Bump::new());
    let error = read_request(&text, None, &arena, &LIMITS).err().map(|error| error.to_string());
    assert!(error.is_some_and(|error| error.starts_with("`context`: key `k7` occurs twice at ")));
}

// === values that are left as text ===

#[test]
fn a_whole_value_is_its_text_and_is_checked() {
    let read = |text: &str| {
        let arena = Bump::new();
        let mut cursor = Cursor::new(text, &arena, &LIMITS).map_err(|e| e.to_string())?;
        let value = cursor.value().map(str::to_owned).map_err(|e| e.to_string())?;
        cursor.end().map(|()| value).map_err(|e| e.to_string())
    };
    for text in [
        "null",
        "-0",
        "0.10e-05",
        "1E+400",
        "[]",
        "{ }",
        r#"{"a":[1.5,{"b":null,"c":[[]]}],"":"\u00e9"}"#,
        "[ true , false ]",
    ] {
        assert_eq!(read(&format!(" {text} ")).as_deref(), Ok(text));
    }
    for text in [
        "",
        "-",
        "01",
        "1.",
        ".5",
        "1e",
        "1e+",
        "+1",
        "0x1",
        "NaN",
        "nul",
        "[1,]",
        "[,1]",
        "{\"a\"}",
        "{\"a\":1,}",
        "{a:1}",
        "[1] 2",
        "\"\t\"",
        "\"\\ud800\"",
        "\"\\x\"",
        "[1}",
    ] {
        assert!(read(text).is_err(), "{text}");
    }
    for text in [r#"{"a":1,"b":2,"a":1}"#, r#"[[{"x":{"\u0061":1,"a":2}}]]"#] {
        assert!(read(text).is_err_and(|said| said.contains("key `a` occurs twice")), "{text}");
    }
    let nested = |depth: usize| format!("{}{}", "[".repeat(depth), "]".repeat(depth));
    assert!(read(&nested(100)).is_ok() && read(&nested(101)).is_err());
}

#[test]
fn lists_of_names() {
    let arena = Bump::new();
    let read = |text: &'static str| read_uids(text, &arena, &LIMITS);
    let expected = [Uid::new("U", "a"), Uid::new("A::U", "b"), Uid::new("U", "c")];
    let text =
        r#" ["U::\"a\"", {"type": "A::U", "id": "b"}, {"__entity": {"id": "c", "type": "U"}}] "#;
    assert_eq!(read(text), Ok(&expected[..]));
    assert_eq!(read("[]"), Ok(&[][..]));
    for (text, expected) in [
        ("{}", "expected an array, not an object"),
        (
            r#"["U::\"a\"", 1]"#,
            "`[1]`: expected an entity, `{\"type\": …, \"id\": …}`, not a number",
        ),
        (r#"["U::a"]"#, "`[0]`: `U::a` is not an entity; write it like `Type::\"id\"`"),
    ] {
        assert_eq!(read(text).err().map(|error| error.to_string()).as_deref(), Some(expected));
    }
    for text in ["", "[", "[] x", "[,]", r#"[{"type": "U"}]"#, "null"] {
        assert!(read(text).is_err(), "{text}");
    }
}
