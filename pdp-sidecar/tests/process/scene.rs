//! A folder with a bundle, and the binary that serves it.

use std::fs;
use std::io::{BufRead, BufReader, Lines};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStderr, ChildStdout, Command, Output, Stdio};

use pdp_core::{CompileOptions, Source};
use tempfile::TempDir;

/// A folder with a bundle in it.
pub(crate) struct Scene {
    pub(crate) folder: TempDir,
}

/// A running process, stopped when the test ends.
pub(crate) struct Sidecar {
    pub(crate) child: Child,
    pub(crate) said: Lines<BufReader<ChildStdout>>,
    pub(crate) told: Lines<BufReader<ChildStderr>>,
}

// === impl Scene ===

impl Scene {
    pub(crate) fn new() -> Self {
        let scene = Self { folder: tempfile::tempdir().unwrap() };
        scene.write("certification", "c.pdpb", |text| text);
        scene
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub(crate) fn text(&self, name: &str) -> String {
        self.path(name).to_str().unwrap().to_owned()
    }

    /// Compiles one of `policies/`, with its manifest changed, into a file that appears whole.
    pub(crate) fn write(&self, policies: &str, file: &str, manifest: impl Fn(String) -> String) {
        let from = Path::new(env!("CARGO_MANIFEST_DIR")).join("../policies").join(policies);
        let copy = tempfile::tempdir().unwrap();
        copy_folder(&from, copy.path());
        let path = copy.path().join("bundle.toml");
        fs::write(&path, manifest(fs::read_to_string(&path).unwrap())).unwrap();
        let source = Source::folder(copy.path()).unwrap();
        let bytes = pdp_core::compile(&source, &CompileOptions::STANDARD).unwrap();
        let aside = self.path("aside");
        fs::write(&aside, bytes).unwrap();
        fs::rename(aside, self.path(file)).unwrap();
    }

    pub(crate) fn run(&self, args: &[&str]) -> Output {
        command().args(args).current_dir(self.folder.path()).output().unwrap()
    }

    pub(crate) fn start(&self, args: &[&str]) -> Sidecar {
        let mut child = command()
            .args(args)
            .current_dir(self.folder.path())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let said = BufReader::new(child.stdout.take().unwrap()).lines();
        let told = BufReader::new(child.stderr.take().unwrap()).lines();
        Sidecar { child, said, told }
    }
}

fn copy_folder(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let to = to.join(entry.file_name());
        match entry.file_type().unwrap().is_dir() {
            true => copy_folder(&entry.path(), &to),
            false => drop(fs::copy(entry.path(), to).unwrap()),
        }
    }
}

/// The binary, in an environment that has no settings.
pub(crate) fn command() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_pdp-sidecar"));
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("PDP_") {
            command.env_remove(name);
        }
    }
    command.stdin(Stdio::null());
    command
}

// === impl Sidecar ===

impl Sidecar {
    /// Where a line on standard output says that it answers.
    pub(crate) fn address(&mut self, scheme: &str) -> String {
        let line = self.said.next().unwrap().unwrap();
        line.rsplit(scheme).next().map(str::to_owned).unwrap()
    }

    /// Reads on until a line of standard error has `text` in it.
    pub(crate) fn tells(&mut self, text: &str) -> String {
        for line in self.told.by_ref() {
            let line = line.unwrap();
            if line.contains(text) {
                return line;
            }
        }
        panic!("it never tells `{text}`")
    }

    pub(crate) fn stop(&mut self) -> Option<i32> {
        let id = self.child.id().to_string();
        assert!(Command::new("kill").args(["-TERM", &id]).status().unwrap().success());
        self.child.wait().unwrap().code()
    }
}

impl Drop for Sidecar {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
