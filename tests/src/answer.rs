//! `pdp answer` as a process: a case in, a line out.

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use serde_json::Value;

/// A running `pdp answer`.
#[derive(Debug)]
pub struct AnswerProcess {
    child: Child,
    to: Option<ChildStdin>,
    from: BufReader<ChildStdout>,
}

impl AnswerProcess {
    /// Starts the tool.
    pub fn start(pdp: &Path, all_policies: bool) -> Result<Self, String> {
        let mut command = Command::new(pdp);
        command.arg("answer").stdin(Stdio::piped()).stdout(Stdio::piped());
        if all_policies {
            command.arg("--all-policies");
        }
        let mut child = command.spawn().map_err(|e| {
            format!(
                "cannot run {}: {e}; build it with `cargo build --release -p pdp-cli`",
                pdp.display()
            )
        })?;
        let (to, from) = (child.stdin.take(), child.stdout.take());
        let from = from.ok_or("the tool has no standard output")?;
        Ok(Self { child, to, from: BufReader::new(from) })
    }

    /// Sends a case and reads the line that answers it.
    pub fn ask(&mut self, case: &Value) -> Result<Value, String> {
        let to = self.to.as_mut().ok_or("the tool has no standard input")?;
        writeln!(to, "{case}")
            .and_then(|()| to.flush())
            .map_err(|e| format!("the tool does not read: {e}"))?;
        let mut line = String::new();
        self.from.read_line(&mut line).map_err(|e| format!("the tool does not answer: {e}"))?;
        serde_json::from_str(&line).map_err(|e| format!("the tool answered no JSON ({e}): {line}"))
    }
}

impl Drop for AnswerProcess {
    fn drop(&mut self) {
        // Closing its input ends it.
        self.to = None;
        let _ = self.child.wait();
    }
}
