//! How a Rust program embeds the modules: with wasmtime, pooled, ended when a call takes too long, swapped under load.
//!
//! [`Runtime`] is the engine with its limits. An artefact is [`Exports`] (plain exports: the fast one) or [`Typed`]
//! (the component). A [`Host`] has one artefact and the bundle that is in force; each thread has a [`Worker`] of it.
//! `examples/host.rs` shows all of it. Whatever goes wrong in a call is a [`Fault`], and a fault is a denial.
//!
//! It is an example that is tested and can be used, not a product: a program that is written in Rust has no need of
//! modules, `pdp-core` is at hand. It refuses to lend a module anything: there is no clock, file or socket to import.

mod component;
mod exports;
mod host;
mod records;
mod runtime;

pub use component::{Typed, TypedGuest, decision};
pub use exports::{Exports, ExportsGuest, Said};
pub use host::{Artefact, Fault, Guest, Host, Worker};
pub use runtime::{Limits, Runtime};

use std::path::{Path, PathBuf};

/// Where `cargo xtask wasm` puts an artefact.
pub fn artefact(file: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/wasm").join(file)
}

/// Reads an artefact that `cargo xtask wasm` made.
///
/// # Errors
///
/// When it is not there; the error says how to make it.
pub fn read_artefact(file: &str) -> Result<Vec<u8>, String> {
    std::fs::read(artefact(file)).map_err(|error| {
        format!("`target/wasm/{file}` cannot be read ({error}); run `cargo xtask wasm`")
    })
}
