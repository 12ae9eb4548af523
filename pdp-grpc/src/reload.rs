//! What is served, kept in step with its file or folder: seen, loaded aside, checked by its own cases, swapped whole.
//!
//! Events of the file system are hints and a look every so often is the floor, because events get lost: with the
//! symlinks that Kubernetes swaps, on network file systems, when a queue overflows. All work happens on threads of
//! its own, and loading gives way to all else; requests go on with the bundle in force and never wait. What cannot be read, does not verify or fails its
//! own cases changes nothing but the status. It refuses to judge whether a revision may be older than the one before;
//! that, and signatures, will stand between loading and publishing, in [`activate`].

mod aside;
mod stamp;

use std::fmt;
use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant, SystemTime};

use notify::{RecommendedWatcher, RecursiveMode, Watcher};
use pdp_core::{Bundle, BundleName, DecideOptions, Decider, Live, LoadLimits, Scratch, run_cases};

use aside::Aside;
use stamp::Stamp;

/// So often in a row is what changes while it is read read again at once; then at the next look.
const TRIES: u32 = 3;
/// After reading, so many times as long as that took goes by before it reads again: whoever writes without an end takes a
/// third of a core and not all of it from requests.
const RESTS: u32 = 2;
/// So long may loading give way to all else; on a machine that leaves it no time, it is done without giving way then.
const GIVES_WAY_MAX: Duration = Duration::from_secs(5);
/// How many failing cases are told.
const FAILURES_SHOWN: usize = 3;

/// Where a bundle comes from.
pub trait BundleSource: Send + Sync + 'static {
    /// The file or folder that is watched.
    fn path(&self) -> &Path;

    /// Reads, checks and loads what is there now.
    ///
    /// # Errors
    ///
    /// A text for people: what is wrong, where, and what to do.
    fn load(&self) -> Result<Arc<Bundle>, String>;
}

/// A file written by `pdp build`.
#[derive(Clone, Debug)]
pub struct BundleFile {
    path: PathBuf,
    limits: LoadLimits,
}

/// How a path is watched.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ReloadSettings {
    /// Time between two looks, in milliseconds.
    pub poll_ms: u32,
    /// Whether events of the file system cause a look as well.
    pub events: bool,
}

/// What happened to the bundle in force.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ReloadEvent {
    /// Another bundle is in force.
    Activated(BundleName),
    /// What is there cannot be put in force, and the bundle before stays: why. Told once for each text.
    Kept(String),
}

/// How reloading stands.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ReloadStatus {
    /// Bundles put in force, the first one not counted.
    pub activated: u64,
    /// Looks that found something that cannot be put in force.
    pub failed: u64,
    /// When the bundle in force was put there; for the first one, when it began to be kept in step.
    pub activated_at: Option<SystemTime>,
    /// Why what is there now is not in force; `None` if it is.
    pub error: Option<String>,
}

/// Shows how reloading stands to whoever holds it; see [`Reloader::start`]. Cloning it shows the same.
#[derive(Clone, Debug, Default)]
pub struct ReloadMonitor(Arc<Mutex<ReloadStatus>>);

/// Keeps a [`Live`] in step with a source, until it is dropped.
pub struct Reloader {
    monitor: ReloadMonitor,
    stopped: Arc<AtomicBool>,
    hint: SyncSender<()>,
    thread: Option<JoinHandle<()>>,
    /// Events come as long as it lives.
    _watcher: Option<RecommendedWatcher>,
}

/// The thread's own.
struct Loop<F> {
    source: Arc<dyn BundleSource>,
    live: Arc<Live>,
    monitor: ReloadMonitor,
    aside: Aside,
    stopped: Arc<AtomicBool>,
    /// What was there when the bundle in force, or what was refused, was read.
    seen: Stamp,
    told: F,
}

