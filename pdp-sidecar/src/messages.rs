//! What the process says on standard error: one line an event, as text for eyes or as JSON for collectors.
//!
//! Decisions are not said here; they have their own log. Control characters that come from bundles or callers are
//! written escaped.

use std::io::{self, IsTerminal};

use tracing::Level;
use tracing::level_filters::LevelFilter;

/// How much is said, and in which form.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Messages {
    /// Events of this level and graver ones.
    pub level: Level,
    /// JSON in place of text.
    pub json: bool,
}

// === impl Messages ===

impl Messages {
    /// Says from here on what happens, if nobody in this process does so yet.
    pub(crate) fn begin(self) {
        let is_plain = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
        let builder = tracing_subscriber::fmt()
            .with_max_level(LevelFilter::from_level(self.level))
            .with_target(false)
            .with_ansi(io::stderr().is_terminal() && !is_plain)
            .with_writer(io::stderr);
        // An embedding that has its own subscriber keeps it.
        let _ = match self.json {
            true => {
                tracing::subscriber::set_global_default(builder.json().flatten_event(true).finish())
            }
            false => tracing::subscriber::set_global_default(builder.finish()),
        };
    }
}
