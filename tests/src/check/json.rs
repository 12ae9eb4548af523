//! A `CheckRequest` from its JSON, which is how the world hands examples around. Knows the fields that examples have and
//! ends the test at one that it does not know.

use serde_json::Value;

use super::{entry, field, fields};

/// What a field holds.
#[derive(Clone, Copy)]
enum Kind {
    Text,
    /// Base64 in JSON.
    Bytes,
    /// A map of texts.
    Texts,
    /// A map of `google.protobuf.Struct`.
    Structs,
    Message(&'static [(&'static str, u32, Kind)]),
}

use Kind::{Bytes, Message, Structs, Text, Texts};

const CHECK: &[(&str, u32, Kind)] = &[("attributes", 1, Message(ATTRIBUTES))];

const ATTRIBUTES: &[(&str, u32, Kind)] = &[
    ("source", 1, Message(PEER)),
    ("destination", 2, Message(PEER)),
    ("request", 4, Message(&[("http", 2, Message(HTTP))])),
    ("contextExtensions", 10, Texts),
    ("metadataContext", 11, Message(&[("filterMetadata", 1, Structs)])),
];

const PEER: &[(&str, u32, Kind)] = &[
    ("address", 1, Message(&[("socketAddress", 1, Message(&[("address", 2, Text)]))])),
    ("service", 2, Text),
    ("labels", 3, Texts),
    ("principal", 4, Text),
];

const HTTP: &[(&str, u32, Kind)] = &[
    ("id", 1, Text),
    ("method", 2, Text),
    ("headers", 3, Texts),
    ("path", 4, Text),
    ("host", 5, Text),
    ("protocol", 10, Text),
    ("body", 11, Text),
    ("rawBody", 12, Bytes),
];

/// The message that a text of JSON stands for.
pub fn encode(json: &Value) -> Vec<u8> {
    message(json, CHECK)
}

fn message(json: &Value, known: &[(&str, u32, Kind)]) -> Vec<u8> {
    let mut out = Vec::new();
    for (key, value) in json.as_object().unwrap() {
        // JSON may have either spelling.
        let plain = key.replace('_', "");
        let of = known.iter().find(|(name, ..)| name.eq_ignore_ascii_case(&plain));
        let (_, number, kind) = *of.unwrap_or_else(|| unreachable!("`{key}` is not known here"));
        match kind {
            Text => out.extend(field(number, value.as_str().unwrap().as_bytes())),
            Bytes => out.extend(field(number, &base64(value.as_str().unwrap()))),
            Message(known) => out.extend(field(number, &message(value, known))),
            Texts | Structs => {
                for (key, value) in value.as_object().unwrap() {
                    let value = match kind {
                        Texts => value.as_str().unwrap().as_bytes().to_owned(),
                        _ => fields(value),
                    };
                    out.extend(field(number, &entry(key, &value)));
                }
            }
        }
    }
    out
}

fn base64(text: &str) -> Vec<u8> {
    let digits = text.trim_end_matches('=').bytes();
    let digits: Vec<u32> = digits
        .map(|digit| match digit {
            b'A'..=b'Z' => u32::from(digit - b'A'),
            b'a'..=b'z' => u32::from(digit - b'a') + 26,
            b'0'..=b'9' => u32::from(digit - b'0') + 52,
            b'+' => 62,
            b'/' => 63,
            _ => unreachable!("no digit of base64: {digit}"),
        })
        .collect();
    let mut out = Vec::new();
    for four in digits.chunks(4) {
        let bits = four.iter().fold(0, |bits, digit| bits << 6 | digit) << (6 * (4 - four.len()));
        out.extend(bits.to_be_bytes().iter().skip(1).take(four.len() - 1));
    }
    out
}

#[test]
fn base64_is_read() {
    assert_eq!(base64("Zmlyc3RuYW1lPWZvbyZsYXN0bmFtZT1iYXI="), b"firstname=foo&lastname=bar");
    assert_eq!(base64("/+8A"), [0xff, 0xef, 0]);
    assert_eq!(base64("Zg=="), b"f");
}
