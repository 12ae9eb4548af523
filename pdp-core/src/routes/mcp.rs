//! `[mcp]` of a route table, and what a route says whose calls are messages of the Model Context Protocol.
//!
//! Such a route names the server that stands behind it; what a call asks is then in its message, and `[mcp]` says for
//! each kind of thing a message can be about which action that is on which entity. What it does not say is denied.
//!
//! ```toml
//! [mcp.server]      # to connect: initialize, server/discover, lists, notifications, answers, streams
//! action = 'Agentic::Action::"server/connect"'
//! entity = 'Agentic::McpServer::"{server}"'
//!
//! [mcp.tool]        # tools/call
//! action = 'Agentic::Action::"tools/call"'
//! list = 'Agentic::Action::"tools/list"'
//! own = 'Agentic::Action::"{server}.{name}"'
//! input = "input"
//! entity = 'Agentic::Tool::"{server}/{name}"'
//!
//! [mcp.resource]    # resources/read, subscriptions, completion of resources; {name} is the URI
//! [mcp.prompt]      # prompts/get, completion of prompts
//! [mcp.task]        # tasks/get, tasks/update, tasks/cancel, tasks/result; {name} is the task's id
//!
//! [[route]]
//! path = "/mcp/{server}"
//! mcp = { server = "{server}", deny = { mode = "hide" } }
//! ```
//!
//! Placeholders: `{server}`; in an entity and in `own` also `{name}`; in `action` and `list` also `{method}`, which is one of
//! the methods that are known, or `notifications`, `response` or `stream` for what is no request. `list` is the action by which the items of a list are decided;
//! without it, `action`.
//!
//! `own` is a tool's own action, where arguments are typed. It is taken where the bundle says that it is in `action`, so
//! that no tool gets, by its name, an action that is not meant for calls; all other tools have `action`. `input` is the
//! context's key for the arguments. They are there if the schema declares the key for the action, and are then of its
//! type or the call is denied; where it does not, policies do not see them.
//!
//! It reads no message; `pdp-edge` does.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::template::{Part, UidTemplate, parts, template};
use super::{Fact, RouteTable, Segment};

/// What messages ask, by what they are about.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Mcp {
    /// The server itself.
    pub server: McpKind,
    /// Its tools.
    #[serde(default)]
    pub tool: Option<McpKind>,
    /// Its resources.
    #[serde(default)]
    pub resource: Option<McpKind>,
    /// Its prompts.
    #[serde(default)]
    pub prompt: Option<McpKind>,
    /// Its tasks.
    #[serde(default)]
    pub task: Option<McpKind>,
}

/// The question about one kind of thing.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct McpKind {
    /// The action.
    pub action: String,
    /// The action for an item of a list; without it, `action`.
    #[serde(default)]
    pub list: Option<String>,
    /// A tool's own action.
    #[serde(default)]
    pub own: Option<String>,
    /// The key of the context that holds a tool's arguments.
    #[serde(default)]
    pub input: Option<String>,
    /// The resource.
    pub entity: String,
}

/// What a route says whose calls are messages.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct McpRoute {
    /// The server's name, with parameters of the path that are one segment.
    pub server: String,
    /// How a denied message is answered.
    #[serde(default)]
    pub deny: McpDenial,
}

/// How a denied message is answered.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct McpDenial {
    /// In which way; without it, as `mcp-2026` from revision 2026-07-28 on and as `coaz` before.
    #[serde(default)]
    pub mode: Option<McpMode>,
    /// The JSON-RPC code of mode `mcp-2026`, outside of what JSON-RPC reserves, -32768 to -32000; without it, 403.
    #[serde(default)]
    pub code: Option<i64>,
    /// The HTTP status of mode `coaz`, 200 or 403; without it, 200.
    #[serde(default)]
    pub status: Option<u16>,
}

/// The ways in which a denied message is answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum McpMode {
    /// 403 with an error whose code is the route's, the reason and the decision's id.
    #[serde(rename = "mcp-2026")]
    Mcp2026,
    /// An error with the codes of the draft COAZ-MCP.
    #[serde(rename = "coaz")]
    Coaz,
    /// As if there were no such thing.
    #[serde(rename = "hide")]
    Hide,
    /// A tool's result that says so, which reaches the model; where no tool is called, as `mcp-2026`.
    #[serde(rename = "tool-error")]
    ToolError,
}

/// [`Mcp`], taken apart.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ReadyMcp {
    /// The server itself.
    pub server: ReadyKind,
    /// Its tools.
    pub tool: Option<ReadyKind>,
    /// Its resources.
    pub resource: Option<ReadyKind>,
    /// Its prompts.
    pub prompt: Option<ReadyKind>,
    /// Its tasks.
    pub task: Option<ReadyKind>,
}

/// [`McpKind`], taken apart.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ReadyKind {
    /// The action.
    pub action: UidTemplate,
    /// The action for an item of a list.
    pub list: UidTemplate,
    /// A tool's own action.
    pub own: Option<UidTemplate>,
    /// The key of the context that holds a tool's arguments.
    pub input: Option<String>,
    /// The resource.
    pub entity: UidTemplate,
}

// === impl Mcp ===

