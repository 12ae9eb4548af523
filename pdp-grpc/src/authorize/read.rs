//! The bytes of an `AuthorizeRequest` to a [`Request`], in one pass and without a message in between.
//!
//! What is accepted, and what it means, is what the decoder of `prost` and a walk over its message would make of it.
//! Three habits of protobuf need care. A field that may stand once and stands there again is merged, which is the same
//! as joining the bytes. Of a `oneof` the last member counts, merged with those of its kind directly before it. And what
//! does not count in the end must be well-formed all the same: [`check`] looks at that, and at nothing else.
//!
//! Recursion is bounded by the nesting that the caller allows.

use bumpalo::collections::Vec as ArenaVec;

use pdp_core::json::Arena;
use pdp_core::{Datetime, Decimal, Duration, InlineEntity, IpNet, Request, Uid, Value};
use pdp_edge::wire::{Damage, Fields, Payload};

use super::malformed::{Fault, Malformed, Path, quoted};
use crate::config::VALUE_DEPTH_MAX;

/// Up to so many keys are compared with each other; more are sorted.
const FEW: usize = 16;

/// What reading needs at every level.
struct Reader<'a> {
    arena: &'a Arena,
    depth_max: u32,
}

type Pairs<'a> = &'a [(&'a str, Value<'a>)];

/// Reads the bytes of a `pdp.v1.AuthorizeRequest` as of `now`, for hosts that get them by another way than gRPC.
///
/// Strings stay where they are in the bytes; slices go into the arena. After warm-up and `reset` of the arena nothing is
/// allocated from the system. What is stated about delegation is in the request as it was stated: whoever does not
/// believe it must refuse it. A value may be nested `depth_max` levels deep, at most [`VALUE_DEPTH_MAX`].
///
/// # Errors
///
/// When the bytes are not that message, or it is not a question: what is missing, doubled or of unknown kind is refused.
pub fn read_request<'a>(
    bytes: &'a [u8],
    now: Datetime,
    arena: &'a Arena,
    depth_max: u32,
) -> Result<Request<'a>, Malformed> {
    Ok(Reader::new(arena, depth_max).asked::<false>(Fields::new(bytes), now)?.request)
}

/// What an `AuthorizeRequest` or a `FilterRequest` asks.
#[derive(Debug)]
pub(crate) struct Asked<'a> {
    /// The question; in a filter, what is filtered has an empty name in it.
    pub(crate) request: Request<'a>,
    /// Whether to say why.
    pub(crate) explain: bool,
    /// Of a filter: resources or actions.
    pub(crate) candidates: &'a [Uid<'a>],
    /// Whether the candidates are actions.
    pub(crate) filters_actions: bool,
}

/// Reads the bytes of an `AuthorizeRequest`, all of it.
pub(crate) fn read_asked<'a>(
    bytes: &'a [u8],
    now: Datetime,
    arena: &'a Arena,
    depth_max: u32,
) -> Result<Asked<'a>, Malformed> {
    Reader::new(arena, depth_max).asked::<false>(Fields::new(bytes), now)
}

/// Reads the bytes of a `FilterRequest`.
pub(crate) fn read_filter<'a>(
    bytes: &'a [u8],
    now: Datetime,
    arena: &'a Arena,
    depth_max: u32,
) -> Result<Asked<'a>, Malformed> {
    Reader::new(arena, depth_max)
        .asked::<true>(Fields::new(bytes), now)
        .map_err(|malformed| malformed.of("FilterRequest"))
}

// === impl Reader ===

impl<'a> Reader<'a> {
    fn new(arena: &'a Arena, depth_max: u32) -> Self {
        Self { arena, depth_max: depth_max.min(VALUE_DEPTH_MAX) }
    }

