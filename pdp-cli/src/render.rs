//! What people see: aligned text, and colours only where a terminal shows them.
//!
//! Standard output is written through [`Out`] alone, so that a closed pipe is noticed in one place. Texts that
//! come from bundles or callers are printed with their control characters escaped: an id must not be able to steer
//! a terminal. The shapes of `--json` output are in `shapes`.

use std::ffi::OsStr;
use std::fmt::Display;
use std::io::{self, BufWriter, IsTerminal, Write};
use std::time::Duration;

use pdp_core::{Effect, OwnedAnswer, Report, Severity};
use serde::Serialize;

use crate::exit::Failure;

/// Standard output of a run.
pub(crate) struct Out {
    to: Box<dyn Write>,
    paint: Paint,
    json: bool,
}

/// Colours, or none.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Paint {
    colours: bool,
}

/// Lines of the form `label  value`, with the values in one column.
#[derive(Debug, Default)]
pub(crate) struct Fields {
    rows: Vec<(&'static str, String)>,
}

// === impl Out ===

impl Out {
    /// Standard output of the process.
    pub(crate) fn stdout(json: bool) -> Self {
        let stdout = io::stdout();
        let paint = Paint::for_stream(stdout.is_terminal());
        Self { to: Box::new(BufWriter::new(stdout)), paint, json }
    }

    /// Somewhere else, for tests.
    #[cfg(test)]
    pub(crate) fn to(to: Box<dyn Write>, json: bool) -> Self {
        Self { to, paint: Paint::PLAIN, json }
    }

    /// Whether the user asked for JSON.
    pub(crate) fn json(&self) -> bool {
        self.json
    }

    /// How to colour what is written here.
    pub(crate) fn paint(&self) -> Paint {
        self.paint
    }

    /// Writes text as it stands.
    pub(crate) fn text(&mut self, text: &str) -> Result<(), Failure> {
        self.to.write_all(text.as_bytes()).map_err(|e| Failure::stdout(&e))
    }

    /// Writes one line.
    pub(crate) fn line(&mut self, text: impl Display) -> Result<(), Failure> {
        writeln!(self.to, "{text}").map_err(|e| Failure::stdout(&e))
    }

    /// Writes a shape as one line of JSON.
    pub(crate) fn shape(&mut self, shape: &impl Serialize) -> Result<(), Failure> {
        serde_json::to_writer(&mut self.to, shape).map_err(|e| Failure::stdout(&e.into()))?;
        self.text("\n")
    }

    /// Where it goes, for work that writes by itself.
    pub(crate) fn stream(&mut self) -> &mut dyn Write {
        &mut *self.to
    }

    /// Hands everything written so far to the reader.
    pub(crate) fn flush(&mut self) -> Result<(), Failure> {
        self.to.flush().map_err(|e| Failure::stdout(&e))
    }
}

// === impl Paint ===

impl Paint {
    /// No colours.
    #[cfg(test)]
    pub(crate) const PLAIN: Self = Self { colours: false };

    /// Colours when the stream is a terminal that has them and nobody asked for none.
    pub(crate) fn for_stream(is_terminal: bool) -> Self {
        let variable = |name| std::env::var_os(name);
        Self::choose(is_terminal, variable("TERM").as_deref(), variable("NO_COLOR").as_deref())
    }

    fn choose(is_terminal: bool, term: Option<&OsStr>, no_color: Option<&OsStr>) -> Self {
        let dumb = term.is_some_and(|term| term == "dumb");
        // By the convention an empty NO_COLOR counts as not set.
        let refused = no_color.is_some_and(|value| !value.is_empty());
        Self { colours: is_terminal && !dumb && !refused }
    }

    /// Good news.
    pub(crate) fn good(self, text: &str) -> String {
        self.wrap("1;32", text)
    }

    /// Bad news.
    pub(crate) fn bad(self, text: &str) -> String {
        self.wrap("1;31", text)
    }

    /// What may be skipped when reading.
    pub(crate) fn dim(self, text: &str) -> String {
        self.wrap("2", text)
    }

    /// An effect in its colour.
    pub(crate) fn effect(self, effect: Effect) -> String {
        match effect {
            Effect::Allow => self.good(effect.as_str()),
            Effect::Deny => self.bad(effect.as_str()),
        }
    }

    fn wrap(self, code: &str, text: &str) -> String {
        if self.colours { format!("\x1b[{code}m{text}\x1b[0m") } else { text.to_owned() }
    }
}

// === impl Fields ===

impl Fields {
    /// Adds a line.
    pub(crate) fn push(&mut self, label: &'static str, value: impl Into<String>) {
        self.rows.push((label, value.into()));
    }

