//! Which HTTP call is which question: the table of `routes.toml`, as plain data that travels in the bundle.
//!
//! The table says what the principal, the action, the resource and the context of a call are. It does not match
//! paths and does not read calls; `pdp-edge` does. Names it refers to are checked when the bundle is compiled, its
//! shape also when a bundle is loaded.
//!
//! Entities are templates: Cedar's text form with placeholders in the id, `Order::"{id}"`. In an action or resource a
//! placeholder is `{method}`, `{template}` (the route's path as written), `{path}`, `{host}` or a parameter of the
//! path; in an identity it is `{value}`.
//!
//! `[scopes]` says which claim holds what a token was narrowed to: OAuth's text, names with one space between them, or a
//! list of names. Anything else in the claim, a name that OAuth would not have among it, denies the call
//! (`scopes_malformed`). A call without the claim, or with an empty one, states no scopes: a policy that asks for one is
//! not satisfied. Like `on_behalf_of`, scopes are stated delegation, and count where the caller is trusted with it.
//!
//! What the operator of a proxy configures for one of its routes, Envoy's context extensions, comes with a call and is
//! never the client's. `pdp.action` and `pdp.resource` are entity templates that take the place of what the table says for
//! the route that the call takes, with the same placeholders; one that is no template, or has a placeholder that nothing
//! fills, denies the call (`extension_malformed`). So does any other name that begins with `pdp.` (`unknown_extension`).
//! All other extensions are there for the context, `key = { extension = "name" }`.
//!
//! A route with `mcp` takes calls that are messages of the Model Context Protocol; `routes/mcp.rs` describes its keys and
//! those of `[mcp]`. It has no `action`, `resource` or `deny`, and no `pdp.action` or `pdp.resource` in their place.
//!
//! Of the routes that fit a call the most specific one is taken. Segment by segment from the left, a literal goes
//! before `{name}`, and that before `{name...}`; then a route with a host goes before one without; then one with
//! methods before one for any. Two routes that no such difference tells apart are refused.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

mod mcp;
mod ready;
mod template;

pub use mcp::{Mcp, McpDenial, McpKind, McpMode, McpRoute, ReadyKind, ReadyMcp};
pub use ready::{ReadyRoute, Routes};
use template::template;
pub use template::{Part, UidTemplate};

/// More routes than this are refused: a call is compared with one after the other.
const ROUTES_MAX: usize = 1024;
/// A path template has at most so many segments.
const SEGMENTS_MAX: usize = 32;

/// Extensions whose names begin like this say something to the decision point, and nothing to policies.
pub const OWN_EXTENSIONS: &str = "pdp.";

/// All of `routes.toml`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RouteTable {
    /// Who asks: the first of these that the call has. A call that has none is denied.
    #[serde(default)]
    pub principal: Vec<Identity>,
    /// On whose behalf, if the call says so.
    #[serde(default)]
    pub on_behalf_of: Option<Identity>,
    /// What the delegation was narrowed to, if the call says so.
    #[serde(default)]
    pub scopes: Option<ScopesClaim>,
    /// The action of routes that name none.
    #[serde(default)]
    pub action: Option<String>,
    /// The resource of routes that name none.
    #[serde(default)]
    pub resource: Option<String>,
    /// Context by key.
    #[serde(default)]
    pub context: BTreeMap<String, Fact>,
    /// What messages of the Model Context Protocol ask.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mcp: Option<Mcp>,
    /// The routes, in any order.
    #[serde(default, rename = "route")]
    pub routes: Vec<Route>,
}

/// A verified identity and the entity it stands for. One of `claim` and `spiffe` is set.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Identity {
    /// A claim of a token that the proxy verified; its text is the value.
    #[serde(default)]
    pub claim: Option<Claim>,
    /// What the certificate's SPIFFE id begins with; the rest is the value.
    #[serde(default)]
    pub spiffe: Option<String>,
    /// The entity, like `User::"{value}"`.
    pub entity: String,
}

/// Where delegation scopes come from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ScopesClaim {
    /// A claim of a token that the proxy verified.
    pub claim: Claim,
}

/// Where a claim lies in the metadata that the proxy sends.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Claim {
    /// The namespace of the filter that verified the token; no other one is looked at.
    pub namespace: String,
    /// The key in it that holds all claims.
    pub payload: String,
    /// The claim.
    pub name: String,
}

