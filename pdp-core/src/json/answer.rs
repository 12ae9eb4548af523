//! An answer as JSON: what the `pdp` tool prints and what modules give, written in one place.
//!
//! A field is added, never renamed or given another meaning. `errors` holds policy ids, as in `cases.toml`; the kind of each
//! error is beside it in `error_kinds`. It refuses to explain; who does puts that beside it.

use serde::Serialize;

use crate::outcome::{BundleName, ErrorKind, OwnedAnswer, OwnedLeg};

/// An answer, its fields in the order in which they are written.
#[derive(Debug, Serialize)]
pub struct AnswerShape<'a> {
    decision: &'static str,
    reason: &'static str,
    policies: &'a [String],
    errors: Vec<&'a str>,
    error_kinds: Vec<ErrorShape<'a>>,
    failed_leg: Option<String>,
    message: &'a str,
    legs: Vec<LegShape<'a>>,
    obligations: Vec<ObligationShape<'a>>,
    bundle: Option<BundleShape<'a>>,
}

#[derive(Debug, Serialize)]
struct ErrorShape<'a> {
    policy: &'a str,
    kind: &'static str,
}

#[derive(Debug, Serialize)]
struct LegShape<'a> {
    leg: String,
    decision: &'static str,
    reason: &'static str,
    policies: &'a [String],
    errors: Vec<&'a str>,
}

#[derive(Debug, Serialize)]
struct ObligationShape<'a> {
    policy: &'a str,
    key: &'a str,
    value: &'a str,
}

#[derive(Debug, Serialize)]
struct BundleShape<'a> {
    name: &'a str,
    revision: u64,
    digest: &'a str,
}

// === impl AnswerShape ===

impl<'a> AnswerShape<'a> {
    /// Of an answer.
    pub fn new(answer: &'a OwnedAnswer) -> Self {
        Self {
            decision: answer.effect.as_str(),
            reason: answer.reason.as_str(),
            policies: &answer.policies,
            errors: error_ids(&answer.errors),
            error_kinds: answer
                .errors
                .iter()
                .map(|(policy, kind)| ErrorShape { policy, kind: kind.as_str() })
                .collect(),
            failed_leg: answer.failed_leg.map(|leg| leg.to_string()),
            message: &answer.message,
            legs: answer.legs.iter().map(LegShape::new).collect(),
            obligations: answer
                .obligations
                .iter()
                .map(|(policy, key, value)| ObligationShape { policy, key, value })
                .collect(),
            bundle: answer.bundle.as_ref().map(BundleShape::new),
        }
    }
}

// === impl LegShape ===

impl<'a> LegShape<'a> {
    fn new(leg: &'a OwnedLeg) -> Self {
        Self {
            leg: leg.role.to_string(),
            decision: leg.effect.as_str(),
            reason: leg.reason.as_str(),
            policies: &leg.policies,
            errors: error_ids(&leg.errors),
        }
    }
}

// === impl BundleShape ===

impl<'a> BundleShape<'a> {
    fn new(BundleName { name, revision, digest }: &'a BundleName) -> Self {
        Self { name, revision: *revision, digest }
    }
}

/// Each policy once, however many errors it had.
fn error_ids(errors: &[(String, ErrorKind)]) -> Vec<&str> {
    let mut ids: Vec<&str> = errors.iter().map(|(id, _)| id.as_str()).collect();
    ids.dedup();
    ids
}

#[cfg(test)]
mod tests;
