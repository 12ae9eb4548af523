//! What a bundle decides from: flat records in flat tables, little endian, addressed by `u32`.
//!
//! Nothing here owns memory beyond one `Vec` per table, nothing points, nothing nests. [`Tables`] is written by
//! `index` and `lower` and read by `decide`; its bytes are the bundle's compiled section, table by table
//! (`format` describes the directory). Every record is at least `u32` aligned and has no padding, so that a table is
//! copied from bytes as it is. An all-zero record is never a valid policy to run: opcode 0 is a fault, value tag 0 is
//! no value. This module refuses to interpret anything; `verify` checks that ids are in range, `eval` gives meaning.

use zerocopy::{FromBytes, Immutable, IntoBytes};

use crate::handy::Handy;
use crate::ids::PolicyIx;

mod index;
mod schema;

pub(crate) use index::*;
pub(crate) use schema::*;

/// A value at decision time: 16 bytes, compared by tag and bits unless it is compound.
#[derive(Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, Immutable)]
#[repr(C)]
pub(crate) struct Val {
    /// One of the `TAG_` constants.
    pub(crate) tag: u32,
    /// Record: its shape. Set: its length. IPv6: the prefix. Else zero.
    pub(crate) aux: u32,
    /// The payload; see the constructors.
    pub(crate) bits: u64,
}

pub(crate) const TAG_NONE: u32 = 0;
pub(crate) const TAG_BOOL: u32 = 1;
pub(crate) const TAG_LONG: u32 = 2;
/// `bits`: a symbol.
pub(crate) const TAG_STRING: u32 = 3;
/// `bits`: an entity.
pub(crate) const TAG_ENTITY: u32 = 4;
/// `bits`: where its elements start among the values; `aux`: how many. Sorted, without duplicates.
pub(crate) const TAG_SET: u32 = 5;
/// `bits`: where its fields start among the values; `aux`: the shape that names them.
pub(crate) const TAG_RECORD: u32 = 6;
pub(crate) const TAG_DECIMAL: u32 = 7;
pub(crate) const TAG_DATETIME: u32 = 8;
pub(crate) const TAG_DURATION: u32 = 9;
/// `bits`: address in the low half, prefix above it.
pub(crate) const TAG_IP4: u32 = 10;
/// `bits`: position among the IPv6 addresses; `aux`: prefix.
pub(crate) const TAG_IP6: u32 = 11;

/// Two halves of an IPv6 address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, Immutable)]
#[repr(C)]
pub(crate) struct Ip6 {
    pub(crate) high: u64,
    pub(crate) low: u64,
}

/// A slot of a stored hash table; `ix` is [`crate::ids::NONE`] when free. Linear probing, power-of-two size.
#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, Immutable)]
#[repr(C)]
pub(crate) struct Slot {
    pub(crate) hash: u32,
    pub(crate) ix: u32,
}

/// A run of entries of another table.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, FromBytes, IntoBytes, Immutable)]
#[repr(C)]
pub(crate) struct Span {
    pub(crate) start: u32,
    pub(crate) len: u32,
}

/// An entity type that the bundle names.
#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, Immutable)]
#[repr(C)]
pub(crate) struct TypeRec {
    /// Its name, a symbol.
    pub(crate) name: u32,
    /// Class, as principal, of an entity of this type that the bundle does not know.
    pub(crate) principal_class: u32,
    /// Class, as action, of an entity of this type that the bundle does not know.
    pub(crate) action_class: u32,
    /// Class, as resource, of an entity of this type that the bundle does not know.
    pub(crate) resource_class: u32,
    /// Its declaration in the schema, or none.
    pub(crate) declaration: u32,
}

/// What nearly every decision asks of an entity that the bundle names, stored or only mentioned. Two of them share a
/// cache line and none lies across two.
#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, Immutable)]
#[repr(C, align(32))]
pub(crate) struct EntityRec {
    pub(crate) entity_type: u32,
    /// `ENTITY_` bits.
    pub(crate) flags: u32,
    /// The bytes of its id.
    pub(crate) id: Span,
    /// Shape of its attributes and where their values start.
    pub(crate) shape: u32,
    pub(crate) attrs: u32,
    pub(crate) principal_class: u32,
    pub(crate) resource_class: u32,
}

