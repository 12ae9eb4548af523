//! Requests of `pdp.v1` in the terms of the core, and back; the only file that converts them.
//!
//! [`read`] makes a borrowed [`Request`] of a message and refuses what is not a question, naming the field; [`write()`]
//! is its inverse, for the client. Nothing is dropped and nothing is guessed: what is missing, doubled or of unknown
//! kind is refused. Whether a question fits a schema is for the core to say. Recursion is bounded by the nesting limit.

mod malformed;

use std::net::IpAddr;

use pdp_core::json::Arena;
use pdp_core::{Datetime, Decimal, Duration, InlineEntity, IpNet, Request, Uid, Value};

pub(crate) use malformed::Malformed;
use malformed::{Fault, Path, quoted};

use crate::config::VALUE_DEPTH_MAX;
use crate::pb;
use crate::pb::value::Kind;

/// Why a request of the core cannot be sent.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Unsendable {
    /// It states a time.
    Now,
    /// Values are nested deeper than any server accepts.
    TooDeep,
}

/// What reading a message needs at every level.
struct Reader<'a> {
    arena: &'a Arena,
    depth_max: u32,
}

/// Reads a request as of `now`. Strings stay where they are in the message; slices go into the arena.
pub(crate) fn read<'a>(
    message: &'a pb::AuthorizeRequest,
    now: Datetime,
    arena: &'a Arena,
    depth_max: u32,
) -> Result<Request<'a>, Malformed> {
    let reader = Reader { arena, depth_max };
    Ok(Request {
        principal: required_uid(message.principal.as_ref(), Path::Field("principal"))?,
        action: required_uid(message.action.as_ref(), Path::Field("action"))?,
        resource: required_uid(message.resource.as_ref(), Path::Field("resource"))?,
        context: reader.entries(&message.context, Path::Field("context"), 1)?,
        on_behalf_of: match &message.on_behalf_of {
            Some(subject) => Some(uid(subject, Path::Field("on_behalf_of"))?),
            None => None,
        },
        actors: reader.uids(&message.actors, Path::Field("actors"))?,
        scopes: arena.alloc_slice_fill_iter(message.scopes.iter().map(String::as_str)),
        entities: reader.entities(&message.entities, Path::Field("entities"))?,
        now: Some(now),
    })
}

/// Names the statements about delegation that a message makes.
pub(crate) fn delegation_fields(message: &pb::AuthorizeRequest) -> Vec<&'static str> {
    let mut stated = Vec::new();
    if message.on_behalf_of.is_some() {
        stated.push("on_behalf_of");
    }
    if !message.actors.is_empty() {
        stated.push("actors");
    }
    if !message.scopes.is_empty() {
        stated.push("scopes");
    }
    stated
}

/// Writes a request, all of it: what the wire cannot carry is refused.
pub(crate) fn write(request: &Request<'_>) -> Result<pb::AuthorizeRequest, Unsendable> {
    if request.now.is_some() {
        return Err(Unsendable::Now);
    }
    Ok(pb::AuthorizeRequest {
        principal: Some(write_uid(request.principal)),
        action: Some(write_uid(request.action)),
        resource: Some(write_uid(request.resource)),
        context: write_entries(request.context, 1)?,
        on_behalf_of: request.on_behalf_of.map(write_uid),
        actors: request.actors.iter().copied().map(write_uid).collect(),
        scopes: request.scopes.iter().map(|scope| (*scope).to_owned()).collect(),
        entities: request.entities.iter().map(write_entity).collect::<Result<_, _>>()?,
    })
}

// === impl Reader ===

impl<'a> Reader<'a> {
    fn entities(
        &self,
        entities: &'a [pb::Entity],
        path: Path<'_>,
    ) -> Result<&'a [InlineEntity<'a>], Malformed> {
        self.fill(entities, |index, entity| {
            let path = Path::Index(&path, index);
            Ok(InlineEntity {
                uid: required_uid(entity.uid.as_ref(), Path::Part(&path, "uid"))?,
                parents: self.uids(&entity.parents, Path::Part(&path, "parents"))?,
                attrs: self.entries(&entity.attributes, Path::Part(&path, "attributes"), 1)?,
                tags: self.entries(&entity.tags, Path::Part(&path, "tags"), 1)?,
            })
        })
    }

    fn uids(&self, uids: &'a [pb::EntityUid], path: Path<'_>) -> Result<&'a [Uid<'a>], Malformed> {
        self.fill(uids, |index, entity| uid(entity, Path::Index(&path, index)))
    }

    /// Reads entries whose values are at level `depth`.
    fn entries(
        &self,
        entries: &'a [pb::Entry],
        path: Path<'_>,
        depth: u32,
    ) -> Result<&'a [(&'a str, Value<'a>)], Malformed> {
        if let Some(key) = self.key_twice(entries) {
            return Err(Malformed::at(Path::Key(&path, key), Fault::KeyTwice));
        }
        self.fill(entries, |_, entry| {
            let path = Path::Key(&path, &entry.key);
            let value = entry
                .value
                .as_ref()
                .ok_or_else(|| Malformed::at(path, Fault::EntryWithoutValue))?;
            Ok((entry.key.as_str(), self.value(value, path, depth)?))
        })
    }

    fn value(
        &self,
        value: &'a pb::Value,
        path: Path<'_>,
        depth: u32,
    ) -> Result<Value<'a>, Malformed> {
        if depth > self.depth_max {
            return Err(Malformed::at(path, Fault::TooDeep(self.depth_max)));
        }
        let kind = value.kind.as_ref().ok_or_else(|| Malformed::at(path, Fault::KindMissing))?;
        Ok(match kind {
            Kind::Boolean(boolean) => Value::Bool(*boolean),
            Kind::Long(long) => Value::Long(*long),
            Kind::String(string) => Value::String(string),
            Kind::Entity(entity) => Value::Entity(uid(entity, path)?),
            Kind::Set(set) => Value::Set(self.fill(&set.elements, |index, element| {
                self.value(element, Path::Index(&path, index), depth + 1)
            })?),
            Kind::Record(record) => {
                Value::Record(self.entries(&record.entries, path, depth + 1)?)
            }
            Kind::DecimalTenThousandths(scaled) => Value::Decimal(Decimal(*scaled)),
            Kind::Ip(text) => Value::Ip(ip(text, path)?),
            Kind::DatetimeMs(ms) => Value::Datetime(Datetime(*ms)),
            Kind::DurationMs(ms) => Value::Duration(Duration(*ms)),
        })
    }

    /// Converts each item into a slice of the arena.
    fn fill<T, U>(
        &self,
        items: &'a [T],
        mut convert: impl FnMut(usize, &'a T) -> Result<U, Malformed>,
    ) -> Result<&'a [U], Malformed> {
        let converted = items.iter().enumerate().map(|(index, item)| convert(index, item));
        Ok(self.arena.alloc_slice_try_fill_iter(converted)?)
    }

    /// Sorted rather than compared pairwise: a message can hold ten thousand keys.
    fn key_twice(&self, entries: &'a [pb::Entry]) -> Option<&'a str> {
        if entries.len() < 2 {
            return None;
        }
        let keys = self.arena.alloc_slice_fill_iter(entries.iter().map(|entry| entry.key.as_str()));
        keys.sort_unstable();
        keys.iter().zip(keys.iter().skip(1)).find(|(key, next)| key == next).map(|(key, _)| *key)
    }
}

