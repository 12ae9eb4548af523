//! The server and the client over real sockets, with a core that has no bundle: what they do before any policy is asked.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test stops at the first surprise"
)]

mod access;
mod beside;
mod certificates;
mod client;
mod hostile;
mod lies;
mod lifetime;
mod limits;
mod secure;
mod serve;
mod support;
