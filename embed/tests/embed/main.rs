//! The modules in wasmtime, beside the engine without a module in between.
//!
//! One program, because compiling the modules is what takes the time: they are compiled once, ahead of time, and every
//! test takes what came out. A test that finds no artefact fails and says how to make it.
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "test code fails loudly"
)]

mod bundles;
mod compiled;
mod typed;

mod ends;
mod hostile;
mod javascript;
mod memory;
mod same_answers;
mod swap;
