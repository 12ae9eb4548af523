//! The decision log: one line of JSON for each decision, written beside the requests.
//!
//! A record is made on the thread that decided and put into a queue of bounded length; a thread of its own writes. When
//! the queue is full or the disk refuses, decisions go on: what is lost is counted, and a record of type `dropped` says so
//! as soon as something can be written again. Every text is JSON, so no caller can begin a line. It is no proof of
//! anything: an audit trail that cannot lose or change a record will take the place of [`sink`].
//!
//! | field | meaning |
//! |---|---|
//! | `type` | `decision`, or `dropped` with `count` and `cause` (`queue`, `write`) |
//! | `decision_id` | ULID; answers carry it as well |
//! | `time` | when it was decided, RFC 3339 in UTC, by the clock that policies see |
//! | `entry` | `authorize`, `batch`, `stream`, `filter`, `authzen`, `authzen_search`, `ext_authz` |
//! | `trace_id`, `span_id` | of the request's `traceparent`, if it has one |
//! | `decision`, `reason`, `message` | effect and why |
//! | `refusal` | a code, where a question was not taken: `not_for_caller`; of `ext_authz` also what made a call no question or, with `fault`, that deciding broke down, and then all that a question has is left out |
//! | `principal`, `action`, `resource` | `{"type", "id"}`; in a filter what is filtered is left out |
//! | `on_behalf_of`, `chain`, `scopes` | what was stated about delegation, where it was |
//! | `failed_leg`, `determining_policies`, `errors`, `obligations` | as in the answer |
//! | `context` | where the settings say so; values of masked names are `"***"`; without, `context_keys` |
//! | `candidates`, `allowed` | of a filter or search: how many, and the positions of those that are allowed |
//! | `bundle` | `{"name", "revision", "digest"}` |
//! | `latency_ns` | time to decide |

mod sink;

use std::cell::Cell;
use std::io;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use pdp_edge::Shown;
use sink::Sink;

/// Where the decision log goes and what is in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogConfig {
    /// Where lines are written.
    pub target: LogTarget,
    /// Memory of records that wait to be written, in bytes; a record for which there is none is dropped and counted.
    pub queue_bytes_max: u32,
    /// Whether context values are logged, not only their keys.
    pub context: bool,
    /// Names of attributes whose values are never logged, at any depth of a context.
    pub mask: Vec<String>,
}

/// Where lines are written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LogTarget {
    /// Standard output.
    Stdout,
    /// A file, which is continued.
    File {
        /// The file.
        path: PathBuf,
        /// Size at which it becomes `PATH.1` and a new one is begun, in bytes.
        file_bytes_max: u64,
        /// How many of `PATH.1`, `PATH.2` … are kept.
        files_max: u32,
    },
}

/// The log of a server; dropping it writes what waits.
#[derive(Debug)]
pub(crate) struct DecisionLog {
    config: LogConfig,
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

/// What was written and what was lost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct LogCounts {
    /// Records handed over, lost ones included.
    pub(crate) records: u64,
    /// Lost because the queue was full.
    pub(crate) dropped_queue: u64,
    /// Lost because they could not be written.
    pub(crate) dropped_write: u64,
}

#[derive(Debug, Default)]
struct Shared {
    waiting: Mutex<Waiting>,
    /// Told when the first record waits, and at the end.
    changed: Condvar,
    records: AtomicU64,
    dropped_queue: AtomicU64,
    dropped_write: AtomicU64,
}

/// Records that wait to be written.
#[derive(Debug, Default)]
struct Waiting {
    /// Whole lines.
    lines: Vec<u8>,
    /// Nothing more will come.
    is_closed: bool,
}

thread_local! {
    // A record is made here and copied to those that wait, so that none needs memory of its own, and the lock is held for
    // no longer than copying takes.
    static LINE: Cell<Vec<u8>> = const { Cell::new(Vec::new()) };
}

// === impl LogConfig ===

impl LogConfig {
    /// How much of a request's context is in a record.
    pub(crate) fn shown(&self) -> Shown<'_> {
        Shown { context: self.context, mask: &self.mask }
    }
}

// === impl DecisionLog ===

impl DecisionLog {
    /// Opens the target and starts the thread that writes.
    pub(crate) fn start(config: LogConfig) -> io::Result<Self> {
        let sink = Sink::open(&config.target)?;
        let shared = Arc::new(Shared::default());
        let writer = Writer { sink, shared: Arc::clone(&shared), announced: [0, 0] };
        let thread = thread::Builder::new()
            .name("pdp-decision-log".to_owned())
            .spawn(move || writer.run())?;
        Ok(Self { config, shared, thread: Some(thread) })
    }

    /// What is in it.
    pub(crate) fn config(&self) -> &LogConfig {
        &self.config
    }

