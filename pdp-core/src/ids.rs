//! `u32` newtypes for what is kept in tables, with one checked way in.
//!
//! A table that would outgrow `u32` is an error when the bundle is compiled, never a cast.
//! Inside flat records the raw `u32` is stored; [`NONE`] stands for "no such thing" there.

/// The `u32` that stands for "nothing" in a flat record.
pub(crate) const NONE: u32 = u32::MAX;

/// A policy of a bundle, in source order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PolicyIx(pub(crate) u32);

impl PolicyIx {
    /// The position among the bundle's policies.
    pub fn index(self) -> usize {
        self.0 as usize
    }
}

/// A table of a bundle would hold more entries than a `u32` can name.
#[cfg(feature = "compile")]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct TooMany;

/// The next id of a table that holds `len` entries.
#[cfg(feature = "compile")]
pub(crate) fn next_id(len: usize) -> Result<u32, TooMany> {
    u32::try_from(len).ok().filter(|id| *id < NONE).ok_or(TooMany)
}
