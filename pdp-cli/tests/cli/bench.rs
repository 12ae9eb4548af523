//! `pdp bench` as its users run it: recorded requests, reasons, baselines, budgets, pages; and what is said when a
//! flag or a file is wrong. Nothing here depends on how fast the machine is.

use std::fs;

use serde_json::Value;

use crate::run::{OrStop, Ran, Starter, pdp, pdp_reading};

const ANN: &str = r#"{"principal": "User::\"ann\"", "action": "Action::\"view\"", "resource": "Document::\"launch\"", "context": {}}"#;

/// A short run with more flags.
fn bench(path: &str, flags: &[&str]) -> Ran {
    pdp(["bench", path, "--seconds", "0.1"].iter().chain(flags))
}

fn strings(value: &Value) -> Vec<&str> {
    value.as_array().map_or(&[][..], Vec::as_slice).iter().filter_map(Value::as_str).collect()
}

#[test]
fn recorded_requests_take_the_place_of_the_cases() {
    let starter = Starter::new();
    let file = starter.beside("day.jsonl");
    fs::write(&file, format!("{ANN}\n{ANN}\n{ANN}\n")).or_stop("writing");
    let ran = bench(&starter.path(), &["--requests", &file, "--json"]);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    let json = ran.json();
    assert_eq!(json["workload"]["requests"], 3);
    assert_eq!(json["workload"]["from"], file);
    assert_eq!(json["cases"], 10, "the bundle's cases are still counted");
    assert_eq!(json["slowest"].as_array().map(Vec::len), Some(3));
    assert!(json["slowest"][0]["request"].as_str().is_some_and(|name| name.starts_with("line ")));
    assert_eq!(json["slowest"][0]["principal"], "User::\"ann\"");

    let args = ["bench", &starter.path(), "--seconds", "0.1", "--requests", "-", "--json"];
    let piped = pdp_reading(&args, &format!("{ANN}\n{ANN}\n{ANN}"));
    assert_eq!(piped.code, Some(0), "{piped:?}");
    assert_eq!(piped.json()["workload"]["hash"], json["workload"]["hash"], "the same requests");
}

#[test]
fn lines_that_are_no_requests_refuse_the_file() {
    let starter = Starter::new();
    let file = starter.beside("day.jsonl");
    let mut lines = vec![ANN, "{}", ANN, "not JSON"];
    lines.extend(["[]"; 12]);
    fs::write(&file, lines.join("\n")).or_stop("writing");
    let ran = bench(&starter.path(), &["--requests", &file]);
    assert_eq!((ran.code, ran.stdout.as_str()), (Some(65), ""), "{ran:?}");
    for part in
        ["14 lines of ", "\n  line 2: ", "\n  line 4: ", "and 4 more", "pdp decide --requests"]
    {
        assert!(ran.stderr.contains(part), "`{part}` is not in:\n{}", ran.stderr);
    }
    assert!(!ran.stderr.contains("line 1:"), "{}", ran.stderr);

    fs::write(&file, "").or_stop("writing");
    let empty = bench(&starter.path(), &["--requests", &file]);
    assert_eq!(empty.code, Some(65), "{empty:?}");
    assert!(empty.stderr.contains("holds no requests"), "{}", empty.stderr);

    let folder = bench(&starter.path(), &["--requests", &starter.path()]);
    assert_eq!(folder.code, Some(66), "{folder:?}");
    assert!(folder.stderr.contains("one JSON object a line"), "{}", folder.stderr);
    assert_eq!(bench(&starter.path(), &["--requests", "no/such"]).code, Some(66));
}

#[test]
fn policies_are_counted_and_say_why() {
    let starter = Starter::new();
    // One is evaluated for every request and fails for each; the other is asked by nobody.
    starter.append(
        "more.cedar",
        "@id(\"everywhere\") forbid (principal, action, resource) when { 9223372036854775807 + 1 < 0 };\n\
         @id(\"nowhere\") permit (principal == User::\"ann\", action == Action::\"edit\", resource == Document::\"launch\") when { false };\n",
    );
    let checked = pdp(["check", &starter.path()]);
    assert_eq!(checked.code, Some(0), "{checked:?}");
    let ran = bench(&starter.path(), &["--json"]);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    let json = ran.json();
    let costs = json["policy_costs"].as_array().or_stop("policy_costs");
    let everywhere =
        costs.iter().find(|cost| cost["policy"] == "everywhere").or_stop("the policy's cost");
    assert_eq!(everywhere["requests"], 10);
    assert_eq!(everywhere["evaluations"], everywhere["failed"]);
    assert_eq!(everywhere["file"], "more.cedar");
    assert_eq!(everywhere["line"], 1);
    let why = strings(&everywhere["why"]);
    assert!(
        why.contains(&"this forbid has an unconstrained scope and is evaluated for every request"),
        "{why:?}"
    );
    assert!(why.contains(&"fails in 10 of 10 evaluations"), "{why:?}");
    assert!(!costs.iter().any(|cost| cost["policy"] == "nowhere"), "{json}");
    assert!(json["policies_not_met"].as_u64().is_some_and(|count| count >= 1), "{json}");
    for slow in json["slowest"].as_array().or_stop("slowest") {
        assert!(slow["candidates"].as_u64() >= Some(1), "{slow}");
        assert!(slow["steps"].as_u64() >= slow["candidates"].as_u64(), "{slow}");
        assert!(!strings(&slow["why"]).is_empty(), "{slow}");
    }
    let batches: u64 = json["histogram"]
        .as_array()
        .or_stop("histogram")
        .iter()
        .filter_map(|bar| bar["batches"].as_u64())
        .sum();
    assert_eq!(batches * json["batch"].as_u64().or_stop("batch"), json["decisions"]);

    let text = bench(&starter.path(), &["--top", "2"]).stdout;
    for part in
        ["\nlatency, ", "\nslowest requests\n", "\ncost per policy: ", "`--top N` shows them"]
    {
        assert!(text.contains(part), "`{part}` is not in:\n{text}");
    }
}

