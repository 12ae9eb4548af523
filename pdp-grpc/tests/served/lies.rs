//! The client against a server that lies: what it sends is never taken for an allow.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use pdp_core::{Effect, Uid};
use pdp_grpc::{Among, Client, ClientError, pb};
use tokio::sync::{Notify, mpsc};
use tokio_stream::StreamExt;
use tokio_stream::wrappers::{ReceiverStream, TcpListenerStream};
use tonic::body::Body;
use tonic::codegen::{BoxFuture, Context, Poll, Service, http};
use tonic::server::{Grpc, NamedService, StreamingService, UnaryService};
use tonic::{Code, Request, Response, Status, Streaming};
use tonic_prost::ProstCodec;

use crate::support::{QUESTION, SOON, soon};

/// What is said on a stream.
#[derive(Clone, Debug)]
enum Say {
    /// An answer for this id.
    Answer(u64, Box<pb::AuthorizeResult>),
    /// An error, which ends the stream.
    Error(Code),
    /// Nothing more.
    End,
}

/// What a server says, whatever it is asked.
#[derive(Clone, Default)]
struct Lies {
    batch: pb::AuthorizeBatchResponse,
    filter: pb::FilterResponse,
    /// What is said once so many questions of a stream have arrived.
    stream: Vec<(usize, Vec<Say>)>,
    /// Told when a stream of questions has ended.
    ended: Arc<Notify>,
}

struct Batch(pb::AuthorizeBatchResponse);
struct Filter(pb::FilterResponse);
struct Stream(Vec<(usize, Vec<Say>)>, Arc<Notify>);

// === impl Lies ===

impl Lies {
    /// Serves them for the rest of the test, and connects to them.
    async fn client(self) -> Client {
        self.client_within(SOON).await
    }

    async fn client_within(self, deadline: Duration) -> Client {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let server = tonic::transport::Server::builder().add_service(self);
        tokio::spawn(server.serve_with_incoming(TcpListenerStream::new(listener)));
        Client::connect(&url, deadline).await.unwrap()
    }
}

impl NamedService for Lies {
    const NAME: &'static str = "pdp.v1.Authorization";
}

impl Service<http::Request<Body>> for Lies {
    type Response = http::Response<Body>;
    type Error = Infallible;
    type Future = BoxFuture<Self::Response, Self::Error>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: http::Request<Body>) -> Self::Future {
        let lies = self.clone();
        Box::pin(async move {
            Ok(match request.uri().path().rsplit('/').next() {
                Some("AuthorizeBatch") => {
                    Grpc::new(ProstCodec::default()).unary(Batch(lies.batch), request).await
                }
                Some("Filter") => {
                    Grpc::new(ProstCodec::default()).unary(Filter(lies.filter), request).await
                }
                _ => {
                    let method = Stream(lies.stream, lies.ended);
                    Grpc::new(ProstCodec::default()).streaming(method, request).await
                }
            })
        })
    }
}

impl UnaryService<pb::AuthorizeBatchRequest> for Batch {
    type Response = pb::AuthorizeBatchResponse;
    type Future = std::future::Ready<Result<Response<Self::Response>, Status>>;

    fn call(&mut self, _: Request<pb::AuthorizeBatchRequest>) -> Self::Future {
        std::future::ready(Ok(Response::new(self.0.clone())))
    }
}

impl UnaryService<pb::FilterRequest> for Filter {
    type Response = pb::FilterResponse;
    type Future = std::future::Ready<Result<Response<Self::Response>, Status>>;

    fn call(&mut self, _: Request<pb::FilterRequest>) -> Self::Future {
        std::future::ready(Ok(Response::new(self.0.clone())))
    }
}

impl StreamingService<pb::AuthorizeStreamRequest> for Stream {
    type Response = pb::AuthorizeStreamResponse;
    type ResponseStream = ReceiverStream<Result<Self::Response, Status>>;
    type Future = std::future::Ready<Result<Response<Self::ResponseStream>, Status>>;

    fn call(&mut self, request: Request<Streaming<pb::AuthorizeStreamRequest>>) -> Self::Future {
        let (script, ended) = (self.0.clone(), Arc::clone(&self.1));
        let (send, said) = mpsc::channel(16);
        tokio::spawn(async move {
            let mut questions = request.into_inner();
            let mut arrived = 0;
            while let Some(Ok(_)) = questions.next().await {
                arrived += 1;
                let due = script.iter().filter(|(after, _)| *after == arrived);
                for say in due.flat_map(|(_, says)| says).cloned() {
                    let said = match say {
                        Say::Answer(id, result) => {
                            Ok(pb::AuthorizeStreamResponse { id, result: Some(*result) })
                        }
                        Say::Error(code) => Err(Status::new(code, "so it goes")),
                        Say::End => return,
                    };
                    if send.send(said).await.is_err() {
                        break;
                    }
                }
            }
            ended.notify_one();
        });
        std::future::ready(Ok(Response::new(ReceiverStream::new(said))))
    }
}

