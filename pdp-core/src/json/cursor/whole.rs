//! Whole values of any kind, checked and left as text: for JSON that others wrote and that is handed on as it is.
//!
//! It makes nothing of a value. Nesting is bounded by the cursor, and with it the recursion here.

use bumpalo::collections::Vec as ArenaVec;

use super::super::value::twice;
use super::{Cursor, JsonError, Kind};

impl<'a> Cursor<'a> {
    /// The text of the next value. All of it is checked: no key occurs twice in any object of it, it is not nested too
    /// deeply, and every reader of JSON reads the same.
    ///
    /// # Errors
    ///
    /// When it is not so.
    pub fn value(&mut self) -> Result<&'a str, JsonError> {
        let kind = self.kind()?;
        let start = self.at;
        match kind {
            Kind::Null => self.word("null")?,
            Kind::Bool => _ = self.boolean()?,
            Kind::Number => _ = self.numeral()?,
            Kind::Text => _ = self.text()?,
            Kind::Array => {
                self.enter()?;
                let mut first = true;
                while self.item(first)? {
                    first = false;
                    self.value()?;
                }
            }
            Kind::Object => {
                self.enter()?;
                let mut keys = ArenaVec::new_in(self.arena);
                while let Some(key) = self.key(keys.is_empty())? {
                    keys.push(key);
                    self.value()?;
                }
                if let Some(key) = twice(&mut keys) {
                    return Err(self.error(&format!("key `{key}` occurs twice")));
                }
            }
        }
        self.part(start, self.at)
    }

    /// The text of the number whose first byte is next, fractions and exponents included.
    ///
    /// # Errors
    ///
    /// When it is not written as JSON has it.
    pub fn numeral(&mut self) -> Result<&'a str, JsonError> {
        let (start, bytes) = (self.at, self.text.as_bytes());
        let is = |at: usize, of: &[u8]| bytes.get(at).is_some_and(|byte| of.contains(byte));
        let digits = |mut at: usize| {
            let from = at;
            while bytes.get(at).is_some_and(u8::is_ascii_digit) {
                at += 1;
            }
            (at > from).then_some(at)
        };
        let end = || {
            let whole = start + usize::from(is(start, b"-"));
            let mut end = if is(whole, b"0") { whole + 1 } else { digits(whole)? };
            if is(end, b".") {
                end = digits(end + 1)?;
            }
            if is(end, b"eE") {
                end = digits(end + 1 + usize::from(is(end + 1, b"+-")))?;
            }
            // Another digit would be one after a zero.
            (!bytes.get(end).is_some_and(u8::is_ascii_digit)).then_some(end)
        };
        let end = end().ok_or_else(|| self.error("a number is written wrong"))?;
        self.at = end;
        self.part(start, end)
    }
}
