//! The two engines on one workload: built from the same texts, asked the same questions, and compared.
//!
//! [`Bench::new`] refuses a workload on which they differ in a decision, in the determining policies or in the policies
//! that could not be evaluated, so nothing is ever timed that gives another answer. What is timed does no more than the
//! engine needs: our engine gets the strings of a request, the reference a request that was built and validated
//! beforehand; both give the determining policies, and their ids are read.

use std::collections::BTreeSet;
use std::str::FromStr;
use std::sync::Arc;

use cedar_policy::{
    AuthorizationError, Authorizer, Context, Entities, EntityId, EntityTypeName, EntityUid,
    PolicyId, PolicySet, RestrictedExpression, Schema,
};
use pdp_core::{
    Bundle, CompileOptions, DecideOptions, Decider, LoadLimits, Loose, Notation, Request, Scratch,
    Source,
};

use crate::w1::{Question, SCHEMA, W1, text_of};

/// Our engine, as every service runs it: requests are validated.
pub const VALIDATED: DecideOptions = DecideOptions::STANDARD;
/// Our engine without request validation, which is what the reference's `is_authorized` does.
pub const UNVALIDATED: DecideOptions =
    DecideOptions { validate_request: false, all_policies: false };
/// Our engine with the index switched off. Answers are compared in this way, too; it is not timed.
const ALL_POLICIES: DecideOptions = DecideOptions { validate_request: true, all_policies: true };

/// What an engine said, in terms both share.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// Whether the request is allowed.
    pub allow: bool,
    /// Ids of the determining policies.
    pub reasons: BTreeSet<String>,
    /// Ids of the policies that could not be evaluated.
    pub errors: BTreeSet<String>,
}

/// Our engine, loaded from bundle bytes.
#[derive(Debug)]
pub struct Ours {
    decider: Decider,
    scratch: Scratch,
}

/// The reference, with everything parsed that can be parsed beforehand.
#[derive(Debug)]
pub struct Reference {
    authorizer: Authorizer,
    policies: PolicySet,
    /// For each request, only the policies whose scope it matches.
    slices: Vec<PolicySet>,
    entities: Entities,
    requests: Vec<cedar_policy::Request>,
}

/// How the requests of a workload came out: a workload that only denies would measure little.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Mix {
    /// Requests that are allowed.
    pub allowed: usize,
    /// Requests that a forbid denies.
    pub forbidden: usize,
    /// Requests that no policy permits.
    pub not_permitted: usize,
}

// === impl Ours ===

impl Ours {
    /// Compiles a workload and loads it from the bundle's bytes.
    ///
    /// # Errors
    ///
    /// When the workload does not compile or does not pass the strict validator.
    pub fn new(workload: &W1) -> Result<Self, String> {
        let source = Source::loose(&Loose {
            policies: Notation::Cedar(&workload.policies_text()),
            schema: Some(Notation::Cedar(SCHEMA)),
            entities: &W1::entities_json(),
            links: None,
        })
        .map_err(|report| report.to_string())?;
        if !source.validates() {
            return Err("the workload does not pass the strict validator".to_owned());
        }
        // Without the source section, which deciding never touches.
        let options = CompileOptions { keep_source: false, ..CompileOptions::STANDARD };
        let bytes = pdp_core::compile(&source, &options).map_err(|report| report.to_string())?;
        let bundle =
            Bundle::load(&bytes, &LoadLimits::STANDARD).map_err(|error| error.to_string())?;
        Ok(Self { decider: Decider::new(Arc::new(bundle)), scratch: Scratch::new() })
    }

    /// Decides, and reads the ids of the determining policies; what comes back is for a black box.
    #[inline]
    pub fn decide(&mut self, request: &Request<'_>, options: &DecideOptions) -> usize {
        let answer = self.decider.decide_with(&mut self.scratch, request, options);
        let ids: usize = answer.policies().map(str::len).sum();
        ids + usize::from(answer.is_allowed())
    }

