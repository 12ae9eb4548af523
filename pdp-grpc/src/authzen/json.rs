//! JSON as it came: a tree that keeps every member once and every number as it was written.
//!
//! A key that occurs twice is refused at every level, because two readers would take two different values. What comes
//! after the end, nesting beyond what the JSON library allows and strings that are no Unicode are refused by it.

use std::fmt;

use serde::de::{Deserialize, Deserializer, Error, MapAccess, SeqAccess, Visitor};

/// A value.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Json {
    Null,
    Bool(bool),
    /// In JSON's notation.
    Number(String),
    String(String),
    Array(Vec<Json>),
    Object(Members),
}

/// The members of an object, in their order.
pub(super) type Members = Vec<(String, Json)>;

/// The member of a name.
pub(super) fn member<'m>(members: &'m [(String, Json)], name: &str) -> Option<&'m Json> {
    members.iter().find(|(key, _)| key == name).map(|(_, value)| value)
}

/// A string in JSON's notation.
pub(super) fn quote(text: &str, out: &mut String) {
    out.push_str(&serde_json::Value::from(text).to_string());
}

// === impl Json ===

impl Json {
    /// Writes it in JSON's notation.
    pub(super) fn write(&self, out: &mut String) {
        match self {
            Json::Null => out.push_str("null"),
            Json::Bool(boolean) => out.push_str(if *boolean { "true" } else { "false" }),
            Json::Number(text) => out.push_str(text),
            Json::String(text) => quote(text, out),
            Json::Array(items) => {
                out.push('[');
                for (at, item) in items.iter().enumerate() {
                    if at > 0 {
                        out.push(',');
                    }
                    item.write(out);
                }
                out.push(']');
            }
            Json::Object(members) => write_members(members.iter(), out),
        }
    }
}

/// Writes some members as an object.
pub(super) fn write_members<'m>(
    members: impl Iterator<Item = &'m (String, Json)>,
    out: &mut String,
) {
    out.push('{');
    for (at, (key, value)) in members.enumerate() {
        if at > 0 {
            out.push(',');
        }
        quote(key, out);
        out.push(':');
        value.write(out);
    }
    out.push('}');
}

impl<'de> Deserialize<'de> for Json {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Reader)
    }
}

struct Reader;

impl<'de> Visitor<'de> for Reader {
    type Value = Json;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_unit<E>(self) -> Result<Json, E> {
        Ok(Json::Null)
    }

    fn visit_bool<E>(self, boolean: bool) -> Result<Json, E> {
        Ok(Json::Bool(boolean))
    }

    fn visit_i64<E>(self, number: i64) -> Result<Json, E> {
        Ok(Json::Number(number.to_string()))
    }

    fn visit_u64<E>(self, number: u64) -> Result<Json, E> {
        Ok(Json::Number(number.to_string()))
    }

    fn visit_f64<E>(self, number: f64) -> Result<Json, E> {
        // With a point or an exponent, so that it never looks like an integer.
        Ok(Json::Number(format!("{number:?}")))
    }

    fn visit_str<E>(self, text: &str) -> Result<Json, E> {
        Ok(Json::String(text.to_owned()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Json, A::Error> {
        let mut array = Vec::new();
        while let Some(item) = items.next_element()? {
            array.push(item);
        }
        Ok(Json::Array(array))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Json, A::Error> {
        let mut object = Members::new();
        while let Some((key, value)) = members.next_entry::<String, Json>()? {
            object.push((key, value));
        }
        // Sorted views, so that a million members are not compared with each other.
        let mut keys: Vec<&str> = object.iter().map(|(key, _)| key.as_str()).collect();
        keys.sort_unstable();
        if keys.windows(2).any(|pair| pair.first() == pair.last()) {
            return Err(A::Error::custom("a key occurs twice in an object; send each key once"));
        }
        Ok(Json::Object(object))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<String, String> {
        let json: Json = serde_json::from_str(text).map_err(|error| error.to_string())?;
        let mut out = String::new();
        json.write(&mut out);
        Ok(out)
    }

    #[test]
    fn what_is_read_is_written_again() {
        for text in
            ["null", "[true,-5,18446744073709551615,1.5,\"a\\n\u{1f600}\"]", "{\"b\":{},\"a\":[]}"]
        {
            assert_eq!(read(text).as_deref(), Ok(text));
        }
        // Never an integer that was none.
        assert_eq!(read("[1.0,1e2]").as_deref(), Ok("[1.0,100.0]"));
    }

    #[test]
    fn what_two_readers_would_read_in_two_ways_is_refused() {
        for text in [
            "{\"a\":1,\"a\":1}",
            "[{\"x\":{\"a\":1,\"b\":2,\"a\":3}}]",
            "{} x",
            "\"\\ud800\"",
            "\u{feff}{}",
            "{\"a\":01}",
            "NaN",
            "",
        ] {
            assert!(read(text).is_err(), "{text}");
        }
        assert!(read(&"[".repeat(100_000)).is_err());
    }
}