/// Checks a loaded bundle by its own cases and makes a decider of it.
///
/// # Errors
///
/// When cases fail: how many, and the first few with what they say.
pub fn activate(bundle: Arc<Bundle>) -> Result<Decider, String> {
    let decider = Decider::new(bundle);
    let results = run_cases(&decider, &mut Scratch::new(), &DecideOptions::STANDARD);
    let failing: Vec<_> = results.iter().filter(|result| !result.failures.is_empty()).collect();
    if failing.is_empty() {
        return Ok(decider);
    }
    let cases = decider.bundle().map(|bundle| bundle.cases()).unwrap_or_default();
    let mut text = format!("{} of its {} cases fail", failing.len(), results.len());
    for result in failing.iter().take(FAILURES_SHOWN) {
        let name = cases.get(result.case).map_or("", |case| case.name.as_str());
        let failure = result.failures.first().map_or("", String::as_str);
        text.push_str(&format!("; `{name}`: {failure}"));
    }
    if failing.len() > FAILURES_SHOWN {
        text.push_str("; and more: `pdp test` shows all");
    }
    Err(text)
}

// === impl BundleFile ===

impl BundleFile {
    /// Names a file; nothing is read yet.
    pub fn new(path: impl Into<PathBuf>, limits: LoadLimits) -> Self {
        Self { path: path.into(), limits }
    }

    fn read(&self) -> io::Result<Vec<u8>> {
        let bytes_max = self.limits.bundle_bytes_max;
        let too_large = || io::Error::other(format!("a bundle has at most {bytes_max} bytes"));
        let file = File::open(&self.path)?;
        let meta = file.metadata()?;
        if !meta.is_file() {
            return Err(io::Error::other("it is not a regular file"));
        }
        if meta.len() > bytes_max {
            return Err(too_large());
        }
        let mut bytes = Vec::new();
        // The file may grow while it is read; one byte over the limit shows it.
        let read = file.take(bytes_max.saturating_add(1)).read_to_end(&mut bytes)?;
        if u64::try_from(read).is_ok_and(|read| read <= bytes_max) {
            Ok(bytes)
        } else {
            Err(too_large())
        }
    }
}

impl BundleSource for BundleFile {
    fn path(&self) -> &Path {
        &self.path
    }

    fn load(&self) -> Result<Arc<Bundle>, String> {
        let shown = self.path.display();
        let bytes = self.read().map_err(|error| format!("`{shown}` cannot be read: {error}"))?;
        let bundle = Bundle::load(&bytes, &self.limits).map_err(|error| {
            format!("`{shown}` cannot be used: {error}; a bundle is a file written by `pdp build`")
        })?;
        Ok(Arc::new(bundle))
    }
}

// === impl Reloader ===

impl Reloader {
    /// Starts to keep `live` in step with `source`; `monitor` shows how it stands, and `told` hears what happens, on the
    /// thread that does it.
    ///
    /// The bundle in force may be older than what is there by now: the first look reads it again.
    ///
    /// # Errors
    ///
    /// When the thread cannot be started. Events that cannot be had are no error: looking is enough.
    pub fn start(
        source: Box<dyn BundleSource>,
        live: Arc<Live>,
        settings: ReloadSettings,
        monitor: ReloadMonitor,
        told: impl FnMut(ReloadEvent) + Send + 'static,
    ) -> io::Result<Self> {
        let (hint, hints) = sync_channel(1);
        let watcher = settings.events.then(|| watch(source.path(), hint.clone())).flatten();
        let stopped = Arc::new(AtomicBool::new(false));
        let every = Duration::from_millis(settings.poll_ms.max(1).into());
        let mut work = Loop {
            source: Arc::from(source),
            live,
            monitor: monitor.clone(),
            aside: Aside::default(),
            stopped: Arc::clone(&stopped),
            seen: Stamp::default(),
            told,
        };
        monitor.lock().activated_at = Some(SystemTime::now());
        let thread = thread::Builder::new()
            .name("pdp-reload".to_owned())
            .spawn(move || work.run(&hints, every))?;
        Ok(Self { monitor, stopped, hint, thread: Some(thread), _watcher: watcher })
    }

    /// How reloading stands.
    pub fn status(&self) -> ReloadStatus {
        self.monitor.status()
    }
}

