//! JSON bytes to tokens, in one pass: the strict part, without any Cedar meaning.
//!
//! A [`Cursor`] stands somewhere in a text. Whoever knows what should come next asks it for that; strings are borrowed
//! from the text, and only those with escapes are written anew, into the arena. Where something has to be known before
//! a value can be read, [`Cursor::pass`] goes to its end without looking at it closely, and a copy of the cursor that was
//! made before comes back. [`Cursor::value`] goes to its end, too, and checks it on the way.

use std::fmt;

use bumpalo::Bump;
use bumpalo::collections::String as ArenaString;

use super::JsonError;
use crate::limits::{JSON_DEPTH_MAX, RequestLimits};

/// A place in a JSON text. It can be copied, to come back to the place.
#[derive(Clone, Copy, Debug)]
pub struct Cursor<'a> {
    text: &'a str,
    at: usize,
    depth_left: u32,
    pub(super) arena: &'a Bump,
}

/// What a value is, from its first byte.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// `null`.
    Null,
    /// `true` or `false`.
    Bool,
    /// A number.
    Number,
    /// A string.
    Text,
    /// An array.
    Array,
    /// An object.
    Object,
}

// === impl Kind ===

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Kind::Null => "null",
            Kind::Bool => "a Boolean",
            Kind::Number => "a number",
            Kind::Text => "a string",
            Kind::Array => "an array",
            Kind::Object => "an object",
        })
    }
}

// === impl Cursor ===

impl<'a> Cursor<'a> {
    /// Stands before a text.
    ///
    /// # Errors
    ///
    /// When the text is too long.
    pub fn new(text: &'a str, arena: &'a Bump, limits: &RequestLimits) -> Result<Self, JsonError> {
        let (bytes, bytes_max) = (text.len(), limits.request_bytes_max);
        if bytes > bytes_max {
            return Err(JsonError::new(format!(
                "the text has {bytes} bytes, at most {bytes_max} are read"
            )));
        }
        Ok(Self { text, at: 0, depth_left: limits.json_depth_max.min(JSON_DEPTH_MAX), arena })
    }

    /// What the next value is.
    ///
    /// # Errors
    ///
    /// When no value is next, as for all that follow when what they read is not there.
    #[inline(always)]
    pub fn kind(&mut self) -> Result<Kind, JsonError> {
        match self.peek() {
            Some(b'"') => Ok(Kind::Text),
            Some(b'{') => Ok(Kind::Object),
            Some(b'[') => Ok(Kind::Array),
            Some(b'-' | b'0'..=b'9') => Ok(Kind::Number),
            Some(b't' | b'f') => Ok(Kind::Bool),
            Some(b'n') => Ok(Kind::Null),
            _ => Err(self.unexpected("a value")),
        }
    }

    /// Enters an object or array whose first byte is next.
    #[inline(always)]
    pub fn enter(&mut self) -> Result<(), JsonError> {
        match self.depth_left.checked_sub(1) {
            Some(left) => {
                self.depth_left = left;
                self.at += 1;
                Ok(())
            }
            None => Err(self.error("the value is nested too deeply")),
        }
    }

