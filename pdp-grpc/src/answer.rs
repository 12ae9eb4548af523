//! Answers of the core as messages of `pdp.v1`, and what a client makes of such a message.
//!
//! `put` writes an answer out of the caller's scratch. [`read`] trusts nothing it receives: an answer that names an
//! effect, reason or role it does not know, or that contradicts itself, is an error and never an allow.

use std::fmt;

use pdp_core::{
    Bundle, BundleName, Effect, ErrorKind, LegExplanation, LegRole, NearMiss, OwnedAnswer,
    OwnedLeg, PolicyNote, Reason,
};

use crate::pb;
use crate::text::shorten;

mod many;
mod put;

pub(crate) use many::{read_batch, read_filter, read_result};
pub(crate) use put::{Put, Written, bundle_name, explanation, response, result};

/// How much of an unknown code is repeated in an error.
const CODE_CHARS_MAX: usize = 40;

/// Why a response is no answer that a client may act on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum NotAnAnswer {
    /// Neither allow nor deny.
    Effect(i32),
    /// A code this client does not know.
    Code { field: &'static str, code: String },
    /// An allow that something else in the answer speaks against, or a deny that says it is permitted.
    Contradiction(&'static str),
    /// There is nothing where an answer should be.
    Missing(&'static str),
    /// A batch with more or fewer results than questions.
    Count { results: usize, questions: usize },
    /// What is wrong with one result of a batch.
    Result { position: usize, what: Box<NotAnAnswer> },
    /// What is wrong with the verdict for one candidate of a filter.
    Candidate { position: usize, candidates: usize, what: &'static str },
    /// An answer on a stream with the id of no question in flight.
    Stray(u64),
}

/// Reads a response, all of it.
pub(crate) fn read(response: pb::AuthorizeResponse) -> Result<OwnedAnswer, NotAnAnswer> {
    let answer = OwnedAnswer {
        effect: read_effect(response.effect)?,
        reason: read_reason(&response.reason)?,
        policies: response.policies,
        errors: read_errors(response.errors)?,
        legs: response.legs.into_iter().map(read_leg).collect::<Result<_, _>>()?,
        failed_leg: match response.failed_leg.as_str() {
            "" => None,
            role => Some(read_role("failed_leg", role)?),
        },
        obligations: response.obligations.into_iter().map(|o| (o.policy, o.key, o.value)).collect(),
        message: response.message,
        bundle: response.bundle.map(read_bundle),
    };
    agrees_with_itself(&answer)?;
    Ok(answer)
}

fn agrees_with_itself(answer: &OwnedAnswer) -> Result<(), NotAnAnswer> {
    let permitted = |effect, reason| (effect == Effect::Allow) == (reason == Reason::Permitted);
    let contradiction = if !permitted(answer.effect, answer.reason) {
        "its effect and its reason differ"
    } else if !answer.legs.iter().all(|leg| permitted(leg.effect, leg.reason)) {
        "the effect and the reason of a leg differ"
    } else if answer.effect == Effect::Deny {
        return Ok(());
    } else if answer.bundle.is_none() {
        "it allows and names no bundle"
    } else if answer.failed_leg.is_some()
        || answer.legs.iter().any(|leg| leg.effect == Effect::Deny)
    {
        "it allows although a leg denies"
    } else {
        return Ok(());
    };
    Err(NotAnAnswer::Contradiction(contradiction))
}

// === why ===

/// Copies an explanation.
pub(crate) fn write_explanation(legs: Vec<LegExplanation>) -> pb::Explanation {
    let withheld = if legs.is_empty() { "the question did not get as far as a policy" } else { "" };
    pb::Explanation {
        legs: legs.into_iter().map(write_leg_explanation).collect(),
        withheld: withheld.to_owned(),
    }
}

fn write_leg_explanation(leg: LegExplanation) -> pb::LegExplanation {
    pb::LegExplanation {
        role: leg.role.to_string(),
        principal: leg.principal,
        determining: leg.determining.into_iter().map(write_note).collect(),
        failing: leg.failing.into_iter().map(write_note).collect(),
        nearest: leg.nearest.into_iter().map(write_near_miss).collect(),
    }
}

fn write_note(note: PolicyNote) -> pb::PolicyNote {
    pb::PolicyNote {
        id: note.id,
        effect: note.effect.to_owned(),
        file: note.file.unwrap_or_default(),
        line: note.line.unwrap_or_default(),
        text: note.text.unwrap_or_default(),
        error: note.error.unwrap_or_default(),
    }
}

fn write_near_miss(miss: NearMiss) -> pb::NearMiss {
    pb::NearMiss {
        policy: Some(write_note(miss.policy)),
        clause: miss.clause,
        line: miss.line.unwrap_or_default(),
        expected: miss.expected,
        actual: miss.actual,
    }
}

// === parts, to the wire ===

/// Names a bundle.
pub(crate) fn write_bundle(bundle: &Bundle) -> pb::BundleName {
    pb::BundleName {
        name: bundle.name().to_owned(),
        revision: bundle.revision(),
        digest: bundle.digest_hex().to_owned(),
    }
}

// === parts, from the wire ===

fn read_effect(effect: i32) -> Result<Effect, NotAnAnswer> {
    match pb::Effect::try_from(effect) {
        Ok(pb::Effect::Allow) => Ok(Effect::Allow),
        Ok(pb::Effect::Deny) => Ok(Effect::Deny),
        Ok(pb::Effect::Unspecified) | Err(_) => Err(NotAnAnswer::Effect(effect)),
    }
}

fn read_reason(code: &str) -> Result<Reason, NotAnAnswer> {
    Reason::ALL
        .into_iter()
        .find(|reason| reason.as_str() == code)
        .ok_or_else(|| NotAnAnswer::code("reason", code))
}

fn read_bundle(bundle: pb::BundleName) -> BundleName {
    BundleName { name: bundle.name, revision: bundle.revision, digest: bundle.digest }
}

fn read_errors(errors: Vec<pb::PolicyError>) -> Result<Vec<(String, ErrorKind)>, NotAnAnswer> {
    let read = |error: pb::PolicyError| {
        let kind = ErrorKind::ALL.into_iter().find(|kind| kind.as_str() == error.kind);
        Ok((error.policy, kind.ok_or_else(|| NotAnAnswer::code("kind", &error.kind))?))
    };
    errors.into_iter().map(read).collect()
}

fn read_leg(leg: pb::Leg) -> Result<OwnedLeg, NotAnAnswer> {
    Ok(OwnedLeg {
        role: read_role("role", &leg.role)?,
        effect: read_effect(leg.effect)?,
        reason: read_reason(&leg.reason)?,
        policies: leg.policies,
        errors: read_errors(leg.errors)?,
    })
}

fn read_role(field: &'static str, code: &str) -> Result<LegRole, NotAnAnswer> {
    let role = match code {
        "principal" => Some(LegRole::Principal),
        "subject" => Some(LegRole::Subject),
        _ => code
            .strip_prefix("actor[")
            .and_then(|rest| rest.strip_suffix(']'))
            .filter(|number| number.bytes().all(|b| b.is_ascii_digit()))
            .and_then(|number| number.parse().ok())
            .map(LegRole::Actor),
    };
    role.ok_or_else(|| NotAnAnswer::code(field, code))
}

// === impl NotAnAnswer ===

impl NotAnAnswer {
    fn code(field: &'static str, code: &str) -> Self {
        Self::Code { field, code: shorten(&code.escape_debug().to_string(), CODE_CHARS_MAX) }
    }
}

impl fmt::Display for NotAnAnswer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            NotAnAnswer::Effect(effect) => {
                write!(f, "the effect {effect} is neither allow nor deny")
            }
            NotAnAnswer::Code { field, code } => {
                write!(
                    f,
                    "`{field}` is `{code}`, which this client does not know; use one as new as the server"
                )
            }
            NotAnAnswer::Contradiction(what) | NotAnAnswer::Missing(what) => f.write_str(what),
            NotAnAnswer::Count { results, questions } => {
                write!(f, "it has {results} results for {questions} questions")
            }
            NotAnAnswer::Result { position, what } => write!(f, "result {position}: {what}"),
            NotAnAnswer::Candidate { position, candidates, what } => {
                write!(f, "candidate {position} of {candidates}: {what}")
            }
            NotAnAnswer::Stray(id) => write!(
                f,
                "an answer has the id {id}, which no question in flight has, so that none of the stream can be trusted"
            ),
        }
    }
}

#[cfg(test)]
mod tests;
