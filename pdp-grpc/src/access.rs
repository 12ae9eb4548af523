//! Who is on the other side, and what its word counts for.
//!
//! It knows nothing of requests and decides nothing; `desk` asks it before the core is asked.

/// Who asks.
#[derive(Clone, Debug)]
pub(crate) struct Caller {
    /// Whether what it states about delegation counts.
    pub(crate) trust_delegation: bool,
    /// Whether it may be told why, beyond what an answer says.
    pub(crate) explain: bool,
}
