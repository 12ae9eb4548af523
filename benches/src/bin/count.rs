//! `count DIR`: a fixed small set of decisions for counting instructions: bundles and questions, written into a folder.
//!
//! Compiling a bundle under valgrind would take minutes, so it is done here, natively; the benchmark `instructions`
//! loads what it finds. What is counted is chosen so that each part of a decision weighs in some row: few candidates and
//! many, deep ancestors, legs, entities that come along, and JSON.

use std::path::Path;
use std::process::ExitCode;

use pdp_benches::instructions::ROWS;
use pdp_benches::ours::build;

fn main() -> ExitCode {
    match std::env::args().nth(1) {
        None => {
            eprintln!("usage: count DIR");
            ExitCode::from(64)
        }
        Some(folder) => match write(Path::new(&folder)) {
            Ok(()) => ExitCode::SUCCESS,
            Err(error) => {
                eprintln!("count: {error}");
                ExitCode::FAILURE
            }
        },
    }
}

fn write(folder: &Path) -> Result<(), String> {
    std::fs::create_dir_all(folder)
        .map_err(|error| format!("cannot make `{}`: {error}", folder.display()))?;
    for row in &ROWS {
        let mut workload = (row.make)(row.policies);
        workload.questions.truncate(row.questions);
        let built = build(&workload).map_err(|error| format!("{}: {error}", row.name))?;
        let file = |end: &str| folder.join(format!("{}.{end}", row.name));
        std::fs::write(file("pdpb"), built.bytes)
            .and_then(|()| std::fs::write(file("jsonl"), workload.questions.join("\n")))
            .map_err(|error| format!("cannot write `{}`: {error}", file("pdpb").display()))?;
    }
    Ok(())
}
