//! Whole requests from JSON.
//!
//! ```json
//! {"principal": "User::\"alice\"", "action": {"type": "Action", "id": "read"}, "resource": "Doc::\"1\"",
//!  "context": {}, "on_behalf_of": "…", "actors": [], "scopes": [], "entities": [], "now": "2026-01-31T12:00:00Z"}
//! ```
//!
//! All but principal, action and resource may be left out. Unknown keys are refused. `now`, delegation and scopes are
//! believed here: an edge that serves strangers overwrites or refuses them.

use bumpalo::Bump;
use bumpalo::collections::Vec as ArenaVec;

use super::cursor::{Cursor, Kind};
use super::value::{self, Expected, Manner, Pairs, Types};
use super::{JsonError, uid};
use crate::bundle::Bundle;
use crate::ext::Datetime;
use crate::ids::NONE;
use crate::limits::RequestLimits;
use crate::lookup;
use crate::prepare::context_type;
use crate::program::{DeclarationRec, Span, TYPE_RECORD, Tables};
use crate::request::{InlineEntity, Request, Uid};

const KEYS: [&str; 9] = [
    "principal",
    "action",
    "resource",
    "context",
    "on_behalf_of",
    "actors",
    "scopes",
    "entities",
    "now",
];
const ENTITY_KEYS: [&str; 4] = ["uid", "attrs", "parents", "tags"];

/// Reads a request. With a bundle that has a schema, the schema leads the reading of context and entities.
///
/// # Errors
///
/// When the text is not JSON of the form above, is too long or too deep, or has a key twice.
pub fn read_request<'a>(
    text: &'a str,
    bundle: Option<&Bundle>,
    arena: &'a Bump,
    limits: &RequestLimits,
) -> Result<Request<'a>, JsonError> {
    Reader { bundle, manner: Manner::Open }.request(Cursor::new(text, arena, limits)?)
}

/// Reads a request as Cedar's own context parser does: a context that lacks a declared attribute, or has one that the
/// schema does not declare, is an error here and not left to validation. For comparing engines.
///
/// # Errors
///
/// As [`read_request`], and when the context does not have the attributes that the schema declares.
pub fn read_request_as_cedar<'a>(
    text: &'a str,
    bundle: Option<&Bundle>,
    arena: &'a Bump,
    limits: &RequestLimits,
) -> Result<Request<'a>, JsonError> {
    Reader { bundle, manner: Manner::Closed }.request(Cursor::new(text, arena, limits)?)
}

/// Reads a list of entities in Cedar's JSON, for changes of what a bundle stores. With a bundle that has a schema, the
/// schema leads the reading.
///
/// # Errors
///
/// When the text is not a JSON array of entities, is too long or too deep, or has a key twice.
pub fn read_entities<'a>(
    text: &'a str,
    bundle: Option<&Bundle>,
    arena: &'a Bump,
    limits: &RequestLimits,
) -> Result<&'a [InlineEntity<'a>], JsonError> {
    let (reader, mut cursor) =
        (Reader { bundle, manner: Manner::Open }, Cursor::new(text, arena, limits)?);
    let entities =
        list(&mut cursor, |cursor| reader.entity(cursor)).map_err(|e| e.within("entities"))?;
    cursor.end()?;
    Ok(entities)
}

/// Reads a list of entities' names, each in Cedar's text form or as `{"type", "id"}`.
///
/// # Errors
///
/// When the text is not a JSON array of names, is too long or too deep, or has a key twice.
pub fn read_uids<'a>(
    text: &'a str,
    arena: &'a Bump,
    limits: &RequestLimits,
) -> Result<&'a [Uid<'a>], JsonError> {
    let mut cursor = Cursor::new(text, arena, limits)?;
    let uids = list(&mut cursor, |cursor| uid::read(cursor, true))?;
    cursor.end()?;
    Ok(uids)
}

/// What leads the reading of a request.
struct Reader<'b> {
    bundle: Option<&'b Bundle>,
    /// How the context follows the schema.
    manner: Manner,
}

/// The keys of an object of fixed parts, each of which may stand there once.
struct Parts<'k> {
    what: &'static str,
    keys: &'k [&'static str],
    seen: u32,
}

// === impl Parts ===

