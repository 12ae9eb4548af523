//! A typed request, as the engine reads it: names and strings stay where the host's call put them.
//!
//! What is not of the form that its type says (a `decimal` that is none, a part that does not stand before) makes the
//! request one that cannot be read. Whether it fits the schema is for the engine to say.

use std::fmt::Display;
use std::str::FromStr;

use pdp_core::json::Arena;
use pdp_core::{Datetime, Duration, InlineEntity, Request, Uid, Value};

use super::bindings::exports::pdp::decision::engine::{
    EntityUid, InlineEntity as TypedEntity, Request as TypedRequest, Value as TypedValue,
};
use crate::desk::Unreadable;
use crate::nest::Nest;

/// Key and value pairs.
type Pairs<'a> = &'a [(&'a str, Value<'a>)];

/// Reads a request.
pub(super) fn request<'a>(
    typed: &'a TypedRequest,
    arena: &'a Arena,
) -> Result<Request<'a>, Unreadable> {
    let mut nest = Nest::new(arena);
    for part in &typed.parts {
        match part {
            TypedValue::SetOf(items) => nest.add_set(items),
            TypedValue::RecordOf(fields) => nest.add_record(fields),
            leaf => value(leaf, &nest, arena).and_then(|leaf| nest.add(leaf)),
        }
        .map_err(|why| Unreadable(format!("`parts`: {why}")))?;
    }
    let mut entities = Vec::with_capacity(typed.entities.len());
    for TypedEntity { uid, parents, attributes, tags } in &typed.entities {
        entities.push(InlineEntity {
            uid: self::uid(uid),
            parents: uids(parents, arena),
            attrs: pairs("attributes", attributes, &nest, arena)?,
            tags: pairs("tags", tags, &nest, arena)?,
        });
    }
    let scopes: Vec<&str> = typed.scopes.iter().map(String::as_str).collect();
    Ok(Request {
        principal: uid(&typed.principal),
        action: uid(&typed.action),
        resource: uid(&typed.resource),
        context: pairs("context", &typed.context, &nest, arena)?,
        on_behalf_of: typed.on_behalf_of.as_ref().map(uid),
        actors: uids(&typed.actors, arena),
        scopes: arena.alloc_slice_copy(&scopes),
        entities: arena.alloc_slice_copy(&entities),
        now: typed.now.map(Datetime),
    })
}

/// Names of entities.
pub(super) fn uids<'a>(typed: &'a [EntityUid], arena: &'a Arena) -> &'a [Uid<'a>] {
    arena.alloc_slice_fill_iter(typed.iter().map(uid))
}

fn uid(typed: &EntityUid) -> Uid<'_> {
    Uid::new(&typed.entity_type, &typed.id)
}

fn pairs<'a>(
    what: &str,
    typed: &'a [(String, TypedValue)],
    nest: &Nest<'a>,
    arena: &'a Arena,
) -> Result<Pairs<'a>, Unreadable> {
    let mut pairs = Vec::with_capacity(typed.len());
    for (key, typed) in typed {
        let value = value(typed, nest, arena)
            .map_err(|why| Unreadable(format!("`{what}.{key}`: {why}")))?;
        pairs.push((key.as_str(), value));
    }
    Ok(arena.alloc_slice_copy(&pairs))
}

fn value<'a>(
    typed: &'a TypedValue,
    nest: &Nest<'a>,
    arena: &'a Arena,
) -> Result<Value<'a>, String> {
    Ok(match typed {
        TypedValue::Boolean(truth) => Value::Bool(*truth),
        TypedValue::Long(number) => Value::Long(*number),
        TypedValue::Text(text) => Value::String(text),
        TypedValue::Entity(name) => Value::Entity(uid(name)),
        TypedValue::Decimal(text) => Value::Decimal(parsed(text)?),
        TypedValue::Ip(text) => Value::Ip(parsed(text)?),
        TypedValue::Datetime(ms) => Value::Datetime(Datetime(*ms)),
        TypedValue::Duration(ms) => Value::Duration(Duration(*ms)),
        TypedValue::Texts(texts) => Value::Set(
            arena.alloc_slice_fill_iter(texts.iter().map(|text| Value::String(text.as_str()))),
        ),
        TypedValue::Entities(names) => Value::Set(
            arena.alloc_slice_fill_iter(names.iter().map(|name| Value::Entity(uid(name)))),
        ),
        TypedValue::SetOf(items) => nest.set_of(items)?,
        TypedValue::RecordOf(fields) => nest.record_of(fields)?,
    })
}

fn parsed<T: FromStr<Err: Display>>(text: &str) -> Result<T, String> {
    text.parse().map_err(|error| format!("`{text}`: {error}"))
}
