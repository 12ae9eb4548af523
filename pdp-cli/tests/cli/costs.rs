//! What a bundle costs before it is measured: `pdp inspect --size`, and the warnings of `pdp check` about policy sets
//! that could wear the engine out. Such sets stay within their bundle's step limit, and never allow by running out.

use std::fmt::Write;
use std::fs;

use crate::run::{OrStop, Ran, Starter, pdp, policies};

/// A folder without schema: one manifest, one file of policies.
fn folder(starter: &Starter, policies: &str, manifest: &str) -> String {
    let path = starter.beside("hostile");
    fs::create_dir_all(&path).or_stop("a folder");
    let manifest =
        format!("name = \"hostile\"\nrevision = 1\nentities_complete = false\n{manifest}");
    fs::write(format!("{path}/bundle.toml"), manifest).or_stop("the manifest");
    fs::write(format!("{path}/all.cedar"), policies).or_stop("the policies");
    path
}

/// `n` named policies with a scope and a condition that may use the policy's number.
fn many(n: usize, policy: impl Fn(usize) -> String) -> String {
    (0..n).fold(String::new(), |mut text, n| {
        let _ = writeln!(text, "@id(\"p{n}\") {}", policy(n));
        text
    })
}

fn warned(ran: &Ran, code: &str, parts: &[&str]) {
    assert_eq!(ran.code, Some(0), "{ran:?}");
    let found = ran.json()["diagnostics"].clone();
    let found = found.as_array().or_stop("diagnostics");
    let warning = found.iter().find(|item| item["code"] == code).or_stop(code);
    assert_eq!(warning["severity"], "warning");
    assert_eq!((&warning["file"], &warning["line"]), (&"all.cedar".into(), &1.into()), "{warning}");
    assert!(warning["help"].as_str().is_some_and(|help| !help.is_empty()), "{warning}");
    let message = warning["message"].as_str().or_stop("message");
    for part in parts {
        assert!(message.contains(part), "`{part}` is not in: {message}");
    }
}

#[test]
fn very_many_policies_for_every_request_are_named_and_never_allow_by_running_out() {
    let starter = Starter::new();
    let text = many(1_100, |n| {
        format!(
            "permit (principal, action, resource) when {{ context.x == {n} || context.y == {n} }};"
        )
    });
    let folder = folder(&starter, &text, "[limits]\neval_steps_max = 2200\n");
    let path = starter.beside("hostile.pdpb");
    assert_eq!(pdp(["build", &folder, "-o", &path]).code, Some(0));
    let checked = pdp(["check", &path, "--json"]);
    warned(&checked, "W206", &["1100 policies have an unconstrained scope", "`p0` among them"]);
    warned(&checked, "W207", &["eval_steps_max is 2200", "reason `limit`"]);

    // The first policy permits it, and so does the last; but all of them together run out.
    for x in [0, 1_099] {
        let context = format!("{{\"x\": {x}, \"y\": 0}}");
        let asked = [
            "--principal",
            "U::\"a\"",
            "--action",
            "Action::\"b\"",
            "--resource",
            "R::\"c\"",
            "--json",
        ];
        let decided = pdp(["decide", &path, "--context", &context].iter().chain(&asked));
        assert_eq!(decided.code, Some(2), "{decided:?}");
        assert_eq!(decided.json()["reason"], "limit");
    }

    let requests = starter.beside("requests.jsonl");
    let line = r#"{"principal": "U::\"a\"", "action": "Action::\"b\"", "resource": "R::\"c\"", "context": {"x": 1, "y": 2}}"#;
    fs::write(&requests, line).or_stop("writing");
    let benched =
        pdp(["bench", &path, "--requests", &requests, "--seconds", "0.1", "--json", "--top", "1"]);
    assert_eq!(benched.code, Some(0), "{benched:?}");
    let json = benched.json();
    let costly: Vec<&str> = json["costly"]
        .as_array()
        .or_stop("costly")
        .iter()
        .filter_map(|item| item["code"].as_str())
        .collect();
    assert_eq!(costly, ["W206", "W207"]);
    assert_eq!(json["slowest"][0]["candidates"], 1_100);
    assert_eq!(json["slowest"][0]["reason"], "limit");
    assert_eq!(json["slowest"].as_array().map(Vec::len), Some(1), "`--top` counts");
}

