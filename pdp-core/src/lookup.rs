//! Names to ids: is this string, type or entity one that the bundle knows?
//!
//! One probe of a stored hash table each; a miss costs at most the longest run of taken slots, which the builder
//! keeps short. Not for enumeration, and not for names of the request (`scratch` keeps those).

use crate::hash;
use crate::ids::NONE;
use crate::program::{KeySlot, Slot, Span, Tables};

/// The symbol of a string.
#[inline]
pub(crate) fn symbol(t: &Tables, text: &[u8]) -> Option<u32> {
    find(&t.symbol_slots, hash::bytes(text), |ix| same(symbol_text(t, ix), text))
}

/// The bytes of a symbol of the bundle.
#[inline]
pub(crate) fn symbol_text(t: &Tables, symbol: u32) -> &[u8] {
    let start = match symbol.checked_sub(1) {
        Some(before) => t.symbol_ends.get(before as usize).copied().unwrap_or(0),
        None => 0,
    };
    let end = t.symbol_ends.get(symbol as usize).copied().unwrap_or(start);
    t.symbol_text.get(start as usize..end as usize).unwrap_or_default()
}

/// The entity type of a name.
#[inline]
pub(crate) fn entity_type(t: &Tables, name: &[u8]) -> Option<u32> {
    find(&t.type_slots, hash::bytes(name), |ix| same(type_name(t, ix), name))
}

/// The entity of a type's name and an id.
#[inline]
pub(crate) fn entity(t: &Tables, entity_type: &[u8], id: &[u8]) -> Option<u32> {
    let hash = hash::uid(entity_type, id);
    let mut at = hash as usize;
    let ix = next(&t.entity_slots, hash, &mut at)?;
    match is_entity(t, ix, entity_type, id) {
        true => Some(ix),
        false => find_on(&t.entity_slots, hash, at, |ix| is_entity(t, ix, entity_type, id)),
    }
}

#[inline(always)]
fn is_entity(t: &Tables, ix: u32, entity_type: &[u8], id: &[u8]) -> bool {
    t.entities.get(ix as usize).is_some_and(|e| {
        same(e.id.of(&t.entity_text), id) && same(type_name(t, e.entity_type), entity_type)
    })
}

/// The name of an entity type of the bundle.
#[inline]
fn type_name(t: &Tables, ty: u32) -> &[u8] {
    t.handy.types.get(ty as usize).map_or(&[], |ty| ty.name.of(&t.symbol_text))
}

/// Whether two short texts are the same. Names are a few bytes long, which is not worth a call.
#[inline(always)]
pub(crate) fn same(a: &[u8], b: &[u8]) -> bool {
    if a.len() != b.len() || a.len() > 16 {
        return a == b;
    }
    if let (Some(first), Some(last)) = (a.first_chunk::<8>(), a.last_chunk::<8>()) {
        return Some(first) == b.first_chunk() && Some(last) == b.last_chunk();
    }
    if let (Some(first), Some(last)) = (a.first_chunk::<4>(), a.last_chunk::<4>()) {
        return Some(first) == b.first_chunk() && Some(last) == b.last_chunk();
    }
    a.iter().zip(b).all(|(a, b)| a == b)
}

/// The row of a pair of keys.
#[inline]
pub(crate) fn row(t: &Tables, action_key: u32, principal_key: u32) -> Option<u32> {
    find(&t.row_slots, hash::pair(action_key, principal_key), |ix| {
        t.rows
            .get(ix as usize)
            .is_some_and(|row| row.action_key == action_key && row.principal_key == principal_key)
    })
}

/// The rows that entities of two classes hit.
#[inline]
pub(crate) fn class_pair(t: &Tables, action_class: u32, principal_class: u32) -> Option<Span> {
    let ix = find(&t.class_pair_slots, hash::pair(action_class, principal_class), |ix| {
        t.class_pairs.get(ix as usize).is_some_and(|pair| {
            pair.action_class == action_class && pair.principal_class == principal_class
        })
    })?;
    t.class_pairs.get(ix as usize).map(|pair| pair.rows)
}

/// The cell of a resource key in a row's hash table.
#[inline]
pub(crate) fn cell(slots: &[KeySlot], resource_key: u32) -> Option<u32> {
    let mask = slots.len().wrapping_sub(1);
    let mut at = hash::key(resource_key) as usize & mask;
    // `verify` demands a free slot in every table, so this ends.
    loop {
        let slot = slots.get(at)?;
        if slot.cell == NONE {
            return None;
        }
        if slot.key == resource_key {
            return Some(slot.cell);
        }
        at = at.wrapping_add(1) & mask;
    }
}

/// The policies that a table of a group lists for a hash.
#[inline]
pub(crate) fn run(t: &Tables, slots: Span, hash: u32) -> Option<Span> {
    // One entry a hash: what stands there is evaluated, so unequal values with one hash may share it.
    let ix = find(slots.of(&t.group_slots), hash, |_| true)?;
    t.group_runs.get(ix as usize).copied()
}

#[inline]
fn find(slots: &[Slot], hash: u32, is: impl Fn(u32) -> bool) -> Option<u32> {
    let mut at = hash as usize;
    let ix = next(slots, hash, &mut at)?;
    if is(ix) { Some(ix) } else { find_on(slots, hash, at, is) }
}

/// Goes on where another name has the same hash. Apart, so that what `is` needs is not kept ready for a loop.
#[cold]
#[inline(never)]
fn find_on(slots: &[Slot], hash: u32, mut at: usize, is: impl Fn(u32) -> bool) -> Option<u32> {
    loop {
        let ix = next(slots, hash, &mut at)?;
        if is(ix) {
            return Some(ix);
        }
    }
}

/// The next entry with this hash; `at` is moved behind it.
#[inline]
fn next(slots: &[Slot], hash: u32, at: &mut usize) -> Option<u32> {
    let mask = slots.len().wrapping_sub(1);
    // `verify` demands a free slot in every table, so this ends.
    loop {
        let slot = slots.get(*at & mask)?;
        *at = at.wrapping_add(1);
        if slot.ix == NONE {
            return None;
        }
        if slot.hash == hash {
            return Some(slot.ix);
        }
    }
}
