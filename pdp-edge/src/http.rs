//! What an HTTP call asks: from a call as a proxy tells of it to a [`Request`], or a refusal, which is a deny.
//!
//! Identities come from what the proxy verified and from nowhere else: never from a header, a path or a body. It sets
//! no time and trusts no delegation by itself; those are the caller's.

use std::net::IpAddr;
use std::ops::RangeInclusive;

use pdp_core::json::Arena;
use pdp_core::{
    Claim, Datetime, Fact, Identity, IpNet, Literal, OWN_EXTENSIONS, Request, Route, Uid,
    UidTemplate, Value,
};

use crate::mcp::{Fault, Message, asked};
use crate::path::{PathError, Target};
use crate::route::{Matched, Router, fill};

/// A call as a proxy tells of it. What the client chose is bytes, because nobody has checked it yet.
#[derive(Clone, Copy, Debug)]
pub struct HttpMessage<'a> {
    /// The method.
    pub method: &'a [u8],
    /// The host, with or without a port.
    pub host: &'a [u8],
    /// Path and query.
    pub target: &'a [u8],
    /// Headers in order, names in lower case; a name may occur more than once.
    pub headers: &'a [(&'a [u8], &'a [u8])],
    /// The verified identity of the peer's certificate; empty if it has none.
    pub source_principal: &'a [u8],
    /// The address of the direct peer.
    pub source_ip: Option<IpAddr>,
    /// What the proxy's operator configured for its route, by name; of two with one name the last counts.
    pub extensions: &'a [(&'a [u8], &'a [u8])],
    /// The body, if it was sent whole.
    pub body: Option<&'a [u8]>,
}

/// A claim of a verified token.
#[derive(Clone, Debug, PartialEq)]
pub enum ClaimValue {
    /// A string.
    Text(String),
    /// A Boolean.
    Bool(bool),
    /// A number that is an integer without loss.
    Long(i64),
    /// A list of strings and of nothing else.
    Texts(Vec<String>),
    /// Anything else: another list, a record, `null`, a fraction.
    Other,
}

/// What the proxy says about tokens that it verified.
pub trait Claims {
    /// The claim, looked for in its namespace only; `None` if it is not there.
    fn claim(&self, claim: &Claim) -> Option<ClaimValue>;
}

/// Why a call is no question.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Refusal {
    /// The path is not one that everybody reads alike.
    Path(PathError),
    /// The method is not capital letters.
    Method,
    /// The host is no name or address.
    Host,
    /// No route fits.
    NoRoute,
    /// The call has none of the identities that the table takes.
    NoPrincipal,
    /// An identity is there, and is no text or empty; or a claim that the context reads is nothing that it takes.
    Identity,
    /// Scopes are there, and are neither OAuth's text nor a list of its names.
    Scopes,
    /// A header that the table reads is not UTF-8.
    Header,
    /// An extension is no entity template, has a placeholder that nothing fills, or is read and not UTF-8.
    Extension,
    /// An extension asks of us what there is not.
    UnknownExtension,
    /// The table reads the body, which is not UTF-8 or not whole.
    Body,
    /// The route takes messages, and the call is none, or not one that can be asked about.
    Mcp(Fault),
}

/// A call that is no question.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Refused<'r> {
    /// Why.
    pub refusal: Refusal,
    /// The route that it takes, if it came to that; what its caller is told is for that route to say.
    pub route: Option<&'r Route>,
    /// The message that it is, as far as it was read.
    pub message: Option<Message<'r>>,
}

/// What of a call was read to find its route.
#[derive(Clone, Copy)]
struct Line<'a> {
    method: &'a str,
    host: &'a str,
    target: Target<'a>,
}

// === impl Refusal ===

impl Refusal {
    /// A code that does not change.
    pub fn code(self) -> &'static str {
        match self {
            Refusal::Path(_) => "path_ambiguous",
            Refusal::Method => "method_malformed",
            Refusal::Host => "host_malformed",
            Refusal::NoRoute => "no_route",
            Refusal::NoPrincipal => "no_principal",
            Refusal::Identity => "identity_malformed",
            Refusal::Scopes => "scopes_malformed",
            Refusal::Header => "header_malformed",
            Refusal::Extension => "extension_malformed",
            Refusal::UnknownExtension => "unknown_extension",
            Refusal::Body => "body_unreadable",
            Refusal::Mcp(fault) => fault.code(),
        }
    }
}