    /// Adds a line for each value, with the label on the first; nothing for no values.
    pub(crate) fn push_all(
        &mut self,
        label: &'static str,
        values: impl IntoIterator<Item = String>,
    ) {
        for (n, value) in values.into_iter().enumerate() {
            self.push(if n == 0 { label } else { "" }, value);
        }
    }

    /// The lines, indented.
    pub(crate) fn render(&self, paint: Paint) -> String {
        let width = self.rows.iter().map(|(label, _)| label.len()).max().unwrap_or(0);
        let line = |(label, value): &(&str, String)| {
            format!("  {}  {value}\n", paint.dim(&format!("{label:width$}")))
        };
        self.rows.iter().map(line).collect()
    }
}

// === texts ===

/// `1 policy`, `2 policies`.
pub(crate) fn count(n: usize, one: &str, many: &str) -> String {
    format!("{n} {}", if n == 1 { one } else { many })
}

/// A duration in milliseconds.
pub(crate) fn ms(duration: Duration) -> f64 {
    // Microseconds are as fine as such a figure can be trusted.
    (duration.as_secs_f64() * 1e6).round() / 1e3
}

/// Text from outside on one line, with control characters escaped.
pub(crate) fn shown(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        if c.is_control() { out.extend(c.escape_debug()) } else { out.push(c) }
    }
    out
}

/// Names, separated by commas.
pub(crate) fn names<'a>(names: impl IntoIterator<Item = &'a str>) -> String {
    names.into_iter().map(shown).collect::<Vec<_>>().join(", ")
}

/// All findings, then how many there are.
pub(crate) fn report(report: &Report) -> String {
    format!("{report}{}", report_count(report))
}

/// `2 errors, 1 warning`.
pub(crate) fn report_count(report: &Report) -> String {
    let errors = report.items.iter().filter(|item| item.severity == Severity::Error).count();
    let warnings = report.items.len() - errors;
    format!("{}, {}", count(errors, "error", "errors"), count(warnings, "warning", "warnings"))
}

/// An answer, effect first.
pub(crate) fn answer(answer: &OwnedAnswer, paint: Paint) -> String {
    let mut fields = Fields::default();
    if !answer.message.is_empty() {
        fields.push("message", shown(&answer.message));
    }
    if !answer.policies.is_empty() {
        fields.push("policies", names(answer.policies.iter().map(String::as_str)));
    }
    fields.push_all(
        "errors",
        answer.errors.iter().map(|(id, kind)| format!("{} ({})", shown(id), kind.as_str())),
    );
    // One leg says nothing that the answer does not say.
    if answer.legs.len() > 1 {
        if let Some(leg) = answer.failed_leg {
            fields.push("failed leg", leg.to_string());
        }
        fields.push_all("legs", legs(answer, paint));
    }
    fields.push_all(
        "obligations",
        answer.obligations.iter().map(|(policy, key, value)| {
            format!("{}: {} = {}", shown(policy), shown(key), shown(value))
        }),
    );
    match &answer.bundle {
        Some(name) => fields.push("bundle", name.to_string()),
        None => fields.push("bundle", "none"),
    }
    format!("{}  {}\n{}", paint.effect(answer.effect), answer.reason.as_str(), fields.render(paint))
}

fn legs(answer: &OwnedAnswer, paint: Paint) -> Vec<String> {
    let rows: Vec<(String, &str)> =
        answer.legs.iter().map(|leg| (leg.role.to_string(), leg.reason.as_str())).collect();
    let role_width = rows.iter().map(|(role, _)| role.len()).max().unwrap_or(0);
    let reason_width = rows.iter().map(|(_, reason)| reason.len()).max().unwrap_or(0);
    let line = |(leg, (role, reason)): (&pdp_core::OwnedLeg, &(String, &str))| {
        let effect = paint.effect(leg.effect);
        // Padding is counted on the bare word; colour codes have no width.
        let gap = " ".repeat(5_usize.saturating_sub(leg.effect.as_str().len()));
        let policies = names(leg.policies.iter().map(String::as_str));
        format!("{role:role_width$}  {effect}{gap}  {reason:reason_width$}  {policies}")
            .trim_end()
            .to_owned()
    };
    answer.legs.iter().zip(&rows).map(line).collect()
}

#[cfg(test)]
pub(crate) mod tests;
