//! Timing of short calls: batches of eight between two looks at the clock, the cost of looking taken off.
//!
//! Machines are noisy, so what two engines need is measured in turns within one run and compared as a ratio; medians
//! and not means. A batch's time is divided by its calls, so a share of all batches is what is told, and a single slow
//! call shows an eighth of itself; [`Samples::empty`] tells what the machine alone adds at the same share. Calls that
//! take longer than [`SLOW`] are timed one by one.

use std::hint::black_box;
use std::time::{Duration, Instant};

/// Calls between two looks at the clock.
const BATCH: usize = 8;
/// From here on a call is timed by itself.
const SLOW: Duration = Duration::from_micros(200);
/// Calls of a slow engine in one turn, at least.
const SLOW_CALLS_MIN: usize = 4;

/// Times of single decisions, in nanoseconds.
#[derive(Clone, Debug, Default)]
pub struct Samples {
    nanoseconds: Vec<f64>,
}

// === impl Samples ===

impl Samples {
    /// Calls `decide` with the numbers below `requests` in turn, over and over, for about as long as `budget`, and at
    /// least once with each unless it is slow; adds what it took. Begins with number `from`.
    pub fn take(
        &mut self,
        requests: usize,
        from: usize,
        budget: Duration,
        mut decide: impl FnMut(usize) -> usize,
    ) {
        let clock = clock_cost();
        let (mut at, mut asked) = (from.checked_rem(requests).unwrap_or(0), 0);
        let first = Instant::now();
        black_box(decide(black_box(at)));
        let (batch, least) = match first.elapsed() > SLOW {
            true => (1, SLOW_CALLS_MIN),
            false => (BATCH, requests),
        };
        let begun = Instant::now();
        while asked < least || begun.elapsed() < budget {
            let start = Instant::now();
            for _ in 0..batch {
                black_box(decide(black_box(at)));
                at = if at + 1 < requests { at + 1 } else { 0 };
            }
            let spent = start.elapsed().saturating_sub(clock);
            self.nanoseconds.push(spent.as_secs_f64() * 1e9 / batch as f64);
            asked += batch;
        }
    }

    /// Batches of nothing, timed as others are.
    pub fn empty(budget: Duration) -> Self {
        let mut samples = Self::default();
        samples.take(1, 0, budget, |at| at);
        samples
    }

    /// How many batches were timed.
    pub fn len(&self) -> usize {
        self.nanoseconds.len()
    }

    /// Whether nothing was timed.
    pub fn is_empty(&self) -> bool {
        self.nanoseconds.is_empty()
    }

    /// The times below which half, 99 in 100 and 999 in 1,000 of all batches stay.
    pub fn quantiles(&self) -> [f64; 3] {
        let mut sorted = self.nanoseconds.clone();
        sorted.sort_unstable_by(f64::total_cmp);
        [0.5, 0.99, 0.999].map(|share| quantile(&sorted, share))
    }

    /// The time that this share of all batches stays below, for example 0.5 for the median.
    pub fn quantile(&self, share: f64) -> f64 {
        let mut sorted = self.nanoseconds.clone();
        sorted.sort_unstable_by(f64::total_cmp);
        quantile(&sorted, share)
    }
}

/// The time in a sorted list below which this share of all stays.
pub(crate) fn quantile(sorted: &[f64], share: f64) -> f64 {
    let at = (share.clamp(0.0, 1.0) * sorted.len() as f64) as usize;
    sorted.get(at.min(sorted.len().saturating_sub(1))).copied().unwrap_or(0.0)
}

/// What two looks at the clock and an empty loop of a batch cost: the least of many.
fn clock_cost() -> Duration {
    let empty = (0..1_000).map(|_| {
        let start = Instant::now();
        for at in 0..BATCH {
            black_box(black_box(at));
        }
        start.elapsed()
    });
    empty.min().unwrap_or_default()
}

/// A time in the unit that suits it.
pub fn in_words(nanoseconds: f64) -> String {
    match nanoseconds {
        n if n < 1e4 => format!("{n:.0} ns"),
        n if n < 1e6 => format!("{:.1} µs", n / 1e3),
        n => format!("{:.1} ms", n / 1e6),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_request_is_asked_even_without_time() {
        let (mut seen, mut samples) = ([0u32; 20], Samples::default());
        samples.take(seen.len(), 0, Duration::ZERO, |at| {
            if let Some(count) = seen.get_mut(at) {
                *count += 1;
            }
            at
        });
        assert!(seen.iter().all(|count| *count > 0), "{seen:?}");
    }

    #[test]
    fn quantiles_are_taken_from_sorted_times() {
        let samples = Samples { nanoseconds: vec![30.0, 10.0, 20.0, 40.0] };
        assert_eq!((samples.quantile(0.0), samples.quantile(0.5)), (10.0, 30.0));
        assert_eq!(samples.quantile(1.0), 40.0);
    }

    #[test]
    fn words_suit_the_size() {
        assert_eq!(in_words(312.4), "312 ns");
        assert_eq!(in_words(726_000.0), "726.0 µs");
        assert_eq!(in_words(14_900_000.0), "14.9 ms");
    }
}
