//! Which policies a request finds, and by which kind of scope.

use super::feature::{Feature, FeatureSet};
use cedar_policy::{
    ActionConstraint, Entities, EntityTypeName, EntityUid, Policy, PrincipalConstraint,
    ResourceConstraint,
};
use serde_json::Value as Json;

/// Who asks for what.
#[derive(Debug)]
pub(super) struct Asked<'a> {
    pub(super) principal: &'a EntityUid,
    pub(super) action: &'a EntityUid,
    pub(super) resource: &'a EntityUid,
    pub(super) entities: &'a Entities,
}

// === impl Asked ===

impl Asked<'_> {
    /// Whether the policy's scope matches.
    pub(super) fn matches(&self, policy: &Policy) -> bool {
        let principal = match policy.principal_constraint() {
            PrincipalConstraint::Any => true,
            PrincipalConstraint::Eq(uid) => *self.principal == uid,
            PrincipalConstraint::In(uid) => self.is_in(self.principal, &uid),
            PrincipalConstraint::Is(ty) => is(self.principal, &ty),
            PrincipalConstraint::IsIn(ty, uid) => {
                is(self.principal, &ty) && self.is_in(self.principal, &uid)
            }
        };
        let action = match policy.action_constraint() {
            ActionConstraint::Any => true,
            ActionConstraint::Eq(uid) => *self.action == uid,
            ActionConstraint::In(uids) => uids.iter().any(|uid| self.is_in(self.action, uid)),
        };
        let resource = match policy.resource_constraint() {
            ResourceConstraint::Any => true,
            ResourceConstraint::Eq(uid) => *self.resource == uid,
            ResourceConstraint::In(uid) => self.is_in(self.resource, &uid),
            ResourceConstraint::Is(ty) => is(self.resource, &ty),
            ResourceConstraint::IsIn(ty, uid) => {
                is(self.resource, &ty) && self.is_in(self.resource, &uid)
            }
        };
        principal && action && resource
    }

    fn is_in(&self, uid: &EntityUid, group: &EntityUid) -> bool {
        uid == group || self.entities.is_ancestor_of(group, uid)
    }
}

fn is(uid: &EntityUid, ty: &EntityTypeName) -> bool {
    uid.type_name() == ty
}

/// The kinds of scope in the JSON of a policy or, for a link, of its template.
pub(super) fn kinds(json: &Json) -> FeatureSet {
    let mut found = FeatureSet::default();
    if let Some(principal) = json.get("principal") {
        found.insert(match kind(principal) {
            (Kind::Any, _) => Feature::PrincipalAny,
            (Kind::Equal, false) => Feature::PrincipalEqual,
            (Kind::In, false) => Feature::PrincipalIn,
            (Kind::Is, _) => Feature::PrincipalIs,
            (Kind::IsIn, false) => Feature::PrincipalIsIn,
            (Kind::Equal, true) => Feature::SlotPrincipalEqual,
            (Kind::In, true) => Feature::SlotPrincipalIn,
            (Kind::IsIn, true) => Feature::SlotPrincipalIsIn,
        });
    }
    if let Some(action) = json.get("action") {
        found.insert(match kind(action) {
            (Kind::Any, _) => Feature::ActionAny,
            (Kind::Equal, _) => Feature::ActionEqual,
            _ if action.get("entities").is_some() => Feature::ActionInSet,
            _ => Feature::ActionIn,
        });
    }
    if let Some(resource) = json.get("resource") {
        found.insert(match kind(resource) {
            (Kind::Any, _) => Feature::ResourceAny,
            (Kind::Equal, false) => Feature::ResourceEqual,
            (Kind::In, false) => Feature::ResourceIn,
            (Kind::Is, _) => Feature::ResourceIs,
            (Kind::IsIn, false) => Feature::ResourceIsIn,
            (Kind::Equal, true) => Feature::SlotResourceEqual,
            (Kind::In, true) => Feature::SlotResourceIn,
            (Kind::IsIn, true) => Feature::SlotResourceIsIn,
        });
    }
    found
}

enum Kind {
    Any,
    Equal,
    In,
    Is,
    IsIn,
}

/// The kind of one part of a scope, and whether it has a slot.
fn kind(part: &Json) -> (Kind, bool) {
    let place = part.get("in");
    let slot = part.get("slot").is_some() || place.is_some_and(|place| place.get("slot").is_some());
    let kind = match part.get("op").and_then(Json::as_str) {
        Some("==") => Kind::Equal,
        Some("in") => Kind::In,
        Some("is") if place.is_some() => Kind::IsIn,
        Some("is") => Kind::Is,
        _ => Kind::Any,
    };
    (kind, slot)
}
