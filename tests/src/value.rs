//! A Cedar value as the generator holds it, with its two ways out: Cedar text and entity JSON.
//!
//! Values keep the spelling they were drawn with (`ip("127.0.0.1")` and `ip("127.0.0.1/32")` are two values here and one in
//! Cedar), because an engine that compares spellings is one of the bugs looked for.

use crate::quote;
use crate::rng::Rng;
use crate::world::Uid;
use serde_json::{Map, Value as Json, json};

/// One of Cedar's extension types.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ExtKind {
    Ip,
    Decimal,
    Datetime,
    Duration,
}

/// A value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Val {
    Bool(bool),
    Long(i64),
    Text(String),
    Entity(Uid),
    /// An extension value by the text its constructor reads.
    Ext(ExtKind, String),
    /// A datetime that no literal reaches: `datetime(base).offset(duration(by))`.
    Offset {
        base: String,
        by: String,
    },
    Set(Vec<Val>),
    Record(Vec<(String, Val)>),
}

/// How values are written as JSON.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum JsonStyle {
    /// Entities and extension values are escaped, so that no schema is needed to read them.
    Explicit,
    /// A schema will be there: escapes are left away now and then.
    SchemaLed,
}

// === impl ExtKind ===

impl ExtKind {
    pub(crate) const ALL: [Self; 4] = [Self::Ip, Self::Decimal, Self::Datetime, Self::Duration];

    /// The constructor's name.
    pub(crate) fn constructor(self) -> &'static str {
        match self {
            Self::Ip => "ip",
            Self::Decimal => "decimal",
            Self::Datetime => "datetime",
            Self::Duration => "duration",
        }
    }

    /// The type's name in a schema.
    pub(crate) fn type_name(self) -> &'static str {
        match self {
            Self::Ip => "ipaddr",
            Self::Decimal => "decimal",
            Self::Datetime => "datetime",
            Self::Duration => "duration",
        }
    }
}

// === impl Val ===

impl Val {
    /// The value as a Cedar expression that may stand before a dot.
    pub(crate) fn cedar(&self) -> String {
        match self {
            Self::Bool(value) => value.to_string(),
            Self::Long(value) if *value < 0 => format!("({value})"),
            Self::Long(value) => value.to_string(),
            Self::Text(text) => quote::literal(text),
            Self::Entity(uid) => uid.cedar(),
            Self::Ext(kind, text) => format!("{}({})", kind.constructor(), quote::literal(text)),
            Self::Offset { base, by } => format!(
                "datetime({}).offset(duration({}))",
                quote::literal(base),
                quote::literal(by)
            ),
            Self::Set(items) => {
                let items: Vec<String> = items.iter().map(Self::cedar).collect();
                format!("[{}]", items.join(", "))
            }
            Self::Record(fields) => {
                let fields: Vec<String> = fields
                    .iter()
                    .map(|(name, value)| format!("{}: {}", quote::key(name), value.cedar()))
                    .collect();
                format!("{{{}}}", fields.join(", "))
            }
        }
    }

    /// The value as it stands in entities and contexts.
    pub(crate) fn json(&self, rng: &mut Rng, style: JsonStyle) -> Json {
        let mut implicit = || style == JsonStyle::SchemaLed && rng.percent(50);
        match self {
            Self::Bool(value) => json!(value),
            Self::Long(value) => json!(value),
            Self::Text(text) => json!(text),
            Self::Entity(uid) if implicit() => uid.json(),
            Self::Entity(uid) => json!({ "__entity": uid.json() }),
            Self::Ext(_, text) if implicit() => json!(text),
            Self::Ext(kind, text) => extension(kind.constructor(), text),
            Self::Offset { base, by } => json!({ "__extn": {
                "fn": "offset",
                "args": [extension("datetime", base), extension("duration", by)],
            }}),
            Self::Set(items) => items.iter().map(|item| item.json(rng, style)).collect(),
            Self::Record(fields) => Json::Object(record_json(fields, rng, style)),
        }
    }
}

/// The fields of a record, a context, or an entity's attributes, as a JSON object.
pub(crate) fn record_json(
    fields: &[(String, Val)],
    rng: &mut Rng,
    style: JsonStyle,
) -> Map<String, Json> {
    fields.iter().map(|(name, value)| (name.clone(), value.json(rng, style))).collect()
}

fn extension(constructor: &str, argument: &str) -> Json {
    json!({ "__extn": { "fn": constructor, "arg": argument } })
}
