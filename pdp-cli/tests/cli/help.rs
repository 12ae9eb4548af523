//! The help texts, word for word, in `help/`: a change of one is a change that somebody reads.
//!
//! `PDP_BLESS=1 cargo test -p pdp-cli help` writes them anew.

use std::fs;
use std::path::Path;

use crate::run::{OrStop, pdp};

const COMMANDS: [&str; 9] =
    ["init", "check", "test", "decide", "inspect", "bench", "build", "serve", "answer"];

fn check(name: &str, args: &[&str]) {
    let ran = pdp(args);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    assert_eq!(ran.stderr, "");
    // The library that prints help pads empty lines; these files have no such thing.
    let text: String = ran.stdout.lines().map(|line| format!("{}\n", line.trim_end())).collect();
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("tests/cli/help/{name}.txt"));
    if std::env::var_os("PDP_BLESS").is_some() {
        fs::write(&path, text).or_stop("writing the help text");
        return;
    }
    let expected = fs::read_to_string(&path).or_stop(&format!("reading {}", path.display()));
    assert_eq!(text, expected, "the help of `{name}` has changed; see the top of this file");
}

#[test]
fn the_tool() {
    check("pdp", &["--help"]);
    check("pdp-short", &["-h"]);
}

#[test]
fn every_command() {
    for command in COMMANDS {
        check(command, &[command, "--help"]);
    }
}

/// A command that is added must come into the list above.
#[test]
fn the_list_is_complete() {
    let listed = pdp(["-h"]).stdout;
    let listed: Vec<&str> = listed
        .lines()
        .skip_while(|line| *line != "Commands:")
        .skip(1)
        .take_while(|line| !line.is_empty())
        .filter_map(|line| line.split_whitespace().next())
        .filter(|command| *command != "help")
        .collect();
    assert_eq!(listed, COMMANDS);
}

/// Help says what the command is for, shows an example, and names its exit codes and `--json`.
#[test]
fn every_help_has_its_parts() {
    for command in COMMANDS {
        let help = pdp([command, "--help"]).stdout;
        for part in ["--json", "\nExamples:\n  pdp ", "\nExit codes:\n   0  "] {
            assert!(help.contains(part), "{command}: {part}");
        }
        assert!(
            help.lines().all(|line| line.chars().count() <= 120),
            "{command}: a line is too long"
        );
    }
}

#[test]
fn the_version() {
    let ran = pdp(["--version"]);
    assert_eq!(ran.code, Some(0));
    assert_eq!(ran.stdout, format!("pdp {}\n", env!("CARGO_PKG_VERSION")));
}
