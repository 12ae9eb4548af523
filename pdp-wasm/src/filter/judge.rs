//! From a call as the proxy tells of it to what becomes of it: the same question, answer and words as through the
//! sidecar.
//!
//! Pure: what is host and what is bytes is read by `host`, and acted upon by `stream`. What the proxy cannot tell denies.
//! What the proxy verified is believed: the filter runs inside of it, so delegation from claims counts. Without a bundle
//! there is one answer, 503.

use std::net::IpAddr;

use pdp_core::json::Arena;
use pdp_core::{Answer, Datetime, DecideOptions, Decider, Effect, Fact, Reason, Routes, Scratch};
use pdp_edge::mcp::ListFilter;
use pdp_edge::{
    DecisionId, HttpMessage, Metadata, Passed, Record, Refusal, Router, Said, Shown, Stopped,
    TRACEPARENT, Teller, TraceParent, label,
};

/// A call. What could not be read of it is an error where it would have counted.
#[derive(Clone, Debug, Default)]
pub(crate) struct Call {
    pub(crate) method: Vec<u8>,
    pub(crate) host: Vec<u8>,
    pub(crate) target: Vec<u8>,
    /// Without those that begin with a colon.
    pub(crate) headers: Vec<(String, Vec<u8>)>,
    pub(crate) source_principal: Vec<u8>,
    pub(crate) source_ip: Option<IpAddr>,
    /// What filters before this one said, Envoy's `Metadata`.
    pub(crate) metadata: Vec<u8>,
    /// What the operator said of the route, the same.
    pub(crate) route_metadata: Vec<u8>,
    /// The proxy could not tell all of it.
    pub(crate) is_unreadable: bool,
    pub(crate) body: Option<Vec<u8>>,
}

/// What of a call a bundle's routes ask for; what is not asked for is not fetched.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Needs {
    pub(crate) claims: bool,
    pub(crate) certificate: bool,
    pub(crate) source_ip: bool,
}

/// Memory of one call, reused by the next one.
#[derive(Debug)]
pub(crate) struct Room {
    pub(crate) arena: Arena,
    pub(crate) scratch: Scratch,
}

/// The circumstances of a decision.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Setting<'s> {
    pub(crate) now: Datetime,
    pub(crate) id: DecisionId,
    pub(crate) list_ttl_ms_max: u64,
    /// What is in a record, if decisions are logged.
    pub(crate) shown: Option<Shown<'s>>,
}

/// What became of a call.
#[derive(Debug)]
pub(crate) struct Judged {
    pub(crate) reason: Reason,
    /// For the access log.
    pub(crate) bundle: String,
    pub(crate) outcome: Outcome,
    /// A line of the decision log, if it is kept.
    pub(crate) line: Vec<u8>,
}

/// How a call goes on.
#[derive(Debug)]
pub(crate) enum Outcome {
    /// It does; if it asks for a list, with what its answer has to go through.
    Passed(Passed, Option<ListFilter>),
    /// It does not.
    Stopped(Stopped),
}

/// The namespace of a route's metadata that takes the place of context extensions.
const EXTENSIONS: &str = "pdp";
/// As in the decision log.
const ENTRY: &str = "proxy_wasm";
const UNAVAILABLE: u16 = 503;
const TOO_LARGE: u16 = 413;

