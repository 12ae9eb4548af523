//! Takes a request in: names to ids, values to `Val`s, inline entities to guests, the PDP's own facts into the context.
//!
//! Everything a caller sent is looked at once here, under the bundle's limits; later steps only see ids. A refusal
//! leaves a sentence in `scratch.message` that names what is wrong and where. What needs the schema is `validate`'s.

use std::fmt::Write;

use crate::ancestors;
use crate::declared;
use crate::ids::NONE;
use crate::overlay::BASE;
use crate::program::{
    CallerAttribute, META_SCHEMA, MetaRec, Span, TAG_DATETIME, TAG_DECIMAL, TAG_DURATION,
    TYPE_RECORD, Tables, Val,
};
use crate::request::{InlineEntity, Request, Value};
use crate::scratch::{Scratch, TooLarge};

/// Why a request is not taken in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Refusal {
    /// It says something that callers may not say, or contradicts itself or the schema.
    Invalid,
    /// It is larger than the bundle allows.
    Limit,
}

/// A request in terms of ids.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Prepared {
    pub(crate) principal: u32,
    pub(crate) action: u32,
    pub(crate) resource: u32,
    pub(crate) subject: Option<u32>,
    pub(crate) context: Val,
    /// The context is known to fit the schema.
    pub(crate) context_fits: bool,
}

impl From<TooLarge> for Refusal {
    fn from(_: TooLarge) -> Self {
        Refusal::Limit
    }
}

/// Writes the message and gives the refusal.
macro_rules! invalid {
    ($s:expr, $($text:tt)*) => {{
        $s.message.clear();
        // Writing to a String cannot fail.
        let _ = write!($s.message, $($text)*);
        $crate::prepare::Refusal::Invalid
    }};
}
pub(crate) use invalid;

/// Takes the request in, all but its resource, which stays [`NONE`]: what many resources share.
pub(crate) fn all_but_resource(
    t: &Tables,
    meta: &MetaRec,
    s: &mut Scratch,
    request: &Request<'_>,
) -> Result<Prepared, Refusal> {
    let limits = &meta.limits;
    s.values_max = limits.request_values_max as usize;
    s.text_max = limits.request_text_bytes_max as usize;
    s.text_left = s.text_max;
    if request.actors.len() > limits.chain_actors_max as usize {
        let (len, max) = (request.actors.len(), limits.chain_actors_max);
        return Err(invalid!(
            s,
            "the delegation chain has {len} inner actors, the bundle's chain_actors_max is {max}"
        ));
    }
    for (at, actor) in request.actors.iter().enumerate() {
        s.text_taken(actor.entity_type.len() + actor.id.len())?;
        if *actor == request.principal
            || request.actors.iter().take(at).any(|before| before == actor)
        {
            return Err(invalid!(s, "actor {actor} occurs twice in the delegation chain"));
        }
    }
    entities(t, meta, s, request.entities)?;
    let prepared = Prepared {
        principal: s.entity(t, request.principal.entity_type, request.principal.id)?,
        action: s.entity(t, request.action.entity_type, request.action.id)?,
        resource: NONE,
        subject: match request.on_behalf_of {
            Some(uid) => Some(s.entity(t, uid.entity_type, uid.id)?),
            None => None,
        },
        context: Val::NONE,
        context_fits: false,
    };
    if meta.flags & META_SCHEMA != 0
        && let Some(context) = declared::context(t, meta, s, request.context, prepared.action)
    {
        return Ok(Prepared { context, context_fits: true, ..prepared });
    }
    let context = context(t, meta, s, request, prepared.action)?;
    Ok(Prepared { context, ..prepared })
}

/// Takes the request in.
#[inline]
pub(crate) fn request(
    t: &Tables,
    meta: &MetaRec,
    s: &mut Scratch,
    request: &Request<'_>,
) -> Result<Prepared, Refusal> {
    let prepared = all_but_resource(t, meta, s, request)?;
    let resource = s.entity(t, request.resource.entity_type, request.resource.id)?;
    Ok(Prepared { resource, ..prepared })
}

/// A record of the caller's context and what the PDP fills in.
fn context(
    t: &Tables,
    meta: &MetaRec,
    s: &mut Scratch,
    request: &Request<'_>,
    action: u32,
) -> Result<Val, Refusal> {
    let mark = s.pairs.len();
    for (key, value) in request.context {
        let symbol = s.symbol(t, key)?;
        if symbol == meta.now_key || symbol == meta.delegation_key {
            return Err(invalid!(
                s,
                "context key `{key}` is filled in by the PDP; callers may not send it"
            ));
        }
        let val = intern(t, s, value, meta.limits.value_depth_max)?;
        s.pairs.push((symbol, val));
    }
    if let Some(now) = request.now.filter(|_| declares(t, action, meta.now_key)) {
        s.pairs.push((meta.now_key, Val::number(TAG_DATETIME, now.0)));
    }
    if declares(t, action, meta.delegation_key) {
        let val = delegation(t, meta, s, request, action)?;
        s.pairs.push((meta.delegation_key, val));
    }
    match s.record_from_pairs(t, mark)? {
        Some(record) => Ok(record),
        None => Err(invalid!(s, "a context key occurs twice")),
    }
}

