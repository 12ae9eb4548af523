//! `conformance DIR`: runs the public Cedar test data found there and prints what differs.

use std::path::Path;
use std::process::ExitCode;

fn main() -> ExitCode {
    let Some(path) = std::env::args_os().nth(1) else {
        eprintln!(
            "usage: conformance DIR (a folder or .tar.gz in the layout of cedar-integration-tests)"
        );
        return ExitCode::from(64);
    };
    match pdp_tests::conformance::run(Path::new(&path)) {
        Ok(summary) => {
            for (name, cases, requests) in &summary.suites {
                println!(
                    "conformance: {name}: {cases} cases, {requests} requests, each in 4 modes"
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
