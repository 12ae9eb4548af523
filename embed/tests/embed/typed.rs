//! Requests of the engine as the component's records, and its answers as the engine's.

use pdp_core::{Effect, OwnedAnswer, Request, Uid, Value};
use pdp_embed::decision::{self, EntityUid, InlineEntity};

/// The same request in records.
pub(crate) fn request(request: &Request<'_>) -> decision::Request {
    let mut parts = Vec::new();
    let context = pairs(request.context, &mut parts);
    let entities = request
        .entities
        .iter()
        .map(|entity| InlineEntity {
            uid: uid(entity.uid),
            parents: entity.parents.iter().copied().map(uid).collect(),
            attributes: pairs(entity.attrs, &mut parts),
            tags: pairs(entity.tags, &mut parts),
        })
        .collect();
    decision::Request {
        principal: uid(request.principal),
        action: uid(request.action),
        resource: uid(request.resource),
        context,
        parts,
        on_behalf_of: request.on_behalf_of.map(uid),
        actors: request.actors.iter().copied().map(uid).collect(),
        scopes: request.scopes.iter().map(|scope| (*scope).to_owned()).collect(),
        entities,
        now: request.now.map(|now| now.0),
    }
}

pub(crate) fn uid(uid: Uid<'_>) -> EntityUid {
    EntityUid { entity_type: uid.entity_type.to_owned(), id: uid.id.to_owned() }
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
        Value::Entity(name) => decision::Value::Entity(uid(name)),
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
        Value::Entity(name) => Some(uid(*name)),
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
    u32::try_from(parts.len() - 1).unwrap()
}

/// What an answer says, for comparison with [`expected`].
pub(crate) fn told(answer: &decision::Answer) -> String {
    format!("{answer:?}")
}

/// What the component has to say where the engine says this.
pub(crate) fn expected(answer: &OwnedAnswer) -> String {
    let effect = |effect| match effect {
        Effect::Allow => decision::Effect::Allow,
        Effect::Deny => decision::Effect::Deny,
    };
    let errors = |errors: &[(String, pdp_core::ErrorKind)]| {
        errors
            .iter()
            .map(|(policy, kind)| decision::PolicyError {
                policy: policy.clone(),
                kind: kind.as_str().to_owned(),
            })
            .collect()
    };
    told(&decision::Answer {
        effect: effect(answer.effect),
        reason: answer.reason.as_str().to_owned(),
        policies: answer.policies.clone(),
        errors: errors(&answer.errors),
        legs: answer
            .legs
            .iter()
            .map(|leg| decision::Leg {
                role: leg.role.to_string(),
                effect: effect(leg.effect),
                reason: leg.reason.as_str().to_owned(),
                policies: leg.policies.clone(),
                errors: errors(&leg.errors),
            })
            .collect(),
        failed_leg: answer.failed_leg.map(|leg| leg.to_string()),
        obligations: answer
            .obligations
            .iter()
            .map(|(policy, key, value)| decision::Obligation {
                policy: policy.clone(),
                key: key.clone(),
                value: value.clone(),
            })
            .collect(),
        message: answer.message.clone(),
        bundle: answer.bundle.as_ref().map(|bundle| decision::BundleName {
            name: bundle.name.clone(),
            revision: bundle.revision,
            digest: bundle.digest.clone(),
        }),
    })
}
