//! Records of what a schema says: types, fields, declarations, actions, and what callers may supply.

use zerocopy::{FromBytes, Immutable, IntoBytes};

use super::Span;

/// A type of the schema.
#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, Immutable)]
#[repr(C)]
pub(crate) struct SchemaType {
    /// One of the `TYPE_` constants.
    pub(crate) kind: u32,
    /// Entity: its type. Set: its element. Record: where its fields start. Extension: the value's tag.
    pub(crate) a: u32,
    /// Record: how many fields.
    pub(crate) b: u32,
    /// Record: the shape of a value that has all its fields, or none.
    pub(crate) shape: u32,
}

pub(crate) const TYPE_BOOL: u32 = 1;
pub(crate) const TYPE_LONG: u32 = 2;
pub(crate) const TYPE_STRING: u32 = 3;
pub(crate) const TYPE_ENTITY: u32 = 4;
pub(crate) const TYPE_SET: u32 = 5;
pub(crate) const TYPE_RECORD: u32 = 6;
/// `a` is the tag of the extension value; for `ipaddr` that of IPv4.
pub(crate) const TYPE_EXTENSION: u32 = 7;

/// A field of a record type or an attribute of an entity type. Sorted by symbol within its owner.
#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, Immutable)]
#[repr(C)]
pub(crate) struct FieldRec {
    pub(crate) name: u32,
    pub(crate) schema_type: u32,
    /// 1 if it must be there.
    pub(crate) required: u32,
}

/// What the schema says of an entity type.
#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, Immutable)]
#[repr(C)]
pub(crate) struct DeclarationRec {
    pub(crate) fields: Span,
    /// Type of its tags, or none if it has none.
    pub(crate) tags: u32,
    /// Types its ancestors may have: a run of `type_lists`.
    pub(crate) ancestor_types: Span,
    /// 1 for an enumerated type: then its entities are the run `members` of `type_lists`.
    pub(crate) enumerated: u32,
    pub(crate) members: Span,
}

/// What the schema says of an action.
#[derive(Clone, Copy, Debug, FromBytes, IntoBytes, Immutable)]
#[repr(C)]
pub(crate) struct ActionRec {
    /// Types of its principals: a run of `type_lists`.
    pub(crate) principals: Span,
    /// Types of its resources: a run of `type_lists`.
    pub(crate) resources: Span,
    /// Type of its context, a record.
    pub(crate) context: u32,
}

/// An attribute that a caller may supply for stored entities of a type.
#[derive(Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, Immutable)]
#[repr(C)]
pub(crate) struct CallerAttribute {
    pub(crate) entity_type: u32,
    pub(crate) attribute: u32,
}
