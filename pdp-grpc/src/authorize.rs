//! Requests of `pdp.v1` in the terms of the core, and back; the only room that converts them.
//!
//! [`read_request`] makes a borrowed [`Request`] of a message's bytes and refuses what is not a question, naming the
//! field; [`write()`] makes a message of a request, for the client. Nothing is dropped and nothing is guessed: what is
//! missing, doubled or of unknown kind is refused. Whether a question fits a schema is for the core to say.

mod malformed;
mod many;
mod read;

use std::net::IpAddr;

use pdp_core::{InlineEntity, IpNet, Request, Uid, Value};

pub use malformed::Malformed;
pub(crate) use many::{read_batch, read_numbered};
pub use read::read_request;
pub(crate) use read::{read_asked, read_filter};

use crate::client::Among;
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

/// Names the statements about delegation that a request makes.
pub(crate) fn delegation_fields(request: &Request<'_>) -> Vec<&'static str> {
    let mut stated = Vec::new();
    if request.on_behalf_of.is_some() {
        stated.push("on_behalf_of");
    }
    if !request.actors.is_empty() {
        stated.push("actors");
    }
    if !request.scopes.is_empty() {
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
        explain: false,
    })
}

/// Writes a filter: the request with candidates in the place of its resource, or of its action.
pub(crate) fn write_filter(
    request: &Request<'_>,
    among: Among<'_>,
) -> Result<pb::FilterRequest, Unsendable> {
    let message = write(request)?;
    let (action, resource, candidates) = match among {
        Among::Resources(resources) => (message.action, None, resources),
        Among::Actions(actions) => (None, message.resource, actions),
    };
    Ok(pb::FilterRequest {
        principal: message.principal,
        action,
        resource,
        context: message.context,
        on_behalf_of: message.on_behalf_of,
        actors: message.actors,
        scopes: message.scopes,
        entities: message.entities,
        candidates: candidates.iter().copied().map(write_uid).collect(),
    })
}

// === parts ===

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
