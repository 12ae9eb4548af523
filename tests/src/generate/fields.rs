//! Which attributes entities, records and contexts have, and of which types.
//!
//! The same name has different types in different places on purpose: an index keyed by the attribute's name alone must not
//! confuse them.

use super::types::{Field, Ty, TypeIx};
use crate::rng::Rng;
use crate::value::ExtKind;

/// What types may be made of.
#[derive(Debug)]
pub(super) struct Kinds {
    pub(super) entities: Vec<TypeIx>,
}

#[derive(Debug, Clone, Copy)]
enum Kind {
    Bool,
    Long,
    Text,
    Entity,
    Ext(ExtKind),
    Texts,
    Longs,
    Entities,
    Exts,
    Record,
    Records,
    Sets,
    Any,
}

const ATTRIBUTES: &[(&str, Kind)] = &[
    ("department", Kind::Text),
    ("name", Kind::Text),
    ("age", Kind::Long),
    ("level", Kind::Long),
    ("active", Kind::Bool),
    ("owner", Kind::Entity),
    ("manager", Kind::Entity),
    ("groups", Kind::Entities),
    ("labels", Kind::Texts),
    ("scores", Kind::Longs),
    ("addr", Kind::Ext(ExtKind::Ip)),
    ("limit", Kind::Ext(ExtKind::Decimal)),
    ("created", Kind::Ext(ExtKind::Datetime)),
    ("ttl", Kind::Ext(ExtKind::Duration)),
    ("nets", Kind::Exts),
    ("profile", Kind::Record),
    ("history", Kind::Records),
    ("matrix", Kind::Sets),
    ("weird key", Kind::Text),
    ("in", Kind::Long),
    ("", Kind::Bool),
    ("ключ", Kind::Any),
    ("type", Kind::Any),
    ("other", Kind::Any),
];

const CONTEXT: &[(&str, Kind)] = &[
    ("amount", Kind::Long),
    ("n", Kind::Long),
    ("flag", Kind::Bool),
    ("who", Kind::Entity),
    ("target", Kind::Entity),
    ("ip", Kind::Ext(ExtKind::Ip)),
    ("budget", Kind::Ext(ExtKind::Decimal)),
    ("now", Kind::Ext(ExtKind::Datetime)),
    ("ttl", Kind::Ext(ExtKind::Duration)),
    ("input", Kind::Record),
    ("tags", Kind::Texts),
    ("peers", Kind::Entities),
    ("calls", Kind::Records),
    ("channel", Kind::Text),
    ("x y", Kind::Text),
    ("department", Kind::Any),
    ("other", Kind::Any),
];

const RECORD: &[(&str, Kind)] = &[
    ("country", Kind::Text),
    ("score", Kind::Long),
    ("ok", Kind::Bool),
    ("by", Kind::Entity),
    ("at", Kind::Ext(ExtKind::Datetime)),
    ("contact", Kind::Record),
    ("a b", Kind::Text),
    ("list", Kind::Texts),
];

const ANY: &[(u32, Kind)] = &[
    (2, Kind::Bool),
    (3, Kind::Long),
    (4, Kind::Text),
    (3, Kind::Entity),
    (1, Kind::Ext(ExtKind::Ip)),
    (1, Kind::Ext(ExtKind::Decimal)),
    (1, Kind::Ext(ExtKind::Datetime)),
    (1, Kind::Ext(ExtKind::Duration)),
    (1, Kind::Texts),
    (1, Kind::Longs),
    (2, Kind::Entities),
    (1, Kind::Exts),
    (2, Kind::Record),
    (1, Kind::Records),
    (1, Kind::Sets),
];

/// How deep records may hold records.
const RECORD_DEPTH_MAX: u32 = 2;

/// The attributes of an entity type.
pub(super) fn attributes(rng: &mut Rng, kinds: &Kinds) -> Vec<Field> {
    let mut fields = Vec::new();
    if rng.percent(75) {
        fields.push(Field {
            name: "department".to_owned(),
            ty: Ty::Text,
            optional: rng.percent(20),
        });
    }
    let wanted = rng.between(2, 6);
    add(rng, kinds, ATTRIBUTES, wanted, 0, &mut fields);
    fields
}

/// The fields of a context.
pub(super) fn context(rng: &mut Rng, kinds: &Kinds) -> Vec<Field> {
    if rng.percent(4) {
        return Vec::new();
    }
    let mut fields = Vec::new();
    if rng.percent(85) {
        fields.push(Field { name: "tool".to_owned(), ty: Ty::Text, optional: rng.percent(25) });
    }
    let wanted = rng.between(1, 5);
    add(rng, kinds, CONTEXT, wanted, 0, &mut fields);
    fields
}

/// The type of an entity type's tags.
pub(super) fn tag_type(rng: &mut Rng, kinds: &Kinds) -> Ty {
    let kind = rng.weighted(&[
        (5, Kind::Text),
        (2, Kind::Long),
        (1, Kind::Texts),
        (1, Kind::Entity),
        (1, Kind::Any),
    ]);
    ty(rng, kinds, kind, 1)
}

/// Adds `wanted` fields out of `table`, skipping names that are there already.
fn add(
    rng: &mut Rng,
    kinds: &Kinds,
    table: &[(&str, Kind)],
    wanted: usize,
    depth: u32,
    fields: &mut Vec<Field>,
) {
    for _ in 0..wanted {
        let (name, kind) = rng.pick(table);
        if fields.iter().any(|field| field.name == *name) {
            continue;
        }
        let kind = if rng.percent(12) { Kind::Any } else { *kind };
        fields.push(Field {
            name: (*name).to_owned(),
            ty: ty(rng, kinds, kind, depth),
            optional: rng.percent(30),
        });
    }
}

fn ty(rng: &mut Rng, kinds: &Kinds, kind: Kind, depth: u32) -> Ty {
    match kind {
        Kind::Bool => Ty::Bool,
        Kind::Long => Ty::Long,
        Kind::Text => Ty::Text,
        Kind::Entity => Ty::Entity(rng.choose(&kinds.entities)),
        Kind::Ext(kind) => Ty::Ext(kind),
        Kind::Texts => Ty::set_of(Ty::Text),
        Kind::Longs => Ty::set_of(Ty::Long),
        Kind::Entities => Ty::set_of(Ty::Entity(rng.choose(&kinds.entities))),
        Kind::Exts => Ty::set_of(Ty::Ext(rng.choose(&ExtKind::ALL))),
        Kind::Record if depth >= RECORD_DEPTH_MAX => Ty::Long,
        Kind::Record => {
            let mut fields = Vec::new();
            let wanted = rng.between(1, 3);
            add(rng, kinds, RECORD, wanted, depth + 1, &mut fields);
            Ty::Record(fields)
        }
        Kind::Records => Ty::set_of(ty(rng, kinds, Kind::Record, depth.max(1))),
        Kind::Sets => {
            let element = rng.choose(&[Kind::Long, Kind::Text, Kind::Entity]);
            Ty::set_of(Ty::set_of(ty(rng, kinds, element, depth)))
        }
        Kind::Any => {
            let kind = rng.weighted(ANY);
            ty(rng, kinds, kind, depth)
        }
    }
}