/// What a key of the context is filled with. A fact that the call does not have leaves the key out.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Fact {
    /// The path, a string, without the query.
    Path,
    /// The method, a string.
    Method,
    /// The host, a string in lower case, without the port.
    Host,
    /// What follows the `?`, a string; empty if nothing does.
    Query,
    /// The address of the direct peer, an `ipaddr`.
    SourceIp,
    /// The body, a string, if it was sent whole and is UTF-8.
    Body,
    /// All values of a header, a set of strings; never one of them.
    Header(String),
    /// A claim: a string, a Boolean, an integer that is nearer to 0 than 2^53, where a proxy's numbers are exact, or a
    /// list of strings, which is a set. Any other claim denies the call.
    Claim(Claim),
    /// A claim that is a whole number of seconds since 1970, as `iat` and `exp` are, as a `datetime`. One outside the
    /// years 0 to 9999, which Cedar writes and milliseconds taken for seconds are not in, denies, as any other claim.
    ClaimTime(Claim),
    /// A context extension of the proxy, a string.
    Extension(String),
    /// The same for every call.
    Literal(Literal),
}

/// A value that stands in the table.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Literal {
    /// A Boolean.
    Bool(bool),
    /// An integer.
    Long(i64),
    /// A string.
    String(String),
}

/// Which calls, and what they ask.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Route {
    /// Segments that are literal or `{name}`; the last may be `{name...}`, which takes the rest.
    pub path: String,
    /// The methods; none means any.
    #[serde(default)]
    pub methods: Vec<String>,
    /// The host, in lower case and without a port; without it, any.
    #[serde(default)]
    pub host: Option<String>,
    /// The action; without it, the table's.
    #[serde(default)]
    pub action: Option<String>,
    /// The resource; without it, the table's.
    #[serde(default)]
    pub resource: Option<String>,
    /// The principal of every call to this route, whatever the call says; for routes that are public.
    #[serde(default)]
    pub principal: Option<String>,
    /// What a caller is told who is denied, by policies or because the call is no question; a call that no route fits
    /// is told nothing of it, so a route that hides itself has `/{rest...}` beside it with the same words.
    #[serde(default)]
    pub deny: Option<Denial>,
    /// Headers that an allowed call loses.
    #[serde(default)]
    pub strip: Vec<String>,
    /// Its calls are messages of the Model Context Protocol.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mcp: Option<McpRoute>,
}

/// What a caller is told who is denied.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Denial {
    /// The status, 400 to 599.
    pub status: u16,
    /// The body; without it, the reason as JSON.
    #[serde(default)]
    pub body: Option<String>,
    /// Headers.
    #[serde(default)]
    pub headers: BTreeMap<String, String>,
}

/// A piece of a path template between two slashes.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Segment {
    /// These bytes.
    Literal(String),
    /// Any one segment that is not empty.
    One(String),
    /// All that is left, not empty.
    Rest(String),
}

/// What is wrong with a table: words, and a text of the file that stands where it is wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct RouteFault {
    pub(crate) message: String,
    pub(crate) near: Option<String>,
}

/// Reads the routes section.
pub(crate) fn read(json: &[u8]) -> Option<Routes> {
    Routes::new(serde_json::from_slice(json).ok()?).ok()
}

/// Writes the routes section.
#[cfg(feature = "compile")]
pub(crate) fn write(table: &RouteTable) -> Vec<u8> {
    // Plain strings, numbers and maps with string keys always serialise.
    serde_json::to_vec(table).unwrap_or_default()
}

// === impl RouteTable ===

