//! The bundle in force, swapped whole.
//!
//! A reader takes one snapshot per request or batch, without lock and without waiting for a swap. A snapshot is a
//! guard of `arc-swap`: it is noted in memory of the thread that takes it and leaves alone the count that all threads
//! share, so readers do not slow each other down; and a thread that is not inside a request holds nothing, so it keeps
//! no bundle alive, however long it idles. What is replaced is kept until nobody uses it and then freed by whoever
//! calls [`Live::publish`] or [`Live::collect`], never by a reader: freeing a large bundle takes milliseconds that no
//! request should pay. Swapping goes through `arc-swap` here and nowhere else.

use std::fmt;
use std::ops::Deref;
use std::sync::{Arc, Mutex, PoisonError};

use arc_swap::{ArcSwap, Guard};

use crate::decide::Decider;

/// The decider in force.
#[derive(Debug)]
pub struct Live {
    now: ArcSwap<Decider>,
    /// Replaced deciders that a reader may still hold.
    retired: Mutex<Vec<Arc<Decider>>>,
}

/// The decider that was in force when it was taken, whatever is published meanwhile.
///
/// For the time of a request or batch: a thread that holds more than a few at once takes them more slowly.
pub struct Snapshot(Guard<Arc<Decider>>);

impl Live {
    /// Starts with a decider, which may be [`Decider::no_bundle`].
    pub fn new(decider: Decider) -> Self {
        Self { now: ArcSwap::from_pointee(decider), retired: Mutex::default() }
    }

    /// What one request or batch sees, whatever is published meanwhile.
    #[inline]
    pub fn snapshot(&self) -> Snapshot {
        Snapshot(self.now.load())
    }

    /// Puts a decider in force, for requests that take their snapshot from now on.
    pub fn publish(&self, decider: Decider) {
        let replaced = self.now.swap(Arc::new(decider));
        self.retired.lock().unwrap_or_else(PoisonError::into_inner).push(replaced);
        self.collect();
    }

    /// Frees what was replaced and is no longer used, here and now. Answers how many are still in use.
    pub fn collect(&self) -> usize {
        let mut unused = Vec::new();
        let still_used = {
            let mut retired = self.retired.lock().unwrap_or_else(PoisonError::into_inner);
            // Swapping has counted every snapshot of what it replaced, and nobody can take a new one, so a count of
            // one is final.
            unused.extend(retired.extract_if(.., |decider| Arc::strong_count(decider) == 1));
            retired.len()
        };
        // Freed after the lock is given back.
        drop(unused);
        still_used
    }
}

// === impl Snapshot ===

impl Deref for Snapshot {
    type Target = Decider;

    #[inline]
    fn deref(&self) -> &Decider {
        &self.0
    }
}

impl fmt::Debug for Snapshot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        (**self).fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_snapshot_outlives_what_replaces_it() {
        let live = Live::new(Decider::no_bundle());
        let held = live.snapshot();
        live.publish(Decider::no_bundle());
        assert_eq!(live.collect(), 1, "the reader still holds the first");
        assert!(!std::ptr::eq(&*held, &*live.snapshot()));
        drop(held);
        assert_eq!(live.collect(), 0);
    }

    #[test]
    fn snapshots_beyond_what_a_thread_notes_are_counted_all_the_same() {
        let live = Live::new(Decider::no_bundle());
        let held: Vec<Snapshot> = (0..100).map(|_| live.snapshot()).collect();
        live.publish(Decider::no_bundle());
        assert_eq!(live.collect(), 1);
        drop(held);
        assert_eq!(live.collect(), 0);
    }
}
