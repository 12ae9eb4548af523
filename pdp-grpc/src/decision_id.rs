//! Names of decisions: ULIDs, so that they sort by time and never repeat.
//!
//! 48 bits of milliseconds since 1970, 40 bits that this process drew when it started, 40 bits that count. They are
//! names and no secrets: who knows one can guess others.

use std::fmt;
use std::hash::{BuildHasher, RandomState};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

/// Crockford's alphabet.
const DIGITS: &[u8; 32] = b"0123456789ABCDEFGHJKMNPQRSTVWXYZ";
/// 26 digits of 5 bits hold 128 bits.
const LENGTH: usize = 26;

static COUNT: AtomicU64 = AtomicU64::new(0);
static PROCESS: OnceLock<u64> = OnceLock::new();

/// The name of a decision.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct DecisionId(u128);

// === impl DecisionId ===

impl DecisionId {
    /// The next one.
    pub(crate) fn next() -> Self {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let process = *PROCESS.get_or_init(|| RandomState::new().hash_one(std::process::id()));
        const LOW_40: u128 = (1 << 40) - 1;
        let ms = since.as_millis() & ((1 << 48) - 1);
        Self(ms << 80 | (u128::from(process) & LOW_40) << 40 | u128::from(count) & LOW_40)
    }

    /// Its text.
    pub(crate) fn text(self) -> [u8; LENGTH] {
        let mut text = [0; LENGTH];
        let mut rest = self.0;
        for digit in text.iter_mut().rev() {
            *digit = DIGITS.get((rest & 31) as usize).copied().unwrap_or_default();
            rest >>= 5;
        }
        text
    }
}

impl fmt::Display for DecisionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(std::str::from_utf8(&self.text()).unwrap_or_default())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_as_ulids_are_written() {
        // The largest ULID there is, and one whose digits count up.
        assert_eq!(DecisionId(u128::MAX).to_string(), "7ZZZZZZZZZZZZZZZZZZZZZZZZZ");
        assert_eq!(DecisionId(0).to_string(), "00000000000000000000000000");
        assert_eq!(DecisionId(0b00001_00010_01111_10000).to_string(), format!("{:0>26}", "12FG"));
    }

    #[test]
    fn later_ones_are_larger_and_none_repeats() {
        let names: Vec<String> = (0..10_000).map(|_| DecisionId::next().to_string()).collect();
        // Within a millisecond the count decides; a clock that steps back is not ours to mend.
        assert!(names.windows(2).all(|pair| pair.first() < pair.last()));
    }
}
