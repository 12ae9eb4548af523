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
//! Where a principal hits more rows than there are cells with one of the resource's keys, as members of hundreds of
//! groups do, the cells of those keys, *columns*, are gone through instead, and asked for their row.
//!
//! Keys are exact, so every policy named here matches the request's scope and needs no second look; a policy that is
//! not named has a scope that is false, and a scope cannot error: leaving it out changes neither decision, reasons
//! nor errors (a sound policy slice). What could drop a policy is a class that misses a key: `class` and its builder
//! in `index` are the places to look at twice, and the tests run every case with the index replaced by all policies.
//!
//! Not useful for entities whose ancestors change: inline entities get their keys computed here, per request.

use crate::ids::NONE;
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

/// What the index knows of principal and action, whatever the resource.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Sides<'t> {
    principal: Class,
    action: Class,
    /// The rows they hit together, ascending, if they were worked out beforehand.
    rows: Option<&'t [u32]>,
}

/// Looks principal and action up. What is found holds until the keys in the scratch are forgotten.
#[inline]
pub(crate) fn sides<'t>(t: &'t Tables, s: &mut Scratch, asked: [u32; 3]) -> Sides<'t> {
    s.keys.clear();
    let [principal, action, _] = swapped(asked);
    let principal = class(t, s, Dimension::Principal, principal);
    let action = class(t, s, Dimension::Action, action);
    Sides { principal, action, rows: known_rows(t, action, principal) }
}

/// Fills `scratch.candidates` with the policies whose scope the triple matches, each once. An error: no steps left.
#[inline]
pub(crate) fn find(
    t: &Tables,
    s: &mut Scratch,
    sides: &Sides<'_>,
    asked: [u32; 3],
    all_policies: bool,
    fuel: &mut u64,
) -> Result<(), ErrorKind> {
    match all_policies {
        false => collect(t, s, sides, asked, fuel),
        true => {
            collect_all(t, s, asked);
            Ok(())
        }
    }
}

/// Asks the index.
fn collect(
    t: &Tables,
    s: &mut Scratch,
    sides: &Sides<'_>,
    asked: [u32; 3],
    fuel: &mut u64,
) -> Result<(), ErrorKind> {
    s.candidates.clear();
    let [_, _, resource] = swapped(asked);
    let own = s.keys.len();
    let resource = class(t, s, Dimension::Resource, resource);
    // Taken out, so that evaluating what groups read may use the scratch.
    let mut computed = std::mem::take(&mut s.keys);
    let resource_keys = resource.keys(t, &computed);
    let collected = match sides.rows {
        Some(rows) if columns_are_shorter(t, resource_keys, rows.len()) => {
            columns(t, s, resource_keys, rows, fuel)
        }
        Some(rows) => rows
            .iter()
            .filter_map(|row| t.rows.get(*row as usize))
            .try_for_each(|row| cells(t, s, row, resource_keys, fuel)),
        None => {
            let principal_keys = sides.principal.keys(t, &computed);
            let action_keys = sides.action.keys(t, &computed);
            rows(t, s, principal_keys, action_keys, resource_keys, fuel)
        }
    };
    // Those of principal and action stay for the next resource.
    computed.truncate(own);
    s.keys = computed;
    collected
}

#[inline]
fn swapped([principal, action, resource]: [u32; 3]) -> [u32; 3] {
    match faults::SWAP_PRINCIPAL_RESOURCE.is_on() {
        true => [resource, action, principal],
        false => [principal, action, resource],
    }
}

/// The rows that two classes hit, ascending, if both are the bundle's and it has worked them out beforehand.
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

/// Whether fewer cells have one of the resource's keys than there are rows to look at.
#[inline]
fn columns_are_shorter(t: &Tables, resource_keys: &[u32], rows: usize) -> bool {
    // Few rows are not worth the counting.
    if rows <= ROWS_FEW || t.columns.is_empty() {
        return false;
    }
    let mut cells = 0;
    for key in resource_keys {
        cells += t.columns.get(key_number(*key) as usize).map_or(0, |column| column.len as usize);
        if cells >= rows {
            return false;
        }
    }
    true
}

