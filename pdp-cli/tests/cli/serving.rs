//! `pdp serve` and `pdp decide --server`: the line that says ready, the same answers, and the end.

use std::io::{BufRead, BufReader};
use std::process::{Child, ChildStderr, Command, Stdio};

use crate::run::{OrStop, Ran, Starter, command, pdp, pdp_reading};

/// A server that is stopped when the test ends.
struct Served {
    child: Child,
    ready: String,
    /// What it says on standard error, for who wants to hear it.
    notes: Option<BufReader<ChildStderr>>,
}

// === impl Served ===

impl Served {
    fn new(path: &str, more: &[&str]) -> Self {
        Self::start(path, more, Stdio::null())
    }

    /// One whose standard error is read.
    fn noted(path: &str, more: &[&str]) -> Self {
        Self::start(path, more, Stdio::piped())
    }

    fn start(path: &str, more: &[&str], stderr: Stdio) -> Self {
        let mut child = command()
            .args(["serve", path, "--listen", "127.0.0.1:0"])
            .args(more)
            .stdout(Stdio::piped())
            .stderr(stderr)
            .spawn()
            .or_stop("the server does not start");
        let mut ready = String::new();
        let stdout = child.stdout.take().or_stop("no standard output");
        BufReader::new(stdout).read_line(&mut ready).or_stop("no line");
        assert!(ready.starts_with("pdp: serving "), "not ready: `{ready}`");
        let notes = child.stderr.take().map(BufReader::new);
        Self { child, ready, notes }
    }

    /// Reads on until a line has `text` in it.
    fn says(&mut self, text: &str) {
        let notes = self.notes.as_mut().or_stop("standard error is not read");
        let mut line = String::new();
        while !line.contains(text) {
            line.clear();
            assert!(notes.read_line(&mut line).or_stop("no line") > 0, "never says `{text}`");
        }
    }

    fn url(&self) -> String {
        let address = self.ready.trim_end().rsplit("grpc://").next().or_stop("an address");
        format!("http://{address}")
    }

    /// Sends a signal by the means of the shell; the standard library has none.
    fn signal(&self, name: &str) {
        let status = Command::new("kill").args([name, &self.child.id().to_string()]).status();
        assert!(status.or_stop("sending a signal").success());
    }

