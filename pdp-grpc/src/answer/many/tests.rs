//! Batches and filters as a client takes them, or does not.

#![expect(clippy::unwrap_used, reason = "a test stops at the first surprise")]

use pdp_core::Effect;

use super::*;

fn bundle(name: &str) -> pb::BundleName {
    pb::BundleName { name: name.to_owned(), revision: 7, digest: "00ff".to_owned() }
}

fn allow() -> pb::AuthorizeResponse {
    pb::AuthorizeResponse {
        effect: pb::Effect::Allow.into(),
        reason: "permitted".to_owned(),
        ..pb::AuthorizeResponse::default()
    }
}

fn deny() -> pb::AuthorizeResponse {
    pb::AuthorizeResponse {
        effect: pb::Effect::Deny.into(),
        reason: "forbidden".to_owned(),
        ..pb::AuthorizeResponse::default()
    }
}

fn answer(answer: pb::AuthorizeResponse) -> pb::AuthorizeResult {
    pb::AuthorizeResult { result: Some(Kind::Answer(answer)) }
}

fn failure(code: i32) -> pb::AuthorizeResult {
    let message = "why".to_owned();
    pb::AuthorizeResult { result: Some(Kind::Failure(pb::Failure { code, message })) }
}

fn batch(results: Vec<pb::AuthorizeResult>) -> pb::AuthorizeBatchResponse {
    pb::AuthorizeBatchResponse { results, bundle: Some(bundle("b")) }
}

#[track_caller]
fn refused_batch(response: pb::AuthorizeBatchResponse, questions: usize, expected: &str) {
    assert_eq!(read_batch(response, questions).unwrap_err().to_string(), expected);
}

#[test]
fn a_batch_is_read_whole_and_its_answers_name_its_bundle() {
    let own = pb::AuthorizeResponse { bundle: Some(bundle("b")), ..deny() };
    let results = batch(vec![answer(allow()), failure(3), answer(deny()), answer(own)]);
    let read = read_batch(results, 4).unwrap();
    let effects: Vec<_> =
        read.iter().map(|result| result.as_ref().map(|answer| answer.effect)).collect();
    let why = pb::Failure { code: 3, message: "why".to_owned() };
    assert_eq!(effects, [Ok(Effect::Allow), Err(&why), Ok(Effect::Deny), Ok(Effect::Deny)]);
    for answer in read.iter().flatten() {
        assert_eq!(answer.bundle, Some(read_bundle(bundle("b"))));
    }
    assert_eq!(read_batch(batch(Vec::new()), 0).unwrap(), []);
}

#[test]
fn a_batch_with_more_or_fewer_results_than_questions_is_refused_whole() {
    let results = |count| batch(vec![answer(allow()); count]);
    refused_batch(results(1), 2, "it has 1 results for 2 questions");
    refused_batch(results(3), 2, "it has 3 results for 2 questions");
    refused_batch(results(0), 1, "it has 0 results for 1 questions");
}

#[test]
fn one_result_that_cannot_be_acted_on_spoils_the_batch() {
    let second = |result| batch(vec![answer(deny()), result]);
    let unknown = pb::AuthorizeResult { result: None };
    refused_batch(
        second(unknown),
        2,
        "result 1: it is neither an answer nor a failure; use a client as new as the server",
    );
    refused_batch(second(failure(0)), 2, "result 1: it is a failure and says that nothing failed");
    let contradiction = pb::AuthorizeResponse { reason: "forbidden".to_owned(), ..allow() };
    refused_batch(second(answer(contradiction)), 2, "result 1: its effect and its reason differ");
    let elsewhere = pb::AuthorizeResponse { bundle: Some(bundle("c")), ..allow() };
    refused_batch(second(answer(elsewhere)), 2, "result 1: it names another bundle than its batch");
    // Nor does an answer's own name stand in for that of the batch.
    let own = pb::AuthorizeResponse { bundle: Some(bundle("b")), ..allow() };
    for (alone, expected) in [
        (allow(), "result 0: it allows and names no bundle"),
        (own, "result 0: it names another bundle than its batch"),
    ] {
        let response = pb::AuthorizeBatchResponse { bundle: None, ..batch(vec![answer(alone)]) };
        refused_batch(response, 1, expected);
    }
}

