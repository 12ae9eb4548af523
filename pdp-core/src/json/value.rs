//! JSON values to Cedar values, led by a type of the schema where there is one.

use bumpalo::Bump;
use bumpalo::collections::Vec as ArenaVec;

use super::JsonError;
use super::cursor::{Cursor, Kind};
use super::uid;
use crate::ext::{Datetime, Duration};
use crate::lookup;
use crate::program::{
    FieldRec, SchemaType, Span, TAG_DATETIME, TAG_DECIMAL, TAG_DURATION, TYPE_ENTITY,
    TYPE_EXTENSION, TYPE_RECORD, TYPE_SET, Tables,
};
use crate::request::{Uid, Value};

/// Up to so many keys are compared with each other, or with the fields declared; more are sorted or looked up.
const FEW: usize = 16;

/// The pairs of a record.
pub(super) type Pairs<'a> = &'a [(&'a str, Value<'a>)];

/// The schema's types and the type that is expected.
#[derive(Clone, Copy, Debug)]
pub(super) struct Expected<'t> {
    pub(super) tables: &'t Tables,
    pub(super) schema_type: u32,
    pub(super) manner: Manner,
}

/// How closely a text has to follow the schema, and whom it was written for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Manner {
    /// Records may lack fields or have more than those declared, which is left to validation.
    Open,
    /// Records have exactly the fields declared, the required ones among them, at every level.
    Closed,
    /// The same for JSON that was not written for Cedar: where the schema says entity, a string is its id; where it says
    /// `decimal`, a number will do; there are no escapes.
    Foreign,
}

/// What the values of a record should be.
#[derive(Clone, Copy, Debug)]
pub(super) enum Types<'t> {
    /// Nothing is declared.
    Unknown,
    /// These fields, each of its type.
    Fields { tables: &'t Tables, fields: &'t [FieldRec], manner: Manner },
    /// All of one type.
    Each(Expected<'t>),
}

// === impl Types ===

impl<'t> Types<'t> {
    /// What is expected under a key.
    #[inline]
    fn under(self, key: &str) -> Result<Option<Expected<'t>>, JsonError> {
        match self {
            Types::Unknown => Ok(None),
            Types::Each(expected) => Ok(Some(expected)),
            Types::Fields { tables, fields, manner } => match find(tables, fields, key) {
                Some(field) => {
                    Ok(Some(Expected { tables, schema_type: field.schema_type, manner }))
                }
                None if manner != Manner::Open => {
                    Err(JsonError::new(format!("`{key}` is not declared in the schema")))
                }
                None => Ok(None),
            },
        }
    }

    /// The name of a field that must be there and is not.
    fn missing(self, pairs: Pairs<'_>) -> Option<&'t [u8]> {
        let Types::Fields { tables, fields, manner: Manner::Closed | Manner::Foreign } = self
        else {
            return None;
        };
        let name = |field: &FieldRec| lookup::symbol_text(tables, field.name);
        let is_there =
            |field: &FieldRec| pairs.iter().any(|(key, _)| key.as_bytes() == name(field));
        fields.iter().find(|field| field.required == 1 && !is_there(field)).map(name)
    }
}

#[inline]
fn find<'t>(tables: &'t Tables, fields: &'t [FieldRec], key: &str) -> Option<&'t FieldRec> {
    if fields.len() <= FEW {
        let is_it = |field: &&FieldRec| lookup::symbol_text(tables, field.name) == key.as_bytes();
        return fields.iter().find(is_it);
    }
    let symbol = lookup::symbol(tables, key.as_bytes())?;
    fields.get(fields.binary_search_by_key(&symbol, |field| field.name).ok()?)
}

/// A value.
#[inline(always)]
pub(super) fn read<'a>(
    cursor: &mut Cursor<'a>,
    expected: Option<Expected<'_>>,
) -> Result<Value<'a>, JsonError> {
    match expected.and_then(|e| e.tables.schema_types.get(e.schema_type as usize).zip(Some(e))) {
        // Where a primitive is expected, what is there is read as it is; `decide` says whether it fits.
        Some((node, expected)) if node.kind >= TYPE_ENTITY => led(cursor, node, expected),
        _ => plain(cursor),
    }
}