    /// Decides and copies the answer.
    pub fn answer(&mut self, question: &Question, options: &DecideOptions) -> Answer {
        let context = question.context();
        let request = question.request(&context);
        let answer = self.decider.decide_with(&mut self.scratch, &request, options);
        Answer {
            allow: answer.is_allowed(),
            reasons: answer.policies().map(str::to_owned).collect(),
            errors: answer.errors().map(|(id, _)| id.to_owned()).collect(),
        }
    }
}

// === impl Reference ===

impl Reference {
    /// Parses a workload, and builds and validates its requests.
    ///
    /// # Errors
    ///
    /// When the reference refuses a part of the workload.
    pub fn new(workload: &W1) -> Result<Self, String> {
        let (schema, _) = Schema::from_cedarschema_str(SCHEMA).map_err(|e| e.to_string())?;
        let entities = Entities::from_json_str(&W1::entities_json(), Some(&schema))
            .map_err(|e| e.to_string())?;
        let policies = PolicySet::from_str(&workload.policies_text()).map_err(|e| e.to_string())?;
        let mut requests = Vec::new();
        let mut slices = Vec::new();
        for question in &workload.questions {
            requests.push(request(question, &schema)?);
            slices.push(slice(workload, question)?);
        }
        Ok(Self { authorizer: Authorizer::new(), policies, slices, entities, requests })
    }

    /// Decides request number `at` over all policies; what comes back is for a black box.
    #[inline]
    pub fn decide(&self, at: usize) -> usize {
        self.decide_over(at, &self.policies)
    }

    /// As [`Reference::decide`], given only the policies whose scope the request matches: what a perfect index in front
    /// of the reference would come to.
    #[inline]
    pub fn decide_over_slice(&self, at: usize) -> usize {
        self.slices.get(at).map_or(0, |slice| self.decide_over(at, slice))
    }

    fn decide_over(&self, at: usize, policies: &PolicySet) -> usize {
        let Some(request) = self.requests.get(at) else { return 0 };
        let response = self.authorizer.is_authorized(request, policies, &self.entities);
        let ids: usize =
            response.diagnostics().reason().map(|id| AsRef::<str>::as_ref(id).len()).sum();
        ids + usize::from(response.decision() == cedar_policy::Decision::Allow)
    }

    /// Decides request number `at`, over all policies or over its slice, and copies the answer.
    pub fn answer(&self, at: usize, sliced: bool) -> Option<Answer> {
        let policies = if sliced { self.slices.get(at)? } else { &self.policies };
        let response =
            self.authorizer.is_authorized(self.requests.get(at)?, policies, &self.entities);
        let errors = response.diagnostics().errors().map(|error| match error {
            AuthorizationError::PolicyEvaluationError(error) => error.policy_id().to_string(),
        });
        Some(Answer {
            allow: response.decision() == cedar_policy::Decision::Allow,
            reasons: response.diagnostics().reason().map(PolicyId::to_string).collect(),
            errors: errors.collect(),
        })
    }
}

/// Compares all answers to all requests: ours validated, not validated and without the index, the reference over all
/// policies and over each request's slice.
///
/// # Errors
///
/// The first request to which the answers differ, with both answers.
pub fn check(workload: &W1, ours: &mut Ours, reference: &Reference) -> Result<Mix, String> {
    let mut mix = Mix::default();
    for (at, question) in workload.questions.iter().enumerate() {
        let Some(expected) = reference.answer(at, false) else {
            return Err(format!("the reference has no request {at}"));
        };
        let sliced = reference.answer(at, true);
        if sliced.as_ref() != Some(&expected) {
            return Err(format!(
                "request {at}: over all policies the reference says {expected:?}, over the slice {sliced:?}"
            ));
        }
        for options in [VALIDATED, UNVALIDATED, ALL_POLICIES] {
            let came = ours.answer(question, &options);
            if came != expected {
                return Err(format!(
                    "request {at}, {options:?}: the reference says {expected:?}, our engine {came:?}"
                ));
            }
        }
        let outcome = match (expected.allow, expected.reasons.is_empty()) {
            (true, _) => &mut mix.allowed,
            (false, false) => &mut mix.forbidden,
            (false, true) => &mut mix.not_permitted,
        };
        *outcome += 1;
    }
    Ok(mix)
}