impl Drop for Reloader {
    fn drop(&mut self) {
        self.stopped.store(true, Ordering::Release);
        // A hint that waits already wakes it as well.
        let _ = self.hint.try_send(());
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

impl fmt::Debug for Reloader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reloader").field("status", &self.status()).finish_non_exhaustive()
    }
}

/// Asks for events about a path and about the folder it stands in, where it may be replaced.
fn watch(path: &Path, hint: SyncSender<()>) -> Option<RecommendedWatcher> {
    let mut watcher = notify::recommended_watcher(move |_| {
        // One hint that waits is as good as many.
        let _ = hint.try_send(());
    })
    .ok()?;
    let around = path.parent().map(|parent| match parent.as_os_str().is_empty() {
        true => Path::new("."),
        false => parent,
    });
    if let Some(around) = around {
        watcher.watch(around, RecursiveMode::NonRecursive).ok()?;
    }
    if path.is_dir() {
        watcher.watch(path, RecursiveMode::Recursive).ok()?;
    }
    Some(watcher)
}

// === impl ReloadMonitor ===

impl ReloadMonitor {
    /// How reloading stands.
    pub fn status(&self) -> ReloadStatus {
        self.lock().clone()
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, ReloadStatus> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

// === impl Loop ===

impl<F: FnMut(ReloadEvent)> Loop<F> {
    fn run(&mut self, hints: &Receiver<()>, every: Duration) {
        while !self.stopped.load(Ordering::Acquire) {
            let begun = Instant::now();
            let has_read = self.look();
            // What requests still held when it was replaced is freed here and not by them.
            self.live.collect();
            let rest =
                if has_read { begun.elapsed().saturating_mul(RESTS) } else { Duration::ZERO };
            if self.rest(hints, rest) {
                continue;
            }
            match hints.recv_timeout(every) {
                Ok(()) | Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return,
            }
        }
    }

    /// Leaves the machine to requests, unless it is stopped; says whether there was a hint meanwhile.
    fn rest(&self, hints: &Receiver<()>, time: Duration) -> bool {
        let until = Instant::now() + time;
        let mut is_hinted = false;
        while !self.stopped.load(Ordering::Acquire) {
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                break;
            }
            is_hinted |= hints.recv_timeout(left).is_ok();
        }
        is_hinted
    }

    /// Reads what is there if it is not what was read before; says whether it did.
    fn look(&mut self) -> bool {
        let mut before = Stamp::of(self.source.path());
        if before == self.seen && self.seen.is_settled() {
            return false;
        }
        for _ in 0..TRIES {
            let source = Arc::clone(&self.source);
            let load = Arc::new(move || source.load().and_then(activate));
            let decider = self.aside.run(load, GIVES_WAY_MAX);
            let after = Stamp::of(self.source.path());
            if after == before {
                self.seen = after;
                match decider {
                    Ok(decider) => self.publish(decider),
                    Err(why) => self.keep(why),
                }
                return true;
            }
            // It changed meanwhile: what was read may be half of the one and half of the other.
            before = after;
        }
        self.seen = Stamp::default();
        true
    }

    fn publish(&mut self, decider: Decider) {
        let name = |decider: &Decider| decider.bundle().map(|bundle| BundleName::of(bundle));
        let next = name(&decider);
        let is_same = next == name(&self.live.snapshot());
        let mut status = self.monitor.lock();
        status.error = None;
        if is_same {
            return;
        }
        status.activated += 1;
        status.activated_at = Some(SystemTime::now());
        drop(status);
        self.live.publish(decider);
        if let Some(next) = next {
            (self.told)(ReloadEvent::Activated(next));
        }
    }

    fn keep(&mut self, why: String) {
        let mut status = self.monitor.lock();
        status.failed += 1;
        let is_news = status.error.as_ref() != Some(&why);
        status.error = Some(why.clone());
        drop(status);
        if is_news {
            (self.told)(ReloadEvent::Kept(why));
        }
    }
}

#[cfg(test)]
mod tests;
