//! `AuthorizeBatch` and `Filter`: many questions, one snapshot.
//!
//! They run on the thread that received the message, like single ones, and stop at the time that a request may take.

use std::time::{Duration, Instant};

use pdp_core::{Decider, Effect, Reason, Request, Scratch, Uid};

use super::{Shared, one};
use crate::authorize::Asked;
use crate::desk::{Room, Verdict, isolated};
use crate::respond::NoAnswer;
use crate::{answer, authorize, pb, respond};

/// So many questions go between two looks at the clock.
const BETWEEN_LOOKS: usize = 64;

/// When a request has taken too long.
struct Until {
    end: Instant,
    ms: u32,
}

/// Answers the bytes of a batch.
pub(super) fn batch(
    shared: &Shared,
    message: &[u8],
) -> Result<pb::AuthorizeBatchResponse, NoAnswer> {
    let until = Until::new(shared.limits.request_timeout_ms);
    let requests = authorize::read_batch(message)?;
    few_enough(
        requests.len(),
        shared.limits.batch_questions_max,
        "questions",
        "batch_questions_max",
    )?;
    let decider = shared.desk.snapshot();
    let mut results = Vec::with_capacity(requests.len());
    for few in requests.chunks(BETWEEN_LOOKS) {
        until.look()?;
        for request in few {
            // A panic costs the question that caused it, and its memory.
            let answered = isolated(|room| one::decide(shared, &decider, request, room));
            results.push(result(answered));
        }
    }
    let bundle = decider.bundle().map(|bundle| answer::write_bundle(bundle));
    shared.fits(pb::AuthorizeBatchResponse { results, bundle })
}

/// What one of many questions got, as a message.
pub(super) fn result(answered: Result<pb::AuthorizeResponse, NoAnswer>) -> pb::AuthorizeResult {
    use pb::authorize_result::Result as Kind;
    pb::AuthorizeResult {
        result: Some(match answered {
            Ok(answer) => Kind::Answer(answer),
            Err(no_answer) => Kind::Failure(respond::failure(&no_answer)),
        }),
    }
}

/// Answers the bytes of a filter.
pub(super) fn filter(shared: &Shared, message: &[u8]) -> Result<pb::FilterResponse, NoAnswer> {
    let until = Until::new(shared.limits.request_timeout_ms);
    let response = isolated(|room| {
        let Room { arena, scratch } = room;
        arena.reset();
        let now = shared.desk.now();
        let asked = authorize::read_filter(message, now, arena, shared.limits.value_depth_max)?;
        few_enough(
            asked.candidates.len(),
            shared.limits.filter_candidates_max,
            "candidates",
            "filter_candidates_max",
        )?;
        let decider = shared.desk.snapshot();
        let mut response = pb::FilterResponse {
            bundle: decider.bundle().map(|bundle| answer::write_bundle(bundle)),
            ..pb::FilterResponse::default()
        };
        let mut at = 0;
        for candidates in asked.candidates.chunks(BETWEEN_LOOKS) {
            until.look()?;
            decide(shared, &decider, scratch, &asked, candidates, |verdict| {
                response.note(at, &verdict);
                at += 1;
            });
        }
        Ok(response)
    })?;
    shared.fits(response)
}

fn decide(
    shared: &Shared,
    decider: &Decider,
    scratch: &mut Scratch,
    asked: &Asked<'_>,
    candidates: &[Uid<'_>],
    mut each: impl FnMut(Verdict<'_>),
) {
    let (desk, caller) = (&shared.desk, shared.desk.caller());
    if asked.filters_actions {
        for action in candidates {
            let request = Request { action: *action, ..asked.request };
            each(desk.effect(caller, decider, scratch, &request));
        }
    } else {
        desk.filter(caller, decider, scratch, &asked.request, candidates, each);
    }
}

fn few_enough(
    count: usize,
    max: u32,
    what: &'static str,
    limit: &'static str,
) -> Result<(), NoAnswer> {
    match u32::try_from(count) {
        Ok(count) if count <= max => Ok(()),
        _ => Err(NoAnswer::TooMany { what, limit, count, max }),
    }
}

// === impl FilterResponse ===

impl pb::FilterResponse {
    /// Adds the next candidate.
    fn note(&mut self, at: u32, verdict: &Verdict<'_>) {
        match verdict.effect() {
            Effect::Allow => self.allowed.push(at),
            Effect::Deny => self.denied_for(verdict.reason(), verdict.message()).positions.push(at),
        }
    }

    fn denied_for(&mut self, reason: Reason, message: &str) -> &mut pb::DeniedFor {
        let code = reason.as_str();
        // There are few reasons, and mostly one.
        let found = self.denied.iter().position(|denied| denied.reason == code);
        let at = found.unwrap_or(self.denied.len());
        if found.is_none() {
            let (reason, message) = (code.to_owned(), message.to_owned());
            self.denied.push(pb::DeniedFor { reason, positions: Vec::new(), message });
        }
        #[expect(clippy::indexing_slicing, reason = "the place was found or made just above")]
        &mut self.denied[at]
    }
}

// === impl Until ===

impl Until {
    fn new(ms: u32) -> Self {
        Self { end: Instant::now() + Duration::from_millis(ms.into()), ms }
    }

    fn look(&self) -> Result<(), NoAnswer> {
        if Instant::now() < self.end { Ok(()) } else { Err(NoAnswer::TooLate { ms: self.ms }) }
    }
}
