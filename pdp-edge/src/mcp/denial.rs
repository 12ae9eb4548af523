//! What the caller of a message is told that does not pass: a status and a body of JSON.
//!
//! What is no message is told so in the protocol's own codes, whatever the route says. What is denied is told in the
//! route's mode; where no answer is expected, 403 and an error without an id. It does not say which policies denied.
//! `coaz` has a code more, -32603 for a decision point that cannot be asked, which is for those who ask one.

use std::fmt::Write;

use pdp_core::{McpDenial, McpMode};

use super::headers::one;
use super::message::{About, Fault, Kind, Message, Revision};
use super::quote;

/// The code of mode `mcp-2026` where the route has none.
const DENIED: i64 = 403;
const FORBIDDEN: u16 = 403;
const OK: u16 = 200;

/// Why a message does not pass.
#[derive(Clone, Copy, Debug)]
pub struct Cause<'c> {
    /// The message, as far as it was read.
    pub message: Option<&'c Message<'c>>,
    /// What is wrong with it; nothing if it was judged, or something else was in the way.
    pub fault: Option<Fault>,
    /// The reason of the decision.
    pub reason: &'c str,
    /// What was in the way of a question, if anything was.
    pub refusal: Option<&'c str>,
    /// The decision's id.
    pub decision: &'c str,
    /// The headers of the call.
    pub headers: &'c [(&'c [u8], &'c [u8])],
}

/// What a caller is told; the body is JSON.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Told {
    /// The HTTP status.
    pub status: u16,
    /// The body.
    pub body: String,
}

/// An error of JSON-RPC.
struct Error {
    code: i64,
    text: String,
    /// JSON, if there is any.
    data: String,
}

/// Tells why a message does not pass.
pub fn told(how: &McpDenial, cause: &Cause<'_>) -> Told {
    if let Some(told) = cause.fault.and_then(|fault| no_message(fault, cause)) {
        return told;
    }
    let revision = cause.message.map_or(Revision::March2025, |message| message.revision);
    let kind = cause.message.map(|message| message.kind);
    let mode = how.mode.unwrap_or(match revision >= Revision::July2026 {
        true => McpMode::Mcp2026,
        false => McpMode::Coaz,
    });
    let (status, error) = match mode {
        McpMode::Coaz => (how.status.unwrap_or(OK), coaz(cause)),
        McpMode::Hide => (OK, hidden(cause.message)),
        McpMode::ToolError if is_tool(cause) => return tool_error(cause),
        McpMode::Mcp2026 | McpMode::ToolError => (FORBIDDEN, denied(how, cause)),
    };
    match kind {
        Some(Kind::Request) => error.told(status, cause.id()),
        // Nobody waits for an answer with an id.
        _ => error.told(FORBIDDEN, None),
    }
}

/// What is told of what is no message; `None` if it is one that is denied.
fn no_message(fault: Fault, cause: &Cause<'_>) -> Option<Told> {
    let (status, code, text) = match fault {
        Fault::HttpMethod => (405, -32600, "Method not allowed"),
        Fault::ContentType => (415, -32600, "Content-Type must be application/json"),
        Fault::Json => (400, -32700, "Parse error"),
        Fault::Batch => (400, -32600, "Batches are not supported"),
        Fault::Envelope => (400, -32600, "Invalid Request"),
        Fault::Params => (400, -32602, "Invalid params"),
        Fault::Version => (400, -32022, "Unsupported protocol version"),
        Fault::Headers => (400, -32020, "Header mismatch: headers do not say what the body says"),
        Fault::Method | Fault::Unmapped | Fault::Arguments => return None,
    };
    let mut data = String::new();
    if fault == Fault::Version {
        let names = Revision::ALL.map(|revision| format!("\"{}\"", revision.name()));
        _ = write!(data, "{{\"supported\":[{}],\"requested\":", names.join(","));
        let requested = one(cause.headers, "mcp-protocol-version").ok().flatten();
        quote(&String::from_utf8_lossy(requested.unwrap_or_default()), &mut data);
        data.push('}');
    }
    let is_request = cause.message.is_none_or(|message| message.kind == Kind::Request);
    let id = if is_request { Some(cause.id().unwrap_or("null")) } else { None };
    Some(Error { code, text: text.to_owned(), data }.told(status, id))
}

fn denied(how: &McpDenial, cause: &Cause<'_>) -> Error {
    if cause.fault == Some(Fault::Method) {
        return not_found();
    }
    let code = how.code.unwrap_or(DENIED);
    Error { code, text: "Access denied".to_owned(), data: cause.data() }
}

fn coaz(cause: &Cause<'_>) -> Error {
    let code = match cause.fault {
        Some(Fault::Method) => return not_found(),
        Some(_) => -32602,
        None => -32001,
    };
    Error { code, text: "Access denied".to_owned(), data: cause.data() }
}

/// As if there were no such thing, in the words of a server that has none.
fn hidden(message: Option<&Message<'_>>) -> Error {
    let Some(message) = message else { return not_found() };
    let old = message.revision < Revision::July2026;
    let (code, text) = match message.about {
        About::Server => return not_found(),
        About::Tool(name) => (-32602, format!("Unknown tool: {name}")),
        About::Prompt(name) => (-32602, format!("Unknown prompt: {name}")),
        About::Resource(_) => (if old { -32002 } else { -32602 }, "Resource not found".to_owned()),
        About::Task(_) => (-32602, "Task not found".to_owned()),
    };
    Error { code, text, data: String::new() }
}

fn not_found() -> Error {
    Error { code: -32601, text: "Method not found".to_owned(), data: String::new() }
}

fn is_tool(cause: &Cause<'_>) -> bool {
    cause.message.is_some_and(|message| {
        message.kind == Kind::Request && matches!(message.about, About::Tool(_))
    })
}

/// A result of the tool that says that it was not called.
fn tool_error(cause: &Cause<'_>) -> Told {
    let mut body = format!("{{\"jsonrpc\":\"2.0\",\"id\":{},", cause.id().unwrap_or("null"));
    body.push_str(
        "\"result\":{\"resultType\":\"complete\",\"content\":[{\"type\":\"text\",\"text\":",
    );
    let why = cause.refusal.unwrap_or(cause.reason);
    quote(&format!("Access denied: {why} (decision {})", cause.decision), &mut body);
    body.push_str("}],\"isError\":true}}");
    Told { status: OK, body }
}

// === impl Cause ===

impl<'c> Cause<'c> {
    fn id(&self) -> Option<&'c str> {
        self.message.and_then(|message| message.id)
    }

    fn data(&self) -> String {
        let mut data = "{\"reason\":".to_owned();
        quote(self.reason, &mut data);
        if let Some(refusal) = self.refusal {
            data.push_str(",\"refusal\":");
            quote(refusal, &mut data);
        }
        data.push_str(",\"evaluation_id\":");
        quote(self.decision, &mut data);
        data.push('}');
        data
    }
}

// === impl Error ===

impl Error {
    /// With an id, which is JSON, or with none.
    fn told(&self, status: u16, id: Option<&str>) -> Told {
        let mut body = "{\"jsonrpc\":\"2.0\",".to_owned();
        // Writing to a string does not fail.
        if let Some(id) = id {
            _ = write!(body, "\"id\":{id},");
        }
        _ = write!(body, "\"error\":{{\"code\":{},\"message\":", self.code);
        quote(&self.text, &mut body);
        if !self.data.is_empty() {
            _ = write!(body, ",\"data\":{}", self.data);
        }
        body.push_str("}}");
        Told { status, body }
    }
}