impl RouteTable {
    /// Everything that is wrong with the table by itself.
    pub(crate) fn faults(&self) -> Vec<RouteFault> {
        let mut faults = Vec::new();
        let mut fault = |message: String, near: Option<&str>| {
            faults.push(RouteFault { message, near: near.map(str::to_owned) });
        };
        if self.routes.len() > ROUTES_MAX {
            fault(format!("{} routes are more than {ROUTES_MAX}", self.routes.len()), None);
            return faults;
        }
        if self.routes.is_empty() {
            fault("there is no `[[route]]`, so every call would be denied".to_owned(), None);
        }
        for identity in self.principal.iter().chain(&self.on_behalf_of) {
            if identity.claim.is_some() == identity.spiffe.is_some() {
                let message = "an identity has either `claim` or `spiffe`".to_owned();
                fault(message, Some(&identity.entity));
            }
            if identity.spiffe.as_ref().is_some_and(|prefix| !prefix.starts_with("spiffe://")) {
                fault("`spiffe` begins with `spiffe://`".to_owned(), identity.spiffe.as_deref());
            }
            if let Err(message) = template(&identity.entity, &["value"]) {
                fault(message, Some(&identity.entity));
            }
        }
        for (key, fact) in &self.context {
            match fact {
                Fact::Header(name) if !is_header(name) => {
                    let message = format!("context `{key}`: `{name}` is no header in lower case");
                    fault(message, Some(key));
                }
                Fact::Extension(name) if name.is_empty() || name.starts_with(OWN_EXTENSIONS) => {
                    let message = format!(
                        "context `{key}`: `{name}` is no extension to read; take a name that does not begin with \
                         `{OWN_EXTENSIONS}`"
                    );
                    fault(message, Some(key));
                }
                _ => {}
            }
        }
        for (message, near) in self.mcp.iter().flat_map(|mcp| mcp.faults(&self.context)) {
            fault(message, Some(&near));
        }
        let mut shapes: BTreeMap<String, Vec<&Route>> = BTreeMap::new();
        for route in &self.routes {
            let path = &route.path;
            let segments = match route.segments() {
                Ok(segments) => segments,
                Err(message) => {
                    fault(format!("route `{path}`: {message}"), Some(path));
                    continue;
                }
            };
            for message in route.own_faults(self, &segments) {
                fault(format!("route `{path}`: {message}"), Some(path));
            }
            let same = shapes.entry(shape(&segments)).or_default();
            if let Some(other) = same.iter().find(|other| other.ties(route)) {
                let other = &other.path;
                let message = format!(
                    "route `{path}` ties with `{other}`: give them different methods or hosts"
                );
                fault(message, Some(path));
            }
            same.push(route);
        }
        faults
    }

    /// The action of a route, as a template.
    pub(crate) fn action_of<'t>(&'t self, route: &'t Route) -> Option<&'t str> {
        match (&route.mcp, &self.mcp) {
            (Some(_), mcp) => mcp.as_ref().map(|mcp| mcp.server.action.as_str()),
            (None, _) => route.action.as_deref().or(self.action.as_deref()),
        }
    }

    /// The resource of a route, as a template.
    pub(crate) fn resource_of<'t>(&'t self, route: &'t Route) -> Option<&'t str> {
        match (&route.mcp, &self.mcp) {
            (Some(_), mcp) => mcp.as_ref().map(|mcp| mcp.server.entity.as_str()),
            (None, _) => route.resource.as_deref().or(self.resource.as_deref()),
        }
    }

    /// All entity templates but actions.
    #[cfg(feature = "compile")]
    pub(crate) fn entities(&self) -> impl Iterator<Item = &str> {
        let identities = self.principal.iter().chain(&self.on_behalf_of);
        let routes =
            self.routes.iter().flat_map(|route| route.principal.iter().chain(&route.resource));
        identities
            .map(|identity| &identity.entity)
            .chain(&self.resource)
            .chain(routes)
            .map(String::as_str)
            .chain(self.mcp.iter().flat_map(Mcp::entities))
    }

    /// All actions, as templates.
    #[cfg(feature = "compile")]
    pub(crate) fn actions(&self) -> impl Iterator<Item = &str> {
        let routes = self.routes.iter().filter_map(|route| self.action_of(route));
        routes.chain(self.mcp.iter().flat_map(Mcp::actions))
    }
}

// === impl Route ===

impl Route {
    /// The path, taken apart.
    ///
    /// # Errors
    ///
    /// A sentence, when it is not a path template.
    pub(crate) fn segments(&self) -> Result<Vec<Segment>, String> {
        let rest = self.path.strip_prefix('/').ok_or("a path begins with `/`")?;
        let pieces: Vec<&str> = rest.split('/').collect();
        if pieces.len() > SEGMENTS_MAX {
            return Err(format!("a path has at most {SEGMENTS_MAX} segments"));
        }
        let last = pieces.len().saturating_sub(1);
        let mut names = BTreeSet::new();
        let mut segments = Vec::with_capacity(pieces.len());
        for (at, piece) in pieces.into_iter().enumerate() {
            let hole = piece.strip_prefix('{').and_then(|piece| piece.strip_suffix('}'));
            let Some(hole) = hole else {
                let literal = piece.bytes().all(|byte| {
                    byte.is_ascii_alphanumeric() || b"-._~!$&'()*+,=:@".contains(&byte)
                });
                if !literal || matches!(piece, "." | "..") || (piece.is_empty() && at != last) {
                    return Err(format!("`{piece}` is no segment that a call could have"));
                }
                segments.push(Segment::Literal(piece.to_owned()));
                continue;
            };
            let (name, whole) = match hole.strip_suffix("...") {
                Some(name) => (name, true),
                None => (hole, false),
            };
            let plain = !name.is_empty()
                && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
            if !plain || CALL_HOLES.contains(&name) {
                return Err(format!("`{{{hole}}}` has no name that a parameter may have"));
            }
            if !names.insert(name) {
                return Err(format!("`{name}` occurs twice"));
            }
            if whole && at != last {
                return Err(format!("`{{{hole}}}` may only stand at the end"));
            }
            let name = name.to_owned();
            segments.push(if whole { Segment::Rest(name) } else { Segment::One(name) });
        }
        Ok(segments)
    }

