//! Where every protocol asks: one snapshot of the bundle in force, what its caller's word counts for, one decision.
//!
//! The decision runs on the thread that received the message: it takes microseconds, is bounded by the bundle's limits
//! and waits for nothing. It refuses to let a fault out: a panic costs the request that caused it and nothing else. It
//! knows no wire format; each protocol reads its requests and writes its answers in a file of its own.

use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::{Duration, Instant};

use pdp_core::json::Arena;
use pdp_core::{
    Answer, Bundle, Datetime, DecideOptions, Decider, Effect, InlineEntity, LegExplanation, Live,
    Reason, Request, Scratch, Snapshot, Uid, Value,
};

use crate::access::{Access, Caller};
use crate::authorize;
use crate::config::{Clock, Config};
use crate::decision_id::DecisionId;
use crate::decision_log::{DecisionLog, Record};
use crate::metrics::{Metrics, Protocol};
use crate::peer::Peer;
use crate::respond::NoAnswer;

/// Answers questions from the bundle in force. Cloning it is cheap.
#[derive(Clone, Debug)]
pub(crate) struct Desk(Arc<Settings>);

#[derive(Debug)]
struct Settings {
    live: Arc<Live>,
    clock: Clock,
    telemetry: Arc<Telemetry>,
    access: Access,
}

/// What is counted and logged of decisions.
#[derive(Debug, Default)]
pub(crate) struct Telemetry {
    pub(crate) metrics: Metrics,
    pub(crate) log: Option<DecisionLog>,
}

/// Who asks, and by which way.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Asker<'a> {
    pub(crate) protocol: Protocol,
    pub(crate) caller: &'a Caller,
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
pub(crate) struct Verdict<'s> {
    id: DecisionId,
    kind: Kind<'s>,
}