// === what is said ===

fn bundle() -> Option<pb::BundleName> {
    Some(pb::BundleName { name: "b".to_owned(), revision: 1, digest: "00".to_owned() })
}

fn answer(effect: pb::Effect, reason: &str) -> pb::AuthorizeResult {
    let answer = pb::AuthorizeResponse {
        effect: effect.into(),
        reason: reason.to_owned(),
        bundle: bundle(),
        ..pb::AuthorizeResponse::default()
    };
    pb::AuthorizeResult { result: Some(pb::authorize_result::Result::Answer(answer)) }
}

fn allow() -> pb::AuthorizeResult {
    answer(pb::Effect::Allow, "permitted")
}

fn failure(code: Code) -> pb::AuthorizeResult {
    let failure = pb::Failure { code: code.into(), message: "why not".to_owned() };
    pb::AuthorizeResult { result: Some(pb::authorize_result::Result::Failure(failure)) }
}

fn said(id: u64, result: pb::AuthorizeResult) -> Say {
    Say::Answer(id, Box::new(result))
}

#[track_caller]
fn is_no_answer<T: std::fmt::Debug>(asked: Result<T, ClientError>, expected: &str) {
    match asked {
        Err(ClientError::Answer(error)) => {
            assert!(error.to_string().ends_with(expected), "{error}")
        }
        other => panic!("expected no answer to act on, because {expected}; got {other:?}"),
    }
}

// === batches and filters ===

#[tokio::test]
async fn a_batch_with_one_result_too_few_answers_nothing() {
    let batch = pb::AuthorizeBatchResponse { results: vec![allow(); 2], bundle: bundle() };
    let client = Lies { batch, ..Lies::default() }.client().await;
    is_no_answer(client.authorize_batch(&[QUESTION; 3]).await, "it has 2 results for 3 questions");
    // As many as were asked are taken.
    let answers = client.authorize_batch(&[QUESTION; 2]).await.unwrap();
    assert!(answers.iter().flatten().all(|answer| answer.effect == Effect::Allow));
}

#[tokio::test]
async fn a_batch_with_one_contradiction_answers_nothing() {
    let results = vec![allow(), answer(pb::Effect::Allow, "not_permitted")];
    let batch = pb::AuthorizeBatchResponse { results, bundle: bundle() };
    let client = Lies { batch, ..Lies::default() }.client().await;
    is_no_answer(
        client.authorize_batch(&[QUESTION; 2]).await,
        "result 1: its effect and its reason differ",
    );
}

#[tokio::test]
async fn a_failure_in_a_batch_is_told_with_its_code_and_text() {
    let results = vec![failure(Code::InvalidArgument), allow()];
    let batch = pb::AuthorizeBatchResponse { results, bundle: bundle() };
    let client = Lies { batch, ..Lies::default() }.client().await;
    let answers = client.authorize_batch(&[QUESTION; 2]).await.unwrap();
    let failed = answers.first().unwrap().as_ref().unwrap_err();
    assert_eq!((failed.code(), failed.message()), (3, "why not"));
    assert_eq!(answers.last().unwrap().as_ref().unwrap().effect, Effect::Allow);
}

#[tokio::test]
async fn a_filter_that_allows_what_nobody_asked_about_answers_nothing() {
    let filter = pb::FilterResponse { allowed: vec![0, 2], bundle: bundle(), ..<_>::default() };
    let client = Lies { filter, ..Lies::default() }.client().await;
    let tools = [Uid::new("Tool", "a"), Uid::new("Tool", "b"), Uid::new("Tool", "c")];
    let (two, three) = (tools.split_last().unwrap().1, &tools);
    is_no_answer(
        client.filter(&QUESTION, Among::Resources(two)).await,
        "candidate 2 of 2: nobody asked about it",
    );
    is_no_answer(
        client.filter(&QUESTION, Among::Actions(three)).await,
        "candidate 1 of 3: there is no verdict for it",
    );
}

// === streams ===

#[tokio::test]
async fn answers_find_their_questions_in_whatever_order_they_come() {
    let deny = answer(pb::Effect::Deny, "forbidden");
    let says = vec![
        said(2, failure(Code::ResourceExhausted)),
        said(1, allow()),
        said(0, deny),
        said(3, answer(pb::Effect::Allow, "limit")),
    ];
    let client = Lies { stream: vec![(4, says)], ..Lies::default() }.client().await;
    let stream = client.stream().await.unwrap();
    let (first, second, third, fourth) = tokio::join!(
        stream.authorize(&QUESTION),
        stream.authorize(&QUESTION),
        stream.authorize(&QUESTION),
        stream.authorize(&QUESTION),
    );
    assert_eq!(first.unwrap().effect, Effect::Deny);
    assert_eq!(second.unwrap().effect, Effect::Allow);
    match third {
        Err(ClientError::Refused(refused)) => assert_eq!(refused.message(), "why not"),
        other => panic!("expected what the server said of this question, got {other:?}"),
    }
    is_no_answer(fourth, "its effect and its reason differ");
}

