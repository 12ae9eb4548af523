//! Where each policy came from, and the parts of its condition: what explanations show and deciding never touches.
//!
//! Kept as JSON in a section of its own, which can be stripped; read at most once, when somebody asks.

use serde::{Deserialize, Serialize};

use crate::bundle::PolicySource;
use crate::ids::PolicyIx;

/// Sources of all policies.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(crate) struct Origins {
    pub(crate) files: Vec<File>,
    /// One entry a policy, in bundle order.
    pub(crate) policies: Vec<Origin>,
}

/// A source file.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct File {
    pub(crate) name: String,
    pub(crate) text: String,
}

/// Where one policy stands and what its condition is made of.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Origin {
    pub(crate) file: usize,
    pub(crate) start: usize,
    pub(crate) end: usize,
    /// Counted from 1.
    pub(crate) line: u32,
    /// How the index finds the policy, in words.
    pub(crate) found: String,
    /// What the condition reads, like `principal.owner`.
    pub(crate) reads: Vec<String>,
    pub(crate) clauses: Vec<Clause>,
}

/// A conjunct of a condition.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Clause {
    /// Its instructions, counted from the start of the policy's; the value they leave is the clause's.
    pub(crate) start: u32,
    pub(crate) end: u32,
    /// For a comparison: where its left operand's instructions end and its right operand's begin.
    pub(crate) middle: Option<u32>,
    /// The comparison's operator, as written.
    pub(crate) operator: Option<String>,
    pub(crate) text: String,
    /// Counted from 1; 0 if unknown.
    pub(crate) line: u32,
    /// It stands in an `unless`: its value must be false.
    pub(crate) negated: bool,
}

/// Reads the source section. `None` if it is not of this form: explanations then go without.
pub(crate) fn read(json: &[u8]) -> Option<Origins> {
    serde_json::from_slice(json).ok()
}

// === impl Origins ===

impl Origins {
    pub(crate) fn policy(&self, ix: PolicyIx) -> Option<PolicySource<'_>> {
        let origin = self.policies.get(ix.index())?;
        let file = self.files.get(origin.file)?;
        Some(PolicySource {
            file: &file.name,
            line: origin.line,
            text: file.text.get(origin.start..origin.end)?,
        })
    }
}
