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

use super::tree::{self, Json};
use super::value::{self, Expected};
use super::{JsonError, uid};
use crate::bundle::Bundle;
use crate::ids::NONE;
use crate::limits::RequestLimits;
use crate::lookup;
use crate::prepare::context_type;
use crate::program::{Span, TYPE_RECORD, Tables};
use crate::request::{InlineEntity, Request, Uid, Value};

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

/// Reads a request. With a bundle that has a schema, the schema leads the reading of context and entities.
///
/// # Errors
///
/// When the text is not JSON of the form above, is too long or too deep, or has a key twice.
pub fn read_request<'a>(
    text: &str,
    bundle: Option<&Bundle>,
    arena: &'a Bump,
    limits: &RequestLimits,
) -> Result<Request<'a>, JsonError> {
    request(text, bundle, false, arena, limits)
}

/// Reads a request as Cedar's own context parser does: a context that lacks a declared attribute, or has one that the
/// schema does not declare, is an error here and not left to validation. For comparing engines.
///
/// # Errors
///
/// As [`read_request`], and when the context does not have the attributes that the schema declares.
pub fn read_request_as_cedar<'a>(
    text: &str,
    bundle: Option<&Bundle>,
    arena: &'a Bump,
    limits: &RequestLimits,
) -> Result<Request<'a>, JsonError> {
    request(text, bundle, true, arena, limits)
}

/// Reads a list of entities in Cedar's JSON, for changes of what a bundle stores. With a bundle that has a schema, the
/// schema leads the reading.
///
/// # Errors
///
/// When the text is not a JSON array of entities, is too long or too deep, or has a key twice.
pub fn read_entities<'a>(
    text: &str,
    bundle: Option<&Bundle>,
    arena: &'a Bump,
    limits: &RequestLimits,
) -> Result<&'a [InlineEntity<'a>], JsonError> {
    let json = tree::read(text, arena, limits.request_bytes_max, limits.json_depth_max)?;
    list(Some(json), "entities", arena, |entity| self::entity(entity, bundle, arena))
}

fn request<'a>(
    text: &str,
    bundle: Option<&Bundle>,
    closed: bool,
    arena: &'a Bump,
    limits: &RequestLimits,
) -> Result<Request<'a>, JsonError> {
    let json = tree::read(text, arena, limits.request_bytes_max, limits.json_depth_max)?;
    let Json::Object(pairs) = json else {
        return Err(JsonError::new(format!("a request is an object, not {}", json.kind())));
    };
    if let Some((key, _)) = pairs.iter().find(|(key, _)| !KEYS.contains(key)) {
        return Err(JsonError::new(format!(
            "`{key}` is not a part of a request; parts are {}",
            KEYS.join(", ")
        )));
    }
    let name = |key: &str| match json.get(key) {
        Some(json) => uid::from_json(json, true, arena).map_err(|e| e.within(key)),
        None => Err(JsonError::new(format!("`{key}` is missing"))),
    };
    let action = name("action")?;
    let context = match json.get("context") {
        Some(context) => self::context(context, action, bundle, closed, arena)
            .map_err(|e| e.within("context"))?,
        None => &[],
    };
    let on_behalf_of = match json.get("on_behalf_of") {
        Some(subject) => {
            Some(uid::from_json(subject, true, arena).map_err(|e| e.within("on_behalf_of"))?)
        }
        None => None,
    };
    let actors =
        list(json.get("actors"), "actors", arena, |actor| uid::from_json(actor, true, arena))?;
    let scopes = list(json.get("scopes"), "scopes", arena, |scope| match scope {
        Json::Text(scope) => Ok(scope),
        other => Err(JsonError::new(format!("a scope is a string, not {}", other.kind()))),
    })?;
    let entities = list(json.get("entities"), "entities", arena, |entity| {
        self::entity(entity, bundle, arena)
    })?;
    let now = match json.get("now") {
        Some(Json::Text(now)) => {
            Some(now.parse().map_err(|e| JsonError::new(format!("`{now}`: {e}")).within("now"))?)
        }
        Some(other) => {
            return Err(JsonError::new(format!(
                "expected a datetime string, not {}",
                other.kind()
            ))
            .within("now"));
        }
        None => None,
    };
    Ok(Request {
        principal: name("principal")?,
        action,
        resource: name("resource")?,
        context,
        on_behalf_of,
        actors,
        scopes,
        entities,
        now,
    })
}

