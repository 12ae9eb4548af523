//! The binary as its operator meets it: one line when ready, an answer, a new bundle, the end, and every refusal.
#![expect(clippy::unwrap_used, clippy::panic, reason = "a test stops at the first surprise")]

mod scene;
mod serving;
mod traces;
