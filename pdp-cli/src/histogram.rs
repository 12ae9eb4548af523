//! How long did it take, and how often? Counts durations in buckets, so that a run of any length needs the same
//! memory and recording one allocates nothing.
//!
//! Buckets are as wide as a 128th of the power of two they lie in: a percentile is at most 0.8 % above the true one.
//! Durations are in picoseconds, because the mean of a batch is finer than the clock.

/// Counts of durations.
#[derive(Debug)]
pub(crate) struct Histogram {
    buckets: Vec<u64>,
    count: u64,
}

/// A stretch of durations, and how many were recorded in it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Bar {
    /// Longer than this, save for the first bar, which begins with the shortest.
    pub(crate) from_ps: u64,
    /// Up to this.
    pub(crate) to_ps: u64,
    /// How many.
    pub(crate) count: u64,
}

/// Bits of a duration that its bucket keeps below the leading one.
const KEPT_BITS: u32 = 7;
const BUCKETS_PER_POWER: usize = 1 << KEPT_BITS;
/// Durations below this have a bucket each.
const EXACT_BELOW: u64 = 1 << (KEPT_BITS + 1);
const BUCKETS: usize = (64 - KEPT_BITS as usize) * BUCKETS_PER_POWER + BUCKETS_PER_POWER;

// === impl Histogram ===

impl Histogram {
    /// Nothing recorded; all memory it will ever need.
    pub(crate) fn new() -> Self {
        Self { buckets: vec![0; BUCKETS], count: 0 }
    }

    /// Records a duration.
    pub(crate) fn record(&mut self, ps: u64) {
        if let Some(bucket) = self.buckets.get_mut(bucket_of(ps)) {
            *bucket = bucket.saturating_add(1);
            self.count = self.count.saturating_add(1);
        }
    }

    /// How many were recorded.
    #[cfg(test)]
    pub(crate) fn count(&self) -> u64 {
        self.count
    }

    /// The duration that at least `per_mille` thousandths of the recorded ones do not exceed; 0 when none is.
    pub(crate) fn percentile_ps(&self, per_mille: u64) -> u64 {
        // The rank is rounded up: the p50 of three is the second, of one the first.
        let rank = self.count.saturating_mul(per_mille).div_ceil(1000).max(1);
        let mut seen: u64 = 0;
        for (index, bucket) in self.buckets.iter().enumerate() {
            seen = seen.saturating_add(*bucket);
            if seen >= rank {
                return upper_bound(index);
            }
        }
        0
    }

    /// The recorded durations in at most `bars` bars of equal ratio from the shortest to the p99, so that a stall does
    /// not squeeze them, then one up to the p99.9 and one for what is longer. None when nothing was recorded; fewer
    /// where durations lie too close to be told apart.
    pub(crate) fn bars(&self, bars: u32) -> Vec<Bar> {
        let (first, last) = (self.percentile_ps(0), self.percentile_ps(990));
        let tail = [last, self.percentile_ps(999), self.percentile_ps(1000)];
        if self.count == 0 || bars == 0 {
            return Vec::new();
        }
        let ratio = (last as f64 / first.max(1) as f64).powf(1.0 / f64::from(bars));
        let mut edges: Vec<u64> = (1..bars)
            // Far below 2^53 ps, where a double is exact; beyond, an edge is off by less than a bucket.
            .map(|n| (first as f64 * ratio.powf(f64::from(n))).round() as u64)
            .chain(tail)
            .collect();
        edges.dedup();
        let mut found = Vec::with_capacity(edges.len());
        let mut from_ps = first.min(edges.first().copied().unwrap_or(first));
        let mut buckets = self.buckets.iter().enumerate().peekable();
        for to_ps in edges {
            let mut count: u64 = 0;
            while let Some((_, bucket)) = buckets.next_if(|(index, _)| upper_bound(*index) <= to_ps)
            {
                count = count.saturating_add(*bucket);
            }
            found.push(Bar { from_ps, to_ps, count });
            from_ps = to_ps;
        }
        found
    }
}

