//! Does the request fit the schema? The rules of cedar-policy's request validation and entity conformance.
//!
//! Runs on the tables the schema was compiled to, so that the decide half needs no Cedar crate. A `None` answer means
//! it fits; otherwise a sentence is left in `scratch.message`. The compiled schema's nesting is bounded, and with it
//! the recursion here.

use std::fmt::{self, Write};

use crate::faults;
use crate::ids::NONE;
use crate::lookup;
use crate::prepare::{Refusal, arrived, context_type, invalid};
use crate::program::{
    DeclarationRec, FieldRec, SchemaType, Span, TAG_BOOL, TAG_DATETIME, TAG_DECIMAL, TAG_DURATION,
    TAG_ENTITY, TAG_IP4, TAG_IP6, TAG_LONG, TAG_RECORD, TAG_SET, TAG_STRING, TYPE_BOOL,
    TYPE_ENTITY, TYPE_EXTENSION, TYPE_LONG, TYPE_RECORD, TYPE_SET, TYPE_STRING, Tables, Val,
};
use crate::request::{InlineEntity, Uid};
use crate::scratch::Scratch;

/// A place inside a value that does not fit, innermost part first.
#[derive(Debug, Default)]
struct Path {
    keys: [u32; 8],
    len: usize,
}

/// What is wrong there.
#[derive(Clone, Copy, Debug)]
enum Misfit {
    /// The value is of another type.
    Type { expected: u32, actual: u32 },
    /// A required field is not there.
    Missing { field: u32 },
    /// The type has no such field.
    Unexpected { field: u32 },
    /// The enumerated type has no such entity, or the schema no such action.
    Undeclared { entity: u32 },
}

/// Principal, action and resource of one leg.
#[inline]
pub(crate) fn scope(
    t: &Tables,
    s: &mut Scratch,
    principal: u32,
    action: u32,
    resource: u32,
) -> Result<(), Refusal> {
    if faults::VALIDATION_SKIPPED.is_on() {
        return Ok(());
    }
    let record =
        t.entity_rest.get(action as usize).and_then(|rest| t.actions.get(rest.action as usize));
    // The common case first; whatever is not so simple is put into words below.
    if record.is_some_and(|record| {
        applies(t, record.principals, s.entity_type(t, principal))
            && applies(t, record.resources, s.entity_type(t, resource))
    }) {
        return Ok(());
    }
    declared(t, s, "principal", principal)?;
    declared(t, s, "resource", resource)?;
    let Some(record) = record else {
        return Err(say(s, |s, text| {
            write!(text, "action {} is not declared in the schema", name(t, s, action))
        }));
    };
    for (what, entity, types) in
        [("principal", principal, record.principals), ("resource", resource, record.resources)]
    {
        if !types.of(&t.type_lists).contains(&s.entity_type(t, entity)) {
            return Err(say(s, |s, text| {
                let (entity, action) = (type_name(t, s, entity), name(t, s, action));
                write!(text, "a {what} of type `{entity}` does not apply to action {action}")
            }));
        }
    }
    Ok(())
}

/// The context, which is the same for every leg.
pub(crate) fn context(
    t: &Tables,
    s: &mut Scratch,
    action: u32,
    context: Val,
) -> Result<(), Refusal> {
    let Some(expected) = context_type(t, action).filter(|_| !faults::VALIDATION_SKIPPED.is_on())
    else {
        return Ok(());
    };
    let mut path = Path::default();
    match fits(t, s, context, expected, &mut path) {
        Ok(()) => Ok(()),
        Err(misfit) => Err(refuse(t, s, format_args!("context"), &path, misfit)),
    }
}

