//! Lists of an MCP server, as whoever asked for them may see them: the question of the call once more, for each item.
//!
//! Decided is by the bundle by which the call was let through, whatever was swapped meanwhile, and by the time at which
//! the list comes. An answer that is no list that can be read becomes an empty one.

use pdp_core::{DecideOptions, Decider, Request, Scratch};
use pdp_edge::Router;
use pdp_edge::mcp::{Item, ListFilter, SseFilter, item};

use super::judge::{Call, Room, Setting, Told, record};

/// How an answer is read.
#[derive(Debug)]
pub(crate) enum Reading {
    /// Whole, when all of it is there.
    Whole,
    /// A stream, in pieces.
    Stream(SseFilter),
    /// Not at all.
    Unread,
}

/// What may be seen, and a line of the decision log if one is kept.
#[derive(Debug)]
pub(crate) struct Shown {
    pub(crate) bytes: Vec<u8>,
    pub(crate) line: Vec<u8>,
}

// === impl Reading ===

impl Reading {
    /// By the headers of an answer, names in lower case.
    pub(crate) fn of(headers: &[(String, Vec<u8>)], filter: &ListFilter) -> Self {
        let one = |name: &str| {
            let mut values = headers.iter().filter(|(key, _)| key == name);
            match (values.next(), values.next()) {
                (value, None) => Some(value.map(|(_, value)| value.trim_ascii())),
                (_, Some(_)) => None,
            }
        };
        let (Some(content_type), Some(encoding)) = (one("content-type"), one("content-encoding"))
        else {
            return Reading::Unread;
        };
        if encoding.is_some_and(|encoding| !encoding.eq_ignore_ascii_case(b"identity")) {
            return Reading::Unread;
        }
        let content_type = content_type.unwrap_or_default().to_ascii_lowercase();
        match content_type.split(|byte| *byte == b';').next().map(<[u8]>::trim_ascii) {
            Some(b"application/json") => Reading::Whole,
            Some(b"text/event-stream") => Reading::Stream(SseFilter::new(filter.clone())),
            _ => Reading::Unread,
        }
    }
}

/// A whole answer as it may be seen.
pub(crate) fn whole(
    decider: &Decider,
    room: &mut Room,
    call: &Call,
    setting: &Setting<'_>,
    filter: &ListFilter,
    body: &[u8],
) -> Shown {
    shown(decider, room, call, setting, |allowed| filter.body(body, allowed).into_bytes())
}

/// The next piece of a stream as it may be seen.
pub(crate) fn piece(
    decider: &Decider,
    room: &mut Room,
    call: &Call,
    setting: &Setting<'_>,
    filter: &mut SseFilter,
    piece: &[u8],
) -> Shown {
    shown(decider, room, call, setting, |allowed| filter.feed(piece, allowed))
}

fn shown(
    decider: &Decider,
    room: &mut Room,
    call: &Call,
    setting: &Setting<'_>,
    see: impl FnOnce(&mut dyn FnMut(Item<'_>) -> bool) -> Vec<u8>,
) -> Shown {
    room.arena.reset();
    let Room { arena, scratch } = room;
    let headers = call.headers();
    let told = Told::read(call);
    let question = told.as_ref().zip(Router::of(decider)).and_then(|(told, router)| {
        let message = call.message(&headers, &told.extensions);
        router.question(&message, &told.metadata, arena).ok()
    });
    let mcp = decider.bundle().and_then(|bundle| bundle.routes()?.mcp.as_ref());
    // The call was let through, so it is a question, and one to a server.
    let (Some((matched, base)), Some(mcp)) = (&question, mcp) else {
        return Shown { bytes: see(&mut |_| false), line: Vec::new() };
    };
    let Some(server) = matched.server() else {
        return Shown { bytes: see(&mut |_| false), line: Vec::new() };
    };
    let mut seen = Seen { count: 0, allowed: Vec::new() };
    let bytes = see(&mut |one| {
        let asked = item(mcp, server, one.list, one.name, arena);
        let is_allowed = asked.is_some_and(|(action, resource)| {
            let request = Request { action, resource, now: Some(setting.now), ..*base };
            decides(decider, scratch, &request)
        });
        seen.push(is_allowed);
        is_allowed
    });
    let mut line = Vec::new();
    if let (Some(shown), 1..) = (setting.shown, seen.count) {
        let request = Request { now: Some(setting.now), ..*base };
        let record = record(decider, call, setting, Some(&request));
        record.filter_line(&mut line, shown, seen.count, &seen.allowed);
    }
    Shown { bytes, line }
}

/// What was asked of the items of a list.
struct Seen {
    count: usize,
    allowed: Vec<u32>,
}

impl Seen {
    fn push(&mut self, is_allowed: bool) {
        if is_allowed {
            self.allowed.push(u32::try_from(self.count).unwrap_or(u32::MAX));
        }
        self.count += 1;
    }
}

fn decides(decider: &Decider, scratch: &mut Scratch, request: &Request<'_>) -> bool {
    let options = DecideOptions { effect_only: true, ..DecideOptions::STANDARD };
    decider.decide_with(scratch, request, &options).is_allowed()
}

#[cfg(test)]
mod tests;
