//! The load: a client with so many questions in flight on one connection, how long each took, and whether it was right.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use pdp_grpc::pb;
use pdp_grpc::pb::authorization_client::AuthorizationClient;
use pdp_grpc::pb::authorize_result::Result as Kinds;
use tonic::transport::{Channel, Endpoint};

use super::Question;

/// Candidates of a filter.
const CANDIDATES: usize = 500;
/// Questions of a batch.
const BATCH: usize = 64;
/// After so many calls without an answer, one after the other, a caller gives up.
const FAILURES_MAX: usize = 100;

/// What a turn measured.
#[derive(Clone, Debug, Default)]
pub(super) struct Turn {
    /// Questions answered.
    pub(super) answers: usize,
    /// Calls without an answer, and what the first of them got.
    pub(super) failed: usize,
    pub(super) failure: Option<String>,
    pub(super) time: Duration,
    /// Of each call, in nanoseconds, sorted.
    pub(super) took: Vec<u64>,
}

/// What is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Unary,
    /// As `Unary`; that the one answer of the echo fits the question is not expected.
    Echoed,
    Batch,
    Filter,
    Stream,
}

pub(super) async fn connect(url: &str) -> Result<AuthorizationClient<Channel>, String> {
    let endpoint = Endpoint::from_shared(url.to_owned()).map_err(|error| error.to_string())?;
    let channel = endpoint.tcp_nodelay(true).connect().await.map_err(|error| error.to_string())?;
    Ok(AuthorizationClient::new(channel))
}

/// Asks every question once and compares the reason.
pub(super) async fn check(url: &str, questions: &[Question]) -> Result<(), String> {
    let mut client = connect(url).await?;
    for question in questions {
        let answer = client.authorize(question.message.clone()).await;
        right(answer.map_err(|status| status.to_string())?.get_ref(), question)?;
    }
    Ok(())
}

/// Keeps `in_flight` calls of a kind going for as long as `goes_on` says.
///
/// A call that fails is counted; an answer that is not the library's is an error.
pub(super) async fn turn(
    url: &str,
    questions: &Arc<Vec<Question>>,
    kind: Kind,
    in_flight: usize,
    goes_on: impl Fn() -> bool + Clone + Send + 'static,
) -> Result<Turn, String> {
    let client = connect(url).await?;
    if kind == Kind::Stream {
        return stream(client, questions, in_flight, goes_on).await;
    }
    let next = Arc::new(AtomicUsize::new(0));
    let begun = Instant::now();
    let mut tasks = Vec::new();
    for _ in 0..in_flight {
        let (mut client, questions) = (client.clone(), Arc::clone(questions));
        let (next, goes_on) = (Arc::clone(&next), goes_on.clone());
        tasks.push(tokio::spawn(async move {
            let (mut turn, mut in_a_row) = (Turn::default(), 0);
            while goes_on() && in_a_row < FAILURES_MAX {
                let at = next.fetch_add(1, Ordering::Relaxed);
                let call = Instant::now();
                let asked = ask(&mut client, &questions, kind, at).await?;
                turn.took.push(u64::try_from(call.elapsed().as_nanos()).unwrap_or(u64::MAX));
                match asked {
                    Ok(answers) => (turn.answers, in_a_row) = (turn.answers + answers, 0),
                    Err(status) => {
                        (turn.failed, in_a_row) = (turn.failed + 1, in_a_row + 1);
                        turn.failure.get_or_insert(status.to_string());
                    }
                }
            }
            Ok::<_, String>(turn)
        }));
    }
    let mut turn = Turn::default();
    for task in tasks {
        let own = task.await.map_err(|error| error.to_string())??;
        turn.answers += own.answers;
        turn.failed += own.failed;
        turn.failure = turn.failure.or(own.failure);
        turn.took.extend(own.took);
    }
    turn.time = begun.elapsed();
    turn.took.sort_unstable();
    Ok(turn)
}

/// Goes on for so long.
pub(super) fn lasting(time: Duration) -> impl Fn() -> bool + Clone + Send + 'static {
    let begun = Instant::now();
    move || begun.elapsed() < time
}

