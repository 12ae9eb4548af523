//! `Authorize`: one question, one snapshot, one answer; and why, where that is asked for.

use pdp_core::Decider;

use super::Shared;
use crate::desk::{Room, isolated};
use crate::respond::NoAnswer;
use crate::{answer, authorize, pb};

/// Answers the bytes of a question.
pub(super) fn answer(shared: &Shared, message: &[u8]) -> Result<pb::AuthorizeResponse, NoAnswer> {
    let response = isolated(|room| {
        let decider = shared.desk.snapshot();
        let response = decide(shared, &decider, message, room)?;
        let bundle = decider.bundle().map(|bundle| answer::write_bundle(bundle));
        Ok(pb::AuthorizeResponse { bundle, ..response })
    })?;
    shared.fits(response)
}

/// Decides the bytes of a question. The answer does not name the bundle.
pub(super) fn decide(
    shared: &Shared,
    decider: &Decider,
    message: &[u8],
    room: &mut Room,
) -> Result<pb::AuthorizeResponse, NoAnswer> {
    let Room { arena, scratch } = room;
    arena.reset();
    let (desk, depth_max) = (&shared.desk, shared.limits.value_depth_max);
    let asked = authorize::read_asked(message, desk.now(), arena, depth_max)?;
    let verdict = desk.decide(desk.caller(), decider, scratch, &asked.request);
    let mut response = answer::write(&verdict);
    if asked.explain {
        response.explanation = Some(match desk.caller().explain {
            true => {
                let caller = desk.caller();
                answer::write_explanation(desk.explain(caller, decider, scratch, &asked.request))
            }
            false => pb::Explanation { legs: Vec::new(), withheld: WITHHELD.to_owned() },
        });
    }
    Ok(response)
}

/// What a caller is told who may not be told.
const WITHHELD: &str = "this server does not explain its answers to this caller; `explain` in its settings says to whom";
