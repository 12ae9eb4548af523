//! When a request that decides many questions has taken its time: it is asked between them, because deciding is not
//! interrupted.

use std::time::{Duration, Instant};

use crate::respond::NoAnswer;

/// The end of a request's time.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Until {
    end: Instant,
    ms: u32,
}

// === impl Until ===

impl Until {
    /// In so many milliseconds.
    pub(crate) fn new(ms: u32) -> Self {
        Self { end: Instant::now() + Duration::from_millis(ms.into()), ms }
    }

    /// Whether there is time left.
    pub(crate) fn look(&self) -> Result<(), NoAnswer> {
        if Instant::now() < self.end { Ok(()) } else { Err(NoAnswer::TooLate { ms: self.ms }) }
    }
}
