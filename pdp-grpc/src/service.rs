//! The `Authorize` method: one message in, one snapshot of the bundle in force, one answer out.
//!
//! The decision runs on the thread that received the message: it takes microseconds, is bounded by the bundle's limits
//! and waits for nothing. It refuses to let a fault out: a panic costs the request that caused it and nothing else.

use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use pdp_core::json::Arena;
use pdp_core::{DecideOptions, Live, Scratch};
use prost::Message;
use tonic::{Request, Response, Status};

use crate::config::{Clock, Config};
use crate::pb::authorization_server::Authorization;
use crate::respond::NoAnswer;
use crate::{answer, authorize, pb, respond};

/// Serves `Authorize` from the bundle in force.
#[derive(Debug)]
pub(crate) struct Authorize {
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

// === impl Authorize ===

impl Authorize {
    pub(crate) fn new(config: &Config, live: Arc<Live>) -> Self {
        Self {
            live,
            clock: config.clock.clone(),
            trust_delegation: config.trust_delegation,
            value_depth_max: config.limits.value_depth_max,
            answer_bytes_max: config.limits.answer_bytes_max,
        }
    }

    fn answer(&self, message: &pb::AuthorizeRequest) -> Result<pb::AuthorizeResponse, NoAnswer> {
        let response = isolated(|room| self.decide(message, room))?;
        let bytes = response.encoded_len();
        let bytes_max = self.answer_bytes_max;
        if u32::try_from(bytes).is_ok_and(|bytes| bytes <= bytes_max) {
            Ok(response)
        } else {
            Err(NoAnswer::TooLarge { bytes, bytes_max })
        }
    }

    fn decide(
        &self,
        message: &pb::AuthorizeRequest,
        room: &mut Room,
    ) -> Result<pb::AuthorizeResponse, NoAnswer> {
        let Room { arena, scratch } = room;
        arena.reset();
        let request = authorize::read(message, self.clock.now(), arena, self.value_depth_max)?;
        let decider = self.live.snapshot();
        if !self.trust_delegation {
            let stated = authorize::delegation_fields(message);
            if !stated.is_empty() {
                let bundle = decider.bundle().map(|bundle| &**bundle);
                return Ok(answer::invalid_request(bundle, untrusted(&stated)));
            }
        }
        Ok(answer::write(&decider.decide_with(scratch, &request, &DecideOptions::STANDARD)))
    }
}

// === impl Room ===

impl Room {
    fn boxed() -> Box<Self> {
        Box::new(Self { arena: Arena::new(), scratch: Scratch::new() })
    }
}

// === the method ===

#[tonic::async_trait]
impl Authorization for Authorize {
    async fn authorize(
        &self,
        request: Request<pb::AuthorizeRequest>,
    ) -> Result<Response<pb::AuthorizeResponse>, Status> {
        match self.answer(request.get_ref()) {
            Ok(response) => Ok(Response::new(response)),
            Err(no_answer) => Err(respond::status(&no_answer)),
        }
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
