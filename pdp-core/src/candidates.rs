//! *Scope index: here is a principal, an action and a resource: which policies may speak?*
//!
//! Every policy has one key in each dimension (any, is, ==, in, is-in, or in one of a set), and an entity belongs to a
//! class: the list of keys it hits, computed when the bundle was built. A pair of action key and principal key that
//! occurs in some policy is a row; a row and a resource key that occur together are a cell; a cell lists its policies.
//! A request looks at the rows of its action keys × principal keys and in each row at the cells of its resource keys:
//! a handful of hash probes, however many policies there are. An action key knows which kinds of principal keys its
//! rows have, and a row which kinds of resource keys its cells have, so most probes that must fail are not made.
//! Within a cell, policies that open with equality tests of the same paths form a group, found by what those paths
//! hold (`groups`). Which rows two classes hit is worked out when the bundle is built, where there are not too many pairs.
//!
//! Keys are exact, so every policy named here matches the request's scope and needs no second look; a policy that is
//! not named has a scope that is false, and a scope cannot error: leaving it out changes neither decision, reasons
//! nor errors (a sound policy slice). What could drop a policy is a class that misses a key: `class` and its builder
//! in `index` are the places to look at twice, and the tests run every case with the index replaced by all policies.
//!
//! Not useful for entities whose ancestors change: inline entities get their keys computed here, per request.

use crate::ids::{NONE, PolicyIx};
use crate::lookup;
use crate::outcome::ErrorKind;
use crate::program::{
    CellRec, InKey, KEY_ANY, KEY_EQ, KEY_IS, KEY_IS_IN, RowRec, Span, Tables, class_key,
    key_number, kind_bit,
};
use crate::scratch::Scratch;
use crate::{faults, groups, scope};

/// A dimension of the scope.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Dimension {
    Principal,
    Action,
    Resource,
}

/// Fills `scratch.candidates` with the policies whose scope the triple matches, each once. An error: no steps left.
pub(crate) fn collect(
    t: &Tables,
    s: &mut Scratch,
    [principal, action, resource]: [u32; 3],
    fuel: &mut u64,
) -> Result<(), ErrorKind> {
    s.candidates.clear();
    s.keys.clear();
    let (principal, resource) = match faults::SWAP_PRINCIPAL_RESOURCE.is_on() {
        true => (resource, principal),
        false => (principal, resource),
    };
    let principal_class = class(t, s, Dimension::Principal, principal);
    let action_class = class(t, s, Dimension::Action, action);
    let resource_class = class(t, s, Dimension::Resource, resource);
    // Taken out, so that evaluating what groups read may use the scratch.
    let computed = std::mem::take(&mut s.keys);
    let resource_keys = resource_class.keys(t, &computed);
    let mut collected = Ok(());
    match known_rows(t, action_class, principal_class) {
        Some(rows) => {
            for row in rows {
                let Some(record) = t.rows.get(*row as usize) else { continue };
                collected = collected.and_then(|()| cells(t, s, *row, record, resource_keys, fuel));
            }
        }
        None => {
            let principal_keys = principal_class.keys(t, &computed);
            let action_keys = action_class.keys(t, &computed);
            collected = rows(t, s, principal_keys, action_keys, resource_keys, fuel);
        }
    }
    s.keys = computed;
    collected
}

/// The rows that two classes hit, if both are the bundle's and it has worked them out beforehand.
#[inline]
fn known_rows(t: &Tables, action: Class, principal: Class) -> Option<&[u32]> {
    let (Class::Stored(action, _), Class::Stored(principal, _)) = (action, principal) else {
        return None;
    };
    if t.class_pairs.is_empty() || faults::DROP_ANY_PRINCIPAL.is_on() {
        return None;
    }
    Some(lookup::class_pair(t, action, principal).unwrap_or(Span::EMPTY).of(&t.class_rows))
}

