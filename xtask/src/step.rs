//! One command of a task: printed, run from the workspace's root, and its failure put into words.
//!
//! Commands get no standard input, so that nothing waits for an answer where nobody sits.

use std::ffi::OsString;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// A command and what to do when it fails.
#[derive(Debug)]
pub(crate) struct Step {
    program: OsString,
    args: Vec<OsString>,
    env: Vec<(&'static str, OsString)>,
    remedy: &'static str,
}

// === impl Step ===

impl Step {
    /// Runs cargo, the same that runs us.
    pub(crate) fn cargo<S: Into<OsString>>(args: impl IntoIterator<Item = S>) -> Self {
        Self {
            program: std::env::var_os("CARGO").unwrap_or("cargo".into()),
            args: args.into_iter().map(Into::into).collect(),
            env: Vec::new(),
            remedy: "",
        }
    }

    /// Runs a program that the release build made.
    pub(crate) fn built(name: &str) -> Self {
        let program = release_folder().join(name).into_os_string();
        Self { program, args: Vec::new(), env: Vec::new(), remedy: "" }
    }

    /// Runs another program.
    pub(crate) fn program<S: Into<OsString>>(
        program: &str,
        args: impl IntoIterator<Item = S>,
    ) -> Self {
        Self {
            program: program.into(),
            args: args.into_iter().map(Into::into).collect(),
            env: Vec::new(),
            remedy: "",
        }
    }

    /// Adds arguments.
    pub(crate) fn args<S: Into<OsString>>(mut self, args: impl IntoIterator<Item = S>) -> Self {
        self.args.extend(args.into_iter().map(Into::into));
        self
    }

    /// Sets a variable for it.
    pub(crate) fn env(mut self, name: &'static str, value: impl Into<OsString>) -> Self {
        self.env.push((name, value.into()));
        self
    }

    /// What to do when it fails.
    pub(crate) fn remedy(mut self, remedy: &'static str) -> Self {
        self.remedy = remedy;
        self
    }

    /// Runs it; its output goes where ours goes.
    pub(crate) fn run(self) -> Result<(), String> {
        self.announce();
        let status = self.command()?.status();
        self.judge(status.map_err(|e| self.unstartable(&e))?)
    }

