//! *Scope index: here is a principal, an action and a resource: which policies may speak?*
//!
//! Every policy has one key in each dimension (any, is, ==, in, is-in, or in one of a set), and an entity belongs to a
//! class: the list of keys it hits, computed when the bundle was built. A pair of action key and principal key that
//! occurs in some policy is a row; a row and a resource key that occur together are a cell; a cell lists its policies.
//! A request looks at the rows of its action keys × principal keys and in each row at the cells of its resource keys:
//! a handful of hash probes, however many policies there are.
//!
//! Keys are exact, so every policy named here matches the request's scope and needs no second look; a policy that is
//! not named has a scope that is false, and a scope cannot error: leaving it out changes neither decision, reasons
//! nor errors (a sound policy slice). What could drop a policy is a class that misses a key: `class` and its builder
//! in `index` are the places to look at twice, and the tests run every case with the index replaced by all policies.
//!
//! Not useful for finding policies by attribute, nor for entities whose ancestors change: inline entities get their
//! keys computed here, per request.

use crate::ids::{NONE, PolicyIx};
use crate::lookup;
use crate::program::{InKey, KEY_ANY, KEY_IS_IN, KeyRec, Span, Tables};
use crate::scratch::Scratch;
use crate::{faults, scope};

/// A dimension of the scope.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Dimension {
    Principal,
    Action,
    Resource,
}

/// Fills `scratch.candidates` with the policies whose scope the triple matches, each once.
pub(crate) fn collect(t: &Tables, s: &mut Scratch, principal: u32, action: u32, resource: u32) {
    s.candidates.clear();
    s.keys.clear();
    let (principal, resource) = match faults::SWAP_PRINCIPAL_RESOURCE.is_on() {
        true => (resource, principal),
        false => (principal, resource),
    };
    let principal_keys = class(t, s, Dimension::Principal, principal);
    let action_keys = class(t, s, Dimension::Action, action);
    let resource_keys = class(t, s, Dimension::Resource, resource);
    let (keys, candidates) = (&s.keys, &mut s.candidates);
    let resource_keys = resource_keys.of(t, keys);
    for action_key in action_keys.of(t, keys) {
        for principal_key in principal_keys.of(t, keys) {
            if faults::DROP_ANY_PRINCIPAL.is_on()
                && kind(&t.principal_keys, *principal_key) == KEY_ANY
            {
                continue;
            }
            let Some(row) = lookup::row(t, *action_key, *principal_key) else { continue };
            collect_row(t, row, resource_keys, candidates);
        }
    }
}

/// Fills `scratch.candidates` without the index: each policy's scope is evaluated. For proof and comparison.
pub(crate) fn collect_all(t: &Tables, s: &mut Scratch, principal: u32, action: u32, resource: u32) {
    let mut candidates = std::mem::take(&mut s.candidates);
    candidates.clear();
    for (ix, policy) in (0u32..).zip(&t.policies) {
        let speaks =
            scope::holds(t, s, t.principal_keys.get(policy.principal_key as usize), principal)
                && scope::holds(t, s, t.action_keys.get(policy.action_key as usize), action)
                && scope::holds(t, s, t.resource_keys.get(policy.resource_key as usize), resource);
        if speaks {
            candidates.push(PolicyIx(ix));
        }
    }
    s.candidates = candidates;
}

fn collect_row(t: &Tables, row: u32, resource_keys: &[u32], candidates: &mut Vec<PolicyIx>) {
    let Some(record) = t.rows.get(row as usize) else { return };
    let cells = record.cells.of(&t.cells);
    // A row of few cells is read through; a long one is asked key by key.
    if cells.len() <= resource_keys.len().min(8) {
        for cell in cells.iter().filter(|cell| resource_keys.contains(&cell.resource_key)) {
            push(t, cell.policies, candidates);
        }
    } else {
        for resource_key in resource_keys {
            if let Some(policies) = lookup::cell(t, row, *resource_key) {
                push(t, policies, candidates);
            }
        }
    }
}

