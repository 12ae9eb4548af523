//! `in` and `is`: entities, and what they are asked to be in.

use super::Writer;
use crate::generate::types::{Ty, TypeIx};
use crate::world::Uid;

// === impl Writer ===

impl Writer<'_> {
    pub(super) fn membership(&mut self, depth: u32) -> String {
        let (left, ty, uid) = self.someone(depth);
        let right = self.place(ty, uid.as_ref(), depth);
        format!("{left} in {right}")
    }

    /// An expression for an entity, with its type and, for a variable, the uid it will often have.
    pub(in crate::generate) fn someone(
        &mut self,
        depth: u32,
    ) -> (String, Option<TypeIx>, Option<Uid>) {
        let aim = self.aim;
        match self.rng.below(10) {
            0..4 => ("principal".to_owned(), Some(aim.env.principal), Some(aim.principal.clone())),
            4..7 => ("resource".to_owned(), Some(aim.env.resource), Some(aim.resource.clone())),
            7 => ("action".to_owned(), None, Some(aim.action.clone())),
            _ => {
                let ix = self.entity_type();
                (self.term(&Ty::Entity(ix), depth), Some(ix), None)
            }
        }
    }

    /// What stands to the right of `in`.
    pub(in crate::generate) fn place(
        &mut self,
        ty: Option<TypeIx>,
        uid: Option<&Uid>,
        depth: u32,
    ) -> String {
        match self.rng.below(10) {
            0..4 => self.group_of(ty, uid).cedar(),
            4..6 => {
                let target = self.group_type(ty);
                self.path(|ty| *ty == Ty::Entity(target))
                    .unwrap_or_else(|| self.group_of(ty, uid).cedar())
            }
            6..8 => {
                let first = self.group_of(ty, uid);
                let second = self.group_of(ty, uid);
                if self.manners.strict && first.ty != second.ty {
                    format!("[{}]", first.cedar())
                } else {
                    format!("[{}, {}]", first.cedar(), second.cedar())
                }
            }
            8 => {
                let target = self.group_type(ty);
                self.path(|ty| *ty == Ty::set_of(Ty::Entity(target)))
                    .unwrap_or_else(|| self.group_of(ty, uid).cedar())
            }
            _ => {
                let target = Ty::Entity(self.group_type(ty));
                format!("[{}, {}]", self.term(&target, depth), self.term(&target, 0))
            }
        }
    }

    /// A uid that `uid` may be in: often one that it is in.
    pub(in crate::generate) fn group_of(&mut self, ty: Option<TypeIx>, uid: Option<&Uid>) -> Uid {
        if let Some(uid) = uid
            && self.rng.percent(80)
        {
            return self.rng.pick(&self.store.ancestors_and_self(uid)).clone();
        }
        if ty.is_none() {
            return self.rng.pick(self.model.actions()).uid.clone();
        }
        let target = self.group_type(ty);
        self.values.cast.any(self.rng, target)
    }

    fn group_type(&mut self, ty: Option<TypeIx>) -> TypeIx {
        let parents = ty.map_or(&[][..], |ix| &self.model.entity_type(ix).parents);
        match self.rng.pick_maybe(parents) {
            Some(parent) if self.rng.percent(80) => *parent,
            _ => self.entity_type(),
        }
    }

    pub(super) fn is(&mut self, depth: u32) -> String {
        let (left, ty, uid) = self.someone(depth);
        let named = match ty {
            Some(ty) if self.rng.percent(70) => ty,
            _ => self.entity_type(),
        };
        let name = &self.model.entity_type(named).name;
        if self.rng.percent(35) {
            format!("{left} is {name} in {}", self.place(ty, uid.as_ref(), depth))
        } else {
            format!("{left} is {name}")
        }
    }
}