    /// Reads an `AuthorizeRequest`, or a `FilterRequest`, which has the same fields but for the last ones.
    #[inline(always)]
    fn asked<const FILTER: bool>(
        &self,
        mut fields: Fields<'a>,
        now: Datetime,
    ) -> Result<Asked<'a>, Malformed> {
        let (mut explain, mut candidates) = (false, self.list());
        let (mut principal, mut action, mut resource, mut on_behalf_of) = (None, None, None, None);
        let mut context = self.list();
        let (mut actors, mut scopes, mut entities) = (self.list(), self.list(), self.list());
        while let Some((number, payload)) = at(Path::Message, fields.field())? {
            match number {
                1 => merge(&mut principal, &fields, payload, Path::Field("principal"))?,
                2 => merge(&mut action, &fields, payload, Path::Field("action"))?,
                3 => merge(&mut resource, &fields, payload, Path::Field("resource"))?,
                4 => {
                    let path = Path::Field("context");
                    self.entry(&mut context, at(path, fields.inside(payload))?, path, 1)?;
                }
                5 => merge(&mut on_behalf_of, &fields, payload, Path::Field("on_behalf_of"))?,
                6 => {
                    let path = Path::Field("actors");
                    actors.push(uid(&fields, payload, Path::Index(&path, actors.len()))?);
                }
                7 => scopes.push(at(Path::Field("scopes"), payload.text())?),
                8 => {
                    let path = Path::Field("entities");
                    let path = Path::Index(&path, entities.len());
                    entities.push(self.entity(at(path, fields.inside(payload))?, path)?);
                }
                9 if !FILTER => explain = at(Path::Field("explain"), payload.varint())? != 0,
                10 if FILTER => {
                    let path = Path::Field("candidates");
                    candidates.push(uid(&fields, payload, Path::Index(&path, candidates.len()))?);
                }
                _ => at(Path::Message, fields.unknown())?,
            }
        }
        let principal = named(principal, Path::Field("principal"))?;
        let filters_actions = FILTER && action.is_none();
        if FILTER && action.is_none() == resource.is_none() {
            return Err(Malformed::at(Path::Message, Fault::Filtered { both: action.is_some() }));
        }
        let absent = || Uid::new("", "");
        let request = Request {
            principal,
            action: match action {
                None if FILTER => absent(),
                action => named(action, Path::Field("action"))?,
            },
            resource: match resource {
                None if FILTER => absent(),
                resource => named(resource, Path::Field("resource"))?,
            },
            context: self.pairs(context, Path::Field("context"))?,
            on_behalf_of: match on_behalf_of {
                Some(_) => Some(named(on_behalf_of, Path::Field("on_behalf_of"))?),
                None => None,
            },
            actors: actors.into_bump_slice(),
            scopes: scopes.into_bump_slice(),
            entities: entities.into_bump_slice(),
            now: Some(now),
        };
        let candidates = candidates.into_bump_slice();
        Ok(Asked { request, explain, candidates, filters_actions })
    }

    fn entity(
        &self,
        mut fields: Fields<'a>,
        path: Path<'_>,
    ) -> Result<InlineEntity<'a>, Malformed> {
        let (uid_path, parents_path) = (Path::Part(&path, "uid"), Path::Part(&path, "parents"));
        let (attrs_path, tags_path) = (Path::Part(&path, "attributes"), Path::Part(&path, "tags"));
        let (mut name, mut parents) = (None, self.list());
        let (mut attrs, mut tags) = (self.list(), self.list());
        while let Some((number, payload)) = at(path, fields.field())? {
            match number {
                1 => merge(&mut name, &fields, payload, uid_path)?,
                2 => {
                    let path = Path::Index(&parents_path, parents.len());
                    parents.push(uid(&fields, payload, path)?);
                }
                3 => {
                    let entry = at(attrs_path, fields.inside(payload))?;
                    self.entry(&mut attrs, entry, attrs_path, 1)?;
                }
                4 => {
                    let entry = at(tags_path, fields.inside(payload))?;
                    self.entry(&mut tags, entry, tags_path, 1)?;
                }
                _ => at(path, fields.unknown())?,
            }
        }
        Ok(InlineEntity {
            uid: named(name, uid_path)?,
            parents: parents.into_bump_slice(),
            attrs: self.pairs(attrs, attrs_path)?,
            tags: self.pairs(tags, tags_path)?,
        })
    }

    /// Reads an entry, whose value is at level `depth`, to the others.
    fn entry(
        &self,
        pairs: &mut ArenaVec<'a, (&'a str, Value<'a>)>,
        mut fields: Fields<'a>,
        path: Path<'_>,
        depth: u32,
    ) -> Result<(), Malformed> {
        let whole = fields.clone();
        let (mut key, mut value, mut is_doubled) = ("", None, false);
        while let Some((number, payload)) = at(path, fields.field())? {
            match number {
                1 => key = at(path, payload.text())?,
                2 => {
                    is_doubled |= value.is_some();
                    value = Some(payload);
                }
                _ => at(path, fields.unknown())?,
            }
        }
        let path = Path::Key(&path, key);
        let value = if is_doubled { Some(at(path, self.joined(whole))?) } else { value };
        let value = value.ok_or_else(|| Malformed::at(path, Fault::EntryWithoutValue))?;
        if pairs.is_empty() {
            pairs.reserve(4);
        }
        pairs.push((key, self.value(at(path, fields.inside(value))?, path, depth)?));
        Ok(())
    }

    /// Reads a value at level `depth`.
    #[inline(always)]
    fn value(
        &self,
        mut fields: Fields<'a>,
        path: Path<'_>,
        depth: u32,
    ) -> Result<Value<'a>, Malformed> {
        if depth > self.depth_max {
            return Err(Malformed::at(path, Fault::TooDeep(self.depth_max)));
        }
        let whole = fields.clone();
        let mut kind = None;
        while let Some((number, payload)) = at(path, fields.field())? {
            match number {
                1..=10 if kind.is_none() => kind = Some((number, payload)),
                1..=10 => {
                    kind = at(path, self.last(whole))?;
                    break;
                }
                _ => at(path, fields.unknown())?,
            }
        }
        let (number, payload) = kind.ok_or_else(|| Malformed::at(path, Fault::KindMissing))?;
        Ok(match number {
            1 => Value::Bool(at(path, payload.varint())? != 0),
            2 => Value::Long(at(path, payload.signed())?),
            3 => Value::String(at(path, payload.text())?),
            4 => Value::Entity(uid(&fields, payload, path)?),
            5 => self.set(at(path, fields.inside(payload))?, path, depth)?,
            6 => self.record(at(path, fields.inside(payload))?, path, depth)?,
            7 => Value::Decimal(Decimal(at(path, payload.signed())?)),
            8 => Value::Ip(ip(at(path, payload.text())?, path)?),
            9 => Value::Datetime(Datetime(at(path, payload.signed())?)),
            _ => Value::Duration(Duration(at(path, payload.signed())?)),
        })
    }

    #[inline(never)]
    fn record(
        &self,
        mut fields: Fields<'a>,
        path: Path<'_>,
        depth: u32,
    ) -> Result<Value<'a>, Malformed> {
        let mut pairs = self.list();
        while let Some((number, payload)) = at(path, fields.field())? {
            match number {
                1 => {
                    let entry = at(path, fields.inside(payload))?;
                    self.entry(&mut pairs, entry, path, depth + 1)?;
                }
                _ => at(path, fields.unknown())?,
            }
        }
        Ok(Value::Record(self.pairs(pairs, path)?))
    }

    #[inline(never)]
    fn set(
        &self,
        mut fields: Fields<'a>,
        path: Path<'_>,
        depth: u32,
    ) -> Result<Value<'a>, Malformed> {
        let mut elements = self.list();
        while let Some((number, payload)) = at(path, fields.field())? {
            let path = Path::Index(&path, elements.len());
            match number {
                1 => {
                    let element = at(path, fields.inside(payload))?;
                    elements.push(self.value(element, path, depth + 1)?);
                }
                _ => at(path, fields.unknown())?,
            }
        }
        Ok(Value::Set(elements.into_bump_slice()))
    }

    /// The value of an entry that has several: their bytes, joined.
    #[cold]
    fn joined(&self, mut entry: Fields<'a>) -> Result<Payload<'a>, Damage> {
        let mut bytes = self.list();
        while let Some((number, payload)) = entry.field()? {
            if number == 2 {
                check(entry.inside(payload)?, Message::Value)?;
                bytes.extend_from_slice(payload.bytes()?);
            }
        }
        Ok(Payload::Bytes(bytes.into_bump_slice()))
    }

    /// What counts of a value that has several kinds: the last, its bytes joined with those of the same kind before it.
    #[cold]
    fn last(&self, mut value: Fields<'a>) -> Result<Option<(u32, Payload<'a>)>, Damage> {
        let mut bytes = self.list();
        let mut kind: Option<(u32, Payload<'a>)> = None;
        while let Some((number, payload)) = value.field()? {
            let Some(form) = Message::Value.form(number) else {
                value.unknown()?;
                continue;
            };
            form.check(&value, payload)?;
            if kind.is_none_or(|(other, _)| other != number) {
                bytes.clear();
            }
            if let (Form::Message(_), Payload::Bytes(part)) = (form, payload) {
                bytes.extend_from_slice(part);
            }
            kind = Some((number, payload));
        }
        Ok(match kind {
            Some((number @ 4..=6, _)) => Some((number, Payload::Bytes(bytes.into_bump_slice()))),
            kind => kind,
        })
    }

    fn list<T>(&self) -> ArenaVec<'a, T> {
        ArenaVec::new_in(self.arena)
    }

    fn pairs(
        &self,
        pairs: ArenaVec<'a, (&'a str, Value<'a>)>,
        path: Path<'_>,
    ) -> Result<Pairs<'a>, Malformed> {
        let pairs = pairs.into_bump_slice();
        match self.key_twice(pairs) {
            Some(key) => Err(Malformed::at(Path::Key(&path, key), Fault::KeyTwice)),
            None => Ok(pairs),
        }
    }

    /// Many are sorted rather than compared pairwise: a message can hold ten thousand keys.
    fn key_twice(&self, pairs: Pairs<'a>) -> Option<&'a str> {
        let keys = pairs.iter().map(|(key, _)| *key);
        if pairs.len() <= FEW {
            let mut numbered = keys.clone().enumerate();
            return numbered
                .find(|(at, key)| keys.clone().take(*at).any(|other| other == *key))
                .map(|(_, key)| key);
        }
        let keys = self.arena.alloc_slice_fill_iter(keys);
        keys.sort_unstable();
        keys.iter().zip(keys.iter().skip(1)).find(|(key, next)| key == next).map(|(key, _)| *key)
    }
}

