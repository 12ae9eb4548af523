//! Policy scopes of every kind, aimed at a request most of the time.

use super::expr::Writer;
use super::types::TypeIx;
use crate::world::Uid;

/// What may stand in a scope where a template has a slot.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Slots {
    /// A policy: no slots.
    None,
    /// A template: the principal, the resource or both are slots.
    Principal,
    Resource,
    Both,
}

/// A written scope, with what it settles about the request's types.
#[derive(Debug)]
pub(super) struct Scope {
    pub(super) text: String,
    pub(super) settles_principal: bool,
    pub(super) settles_action: bool,
    pub(super) settles_resource: bool,
}

#[derive(Debug, Clone, Copy)]
enum Kind {
    Any,
    Equal,
    In,
    Is,
    IsIn,
}

const KINDS: &[(u32, Kind)] =
    &[(26, Kind::Any), (17, Kind::Equal), (22, Kind::In), (20, Kind::Is), (15, Kind::IsIn)];
const SLOT_KINDS: &[(u32, Kind)] = &[(3, Kind::Equal), (4, Kind::In), (3, Kind::IsIn)];

// === impl Slots ===

impl Slots {
    pub(super) fn has_principal(self) -> bool {
        matches!(self, Self::Principal | Self::Both)
    }

    pub(super) fn has_resource(self) -> bool {
        matches!(self, Self::Resource | Self::Both)
    }
}

// === impl Writer ===

impl Writer<'_> {
    /// A whole scope, without its parentheses.
    pub(super) fn scope(&mut self, slots: Slots) -> Scope {
        let aim = self.aim;
        let (principal, settles_principal) =
            self.dimension("principal", aim.env.principal, &aim.principal, slots.has_principal());
        let (action, settles_action) = self.action();
        let (resource, settles_resource) =
            self.dimension("resource", aim.env.resource, &aim.resource, slots.has_resource());
        Scope {
            text: format!("{principal}, {action}, {resource}"),
            settles_principal,
            settles_action,
            settles_resource,
        }
    }

    /// The principal's or the resource's part, and whether it settles the type to be `ty`.
    fn dimension(&mut self, variable: &str, ty: TypeIx, uid: &Uid, slot: bool) -> (String, bool) {
        let kind = self.rng.weighted(if slot { SLOT_KINDS } else { KINDS });
        let named = if self.rng.percent(94) {
            ty
        } else {
            TypeIx(self.rng.below(self.model.types().len()))
        };
        let name = &self.model.entity_type(named).name;
        let mut target = |equal: bool| {
            if slot {
                format!("?{variable}")
            } else if equal {
                self.equal_target(ty, uid).cedar()
            } else {
                self.group_of(Some(ty), Some(uid)).cedar()
            }
        };
        match kind {
            Kind::Any => (variable.to_owned(), false),
            Kind::Equal => (format!("{variable} == {}", target(true)), !slot),
            Kind::In => (format!("{variable} in {}", target(false)), false),
            Kind::Is => (format!("{variable} is {name}"), named == ty),
            Kind::IsIn => (format!("{variable} is {name} in {}", target(false)), named == ty),
        }
    }

    /// The uid an `==` names: the aimed one, or another of the same type.
    pub(super) fn equal_target(&mut self, ty: TypeIx, uid: &Uid) -> Uid {
        if self.rng.percent(85) { uid.clone() } else { self.values.cast.any(self.rng, ty) }
    }

    fn action(&mut self) -> (String, bool) {
        let aimed = self.aim.action.clone();
        match self.rng.below(100) {
            0..20 => ("action".to_owned(), false),
            20..62 => {
                let uid = if self.rng.percent(92) { aimed.clone() } else { self.any_action() };
                (format!("action == {}", uid.cedar()), uid == aimed)
            }
            62..80 => {
                let group = self.action_group();
                (format!("action in {}", group.cedar()), false)
            }
            80..83 if !self.manners.strict => ("action in []".to_owned(), false),
            _ => {
                let mut uids = vec![aimed, self.action_group(), self.any_action()];
                uids.truncate(self.rng.between(1, 3));
                if self.manners.strict {
                    // The strict validator wants all elements of a set to have one type.
                    uids.retain(|uid| uid.ty == self.aim.action.ty);
                }
                self.rng.shuffle(&mut uids);
                let uids: Vec<String> = uids.iter().map(Uid::cedar).collect();
                (format!("action in [{}]", uids.join(", ")), uids.len() == 1)
            }
        }
    }

    /// A group of the aimed action, or the action itself.
    pub(super) fn action_group(&mut self) -> Uid {
        let action = self.model.action(self.aim.env.action);
        match self.rng.pick_maybe(&action.groups) {
            Some(group) if self.rng.percent(80) => self.model.action(*group).uid.clone(),
            _ => self.any_action(),
        }
    }

    pub(super) fn any_action(&mut self) -> Uid {
        self.rng.pick(self.model.actions()).uid.clone()
    }
}