    /// The next key of the object that was entered, its colon read, too; nothing at the end, which is left. `first`: no
    /// key was read yet.
    #[inline(always)]
    pub fn key(&mut self, first: bool) -> Result<Option<&'a str>, JsonError> {
        match (self.peek(), first) {
            (Some(b'}'), _) => {
                self.leave();
                return Ok(None);
            }
            (Some(b'"'), true) => {}
            (Some(b','), false) => {
                self.at += 1;
                if self.peek() != Some(b'"') {
                    return Err(self.unexpected("a key in quotes"));
                }
            }
            (_, true) => return Err(self.unexpected("a key in quotes or `}`")),
            (_, false) => return Err(self.unexpected("`,` or `}`")),
        }
        let key = self.text()?;
        if self.peek() != Some(b':') {
            return Err(self.unexpected("`:`"));
        }
        self.at += 1;
        Ok(Some(key))
    }

    /// Whether the array that was entered has another item; at its end it is left. `first`: no item was read yet.
    #[inline(always)]
    pub fn item(&mut self, first: bool) -> Result<bool, JsonError> {
        match (self.peek(), first) {
            (Some(b']'), _) => {
                self.leave();
                Ok(false)
            }
            (_, true) => Ok(true),
            (Some(b','), false) => {
                self.at += 1;
                Ok(true)
            }
            (_, false) => Err(self.unexpected("`,` or `]`")),
        }
    }

    /// The string whose quote is next.
    // PERF: inlined, as are the few others, because a result that is handed over in memory is written in pieces and
    // read as a whole, for which processors wait; a request of W1 takes a third longer without.
    #[inline(always)]
    pub fn text(&mut self) -> Result<&'a str, JsonError> {
        let start = self.at + 1;
        let end = plain_end(self.text.as_bytes(), start);
        if self.text.as_bytes().get(end) != Some(&b'"') {
            return self.escaped(start, end);
        }
        self.at = end + 1;
        self.part(start, end)
    }

    /// The Boolean whose first byte is next.
    pub fn boolean(&mut self) -> Result<bool, JsonError> {
        let is_true = self.peek() == Some(b't');
        self.word(if is_true { "true" } else { "false" })?;
        Ok(is_true)
    }

    /// The number whose first byte is next: a 64-bit signed integer or an error.
    #[inline]
    pub fn number(&mut self) -> Result<i64, JsonError> {
        let (start, bytes) = (self.at, self.text.as_bytes());
        let negative = bytes.get(start) == Some(&b'-');
        let digits = start + usize::from(negative);
        let (mut at, mut value) = (digits, Some(0_i64));
        while let Some(digit) = bytes.get(at).filter(|byte| byte.is_ascii_digit()) {
            // Towards the negative, which reaches further.
            value =
                value.and_then(|value| value.checked_mul(10)?.checked_sub((digit - b'0').into()));
            at += 1;
        }
        let zeros = bytes.get(digits) == Some(&b'0');
        if at == digits || (zeros && at > digits + 1) {
            return Err(self.error("a number is written wrong"));
        }
        let value = if negative { value } else { value.and_then(i64::checked_neg) };
        let fraction = matches!(bytes.get(at), Some(b'.' | b'e' | b'E'));
        match value {
            // A zero with a sign is a fraction to every reader of JSON.
            Some(value) if !(fraction || negative && zeros) => {
                self.at = at;
                Ok(value)
            }
            _ => Err(self.no_integer()),
        }
    }

    /// Passes over a value. Only its end is found; what it holds is checked by whoever reads it later.
    pub(super) fn pass(&mut self) -> Result<(), JsonError> {
        self.kind()?;
        let bytes = self.text.as_bytes();
        let mut open = 0_usize;
        loop {
            match bytes.get(self.at) {
                None => return Err(self.unexpected("the end of the value")),
                Some(b'"') => {
                    self.text()?;
                }
                Some(b'{' | b'[') => {
                    open += 1;
                    self.at += 1;
                    continue;
                }
                Some(b'}' | b']') => {
                    open = open.saturating_sub(1);
                    self.at += 1;
                }
                Some(_) => {
                    self.at += 1;
                    let goes_on =
                        |byte: &u8| !matches!(byte, b'"' | b'{' | b'[' | b'}' | b']' | b',');
                    while bytes.get(self.at).is_some_and(goes_on) {
                        self.at += 1;
                    }
                }
            }
            if open == 0 {
                return Ok(());
            }
        }
    }

    /// Nothing but white space may follow.
    pub fn end(&mut self) -> Result<(), JsonError> {
        match self.peek() {
            None => Ok(()),
            Some(_) => Err(self.error("there is something after the end")),
        }
    }

    /// The next byte that is not white space, which is passed over.
    #[inline(always)]
    fn peek(&mut self) -> Option<u8> {
        match self.text.as_bytes().get(self.at) {
            // Most texts have none.
            Some(byte) if *byte > b' ' => Some(*byte),
            _ => self.peek_further(),
        }
    }

    #[inline(never)]
    fn peek_further(&mut self) -> Option<u8> {
        loop {
            match self.text.as_bytes().get(self.at) {
                Some(b' ' | b'\n' | b'\r' | b'\t') => self.at += 1,
                other => return other.copied(),
            }
        }
    }

    #[inline]
    fn leave(&mut self) {
        self.at += 1;
        self.depth_left += 1;
    }

    fn word(&mut self, word: &str) -> Result<(), JsonError> {
        let end = self.at + word.len();
        if self.text.as_bytes().get(self.at..end) != Some(word.as_bytes()) {
            return Err(self.unexpected("a value"));
        }
        self.at = end;
        Ok(())
    }

    /// A part of the text between two ASCII characters.
    #[inline]
    fn part(&self, start: usize, end: usize) -> Result<&'a str, JsonError> {
        self.text.get(start..end).ok_or_else(|| self.error("a string is cut within a character"))
    }

    /// A string from `start` whose first `"`, escape or control character is at `end`.
    #[cold]
    fn escaped(&mut self, start: usize, end: usize) -> Result<&'a str, JsonError> {
        let bytes = self.text.as_bytes();
        let mut text = ArenaString::with_capacity_in(end - start + 16, self.arena);
        let (mut start, mut end) = (start, end);
        loop {
            text.push_str(self.part(start, end)?);
            self.at = end;
            match bytes.get(end) {
                Some(b'"') => {
                    self.at = end + 1;
                    return Ok(text.into_bump_str());
                }
                Some(b'\\') => text.push(self.escape()?),
                Some(_) => {
                    return Err(
                        self.error("a string has a control character; write it as `\\u00…`")
                    );
                }
                None => return Err(self.error("a string has no end")),
            }
            start = self.at;
            end = plain_end(bytes, start);
        }
    }

    /// The character of the escape that is next.
    fn escape(&mut self) -> Result<char, JsonError> {
        let letter = self.text.as_bytes().get(self.at + 1).copied();
        let plain = match letter {
            Some(b'"') => '"',
            Some(b'\\') => '\\',
            Some(b'/') => '/',
            Some(b'b') => '\u{8}',
            Some(b'f') => '\u{c}',
            Some(b'n') => '\n',
            Some(b'r') => '\r',
            Some(b't') => '\t',
            Some(b'u') => return self.unicode(),
            _ => return Err(self.error("a string has an escape that JSON does not know")),
        };
        self.at += 2;
        Ok(plain)
    }

    /// The character of `\uXXXX`, or of two of them where one is half of a pair.
    fn unicode(&mut self) -> Result<char, JsonError> {
        let unit = |at: usize| {
            let digits = self.text.as_bytes().get(at..at + 6)?.strip_prefix(b"\\u")?;
            digits
                .iter()
                .try_fold(0_u32, |unit, digit| Some(unit * 16 + char::from(*digit).to_digit(16)?))
        };
        let paired = |high: u32| {
            let low = unit(self.at + 6).filter(|low| (0xDC00..0xE000).contains(low))?;
            char::from_u32(0x10000 + ((high - 0xD800) << 10) + (low - 0xDC00))
        };
        let (found, length) = match unit(self.at) {
            Some(high) if (0xD800..0xDC00).contains(&high) => (paired(high), 12),
            Some(unit) => (char::from_u32(unit), 6),
            None => (None, 0),
        };
        let found =
            found.ok_or_else(|| self.error("a string has an escape `\\u` of no character"))?;
        self.at += length;
        Ok(found)
    }

    // === errors ===

    #[cold]
    fn unexpected(&self, what: &str) -> JsonError {
        let rest = self.text.get(self.at..).unwrap_or_default();
        match rest.chars().next() {
            Some(found @ ('"' | '\'' | '\\')) => {
                self.error(&format!("expected {what}, not `{found}`"))
            }
            Some(found) => self.error(&format!("expected {what}, not `{}`", found.escape_debug())),
            None => self.error(&format!("expected {what}, but the text ends")),
        }
    }

    #[cold]
    fn no_integer(&self) -> JsonError {
        let rest = self.text.get(self.at..).unwrap_or_default();
        let is_part = |c: &char| c.is_ascii_digit() || matches!(c, '-' | '+' | '.' | 'e' | 'E');
        let number: String = rest.chars().take_while(is_part).take(40).collect();
        let hint =
            if number.contains(['.', 'e', 'E']) { "; for fractions use decimal" } else { "" };
        self.error(&format!("{number} is not a 64-bit signed integer{hint}"))
    }

    /// An error here, with the place in the text.
    #[cold]
    pub(super) fn error(&self, text: &str) -> JsonError {
        let before = self.text.as_bytes().get(..self.at).unwrap_or_default();
        let line = before.iter().filter(|byte| **byte == b'\n').count() + 1;
        let column = before.iter().rev().take_while(|byte| **byte != b'\n').count() + 1;
        JsonError::new(format!("{text} at line {line} column {column}"))
    }
}

mod whole;

/// Where the first `"`, `\` or control character from `at` on is, or the end.
#[inline(always)]
fn plain_end(bytes: &[u8], mut at: usize) -> usize {
    const ONES: u64 = u64::from_ne_bytes([0x01; 8]);
    const HIGH: u64 = u64::from_ne_bytes([0x80; 8]);
    // The high bit of the first byte below `limit`; bytes after it may be marked wrongly, those before it never are.
    let below = |word: u64, limit: u64| word.wrapping_sub(ONES * limit) & !word & HIGH;
    while let Some(eight) = bytes.get(at..).and_then(<[u8]>::first_chunk) {
        let word = u64::from_le_bytes(*eight);
        let (quotes, escapes) = (word ^ (ONES * 0x22), word ^ (ONES * 0x5C));
        let found = below(word, 0x20) | below(quotes, 1) | below(escapes, 1);
        if found != 0 {
            return at + (found.trailing_zeros() / 8) as usize;
        }
        at += 8;
    }
    let rest = bytes.get(at..).unwrap_or_default();
    let plain = rest.iter().take_while(|byte| !matches!(byte, b'"' | b'\\' | 0..0x20)).count();
    at + plain
}