/// Rows up to which they are looked at without asking whether columns are shorter.
const ROWS_FEW: usize = 8;

/// The cells that have one of the resource's keys, if their row is one of these.
#[inline(never)]
fn columns(
    t: &Tables,
    s: &mut Scratch,
    resource_keys: &[u32],
    rows: &[u32],
    fuel: &mut u64,
) -> Result<(), ErrorKind> {
    for key in resource_keys {
        let column = t.columns.get(key_number(*key) as usize).copied().unwrap_or(Span::EMPTY);
        let mut cells = column.of(&t.column_cells);
        if faults::COLUMN_WITHOUT_LAST.is_on() {
            cells = cells.split_last().map_or(cells, |(_, rest)| rest);
        }
        for cell in cells {
            let hit = t.cells.get(*cell as usize);
            if let Some(cell) = hit.filter(|cell| rows.binary_search(&cell.row).is_ok()) {
                push(t, s, cell, fuel)?;
            }
        }
    }
    Ok(())
}

/// Fills `scratch.candidates` without the index: each policy's scope is evaluated. For proof and comparison.
fn collect_all(t: &Tables, s: &mut Scratch, [principal, action, resource]: [u32; 3]) {
    let mut candidates = std::mem::take(&mut s.candidates);
    candidates.clear();
    for policy in &t.policies {
        let speaks =
            scope::holds(t, s, t.principal_keys.get(policy.principal_key as usize), principal)
                && scope::holds(t, s, t.action_keys.get(policy.action_key as usize), action)
                && scope::holds(t, s, t.resource_keys.get(policy.resource_key as usize), resource);
        if speaks {
            candidates.push(Span { start: policy.posting, len: 1 });
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
            let bits = kinds & principal_key;
            if bits == 0 || (faults::DROP_ANY_PRINCIPAL.is_on() && bits == kind_bit(KEY_ANY)) {
                continue;
            }
            let row = lookup::row(t, action_key, key_number(*principal_key));
            if let Some(row) = row.and_then(|row| t.rows.get(row as usize)) {
                cells(t, s, row, resource_keys, fuel)?;
            }
        }
    }
    Ok(())
}

#[inline]
fn cells(
    t: &Tables,
    s: &mut Scratch,
    row: &RowRec,
    resource_keys: &[u32],
    fuel: &mut u64,
) -> Result<(), ErrorKind> {
    for resource_key in resource_keys {
        if row.kinds & resource_key == 0 {
            continue;
        }
        let key = key_number(*resource_key);
        let cell = match row.slots.len {
            // A row of few cells is read through.
            0 => (row.cells.start..)
                .zip(row.cells.of(&t.cell_keys))
                .find(|(_, cell_key)| **cell_key == key)
                .map(|(cell, _)| cell),
            _ => lookup::cell(row.slots.of(&t.cell_slots), key),
        };
        if let Some(cell) = cell {
            found(t, s, cell, fuel)?;
        }
    }
    Ok(())
}

#[inline]
fn found(t: &Tables, s: &mut Scratch, cell: u32, fuel: &mut u64) -> Result<(), ErrorKind> {
    match t.cells.get(cell as usize) {
        Some(cell) => push(t, s, cell, fuel),
        None => Ok(()),
    }
}

#[inline]
fn push(t: &Tables, s: &mut Scratch, cell: &CellRec, fuel: &mut u64) -> Result<(), ErrorKind> {
    let mut run = cell.policies;
    if faults::DROP_LAST_OF_CELL.is_on() {
        run.len = run.len.saturating_sub(1);
    }
    if run.len > 0 {
        s.candidates.push(run);
    }
    if cell.groups.len == 0 {
        return Ok(());
    }
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
const OF_ITSELF: u32 = kind_bit(KEY_ANY) | kind_bit(KEY_IS) | kind_bit(KEY_EQ);

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
            Dimension::Action => {
                t.entity_rest.get(entity as usize).map_or(0, |rest| rest.action_class)
            }
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
        true => s.keys.extend(own.filter(|key| *key & OF_ITSELF != 0)),
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
