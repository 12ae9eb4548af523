//! Lists that show what may be seen: the answer to a request for a list, without the items that are not allowed.
//!
//! Order, cursors and all that is not known here stay as they are; the answer is made private to whom it was given, and
//! may be kept no longer than a limit. Items without a name are not shown. An answer that cannot be read for certain
//! becomes an empty list, never one that was not filtered.

use std::fmt::Write;

use pdp_core::RequestLimits;
use pdp_core::json::{Arena, Cursor, Kind as Json};

use super::message::{Fault, Kind, List, Message};
use super::params::members;
use super::{is_twin, quote};

/// An item of a list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Item<'i> {
    /// Of which.
    pub list: List,
    /// Its name; of a resource its URI, of a template its URI template.
    pub name: &'i str,
}

/// Filters the answer to one request for a list, or what a stream gives in which any list may stand.
#[derive(Clone, Debug)]
pub struct ListFilter {
    /// The list that is asked for, and the id of the request; nothing for a stream that answers no request.
    asked: Option<(List, String)>,
    ttl_ms_max: u64,
}

/// What a message of the server is.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Said {
    /// An answer, as it may be seen.
    Answer(String),
    /// Something of the server's own.
    Other,
}

/// The members of a message that count.
const MEMBERS: [&str; 6] = ["jsonrpc", "id", "method", "params", "result", "error"];
/// The members of a result that count.
const RESULT: [&str; 6] =
    ["tools", "resources", "resourceTemplates", "prompts", "cacheScope", "ttlMs"];

// === impl List ===

impl List {
    const ALL: [Self; 4] = [List::Tools, List::Resources, List::Templates, List::Prompts];

    /// The member of a result that holds it.
    fn member(self) -> &'static str {
        match self {
            List::Tools => "tools",
            List::Resources => "resources",
            List::Templates => "resourceTemplates",
            List::Prompts => "prompts",
        }
    }

    /// The member of an item that names it.
    fn name(self) -> &'static str {
        match self {
            List::Tools | List::Prompts => "name",
            List::Resources => "uri",
            List::Templates => "uriTemplate",
        }
    }
}

// === impl ListFilter ===

impl ListFilter {
    /// For what is given for a message, if that is a list or a stream in which one may stand. `ttl_ms_max` is how long a
    /// list may be kept.
    pub fn new(message: &Message<'_>, ttl_ms_max: u64) -> Option<Self> {
        let asked = match (message.kind, message.list(), message.id) {
            (Kind::Request, Some(list), Some(id)) => Some((list, id.to_owned())),
            (Kind::Stream, ..) => None,
            _ => return None,
        };
        Some(Self { asked, ttl_ms_max })
    }