fn required_uid<'a>(
    entity: Option<&'a pb::EntityUid>,
    path: Path<'_>,
) -> Result<Uid<'a>, Malformed> {
    match entity {
        Some(entity) => uid(entity, path),
        None => Err(Malformed::at(path, Fault::EntityMissing)),
    }
}

fn uid<'a>(entity: &'a pb::EntityUid, path: Path<'_>) -> Result<Uid<'a>, Malformed> {
    let fault = if entity.r#type.is_empty() {
        Fault::TypeEmpty
    } else if !is_type_name(&entity.r#type) {
        Fault::TypeName(quoted(&entity.r#type))
    } else {
        return Ok(Uid::new(&entity.r#type, &entity.id));
    };
    Err(Malformed::at(Path::Part(&path, "type"), fault))
}

/// No policy, schema or entity can name a type of another form, so the question would be about nothing.
fn is_type_name(text: &str) -> bool {
    text.split("::").all(|part| {
        part.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
            && part.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')
    })
}

fn ip(text: &str, path: Path<'_>) -> Result<IpNet, Malformed> {
    text.parse::<IpNet>().map_err(|error| {
        Malformed::at(path, Fault::Ip { text: quoted(text), expected: error.to_string() })
    })
}

// === writing ===

fn write_entity(entity: &InlineEntity<'_>) -> Result<pb::Entity, Unsendable> {
    Ok(pb::Entity {
        uid: Some(write_uid(entity.uid)),
        parents: entity.parents.iter().copied().map(write_uid).collect(),
        attributes: write_entries(entity.attrs, 1)?,
        tags: write_entries(entity.tags, 1)?,
    })
}

fn write_uid(uid: Uid<'_>) -> pb::EntityUid {
    pb::EntityUid { r#type: uid.entity_type.to_owned(), id: uid.id.to_owned() }
}

fn write_entries(pairs: &[(&str, Value<'_>)], depth: u32) -> Result<Vec<pb::Entry>, Unsendable> {
    let entry = |(key, value): &(&str, Value<'_>)| {
        Ok(pb::Entry { key: (*key).to_owned(), value: Some(write_value(value, depth)?) })
    };
    pairs.iter().map(entry).collect()
}

fn write_value(value: &Value<'_>, depth: u32) -> Result<pb::Value, Unsendable> {
    if depth > VALUE_DEPTH_MAX {
        return Err(Unsendable::TooDeep);
    }
    let kind = match value {
        Value::Bool(boolean) => Kind::Boolean(*boolean),
        Value::Long(long) => Kind::Long(*long),
        Value::String(string) => Kind::String((*string).to_owned()),
        Value::Entity(uid) => Kind::Entity(write_uid(*uid)),
        Value::Set(elements) => Kind::Set(pb::Set {
            elements: elements
                .iter()
                .map(|e| write_value(e, depth + 1))
                .collect::<Result<_, _>>()?,
        }),
        Value::Record(pairs) => {
            Kind::Record(pb::Record { entries: write_entries(pairs, depth + 1)? })
        }
        Value::Decimal(decimal) => Kind::DecimalTenThousandths(decimal.0),
        Value::Ip(ip) => Kind::Ip(ip_text(*ip)),
        Value::Datetime(datetime) => Kind::DatetimeMs(datetime.0),
        Value::Duration(duration) => Kind::DurationMs(duration.0),
    };
    Ok(pb::Value { kind: Some(kind) })
}

/// IPv6 is written out group by group: the short form of an address such as `::ffff:102:304` has an IPv4 address in
/// it, which Cedar does not read.
fn ip_text(ip: IpNet) -> String {
    let prefix = ip.prefix();
    match ip.addr() {
        IpAddr::V4(addr) => format!("{addr}/{prefix}"),
        IpAddr::V6(addr) => {
            let [a, b, c, d, e, f, g, h] = addr.segments();
            format!("{a:x}:{b:x}:{c:x}:{d:x}:{e:x}:{f:x}:{g:x}:{h:x}/{prefix}")
        }
    }
}

#[cfg(test)]
mod tests;
