//! What a caller asks: borrowed, nothing interned, nothing copied.
//!
//! A [`Request`] is a view into memory of the caller: strings of a gRPC message, an arena filled from JSON
//! ([`crate::json`]), or literals. It is not validated by being built; `decide` does that. This module refuses to
//! parse wire formats: each edge converts to these types in one file of its own.

use crate::ext::{Datetime, Decimal, Duration, IpNet};

/// A Cedar value as a caller states it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Value<'a> {
    /// `true` or `false`.
    Bool(bool),
    /// A 64-bit signed integer.
    Long(i64),
    /// A string, compared byte for byte, never normalised.
    String(&'a str),
    /// A reference to an entity, which need not exist.
    Entity(Uid<'a>),
    /// A set; duplicates are allowed here and count once.
    Set(&'a [Value<'a>]),
    /// A record; a key that occurs twice makes the request invalid.
    Record(&'a [(&'a str, Value<'a>)]),
    /// A fixed-point number with four digits after the point.
    Decimal(Decimal),
    /// An IP address or range.
    Ip(IpNet),
    /// A point in time, in milliseconds.
    Datetime(Datetime),
    /// A span of time, in milliseconds.
    Duration(Duration),
}

/// The name of an entity: its type, fully qualified, and its id.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Uid<'a> {
    /// For example `Agentic::Agent`.
    pub entity_type: &'a str,
    /// Any string, the empty one included.
    pub id: &'a str,
}

/// An entity that comes with the request and lives only as long as it.
///
/// Its uid must be new to the bundle's store, except for attributes that the manifest lists as caller-supplied:
/// then `parents` and `tags` must be empty, and the listed attributes replace the stored ones for this request.
#[derive(Clone, Copy, Debug)]
pub struct InlineEntity<'a> {
    /// The entity's name.
    pub uid: Uid<'a>,
    /// Direct parents, stored or inline.
    pub parents: &'a [Uid<'a>],
    /// Attributes.
    pub attrs: &'a [(&'a str, Value<'a>)],
    /// Tags.
    pub tags: &'a [(&'a str, Value<'a>)],
}

/// One question: may this principal do this action on this resource, now?
#[derive(Clone, Copy, Debug)]
pub struct Request<'a> {
    /// Who acts; for delegated requests the current actor.
    pub principal: Uid<'a>,
    /// What is to be done.
    pub action: Uid<'a>,
    /// On what.
    pub resource: Uid<'a>,
    /// Facts about the request. Keys that the bundle's manifest says the PDP fills are refused.
    pub context: &'a [(&'a str, Value<'a>)],
    /// The subject on whose behalf the principal acts. Only from a source that the edge trusts or has verified.
    pub on_behalf_of: Option<Uid<'a>>,
    /// Inner actors of the delegation chain, nearest to the principal first. Same condition as `on_behalf_of`.
    pub actors: &'a [Uid<'a>],
    /// Scopes of the delegation, for the context the PDP fills. Same condition as `on_behalf_of`.
    pub scopes: &'a [&'a str],
    /// Entities that come with the request.
    pub entities: &'a [InlineEntity<'a>],
    /// The time as the PDP knows it. Edges set it from their own clock, never from what a caller sent.
    pub now: Option<Datetime>,
}

impl<'a> Uid<'a> {
    /// Names an entity.
    pub const fn new(entity_type: &'a str, id: &'a str) -> Self {
        Self { entity_type, id }
    }

    /// Whether the type has the form of a name: identifiers joined by `::`, without white space. No policy, schema or
    /// entity can name a type of another form.
    pub fn has_type_name(&self) -> bool {
        let mut bytes = self.entity_type.bytes();
        let mut inside = false;
        while let Some(byte) = bytes.next() {
            inside = match byte {
                b'_' | b'a'..=b'z' | b'A'..=b'Z' => true,
                b'0'..=b'9' if inside => true,
                b':' if inside && bytes.next() == Some(b':') => false,
                _ => return false,
            };
        }
        inside
    }
}

impl<'a> Request<'a> {
    /// A plain question: no delegation, no inline entities, no time.
    pub const fn new(
        principal: Uid<'a>,
        action: Uid<'a>,
        resource: Uid<'a>,
        context: &'a [(&'a str, Value<'a>)],
    ) -> Self {
        Self {
            principal,
            action,
            resource,
            context,
            on_behalf_of: None,
            actors: &[],
            scopes: &[],
            entities: &[],
            now: None,
        }
    }
}

/// Prints the Cedar form, `Type::"id"`, with the id escaped.
impl std::fmt::Display for Uid<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}::\"{}\"", self.entity_type, self.id.escape_debug())
    }
}

/// Prints Cedar syntax, so that a value in a message can be pasted into a policy.
impl std::fmt::Display for Value<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Value::Bool(b) => write!(f, "{b}"),
            Value::Long(i) => write!(f, "{i}"),
            Value::String(s) => write!(f, "\"{}\"", s.escape_debug()),
            Value::Entity(uid) => write!(f, "{uid}"),
            Value::Set(items) => {
                f.write_str("[")?;
                for (i, item) in items.iter().enumerate() {
                    if i > 0 {
                        f.write_str(", ")?;
                    }
                    write!(f, "{item}")?;
                }
                f.write_str("]")
            }
            Value::Record(pairs) => {
                f.write_str("{")?;
                for (i, (key, value)) in pairs.iter().enumerate() {
                    if i > 0 {
                        f.write_str(", ")?;
                    }
                    write!(f, "\"{}\": {value}", key.escape_debug())?;
                }
                f.write_str("}")
            }
            Value::Decimal(d) => write!(f, "decimal(\"{d}\")"),
            Value::Ip(ip) => write!(f, "ip(\"{ip}\")"),
            Value::Datetime(t) => write!(f, "datetime(\"{t}\")"),
            Value::Duration(d) => write!(f, "duration(\"{d}\")"),
        }
    }
}