    /// Hands over the record that `write` makes, a line. Waits for nothing but other records that are handed over.
    pub(crate) fn push(&self, write: impl FnOnce(&mut Vec<u8>)) {
        let mut line = LINE.try_with(Cell::take).unwrap_or_default();
        line.clear();
        write(&mut line);
        self.shared.records.fetch_add(1, Ordering::Relaxed);
        let bytes_max = usize::try_from(self.config.queue_bytes_max).unwrap_or(usize::MAX);
        let mut waiting = self.shared.lock();
        if waiting.lines.len().saturating_add(line.len()) > bytes_max {
            self.shared.dropped_queue.fetch_add(1, Ordering::Relaxed);
        } else {
            let is_first = waiting.lines.is_empty();
            waiting.lines.extend_from_slice(&line);
            drop(waiting);
            if is_first {
                self.shared.changed.notify_one();
            }
        }
        // A thread that is going away keeps nothing.
        let _ = LINE.try_with(|kept| kept.set(line));
    }

    pub(crate) fn counts(&self) -> LogCounts {
        let get = |count: &AtomicU64| count.load(Ordering::Relaxed);
        LogCounts {
            records: get(&self.shared.records),
            dropped_queue: get(&self.shared.dropped_queue),
            dropped_write: get(&self.shared.dropped_write),
        }
    }
}

impl Drop for DecisionLog {
    fn drop(&mut self) {
        // The thread ends when nothing more can come, after it has written what is there.
        self.shared.lock().is_closed = true;
        self.shared.changed.notify_one();
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

// === impl Shared ===

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// So many bytes are written at once at most, or one line.
const AT_ONCE: usize = 1 << 20;
/// How long records gather before they are written. A thread that waited for each would have to be woken for each, by
/// the thread that decides; that costs more than deciding does.
const GATHER: Duration = Duration::from_millis(5);

/// The thread's own.
struct Writer {
    sink: Sink,
    shared: Arc<Shared>,
    /// What was lost and has been said.
    announced: [u64; 2],
}

// === impl Writer ===

impl Writer {
    fn run(mut self) {
        let mut lines = Vec::new();
        // Idle, it sleeps until there is a record; busy, it takes all that gathers meanwhile.
        while self.take(&mut lines) {
            let mut rest = lines.as_slice();
            while !rest.is_empty() {
                let (piece, more) = rest.split_at(piece_bytes(rest));
                rest = more;
                match self.sink.write(piece) {
                    Ok(()) => self.announce(),
                    Err(_) => {
                        let records = piece.iter().filter(|byte| **byte == b'\n').count();
                        let records = u64::try_from(records).unwrap_or(u64::MAX);
                        self.shared.dropped_write.fetch_add(records, Ordering::Relaxed);
                    }
                }
            }
            lines.clear();
        }
        self.announce();
    }

    /// Exchanges what is empty for what waits; `false` when nothing waits and nothing will come.
    fn take(&self, lines: &mut Vec<u8>) -> bool {
        let changed = &self.shared.changed;
        let waiting = self.shared.lock();
        let waiting = changed
            .wait_while(waiting, |waiting| waiting.lines.is_empty() && !waiting.is_closed)
            .unwrap_or_else(PoisonError::into_inner);
        let gathered = changed.wait_timeout_while(waiting, GATHER, |waiting| !waiting.is_closed);
        let (mut waiting, _) = gathered.unwrap_or_else(PoisonError::into_inner);
        std::mem::swap(&mut waiting.lines, lines);
        !lines.is_empty() || !waiting.is_closed
    }

    /// Says what was lost since it was said last.
    fn announce(&mut self) {
        let lost = [("queue", &self.shared.dropped_queue), ("write", &self.shared.dropped_write)];
        for ((cause, count), announced) in lost.into_iter().zip(&mut self.announced) {
            let count = count.load(Ordering::Relaxed);
            let new = count - *announced;
            if new > 0 {
                let line =
                    format!("{{\"type\":\"dropped\",\"count\":{new},\"cause\":\"{cause}\"}}\n");
                if self.sink.write(line.as_bytes()).is_ok() {
                    *announced = count;
                }
            }
        }
    }
}

/// How much of whole lines is written at once.
fn piece_bytes(lines: &[u8]) -> usize {
    let end = |bytes: &[u8]| bytes.iter().rposition(|byte| *byte == b'\n').map(|at| at + 1);
    if lines.len() <= AT_ONCE {
        return lines.len();
    }
    let longer = || lines.iter().position(|byte| *byte == b'\n').map(|at| at + 1);
    lines.get(..AT_ONCE).and_then(end).or_else(longer).unwrap_or(lines.len())
}

#[cfg(test)]
mod tests;
