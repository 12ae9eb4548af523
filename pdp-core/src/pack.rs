//! Packs what is only ever shown to people, so that loading a bundle need not read and keep it at full length.
//!
//! The packed form is the length of the plain one, a `u32`, and an LZ4 block. A block says at most [`RATIO_MAX`] times
//! its own length: who claims more is refused before anything is allocated for it.

use lz4_flex::block;

/// The most that a byte of a block can stand for.
const RATIO_MAX: usize = 255;

/// Packs bytes; `None` if there are more than a `u32` can count.
#[cfg(feature = "compile")]
pub(crate) fn pack(plain: &[u8]) -> Option<Vec<u8>> {
    u32::try_from(plain.len()).ok().map(|_| block::compress_prepend_size(plain))
}

/// The plain bytes; `None` if these are not packed ones.
pub(crate) fn unpack(packed: &[u8]) -> Option<Vec<u8>> {
    let (len, packed) = block::uncompressed_size(packed).ok()?;
    if len > packed.len().saturating_mul(RATIO_MAX) {
        return None;
    }
    block::decompress(packed, len).ok().filter(|plain| plain.len() == len)
}

#[cfg(all(test, feature = "compile"))]
#[expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "test code fails loudly")]
mod tests {
    use super::*;

    #[test]
    fn what_is_packed_comes_back() {
        for plain in [String::new(), "a".to_owned(), "abc".repeat(100_000)] {
            let packed = pack(plain.as_bytes()).unwrap();
            assert_eq!(unpack(&packed).unwrap(), plain.as_bytes());
        }
        assert!(pack("abc".repeat(100_000).as_bytes()).unwrap().len() < 2_000);
    }

    #[test]
    fn a_block_that_claims_or_holds_another_length_is_refused() {
        let packed = pack("abc".repeat(1_000).as_bytes()).unwrap();
        for len in [0, 1, 2_999, 3_001, u32::MAX] {
            let mut lying = packed.clone();
            lying[..4].copy_from_slice(&len.to_le_bytes());
            assert_eq!(unpack(&lying), None, "{len} for 3000");
        }
        for len in 0..packed.len() {
            assert_eq!(unpack(&packed[..len]), None, "the first {len} bytes");
        }
    }
}