/// Judges a call. Revocations, once there are any, are asked here, between question and decision.
pub(crate) fn judge(
    decider: &Decider,
    room: &mut Room,
    call: &Call,
    setting: &Setting<'_>,
) -> Judged {
    room.arena.reset();
    let Room { arena, scratch } = room;
    let headers = call.headers();
    let unasked =
        |code: &'static str, teller: &Teller<'_>| refused(decider, call, setting, code, teller);
    let nobody = &Teller { headers: &headers, ..Teller::default() };
    if decider.bundle().is_none() {
        return unasked("no_bundle", nobody);
    }
    let Some(router) = Router::of(decider) else { return unasked("no_routes", nobody) };
    let Some(told) = Told::read(call) else { return unasked("malformed", nobody) };
    let message = call.message(&headers, &told.extensions);
    let (matched, mut request) = match router.question(&message, &told.metadata, arena) {
        Ok(question) => question,
        Err(of) => {
            let fault = if let Refusal::Mcp(fault) = of.refusal { Some(fault) } else { None };
            let (route, message) = (of.route, of.message.as_ref());
            return unasked(
                of.refusal.code(),
                &Teller { route, message, fault, headers: &headers },
            );
        }
    };
    request.now = Some(setting.now);
    // Which policies decided is for the log alone.
    let effect_only = setting.shown.is_none();
    let options = DecideOptions { effect_only, ..DecideOptions::STANDARD };
    let answer = decider.decide_with(scratch, &request, &options);
    let teller = Teller {
        route: Some(matched.route()),
        message: matched.message(),
        fault: None,
        headers: &headers,
    };
    let (reason, id) = (answer.reason().as_str(), setting.id.to_string());
    let outcome = match answer.effect() {
        Effect::Allow => {
            let list = matched
                .message()
                .and_then(|message| ListFilter::new(message, setting.list_ttl_ms_max));
            Outcome::Passed(teller.passed(reason, &id), list)
        }
        Effect::Deny => Outcome::Stopped(teller.stopped(reason, None, &id)),
    };
    let line = line(decider, call, setting, Some(&request), &said(&answer));
    Judged { reason: answer.reason(), bundle: named(decider), outcome, line }
}

/// Denies a call whose body is larger than is read.
#[cold]
pub(crate) fn too_large(decider: &Decider, call: &Call, setting: &Setting<'_>) -> Judged {
    let mut judged = refused(decider, call, setting, "body_too_large", &Teller::default());
    if let Outcome::Stopped(stopped) = &mut judged.outcome {
        stopped.status = TOO_LARGE;
    }
    judged
}

/// Denies what is no question. `code` is one of a fixed set.
#[cold]
fn refused(
    decider: &Decider,
    call: &Call,
    setting: &Setting<'_>,
    code: &'static str,
    teller: &Teller<'_>,
) -> Judged {
    let is_there = decider.bundle().is_some();
    let reason = if is_there { Reason::InvalidRequest } else { Reason::NoBundle };
    let mut stopped = teller.stopped(reason.as_str(), Some(code), &setting.id.to_string());
    if !is_there {
        stopped.status = UNAVAILABLE;
    }
    let said =
        Said { effect: Effect::Deny, reason, message: "", refusal: Some(code), answer: None };
    let line = line(decider, call, setting, None, &said);
    Judged { reason, bundle: named(decider), outcome: Outcome::Stopped(stopped), line }
}

fn named(decider: &Decider) -> String {
    decider.bundle().map(|bundle| label(bundle)).unwrap_or_default()
}

fn said<'a>(answer: &'a Answer<'a>) -> Said<'a> {
    let (effect, reason, message) = (answer.effect(), answer.reason(), answer.message());
    Said { effect, reason, message, refusal: None, answer: Some(answer) }
}

fn line(
    decider: &Decider,
    call: &Call,
    setting: &Setting<'_>,
    request: Option<&pdp_core::Request<'_>>,
    said: &Said<'_>,
) -> Vec<u8> {
    let mut line = Vec::new();
    if let Some(shown) = setting.shown {
        record(decider, call, setting, request).line(&mut line, shown, said);
    }
    line
}