    fn own_faults(&self, table: &RouteTable, segments: &[Segment]) -> Vec<String> {
        let mut faults = Vec::new();
        let mut holes = CALL_HOLES.to_vec();
        holes.extend(segments.iter().filter_map(|segment| match segment {
            Segment::Literal(_) => None,
            Segment::One(name) | Segment::Rest(name) => Some(name.as_str()),
        }));
        if let Some(mcp) = &self.mcp {
            faults.extend(mcp.faults(table, segments));
            let others = [
                ("action", self.action.is_some()),
                ("resource", self.resource.is_some()),
                ("deny", self.deny.is_some()),
            ];
            for (key, _) in others.into_iter().filter(|(_, is_there)| *is_there) {
                faults.push(format!("with `mcp` it has no `{key}`; what it says is in `mcp`"));
            }
        }
        let entities = [("action", table.action_of(self)), ("resource", table.resource_of(self))];
        for (what, text) in entities.into_iter().filter(|_| self.mcp.is_none()) {
            match text.map(|text| template(text, &holes)) {
                None => faults.push(format!("it has no `{what}`, and neither has the table")),
                Some(Err(message)) => faults.push(message),
                Some(Ok(_)) => {}
            }
        }
        match &self.principal {
            Some(principal) => faults.extend(template(principal, &[]).err()),
            None if table.principal.is_empty() => {
                faults.push("it has no `principal`, and neither has the table".to_owned());
            }
            None => {}
        }
        let method =
            |name: &&String| name.is_empty() || !name.bytes().all(|b| b.is_ascii_uppercase());
        faults
            .extend(self.methods.iter().find(method).map(|name| format!("`{name}` is no method")));
        let host = |host: &&String| {
            host.is_empty()
                || !host
                    .bytes()
                    .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b"-.".contains(&b))
        };
        faults.extend(
            self.host.iter().find(host).map(|host| {
                format!("`{host}` is no host; write it in lower case and without a port")
            }),
        );
        let deny = self.deny.iter();
        for name in self.strip.iter().chain(deny.clone().flat_map(|deny| deny.headers.keys())) {
            if !is_header(name) || name == "host" {
                faults.push(format!(
                    "`{name}` is no header that can be set or removed; write it in lower case"
                ));
            }
        }
        for deny in deny {
            if !(400..600).contains(&deny.status) {
                faults
                    .push(format!("`deny.status` is {}, and must be from 400 to 599", deny.status));
            }
            if deny.headers.values().any(|value| value.chars().any(char::is_control)) {
                faults.push("a header in `deny` has a control character".to_owned());
            }
        }
        faults
    }

    /// Whether a call could fit both, of two routes with paths of the same shape.
    fn ties(&self, other: &Route) -> bool {
        self.host == other.host
            && match (self.methods.is_empty(), other.methods.is_empty()) {
                (false, false) => self.methods.iter().any(|name| other.methods.contains(name)),
                (one, two) => one == two,
            }
    }
}

/// Placeholders that every call fills.
const CALL_HOLES: [&str; 4] = ["method", "template", "path", "host"];

/// What two paths that fit the same calls in the same places have in common.
fn shape(segments: &[Segment]) -> String {
    let piece = |segment: &Segment| match segment {
        Segment::Literal(text) => text.clone(),
        // Braces cannot be part of a literal.
        Segment::One(_) => "{}".to_owned(),
        Segment::Rest(_) => "{...}".to_owned(),
    };
    segments.iter().map(piece).collect::<Vec<_>>().join("/")
}

fn is_header(name: &str) -> bool {
    !name.is_empty()
        && name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b"-_".contains(&b))
}

#[cfg(test)]
mod tests;
