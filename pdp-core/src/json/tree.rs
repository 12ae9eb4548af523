//! JSON text to a tree in an arena: the strict part, without any Cedar meaning.

use bumpalo::Bump;
use bumpalo::collections::Vec as ArenaVec;
use serde::de::{DeserializeSeed, Error, MapAccess, SeqAccess, Visitor};

use super::JsonError;

/// A JSON value. Numbers are 64-bit integers or nothing.
#[derive(Clone, Copy, Debug)]
pub(super) enum Json<'a> {
    Null,
    Bool(bool),
    Int(i64),
    Text(&'a str),
    Array(&'a [Json<'a>]),
    Object(&'a [(&'a str, Json<'a>)]),
}

/// Reads a whole text.
pub(super) fn read<'a>(
    text: &str,
    arena: &'a Bump,
    bytes_max: usize,
    depth_max: u32,
) -> Result<Json<'a>, JsonError> {
    if text.len() > bytes_max {
        return Err(JsonError::new(format!(
            "the text has {} bytes, at most {bytes_max} are read",
            text.len()
        )));
    }
    let mut reader = serde_json::Deserializer::from_str(text);
    let tree = Seed { arena, depth: depth_max }
        .deserialize(&mut reader)
        .map_err(|e| JsonError::new(e.to_string()))?;
    reader.end().map_err(|e| JsonError::new(e.to_string()))?;
    Ok(tree)
}

impl<'a> Json<'a> {
    /// The value under a key of an object.
    pub(super) fn get(&self, key: &str) -> Option<Json<'a>> {
        match self {
            Json::Object(pairs) => pairs.iter().find(|(k, _)| *k == key).map(|(_, value)| *value),
            _ => None,
        }
    }

    /// What it is, for messages.
    pub(super) fn kind(&self) -> &'static str {
        match self {
            Json::Null => "null",
            Json::Bool(_) => "a Boolean",
            Json::Int(_) => "a number",
            Json::Text(_) => "a string",
            Json::Array(_) => "an array",
            Json::Object(_) => "an object",
        }
    }
}

#[derive(Clone, Copy)]
struct Seed<'a> {
    arena: &'a Bump,
    depth: u32,
}

impl<'a> Seed<'a> {
    fn deeper<E: Error>(self) -> Result<Self, E> {
        match self.depth.checked_sub(1) {
            Some(depth) => Ok(Self { depth, ..self }),
            None => Err(E::custom("the value is nested too deeply")),
        }
    }
}

impl<'a, 'de> DeserializeSeed<'de> for Seed<'a> {
    type Value = Json<'a>;

    fn deserialize<D: serde::Deserializer<'de>>(
        self,
        deserializer: D,
    ) -> Result<Json<'a>, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'a, 'de> Visitor<'de> for Seed<'a> {
    type Value = Json<'a>;

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_unit<E>(self) -> Result<Json<'a>, E> {
        Ok(Json::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Json<'a>, E> {
        Ok(Json::Bool(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Json<'a>, E> {
        Ok(Json::Int(value))
    }

    fn visit_u64<E: Error>(self, value: u64) -> Result<Json<'a>, E> {
        i64::try_from(value)
            .map(Json::Int)
            .map_err(|_| E::custom(format_args!("{value} is not a 64-bit signed integer")))
    }

    fn visit_f64<E: Error>(self, value: f64) -> Result<Json<'a>, E> {
        Err(E::custom(format_args!(
            "{value} is not a 64-bit signed integer; for fractions use decimal"
        )))
    }

    fn visit_str<E>(self, text: &str) -> Result<Json<'a>, E> {
        Ok(Json::Text(self.arena.alloc_str(text)))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut array: A) -> Result<Json<'a>, A::Error> {
        let inner = self.deeper()?;
        let mut items = ArenaVec::new_in(self.arena);
        while let Some(item) = array.next_element_seed(inner)? {
            items.push(item);
        }
        Ok(Json::Array(items.into_bump_slice()))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut object: A) -> Result<Json<'a>, A::Error> {
        let inner = self.deeper()?;
        let mut pairs = ArenaVec::new_in(self.arena);
        while let Some(key) = object.next_key_seed(Key(self.arena))? {
            let value = object.next_value_seed(inner)?;
            pairs.push((key, value));
        }
        if let Some(key) = duplicate(&pairs, self.arena) {
            return Err(A::Error::custom(format_args!("key `{key}` occurs twice")));
        }
        Ok(Json::Object(pairs.into_bump_slice()))
    }
}

/// A key that occurs twice. Sorts, so that many keys do not take quadratic time.
fn duplicate<'a>(pairs: &[(&'a str, Json<'a>)], arena: &'a Bump) -> Option<&'a str> {
    let mut keys = ArenaVec::from_iter_in(pairs.iter().map(|(key, _)| *key), arena);
    keys.sort_unstable();
    keys.windows(2).find_map(|two| match two {
        [a, b] if a == b => Some(*a),
        _ => None,
    })
}

struct Key<'a>(&'a Bump);

impl<'a, 'de> DeserializeSeed<'de> for Key<'a> {
    type Value = &'a str;

    fn deserialize<D: serde::Deserializer<'de>>(
        self,
        deserializer: D,
    ) -> Result<&'a str, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl<'a> Visitor<'_> for Key<'a> {
    type Value = &'a str;

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("a key")
    }

    fn visit_str<E>(self, text: &str) -> Result<&'a str, E> {
        Ok(self.0.alloc_str(text))
    }
}
