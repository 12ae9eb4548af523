//! What is at a path, by what the file system says of it: cheap to take, and different when anything was written.
//!
//! It does not read contents. Where a change might not show yet, because the clock of the file system ticks slower than
//! writers write, it says that it is not settled.

use std::fs::{self, Metadata};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

/// A change within this time of another may carry the same time; a tick of the kernel is 10 ms at most.
const TICK_MS: i128 = 100;
/// More files than any bundle folder has; what lies beyond is not looked at.
const FILES_MAX: usize = 100_000;
/// Deeper than any bundle folder is.
const DEPTH_MAX: u32 = 8;

/// What was at a path. The default is equal to nothing that is there.
#[derive(Clone, Debug, Default)]
pub(super) struct Stamp {
    files: Vec<Entry>,
    /// Whether another change would show.
    settled: bool,
}

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Entry {
    path: PathBuf,
    /// `None` when it cannot be seen.
    state: Option<State>,
}

/// Times in nanoseconds since 1970.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct State {
    device: u64,
    inode: u64,
    length: u64,
    changed: i128,
    written: i128,
}

// === impl Stamp ===

impl Stamp {
    /// Looks.
    pub(super) fn of(path: &Path) -> Self {
        let mut files = Vec::new();
        walk(path, DEPTH_MAX, &mut files);
        files.sort_unstable();
        let now = now_ns();
        let ticked = |ns: i128| (now - ns).abs() > TICK_MS * 1_000_000;
        let settled =
            files.iter().all(|entry| entry.state.is_none_or(|state| ticked(state.changed)));
        Self { files, settled }
    }

    /// Whether a change after this look would have given another stamp.
    pub(super) fn is_settled(&self) -> bool {
        self.settled
    }
}

/// Settled or not, the same files are the same.
impl PartialEq for Stamp {
    fn eq(&self, other: &Self) -> bool {
        self.files == other.files
    }
}

fn walk(path: &Path, depth_left: u32, files: &mut Vec<Entry>) {
    if files.len() >= FILES_MAX {
        return;
    }
    // Through symlinks, which is how Kubernetes swaps: the target's inode is another one then.
    let meta = fs::metadata(path).ok();
    files.push(Entry { path: path.to_owned(), state: meta.as_ref().map(state) });
    if depth_left == 0 || !meta.is_some_and(|meta| meta.is_dir()) {
        return;
    }
    let Ok(inside) = fs::read_dir(path) else { return };
    for entry in inside.flatten() {
        walk(&entry.path(), depth_left - 1, files);
    }
}

fn state(meta: &Metadata) -> State {
    let ns = |s: i64, ns: i64| i128::from(s) * 1_000_000_000 + i128::from(ns);
    State {
        device: meta.dev(),
        inode: meta.ino(),
        length: meta.len(),
        changed: ns(meta.ctime(), meta.ctime_nsec()),
        written: ns(meta.mtime(), meta.mtime_nsec()),
    }
}

fn now_ns() -> i128 {
    match SystemTime::now().duration_since(UNIX_EPOCH) {
        Ok(since) => i128::try_from(since.as_nanos()).unwrap_or(i128::MAX),
        Err(_) => 0,
    }
}