fn context<'a>(
    json: Json<'a>,
    action: Uid<'_>,
    bundle: Option<&Bundle>,
    closed: bool,
    arena: &'a Bump,
) -> Result<&'a [(&'a str, Value<'a>)], JsonError> {
    let Json::Object(pairs) = json else {
        return Err(JsonError::new(format!("a context is an object, not {}", json.kind())));
    };
    // A record that is an escape is some other value.
    if let [("__entity" | "__extn" | "__expr", Json::Object(_) | Json::Text(_))] = pairs {
        return Err(JsonError::new("a context is a record, not another value"));
    }
    let Some(bundle) = bundle.filter(|bundle| bundle.has_schema()) else {
        return value::plain_record(pairs, arena);
    };
    let tables = bundle.tables();
    let schema_type = lookup::entity(tables, action.entity_type.as_bytes(), action.id.as_bytes())
        .and_then(|action| context_type(tables, action))
        .and_then(|context| tables.schema_types.get(context as usize))
        .filter(|node| node.kind == TYPE_RECORD);
    let Some(node) = schema_type else { return value::plain_record(pairs, arena) };
    let fields = Span { start: node.a, len: node.b }.of(&tables.fields);
    value::record(pairs, tables, fields, closed, arena)
}

fn entity<'a>(
    json: Json<'a>,
    bundle: Option<&Bundle>,
    arena: &'a Bump,
) -> Result<InlineEntity<'a>, JsonError> {
    let Json::Object(pairs) = json else {
        return Err(JsonError::new(format!("an entity is an object, not {}", json.kind())));
    };
    if let Some((key, _)) =
        pairs.iter().find(|(key, _)| !["uid", "attrs", "parents", "tags"].contains(key))
    {
        return Err(JsonError::new(format!(
            "`{key}` is not a part of an entity; parts are uid, attrs, parents, tags"
        )));
    }
    let uid = match json.get("uid") {
        Some(json) => uid::from_json(json, true, arena).map_err(|e| e.within("uid"))?,
        None => return Err(JsonError::new("`uid` is missing")),
    };
    let declared = bundle.map(Bundle::tables).and_then(|tables| {
        let ty = lookup::entity_type(tables, uid.entity_type.as_bytes())?;
        let declaration = tables.types.get(ty as usize)?.declaration;
        Some((tables, tables.declarations.get(declaration as usize)?))
    });
    let attrs = part(json, "attrs")?;
    let attrs = match declared {
        Some((tables, declaration)) => {
            value::record(attrs, tables, declaration.fields.of(&tables.fields), false, arena)
        }
        None => value::plain_record(attrs, arena),
    };
    let tag_type: Option<Expected<'_>> = declared
        .filter(|(_, declaration)| declaration.tags != NONE)
        .map(|(tables, declaration): (&Tables, _)| Expected {
            tables,
            schema_type: declaration.tags,
            closed: false,
        });
    let mut tags = ArenaVec::new_in(arena);
    for (key, tag) in part(json, "tags")? {
        tags.push((
            *key,
            value::value(*tag, tag_type, arena).map_err(|e| e.within(key).within("tags"))?,
        ));
    }
    Ok(InlineEntity {
        uid,
        parents: list(json.get("parents"), "parents", arena, |parent| {
            uid::from_json(parent, true, arena)
        })?,
        attrs: attrs.map_err(|e| e.within("attrs"))?,
        tags: tags.into_bump_slice(),
    })
}

/// The pairs of an object that may be left out.
fn part<'a>(json: Json<'a>, key: &str) -> Result<&'a [(&'a str, Json<'a>)], JsonError> {
    match json.get(key) {
        Some(Json::Object(pairs)) => Ok(pairs),
        Some(other) => {
            Err(JsonError::new(format!("expected an object, not {}", other.kind())).within(key))
        }
        None => Ok(&[]),
    }
}

/// The items of an array that may be left out.
fn list<'a, T: Copy>(
    json: Option<Json<'a>>,
    key: &str,
    arena: &'a Bump,
    mut item: impl FnMut(Json<'a>) -> Result<T, JsonError>,
) -> Result<&'a [T], JsonError> {
    let items = match json {
        None => return Ok(&[]),
        Some(Json::Array(items)) => items,
        Some(other) => {
            return Err(
                JsonError::new(format!("expected an array, not {}", other.kind())).within(key)
            );
        }
    };
    let mut read = ArenaVec::with_capacity_in(items.len(), arena);
    for (at, json) in items.iter().enumerate() {
        read.push(item(*json).map_err(|e| e.within(&format!("[{at}]")).within(key))?);
    }
    Ok(read.into_bump_slice())
}
