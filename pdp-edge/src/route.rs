//! Which route a call takes: the table prepared once, then compared with a call.
//!
//! Routes are kept in the order of [`pdp_core`]'s table rule, most specific first, and the first that fits is taken; a
//! call costs at most a comparison of its segments with each route. It does not build entities; `http` does.

use std::cmp::Reverse;

use pdp_core::{Route, RouteTable, Segment, UidTemplate};

use crate::path::decode;

/// A route table, ready to be asked.
#[derive(Debug)]
pub struct Router {
    pub(crate) table: RouteTable,
    prepared: Vec<Prepared>,
    pub(crate) principal: Vec<UidTemplate>,
    pub(crate) on_behalf_of: Option<UidTemplate>,
}

#[derive(Debug)]
pub(crate) struct Prepared {
    pub(crate) route: Route,
    segments: Vec<Segment>,
    pub(crate) action: UidTemplate,
    pub(crate) resource: UidTemplate,
    pub(crate) principal: Option<UidTemplate>,
}

/// The route that a call takes, and what its path fills in.
#[derive(Debug)]
pub struct Matched<'r> {
    pub(crate) prepared: &'r Prepared,
    /// Names and values, without escapes.
    pub(crate) parameters: Vec<(&'r str, String)>,
}

// === impl Router ===

impl Router {
    /// Prepares a table.
    ///
    /// # Errors
    ///
    /// A sentence, when a path or entity in it is malformed, which a table out of a bundle never is.
    pub fn new(table: &RouteTable) -> Result<Self, String> {
        let entity = |text: Option<&str>| UidTemplate::read(text.ok_or("an entity is missing")?);
        let mut prepared = Vec::with_capacity(table.routes.len());
        for route in &table.routes {
            prepared.push(Prepared {
                segments: route.segments()?,
                action: entity(table.action_of(route))?,
                resource: entity(table.resource_of(route))?,
                principal: route.principal.as_deref().map(UidTemplate::read).transpose()?,
                route: route.clone(),
            });
        }
        prepared.sort_by_cached_key(|one| {
            let kinds: Vec<u8> = one.segments.iter().map(kind).collect();
            let Route { host, methods, .. } = &one.route;
            (kinds, Reverse(host.is_some()), Reverse(!methods.is_empty()))
        });
        let identities = table.principal.iter().map(|identity| UidTemplate::read(&identity.entity));
        Ok(Self {
            principal: identities.collect::<Result<_, _>>()?,
            on_behalf_of: table
                .on_behalf_of
                .as_ref()
                .map(|identity| UidTemplate::read(&identity.entity))
                .transpose()?,
            table: table.clone(),
            prepared,
        })
    }

    /// The route of a call. `path` was taken by [`crate::Target::read`]; `host` is in lower case, without a port.
    pub fn find(&self, method: &str, host: &str, path: &str) -> Option<Matched<'_>> {
        let pieces: Vec<&str> = path.strip_prefix('/')?.split('/').collect();
        let prepared = self.prepared.iter().find(|one| one.fits(method, host, &pieces))?;
        let mut parameters = Vec::new();
        for (at, segment) in prepared.segments.iter().enumerate() {
            match segment {
                Segment::Literal(_) => {}
                Segment::One(name) => parameters.push((name.as_str(), decode(pieces.get(at)?)?)),
                Segment::Rest(name) => {
                    parameters.push((name.as_str(), decode(&pieces.get(at..)?.join("/"))?));
                }
            }
        }
        Some(Matched { prepared, parameters })
    }
}

fn kind(segment: &Segment) -> u8 {
    match segment {
        Segment::Literal(_) => 0,
        Segment::One(_) => 1,
        Segment::Rest(_) => 2,
    }
}

// === impl Prepared ===

impl Prepared {
    fn fits(&self, method: &str, host: &str, pieces: &[&str]) -> bool {
        let Route { methods, host: wanted, .. } = &self.route;
        if !methods.is_empty() && !methods.iter().any(|name| name == method) {
            return false;
        }
        if wanted.as_deref().is_some_and(|wanted| wanted != host) {
            return false;
        }
        let mut pieces = pieces.iter();
        for segment in &self.segments {
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
}

// === impl Matched ===

impl<'r> Matched<'r> {
    /// The route as the table has it.
    pub fn route(&self) -> &'r Route {
        &self.prepared.route
    }
}

#[cfg(test)]
mod tests;
