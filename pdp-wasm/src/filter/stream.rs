//! One call: held until it is judged, then let through or answered; and a list, on its way back.
//!
//! A call is judged at its headers, or where its route reads bodies at the end of its body, of which no more is kept than the
//! settings say. Until it is judged nothing of it goes on. An answer to be filtered is given on as it may be seen, and
//! never before it was looked at.

use std::rc::Rc;

use pdp_core::Effect;
use pdp_edge::mcp::ListFilter;
use pdp_edge::{Passed, Stopped};
use proxy_wasm::hostcalls;
use proxy_wasm::traits::{Context, HttpContext};
use proxy_wasm::types::{Action, BufferType, MapType, Status};

use super::host;
use super::judge::{Call, Judged, Outcome, Setting, judge, too_large};
use super::lists::{self, Reading, Shown};
use super::root::{Desk, InForce};

/// A call.
#[derive(Debug)]
pub(super) struct Stream {
    desk: Rc<Desk>,
    state: State,
}

/// Where a call is.
#[derive(Debug)]
enum State {
    /// Not seen yet.
    New,
    /// Its body is still to come, but for so many bytes.
    Held(Rc<InForce>, Box<Call>, usize),
    /// On its way to come back with a list.
    Asking(Box<List>),
    /// Its list is coming back, and so many bytes of it are held.
    Listing(Box<List>, Reading, usize),
    /// What was to be said in place of an answer was said.
    Said,
    /// Answered here, or on its way with nothing more to be done.
    Done,
}

/// A list that was asked for.
#[derive(Debug)]
struct List {
    in_force: Rc<InForce>,
    call: Call,
    filter: ListFilter,
}

/// The header that makes a module for tests panic.
#[cfg(feature = "crash")]
const CRASH: &str = "x-crash-the-filter";

// === impl Stream ===

impl Stream {
    pub(super) fn new(desk: Rc<Desk>) -> Self {
        Self { desk, state: State::New }
    }

    /// Judges a call of which everything is there.
    fn judge(&mut self, in_force: Rc<InForce>, call: Call) -> Action {
        let desk = Rc::clone(&self.desk);
        let setting = desk.setting();
        let judged = desk.with_room(|room| judge(&in_force.decider, room, &call, &setting));
        match self.act(judged, &setting) {
            Ok(None) => Action::Continue,
            Ok(Some(filter)) => {
                self.state = State::Asking(Box::new(List { in_force, call, filter }));
                Action::Continue
            }
            Err(Held) => Action::Pause,
        }
    }

    /// Judges a call whose body, so many bytes, is there.
    fn complete(&mut self, in_force: Rc<InForce>, mut call: Call, bytes: usize) -> Action {
        if bytes > 0 {
            call.body = host::buffer(BufferType::HttpRequestBody, bytes);
            call.is_unreadable |= call.body.as_ref().is_none_or(|body| body.len() != bytes);
        }
        self.judge(in_force, call)
    }

    /// Denies a call whose body is too large.
    #[cold]
    fn too_large(&mut self, in_force: &InForce, call: &Call) -> Action {
        let desk = Rc::clone(&self.desk);
        let setting = desk.setting();
        // It is a deny, so there is nothing to go on with.
        let _ = self.act(too_large(&in_force.decider, call, &setting), &setting);
        Action::Pause
    }

    /// Does what was decided. A call that goes on may come back with what has to be filtered.
    fn act(&mut self, judged: Judged, setting: &Setting<'_>) -> Result<Option<ListFilter>, Held> {
        let Judged { reason, bundle, outcome, line } = judged;
        let effect = outcome.effect();
        // One text and not four: each costs as much as the decision. The bundle's name may have anything in it, so it is
        // last.
        let note = format!("{} {} {} {bundle}", effect.as_str(), reason.as_str(), setting.id);
        if host::note(&note).is_err() {
            self.desk.failed();
        }
        self.desk.decided(effect == Effect::Allow, reason, line);
        self.state = State::Done;
        match outcome {
            Outcome::Passed(passed, filter) => match go_on(&passed, filter.is_some()) {
                Ok(()) => Ok(filter),
                Err(_) => {
                    // What would go on is not what was decided.
                    self.desk.failed();
                    self.answer(&Stopped { status: 500, headers: Vec::new(), body: String::new() })
                }
            },
            Outcome::Stopped(stopped) => self.answer(&stopped),
        }
    }

    fn answer<T>(&self, stopped: &Stopped) -> Result<T, Held> {
        let headers: Vec<(&str, &str)> =
            stopped.headers.iter().map(|(name, value)| (&**name, &**value)).collect();
        let (status, body) = (stopped.status.into(), stopped.body.as_bytes());
        if hostcalls::send_http_response(status, headers, Some(body)).is_err() {
            // It stays held.
            self.desk.failed();
        }
        Err(Held)
    }

