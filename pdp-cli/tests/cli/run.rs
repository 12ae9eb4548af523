//! Starts the tool, and makes bundles for it.

use std::ffi::OsStr;
use std::fmt::Debug;
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use serde_json::Value;
use tempfile::TempDir;

/// What a run of the tool came to.
#[derive(Debug)]
pub(crate) struct Ran {
    pub(crate) code: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

/// The bundle that `pdp init` writes, in a folder that disappears.
pub(crate) struct Starter {
    root: TempDir,
}

/// Stops a test at a surprise, and says what it was.
pub(crate) trait OrStop<T> {
    fn or_stop(self, doing: &str) -> T;
}

// === impl OrStop ===

impl<T, E: Debug> OrStop<T> for Result<T, E> {
    fn or_stop(self, doing: &str) -> T {
        match self {
            Ok(value) => value,
            Err(error) => stop(&format!("{doing}: {error:?}")),
        }
    }
}

impl<T> OrStop<T> for Option<T> {
    fn or_stop(self, doing: &str) -> T {
        self.unwrap_or_else(|| stop(doing))
    }
}

#[expect(clippy::panic, reason = "this is how a test fails")]
fn stop(why: &str) -> ! {
    panic!("{why}")
}

/// A command that is the tool, without colours or terminals.
pub(crate) fn command() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_pdp"));
    command.env_remove("NO_COLOR").stdin(Stdio::null());
    command
}

/// Runs the tool.
pub(crate) fn pdp<S: AsRef<OsStr>>(args: impl IntoIterator<Item = S>) -> Ran {
    Ran::new(command().args(args).output().or_stop("the tool does not start"))
}

/// Runs the tool with something on its standard input.
pub(crate) fn pdp_reading(args: &[&str], input: &str) -> Ran {
    let mut child = command()
        .args(args)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .or_stop("the tool does not start");
    let mut stdin = child.stdin.take().or_stop("no standard input");
    let input = input.to_owned();
    // From a thread of its own: the tool may answer before it has read everything, or end without reading.
    let writer = std::thread::spawn(move || {
        let _ = stdin.write_all(input.as_bytes());
    });
    let output = child.wait_with_output().or_stop("the tool does not end");
    writer.join().or_stop("writing input");
    Ran::new(output)
}

// === impl Ran ===

impl Ran {
    fn new(output: Output) -> Self {
        Self {
            code: output.status.code(),
            stdout: String::from_utf8(output.stdout).or_stop("standard output is UTF-8"),
            stderr: String::from_utf8(output.stderr).or_stop("standard error is UTF-8"),
        }
    }

    /// Standard output as one JSON object.
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.stdout).or_stop(&format!("not JSON: {self:?}"))
    }

    /// Standard output as one JSON object a line.
    pub(crate) fn json_lines(&self) -> Vec<Value> {
        let parse = |line| serde_json::from_str(line).or_stop(&format!("not JSON: {line}"));
        self.stdout.lines().map(parse).collect()
    }
}

// === impl Starter ===

impl Starter {
    /// Has it written.
    pub(crate) fn new() -> Self {
        let starter = Self { root: tempfile::tempdir().or_stop("no temporary folder") };
        let ran = pdp(["init", &starter.path()]);
        assert_eq!(ran.code, Some(0), "{ran:?}");
        starter
    }

    /// The bundle folder.
    pub(crate) fn path(&self) -> String {
        self.beside("starter")
    }

    /// A path beside the bundle folder.
    pub(crate) fn beside(&self, name: &str) -> String {
        self.root.path().join(name).to_str().or_stop("a path in UTF-8").to_owned()
    }

    /// Names beside the bundle folder.
    pub(crate) fn names_beside(&self) -> Vec<String> {
        let mut names: Vec<String> = fs::read_dir(self.root.path())
            .or_stop("reading the folder")
            .map(|entry| {
                entry.or_stop("reading the folder").file_name().to_string_lossy().into_owned()
            })
            .collect();
        names.sort();
        names
    }

    /// Replaces text in one of the bundle's files; the text must be there.
    pub(crate) fn edit(&self, file: &str, from: &str, to: &str) {
        let path = Path::new(&self.path()).join(file);
        let text = fs::read_to_string(&path).or_stop(file);
        assert!(text.contains(from), "`{from}` is not in {file}");
        fs::write(&path, text.replacen(from, to, 1)).or_stop(file);
    }

    /// Adds text to the end of one of the bundle's files, or writes a new one.
    pub(crate) fn append(&self, file: &str, text: &str) {
        let path = Path::new(&self.path()).join(file);
        let old = fs::read_to_string(&path).unwrap_or_default();
        fs::write(&path, old + text).or_stop(file);
    }

    /// Builds the bundle into a file beside it.
    pub(crate) fn built(&self) -> String {
        let file = self.beside("starter.pdpb");
        let ran = pdp(["build", &self.path(), "-o", &file]);
        assert_eq!(ran.code, Some(0), "{ran:?}");
        file
    }
}

/// The folder with the bundles that this repository ships.
pub(crate) fn policies() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../policies")
}
