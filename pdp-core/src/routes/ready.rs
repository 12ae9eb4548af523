//! A route table taken apart, once and when its bundle is loaded: what is wrong with a table stops the loading, and a
//! call that is read by it cannot meet a path or an entity that is none.
//!
//! Routes are in the order of the table rule, most specific first, so that the first that fits is the one to take. It
//! matches nothing; `pdp-edge` does.

use std::cmp::Reverse;
use std::collections::BTreeMap;

use super::template::parts;
use super::{Claim, Fact, Identity, Part, ReadyMcp, Route, RouteTable, Segment, UidTemplate};

/// A route table, ready to be asked.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Routes {
    /// Who asks: the first of these that the call has.
    pub principal: Vec<(Identity, UidTemplate)>,
    /// On whose behalf, if the call says so.
    pub on_behalf_of: Option<(Identity, UidTemplate)>,
    /// The claim that holds delegation scopes.
    pub scopes: Option<Claim>,
    /// Context by key.
    pub context: BTreeMap<String, Fact>,
    /// What messages of the Model Context Protocol ask, if any route has them.
    pub mcp: Option<ReadyMcp>,
    /// Most specific first.
    pub routes: Vec<ReadyRoute>,
}

/// A route of it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ReadyRoute {
    /// As the table has it.
    pub route: Route,
    /// Its path.
    pub segments: Vec<Segment>,
    /// Its action or else the table's; for messages, to connect to their server.
    pub action: UidTemplate,
    /// Its resource or else the table's; for messages, their server.
    pub resource: UidTemplate,
    /// The name of the server to which its calls are messages, if they are.
    pub mcp_server: Option<Vec<Part>>,
    /// Its principal, if it has one of its own.
    pub principal: Option<UidTemplate>,
}

// === impl Routes ===

impl Routes {
    /// Takes a table apart.
    ///
    /// # Errors
    ///
    /// Everything that is wrong with the table by itself.
    pub fn new(table: RouteTable) -> Result<Self, String> {
        let faults = table.faults();
        if !faults.is_empty() {
            let messages: Vec<String> = faults.into_iter().map(|fault| fault.message).collect();
            return Err(messages.join("; "));
        }
        let entity = |text: Option<&str>| UidTemplate::read(text.ok_or("an entity is missing")?);
        let mut routes = Vec::with_capacity(table.routes.len());
        for route in &table.routes {
            routes.push(ReadyRoute {
                segments: route.segments()?,
                action: entity(table.action_of(route))?,
                resource: entity(table.resource_of(route))?,
                mcp_server: route.mcp.as_ref().and_then(|mcp| parts(&mcp.server)),
                principal: route.principal.as_deref().map(UidTemplate::read).transpose()?,
                route: route.clone(),
            });
        }
        routes.sort_by_cached_key(|one| {
            let kinds: Vec<u8> = one.segments.iter().map(kind).collect();
            let Route { host, methods, .. } = &one.route;
            (kinds, Reverse(host.is_some()), Reverse(!methods.is_empty()))
        });
        let identity = |identity: Identity| {
            UidTemplate::read(&identity.entity).map(|template| (identity, template))
        };
        Ok(Self {
            principal: table.principal.into_iter().map(identity).collect::<Result<_, _>>()?,
            on_behalf_of: table.on_behalf_of.map(identity).transpose()?,
            scopes: table.scopes.map(|scopes| scopes.claim),
            context: table.context,
            mcp: table.mcp.as_ref().map(|mcp| mcp.ready()).transpose()?,
            routes,
        })
    }

    /// Whether any call needs its body.
    pub fn reads_body(&self) -> bool {
        self.context.values().any(|fact| *fact == Fact::Body)
            || self.routes.iter().any(|one| one.mcp_server.is_some())
    }
}

fn kind(segment: &Segment) -> u8 {
    match segment {
        Segment::Literal(_) => 0,
        Segment::One(_) => 1,
        Segment::Rest(_) => 2,
    }
}
