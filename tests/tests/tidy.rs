//! The house rules that a machine can check: files say what they are for, documents name what exists, the decide half
//! has no Cedar in it, and nothing is left half done.
#![expect(clippy::panic, clippy::unwrap_used, reason = "test code fails loudly")]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Longer files say in their first paragraph why.
const LINES_MAX: usize = 500;
const DOCUMENTS: [&str; 5] =
    ["README.md", "ARCHITECTURE.md", "CHANGELOG.md", "SECURITY.md", "benches/README.md"];

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..").canonicalize().unwrap()
}

/// Every file of the repository with this extension, generated and built ones left out.
fn files(extension: &str) -> Vec<PathBuf> {
    fn walk(folder: &Path, extension: &str, found: &mut Vec<PathBuf>) {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            let name = path.file_name().unwrap().to_string_lossy().into_owned();
            if path.is_dir() && !["target", ".git", "generated"].contains(&name.as_str()) {
                walk(&path, extension, found);
            } else if path.extension().is_some_and(|found| found == extension) {
                found.push(path);
            }
        }
    }
    let mut found = Vec::new();
    walk(&root(), extension, &mut found);
    found.sort();
    found
}

fn shown(path: &Path) -> String {
    path.strip_prefix(root()).unwrap_or(path).display().to_string()
}

#[track_caller]
fn none(what: &str, found: Vec<String>) {
    assert!(found.is_empty(), "{what}:\n  {}", found.join("\n  "));
}

#[test]
fn every_source_file_begins_with_what_it_is_for() {
    let sources = files("rs");
    assert!(sources.len() > 100, "the walk finds the sources");
    let silent =
        sources.iter().filter(|path| !fs::read_to_string(path).unwrap().starts_with("//! "));
    none("files without a first paragraph", silent.map(|path| shown(path)).collect());
}

#[test]
fn long_files_say_why() {
    let mut long = Vec::new();
    for path in files("rs") {
        let text = fs::read_to_string(&path).unwrap();
        let head: String = text.lines().take_while(|line| line.starts_with("//!")).collect();
        if text.lines().count() > LINES_MAX && !head.contains("longer than") {
            long.push(format!("{}: {} lines", shown(&path), text.lines().count()));
        }
    }
    none("files of more than 500 lines that do not say why (`longer than`)", long);
}

#[test]
fn nothing_is_left_half_done() {
    // Written apart, so that this file does not find itself.
    let marks = [
        ["#[", "ignore"].concat(),
        ["todo", "!("].concat(),
        ["unimplemented", "!("].concat(),
        ["FIX", "ME"].concat(),
    ];
    let mut found = Vec::new();
    for path in files("rs") {
        let text = fs::read_to_string(&path).unwrap();
        found.extend(
            marks
                .iter()
                .filter(|mark| text.contains(*mark))
                .map(|mark| format!("{}: {mark}", shown(&path))),
        );
    }
    none("marks of unfinished work", found);
}

#[test]
fn every_path_that_a_document_names_exists() {
    let mut missing = Vec::new();
    for document in DOCUMENTS {
        let text =
            fs::read_to_string(root().join(document)).unwrap_or_else(|e| panic!("{document}: {e}"));
        for word in text.split('`').skip(1).step_by(2) {
            if is_path(word) && !resolves(word) {
                missing.push(format!("{document}: `{word}`"));
            }
        }
    }
    none("paths that do not exist", missing);
}

/// Words in backticks that mean a file of this repository.
fn is_path(word: &str) -> bool {
    let plain = word.chars().all(|c| c.is_ascii_alphanumeric() || "._-/".contains(c));
    let in_bundle =
        ["bundle.toml", "cases.toml", "links.json", "schema.cedarschema", "schema.json"]
            .contains(&word);
    let file = [".rs", ".toml", ".md", ".json", ".proto"].iter().any(|end| word.ends_with(end));
    let room = word.split_once('/').is_some_and(|(room, _)| root().join(room).is_dir());
    // What begins with a slash is a path of a URL.
    let in_repository = !in_bundle && !word.starts_with('/');
    plain && in_repository && !word.starts_with("target/") && (file || room)
}

fn resolves(word: &str) -> bool {
    // ARCHITECTURE.md names the engine's files by their place in the engine.
    ["", "pdp-core/src", "pdp-grpc/src"].iter().any(|base| root().join(base).join(word).exists())
}

#[test]
fn every_package_has_the_lints_of_the_house() {
    let mut without = Vec::new();
    for path in files("toml").into_iter().filter(|path| path.ends_with("Cargo.toml")) {
        let text = fs::read_to_string(&path).unwrap();
        if text.contains("[package]") && !text.contains("[lints]\nworkspace = true") {
            without.push(shown(&path));
        }
    }
    none("packages with lints of their own", without);
}

fn cargo(args: &[&str]) -> String {
    let output = Command::new(env!("CARGO"))
        .args(args)
        .args(["--offline", "--locked"])
        .current_dir(root())
        .output()
        .unwrap();
    assert!(output.status.success(), "cargo {args:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn the_decide_half_contains_no_cedar_crate() {
    let tree = |more: &[&str]| {
        cargo(
            &[
                &["tree", "--package", "pdp-core", "--edges", "normal,build", "--prefix", "none"],
                more,
            ]
            .concat(),
        )
    };
    let whole = tree(&[]);
    assert!(whole.contains("cedar-policy-core"), "the compile half is there by default:\n{whole}");
    let half = tree(&["--no-default-features"]);
    assert!(half.contains("bumpalo"), "Cargo was asked for the right package:\n{half}");
    none(
        "Cedar crates",
        half.lines().filter(|line| line.starts_with("cedar")).map(str::to_owned).collect(),
    );
    let sidecar =
        cargo(&["tree", "--package", "pdp-sidecar", "--edges", "normal,build", "--prefix", "none"]);
    assert!(sidecar.contains("tonic v"), "Cargo was asked for the right package:\n{sidecar}");
    let front = ["cedar", "miette", "lalrpop", "pdp-cli"];
    none(
        "parts of the front end in what serves",
        sidecar
            .lines()
            .filter(|line| front.iter().any(|name| line.starts_with(name)))
            .map(str::to_owned)
            .collect(),
    );
}

#[test]
fn no_shipped_package_has_faults() {
    for package in ["pdp-cli", "pdp-grpc", "pdp-sidecar", "pdp-wasm"] {
        let tree = cargo(&[
            "tree",
            "--package",
            package,
            "--edges",
            "normal,features",
            "--prefix",
            "none",
        ]);
        none(
            "features of the tests",
            tree.lines()
                .filter(|line| line.contains("feature \"faults\""))
                .map(str::to_owned)
                .collect(),
        );
    }
}

#[test]
fn cargo_run_means_the_tool() {
    let manifest = fs::read_to_string(root().join("Cargo.toml")).unwrap();
    assert!(
        manifest.contains("default-members = [\"pdp-cli\"]"),
        "`cargo run` would not know what to run"
    );
}