// === impl Router ===

impl<'a> Router<'a> {
    /// Says which route a call takes and what it asks. Texts that are not in the call are made in `arena`.
    ///
    /// # Errors
    ///
    /// When the call is no question.
    pub fn question(
        self,
        message: &HttpMessage<'a>,
        claims: &dyn Claims,
        arena: &'a Arena,
    ) -> Result<(Matched<'a>, Request<'a>), Refused<'a>> {
        let none = |refusal| Refused { refusal, route: None, message: None };
        let (mut matched, line) = self.matched(message, arena).map_err(none)?;
        let route = Some(matched.route());
        if matched.server.is_some() {
            let read = Message::read(line.method, message.headers, message.body, arena);
            matched.message = Some(read.map_err(|unread| Refused {
                refusal: Refusal::Mcp(unread.fault),
                route,
                message: unread.message,
            })?);
        }
        match self.request(&matched, line, message, claims, arena) {
            Ok(request) => Ok((matched, request)),
            Err(refusal) => Err(Refused { refusal, route, message: matched.message }),
        }
    }

    fn matched(
        self,
        message: &HttpMessage<'a>,
        arena: &'a Arena,
    ) -> Result<(Matched<'a>, Line<'a>), Refusal> {
        let method = std::str::from_utf8(message.method).map_err(|_| Refusal::Method)?;
        if method.is_empty() || !method.bytes().all(|byte| byte.is_ascii_uppercase()) {
            return Err(Refusal::Method);
        }
        let host = arena.alloc_str(&host(message.host).ok_or(Refusal::Host)?);
        let target = Target::read(message.target).map_err(Refusal::Path)?;
        let matched = self.find(method, host, target.path).ok_or(Refusal::NoRoute)?;
        Ok((matched, Line { method, host, target }))
    }

    fn request(
        self,
        matched: &Matched<'a>,
        Line { method, host, target }: Line<'a>,
        message: &HttpMessage<'a>,
        claims: &dyn Claims,
        arena: &'a Arena,
    ) -> Result<Request<'a>, Refusal> {
        let own = Own::read(message)?;
        let ready = matched.ready;
        let value = |name: &str| match name {
            "method" => Some(method),
            "template" => Some(ready.route.path.as_str()),
            "path" => Some(target.path),
            "host" => Some(host),
            name => {
                let mut parameters = matched.parameters.iter();
                parameters.find(|(key, _)| *key == name).map(|(_, value)| value.as_str())
            }
        };
        let entity = |table: &'a UidTemplate, own: Option<UidTemplate>| match own {
            Some(own) => {
                let id = fill(&own.parts, value).ok_or(Refusal::Extension)?;
                Ok(Uid::new(arena.alloc_str(&own.entity_type), arena.alloc_str(&id)))
            }
            None => uid(table, arena, value),
        };
        let (action, resource, input) = match (&matched.server, &matched.message) {
            (Some(server), Some(said)) => {
                if own.action.is_some() || own.resource.is_some() {
                    return Err(Refusal::UnknownExtension);
                }
                // The table was checked, so there is one.
                let mcp = self.routes.mcp.as_ref().ok_or(Refusal::NoRoute)?;
                let asked = asked(mcp, server, said, self.decider, arena);
                let asked = asked.map_err(Refusal::Mcp)?;
                (asked.action, asked.resource, asked.input)
            }
            _ => (entity(&ready.action, own.action)?, entity(&ready.resource, own.resource)?, None),
        };
        let principal = match &ready.principal {
            Some(principal) => uid(principal, arena, value)?,
            None => self.principal(message, claims, arena)?,
        };
        let on_behalf_of = match &self.routes.on_behalf_of {
            Some((identity, template)) => stated(identity, message, claims)?
                .map(|value| uid(template, arena, |_| Some(&value)))
                .transpose()?,
            None => None,
        };
        let scopes = match &self.routes.scopes {
            Some(claim) => scopes(claims.claim(claim), arena)?,
            None => &[],
        };
        let mut context = Vec::with_capacity(self.routes.context.len() + 1);
        for (key, fact) in &self.routes.context {
            let value = match fact {
                Fact::Path => Some(Value::String(target.path)),
                Fact::Method => Some(Value::String(method)),
                Fact::Host => Some(Value::String(host)),
                Fact::Query => Some(Value::String(target.query)),
                Fact::SourceIp => message.source_ip.and_then(address).map(Value::Ip),
                Fact::Body => match message.body {
                    Some(body) => {
                        Some(Value::String(std::str::from_utf8(body).map_err(|_| Refusal::Body)?))
                    }
                    None => None,
                },
                Fact::Extension(name) => extension(name, message)?.map(Value::String),
                Fact::Header(name) => Some(header(name, message, arena)?),
                Fact::Claim(claim) => {
                    claims.claim(claim).map(|claim| plain(&claim, arena)).transpose()?
                }
                Fact::ClaimTime(claim) => {
                    claims.claim(claim).map(|claim| time(&claim)).transpose()?
                }
                Fact::Literal(Literal::Bool(value)) => Some(Value::Bool(*value)),
                Fact::Literal(Literal::Long(value)) => Some(Value::Long(*value)),
                Fact::Literal(Literal::String(text)) => Some(Value::String(text)),
            };
            context.extend(value.map(|value| (key.as_str(), value)));
        }
        context.extend(input);
        let context = arena.alloc_slice_copy(&context);
        Ok(Request { on_behalf_of, scopes, ..Request::new(principal, action, resource, context) })
    }

    /// Whether this call must come with its whole body, which may be still to come. One that takes no route is refused
    /// without.
    pub fn reads_body_of(self, message: &HttpMessage<'a>, arena: &'a Arena) -> bool {
        self.routes.context.values().any(|fact| *fact == Fact::Body)
            || self.matched(message, arena).is_ok_and(|(matched, _)| matched.server.is_some())
    }

    /// Whether any call must come with its whole body.
    pub fn reads_body(self) -> bool {
        self.routes.reads_body()
    }

    fn principal(
        self,
        message: &HttpMessage<'a>,
        claims: &dyn Claims,
        arena: &'a Arena,
    ) -> Result<Uid<'a>, Refusal> {
        for (identity, template) in &self.routes.principal {
            if let Some(value) = stated(identity, message, claims)? {
                return uid(template, arena, |_| Some(&value));
            }
        }
        Err(Refusal::NoPrincipal)
    }
}

