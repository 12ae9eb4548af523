//! Random numbers that are the same on every machine and in every year: xoshiro256** seeded through splitmix64.
//!
//! A run of the differential test is named by its seed, on whatever machine it is run again; so the sequence is written
//! here and not left to a dependency. Not for secrets.

use crate::impossible::impossible;

/// A stream of random numbers.
#[derive(Debug, Clone)]
pub struct Rng {
    state: [u64; 4],
}

// === impl Rng ===

impl Rng {
    /// A stream of its own for every combination of `parts`; their order matters.
    pub fn new(parts: &[u64]) -> Self {
        let mut mixed = 0x9e37_79b9_7f4a_7c15;
        for part in parts {
            mixed = splitmix(mixed ^ *part);
        }
        let mut next = || {
            mixed = mixed.wrapping_add(0x9e37_79b9_7f4a_7c15);
            splitmix(mixed)
        };
        Self { state: [next(), next(), next(), next()] }
    }

    /// 64 random bits.
    pub fn bits(&mut self) -> u64 {
        let [a, b, c, d] = &mut self.state;
        let result = b.wrapping_mul(5).rotate_left(7).wrapping_mul(9);
        let shifted = *b << 17;
        *c ^= *a;
        *d ^= *b;
        *b ^= *c;
        *a ^= *d;
        *c ^= shifted;
        *d = d.rotate_left(45);
        result
    }

    /// A number in `0..limit`; 0 when `limit` is 0.
    pub fn below(&mut self, limit: usize) -> usize {
        // Multiply and shift: the bias of at most limit / 2^64 is of no interest to a test.
        let wide = u128::from(self.bits()) * (limit as u128);
        usize::try_from(wide >> 64).unwrap_or(0)
    }

    /// A number in `low..=high`.
    pub fn between(&mut self, low: usize, high: usize) -> usize {
        low + self.below(high.saturating_sub(low) + 1)
    }

    /// True in `percent` of 100 calls.
    pub fn percent(&mut self, percent: u32) -> bool {
        self.per_mille(percent.saturating_mul(10))
    }

    /// True in `per_mille` of 1,000 calls.
    pub fn per_mille(&mut self, per_mille: u32) -> bool {
        self.below(1000) < per_mille as usize
    }

    /// One of `items`, which must not be empty.
    pub fn pick<'a, T>(&mut self, items: &'a [T]) -> &'a T {
        let at = self.below(items.len());
        items.get(at).unwrap_or_else(|| impossible("picked from an empty list"))
    }

    /// A copy of one of `items`, which must not be empty.
    pub fn choose<T: Copy>(&mut self, items: &[T]) -> T {
        *self.pick(items)
    }

    /// One of `items`, or nothing when there are none.
    pub fn pick_maybe<'a, T>(&mut self, items: &'a [T]) -> Option<&'a T> {
        let at = self.below(items.len());
        items.get(at)
    }

    /// One of `items`, each as often as its weight says.
    pub fn weighted<T: Copy>(&mut self, items: &[(u32, T)]) -> T {
        let total: u32 = items.iter().map(|(weight, _)| *weight).sum();
        let mut left = self.below(total as usize);
        for (weight, item) in items {
            let weight = *weight as usize;
            if left < weight {
                return *item;
            }
            left -= weight;
        }
        impossible("picked from an empty table of weights")
    }

    /// Puts `items` into a random order.
    pub fn shuffle<T>(&mut self, items: &mut [T]) {
        for last in (1..items.len()).rev() {
            items.swap(last, self.below(last + 1));
        }
    }
}

fn splitmix(input: u64) -> u64 {
    let mut mixed = input;
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
}

#[cfg(test)]
mod tests {
    use super::Rng;

    #[test]
    fn the_sequence_is_pinned() {
        let mut rng = Rng::new(&[1, 2]);
        let drawn = [rng.bits(), rng.bits(), rng.bits()];
        assert_eq!(drawn, PINNED, "a seed must mean the same everywhere");
    }

    const PINNED: [u64; 3] =
        [5_371_590_793_937_118_044, 8_535_708_015_683_123_511, 14_055_792_926_892_314_863];

    #[test]
    fn parts_give_streams_of_their_own() {
        let first = |parts: &[u64]| Rng::new(parts).bits();
        assert_ne!(first(&[1, 2]), first(&[2, 1]));
        assert_ne!(first(&[0, 0]), first(&[0, 1]));
    }

    #[test]
    fn below_reaches_every_number_and_no_other() {
        let mut rng = Rng::new(&[7]);
        let mut seen = [0_u32; 5];
        for _ in 0..1000 {
            if let Some(count) = seen.get_mut(rng.below(5)) {
                *count += 1;
            }
        }
        assert_eq!(seen.iter().sum::<u32>(), 1000);
        assert!(seen.iter().all(|count| *count > 150), "{seen:?}");
        assert_eq!(rng.below(0), 0);
    }

    #[test]
    fn weights_count() {
        let mut rng = Rng::new(&[9]);
        let heavy = (0..1000).filter(|_| rng.weighted(&[(9, true), (1, false)])).count();
        assert!((850..950).contains(&heavy), "{heavy}");
    }
}