/// The delegation as the PDP knows it: subject, chain of actors, its length, scopes.
fn delegation(
    t: &Tables,
    meta: &MetaRec,
    s: &mut Scratch,
    request: &Request<'_>,
    action: u32,
) -> Result<Val, Refusal> {
    let delegated = request.on_behalf_of.is_some() || !request.actors.is_empty();
    let [subject_key, chain_key, depth_key, scopes_key] = meta.delegation_fields;
    let within = field_type(t, context_type(t, action), meta.delegation_key);
    let wanted = |key| match context_type(t, action) {
        Some(_) => field_type(t, within, key).is_some(),
        None => true,
    };
    let (pairs, mark) = (s.pairs.len(), s.stack.len());
    if let Some(subject) = request.on_behalf_of.filter(|_| wanted(subject_key)) {
        let subject = s.entity_again(t, subject.entity_type, subject.id)?;
        s.pairs.push((subject_key, Val::entity(subject)));
    }
    if wanted(chain_key) {
        let principal = delegated.then_some(&request.principal);
        for actor in principal.into_iter().chain(request.actors) {
            let actor = s.entity_again(t, actor.entity_type, actor.id)?;
            s.stack.push(Val::entity(actor));
        }
        let (chain, _) = s.set_from_stack(t, mark)?;
        s.pairs.push((chain_key, chain));
    }
    if wanted(depth_key) {
        let depth = if delegated { 1 + request.actors.len() } else { 0 };
        s.pairs.push((depth_key, Val::long(i64::try_from(depth).unwrap_or(i64::MAX))));
    }
    if wanted(scopes_key) {
        for scope in request.scopes {
            let scope = s.symbol(t, scope)?;
            s.stack.push(Val::string(scope));
        }
        let (scopes, _) = s.set_from_stack(t, mark)?;
        s.pairs.push((scopes_key, scopes));
    }
    // The four keys are distinct symbols.
    s.record_from_pairs(t, pairs)?.ok_or(Refusal::Invalid)
}

/// Whether a key that the PDP fills goes into this action's context: always without a schema, else if declared.
fn declares(t: &Tables, action: u32, key: u32) -> bool {
    key != NONE
        && context_type(t, action).is_none_or(|context| field_type(t, Some(context), key).is_some())
}

/// The type of the action's context, if the schema knows the action.
pub(crate) fn context_type(t: &Tables, action: u32) -> Option<u32> {
    let rest = t.entity_rest.get(action as usize)?;
    t.actions.get(rest.action as usize).map(|action| action.context)
}

/// The type of a field of a record type.
pub(crate) fn field_type(t: &Tables, record: Option<u32>, key: u32) -> Option<u32> {
    let record =
        t.schema_types.get(record? as usize).filter(|record| record.kind == TYPE_RECORD)?;
    let fields = Span { start: record.a, len: record.b }.of(&t.fields);
    let at = fields.binary_search_by_key(&key, |field| field.name).ok()?;
    fields.get(at).map(|field| field.schema_type)
}

/// Turns a caller's value into a `Val`. `depth` is how deep it may still go.
pub(crate) fn intern(
    t: &Tables,
    s: &mut Scratch,
    value: &Value<'_>,
    depth: u32,
) -> Result<Val, Refusal> {
    Ok(match value {
        Value::Bool(b) => Val::bool(*b),
        Value::Long(i) => Val::long(*i),
        Value::String(text) => Val::string(s.symbol(t, text)?),
        Value::Entity(uid) => Val::entity(s.entity(t, uid.entity_type, uid.id)?),
        Value::Decimal(d) => Val::number(TAG_DECIMAL, d.0),
        Value::Datetime(d) => Val::number(TAG_DATETIME, d.0),
        Value::Duration(d) => Val::number(TAG_DURATION, d.0),
        Value::Ip(ip) => s.ip(t, *ip)?,
        Value::Set(items) => {
            let depth = deeper(s, depth)?;
            let mark = s.stack.len();
            for item in *items {
                let val = intern(t, s, item, depth)?;
                s.stack.push(val);
            }
            s.set_from_stack(t, mark)?.0
        }
        Value::Record(pairs) => record(t, s, pairs, depth)?,
    })
}

