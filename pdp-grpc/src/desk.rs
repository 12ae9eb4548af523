//! Where every protocol asks: one snapshot of the bundle in force, what its caller's word counts for, one decision.
//!
//! The decision runs on the thread that received the message: it takes microseconds, is bounded by the bundle's limits
//! and waits for nothing. It refuses to let a fault out: a panic costs the request that caused it and nothing else. It
//! knows no wire format; each protocol reads its requests and writes its answers in a file of its own.

use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use pdp_core::json::Arena;
use pdp_core::{
    Answer, Datetime, DecideOptions, Decider, Effect, LegExplanation, Live, Reason, Request,
    Scratch, Snapshot, Uid,
};

use crate::access::Caller;
use crate::authorize;
use crate::config::{Clock, Config};
use crate::respond::NoAnswer;

/// Answers questions from the bundle in force. Cloning it is cheap.
#[derive(Clone, Debug)]
pub(crate) struct Desk(Arc<Settings>);

#[derive(Debug)]
struct Settings {
    live: Arc<Live>,
    clock: Clock,
    /// What callers are, as long as all of them are the same.
    caller: Caller,
}

/// Memory of one request, reused by the next one on the same thread.
#[derive(Debug)]
pub(crate) struct Room {
    /// For the request; whoever reads one resets it.
    pub(crate) arena: Arena,
    /// For the decision.
    pub(crate) scratch: Scratch,
}

/// What a question got.
#[derive(Debug)]
pub(crate) enum Verdict<'s> {
    /// The core's answer.
    Answered(Answer<'s>),
    /// A deny, `invalid_request`, before the core was asked.
    Refused {
        /// A sentence for the caller.
        message: String,
    },
}

/// For callers who want to know whether, and not because of which policies.
const EFFECT: DecideOptions = DecideOptions { effect_only: true, ..DecideOptions::STANDARD };

thread_local! {
    // Per thread rather than from a pool: deciding never waits, so a thread decides one request at a time, and no
    // thread ever waits for another's memory. Taken out while in use: what a panic leaves half done is never used again.
    static ROOM: Cell<Option<Box<Room>>> = const { Cell::new(None) };
}

// === impl Desk ===

impl Desk {
    pub(crate) fn new(config: &Config, live: Arc<Live>) -> Self {
        let caller = Caller { trust_delegation: config.trust_delegation, explain: config.explain };
        Self(Arc::new(Settings { live, clock: config.clock.clone(), caller }))
    }

    /// What a request or batch decides from.
    pub(crate) fn snapshot(&self) -> Snapshot {
        self.0.live.snapshot()
    }

    /// The time of a request.
    pub(crate) fn now(&self) -> Datetime {
        self.0.clock.now()
    }

    /// Who asks.
    pub(crate) fn caller(&self) -> &Caller {
        &self.0.caller
    }

