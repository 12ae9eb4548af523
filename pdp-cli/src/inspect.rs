//! `pdp inspect`: what the compiler made of the policies, as text.
//!
//! The listing is the core's; this command puts the bundle's facts and the sizes of its parts before it. `size` has
//! what `--size` prints in its place.

mod size;

use std::path::PathBuf;

use clap::Args;
use pdp_core::PolicyIx;
use serde::Serialize;

use crate::exit::{self, Exit, Failure};
use crate::load::{self, Loaded};
use crate::render::{self, Fields, Out};
use crate::shapes::BundleShape;

/// Show how each policy will be found and run
///
/// Prints the bundle's facts, the size of each part, and the compiler's listing: the index entries by which a policy
/// is found and the ops that its conditions became.
///
/// With `--size` it says instead what each part costs: bytes, share of the file, records, bytes a record, and what
/// that comes to for each policy and each entity. A loaded bundle takes as much memory as its parts, the container
/// aside; a module (a proxy has one a worker, and two more) takes what the last line says.
#[derive(Debug, Args)]
#[command(verbatim_doc_comment, after_long_help = exit::help(
    "pdp inspect policies/agent-tools\npdp inspect policies/agent-tools --size\npdp inspect agent-tools.pdpb --json | jq .sections",
    &[
        (Exit::Ok, "shown"),
        (Exit::Data, "the folder has errors, or the file is no bundle"),
        (Exit::NoInput, "PATH does not exist or cannot be read"),
    ],
))]
pub(crate) struct InspectArgs {
    /// Bundle folder, or file written by `pdp build`
    #[arg(value_name = "PATH")]
    path: PathBuf,
    /// Show what each part of the bundle costs, and not the listing
    #[arg(long)]
    size: bool,
}

#[derive(Serialize)]
struct InspectShape<'a> {
    bundle: BundleShape,
    bundle_bytes: usize,
    schema: bool,
    entities: usize,
    cases: usize,
    sections: Vec<SectionShape>,
    policies: Vec<PolicyShape<'a>>,
    listing: &'a str,
}

#[derive(Serialize)]
struct SectionShape {
    name: &'static str,
    bytes: u64,
    records: u64,
}

#[derive(Serialize)]
struct PolicyShape<'a> {
    id: &'a str,
    file: Option<&'a str>,
    line: Option<u32>,
    text: Option<&'a str>,
    obligations: Vec<Obligation<'a>>,
}

#[derive(Serialize)]
struct Obligation<'a> {
    key: &'a str,
    value: &'a str,
}

/// Runs the command.
pub(crate) fn run(args: &InspectArgs, out: &mut Out) -> Result<Exit, Failure> {
    let loaded = load::load(&args.path)?;
    match (args.size, out.json()) {
        (true, true) => out.shape(&size::SizeShape::new(&loaded))?,
        (true, false) => size::SizeShape::new(&loaded).text(out)?,
        (false, true) => shape(&loaded, out)?,
        (false, false) => text(&loaded, out)?,
    }
    Ok(Exit::Ok)
}

fn shape(loaded: &Loaded, out: &mut Out) -> Result<(), Failure> {
    let bundle = &loaded.bundle;
    let policy = |ix: PolicyIx| {
        let source = bundle.policy_source(ix);
        PolicyShape {
            id: bundle.policy_id(ix),
            file: source.map(|source| source.file),
            line: source.map(|source| source.line),
            text: source.map(|source| source.text),
            obligations: bundle
                .obligations(ix)
                .map(|(key, value)| Obligation { key, value })
                .collect(),
        }
    };
    let section = |part: pdp_core::SectionSize| SectionShape {
        name: part.name,
        bytes: part.bytes,
        records: part.records,
    };
    out.shape(&InspectShape {
        bundle: BundleShape::new(bundle),
        bundle_bytes: loaded.bundle_bytes,
        schema: bundle.has_schema(),
        entities: bundle.entity_count(),
        cases: bundle.cases().len(),
        sections: bundle.sections().into_iter().map(section).collect(),
        policies: bundle.policies().map(policy).collect(),
        listing: &bundle.listing(),
    })
}

fn text(loaded: &Loaded, out: &mut Out) -> Result<(), Failure> {
    let bundle = &loaded.bundle;
    let mut fields = Fields::default();
    fields.push("digest", bundle.digest_hex());
    fields.push("policies", bundle.policy_count().to_string());
    fields.push("entities", bundle.entity_count().to_string());
    fields.push("cases", bundle.cases().len().to_string());
    fields.push("schema", if bundle.has_schema() { "yes" } else { "no" });
    fields.push("bytes", loaded.bundle_bytes.to_string());
    let sections = bundle.sections();
    let width = sections.iter().map(|part| part.name.len()).max().unwrap_or(0);
    fields.push_all(
        "sections",
        sections.iter().map(|part| format!("{:width$}  {:>12}", part.name, part.bytes)),
    );

    let paint = out.paint();
    out.line(format_args!("{} revision {}", render::shown(bundle.name()), bundle.revision()))?;
    out.text(&fields.render(paint))?;
    out.line("")?;
    // Escaped line by line: the listing quotes ids and strings of the policies.
    for line in bundle.listing().lines() {
        out.line(render::shown(line))?;
    }
    Ok(())
}
