//! `pdp`: the tool for people who write policies. This file reads the command line and hands it to a command.
//!
//! One file a command; what they share: `load` gets the bundle that PATH names, `render` and `shapes` write what came
//! of it, `exit` holds every exit code. Nothing here decides anything: the core does.

// What every command uses.
mod exit;
mod render;
mod shapes;

// From PATH to a bundle, and to files.
mod load;
mod progress;
mod write;

// Making a bundle.
mod build;
mod check;
mod init;
mod inspect;

// Asking it.
mod answer;
mod decide;
mod explain;
mod lines;
mod question;
mod remote;

// Proving it.
mod allocations;
mod bench;
mod histogram;
mod junit;
mod measure;
mod test;

// Running it.
mod serve;

use std::io::{self, Write};
use std::process::ExitCode;

use clap::{Parser, Subcommand};
use serde::Serialize;

use crate::exit::{Exit, Failure};
use crate::render::Out;
use crate::shapes::ReportShape;

#[global_allocator]
static ALLOCATOR: allocations::Counting = allocations::Counting;

/// Check, test, explain, measure, build and serve Cedar policy bundles
///
/// A bundle is a folder of Cedar policies with a schema, entities and cases, or one file built from it. Where a
/// command takes PATH, either will do: a folder is compiled in memory first.
///
/// A first bundle in a minute:
///   pdp init policies/mine
///   pdp test policies/mine
///   pdp serve policies/mine
#[derive(Debug, Parser)]
#[command(name = "pdp", version, verbatim_doc_comment, after_long_help = exit::all_codes())]
struct Cli {
    /// Print JSON instead of text
    #[arg(long, global = true)]
    json: bool,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Init(init::InitArgs),
    Check(check::CheckArgs),
    Test(test::TestArgs),
    Decide(Box<decide::DecideArgs>),
    Inspect(inspect::InspectArgs),
    Bench(bench::BenchArgs),
    Build(build::BuildArgs),
    Serve(Box<serve::ServeArgs>),
    Answer(answer::AnswerArgs),
}

/// What `--json` prints when there is no result.
#[derive(Serialize)]
struct FailureShape<'a> {
    error: &'a str,
    exit_code: u8,
    #[serde(flatten)]
    report: Option<ReportShape<'a>>,
}

fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => return usage(&error).into(),
    };
    let mut out = Out::stdout(cli.json);
    let result = run(&cli.command, &mut out).and_then(|exit| out.flush().map(|()| exit));
    match result {
        Ok(exit) => exit.into(),
        Err(failure) => tell(&failure, &mut out).into(),
    }
}

fn run(command: &Command, out: &mut Out) -> Result<Exit, Failure> {
    match command {
        Command::Init(args) => init::run(args, out),
        Command::Check(args) => check::run(args, out),
        Command::Test(args) => test::run(args, out),
        Command::Decide(args) => decide::run(args, out),
        Command::Inspect(args) => inspect::run(args, out),
        Command::Bench(args) => bench::run(args, out),
        Command::Build(args) => build::run(args, out),
        Command::Serve(args) => serve::run(args, out),
        Command::Answer(args) => answer::run(args, out),
    }
}

/// Help and version were asked for and are no failure; everything else that clap says is about the command line.
fn usage(error: &clap::Error) -> Exit {
    let printed = error.print();
    if error.use_stderr() {
        return Exit::Usage;
    }
    match printed {
        Ok(()) => Exit::Ok,
        Err(error) => Failure::stdout(&error).exit(),
    }
}

/// Says on standard error why there is no result, and with `--json` on standard output too.
fn tell(failure: &Failure, out: &mut Out) -> Exit {
    let Some(text) = failure.text() else {
        return failure.exit();
    };
    // If nobody listens there, the exit code still speaks.
    let _ = writeln!(io::stderr(), "{text}");
    if out.json() {
        let shape = match failure {
            Failure::Refused(report) => FailureShape {
                error: "the bundle has errors",
                exit_code: failure.exit().code(),
                report: Some(ReportShape::new(report)),
            },
            _ => FailureShape {
                error: text.strip_prefix("error: ").unwrap_or(&text),
                exit_code: failure.exit().code(),
                report: None,
            },
        };
        let _ = out.shape(&shape).and_then(|()| out.flush());
    }
    failure.exit()
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn failures_as_json() {
        let captured = render::tests::Captured::default();
        let exit =
            tell(&Failure::new(Exit::NoInput, "`x` does not exist"), &mut captured.out(true));
        assert_eq!(exit, Exit::NoInput);
        tell(&Failure::Refused(pdp_core::Report::default()), &mut captured.out(true));
        assert_eq!(
            captured.lines(),
            [
                r#"{"error":"`x` does not exist","exit_code":66}"#,
                r#"{"error":"the bundle has errors","exit_code":65,"errors":0,"warnings":0,"diagnostics":[]}"#,
            ]
        );
    }
}
