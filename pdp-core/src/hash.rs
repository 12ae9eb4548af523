//! The hash of tables that are written into a bundle: the same on every platform, for ever within a format version.
//!
//! It is a folded 64 × 64 → 128 bit multiplication over eight-byte words, in the family of wyhash and foldhash, whose
//! own results differ between 32- and 64-bit targets and so cannot be stored.
//! The keys of stored tables come from policies and entities that were signed or at least compiled by us; callers only
//! look up, and the longest probe is fixed when the table is built. Maps whose keys callers choose are seeded per
//! process instead (see `scratch`).

const SEED: u64 = 0x243f_6a88_85a3_08d3;
const MULTIPLIER: u64 = 0x9e37_79b9_7f4a_7c15;

/// Hashes one byte string.
#[inline]
pub(crate) fn bytes(text: &[u8]) -> u32 {
    finish(fold_bytes(SEED, text))
}

/// Hashes an entity's name: its type and the bytes of its id.
#[inline]
pub(crate) fn uid(entity_type: u32, id: &[u8]) -> u32 {
    finish(fold_bytes(SEED ^ u64::from(entity_type).wrapping_mul(MULTIPLIER), id))
}

/// Hashes a pair of ids.
#[inline]
pub(crate) fn pair(a: u32, b: u32) -> u32 {
    finish(fold(SEED ^ (u64::from(a) << 32 | u64::from(b)), MULTIPLIER))
}

/// As [`uid`], from a seed that the caller keeps secret.
#[inline]
pub(crate) fn seeded(seed: u64, text: &[u8]) -> u64 {
    fold_bytes(seed, text)
}

#[inline]
fn fold_bytes(mut state: u64, text: &[u8]) -> u64 {
    let (words, tail) = text.as_chunks::<8>();
    for word in words {
        state = fold(state ^ u64::from_le_bytes(*word), MULTIPLIER);
    }
    let mut last = [0u8; 8];
    for (to, from) in last.iter_mut().zip(tail) {
        *to = *from;
    }
    // The length keeps apart texts that differ only in trailing zero bytes.
    fold(state ^ u64::from_le_bytes(last), MULTIPLIER ^ (text.len() as u64).rotate_left(17))
}

#[inline]
fn fold(a: u64, b: u64) -> u64 {
    let product = u128::from(a) * u128::from(b);
    #[expect(clippy::cast_possible_truncation, reason = "folding keeps both halves")]
    let folded = (product as u64) ^ ((product >> 64) as u64);
    folded
}

#[inline]
fn finish(state: u64) -> u32 {
    let mixed = fold(state ^ MULTIPLIER, SEED);
    #[expect(clippy::cast_possible_truncation, reason = "folding keeps both halves")]
    let folded = (mixed as u32) ^ ((mixed >> 32) as u32);
    folded
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stored_hashes_never_change() {
        // Bundles on disk hold these; a change of the function is a change of the format's major version.
        assert_eq!(
            [bytes(b""), bytes(b"a"), bytes(b"principal"), uid(3, b"alice"), pair(1, 2)],
            GOLDEN
        );
    }

    const GOLDEN: [u32; 5] =
        [4_087_911_951, 3_774_781_825, 1_248_800_457, 868_540_839, 217_754_982];

    #[test]
    fn trailing_zeros_matter() {
        assert_ne!(bytes(b"ab"), bytes(b"ab\0"));
        assert_ne!(bytes(b""), bytes(b"\0\0\0\0\0\0\0\0"));
    }
}
