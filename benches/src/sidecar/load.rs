//! The load: a client with so many questions in flight on one connection, and how long each took.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use pdp_grpc::pb;
use pdp_grpc::pb::authorization_client::AuthorizationClient;
use tonic::transport::{Channel, Endpoint};

use super::Question;

/// Candidates of a filter.
const CANDIDATES: usize = 500;
/// Questions of a batch.
const BATCH: usize = 64;

/// What a turn measured.
#[derive(Clone, Debug, Default)]
pub(super) struct Turn {
    /// Questions answered.
    pub(super) answers: usize,
    pub(super) time: Duration,
    /// Of each call, in nanoseconds, sorted.
    pub(super) took: Vec<u64>,
}

/// What is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Unary,
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
        let answer = answer.map_err(|status| status.to_string())?.into_inner();
        if answer.reason != question.reason {
            return Err(format!(
                "{} over the wire, {} in the library",
                answer.reason, question.reason
            ));
        }
    }
    Ok(())
}

/// Keeps `in_flight` calls of a kind going for a time.
pub(super) async fn turn(
    url: &str,
    questions: &Arc<Vec<Question>>,
    kind: Kind,
    in_flight: usize,
    time: Duration,
) -> Result<Turn, String> {
    let client = connect(url).await?;
    if kind == Kind::Stream {
        return stream(client, questions, in_flight, time).await;
    }
    let next = Arc::new(AtomicUsize::new(0));
    let begun = Instant::now();
    let mut tasks = Vec::new();
    for _ in 0..in_flight {
        let (mut client, questions, next) =
            (client.clone(), Arc::clone(questions), Arc::clone(&next));
        tasks.push(tokio::spawn(async move {
            let (mut answers, mut took) = (0, Vec::new());
            while begun.elapsed() < time {
                let at = next.fetch_add(1, Ordering::Relaxed);
                let call = Instant::now();
                answers += ask(&mut client, &questions, kind, at).await?;
                took.push(u64::try_from(call.elapsed().as_nanos()).unwrap_or(u64::MAX));
            }
            Ok::<_, String>((answers, took))
        }));
    }
    let mut turn = Turn::default();
    for task in tasks {
        let (answers, took) = task.await.map_err(|error| error.to_string())??;
        turn.answers += answers;
        turn.took.extend(took);
    }
    turn.time = begun.elapsed();
    turn.took.sort_unstable();
    Ok(turn)
}

async fn ask(
    client: &mut AuthorizationClient<Channel>,
    questions: &[Question],
    kind: Kind,
    at: usize,
) -> Result<usize, String> {
    let cycle = |from: usize| questions.iter().cycle().skip(from % questions.len().max(1));
    let failed = |status: tonic::Status| status.to_string();
    let Some(question) = cycle(at).next() else { return Err("no question".to_owned()) };
    match kind {
        Kind::Unary => {
            let answer = client.authorize(question.message.clone()).await.map_err(failed)?;
            match answer.get_ref().reason.is_empty() {
                true => Err("an answer without a reason".to_owned()),
                false => Ok(1),
            }
        }
        Kind::Batch => {
            let requests = cycle(at * BATCH).take(BATCH).map(|one| one.message.clone()).collect();
            let batch = pb::AuthorizeBatchRequest { requests };
            let answers = client.authorize_batch(batch).await.map_err(failed)?;
            Ok(answers.get_ref().results.len())
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
            let answer = client.filter(filter).await.map_err(failed)?.into_inner();
            let denied: usize = answer.denied.iter().map(|denied| denied.positions.len()).sum();
            Ok(answer.allowed.len() + denied)
        }
    }
}

/// One stream with so many questions in flight; each answer calls for the next question.
async fn stream(
    mut client: AuthorizationClient<Channel>,
    questions: &Arc<Vec<Question>>,
    in_flight: usize,
    time: Duration,
) -> Result<Turn, String> {
    let (send, sent) = tokio::sync::mpsc::channel(in_flight);
    let numbered = |id: usize| {
        let question = questions.get(id % questions.len().max(1)).map(|one| one.message.clone());
        pb::AuthorizeStreamRequest { id: id as u64, request: question }
    };
    for id in 0..in_flight {
        send.send(numbered(id)).await.map_err(|error| error.to_string())?;
    }
    let sent = tokio_stream::wrappers::ReceiverStream::new(sent);
    let answers = client.authorize_stream(sent).await.map_err(|status| status.to_string())?;
    let (mut answers, begun) = (answers.into_inner(), Instant::now());
    let mut turn = Turn::default();
    while begun.elapsed() < time {
        match answers.message().await.map_err(|status| status.to_string())? {
            Some(_) => turn.answers += 1,
            None => return Err("the stream ended".to_owned()),
        }
        let id = in_flight + turn.answers;
        send.send(numbered(id)).await.map_err(|error| error.to_string())?;
    }
    turn.time = begun.elapsed();
    Ok(turn)
}
