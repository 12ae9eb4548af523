//! One question about many things: which of them are allowed, and why the others are not.
//!
//! Every candidate has exactly one verdict, or there is none for any of them.

use pdp_core::{BundleName, Reason, Request, Uid};

use super::{Client, ClientError, unsendable};
use crate::{answer, authorize};

/// What a question is asked about, one after the other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Among<'a> {
    /// Resources; that of the request is not looked at.
    Resources(&'a [Uid<'a>]),
    /// Actions; that of the request is not looked at.
    Actions(&'a [Uid<'a>]),
}

/// Which candidates are allowed. Positions are those of the candidates as they were given, counted from 0.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Filtered {
    /// One for each candidate.
    reasons: Vec<Reason>,
    denied: Vec<Denied>,
    bundle: Option<BundleName>,
}

/// Candidates that are denied for one reason.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Denied {
    /// Why; never [`Reason::Permitted`].
    pub reason: Reason,
    /// Their positions.
    pub positions: Vec<usize>,
    /// A sentence about the first of them, when the reason is an invalid request or a limit, else empty.
    pub message: String,
}

impl Client {
    /// Asks one question about many resources or actions; it costs far less than as many questions. One snapshot answers
    /// all. A server takes 8,192 candidates and 1 MiB in one call, if nobody told it otherwise.
    ///
    /// # Errors
    ///
    /// When there is no complete answer, for whatever reason: treat all candidates as denied.
    pub async fn filter(
        &self,
        request: &Request<'_>,
        among: Among<'_>,
    ) -> Result<Filtered, ClientError> {
        let message = authorize::write_filter(request, among).map_err(unsendable)?;
        let candidates = message.candidates.len();
        let mut inner = self.inner.clone();
        let response = self.within(inner.filter(self.timed(message))).await?;
        answer::read_filter(response, candidates).map_err(|what| self.not_an_answer(what))
    }
}

// === impl Filtered ===

impl Filtered {
    pub(crate) fn new(
        reasons: Vec<Reason>,
        denied: Vec<Denied>,
        bundle: Option<BundleName>,
    ) -> Self {
        Self { reasons, denied, bundle }
    }

    /// Positions of the candidates that are allowed, ascending.
    pub fn allowed(&self) -> impl Iterator<Item = usize> {
        let reasons = self.reasons.iter().enumerate();
        reasons.filter(|(_, reason)| **reason == Reason::Permitted).map(|(position, _)| position)
    }

    /// Whether the candidate there is allowed; where there is none, nothing is.
    pub fn is_allowed(&self, position: usize) -> bool {
        self.reason(position) == Some(Reason::Permitted)
    }

    /// Why the candidate there is allowed or denied; `None` where there is none.
    pub fn reason(&self, position: usize) -> Option<Reason> {
        self.reasons.get(position).copied()
    }

    /// The denied candidates, by reason.
    pub fn denied(&self) -> &[Denied] {
        &self.denied
    }

    /// The bundle that decided; none when there was none.
    pub fn bundle(&self) -> Option<&BundleName> {
        self.bundle.as_ref()
    }
}
