//! Builds the scope index: keys of policies, classes of entities, rows, cells, postings.
//!
//! `candidates` explains what they are for and what must be true of them.

use std::collections::{BTreeMap, HashMap};

use super::build::{Builder, slots};
use crate::candidates::Dimension;
use crate::faults;
use crate::hash;
use crate::ids::{TooMany, next_id};
use crate::program::{
    CellRec, InKey, KEY_ANY, KEY_EQ, KEY_IN, KEY_IN_SET, KEY_IS, KEY_IS_IN, KeyRec, RowRec, Span,
};
use crate::source::tree::Constraint;

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

/// Adds classes and the tables that lead from keys to policies.
pub(super) fn build(builder: &mut Builder, keys: Keys) -> Result<(), TooMany> {
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
    postings(builder)
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
    let mut set = ClassSet::default();
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
        let ancestors = record.ancestors.of(&builder.tables.ancestors);
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
        if let Some(record) = builder.tables.entities.get_mut(entity as usize) {
            match dimension {
                Dimension::Principal => record.principal_class = class,
                Dimension::Action => record.action_class = class,
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
struct ClassSet {
    spans: Vec<Span>,
    known: HashMap<Vec<u32>, u32>,
}

impl ClassSet {
    fn class(&mut self, builder: &mut Builder, mut keys: Vec<u32>) -> Result<u32, TooMany> {
        keys.sort_unstable();
        keys.dedup();
        if let Some(class) = self.known.get(&keys) {
            return Ok(*class);
        }
        let table = &mut builder.tables.class_keys;
        let span = Span { start: next_id(table.len())?, len: next_id(keys.len())? };
        table.extend_from_slice(&keys);
        let class = next_id(self.spans.len())?;
        self.spans.push(span);
        self.known.insert(keys, class);
        Ok(class)
    }
}

/// Rows, cells and postings: policies grouped by their three keys.
fn postings(builder: &mut Builder) -> Result<(), TooMany> {
    let t = &mut builder.tables;
    let mut order: Vec<u32> = (0u32..).take(t.policies.len()).collect();
    let keys = |ix: &u32| {
        let policy = t.policies.get(*ix as usize);
        policy.map_or((0, 0, 0), |p| (p.action_key, p.principal_key, p.resource_key))
    };
    // Stable: the policies of a cell keep their order.
    order.sort_by_key(keys);
    let keyed: Vec<((u32, u32, u32), u32)> = order.iter().map(|ix| (keys(ix), *ix)).collect();
    for row in keyed.chunk_by(|(a, _), (b, _)| (a.0, a.1) == (b.0, b.1)) {
        let Some(((action_key, principal_key, _), _)) = row.first().copied() else { continue };
        let row_ix = next_id(t.rows.len())?;
        let first_cell = next_id(t.cells.len())?;
        for cell in row.chunk_by(|(a, _), (b, _)| a.2 == b.2) {
            let Some(((_, _, resource_key), _)) = cell.first().copied() else { continue };
            let policies = Span { start: next_id(t.postings.len())?, len: next_id(cell.len())? };
            t.postings.extend(cell.iter().map(|(_, ix)| *ix));
            t.cells.push(CellRec { row: row_ix, resource_key, policies });
        }
        let cells = Span { start: first_cell, len: next_id(t.cells.len())? - first_cell };
        t.rows.push(RowRec { action_key, principal_key, cells });
    }
    t.row_slots = slots(t.rows.iter().map(|row| hash::pair(row.action_key, row.principal_key)));
    t.cell_slots = slots(t.cells.iter().map(|cell| hash::pair(cell.row, cell.resource_key)));
    Ok(())
}
