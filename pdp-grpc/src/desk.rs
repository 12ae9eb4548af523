//! Where every protocol asks: one snapshot of the bundle in force, what its caller's word counts for, one decision.
//!
//! The decision runs on the thread that received the message: it takes microseconds, is bounded by the bundle's limits
//! and waits for nothing. It refuses to let a fault out: a panic costs the request that caused it and nothing else. It
//! knows no wire format; each protocol reads its requests and writes its answers in a file of its own.

mod verdict;

use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::http;
use pdp_core::json::Arena;
use pdp_core::{
    Bundle, Datetime, DecideOptions, Decider, Effect, InlineEntity, LegExplanation, Live, Reason,
    Request, Scratch, Snapshot, Uid, Value,
};
use pdp_edge::{Record, TRACEPARENT, TraceParent};

use crate::access::{Access, Caller};
use crate::admission::Admission;
use crate::authorize;
use crate::config::{Clock, Config};
use crate::decision_id::{self, DecisionId};
use crate::decision_log::DecisionLog;
use crate::metrics::{Metrics, Protocol};
use crate::peer::Peer;
use crate::respond::NoAnswer;
use crate::trace::{DecisionSpan, SharedTracer};
use verdict::Kind;
pub(crate) use verdict::Verdict;

/// Answers questions from the bundle in force. Cloning it is cheap.
#[derive(Clone, Debug)]
pub(crate) struct Desk(Arc<Settings>);

#[derive(Debug)]
struct Settings {
    live: Arc<Live>,
    clock: Clock,
    telemetry: Arc<Telemetry>,
    tracer: Option<SharedTracer>,
    access: Access,
}

/// What is counted and logged of decisions.
#[derive(Debug, Default)]
pub(crate) struct Telemetry {
    pub(crate) metrics: Metrics,
    pub(crate) log: Option<DecisionLog>,
    pub(crate) admission: Arc<Admission>,
}

/// Where a request comes from.
#[derive(Clone, Debug)]
pub(crate) struct Origin {
    /// Who asks.
    pub(crate) caller: Arc<Caller>,
    /// Its place in somebody's trace, if anybody here wants to know.
    pub(crate) trace: Option<TraceParent>,
}

/// Who asks, and by which way.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Asker<'a> {
    pub(crate) protocol: Protocol,
    pub(crate) origin: &'a Origin,
}

/// Memory of one request, reused by the next one on the same thread.
#[derive(Debug)]
pub(crate) struct Room {
    /// For the request; whoever reads one resets it.
    pub(crate) arena: Arena,
    /// For the decision.
    pub(crate) scratch: Scratch,
}

/// What the candidates of a filter got, as positions.
#[derive(Debug)]
pub(crate) struct Filtered {
    pub(crate) id: DecisionId,
    /// Ascending.
    pub(crate) allowed: Vec<u32>,
    /// By reason: positions, ascending, and a sentence about the first of them where the reason calls for one.
    pub(crate) denied: Vec<(Reason, Vec<u32>, String)>,
    /// How many candidates that is, from the first on.
    pub(crate) decided: usize,
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
    pub(crate) fn new(config: &Config, live: Arc<Live>, telemetry: Arc<Telemetry>) -> Self {
        let access = Access::new(&config.callers, config.trust_delegation, config.explain);
        let (clock, tracer) = (config.clock.clone(), config.tracer.clone());
        Self(Arc::new(Settings { live, clock, telemetry, tracer, access }))
    }

    /// What a request or batch decides from.
    pub(crate) fn snapshot(&self) -> Snapshot {
        self.0.live.snapshot()
    }

    /// What is in flight.
    pub(crate) fn admission(&self) -> &Arc<Admission> {
        &self.0.telemetry.admission
    }

    /// The time of a request.
    pub(crate) fn now(&self) -> Datetime {
        self.0.clock.now()
    }

    /// Where a request comes from. Without a connection to tell by it is somebody of whom nothing is known.
    pub(crate) fn origin_of<B>(&self, request: &http::Request<B>) -> Origin {
        let is_told = self.0.tracer.is_some() || self.0.telemetry.log.is_some();
        let header = is_told.then(|| request.headers().get(TRACEPARENT)).flatten();
        let text = header.and_then(|header| header.to_str().ok());
        let trace = text.and_then(TraceParent::read);
        let peer = request.extensions().get::<Peer>();
        let caller = match peer {
            Some(peer) => self.0.access.caller(peer),
            None => self.0.access.caller(&Peer::default()),
        };
        Origin { caller: Arc::clone(caller), trace }
    }

