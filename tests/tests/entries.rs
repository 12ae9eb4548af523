//! The same questions through every way in: library, `Authorize`, batch, stream, filter and Envoy's give one answer.
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "test code fails loudly"
)]

use std::collections::BTreeMap;
use std::sync::Arc;

use pdp_core::json::Arena;
use pdp_core::{Bundle, Datetime, DecideOptions, Decider, Effect, OwnedAnswer, Request, Scratch};
use pdp_grpc::pb::authorization_client::AuthorizationClient;
use pdp_grpc::{Among, Client, ClientError, pb};
use pdp_tests::check;
use pdp_tests::check::question::Table;
use pdp_tests::served::{self, Served};
use prost::Message;
use std::pin::Pin;
use std::task::Poll;
use std::time::Duration;
use tonic::transport::{Channel, Endpoint};

const FOLDERS: [&str; 3] = ["agent-tools", "documents", "routes"];
const QUESTIONS: usize = 700;
/// 2026-06-01T12:00:00Z, when the cases of these folders take place.
const NOW: Datetime = Datetime(1_780_315_200_000);
const SOON: Duration = Duration::from_secs(20);

/// A question as it is sent, and what the library answers.
struct Question {
    message: pb::AuthorizeRequest,
    expected: OwnedAnswer,
}

fn questions(bundle: &Arc<Bundle>) -> Vec<Question> {
    let (decider, mut scratch) = (Decider::new(Arc::clone(bundle)), Scratch::new());
    let texts = served::questions(bundle, QUESTIONS, 4);
    let ask = |text: &String| {
        let arena = Arena::new();
        let request = served::read(text, bundle, &arena, NOW);
        let answer = decider.decide_with(&mut scratch, &request, &DecideOptions::STANDARD);
        Question { message: message(&request), expected: answer.to_owned() }
    };
    texts.iter().map(ask).collect()
}

fn message(request: &Request<'_>) -> pb::AuthorizeRequest {
    let bytes = pdp_grpc::write_request(&Request { now: None, ..*request }).unwrap();
    pb::AuthorizeRequest::decode(&*bytes).unwrap()
}

async fn bare(served: &Served) -> AuthorizationClient<Channel> {
    let channel = Endpoint::from_shared(served.url()).unwrap().connect().await.unwrap();
    AuthorizationClient::new(channel)
}

#[track_caller]
fn answered(result: pb::AuthorizeResult) -> pb::AuthorizeResponse {
    match result.result {
        Some(pb::authorize_result::Result::Answer(answer)) => answer,
        other => panic!("no answer but {other:?}"),
    }
}

