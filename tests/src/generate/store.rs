//! The entities of a world: who exists, who is only spoken of, and what is stored about them.

use super::model::Model;
use super::pool::Values;
use super::types::{Field, Ty, TypeIx};
use super::vocabulary::{IDS, TAG_KEYS, UNDECLARED_NAMES};
use crate::rng::Rng;
use crate::value::{JsonStyle, Val, record_json};
use crate::world::Uid;
use serde_json::{Value as Json, json};
use std::collections::BTreeSet;

/// Who exists, per entity type, and who is referred to without existing.
#[derive(Debug)]
pub(super) struct Cast {
    stored: Vec<Vec<Uid>>,
    absent: Vec<Vec<Uid>>,
}

/// A stored entity.
#[derive(Debug)]
pub(super) struct Stored {
    pub(super) uid: Uid,
    pub(super) attrs: Vec<(String, Val)>,
    pub(super) parents: Vec<Uid>,
    pub(super) tags: Vec<(String, Val)>,
}

/// All stored entities.
#[derive(Debug)]
pub(super) struct Store {
    pub(super) entities: Vec<Stored>,
}

/// How often data breaks the model; all zero in a world with a schema.
#[derive(Debug, Clone, Copy)]
pub(super) struct Flaws {
    pub(super) omitted_percent: u32,
    pub(super) wrong_type_percent: u32,
    pub(super) extra_percent: u32,
    pub(super) foreign_parent_percent: u32,
}

/// The id of parents that do not exist; no request ever brings such an entity along.
const ABSENT_PARENT: &str = "gone-parent";

// === impl Cast ===

impl Cast {
    pub(super) fn draw(rng: &mut Rng, model: &Model) -> Self {
        let long_chain = rng.percent(30);
        let mut stored = Vec::new();
        let mut absent = Vec::new();
        for (ix, ty) in model.type_indices().zip(model.types()) {
            if !ty.choices.is_empty() {
                let uids = ty.choices.iter().map(|id| Uid::new(&ty.name, id));
                let (here, gone) = uids.partition(|_| rng.percent(70));
                stored.push(here);
                absent.push(gone);
                continue;
            }
            let start = rng.below(IDS.len());
            let count = rng.weighted(&[(3, 1), (4, 2), (3, 3), (1, 4)]);
            let mut here: Vec<Uid> = (0..count)
                .filter_map(|at| IDS.get((start + at) % IDS.len()))
                .map(|id| Uid::new(&ty.name, *id))
                .collect();
            if ty.parents.contains(&ix) && long_chain {
                here.extend(
                    (0..rng.between(3, 10)).map(|at| Uid::new(&ty.name, format!("chain{at}"))),
                );
            }
            stored.push(here);
            absent.push(vec![Uid::new(&ty.name, "gone"), Uid::new(&ty.name, "also gone")]);
        }
        Self { stored, absent }
    }

    /// The stored entities of a type.
    pub(super) fn stored(&self, ix: TypeIx) -> &[Uid] {
        self.stored.get(ix.0).map_or(&[], Vec::as_slice)
    }

    /// Entities of a type that are referred to but not stored.
    pub(super) fn absent(&self, ix: TypeIx) -> &[Uid] {
        self.absent.get(ix.0).map_or(&[], Vec::as_slice)
    }

    /// An entity of a type, seldom one that does not exist.
    pub(super) fn any(&self, rng: &mut Rng, ix: TypeIx) -> Uid {
        let (first, second) = if rng.percent(90) {
            (self.stored(ix), self.absent(ix))
        } else {
            (self.absent(ix), self.stored(ix))
        };
        rng.pick_maybe(first)
            .or_else(|| second.first())
            .cloned()
            // Enumerated types have at least two ids and other types two absent ones, so one list is never empty.
            .unwrap_or_else(|| Uid::new("Nobody", ""))
    }
}

// === impl Store ===

impl Store {
    pub(super) fn draw(rng: &mut Rng, model: &Model, values: Values<'_>, flaws: Flaws) -> Self {
        let mut entities = Vec::new();
        for ix in model.type_indices() {
            for (at, uid) in values.cast.stored(ix).iter().enumerate() {
                entities.push(Stored {
                    uid: uid.clone(),
                    attrs: attributes(rng, model, values, ix, flaws),
                    parents: parents(rng, model, values.cast, ix, at, flaws),
                    tags: tags(rng, model, values, ix, flaws),
                });
            }
        }
        Self { entities }
    }

    /// Stores the actions as entities, for a world whose schema does not say how they are grouped.
    pub(super) fn add_actions(&mut self, rng: &mut Rng, model: &Model) {
        for action in model.actions() {
            if rng.percent(12) {
                continue;
            }
            let attrs =
                if rng.percent(15) { vec![("risk".to_owned(), Val::Long(3))] } else { Vec::new() };
            self.entities.push(Stored {
                uid: action.uid.clone(),
                attrs,
                parents: action.groups.iter().map(|ix| model.action(*ix).uid.clone()).collect(),
                tags: Vec::new(),
            });
        }
    }