/// Asks once: how many questions were answered, or the call's failure; an answer that is wrong is the outer error.
async fn ask(
    client: &mut AuthorizationClient<Channel>,
    questions: &[Question],
    kind: Kind,
    at: usize,
) -> Result<Result<usize, tonic::Status>, String> {
    let cycle = |from: usize| questions.iter().cycle().skip(from % questions.len().max(1));
    let Some(question) = cycle(at).next() else { return Err("no question".to_owned()) };
    let answered = match kind {
        Kind::Unary => {
            let asked = client.authorize(question.message.clone()).await;
            asked.map(|answer| right(answer.get_ref(), question).map(|()| 1))
        }
        Kind::Echoed => {
            let asked = client.authorize(question.message.clone()).await;
            asked.map(|answer| match answer.get_ref().reason.is_empty() {
                true => Err("an answer without a reason".to_owned()),
                false => Ok(1),
            })
        }
        Kind::Batch => {
            let requests = cycle(at * BATCH).take(BATCH).map(|one| one.message.clone()).collect();
            let asked = client.authorize_batch(pb::AuthorizeBatchRequest { requests }).await;
            asked.map(|batch| {
                let results = &batch.get_ref().results;
                for (result, question) in results.iter().zip(cycle(at * BATCH)) {
                    right(answer_of(Some(result))?, question)?;
                }
                counted(results.len(), BATCH)
            })
        }
        Kind::Filter | Kind::Stream => {
            let message = &question.message;
            let candidates =
                cycle(at).take(CANDIDATES).filter_map(|one| one.message.resource.clone()).collect();
            let filter = pb::FilterRequest {
                principal: message.principal.clone(),
                action: message.action.clone(),
                context: message.context.clone(),
                candidates,
                ..pb::FilterRequest::default()
            };
            client.filter(filter).await.map(|filtered| {
                let filtered = filtered.get_ref();
                // The first candidate is the question's own resource.
                let reason = match filtered.allowed.first() {
                    Some(0) => Some("permitted"),
                    _ => {
                        let mut denied = filtered.denied.iter();
                        let denied = denied.find(|denied| denied.positions.first() == Some(&0));
                        denied.map(|denied| denied.reason.as_str())
                    }
                };
                same(reason.unwrap_or_default(), question)?;
                let denied = filtered.denied.iter().map(|denied| denied.positions.len());
                counted(filtered.allowed.len() + denied.sum::<usize>(), CANDIDATES)
            })
        }
    };
    match answered {
        Ok(answers) => Ok(Ok(answers?)),
        Err(status) => Ok(Err(status)),
    }
}

/// One stream with so many questions in flight; each answer calls for the next question.
async fn stream(
    mut client: AuthorizationClient<Channel>,
    questions: &Arc<Vec<Question>>,
    in_flight: usize,
    goes_on: impl Fn() -> bool,
) -> Result<Turn, String> {
    let (send, sent) = tokio::sync::mpsc::channel(in_flight);
    let question = |id: usize| questions.get(id % questions.len().max(1));
    let numbered = |id: usize| pb::AuthorizeStreamRequest {
        id: id as u64,
        request: question(id).map(|one| one.message.clone()),
    };
    for id in 0..in_flight {
        send.send(numbered(id)).await.map_err(|error| error.to_string())?;
    }
    let sent = tokio_stream::wrappers::ReceiverStream::new(sent);
    let answers = client.authorize_stream(sent).await.map_err(|status| status.to_string())?;
    let (mut answers, begun) = (answers.into_inner(), Instant::now());
    let mut turn = Turn::default();
    while goes_on() {
        let Some(answer) = answers.message().await.map_err(|status| status.to_string())? else {
            return Err("the stream ended".to_owned());
        };
        let question = usize::try_from(answer.id).ok().and_then(question).ok_or("no question")?;
        right(answer_of(answer.result.as_ref())?, question)?;
        turn.answers += 1;
        let id = in_flight + turn.answers;
        send.send(numbered(id)).await.map_err(|error| error.to_string())?;
    }
    turn.time = begun.elapsed();
    Ok(turn)
}

// === whether an answer is the library's ===

fn answer_of(result: Option<&pb::AuthorizeResult>) -> Result<&pb::AuthorizeResponse, String> {
    match result.and_then(|result| result.result.as_ref()) {
        Some(Kinds::Answer(answer)) => Ok(answer),
        other => Err(format!("no answer but {other:?}")),
    }
}

fn right(answer: &pb::AuthorizeResponse, question: &Question) -> Result<(), String> {
    same(&answer.reason, question)
}

fn same(reason: &str, question: &Question) -> Result<(), String> {
    match reason == question.reason {
        true => Ok(()),
        false => Err(format!("{reason} over the wire, {} in the library", question.reason)),
    }
}

fn counted(answers: usize, expected: usize) -> Result<usize, String> {
    match answers == expected {
        true => Ok(answers),
        false => Err(format!("{answers} answers to {expected} questions")),
    }
}
