//! Shared parts of the tests: the public conformance format, generated worlds, the reference, the engine under test.
#![expect(
    clippy::panic,
    clippy::expect_used,
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "test code fails loudly"
)]

pub mod conformance;
pub mod engine;
