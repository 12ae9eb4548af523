//! A call's place in somebody's trace: W3C Trace Context, the header `traceparent`.
//!
//! It refuses to begin traces, and to mend what is none.

/// The header of it.
pub const TRACEPARENT: &str = "traceparent";

/// A request's place in a trace, as its caller states it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TraceParent {
    /// The trace.
    pub trace_id: [u8; 16],
    /// The caller's span in it.
    pub span_id: [u8; 8],
    /// Whether the caller records it.
    pub is_sampled: bool,
}

// === impl TraceParent ===

impl TraceParent {
    /// Reads the header; `None` where it is none, as the standard says.
    pub fn read(text: &str) -> Option<Self> {
        let mut parts = text.split('-');
        let (version, trace, span) = (parts.next()?, parts.next()?, parts.next()?);
        let flags = parts.next()?;
        let is_first_version = version == "00";
        // Later versions may have more parts; the first has none, and the last there can be is none at all.
        if version.len() != 2 || version == "ff" || (is_first_version && parts.next().is_some()) {
            return None;
        }
        hex::<1>(version)?;
        let (trace_id, span_id, [flags]) = (hex(trace)?, hex(span)?, hex(flags)?);
        let parent = Self { trace_id, span_id, is_sampled: flags & 1 == 1 };
        (trace_id != [0; 16] && span_id != [0; 8]).then_some(parent)
    }

    /// Trace and span, for a record.
    pub fn ids(self) -> ([u8; 16], [u8; 8]) {
        (self.trace_id, self.span_id)
    }
}

/// So many bytes in lower-case hexadecimal.
fn hex<const N: usize>(text: &str) -> Option<[u8; N]> {
    let digit = |byte: u8| match byte {
        b'0'..=b'9' => Some(byte - b'0'),
        b'a'..=b'f' => Some(byte - b'a' + 10),
        _ => None,
    };
    let mut digits = text.bytes();
    let mut bytes = [0; N];
    for byte in &mut bytes {
        *byte = digit(digits.next()?)? << 4 | digit(digits.next()?)?;
    }
    digits.next().is_none().then_some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_example_of_the_standard_is_read() {
        let text = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
        let parent = TraceParent::read(text);
        assert_eq!(
            parent,
            Some(TraceParent {
                trace_id: 0x4bf9_2f35_77b3_4da6_a3ce_929d_0e0e_4736_u128.to_be_bytes(),
                span_id: 0x00f0_67aa_0ba9_02b7_u64.to_be_bytes(),
                is_sampled: true,
            })
        );
        let later = "cc-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-00-what-comes";
        assert!(TraceParent::read(later).is_some_and(|parent| !parent.is_sampled));
    }

    #[test]
    fn what_is_none_is_left_out() {
        for text in [
            "",
            "00",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-more",
            "ff-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
            "00-00000000000000000000000000000000-00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01",
            "00-4BF92F3577B34DA6A3CE929D0E0E4736-00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e473-00f067aa0ba902b7-01",
            "0-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-1",
        ] {
            assert_eq!(TraceParent::read(text), None, "{text}");
        }
    }
}
