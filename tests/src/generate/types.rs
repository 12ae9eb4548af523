//! Types as the generator knows them: enough to write expressions, values and schemas that fit together.

use crate::value::ExtKind;

/// An entity type of a [`Model`](super::model::Model), by its position there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct TypeIx(pub(super) usize);

/// An action of a [`Model`](super::model::Model), by its position there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct ActionIx(pub(super) usize);

/// A type.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Ty {
    Bool,
    Long,
    Text,
    Entity(TypeIx),
    Ext(ExtKind),
    Set(Box<Ty>),
    Record(Vec<Field>),
}

/// An attribute of an entity, or a field of a record or of the context.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Field {
    pub(super) name: String,
    pub(super) ty: Ty,
    pub(super) optional: bool,
}

// === impl Ty ===

impl Ty {
    pub(super) fn set_of(element: Self) -> Self {
        Self::Set(Box::new(element))
    }

    /// True when all values of this type have the same fields, so that the strict validator lets a literal stand for them.
    pub(super) fn is_exact(&self) -> bool {
        match self {
            Self::Set(element) => element.is_exact(),
            Self::Record(fields) => {
                fields.iter().all(|field| !field.optional && field.ty.is_exact())
            }
            _ => true,
        }
    }
}
