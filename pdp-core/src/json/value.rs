//! JSON values to Cedar values, led by a type of the schema where there is one.

use bumpalo::Bump;
use bumpalo::collections::Vec as ArenaVec;

use super::JsonError;
use super::tree::Json;
use super::uid;
use crate::ext::{Datetime, Duration};
use crate::lookup;
use crate::program::{
    FieldRec, Span, TAG_DATETIME, TAG_DECIMAL, TAG_DURATION, TYPE_ENTITY, TYPE_EXTENSION,
    TYPE_RECORD, TYPE_SET, Tables,
};
use crate::request::Value;

/// The schema's types and the type that is expected.
#[derive(Clone, Copy, Debug)]
pub(super) struct Expected<'t> {
    pub(super) tables: &'t Tables,
    pub(super) schema_type: u32,
    /// Records must have exactly the fields declared; else that is left to validation.
    pub(super) closed: bool,
}

/// A value.
pub(super) fn value<'a>(
    json: Json<'a>,
    expected: Option<Expected<'_>>,
    arena: &'a Bump,
) -> Result<Value<'a>, JsonError> {
    let known = expected
        .and_then(|e| e.tables.schema_types.get(e.schema_type as usize).map(|node| (e, node)));
    let Some((expected, node)) = known else { return plain(json, arena) };
    match node.kind {
        TYPE_ENTITY => uid::from_json(json, false, arena).map(Value::Entity),
        TYPE_EXTENSION => match json {
            Json::Object([("__extn", call)]) => extension(*call, arena),
            call @ Json::Object(_) => extension(call, arena),
            Json::Text(text) => construct(constructor(node.a), text),
            json => Err(JsonError::new(format!("expected a string, not {}", json.kind()))),
        },
        TYPE_SET => match json {
            Json::Array(items) => {
                let element = Expected { schema_type: node.a, ..expected };
                set(items, Some(element), arena)
            }
            json => Err(JsonError::new(format!("expected an array, not {}", json.kind()))),
        },
        TYPE_RECORD => match json {
            Json::Object(pairs) => {
                let fields = Span { start: node.a, len: node.b }.of(&expected.tables.fields);
                record(pairs, expected.tables, fields, expected.closed, arena).map(Value::Record)
            }
            json => Err(JsonError::new(format!("expected an object, not {}", json.kind()))),
        },
        // Where a primitive is expected, what is there is read as it is; `decide` says whether it fits.
        _ => plain(json, arena),
    }
}

/// A record with the types its fields have. `closed`: exactly these fields, the required ones among them, at every level.
pub(super) fn record<'a>(
    pairs: &[(&'a str, Json<'a>)],
    tables: &Tables,
    fields: &[FieldRec],
    closed: bool,
    arena: &'a Bump,
) -> Result<&'a [(&'a str, Value<'a>)], JsonError> {
    let name = |field: &FieldRec| {
        std::str::from_utf8(lookup::symbol_text(tables, field.name)).unwrap_or("")
    };
    let mut read = ArenaVec::with_capacity_in(pairs.len(), arena);
    for (key, json) in pairs {
        let field = lookup::symbol(tables, key.as_bytes()).and_then(|symbol| {
            fields.get(fields.binary_search_by_key(&symbol, |field| field.name).ok()?)
        });
        if field.is_none() && closed {
            return Err(JsonError::new(format!("`{key}` is not declared in the schema")));
        }
        let expected =
            field.map(|field| Expected { tables, schema_type: field.schema_type, closed });
        read.push((*key, value(*json, expected, arena).map_err(|e| e.within(key))?));
    }
    if closed {
        let missing = fields
            .iter()
            .find(|field| field.required == 1 && !pairs.iter().any(|(key, _)| *key == name(field)));
        if let Some(missing) = missing {
            return Err(JsonError::new(format!("`{}` is missing", name(missing))));
        }
    }
    Ok(read.into_bump_slice())
}

/// A record without a schema.
pub(super) fn plain_record<'a>(
    pairs: &[(&'a str, Json<'a>)],
    arena: &'a Bump,
) -> Result<&'a [(&'a str, Value<'a>)], JsonError> {
    let mut read = ArenaVec::with_capacity_in(pairs.len(), arena);
    for (key, json) in pairs {
        read.push((*key, plain(*json, arena).map_err(|e| e.within(key))?));
    }
    Ok(read.into_bump_slice())
}

fn plain<'a>(json: Json<'a>, arena: &'a Bump) -> Result<Value<'a>, JsonError> {
    Ok(match json {
        Json::Null => return Err(JsonError::new("null is no value; leave the attribute out")),
        Json::Bool(b) => Value::Bool(b),
        Json::Int(i) => Value::Long(i),
        Json::Text(text) => Value::String(text),
        Json::Array(items) => return set(items, None, arena),
        Json::Object([("__entity", inner @ Json::Object(_))]) => {
            Value::Entity(uid::from_json(*inner, false, arena)?)
        }
        Json::Object([("__extn", call @ Json::Object(_))]) => return extension(*call, arena),
        Json::Object([("__expr", Json::Text(_))]) => {
            return Err(JsonError::new("`__expr` is not supported; use `__entity` or `__extn`"));
        }
        Json::Object(pairs) => Value::Record(plain_record(pairs, arena)?),
    })
}

fn set<'a>(
    items: &[Json<'a>],
    element: Option<Expected<'_>>,
    arena: &'a Bump,
) -> Result<Value<'a>, JsonError> {
    let mut read = ArenaVec::with_capacity_in(items.len(), arena);
    for (at, item) in items.iter().enumerate() {
        read.push(value(*item, element, arena).map_err(|e| e.within(&format!("[{at}]")))?);
    }
    Ok(Value::Set(read.into_bump_slice()))
}

/// `{"fn": …, "arg": …}`, or `"args"` for functions of two arguments.
fn extension<'a>(call: Json<'a>, arena: &'a Bump) -> Result<Value<'a>, JsonError> {
    let Some(Json::Text(function)) = call.get("fn") else {
        return Err(JsonError::new("an extension value is `{\"fn\": …, \"arg\": …}`"));
    };
    let arg = call.get("arg").or(match call.get("args") {
        Some(Json::Array([only])) => Some(*only),
        _ => None,
    });
    match (function, arg, call.get("args")) {
        (_, Some(Json::Text(text)), _) => construct(function, text),
        // How Cedar prints datetimes: an offset from the epoch.
        ("offset", None, Some(Json::Array([from, by]))) => {
            let from = nested(*from, TAG_DATETIME, arena)?;
            let by = nested(*by, TAG_DURATION, arena)?;
            match (from, by) {
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

fn nested<'a>(json: Json<'a>, tag: u32, arena: &'a Bump) -> Result<Value<'a>, JsonError> {
    match json {
        Json::Text(text) => construct(constructor(tag), text),
        Json::Object([("__extn", call)]) => extension(*call, arena),
        call => extension(call, arena),
    }
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
