//! A caller's context, read along what the schema declares for the action.
//!
//! Most contexts have the declared fields and no others, each of its type. Then no name needs to be looked up, nothing
//! sorted, and nothing validated afterwards. Whatever is not so simple is left to `prepare` and `validate`, which also
//! put into words what is wrong; nothing that is begun here shows later.

use crate::faults;
use crate::handy::{FIELDS_MAX, HandyContext};
use crate::ids::NONE;
use crate::lookup;
use crate::prepare::intern;
use crate::program::{
    FieldRec, MetaRec, Span, TAG_NONE, TYPE_BOOL, TYPE_ENTITY, TYPE_LONG, TYPE_STRING, Tables, Val,
};
use crate::request::Value;
use crate::scratch::{Scratch, TooLarge};
use crate::validate;

/// The context as a record, if it fits what the schema declares for the action.
#[inline]
pub(crate) fn context(
    t: &Tables,
    meta: &MetaRec,
    s: &mut Scratch,
    context: &[(&str, Value<'_>)],
    action: u32,
) -> Option<Val> {
    let action = t.entity_rest.get(action as usize)?.action;
    let declared = t.handy.contexts.get(action as usize)?.as_ref()?;
    let marks = (s.vals.len(), s.shapes.len(), s.shape_keys.len(), s.ip6.len(), s.text_left);
    let record = read(t, meta, s, context, declared);
    if record.is_none() {
        s.vals.truncate(marks.0);
        s.shapes.truncate(marks.1);
        s.shape_keys.truncate(marks.2);
        s.ip6.truncate(marks.3);
        s.stack.clear();
        s.pairs.clear();
        s.message.clear();
        s.text_left = marks.4;
    }
    record
}

fn read(
    t: &Tables,
    meta: &MetaRec,
    s: &mut Scratch,
    context: &[(&str, Value<'_>)],
    declared: &HandyContext,
) -> Option<Val> {
    let fields = declared.fields.of(&t.fields);
    let names = declared.fields.of(&t.handy.field_names);
    let from = s.vals.len();
    s.vals.resize(from + fields.len(), Val::NONE);
    let (mut present, mut expected) = (0u32, 0);
    for (key, value) in context {
        let key = key.as_bytes();
        let named = |name: &Span| lookup::same(name.of(&t.symbol_text), key);
        // Callers tend to keep to the order of the schema.
        let at = match names.get(expected) {
            Some(name) if named(name) => expected,
            _ => names.iter().position(named)?,
        };
        expected = at + 1;
        if present & 1 << at != 0 {
            return None;
        }
        present |= 1 << at;
        s.text_taken(key.len()).ok()?;
        let val = typed(t, meta, s, value, fields.get(at)?)?;
        *s.vals.get_mut(from + at)? = val;
    }
    if present & declared.required != declared.required {
        return None;
    }
    if present.count_ones() as usize == fields.len() && declared.shape != NONE {
        return s.record_at(t, declared.shape, from).ok();
    }
    // Some are not there: the others are put together anew. Values inside them stand behind and stay where they are.
    let mut vals = [Val::NONE; FIELDS_MAX];
    for (val, held) in vals.iter_mut().zip(s.vals.get(from..from + fields.len())?) {
        *val = *held;
    }
    let present = fields.iter().zip(vals).filter(|(_, val)| val.tag != TAG_NONE);
    s.record_of(t, present.map(|(field, val)| (field.name, val))).ok()
}

/// A value, if it is of the field's type.
#[inline]
fn typed(
    t: &Tables,
    meta: &MetaRec,
    s: &mut Scratch,
    value: &Value<'_>,
    field: &FieldRec,
) -> Option<Val> {
    let expected = t.schema_types.get(field.schema_type as usize)?;
    // The common cases first: types without parts.
    let val: Result<Val, TooLarge> = match (value, expected.kind) {
        (Value::Bool(b), TYPE_BOOL) => Ok(Val::bool(*b)),
        (Value::Long(i), TYPE_LONG) => Ok(Val::long(*i)),
        (Value::String(text), TYPE_STRING) => s.symbol(t, text).map(Val::string),
        (Value::Entity(uid), TYPE_ENTITY) => {
            let entity = s.entity(t, uid.entity_type, uid.id).ok()?;
            let is_open = t.handy.types.get(expected.a as usize).is_some_and(|ty| ty.is_open);
            if !is_open || s.entity_type(t, entity) != expected.a {
                return general(t, s, Val::entity(entity), field);
            }
            Ok(Val::entity(entity))
        }
        _ => {
            let val = intern(t, s, value, meta.limits.value_depth_max).ok()?;
            return general(t, s, val, field);
        }
    };
    val.ok()
}

#[inline(never)]
fn general(t: &Tables, s: &Scratch, val: Val, field: &FieldRec) -> Option<Val> {
    let fits = validate::is_of(t, s, val, field.schema_type);
    (fits || faults::CONTEXT_FITS_UNSEEN.is_on()).then_some(val)
}
