//! Names of decisions: ULIDs, so that they sort by time and never repeat.
//!
//! 48 bits of milliseconds since 1970, 40 bits that whoever decides drew when it started, 40 bits that count. They are
//! names and no secrets: who knows one can guess others. It neither draws nor counts.

use std::fmt;

/// Crockford's alphabet.
const DIGITS: &[u8; 32] = b"0123456789ABCDEFGHJKMNPQRSTVWXYZ";
/// 26 digits of 5 bits hold 128 bits.
const LENGTH: usize = 26;
const LOW_40: u128 = (1 << 40) - 1;

/// The name of a decision.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct DecisionId(u128);

// === impl DecisionId ===

impl DecisionId {
    /// From the time, what was drawn and the count; of each the lowest bits.
    pub fn new(since_1970_ms: u64, drawn: u64, count: u64) -> Self {
        let ms = u128::from(since_1970_ms) & ((1 << 48) - 1);
        Self(ms << 80 | (u128::from(drawn) & LOW_40) << 40 | u128::from(count) & LOW_40)
    }

    /// Its text.
    pub fn text(self) -> [u8; LENGTH] {
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
    fn time_goes_before_what_was_drawn_and_that_before_the_count() {
        let names = [(1, 9, 9), (2, 1, 9), (2, 2, 1), (2, 2, 2)];
        let names = names.map(|(ms, drawn, count)| DecisionId::new(ms, drawn, count));
        assert!(names.is_sorted());
        assert_eq!(DecisionId::new(u64::MAX, u64::MAX, u64::MAX).0, u128::MAX);
    }
}
