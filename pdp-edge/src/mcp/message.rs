//! What a body says: one JSON-RPC message, read once and strictly, and what of it carries authority.
//!
//! It refuses what is not one message of the call's revision, with a fault for each way of not being one. It does not
//! read arguments, which are kept as they are, and knows no policies.

use pdp_core::RequestLimits;
use pdp_core::json::{Arena, Cursor, JsonError, Kind as Json};

use super::headers::Head;
use super::params::{Params, Place};

/// A revision of the protocol, earliest first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Revision {
    /// 2025-03-26, which is also that of calls that name none.
    March2025,
    /// 2025-06-18.
    June2025,
    /// 2025-11-25.
    November2025,
    /// 2026-07-28: no sessions, and headers that repeat the body.
    July2026,
}

/// What kind of message it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Expects an answer.
    Request,
    /// Expects none.
    Notification,
    /// Answers what the server has asked, in revisions before 2026-07-28.
    Response,
    /// No message: a `GET` that opens a stream or a `DELETE` that ends a session, in revisions before 2026-07-28.
    Stream,
}

/// What a message is about. Names are as they are in the body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum About<'a> {
    /// The server as such.
    Server,
    /// A tool.
    Tool(&'a str),
    /// A resource or a template of resources, by its URI.
    Resource(&'a str),
    /// A prompt.
    Prompt(&'a str),
    /// A task, by its id.
    Task(&'a str),
}

/// The lists that a server gives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum List {
    /// `tools/list`.
    Tools,
    /// `resources/list`.
    Resources,
    /// `resources/templates/list`.
    Templates,
    /// `prompts/list`.
    Prompts,
}

/// A message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Message<'a> {
    /// Its kind.
    pub kind: Kind,
    /// The revision by which it was read.
    pub revision: Revision,
    /// The method; empty for what has none.
    pub method: &'a str,
    /// Its id as it is in the body, a string or an integer of JSON.
    pub id: Option<&'a str>,
    /// What it is about.
    pub about: About<'a>,
    /// The arguments for a tool or prompt, an object of JSON.
    pub arguments: Option<&'a str>,
}

/// What is wrong with a message, or in the way of asking what it asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Fault {
    /// The HTTP method is none of the protocol's.
    HttpMethod,
    /// The body is not said to be plain JSON in UTF-8.
    ContentType,
    /// The body is no JSON, has a key twice, something after its end, or is too long or too deep.
    Json,
    /// The body is a batch.
    Batch,
    /// The body is no JSON-RPC message, or none that a client sends in this revision.
    Envelope,
    /// The parameters are not as the method has them.
    Params,
    /// The revision is not known here.
    Version,
    /// A header is not there or does not say what the body says.
    Headers,
    /// The method is not known here, or not in this revision.
    Method,
    /// The table has no question for it.
    Unmapped,
    /// The arguments are not of the types that the schema declares.
    Arguments,
}

/// A body that was not read, and the message as far as it was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Unread<'a> {
    /// What is wrong.
    pub fault: Fault,
    /// As far as it was read.
    pub message: Option<Message<'a>>,
}

