//! `pdp check`: is this bundle sound, and if not, where and what to do about it.
//!
//! Reads, validates and compiles, and shows every finding of the pass that failed. It does not run the cases; that is
//! `pdp test`. Findings are what was asked for, so they go to standard output.

use std::path::PathBuf;

use clap::Args;
use pdp_core::{BundleName, Report};
use serde::Serialize;

use crate::exit::{self, Exit, Failure};
use crate::load::{self, Loaded};
use crate::render::{self, Out};
use crate::shapes::{BundleShape, ReportShape};

/// Read, validate and compile a bundle; show everything that is wrong with it
///
/// Policies are validated strictly against the schema, entities are checked for type errors, duplicates, cycles and
/// dangling references, and every finding names its code, file, line and remedy. Cases are read but not run.
///
/// Warnings also name what could wear the engine out: more than 1000 policies that every request looks at (W206), or
/// that one request may meet (W209); conditions of more than 10000 steps, such as giant literal sets and patterns
/// (W208); requests that may take more steps than the bundle's `eval_steps_max` and are then denied (W207). Counted
/// for the bundle's own entities; a built file is looked through as well as a folder.
#[derive(Debug, Args)]
#[command(verbatim_doc_comment, after_long_help = exit::help(
    "pdp check policies/agent-tools\npdp check policies/agent-tools --json | jq .diagnostics",
    &[
        (Exit::Ok, "no errors; there may be warnings"),
        (Exit::No, "there are errors"),
        (Exit::NoInput, "PATH does not exist or cannot be read"),
    ],
))]
pub(crate) struct CheckArgs {
    /// Bundle folder, or file written by `pdp build`
    #[arg(value_name = "PATH")]
    path: PathBuf,
}

#[derive(Serialize)]
struct CheckShape<'a> {
    ok: bool,
    #[serde(flatten)]
    report: ReportShape<'a>,
    bundle: Option<BundleShape>,
    policies: Option<usize>,
    entities: Option<usize>,
    cases: Option<usize>,
}

/// Runs the command.
pub(crate) fn run(args: &CheckArgs, out: &mut Out) -> Result<Exit, Failure> {
    match load::load(&args.path) {
        Ok(loaded) => passed(&loaded, out),
        Err(Failure::Refused(report)) => refused(&report, out),
        Err(failure) => Err(failure),
    }
}

fn passed(loaded: &Loaded, out: &mut Out) -> Result<Exit, Failure> {
    let bundle = &loaded.bundle;
    // What the folder's reader noted, then what the compiled bundle shows; a built file has only the second.
    let mut warnings = Report { items: loaded.warnings.items.clone() };
    warnings.items.extend(bundle.costly().items);
    if out.json() {
        out.shape(&CheckShape {
            ok: true,
            report: ReportShape::new(&warnings),
            bundle: Some(BundleShape::new(bundle)),
            policies: Some(bundle.policy_count()),
            entities: Some(bundle.entity_count()),
            cases: Some(bundle.cases().len()),
        })?;
        return Ok(Exit::Ok);
    }
    out.text(&warnings.to_string())?;
    out.line(format_args!(
        "{}  {}: {}, {}, {}; {}",
        out.paint().good("ok"),
        BundleName::of(bundle),
        render::count(bundle.policy_count(), "policy", "policies"),
        render::count(bundle.entity_count(), "entity", "entities"),
        render::count(bundle.cases().len(), "case", "cases"),
        render::report_count(&warnings),
    ))?;
    Ok(Exit::Ok)
}

fn refused(report: &Report, out: &mut Out) -> Result<Exit, Failure> {
    if out.json() {
        let report = ReportShape::new(report);
        out.shape(&CheckShape {
            ok: false,
            report,
            bundle: None,
            policies: None,
            entities: None,
            cases: None,
        })?;
        return Ok(Exit::No);
    }
    out.text(&report.to_string())?;
    out.line(format_args!("{}  {}", out.paint().bad("refused"), render::report_count(report)))?;
    Ok(Exit::No)
}