// === names and addresses ===

/// Reads a name to what was said of it before: of each part the last counts.
fn merge<'a>(
    name: &mut Option<Uid<'a>>,
    around: &Fields<'_>,
    payload: Payload<'a>,
    path: Path<'_>,
) -> Result<(), Malformed> {
    let name = name.get_or_insert(Uid::new("", ""));
    let mut fields = at(path, around.inside(payload))?;
    while let Some((number, payload)) = at(path, fields.field())? {
        match number {
            1 => name.entity_type = at(Path::Part(&path, "type"), payload.text())?,
            2 => name.id = at(Path::Part(&path, "id"), payload.text())?,
            _ => at(path, fields.unknown())?,
        }
    }
    Ok(())
}

fn uid<'a>(
    around: &Fields<'_>,
    payload: Payload<'a>,
    path: Path<'_>,
) -> Result<Uid<'a>, Malformed> {
    let mut name = None;
    merge(&mut name, around, payload, path)?;
    named(name, path)
}

fn named<'a>(name: Option<Uid<'a>>, path: Path<'_>) -> Result<Uid<'a>, Malformed> {
    match name {
        Some(name) if name.has_type_name() => Ok(name),
        Some(Uid { entity_type: "", .. }) => {
            Err(Malformed::at(Path::Part(&path, "type"), Fault::TypeEmpty))
        }
        Some(name) => {
            let fault = Fault::TypeName(quoted(name.entity_type));
            Err(Malformed::at(Path::Part(&path, "type"), fault))
        }
        None => Err(Malformed::at(path, Fault::EntityMissing)),
    }
}