impl Mcp {
    fn kinds(&self) -> impl Iterator<Item = (&'static str, &McpKind)> {
        let named = |name: &'static str, kind: &'_ Option<McpKind>| kind.is_some().then_some(name);
        let optional = [
            (named("tool", &self.tool), &self.tool),
            (named("resource", &self.resource), &self.resource),
            (named("prompt", &self.prompt), &self.prompt),
            (named("task", &self.task), &self.task),
        ];
        let optional =
            optional.into_iter().filter_map(|(name, kind)| Some((name?, kind.as_ref()?)));
        std::iter::once(("server", &self.server)).chain(optional)
    }

    /// Everything that is wrong with it by itself: words, and the text that is wrong.
    pub(super) fn faults(&self, context: &BTreeMap<String, Fact>) -> Vec<(String, String)> {
        let mut faults = Vec::new();
        for (name, kind) in self.kinds() {
            let holes: &[&str] = if name == "server" { &["server"] } else { &["server", "name"] };
            let texts = [
                (Some(&kind.action), &["server", "method"][..]),
                (kind.list.as_ref(), &["server", "method"]),
                (kind.own.as_ref(), &["server", "name"]),
                (Some(&kind.entity), holes),
            ];
            for (text, holes) in texts {
                let Some(text) = text else { continue };
                if let Err(message) = template(text, holes) {
                    faults.push((format!("`mcp.{name}`: {message}"), text.clone()));
                }
            }
            let misplaced = [
                ("list", &kind.list, matches!(name, "server" | "task")),
                ("own", &kind.own, name != "tool"),
                ("input", &kind.input, name != "tool"),
            ];
            for (key, text, is_misplaced) in misplaced {
                if let (Some(text), true) = (text, is_misplaced) {
                    faults.push((format!("`mcp.{name}` has no `{key}`"), text.clone()));
                }
            }
            if let Some(key) = kind.input.as_ref().filter(|key| context.contains_key(*key)) {
                let message = format!(
                    "`{key}` is a key of `[context]`, too; arguments need one of their own"
                );
                faults.push((message, key.clone()));
            }
        }
        faults
    }

    /// All entity templates.
    #[cfg(feature = "compile")]
    pub(crate) fn entities(&self) -> impl Iterator<Item = &str> {
        self.kinds().map(|(_, kind)| kind.entity.as_str())
    }

    /// All actions, as templates.
    #[cfg(feature = "compile")]
    pub(crate) fn actions(&self) -> impl Iterator<Item = &str> {
        let actions = |kind| {
            let McpKind { action, list, own, .. }: &McpKind = kind;
            [Some(action), list.as_ref(), own.as_ref()]
        };
        self.kinds().flat_map(move |(_, kind)| actions(kind)).flatten().map(String::as_str)
    }

    pub(super) fn ready(&self) -> Result<ReadyMcp, String> {
        let optional = |kind: &Option<McpKind>| kind.as_ref().map(McpKind::ready).transpose();
        Ok(ReadyMcp {
            server: self.server.ready()?,
            tool: optional(&self.tool)?,
            resource: optional(&self.resource)?,
            prompt: optional(&self.prompt)?,
            task: optional(&self.task)?,
        })
    }
}

impl McpKind {
    fn ready(&self) -> Result<ReadyKind, String> {
        Ok(ReadyKind {
            action: UidTemplate::read(&self.action)?,
            list: UidTemplate::read(self.list.as_ref().unwrap_or(&self.action))?,
            own: self.own.as_deref().map(UidTemplate::read).transpose()?,
            input: self.input.clone(),
            entity: UidTemplate::read(&self.entity)?,
        })
    }
}

// === impl McpRoute ===

impl McpRoute {
    pub(super) fn faults(&self, table: &RouteTable, segments: &[Segment]) -> Vec<String> {
        let mut faults = Vec::new();
        if table.mcp.is_none() {
            faults.push("its calls are messages, and the table has no `[mcp]`".to_owned());
        }
        match parts(&self.server) {
            None => faults.push(format!("`{}` has a brace that is no placeholder", self.server)),
            Some(parts) => faults.extend(self.server_faults(&parts, segments)),
        }
        let McpDenial { code, status, .. } = self.deny;
        if let Some(code) = code.filter(|code| (-32768..=-32000).contains(code)) {
            faults.push(format!("`mcp.deny.code` is {code}, which JSON-RPC has reserved"));
        }
        if let Some(status) = status.filter(|status| ![200, 403].contains(status)) {
            faults.push(format!("`mcp.deny.status` is {status}, and must be 200 or 403"));
        }
        faults
    }

    fn server_faults(&self, parts: &[Part], segments: &[Segment]) -> Vec<String> {
        if parts.is_empty() {
            return vec!["`mcp.server` is empty".to_owned()];
        }
        let mut faults = Vec::new();
        for part in parts {
            match part {
                // What has a slash could be a server and the beginning of a name.
                Part::Text(text) if text.contains('/') => {
                    faults.push(format!("`{text}` is no name of a server: it has a slash"));
                }
                Part::Text(_) => {}
                Part::Hole(name) if segments.contains(&Segment::One(name.clone())) => {}
                Part::Hole(name) => faults.push(format!(
                    "`mcp.server` is filled by parameters that are one segment, and `{{{name}}}` is none"
                )),
            }
        }
        faults
    }
}
