//! A caller's context, read along what the schema declares for the action.
//!
//! Most contexts have the declared fields and no others, each of its type. Then no name needs to be looked up, nothing
//! sorted, and nothing validated afterwards. Whatever is not so simple is left to `prepare` and `validate`, which also
//! put into words what is wrong; nothing that is begun here shows later.

use crate::faults;
use crate::lookup;
use crate::prepare::{context_type, intern};
use crate::program::{MetaRec, Span, TAG_NONE, TYPE_RECORD, Tables, Val};
use crate::request::Value;
use crate::scratch::Scratch;
use crate::validate;

/// Contexts with more fields are read the general way.
const FIELDS_MAX: usize = 16;

/// The context as a record, if it fits what the schema declares for the action.
#[inline]
pub(crate) fn context(
    t: &Tables,
    meta: &MetaRec,
    s: &mut Scratch,
    context: &[(&str, Value<'_>)],
    action: u32,
) -> Option<Val> {
    let marks = (s.vals.len(), s.shapes.len(), s.shape_keys.len(), s.ip6.len(), s.text_left);
    let record = read(t, meta, s, context, action);
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
    action: u32,
) -> Option<Val> {
    let node = t.schema_types.get(context_type(t, action)? as usize)?;
    if node.kind != TYPE_RECORD || node.b as usize > FIELDS_MAX {
        return None;
    }
    let fields = Span { start: node.a, len: node.b }.of(&t.fields);
    let mut vals = [Val::NONE; FIELDS_MAX];
    for (key, value) in context {
        let at = fields.iter().position(|f| lookup::symbol_text(t, f.name) == key.as_bytes())?;
        let field = fields.get(at)?;
        let slot = vals.get_mut(at).filter(|slot| slot.tag == TAG_NONE)?;
        s.text_taken(key.len()).ok()?;
        let val = intern(t, s, value, meta.limits.value_depth_max).ok()?;
        if !validate::is_of(t, s, val, field.schema_type) && !faults::CONTEXT_FITS_UNSEEN.is_on() {
            return None;
        }
        *slot = val;
    }
    // What the PDP fills in is declared, too, and not among what a caller may send.
    let filled = fields.iter().any(|f| f.name == meta.now_key || f.name == meta.delegation_key);
    let complete = fields.iter().zip(&vals).all(|(f, val)| f.required == 0 || val.tag != TAG_NONE);
    if filled || !complete {
        return None;
    }
    let present = fields.iter().zip(vals).filter(|(_, val)| val.tag != TAG_NONE);
    s.record_of(t, present.map(|(field, val)| (field.name, val))).ok()
}
