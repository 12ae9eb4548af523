//! The index's tables: keys, classes, rows, cells, groups.

use super::{Budget, Checked, below, demand, inside, slots};
use crate::ids::NONE;
use crate::program::{
    GROUP_READ_HAS, KEY_ANY, KEY_EQ, KEY_IN, KEY_IN_SET, KEY_IS, KEY_IS_IN, KeyRec, POLICY_FORBID,
    PostingRec, RowRec, Span, Tables, key_number,
};

/// Checks all of them.
pub(super) fn scopes(t: &Tables) -> Checked {
    let mut classes_left = Budget::of(&t.class_keys);
    for (keys, classes, in_keys, name) in [
        (&t.principal_keys, &t.principal_classes, &t.principal_in_keys, "principal_keys"),
        (&t.action_keys, &t.action_classes, &t.action_in_keys, "action_keys"),
        (&t.resource_keys, &t.resource_classes, &t.resource_in_keys, "resource_keys"),
    ] {
        demand(
            keys.iter().all(|key| key_exists(t, key)),
            name,
            "a key asks for what does not exist",
        )?;
        demand(!classes.is_empty(), name, "there is no class for unknown entities")?;
        for class in classes {
            demand(classes_left.take(*class), name, "classes overlap")?;
            let listed = inside(*class, &t.class_keys)
                && class.of(&t.class_keys).iter().all(|key| below(key_number(*key), keys));
            demand(listed, name, "a class names a key that does not exist")?;
        }
        let listed =
            in_keys.iter().all(|hit| below(hit.entity, &t.entities) && below(hit.key, keys));
        demand(listed && in_keys.is_sorted(), name, "the keys of descendants are out of order")?;
    }
    let members = t.key_entities.iter().all(|entity| below(*entity, &t.entities));
    demand(members, "key_entities", "an entity does not exist")?;
    demand(
        t.action_kinds.len() == t.action_keys.len(),
        "action_kinds",
        "it does not say something of every action key",
    )?;
    let (mut cells_left, mut slots_left) = (Budget::of(&t.cells), Budget::of(&t.cell_slots));
    for row in &t.rows {
        let keys =
            below(row.action_key, &t.action_keys) && below(row.principal_key, &t.principal_keys);
        demand(
            keys && cells_left.take(row.cells) && inside(row.cells, &t.cells),
            "rows",
            "a key or cell does not exist",
        )?;
        demand(slots_left.take(row.slots), "rows", "their hash tables overlap")?;
        key_slots(t, row)?;
    }
    for cell in &t.cells {
        let known = below(cell.row, &t.rows);
        demand(
            known && inside(cell.policies, &t.postings) && inside(cell.groups, &t.groups),
            "cells",
            "a row, policy or group does not exist",
        )?;
    }
    demand(
        t.cell_keys.len() == t.cells.len()
            && t.cell_keys.iter().all(|key| below(*key, &t.resource_keys)),
        "cell_keys",
        "a cell has no key, or one that does not exist",
    )?;
    demand(
        t.columns.is_empty() || t.columns.len() == t.resource_keys.len(),
        "columns",
        "it does not say something of every resource key",
    )?;
    demand(
        t.columns.iter().all(|column| inside(*column, &t.column_cells)),
        "columns",
        "a cell does not exist",
    )?;
    demand(
        t.column_cells.iter().all(|cell| below(*cell, &t.cells)),
        "column_cells",
        "a cell does not exist",
    )?;
    let pairs = t.class_pairs.iter().all(|pair| inside(pair.rows, &t.class_rows));
    demand(pairs, "class_pairs", "a row does not exist")?;
    demand(
        t.class_rows.iter().all(|row| below(*row, &t.rows)),
        "class_rows",
        "a row does not exist",
    )?;
    groups(t)?;
    demand(
        t.postings.iter().all(|posting| posting_fits(t, posting)),
        "postings",
        "a policy does not exist, or is of the other effect",
    )
}

/// A row without a hash table is read through; else its table has a free slot and names its cells.
fn key_slots(t: &Tables, row: &RowRec) -> Checked {
    if row.slots.len == 0 {
        return Ok(());
    }
    let name = "cell_slots";
    demand(inside(row.slots, &t.cell_slots), name, "a row's hash table does not exist")?;
    let slots = row.slots.of(&t.cell_slots);
    let (mut taken, mut exist) = (0usize, true);
    for slot in slots.iter().filter(|slot| slot.cell != NONE) {
        taken += 1;
        exist &= below(slot.cell, &t.cells);
    }
    demand(slots.len().is_power_of_two() && taken < slots.len(), name, "it has no free slot")?;
    demand(exist, name, "it names a cell that does not exist")
}

fn posting_fits(t: &Tables, posting: &PostingRec) -> bool {
    let policy = t.policies.get(posting.ix().index());
    policy.is_some_and(|policy| (policy.flags & POLICY_FORBID != 0) == posting.is_forbid())
}

fn groups(t: &Tables) -> Checked {
    let mut slots_left = Budget::of(&t.group_slots);
    for group in &t.groups {
        let name = "groups";
        demand(slots_left.take(group.slots), name, "their hash tables overlap")?;
        let known = inside(group.reads, &t.group_reads)
            && inside(group.slots, &t.group_slots)
            && inside(group.policies, &t.postings);
        demand(known, name, "a path, table or policy does not exist")?;
        slots(group.slots.of(&t.group_slots), t.group_runs.len(), "group_slots")?;
    }
    let named = |read: &u32| {
        let ix = read & !GROUP_READ_HAS;
        below(ix, &t.reads) && u16::try_from(ix).is_ok()
    };
    demand(t.group_reads.iter().all(named), "group_reads", "a path does not exist")?;
    demand(
        t.group_runs.iter().all(|run| inside(*run, &t.postings)),
        "group_runs",
        "a policy does not exist",
    )
}

fn key_exists(t: &Tables, key: &KeyRec) -> bool {
    match key.kind {
        KEY_ANY => true,
        KEY_IS => below(key.entity_type, &t.types),
        KEY_EQ | KEY_IN => below(key.entity, &t.entities),
        KEY_IS_IN => below(key.entity_type, &t.types) && below(key.entity, &t.entities),
        KEY_IN_SET => inside(Span { start: key.entity, len: key.len }, &t.key_entities),
        _ => false,
    }
}