    /// Decides a question.
    pub(crate) fn decide<'s>(
        &self,
        asker: Asker<'_>,
        decider: &'s Decider,
        scratch: &'s mut Scratch,
        request: &Request<'_>,
    ) -> Verdict<'s> {
        let begun = Instant::now();
        let kind = match refusal(&asker.origin.caller, decider, request) {
            Some(refused) => refused,
            None => {
                let options = &DecideOptions::STANDARD;
                Kind::Answered(decider.decide_with(scratch, request, options))
            }
        };
        let verdict = Verdict::new(kind);
        self.note(asker, decider, Some(request), &verdict, begun.elapsed());
        verdict
    }

    /// Denies what is no question, for a protocol that has to answer that as well. `code` is one of a fixed set.
    #[cold]
    pub(crate) fn refuse(
        &self,
        asker: Asker<'_>,
        decider: &Decider,
        code: &'static str,
        begun: Instant,
    ) -> Verdict<'static> {
        let verdict = Verdict::no_question(decider, code);
        self.note(asker, decider, None, &verdict, begun.elapsed());
        verdict
    }

    /// Denies where deciding broke down, for a protocol that has to answer that as well: logged like what is no question,
    /// and counted as what got no answer.
    #[cold]
    pub(crate) fn fault(
        &self,
        asker: Asker<'_>,
        decider: &Decider,
        begun: Instant,
    ) -> Verdict<'static> {
        self.0.telemetry.metrics.unanswered(asker.protocol, &NoAnswer::Panicked);
        let verdict = Verdict::no_question(decider, "fault");
        // What broke may break here again; then the answer is all that there is.
        let _ = catch_unwind(AssertUnwindSafe(|| {
            self.tell(asker, decider, None, &verdict, begun.elapsed());
        }));
        verdict
    }

    fn note(
        &self,
        asker: Asker<'_>,
        decider: &Decider,
        request: Option<&Request<'_>>,
        verdict: &Verdict<'_>,
        took: Duration,
    ) {
        let metrics = &self.0.telemetry.metrics;
        metrics.decided(asker.protocol, verdict.reason(), 1);
        metrics.took(asker.protocol, verdict.effect(), took);
        self.tell(asker, decider, request, verdict, took);
    }

    /// Tells traces and the log of a verdict.
    fn tell(
        &self,
        Asker { protocol, origin }: Asker<'_>,
        decider: &Decider,
        request: Option<&Request<'_>>,
        verdict: &Verdict<'_>,
        took: Duration,
    ) {
        let (bundle, trace) = (bundle(decider), origin.trace);
        if let Some(tracer) = &self.0.tracer {
            let outcome = (verdict.effect(), Some(verdict.reason()));
            let span = DecisionSpan::new(verdict.id(), protocol, took, outcome);
            tracer.decided(&DecisionSpan { parent: trace, request, bundle, ..span });
        }
        if let Some(log) = &self.0.telemetry.log {
            // The time that policies saw, where they saw one.
            let time = request.and_then(|request| request.now).unwrap_or_else(|| self.now());
            let (id, entry, trace) = (verdict.id(), protocol.as_str(), trace.map(TraceParent::ids));
            let took = Some(took);
            let record = Record { id, entry, time, trace, request, bundle, took };
            log.push(|out| record.line(out, log.config().shown(), &verdict.said()));
        }
    }

    /// Counts a question that got no answer, and passes it on.
    pub(crate) fn answered<T>(
        &self,
        protocol: Protocol,
        answer: Result<T, NoAnswer>,
    ) -> Result<T, NoAnswer> {
        answer.inspect_err(|error| self.0.telemetry.metrics.unanswered(protocol, error))
    }

    /// Says why [`Desk::decide`] answers a question as it does, leg by leg; nothing where it refuses.
    pub(crate) fn explain(
        &self,
        caller: &Caller,
        decider: &Decider,
        scratch: &mut Scratch,
        request: &Request<'_>,
    ) -> Vec<LegExplanation> {
        match refusal(caller, decider, request) {
            Some(_) => Vec::new(),
            None => decider.explain(scratch, request, &DecideOptions::STANDARD).legs,
        }
    }

    /// Decides one question for many candidates; what they take the place of is not looked at. `goes_on` hears now and
    /// then how many are allowed, and says whether to go on.
    pub(crate) fn filter(
        &self,
        asker: Asker<'_>,
        decider: &Decider,
        scratch: &mut Scratch,
        request: &Request<'_>,
        candidates: Candidates<'_>,
        goes_on: impl Fn(usize) -> Result<bool, NoAnswer>,
    ) -> Result<Filtered, NoAnswer> {
        let begun = Instant::now();
        let mut filtered = Filtered::new();
        // Where principals are searched, each of them is one that the caller may ask about or not.
        let caller = &*asker.origin.caller;
        let confined = (candidates.part == Part::Principal).then_some(caller);
        if confined.is_none()
            && let Some(refused) = refusal(caller, decider, request)
        {
            let message = match refused {
                Kind::NotForCaller(message) => return Err(NoAnswer::NotForCaller(message)),
                Kind::Refused(message) => message,
                Kind::Answered(_) | Kind::NoQuestion(..) => String::new(),
            };
            for _ in candidates.uids {
                filtered.push(Effect::Deny, Reason::InvalidRequest, &message);
            }
        } else {
            for few in candidates.uids.chunks(BETWEEN_LOOKS) {
                if !goes_on(filtered.allowed.len())? {
                    break;
                }
                let few = Candidates { uids: few, ..candidates };
                filtered.decide(decider, scratch, request, few, confined);
            }
        }
        let Telemetry { metrics, log, .. } = &*self.0.telemetry;
        let (protocol, took) = (asker.protocol, begun.elapsed());
        metrics.decided(protocol, Reason::Permitted, filtered.allowed.len());
        for (reason, positions, _) in &filtered.denied {
            metrics.decided(protocol, *reason, positions.len());
        }
        let effect = if filtered.allowed.is_empty() { Effect::Deny } else { Effect::Allow };
        metrics.took(protocol, effect, took);
        let (id, trace, bundle) = (filtered.id, asker.origin.trace, bundle(decider));
        if let Some(tracer) = &self.0.tracer {
            let span = DecisionSpan::new(id, protocol, took, (effect, None));
            tracer.decided(&DecisionSpan { parent: trace, request: Some(request), bundle, ..span });
        }
        if let Some(log) = log {
            let time = request.now.unwrap_or_else(|| self.now());
            let (entry, trace) = (protocol.as_str(), trace.map(TraceParent::ids));
            let (request, took) = (Some(request), Some(took));
            let record = Record { id, entry, time, trace, request, bundle, took };
            let (decided, allowed) = (filtered.decided, &filtered.allowed);
            log.push(|out| record.filter_line(out, log.config().shown(), decided, allowed));
        }
        Ok(filtered)
    }
}

