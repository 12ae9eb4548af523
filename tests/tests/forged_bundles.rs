//! Bundles forged with care: every id in range and every digest right, but made so that reading or deciding takes for
//! ever.
//!
//! Whoever can compute a digest can make these. Whatever is done about them, it must end: refused by loading, or denied
//! by the limit on steps. Each is small; what they ask for is more than a computer can do.
#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "test code fails loudly")]

use std::sync::Arc;

use pdp_core::{Bundle, Decider, LoadLimits, Reason};
use pdp_tests::desk::{self, Desk, if_it_ends, request};
use pdp_tests::forge::{Forge, Table, u32_at};

// Numbers of tables, of opcodes and of tags, as `program` and `op` have them.
const SYMBOL_ENDS: u32 = 2;
const SHAPES: u32 = 12;
const SHAPE_KEYS: u32 = 13;
const VALS: u32 = 14;
const OPS: u32 = 17;
const PRINCIPAL_CLASSES: u32 = 22;
const CLASS_KEYS: u32 = 25;
const OP_CONST: u8 = 1;
const TAG_LONG: u32 = 2;
const TAG_SET: u32 = 5;
const TAG_RECORD: u32 = 6;

/// High enough that nobody walks over 2^LEVELS values.
const LEVELS: u32 = 60;

fn forge(policy: &str) -> (Forge, Vec<Table>) {
    let forge = Forge::open(&desk::compile_loose(policy, "[]").unwrap());
    let tables = forge.tables();
    (forge, tables)
}

fn table(tables: &mut [Table], id: u32) -> &mut Table {
    tables.iter_mut().find(|table| table.id == id).unwrap()
}

fn val(tag: u32, aux: u32, bits: u64) -> Vec<u8> {
    [&tag.to_le_bytes()[..], &aux.to_le_bytes(), &bits.to_le_bytes()].concat()
}

/// Adds a record whose two fields are the record below it, and so on: a few values, 2^LEVELS ways down. Gives its place.
fn tower(vals: &mut Table, shape: u32) -> u32 {
    let mut below = 0;
    for level in 0..=LEVELS {
        let part = match level {
            0 => val(TAG_LONG, 0, 7),
            _ => val(TAG_RECORD, shape, below),
        };
        below = (vals.bytes.len() / 16) as u64;
        vals.bytes.extend([part.clone(), part].concat());
    }
    u32::try_from(below).unwrap()
}

/// The answer, or nothing if the bundle is refused; and it must be one of the two.
#[track_caller]
fn decided(mut forge: Forge, tables: &[Table]) -> Option<Reason> {
    forge.set_tables(tables);
    let bytes = forge.close();
    let reason = if_it_ends(move || {
        let bundle = Bundle::load(&bytes, &LoadLimits::STANDARD).ok()?;
        let mut desk = Desk::new(Decider::new(Arc::new(bundle)));
        Some(desk.ask(&request("U::\"u\"", "Action::\"a\"", "D::\"d\"", "{}")).reason)
    });
    reason.unwrap_or_else(|| unreachable!("neither refused nor decided within a minute"))
}

const TWO_RECORDS: &str =
    "permit(principal, action, resource) when { {x: 1, y: 1} == {x: 1, y: 2} };";

/// The shape of the records in `TWO_RECORDS`.
fn shape(vals: &Table) -> u32 {
    u32_at(vals.bytes.chunks(16).find(|val| u32_at(val, 0) == TAG_RECORD).unwrap(), 4)
}

#[test]
fn parts_that_values_share_are_paid_for_as_often_as_deciding_walks_over_them() {
    let (forge, mut tables) = forge(TWO_RECORDS);
    let vals = table(&mut tables, VALS);
    let shape = shape(vals);
    let towers = [tower(vals, shape), tower(vals, shape)];
    let constants = table(&mut tables, OPS).bytes.chunks_mut(8).filter(|op| op[0] == OP_CONST);
    let changed = constants.zip(towers).map(|(op, at)| op[4..8].copy_from_slice(&at.to_le_bytes()));
    assert_eq!(changed.count(), 2);
    let reason = decided(forge, &tables);
    assert!(matches!(reason, None | Some(Reason::Limit)), "{reason:?}");
}

#[test]
fn parts_that_values_share_are_not_walked_over_again_and_again_by_loading() {
    let (forge, mut tables) = forge(TWO_RECORDS);
    let vals = table(&mut tables, VALS);
    let shape = shape(vals);
    let towers = [tower(vals, shape), tower(vals, shape)];
    let start = (vals.bytes.len() / 16) as u64;
    for top in towers {
        let below = vals.bytes[top as usize * 16..][..16].to_vec();
        vals.bytes.extend(below);
    }
    // Loading compares the elements of a set to see that they are in order.
    vals.bytes.extend(val(TAG_SET, 2, start));
    assert_eq!(decided(forge, &tables), None, "a set holds the same value twice");
}

#[test]
fn runs_that_overlap_are_not_read_again_and_again() {
    const MANY: u32 = 400_000;
    let spans = |len: u32| [0u32, len].map(u32::to_le_bytes).concat().repeat(MANY as usize);
    let ascending: Vec<u8> = (0..MANY).flat_map(u32::to_le_bytes).collect();
    // Each of many shapes has the same many keys.
    let (forged, mut tables) = forge(TWO_RECORDS);
    let ends = table(&mut tables, SYMBOL_ENDS);
    let last = ends.bytes[ends.bytes.len() - 4..].to_vec();
    ends.bytes.extend(last.repeat(MANY as usize));
    table(&mut tables, SHAPE_KEYS).bytes = ascending;
    table(&mut tables, SHAPES).bytes.extend(spans(MANY));
    decided(forged, &tables);
    // Each of many classes has the same many keys.
    let (forged, mut tables) = forge(TWO_RECORDS);
    table(&mut tables, CLASS_KEYS).bytes = vec![0; 4 * MANY as usize];
    table(&mut tables, PRINCIPAL_CLASSES).bytes.extend(spans(MANY));
    decided(forged, &tables);
}
