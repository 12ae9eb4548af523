//! What a path is: one rule, for every edge.
//!
//! A path is taken as it stands or refused; it is never rewritten, so that what is judged is what the upstream gets.
//! Taken is: `/`, then segments joined by `/`, of letters, digits, `-._~!$&'()*+,=:@` and escapes. No segment is
//! empty but the last, none is `.` or `..`. An escape is `%` and two digits of upper-case hexadecimal; it stands for a
//! byte that needs one, and neither for a control byte, a delimiter (`/`, `\`, `;`, `?`, `#`) nor `%`; escapes decode
//! to UTF-8. The query, after the first `?`, is printable ASCII with whole escapes.

use std::fmt;

/// Longer targets are refused.
const TARGET_BYTES_MAX: usize = 8192;

/// A request target that is taken as it stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Target<'a> {
    /// Without the query.
    pub path: &'a str,
    /// What follows the first `?`.
    pub query: &'a str,
}

/// Why a request target is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum PathError {
    /// More than 8,192 bytes.
    TooLong,
    /// It does not begin with `/`: absolute form, `*`, or nothing.
    NotOrigin,
    /// A byte that a path or query does not hold as such.
    Byte(u8),
    /// `%` without two hexadecimal digits.
    CutEscape,
    /// An escape in lower case, or of a byte that needs none: another spelling of the same path.
    LooseEscape,
    /// An escape of a byte that some would take for a delimiter, or of `%`, which hides another escape.
    HiddenByte(u8),
    /// Escapes that do not decode to UTF-8.
    NotUtf8,
    /// A segment is empty, and not the last.
    EmptySegment,
    /// A segment is `.` or `..`.
    DotSegment,
}

// === impl Target ===

impl<'a> Target<'a> {
    /// Reads a request target, path and query, as a proxy sends it.
    ///
    /// # Errors
    ///
    /// Anything that is not as the rule has it.
    pub fn read(target: &'a [u8]) -> Result<Self, PathError> {
        if target.len() > TARGET_BYTES_MAX {
            return Err(PathError::TooLong);
        }
        let at = target.iter().position(|byte| *byte == b'?').unwrap_or(target.len());
        let (path, query) = target.split_at_checked(at).unwrap_or((target, b""));
        let query = query.strip_prefix(b"?").unwrap_or(query);
        if path.first() != Some(&b'/') {
            return Err(PathError::NotOrigin);
        }
        escapes(path, false)?;
        escapes(query, true)?;
        let text = |bytes: &'a [u8]| std::str::from_utf8(bytes).map_err(|_| PathError::NotUtf8);
        let (path, query) = (text(path)?, text(query)?);
        let mut segments = path.split('/').skip(1).peekable();
        while let Some(segment) = segments.next() {
            match segment {
                "" if segments.peek().is_some() => return Err(PathError::EmptySegment),
                "." | ".." => return Err(PathError::DotSegment),
                _ => {}
            }
            if segment.contains('%') && decode(segment).is_none() {
                return Err(PathError::NotUtf8);
            }
        }
        Ok(Self { path, query })
    }
}

/// Checks bytes and escapes one after the other; a query may hold any whole escape.
fn escapes(text: &[u8], query: bool) -> Result<(), PathError> {
    let mut bytes = text.iter().copied();
    while let Some(byte) = bytes.next() {
        if byte != b'%' {
            let fits = match query {
                true => byte.is_ascii_graphic() && byte != b'#',
                false => byte == b'/' || stands_bare(byte),
            };
            if !fits {
                return Err(PathError::Byte(byte));
            }
            continue;
        }
        let (Some(high), Some(low)) = (bytes.next(), bytes.next()) else {
            return Err(PathError::CutEscape);
        };
        if !high.is_ascii_hexdigit() || !low.is_ascii_hexdigit() {
            return Err(PathError::CutEscape);
        }
        if query {
            continue;
        }
        let escaped = hex(high) << 4 | hex(low);
        if matches!(escaped, b'/' | b'\\' | b';' | b'?' | b'#' | b'%') || escaped.is_ascii_control()
        {
            return Err(PathError::HiddenByte(escaped));
        }
        if high.is_ascii_lowercase() || low.is_ascii_lowercase() || unreserved(escaped) {
            return Err(PathError::LooseEscape);
        }
    }
    Ok(())
}

/// A segment of a path that was taken, without escapes; `None` if they do not decode to UTF-8.
pub(crate) fn decode(segment: &str) -> Option<String> {
    let mut decoded = Vec::with_capacity(segment.len());
    let mut bytes = segment.bytes();
    while let Some(byte) = bytes.next() {
        decoded.push(match byte {
            b'%' => hex(bytes.next()?) << 4 | hex(bytes.next()?),
            byte => byte,
        });
    }
    String::from_utf8(decoded).ok()
}

fn unreserved(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"-._~".contains(&byte)
}

fn stands_bare(byte: u8) -> bool {
    unreserved(byte) || b"!$&'()*+,=:@".contains(&byte)
}

/// The value of a hexadecimal digit.
fn hex(digit: u8) -> u8 {
    match digit {
        b'0'..=b'9' => digit - b'0',
        b'a'..=b'f' => digit - b'a' + 10,
        b'A'..=b'F' => digit - b'A' + 10,
        _ => 0,
    }
}

// === impl PathError ===

impl fmt::Display for PathError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            PathError::TooLong => write!(f, "the path is longer than {TARGET_BYTES_MAX} bytes"),
            PathError::NotOrigin => f.write_str("the path does not begin with `/`"),
            PathError::Byte(byte) => write!(f, "the path holds the byte 0x{byte:02X} as such"),
            PathError::CutEscape => f.write_str("the path holds a `%` that is no escape"),
            PathError::LooseEscape => {
                f.write_str("the path holds an escape that is not needed, or in lower case")
            }
            PathError::HiddenByte(byte) => {
                write!(f, "the path hides the byte 0x{byte:02X} in an escape")
            }
            PathError::NotUtf8 => f.write_str("the path is not UTF-8 without its escapes"),
            PathError::EmptySegment => f.write_str("the path has an empty segment"),
            PathError::DotSegment => f.write_str("the path has a segment `.` or `..`"),
        }
    }
}

impl std::error::Error for PathError {}

#[cfg(test)]
mod tests;
