//! Builds the scope index: keys of policies, classes of entities, rows, cells, postings.
//!
//! `candidates` explains what they are for and what must be true of them.

use std::collections::{BTreeMap, HashMap};

use super::build::{Builder, slots};
use super::groups;
use super::guards::Guard;
use crate::candidates::Dimension;
use crate::faults;
use crate::hash;
use crate::ids::{NONE, TooMany, next_id};
use crate::program::{
    CellRec, ClassPairRec, InKey, KEY_ANY, KEY_BITS, KEY_EQ, KEY_IN, KEY_IN_SET, KEY_IS, KEY_IS_IN,
    KeyRec, KeySlot, RowRec, Span, Tables, class_key, key_number, kind_bit,
};
use crate::source::tree::Constraint;

/// Principal keys of all classes, times action classes, up to which their rows are worked out: about a second of it.
const PAIR_KEYS_MAX: usize = 1 << 24;

/// The keys of all three dimensions.
#[derive(Debug, Default)]
pub(super) struct Keys {
    pub(super) principal: KeySet,
    pub(super) action: KeySet,
    pub(super) resource: KeySet,
}

/// The distinct keys of one dimension.
#[derive(Debug, Default)]
pub(super) struct KeySet {
    records: Vec<KeyRec>,
    known: HashMap<KeyRec, u32>,
    sets: HashMap<Vec<u32>, Span>,
}

impl KeySet {
    /// The key of a constraint.
    pub(super) fn key(
        &mut self,
        builder: &mut Builder,
        constraint: &Constraint,
    ) -> Result<u32, TooMany> {
        let plain = |kind, entity_type, entity| KeyRec { kind, entity_type, entity, len: 0 };
        let record = match constraint {
            Constraint::Any => plain(KEY_ANY, 0, 0),
            Constraint::Is(ty) => plain(KEY_IS, builder.entity_type(ty)?, 0),
            Constraint::Eq(name) => plain(KEY_EQ, 0, builder.entity(name)?),
            Constraint::In(name) => plain(KEY_IN, 0, builder.entity(name)?),
            Constraint::IsIn(ty, name) => {
                plain(KEY_IS_IN, builder.entity_type(ty)?, builder.entity(name)?)
            }
            Constraint::InSet(names) => {
                let mut members =
                    names.iter().map(|name| builder.entity(name)).collect::<Result<Vec<_>, _>>()?;
                members.sort_unstable();
                members.dedup();
                let span = match self.sets.get(&members) {
                    Some(span) => *span,
                    None => {
                        let table = &mut builder.tables.key_entities;
                        let span =
                            Span { start: next_id(table.len())?, len: next_id(members.len())? };
                        table.extend_from_slice(&members);
                        self.sets.insert(members, span);
                        span
                    }
                };
                KeyRec { kind: KEY_IN_SET, entity_type: 0, entity: span.start, len: span.len }
            }
        };
        if let Some(key) = self.known.get(&record) {
            return Ok(*key);
        }
        let key = next_id(self.records.len())?;
        self.records.push(record);
        self.known.insert(record, key);
        Ok(key)
    }
}

/// What is written of each policy but its keys, in the order of the bundle.
#[derive(Debug)]
pub(super) struct Written {
    /// Its condition, a run of `ops`.
    pub(super) conditions: Vec<Span>,
    /// The equality tests it opens with.
    pub(super) guards: Vec<Vec<Guard>>,
}

/// Adds classes and the tables that lead from keys to policies.
pub(super) fn build(
    builder: &mut Builder,
    keys: Keys,
    written: &Written,
    with_columns: bool,
) -> Result<(), TooMany> {
    let Keys { principal, action, resource } = keys;
    for (dimension, set) in [
        (Dimension::Principal, principal),
        (Dimension::Action, action),
        (Dimension::Resource, resource),
    ] {
        classes(builder, dimension, &set.records)?;
        let t = &mut builder.tables;
        match dimension {
            Dimension::Principal => t.principal_keys = set.records,
            Dimension::Action => t.action_keys = set.records,
            Dimension::Resource => t.resource_keys = set.records,
        }
    }
    postings(builder, written)?;
    if with_columns {
        columns(&mut builder.tables)?;
    }
    Ok(())
}