    fn wait(&mut self) -> Option<i32> {
        self.child.wait().or_stop("the server does not end").code()
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn ask(target: &[&str], principal: &str, more: &[&str]) -> Ran {
    let mut args = vec!["decide"];
    args.extend(target);
    args.extend([
        "--principal",
        principal,
        "--action",
        "Action::\"view\"",
        "--resource",
        "Document::\"plan\"",
    ]);
    args.extend(["--context", r#"{"mfa": false}"#, "--json"]);
    args.extend(more);
    pdp(args)
}

#[test]
fn one_line_when_ready() {
    let starter = Starter::new();
    let digest = pdp(["check", &starter.path(), "--json"]).json();
    let digest = digest["bundle"]["digest"]
        .as_str()
        .and_then(|digest| digest.get(..12))
        .or_stop("a digest")
        .to_owned();
    let served = Served::new(&starter.path(), &[]);
    let expected = format!("pdp: serving starter revision 1 ({digest}) on grpc://127.0.0.1:");
    assert!(served.ready.starts_with(&expected), "{}", served.ready);
}

#[test]
fn a_server_answers_as_the_bundle_does() {
    let starter = Starter::new();
    for path in [starter.path(), starter.built()] {
        let served = Served::new(&path, &[]);
        let url = served.url();
        for (principal, code) in [("User::\"bob\"", 0), ("User::\"eve\"", 2)] {
            let here = ask(&[&path], principal, &[]);
            let there = ask(&["--server", &url], principal, &[]);
            assert_eq!(here.code, Some(code), "{here:?}");
            assert_eq!(there.code, Some(code), "{there:?}");
            assert_eq!(here.stdout, there.stdout);
            // A schema at hand does not change the question.
            assert_eq!(ask(&[&path, "--server", &url], principal, &[]).stdout, here.stdout);
        }
        // As the ready line spells it.
        assert_eq!(
            ask(&["--server", &url.replace("http", "grpc")], "User::\"bob\"", &[]).code,
            Some(0)
        );
    }
}

#[test]
fn lines_of_requests_go_to_the_server() {
    let starter = Starter::new();
    let served = Served::new(&starter.path(), &[]);
    let line = r#"{"principal": "User::\"bob\"", "action": "Action::\"view\"", "resource": "Document::\"plan\"", "context": {"mfa": false}"#;
    let input = format!("{line}}}\n{line}, \"now\": \"2026-06-01\"}}\n{line}}}\n");
    let ran = pdp_reading(&["decide", "--server", &served.url(), "--requests", "-"], &input);
    assert_eq!(ran.code, Some(65), "{ran:?}");
    let lines = ran.json_lines();
    let decisions: Vec<Option<&str>> = lines.iter().map(|line| line["decision"].as_str()).collect();
    assert_eq!(decisions, [Some("allow"), None, Some("allow")], "{lines:?}");
    assert!(
        lines
            .get(1)
            .and_then(|line| line["error"].as_str())
            .is_some_and(|text| text.contains("`now`")),
        "{lines:?}"
    );
}

#[test]
fn delegation_counts_only_from_those_who_are_trusted() {
    let starter = Starter::new();
    let delegated = ["--on-behalf-of", "User::\"ann\""];
    let distrusting = Served::new(&starter.path(), &[]);
    let ran = ask(&["--server", &distrusting.url()], "User::\"bob\"", &delegated);
    assert_eq!(ran.code, Some(2), "{ran:?}");
    assert_eq!(ran.json()["reason"], "invalid_request");
    let trusting = Served::new(&starter.path(), &["--trust-delegation"]);
    let ran = ask(&["--server", &trusting.url()], "User::\"bob\"", &delegated);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    assert_eq!(ran.json()["legs"].as_array().map(Vec::len), Some(2));
    assert_eq!(ran.stdout, ask(&[&starter.path()], "User::\"bob\"", &delegated).stdout);
}

#[test]
fn signals_end_it() {
    let starter = Starter::new();
    for name in ["-TERM", "-INT"] {
        let mut served = Served::new(&starter.path(), &[]);
        served.signal(name);
        assert_eq!(served.wait(), Some(0), "{name}");
        let ran = ask(&["--server", &served.url()], "User::\"bob\"", &[]);
        assert_eq!(ran.code, Some(69), "{ran:?}");
    }
}

#[test]
fn an_address_in_use_is_said() {
    let starter = Starter::new();
    let served = Served::new(&starter.path(), &[]);
    let address = served.url().replace("http://", "");
    let ran = pdp(["serve", &starter.path(), "--listen", &address]);
    assert_eq!(ran.code, Some(69), "{ran:?}");
    assert!(ran.stderr.contains("the address is in use"), "{}", ran.stderr);
    assert_eq!(ran.stdout, "", "nothing is ready");
}

#[test]
fn a_folder_that_changes_is_served_as_it_is_then() {
    let starter = Starter::new();
    let mut served = Served::noted(&starter.path(), &["--poll-ms", "20"]);
    let allowed = |served: &Served| ask(&["--server", &served.url()], "User::\"bob\"", &[]).code;
    assert_eq!(allowed(&served), Some(0));
    // A bad edit changes nothing, and is said with what is wrong.
    starter.append("bundle.toml", "\nunheard_of = 1\n");
    served.says("still serving starter revision 1 ");
    served.says("unheard_of");
    assert_eq!(allowed(&served), Some(0));
    // A case that fails is as bad as a text that cannot be read.
    starter.edit("bundle.toml", "unheard_of = 1", "");
    starter.append("more.cedar", "forbid(principal, action, resource);");
    served.says("cases fail; `");
    assert_eq!(allowed(&served), Some(0));
    // A good one is served.
    starter.edit("more.cedar", "forbid(principal, action, resource);", "// nobody");
    starter.edit("bundle.toml", "revision = 1", "revision = 2");
    served.says("now serving starter revision 2 ");
    let answer = ask(&["--server", &served.url()], "User::\"bob\"", &[]).json();
    assert_eq!(answer["bundle"]["revision"], 2, "{answer}");
}

#[test]
fn a_bundle_that_fails_its_own_cases_is_not_served() {
    let starter = Starter::new();
    starter.append("more.cedar", "forbid(principal, action, resource);");
    let ran = pdp(["serve", &starter.path(), "--listen", "127.0.0.1:0"]);
    assert_eq!(ran.code, Some(65), "{ran:?}");
    assert!(ran.stderr.contains("cases fail; `"), "{}", ran.stderr);
    assert_eq!(ran.stdout, "", "nothing is ready");
}
