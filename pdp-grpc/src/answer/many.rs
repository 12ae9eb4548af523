//! Responses that carry many results, as a client takes them: all of it, each result once, or nothing.

use pdp_core::{BundleName, OwnedAnswer, Reason};

use super::{NotAnAnswer, read, read_bundle, read_reason};
use crate::client::{Denied, Filtered};
use crate::pb;
use crate::pb::authorize_result::Result as Kind;

/// Reads what one of many questions got: an answer, or why there is none.
pub(crate) fn read_result(
    result: Option<pb::AuthorizeResult>,
) -> Result<Result<OwnedAnswer, pb::Failure>, NotAnAnswer> {
    match result.and_then(|result| result.result) {
        Some(Kind::Answer(answer)) => Ok(Ok(read(answer)?)),
        Some(Kind::Failure(pb::Failure { code: 0, .. })) => {
            Err(NotAnAnswer::Contradiction("it is a failure and says that nothing failed"))
        }
        Some(Kind::Failure(failure)) => Ok(Err(failure)),
        None => Err(NotAnAnswer::Missing(
            "it is neither an answer nor a failure; use a client as new as the server",
        )),
    }
}

/// Reads a batch that answers so many questions. Its answers get the name of its bundle.
pub(crate) fn read_batch(
    response: pb::AuthorizeBatchResponse,
    questions: usize,
) -> Result<Vec<Result<OwnedAnswer, pb::Failure>>, NotAnAnswer> {
    let pb::AuthorizeBatchResponse { results, bundle } = response;
    if results.len() != questions {
        return Err(NotAnAnswer::Count { results: results.len(), questions });
    }
    let read = |(position, mut result): (usize, pb::AuthorizeResult)| {
        let own = match &mut result.result {
            Some(Kind::Answer(answer)) => std::mem::replace(&mut answer.bundle, bundle.clone()),
            _ => None,
        };
        let read = match own.is_some() && own != bundle {
            true => Err(NotAnAnswer::Contradiction("it names another bundle than its batch")),
            false => read_result(Some(result)),
        };
        read.map_err(|what| NotAnAnswer::Result { position, what: Box::new(what) })
    };
    results.into_iter().enumerate().map(read).collect()
}

/// Reads what a filter of so many candidates got.
pub(crate) fn read_filter(
    response: pb::FilterResponse,
    candidates: usize,
) -> Result<Filtered, NotAnAnswer> {
    let mut reasons = vec![None; candidates];
    let allowed = read_positions(response.allowed, Reason::Permitted, &mut reasons)?;
    let mut denied = Vec::with_capacity(response.denied.len());
    for pb::DeniedFor { reason, positions, message } in response.denied {
        let reason = read_reason(&reason)?;
        if reason == Reason::Permitted {
            return Err(NotAnAnswer::Contradiction("it denies because it permits"));
        }
        let positions = read_positions(positions, reason, &mut reasons)?;
        denied.push(Denied { reason, positions, message });
    }
    let bundle: Option<BundleName> = response.bundle.map(read_bundle);
    if bundle.is_none() && !allowed.is_empty() {
        return Err(NotAnAnswer::Contradiction("it allows and names no bundle"));
    }
    let of_each = |(position, reason): (usize, Option<Reason>)| {
        let what = "there is no verdict for it";
        reason.ok_or(NotAnAnswer::Candidate { position, candidates, what })
    };
    let reasons = reasons.into_iter().enumerate().map(of_each).collect::<Result<_, _>>()?;
    Ok(Filtered::new(reasons, denied, bundle))
}

/// Takes the reason down at each of the positions.
fn read_positions(
    positions: Vec<u32>,
    reason: Reason,
    reasons: &mut [Option<Reason>],
) -> Result<Vec<usize>, NotAnAnswer> {
    let candidates = reasons.len();
    let mut read = |position: u32| {
        let position = usize::try_from(position).unwrap_or(usize::MAX);
        let wrong = |what| Err(NotAnAnswer::Candidate { position, candidates, what });
        match reasons.get_mut(position) {
            None => wrong("nobody asked about it"),
            Some(Some(_)) => wrong("there are two verdicts for it"),
            Some(free) => {
                *free = Some(reason);
                Ok(position)
            }
        }
    };
    positions.into_iter().map(&mut read).collect()
}

#[cfg(test)]
mod tests;
