//! `pdp decide` on a bundle: answers, exit codes, explanations, files of requests.

use std::fs;

use crate::run::{OrStop, Ran, Starter, pdp, pdp_reading};

const ANN: &str = "User::\"ann\"";
const BOB: &str = "User::\"bob\"";
const PLAN: &str = "Document::\"plan\"";
const LAUNCH: &str = "Document::\"launch\"";

/// A question about the starter bundle.
fn ask(path: &str, principal: &str, action: &str, resource: &str, more: &[&str]) -> Ran {
    let action = format!("Action::\"{action}\"");
    let mut args =
        vec!["decide", path, "--principal", principal, "--action", &action, "--resource", resource];
    if !more.contains(&"--context") {
        args.extend(["--context", r#"{"mfa": false}"#]);
    }
    args.extend(more);
    pdp(args)
}

#[test]
fn the_decision_is_the_exit_code() {
    let starter = Starter::new();
    let allow = ask(&starter.path(), BOB, "view", PLAN, &[]);
    assert_eq!(allow.code, Some(0), "{allow:?}");
    assert!(allow.stdout.starts_with("allow  permitted\n"), "{}", allow.stdout);
    assert!(allow.stdout.contains("sales-reads-its-folder"), "{}", allow.stdout);
    let deny = ask(&starter.path(), BOB, "edit", PLAN, &["--context", r#"{"mfa": true}"#]);
    assert_eq!(deny.code, Some(2), "{deny:?}");
    assert!(deny.stdout.starts_with("deny  not_permitted\n"), "{}", deny.stdout);
}

#[test]
fn the_answer_as_json() {
    let starter = Starter::new();
    let json = ask(&starter.path(), ANN, "edit", PLAN, &["--json"]).json();
    assert_eq!(json["decision"], "deny");
    assert_eq!(json["reason"], "forbidden");
    assert_eq!(json["policies"], serde_json::json!(["edit-needs-second-factor"]));
    assert_eq!(json["errors"], serde_json::json!([]));
    assert_eq!(json["failed_leg"], "principal");
    assert_eq!(json["obligations"][0]["value"], "log-edit-attempt");
    assert_eq!(json["bundle"]["name"], "starter");
    assert_eq!(json["bundle"]["revision"], 1);
    assert_eq!(json["bundle"]["digest"].as_str().map(str::len), Some(64));
    assert!(json.get("explanation").is_none());
}

#[test]
fn a_folder_and_its_file_answer_alike() {
    let starter = Starter::new();
    let file = starter.built();
    for (principal, action, resource) in
        [(ANN, "view", PLAN), (BOB, "edit", PLAN), (BOB, "view", LAUNCH)]
    {
        let now = ["--json", "--explain", "--now", "2026-06-01"];
        let of_folder = ask(&starter.path(), principal, action, resource, &now);
        let of_file = ask(&file, principal, action, resource, &now);
        assert_eq!(of_folder.stdout, of_file.stdout);
        assert_eq!(of_folder.code, of_file.code);
    }
}

#[test]
fn the_time_may_be_stated_but_not_by_the_caller() {
    let starter = Starter::new();
    let before = ask(&starter.path(), BOB, "view", LAUNCH, &["--now", "2026-06-30T23:59:59.999Z"]);
    assert_eq!(before.code, Some(2), "{before:?}");
    let after = ask(&starter.path(), BOB, "view", LAUNCH, &["--now", "2026-07-01"]);
    assert_eq!(after.code, Some(0), "{after:?}");
    let sent = r#"{"mfa": false, "now": "2026-07-01"}"#;
    let refused = ask(&starter.path(), BOB, "view", LAUNCH, &["--context", sent, "--json"]);
    assert_eq!(refused.code, Some(2), "{refused:?}");
    assert_eq!(refused.json()["reason"], "invalid_request");
}

#[test]
fn why_not() {
    let starter = Starter::new();
    let text = ask(&starter.path(), "User::\"eve\"", "view", PLAN, &["--explain"]);
    assert_eq!(text.code, Some(2), "{text:?}");
    assert!(text.stdout.contains("would permit, but did not apply: "), "{}", text.stdout);
    assert!(text.stdout.contains("documents.cedar:"), "{}", text.stdout);
    let json = ask(&starter.path(), "User::\"eve\"", "view", PLAN, &["--explain", "--json"]).json();
    let nearest = &json["explanation"][0]["nearest"][0];
    for key in ["policy", "clause", "expected", "actual"] {
        assert!(nearest[key].as_str().is_some_and(|text| !text.is_empty()), "{key}: {json}");
    }
}

#[test]
fn why() {
    let starter = Starter::new();
    let text = ask(&starter.path(), ANN, "edit", PLAN, &["--explain"]);
    assert!(
        text.stdout.contains("decided by edit-needs-second-factor, forbid, documents.cedar:"),
        "{}",
        text.stdout
    );
    assert!(text.stdout.contains("| ) unless { context.mfa };"), "{}", text.stdout);
}

#[test]
fn entities_come_with_the_request() {
    let starter = Starter::new();
    let new = r#"[{"uid": {"type": "User", "id": "new"}, "attrs": {"active": true}, "parents": [{"type": "Team", "id": "sales"}]}]"#;
    let ran = ask(&starter.path(), "User::\"new\"", "view", PLAN, &["--entities", new]);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    let file = starter.beside("entities.json");
    fs::write(&file, new).or_stop("writing");
    let ran =
        ask(&starter.path(), "User::\"new\"", "view", PLAN, &["--entities", &format!("@{file}")]);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    // An entity the store has cannot be brought along.
    let stored = new.replace("\"new\"", "\"leo\"");
    let ran =
        ask(&starter.path(), "User::\"leo\"", "view", PLAN, &["--entities", &stored, "--json"]);
    assert_eq!(ran.code, Some(2), "{ran:?}");
    assert_eq!(ran.json()["reason"], "invalid_request");
}

#[test]
fn bad_questions() {
    let starter = Starter::new();
    let path = starter.path();
    for (ran, code, says) in [
        (ask(&path, "User::ann", "view", PLAN, &[]), 64, "--principal"),
        (ask(&path, ANN, "view", "plan", &[]), 64, "--resource"),
        (ask(&path, ANN, "view", PLAN, &["--actor", "x"]), 64, "--actor"),
        (ask(&path, ANN, "view", PLAN, &["--context", "{"]), 65, "`--context` is not JSON"),
        (
            ask(&path, ANN, "view", PLAN, &["--context", r#"{"mfa": true, "mfa": false}"#]),
            65,
            "mfa",
        ),
        (
            ask(&path, ANN, "view", PLAN, &["--context", "@no/such.json"]),
            66,
            "`no/such.json` does not exist",
        ),
        (
            ask(&path, ANN, "view", PLAN, &["--entities", "{}"]),
            65,
            "`--entities` is not a JSON array",
        ),
    ] {
        assert_eq!(ran.code, Some(code), "{ran:?}");
        assert!(ran.stderr.contains(says), "`{says}` is not in:\n{}", ran.stderr);
    }
    let outside = ask(&path, ANN, "burn", PLAN, &["--json"]);
    assert_eq!(outside.code, Some(2), "{outside:?}");
    assert_eq!(outside.json()["reason"], "invalid_request");
    assert!(
        outside.json()["message"].as_str().is_some_and(|text| text.contains("burn")),
        "{outside:?}"
    );
}

const LINES: &str = r#"{"principal": "User::\"bob\"", "action": "Action::\"view\"", "resource": "Document::\"plan\"", "context": {"mfa": false}}
not a request
{"principal": {"type": "User", "id": "bob"}, "action": "Action::\"view\"", "resource": "Document::\"launch\"", "context": {"mfa": false}, "now": "2026-06-01"}
{"principal": "User::\"bob\"", "action": "Action::\"view\"", "resource": "Document::\"launch\"", "context": {"mfa": false}}
"#;

#[test]
fn a_file_of_requests() {
    let starter = Starter::new();
    let file = starter.beside("requests.jsonl");
    fs::write(&file, LINES).or_stop("writing");
    let ran = pdp(["decide", &starter.path(), "--requests", &file, "--now", "2026-08-01"]);
    assert_eq!(ran.code, Some(65), "{ran:?}");
    assert!(ran.stderr.contains("1 of 4 lines"), "{}", ran.stderr);
    let lines = ran.json_lines();
    let decisions: Vec<Option<&str>> = lines.iter().map(|line| line["decision"].as_str()).collect();
    assert_eq!(decisions, [Some("allow"), None, Some("deny"), Some("allow")], "{lines:?}");
    assert_eq!(lines.get(1).and_then(|line| line["line"].as_u64()), Some(2));

    let good: String = LINES
        .lines()
        .filter(|line| line.starts_with('{'))
        .map(|line| format!("{line}\n"))
        .collect();
    let ran = pdp_reading(&["decide", &starter.path(), "--requests", "-", "--explain"], &good);
    assert_eq!(ran.code, Some(0), "every line was answered: {ran:?}");
    assert!(ran.json_lines().iter().all(|line| line["explanation"].is_array()), "{ran:?}");
}