/// Entities that came with the request, as `Entities::from_entities` would check them.
pub(crate) fn inline(
    t: &Tables,
    s: &mut Scratch,
    entities: &[InlineEntity<'_>],
) -> Result<(), Refusal> {
    if faults::VALIDATION_SKIPPED.is_on() {
        return Ok(());
    }
    for inline in entities {
        let Ok(entity) = s.entity_again(t, inline.uid.entity_type, inline.uid.id) else {
            return Err(Refusal::Limit);
        };
        let owner = inline.uid;
        let declaration = declaration(t, s.entity_type(t, entity)).copied();
        let Some(declaration) = declaration else {
            return Err(invalid!(
                s,
                "inline entity {owner} is of a type that the schema does not declare"
            ));
        };
        let Some(guest) = arrived(t, s, entity) else {
            supplied(t, s, entity, &declaration)?;
            continue;
        };
        let Some(guest) = s.guest_of(t, guest).copied() else { continue };
        let attrs = Val::record(guest.shape, guest.attrs);
        let tags = Val::record(guest.tag_shape, guest.tags);
        // Taken out for the time of looking at a part of it.
        let above = std::mem::take(&mut s.ancestors);
        let ancestors = guest.ancestors.of(&above);
        let what = format_args!("inline entity {owner}");
        let conforms = conforms(t, s, what, entity, &declaration, [attrs, tags], ancestors);
        s.ancestors = above;
        conforms?;
    }
    Ok(())
}

/// An entity that a change of the overlay has given, as `Entities::from_entities` would check it.
pub(crate) fn stored(
    t: &Tables,
    s: &mut Scratch,
    entity: u32,
    uid: Uid<'_>,
) -> Result<(), Refusal> {
    let Some(declaration) = declaration(t, s.entity_type(t, entity)).copied() else {
        return Err(invalid!(s, "entity {uid} is of a type that the schema does not declare"));
    };
    let Some(data) = s.entity_data(t, entity) else { return Ok(()) };
    let attrs = Val::record(data.shape, data.attrs);
    let tags = Val::record(data.tag_shape, data.tags);
    let ancestors = data.ancestors.to_vec();
    conforms(t, s, format_args!("entity {uid}"), entity, &declaration, [attrs, tags], &ancestors)
}

/// Whether the schema declares an entity type; actions it declares one by one.
pub(crate) fn declares_type(t: &Tables, name: &str) -> bool {
    let entity_type = lookup::entity_type(t, name.as_bytes());
    entity_type.is_some_and(|entity_type| declaration(t, entity_type).is_some())
}

/// What the schema says of an entity with its data.
fn conforms(
    t: &Tables,
    s: &mut Scratch,
    what: fmt::Arguments<'_>,
    entity: u32,
    declaration: &DeclarationRec,
    [attrs, tags]: [Val; 2],
    ancestors: &[u32],
) -> Result<(), Refusal> {
    if declaration.enumerated == 1 && !declaration.members.of(&t.type_lists).contains(&entity) {
        return Err(invalid!(s, "{what} is not one of its enumerated type"));
    }
    let mut path = Path::default();
    let checked = fields_fit(t, s, attrs, declaration.fields.of(&t.fields), &mut path)
        .and_then(|()| tags_fit(t, s, tags, declaration.tags, &mut path));
    if let Err(misfit) = checked {
        return Err(refuse(t, s, what, &path, misfit));
    }
    let allowed = declaration.ancestor_types.of(&t.type_lists);
    let unfit = ancestors.iter().find(|ancestor| {
        !allowed.contains(&s.entity_type(t, **ancestor)) || euid_fits(t, s, **ancestor).is_err()
    });
    match unfit {
        None => Ok(()),
        Some(ancestor) => Err(say(s, |s, text| {
            write!(text, "{what} may not have the ancestor {}", name(t, s, *ancestor))
        })),
    }
}

/// Attributes that the caller supplied for a stored entity.
fn supplied(
    t: &Tables,
    s: &mut Scratch,
    entity: u32,
    declaration: &DeclarationRec,
) -> Result<(), Refusal> {
    let mut path = Path::default();
    let misfit =
        s.overrides.iter().filter(|(of, _, _)| *of == entity).find_map(|(_, attribute, val)| {
            let Some(field) = field(declaration.fields.of(&t.fields), *attribute) else {
                return Some(Misfit::Unexpected { field: *attribute });
            };
            fits(t, s, *val, field.schema_type, &mut path)
                .inspect_err(|_| path.push(*attribute))
                .err()
        });
    match misfit {
        Some(misfit) => {
            Err(refuse(t, s, format_args!("a caller-supplied attribute"), &path, misfit))
        }
        None => Ok(()),
    }
}

/// Whether an action applies to any entity of a type.
#[inline]
fn applies(t: &Tables, types: Span, entity_type: u32) -> bool {
    types.of(&t.type_lists).contains(&entity_type)
        && t.handy.types.get(entity_type as usize).is_some_and(|ty| ty.is_open)
}

fn declared(t: &Tables, s: &mut Scratch, what: &str, entity: u32) -> Result<(), Refusal> {
    let Some(declaration) = declaration(t, s.entity_type(t, entity)) else {
        return Err(say(s, |s, text| {
            write!(
                text,
                "the {what}'s type `{}` is not declared in the schema",
                type_name(t, s, entity)
            )
        }));
    };
    if declaration.enumerated == 1 && !declaration.members.of(&t.type_lists).contains(&entity) {
        return Err(say(s, |s, text| {
            write!(text, "the {what} {} is not one of its enumerated type", name(t, s, entity))
        }));
    }
    Ok(())
}

fn declaration(t: &Tables, entity_type: u32) -> Option<&DeclarationRec> {
    let record = t.types.get(entity_type as usize)?;
    t.declarations.get(record.declaration as usize)
}

/// Whether a value is of a type, and no more than that.
#[inline]
pub(crate) fn is_of(t: &Tables, s: &Scratch, val: Val, expected: u32) -> bool {
    // The common case first: a type without parts.
    match t.schema_types.get(expected as usize).map(|expected| expected.kind) {
        Some(TYPE_BOOL) => val.tag == TAG_BOOL,
        Some(TYPE_LONG) => val.tag == TAG_LONG,
        Some(TYPE_STRING) => val.tag == TAG_STRING,
        _ => fits(t, s, val, expected, &mut Path::default()).is_ok(),
    }
}

/// Whether a value is of a type.
fn fits(t: &Tables, s: &Scratch, val: Val, expected: u32, path: &mut Path) -> Result<(), Misfit> {
    let Some(schema_type) = t.schema_types.get(expected as usize) else {
        return Err(Misfit::Type { expected, actual: val.tag });
    };
    let same = match schema_type.kind {
        TYPE_BOOL => val.tag == TAG_BOOL,
        TYPE_LONG => val.tag == TAG_LONG,
        TYPE_STRING => val.tag == TAG_STRING,
        TYPE_ENTITY => {
            if val.tag == TAG_ENTITY {
                euid_fits(t, s, val.low())?;
            }
            val.tag == TAG_ENTITY && s.entity_type(t, val.low()) == schema_type.a
        }
        TYPE_EXTENSION => {
            val.tag == schema_type.a || (schema_type.a == TAG_IP4 && val.tag == TAG_IP6)
        }
        TYPE_SET if val.tag == TAG_SET => {
            for element in s.values(t).elements(val) {
                fits(t, s, *element, schema_type.a, path)?;
            }
            true
        }
        TYPE_RECORD if val.tag == TAG_RECORD => {
            let fields = Span { start: schema_type.a, len: schema_type.b }.of(&t.fields);
            return fields_fit(t, s, val, fields, path);
        }
        _ => false,
    };
    if same { Ok(()) } else { Err(Misfit::Type { expected, actual: val.tag }) }
}

/// Whether a record has the fields it must have, no others, each of its type.
fn fields_fit(
    t: &Tables,
    s: &Scratch,
    record: Val,
    fields: &[FieldRec],
    path: &mut Path,
) -> Result<(), Misfit> {
    let values = s.values(t);
    let keys = values.keys(record.aux);
    let vals = values.run(record.low(), u32::try_from(keys.len()).unwrap_or(0));
    // Both are sorted by symbol: one pass, in which a required field that is passed over is missing.
    let mut fields = fields.iter();
    let mut missing = None;
    for (key, val) in keys.iter().zip(vals) {
        let field = loop {
            match fields.next() {
                Some(field) if field.name == *key => break field,
                Some(field) if field.name < *key => {
                    if field.required == 1 && missing.is_none() {
                        missing = Some(field.name);
                    }
                }
                _ => return Err(Misfit::Unexpected { field: *key }),
            }
        };
        fits(t, s, *val, field.schema_type, path).inspect_err(|_| path.push(*key))?;
    }
    let missing =
        missing.or_else(|| fields.find(|field| field.required == 1).map(|field| field.name));
    match missing {
        Some(field) => Err(Misfit::Missing { field }),
        None => Ok(()),
    }
}

fn tags_fit(
    t: &Tables,
    s: &Scratch,
    tags: Val,
    expected: u32,
    path: &mut Path,
) -> Result<(), Misfit> {
    let values = s.values(t);
    let keys = values.keys(tags.aux);
    let vals = values.run(tags.low(), u32::try_from(keys.len()).unwrap_or(0));
    for (key, val) in keys.iter().zip(vals) {
        if expected == NONE {
            return Err(Misfit::Unexpected { field: *key });
        }
        fits(t, s, *val, expected, path).inspect_err(|_| path.push(*key))?;
    }
    Ok(())
}

fn field(fields: &[FieldRec], name: u32) -> Option<&FieldRec> {
    fields.get(fields.binary_search_by_key(&name, |field| field.name).ok()?)
}

/// Entities of enumerated types must be among those; actions must be declared.
fn euid_fits(t: &Tables, s: &Scratch, entity: u32) -> Result<(), Misfit> {
    let entity_type = s.entity_type(t, entity);
    let undeclared = match declaration(t, entity_type) {
        Some(declaration) => {
            declaration.enumerated == 1 && !declaration.members.of(&t.type_lists).contains(&entity)
        }
        None => {
            let (ty, _) = s.entity_name(t, entity);
            let is_action = ty == b"Action" || ty.ends_with(b"::Action");
            is_action && t.entity_rest.get(entity as usize).is_none_or(|rest| rest.action == NONE)
        }
    };
    if undeclared { Err(Misfit::Undeclared { entity }) } else { Ok(()) }
}

// === messages ===

/// Leaves a sentence. It is written into memory that stays, so that refusing costs no allocation either.
#[cold]
fn say(s: &mut Scratch, write: impl FnOnce(&Scratch, &mut String) -> fmt::Result) -> Refusal {
    let mut text = std::mem::take(&mut s.message);
    text.clear();
    // Writing to a String cannot fail.
    let _ = write(s, &mut text);
    s.message = text;
    Refusal::Invalid
}

#[cold]
fn refuse(
    t: &Tables,
    s: &mut Scratch,
    what: fmt::Arguments<'_>,
    path: &Path,
    misfit: Misfit,
) -> Refusal {
    say(s, |s, text| {
        write!(text, "{what}")?;
        for key in path.keys.iter().take(path.len).rev() {
            write!(text, ".{}", symbol(t, s, *key))?;
        }
        match misfit {
            Misfit::Type { expected, actual } => {
                text.push_str(" must be ");
                describe(text, t, s, expected)?;
                write!(text, ", not {}", describe_tag(actual))
            }
            Misfit::Missing { field } => write!(text, " lacks `{}`", symbol(t, s, field)),
            Misfit::Unexpected { field } => {
                write!(text, " has `{}`, which the schema does not declare", symbol(t, s, field))
            }
            Misfit::Undeclared { entity } => {
                write!(text, " names {}, which the schema does not declare", name(t, s, entity))
            }
        }
    })
}

/// An entity's name.
fn name<'a>(t: &'a Tables, s: &'a Scratch, entity: u32) -> Uid<'a> {
    let (entity_type, id) = s.entity_name(t, entity);
    Uid::new(utf8(entity_type), utf8(id))
}

fn type_name<'a>(t: &'a Tables, s: &'a Scratch, entity: u32) -> &'a str {
    utf8(s.entity_name(t, entity).0)
}

fn symbol<'a>(t: &'a Tables, s: &'a Scratch, symbol: u32) -> &'a str {
    utf8(s.symbol_text(t, symbol))
}

/// All text of bundle and scratch was a `str` when it came in.
fn utf8(text: &[u8]) -> &str {
    std::str::from_utf8(text).unwrap_or("?")
}

fn describe(text: &mut String, t: &Tables, s: &Scratch, schema_type: u32) -> fmt::Result {
    let Some(SchemaType { kind, a, .. }) = t.schema_types.get(schema_type as usize).copied() else {
        return text.write_str("of another type");
    };
    text.write_str(match kind {
        TYPE_BOOL => "a Bool",
        TYPE_LONG => "a Long",
        TYPE_STRING => "a String",
        TYPE_ENTITY => {
            let name = t.types.get(a as usize).map_or(NONE, |ty| ty.name);
            return write!(text, "an entity of type `{}`", symbol(t, s, name));
        }
        TYPE_SET => "a set",
        TYPE_RECORD => "a record",
        _ => describe_tag(a),
    })
}

fn describe_tag(tag: u32) -> &'static str {
    match tag {
        TAG_BOOL => "a Bool",
        TAG_LONG => "a Long",
        TAG_STRING => "a String",
        TAG_ENTITY => "an entity of another type",
        TAG_SET => "a set",
        TAG_RECORD => "a record",
        TAG_DECIMAL => "a decimal",
        TAG_DATETIME => "a datetime",
        TAG_DURATION => "a duration",
        TAG_IP4 | TAG_IP6 => "an ipaddr",
        _ => "no value",
    }
}

// === impl Path ===

impl Path {
    fn push(&mut self, key: u32) {
        if let Some(slot) = self.keys.get_mut(self.len) {
            *slot = key;
            self.len += 1;
        }
    }
}