/// A method and the revisions that have it.
struct Method(&'static str, Place, Revision, Revision);

use Place::{Listen, Nowhere, PromptName, Reference, TaskId, ToolName, Uri};
use Revision::{July2026, March2025, November2025};

/// The requests of clients that are known; all others are refused. `tasks/list` is one of these: what it lists would have
/// to be filtered by who began each task, which nobody here knows.
const METHODS: [Method; 19] = [
    Method("tools/call", ToolName, March2025, July2026),
    Method("tools/list", Nowhere, March2025, July2026),
    Method("resources/list", Nowhere, March2025, July2026),
    Method("resources/templates/list", Nowhere, March2025, July2026),
    Method("resources/read", Uri, March2025, July2026),
    Method("prompts/list", Nowhere, March2025, July2026),
    Method("prompts/get", PromptName, March2025, July2026),
    Method("completion/complete", Reference, March2025, July2026),
    Method("initialize", Nowhere, March2025, November2025),
    Method("ping", Nowhere, March2025, November2025),
    Method("logging/setLevel", Nowhere, March2025, November2025),
    Method("resources/subscribe", Uri, March2025, November2025),
    Method("resources/unsubscribe", Uri, March2025, November2025),
    Method("server/discover", Nowhere, July2026, July2026),
    Method("subscriptions/listen", Listen, July2026, July2026),
    Method("tasks/get", TaskId, November2025, July2026),
    Method("tasks/cancel", TaskId, November2025, July2026),
    Method("tasks/result", TaskId, November2025, November2025),
    Method("tasks/update", TaskId, July2026, July2026),
];

/// Longer ids are refused: they are in every answer.
const ID_BYTES_MAX: usize = 256;
// === impl Revision ===

impl Revision {
    /// All of them, earliest first.
    pub const ALL: [Self; 4] = [March2025, Self::June2025, November2025, July2026];

    /// Its name on the wire.
    pub fn name(self) -> &'static str {
        match self {
            March2025 => "2025-03-26",
            Self::June2025 => "2025-06-18",
            November2025 => "2025-11-25",
            July2026 => "2026-07-28",
        }
    }
}

// === impl Fault ===

impl Fault {
    /// A code that does not change.
    pub fn code(self) -> &'static str {
        match self {
            Fault::HttpMethod => "mcp_http_method",
            Fault::ContentType => "mcp_content_type",
            Fault::Json => "mcp_json",
            Fault::Batch => "mcp_batch",
            Fault::Envelope => "mcp_message",
            Fault::Params => "mcp_params",
            Fault::Version => "mcp_version",
            Fault::Headers => "mcp_headers",
            Fault::Method => "mcp_method",
            Fault::Unmapped => "mcp_unmapped",
            Fault::Arguments => "mcp_arguments",
        }
    }
}

impl From<JsonError> for Fault {
    fn from(_: JsonError) -> Self {
        Fault::Json
    }
}

// === impl About ===

impl<'a> About<'a> {
    /// The name, if it has one.
    pub fn name(self) -> Option<&'a str> {
        match self {
            About::Server => None,
            About::Tool(name) | About::Resource(name) | About::Prompt(name) | About::Task(name) => {
                Some(name)
            }
        }
    }
}

// === impl Message ===

impl<'a> Message<'a> {
    /// Reads the call of one message. `headers` have names in any case; texts that are not in the body are made in
    /// `arena`.
    ///
    /// # Errors
    ///
    /// When the call is not one of a message that is known.
    pub fn read(
        http_method: &str,
        headers: &[(&[u8], &[u8])],
        body: Option<&'a [u8]>,
        arena: &'a Arena,
    ) -> Result<Self, Unread<'a>> {
        let bare = |fault| Unread { fault, message: None };
        let head = Head { headers, arena };
        match http_method {
            "POST" => {
                head.plain_json().map_err(bare)?;
                let text = std::str::from_utf8(body.unwrap_or_default());
                let text = text.map_err(|_| bare(Fault::Json))?;
                let (message, params) = envelope(text, arena).map_err(bare)?;
                finish(message, params, head)
                    .map_err(|fault| Unread { fault, message: Some(message) })
            }
            "GET" | "DELETE" => Self::stream(head, body).map_err(bare),
            _ => Err(bare(Fault::HttpMethod)),
        }
    }

    /// The list that it asks for.
    pub fn list(&self) -> Option<List> {
        match self.method {
            "tools/list" => Some(List::Tools),
            "resources/list" => Some(List::Resources),
            "resources/templates/list" => Some(List::Templates),
            "prompts/list" => Some(List::Prompts),
            _ => None,
        }
    }

    fn stream(head: Head<'_, 'a>, body: Option<&[u8]>) -> Result<Self, Fault> {
        let revision = head.revision(None)?;
        if revision >= July2026 {
            return Err(Fault::HttpMethod);
        }
        if body.is_some() {
            return Err(Fault::Envelope);
        }
        let (kind, about) = (Kind::Stream, About::Server);
        Ok(Self { kind, revision, method: "", id: None, about, arguments: None })
    }
}

