//! What a question got: the core's answer, or a deny from before the core was asked, and why. It makes no message of it.

use pdp_core::{Answer, Decider, Effect, Reason};
use pdp_edge::Said;

use crate::decision_id::{self, DecisionId};
use crate::respond::NoAnswer;

/// What a question got.
#[derive(Debug)]
pub(crate) struct Verdict<'s> {
    id: DecisionId,
    kind: Kind<'s>,
}

/// The kinds of them.
#[derive(Debug)]
pub(super) enum Kind<'s> {
    /// The core's answer.
    Answered(Answer<'s>),
    /// A deny, `invalid_request`, before the core was asked, and a sentence for the caller.
    Refused(String),
    /// The same, because this caller may not ask this.
    NotForCaller(String),
    /// A deny before there was a question, and a code for what was in the way.
    NoQuestion(Reason, &'static str),
}

// === impl Verdict ===

impl<'s> Verdict<'s> {
    /// A verdict with a name of its own.
    pub(super) fn new(kind: Kind<'s>) -> Self {
        Self { id: decision_id::next(), kind }
    }

    /// A deny without the core.
    #[cfg(test)]
    pub(crate) fn refused(message: String) -> Self {
        Self::new(Kind::Refused(message))
    }

    /// A deny of what is no question.
    pub(super) fn no_question(decider: &Decider, code: &'static str) -> Self {
        let reason =
            if decider.bundle().is_some() { Reason::InvalidRequest } else { Reason::NoBundle };
        Self::new(Kind::NoQuestion(reason, code))
    }

    /// Its name in the decision log.
    pub(crate) fn id(&self) -> DecisionId {
        self.id
    }

    /// The core's answer, if it was asked.
    pub(crate) fn answer(&self) -> Option<&Answer<'s>> {
        match &self.kind {
            Kind::Answered(answer) => Some(answer),
            Kind::Refused(_) | Kind::NotForCaller(_) | Kind::NoQuestion(..) => None,
        }
    }

    /// Passes it on, unless its caller may not ask this.
    pub(crate) fn for_caller(self) -> Result<Self, NoAnswer> {
        match self.kind {
            Kind::NotForCaller(message) => Err(NoAnswer::NotForCaller(message)),
            _ => Ok(self),
        }
    }

    /// A sentence about an invalid request or a limit, else empty.
    pub(crate) fn message(&self) -> &str {
        match &self.kind {
            Kind::Answered(answer) => answer.message(),
            Kind::Refused(message) | Kind::NotForCaller(message) => message,
            Kind::NoQuestion(..) => "",
        }
    }

    /// A code for what was in the way, if a question was not taken at all.
    pub(crate) fn code(&self) -> Option<&'static str> {
        match self.kind {
            Kind::NoQuestion(_, code) => Some(code),
            Kind::NotForCaller(_) => Some("not_for_caller"),
            Kind::Answered(_) | Kind::Refused(_) => None,
        }
    }

    /// All of it, for a record.
    pub(crate) fn said(&self) -> Said<'_> {
        Said {
            effect: self.effect(),
            reason: self.reason(),
            message: self.message(),
            refusal: self.code(),
            answer: self.answer(),
        }
    }

    /// Allow or deny.
    pub(crate) fn effect(&self) -> Effect {
        self.answer().map_or(Effect::Deny, |answer| answer.effect())
    }

    /// Why.
    pub(crate) fn reason(&self) -> Reason {
        match &self.kind {
            Kind::Answered(answer) => answer.reason(),
            Kind::Refused(_) | Kind::NotForCaller(_) => Reason::InvalidRequest,
            Kind::NoQuestion(reason, _) => *reason,
        }
    }
}
