//! The decision inside a proxy and inside any host.
//!
//! Three artefacts of one crate, each a feature: plain exports, a component, a filter for proxies. What has
//! an ABI is compiled for `wasm32` alone; all else is pure and tested on the host. Nothing here reads policies: a bundle
//! comes in as bytes.

// Tested with every other test, whatever is built.
#[cfg(any(feature = "filter", test))]
#[cfg_attr(
    not(target_arch = "wasm32"),
    expect(dead_code, reason = "what uses it has an ABI, and is not compiled for the host")
)]
mod filter;