fn bucket_of(ps: u64) -> usize {
    if ps < EXACT_BELOW {
        return usize::try_from(ps).unwrap_or(usize::MAX);
    }
    let shift = ps.ilog2() - KEPT_BITS;
    // `ps >> shift` lies in 128..256; each further shift starts the next 128 buckets.
    let position = (u64::from(shift) << KEPT_BITS) + (ps >> shift);
    usize::try_from(position).unwrap_or(usize::MAX)
}

/// The longest duration of a bucket.
fn upper_bound(index: usize) -> u64 {
    let index = u64::try_from(index).unwrap_or(u64::MAX);
    if index < EXACT_BELOW {
        return index;
    }
    let shift = (index >> KEPT_BITS) - 1;
    let kept = index - (shift << KEPT_BITS);
    // The last bucket ends at the largest number; the subtraction comes first so that it does not overflow.
    (kept << shift) + ((1 << shift) - 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn buckets_cover_everything_without_a_gap() {
        for index in 1..BUCKETS - 1 {
            let last = upper_bound(index);
            assert_eq!(bucket_of(last), index, "last of {index}");
            if last < u64::MAX {
                assert_eq!(bucket_of(last + 1), index + 1, "first of {}", index + 1);
            }
        }
        assert_eq!(bucket_of(u64::MAX), BUCKETS - 1);
        assert_eq!(upper_bound(BUCKETS - 1), u64::MAX);
    }

    #[test]
    fn percentiles_agree_with_sorting() {
        let mut histogram = Histogram::new();
        let mut all = Vec::new();
        // A multiplicative generator gives durations over six orders of magnitude.
        let mut state: u64 = 1;
        for _ in 0..20_000 {
            state = state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
            let ps = (state >> 33) % (1 << (10 + (state >> 60) * 2));
            histogram.record(ps);
            all.push(ps);
        }
        all.sort_unstable();
        assert_eq!(histogram.count(), 20_000);
        for per_mille in [1, 10, 500, 900, 990, 999, 1000] {
            let exact = all.get(20 * per_mille - 1).copied().unwrap_or(u64::MAX);
            let found = histogram.percentile_ps(per_mille as u64);
            assert!(exact <= found, "{per_mille}: {found} is under {exact}");
            assert!(found <= exact + exact / 128, "{per_mille}: {found} is far over {exact}");
        }
    }

    #[test]
    fn bars_hold_every_duration_once() {
        let mut histogram = Histogram::new();
        assert_eq!(histogram.bars(10), []);
        for ps in 1..=10_000 {
            histogram.record(100_000 + ps * 37);
        }
        histogram.record(1 << 40);
        for bars in [1, 2, 7, 40] {
            let found = histogram.bars(bars);
            assert_eq!(found.len(), bars as usize + 2, "{bars}");
            assert_eq!(found.iter().map(|bar| bar.count).sum::<u64>(), 10_001);
            assert!(found.iter().zip(found.iter().skip(1)).all(|(a, b)| a.to_ps == b.from_ps));
            assert!(found.iter().all(|bar| bar.from_ps < bar.to_ps), "{found:?}");
            assert!(found.last().is_some_and(|bar| bar.to_ps >= 1 << 40));
        }
    }

    #[test]
    fn durations_that_are_all_the_same_are_one_bar() {
        let mut histogram = Histogram::new();
        histogram.record(200);
        histogram.record(200);
        assert_eq!(histogram.bars(12), [Bar { from_ps: 200, to_ps: 200, count: 2 }]);
    }

    #[test]
    fn few_durations() {
        let mut histogram = Histogram::new();
        assert_eq!(histogram.percentile_ps(500), 0);
        histogram.record(10);
        assert_eq!(histogram.percentile_ps(1), 10);
        assert_eq!(histogram.percentile_ps(999), 10);
        histogram.record(20);
        histogram.record(30);
        assert_eq!(histogram.percentile_ps(500), 20);
        assert_eq!(histogram.percentile_ps(999), 30);
    }
}
