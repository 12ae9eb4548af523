//! Lines from a stream, numbered, each at most so long, and none lost: what cannot be a line of text is handed out
//! as an error in its place, and reading goes on behind it.

use std::io::{self, BufRead};

/// Reads lines.
#[derive(Debug)]
pub(crate) struct Lines<R> {
    from: R,
    line_bytes_max: usize,
    number: u64,
    buffer: Vec<u8>,
}

/// One line and its number, from 1.
pub(crate) type Numbered<'b> = (u64, Result<&'b str, String>);

// === impl Lines ===

impl<R: BufRead> Lines<R> {
    /// Reads from a stream, with a limit to the length of a line.
    pub(crate) fn new(from: R, line_bytes_max: usize) -> Self {
        Self { from, line_bytes_max, number: 0, buffer: Vec::new() }
    }

    /// The next line without its line break; nothing at the end.
    pub(crate) fn next(&mut self) -> io::Result<Option<Numbered<'_>>> {
        self.buffer.clear();
        let mut too_long = false;
        let mut any = false;
        loop {
            let chunk = match self.from.fill_buf() {
                Ok(chunk) => chunk,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(error),
            };
            if chunk.is_empty() {
                break;
            }
            any = true;
            let end = chunk.iter().position(|byte| *byte == b'\n');
            let part = chunk.get(..end.unwrap_or(chunk.len())).unwrap_or_default();
            if too_long || self.buffer.len().saturating_add(part.len()) > self.line_bytes_max {
                // The rest is read over without being kept.
                too_long = true;
                self.buffer.clear();
            } else {
                self.buffer.extend_from_slice(part);
            }
            let used = end.map_or(chunk.len(), |end| end + 1);
            self.from.consume(used);
            if end.is_some() {
                break;
            }
        }
        if !any {
            return Ok(None);
        }
        self.number = self.number.saturating_add(1);
        let text = if too_long {
            Err(format!("the line is longer than {} bytes; split it", self.line_bytes_max))
        } else {
            std::str::from_utf8(&self.buffer).map_err(|error| {
                format!("the line is not UTF-8 from byte {} on", error.valid_up_to())
            })
        };
        Ok(Some((self.number, text)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(bytes: &[u8], chunk_bytes: usize) -> io::Result<Vec<(u64, Result<String, String>)>> {
        let mut lines = Lines::new(io::BufReader::with_capacity(chunk_bytes, bytes), 5);
        let mut out = Vec::new();
        while let Some((number, text)) = lines.next()? {
            out.push((number, text.map(str::to_owned)));
        }
        Ok(out)
    }

    #[test]
    fn every_line_has_its_place() -> io::Result<()> {
        let too_long = || Err("the line is longer than 5 bytes; split it".to_owned());
        let ok = |text: &str| Ok(text.to_owned());
        let expected = vec![
            (1, ok("12345")),
            (2, too_long()),
            (3, ok("")),
            (4, Err("the line is not UTF-8 from byte 1 on".to_owned())),
            (5, ok("é")),
            (6, ok("end")),
        ];
        for chunk_bytes in [1, 2, 3, 7, 100] {
            assert_eq!(all(b"12345\n1234567\n\na\xff\n\xc3\xa9\nend", chunk_bytes)?, expected);
        }
        Ok(())
    }

    #[test]
    fn a_last_line_break_opens_no_line() -> io::Result<()> {
        assert_eq!(all(b"a\n", 10)?, [(1, Ok("a".to_owned()))]);
        assert_eq!(all(b"", 10)?, []);
        Ok(())
    }
}
