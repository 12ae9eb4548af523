//! `envoy.service.auth.v3.Authorization`: the proxy asks before each HTTP call, the bundle's route table says what it asks.
//!
//! Every message gets a well-formed answer, also one that cannot be read or is too large: a gRPC error would leave it to
//! the proxy's settings whether a call passes. What is no question is a decision like any other, counted and logged,
//! whose reason is `invalid_request` and whose `refusal` is a code for what was in the way. A denied caller learns these
//! and the decision's id, never a policy's name; or what the route that the call takes has to say, whatever was in the
//! way, so that one which hides itself does so from those who are nobody too; where calls are messages of the Model
//! Context Protocol, in that protocol's words.
//! What a proxy verified is a statement of whoever calls here: delegation from claims counts where the caller is trusted
//! to state delegation, as everywhere, and denies where it is not.

mod answer;
mod read;

use std::sync::Arc;
use std::time::Instant;

use pdp_core::Decider;
use pdp_edge::{Refusal, Router, Teller};
use prost::bytes::Bytes;
use tokio_stream::Once;
use tonic::body::Body;
use tonic::codegen::{BoxFuture, Context, Poll, Service, http};
use tonic::server::{Grpc, NamedService, StreamingService};
use tonic::{Code, Request, Response, Status, Streaming};

use crate::codec::Wire;
use crate::config::Limits;
use crate::desk::{Asker, Desk, Origin, Room, isolated};
use crate::metrics::Protocol;
use answer::CheckResponse;
use read::Check;

const CHECK: &str = "/envoy.service.auth.v3.Authorization/Check";

/// The service.
#[derive(Clone, Debug)]
pub(crate) struct ExtAuthzService(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    desk: Desk,
    limits: Limits,
}

struct CheckMethod(Arc<Shared>, Origin);

// === impl ExtAuthzService ===

impl ExtAuthzService {
    pub(crate) fn new(desk: Desk, limits: Limits) -> Self {
        Self(Arc::new(Shared { desk, limits }))
    }
}

impl NamedService for ExtAuthzService {
    const NAME: &'static str = "envoy.service.auth.v3.Authorization";
}

impl Service<http::Request<Body>> for ExtAuthzService {
    type Response = http::Response<Body>;
    type Error = std::convert::Infallible;
    type Future = BoxFuture<Self::Response, Self::Error>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: http::Request<Body>) -> Self::Future {
        if request.uri().path() != CHECK {
            return Box::pin(async { Ok(Status::unimplemented("").into_http()) });
        }
        let count = |limit: u32| usize::try_from(limit).unwrap_or(usize::MAX);
        let mut grpc = Grpc::new(Wire::<CheckResponse, Bytes>::default())
            // A call may come with its body.
            .max_decoding_message_size(count(self.0.limits.batch_bytes_max))
            .max_encoding_message_size(count(self.0.limits.answer_bytes_max));
        let method = CheckMethod(Arc::clone(&self.0), self.0.desk.origin_of(&request));
        let request = request.map(|body| self.0.desk.admission().count(body, u64::MAX));
        Box::pin(async move { Ok(grpc.streaming(method, request).await) })
    }
}

// A method of one message and one answer is on the wire what a stream of one each is. As a stream it is told of a message
// that is too large, and can answer; the layer below would answer with an error in its place.
impl StreamingService<Bytes> for CheckMethod {
    type Response = CheckResponse;
    type ResponseStream = Once<Result<CheckResponse, Status>>;
    type Future = BoxFuture<Response<Self::ResponseStream>, Status>;

    fn call(&mut self, request: Request<Streaming<Bytes>>) -> Self::Future {
        let (shared, origin) = (Arc::clone(&self.0), self.1.clone());
        Box::pin(async move {
            let mut messages = request.into_inner();
            let answer = match messages.message().await {
                Ok(Some(message)) => {
                    // Nothing comes after it, which has to be read to be known.
                    messages.trailers().await?;
                    check(&shared.desk, &origin, &message)
                }
                Ok(None) => return Err(Status::internal("the call has no message")),
                // The size stands before the message, of which nothing is read.
                Err(status) if status.code() == Code::OutOfRange => {
                    unread(&shared.desk, &origin, "check_too_large")
                }
                // As `admission` says that there is no memory for it.
                Err(status) if status.code() == Code::ResourceExhausted => {
                    unread(&shared.desk, &origin, "overloaded")
                }
                Err(status) => return Err(status),
            };
            Ok(Response::new(tokio_stream::once(Ok(answer))))
        })
    }
}

/// Answers a check that is not read.
#[cold]
fn unread(desk: &Desk, origin: &Origin, code: &'static str) -> CheckResponse {
    let decider = desk.snapshot();
    let asker = Asker { protocol: Protocol::ExtAuthz, origin };
    let verdict = desk.refuse(asker, &decider, code, Instant::now());
    CheckResponse::refused(&verdict, code, decider.bundle(), &Teller::default())
}

/// Answers the bytes of a check.
fn check(desk: &Desk, origin: &Origin, message: &[u8]) -> CheckResponse {
    let begun = Instant::now();
    let decider = desk.snapshot();
    isolated(|room| Ok(answer(desk, origin, &decider, message, room, begun))).unwrap_or_else(|_| {
        let asker = Asker { protocol: Protocol::ExtAuthz, origin };
        let verdict = desk.fault(asker, &decider, begun);
        CheckResponse::refused(&verdict, "fault", decider.bundle(), &Teller::default())
    })
}

fn answer(
    desk: &Desk,
    origin: &Origin,
    decider: &Decider,
    message: &[u8],
    Room { arena, scratch }: &mut Room,
    begun: Instant,
) -> CheckResponse {
    arena.reset();
    let asker = Asker { protocol: Protocol::ExtAuthz, origin };
    let bundle = decider.bundle();
    let refused = |code, teller: &Teller<'_>| {
        let verdict = desk.refuse(asker, decider, code, begun);
        CheckResponse::refused(&verdict, code, bundle, teller)
    };
    let nobody = &Teller::default();
    let Some(bundle) = bundle else { return refused("no_bundle", nobody) };
    let Some(router) = Router::of(decider) else { return refused("no_routes", nobody) };
    let Ok(check) = Check::read(message) else { return refused("malformed", nobody) };
    if router.reads_body() && check.body_unreadable() {
        return refused("body_unreadable", nobody);
    }
    let headers = check.headers();
    let (matched, mut request) = match router.question(&check.call(), &check.metadata, arena) {
        Ok(question) => question,
        Err(of) => {
            let fault = if let Refusal::Mcp(fault) = of.refusal { Some(fault) } else { None };
            let (route, message) = (of.route, of.message.as_ref());
            return refused(of.refusal.code(), &Teller { route, message, fault, headers });
        }
    };
    request.now = Some(desk.now());
    let verdict = desk.decide(asker, decider, scratch, &request);
    let (route, message) = (Some(matched.route()), matched.message());
    let teller = Teller { route, message, fault: None, headers };
    match verdict.code() {
        Some(code) => CheckResponse::refused(&verdict, code, Some(bundle), &teller),
        None => CheckResponse::decided(&verdict, bundle, &teller),
    }
}

#[cfg(test)]
mod tests;
