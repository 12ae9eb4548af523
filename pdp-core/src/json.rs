//! Requests from JSON, read once and strictly.
//!
//! Duplicate keys are refused at every level, as are numbers that are not 64-bit integers, `null`, nesting and length
//! beyond the limits, and anything after the end. With a bundle its schema leads: where it says entity, `{"type",
//! "id"}` will do, where it says `datetime`, `decimal`, `ipaddr` or `duration`, a string will do. Without one,
//! entities are `{"__entity": {"type", "id"}}` and extension values `{"__extn": {"fn", "arg"}}`, as in Cedar's JSON.
//!
//! What is read lives in an [`Arena`] of the caller; after warm-up and `reset` nothing is allocated from the system, but
//! for texts with strings that hold escapes: the JSON reader unescapes those in memory of its own.
//! This module converts; whether a request fits the schema is for `decide` to say.

mod request;
mod tree;
mod uid;
mod value;

use std::fmt;

pub use bumpalo::Bump as Arena;

pub use request::{read_entities, read_request, read_request_as_cedar};
pub use uid::read_uid;

/// Why a text is not what it should be: what, where and what to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JsonError {
    /// Where, like `context.amount`; empty for the text as a whole.
    path: String,
    text: String,
}

// === impl JsonError ===

impl JsonError {
    #[cold]
    fn new(text: impl Into<String>) -> Self {
        Self { path: String::new(), text: text.into() }
    }

    /// Puts the error inside `key`.
    #[cold]
    fn within(mut self, key: &str) -> Self {
        let dot = if self.path.is_empty() || self.path.starts_with('[') { "" } else { "." };
        self.path = format!("{key}{dot}{}", self.path);
        self
    }

    /// Where the error is, like `context.amount`; empty for the text as a whole.
    pub fn path(&self) -> &str {
        &self.path
    }
}

impl fmt::Display for JsonError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.path.as_str() {
            "" => f.write_str(&self.text),
            path => write!(f, "`{path}`: {}", self.text),
        }
    }
}

impl std::error::Error for JsonError {}
