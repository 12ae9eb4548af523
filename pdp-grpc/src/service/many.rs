//! `AuthorizeBatch` and `Filter`: many questions, one snapshot.
//!
//! They run on the thread that received the message, like single ones, and stop at the time that a request may take.

use super::{Shared, one};
use crate::desk::{Asker, Candidates, Filtered, Origin, Part, Room, isolated};
use crate::metrics::Protocol;
use crate::respond::NoAnswer;
use crate::until::Until;
use crate::{answer, authorize, pb, respond};

/// So many questions of a batch go between two looks at the clock.
const BETWEEN_LOOKS: usize = 64;

/// Answers the bytes of a batch.
pub(super) fn batch(
    shared: &Shared,
    origin: &Origin,
    message: &[u8],
) -> Result<pb::AuthorizeBatchResponse, NoAnswer> {
    shared
        .desk
        .answered(Protocol::Batch, batch_results(shared, origin, message))
        .and_then(|response| shared.fits(Protocol::Batch, response))
}

fn batch_results(
    shared: &Shared,
    origin: &Origin,
    message: &[u8],
) -> Result<pb::AuthorizeBatchResponse, NoAnswer> {
    let until = Until::new(shared.limits.request_timeout_ms);
    let requests = authorize::read_batch(message)?;
    let max = shared.limits.batch_questions_max;
    few_enough(requests.len(), max, "questions", "batch_questions_max")?;
    let decider = shared.desk.snapshot();
    let asker = Asker { protocol: Protocol::Batch, origin };
    let mut results = Vec::with_capacity(requests.len());
    for few in requests.chunks(BETWEEN_LOOKS) {
        until.look()?;
        for request in few {
            results.push(result(one::decide(shared, asker, &decider, request)));
        }
    }
    let bundle = decider.bundle().map(|bundle| answer::write_bundle(bundle));
    Ok(pb::AuthorizeBatchResponse { results, bundle })
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
    desk.answered(protocol, answered).and_then(|response| shared.fits(protocol, response))
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
