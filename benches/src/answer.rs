//! What an engine said, in terms that all share, and the comparison that comes before any timing.
//!
//! [`check`] refuses a workload on which our engine and the reference differ in a decision, in the determining policies
//! or in the policies that could not be evaluated. The reference is asked every question over its perfect slice and,
//! where there are too many policies to ask it everything, a sample over all of them: a scope cannot err, so the two
//! must agree, and that they do is checked, too.

use std::collections::BTreeSet;

use pdp_core::Request;

use crate::ours::{ALL_POLICIES, Ours, UNVALIDATED, VALIDATED};
use crate::reference::Reference;

/// What an engine said. Engines that give no reasons have none to compare.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// Whether the request is allowed.
    pub allow: bool,
    /// Ids of the determining policies.
    pub reasons: Option<BTreeSet<String>>,
    /// Ids of the policies that could not be evaluated.
    pub errors: Option<BTreeSet<String>>,
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
    /// Requests with policies that could not be evaluated, among all of these.
    pub with_errors: usize,
    /// Requests of which the reference was asked over all policies.
    pub checked_whole: usize,
    /// Requests of which the reference was asked over the policies in scope.
    pub checked_sliced: usize,
}

/// Compares our answers with the reference's, with and without validation and, for the sample, without the index.
///
/// # Errors
///
/// The first request to which the answers differ, with both answers.
pub fn check(
    requests: &[Request<'_>],
    ours: &mut Ours,
    reference: &Reference,
    whole: usize,
) -> Result<Mix, String> {
    let mut mix = Mix::default();
    for (at, request) in requests.iter().enumerate() {
        if let Some(refusal) = ours.refusal(request) {
            return Err(format!("request {at} is refused: {refusal}"));
        }
        let came = ours.answer(request, &VALIDATED);
        let unvalidated = ours.answer(request, &UNVALIDATED);
        differ(at, "not validated", "validated", &unvalidated, &came)?;
        if at < whole
            && let Some(expected) = reference.answer(at, false)
        {
            differ(at, "over all policies the reference", "our engine", &expected, &came)?;
            let scanned = ours.answer(request, &ALL_POLICIES);
            differ(at, "the reference", "our engine without index", &expected, &scanned)?;
            mix.checked_whole += 1;
        }
        if let Some(expected) = reference.answer(at, true) {
            differ(at, "over the policies in scope the reference", "our engine", &expected, &came)?;
            mix.checked_sliced += 1;
        }
        let no_reason = came.reasons.as_ref().is_none_or(BTreeSet::is_empty);
        let outcome = match (came.allow, no_reason) {
            (true, _) => &mut mix.allowed,
            (false, false) => &mut mix.forbidden,
            (false, true) => &mut mix.not_permitted,
        };
        *outcome += 1;
        mix.with_errors += usize::from(came.errors.is_some_and(|errors| !errors.is_empty()));
    }
    if mix.checked_whole == 0 {
        return Err("the reference was asked nothing".to_owned());
    }
    Ok(mix)
}

/// An error where two answers differ; where one has no reasons or errors, these are not compared.
///
/// # Errors
///
/// Both answers, named.
pub fn differ(
    at: usize,
    who: &str,
    other: &str,
    expected: &Answer,
    came: &Answer,
) -> Result<(), String> {
    let same = |a: &Option<BTreeSet<String>>, b: &Option<BTreeSet<String>>| {
        a.is_none() || b.is_none() || a == b
    };
    let agree = expected.allow == came.allow
        && same(&expected.reasons, &came.reasons)
        && same(&expected.errors, &came.errors);
    match agree {
        true => Ok(()),
        false => Err(format!("request {at}: {who} says {expected:?}, {other} {came:?}")),
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "test code fails loudly")]
mod tests {
    use pdp_core::json::Arena;

    use super::*;
    use crate::w1::{Policy, W1};

    fn checked(asked: &W1, ours: &W1) -> Result<Mix, String> {
        let (mut asked, ours) = (asked.clone().workload(), ours.clone().workload());
        asked.questions.truncate(200);
        let (mut ours, arena) = (Ours::new(&ours).unwrap(), Arena::new());
        let requests = ours.read_all(&asked, &arena).unwrap();
        check(&requests, &mut ours, &Reference::new(&asked, 200).unwrap(), 200)
    }

    #[test]
    fn an_engine_that_lacks_a_policy_is_found_out() {
        let workload = W1::new(200);
        assert!(checked(&workload, &workload).is_ok());
        for (gone, other) in
            [(Policy::Suspended, Policy::NotOwner), (Policy::NotOwner, Policy::Suspended)]
        {
            let mut poorer = workload.clone();
            // Replaced and not removed: the others keep their names.
            for policy in &mut poorer.policies {
                if *policy == gone {
                    *policy = other;
                }
            }
            assert!(checked(&workload, &poorer).is_err(), "without {gone:?}");
        }
    }

    #[test]
    fn bystanders_change_no_answer() {
        let (alone, crowded) = (W1::crowded(50, 0), W1::crowded(50, 500));
        assert_eq!(crowded.policies.len(), 550);
        let (before, after) = (checked(&alone, &alone), checked(&crowded, &crowded));
        assert_eq!(before.unwrap(), after.unwrap());
        for (before, after) in alone.questions.iter().zip(&crowded.questions) {
            assert_eq!(alone.matching(before), crowded.matching(after));
        }
    }

    #[test]
    fn the_slice_of_the_reference_is_what_the_workload_says_matches() {
        let workload = W1::new(500);
        let matching: usize = workload.questions.iter().map(|q| workload.matching(q).len()).sum();
        let mean = matching as f64 / workload.questions.len() as f64;
        let reference = Reference::new(&workload.workload(), usize::MAX).unwrap();
        assert!((reference.in_scope - mean).abs() < 1e-9, "{} and {mean}", reference.in_scope);
    }
}
