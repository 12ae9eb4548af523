//! `conformance DIR [PDP]`: runs the public Cedar test data found there, also through `pdp answer` if the tool's path is
//! given, and prints what differs.

use pdp_tests::engine::MODES;
use std::path::Path;
use std::process::ExitCode;

fn main() -> ExitCode {
    let mut args = std::env::args_os().skip(1);
    let Some(path) = args.next() else {
        eprintln!(
            "usage: conformance DIR [PDP] (a folder or .tar.gz in the layout of cedar-integration-tests)"
        );
        return ExitCode::from(64);
    };
    let pdp = args.next();
    match pdp_tests::conformance::run(Path::new(&path), pdp.as_deref().map(Path::new)) {
        Ok(summary) => {
            let through = if pdp.is_some() { " and twice through `pdp answer`" } else { "" };
            for (name, cases, requests) in &summary.suites {
                println!(
                    "conformance: {name}: {cases} cases, {requests} requests, each in {} modes{through}",
                    MODES.len()
                );
            }
            for failure in summary.failures.iter().take(50) {
                println!("conformance: FAILED {failure}");
            }
            println!("conformance: {} failures", summary.failures.len());
            ExitCode::from(u8::from(!summary.failures.is_empty()))
        }
        Err(error) => {
            eprintln!("conformance: {error}");
            ExitCode::from(65)
        }
    }
}
