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

mod record;
mod sink;

use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::thread::{self, JoinHandle};
use std::time::Duration;

pub(crate) use record::Record;
use sink::Sink;

/// Where the decision log goes and what is in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogConfig {
    /// Where lines are written.
    pub target: LogTarget,
    /// Records that may wait to be written; one more is dropped and counted.
    pub queue_records_max: u32,
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
    queue: Option<SyncSender<Vec<u8>>>,
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
    records: AtomicU64,
    dropped_queue: AtomicU64,
    dropped_write: AtomicU64,
}

// === impl DecisionLog ===

impl DecisionLog {
    /// Opens the target and starts the thread that writes.
    pub(crate) fn start(config: LogConfig) -> io::Result<Self> {
        let sink = Sink::open(&config.target)?;
        let length = usize::try_from(config.queue_records_max).unwrap_or(usize::MAX).max(1);
        let (queue, waiting) = sync_channel(length);
        let shared = Arc::new(Shared::default());
        let counts = Arc::clone(&shared);
        let thread = thread::Builder::new()
            .name("pdp-decision-log".to_owned())
            .spawn(move || write(sink, &waiting, &counts))?;
        Ok(Self { config, queue: Some(queue), shared, thread: Some(thread) })
    }

    /// What is in it.
    pub(crate) fn config(&self) -> &LogConfig {
        &self.config
    }

    /// Hands a record over. Never waits.
    pub(crate) fn push(&self, line: Vec<u8>) {
        self.shared.records.fetch_add(1, Ordering::Relaxed);
        let Some(queue) = &self.queue else { return };
        if let Err(TrySendError::Full(_) | TrySendError::Disconnected(_)) = queue.try_send(line) {
            self.shared.dropped_queue.fetch_add(1, Ordering::Relaxed);
        }
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
        self.queue = None;
        if let Some(thread) = self.thread.take() {
            thread.thread().unpark();
            let _ = thread.join();
        }
    }
}

/// So many records are written at once at most.
const AT_ONCE: usize = 8_192;
/// How long records gather before they are written. A thread that waited for each would have to be woken for each, by
/// the thread that decides; that costs more than deciding does.
const GATHER: Duration = Duration::from_millis(5);

fn write(mut sink: Sink, waiting: &Receiver<Vec<u8>>, shared: &Shared) {
    let mut announced = [0, 0];
    let mut lines = Vec::new();
    // Idle, it sleeps until there is a record; busy, it is woken once for all that gathers meanwhile.
    while let Ok(first) = waiting.recv() {
        // Ended early by whoever closes the log.
        thread::park_timeout(GATHER);
        lines.clear();
        lines.extend_from_slice(&first);
        let mut records = 1_u64;
        for line in waiting.try_iter().take(AT_ONCE) {
            lines.extend_from_slice(&line);
            records += 1;
        }
        match sink.write(&lines) {
            Ok(()) => announce(&mut sink, shared, &mut announced),
            Err(_) => _ = shared.dropped_write.fetch_add(records, Ordering::Relaxed),
        }
    }
    announce(&mut sink, shared, &mut announced);
}

/// Says what was lost since it was said last.
fn announce(sink: &mut Sink, shared: &Shared, announced: &mut [u64; 2]) {
    let lost = [("queue", &shared.dropped_queue), ("write", &shared.dropped_write)];
    for ((cause, count), announced) in lost.into_iter().zip(announced) {
        let count = count.load(Ordering::Relaxed);
        let new = count - *announced;
        if new > 0 {
            let line = format!("{{\"type\":\"dropped\",\"count\":{new},\"cause\":\"{cause}\"}}\n");
            if sink.write(line.as_bytes()).is_ok() {
                *announced = count;
            }
        }
    }
}

#[cfg(test)]
mod tests;
