//! The ancestors of entities that come with a request, closed over stored and inline parents.
//!
//! Inline entities are walked parents first, each once; a stored parent brings its ancestors as the bundle closed them,
//! and what stands there is not walked again: no request may give parents to an ancestor of stored entities. Work is
//! bounded by the number of parents a request names times `inline_ancestors_max`, and by `eval_steps_max`.
//! It refuses to read attributes and to look at the schema.

use std::fmt::Write;

use crate::faults;
use crate::guests::Closing;
use crate::prepare::{Refusal, arrived, invalid};
use crate::program::{MetaRec, Span, Tables};
use crate::request::{InlineEntity, Uid};
use crate::scratch::Scratch;

/// Ids that are copied in one step, about what an instruction costs.
const IDS_A_STEP: u64 = 16;

/// Fills in the ancestors of all entities that came with the request.
pub(crate) fn close(
    t: &Tables,
    meta: &MetaRec,
    s: &mut Scratch,
    entities: &[InlineEntity<'_>],
) -> Result<(), Refusal> {
    let mut copied = 0;
    for inline in entities {
        let entity = s.entity_again(t, inline.uid.entity_type, inline.uid.id)?;
        let Some(guest) = arrived(t, s, entity) else { continue };
        s.walk.clear();
        s.walk.push((guest, 0));
        while let Some((guest, next)) = s.walk.pop() {
            match open_parent(t, s, guest, next)? {
                Some((parent, after)) => s.walk.extend([(guest, after), (parent, 0)]),
                None => gather(t, meta, s, guest, &mut copied)?,
            }
        }
    }
    Ok(())
}

/// The next parent of a guest, from its direct parent number `next` on, that is inline and not yet closed; and where to
/// go on after it.
fn open_parent(
    t: &Tables,
    s: &mut Scratch,
    guest: u32,
    next: u32,
) -> Result<Option<(u32, u32)>, Refusal> {
    let Some(record) = s.guest_mut(t, guest) else { return Ok(None) };
    if record.closing == Closing::Done {
        return Ok(None);
    }
    record.closing = Closing::OnPath;
    let parents = record.parents;
    for (nth, parent) in (0u32..).zip(parents.of(&s.parents)).skip(next as usize) {
        let Some(parent) = arrived(t, s, *parent) else { continue };
        match s.guest_of(t, parent).map(|parent| parent.closing) {
            Some(Closing::Open) => return Ok(Some((parent, nth + 1))),
            Some(Closing::OnPath) => return Err(cycle(t, s, parent)),
            Some(Closing::Done) | None => {}
        }
    }
    Ok(None)
}

/// Puts a guest's ancestors together; those of its inline parents are there already.
fn gather(
    t: &Tables,
    meta: &MetaRec,
    s: &mut Scratch,
    guest: u32,
    copied: &mut u64,
) -> Result<(), Refusal> {
    let Some(record) = s.guest_of(t, guest).filter(|guest| guest.closing != Closing::Done) else {
        return Ok(());
    };
    let max = meta.limits.inline_ancestors_max as usize;
    let parents = record.parents;
    let start = s.ancestors.len();
    let mut crowded = start + 2 * max;
    for nth in parents.range() {
        let Some(parent) = s.parents.get(nth).copied() else { continue };
        let before = s.ancestors.len();
        s.ancestors.push(parent);
        match arrived(t, s, parent) {
            _ if faults::INLINE_PARENTS_ONLY.is_on() => {}
            Some(inline) => {
                let span = s.guest_of(t, inline).map_or(Span::EMPTY, |guest| guest.ancestors);
                s.ancestors.extend_from_within(span.range());
            }
            None => match s.overlay.as_ref().and_then(|overlay| overlay.stored(parent)) {
                Some(stored) => s.ancestors.extend_from_slice(&stored.ancestors),
                None => {
                    let stored = t.entity_rest.get(parent as usize);
                    let span = stored.map_or(Span::EMPTY, |rest| rest.ancestors);
                    s.ancestors.extend_from_slice(span.of(&t.ancestors));
                }
            },
        }
        *copied += (s.ancestors.len() - before) as u64;
        if *copied / IDS_A_STEP > meta.limits.eval_steps_max {
            s.message.push_str(
                "the ancestors of inline entities take more steps than the bundle's eval_steps_max",
            );
            return Err(Refusal::Limit);
        }
        // Many parents may share their ancestors: what is said twice must not pile up.
        if s.ancestors.len() > crowded {
            sort_and_dedup(&mut s.ancestors, start);
            crowded = s.ancestors.len() + 2 * max;
        }
    }
    sort_and_dedup(&mut s.ancestors, start);
    let len = s.ancestors.len() - start;
    if len > max {
        s.message
            .push_str("an inline entity has more ancestors than the bundle's inline_ancestors_max");
        return Err(Refusal::Limit);
    }
    let start = u32::try_from(start).map_err(|_| Refusal::Limit)?;
    let len = u32::try_from(len).map_err(|_| Refusal::Limit)?;
    if let Some(guest) = s.guest_mut(t, guest) {
        guest.ancestors = Span { start, len };
        guest.closing = Closing::Done;
    }
    Ok(())
}

#[cold]
fn cycle(t: &Tables, s: &mut Scratch, guest: u32) -> Refusal {
    let (entity_type, id) = s.entity_name(t, guest);
    // All text of bundle and scratch was a `str` when it came in.
    let text = |bytes| std::str::from_utf8(bytes).unwrap_or("?");
    let uid = Uid::new(text(entity_type), text(id)).to_string();
    invalid!(s, "inline entity {uid} is its own ancestor")
}

/// Sorts what stands from `from` on and drops repetitions there.
pub(crate) fn sort_and_dedup<T: Ord + Copy>(items: &mut Vec<T>, from: usize) {
    let Some(run) = items.get_mut(from..) else { return };
    run.sort_unstable();
    let mut kept = 0;
    for at in 0..run.len() {
        if at == 0 || run.get(at) != run.get(kept - 1) {
            run.copy_within(at..=at, kept);
            kept += 1;
        }
    }
    items.truncate(from + kept);
}

#[cfg(test)]
mod tests {
    use super::sort_and_dedup;

    #[test]
    fn only_the_tail_is_sorted_and_deduplicated() {
        let mut items = vec![9, 3, 3, 2, 3, 1, 1];
        sort_and_dedup(&mut items, 2);
        assert_eq!(items, [9, 3, 1, 2, 3]);
        sort_and_dedup(&mut items, 5);
        assert_eq!(items, [9, 3, 1, 2, 3]);
        sort_and_dedup(&mut items, 6);
        assert_eq!(items, [9, 3, 1, 2, 3]);
    }
}
