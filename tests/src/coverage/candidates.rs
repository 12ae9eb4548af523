//! A world's policies with what they contain, and what a request finds among them.

use super::feature::{Feature, FeatureSet};
use super::scope::{self, Asked};
use super::{twins, walk};
use crate::oracle::{Answer, Prepared};
use cedar_policy::{Entities, EntityUid, Policy, PolicyId};
use serde_json::Value as Json;
use std::collections::HashMap;

/// A policy with its features.
#[derive(Debug)]
pub(super) struct Known<'a> {
    pub(super) policy: &'a Policy,
    features: FeatureSet,
}

/// As many ancestors make a hierarchy deep.
const DEEP_HIERARCHY: usize = 5;

pub(super) fn known_policies(prepared: &Prepared) -> Vec<Known<'_>> {
    let set = prepared.policies();
    let mut of_template: HashMap<&PolicyId, (Json, FeatureSet)> = HashMap::new();
    for template in set.templates() {
        if let Ok(json) = template.to_json() {
            let features = features_of(&json);
            of_template.insert(template.id(), (json, features));
        }
    }
    let mut known = Vec::new();
    let mut jsons = Vec::new();
    for policy in set.policies() {
        let linked = policy.template_id().and_then(|id| of_template.get(id));
        let (json, mut features) = match linked {
            Some(known) => known.clone(),
            None => {
                let json = policy.to_json().unwrap_or_default();
                let features = features_of(&json);
                (json, features)
            }
        };
        features.insert_if(linked.is_some(), Feature::Linked);
        jsons.push(json);
        known.push(Known { policy, features });
    }
    let twins = twins::members(&jsons.iter().collect::<Vec<_>>());
    for (known, twin) in known.iter_mut().zip(twins) {
        known.features.insert_if(twin, Feature::TwinPolicies);
    }
    known
}

fn features_of(json: &Json) -> FeatureSet {
    let mut features = walk::policy(json);
    features.extend(scope::kinds(json));
    features
}

/// What the request found.
pub(super) fn candidate_features(
    asked: &Asked<'_>,
    policies: &[Known<'_>],
    answer: &Answer,
    found: &mut FeatureSet,
) {
    let mut any = false;
    for known in policies.iter().filter(|known| asked.matches(known.policy)) {
        any = true;
        found.extend(known.features);
        found.insert_if(
            known.features.contains(Feature::Forbid)
                && answer.errors.contains(AsRef::<str>::as_ref(known.policy.id())),
            Feature::ErringForbid,
        );
    }
    found.insert_if(!any, Feature::NoCandidate);
    for uid in [asked.principal, asked.resource] {
        let ancestors = asked.entities.ancestors(uid).map_or(0, Iterator::count);
        found.insert_if(ancestors >= DEEP_HIERARCHY, Feature::DeepHierarchy);
    }
    let absent = |uid: &EntityUid, entities: &Entities| entities.get(uid).is_none();
    found.insert_if(absent(asked.principal, asked.entities), Feature::PrincipalAbsent);
    found.insert_if(absent(asked.resource, asked.entities), Feature::ResourceAbsent);
    found.insert_if(absent(asked.action, asked.entities), Feature::ActionAbsent);
}