    /// As [`Step::run`], but ends it when it takes longer.
    pub(crate) fn run_within(self, longest: Duration) -> Result<(), String> {
        self.announce();
        let begun = Instant::now();
        let mut child = self.command()?.spawn().map_err(|e| self.unstartable(&e))?;
        loop {
            if let Some(status) = child.try_wait().map_err(|e| self.unstartable(&e))? {
                return self.judge(status);
            }
            if begun.elapsed() > longest {
                let ended = child.kill().and_then(|()| child.wait());
                ended.map_err(|e| self.unstartable(&e))?;
                return Err(format!("`{self}` took longer than {} s", longest.as_secs()));
            }
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    /// Runs it; each line of its standard output is printed and also given to `read`.
    pub(crate) fn run_reading(self, mut read: impl FnMut(&str)) -> Result<(), String> {
        self.announce();
        let mut child =
            self.command()?.stdout(Stdio::piped()).spawn().map_err(|e| self.unstartable(&e))?;
        let mut output = child.stdout.take().map(BufReader::new);
        let mut line = Vec::new();
        while let Some(output) = &mut output {
            line.clear();
            match output.read_until(b'\n', &mut line) {
                Ok(0) => break,
                Ok(_) => {
                    let text = String::from_utf8_lossy(&line);
                    print!("{text}");
                    read(text.trim_end());
                }
                Err(e) => return Err(format!("cannot read what `{self}` prints: {e}")),
            }
        }
        let status = child.wait().map_err(|e| self.unstartable(&e))?;
        self.judge(status)
    }

    /// What it prints on standard output, silently.
    pub(crate) fn output(self) -> Result<String, String> {
        let output =
            self.command()?.stderr(Stdio::piped()).output().map_err(|e| self.unstartable(&e))?;
        match self.judge(output.status) {
            Ok(()) => Ok(String::from_utf8_lossy(&output.stdout).into_owned()),
            Err(error) => {
                Err(format!("{error}\n{}", String::from_utf8_lossy(&output.stderr).trim_end()))
            }
        }
    }

    fn command(&self) -> Result<Command, String> {
        let mut command = Command::new(&self.program);
        command.args(&self.args).current_dir(workspace()?).stdin(Stdio::null());
        command.envs(self.env.iter().map(|(name, value)| (name, value)));
        Ok(command)
    }

    fn announce(&self) {
        println!("\nxtask: {self}");
    }

    fn judge(&self, status: std::process::ExitStatus) -> Result<(), String> {
        match (status.success(), self.remedy) {
            (true, _) => Ok(()),
            (false, "") => Err(format!("`{self}` failed ({status})")),
            (false, remedy) => Err(format!("`{self}` failed ({status}); {remedy}")),
        }
    }

    fn unstartable(&self, error: &std::io::Error) -> String {
        let program = Path::new(&self.program).display();
        let remedy = match self.remedy {
            "" => "install it or put it on the PATH",
            remedy => remedy,
        };
        format!("`{program}` cannot be run ({error}); {remedy}")
    }
}

/// Prints the command as one would type it.
impl std::fmt::Display for Step {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let path = std::env::var_os("PATH").unwrap_or_default();
        for (name, value) in &self.env {
            // Of a path only what was added to ours.
            match value.display().to_string().strip_prefix(&path.display().to_string()) {
                Some(added) if *name == "PATH" => write!(f, "PATH=$PATH{added} ")?,
                _ => write!(f, "{name}={} ", value.display())?,
            }
        }
        let program = Path::new(&self.program).file_stem().unwrap_or(&self.program);
        write!(f, "{}", program.display())?;
        self.args.iter().try_for_each(|arg| write!(f, " {}", arg.display()))
    }
}

/// Where release builds are put, from the workspace's root on.
pub(crate) fn release_folder() -> PathBuf {
    std::env::var_os("CARGO_TARGET_DIR")
        .map_or_else(|| "target".into(), PathBuf::from)
        .join("release")
}

/// The workspace's root.
pub(crate) fn workspace() -> Result<PathBuf, String> {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().map(Path::to_path_buf).ok_or_else(|| {
        "the xtask crate has no parent folder; keep it directly below the workspace".to_owned()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shell(script: &str) -> Step {
        Step {
            program: "sh".into(),
            args: vec!["-c".into(), script.into()],
            env: Vec::new(),
            remedy: "mend it",
        }
    }

    #[test]
    fn a_failure_names_command_and_remedy() {
        let error = shell("exit 3").run().err().unwrap_or_default();
        assert_eq!(error, "`sh -c exit 3` failed (exit status: 3); mend it");
    }

    #[test]
    fn a_missing_program_is_named() {
        let step = Step {
            program: "no-such-program".into(),
            args: Vec::new(),
            env: Vec::new(),
            remedy: "",
        };
        let error = step.run().err().unwrap_or_default();
        assert!(error.starts_with("`no-such-program` cannot be run ("), "{error}");
        assert!(error.ends_with("install it or put it on the PATH"), "{error}");
    }

    #[test]
    fn lines_are_read_and_input_is_empty() {
        let mut lines = Vec::new();
        let done = shell("echo one; cat; echo two").run_reading(|line| lines.push(line.to_owned()));
        assert_eq!((done, lines.as_slice()), (Ok(()), &["one".to_owned(), "two".to_owned()][..]));
    }

    #[test]
    fn what_takes_too_long_is_ended() {
        let begun = Instant::now();
        let step =
            Step { program: "sleep".into(), args: vec!["60".into()], env: Vec::new(), remedy: "" };
        let error = step.run_within(Duration::from_millis(100)).err().unwrap_or_default();
        assert_eq!(error, "`sleep 60` took longer than 0 s");
        assert!(begun.elapsed() < Duration::from_secs(30));
    }

    #[test]
    fn silent_output_is_given_back_and_errors_are_kept() {
        assert_eq!(shell("echo said").output(), Ok("said\n".to_owned()));
        let error = shell("echo why >&2; exit 1").output().err().unwrap_or_default();
        assert!(error.ends_with("mend it\nwhy"), "{error}");
    }
}
