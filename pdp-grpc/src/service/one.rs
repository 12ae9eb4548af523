//! `Authorize`: one question, one snapshot, one answer; and why, where that is asked for.

use pdp_core::{Bundle, Decider};

use super::Shared;
use crate::answer::Written;
use crate::desk::{Asker, Origin, Room, isolated};
use crate::metrics::Protocol;
use crate::respond::NoAnswer;
use crate::{answer, authorize, pb};

/// Room for most answers.
const BYTES: usize = 512;

/// Answers the bytes of a question.
pub(super) fn answer(
    shared: &Shared,
    origin: &Origin,
    message: &[u8],
) -> Result<Written, NoAnswer> {
    let mut out = Vec::with_capacity(BYTES);
    let asker = Asker { protocol: Protocol::Authorize, origin };
    with_bundle(shared, asker, message, &mut out)?;
    Ok(Written(out))
}

/// Answers the bytes of a question, from the bundle in force.
pub(super) fn with_bundle(
    shared: &Shared,
    asker: Asker<'_>,
    message: &[u8],
    out: &mut Vec<u8>,
) -> Result<(), NoAnswer> {
    let decider = shared.desk.snapshot();
    let begin = out.len();
    let bundle = decider.bundle().map(|bundle| &**bundle);
    decide(shared, asker, &decider, message, bundle, out)?;
    shared.fits(asker.protocol, out.len() - begin)
}

/// Decides the bytes of a question and appends an `AuthorizeResponse` that names `bundle`. After an error `out` may end
/// with half of one.
pub(super) fn decide(
    shared: &Shared,
    asker: Asker<'_>,
    decider: &Decider,
    message: &[u8],
    bundle: Option<&Bundle>,
    out: &mut Vec<u8>,
) -> Result<(), NoAnswer> {
    // A panic costs the question that caused it, and its memory.
    let answered = isolated(|room| {
        let Room { arena, scratch } = room;
        arena.reset();
        let (desk, depth_max) = (&shared.desk, shared.limits.value_depth_max);
        let asked = authorize::read_asked(message, desk.now(), arena, depth_max)?;
        let caller = &*asker.origin.caller;
        let verdict = desk.decide(asker, decider, scratch, &asked.request).for_caller()?;
        answer::response(out, &verdict, bundle);
        // What it adds is a field of its own, and fields may come in any order.
        if asked.explain && caller.explain {
            let why = desk.explain(caller, decider, scratch, &asked.request);
            answer::explanation(out, &answer::write_explanation(why));
        } else if asked.explain {
            let withheld = WITHHELD.to_owned();
            answer::explanation(out, &pb::Explanation { legs: Vec::new(), withheld });
        }
        Ok(())
    });
    shared.desk.answered(asker.protocol, answered)
}

/// What a caller is told who may not be told.
const WITHHELD: &str = "this server does not explain its answers to this caller; `explain` in its settings says to whom";