/// Fills `scratch.candidates` without the index: each policy's scope is evaluated. For proof and comparison.
pub(crate) fn collect_all(t: &Tables, s: &mut Scratch, [principal, action, resource]: [u32; 3]) {
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

fn rows(
    t: &Tables,
    s: &mut Scratch,
    principal_keys: &[u32],
    action_keys: &[u32],
    resource_keys: &[u32],
    fuel: &mut u64,
) -> Result<(), ErrorKind> {
    for action_key in action_keys {
        let action_key = key_number(*action_key);
        let kinds = t.action_kinds.get(action_key as usize).copied().unwrap_or(0);
        for principal_key in principal_keys {
            let bit = kind_bit(*principal_key);
            if kinds & bit == 0 || (faults::DROP_ANY_PRINCIPAL.is_on() && bit == 1 << KEY_ANY) {
                continue;
            }
            let row = lookup::row(t, action_key, key_number(*principal_key));
            if let Some((row, record)) = row.and_then(|row| Some((row, t.rows.get(row as usize)?)))
            {
                cells(t, s, row, record, resource_keys, fuel)?;
            }
        }
    }
    Ok(())
}

#[inline]
fn cells(
    t: &Tables,
    s: &mut Scratch,
    row: u32,
    record: &RowRec,
    resource_keys: &[u32],
    fuel: &mut u64,
) -> Result<(), ErrorKind> {
    let cells = record.cells.of(&t.cells);
    // A row of few cells is read through; a long one is asked key by key.
    if cells.len() <= resource_keys.len().min(8) {
        for cell in cells {
            if resource_keys.iter().any(|key| key_number(*key) == cell.resource_key) {
                push(t, s, cell, fuel)?;
            }
        }
        return Ok(());
    }
    for resource_key in resource_keys {
        if record.kinds & kind_bit(*resource_key) == 0 {
            continue;
        }
        if let Some(cell) = lookup::cell(t, row, key_number(*resource_key)) {
            push(t, s, cell, fuel)?;
        }
    }
    Ok(())
}

#[inline]
fn push(t: &Tables, s: &mut Scratch, cell: &CellRec, fuel: &mut u64) -> Result<(), ErrorKind> {
    let mut run = cell.policies.of(&t.postings);
    if faults::DROP_LAST_OF_CELL.is_on() {
        run = run.split_last().map_or(run, |(_, rest)| rest);
    }
    s.candidates.extend(run.iter().map(|ix| PolicyIx(*ix)));
    for group in cell.groups.of(&t.groups) {
        groups::collect(t, s, group, fuel)?;
    }
    Ok(())
}
/// The keys of an entity: in the bundle, or computed for this request.
#[derive(Clone, Copy, Debug)]
enum Class {
    Stored(u32, Span),
    Computed(Span),
}

impl Class {
    #[inline]
    fn keys<'a>(self, t: &'a Tables, computed: &'a [u32]) -> &'a [u32] {
        match self {
            Class::Stored(_, span) => span.of(&t.class_keys),
            Class::Computed(span) => span.of(computed),
        }
    }
}

/// Kinds of keys that an entity hits whatever stands above it.
const OF_ITSELF: u32 = 1 << KEY_ANY | 1 << KEY_IS | 1 << KEY_EQ;

/// The class of an entity in a dimension.
#[inline]
fn class(t: &Tables, s: &mut Scratch, dimension: Dimension, entity: u32) -> Class {
    let classes = match dimension {
        Dimension::Principal => &t.principal_classes,
        Dimension::Action => &t.action_classes,
        Dimension::Resource => &t.resource_classes,
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
    if s.guests.is_empty() && s.overlay.is_none() {
        // Nothing came with the request, and nothing changed since the bundle was built.
        return Class::Stored(class, stored);
    }
    with_arrived(t, s, dimension, entity, Class::Stored(class, stored))
}

/// Ancestors that the bundle has not already counted in come with the request or stand in the overlay.
#[inline(never)]
fn with_arrived(
    t: &Tables,
    s: &mut Scratch,
    dimension: Dimension,
    entity: u32,
    stored: Class,
) -> Class {
    let (in_keys, keys) = match dimension {
        Dimension::Principal => (&t.principal_in_keys, &t.principal_keys),
        Dimension::Action => (&t.action_in_keys, &t.action_keys),
        Dimension::Resource => (&t.resource_in_keys, &t.resource_keys),
    };
    let arrived =
        s.guest_of(t, entity).filter(|guest| guest.present).map(|guest| guest.ancestors).or_else(
            || {
                let (_, guest) = s.arrivals.iter().find(|(at, _)| *at == entity)?;
                s.guest_of(t, *guest).map(|guest| guest.ancestors)
            },
        );
    let arrived = arrived.filter(|_| !faults::CLASS_WITHOUT_ANCESTORS.is_on());
    let overlaid = s.overlay.as_ref().and_then(|overlay| overlay.stored(entity));
    if arrived.is_none() && overlaid.is_none() {
        return stored;
    }
    let entity_type = s.entity_type(t, entity);
    let start = s.keys.len();
    let own = stored.keys(t, &[]).iter();
    match overlaid.is_some() && !faults::OVERLAY_KEEPS_KEYS.is_on() {
        // What stood above the entity when the bundle was built is no longer known to; what it hits by itself stays.
        true => s.keys.extend(own.filter(|key| kind_bit(**key) & OF_ITSELF != 0)),
        false => s.keys.extend(own),
    }
    let arrived = arrived.map_or(Default::default(), |span: Span| span.of(&s.ancestors));
    let (itself, above) = match overlaid {
        Some(overlaid) => (Some(&entity), overlaid.ancestors.as_slice()),
        None => (None, [].as_slice()),
    };
    let computed = &mut s.keys;
    for ancestor in itself.into_iter().chain(above).chain(arrived) {
        let from = in_keys.partition_point(|in_key| in_key.entity < *ancestor);
        let hits = in_keys.get(from..).unwrap_or_default().iter();
        for InKey { key, .. } in hits.take_while(|in_key| in_key.entity == *ancestor) {
            let Some(record) = keys.get(*key as usize) else { continue };
            let applies = record.kind != KEY_IS_IN || record.entity_type == entity_type;
            let key = class_key(record.kind, *key);
            if applies && !computed.get(start..).unwrap_or_default().contains(&key) {
                computed.push(key);
            }
        }
    }
    let len = u32::try_from(computed.len() - start).unwrap_or(NONE);
    Class::Computed(Span { start: u32::try_from(start).unwrap_or(NONE), len })
}