#[derive(Debug)]
enum Kind<'s> {
    /// The core's answer.
    Answered(Answer<'s>),
    /// A deny, `invalid_request`, before the core was asked, and a sentence for the caller.
    Refused(String),
    /// The same, because this caller may not ask this.
    NotForCaller(String),
    /// A deny before there was a question, and a code for what was in the way.
    NoQuestion(Reason, &'static str),
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
        Self(Arc::new(Settings { live, clock: config.clock.clone(), telemetry, access }))
    }

    /// What a request or batch decides from.
    pub(crate) fn snapshot(&self) -> Snapshot {
        self.0.live.snapshot()
    }

    /// The time of a request.
    pub(crate) fn now(&self) -> Datetime {
        self.0.clock.now()
    }

    /// Who asks over a connection.
    pub(crate) fn caller_of(&self, peer: &Peer) -> &Arc<Caller> {
        self.0.access.caller(peer)
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
        let kind = match refusal(asker.caller, decider, request) {
            Some(refused) => refused,
            None => {
                let options = &DecideOptions::STANDARD;
                Kind::Answered(decider.decide_with(scratch, request, options))
            }
        };
        let verdict = Verdict { id: DecisionId::next(), kind };
        self.note(asker.protocol, decider, Some(request), &verdict, begun.elapsed());
        verdict
    }

    /// Denies what is no question, for a protocol that has to answer that as well. `code` is one of a fixed set.
    #[cold]
    pub(crate) fn refuse(
        &self,
        protocol: Protocol,
        decider: &Decider,
        code: &'static str,
        begun: Instant,
    ) -> Verdict<'static> {
        let verdict = Verdict::no_question(decider, code);
        self.note(protocol, decider, None, &verdict, begun.elapsed());
        verdict
    }

    /// Denies where deciding broke down, for a protocol that has to answer that as well: logged like what is no question,
    /// and counted as what got no answer.
    #[cold]
    pub(crate) fn fault(
        &self,
        protocol: Protocol,
        decider: &Decider,
        begun: Instant,
    ) -> Verdict<'static> {
        self.0.telemetry.metrics.unanswered(protocol, &NoAnswer::Panicked);
        let verdict = Verdict::no_question(decider, "fault");
        // What broke may break here again; then the answer is all that there is.
        let _ = catch_unwind(AssertUnwindSafe(|| {
            self.log(protocol, decider, None, &verdict, begun.elapsed());
        }));
        verdict
    }

    fn note(
        &self,
        protocol: Protocol,
        decider: &Decider,
        request: Option<&Request<'_>>,
        verdict: &Verdict<'_>,
        took: Duration,
    ) {
        let metrics = &self.0.telemetry.metrics;
        metrics.decided(protocol, verdict.reason(), 1);
        metrics.took(protocol, verdict.effect(), took);
        self.log(protocol, decider, request, verdict, took);
    }

    fn log(
        &self,
        protocol: Protocol,
        decider: &Decider,
        request: Option<&Request<'_>>,
        verdict: &Verdict<'_>,
        took: Duration,
    ) {
        if let Some(log) = &self.0.telemetry.log {
            let bundle = bundle(decider);
            // The time that policies saw, where they saw one.
            let time = request.and_then(|request| request.now).unwrap_or_else(|| self.now());
            let record = Record { id: verdict.id, protocol, time, request, bundle, took };
            log.push(record.line(log.config(), verdict));
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
        let confined = (candidates.part == Part::Principal).then_some(asker.caller);
        if confined.is_none()
            && let Some(refused) = refusal(asker.caller, decider, request)
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
        let Telemetry { metrics, log } = &*self.0.telemetry;
        let (protocol, took) = (asker.protocol, begun.elapsed());
        metrics.decided(protocol, Reason::Permitted, filtered.allowed.len());
        for (reason, positions, _) in &filtered.denied {
            metrics.decided(protocol, *reason, positions.len());
        }
        let effect = if filtered.allowed.is_empty() { Effect::Deny } else { Effect::Allow };
        metrics.took(protocol, effect, took);
        if let Some(log) = log {
            let time = request.now.unwrap_or_else(|| self.now());
            let (id, request, bundle) = (filtered.id, Some(request), bundle(decider));
            let record = Record { id, protocol, time, request, bundle, took };
            log.push(record.filter_line(log.config(), filtered.decided, &filtered.allowed));
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

// === impl Verdict ===

impl<'s> Verdict<'s> {
    /// A deny without the core.
    #[cfg(test)]
    pub(crate) fn refused(message: String) -> Self {
        Self { id: DecisionId::next(), kind: Kind::Refused(message) }
    }

    fn no_question(decider: &Decider, code: &'static str) -> Self {
        let reason =
            if decider.bundle().is_some() { Reason::InvalidRequest } else { Reason::NoBundle };
        Self { id: DecisionId::next(), kind: Kind::NoQuestion(reason, code) }
    }

    /// Its name in the decision log.
    pub(crate) fn id(&self) -> DecisionId {
        self.id
    }

    /// The core's answer, if it was asked.
    pub(crate) fn answer(&self) -> Option<&Answer<'s>> {
        match &self.kind {
            Kind::Answered(answer) => Some(answer),
            Kind::Refused(_) | Kind::NotForCaller(_) | Kind::NoQuestion(..) => None,
        }
    }

    /// Passes it on, unless its caller may not ask this.
    pub(crate) fn for_caller(self) -> Result<Self, NoAnswer> {
        match self.kind {
            Kind::NotForCaller(message) => Err(NoAnswer::NotForCaller(message)),
            _ => Ok(self),
        }
    }

    /// A sentence about an invalid request or a limit, else empty.
    pub(crate) fn message(&self) -> &str {
        match &self.kind {
            Kind::Answered(answer) => answer.message(),
            Kind::Refused(message) | Kind::NotForCaller(message) => message,
            Kind::NoQuestion(..) => "",
        }
    }

    /// A code for what was in the way, if a question was not taken at all.
    pub(crate) fn code(&self) -> Option<&'static str> {
        match self.kind {
            Kind::NoQuestion(_, code) => Some(code),
            Kind::NotForCaller(_) => Some("not_for_caller"),
            Kind::Answered(_) | Kind::Refused(_) => None,
        }
    }

    /// Allow or deny.
    pub(crate) fn effect(&self) -> Effect {
        self.answer().map_or(Effect::Deny, |answer| answer.effect())
    }

    /// Why.
    pub(crate) fn reason(&self) -> Reason {
        match &self.kind {
            Kind::Answered(answer) => answer.reason(),
            Kind::Refused(_) | Kind::NotForCaller(_) => Reason::InvalidRequest,
            Kind::NoQuestion(reason, _) => *reason,
        }
    }
}

// === impl Filtered ===

impl Filtered {
    fn new() -> Self {
        Self { id: DecisionId::next(), allowed: Vec::new(), denied: Vec::new(), decided: 0 }
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