#[test]
fn giant_sets_and_patterns_are_named() {
    let starter = Starter::new();
    let entities: Vec<String> = (0..12_000).map(|n| format!("U::\"{n}\"")).collect();
    let set = format!(
        "@id(\"set\") permit (principal, action, resource) when {{ context.who in [{}] }};",
        entities.join(", ")
    );
    warned(
        &pdp(["check", &folder(&starter, &set, ""), "--json"]),
        "W208",
        &["`set`", "literal set of 12000 elements"],
    );
    let wild = "a*".repeat(12_000);
    let pattern = format!(
        "@id(\"like\") permit (principal, action, resource) when {{ context.s like \"{wild}\" }};"
    );
    let path = folder(&starter, &pattern, "");
    warned(&pdp(["check", &path, "--json"]), "W208", &["`like`", "its pattern has 12001 pieces"]);
    let text = pdp(["check", &path]).stdout;
    assert!(text.contains("warning[W208]: one evaluation of `like` may take "), "{text}");
    assert!(text.contains("--> all.cedar:1:1"), "{text}");

    // A built file is looked through as well.
    let file = starter.beside("hostile.pdpb");
    assert_eq!(pdp(["build", &path, "-o", &file]).code, Some(0));
    warned(&pdp(["check", &file, "--json"]), "W208", &["`like`"]);
}

#[test]
fn very_many_candidates_are_named() {
    let starter = Starter::new();
    let text = many(1_200, |n| {
        format!("permit (principal in G::\"g\", action, resource) when {{ context.x < {n} }};")
    });
    warned(
        &pdp(["check", &folder(&starter, &text, ""), "--json"]),
        "W209",
        &[
            "may meet 1200 policies",
            "`p0` and 1199 more",
            "principal in G::\"g\", any action, any resource",
        ],
    );
}

#[test]
fn no_shipped_bundle_is_costly() {
    for entry in fs::read_dir(policies()).or_stop("the folder of policies") {
        let path = entry.or_stop("an entry").path();
        if !path.join("bundle.toml").is_file() {
            continue;
        }
        let ran = pdp([std::ffi::OsStr::new("check"), path.as_os_str(), "--json".as_ref()]);
        let json = ran.json();
        assert_eq!(
            (ran.code, &json["warnings"]),
            (Some(0), &0.into()),
            "{}: {json}",
            path.display()
        );
    }
}

#[test]
fn sizes_add_up_to_the_file() {
    let starter = Starter::new();
    let file = starter.built();
    let ran = pdp(["inspect", &file, "--size", "--json"]);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    let json = ran.json();
    let bytes = fs::metadata(&file).or_stop("the file").len();
    assert_eq!(json["bundle_bytes"], bytes);
    let parts = json["parts"].as_array().or_stop("parts");
    assert_eq!(parts.iter().filter_map(|part| part["bytes"].as_u64()).sum::<u64>(), bytes);
    for name in ["entities", "index", "policies", "source", "cases", "container"] {
        assert!(parts.iter().any(|part| part["part"] == name), "{name}: {json}");
    }
    for part in parts.iter().filter(|part| part["part"] != "container") {
        let tables = part["tables"].as_array().or_stop("tables");
        let of_tables: u64 = tables.iter().filter_map(|table| table["bytes"].as_u64()).sum();
        assert_eq!(part["bytes"], of_tables, "{part}");
    }
    let index_and_policies: u64 = parts
        .iter()
        .filter(|part| part["part"] == "index" || part["part"] == "policies")
        .filter_map(|part| part["bytes"].as_u64())
        .sum();
    let each = json["bytes_per_policy"].as_f64().or_stop("bytes_per_policy");
    assert!((each * 5.0 - index_and_policies as f64).abs() <= 0.5, "{each}: {index_and_policies}");
    // Every table of this version belongs to a part; only the bundle's own record is left over.
    let other = parts.iter().find(|part| part["part"] == "other").or_stop("other");
    assert_eq!(
        other["tables"].as_array().map(Vec::len),
        Some(1),
        "a new table belongs into `PARTS` of `inspect/size.rs`: {other}"
    );
    assert_eq!(other["tables"][0]["name"], "meta");

    let text = pdp(["inspect", &file, "--size"]).stdout;
    for part in ["bytes a policy in index and policies, 5 policies", "bytes an entity", "    ops "]
    {
        assert!(text.contains(part), "`{part}` is not in:\n{text}");
    }
    assert!(!text.contains("found by"), "the listing is not part of it:\n{text}");
}
