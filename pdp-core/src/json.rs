//! Requests from JSON, read once and strictly; and answers as JSON.
//!
//! Duplicate keys are refused at every level, as are numbers that are not 64-bit integers, `null`, nesting and length
//! beyond the limits, and anything after the end. With a bundle its schema leads: where it says entity, `{"type",
//! "id"}` will do, where it says `datetime`, `decimal`, `ipaddr` or `duration`, a string will do. Without one,
//! entities are `{"__entity": {"type", "id"}}` and extension values `{"__extn": {"fn", "arg"}}`, as in Cedar's JSON.
//!
//! There is no tree between the bytes and the [`Request`](crate::Request): each value is read as what is expected in
//! its place. What has to wait (a context that comes before its action) is passed over and read when its turn comes.
//! Strings stay where they are in the text; slices, and strings with escapes, go into an [`Arena`] of the caller. After
//! warm-up and `reset` nothing is allocated from the system.
//! This module converts; whether a request fits the schema is for `decide` to say.

mod answer;
mod attribute;
mod cursor;
mod request;
mod uid;
mod value;

use std::fmt;

pub use bumpalo::Bump as Arena;

pub use answer::AnswerShape;
pub use attribute::read_attribute;
pub use cursor::{Cursor, Kind};
pub use request::{read_entities, read_request, read_request_as_cedar, read_uids};
pub use uid::read_uid;

/// Why a text is not what it should be: what, where and what to do.
// One word, because every step of reading may return it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JsonError(Box<Refusal>);

#[derive(Clone, Debug, PartialEq, Eq)]
struct Refusal {
    /// Where, like `context.amount`; empty for the text as a whole.
    path: String,
    text: String,
}

// === impl JsonError ===

impl JsonError {
    #[cold]
    fn new(text: impl Into<String>) -> Self {
        Self(Box::new(Refusal { path: String::new(), text: text.into() }))
    }

    /// Puts the error inside `key`.
    #[cold]
    fn within(mut self, key: &str) -> Self {
        let path = &self.0.path;
        let dot = if path.is_empty() || path.starts_with('[') { "" } else { "." };
        self.0.path = format!("{key}{dot}{path}");
        self
    }

    /// Puts the error inside an item of an array.
    #[cold]
    fn within_item(self, at: usize) -> Self {
        self.within(&format!("[{at}]"))
    }

    /// Where the error is, like `context.amount`; empty for the text as a whole.
    pub fn path(&self) -> &str {
        &self.0.path
    }
}

impl fmt::Display for JsonError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.path() {
            "" => f.write_str(&self.0.text),
            path => write!(f, "`{path}`: {}", self.0.text),
        }
    }
}

impl std::error::Error for JsonError {}

#[cfg(test)]
mod tests;