fn record(
    t: &Tables,
    s: &mut Scratch,
    pairs: &[(&str, Value<'_>)],
    depth: u32,
) -> Result<Val, Refusal> {
    let depth = deeper(s, depth)?;
    let mark = s.pairs.len();
    for (key, value) in pairs {
        let symbol = s.symbol(t, key)?;
        let val = intern(t, s, value, depth)?;
        s.pairs.push((symbol, val));
    }
    match s.record_from_pairs(t, mark)? {
        Some(record) => Ok(record),
        None => Err(invalid!(s, "a record of the request has a key twice")),
    }
}

fn deeper(s: &mut Scratch, depth: u32) -> Result<u32, Refusal> {
    depth.checked_sub(1).ok_or_else(|| {
        s.message
            .push_str("a value of the request is nested deeper than the bundle's value_depth_max");
        Refusal::Limit
    })
}

// === inline entities ===

fn entities(
    t: &Tables,
    meta: &MetaRec,
    s: &mut Scratch,
    entities: &[InlineEntity<'_>],
) -> Result<(), Refusal> {
    if entities.is_empty() {
        return Ok(());
    }
    if entities.len() > meta.limits.inline_entities_max as usize {
        let (len, max) = (entities.len(), meta.limits.inline_entities_max);
        let _ = write!(
            s.message,
            "{len} entities came with the request, the bundle's inline_entities_max is {max}"
        );
        return Err(Refusal::Limit);
    }
    for inline in entities {
        let entity = s.entity(t, inline.uid.entity_type, inline.uid.id)?;
        if s.is_stored(t, entity) {
            overrides(t, meta, s, entity, inline)?;
            continue;
        }
        if !inline.parents.is_empty() && s.is_ancestor(t, entity) {
            return Err(invalid!(
                s,
                "inline entity {} is an ancestor of stored entities and may not have parents",
                inline.uid
            ));
        }
        arrive(t, meta, s, entity, inline)?;
    }
    ancestors::close(t, meta, s, entities)
}

/// Attributes that callers may supply for a stored entity.
fn overrides(
    t: &Tables,
    meta: &MetaRec,
    s: &mut Scratch,
    entity: u32,
    inline: &InlineEntity<'_>,
) -> Result<(), Refusal> {
    if !inline.parents.is_empty() || !inline.tags.is_empty() {
        return Err(invalid!(
            s,
            "entity {} is stored: a request may not give it parents or tags",
            inline.uid
        ));
    }
    let entity_type = s.entity_type(t, entity);
    if inline.attrs.is_empty() {
        return Err(invalid!(s, "entity {} is stored and came again with the request", inline.uid));
    }
    for (key, value) in inline.attrs {
        let attribute = s.symbol(t, key)?;
        if !t.caller_attributes.contains(&CallerAttribute { entity_type, attribute }) {
            return Err(invalid!(
                s,
                "entity {} is stored and its attribute `{key}` is not one that callers may supply",
                inline.uid
            ));
        }
        if s.override_of(entity, attribute).is_some() {
            return Err(invalid!(
                s,
                "attribute `{key}` of {} came twice with the request",
                inline.uid
            ));
        }
        let val = intern(t, s, value, meta.limits.value_depth_max)?;
        s.overrides.push((entity, attribute, val));
    }
    Ok(())
}

/// A new entity: its data, its direct parents.
fn arrive(
    t: &Tables,
    meta: &MetaRec,
    s: &mut Scratch,
    entity: u32,
    inline: &InlineEntity<'_>,
) -> Result<(), Refusal> {
    let guest = s.arrival(t, entity, inline.uid.id)?;
    if s.guest_of(t, guest).is_some_and(|guest| guest.present) {
        return Err(invalid!(s, "entity {} came twice with the request", inline.uid));
    }
    let attrs = record(t, s, inline.attrs, meta.limits.value_depth_max)?;
    let tags = record(t, s, inline.tags, meta.limits.value_depth_max)?;
    let start = s.parents.len();
    for parent in inline.parents {
        let parent = s.entity(t, parent.entity_type, parent.id)?;
        s.parents.push(parent);
    }
    let len = s.parents.len() - start;
    let parents = Span {
        start: u32::try_from(start).map_err(|_| Refusal::Limit)?,
        len: u32::try_from(len).map_err(|_| Refusal::Limit)?,
    };
    if let Some(guest) = s.guest_mut(t, guest) {
        guest.present = true;
        guest.parents = parents;
        (guest.shape, guest.attrs) = (attrs.aux, attrs.low());
        (guest.tag_shape, guest.tags) = (tags.aux, tags.low());
    }
    Ok(())
}

/// The guest that holds an entity's data, if the data came with the request.
pub(crate) fn arrived(t: &Tables, s: &Scratch, entity: u32) -> Option<u32> {
    if (entity as usize) < t.entities.len() || entity >= BASE {
        return s.arrivals.iter().find(|(at, _)| *at == entity).map(|(_, guest)| *guest);
    }
    s.guest_of(t, entity).filter(|guest| guest.present).map(|_| entity)
}
