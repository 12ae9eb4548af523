//! `test`: everything that shows that the house does what it says, on nothing but the repository and its registries.
//!
//! Sets up what it needs (crates are fetched first, so that a missing network is told apart from a failing build), goes
//! on after a failing part so that one run shows all of them, and ends with the counts.

use std::time::Instant;

use crate::step::Step;
use crate::{codegen, usage, wasm};

/// Cases of the differential part.
const CASES: u64 = 200_000;
const SEED: u64 = 1;

/// Counts of test results.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Counts {
    passed: u64,
    failed: u64,
    ignored: u64,
}

/// Runs all of it.
pub(crate) fn run(args: &[&str]) -> Result<(), String> {
    if !args.is_empty() {
        return Err(usage("test"));
    }
    let begun = Instant::now();
    Step::cargo(["fetch", "--locked"])
        .remedy("the crates of Cargo.lock are needed once: check the network or the registry")
        .run()?;
    // Tests embed the modules; this is the one task that may install what builds them.
    let modules = wasm::run_with_set_up();
    // One optimised build for tests and campaign: what compiles and decides is what takes the time, and overflow is
    // checked in it, too.
    Step::cargo(["build", "--locked", "--release", "--workspace", "--bins"])
        .remedy("Rust as in rust-version of Cargo.toml and a C linker are needed")
        .run()?;
    let mut counts = Counts::default();
    let tests = Step::cargo(["test", "--locked", "--release", "--workspace", "--no-fail-fast"])
        .run_reading(|line| counts.add(line));
    let mut compared = String::new();
    let differential = Step::built("differential")
        .args(["--cases".to_owned(), CASES.to_string(), "--seed".to_owned(), SEED.to_string()])
        .run_reading(|line| {
            if let Some(said) = line.strip_prefix("differential: ") {
                said.clone_into(&mut compared);
            }
        });
    println!("\nxtask: codegen --check");
    let fresh = codegen::run(&["--check"]);

    let Counts { passed, failed, ignored } = counts;
    println!("\nsummary of `cargo xtask test`, {} s:", begun.elapsed().as_secs());
    println!("  tests: {passed} passed, {failed} failed, {ignored} ignored");
    println!("  differential: {}", if compared.is_empty() { "did not run" } else { &compared });
    println!("  modules: {}", if modules.is_ok() { "built" } else { "NOT BUILT" });
    println!("  generated code: {}", if fresh.is_ok() { "fresh" } else { "stale" });
    // Last and by itself, so that no feature of the tests is left in the tool.
    let tool = Step::cargo(["build", "--locked", "--release", "--package", "pdp-cli"]).run();
    let failures: Vec<String> =
        [modules, tests, differential, fresh, tool].into_iter().filter_map(Result::err).collect();
    if passed == 0 && failures.is_empty() {
        return Err("`cargo test` passed without running a test".to_owned());
    }
    if failures.is_empty() { Ok(()) } else { Err(failures.join("\n")) }
}

// === impl Counts ===

impl Counts {
    /// Reads a line of what `cargo test` prints: `test result: ok. 3 passed; 0 failed; 0 ignored; …`.
    fn add(&mut self, line: &str) {
        let Some((_, results)) =
            line.strip_prefix("test result: ").and_then(|rest| rest.split_once(". "))
        else {
            return;
        };
        for result in results.split(';') {
            let mut words = result.split_whitespace();
            let (number, what) = (words.next().and_then(|n| n.parse::<u64>().ok()), words.next());
            let count = match what {
                Some("passed") => &mut self.passed,
                Some("failed") => &mut self.failed,
                Some("ignored") => &mut self.ignored,
                _ => continue,
            };
            *count = count.saturating_add(number.unwrap_or(0));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn results_are_added_up() {
        let mut counts = Counts::default();
        for line in [
            "running 3 tests",
            "test result: ok. 3 passed; 0 failed; 1 ignored; 0 measured; 0 filtered out; finished in 0.01s",
            "test result: FAILED. 40 passed; 2 failed; 0 ignored; 0 measured; 7 filtered out; finished in 1.20s",
        ] {
            counts.add(line);
        }
        assert_eq!(counts, Counts { passed: 43, failed: 2, ignored: 1 });
    }
}
