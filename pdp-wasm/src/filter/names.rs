//! Names of decisions in a module: by the proxy's clock, a draw for each virtual machine, and a count.
//!
//! A module has no source of chance. Drawn is from what tells machines apart: when each was started, to the nanosecond,
//! as which of those that share memory, and on which node.

use std::cell::Cell;

use pdp_edge::DecisionId;

/// Gives names.
#[derive(Debug)]
pub(crate) struct Names {
    drawn: u64,
    count: Cell<u64>,
}

/// A number from what tells a machine apart.
pub(crate) fn draw(started_ns: u64, number: u64, node: &[u8]) -> u64 {
    let folded = node.iter().fold(mixed(number), |folded, byte| mixed(folded ^ u64::from(*byte)));
    mixed(folded ^ mixed(started_ns))
}

/// A number for a number, each for one, far apart for neighbours (the finaliser of SplitMix64).
fn mixed(number: u64) -> u64 {
    let number = number.wrapping_add(0x9E37_79B9_7F4A_7C15);
    let number = (number ^ number >> 30).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    let number = (number ^ number >> 27).wrapping_mul(0x94D0_49BB_1331_11EB);
    number ^ number >> 31
}

// === impl Names ===

impl Names {
    /// For a machine that has drawn.
    pub(crate) fn new(drawn: u64) -> Self {
        Self { drawn, count: Cell::new(0) }
    }

    /// The next one.
    pub(crate) fn next(&self, since_1970_ms: u64) -> DecisionId {
        let count = self.count.get();
        self.count.set(count.wrapping_add(1));
        DecisionId::new(since_1970_ms, self.drawn, count)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn machines_and_decisions_have_names_of_their_own() {
        let mut names = BTreeSet::new();
        for (started, number, node) in
            [(1, 1, "a"), (2, 1, "a"), (1, 2, "a"), (1, 1, "b"), (1, 1, ""), (1, 1, "ab")]
        {
            let machine = Names::new(draw(started, number, node.as_bytes()));
            for ms in [5, 5, 6] {
                assert!(names.insert(machine.next(ms)), "{started} {number} {node}");
            }
        }
    }
}
