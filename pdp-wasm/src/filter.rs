//! A filter for proxies that host modules (proxy-wasm): the decision in the proxy, without a hop.
//!
//! It judges a call as the sidecar would, by the same bundle, and denies where it cannot judge. It has no policies of its
//! own, verifies no tokens and opens no connections; what it fetches, the proxy fetches for it.
//!
//! In reading order: `settings` (what the operator says), `poll` (where the bundle comes from), `judge` (from a call to what
//! becomes of it), `lists` (what of an answer may be seen), `names` and `log` (what is kept of a decision). These are pure.
//! With an ABI: `host` (the proxy's functions), `root` (one for each virtual machine), `stream` (one for each call).

mod judge;
mod lists;
mod log;
mod names;
mod poll;
mod settings;

#[cfg(target_arch = "wasm32")]
mod host;
#[cfg(target_arch = "wasm32")]
mod root;
#[cfg(target_arch = "wasm32")]
mod stream;