fn push(t: &Tables, policies: Span, candidates: &mut Vec<PolicyIx>) {
    let mut run = policies.of(&t.postings);
    if faults::DROP_LAST_OF_CELL.is_on() {
        run = run.split_last().map_or(run, |(_, rest)| rest);
    }
    candidates.extend(run.iter().map(|ix| PolicyIx(*ix)));
}

/// Where the keys of an entity are: in the bundle, or computed for this request.
#[derive(Clone, Copy)]
enum Keys {
    Stored(Span),
    Computed(Span),
}

impl Keys {
    fn of<'a>(self, t: &'a Tables, computed: &'a [u32]) -> &'a [u32] {
        match self {
            Keys::Stored(span) => span.of(&t.class_keys),
            Keys::Computed(span) => span.of(computed),
        }
    }
}

/// The keys that an entity hits in a dimension.
fn class(t: &Tables, s: &mut Scratch, dimension: Dimension, entity: u32) -> Keys {
    let (classes, in_keys, keys) = match dimension {
        Dimension::Principal => (&t.principal_classes, &t.principal_in_keys, &t.principal_keys),
        Dimension::Action => (&t.action_classes, &t.action_in_keys, &t.action_keys),
        Dimension::Resource => (&t.resource_classes, &t.resource_in_keys, &t.resource_keys),
    };
    let class = match t.entities.get(entity as usize) {
        Some(record) => match dimension {
            Dimension::Principal => record.principal_class,
            Dimension::Action => record.action_class,
            Dimension::Resource => record.resource_class,
        },
        // Only its type is known to the bundle, if that.
        None => match t.types.get(s.entity_type(t, entity) as usize) {
            Some(_) if faults::UNKNOWN_TYPE_CLASS.is_on() => 0,
            Some(ty) => match dimension {
                Dimension::Principal => ty.principal_class,
                Dimension::Action => ty.action_class,
                Dimension::Resource => ty.resource_class,
            },
            None => 0,
        },
    };
    let stored = classes.get(class as usize).copied().unwrap_or(Span::EMPTY);
    // Ancestors that the bundle has not already counted in come only with the request.
    let arrived =
        s.guest_of(t, entity).filter(|guest| guest.present).map(|guest| guest.ancestors).or_else(
            || {
                let (_, guest) = s.arrivals.iter().find(|(at, _)| *at == entity)?;
                s.guest_of(t, *guest).map(|guest| guest.ancestors)
            },
        );
    let Some(ancestors) = arrived.filter(|_| !faults::CLASS_WITHOUT_ANCESTORS.is_on()) else {
        return Keys::Stored(stored);
    };
    let entity_type = s.entity_type(t, entity);
    let start = s.keys.len();
    s.keys.extend_from_slice(stored.of(&t.class_keys));
    let (ancestors, computed) = (ancestors.of(&s.ancestors), &mut s.keys);
    for ancestor in ancestors {
        let from = in_keys.partition_point(|in_key| in_key.entity < *ancestor);
        let hits = in_keys.get(from..).unwrap_or_default().iter();
        for InKey { key, .. } in hits.take_while(|in_key| in_key.entity == *ancestor) {
            let applies = keys.get(*key as usize).is_some_and(|record| {
                record.kind != KEY_IS_IN || record.entity_type == entity_type
            });
            let new = !computed.get(start..).unwrap_or_default().contains(key);
            if applies && new {
                computed.push(*key);
            }
        }
    }
    let len = u32::try_from(computed.len() - start).unwrap_or(NONE);
    Keys::Computed(Span { start: u32::try_from(start).unwrap_or(NONE), len })
}

fn kind(keys: &[KeyRec], key: u32) -> u32 {
    keys.get(key as usize).map_or(0, |record| record.kind)
}
