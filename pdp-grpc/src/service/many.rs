//! `AuthorizeBatch` and `Filter`: many questions, one snapshot.
//!
//! They run on the thread that received the message, like single ones, and stop at the time that a request may take.

use prost::Message;

use super::{Shared, one};
use crate::answer::{Put, Written};
use crate::desk::{Asker, Candidates, Filtered, Origin, Part, Room, isolated};
use crate::metrics::Protocol;
use crate::respond::NoAnswer;
use crate::until::Until;
use crate::{answer, authorize, pb};

/// Room for most results.
const RESULT_BYTES: usize = 256;
/// So many questions of a batch go between two looks at the clock.
const BETWEEN_LOOKS: usize = 64;

/// Answers the bytes of a batch.
pub(super) fn batch(shared: &Shared, origin: &Origin, message: &[u8]) -> Result<Written, NoAnswer> {
    let written = shared.desk.answered(Protocol::Batch, results(shared, origin, message))?;
    shared.fits(Protocol::Batch, written.0.len())?;
    Ok(written)
}

/// An `AuthorizeBatchResponse`.
fn results(shared: &Shared, origin: &Origin, message: &[u8]) -> Result<Written, NoAnswer> {
    let until = Until::new(shared.limits.request_timeout_ms);
    let requests = authorize::read_batch(message)?;
    let max = shared.limits.batch_questions_max;
    few_enough(requests.len(), max, "questions", "batch_questions_max")?;
    let decider = shared.desk.snapshot();
    let asker = Asker { protocol: Protocol::Batch, origin };
    let mut out = Vec::with_capacity(requests.len().saturating_mul(RESULT_BYTES));
    let mut put = Put::at(&mut out);
    for few in requests.chunks(BETWEEN_LOOKS) {
        until.look()?;
        for request in few {
            answer::result(&mut put, 1, |out| {
                one::decide(shared, asker, &decider, request, None, out)
            });
        }
    }
    if let Some(bundle) = decider.bundle() {
        answer::bundle_name(&mut put, 2, bundle);
    }
    Ok(Written(out))
}

/// Answers the bytes of a filter.
pub(super) fn filter(
    shared: &Shared,
    origin: &Origin,
    message: &[u8],
) -> Result<pb::FilterResponse, NoAnswer> {
    let until = Until::new(shared.limits.request_timeout_ms);
    let (desk, protocol) = (&shared.desk, Protocol::Filter);
    let answered = isolated(|room| {
        let Room { arena, scratch } = room;
        arena.reset();
        let depth_max = shared.limits.value_depth_max;
        let asked = authorize::read_filter(message, desk.now(), arena, depth_max)?;
        let max = shared.limits.filter_candidates_max;
        few_enough(asked.candidates.len(), max, "candidates", "filter_candidates_max")?;
        let decider = desk.snapshot();
        let part = if asked.filters_actions { Part::Action } else { Part::Resource };
        let candidates = Candidates { uids: asked.candidates, part, attrs: &[] };
        let asker = Asker { protocol, origin };
        let filtered = desk.filter(asker, &decider, scratch, &asked.request, candidates, |_| {
            until.look().map(|()| true)
        })?;
        let bundle = decider.bundle().map(|bundle| answer::write_bundle(bundle));
        Ok(pb::FilterResponse { bundle, ..write(filtered) })
    });
    let response = desk.answered(protocol, answered)?;
    shared.fits(protocol, response.encoded_len())?;
    Ok(response)
}

fn write(filtered: Filtered) -> pb::FilterResponse {
    let denied = filtered.denied.into_iter().map(|(reason, positions, message)| pb::DeniedFor {
        reason: reason.as_str().to_owned(),
        positions,
        message,
    });
    pb::FilterResponse {
        allowed: filtered.allowed,
        denied: denied.collect(),
        bundle: None,
        decision_id: filtered.id.to_string(),
    }
}

fn few_enough(
    count: usize,
    max: u32,
    what: &'static str,
    limit: &'static str,
) -> Result<(), NoAnswer> {
    match u32::try_from(count) {
        Ok(few) if few <= max => Ok(()),
        _ => Err(NoAnswer::TooMany { what, limit, count, max }),
    }
}