/// What is the same in all records of a call.
pub(crate) fn record<'r>(
    decider: &'r Decider,
    call: &Call,
    setting: &Setting<'_>,
    request: Option<&'r pdp_core::Request<'r>>,
) -> Record<'r> {
    let mut traces = call.headers.iter().filter(|(name, _)| name == TRACEPARENT);
    let trace = match (traces.next(), traces.next()) {
        (Some((_, text)), None) => std::str::from_utf8(text).ok().and_then(TraceParent::read),
        _ => None,
    };
    Record {
        id: setting.id,
        entry: ENTRY,
        time: setting.now,
        trace: trace.map(TraceParent::ids),
        request,
        bundle: decider.bundle().map(|bundle| &**bundle),
        took: None,
    }
}

/// What the proxy says of a call, taken apart.
#[derive(Debug)]
pub(crate) struct Told<'c> {
    pub(crate) metadata: Metadata<'c>,
    pub(crate) extensions: Vec<(&'c [u8], &'c [u8])>,
}

// === impl Told ===

impl<'c> Told<'c> {
    /// `None` if the proxy cannot say it.
    pub(crate) fn read(call: &'c Call) -> Option<Self> {
        if call.is_unreadable {
            return None;
        }
        let metadata = Metadata::read(&call.metadata).ok()?;
        let route = Metadata::read(&call.route_metadata).ok()?;
        Some(Self { metadata, extensions: route.texts(EXTENSIONS).ok()? })
    }
}

// === impl Call ===

impl Call {
    /// Its headers, borrowed.
    pub(crate) fn headers(&self) -> Vec<(&[u8], &[u8])> {
        self.headers.iter().map(|(name, value)| (name.as_bytes(), value.as_slice())).collect()
    }

    /// The same for `pdp-edge`.
    pub(crate) fn message<'c>(
        &'c self,
        headers: &'c [(&'c [u8], &'c [u8])],
        extensions: &'c [(&'c [u8], &'c [u8])],
    ) -> HttpMessage<'c> {
        HttpMessage {
            method: &self.method,
            host: &self.host,
            target: &self.target,
            headers,
            source_principal: &self.source_principal,
            source_ip: self.source_ip,
            extensions,
            body: self.body.as_deref().filter(|body| !body.is_empty()),
        }
    }

    /// Whether its body is needed to judge it.
    pub(crate) fn needs_body(&self, decider: &Decider, room: &mut Room) -> bool {
        room.arena.reset();
        let headers = self.headers();
        Router::of(decider)
            .is_some_and(|router| router.reads_body_of(&self.message(&headers, &[]), &room.arena))
    }

    /// Whether it says that its body is longer than so many bytes, or says of its length what is none.
    pub(crate) fn announces_more_than(&self, bytes_max: usize) -> bool {
        self.headers.iter().filter(|(name, _)| name == "content-length").any(|(_, value)| {
            let length = std::str::from_utf8(value).ok().and_then(|text| text.parse().ok());
            length.is_none_or(|length: usize| length > bytes_max)
        })
    }
}

// === impl Needs ===

impl Needs {
    /// What routes ask for.
    pub(crate) fn of(routes: &Routes) -> Self {
        let identities =
            || routes.principal.iter().chain(&routes.on_behalf_of).map(|(identity, _)| identity);
        let claims = |fact: &Fact| matches!(fact, Fact::Claim(_) | Fact::ClaimTime(_));
        Self {
            claims: routes.scopes.is_some()
                || routes.context.values().any(claims)
                || identities().any(|identity| identity.claim.is_some()),
            certificate: identities().any(|identity| identity.spiffe.is_some()),
            source_ip: routes.context.values().any(|fact| *fact == Fact::SourceIp),
        }
    }
}

// === impl Room ===

impl Room {
    pub(crate) fn new() -> Self {
        Self { arena: Arena::new(), scratch: Scratch::new() }
    }
}

// === impl Outcome ===

impl Outcome {
    /// Allow or deny.
    pub(crate) fn effect(&self) -> Effect {
        match self {
            Outcome::Passed(..) => Effect::Allow,
            Outcome::Stopped(_) => Effect::Deny,
        }
    }
}

#[cfg(test)]
pub(super) mod tests;
