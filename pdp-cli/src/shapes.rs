//! The shapes of `--json` output, one type each, fields in the order in which they are written.
//!
//! They are part of the tool's interface: a field is added, never renamed or given another meaning. An answer's is
//! the core's. What only one command prints stays in that command's file.

use pdp_core::{
    Bundle, Diagnostic, Explanation, LegExplanation, NearMiss, OwnedAnswer, PolicyNote, Report,
    Severity, json,
};
use serde::Serialize;

/// One answer, in the shape of the core.
#[derive(Debug, Serialize)]
pub(crate) struct AnswerShape<'a> {
    #[serde(flatten)]
    answer: json::AnswerShape<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    explanation: Option<Vec<LegExplanationShape<'a>>>,
}

/// Which bundle.
#[derive(Debug, Serialize)]
pub(crate) struct BundleShape {
    name: String,
    revision: u64,
    digest: String,
}

/// Findings, with their counts.
#[derive(Debug, Serialize)]
pub(crate) struct ReportShape<'a> {
    errors: usize,
    warnings: usize,
    diagnostics: Vec<DiagnosticShape<'a>>,
}

/// In place of an answer.
#[derive(Debug, Serialize)]
pub(crate) struct ErrorLine<'a> {
    /// The 1-based line of the input that is meant.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) line: Option<u64>,
    /// What is wrong with it.
    pub(crate) error: &'a str,
}

#[derive(Debug, Serialize)]
struct LegExplanationShape<'a> {
    leg: String,
    principal: &'a str,
    determining: Vec<NoteShape<'a>>,
    failing: Vec<NoteShape<'a>>,
    nearest: Vec<NearMissShape<'a>>,
}

#[derive(Debug, Serialize)]
struct NoteShape<'a> {
    policy: &'a str,
    effect: &'static str,
    file: Option<&'a str>,
    line: Option<u32>,
    text: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<&'a str>,
}

#[derive(Debug, Serialize)]
struct NearMissShape<'a> {
    #[serde(flatten)]
    note: NoteShape<'a>,
    clause: &'a str,
    clause_line: Option<u32>,
    expected: &'a str,
    actual: &'a str,
}

#[derive(Debug, Serialize)]
struct DiagnosticShape<'a> {
    code: &'static str,
    severity: &'static str,
    message: &'a str,
    file: Option<&'a str>,
    line: Option<u32>,
    column: Option<u32>,
    help: Option<&'a str>,
    excerpt: Option<&'a str>,
}

// === impl AnswerShape ===

impl<'a> AnswerShape<'a> {
    /// An answer alone.
    pub(crate) fn new(answer: &'a OwnedAnswer) -> Self {
        Self { answer: json::AnswerShape::new(answer), explanation: None }
    }

    /// An answer with why it came out so.
    pub(crate) fn explained(answer: &'a OwnedAnswer, explanation: &'a Explanation) -> Self {
        let legs = explanation.legs.iter().map(LegExplanationShape::new).collect();
        Self { explanation: Some(legs), ..Self::new(answer) }
    }
}

// === impl BundleShape ===

impl BundleShape {
    /// Of a loaded bundle.
    pub(crate) fn new(bundle: &Bundle) -> Self {
        Self {
            name: bundle.name().to_owned(),
            revision: bundle.revision(),
            digest: bundle.digest_hex().to_owned(),
        }
    }

    /// Of a bundle that is named and not there.
    #[cfg(test)]
    pub(crate) fn of_name(name: &pdp_core::BundleName) -> Self {
        Self { name: name.name.clone(), revision: name.revision, digest: name.digest.clone() }
    }

    /// The manifest's name.
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// The manifest's revision.
    pub(crate) fn revision(&self) -> u64 {
        self.revision
    }

    /// Which content.
    pub(crate) fn digest(&self) -> &str {
        &self.digest
    }
}

// === impl ReportShape ===

impl<'a> ReportShape<'a> {
    /// All findings of a report.
    pub(crate) fn new(report: &'a Report) -> Self {
        let errors = report.items.iter().filter(|item| item.severity == Severity::Error).count();
        Self {
            errors,
            warnings: report.items.len() - errors,
            diagnostics: report.items.iter().map(DiagnosticShape::new).collect(),
        }
    }
}

// === the parts ===

impl<'a> LegExplanationShape<'a> {
    fn new(leg: &'a LegExplanation) -> Self {
        Self {
            leg: leg.role.to_string(),
            principal: &leg.principal,
            determining: leg.determining.iter().map(NoteShape::new).collect(),
            failing: leg.failing.iter().map(NoteShape::new).collect(),
            nearest: leg.nearest.iter().map(NearMissShape::new).collect(),
        }
    }
}

impl<'a> NoteShape<'a> {
    fn new(note: &'a PolicyNote) -> Self {
        Self {
            policy: &note.id,
            effect: note.effect,
            file: note.file.as_deref(),
            line: note.line,
            text: note.text.as_deref(),
            error: note.error.as_deref(),
        }
    }
}

impl<'a> NearMissShape<'a> {
    fn new(miss: &'a NearMiss) -> Self {
        Self {
            note: NoteShape::new(&miss.policy),
            clause: &miss.clause,
            clause_line: miss.line,
            expected: &miss.expected,
            actual: &miss.actual,
        }
    }
}

impl<'a> DiagnosticShape<'a> {
    fn new(item: &'a Diagnostic) -> Self {
        let known = |n: u32| Some(n).filter(|n| *n > 0);
        Self {
            code: item.code,
            severity: match item.severity {
                Severity::Error => "error",
                Severity::Warning => "warning",
            },
            message: &item.message,
            file: item.file.as_deref(),
            line: known(item.line),
            column: known(item.line).and_then(|_| known(item.column)),
            help: item.help.as_deref(),
            excerpt: item.excerpt.as_deref(),
        }
    }
}

#[cfg(test)]
mod tests;