fn request(question: &Question, schema: &Schema) -> Result<cedar_policy::Request, String> {
    let delegator = RestrictedExpression::new_entity_uid(uid("Work::User", &question.delegator)?);
    let context = Context::from_pairs([
        ("amount".to_owned(), RestrictedExpression::new_long(question.amount)),
        ("channel".to_owned(), RestrictedExpression::new_string(question.channel.to_owned())),
        ("delegator".to_owned(), delegator),
    ])
    .map_err(|e| e.to_string())?;
    let (agent, tool) = (uid("Work::Agent", &question.agent)?, uid("Work::Tool", &question.tool)?);
    let call = uid("Work::Action", "call")?;
    cedar_policy::Request::new(agent, call, tool, context, Some(schema)).map_err(|e| e.to_string())
}

fn uid(type_name: &str, id: &str) -> Result<EntityUid, String> {
    let type_name = EntityTypeName::from_str(type_name).map_err(|e| e.to_string())?;
    Ok(EntityUid::from_type_name_and_id(type_name, EntityId::new(id)))
}

/// The policies that a request's scope matches, under the names they have in the whole set.
fn slice(workload: &W1, question: &Question) -> Result<PolicySet, String> {
    let mut slice = PolicySet::new();
    for at in workload.matching(question) {
        let text = text_of(workload.policies.get(at).map(|policy| (at, policy)).into_iter());
        let policy = cedar_policy::Policy::parse(Some(PolicyId::new(format!("policy{at}"))), text)
            .map_err(|e| e.to_string())?;
        slice.add(policy).map_err(|e| e.to_string())?;
    }
    Ok(slice)
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "test code fails loudly")]
mod tests {
    use super::*;
    use crate::w1::Policy;

    fn engines(workload: &W1) -> (Ours, Reference) {
        (Ours::new(workload).unwrap(), Reference::new(workload).unwrap())
    }

    #[test]
    fn the_engines_agree_and_every_outcome_occurs() {
        let workload = W1::new(200);
        let (mut ours, reference) = engines(&workload);
        let mix = check(&workload, &mut ours, &reference).unwrap();
        assert!(mix.allowed >= 10 && mix.forbidden >= 5 && mix.not_permitted >= 10, "{mix:?}");
    }

    #[test]
    fn an_engine_that_lacks_a_policy_is_found_out() {
        let workload = W1::new(200);
        let (_, reference) = engines(&workload);
        for gone in [Policy::Suspended, Policy::NotOwner] {
            let mut poorer = workload.clone();
            // Replaced and not removed: the others keep their names.
            let other = match gone {
                Policy::Suspended => Policy::NotOwner,
                _ => Policy::Suspended,
            };
            for policy in &mut poorer.policies {
                if *policy == gone {
                    *policy = other;
                }
            }
            let mut ours = Ours::new(&poorer).unwrap();
            assert!(check(&workload, &mut ours, &reference).is_err(), "without {gone:?}");
        }
    }

    #[test]
    fn bystanders_change_no_answer() {
        let (alone, crowded) = (W1::crowded(50, 0), W1::crowded(50, 500));
        assert_eq!(crowded.policies.len(), 550);
        let (mut ours, reference) = engines(&crowded);
        check(&crowded, &mut ours, &reference).unwrap();
        let mut ours_alone = Ours::new(&alone).unwrap();
        for (before, after) in alone.questions.iter().zip(&crowded.questions) {
            assert_eq!(alone.matching(before), crowded.matching(after));
            assert_eq!(ours_alone.answer(before, &VALIDATED), ours.answer(after, &VALIDATED));
        }
    }
}
