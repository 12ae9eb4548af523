//! The messages of `pdp.v1` as the wire has them, with the client of the protocol.
//!
//! For callers that want the bare protocol; [`crate::Client`] is the one that speaks in the terms of the core. Inside
//! this crate only `authorize` and `answer` look into messages.

#[expect(
    clippy::allow_attributes_without_reason,
    reason = "generated code brings its own exceptions"
)]
#[path = "generated/pdp.v1.rs"]
#[rustfmt::skip]
mod pdp_v1;

pub use pdp_v1::*;

/// What the protocol's definition compiles to, for reflection; `cargo xtask codegen` writes it.
pub const FILE_DESCRIPTOR_SET: &[u8] = include_bytes!("generated/pdp.v1.bin");
