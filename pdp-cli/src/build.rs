//! `pdp build`: from a folder to one bundle file.
//!
//! The bytes are loaded once before they are written, so a file that `build` leaves behind is one that loads; on any
//! error the file that was there stays.

use std::io::{self, Write};
use std::path::PathBuf;

use clap::Args;
use pdp_core::BundleName;
use serde::Serialize;

use crate::exit::{self, Exit, Failure};
use crate::load::{self, Kind};
use crate::render::{self, Out};
use crate::shapes::{BundleShape, ReportShape};
use crate::write;

/// Compile a bundle folder into one file
///
/// The file holds everything that deciding needs, and the policies' text for `explain` and `inspect`. It is written
/// whole or not at all: on an error nothing is left behind and an older file stays.
#[derive(Debug, Args)]
#[command(verbatim_doc_comment, after_long_help = exit::help(
    "pdp build policies/agent-tools -o agent-tools.pdpb",
    &[
        (Exit::Ok, "the file is written"),
        (Exit::Data, "the folder has errors; nothing is written"),
        (Exit::NoInput, "PATH does not exist or cannot be read"),
        (Exit::CannotCreate, "FILE cannot be created"),
        (Exit::Io, "writing broke off; an older FILE is unchanged"),
    ],
))]
pub(crate) struct BuildArgs {
    /// Bundle folder
    #[arg(value_name = "PATH")]
    path: PathBuf,
    /// Where to write the bundle
    #[arg(short, long, value_name = "FILE")]
    output: PathBuf,
}

#[derive(Serialize)]
struct BuildShape<'a> {
    output: String,
    bundle_bytes: usize,
    compile_ms: f64,
    bundle: BundleShape,
    #[serde(flatten)]
    report: ReportShape<'a>,
}

/// Runs the command.
pub(crate) fn run(args: &BuildArgs, out: &mut Out) -> Result<Exit, Failure> {
    let path = args.path.display();
    if load::kind(&args.path)? == Kind::File {
        return Err(Failure::new(
            Exit::Data,
            format!("`{path}` is a file; `pdp build` compiles a bundle folder"),
        ));
    }
    let compiled = load::compile_folder(&args.path)?;
    let (bundle, _) = load::verify(&compiled.bytes).map_err(|error| {
        Failure::new(
            Exit::Internal,
            format!("`{path}` was compiled, but what came out does not load: {error}"),
        )
    })?;
    write::atomically(&args.output, &compiled.bytes)?;

    if out.json() {
        out.shape(&BuildShape {
            output: args.output.display().to_string(),
            bundle_bytes: compiled.bytes.len(),
            compile_ms: render::ms(compiled.elapsed),
            bundle: BundleShape::new(&bundle),
            report: ReportShape::new(&compiled.warnings),
        })?;
        return Ok(Exit::Ok);
    }
    // Warnings are beside the point of the output; if standard error is gone, the file is written all the same.
    let _ = write!(io::stderr(), "{}", compiled.warnings);
    out.line(format_args!(
        "{}: {}, {}, {} bytes, compiled in {:.1} ms",
        args.output.display(),
        BundleName::of(&bundle),
        render::count(bundle.policy_count(), "policy", "policies"),
        compiled.bytes.len(),
        render::ms(compiled.elapsed),
    ))?;
    Ok(Exit::Ok)
}