fn ip(text: &str, path: Path<'_>) -> Result<IpNet, Malformed> {
    text.parse::<IpNet>().map_err(|error| {
        Malformed::at(path, Fault::Ip { text: quoted(text), expected: error.to_string() })
    })
}

#[inline(always)]
fn at<T>(path: Path<'_>, read: Result<T, Damage>) -> Result<T, Malformed> {
    read.map_err(|damage| Malformed::bytes(path, damage))
}

// === what does not count ===

/// The messages that a value consists of.
#[derive(Clone, Copy)]
enum Message {
    Uid,
    Value,
    Set,
    Record,
    Entry,
}

/// What a field of them holds.
#[derive(Clone, Copy)]
enum Form {
    Number,
    Text,
    Message(Message),
}

/// Whether a message is well-formed all the way down, whatever it says.
fn check(mut fields: Fields<'_>, message: Message) -> Result<(), Damage> {
    while let Some((number, payload)) = fields.field()? {
        match message.form(number) {
            Some(form) => form.check(&fields, payload)?,
            None => fields.unknown()?,
        }
    }
    Ok(())
}

// === impl Message ===

impl Message {
    fn form(self, number: u32) -> Option<Form> {
        match (self, number) {
            (Message::Uid, 1 | 2) | (Message::Entry, 1) => Some(Form::Text),
            (Message::Entry, 2) | (Message::Set, 1) => Some(Form::Message(Message::Value)),
            (Message::Record, 1) => Some(Form::Message(Message::Entry)),
            (Message::Value, 1 | 2 | 7 | 9 | 10) => Some(Form::Number),
            (Message::Value, 3 | 8) => Some(Form::Text),
            (Message::Value, 4) => Some(Form::Message(Message::Uid)),
            (Message::Value, 5) => Some(Form::Message(Message::Set)),
            (Message::Value, 6) => Some(Form::Message(Message::Record)),
            _ => None,
        }
    }
}

// === impl Form ===

impl Form {
    fn check(self, around: &Fields<'_>, payload: Payload<'_>) -> Result<(), Damage> {
        match self {
            Form::Number => payload.varint().map(|_| ()),
            Form::Text => payload.text().map(|_| ()),
            Form::Message(message) => check(around.inside(payload)?, message),
        }
    }
}
