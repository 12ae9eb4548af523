//! Base64 with padding, of which there is one spelling: RFC 4648 without what it leaves to taste.
//!
//! It writes none.

/// Bytes from base64 with padding, of which there is one spelling.
pub fn base64(text: &[u8]) -> Option<Vec<u8>> {
    let digits = text.strip_suffix(b"==").or(text.strip_suffix(b"=")).unwrap_or(text);
    if !text.len().is_multiple_of(4) {
        return None;
    }
    let (mut bits, mut count, mut bytes) = (0_u32, 0, Vec::with_capacity(text.len() / 4 * 3));
    for digit in digits {
        let value = match digit {
            b'A'..=b'Z' => digit - b'A',
            b'a'..=b'z' => digit - b'a' + 26,
            b'0'..=b'9' => digit - b'0' + 52,
            b'+' => 62,
            b'/' => 63,
            _ => return None,
        };
        bits = (bits << 6 | u32::from(value)) & 0x00ff_ffff;
        count += 6;
        if count >= 8 {
            count -= 8;
            bytes.push((bits >> count & 0xff) as u8);
        }
    }
    // What is left over is no bits.
    (bits & ((1 << count) - 1) == 0).then_some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_is_one_spelling() {
        for (text, bytes) in [("", &b""[..]), ("AA==", b"\0"), ("Zm8=", b"fo"), ("Zm9v", b"foo")] {
            assert_eq!(base64(text.as_bytes()).as_deref(), Some(bytes), "{text}");
        }
        for text in ["A", "AA", "AA=", "AB==", "Zm9=", "Zm9v\n", "Zm9v====", "=", "Zm-_", "Z==="] {
            assert_eq!(base64(text.as_bytes()), None, "{text}");
        }
    }
}
