//! `conformance`, `differential` and `damage`: the engine compared with what Cedar says, and with itself in a module, in a
//! release build.
//!
//! The first two run a program of package `pdp-tests`, always by itself, so that its feature `faults` stays out of other
//! builds.

use std::path::Path;

use crate::step::{Step, release_folder};
use crate::{usage, wasm};

/// Public test data of a folder or archive.
pub(crate) fn conformance(args: &[&str]) -> Result<(), String> {
    let [path] = args else { return Err(usage("conformance")) };
    // The program runs in the workspace's root, wherever we were called.
    let path = Path::new(path).canonicalize().map_err(|e| {
        format!("cannot read {path} ({e}); give the folder of a clone of cedar-integration-tests, or one of its .tar.gz")
    })?;
    // The same cases through the tool itself, which answers a line a case.
    Step::cargo(["build", "--locked", "--release", "--package", "pdp-cli"]).run()?;
    program("conformance").args([path, release_folder().join("pdp")]).run()
}

/// Generated worlds; what the program does not know it refuses itself.
pub(crate) fn differential(args: &[&str]) -> Result<(), String> {
    program("differential").args(args.iter().copied()).run()
}

fn program(name: &str) -> Step {
    Step::cargo([
        "run",
        "--locked",
        "--quiet",
        "--release",
        "--package",
        "pdp-tests",
        "--bin",
        name,
        "--",
    ])
}

/// Cases of damage unless somebody says how many.
const DAMAGE_CASES: &str = "1000000";

/// Damaged calls, read on the host and in a module.
pub(crate) fn damage(args: &[&str]) -> Result<(), String> {
    let (mut cases, mut seed) = (DAMAGE_CASES, "1");
    for pair in args.chunks(2) {
        match pair {
            ["--cases", number] => cases = number,
            ["--seed", number] => seed = number,
            _ => return Err(usage("damage")),
        }
    }
    wasm::run(&["--all"])?;
    Step::cargo(["test", "--locked", "--release", "--package", "pdp-embed", "--test", "readers"])
        .args(["--", "--nocapture"])
        .env("PDP_DAMAGE_CASES", cases)
        .env("PDP_DAMAGE_SEED", seed)
        .run()
}