    /// What the body of an answer becomes, of which so many bytes are there.
    fn seen(&mut self, bytes: usize, is_end: bool) -> Action {
        let (list, reading, held) = match &mut self.state {
            State::Listing(list, reading, held) => (list, reading, held),
            State::Said => {
                show(b"");
                return Action::Continue;
            }
            _ => return Action::Continue,
        };
        let desk = &*self.desk;
        let body = || host::buffer(BufferType::HttpResponseBody, bytes).unwrap_or_default();
        match reading {
            Reading::Stream(sse) => {
                let shown = list.shown(desk, |list, room, setting| {
                    lists::piece(&list.in_force.decider, room, &list.call, setting, sse, &body())
                });
                show(&shown.bytes);
            }
            Reading::Whole if bytes <= desk.body_bytes_max => {
                if !is_end {
                    *held = bytes;
                    return Action::Pause;
                }
                let shown = list.shown(desk, |List { in_force, call, filter }, room, setting| {
                    lists::whole(&in_force.decider, room, call, setting, filter, &body())
                });
                show(&shown.bytes);
            }
            Reading::Whole | Reading::Unread => {
                show(list.filter.empty().as_bytes());
                self.state = State::Said;
            }
        }
        Action::Continue
    }
}

/// A call that does not go on.
#[derive(Debug)]
struct Held;

/// Changes a call's headers as was decided.
fn go_on(passed: &Passed, is_list: bool) -> Result<(), Status> {
    let map = MapType::HttpRequestHeaders;
    for name in &passed.remove {
        hostcalls::set_map_value(map, name, None)?;
    }
    for (name, value) in &passed.set {
        hostcalls::set_map_value(map, name, Some(value))?;
    }
    if is_list {
        // What is packed cannot be filtered.
        hostcalls::set_map_value(map, "accept-encoding", None)?;
    }
    Ok(())
}

/// Puts these bytes in the place of what is there of an answer's body.
fn show(bytes: &[u8]) {
    // It does not fail: where the proxy has no such buffer, the module ends, and with it the answer.
    let _ = hostcalls::set_buffer(BufferType::HttpResponseBody, 0, usize::MAX, bytes);
}

impl Context for Stream {}

impl HttpContext for Stream {
    fn on_http_request_headers(&mut self, _: usize, is_end: bool) -> Action {
        let desk = Rc::clone(&self.desk);
        let in_force = desk.snapshot();
        let call = host::call(in_force.needs, desk.source_ip);
        #[cfg(feature = "crash")]
        #[expect(clippy::panic, reason = "that is what it is for")]
        if call.headers.iter().any(|(name, _)| name == CRASH) {
            panic!("a test wants it");
        }
        let is_held = !is_end && desk.with_room(|room| call.needs_body(&in_force.decider, room));
        if !is_held {
            return self.judge(in_force, call);
        }
        if call.announces_more_than(desk.body_bytes_max) {
            return self.too_large(&in_force, &call);
        }
        self.state = State::Held(in_force, Box::new(call), 0);
        Action::Pause
    }

    fn on_http_request_body(&mut self, bytes: usize, is_end: bool) -> Action {
        match std::mem::replace(&mut self.state, State::Done) {
            State::Held(in_force, call, _) if bytes > self.desk.body_bytes_max => {
                self.too_large(&in_force, &call)
            }
            State::Held(in_force, call, _) if is_end => self.complete(in_force, *call, bytes),
            State::Held(in_force, call, _) => {
                self.state = State::Held(in_force, call, bytes);
                Action::Pause
            }
            state => {
                self.state = state;
                Action::Continue
            }
        }
    }

    fn on_http_request_trailers(&mut self, _: usize) -> Action {
        match std::mem::replace(&mut self.state, State::Done) {
            State::Held(in_force, call, bytes) => self.complete(in_force, *call, bytes),
            state => {
                self.state = state;
                Action::Continue
            }
        }
    }

    fn on_http_response_headers(&mut self, _: usize, is_end: bool) -> Action {
        let State::Asking(list) = std::mem::replace(&mut self.state, State::Done) else {
            return Action::Continue;
        };
        if is_end {
            // There is nothing to be seen.
            return Action::Continue;
        }
        let map = MapType::HttpResponseHeaders;
        let headers = hostcalls::get_map_bytes(map).unwrap_or_default();
        let reading = Reading::of(&headers, &list.filter);
        let mut changes = vec![("content-length", None)];
        if matches!(reading, Reading::Unread) {
            changes
                .extend([("content-type", Some("application/json")), ("content-encoding", None)]);
        }
        for (name, value) in changes {
            if hostcalls::set_map_value(map, name, value).is_err() {
                self.desk.failed();
            }
        }
        self.state = State::Listing(list, reading, 0);
        Action::Continue
    }

    fn on_http_response_body(&mut self, bytes: usize, is_end: bool) -> Action {
        self.seen(bytes, is_end)
    }

    fn on_http_response_trailers(&mut self, _: usize) -> Action {
        match self.state {
            // What is held ends here.
            State::Listing(_, Reading::Whole, held @ 1..) => self.seen(held, true),
            _ => Action::Continue,
        }
    }
}

// === impl List ===

impl List {
    /// Looks at what came, and keeps the line of it.
    fn shown(
        &self,
        desk: &Desk,
        look: impl FnOnce(&Self, &mut super::judge::Room, &Setting<'_>) -> Shown,
    ) -> Shown {
        let setting = desk.setting();
        let mut shown = desk.with_room(|room| look(self, room, &setting));
        desk.logged(std::mem::take(&mut shown.line));
        shown
    }
}