    /// The entities `uid` is in, itself first.
    pub(super) fn ancestors_and_self(&self, uid: &Uid) -> Vec<Uid> {
        let mut found = vec![uid.clone()];
        let mut at = 0;
        while let Some(current) = found.get(at).cloned() {
            at += 1;
            let Some(stored) = self.entities.iter().find(|stored| stored.uid == current) else {
                continue;
            };
            for parent in &stored.parents {
                if !found.contains(parent) {
                    found.push(parent.clone());
                }
            }
        }
        found
    }

    pub(super) fn json(&self, rng: &mut Rng, style: JsonStyle) -> Vec<Json> {
        self.entities.iter().map(|stored| stored.json(rng, style)).collect()
    }
}

// === impl Stored ===

impl Stored {
    pub(super) fn json(&self, rng: &mut Rng, style: JsonStyle) -> Json {
        let mut out = json!({
            "uid": self.uid.json(),
            "attrs": record_json(&self.attrs, rng, style),
            "parents": self.parents.iter().map(Uid::json).collect::<Vec<_>>(),
        });
        if let Some(out) = out.as_object_mut().filter(|_| !self.tags.is_empty()) {
            let tags = record_json(&self.tags, rng, style);
            out.insert("tags".to_owned(), Json::Object(tags));
        }
        out
    }
}

/// The attributes of an entity of type `ix`.
pub(super) fn attributes(
    rng: &mut Rng,
    model: &Model,
    values: Values<'_>,
    ix: TypeIx,
    flaws: Flaws,
) -> Vec<(String, Val)> {
    let mut attrs = values.fields(rng, &model.entity_type(ix).shape);
    break_fields(rng, values, &mut attrs, flaws);
    attrs
}

/// Leaves away, retypes and adds fields as often as `flaws` says.
pub(super) fn break_fields(
    rng: &mut Rng,
    values: Values<'_>,
    fields: &mut Vec<(String, Val)>,
    flaws: Flaws,
) {
    fields.retain(|_| !rng.percent(flaws.omitted_percent));
    for (_, value) in fields.iter_mut() {
        if rng.percent(flaws.wrong_type_percent) {
            let ty = rng.pick(&[Ty::Bool, Ty::Long, Ty::Text]);
            *value = values.draw(rng, ty, "");
        }
    }
    if rng.percent(flaws.extra_percent) {
        let name = rng.choose(UNDECLARED_NAMES);
        let value = values.draw(rng, &Ty::Text, "");
        fields.push((name.to_owned(), value));
    }
}

/// Up to three parents of the entity at position `at` of its type: stored ones that come before it, so that no cycle can
/// arise, seldom one that does not exist.
fn parents(
    rng: &mut Rng,
    model: &Model,
    cast: &Cast,
    ix: TypeIx,
    at: usize,
    flaws: Flaws,
) -> Vec<Uid> {
    let mut chosen = BTreeSet::new();
    for parent_ix in &model.entity_type(ix).parents {
        let own = cast.stored(*parent_ix);
        let before = if *parent_ix == ix { own.get(..at).unwrap_or(&[]) } else { own };
        // A chain hangs below the entity just before it, which makes it deep; other entities pick at random.
        let in_chain = cast.stored(ix).get(at).is_some_and(|uid| uid.id.starts_with("chain"));
        if in_chain && *parent_ix == ix {
            chosen.extend(before.last().cloned());
        } else if !before.is_empty() && rng.percent(70) {
            chosen.insert(rng.pick(before).clone());
        }
        if rng.percent(20) {
            chosen.extend(rng.pick_maybe(before).cloned());
        }
        if rng.percent(6) {
            chosen.insert(Uid::new(&model.entity_type(*parent_ix).name, ABSENT_PARENT));
        }
    }
    if rng.percent(flaws.foreign_parent_percent) && ix.0 > 0 {
        let foreign = TypeIx(rng.below(ix.0));
        chosen.extend(rng.pick_maybe(cast.stored(foreign)).cloned());
    }
    chosen.into_iter().collect()
}

/// The tags of an entity of type `ix`.
pub(super) fn tags(
    rng: &mut Rng,
    model: &Model,
    values: Values<'_>,
    ix: TypeIx,
    flaws: Flaws,
) -> Vec<(String, Val)> {
    let Some(ty) = &model.entity_type(ix).tags else {
        return Vec::new();
    };
    let fields: Vec<Field> = TAG_KEYS
        .iter()
        .filter(|_| rng.percent(40))
        .map(|key| Field { name: (*key).to_owned(), ty: ty.clone(), optional: false })
        .collect();
    let mut tags = values.fields(rng, &fields);
    break_fields(rng, values, &mut tags, flaws);
    tags
}
