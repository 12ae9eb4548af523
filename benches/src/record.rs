//! The readable record of a run: goals first, then each family, then what building took, and what was not measured.
//!
//! Markdown, made from [`Results`] alone. Sentences about how it was measured stand in `benches/README.md`, not here.

use std::fmt::Write;

use crate::families::FAMILIES;
use crate::goals::{Goal, judge};
use crate::measure::in_words;
use crate::results::{Results, Timing};

/// The record as Markdown.
pub fn markdown(results: &Results) -> String {
    let mut text = String::new();
    let kind = if results.quick { "the quick form" } else { "the full form" };
    let [p50, p99, p999] = results.empty;
    // Writing to a String cannot fail.
    let _ = writeln!(
        text,
        "# Benchmark of {}\n\n{}\nThis is {kind}; `benches/README.md` says how it is measured.\n\
         A batch of nothing, its cost taken off everywhere: p50 {p50:.0} ns, p99 {p99:.0} ns, p99.9 {p999:.0} ns a call.\n\n\
         ![Overview](overview.svg)\n",
        results.date, results.machine
    );
    let _ = write!(text, "## Goals\n\n{}", table_of(&judge(results)));
    for family in results.families() {
        section(results, family, &mut text);
    }
    building(results, &mut text);
    if !results.failures.is_empty() {
        text.push_str("\n## What failed\n\n");
        for failure in &results.failures {
            let _ = writeln!(text, "- {failure}");
        }
    }
    if !results.notes.is_empty() {
        text.push_str("\n## What is left out\n\n");
        for note in &results.notes {
            let _ = writeln!(text, "- {note}");
        }
    }
    text
}

/// What a family is about.
pub fn what(family: &str) -> (&'static str, &'static str) {
    let found = FAMILIES.iter().find(|known| known.name == family);
    found.map_or(("a public policy set", "size"), |known| (known.what, known.axis))
}

/// Goals as a table: what, what was set, what came out, and whether that is enough.
pub(crate) fn table_of(goals: &[Goal]) -> String {
    let mut text = "| what | goal | measured | |\n|---|---|---|---|\n".to_owned();
    for goal in goals {
        let met = match goal.met {
            Some(true) => "met",
            Some(false) => "**missed**",
            None => "–",
        };
        let _ = writeln!(text, "| {} | {} | {} | {met} |", goal.what, goal.goal, goal.measured);
    }
    text
}

fn section(results: &Results, family: &str, text: &mut String) {
    let (what, axis) = what(family);
    let _ = writeln!(text, "\n## {family}\n\n{what}.\n");
    let sizes = results.sizes(family);
    if sizes.len() > 1 {
        let _ = writeln!(text, "![{family}]({family}.svg)\n");
    }
    let heads: Vec<String> = sizes.iter().map(usize::to_string).collect();
    let _ = writeln!(text, "| {axis} | {} |", heads.join(" | "));
    let _ = writeln!(text, "|---|{}", "---|".repeat(sizes.len()));
    let row = |text: &mut String, name: &str, cell: &dyn Fn(usize) -> Option<String>| {
        let cells: Vec<String> =
            sizes.iter().map(|size| cell(*size).unwrap_or_else(|| "–".to_owned())).collect();
        let _ = writeln!(text, "| {name} | {} |", cells.join(" | "));
    };
    let scope = |size| results.facts(family, size).map(|facts| format!("{:.1}", facts.in_scope));
    row(text, "policies in scope", &scope);
    let mix = |size| {
        let mix = results.facts(family, size)?.mix;
        Some(format!("{} / {} / {}", mix.allowed, mix.forbidden, mix.not_permitted))
    };
    row(text, "allowed / forbidden / not permitted", &mix);
    let errors = |size| results.facts(family, size).map(|facts| facts.mix.with_errors.to_string());
    row(text, "requests with errors", &errors);
    let checked = |size| {
        let mix = results.facts(family, size)?.mix;
        Some(format!("{} / {}", mix.checked_whole, mix.checked_sliced))
    };
    row(text, "answers compared: all policies / in scope", &checked);
    for engine in results.engines(family) {
        let of =
            |take: &dyn Fn(&Timing) -> String, size| results.timing(family, size, engine).map(take);
        let p50 = |size| of(&|timing| in_words(timing.p50), size);
        row(text, &format!("**{engine}** p50"), &p50);
        let tail = |size| {
            of(&|timing| format!("{} / {}", in_words(timing.p99), in_words(timing.p999)), size)
        };
        row(text, "p99 / p99.9", &tail);
        let allocations = |size| of(&|timing| format!("{:.1}", timing.allocations), size);
        row(text, "allocations", &allocations);
    }
}

fn building(results: &Results, text: &mut String) {
    text.push_str(
        "\n## Building\n\n`PolicySet::from_str` parses the policies; ours parses, reads entities, validates and compiles.\n\n\
         | family | size | bundle bytes | by size | read and validate | compile | `PolicySet::from_str` | load to first decision |\n\
         |---|---|---|---|---|---|---|---|\n",
    );
    for facts in &results.workloads {
        let _ = writeln!(
            text,
            "| {} | {} | {} | {:.0} | {:.1} ms | {:.1} ms | {:.1} ms | {:.2} ms |",
            facts.family,
            facts.size,
            facts.bundle_bytes,
            facts.bundle_bytes as f64 / facts.size.max(1) as f64,
            facts.read_ms,
            facts.compile_ms,
            facts.reference_parse_ms,
            facts.load_ms
        );
    }
    if !results.memory.is_empty() {
        text.push_str(
            "\n| memory | size | bundle | loaded | compiling, peak | `PolicySet::from_str`, peak |\n|---|---|---|---|---|---|\n",
        );
    }
    let megabytes = |bytes: i64| format!("{:.1} MB", bytes as f64 / 1e6);
    for row in &results.memory {
        let _ = writeln!(
            text,
            "| {} | {} | {} | {} | {} | {} |",
            row.family,
            row.size,
            megabytes(row.bundle as i64),
            megabytes(row.loaded),
            megabytes(row.compile_peak),
            megabytes(row.reference_peak)
        );
    }
    if !results.threads.is_empty() {
        text.push_str("\n| threads | one, a second | two, a second | ratio |\n|---|---|---|---|\n");
    }
    for row in &results.threads {
        let _ = writeln!(
            text,
            "| {} | {:.2} million | {:.2} million | {:.2} |",
            row.what,
            row.one / 1e6,
            row.two / 1e6,
            row.two / row.one
        );
    }
    if !results.changes.is_empty() {
        text.push_str(
            "\n## Changes of entities\n\n| what | entities | p50 | p99 |\n|---|---|---|---|\n",
        );
    }
    for row in &results.changes {
        let (p50, p99) = (in_words(row.p50), in_words(row.p99));
        let _ = writeln!(text, "| {} | {} | {p50} | {p99} |", row.what, row.entities);
    }
}
