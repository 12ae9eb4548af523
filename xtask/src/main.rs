//! `cargo xtask <task>`: the chores of this workspace.
//!
//! Each task is a module with a `run` function; this file lists them and dispatches. A task prints every command before
//! it runs it, so that whoever wants only a part of it can copy that part. Nothing here is part of a shipped build.

mod bench;
mod codegen;
mod instructions;
mod lint;
mod proof;
mod step;
mod test;
mod wasm;

use std::fmt::Write;
use std::process::ExitCode;

/// One task: its name, its arguments for the list, what it does, and the function that does it.
struct Task {
    name: &'static str,
    arguments: &'static str,
    what: &'static str,
    run: fn(&[&str]) -> Result<(), String>,
}

const TASKS: [Task; 9] = [
    Task {
        name: "test",
        arguments: "",
        what: "all tests: build, unit and end-to-end tests, 200,000 generated cases, fresh generated code",
        run: test::run,
    },
    Task {
        name: "conformance",
        arguments: "DIR",
        what: "the public Cedar test data in a folder or .tar.gz (the README says where to get it)",
        run: proof::conformance,
    },
    Task {
        name: "differential",
        arguments: "[--cases N] [--seed S] [--requests N] [--modes all|standard] [--world I]",
        what: "generated worlds, compared with Cedar; seed and world of a finding show it again",
        run: proof::differential,
    },
    Task {
        name: "wasm",
        arguments: "[--all] [--toolchain rustup|debian | --conformance DIR | --differential N]",
        what: "the filter, the module and the component, into target/wasm/; --all: those for tests, too; or cases through them",
        run: wasm::run,
    },
    Task {
        name: "damage",
        arguments: "[--cases N] [--seed S]",
        what: "damaged calls, messages and lists, read on the host and in a module; both have to say the same",
        run: proof::damage,
    },
    Task {
        name: "bench",
        arguments: "[--quick] [--record] [--million] [--only FAMILY,…]",
        what: "decision time beside other engines, into target/bench/; --record writes benches/record/",
        run: bench::run,
    },
    Task {
        name: "instructions",
        arguments: "[--bless]",
        what: "instructions of a fixed set of decisions, beside the committed counts; --bless commits new ones",
        run: instructions::run,
    },
    Task {
        name: "lint",
        arguments: "",
        what: "format, clippy, and the dependency policy of deny.toml",
        run: lint::run,
    },
    Task {
        name: "codegen",
        arguments: "[--check]",
        what: "generate Rust from .proto files, or check that what is committed is fresh",
        run: codegen::run,
    },
];

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    let (name, rest) = match args.split_first() {
        None | Some((&("help" | "--help" | "-h"), _)) => {
            print!("{}", list());
            return ExitCode::SUCCESS;
        }
        Some((name, rest)) => (*name, rest),
    };
    let Some(task) = TASKS.iter().find(|task| task.name == name) else {
        eprintln!("xtask: there is no task `{name}`\n\n{}", list());
        return ExitCode::from(64);
    };
    match (task.run)(rest) {
        Ok(()) => ExitCode::SUCCESS,
        Err(text) => {
            eprintln!("xtask {name}: {text}");
            ExitCode::FAILURE
        }
    }
}

fn list() -> String {
    let mut text = String::from("usage: cargo xtask <task>\n\n");
    for task in &TASKS {
        let usage = format!("{} {}", task.name, task.arguments);
        // Writing to a String cannot fail.
        let _ = writeln!(text, "  {}\n      {}", usage.trim_end(), task.what);
    }
    text
}

/// The error of a task that was called wrongly.
fn usage(name: &str) -> String {
    let arguments = TASKS.iter().find(|task| task.name == name).map_or("", |task| task.arguments);
    format!("usage: cargo xtask {name} {arguments}").trim_end().to_owned()
}
