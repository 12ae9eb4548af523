//! The life of a bundle: written by `init`, checked, tested, inspected, measured, built; and what is said when it is
//! wrong.

use std::fs;

use serde_json::Value;

use crate::run::{OrStop, Starter, pdp};

fn ids(json: &Value, key: &str) -> Vec<String> {
    let id = |value: &Value| value.as_str().or_stop(key).to_owned();
    json[key].as_array().or_stop(key).iter().map(id).collect()
}

#[test]
fn a_new_bundle_is_sound_and_passes_its_own_cases() {
    let starter = Starter::new();
    let checked = pdp(["check", &starter.path()]);
    assert_eq!(checked.code, Some(0), "{checked:?}");
    assert!(checked.stdout.starts_with("ok  starter revision 1 ("), "{}", checked.stdout);
    assert!(
        checked.stdout.ends_with("5 policies, 8 entities, 10 cases; 0 errors, 0 warnings\n"),
        "{}",
        checked.stdout
    );

    let tested = pdp(["test", &starter.path()]);
    assert_eq!(tested.code, Some(0), "{tested:?}");
    assert!(tested.stdout.contains("10 cases, 10 passed, 0 failed\n"), "{}", tested.stdout);
    assert!(tested.stdout.ends_with("every policy is exercised by a case\n"), "{}", tested.stdout);
}

#[test]
fn a_built_file_is_the_folder_in_one_piece() {
    let starter = Starter::new();
    let file = starter.built();
    assert_eq!(starter.names_beside(), ["starter", "starter.pdpb"], "no temporary file stays");
    assert_eq!(pdp(["test", &file]).code, Some(0));

    let of_folder = pdp(["check", &starter.path(), "--json"]).json();
    let of_file = pdp(["check", &file, "--json"]).json();
    assert_eq!(of_folder["bundle"], of_file["bundle"]);
    assert_eq!(of_folder["ok"], true);

    let listing = |path: &str| pdp(["inspect", path]).stdout;
    assert_eq!(listing(&starter.path()), listing(&file));

    let again = starter.beside("again.pdpb");
    assert_eq!(pdp(["build", &starter.path(), "-o", &again]).code, Some(0));
    assert_eq!(
        fs::read(&file).or_stop("reading"),
        fs::read(&again).or_stop("reading"),
        "the same source, the same bytes"
    );
}

#[test]
fn inspect_shows_every_policy_and_part() {
    let starter = Starter::new();
    let text = pdp(["inspect", &starter.path()]);
    assert_eq!(text.code, Some(0), "{text:?}");
    let json = pdp(["inspect", &starter.path(), "--json"]).json();
    let policies = json["policies"].as_array().or_stop("policies");
    assert_eq!(policies.len(), 5);
    for policy in policies {
        let id = policy["id"].as_str().or_stop("id");
        assert!(text.stdout.contains(id), "{id} is not in:\n{}", text.stdout);
        assert_eq!(policy["file"], "documents.cedar");
        assert!(policy["text"].as_str().is_some_and(|text| text.contains("(")), "{policy}");
    }
    let sections = json["sections"].as_array().or_stop("sections");
    assert!(!sections.is_empty());
    let of_sections: u64 = sections.iter().filter_map(|part| part["bytes"].as_u64()).sum();
    assert!(of_sections <= json["bundle_bytes"].as_u64().or_stop("bundle_bytes"));
}

#[test]
fn bench_measures_and_compares() {
    let starter = Starter::new();
    let ran = pdp(["bench", &starter.path(), "--seconds", "0.3", "--json"]);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    let json = ran.json();
    let number = |key: &str| json[key].as_f64().or_stop(key);
    assert!(number("decisions") > 0.0);
    assert!(0.0 < number("p50_ns"));
    assert!(number("p50_ns") <= number("p99_ns"));
    assert!(number("p99_ns") <= number("p999_ns"));
    assert_eq!(number("allocations_per_decision"), 0.0);
    assert!(number("compile_ms") > 0.0);
    assert!(number("load_ms") > 0.0);
    assert_eq!(number("cases"), 10.0);
    assert_eq!(number("cases_failed"), 0.0);
    let file = starter.built();
    assert_eq!(number("bundle_bytes"), fs::metadata(&file).or_stop("reading").len() as f64);
    let of_file = pdp(["bench", &file, "--seconds", "0.1", "--json"]).json();
    assert_eq!(of_file["compile_ms"], Value::Null);
}