#[test]
fn a_run_is_saved_and_compared_with() {
    let starter = Starter::new();
    let saved = starter.beside("before.json");
    assert_eq!(bench(&starter.path(), &["--save", &saved]).code, Some(0));
    let json = bench(&starter.path(), &["--baseline", &saved, "--json"]).json();
    let baseline = &json["baseline"];
    assert_eq!(
        (&baseline["same_bundle"], &baseline["same_requests"]),
        (&true.into(), &true.into())
    );
    assert_eq!(baseline["remarks"], Value::Array(vec![]));
    let text = fs::read_to_string(&saved).or_stop("the saved run");
    let before: Value = serde_json::from_str(&text).or_stop("the saved run is JSON");
    for row in baseline["figures"].as_array().or_stop("figures") {
        let figure = row["figure"].as_str().or_stop("figure");
        assert_eq!(
            (&row["before"].as_f64(), &row["now"].as_f64()),
            (&before[figure].as_f64(), &json[figure].as_f64()),
            "{figure}"
        );
    }

    // Another bundle and other cases are compared all the same, and it is said.
    starter.edit("cases.toml", "User::\"ann\"", "User::\"nobody\"");
    starter.edit("bundle.toml", "revision = 1", "revision = 2");
    let text = bench(&starter.path(), &["--baseline", &saved]).stdout;
    for part in ["the bundle is another than", "the requests are others than", "p50_ns"] {
        assert!(text.contains(part), "`{part}` is not in:\n{text}");
    }
}

#[test]
fn what_is_no_saved_run_is_refused_before_measuring() {
    let starter = Starter::new();
    let file = starter.beside("before.json");
    for text in
        ["", "{}", "[1, 2]", "permit (principal, action, resource);", "{\"p50_ns\": \"fast\"}"]
    {
        fs::write(&file, text).or_stop("writing");
        let ran = bench(&starter.path(), &["--baseline", &file]);
        assert_eq!(ran.code, Some(65), "{text}: {ran:?}");
        assert!(ran.stderr.contains("is no saved run: "), "{}", ran.stderr);
        assert!(ran.stderr.contains("--save FILE"), "{}", ran.stderr);
        assert_eq!(ran.stdout, "", "nothing was measured");
    }
    fs::write(&file, b"\xff\xfe").or_stop("writing");
    let ran = bench(&starter.path(), &["--baseline", &file]);
    assert!(ran.stderr.contains("it is not UTF-8"), "{ran:?}");
    assert_eq!(bench(&starter.path(), &["--baseline", "no/such.json"]).code, Some(66));
}

#[test]
fn a_budget_decides_the_exit_code() {
    let starter = Starter::new();
    let saved = starter.beside("run.json");
    // No decision takes an hour, and none takes a thousandth of a nanosecond.
    let kept = bench(&starter.path(), &["--budget", "p50=3600s, p99.9=3600s"]);
    assert_eq!(kept.code, Some(0), "{kept:?}");
    assert!(kept.stdout.contains("kept  p50 "), "{}", kept.stdout);
    let over = bench(&starter.path(), &["--budget", "p50=3600s,p99=0.001ns", "--save", &saved]);
    assert_eq!(over.code, Some(3), "{over:?}");
    assert!(over.stdout.contains("over budget  p99 "), "{}", over.stdout);
    let text = fs::read_to_string(&saved).or_stop("a run over its budget is saved, too");
    let json: Value = serde_json::from_str(&text).or_stop("JSON");
    assert_eq!(json["budget"][0]["kept"], true);
    assert_eq!(json["budget"][1]["kept"], false);
    assert_eq!(json["budget"][1]["allowed"], "0.001ns");
}

#[test]
fn flags_that_are_wrong_say_what_to_give() {
    for (flags, says) in [
        (["--budget", "p98=1us"], "`p98` is not measured; give `p50`, `p99` or `p99.9`"),
        (["--budget", "p99=2"], "`2` has no unit; add `ns`, `us`, `ms` or `s`"),
        (["--budget", "fast"], "give percentile=duration"),
        (["--top", "0"], "1..=1000"),
        (["--top", "many"], "invalid value 'many'"),
    ] {
        let ran = bench("x", &flags);
        assert_eq!(ran.code, Some(64), "{ran:?}");
        assert!(ran.stderr.contains(says), "`{says}` is not in:\n{}", ran.stderr);
    }
    let starter = Starter::new();
    for flag in ["--save", "--html"] {
        let ran = bench(&starter.path(), &[flag, "no/such/folder/file"]);
        assert_eq!(ran.code, Some(73), "{ran:?}");
        assert!(ran.stderr.contains("its folder does not exist"), "{}", ran.stderr);
    }
}

#[test]
fn the_page_stands_alone_and_escapes_what_it_shows() {
    let starter = Starter::new();
    starter.append(
        "more.cedar",
        "@id(\"<script>alert(1)</script>\") forbid (principal, action, resource) when { false };\n",
    );
    let page = starter.beside("report.html");
    let ran = bench(&starter.path(), &["--html", &page, "--budget", "p50=1ns"]);
    assert_eq!(ran.code, Some(3), "{ran:?}");
    let html = fs::read_to_string(&page).or_stop("the page");
    assert!(html.contains("&lt;script&gt;alert(1)&lt;/script&gt;"), "the policy is named");
    assert!(!html.contains("<script"), "and is no markup");
    assert_eq!(html.matches("<svg").count(), 3);
    assert!(html.contains("over the budget of 1ns"));
}
