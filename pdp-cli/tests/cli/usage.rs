//! Wrong command lines and missing files: the exit code, and a text that says what to do.

use std::io::{Write, pipe};
use std::process::Stdio;

use crate::run::{OrStop, Ran, command, pdp, pdp_reading};

#[track_caller]
fn refused(ran: &Ran, code: i32, says: &str) {
    assert_eq!(ran.code, Some(code), "{ran:?}");
    assert!(ran.stderr.contains(says), "`{says}` is not in:\n{}", ran.stderr);
    assert_eq!(ran.stdout, "", "nothing goes to standard output");
}

#[test]
fn wrong_command_lines() {
    let cases: &[(&[&str], &str)] = &[
        (&[], "Usage: pdp"),
        (&["chekc", "x"], "a similar subcommand exists: 'check'"),
        (&["check"], "<PATH>"),
        (&["check", "x", "--jsno"], "--json"),
        (&["build", "x"], "--output <FILE>"),
        (&["test", "x", "--junit"], "--junit <FILE>"),
        (&["bench", "x", "--seconds", "0"], "give more than 0 and at most 3600 seconds"),
        (&["bench", "x", "--seconds", "long"], "give a number of seconds such as `3` or `0.5`"),
        (
            &["serve", "x", "--listen", "8170"],
            "no IP address with a port, such as `127.0.0.1:8170`",
        ),
        (&["decide"], "PATH"),
        (&["decide", "x"], "--principal <UID>"),
        (&["decide", "x", "--requests", "f", "--action", "A"], "--action"),
        (&["decide", "x", "--requests", "f", "--context", "{}"], "cannot be used with"),
        (&["decide", "x", "--requests", "f", "--now", "yesterday"], "expected a datetime like"),
        (
            &["decide", "--server", "http://127.0.0.1:1", "--requests", "f", "--explain"],
            "cannot be used with",
        ),
        (
            &["decide", "--server", "http://127.0.0.1:1", "--requests", "f", "--now", "2026-06-01"],
            "cannot be used with",
        ),
        (
            &["decide", "--server", "127.0.0.1:8170", "--requests", "f"],
            "expected one like `http://127.0.0.1:8170`",
        ),
        (&["answer", "cases.jsonl"], "unexpected argument 'cases.jsonl'"),
    ];
    for (args, says) in cases {
        refused(&pdp(*args), 64, says);
    }
}

#[test]
fn paths_that_do_not_exist() {
    for args in [
        &["check", "no/such"][..],
        &["test", "no/such"],
        &["inspect", "no/such"],
        &["bench", "no/such"],
        &["serve", "no/such"],
        &["build", "no/such", "-o", "x.pdpb"],
        &["decide", "no/such", "--requests", "no/such.jsonl"],
    ] {
        refused(&pdp(args), 66, "`no/such` does not exist; check the spelling");
    }
}

#[test]
fn failures_are_json_where_json_was_asked_for() {
    let ran = pdp(["check", "no/such", "--json"]);
    assert_eq!(ran.code, Some(66));
    let json = ran.json();
    assert_eq!(json["exit_code"], 66);
    assert!(
        json["error"].as_str().is_some_and(|text| text.starts_with("`no/such` does not exist")),
        "{json}"
    );
    assert!(ran.stderr.contains("error: `no/such` does not exist"), "{}", ran.stderr);
}

#[test]
fn files_that_are_no_bundles() {
    let folder = tempfile::tempdir().or_stop("no temporary folder");
    let file = folder.path().join("policy.cedar");
    std::fs::write(&file, "permit (principal, action, resource);").or_stop("writing");
    let file = file.to_str().or_stop("a path in UTF-8");
    for command in ["check", "test", "inspect", "bench", "serve"] {
        refused(
            &pdp([command, file]),
            65,
            "PATH is a bundle folder or a file written by `pdp build`",
        );
    }
    refused(&pdp(["build", file, "-o", "x"]), 65, "`pdp build` compiles a bundle folder");
}

#[test]
fn nobody_serves_there() {
    let ran = pdp_reading(&["decide", "--server", "http://127.0.0.1:1", "--requests", "-"], "{}\n");
    refused(&ran, 69, "cannot connect to `http://127.0.0.1:1`");
}

/// Whoever pipes into `head` must not see an error, and no success either.
#[test]
fn a_closed_standard_output_ends_quietly() {
    for args in [&["answer"][..], &["--help"], &["init", "--help"]] {
        let (reader, writer) = pipe().or_stop("a pipe");
        drop(reader);
        let mut child = command()
            .args(args)
            .stdin(Stdio::piped())
            .stdout(writer)
            .stderr(Stdio::piped())
            .spawn()
            .or_stop("the tool does not start");
        let mut stdin = child.stdin.take().or_stop("no standard input");
        // Help ends without reading; then this has no reader either.
        let _ = stdin.write_all(b"x\ny\n");
        drop(stdin);
        let output = child.wait_with_output().or_stop("the tool does not end");
        assert_eq!(output.status.code(), Some(74), "{args:?}");
        assert_eq!(String::from_utf8_lossy(&output.stderr), "", "{args:?}");
    }
}
