//! The `Authorize` method: the bytes of one message in, one snapshot of the bundle in force, one answer out.
//!
//! The decision runs on the thread that received the message: it takes microseconds, is bounded by the bundle's limits
//! and waits for nothing. It refuses to let a fault out: a panic costs the request that caused it and nothing else.

use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use pdp_core::json::Arena;
use pdp_core::{DecideOptions, Live, Scratch};
use prost::Message;
use prost::bytes::Bytes;
use tonic::body::Body;
use tonic::codegen::{BoxFuture, Context, Poll, Service, http};
use tonic::server::{Grpc, NamedService, UnaryService};
use tonic::{Request, Response, Status};

use crate::codec::Wire;
use crate::config::{Clock, Config};
use crate::respond::NoAnswer;
use crate::{answer, authorize, pb, respond};

/// The path of the one method.
const AUTHORIZE: &str = "/pdp.v1.Authorization/Authorize";

/// The service `pdp.v1.Authorization`. Not a generated one, which would make a message of every question.
#[derive(Clone, Debug)]
pub(crate) struct AuthorizationService {
    authorize: Authorize,
    message_bytes_max: usize,
    answer_bytes_max: usize,
}

/// Answers `Authorize` from the bundle in force.
#[derive(Clone, Debug)]
struct Authorize(Arc<Settings>);

#[derive(Debug)]
struct Settings {
    live: Arc<Live>,
    clock: Clock,
    trust_delegation: bool,
    value_depth_max: u32,
    answer_bytes_max: u32,
}

/// Memory of one decision, reused by the next one on the same thread.
#[derive(Debug)]
struct Room {
    arena: Arena,
    scratch: Scratch,
}

thread_local! {
    // Per thread rather than from a pool: deciding never waits, so a thread decides one request at a time, and no
    // thread ever waits for another's memory. Taken out while in use: what a panic leaves half done is never used again.
    static ROOM: Cell<Option<Box<Room>>> = const { Cell::new(None) };
}

// === impl AuthorizationService ===

impl AuthorizationService {
    pub(crate) fn new(config: &Config, live: Arc<Live>) -> Self {
        let count = |limit: u32| usize::try_from(limit).unwrap_or(usize::MAX);
        Self {
            authorize: Authorize::new(config, live),
            message_bytes_max: count(config.limits.message_bytes_max),
            answer_bytes_max: count(config.limits.answer_bytes_max),
        }
    }
}

impl NamedService for AuthorizationService {
    const NAME: &'static str = "pdp.v1.Authorization";
}

impl Service<http::Request<Body>> for AuthorizationService {
    type Response = http::Response<Body>;
    type Error = std::convert::Infallible;
    type Future = BoxFuture<Self::Response, Self::Error>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: http::Request<Body>) -> Self::Future {
        if request.uri().path() != AUTHORIZE {
            return Box::pin(async { Ok(Status::unimplemented("").into_http()) });
        }
        let mut grpc = Grpc::new(Wire::<pb::AuthorizeResponse, Bytes>::default())
            .max_decoding_message_size(self.message_bytes_max)
            .max_encoding_message_size(self.answer_bytes_max);
        let authorize = self.authorize.clone();
        Box::pin(async move { Ok(grpc.unary(authorize, request).await) })
    }
}

// === impl Authorize ===

impl Authorize {
    fn new(config: &Config, live: Arc<Live>) -> Self {
        Self(Arc::new(Settings {
            live,
            clock: config.clock.clone(),
            trust_delegation: config.trust_delegation,
            value_depth_max: config.limits.value_depth_max,
            answer_bytes_max: config.limits.answer_bytes_max,
        }))
    }

    fn answer(&self, message: &[u8]) -> Result<pb::AuthorizeResponse, NoAnswer> {
        let response = isolated(|room| self.decide(message, room))?;
        let bytes = response.encoded_len();
        let bytes_max = self.0.answer_bytes_max;
        if u32::try_from(bytes).is_ok_and(|bytes| bytes <= bytes_max) {
            Ok(response)
        } else {
            Err(NoAnswer::TooLarge { bytes, bytes_max })
        }
    }

