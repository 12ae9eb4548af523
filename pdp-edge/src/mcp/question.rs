//! What a message asks: which action, on which entity, with which arguments, as the bundle's table has it.
//!
//! What the table does not say is a fault, which is a deny. It finds neither who asks nor the rest of the context.

use pdp_core::json::{Arena, read_attribute};
use pdp_core::{Decider, ReadyKind, ReadyMcp, RequestLimits, Uid, UidTemplate, Value};

use super::message::{About, Fault, Kind, List, Message};
use crate::route::fill;

/// The parts of a question that a message says.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Asked<'a> {
    pub(crate) action: Uid<'a>,
    pub(crate) resource: Uid<'a>,
    /// The arguments, where policies see them: the key of the context, and its value.
    pub(crate) input: Option<(&'a str, Value<'a>)>,
}

/// What a message to a server asks.
pub(crate) fn asked<'a>(
    mcp: &'a ReadyMcp,
    server: &str,
    message: &Message<'a>,
    decider: Option<&Decider>,
    arena: &'a Arena,
) -> Result<Asked<'a>, Fault> {
    let kind = match message.about {
        About::Server => Some(&mcp.server),
        About::Tool(_) => mcp.tool.as_ref(),
        About::Resource(_) => mcp.resource.as_ref(),
        About::Prompt(_) => mcp.prompt.as_ref(),
        About::Task(_) => mcp.task.as_ref(),
    };
    let kind = kind.ok_or(Fault::Unmapped)?;
    // Texts that a client is free in are no part of an action.
    let method = match message.kind {
        Kind::Request => message.method,
        Kind::Notification => "notifications",
        Kind::Response => "response",
        Kind::Stream => "stream",
    };
    let name = message.about.name();
    let names = Names { server, name, method: Some(method) };
    let mut action = names.uid(&kind.action, arena).ok_or(Fault::Unmapped)?;
    let resource = names.uid(&kind.entity, arena).ok_or(Fault::Unmapped)?;
    if let (Some(own), Some(decider)) = (&kind.own, decider) {
        let own = names.uid(own, arena).ok_or(Fault::Unmapped)?;
        if decider.is_in(&own, &action) {
            action = own;
        }
    }
    let input = input(kind, action, message, decider, arena)?;
    Ok(Asked { action, resource, input })
}

/// The arguments for a tool, if the schema has a type for them. None are as good as an empty object.
fn input<'a>(
    kind: &'a ReadyKind,
    action: Uid<'_>,
    message: &Message<'a>,
    decider: Option<&Decider>,
    arena: &'a Arena,
) -> Result<Option<(&'a str, Value<'a>)>, Fault> {
    let bundle = decider.and_then(|decider| decider.bundle());
    let (Some(key), Some(bundle)) = (&kind.input, bundle) else { return Ok(None) };
    let arguments = message.arguments.unwrap_or("{}");
    let limits = &RequestLimits::STANDARD;
    let value = read_attribute(arguments, bundle, action, key, arena, limits)
        .map_err(|_| Fault::Arguments)?;
    Ok(value.map(|value| (key.as_str(), value)))
}

/// Action and entity of the question whether an item of a server's list may be seen; `None` if the table has none, and
/// then it may not.
pub fn item<'a>(
    mcp: &'a ReadyMcp,
    server: &str,
    list: List,
    name: &str,
    arena: &'a Arena,
) -> Option<(Uid<'a>, Uid<'a>)> {
    let (kind, method) = match list {
        List::Tools => (&mcp.tool, "tools/list"),
        List::Resources => (&mcp.resource, "resources/list"),
        List::Templates => (&mcp.resource, "resources/templates/list"),
        List::Prompts => (&mcp.prompt, "prompts/list"),
    };
    let kind = kind.as_ref()?;
    let names = Names { server, name: Some(name), method: Some(method) };
    Some((names.uid(&kind.list, arena)?, names.uid(&kind.entity, arena)?))
}

/// What fills placeholders.
#[derive(Clone, Copy)]
struct Names<'n> {
    server: &'n str,
    name: Option<&'n str>,
    method: Option<&'n str>,
}

// === impl Names ===

impl Names<'_> {
    fn uid<'a>(&self, template: &'a UidTemplate, arena: &'a Arena) -> Option<Uid<'a>> {
        let value = |hole: &str| match hole {
            "server" => Some(self.server),
            "name" => self.name,
            "method" => self.method,
            _ => None,
        };
        Some(Uid::new(&template.entity_type, arena.alloc_str(&fill(&template.parts, value)?)))
    }
}