/// The value of an identity, if the call has it.
fn stated(
    identity: &Identity,
    message: &HttpMessage<'_>,
    claims: &dyn Claims,
) -> Result<Option<String>, Refusal> {
    let value = match (&identity.claim, &identity.spiffe) {
        (Some(claim), _) => match claims.claim(claim) {
            Some(ClaimValue::Text(text)) => Some(text),
            Some(_) => return Err(Refusal::Identity),
            None => None,
        },
        (None, Some(prefix)) => match message.source_principal.strip_prefix(prefix.as_bytes()) {
            Some(rest) => Some(String::from_utf8(rest.to_vec()).map_err(|_| Refusal::Identity)?),
            None => None,
        },
        (None, None) => None,
    };
    // An empty name would be one that all share who have none.
    if value.as_ref().is_some_and(String::is_empty) { Err(Refusal::Identity) } else { Ok(value) }
}

/// The names in a claim that holds scopes, which none need to be.
fn scopes(claim: Option<ClaimValue>, arena: &Arena) -> Result<&[&str], Refusal> {
    let names: Vec<&str> = match &claim {
        None => return Ok(&[]),
        Some(ClaimValue::Text(text)) if text.is_empty() => return Ok(&[]),
        Some(ClaimValue::Text(text)) => text.split(' ').collect(),
        Some(ClaimValue::Texts(names)) => names.iter().map(String::as_str).collect(),
        Some(ClaimValue::Bool(_) | ClaimValue::Long(_) | ClaimValue::Other) => {
            return Err(Refusal::Scopes);
        }
    };
    // As RFC 6749 has it (section 3.3). What is no name could be read as two, or as another one.
    let byte = |byte: u8| byte.is_ascii_graphic() && byte != b'"' && byte != b'\\';
    if names.iter().any(|name| name.is_empty() || !name.bytes().all(byte)) {
        return Err(Refusal::Scopes);
    }
    let names: Vec<&str> = names.into_iter().map(|name| &*arena.alloc_str(name)).collect();
    Ok(arena.alloc_slice_copy(&names))
}

