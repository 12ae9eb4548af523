//! `lint`: format, clippy and the dependency policy.
//!
//! All parts run, also after one has failed. Clippy sees the workspace as the tests build it, and the engine as it is
//! shipped, without the tests' feature and as its decide half alone. What is compiled for modules only is seen where
//! rustup has their target; it is said where not. The policy is `deny.toml`, read by `cargo deny`;
//! advisories are looked up where their database can be fetched, and it is said where it cannot.

use std::time::Duration;

use crate::step::Step;
use crate::{usage, wasm};

/// The release that `deny.toml` is written for, and how to get it.
const DENY_REMEDY: &str = "install it with `cargo install cargo-deny@0.20.2 --locked`";
/// How long fetching the database of advisories may take.
const FETCH_MAX: Duration = Duration::from_secs(60);
/// Packages that are shipped; the hand-made faults may not be in them.
const SHIPPED: [&str; 4] = ["pdp-cli", "pdp-grpc", "pdp-sidecar", "pdp-wasm"];

/// A part of the lint.
type Part = fn() -> Result<(), String>;

/// Runs all of it.
pub(crate) fn run(args: &[&str]) -> Result<(), String> {
    if !args.is_empty() {
        return Err(usage("lint"));
    }
    let parts: [(&str, Part); 4] = [
        ("format", format),
        ("clippy", clippy),
        ("no faults in what is shipped", shipped),
        ("dependency policy", dependencies),
    ];
    let results = parts.map(|(name, part)| (name, part()));
    println!("\nsummary of `cargo xtask lint`:");
    for (name, result) in &results {
        println!("  {name}: {}", if result.is_ok() { "passed" } else { "FAILED" });
    }
    let failures: Vec<String> =
        results.into_iter().filter_map(|(_, result)| result.err()).collect();
    if failures.is_empty() { Ok(()) } else { Err(failures.join("\n")) }
}

fn format() -> Result<(), String> {
    installed(["fmt", "--version"], "install it with `rustup component add rustfmt`")?;
    Step::cargo(["fmt", "--all", "--check"]).remedy("run `cargo fmt --all`").run()
}

fn clippy() -> Result<(), String> {
    installed(["clippy", "--version"], "install it with `rustup component add clippy`")?;
    let clippy = |selection: &[&str]| {
        let warnings = ["--", "-D", "warnings"];
        Step::cargo(["clippy", "--locked"]).args(selection.iter().copied()).args(warnings).run()
    };
    clippy(&["--workspace", "--all-targets"])?;
    clippy(&["--package", "pdp-core", "--all-targets"])?;
    clippy(&["--package", "pdp-core", "--no-default-features"])?;
    for selection in wasm::selections() {
        clippy(&selection)?;
    }
    Ok(())
}

/// Asks cargo which features of pdp-core the shipped packages get when they are built by themselves.
fn shipped() -> Result<(), String> {
    for package in SHIPPED {
        let tree = ["tree", "--locked", "--edges", "normal,build,features", "--invert", "pdp-core"];
        let tree = Step::cargo(tree).args(["--package", package]).output()?;
        if !tree.contains("pdp-core v") {
            return Err(format!("`cargo tree` does not show pdp-core in {package}"));
        }
        if tree.contains("pdp-core feature \"faults\"") {
            return Err(format!(
                "{package} is built with pdp-core's feature `faults`; only pdp-tests may ask for it"
            ));
        }
    }
    Ok(())
}

fn dependencies() -> Result<(), String> {
    installed(["deny", "--version"], DENY_REMEDY)?;
    Step::cargo(["deny", "--locked", "check", "bans", "licenses", "sources"])
        .remedy("deny.toml says what may be depended on, and why")
        .run()?;
    // The database of advisories may be out of reach; all that is above is decided from the lock file.
    match Step::cargo(["deny", "fetch", "db"]).run_within(FETCH_MAX) {
        Ok(()) => Step::cargo(["deny", "--locked", "check", "--disable-fetch", "advisories"])
            .remedy("update what is named, or add it to `ignore` in deny.toml with the reason")
            .run(),
        Err(error) => {
            println!(
                "advisories: not looked up, because their database cannot be fetched: {error}"
            );
            Ok(())
        }
    }
}

fn installed(version: [&str; 2], remedy: &'static str) -> Result<(), String> {
    Step::cargo(version).remedy(remedy).output().map(|_| ())
}