    /// The body of an answer as it may be seen.
    pub fn body(&self, body: &[u8], allowed: &mut dyn FnMut(Item<'_>) -> bool) -> String {
        match self.said(body, allowed) {
            Some(Said::Answer(answer)) => answer,
            // What the server asks stands in a stream.
            Some(Said::Other) | None => self.empty(),
        }
    }

    /// The message of an event as it may be seen; `None` if it may be as it is.
    pub(super) fn event(
        &self,
        data: &[u8],
        allowed: &mut dyn FnMut(Item<'_>) -> bool,
    ) -> Option<String> {
        match self.said(data, allowed) {
            Some(Said::Answer(answer)) => Some(answer),
            Some(Said::Other) => None,
            None => Some(self.empty()),
        }
    }

    /// The answer that shows nothing; no text at all where no list was asked for.
    pub fn empty(&self) -> String {
        let Some((list, id)) = &self.asked else { return String::new() };
        let list = list.member();
        format!(
            "{{\"jsonrpc\":\"2.0\",\"id\":{id},\"result\":{{\"resultType\":\"complete\",\"{list}\":[],\"ttlMs\":0,\
             \"cacheScope\":\"private\"}}}}"
        )
    }

    fn said(&self, body: &[u8], allowed: &mut dyn FnMut(Item<'_>) -> bool) -> Option<Said> {
        let text = std::str::from_utf8(body).ok()?;
        let arena = Arena::new();
        let mut cursor = Cursor::new(text, &arena, &RequestLimits::STANDARD).ok()?;
        let mut whole = cursor;
        whole.value().and_then(|_| whole.end()).ok()?;
        let (mut method, mut result, mut error) = (false, false, false);
        let answer = object(&mut cursor, &MEMBERS, |key, kind, cursor, out| {
            match (key, kind) {
                ("result", Json::Object) => {
                    result = true;
                    out.push_str(&self.result(cursor, allowed)?);
                    return Ok(());
                }
                ("error", Json::Object) => error = true,
                ("method", Json::Text) => method = true,
                ("result" | "error" | "method", _) => return Err(Fault::Envelope),
                _ => {}
            }
            out.push_str(cursor.value()?);
            Ok(())
        });
        match (answer.ok()?, method, result, error) {
            (answer, false, true, false) => Some(Said::Answer(answer)),
            (_, false, false, true) => Some(Said::Answer(text.to_owned())),
            (_, true, false, false) => Some(Said::Other),
            _ => None,
        }
    }

    fn result(
        &self,
        cursor: &mut Cursor<'_>,
        allowed: &mut dyn FnMut(Item<'_>) -> bool,
    ) -> Result<String, Fault> {
        let asked = self.asked.as_ref().map(|(list, _)| *list);
        let (mut found, mut any, mut scoped) = (false, false, false);
        let mut result = object(cursor, &RESULT, |key, kind, cursor, out| {
            if let Some(list) = List::ALL.into_iter().find(|list| list.member() == key) {
                found |= Some(list) == asked;
                any = true;
                return items(list, kind, cursor, out, allowed);
            }
            let value = cursor.value()?;
            match key {
                "cacheScope" => {
                    scoped = true;
                    out.push_str("\"private\"");
                }
                "ttlMs" => {
                    let ttl = value.parse().unwrap_or(u64::MAX).min(self.ttl_ms_max);
                    // Writing to a string does not fail.
                    _ = write!(out, "{ttl}");
                }
                _ => out.push_str(value),
            }
            Ok(())
        })?;
        if asked.is_some() && !found {
            return Err(Fault::Envelope);
        }
        if any && !scoped {
            // The object has a list in it, so this is not its first member.
            result.pop();
            result.push_str(",\"cacheScope\":\"private\"}");
        }
        Ok(result)
    }
}

/// Writes the items of a list that are allowed.
fn items(
    list: List,
    kind: Json,
    cursor: &mut Cursor<'_>,
    out: &mut String,
    allowed: &mut dyn FnMut(Item<'_>) -> bool,
) -> Result<(), Fault> {
    if kind != Json::Array {
        return Err(Fault::Envelope);
    }
    out.push('[');
    cursor.enter()?;
    let (mut first, mut none) = (true, true);
    while cursor.item(first)? {
        first = false;
        // White space goes before what the cursor stands at.
        cursor.kind()?;
        let at = *cursor;
        let text = cursor.value()?;
        if name(at, list).is_some_and(|name| allowed(Item { list, name })) {
            if !none {
                out.push(',');
            }
            none = false;
            out.push_str(text);
        }
    }
    out.push(']');
    Ok(())
}

/// The name of an item, if every reader finds the same.
fn name<'a>(mut cursor: Cursor<'a>, list: List) -> Option<&'a str> {
    let mut name = None;
    members(&mut cursor, &[list.name()], |_, kind, cursor| match kind {
        Json::Text => {
            name = Some(cursor.text()?);
            Ok(())
        }
        _ => Err(Fault::Params),
    })
    .ok()?;
    name
}

/// Writes an object anew: keys as they are, each value by `write`. Refuses another spelling of a key that counts.
fn object<'a>(
    cursor: &mut Cursor<'a>,
    exact: &[&str],
    mut write: impl FnMut(&'a str, Json, &mut Cursor<'a>, &mut String) -> Result<(), Fault>,
) -> Result<String, Fault> {
    if cursor.kind()? != Json::Object {
        return Err(Fault::Envelope);
    }
    let mut out = String::from("{");
    cursor.enter()?;
    let mut first = true;
    while let Some(key) = cursor.key(first)? {
        if exact.iter().any(|exact| is_twin(key, exact)) {
            return Err(Fault::Envelope);
        }
        if !first {
            out.push(',');
        }
        first = false;
        quote(key, &mut out);
        out.push(':');
        write(key, cursor.kind()?, cursor, &mut out)?;
    }
    out.push('}');
    Ok(out)
}

#[cfg(test)]
pub(super) mod tests;
