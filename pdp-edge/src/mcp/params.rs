//! What the parameters of a message say: the revision, and what it is about.
//!
//! Members that count must be of the type that the protocol gives them; another spelling of one is refused. It knows no
//! methods.

use pdp_core::json::{Cursor, Kind as Json};

use super::is_twin;
use super::message::{About, Fault};

/// Where a method's parameters say what it is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    Nowhere,
    ToolName,
    PromptName,
    Uri,
    Reference,
    Listen,
    TaskId,
}

/// Longer names are refused.
const NAME_BYTES_MAX: usize = 4096;
/// Where a body names its revision.
const VERSION: &str = "io.modelcontextprotocol/protocolVersion";
/// Members that count; another spelling of one is refused.
const PARAMS: [&str; 7] = ["name", "arguments", "uri", "ref", "taskId", "notifications", "_meta"];

/// What parameters say.
#[derive(Clone, Copy, Default)]
pub(super) struct Params<'a> {
    pub(super) version: Option<&'a str>,
    name: Option<&'a str>,
    uri: Option<&'a str>,
    task: Option<&'a str>,
    pub(super) arguments: Option<&'a str>,
    reference: Option<Cursor<'a>>,
    notifications: Option<Cursor<'a>>,
}

// === impl Params ===

impl<'a> Params<'a> {
    pub(super) fn read(mut cursor: Cursor<'a>) -> Result<Self, Fault> {
        let mut params = Self::default();
        members(&mut cursor, &PARAMS, |key, kind, cursor| {
            let at = *cursor;
            match (key, kind) {
                ("name", Json::Text) => params.name = Some(cursor.text()?),
                ("uri", Json::Text) => params.uri = Some(cursor.text()?),
                ("taskId", Json::Text) => params.task = Some(cursor.text()?),
                ("arguments", Json::Object) => params.arguments = Some(cursor.value()?),
                ("ref", Json::Object) => {
                    params.reference = Some(at);
                    cursor.value()?;
                }
                ("notifications", Json::Object) => {
                    params.notifications = Some(at);
                    cursor.value()?;
                }
                ("_meta", Json::Object) => params.version = version(cursor)?,
                _ => return Err(Fault::Params),
            }
            Ok(())
        })?;
        Ok(params)
    }

    pub(super) fn about(&self, place: Place) -> Result<About<'a>, Fault> {
        let name = |name: Option<&'a str>| {
            let name = name.ok_or(Fault::Params)?;
            let sound = !name.is_empty()
                && name.len() <= NAME_BYTES_MAX
                // A server may trim it.
                && name.trim() == name
                && !name.chars().any(char::is_control);
            if sound { Ok(name) } else { Err(Fault::Params) }
        };
        match place {
            Place::Nowhere => Ok(About::Server),
            Place::ToolName => name(self.name).map(About::Tool),
            Place::PromptName => name(self.name).map(About::Prompt),
            Place::Uri => name(self.uri).map(About::Resource),
            Place::TaskId => name(self.task).map(About::Task),
            Place::Reference => {
                let (mut of, mut prompt, mut uri) = (None, None, None);
                let mut cursor = self.reference.ok_or(Fault::Params)?;
                members(&mut cursor, &["type", "name", "uri"], |key, kind, cursor| {
                    if kind != Json::Text {
                        return Err(Fault::Params);
                    }
                    let text = Some(cursor.text()?);
                    match key {
                        "type" => of = text,
                        "name" => prompt = text,
                        _ => uri = text,
                    }
                    Ok(())
                })?;
                match of {
                    Some("ref/prompt") => name(prompt).map(About::Prompt),
                    Some("ref/resource") => name(uri).map(About::Resource),
                    _ => Err(Fault::Params),
                }
            }
            Place::Listen => {
                let mut uris = Vec::new();
                let mut cursor = self.notifications.ok_or(Fault::Params)?;
                members(&mut cursor, &["resourceSubscriptions"], |_, kind, cursor| {
                    if kind != Json::Array {
                        return Err(Fault::Params);
                    }
                    cursor.enter()?;
                    while cursor.item(uris.is_empty())? {
                        if cursor.kind()? != Json::Text {
                            return Err(Fault::Params);
                        }
                        uris.push(cursor.text()?);
                    }
                    Ok(())
                })?;
                // One message is one question; who wants to know of several resources listens several times.
                match uris.as_slice() {
                    [] => Ok(About::Server),
                    [uri] => name(Some(uri)).map(About::Resource),
                    _ => Err(Fault::Params),
                }
            }
        }
    }
}

/// Visits the members of an object that count, at their values. All others are passed over, if they are not another
/// spelling of one that counts.
pub(super) fn members<'a>(
    cursor: &mut Cursor<'a>,
    exact: &[&str],
    mut visit: impl FnMut(&'a str, Json, &mut Cursor<'a>) -> Result<(), Fault>,
) -> Result<(), Fault> {
    if cursor.kind()? != Json::Object {
        return Err(Fault::Params);
    }
    cursor.enter()?;
    let mut first = true;
    while let Some(key) = cursor.key(first)? {
        first = false;
        let kind = cursor.kind()?;
        match exact.contains(&key) {
            true => visit(key, kind, cursor)?,
            false if exact.iter().any(|exact| is_twin(key, exact)) => return Err(Fault::Params),
            false => _ = cursor.value()?,
        }
    }
    Ok(())
}

/// The revision that `_meta` names.
fn version<'a>(cursor: &mut Cursor<'a>) -> Result<Option<&'a str>, Fault> {
    let mut version = None;
    members(cursor, &[VERSION], |_, kind, cursor| match kind {
        Json::Text => {
            version = Some(cursor.text()?);
            Ok(())
        }
        _ => Err(Fault::Params),
    })?;
    Ok(version)
}