/// What a filter chooses from.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Candidates<'a> {
    pub(crate) uids: &'a [Uid<'a>],
    pub(crate) part: Part,
    /// What the caller supplies about each of them.
    pub(crate) attrs: &'a [(&'a str, Value<'a>)],
}

/// Which part of a question the candidates take the place of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Part {
    Principal,
    Action,
    Resource,
}

/// So many candidates go between two looks at the clock.
const BETWEEN_LOOKS: usize = 64;

/// Why the core is not even asked.
fn refusal<'s>(caller: &Caller, decider: &Decider, request: &Request<'_>) -> Option<Kind<'s>> {
    if let Some(message) = caller.forbids(decider, request) {
        return Some(Kind::NotForCaller(message));
    }
    if caller.trust_delegation {
        return None;
    }
    let stated = authorize::delegation_fields(request);
    if stated.is_empty() { None } else { Some(Kind::Refused(untrusted(&stated))) }
}

fn bundle(decider: &Decider) -> Option<&Bundle> {
    decider.bundle().map(|bundle| &**bundle)
}

#[cold]
fn untrusted(stated: &[&str]) -> String {
    format!(
        "the request states delegation (`{}`), which this server does not believe its callers; leave it out, or have \
         the operator set `trust_delegation` where callers verify it",
        stated.join("`, `")
    )
}

// === impl Filtered ===

impl Filtered {
    fn new() -> Self {
        Self { id: decision_id::next(), allowed: Vec::new(), denied: Vec::new(), decided: 0 }
    }

    /// Decides for the next few.
    fn decide(
        &mut self,
        decider: &Decider,
        scratch: &mut Scratch,
        request: &Request<'_>,
        few: Candidates<'_>,
        confined: Option<&Caller>,
    ) {
        if few.part == Part::Resource && few.attrs.is_empty() {
            decider.filter(scratch, request, few.uids, &EFFECT, |_, answer| {
                self.push(answer.effect(), answer.reason(), answer.message());
            });
            return;
        }
        let mut entities = request.entities.to_vec();
        for uid in few.uids {
            entities.truncate(request.entities.len());
            if !few.attrs.is_empty() {
                entities.push(InlineEntity {
                    uid: *uid,
                    attrs: few.attrs,
                    tags: &[],
                    parents: &[],
                });
            }
            let mut request = Request { entities: &entities, ..*request };
            match few.part {
                Part::Principal => request.principal = *uid,
                Part::Action => request.action = *uid,
                Part::Resource => request.resource = *uid,
            }
            if confined.is_some_and(|caller| refusal(caller, decider, &request).is_some()) {
                self.push(
                    Effect::Deny,
                    Reason::InvalidRequest,
                    "not one that this caller may ask about",
                );
                continue;
            }
            let answer = decider.decide_with(scratch, &request, &EFFECT);
            self.push(answer.effect(), answer.reason(), answer.message());
        }
    }

    /// Adds what the next candidate got.
    fn push(&mut self, effect: Effect, reason: Reason, message: &str) {
        let at = u32::try_from(self.decided).unwrap_or(u32::MAX);
        self.decided += 1;
        if effect == Effect::Allow {
            self.allowed.push(at);
            return;
        }
        // There are few reasons, and mostly one.
        match self.denied.iter_mut().find(|(denied, _, _)| *denied == reason) {
            Some((_, positions, _)) => positions.push(at),
            None => self.denied.push((reason, vec![at], message.to_owned())),
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
mod tests;
