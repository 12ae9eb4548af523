//! Drawing names of decisions, by the system's clock and one draw for each process.

use std::hash::{BuildHasher, RandomState};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

pub(crate) use pdp_edge::DecisionId;

static COUNT: AtomicU64 = AtomicU64::new(0);
static PROCESS: OnceLock<u64> = OnceLock::new();

/// The next name.
pub(crate) fn next() -> DecisionId {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let count = COUNT.fetch_add(1, Ordering::Relaxed);
    let process = *PROCESS.get_or_init(|| RandomState::new().hash_one(std::process::id()));
    DecisionId::new(u64::try_from(since.as_millis()).unwrap_or(u64::MAX), process, count)
}

#[cfg(test)]
mod tests {
    #[test]
    fn later_ones_are_larger_and_none_repeats() {
        let names: Vec<String> = (0..10_000).map(|_| super::next().to_string()).collect();
        // Within a millisecond the count decides; a clock that steps back is not ours to mend.
        assert!(names.windows(2).all(|pair| pair.first() < pair.last()));
    }
}
