//! Which route a call takes: a bundle's routes, compared with a call.
//!
//! Routes stand in the order of [`pdp_core`]'s table rule, most specific first, and the first that fits is taken; a call
//! costs at most a comparison of its segments with each route. It does not build entities; `http` does.

use pdp_core::{Decider, Part, ReadyRoute, Route, Routes, Segment};

use crate::mcp::Message;
use crate::path::decode;

/// Reads calls by a bundle's routes.
#[derive(Clone, Copy, Debug)]
pub struct Router<'r> {
    pub(crate) routes: &'r Routes,
    /// Whose schema says what tools have of their own.
    pub(crate) decider: Option<&'r Decider>,
}

/// The route that a call takes, and what its path fills in.
#[derive(Debug)]
pub struct Matched<'r> {
    pub(crate) ready: &'r ReadyRoute,
    /// Names and values, without escapes.
    pub(crate) parameters: Vec<(&'r str, String)>,
    /// The name of the server to which a call is a message, if it is one.
    pub(crate) server: Option<String>,
    /// What a call says that is a message.
    pub(crate) message: Option<Message<'r>>,
}

// === impl Router ===

impl<'r> Router<'r> {
    /// By these routes alone: for messages, tools have no action of their own, and policies do not see arguments.
    pub fn new(routes: &'r Routes) -> Self {
        Self { routes, decider: None }
    }

    /// By the routes of the bundle in force, and its schema; `None` if it has no routes.
    pub fn of(decider: &'r Decider) -> Option<Self> {
        Some(Self { routes: decider.bundle()?.routes()?, decider: Some(decider) })
    }

    /// The route of a call. `path` was taken by [`crate::Target::read`]; `host` is in lower case, without a port.
    pub fn find(self, method: &str, host: &str, path: &str) -> Option<Matched<'r>> {
        let pieces: Vec<&str> = path.strip_prefix('/')?.split('/').collect();
        let ready = self.routes.routes.iter().find(|one| fits(one, method, host, &pieces))?;
        let mut parameters = Vec::new();
        for (at, segment) in ready.segments.iter().enumerate() {
            match segment {
                Segment::Literal(_) => {}
                Segment::One(name) => parameters.push((name.as_str(), decode(pieces.get(at)?)?)),
                Segment::Rest(name) => {
                    parameters.push((name.as_str(), decode(&pieces.get(at..)?.join("/"))?));
                }
            }
        }
        let server = match &ready.mcp_server {
            Some(parts) => Some(fill(parts, |name| {
                let (_, value) = parameters.iter().find(|(key, _)| *key == name)?;
                Some(value.as_str())
            })?),
            None => None,
        };
        Some(Matched { ready, parameters, server, message: None })
    }
}

fn fits(one: &ReadyRoute, method: &str, host: &str, pieces: &[&str]) -> bool {
    let Route { methods, host: wanted, .. } = &one.route;
    if !methods.is_empty() && !methods.iter().any(|name| name == method) {
        return false;
    }
    if wanted.as_deref().is_some_and(|wanted| wanted != host) {
        return false;
    }
    let mut pieces = pieces.iter();
    for segment in &one.segments {
        let Some(piece) = pieces.next() else { return false };
        match segment {
            Segment::Literal(text) if text != piece => return false,
            Segment::One(_) | Segment::Rest(_) if piece.is_empty() => return false,
            Segment::Rest(_) => return true,
            Segment::Literal(_) | Segment::One(_) => {}
        }
    }
    pieces.next().is_none()
}

// === impl Matched ===

impl<'r> Matched<'r> {
    /// The route as the table has it.
    pub fn route(&self) -> &'r Route {
        &self.ready.route
    }

    /// The name of the server to which the call is a message, if its route says that it is one.
    pub fn server(&self) -> Option<&str> {
        self.server.as_deref()
    }

    /// The message that the call is, if its route says that it is one.
    pub fn message(&self) -> Option<&Message<'r>> {
        self.message.as_ref()
    }
}

/// A text with placeholders, filled in; `None` if nothing fills one.
pub(crate) fn fill<'v>(parts: &[Part], value: impl Fn(&str) -> Option<&'v str>) -> Option<String> {
    let mut text = String::new();
    for part in parts {
        match part {
            Part::Text(plain) => text.push_str(plain),
            Part::Hole(name) => text.push_str(value(name)?),
        }
    }
    Some(text)
}

#[cfg(test)]
mod tests;
