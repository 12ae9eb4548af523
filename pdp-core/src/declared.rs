//! A caller's context, read along what the schema declares for the action.
//!
//! Most contexts have the declared fields and no others, each of its type. Then no name needs to be looked up, nothing
//! sorted, and nothing validated afterwards. Whatever is not so simple is left to `prepare` and `validate`, which also
//! put into words what is wrong; nothing that is begun here shows later.

use crate::faults;
use crate::handy::HandyContext;
use crate::ids::NONE;
use crate::lookup;
use crate::prepare::intern;
use crate::program::{
    FieldRec, MetaRec, TAG_NONE, TYPE_BOOL, TYPE_ENTITY, TYPE_LONG, TYPE_STRING, Tables, Val,
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
    let mut vals = [Val::NONE; crate::handy::FIELDS_MAX];
    let mut present = 0u32;
    for (key, value) in context {
        let key = key.as_bytes();
        let named = |name: &crate::program::Span| lookup::same(name.of(&t.symbol_text), key);
        let at = names.iter().position(named)?;
        let (field, slot) = (fields.get(at)?, vals.get_mut(at)?);
        if slot.tag != TAG_NONE {
            return None;
        }
        s.text_taken(key.len()).ok()?;
        *slot = typed(t, meta, s, value, field)?;
        present |= 1 << at;
    }
    if present & declared.required != declared.required {
        return None;
    }
    let vals = vals.get(..fields.len())?;
    if present.count_ones() as usize == fields.len() && declared.shape != NONE {
        return s.record_of_shape(t, declared.shape, vals).ok();
    }
    let present = fields.iter().zip(vals).filter(|(_, val)| val.tag != TAG_NONE);
    s.record_of(t, present.map(|(field, val)| (field.name, *val))).ok()
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
