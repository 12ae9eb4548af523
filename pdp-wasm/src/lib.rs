//! The decision inside a proxy and inside any host.
//!
//! Three artefacts of one crate, each a feature: plain exports, a component, a filter for proxies. What has
//! an ABI is compiled for `wasm32` alone; all else is pure and tested on the host. Nothing here reads policies: a bundle
//! comes in as bytes.

pub mod desk;
pub mod shape;

#[cfg(any(test, all(feature = "exports", target_arch = "wasm32")))]
mod buffers;
#[cfg(any(test, all(feature = "component", target_arch = "wasm32")))]
mod nest;

#[cfg(all(feature = "exports", target_arch = "wasm32"))]
mod exports;

#[cfg(all(feature = "component", target_arch = "wasm32"))]
mod component;

// Tested with every other test, whatever is built.
#[cfg(any(feature = "filter", test))]
#[cfg_attr(
    not(target_arch = "wasm32"),
    expect(dead_code, reason = "what uses it has an ABI, and is not compiled for the host")
)]
mod filter;

#[cfg(any(test, feature = "probe"))]
pub mod probe;
