//! `Authorize`: one question, one snapshot, one answer; and why, where that is asked for.

use pdp_core::Decider;

use super::Shared;
use crate::desk::{Asker, Origin, Room, isolated};
use crate::metrics::Protocol;
use crate::respond::NoAnswer;
use crate::{answer, authorize, pb};

/// Answers the bytes of a question.
pub(super) fn answer(
    shared: &Shared,
    origin: &Origin,
    message: &[u8],
) -> Result<pb::AuthorizeResponse, NoAnswer> {
    with_bundle(shared, Asker { protocol: Protocol::Authorize, origin }, message)
}

/// Answers the bytes of a question, from the bundle in force.
pub(super) fn with_bundle(
    shared: &Shared,
    asker: Asker<'_>,
    message: &[u8],
) -> Result<pb::AuthorizeResponse, NoAnswer> {
    let decider = shared.desk.snapshot();
    let response = decide(shared, asker, &decider, message)?;
    let bundle = decider.bundle().map(|bundle| answer::write_bundle(bundle));
    shared.fits(asker.protocol, pb::AuthorizeResponse { bundle, ..response })
}

/// Decides the bytes of a question. The answer does not name the bundle.
pub(super) fn decide(
    shared: &Shared,
    asker: Asker<'_>,
    decider: &Decider,
    message: &[u8],
) -> Result<pb::AuthorizeResponse, NoAnswer> {
    // A panic costs the question that caused it, and its memory.
    let answered = isolated(|room| {
        let Room { arena, scratch } = room;
        arena.reset();
        let (desk, depth_max) = (&shared.desk, shared.limits.value_depth_max);
        let asked = authorize::read_asked(message, desk.now(), arena, depth_max)?;
        let caller = &*asker.origin.caller;
        let verdict = desk.decide(asker, decider, scratch, &asked.request).for_caller()?;
        let mut response = answer::write(&verdict);
        if asked.explain {
            response.explanation = Some(match caller.explain {
                true => answer::write_explanation(desk.explain(
                    caller,
                    decider,
                    scratch,
                    &asked.request,
                )),
                false => pb::Explanation { legs: Vec::new(), withheld: WITHHELD.to_owned() },
            });
        }
        Ok(response)
    });
    shared.desk.answered(asker.protocol, answered)
}

/// What a caller is told who may not be told.
const WITHHELD: &str = "this server does not explain its answers to this caller; `explain` in its settings says to whom";
