//! A sign of life on standard error while something takes long, and only if a terminal shows it.
//!
//! Short work stays silent: nothing appears in the first moments, and what appeared is wiped when the work ends.

use std::io::{self, IsTerminal, Write};
use std::sync::mpsc::{self, RecvTimeoutError, Sender};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

/// A line that tells what is going on, until this is dropped.
#[derive(Debug)]
pub(crate) struct Progress {
    ticking: Option<(Sender<()>, JoinHandle<()>)>,
}

/// Work shorter than this shows nothing.
const QUIET_MS: u64 = 400;
/// How often the line is renewed.
const TICK_MS: u64 = 500;

// === impl Progress ===

impl Progress {
    /// Starts to tell about `what`.
    pub(crate) fn start(what: String) -> Self {
        if !io::stderr().is_terminal() {
            return Self { ticking: None };
        }
        let (stop, stopped) = mpsc::channel();
        let tick = move || {
            let start = Instant::now();
            let mut wait = Duration::from_millis(QUIET_MS);
            let mut drawn = false;
            while stopped.recv_timeout(wait) == Err(RecvTimeoutError::Timeout) {
                draw(&format!("\r\x1b[K{what} … {} s", start.elapsed().as_secs()));
                drawn = true;
                wait = Duration::from_millis(TICK_MS);
            }
            if drawn {
                draw("\r\x1b[K");
            }
        };
        // Without a thread to spare there is no sign of life; the work goes on.
        let thread = thread::Builder::new().name("progress".to_owned()).spawn(tick);
        Self { ticking: thread.ok().map(|thread| (stop, thread)) }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        if let Some((stop, thread)) = self.ticking.take() {
            drop(stop);
            // The thread has nothing to return; a terminal that went away is no reason to fail.
            let _ = thread.join();
        }
    }
}

fn draw(text: &str) {
    let mut stderr = io::stderr().lock();
    let _ = stderr.write_all(text.as_bytes()).and_then(|()| stderr.flush());
}
