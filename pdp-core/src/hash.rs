//! The hash of tables that are written into a bundle: the same on every platform, for ever within a format version.
//!
//! It is a folded 64 × 64 → 128 bit multiplication over sixteen bytes at a time, in the family of wyhash and foldhash,
//! whose own results differ between 32- and 64-bit targets and so cannot be stored. Texts up to sixteen bytes, which is
//! most names, take one multiplication.
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

/// Hashes an entity's name: its type and its id.
#[inline]
pub(crate) fn uid(entity_type: &[u8], id: &[u8]) -> u32 {
    finish(fold_bytes(fold_bytes(SEED, entity_type), id))
}

/// Hashes a pair of ids.
#[inline]
pub(crate) fn pair(a: u32, b: u32) -> u32 {
    finish(fold(SEED ^ (u64::from(a) << 32 | u64::from(b)), MULTIPLIER))
}

/// Hashes one id, for small tables of ids that the builder numbered.
#[inline]
pub(crate) fn key(key: u32) -> u32 {
    let product = u64::from(key).wrapping_mul(MULTIPLIER);
    (product >> 32) as u32
}

/// Where the hash of a list of values begins.
pub(crate) const VALUES: u64 = SEED;

/// Goes on with one more value, given by tag and bits.
#[inline]
pub(crate) fn value(state: u64, tag: u32, bits: u64) -> u64 {
    fold(state ^ bits, MULTIPLIER ^ u64::from(tag).rotate_left(32))
}

/// Ends the hash of a list of values.
#[inline]
pub(crate) fn values(state: u64) -> u32 {
    finish(state)
}

/// As [`uid`], from a seed that the caller keeps secret.
#[inline]
pub(crate) fn seeded(seed: u64, text: &[u8]) -> u64 {
    fold_bytes(seed, text)
}

#[inline]
fn fold_bytes(state: u64, text: &[u8]) -> u64 {
    // The length keeps apart texts of which one repeats the other's bytes.
    let mut state = state ^ (text.len() as u64).wrapping_mul(SEED);
    let mut rest = text;
    while rest.len() > 16 {
        let (Some(first), Some(second)) = (word(rest), rest.get(8..).and_then(word)) else { break };
        state = mix(state, first, second);
        rest = rest.get(16..).unwrap_or_default();
    }
    let (first, second) = ends(rest);
    mix(state, first, second)
}

/// First and last eight bytes of up to sixteen, which may overlap; fewer than eight are spread over both.
#[inline]
fn ends(text: &[u8]) -> (u64, u64) {
    if let (Some(first), Some(last)) = (word(text), text.last_chunk::<8>()) {
        return (first, u64::from_le_bytes(*last));
    }
    if let (Some(first), Some(last)) = (text.first_chunk::<4>(), text.last_chunk::<4>()) {
        return (u32::from_le_bytes(*first).into(), u32::from_le_bytes(*last).into());
    }
    match *text {
        [] => (0, 0),
        [a] => (a.into(), 1),
        [a, b] => (u64::from(a) | u64::from(b) << 8, 2),
        [a, b, c, ..] => (u64::from(a) | u64::from(b) << 8 | u64::from(c) << 16, 3),
    }
}

#[inline]
fn word(text: &[u8]) -> Option<u64> {
    text.first_chunk::<8>().map(|bytes| u64::from_le_bytes(*bytes))
}

/// Both factors depend on the state, so that nobody who does not know it can make one of them zero.
#[inline]
fn mix(state: u64, first: u64, second: u64) -> u64 {
    fold(state ^ first, state.rotate_left(32) ^ second ^ MULTIPLIER)
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
    #[expect(clippy::cast_possible_truncation, reason = "folding keeps both halves")]
    let folded = (state as u32) ^ ((state >> 32) as u32);
    folded
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stored_hashes_never_change() {
        // Bundles on disk hold these; a change of the function is a change of the format's major version.
        assert_eq!(
            [bytes(b""), bytes(b"a"), bytes(b"principal"), uid(b"User", b"alice"), pair(1, 2)],
            GOLDEN
        );
        assert_eq!([key(0), key(1), key(1_000)], [0, 0x9e37_79b9, GOLDEN_KEY]);
    }

    const GOLDEN: [u32; 5] =
        [2_245_930_601, 3_359_382_758, 3_733_227_320, 2_106_994_574, 132_996_080];

    const GOLDEN_KEY: u32 = 0x08b3_7c99;

    #[test]
    fn trailing_zeros_matter() {
        assert_ne!(bytes(b"ab"), bytes(b"ab\0"));
        assert_ne!(bytes(b""), bytes(b"\0\0\0\0\0\0\0\0"));
    }
}
