//! The bundle in force, swapped whole.
//!
//! A reader takes one snapshot per request or batch, without lock and without waiting for a swap. What is replaced is
//! kept until nobody uses it and then freed by whoever calls [`Live::publish`] or [`Live::collect`], never by a
//! reader: freeing a large bundle takes milliseconds that no request should pay. Swapping goes through `arc-swap`
//! here and nowhere else.

use std::sync::{Arc, Mutex, PoisonError};

use arc_swap::ArcSwap;

use crate::decide::Decider;

/// The decider in force.
#[derive(Debug)]
pub struct Live {
    now: ArcSwap<Decider>,
    /// Replaced deciders that a reader may still hold.
    retired: Mutex<Vec<Arc<Decider>>>,
}

impl Live {
    /// Starts with a decider, which may be [`Decider::no_bundle`].
    pub fn new(decider: Decider) -> Self {
        Self { now: ArcSwap::from_pointee(decider), retired: Mutex::default() }
    }

    /// What one request or batch sees, whatever is published meanwhile.
    pub fn snapshot(&self) -> Arc<Decider> {
        self.now.load_full()
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
            // Nobody can take a new reference to a retired decider, so a count of one is final.
            unused.extend(retired.extract_if(.., |decider| Arc::strong_count(decider) == 1));
            retired.len()
        };
        // Freed after the lock is given back.
        drop(unused);
        still_used
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
        assert!(!Arc::ptr_eq(&held, &live.snapshot()));
        drop(held);
        assert_eq!(live.collect(), 0);
    }
}
