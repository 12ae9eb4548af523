//! Every maximum, unit last. What is reached is refused or denied with reason `limit`, never passed over.

use zerocopy::{FromBytes, Immutable, IntoBytes};

/// Limits on reading a bundle.
#[derive(Clone, Copy, Debug)]
pub struct LoadLimits {
    /// Largest bundle accepted, in bytes.
    pub bundle_bytes_max: u64,
}

/// Limits on reading a request from JSON.
#[derive(Clone, Copy, Debug)]
pub struct RequestLimits {
    /// Bytes of one request text.
    pub request_bytes_max: usize,
    /// Nesting of JSON values; above 127 it counts as 127.
    pub json_depth_max: u32,
}

/// Limits on the changes to entities since the bundle was built. What would exceed one is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OverlayLimits {
    /// Entities that differ from the bundle, those that moved with an ancestor included.
    pub entities_max: u64,
    /// Values given since, those replaced included.
    pub values_max: u64,
    /// Bytes of names and strings that the bundle does not hold.
    pub text_bytes_max: u64,
    /// Ancestors of the entities that differ.
    pub ancestors_max: u64,
}

/// Limits on deciding. The bundle records them; its manifest may change them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, Immutable)]
#[repr(C)]
pub struct BundleLimits {
    /// Steps of one request over all its legs: one an instruction, one a candidate, and the size of what sets, `like`
    /// and comparisons walk over.
    pub eval_steps_max: u64,
    /// Values of one request: context, inline entities and what policies build, counted together.
    pub request_values_max: u32,
    /// Bytes of the strings of one request.
    pub request_text_bytes_max: u32,
    /// Nesting of values of one request.
    pub value_depth_max: u32,
    /// Entities that may come with one request.
    pub inline_entities_max: u32,
    /// Ancestors of one inline entity.
    pub inline_ancestors_max: u32,
    /// Inner actors of a delegation chain.
    pub chain_actors_max: u32,
}

/// Limits on sources.
#[cfg(feature = "compile")]
#[derive(Clone, Copy, Debug)]
pub(crate) struct SourceLimits {
    /// Bytes of one source file.
    pub(crate) file_bytes_max: u64,
    /// Nesting of a policy's expressions and of a schema's types, counted on its tokens before it is parsed.
    pub(crate) nesting_max: u32,
    /// Nesting of sets, records and blocks alone: how deep values that policies build may be compared.
    pub(crate) literal_nesting_max: u32,
    /// Stack of the thread that parses, in bytes; enough for `nesting_max` in any build.
    pub(crate) parse_stack_bytes: usize,
}

/// The most that a `json_depth_max` counts: what is nested is read by recursion, on whatever stack the caller has.
pub(crate) const JSON_DEPTH_MAX: u32 = 127;

/// The most that a bundle's `chain_actors_max` may allow: every actor is a leg, and legs are numbered with 16 bits.
pub(crate) const CHAIN_ACTORS_MAX: u32 = 1_000;

impl LoadLimits {
    /// What a host of its own bundles wants: up to 4 GiB.
    pub const STANDARD: Self = Self { bundle_bytes_max: 1 << 32 };
}

impl OverlayLimits {
    /// A million entities: a gigabyte or so when all of it is used.
    pub const STANDARD: Self = Self {
        entities_max: 1_000_000,
        values_max: 16_000_000,
        text_bytes_max: 256 << 20,
        ancestors_max: 64_000_000,
    };
}

impl RequestLimits {
    /// 1 MiB of JSON, 100 levels deep.
    pub const STANDARD: Self = Self { request_bytes_max: 1 << 20, json_depth_max: 100 };
}

impl BundleLimits {
    /// What a manifest that says nothing gets.
    pub const STANDARD: Self = Self {
        eval_steps_max: 1_000_000,
        request_values_max: 65_536,
        request_text_bytes_max: 1 << 20,
        value_depth_max: 128,
        inline_entities_max: 1_000,
        inline_ancestors_max: 4_096,
        chain_actors_max: 16,
    };
}

#[cfg(feature = "compile")]
impl SourceLimits {
    /// What every command uses.
    pub(crate) const STANDARD: Self = Self {
        file_bytes_max: 1 << 30,
        nesting_max: 512,
        literal_nesting_max: 64,
        parse_stack_bytes: 512 << 20,
    };
}
