//! Which route a call takes: a bundle's routes, compared with a call.
//!
//! Routes stand in the order of [`pdp_core`]'s table rule, most specific first, and the first that fits is taken; a call
//! costs at most a comparison of its segments with each route. It does not build entities; `http` does.

use pdp_core::{ReadyRoute, Route, Routes, Segment};

use crate::path::decode;

/// Reads calls by a bundle's routes.
#[derive(Clone, Copy, Debug)]
pub struct Router<'r>(pub(crate) &'r Routes);

/// The route that a call takes, and what its path fills in.
#[derive(Debug)]
pub struct Matched<'r> {
    pub(crate) ready: &'r ReadyRoute,
    /// Names and values, without escapes.
    pub(crate) parameters: Vec<(&'r str, String)>,
}

// === impl Router ===

impl<'r> Router<'r> {
    /// By these routes.
    pub fn new(routes: &'r Routes) -> Self {
        Self(routes)
    }

    /// The route of a call. `path` was taken by [`crate::Target::read`]; `host` is in lower case, without a port.
    pub fn find(self, method: &str, host: &str, path: &str) -> Option<Matched<'r>> {
        let pieces: Vec<&str> = path.strip_prefix('/')?.split('/').collect();
        let ready = self.0.routes.iter().find(|one| fits(one, method, host, &pieces))?;
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
        Some(Matched { ready, parameters })
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
}

#[cfg(test)]
mod tests;