    fn decide(&self, message: &[u8], room: &mut Room) -> Result<pb::AuthorizeResponse, NoAnswer> {
        let (settings, Room { arena, scratch }) = (&*self.0, room);
        arena.reset();
        let now = settings.clock.now();
        let request = authorize::read_request(message, now, arena, settings.value_depth_max)?;
        let decider = settings.live.snapshot();
        if !settings.trust_delegation {
            let stated = authorize::delegation_fields(&request);
            if !stated.is_empty() {
                let bundle = decider.bundle().map(|bundle| &**bundle);
                return Ok(answer::invalid_request(bundle, untrusted(&stated)));
            }
        }
        Ok(answer::write(&decider.decide_with(scratch, &request, &DecideOptions::STANDARD)))
    }
}

impl UnaryService<Bytes> for Authorize {
    type Response = pb::AuthorizeResponse;
    type Future = BoxFuture<Response<Self::Response>, Status>;

    fn call(&mut self, request: Request<Bytes>) -> Self::Future {
        let authorize = self.clone();
        // In the future and not before it, so that a request that was given up costs nothing.
        Box::pin(async move {
            match authorize.answer(request.get_ref()) {
                Ok(response) => Ok(Response::new(response)),
                Err(no_answer) => Err(respond::status(&no_answer)),
            }
        })
    }
}

// === impl Room ===

impl Room {
    fn boxed() -> Box<Self> {
        Box::new(Self { arena: Arena::new(), scratch: Scratch::new() })
    }
}

/// Runs `work` with this thread's memory; a panic inside becomes an error and costs that memory.
fn isolated<T>(work: impl FnOnce(&mut Room) -> Result<T, NoAnswer>) -> Result<T, NoAnswer> {
    let mut room = ROOM.try_with(Cell::take).ok().flatten().unwrap_or_else(Room::boxed);
    let done =
        catch_unwind(AssertUnwindSafe(|| work(&mut room))).map_err(|_| NoAnswer::Panicked)?;
    // A thread that is going away keeps nothing; the memory is freed here.
    let _ = ROOM.try_with(|kept| kept.set(Some(room)));
    done
}

fn untrusted(stated: &[&str]) -> String {
    format!(
        "the request states delegation (`{}`), which this server does not believe its callers; leave it out, or have \
         the operator set `trust_delegation` where callers verify it",
        stated.join("`, `")
    )
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, clippy::panic, reason = "a test stops at the first surprise")]

    use pdp_core::Decider;

    use super::*;

    fn kept_bytes() -> Option<usize> {
        let room = ROOM.take();
        let bytes = room.as_ref().map(|room| room.arena.allocated_bytes());
        ROOM.set(room);
        bytes
    }

    #[test]
    fn memory_is_kept_from_request_to_request_and_does_not_grow() {
        let live = Arc::new(Live::new(Decider::no_bundle()));
        let service = Authorize::new(&Config::sidecar(), live);
        let name = Some(pb::EntityUid { r#type: "T".to_owned(), id: String::new() });
        let long = || pb::Value { kind: Some(pb::value::Kind::Long(1)) };
        let set = pb::value::Kind::Set(pb::Set { elements: vec![long(); 100] });
        let value = Some(pb::Value { kind: Some(set) });
        let message = pb::AuthorizeRequest {
            principal: name.clone(),
            action: name.clone(),
            resource: name,
            context: vec![pb::Entry { key: String::new(), value }],
            ..pb::AuthorizeRequest::default()
        };
        let message = message.encode_to_vec();
        let kept_after = |requests: u32| {
            for _ in 0..requests {
                service.answer(&message).unwrap();
            }
            kept_bytes().unwrap()
        };
        // The first few find the size.
        let settled = kept_after(10);
        assert!(settled > 0);
        assert_eq!(kept_after(1_000), settled);
    }

    #[test]
    fn memory_that_a_panic_left_is_not_used_again() {
        isolated(|_| Ok(())).unwrap();
        assert!(kept_bytes().is_some());
        let outcome: Result<(), _> = isolated(|_| panic!("on purpose"));
        assert!(matches!(outcome, Err(NoAnswer::Panicked)));
        assert!(kept_bytes().is_none());
    }
}