#[tokio::test]
async fn a_second_answer_to_one_question_ends_the_stream_for_all() {
    let says = vec![said(0, allow()), said(0, allow()), said(1, allow())];
    let client = Lies { stream: vec![(2, says)], ..Lies::default() }.client().await;
    let stream = client.stream().await.unwrap();
    let (first, second) = tokio::join!(stream.authorize(&QUESTION), stream.authorize(&QUESTION));
    assert_eq!(first.unwrap().effect, Effect::Allow);
    let stray =
        "the id 0, which no question in flight has, so that none of the stream can be trusted";
    is_no_answer(second, stray);
    is_no_answer(stream.authorize(&QUESTION).await, stray);
}

#[tokio::test]
async fn an_answer_that_nobody_asked_for_ends_the_stream_for_all() {
    let says = vec![said(7, allow()), said(0, allow())];
    let client = Lies { stream: vec![(1, says)], ..Lies::default() }.client().await;
    let stream = client.stream().await.unwrap();
    is_no_answer(
        stream.authorize(&QUESTION).await,
        "the id 7, which no question in flight has, so that none of the stream can be trusted",
    );
}

#[tokio::test]
async fn a_stream_that_ends_early_leaves_no_question_waiting() {
    let says = vec![said(1, allow()), Say::End];
    let client = Lies { stream: vec![(2, says)], ..Lies::default() }.client().await;
    let stream = client.stream().await.unwrap();
    let (first, second) = tokio::join!(stream.authorize(&QUESTION), stream.authorize(&QUESTION));
    is_no_answer(first, "the stream ended before the answer came");
    assert_eq!(second.unwrap().effect, Effect::Allow);
    is_no_answer(stream.authorize(&QUESTION).await, "the stream ended before the answer came");
}

#[tokio::test]
async fn an_error_on_a_stream_is_told_to_all_who_wait() {
    let says = vec![Say::Error(Code::Internal)];
    let client = Lies { stream: vec![(2, says)], ..Lies::default() }.client().await;
    let stream = client.stream().await.unwrap();
    let (first, second) = tokio::join!(stream.authorize(&QUESTION), stream.authorize(&QUESTION));
    for asked in [first, second, stream.authorize(&QUESTION).await] {
        match asked {
            Err(ClientError::Refused(refused)) => assert_eq!(refused.message(), "so it goes"),
            other => panic!("expected what the server said, got {other:?}"),
        }
    }
}

#[tokio::test]
async fn an_answer_that_comes_too_late_is_nobodys_and_no_stray() {
    // The first question is answered when the second one arrives, which is after its deadline.
    let says = vec![said(0, allow()), said(1, answer(pb::Effect::Deny, "limit"))];
    let lies = Lies { stream: vec![(2, says)], ..Lies::default() };
    let client = lies.client_within(Duration::from_millis(500)).await;
    let stream = client.stream().await.unwrap();
    match stream.authorize(&QUESTION).await {
        Err(ClientError::Deadline(_)) => {}
        other => panic!("expected that the deadline passes, got {other:?}"),
    }
    // On a busy machine the second may be too late as well; what it must not be is the first one's allow.
    match stream.authorize(&QUESTION).await {
        Ok(answer) => assert_eq!(answer.effect, Effect::Deny),
        Err(ClientError::Deadline(_)) => {}
        other => panic!("expected the second question's own answer, got {other:?}"),
    }
}

#[tokio::test]
async fn a_stream_has_a_limit_on_what_is_in_flight() {
    // Whoever guesses that there is a question more than the limit is wrong, however many wait.
    let says = vec![said(1_024, allow())];
    let client = Lies { stream: vec![(1_024, says)], ..Lies::default() }.client().await;
    let stream = Arc::new(client.stream().await.unwrap());
    let mut asking = tokio::task::JoinSet::new();
    for _ in 0..1_100 {
        let stream = Arc::clone(&stream);
        asking.spawn(async move { stream.authorize(&QUESTION).await });
    }
    while let Some(asked) = asking.join_next().await {
        is_no_answer(
            asked.unwrap(),
            "the id 1024, which no question in flight has, so that none of the stream can be trusted",
        );
    }
}

#[tokio::test]
async fn dropping_a_stream_ends_it() {
    let lies = Lies { stream: vec![(1, vec![said(0, allow())])], ..Lies::default() };
    let ended = Arc::clone(&lies.ended);
    let client = lies.client().await;
    let stream = client.stream().await.unwrap();
    assert_eq!(stream.authorize(&QUESTION).await.unwrap().effect, Effect::Allow);
    drop(stream);
    soon(ended.notified()).await;
}
