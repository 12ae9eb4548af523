//! What a scope key means, by looking at the entity's ancestors; independent of classes and index.

use crate::faults;
use crate::program::{
    KEY_ANY, KEY_EQ, KEY_IN, KEY_IN_SET, KEY_IS, KEY_IS_IN, KeyRec, Span, Tables,
};
use crate::scratch::Scratch;

/// Whether the entity satisfies the key. A key that does not exist is satisfied by nothing.
pub(crate) fn holds(t: &Tables, s: &Scratch, key: Option<&KeyRec>, entity: u32) -> bool {
    let Some(key) = key else { return false };
    match key.kind {
        KEY_ANY => true,
        KEY_IS => s.entity_type(t, entity) == key.entity_type,
        KEY_EQ => entity == key.entity,
        KEY_IN => is_in(t, s, entity, key.entity),
        KEY_IS_IN => s.entity_type(t, entity) == key.entity_type && is_in(t, s, entity, key.entity),
        KEY_IN_SET => {
            let members = Span { start: key.entity, len: key.len }.of(&t.key_entities);
            members.iter().any(|member| is_in(t, s, entity, *member))
        }
        _ => false,
    }
}

/// Cedar's `in` for two entities: the same one, or a descendant.
#[inline]
pub(crate) fn is_in(t: &Tables, s: &Scratch, entity: u32, ancestor: u32) -> bool {
    if entity == ancestor {
        return !faults::IN_NOT_REFLEXIVE.is_on();
    }
    let Some(data) = s.entity_data(t, entity) else { return false };
    if faults::WRONG_ANCESTOR.is_on() {
        return data.ancestors.first() == Some(&ancestor);
    }
    // Few ancestors: looking at all of them is cheaper than halving.
    if data.ancestors.len() <= 12 {
        data.ancestors.contains(&ancestor)
    } else {
        data.ancestors.binary_search(&ancestor).is_ok()
    }
}