    /// Decides a question.
    pub(crate) fn decide<'s>(
        &self,
        caller: &Caller,
        decider: &'s Decider,
        scratch: &'s mut Scratch,
        request: &Request<'_>,
    ) -> Verdict<'s> {
        match refusal(caller, request) {
            Some(message) => Verdict::Refused { message },
            None => {
                Verdict::Answered(decider.decide_with(scratch, request, &DecideOptions::STANDARD))
            }
        }
    }

    /// Decides a question as far as effect and reason: of the determining policies it names at most one.
    pub(crate) fn effect<'s>(
        &self,
        caller: &Caller,
        decider: &'s Decider,
        scratch: &'s mut Scratch,
        request: &Request<'_>,
    ) -> Verdict<'s> {
        match refusal(caller, request) {
            Some(message) => Verdict::Refused { message },
            None => Verdict::Answered(decider.decide_with(scratch, request, &EFFECT)),
        }
    }

    /// Says why [`Desk::decide`] answers a question as it does, leg by leg; nothing where it refuses.
    pub(crate) fn explain(
        &self,
        caller: &Caller,
        decider: &Decider,
        scratch: &mut Scratch,
        request: &Request<'_>,
    ) -> Vec<LegExplanation> {
        match refusal(caller, request) {
            Some(_) => Vec::new(),
            None => decider.explain(scratch, request, &DecideOptions::STANDARD).legs,
        }
    }

    /// Decides one question for many resources, in their order.
    pub(crate) fn filter(
        &self,
        caller: &Caller,
        decider: &Decider,
        scratch: &mut Scratch,
        request: &Request<'_>,
        resources: &[Uid<'_>],
        mut each: impl FnMut(Verdict<'_>),
    ) {
        if let Some(message) = refusal(caller, request) {
            for _ in resources {
                let message = message.clone();
                each(Verdict::Refused { message });
            }
            return;
        }
        decider.filter(scratch, request, resources, &EFFECT, |_, answer| {
            each(Verdict::Answered(*answer));
        });
    }
}

/// Why the core is not even asked.
fn refusal(caller: &Caller, request: &Request<'_>) -> Option<String> {
    if caller.trust_delegation {
        return None;
    }
    let stated = authorize::delegation_fields(request);
    if stated.is_empty() { None } else { Some(untrusted(&stated)) }
}

#[cold]
fn untrusted(stated: &[&str]) -> String {
    format!(
        "the request states delegation (`{}`), which this server does not believe its callers; leave it out, or have \
         the operator set `trust_delegation` where callers verify it",
        stated.join("`, `")
    )
}

// === impl Verdict ===

impl Verdict<'_> {
    /// A sentence about an invalid request or a limit, else empty.
    pub(crate) fn message(&self) -> &str {
        match self {
            Verdict::Answered(answer) => answer.message(),
            Verdict::Refused { message } => message,
        }
    }

    /// Allow or deny.
    pub(crate) fn effect(&self) -> Effect {
        match self {
            Verdict::Answered(answer) => answer.effect(),
            Verdict::Refused { .. } => Effect::Deny,
        }
    }

    /// Why.
    pub(crate) fn reason(&self) -> Reason {
        match self {
            Verdict::Answered(answer) => answer.reason(),
            Verdict::Refused { .. } => Reason::InvalidRequest,
        }
    }
}

// === impl Room ===

impl Room {
    fn boxed() -> Box<Self> {
        Box::new(Self { arena: Arena::new(), scratch: Scratch::new() })
    }
}

/// Runs `work` with this thread's memory; a panic inside becomes an error and costs that memory.
pub(crate) fn isolated<T>(
    work: impl FnOnce(&mut Room) -> Result<T, NoAnswer>,
) -> Result<T, NoAnswer> {
    let mut room = ROOM.try_with(Cell::take).ok().flatten().unwrap_or_else(Room::boxed);
    let done =
        catch_unwind(AssertUnwindSafe(|| work(&mut room))).map_err(|_| NoAnswer::Panicked)?;
    // A thread that is going away keeps nothing; the memory is freed here.
    let _ = ROOM.try_with(|kept| kept.set(Some(room)));
    done
}

/// Size of the memory that this thread keeps, in bytes.
#[cfg(test)]
pub(crate) fn kept_bytes() -> Option<usize> {
    let room = ROOM.take();
    let bytes = room.as_ref().map(|room| room.arena.allocated_bytes());
    ROOM.set(room);
    bytes
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, clippy::panic, reason = "a test stops at the first surprise")]

    use super::*;

    #[test]
    fn memory_that_a_panic_left_is_not_used_again() {
        isolated(|_| Ok(())).unwrap();
        assert!(kept_bytes().is_some());
        let outcome: Result<(), _> = isolated(|_| panic!("on purpose"));
        assert!(matches!(outcome, Err(NoAnswer::Panicked)));
        assert!(kept_bytes().is_none());
    }
}