#[test]
fn a_policy_that_does_not_parse() {
    let starter = Starter::new();
    let file = starter.built();
    let good = fs::read(&file).or_stop("reading");
    starter.edit(
        "documents.cedar",
        "principal in Team::\"sales\",",
        "principal in in Team::\"sales\",",
    );

    let checked = pdp(["check", &starter.path()]);
    assert_eq!(checked.code, Some(1), "{checked:?}");
    assert!(checked.stdout.contains("documents.cedar"), "{}", checked.stdout);
    let json = pdp(["check", &starter.path(), "--json"]).json();
    assert_eq!(json["ok"], false);
    assert!(json["errors"].as_u64().is_some_and(|n| n > 0), "{json}");
    let first = &json["diagnostics"][0];
    assert_eq!(first["file"], "documents.cedar");
    assert_eq!(first["line"], 13);

    let built = pdp(["build", &starter.path(), "-o", &file]);
    assert_eq!(built.code, Some(65), "{built:?}");
    assert!(built.stderr.contains("documents.cedar"), "{}", built.stderr);
    assert_eq!(fs::read(&file).or_stop("reading"), good, "the old file stays");
    assert_eq!(starter.names_beside(), ["starter", "starter.pdpb"]);
    for command in ["test", "inspect", "bench", "serve"] {
        assert_eq!(pdp([command, &starter.path()]).code, Some(65), "{command}");
    }
}

#[test]
fn every_kind_of_file_is_named_when_it_is_wrong() {
    for (file, from, to) in [
        ("bundle.toml", "revision = 1", "revision = \"one\""),
        ("bundle.toml", "on_forbid_error", "on_forbid_eror"),
        ("schema.cedarschema", "entity Team;", "entity Team"),
        ("documents.cedar", "principal.active", "principal.activ"),
        ("entities/office.json", "\"active\": true", "\"active\": 1"),
        ("entities/office.json", "\"id\": \"ann\" } },", "\"id\": \"nobody\" } },"),
        ("cases.toml", "expect = \"allow\"", "expect = \"maybe\""),
        ("cases.toml", "User::\"ann\"", "User::ann"),
    ] {
        let starter = Starter::new();
        starter.edit(file, from, to);
        let checked = pdp(["check", &starter.path()]);
        assert_eq!(checked.code, Some(1), "{file}: {to}: {checked:?}");
        assert!(checked.stdout.contains(file), "{file}: {to}: {}", checked.stdout);
    }
}

#[test]
fn a_warning_is_no_error() {
    let starter = Starter::new();
    starter.append(
        "more.cedar",
        "forbid (principal, action == Action::\"edit\", resource) when { false };\n",
    );
    let checked = pdp(["check", &starter.path(), "--json"]);
    assert_eq!(checked.code, Some(0), "{checked:?}");
    let json = checked.json();
    assert_eq!(json["errors"], 0);
    assert!(
        json["warnings"].as_u64().is_some_and(|n| n > 0),
        "a policy without `@id` is worth a warning: {json}"
    );
}