/// A value of a type that leads the reading.
fn led<'a>(
    cursor: &mut Cursor<'a>,
    node: &SchemaType,
    expected: Expected<'_>,
) -> Result<Value<'a>, JsonError> {
    let (kind, Expected { tables, manner, .. }) = (cursor.kind()?, expected);
    match (node.kind, kind) {
        (TYPE_ENTITY | TYPE_EXTENSION, _) if manner == Manner::Foreign => {
            foreign(cursor, node, kind, tables)
        }
        (TYPE_ENTITY, _) => uid::read(cursor, false).map(Value::Entity),
        (TYPE_EXTENSION, Kind::Text) => construct(constructor(node.a), cursor.text()?),
        (TYPE_EXTENSION, Kind::Object) => extension(plain(cursor)?),
        (TYPE_EXTENSION, _) => Err(JsonError::new(format!("expected a string, not {kind}"))),
        (TYPE_SET, Kind::Array) => {
            set(cursor, Some(Expected { tables, schema_type: node.a, manner }))
        }
        (TYPE_SET, _) => Err(JsonError::new(format!("expected an array, not {kind}"))),
        (TYPE_RECORD, Kind::Object) => {
            let fields = Span { start: node.a, len: node.b }.of(&tables.fields);
            record(cursor, Types::Fields { tables, fields, manner }).map(Value::Record)
        }
        (TYPE_RECORD, _) => Err(JsonError::new(format!("expected an object, not {kind}"))),
        _ => plain(cursor),
    }
}

/// An entity or extension value as somebody writes it who does not know Cedar.
fn foreign<'a>(
    cursor: &mut Cursor<'a>,
    node: &SchemaType,
    kind: Kind,
    tables: &Tables,
) -> Result<Value<'a>, JsonError> {
    match (node.kind, kind) {
        (TYPE_ENTITY, Kind::Text) => {
            let entity_type = tables.types.get(node.a as usize);
            let name = entity_type.map_or(&[][..], |ty| lookup::symbol_text(tables, ty.name));
            // The bundle holds no text that is not UTF-8.
            let name = std::str::from_utf8(name).unwrap_or_default();
            Ok(Value::Entity(Uid::new(cursor.arena.alloc_str(name), cursor.text()?)))
        }
        (TYPE_EXTENSION, Kind::Text) => construct(constructor(node.a), cursor.text()?),
        (TYPE_EXTENSION, Kind::Number) if node.a == TAG_DECIMAL => {
            let number = cursor.numeral()?;
            match number.contains('.') {
                true => construct("decimal", number),
                false => construct("decimal", &format!("{number}.0")),
            }
        }
        _ => Err(JsonError::new(format!("expected a string, not {kind}"))),
    }
}

/// A record, whose first byte is next.
pub(super) fn record<'a>(
    cursor: &mut Cursor<'a>,
    types: Types<'_>,
) -> Result<Pairs<'a>, JsonError> {
    cursor.enter()?;
    let mut pairs = ArenaVec::new_in(cursor.arena);
    while let Some(key) = cursor.key(pairs.is_empty())? {
        let expected = types.under(key)?;
        if pairs.is_empty() {
            pairs.reserve(4);
        }
        pairs.push((key, read(cursor, expected).map_err(|e| e.within(key))?));
    }
    let pairs = pairs.into_bump_slice();
    if let Some(key) = key_twice(pairs, cursor.arena) {
        return Err(cursor.error(&format!("key `{key}` occurs twice")));
    }
    match types.missing(pairs) {
        Some(name) => {
            Err(JsonError::new(format!("`{}` is missing", String::from_utf8_lossy(name))))
        }
        None => Ok(pairs),
    }
}

/// A key that occurs twice. Sorts many, so that they do not take quadratic time.
fn key_twice<'a>(pairs: Pairs<'a>, arena: &'a Bump) -> Option<&'a str> {
    if pairs.len() <= FEW {
        let earlier = |at: usize| pairs.iter().take(at).map(|(key, _)| *key);
        let mut keys = pairs.iter().map(|(key, _)| *key).enumerate();
        return keys.find(|(at, key)| earlier(*at).any(|other| other == *key)).map(|(_, key)| key);
    }
    twice(arena.alloc_slice_fill_iter(pairs.iter().map(|(key, _)| *key)))
}

/// A key that occurs twice among these, which are sorted.
pub(super) fn twice<'a>(keys: &mut [&'a str]) -> Option<&'a str> {
    keys.sort_unstable();
    keys.iter().zip(keys.iter().skip(1)).find(|(key, next)| key == next).map(|(key, _)| *key)
}

/// A value of which nothing is known.
#[inline(always)]
fn plain<'a>(cursor: &mut Cursor<'a>) -> Result<Value<'a>, JsonError> {
    Ok(match cursor.kind()? {
        Kind::Text => Value::String(cursor.text()?),
        Kind::Number => Value::Long(cursor.number()?),
        Kind::Bool => Value::Bool(cursor.boolean()?),
        Kind::Null => return Err(JsonError::new("null is no value; leave the attribute out")),
        Kind::Array => return set(cursor, None),
        Kind::Object => return object(cursor),
    })
}

#[inline(never)]
fn object<'a>(cursor: &mut Cursor<'a>) -> Result<Value<'a>, JsonError> {
    unescaped(record(cursor, Types::Unknown)?)
}

