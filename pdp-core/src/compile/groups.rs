//! Groups of a cell: policies that open with equality tests of the same paths, by what those must hold.

use std::collections::HashMap;

use super::build::slots;
use super::guards::Guard;
use super::index::Written;
use crate::hash;
use crate::ids::{TooMany, next_id};
use crate::program::{
    GROUP_READ_HAS, GroupRec, POLICY_FORBID, POLICY_GROUPED, POSTING_FORBID, PostingRec, Span,
    Tables, Val,
};

/// Policies that make a group; fewer are cheaper to look at than to look up.
const GROUP_MIN: usize = 2;

/// Writes the policies of a cell: those that are always looked at, and the groups.
pub(super) fn build(
    t: &mut Tables,
    policies: &[u32],
    written: &Written,
) -> Result<(Span, Span), TooMany> {
    let of = |ix: u32| written.guards.get(ix as usize).map_or(&[][..], Vec::as_slice);
    let mut by_reads: HashMap<Vec<u32>, Vec<u32>> = HashMap::new();
    let mut order = Vec::new();
    for ix in policies {
        let reads: Vec<u32> = of(*ix).iter().map(read_of).collect();
        let members = by_reads.entry(reads.clone()).or_default();
        if members.is_empty() {
            order.push(reads);
        }
        members.push(*ix);
    }
    let grouped =
        |members: &Vec<u32>, reads: &[u32]| !reads.is_empty() && members.len() >= GROUP_MIN;
    let mut always: Vec<u32> = order
        .iter()
        .filter_map(|reads| by_reads.get(reads).filter(|members| !grouped(members, reads)))
        .flatten()
        .copied()
        .collect();
    always.sort_unstable();
    let always = posted(t, &always, written)?;
    let first = next_id(t.groups.len())?;
    for reads in &order {
        if let Some(members) = by_reads.get(reads).filter(|members| grouped(members, reads)) {
            for ix in members {
                if let Some(policy) = t.policies.get_mut(*ix as usize) {
                    policy.flags |= POLICY_GROUPED;
                }
            }
            let group = group(t, reads, members, written)?;
            t.groups.push(group);
        }
    }
    Ok((always, Span { start: first, len: next_id(t.groups.len())? - first }))
}

fn group(
    t: &mut Tables,
    reads: &[u32],
    members: &[u32],
    written: &Written,
) -> Result<GroupRec, TooMany> {
    let guards = |ix: u32| written.guards.get(ix as usize).map_or(&[][..], Vec::as_slice);
    // Sorted by hash, then in the order of the bundle; a policy that two of its ways lead to one hash stands there once.
    let mut entries: Vec<(u32, u32)> = members
        .iter()
        .flat_map(|ix| hashes(guards(*ix)).into_iter().map(move |hash| (hash, *ix)))
        .collect();
    entries.sort_unstable();
    entries.dedup();
    let first = next_id(t.group_runs.len())?;
    let mut distinct = Vec::new();
    for run in entries.chunk_by(|(a, _), (b, _)| a == b) {
        let Some((hash, _)) = run.first() else { continue };
        distinct.push(*hash);
        let run: Vec<u32> = run.iter().map(|(_, ix)| *ix).collect();
        let run = posted(t, &run, written)?;
        t.group_runs.push(run);
    }
    let mut table = slots(distinct.into_iter());
    for slot in table.iter_mut().filter(|slot| slot.ix != crate::ids::NONE) {
        slot.ix = next_id(slot.ix as usize + first as usize)?;
    }
    let slots = Span { start: next_id(t.group_slots.len())?, len: next_id(table.len())? };
    t.group_slots.extend(table);
    let start = next_id(t.group_reads.len())?;
    t.group_reads.extend_from_slice(reads);
    let reads = Span { start, len: next_id(reads.len())? };
    Ok(GroupRec { reads, slots, policies: posted(t, members, written)? })
}

/// The hashes of all ways in which a policy's guards can be met together.
fn hashes(guards: &[Guard]) -> Vec<u32> {
    let mut states = vec![hash::VALUES];
    for guard in guards {
        let next = |state: u64| {
            guard.values.iter().map(move |Val { tag, bits, .. }| hash::value(state, *tag, *bits))
        };
        states = states.into_iter().flat_map(next).collect();
    }
    states.into_iter().map(hash::values).collect()
}

fn read_of(guard: &Guard) -> u32 {
    u32::from(guard.read) | if guard.has { GROUP_READ_HAS } else { 0 }
}

fn posted(t: &mut Tables, policies: &[u32], written: &Written) -> Result<Span, TooMany> {
    let span = Span { start: next_id(t.postings.len())?, len: next_id(policies.len())? };
    for ix in policies {
        let ops = written.conditions.get(*ix as usize).copied().unwrap_or(Span::EMPTY);
        let posting = next_id(t.postings.len())?;
        let Some(policy) = t.policies.get_mut(*ix as usize) else { continue };
        policy.posting = posting;
        if *ix & POSTING_FORBID != 0 {
            return Err(TooMany);
        }
        let forbid = if policy.flags & POLICY_FORBID != 0 { POSTING_FORBID } else { 0 };
        t.postings.push(PostingRec { policy: ix | forbid, ops });
    }
    next_id(t.postings.len())?;
    Ok(span)
}
