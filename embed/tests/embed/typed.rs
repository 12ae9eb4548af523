//! Answers of the engine as the component's, for comparison.

use pdp_core::{Effect, OwnedAnswer};
use pdp_embed::decision;

/// What an answer says, for comparison with [`expected`].
pub(crate) fn told(answer: &decision::Answer) -> String {
    format!("{answer:?}")
}

/// What the component has to say where the engine says this.
pub(crate) fn expected(answer: &OwnedAnswer) -> String {
    let effect = |effect| match effect {
        Effect::Allow => decision::Effect::Allow,
        Effect::Deny => decision::Effect::Deny,
    };
    let errors = |errors: &[(String, pdp_core::ErrorKind)]| {
        errors
            .iter()
            .map(|(policy, kind)| decision::PolicyError {
                policy: policy.clone(),
                kind: kind.as_str().to_owned(),
            })
            .collect()
    };
    told(&decision::Answer {
        effect: effect(answer.effect),
        reason: answer.reason.as_str().to_owned(),
        policies: answer.policies.clone(),
        errors: errors(&answer.errors),
        legs: answer
            .legs
            .iter()
            .map(|leg| decision::Leg {
                role: leg.role.to_string(),
                effect: effect(leg.effect),
                reason: leg.reason.as_str().to_owned(),
                policies: leg.policies.clone(),
                errors: errors(&leg.errors),
            })
            .collect(),
        failed_leg: answer.failed_leg.map(|leg| leg.to_string()),
        obligations: answer
            .obligations
            .iter()
            .map(|(policy, key, value)| decision::Obligation {
                policy: policy.clone(),
                key: key.clone(),
                value: value.clone(),
            })
            .collect(),
        message: answer.message.clone(),
        bundle: answer.bundle.as_ref().map(|bundle| decision::BundleName {
            name: bundle.name.clone(),
            revision: bundle.revision,
            digest: bundle.digest.clone(),
        }),
    })
}
