//! Messages of the Model Context Protocol: from a call's body to a question, from a denial to what its caller is told,
//! and lists that show what may be seen.
//!
//! Revisions 2025-03-26 to 2026-07-28. One body is one message, one message is one question: batches are refused, also
//! in 2025-03-26, which knows them. What two readers could read differently is refused: keys that occur twice or differ
//! only in case from one that counts, headers that say something else than the body, what follows the end.
//! No session is kept, so nothing here ties a session or a task to who began it; that is for policies and servers.
//! `clientInfo` and what a server says of its own tools are never looked at. Whether an `Origin` is allowed is not judged
//! here either: a policy can, with the header in its context.
//!
//! In reading order: `message` and `params` (what a body says), `headers` (does the call's head agree?), `question` (what is asked),
//! `denial` (what is told), `list` and `sse` (what of an answer may be seen).

mod denial;
mod headers;
mod list;
mod message;
mod params;
mod question;
mod sse;

pub use denial::{Cause, Told, told};
pub use list::{Item, ListFilter};
pub use message::{About, Fault, Kind, List, Message, Revision, Unread};
pub(crate) use question::asked;
pub use question::item;
pub use sse::SseFilter;

use std::fmt::Write;

/// Whether a key is another spelling of one that counts, for a reader that does not look at case.
fn is_twin(key: &str, exact: &str) -> bool {
    // Two letters beyond ASCII become one of ASCII in a reader that folds.
    let fold = |c: char| match c {
        'ſ' => 's',
        '\u{212a}' => 'k',
        c => c.to_ascii_lowercase(),
    };
    key != exact && key.chars().map(fold).eq(exact.chars().map(fold))
}

/// Writes a string of JSON.
fn quote(text: &str, out: &mut String) {
    out.push('"');
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            // Some readers end a line at the last two.
            c if c < ' ' || c == '\u{7f}' || c == '\u{2028}' || c == '\u{2029}' => {
                // Writing to a string does not fail.
                _ = write!(out, "\\u{:04x}", u32::from(c));
            }
            c => out.push(c),
        }
    }
    out.push('"');
}

#[cfg(test)]
mod tests;