/// What an object means as a value: itself, or what an escape, which has one key, stands for. The object under the key
/// was read as a value, too; only then is known that the escape has no second key, and is none.
fn unescaped<'a>(pairs: Pairs<'a>) -> Result<Value<'a>, JsonError> {
    match *pairs {
        [("__entity", Value::Record(inner))] => uid::of_record(inner).map(Value::Entity),
        [("__extn", Value::Record(inner))] => call(inner),
        [("__entity" | "__extn", inner)] if is_unescaped(&inner) => {
            Err(JsonError::new("an escape is not written inside another"))
        }
        [("__expr", Value::String(_))] => {
            Err(JsonError::new("`__expr` is not supported; use `__entity` or `__extn`"))
        }
        _ => Ok(Value::Record(pairs)),
    }
}

/// Whether a value of which nothing was known came from an escape.
fn is_unescaped(value: &Value<'_>) -> bool {
    match value {
        Value::Entity(_) | Value::Decimal(_) | Value::Ip(_) => true,
        Value::Datetime(_) | Value::Duration(_) => true,
        Value::Bool(_) | Value::Long(_) | Value::String(_) => false,
        Value::Set(_) | Value::Record(_) => false,
    }
}

/// Whether an object with these pairs is an escape, or would be one.
pub(super) fn is_escape(pairs: Pairs<'_>) -> bool {
    match *pairs {
        [("__entity" | "__extn" | "__expr", inner)] => {
            matches!(inner, Value::Record(_) | Value::String(_)) || is_unescaped(&inner)
        }
        _ => false,
    }
}

fn set<'a>(cursor: &mut Cursor<'a>, element: Option<Expected<'_>>) -> Result<Value<'a>, JsonError> {
    cursor.enter()?;
    let mut items = ArenaVec::new_in(cursor.arena);
    while cursor.item(items.is_empty())? {
        let item = read(cursor, element).map_err(|e| e.within_item(items.len()))?;
        items.push(item);
    }
    Ok(Value::Set(items.into_bump_slice()))
}

/// What was written as an object where an extension value is expected.
fn extension(value: Value<'_>) -> Result<Value<'_>, JsonError> {
    match value {
        Value::Record(pairs) => call(pairs),
        Value::Decimal(_) | Value::Ip(_) | Value::Datetime(_) | Value::Duration(_) => Ok(value),
        _ => Err(no_call()),
    }
}

/// `{"fn": …, "arg": …}`, or `"args"` for functions of two arguments.
fn call<'a>(pairs: Pairs<'a>) -> Result<Value<'a>, JsonError> {
    let part = |name: &str| pairs.iter().find(|(key, _)| *key == name).map(|(_, value)| *value);
    let Some(Value::String(function)) = part("fn") else { return Err(no_call()) };
    match (function, part("arg"), part("args")) {
        (_, Some(Value::String(text)), _) => construct(function, text),
        (_, None, Some(Value::Set(&[Value::String(text)]))) => construct(function, text),
        // How Cedar prints datetimes: an offset from the epoch.
        ("offset", None, Some(Value::Set(&[from, by]))) => {
            match (argument(from, TAG_DATETIME)?, argument(by, TAG_DURATION)?) {
                (Value::Datetime(from), Value::Duration(by)) => from
                    .offset(by)
                    .map(Value::Datetime)
                    .ok_or_else(|| JsonError::new("the datetime leaves 64 bits of milliseconds")),
                _ => Err(JsonError::new("`offset` takes a datetime and a duration")),
            }
        }
        _ => Err(JsonError::new(format!("`{function}` is not called with one string"))),
    }
}

fn argument(value: Value<'_>, tag: u32) -> Result<Value<'_>, JsonError> {
    match value {
        Value::String(text) => construct(constructor(tag), text),
        value => extension(value),
    }
}

#[cold]
fn no_call() -> JsonError {
    JsonError::new("an extension value is `{\"fn\": …, \"arg\": …}`")
}

fn construct<'a>(function: &str, text: &str) -> Result<Value<'a>, JsonError> {
    let bad = |e: crate::ext::ExtError| JsonError::new(format!("`{text}`: {e}"));
    match function {
        "decimal" => text.parse().map(Value::Decimal).map_err(bad),
        "ip" => text.parse().map(Value::Ip).map_err(bad),
        "datetime" => text.parse::<Datetime>().map(Value::Datetime).map_err(bad),
        "duration" => text.parse::<Duration>().map(Value::Duration).map_err(bad),
        _ => Err(JsonError::new(format!(
            "`{function}` does not make a value; known are decimal, ip, datetime, duration"
        ))),
    }
}

fn constructor(tag: u32) -> &'static str {
    match tag {
        TAG_DECIMAL => "decimal",
        TAG_DATETIME => "datetime",
        TAG_DURATION => "duration",
        _ => "ip",
    }
}
