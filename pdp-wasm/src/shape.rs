//! Answers as JSON, in the shape that `pdp decide --json` prints, and what is said about a bundle.
//!
//! A field is added, never renamed or given another meaning. Two things differ from the tool: there is no explanation,
//! and a request that cannot be read is an answer, too: a denial with reason `invalid_request` and the sentence as its
//! message. Nothing here is on the fast path.

use pdp_core::{BundleName, ErrorKind, OwnedAnswer, OwnedLeg};
use serde::Serialize;

use crate::desk::Info;

/// An answer in JSON.
pub fn answer(answer: &OwnedAnswer) -> Vec<u8> {
    let shape =
        AnswerShape {
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
            bundle: answer.bundle.as_ref().map(|BundleName { name, revision, digest }| {
                BundleShape { name, revision: *revision, digest }
            }),
        };
    json(&shape)
}

/// What is in force, in JSON.
pub fn info(info: &Info) -> Vec<u8> {
    let Info { name, revision, digest, policies, entities, bytes, has_schema } = info;
    json(&InfoShape {
        name,
        revision: *revision,
        digest,
        policies: *policies,
        entities: *entities,
        bytes: *bytes,
        has_schema: *has_schema,
    })
}

#[derive(Serialize)]
struct AnswerShape<'a> {
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

#[derive(Serialize)]
struct ErrorShape<'a> {
    policy: &'a str,
    kind: &'static str,
}

#[derive(Serialize)]
struct LegShape<'a> {
    leg: String,
    decision: &'static str,
    reason: &'static str,
    policies: &'a [String],
    errors: Vec<&'a str>,
}

#[derive(Serialize)]
struct ObligationShape<'a> {
    policy: &'a str,
    key: &'a str,
    value: &'a str,
}

#[derive(Serialize)]
struct BundleShape<'a> {
    name: &'a str,
    revision: u64,
    digest: &'a str,
}

#[derive(Serialize)]
struct InfoShape<'a> {
    name: &'a str,
    revision: u64,
    digest: &'a str,
    policies: u32,
    entities: u32,
    bytes: u64,
    has_schema: bool,
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

/// Each policy once, however many errors it had.
fn error_ids(errors: &[(String, ErrorKind)]) -> Vec<&str> {
    let mut ids: Vec<&str> = errors.iter().map(|(id, _)| id.as_str()).collect();
    ids.dedup();
    ids
}

fn json(shape: &impl Serialize) -> Vec<u8> {
    // Strings, numbers and lists of them always serialise.
    serde_json::to_vec(shape).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use pdp_core::{Effect, LegRole, Reason};

    use super::*;

    #[test]
    fn an_answer_has_the_shape_that_the_tool_prints() {
        let leg = |role, effect, reason, policies: &[&str]| OwnedLeg {
            role,
            effect,
            reason,
            policies: policies.iter().map(|id| (*id).to_owned()).collect(),
            errors: vec![("G2".to_owned(), ErrorKind::EntityMissing)],
        };
        let sample = OwnedAnswer {
            effect: Effect::Deny,
            reason: Reason::DelegatorNotPermitted,
            policies: vec!["F\"1".to_owned()],
            errors: vec![
                ("G2".to_owned(), ErrorKind::EntityMissing),
                ("G2".to_owned(), ErrorKind::Overflow),
            ],
            legs: vec![
                leg(LegRole::Principal, Effect::Allow, Reason::Permitted, &["P1"]),
                leg(LegRole::Actor(0), Effect::Deny, Reason::Forbidden, &["F\"1"]),
            ],
            failed_leg: Some(LegRole::Actor(0)),
            obligations: vec![("F\"1".to_owned(), "obligation".to_owned(), "log".to_owned())],
            message: "why\nnot".to_owned(),
            bundle: Some(BundleName { name: "b".to_owned(), revision: 7, digest: "ab".to_owned() }),
        };
        // Word for word what the tests of the tool's own shape expect.
        let expected = concat!(
            r#"{"decision":"deny","reason":"delegator_not_permitted","policies":["F\"1"],"errors":["G2"],"#,
            r#""error_kinds":[{"policy":"G2","kind":"entity_missing"},{"policy":"G2","kind":"overflow"}],"#,
            r#""failed_leg":"actor[0]","message":"why\nnot","#,
            r#""legs":[{"leg":"principal","decision":"allow","reason":"permitted","policies":["P1"],"errors":["G2"]},"#,
            r#"{"leg":"actor[0]","decision":"deny","reason":"forbidden","policies":["F\"1"],"errors":["G2"]}],"#,
            r#""obligations":[{"policy":"F\"1","key":"obligation","value":"log"}],"#,
            r#""bundle":{"name":"b","revision":7,"digest":"ab"}}"#,
        );
        assert_eq!(String::from_utf8_lossy(&answer(&sample)), expected);
    }
}