/// A claim as it is.
fn plain<'a>(claim: &ClaimValue, arena: &'a Arena) -> Result<Value<'a>, Refusal> {
    match claim {
        ClaimValue::Text(text) => Ok(Value::String(arena.alloc_str(text))),
        ClaimValue::Bool(value) => Ok(Value::Bool(*value)),
        ClaimValue::Long(value) => Ok(Value::Long(*value)),
        ClaimValue::Texts(texts) => {
            let texts: Vec<_> =
                texts.iter().map(|text| Value::String(arena.alloc_str(text))).collect();
            Ok(Value::Set(arena.alloc_slice_copy(&texts)))
        }
        ClaimValue::Other => Err(Refusal::Identity),
    }
}

/// The first and the last second that Cedar writes, since 1970.
const SECONDS: RangeInclusive<i64> = -62_167_219_200..=253_402_300_799;

/// A claim as a point in time.
fn time(claim: &ClaimValue) -> Result<Value<'static>, Refusal> {
    match claim {
        ClaimValue::Long(seconds) if SECONDS.contains(seconds) => {
            Ok(Value::Datetime(Datetime(seconds * 1_000)))
        }
        _ => Err(Refusal::Identity),
    }
}

/// Fills in a template of the table.
fn uid<'a, 'v>(
    template: &'a UidTemplate,
    arena: &'a Arena,
    value: impl Fn(&str) -> Option<&'v str>,
) -> Result<Uid<'a>, Refusal> {
    // The table was checked, so something fills it.
    let id = fill(&template.parts, value).ok_or(Refusal::NoRoute)?;
    Ok(Uid::new(&template.entity_type, arena.alloc_str(&id)))
}

/// What the proxy's operator says in place of the table.
#[derive(Debug, Default)]
struct Own {
    action: Option<UidTemplate>,
    resource: Option<UidTemplate>,
}

impl Own {
    fn read(message: &HttpMessage<'_>) -> Result<Self, Refusal> {
        let mut own = Self::default();
        for (name, value) in message.extensions {
            let Some(name) = name.strip_prefix(OWN_EXTENSIONS.as_bytes()) else { continue };
            let place = match name {
                b"action" => &mut own.action,
                b"resource" => &mut own.resource,
                _ => return Err(Refusal::UnknownExtension),
            };
            let text = std::str::from_utf8(value).map_err(|_| Refusal::Extension)?;
            *place = Some(UidTemplate::read(text).map_err(|_| Refusal::Extension)?);
        }
        Ok(own)
    }
}

/// An extension, if the proxy's route has it.
fn extension<'a>(name: &str, message: &HttpMessage<'a>) -> Result<Option<&'a str>, Refusal> {
    let mut extensions = message.extensions.iter().rev();
    let found = extensions.find(|(key, _)| *key == name.as_bytes());
    found.map(|(_, value)| std::str::from_utf8(value).map_err(|_| Refusal::Extension)).transpose()
}

/// All values of a header, as a set.
fn header<'a>(
    name: &str,
    message: &HttpMessage<'a>,
    arena: &'a Arena,
) -> Result<Value<'a>, Refusal> {
    let mut values = Vec::new();
    for (key, value) in message.headers {
        if key.eq_ignore_ascii_case(name.as_bytes()) {
            values.push(Value::String(std::str::from_utf8(value).map_err(|_| Refusal::Header)?));
        }
    }
    Ok(Value::Set(arena.alloc_slice_copy(&values)))
}

/// A host in lower case, without its port; `None` if it is none.
fn host(host: &[u8]) -> Option<String> {
    let text = std::str::from_utf8(host).ok()?;
    let (name, port) = match text.strip_prefix('[') {
        Some(rest) => {
            let (address, port) = rest.split_once(']')?;
            (address, port.strip_prefix(':').or(port.is_empty().then_some("0"))?)
        }
        None => text.split_once(':').unwrap_or((text, "0")),
    };
    let bytes = |byte: u8| byte.is_ascii_alphanumeric() || b"-._".contains(&byte);
    let bracketed = text.starts_with('[');
    let named = name.bytes().all(|byte| bytes(byte) || (bracketed && byte == b':'));
    let numbered = !port.is_empty() && port.bytes().all(|byte| byte.is_ascii_digit());
    (named && numbered && !name.is_empty()).then(|| name.to_ascii_lowercase())
}

fn address(ip: IpAddr) -> Option<IpNet> {
    let bits = if ip.is_ipv4() { 32 } else { 128 };
    IpNet::new(ip, bits)
}

#[cfg(test)]
mod tests;
