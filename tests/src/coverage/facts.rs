//! What can be said of a case without looking into its policies: the world, the request, the outcome.

use super::feature::{Feature, FeatureSet};
use crate::oracle::{ErrorKind, Outcome};
use crate::world::{Request, Uid, World};
use serde_json::Value as Json;

/// More policies than this are many.
const MANY_POLICIES: usize = 12;

pub(super) fn world_features(world: &World, validates: bool) -> FeatureSet {
    let mut found = FeatureSet::default();
    found.insert_if(world.policies.len() > MANY_POLICIES, Feature::ManyPolicies);
    let Some(schema) = &world.schema else {
        found.insert(Feature::WithoutSchema);
        return found;
    };
    found.insert(Feature::WithSchema);
    found.insert(if validates { Feature::StrictlyValid } else { Feature::StrictlyInvalid });
    found.insert_if(schema.contains(" enum ["), Feature::EnumeratedType);
    found.insert_if(schema.contains("} tags "), Feature::DeclaredTags);
    let grouped = |line: &str| line.starts_with("action ") && line.contains(" in [");
    found.insert_if(schema.lines().any(grouped), Feature::DeclaredActionGroup);
    let mut spaces: Vec<&str> =
        schema.lines().filter(|line| line.starts_with("namespace ")).collect();
    spaces.dedup();
    let global = schema.starts_with("entity ") || schema.starts_with("action ");
    found.insert_if(spaces.len() + usize::from(global) > 1, Feature::SharedNamespaces);
    found
}

pub(super) fn request_features(world: &World, request: &Request) -> FeatureSet {
    let mut found = FeatureSet::default();
    if world.schema.is_some() {
        found.insert(if request.validate { Feature::Validated } else { Feature::Unvalidated });
    }
    if !request.inline_entities.is_empty() {
        found.insert(Feature::Inline);
        found.insert_if(request.validate, Feature::InlineValidated);
        let comes_inline = |uid: &Uid| {
            request.inline_entities.iter().any(|entity| entity.get("uid") == Some(&uid.json()))
        };
        found.insert_if(
            comes_inline(&request.principal) || comes_inline(&request.resource),
            Feature::InlineAsVariable,
        );
    }
    let several = |uid: &Uid| {
        world
            .entities
            .iter()
            .filter(|entity| entity.get("uid") == Some(&uid.json()))
            .filter_map(|entity| entity.get("parents")?.as_array())
            .any(|parents| parents.len() > 1)
    };
    found.insert_if(
        several(&request.principal) || several(&request.resource),
        Feature::SeveralParents,
    );
    found.insert_if(holds_unseen(&request.context), Feature::ContextUnseen);
    found
}

/// Fresh strings are recognised by how the generator spells them.
fn holds_unseen(json: &Json) -> bool {
    match json {
        Json::String(text) => text.starts_with("unseen-"),
        Json::Array(items) => items.iter().any(holds_unseen),
        Json::Object(parts) => parts.values().any(holds_unseen),
        _ => false,
    }
}

/// `validated` says that policies, entities and request all passed the validator: Cedar promises few kinds of errors then.
pub(super) fn outcome_features(outcome: &Outcome, validated: bool) -> FeatureSet {
    let mut found = FeatureSet::default();
    let Outcome::Answer(answer) = outcome else {
        found.insert(Feature::Refused);
        return found;
    };
    let errors = !answer.errors.is_empty();
    found.insert(match (answer.allow, answer.reasons.is_empty()) {
        (true, _) => Feature::Allowed,
        (false, true) => Feature::DeniedSilently,
        (false, false) => Feature::DeniedByForbid,
    });
    found.insert_if(answer.reasons.len() > 1, Feature::SeveralReasons);
    found.insert_if(errors, Feature::SomeErrors);
    found.insert_if(errors && answer.allow, Feature::AllowedDespiteErrors);
    found.insert_if(
        errors && !answer.allow && !answer.reasons.is_empty(),
        Feature::ForbiddenBesideErrors,
    );
    for kind in &answer.error_kinds {
        found.insert(match kind {
            ErrorKind::EntityMissing => Feature::EntityMissing,
            ErrorKind::AttributeMissing => Feature::AttributeMissing,
            ErrorKind::TagMissing => Feature::TagMissing,
            ErrorKind::FieldMissing => Feature::FieldMissing,
            ErrorKind::Type => Feature::TypeError,
            ErrorKind::Arity => Feature::ArityError,
            ErrorKind::Overflow => Feature::Overflow,
            ErrorKind::Extension => Feature::ExtensionError,
            ErrorKind::Other => continue,
        });
        if validated {
            found.insert(match kind {
                ErrorKind::EntityMissing => Feature::ProvenEntityMissing,
                ErrorKind::Overflow => Feature::ProvenOverflow,
                ErrorKind::Extension => Feature::ProvenExtensionError,
                _ => continue,
            });
        }
    }
    found
}