impl<'k> Parts<'k> {
    fn new(what: &'static str, keys: &'k [&'static str]) -> Self {
        Self { what, keys, seen: 0 }
    }

    /// The next part, at its value.
    #[inline(always)]
    fn next(&mut self, cursor: &mut Cursor<'_>) -> Result<Option<&'static str>, JsonError> {
        let Some(key) = cursor.key(self.seen == 0)? else { return Ok(None) };
        let Some((at, known)) = self.keys.iter().enumerate().find(|(_, known)| **known == key)
        else {
            let (what, keys) = (self.what, self.keys.join(", "));
            return Err(JsonError::new(format!(
                "`{key}` is not a part of {what}; parts are {keys}"
            )));
        };
        if self.seen & (1 << at) != 0 {
            return Err(cursor.error(&format!("key `{key}` occurs twice")));
        }
        self.seen |= 1 << at;
        Ok(Some(known))
    }
}

// === impl Reader ===

impl Reader<'_> {
    fn request<'a>(&self, mut cursor: Cursor<'a>) -> Result<Request<'a>, JsonError> {
        let cursor = &mut cursor;
        let (mut principal, mut action, mut resource, mut on_behalf_of) = (None, None, None, None);
        let (mut context, mut waiting) = (&[][..], None);
        let (mut actors, mut scopes, mut entities, mut now) = (&[][..], &[][..], &[][..], None);
        let name = |cursor: &mut Cursor<'a>| uid::read(cursor, true);
        enter(cursor, "a request is an object")?;
        let mut parts = Parts::new("a request", &KEYS);
        while let Some(key) = parts.next(cursor)? {
            let mut read = || {
                match key {
                    "principal" => principal = Some(name(cursor)?),
                    "action" => action = Some(name(cursor)?),
                    "resource" => resource = Some(name(cursor)?),
                    "context" => match self.context_types(action) {
                        Some(types) => context = self::context(cursor, types)?,
                        None => {
                            waiting = Some(*cursor);
                            cursor.pass()?;
                        }
                    },
                    "on_behalf_of" => on_behalf_of = Some(name(cursor)?),
                    "actors" => actors = list(cursor, name)?,
                    "scopes" => scopes = list(cursor, scope)?,
                    "entities" => entities = list(cursor, |cursor| self.entity(cursor))?,
                    _ => now = Some(self::now(cursor)?),
                }
                Ok(())
            };
            read().map_err(|e: JsonError| e.within(key))?;
        }
        cursor.end()?;
        let missing = |key: &str| JsonError::new(format!("`{key}` is missing"));
        let action = action.ok_or_else(|| missing("action"))?;
        if let Some(mut cursor) = waiting {
            let types = self.context_types(Some(action)).unwrap_or(Types::Unknown);
            context = self::context(&mut cursor, types).map_err(|e| e.within("context"))?;
        }
        Ok(Request {
            principal: principal.ok_or_else(|| missing("principal"))?,
            action,
            resource: resource.ok_or_else(|| missing("resource"))?,
            context,
            on_behalf_of,
            actors,
            scopes,
            entities,
            now,
        })
    }

    /// What the schema declares for the context of an action; nothing where the action has to be known first.
    fn context_types(&self, action: Option<Uid<'_>>) -> Option<Types<'_>> {
        let Some(bundle) = self.bundle.filter(|bundle| bundle.has_schema()) else {
            return Some(Types::Unknown);
        };
        let (action, tables) = (action?, bundle.tables());
        let node = lookup::entity(tables, action.entity_type.as_bytes(), action.id.as_bytes())
            .and_then(|action| context_type(tables, action))
            .and_then(|context| tables.schema_types.get(context as usize))
            .filter(|node| node.kind == TYPE_RECORD);
        Some(match node {
            Some(node) => {
                let fields = Span { start: node.a, len: node.b }.of(&tables.fields);
                Types::Fields { tables, fields, manner: self.manner }
            }
            None => Types::Unknown,
        })
    }

    fn entity<'a>(&self, cursor: &mut Cursor<'a>) -> Result<InlineEntity<'a>, JsonError> {
        let (mut uid, mut parents, mut attrs, mut tags) = (None, &[][..], &[][..], &[][..]);
        let (mut attrs_waiting, mut tags_waiting) = (None, None);
        enter(cursor, "an entity is an object")?;
        let mut parts = Parts::new("an entity", &ENTITY_KEYS);
        while let Some(key) = parts.next(cursor)? {
            let mut read = || {
                match (key, uid) {
                    ("uid", _) => uid = Some(uid::read(cursor, true)?),
                    ("parents", _) => parents = list(cursor, |cursor| uid::read(cursor, true))?,
                    ("attrs", Some(uid)) => attrs = part(cursor, self.attribute_types(uid))?,
                    (_, Some(uid)) => tags = part(cursor, self.tag_types(uid))?,
                    // Which types they have depends on what they belong to.
                    (_, None) => {
                        let waiting =
                            if key == "attrs" { &mut attrs_waiting } else { &mut tags_waiting };
                        *waiting = Some(*cursor);
                        cursor.pass()?;
                    }
                }
                Ok(())
            };
            read().map_err(|e: JsonError| e.within(key))?;
        }
        let uid = uid.ok_or_else(|| JsonError::new("`uid` is missing"))?;
        if let Some(mut cursor) = attrs_waiting {
            let types = self.attribute_types(uid);
            attrs = part(&mut cursor, types).map_err(|e| e.within("attrs"))?;
        }
        if let Some(mut cursor) = tags_waiting {
            tags = part(&mut cursor, self.tag_types(uid)).map_err(|e| e.within("tags"))?;
        }
        Ok(InlineEntity { uid, parents, attrs, tags })
    }

    fn attribute_types(&self, uid: Uid<'_>) -> Types<'_> {
        match self.declaration(uid) {
            Some((tables, declaration)) => {
                let fields = declaration.fields.of(&tables.fields);
                Types::Fields { tables, fields, manner: Manner::Open }
            }
            None => Types::Unknown,
        }
    }

    fn tag_types(&self, uid: Uid<'_>) -> Types<'_> {
        match self.declaration(uid).filter(|(_, declaration)| declaration.tags != NONE) {
            Some((tables, declaration)) => Types::Each(Expected {
                tables,
                schema_type: declaration.tags,
                manner: Manner::Open,
            }),
            None => Types::Unknown,
        }
    }

    /// What the schema says of an entity's type.
    fn declaration(&self, uid: Uid<'_>) -> Option<(&Tables, &DeclarationRec)> {
        let tables = self.bundle?.tables();
        let ty = lookup::entity_type(tables, uid.entity_type.as_bytes())?;
        let declaration = tables.types.get(ty as usize)?.declaration;
        Some((tables, tables.declarations.get(declaration as usize)?))
    }
}

// === parts ===

fn enter(cursor: &mut Cursor<'_>, what: &str) -> Result<(), JsonError> {
    match cursor.kind()? {
        Kind::Object => cursor.enter(),
        kind => Err(JsonError::new(format!("{what}, not {kind}"))),
    }
}

fn context<'a>(cursor: &mut Cursor<'a>, types: Types<'_>) -> Result<Pairs<'a>, JsonError> {
    match cursor.kind()? {
        Kind::Object => {}
        kind => return Err(JsonError::new(format!("a context is an object, not {kind}"))),
    }
    let pairs = value::record(cursor, types)?;
    // A record that is an escape is some other value.
    match value::is_escape(pairs) {
        true => Err(JsonError::new("a context is a record, not another value")),
        false => Ok(pairs),
    }
}

/// The attributes or tags of an entity.
fn part<'a>(cursor: &mut Cursor<'a>, types: Types<'_>) -> Result<Pairs<'a>, JsonError> {
    match cursor.kind()? {
        Kind::Object => value::record(cursor, types),
        kind => Err(JsonError::new(format!("expected an object, not {kind}"))),
    }
}

fn list<'a, T: Copy>(
    cursor: &mut Cursor<'a>,
    mut item: impl FnMut(&mut Cursor<'a>) -> Result<T, JsonError>,
) -> Result<&'a [T], JsonError> {
    match cursor.kind()? {
        Kind::Array => cursor.enter()?,
        kind => return Err(JsonError::new(format!("expected an array, not {kind}"))),
    }
    let mut read = ArenaVec::new_in(cursor.arena);
    while cursor.item(read.is_empty())? {
        let item = item(cursor).map_err(|e| e.within_item(read.len()))?;
        read.push(item);
    }
    Ok(read.into_bump_slice())
}

fn scope<'a>(cursor: &mut Cursor<'a>) -> Result<&'a str, JsonError> {
    match cursor.kind()? {
        Kind::Text => cursor.text(),
        kind => Err(JsonError::new(format!("a scope is a string, not {kind}"))),
    }
}

fn now(cursor: &mut Cursor<'_>) -> Result<Datetime, JsonError> {
    match cursor.kind()? {
        Kind::Text => {
            let now = cursor.text()?;
            now.parse().map_err(|e| JsonError::new(format!("`{now}`: {e}")))
        }
        kind => Err(JsonError::new(format!("expected a datetime string, not {kind}"))),
    }
}
