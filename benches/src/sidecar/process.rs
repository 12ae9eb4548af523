//! A server, a proxy or an attacker in a process of its own, which ends with its value.

use std::fs;
use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

/// Kernel ticks of CPU time a second, as Linux has them for programs.
const TICKS_PER_SECOND: f64 = 100.0;
/// How long a process may take to say what is waited for.
const PATIENCE: Duration = Duration::from_secs(120);

/// A process of this program.
pub(crate) struct Process {
    child: Child,
    /// What it said first; of a server, its URL.
    pub(crate) said: String,
    /// What it says after that, line by line.
    pub(crate) lines: Receiver<String>,
}

// === impl Process ===

impl Process {
    /// Starts this program with other arguments and waits for its first line.
    pub(crate) fn start(args: &[&str]) -> Result<Self, String> {
        let program = std::env::current_exe().map_err(|error| error.to_string())?;
        let mut child = Command::new(program)
            .args(args)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .map_err(|error| error.to_string())?;
        let stdout = child.stdout.take().ok_or("no output")?;
        let (send, lines) = channel();
        // Ends with the process, whose output ends then.
        std::thread::spawn(move || {
            for line in BufReader::new(stdout).lines().map_while(Result::ok) {
                if send.send(line).is_err() {
                    return;
                }
            }
        });
        let mut process = Self { child, said: String::new(), lines };
        process.said = heard(&process.lines).map_err(|why| format!("{}: {why}", args.join(" ")))?;
        Ok(process)
    }

    /// Another program, which says nothing that anybody here listens to.
    pub(crate) fn of(child: Child) -> Self {
        Self { child, said: String::new(), lines: channel().1 }
    }

    /// User and system time so far.
    pub(crate) fn cpu_seconds(&self) -> Result<f64, String> {
        let path = format!("/proc/{}/stat", self.child.id());
        let text = fs::read_to_string(&path).map_err(|error| format!("{path}: {error}"))?;
        // The name of the program, in brackets, may have anything in it.
        let fields = text.rsplit_once(") ").map(|(_, rest)| rest).unwrap_or_default();
        let ticks = fields.split(' ').skip(11).take(2).map(|field| field.parse::<f64>());
        let ticks: Result<Vec<f64>, _> = ticks.collect();
        Ok(ticks.map_err(|error| error.to_string())?.iter().sum::<f64>() / TICKS_PER_SECOND)
    }

    /// How many files and sockets it has open.
    pub(crate) fn open_files(&self) -> Result<usize, String> {
        let path = format!("/proc/{}/fd", self.child.id());
        Ok(fs::read_dir(&path).map_err(|error| format!("{path}: {error}"))?.count())
    }

    /// Waits until it has no more than so many open.
    pub(crate) async fn closes_down_to(&self, files: usize) -> Result<(), String> {
        let begun = Instant::now();
        loop {
            let open = self.open_files()?;
            if open <= files {
                return Ok(());
            }
            if begun.elapsed() > PATIENCE {
                return Err(format!("the server keeps {open} files open, and had {files} before"));
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
}

/// Waits for the next line of a process.
pub(crate) fn heard(lines: &Receiver<String>) -> Result<String, String> {
    lines.recv_timeout(PATIENCE).map_err(|_| "it ended, or said nothing in time".to_owned())
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
