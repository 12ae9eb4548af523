//! Memory that a host asked for: where it writes what it wants read, and the only place that is read for it.
//!
//! A host names memory by address and length, and both may be anything. A span is looked up among what was handed out;
//! nothing is ever read at an address because a host said so. What would exceed a limit is not handed out.

/// Bytes of one buffer.
const BUFFER_BYTES_MAX: usize = 512 << 20;
/// Buffers at a time: a host keeps one for requests and one for a bundle.
const BUFFERS_MAX: usize = 64;

/// What was handed out and not given back.
#[derive(Debug, Default)]
pub(crate) struct Buffers {
    held: Vec<Box<[u8]>>,
}

// === impl Buffers ===

impl Buffers {
    /// Hands out a buffer of so many bytes, all 0; nothing where a limit or the memory is reached, or for none.
    pub(crate) fn lend(&mut self, len: usize) -> Option<usize> {
        if len == 0 || len > BUFFER_BYTES_MAX || self.held.len() >= BUFFERS_MAX {
            return None;
        }
        let mut bytes = Vec::new();
        bytes.try_reserve_exact(len).ok()?;
        bytes.resize(len, 0);
        let buffer = bytes.into_boxed_slice();
        let address = address(&buffer);
        self.held.push(buffer);
        Some(address)
    }

    /// Takes a buffer back. Whether it was one that begins there and has that length.
    pub(crate) fn take_back(&mut self, at: usize, len: usize) -> bool {
        let meant = |buffer: &[u8]| address(buffer) == at && buffer.len() == len;
        match self.held.iter().position(|buffer| meant(buffer)) {
            Some(found) => {
                self.held.swap_remove(found);
                true
            }
            None => false,
        }
    }

    /// The bytes of a span that lies in one buffer. An empty one lies anywhere.
    pub(crate) fn span(&self, at: usize, len: usize) -> Option<&[u8]> {
        if len == 0 {
            return Some(&[]);
        }
        self.held.iter().find_map(|buffer| {
            let start = at.checked_sub(address(buffer))?;
            buffer.get(start..start.checked_add(len)?)
        })
    }
}

/// Where a buffer is. The host writes there, so the address has to count as known to others.
fn address(buffer: &[u8]) -> usize {
    buffer.as_ptr().expose_provenance()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_was_handed_out_is_read() {
        let mut buffers = Buffers::default();
        let at = buffers.lend(8).unwrap_or_default();
        assert_eq!(buffers.span(at, 8), Some(&[0; 8][..]));
        assert_eq!(buffers.span(at + 3, 5).map(<[u8]>::len), Some(5));
        for (at, len) in [
            (at, 9),
            (at + 3, 6),
            (at - 1, 8),
            (at + 8, 1),
            (0, 1),
            (at, usize::MAX),
            (usize::MAX, 1),
            (usize::MAX, usize::MAX),
        ] {
            assert_eq!(buffers.span(at, len), None, "{at} {len}");
        }
        assert_eq!(buffers.span(usize::MAX, 0), Some(&[][..]));
    }

    #[test]
    fn a_buffer_is_taken_back_once_and_as_it_was_handed_out() {
        let mut buffers = Buffers::default();
        let at = buffers.lend(8).unwrap_or_default();
        assert!(!buffers.take_back(at, 7) && !buffers.take_back(at + 1, 7));
        assert!(buffers.take_back(at, 8));
        assert!(!buffers.take_back(at, 8), "given back twice");
        assert_eq!(buffers.span(at, 8), None, "read after it was given back");
    }

    #[test]
    fn limits_hold() {
        let mut buffers = Buffers::default();
        assert_eq!(buffers.lend(0), None);
        assert_eq!(buffers.lend(BUFFER_BYTES_MAX + 1), None);
        assert_eq!(buffers.lend(usize::MAX), None);
        let lent: Vec<usize> = std::iter::from_fn(|| buffers.lend(1)).take(1_000).collect();
        assert_eq!(lent.len(), BUFFERS_MAX);
        assert!(lent.first().is_some_and(|at| buffers.take_back(*at, 1)));
        assert!(buffers.lend(1).is_some());
    }
}