/// What is asked less often of an entity.
#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, Immutable)]
#[repr(C)]
pub(crate) struct EntityRest {
    /// Shape of its tags and where their values start.
    pub(crate) tag_shape: u32,
    pub(crate) tags: u32,
    /// All its ancestors, sorted, without itself.
    pub(crate) ancestors: Span,
    /// Its class as an action; class 0 holds what matches any entity.
    pub(crate) action_class: u32,
    /// What the schema says of it as an action, or none.
    pub(crate) action: u32,
}

/// The entity is in the store; without it the bundle only mentions the name.
pub(crate) const ENTITY_STORED: u32 = 1;
/// An ancestor of a stored entity. If it is not stored itself, no request may give it parents.
pub(crate) const ENTITY_IS_ANCESTOR: u32 = 2;

/// How many stored entities name an entity as a parent.
#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, Immutable)]
#[repr(C)]
pub(crate) struct ChildCount {
    pub(crate) entity: u32,
    pub(crate) count: u32,
}

/// A policy.
#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, Immutable)]
#[repr(C)]
pub(crate) struct PolicyRec {
    /// Its id, a run of `texts`.
    pub(crate) id: Span,
    /// `POLICY_` bits.
    pub(crate) flags: u32,
    /// Where it stands in `postings`, which say what its condition is.
    pub(crate) posting: u32,
    /// Its scope, one key a dimension.
    pub(crate) principal_key: u32,
    pub(crate) action_key: u32,
    pub(crate) resource_key: u32,
}

/// A forbid; else a permit.
pub(crate) const POLICY_FORBID: u32 = 1;
/// Evaluating it may fail.
pub(crate) const POLICY_CAN_ERROR: u32 = 2;
/// It is found by the equality tests it opens with.
pub(crate) const POLICY_GROUPED: u32 = 4;

/// A policy as the index hands it to the evaluator: all that deciding needs of it. One that is found in several ways
/// stands there as often.
#[derive(Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, Immutable)]
#[repr(C)]
pub(crate) struct PostingRec {
    /// The policy; [`POSTING_FORBID`] is set for a forbid.
    pub(crate) policy: u32,
    /// Its condition.
    pub(crate) ops: Span,
}

pub(crate) const POSTING_FORBID: u32 = 1 << 31;

/// A path that policies read: an attribute of another read. The first four are the variables.
#[derive(Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, Immutable)]
#[repr(C)]
pub(crate) struct ReadRec {
    /// The read it is an attribute of, an earlier one; none for a variable.
    pub(crate) of: u32,
    /// A symbol; none for a variable.
    pub(crate) attribute: u32,
}

/// One instruction of the stack machine; see `eval` for what each code does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, Immutable)]
#[repr(C)]
pub(crate) struct Op {
    /// One of `op::`.
    pub(crate) code: u8,
    /// A small operand.
    pub(crate) a: u8,
    /// A count.
    pub(crate) b: u16,
    /// A table position or jump distance.
    pub(crate) c: u32,
}

/// One element of a `like` pattern is a run of `pattern_text`; between two runs stands a wildcard.
#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, Immutable)]
#[repr(C)]
pub(crate) struct PatternRec {
    /// Its pieces in `pieces`. One piece: the text must equal it.
    pub(crate) pieces: Span,
}

/// An annotation that is an obligation.
#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, Immutable)]
#[repr(C)]
pub(crate) struct ObligationRec {
    pub(crate) policy: u32,
    /// Runs of `texts`.
    pub(crate) key: Span,
    pub(crate) value: Span,
}

/// Facts about the whole bundle. One record.
#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, Immutable)]
#[repr(C)]
pub(crate) struct MetaRec {
    pub(crate) revision: u64,
    pub(crate) limits: crate::limits::BundleLimits,
    /// A run of `texts`.
    pub(crate) name: Span,
    /// `META_` bits.
    pub(crate) flags: u32,
    /// Context key under which the PDP puts the time: a symbol, or none.
    pub(crate) now_key: u32,
    /// Context key under which the PDP puts the delegation: a symbol, or none.
    pub(crate) delegation_key: u32,
    /// Symbols of the delegation's fields: subject, chain, depth, scopes.
    pub(crate) delegation_fields: [u32; 4],
    pub(crate) stored_entities: u32,
}

