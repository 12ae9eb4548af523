//! Numbered diagnostics: everything that can be wrong with a source, each with a code that never changes meaning.
//!
//! A [`Report`] holds all findings of one pass, in source order; a pass with errors is the last one, so that a
//! mistake is not followed by the confusion it causes. Numbers are not re-used.

use std::fmt;

macro_rules! codes {
    ($($(#[$doc:meta])* $name:ident = $code:literal, $title:literal;)*) => {
        $($(#[$doc])* pub(crate) const $name: &str = $code;)*

        /// Every code with its title.
        pub const CODES: &[(&str, &str)] = &[$(($code, $title),)*];
    };
}

codes! {
    IO = "E100", "a file cannot be read";
    MANIFEST = "E101", "bundle.toml is malformed";
    TOO_LARGE = "E102", "a file is too large";
    TOO_DEEP = "E103", "a text is nested too deeply";
    EMPTY = "E104", "there is nothing to compile";
    POLICY = "E110", "a policy cannot be parsed";
    POLICY_DUPLICATE = "E111", "two policies have the same id";
    LINKS = "E112", "links.json is malformed";
    LINK = "E113", "a template cannot be linked";
    SCHEMA = "E120", "the schema cannot be read";
    VALIDATION = "E130", "a policy does not fit the schema";
    ENTITIES = "E140", "entities cannot be read or do not fit the schema";
    ENTITY_DUPLICATE = "E141", "an entity is defined twice";
    ENTITY_CYCLE = "E142", "an entity is its own ancestor";
    ENTITY_DANGLING = "E143", "an entity refers to one that does not exist";
    POLICY_DANGLING = "E144", "a policy refers to an entity that does not exist";
    CASES = "E150", "cases.toml is malformed";
    MANIFEST_NAME = "E151", "the manifest names what the schema does not have";
    ROUTES = "E152", "routes.toml is malformed";
    CAPACITY = "E160", "the source is too large for a bundle";
    POLICY_UNNAMED = "W201", "a policy has no @id";
    VALIDATOR = "W202", "the validator warns";
    TEMPLATE_UNUSED = "W203", "a template is not linked";
    SCHEMA_WARNING = "W204", "the schema reader warns";
    FORBID_UNCONSTRAINED = "W205", "a forbid is evaluated for every request";
    UNCONSTRAINED = "W206", "very many policies are evaluated for every request";
    REQUEST_STEPS = "W207", "a request may take more steps than the bundle allows";
    POLICY_STEPS = "W208", "a policy's condition takes very many steps";
    CANDIDATES = "W209", "a request may meet very many policies";
}

/// Everything a pass had to say. `Display` renders each finding with code, file, line, caret and help.
#[derive(Clone, Debug, Default)]
pub struct Report {
    /// In source order.
    pub items: Vec<Diagnostic>,
}

/// One finding.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Diagnostic {
    /// Stable, like `E110` or `W201`; see [`CODES`].
    pub code: &'static str,
    /// Whether it refuses the source.
    pub severity: Severity,
    /// What is wrong, lower case, without a full stop.
    pub message: String,
    /// File, relative to the bundle's folder.
    pub file: Option<String>,
    /// Counted from 1; 0 when unknown.
    pub line: u32,
    /// Counted from 1, in characters; 0 when unknown.
    pub column: u32,
    /// What to do.
    pub help: Option<String>,
    /// The source line with a caret under the place.
    pub excerpt: Option<String>,
}

/// How bad a finding is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Severity {
    /// The source is refused.
    Error,
    /// The source is taken.
    Warning,
}

// === impl Report ===

impl Report {
    /// Whether any finding refuses the source.
    pub fn has_errors(&self) -> bool {
        self.items.iter().any(|item| item.severity == Severity::Error)
    }

    pub(crate) fn push(&mut self, item: Diagnostic) {
        self.items.push(item);
    }

    /// The report as an error if it holds one.
    pub(crate) fn or_errors(self) -> Result<Self, Self> {
        if self.has_errors() { Err(self) } else { Ok(self) }
    }
}

impl From<Diagnostic> for Report {
    fn from(item: Diagnostic) -> Self {
        Self { items: vec![item] }
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for item in &self.items {
            writeln!(f, "{item}")?;
        }
        Ok(())
    }
}

impl std::error::Error for Report {}

// === impl Diagnostic ===

impl Diagnostic {
    pub(crate) fn new(code: &'static str, message: impl Into<String>) -> Self {
        Self {
            code,
            severity: if code.starts_with('W') { Severity::Warning } else { Severity::Error },
            message: message.into(),
            file: None,
            line: 0,
            column: 0,
            help: None,
            excerpt: None,
        }
    }

    pub(crate) fn in_file(mut self, file: &str) -> Self {
        self.file = Some(file.to_owned());
        self
    }

    pub(crate) fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }

    /// Points at a byte range of the file's text.
    pub(crate) fn at(self, text: &str, start: usize, end: usize) -> Self {
        let before = text.get(..start).unwrap_or(text);
        self.at_line(text, before.matches('\n').count() + 1, start, end)
    }

    /// As [`Diagnostic::at`], for who knows the line that `start` stands in.
    pub(crate) fn at_line(mut self, text: &str, number: usize, start: usize, end: usize) -> Self {
        let before = text.get(..start).unwrap_or(text);
        let line_start = before.rfind('\n').map_or(0, |at| at + 1);
        let line = text.get(line_start..).and_then(|rest| rest.lines().next()).unwrap_or("");
        let column = before.get(line_start..).map_or(0, |part| part.chars().count());
        let marked =
            text.get(start..end).unwrap_or("").lines().next().unwrap_or("").chars().count().max(1);
        self.line = u32::try_from(number).unwrap_or(0);
        self.column = u32::try_from(column + 1).unwrap_or(0);
        // Tabs are shown as one column, so that the caret stands right.
        let shown: String =
            line.chars().map(|c| if c == '\t' { ' ' } else { c }).take(200).collect();
        if column < 200 {
            self.excerpt = Some(format!(
                "{shown}\n{}{}",
                " ".repeat(column),
                "^".repeat(marked.min(200 - column))
            ));
        }
        self
    }
}

/// Several lines: what, where, the source line with a caret, what to do.
impl fmt::Display for Diagnostic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let severity = match self.severity {
            Severity::Error => "error",
            Severity::Warning => "warning",
        };
        writeln!(f, "{severity}[{}]: {}", self.code, self.message)?;
        if let Some(file) = &self.file {
            match self.line {
                0 => writeln!(f, "  --> {file}")?,
                line => writeln!(f, "  --> {file}:{line}:{}", self.column)?,
            }
        }
        for line in self.excerpt.iter().flat_map(|excerpt| excerpt.lines()) {
            writeln!(f, "   | {line}")?;
        }
        if let Some(help) = &self.help {
            writeln!(f, "   = help: {help}")?;
        }
        Ok(())
    }
}
