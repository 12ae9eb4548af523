//! Records of the scope index: keys, classes, rows, cells, groups.

use zerocopy::{FromBytes, Immutable, IntoBytes};

use super::Span;

/// What one dimension of a scope asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, FromBytes, IntoBytes, Immutable)]
#[repr(C)]
pub(crate) struct KeyRec {
    /// One of the `KEY_` constants.
    pub(crate) kind: u32,
    /// The type asked for, where the kind has one.
    pub(crate) entity_type: u32,
    /// The entity asked for; for a set of entities where they start in `key_entities`.
    pub(crate) entity: u32,
    /// How many entities the set has.
    pub(crate) len: u32,
}

/// In `class_keys` a key's number stands in so many low bits, and above them a bit for its kind.
pub(crate) const KEY_BITS: u32 = 26;

/// A key as `class_keys` names it.
#[inline]
pub(crate) fn class_key(kind: u32, key: u32) -> u32 {
    kind_bit(kind) | key
}

/// The number of a key of a class.
#[inline]
pub(crate) fn key_number(class_key: u32) -> u32 {
    class_key & ((1 << KEY_BITS) - 1)
}

/// The bit of a kind, in `class_keys` and in masks of kinds. 0 for what is no kind.
#[inline]
pub(crate) const fn kind_bit(kind: u32) -> u32 {
    match kind {
        KEY_ANY..=KEY_IN_SET => 1 << (KEY_BITS + kind - KEY_ANY),
        _ => 0,
    }
}

pub(crate) const KEY_ANY: u32 = 1;
pub(crate) const KEY_IS: u32 = 2;
pub(crate) const KEY_EQ: u32 = 3;
pub(crate) const KEY_IN: u32 = 4;
pub(crate) const KEY_IS_IN: u32 = 5;
pub(crate) const KEY_IN_SET: u32 = 6;

/// A key that every descendant of an entity hits, and the entity itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, FromBytes, IntoBytes, Immutable)]
#[repr(C)]
pub(crate) struct InKey {
    pub(crate) entity: u32,
    pub(crate) key: u32,
}

/// All policies with the same three keys. Its resource key stands at the same place in `cell_keys`.
#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, Immutable)]
#[repr(C)]
pub(crate) struct CellRec {
    /// The row: one pair of action key and principal key.
    pub(crate) row: u32,
    /// Its run of `postings`: policies that are looked at for every request that comes here.
    pub(crate) policies: Span,
    /// Its other policies, by groups.
    pub(crate) groups: Span,
}

/// The rows that entities of two classes hit together. Either all pairs that hit a row are there or none is.
#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, Immutable)]
#[repr(C)]
pub(crate) struct ClassPairRec {
    pub(crate) action_class: u32,
    pub(crate) principal_class: u32,
    /// A run of `class_rows`.
    pub(crate) rows: Span,
}

/// Policies of one cell that open with equality tests of the same paths.
#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, Immutable)]
#[repr(C)]
pub(crate) struct GroupRec {
    /// The paths, a run of `group_reads`.
    pub(crate) reads: Span,
    /// A hash table from what the paths hold to `group_runs`: a run of `group_slots`.
    pub(crate) slots: Span,
    /// All its policies, a run of `postings`.
    pub(crate) policies: Span,
}

/// In `group_reads`: a `has` of the path stands before the equality.
pub(crate) const GROUP_READ_HAS: u32 = 1 << 31;

/// A pair of action key and principal key that some policy has.
#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, Immutable)]
#[repr(C)]
pub(crate) struct RowRec {
    pub(crate) action_key: u32,
    pub(crate) principal_key: u32,
    /// Its cells, sorted by resource key.
    pub(crate) cells: Span,
    /// Kinds of resource keys that its cells have: bits as in `class_keys`.
    pub(crate) kinds: u32,
    /// A hash table from resource key to cell, a run of `cell_slots`; empty for a row whose keys are read through.
    pub(crate) slots: Span,
}

/// A slot of a row's hash table; `cell` is [`crate::ids::NONE`] when free. Linear probing, power-of-two size.
#[derive(Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, Immutable)]
#[repr(C)]
pub(crate) struct KeySlot {
    pub(crate) key: u32,
    pub(crate) cell: u32,
}
