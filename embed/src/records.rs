//! The engine's requests as the component's records: for programs that have both.
//!
//! Nothing is read or judged; what a record cannot hold does not exist in a request.

use pdp_core::{Request, Uid, Value};

use crate::component::decision::{self, EntityUid, InlineEntity};

impl From<&Request<'_>> for decision::Request {
    fn from(request: &Request<'_>) -> Self {
        let mut parts = Vec::new();
        let context = pairs(request.context, &mut parts);
        let entities = request
            .entities
            .iter()
            .map(|entity| InlineEntity {
                uid: entity.uid.into(),
                parents: entity.parents.iter().copied().map(EntityUid::from).collect(),
                attributes: pairs(entity.attrs, &mut parts),
                tags: pairs(entity.tags, &mut parts),
            })
            .collect();
        Self {
            principal: request.principal.into(),
            action: request.action.into(),
            resource: request.resource.into(),
            context,
            parts,
            on_behalf_of: request.on_behalf_of.map(EntityUid::from),
            actors: request.actors.iter().copied().map(EntityUid::from).collect(),
            scopes: request.scopes.iter().map(|scope| (*scope).to_owned()).collect(),
            entities,
            now: request.now.map(|now| now.0),
        }
    }
}

impl From<Uid<'_>> for EntityUid {
    fn from(uid: Uid<'_>) -> Self {
        Self { entity_type: uid.entity_type.to_owned(), id: uid.id.to_owned() }
    }
}

fn pairs(
    pairs: &[(&str, Value<'_>)],
    parts: &mut Vec<decision::Value>,
) -> Vec<(String, decision::Value)> {
    pairs.iter().map(|(key, one)| ((*key).to_owned(), value(one, parts))).collect()
}

fn value(of: &Value<'_>, parts: &mut Vec<decision::Value>) -> decision::Value {
    match *of {
        Value::Bool(truth) => decision::Value::Boolean(truth),
        Value::Long(number) => decision::Value::Long(number),
        Value::String(text) => decision::Value::Text(text.to_owned()),
        Value::Entity(name) => decision::Value::Entity(name.into()),
        Value::Decimal(decimal) => decision::Value::Decimal(decimal.to_string()),
        Value::Ip(ip) => decision::Value::Ip(ip.to_string()),
        Value::Datetime(time) => decision::Value::Datetime(time.0),
        Value::Duration(span) => decision::Value::Duration(span.0),
        Value::Set(items) => set(items, parts),
        Value::Record(fields) => {
            let fields =
                fields.iter().map(|(key, field)| ((*key).to_owned(), part(field, parts))).collect();
            decision::Value::RecordOf(fields)
        }
    }
}

/// A set in the short form where there is one for it.
fn set(items: &[Value<'_>], parts: &mut Vec<decision::Value>) -> decision::Value {
    let text = |item: &Value<'_>| match item {
        Value::String(text) => Some((*text).to_owned()),
        _ => None,
    };
    let name = |item: &Value<'_>| match item {
        Value::Entity(name) => Some(EntityUid::from(*name)),
        _ => None,
    };
    if let Some(texts) = items.iter().map(text).collect::<Option<Vec<_>>>() {
        return decision::Value::Texts(texts);
    }
    if let Some(names) = items.iter().map(name).collect::<Option<Vec<_>>>() {
        return decision::Value::Entities(names);
    }
    decision::Value::SetOf(items.iter().map(|item| part(item, parts)).collect())
}

/// Adds a part and gives its place.
fn part(of: &Value<'_>, parts: &mut Vec<decision::Value>) -> u32 {
    let one = value(of, parts);
    parts.push(one);
    // More than that fits no request.
    u32::try_from(parts.len() - 1).unwrap_or(u32::MAX)
}