/// The message without what its parameters say, and where these are.
fn envelope<'a>(
    text: &'a str,
    arena: &'a Arena,
) -> Result<(Message<'a>, Option<Cursor<'a>>), Fault> {
    let cursor = &mut Cursor::new(text, arena, &RequestLimits::STANDARD)?;
    match cursor.kind()? {
        Json::Object => {}
        kind => {
            cursor.value()?;
            cursor.end()?;
            return Err(if kind == Json::Array { Fault::Batch } else { Fault::Envelope });
        }
    }
    // All of it is JSON, or nothing of it is looked at.
    let mut whole = *cursor;
    whole.value()?;
    whole.end()?;
    let (mut version, mut id, mut method, mut params) = (None, None, None, None);
    let (mut result, mut error) = (false, false);
    cursor.enter()?;
    let mut first = true;
    while let Some(key) = cursor.key(first)? {
        first = false;
        let (at, kind) = (*cursor, cursor.kind()?);
        match (key, kind) {
            ("jsonrpc", Json::Text) => version = Some(cursor.text()?),
            ("method", Json::Text) => method = Some(cursor.text()?),
            ("id", Json::Text | Json::Number) => id = Some(cursor.value()?),
            ("params", Json::Object) => {
                params = Some(at);
                cursor.value()?;
            }
            ("result", Json::Object) => {
                result = true;
                cursor.value()?;
            }
            ("error", Json::Object) => {
                error = true;
                cursor.value()?;
            }
            _ => return Err(Fault::Envelope),
        }
    }
    let sound_id = id.is_none_or(|id: &str| {
        let integer = || id.bytes().all(|byte| byte.is_ascii_digit() || byte == b'-');
        id.len() <= ID_BYTES_MAX && (id.starts_with('"') || integer())
    });
    let kind = match (method, id, result, error) {
        (Some(_), Some(_), false, false) => Kind::Request,
        (Some(method), None, false, false) if method.starts_with("notifications/") => {
            Kind::Notification
        }
        (None, Some(_), true, false) | (None, _, false, true) if params.is_none() => Kind::Response,
        _ => return Err(Fault::Envelope),
    };
    if version != Some("2.0") || !sound_id {
        return Err(Fault::Envelope);
    }
    let (revision, method, about) = (March2025, method.unwrap_or_default(), About::Server);
    Ok((Message { kind, revision, method, id, about, arguments: None }, params))
}

/// Reads the parameters, and compares with the head.
fn finish<'a>(
    mut message: Message<'a>,
    params: Option<Cursor<'a>>,
    head: Head<'_, 'a>,
) -> Result<Message<'a>, Fault> {
    let params = params.map(Params::read).transpose()?.unwrap_or_default();
    message.revision = head.revision(params.version)?;
    let strict = message.revision >= July2026;
    match message.kind {
        // What the server does not ask, nobody answers.
        Kind::Response if strict => return Err(Fault::Envelope),
        Kind::Request if strict && params.version.is_none() => return Err(Fault::Headers),
        Kind::Request => {
            let Method(_, place, ..) = method(message.method, message.revision)?;
            message.about = params.about(*place)?;
            message.arguments = params.arguments;
        }
        Kind::Notification | Kind::Response | Kind::Stream => {}
    }
    head.agrees(&message)?;
    Ok(message)
}

fn method(name: &str, revision: Revision) -> Result<&'static Method, Fault> {
    let mut methods = METHODS.iter();
    let known = |Method(known, _, first, last): &&Method| {
        *known == name && (*first..=*last).contains(&revision)
    };
    methods.find(known).ok_or(Fault::Method)
}