/// A schema is there: requests can be validated.
pub(crate) const META_SCHEMA: u32 = 1;
/// A forbid that errors is skipped, as in Cedar; else it denies.
pub(crate) const META_SKIP_FORBID_ERRORS: u32 = 2;
/// Only principal and subject are legs.
pub(crate) const META_ENDS_ONLY: u32 = 4;

macro_rules! tables {
    ($($(#[$doc:meta])* $id:literal $name:ident: $type:ty,)*) => {
        /// All tables of the compiled section.
        #[derive(Debug, Default)]
        pub(crate) struct Tables {
            $($(#[$doc])* pub(crate) $name: Vec<$type>,)*
            /// What loading works out from them; not in the bundle.
            pub(crate) handy: Handy,
        }

        impl Tables {
            /// Hands each table's id, name, record size and bytes to `visit`, in id order.
            pub(crate) fn visit(&self, mut visit: impl FnMut(u32, &'static str, usize, &[u8])) {
                $(visit($id, stringify!($name), size_of::<$type>(), self.$name.as_slice().as_bytes());)*
            }

            /// Fills the table `id` from its bytes. `false`: no such table, or not a whole number of records.
            pub(crate) fn fill(&mut self, id: u32, record_bytes: usize, bytes: &[u8]) -> bool {
                match id {
                    $($id => record_bytes == size_of::<$type>() && fill(&mut self.$name, bytes),)*
                    _ => false,
                }
            }
        }
    };
}

tables! {
    /// The one [`MetaRec`].
    1 meta: MetaRec,
    /// Ends of the symbols in `symbol_text`.
    2 symbol_ends: u32,
    /// Strings that policies, entities or the schema hold.
    3 symbol_text: u8,
    4 symbol_slots: Slot,
    /// Texts that are only ever shown: policy ids, obligations.
    5 texts: u8,
    6 types: TypeRec,
    7 type_slots: Slot,
    8 entities: EntityRec,
    /// Ids of the entities.
    9 entity_text: u8,
    10 entity_slots: Slot,
    11 ancestors: u32,
    /// Runs of `shape_keys`.
    12 shapes: Span,
    /// Symbols, sorted within a shape.
    13 shape_keys: u32,
    14 vals: Val,
    15 ip6: Ip6,
    16 policies: PolicyRec,
    17 ops: Op,
    18 principal_keys: KeyRec,
    19 action_keys: KeyRec,
    20 resource_keys: KeyRec,
    21 key_entities: u32,
    /// Runs of `class_keys`; class 0 is that of an entity nothing is known of.
    22 principal_classes: Span,
    23 action_classes: Span,
    24 resource_classes: Span,
    25 class_keys: u32,
    26 principal_in_keys: InKey,
    27 action_in_keys: InKey,
    28 resource_in_keys: InKey,
    29 rows: RowRec,
    30 row_slots: Slot,
    31 cells: CellRec,
    32 cell_slots: KeySlot,
    33 postings: PostingRec,
    34 patterns: PatternRec,
    35 pieces: Span,
    36 pattern_text: u8,
    /// Symbols of `has a.b.c` paths.
    37 paths: u32,
    38 obligations: ObligationRec,
    39 schema_types: SchemaType,
    40 fields: FieldRec,
    41 declarations: DeclarationRec,
    42 actions: ActionRec,
    /// Types and entities that declarations and actions list.
    43 type_lists: u32,
    44 caller_attributes: CallerAttribute,
    45 reads: ReadRec,
    /// For each action key: kinds of principal keys that its rows have, bits as in `class_keys`.
    46 action_kinds: u32,
    47 groups: GroupRec,
    48 group_reads: u32,
    49 group_slots: Slot,
    50 group_runs: Span,
    51 class_pairs: ClassPairRec,
    52 class_pair_slots: Slot,
    /// Rows that pairs of classes hit.
    53 class_rows: u32,
    /// Resource keys of the cells.
    54 cell_keys: u32,
    /// For each resource key the cells that have it, a run of `column_cells`. Empty: there are no columns.
    55 columns: Span,
    56 column_cells: u32,
    /// One for each of `entities`.
    57 entity_rest: EntityRest,
    /// A bit for each of `ancestors`: it was named as a parent, and not only found above one.
    58 parent_marks: u32,
    /// Sorted by entity; only those that have children.
    59 child_counts: ChildCount,
}

fn fill<T: FromBytes + IntoBytes>(table: &mut Vec<T>, bytes: &[u8]) -> bool {
    let count = bytes.len() / size_of::<T>();
    if count * size_of::<T>() != bytes.len() {
        return false;
    }
    let Ok(mut records) = T::new_vec_zeroed(count) else { return false };
    records.as_mut_slice().as_mut_bytes().copy_from_slice(bytes);
    *table = records;
    true
}

// === impl Val ===

impl Val {
    pub(crate) const NONE: Val = Val { tag: TAG_NONE, aux: 0, bits: 0 };

    #[inline]
    pub(crate) const fn bool(value: bool) -> Self {
        Val { tag: TAG_BOOL, aux: 0, bits: value as u64 }
    }

    #[inline]
    pub(crate) const fn long(value: i64) -> Self {
        Val { tag: TAG_LONG, aux: 0, bits: value.cast_unsigned() }
    }

    #[inline]
    pub(crate) const fn string(symbol: u32) -> Self {
        Val { tag: TAG_STRING, aux: 0, bits: symbol as u64 }
    }

    #[inline]
    pub(crate) const fn entity(entity: u32) -> Self {
        Val { tag: TAG_ENTITY, aux: 0, bits: entity as u64 }
    }

    #[inline]
    pub(crate) const fn set(start: u32, len: u32) -> Self {
        Val { tag: TAG_SET, aux: len, bits: start as u64 }
    }

    #[inline]
    pub(crate) const fn record(shape: u32, start: u32) -> Self {
        Val { tag: TAG_RECORD, aux: shape, bits: start as u64 }
    }

    /// A decimal, datetime or duration.
    #[inline]
    pub(crate) const fn number(tag: u32, value: i64) -> Self {
        Val { tag, aux: 0, bits: value.cast_unsigned() }
    }

    #[inline]
    pub(crate) const fn as_i64(self) -> i64 {
        self.bits.cast_signed()
    }

    /// The low half of the payload: a symbol, an entity, a position.
    #[inline]
    #[expect(clippy::cast_possible_truncation, reason = "these payloads are made from a u32")]
    pub(crate) const fn low(self) -> u32 {
        self.bits as u32
    }
}

// === impl PostingRec ===

impl PostingRec {
    /// Which policy it is.
    #[inline]
    pub(crate) fn ix(self) -> PolicyIx {
        PolicyIx(self.policy & !POSTING_FORBID)
    }

    #[inline]
    pub(crate) fn is_forbid(self) -> bool {
        self.policy & POSTING_FORBID != 0
    }
}

// === impl Tables ===

impl Tables {
    /// All ancestors of an entity, as the bundle has them, sorted.
    #[inline]
    pub(crate) fn ancestors_of(&self, entity: u32) -> &[u32] {
        let rest = self.entity_rest.get(entity as usize);
        rest.map_or(Span::EMPTY, |rest| rest.ancestors).of(&self.ancestors)
    }

    /// The condition of a policy.
    pub(crate) fn condition(&self, policy: &PolicyRec) -> &[Op] {
        let posting = self.postings.get(policy.posting as usize);
        posting.map_or(Span::EMPTY, |posting| posting.ops).of(&self.ops)
    }
}

// === impl Span ===

impl Span {
    pub(crate) const EMPTY: Span = Span { start: 0, len: 0 };

    #[inline]
    pub(crate) fn range(self) -> std::ops::Range<usize> {
        let start = self.start as usize;
        start..start + self.len as usize
    }

    /// The run of `table`; empty if it is out of range, which `verify` has excluded.
    #[inline]
    pub(crate) fn of<T>(self, table: &[T]) -> &[T] {
        table.get(self.range()).unwrap_or_default()
    }
}