/// The classes of one dimension: for every entity and type that the bundle names, the keys it hits.
fn classes(builder: &mut Builder, dimension: Dimension, records: &[KeyRec]) -> Result<(), TooMany> {
    let mut any = Vec::new();
    let mut by_type: HashMap<u32, Vec<u32>> = HashMap::new();
    let mut by_entity: HashMap<u32, Vec<u32>> = HashMap::new();
    // Keys that descendants of an entity hit, and the entity itself.
    let mut within: BTreeMap<u32, Vec<u32>> = BTreeMap::new();
    for (key, record) in (0u32..).zip(records) {
        match record.kind {
            KEY_ANY => any.push(key),
            KEY_IS => by_type.entry(record.entity_type).or_default().push(key),
            KEY_EQ => by_entity.entry(record.entity).or_default().push(key),
            KEY_IN | KEY_IS_IN => within.entry(record.entity).or_default().push(key),
            _ => {
                let members = Span { start: record.entity, len: record.len }
                    .of(&builder.tables.key_entities)
                    .to_vec();
                for member in members {
                    within.entry(member).or_default().push(key);
                }
            }
        }
    }
    let mut set = ClassSet { keys: records, ..ClassSet::default() };
    set.class(builder, any.clone())?;
    let none = Vec::new();
    for ty in 0..builder.tables.types.len() {
        let ty = next_id(ty)?;
        let mut hit = any.clone();
        hit.extend(by_type.get(&ty).unwrap_or(&none));
        let class = set.class(builder, hit)?;
        if let Some(record) = builder.tables.types.get_mut(ty as usize) {
            match dimension {
                Dimension::Principal => record.principal_class = class,
                Dimension::Action => record.action_class = class,
                Dimension::Resource => record.resource_class = class,
            }
        }
    }
    for entity in 0..builder.tables.entities.len() {
        let entity = next_id(entity)?;
        let Some(record) = builder.tables.entities.get(entity as usize).copied() else { continue };
        let mut hit = any.clone();
        hit.extend(by_type.get(&record.entity_type).unwrap_or(&none));
        hit.extend(by_entity.get(&entity).unwrap_or(&none));
        let rest = builder.tables.entity_rest.get(entity as usize);
        let ancestors = rest.map_or(Span::EMPTY, |rest| rest.ancestors);
        let ancestors = ancestors.of(&builder.tables.ancestors);
        let ancestors =
            match faults::ACTION_GROUPS_IGNORED.is_on() && dimension == Dimension::Action {
                true => &[],
                false => ancestors,
            };
        for above in std::iter::once(&entity).chain(ancestors) {
            for key in within.get(above).unwrap_or(&none) {
                let typed =
                    records.get(*key as usize).is_some_and(|record| record.kind == KEY_IS_IN);
                let fits = records
                    .get(*key as usize)
                    .is_some_and(|key| key.entity_type == record.entity_type);
                if !typed || fits {
                    hit.push(*key);
                }
            }
        }
        let class = set.class(builder, hit)?;
        let t = &mut builder.tables;
        let (record, rest) =
            (t.entities.get_mut(entity as usize), t.entity_rest.get_mut(entity as usize));
        if let (Some(record), Some(rest)) = (record, rest) {
            match dimension {
                Dimension::Principal => record.principal_class = class,
                Dimension::Action => rest.action_class = class,
                Dimension::Resource => record.resource_class = class,
            }
        }
    }
    let in_keys = within
        .into_iter()
        .flat_map(|(entity, keys)| keys.into_iter().map(move |key| InKey { entity, key }))
        .collect();
    let t = &mut builder.tables;
    match dimension {
        Dimension::Principal => (t.principal_classes, t.principal_in_keys) = (set.spans, in_keys),
        Dimension::Action => (t.action_classes, t.action_in_keys) = (set.spans, in_keys),
        Dimension::Resource => (t.resource_classes, t.resource_in_keys) = (set.spans, in_keys),
    }
    Ok(())
}

/// Distinct classes of one dimension; the first is that of an entity nothing is known of.
#[derive(Default)]
struct ClassSet<'k> {
    keys: &'k [KeyRec],
    spans: Vec<Span>,
    known: HashMap<Vec<u32>, u32>,
}

impl ClassSet<'_> {
    fn class(&mut self, builder: &mut Builder, mut keys: Vec<u32>) -> Result<u32, TooMany> {
        keys.sort_unstable();
        keys.dedup();
        if let Some(class) = self.known.get(&keys) {
            return Ok(*class);
        }
        let table = &mut builder.tables.class_keys;
        let span = Span { start: next_id(table.len())?, len: next_id(keys.len())? };
        for key in &keys {
            let kind = self.keys.get(*key as usize).map_or(0, |record| record.kind);
            if *key >> KEY_BITS != 0 {
                return Err(TooMany);
            }
            table.push(class_key(kind, *key));
        }
        let class = next_id(self.spans.len())?;
        self.spans.push(span);
        self.known.insert(keys, class);
        Ok(class)
    }
}

