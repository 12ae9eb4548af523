//! The bundles in `policies`: sound, without a warning, and right by their own cases, from the folder and as a file.

use std::fs;

use crate::run::{OrStop, pdp, policies};

fn folders() -> Vec<String> {
    let mut folders: Vec<String> = fs::read_dir(policies())
        .or_stop("reading `policies`")
        .map(|entry| entry.or_stop("reading `policies`").path())
        .filter(|path| path.is_dir())
        .map(|path| path.to_str().or_stop("a path in UTF-8").to_owned())
        .collect();
    folders.sort();
    folders
}

#[test]
fn the_three_of_them_are_there() {
    let folders = folders();
    for name in ["agent-tools", "documents", "routes"] {
        assert!(
            folders.iter().any(|folder| folder.ends_with(name)),
            "{name} is not in {folders:?}"
        );
    }
}

#[test]
fn each_is_sound_and_passes_its_cases() {
    let output = tempfile::tempdir().or_stop("no temporary folder");
    for folder in folders() {
        let checked = pdp(["check", &folder, "--json"]);
        assert_eq!(checked.code, Some(0), "{folder}: {checked:?}");
        assert_eq!(checked.json()["warnings"], 0, "{folder}: {checked:?}");
        let file = output.path().join("built.pdpb");
        let file = file.to_str().or_stop("a path in UTF-8");
        assert_eq!(pdp(["build", &folder, "-o", file]).code, Some(0), "{folder}");
        for path in [folder.as_str(), file] {
            let tested = pdp(["test", path]);
            assert_eq!(tested.code, Some(0), "{folder}: {}", tested.stdout);
        }
    }
}

#[test]
fn every_policy_is_exercised() {
    for folder in folders() {
        let json = pdp(["test", &folder, "--json"]).json();
        assert_eq!(json["unexercised"], serde_json::json!([]), "{folder}");
    }
}

#[test]
fn each_is_a_workload_without_allocations() {
    for folder in folders() {
        let ran = pdp(["bench", &folder, "--seconds", "0.1", "--json"]);
        assert_eq!(ran.code, Some(0), "{folder}: {ran:?}");
        assert_eq!(ran.json()["allocations_per_decision"], 0.0, "{folder}");
    }
}