/// Waits for all of them at the same time.
async fn all<T>(futures: impl Iterator<Item = impl Future<Output = T>>) -> Vec<T> {
    let mut waiting: Vec<_> = futures.map(|future| (Box::pin(future), None)).collect();
    std::future::poll_fn(|context| {
        for (future, done) in &mut waiting {
            if done.is_none()
                && let Poll::Ready(value) = Pin::new(future).poll(context)
            {
                *done = Some(value);
            }
        }
        if waiting.iter().all(|(_, done)| done.is_some()) { Poll::Ready(()) } else { Poll::Pending }
    })
    .await;
    waiting.into_iter().filter_map(|(_, done)| done).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn two_thousand_questions_get_one_answer_whichever_way_they_come() {
    let (mut asked, mut allowed, mut denied) = (0, 0, BTreeMap::new());
    for folder in FOLDERS {
        let bundle = served::bundle(folder);
        let questions = questions(&bundle);
        let served =
            Served::start(Arc::clone(&bundle), NOW, |config| config.trust_delegation = true);
        let client = Client::connect(&served.url(), SOON).await.unwrap();
        let (texts, arena) = (served::questions(&bundle, QUESTIONS, 4), Arena::new());
        let read = |text| Request { now: None, ..served::read(text, &bundle, &arena, NOW) };
        let requests: Vec<_> = texts.iter().map(|text| read(text)).collect();

        // One by one.
        for (at, request) in requests.iter().enumerate() {
            let answer = client.authorize(request).await.unwrap();
            assert_eq!(answer, questions[at].expected, "{}", texts[at]);
        }

        // In one batch.
        let answers = client.authorize_batch(&requests).await.unwrap();
        assert_eq!(answers.len(), questions.len());
        for (at, answer) in answers.into_iter().enumerate() {
            assert_eq!(answer.unwrap(), questions[at].expected, "{}", texts[at]);
        }

        // In one stream, all in flight at once.
        let stream = client.stream().await.unwrap();
        let answers = all(requests.iter().map(|request| stream.authorize(request))).await;
        assert_eq!(answers.len(), questions.len());
        for (at, answer) in answers.into_iter().enumerate() {
            assert_eq!(answer.unwrap(), questions[at].expected, "{}", texts[at]);
        }

        // As one of two resources, and as one of two actions.
        for (request, question) in requests.iter().zip(&questions) {
            let both = &requests[asked % requests.len()];
            asked += 1;
            let (resources, actions) =
                ([both.resource, request.resource], [both.action, request.action]);
            for among in [Among::Resources(&resources), Among::Actions(&actions)] {
                let filtered = client.filter(request, among).await.unwrap();
                assert_eq!(filtered.reason(1), Some(question.expected.reason), "{request:?}");
                assert_eq!(filtered.bundle(), question.expected.bundle.as_ref());
            }
            allowed += usize::from(question.expected.reason.as_str() == "permitted");
            *denied.entry(question.expected.reason.as_str()).or_insert(0) += 1;
        }
        drop(stream);
        served.stop().await;
    }
    // The questions must be of all kinds, or the comparison means little.
    assert!(asked >= 2_000 && allowed >= 100, "{allowed} of {asked}: {denied:?}");
    for reason in ["forbidden", "not_permitted", "delegator_not_permitted", "invalid_request"] {
        assert!(denied.get(reason).is_some_and(|count| *count >= 20), "{reason}: {denied:?}");
    }
}

/// A call has no place for records, inner actors and the like; of these 2,100 questions, 1,674 can be asked by one.
const CALLS_MIN: usize = 1_650;

#[tokio::test]
async fn the_questions_that_a_call_can_ask_get_the_same_answer_by_envoys_way() {
    let (mut asked, mut reasons) = (BTreeMap::new(), BTreeMap::new());
    for folder in FOLDERS {
        let plain = served::bundle(folder);
        let texts = served::questions(&plain, QUESTIONS, 4);
        let arena = Arena::new();
        let requests: Vec<_> =
            texts.iter().map(|text| served::read(text, &plain, &arena, NOW)).collect();
        let table = Table::new(&requests);
        // Its digest is another one, so the library answers from it as well.
        let bundle = served::bundle_with_routes(folder, &table.toml);
        let (decider, mut scratch) = (Decider::new(Arc::clone(&bundle)), Scratch::new());
        let served =
            Served::start(Arc::clone(&bundle), NOW, |config| config.trust_delegation = true);
        let mut client = check::Client::connect(&served).await;
        for (request, text) in requests.iter().zip(&texts) {
            let Some(call) = table.call(request) else { continue };
            let expected = decider.decide_with(&mut scratch, request, &DecideOptions::STANDARD);
            let told = client.ask(&call).await;
            assert_eq!(told.metadata.get("refusal"), None, "{text}");
            assert_eq!(told.allowed, expected.effect() == Effect::Allow, "{text}");
            assert_eq!(told.reason(), expected.reason().as_str(), "{text}");
            let policies: Vec<_> = expected.policies().collect();
            assert_eq!(told.metadata["policies"], policies.join(" "), "{text}");
            *asked.entry(folder).or_insert(0) += 1;
            *reasons.entry(expected.reason().as_str()).or_insert(0) += 1;
        }
        served.stop().await;
    }
    let all: usize = asked.values().sum();
    assert!(all >= CALLS_MIN, "{all} of {} questions: {asked:?}", FOLDERS.len() * QUESTIONS);
    for reason in
        ["permitted", "forbidden", "not_permitted", "delegator_not_permitted", "invalid_request"]
    {
        assert!(reasons.get(reason).is_some_and(|count| *count >= 40), "{reason}: {reasons:?}");
    }
}

// === many questions at once, and what is wrong with them ===

/// A server with `documents`, and the first of its questions.
async fn documents(
    change: impl FnOnce(&mut pdp_grpc::Config),
) -> (Served, AuthorizationClient<Channel>, pb::AuthorizeRequest) {
    let bundle = served::bundle("documents");
    let question = questions(&bundle).swap_remove(0).message;
    let served = Served::start(bundle, NOW, change);
    let bare = bare(&served).await;
    (served, bare, question)
}

#[tokio::test]
async fn what_is_wrong_with_one_question_of_a_batch_concerns_it_alone() {
    let (_served, mut bare, question) =
        documents(|config| config.limits.batch_questions_max = 3).await;
    let hollow = pb::AuthorizeRequest::default();
    let delegated =
        pb::AuthorizeRequest { on_behalf_of: question.principal.clone(), ..question.clone() };
    let requests = vec![hollow, question.clone(), delegated];
    let batch = bare.authorize_batch(pb::AuthorizeBatchRequest { requests }).await.unwrap();
    let results = batch.into_inner().results;
    assert_eq!(results.len(), 3);
    match &results[0].result {
        Some(pb::authorize_result::Result::Failure(failure)) => {
            assert_eq!(failure.code, i32::from(tonic::Code::InvalidArgument));
            assert_eq!(
                failure.message,
                "`principal` is missing; name an entity by its type and id"
            );
        }
        other => panic!("{other:?}"),
    }
    assert_eq!(answered(results[1].clone()).reason, "permitted");
    assert_eq!(answered(results[2].clone()).reason, "invalid_request");

    // None are answered by none; one over the limit is refused whole.
    let none = bare.authorize_batch(pb::AuthorizeBatchRequest::default()).await.unwrap();
    assert_eq!(none.into_inner().results, []);
    let requests = vec![question; 4];
    let status = bare.authorize_batch(pb::AuthorizeBatchRequest { requests }).await.unwrap_err();
    assert_eq!(status.code(), tonic::Code::ResourceExhausted);
    assert_eq!(
        status.message(),
        "the request has 4 questions and may have 3; send fewer at a time, or raise the server's \
         `batch_questions_max`"
    );
}

#[tokio::test]
async fn our_own_client_is_told_what_is_wrong_with_one_question_of_many() {
    let bundle = served::bundle("documents");
    let (texts, arena) = (served::questions(&bundle, 1, 4), Arena::new());
    let good = Request { now: None, ..served::read(&texts[0], &bundle, &arena, NOW) };
    let nameless = Request { principal: pdp_core::Uid::new("", ""), ..good };
    let served = Served::start(Arc::clone(&bundle), NOW, |config| {
        config.limits.batch_questions_max = 3;
        config.limits.filter_candidates_max = 1;
    });
    let client = Client::connect(&served.url(), SOON).await.unwrap();
    let expected = client.authorize(&good).await.unwrap();
    assert_eq!(expected.reason.as_str(), "permitted");

    let answers = client.authorize_batch(&[nameless, good]).await.unwrap();
    let invalid = i32::from(tonic::Code::InvalidArgument);
    assert_eq!(answers[0].as_ref().unwrap_err().code(), invalid);
    assert_eq!(answers[1].as_ref().unwrap(), &expected);

    let stream = client.stream().await.unwrap();
    let answers = all([&nameless, &good].into_iter().map(|one| stream.authorize(one))).await;
    match &answers[0] {
        Err(ClientError::Refused(refused)) => assert_eq!(refused.code(), invalid),
        other => panic!("expected that nobody is no principal, got {other:?}"),
    }
    assert_eq!(answers[1].as_ref().unwrap(), &expected);

    // One too many is refused whole.
    let too_many = i32::from(tonic::Code::ResourceExhausted);
    match client.authorize_batch(&[good; 4]).await {
        Err(ClientError::Refused(refused)) => assert_eq!(refused.code(), too_many),
        other => panic!("expected that the batch is too large, got {other:?}"),
    }
    match client.filter(&good, Among::Resources(&[good.resource; 2])).await {
        Err(ClientError::Refused(refused)) => assert_eq!(refused.code(), too_many),
        other => panic!("expected that the filter is too large, got {other:?}"),
    }
    drop(stream);
    served.stop().await;
}

#[tokio::test]
async fn a_filter_says_what_it_filters_and_has_a_limit() {
    let (_served, mut bare, question) =
        documents(|config| config.limits.filter_candidates_max = 2).await;
    let filter = |action: bool, resource: bool, candidates: usize| pb::FilterRequest {
        principal: question.principal.clone(),
        action: question.action.clone().filter(|_| action),
        resource: question.resource.clone().filter(|_| resource),
        context: question.context.clone(),
        candidates: vec![question.resource.clone().unwrap(); candidates],
        ..pb::FilterRequest::default()
    };
    let response = bare.filter(filter(true, false, 2)).await.unwrap().into_inner();
    assert_eq!((response.allowed, response.denied), (vec![0, 1], vec![]));
    let none = bare.filter(filter(true, false, 0)).await.unwrap().into_inner();
    assert_eq!((none.allowed, none.denied), (vec![], vec![]));
    for (action, resource, candidates, code, text) in [
        (true, true, 1, tonic::Code::InvalidArgument, "`action` and `resource` are both given"),
        (false, false, 1, tonic::Code::InvalidArgument, "neither `action` nor `resource` is given"),
        (true, false, 3, tonic::Code::ResourceExhausted, "the request has 3 candidates"),
    ] {
        let status = bare.filter(filter(action, resource, candidates)).await.unwrap_err();
        assert_eq!(status.code(), code);
        assert!(status.message().starts_with(text), "{}", status.message());
    }
    // A resource that is no action is denied as an action, with the reason.
    let response = bare.filter(filter(false, true, 1)).await.unwrap().into_inner();
    assert_eq!(response.denied[0].reason, "invalid_request");
    assert!(!response.denied[0].message.is_empty());
}

#[tokio::test]
async fn a_stream_goes_on_after_a_bad_question_and_ends_at_a_message_that_is_too_large() {
    let (_served, mut bare, question) =
        documents(|config| config.limits.message_bytes_max = 1_000).await;
    let numbered = |id, request| pb::AuthorizeStreamRequest { id, request: Some(request) };
    let huge = pb::AuthorizeRequest { scopes: vec!["x".repeat(1_000)], ..question.clone() };
    let sent = tokio_stream::iter(vec![
        numbered(9, question.clone()),
        numbered(7, pb::AuthorizeRequest::default()),
        numbered(8, question.clone()),
        numbered(6, huge),
        numbered(5, question),
    ]);
    let mut stream = bare.authorize_stream(sent).await.unwrap().into_inner();
    let mut next = async || stream.message().await;
    let first = next().await.unwrap().unwrap();
    assert_eq!((first.id, answered(first.result.unwrap()).reason.as_str()), (9, "permitted"));
    let second = next().await.unwrap().unwrap();
    assert!(matches!(
        (second.id, second.result.unwrap().result),
        (7, Some(pb::authorize_result::Result::Failure(_)))
    ));
    let third = next().await.unwrap().unwrap();
    assert_eq!((third.id, answered(third.result.unwrap()).reason.as_str()), (8, "permitted"));
    let status = next().await.unwrap_err();
    assert_eq!(status.code(), tonic::Code::ResourceExhausted);
    assert!(status.message().starts_with("the request is larger"), "{}", status.message());
}

// === why ===

#[tokio::test]
async fn an_explanation_comes_where_it_is_asked_for_and_allowed() {
    let (_served, mut bare, mut question) = documents(|config| config.explain = true).await;
    let plain = bare.authorize(question.clone()).await.unwrap().into_inner();
    assert_eq!(plain.explanation, None);
    question.explain = true;
    let answer = bare.authorize(question.clone()).await.unwrap().into_inner();
    let explanation = answer.explanation.clone().unwrap();
    assert_eq!(explanation.withheld, "");
    let determining = &explanation.legs[0].determining;
    assert_eq!(
        determining.iter().map(|note| &note.id).collect::<Vec<_>>(),
        answer.policies.iter().collect::<Vec<_>>()
    );
    assert!(determining[0].text.contains("permit") && determining[0].line > 0);
    assert_eq!(
        pb::AuthorizeResponse {
            explanation: None,
            decision_id: plain.decision_id.clone(),
            ..answer
        },
        plain
    );

    // A default deny names what came closest and what was missing.
    let denied = questions(&served::bundle("documents"))
        .into_iter()
        .find(|question| question.expected.reason.as_str() == "not_permitted");
    let mut question = pb::AuthorizeRequest { explain: true, ..denied.unwrap().message };
    let answer = bare.authorize(question.clone()).await.unwrap().into_inner();
    let legs = answer.explanation.unwrap().legs;
    assert_eq!(answer.reason, "not_permitted");
    let nearest = &legs[0].nearest[0];
    assert!(
        !nearest.clause.is_empty() && !nearest.expected.is_empty() && !nearest.actual.is_empty()
    );

    // What gets no further than the schema has nothing to explain.
    question.action = Some(pb::EntityUid { r#type: "Action".to_owned(), id: "fly".to_owned() });
    let answer = bare.authorize(question).await.unwrap().into_inner();
    assert_eq!(answer.reason, "invalid_request");
    assert!(!answer.explanation.unwrap().withheld.is_empty());
}

#[tokio::test]
async fn a_server_does_not_explain_unless_told_to() {
    let (_served, mut bare, mut question) = documents(|_| {}).await;
    question.explain = true;
    let answer = bare.authorize(question).await.unwrap().into_inner();
    assert_eq!(answer.reason, "permitted");
    let explanation = answer.explanation.unwrap();
    assert_eq!(explanation.legs, []);
    assert!(explanation.withheld.starts_with("this server does not explain"), "{explanation:?}");
}
