//! `wasm`: builds the modules of package `pdp-wasm` and the component, looks into them, and holds their size to a budget.
//!
//! They land in `target/wasm/`, where tests and hosts find them. What builds them is found in `wasm/toolchain.rs`; this
//! task never installs anything, and says what to install. What a module must not contain is checked here, on what was
//! built: no import beyond its door, and no parser of policies.

mod artefact;
mod toolchain;

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use artefact::{ARTEFACTS, Artefact};
use toolchain::Toolchain;

use crate::step::{Step, workspace};
use crate::usage;

/// Where artefacts are put.
const OUT: &str = "target/wasm";
const TARGET: &str = "wasm32-unknown-unknown";
/// A crate of the front end, which no module may have in it, and one that every module has.
const FRONT: &str = "cedar-policy-core";
const CORE: &str = "pdp-core v";
/// How long fetching a target or packages may take.
const INSTALL_MAX: Duration = Duration::from_secs(600);

/// Builds what is shipped, with `--all` what is for tests as well; with a proof asked for, runs it then.
pub(crate) fn run(args: &[&str]) -> Result<(), String> {
    let (all, args) = match args {
        ["--all", rest @ ..] => (true, rest),
        args => (false, args),
    };
    let (toolchain, proof) = match *args {
        [] => (Toolchain::find()?, None),
        ["--toolchain", name] => (Toolchain::named(name).ok_or_else(|| usage("wasm"))??, None),
        ["--conformance", folder] => (Toolchain::find()?, Some(("conformance", folder))),
        ["--differential", cases] => (Toolchain::find()?, Some(("differential", cases))),
        _ => return Err(usage("wasm")),
    };
    // The program runs in the workspace's root, wherever we were called.
    let proof = match proof {
        Some(("conformance", folder)) => {
            let folder = Path::new(folder).canonicalize();
            let folder = folder.map_err(|error| {
                format!("cannot read that folder ({error}); give one of public Cedar test data")
            })?;
            Some(("conformance", folder.display().to_string()))
        }
        proof => proof.map(|(what, with)| (what, with.to_owned())),
    };
    build(&toolchain, all)?;
    let Some((what, with)) = proof else { return Ok(()) };
    let run = ["run", "--locked", "--quiet", "--release", "--package", "pdp-embed"];
    Step::cargo(run).args(["--features", "proof", "--bin", "proof", "--", what]).args([with]).run()
}

/// Builds all artefacts; where nothing can build them, says so and installs what can.
pub(crate) fn run_with_set_up() -> Result<(), String> {
    let found = Toolchain::find().or_else(|missing| {
        println!("\nxtask: {missing}");
        let install = toolchain::installation()?;
        println!("xtask: installing what is missing, because the tests need the modules");
        for step in install {
            step.run_within(INSTALL_MAX)?;
        }
        Toolchain::find()
    });
    build(&found?, true)
}

/// What to lint for modules: each artefact, if the compiler that lints has their target.
pub(crate) fn selections() -> Vec<Vec<&'static str>> {
    if let Err(error) = Toolchain::rustup() {
        println!("\nwasm: what is compiled for modules only is not linted: {error}");
        return Vec::new();
    }
    let package = ["--package", "pdp-wasm", "--lib", "--target", TARGET, "--no-default-features"];
    let of = |artefact: &Artefact| [&package[..], &["--features", artefact.feature]].concat();
    ARTEFACTS.iter().map(of).collect()
}

fn build(toolchain: &Toolchain, all: bool) -> Result<(), String> {
    no_front_end()?;
    let out = workspace()?.join(OUT);
    fs::create_dir_all(&out).map_err(|error| format!("cannot make `{OUT}`: {error}"))?;
    let mut told = Vec::new();
    for artefact in ARTEFACTS.iter().filter(|artefact| all || !artefact.is_for_tests()) {
        let module = module(toolchain, artefact)?;
        let bytes = artefact.finish(&module)?;
        artefact.check(&bytes)?;
        let to = format!("{OUT}/{}", artefact.file);
        fs::write(out.join(artefact.file), &bytes)
            .map_err(|error| format!("cannot write `{to}`: {error}"))?;
        told.push((to, artefact.weigh(&bytes)));
    }
    println!("\nwasm: built with {toolchain}");
    for (to, weight) in &told {
        println!("  {to}: {weight}");
    }
    let heavy: Vec<String> = told
        .iter()
        .filter(|(_, weight)| !weight.fits())
        .map(|(to, weight)| format!("`{to}` is over its budget: {weight}"))
        .collect();
    if heavy.is_empty() { Ok(()) } else { Err(heavy.join("\n")) }
}

/// The module of an artefact, as the compiler leaves it.
fn module(toolchain: &Toolchain, artefact: &Artefact) -> Result<Vec<u8>, String> {
    let folder = workspace()?.join(OUT).join(toolchain.folder());
    let build = ["rustc", "--locked", "--package", "pdp-wasm", "--lib", "--profile", "wasm"];
    let selection = ["--target", TARGET, "--no-default-features", "--features", artefact.feature];
    // The module alone: with the library beside it, cargo would leave out optimising both as one.
    let step = Step::cargo(build)
        .args(["--crate-type", "cdylib"])
        .args(selection)
        .env("CARGO_TARGET_DIR", &folder);
    toolchain.equip(step).run()?;
    let built: PathBuf = [TARGET, "wasm", "pdp_wasm.wasm"].iter().collect();
    let built = folder.join(built);
    fs::read(&built).map_err(|error| format!("cannot read `{}`: {error}", built.display()))
}

/// Asks cargo what is under the modules.
fn no_front_end() -> Result<(), String> {
    let tree = ["tree", "--locked", "--package", "pdp-wasm", "--all-features", "--target", TARGET];
    let tree = Step::cargo(tree).args(["--edges", "normal", "--prefix", "none"]).output()?;
    if !tree.contains(CORE) {
        return Err("`cargo tree` does not show pdp-core in pdp-wasm".to_owned());
    }
    match tree.lines().find(|line| line.starts_with(FRONT)) {
        Some(line) => Err(format!(
            "pdp-wasm depends on `{line}`: a module has no parser in it; keep pdp-core's feature `compile` out"
        )),
        None => Ok(()),
    }
}