/// Rows, cells and postings: policies grouped by their three keys.
fn postings(builder: &mut Builder, written: &Written) -> Result<(), TooMany> {
    let t = &mut builder.tables;
    let mut keyed: Vec<([u32; 3], u32)> = (0u32..)
        .zip(&t.policies)
        .map(|(ix, p)| ([p.action_key, p.principal_key, p.resource_key], ix))
        .collect();
    // The policies of a cell stay in the order of the bundle.
    keyed.sort_unstable();
    t.action_kinds = vec![0; t.action_keys.len()];
    for row in keyed.chunk_by(|([a, p, _], _), ([b, q, _], _)| (a, p) == (b, q)) {
        let Some(([action_key, principal_key, _], _)) = row.first().copied() else { continue };
        let row_ix = next_id(t.rows.len())?;
        let first_cell = next_id(t.cells.len())?;
        let mut kinds = 0;
        for cell in row.chunk_by(|([_, _, a], _), ([_, _, b], _)| a == b) {
            let Some(([_, _, resource_key], _)) = cell.first().copied() else { continue };
            kinds |= mask(&t.resource_keys, resource_key);
            let policies: Vec<u32> = cell.iter().map(|(_, ix)| *ix).collect();
            let (policies, groups) = groups::build(t, &policies, written)?;
            t.cells.push(CellRec { row: row_ix, policies, groups });
            t.cell_keys.push(resource_key);
        }
        if faults::KIND_NOT_MARKED.is_on() {
            kinds &= !kind_bit(KEY_EQ);
        }
        let cells = Span { start: first_cell, len: next_id(t.cells.len())? - first_cell };
        let slots = cell_slots(t, cells)?;
        t.rows.push(RowRec { action_key, principal_key, cells, kinds, slots });
        let kind = mask(&t.principal_keys, principal_key);
        if let Some(kinds) = t.action_kinds.get_mut(action_key as usize) {
            *kinds |= kind;
        }
    }
    class_pairs(t)?;
    t.row_slots = slots(t.rows.iter().map(|row| hash::pair(row.action_key, row.principal_key)));
    Ok(())
}

/// Cells of a row up to which it has no hash table: looking at their keys is as cheap as a hash.
const CELLS_READ_THROUGH: usize = 4;

/// The hash table of a row, from resource key to cell; at most two in three slots are taken.
fn cell_slots(t: &mut Tables, cells: Span) -> Result<Span, TooMany> {
    let start = next_id(t.cell_slots.len())?;
    let count = cells.len as usize;
    if count <= CELLS_READ_THROUGH {
        return Ok(Span { start, len: 0 });
    }
    let size = (count + count / 2).next_power_of_two();
    let mut slots = vec![KeySlot { key: 0, cell: NONE }; size];
    for (cell, key) in (cells.start..).zip(cells.of(&t.cell_keys)) {
        let mut at = hash::key(*key) as usize & (size - 1);
        while slots.get(at).is_some_and(|slot| slot.cell != NONE) {
            at = (at + 1) & (size - 1);
        }
        if let Some(slot) = slots.get_mut(at) {
            *slot = KeySlot { key: *key, cell };
        }
    }
    t.cell_slots.extend(slots);
    Ok(Span { start, len: next_id(size)? })
}

/// For each resource key the cells that have it.
fn columns(t: &mut Tables) -> Result<(), TooMany> {
    let mut cells: Vec<(u32, u32)> = t.cell_keys.iter().copied().zip(0..).collect();
    cells.sort_unstable();
    t.columns = vec![Span::EMPTY; t.resource_keys.len()];
    for column in cells.chunk_by(|(a, _), (b, _)| a == b) {
        let Some((key, _)) = column.first() else { continue };
        let span = Span { start: next_id(t.column_cells.len())?, len: next_id(column.len())? };
        t.column_cells.extend(column.iter().map(|(_, cell)| *cell));
        if let Some(slot) = t.columns.get_mut(*key as usize) {
            *slot = span;
        }
    }
    Ok(())
}

/// The bit of a key's kind in a mask of kinds.
fn mask(keys: &[KeyRec], key: u32) -> u32 {
    keys.get(key as usize).map_or(0, |record| kind_bit(record.kind))
}

/// Works out the rows of all pairs of classes, unless that would be too much.
fn class_pairs(t: &mut Tables) -> Result<(), TooMany> {
    let keys: usize = t.principal_classes.iter().map(|class| class.len as usize).sum();
    if keys.saturating_mul(t.action_classes.len()) > PAIR_KEYS_MAX {
        return Ok(());
    }
    let mut rows: HashMap<(u32, u32), u32> = HashMap::new();
    for (ix, row) in (0u32..).zip(&t.rows) {
        rows.insert((row.action_key, row.principal_key), ix);
    }
    for (action_class, actions) in (0u32..).zip(&t.action_classes) {
        let actions = actions.of(&t.class_keys);
        for (principal_class, principals) in (0u32..).zip(&t.principal_classes) {
            let start = next_id(t.class_rows.len())?;
            for action in actions {
                for principal in principals.of(&t.class_keys) {
                    let keys = (key_number(*action), key_number(*principal));
                    t.class_rows.extend(rows.get(&keys));
                }
            }
            if faults::PAIR_WITHOUT_LAST_ROW.is_on() && t.class_rows.len() > start as usize + 1 {
                t.class_rows.pop();
            }
            let len = next_id(t.class_rows.len())? - start;
            if len > 0 {
                let rows = Span { start, len };
                t.class_pairs.push(ClassPairRec { action_class, principal_class, rows });
            }
        }
    }
    t.class_pair_slots =
        slots(t.class_pairs.iter().map(|pair| hash::pair(pair.action_class, pair.principal_class)));
    Ok(())
}
