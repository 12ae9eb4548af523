//! Where each policy came from, and the parts of its condition: what explanations show and deciding never touches.
//!
//! Kept as JSON in a section of its own, which can be stripped; read at most once, when somebody asks. What can be told
//! from the text is not written down a second time: lines are counted and clauses are cut out when they are shown.

use serde::{Deserialize, Serialize};

use crate::bundle::PolicySource;
use crate::ids::PolicyIx;
use crate::lines::Lines;
use crate::op;

/// Sources of all policies.
#[derive(Debug, Default, Deserialize)]
#[serde(from = "Written<String>")]
pub(crate) struct Origins {
    written: Written<String>,
    /// The lines of each file.
    lines: Vec<Lines>,
}

/// The section as it is written; `T` holds a text.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(crate) struct Written<T> {
    pub(crate) files: Vec<File<T>>,
    /// What conditions read, like `principal.owner`; many policies read the same.
    pub(crate) reads: Vec<Vec<String>>,
    /// One entry a policy, in bundle order.
    pub(crate) policies: Vec<Origin>,
}

/// A source file.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct File<T> {
    pub(crate) name: T,
    pub(crate) text: T,
}

/// Where one policy stands and what its condition is made of. Written as a list, for there are many.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(from = "OriginRow", into = "OriginRow")]
pub(crate) struct Origin {
    /// Position among the files.
    pub(crate) file: u32,
    pub(crate) start: u32,
    pub(crate) len: u32,
    /// Position among the lists of what conditions read.
    pub(crate) reads: u32,
    /// How many conjuncts were moved from the condition into the scope.
    pub(crate) lifted: u32,
    pub(crate) marks: Vec<Mark>,
}

type OriginRow = (u32, u32, u32, u32, u32, Vec<Mark>);

/// A conjunct of a condition, as it is written.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
#[serde(from = "MarkRow", into = "MarkRow")]
pub(crate) struct Mark {
    /// Its instructions, counted from the start of the policy's; the value they leave is the clause's.
    pub(crate) start: u32,
    pub(crate) len: u32,
    /// For a comparison: how many instructions its left operand has.
    pub(crate) left: Option<u32>,
    /// The comparison's opcode, or 0.
    pub(crate) operator: u8,
    /// It stands in an `unless`: its value must be false.
    pub(crate) negated: bool,
    /// Its text, counted from the start of the policy's.
    pub(crate) text: Option<(u32, u32)>,
}

type MarkRow = (u32, u32, Option<u32>, u8, u8, Option<(u32, u32)>);

/// A conjunct of a condition.
#[derive(Debug)]
pub(crate) struct Clause {
    /// Its instructions, counted from the start of the policy's; the value they leave is the clause's.
    pub(crate) start: u32,
    pub(crate) end: u32,
    /// For a comparison: where its left operand's instructions end and its right operand's begin.
    pub(crate) middle: Option<u32>,
    /// The comparison's operator, as written.
    pub(crate) operator: Option<&'static str>,
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
    /// Text and place of a policy.
    pub(crate) fn policy(&self, ix: PolicyIx) -> Option<PolicySource<'_>> {
        let origin = self.written.policies.get(ix.index())?;
        let file = self.written.files.get(origin.file as usize)?;
        let (start, len) = (origin.start as usize, origin.len as usize);
        Some(PolicySource {
            file: &file.name,
            line: self.line(origin.file, start),
            text: file.text.get(start..start.checked_add(len)?)?,
        })
    }

    /// File, its text, and where in it a policy stands.
    #[cfg(feature = "compile")]
    pub(crate) fn place(&self, ix: PolicyIx) -> Option<(&str, &str, std::ops::Range<usize>)> {
        let origin = self.written.policies.get(ix.index())?;
        let file = self.written.files.get(origin.file as usize)?;
        let (start, len) = (origin.start as usize, origin.len as usize);
        Some((&file.name, &file.text, start..start.checked_add(len)?))
    }

    /// The conjuncts of a policy's condition.
    pub(crate) fn clauses(&self, ix: PolicyIx) -> Option<Vec<Clause>> {
        let origin = self.written.policies.get(ix.index())?;
        Some(origin.marks.iter().map(|mark| self.clause(origin, mark)).collect())
    }

    /// What a policy's condition reads.
    pub(crate) fn reads(&self, ix: PolicyIx) -> &[String] {
        let origin = self.written.policies.get(ix.index());
        origin
            .and_then(|origin| self.written.reads.get(origin.reads as usize))
            .map_or(&[], |reads| reads)
    }

    /// How many conjuncts were moved from a policy's condition into its scope.
    pub(crate) fn lifted(&self, ix: PolicyIx) -> u32 {
        self.written.policies.get(ix.index()).map_or(0, |origin| origin.lifted)
    }

    fn clause(&self, origin: &Origin, mark: &Mark) -> Clause {
        let place = mark.text.and_then(|(start, len)| {
            let start = (origin.start as usize).checked_add(start as usize)?;
            let file = self.written.files.get(origin.file as usize)?;
            Some((start, file.text.get(start..start.checked_add(len as usize)?)?))
        });
        Clause {
            start: mark.start,
            end: mark.start.saturating_add(mark.len),
            middle: mark.left.map(|left| mark.start.saturating_add(left)),
            operator: operator(mark.operator),
            text: place.map_or(String::new(), |(_, text)| {
                text.split_whitespace().collect::<Vec<_>>().join(" ")
            }),
            line: place.map_or(0, |(start, _)| self.line(origin.file, start)),
            negated: mark.negated,
        }
    }

    fn line(&self, file: u32, at: usize) -> u32 {
        let line = self.lines.get(file as usize).map_or(0, |lines| lines.of(at));
        u32::try_from(line).unwrap_or(0)
    }
}

fn operator(code: u8) -> Option<&'static str> {
    Some(match code {
        op::EQ => "==",
        op::LESS => "<",
        op::LESS_EQ => "<=",
        op::IN => "in",
        op::CONTAINS => "contains",
        op::CONTAINS_ALL => "containsAll",
        op::CONTAINS_ANY => "containsAny",
        op::HAS_TAG => "hasTag",
        _ => return None,
    })
}

impl From<Written<String>> for Origins {
    fn from(written: Written<String>) -> Self {
        let lines = written.files.iter().map(|file| Lines::new(&file.text)).collect();
        Self { written, lines }
    }
}

// === impl Origin ===

impl From<OriginRow> for Origin {
    fn from((file, start, len, reads, lifted, marks): OriginRow) -> Self {
        Self { file, start, len, reads, lifted, marks }
    }
}

impl From<Origin> for OriginRow {
    fn from(origin: Origin) -> Self {
        let Origin { file, start, len, reads, lifted, marks } = origin;
        (file, start, len, reads, lifted, marks)
    }
}

// === impl Mark ===

impl From<MarkRow> for Mark {
    fn from((start, len, left, operator, negated, text): MarkRow) -> Self {
        Self { start, len, left, operator, negated: negated != 0, text }
    }
}

impl From<Mark> for MarkRow {
    fn from(mark: Mark) -> Self {
        let Mark { start, len, left, operator, negated, text } = mark;
        (start, len, left, operator, negated.into(), text)
    }
}