#[test]
fn a_case_that_fails_says_what_came_instead() {
    let starter = Starter::new();
    starter.edit("cases.toml", "reason = \"not_permitted\"", "reason = \"forbidden\"");
    let junit = starter.beside("junit.xml");
    let ran = pdp(["test", &starter.path(), "--junit", &junit]);
    assert_eq!(ran.code, Some(1), "{ran:?}");
    assert!(ran.stdout.starts_with("failed  someone of another team does not\n"), "{}", ran.stdout);
    for part in ["forbidden", "came: deny  not_permitted", "10 cases, 9 passed, 1 failed"] {
        assert!(ran.stdout.contains(part), "`{part}` is not in:\n{}", ran.stdout);
    }
    let xml = fs::read_to_string(&junit).or_stop("the JUnit file");
    assert!(xml.contains("name=\"starter\" tests=\"10\" failures=\"1\" errors=\"0\""), "{xml}");
    assert_eq!(xml.matches("<failure ").count(), 1);

    let json = pdp(["test", &starter.path(), "--json"]).json();
    assert_eq!((&json["passed"], &json["failed"]), (&Value::from(9), &Value::from(1)));
    let failed: Vec<&Value> = json["cases"]
        .as_array()
        .or_stop("cases")
        .iter()
        .filter(|case| case["passed"] == false)
        .collect();
    assert_eq!(failed.len(), 1);
    assert!(failed.iter().all(|case| case["answer"]["reason"] == "not_permitted"), "{failed:?}");

    let benched = pdp(["bench", &starter.path(), "--seconds", "0.1"]);
    assert_eq!(benched.code, Some(0), "{benched:?}");
    assert!(
        benched.stderr.contains("1 of 10 cases do not give what they expect"),
        "{}",
        benched.stderr
    );
}

#[test]
fn a_policy_that_no_case_exercises_is_listed() {
    let starter = Starter::new();
    starter.append(
        "more.cedar",
        "@id(\"nobody-asks\") permit (principal, action == Action::\"view\", resource == Document::\"launch\") when { false };\n",
    );
    let ran = pdp(["test", &starter.path()]);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    assert!(ran.stdout.ends_with("no case exercises 1 policy:\n  nobody-asks\n"), "{}", ran.stdout);
    assert_eq!(
        ids(&pdp(["test", &starter.path(), "--json"]).json(), "unexercised"),
        ["nobody-asks"]
    );
}

#[test]
fn a_bundle_without_cases_has_shown_nothing() {
    let starter = Starter::new();
    fs::remove_file(format!("{}/cases.toml", starter.path())).or_stop("removing the cases");
    let tested = pdp(["test", &starter.path()]);
    assert_eq!(tested.code, Some(1), "{tested:?}");
    assert!(tested.stdout.contains("no cases; add some to `cases.toml`"), "{}", tested.stdout);
    let benched = pdp(["bench", &starter.path()]);
    assert_eq!(benched.code, Some(65), "{benched:?}");
    assert!(benched.stderr.contains("has no cases to measure"), "{}", benched.stderr);
}

#[test]
fn damaged_files_are_refused() {
    let starter = Starter::new();
    let file = starter.built();
    let good = fs::read(&file).or_stop("reading");
    let cut = |n: usize| good.get(..n).or_stop("a shorter file").to_vec();
    let mut flipped = good.clone();
    *flipped.get_mut(good.len() / 2).or_stop("the middle") ^= 1;
    let mut trailing = good.clone();
    trailing.push(0);
    for bytes in [vec![], cut(1), cut(good.len() / 2), cut(good.len() - 1), flipped, trailing] {
        let damaged = starter.beside("damaged.pdpb");
        fs::write(&damaged, &bytes).or_stop("writing");
        let ran = pdp(["inspect", &damaged]);
        assert_eq!(ran.code, Some(65), "{} bytes: {ran:?}", bytes.len());
        assert!(ran.stderr.contains("damaged.pdpb` cannot be used: "), "{}", ran.stderr);
    }
}

#[test]
fn init_does_not_overwrite() {
    let starter = Starter::new();
    let ran = pdp(["init", &starter.path()]);
    assert_eq!(ran.code, Some(73), "{ran:?}");
    assert!(ran.stderr.contains("give a folder that is new or empty"), "{}", ran.stderr);
}
