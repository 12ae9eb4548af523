//! The one place where this crate panics: a case that its own construction rules out.
//!
//! Worlds are built by us, so a broken assumption is a bug of the test and must stop it loudly, never pass as a finding.

/// Stops the test: `what` says which assumption of the test itself does not hold.
#[cold]
#[inline(never)]
#[track_caller]
#[expect(
    clippy::panic,
    reason = "a test whose own assumption is broken must not go on; the message names the assumption"
)]
pub(crate) fn impossible(what: &str) -> ! {
    panic!("the test itself is wrong: {what}")
}