// === filters ===

fn denied(reason: &str, positions: &[u32]) -> pb::DeniedFor {
    let (reason, positions) = (reason.to_owned(), positions.to_vec());
    pb::DeniedFor { reason, positions, message: "m".to_owned() }
}

fn filter(allowed: &[u32], denied: Vec<pb::DeniedFor>) -> pb::FilterResponse {
    pb::FilterResponse {
        allowed: allowed.to_vec(),
        denied,
        bundle: Some(bundle("b")),
        decision_id: String::new(),
    }
}

#[track_caller]
fn refused_filter(response: pb::FilterResponse, candidates: usize, expected: &str) {
    assert_eq!(read_filter(response, candidates).unwrap_err().to_string(), expected);
}

#[test]
fn a_filter_is_read_whole() {
    let response = filter(&[1, 4], vec![denied("forbidden", &[0, 3]), denied("limit", &[2])]);
    let read = read_filter(response, 5).unwrap();
    assert_eq!(read.allowed().collect::<Vec<_>>(), [1, 4]);
    let is_allowed: Vec<_> = (0..6).map(|position| read.is_allowed(position)).collect();
    assert_eq!(is_allowed, [false, true, false, false, true, false]);
    assert_eq!(read.reason(3), Some(Reason::Forbidden));
    assert_eq!((read.reason(2), read.reason(5)), (Some(Reason::Limit), None));
    let message = "m".to_owned();
    assert_eq!(
        read.denied(),
        [
            Denied { reason: Reason::Forbidden, positions: vec![0, 3], message: message.clone() },
            Denied { reason: Reason::Limit, positions: vec![2], message },
        ]
    );
    assert_eq!(read.bundle(), Some(&read_bundle(bundle("b"))));
    // Without a bundle everything is denied, which is an answer, too.
    let nothing = vec![denied("no_bundle", &[0])];
    let response = pb::FilterResponse { bundle: None, ..filter(&[], nothing) };
    assert_eq!(read_filter(response, 1).unwrap().allowed().count(), 0);
}

#[test]
fn a_filter_that_speaks_of_too_much_too_little_or_twice_is_refused() {
    let forbidden = |positions: &[u32]| vec![denied("forbidden", positions)];
    refused_filter(filter(&[0, 2], vec![]), 2, "candidate 2 of 2: nobody asked about it");
    refused_filter(
        filter(&[], forbidden(&[u32::MAX])),
        1,
        "candidate 4294967295 of 1: nobody asked about it",
    );
    refused_filter(filter(&[0], vec![]), 2, "candidate 1 of 2: there is no verdict for it");
    refused_filter(filter(&[], vec![]), 1, "candidate 0 of 1: there is no verdict for it");
    let twice = "candidate 1 of 2: there are two verdicts for it";
    refused_filter(filter(&[0, 1], forbidden(&[1])), 2, twice);
    refused_filter(filter(&[0, 1, 1], vec![]), 2, twice);
    refused_filter(filter(&[0], forbidden(&[1, 1])), 2, twice);
}

#[test]
fn a_filter_that_contradicts_itself_is_refused() {
    refused_filter(
        filter(&[0], vec![denied("permitted", &[1])]),
        2,
        "it denies because it permits",
    );
    refused_filter(
        filter(&[0], vec![denied("revoked", &[1])]),
        2,
        "`reason` is `revoked`, which this client does not know; use one as new as the server",
    );
    refused_filter(
        pb::FilterResponse { bundle: None, ..filter(&[0], vec![]) },
        1,
        "it allows and names no bundle",
    );
}
