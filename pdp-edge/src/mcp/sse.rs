//! A stream of events with a list in it: fed in pieces as they arrive, given on as it may be seen.
//!
//! An event is held until its end and given on then: as it is if it is no answer, else filtered. Lines that are no field
//! of an event are dropped, because a lenient reader could take one for data. An event that is too large becomes an empty
//! list; one that the stream does not end is dropped, as its readers drop it.

use super::list::{Item, ListFilter};

/// Larger events become an empty list.
const EVENT_BYTES_MAX: usize = 1 << 20;

/// Filters a stream of events.
#[derive(Debug)]
pub struct SseFilter {
    filter: ListFilter,
    /// The event so far, without what is beyond the limit.
    event: Vec<u8>,
    too_large: bool,
    /// Nothing of the line was seen.
    line_begins: bool,
    /// The last byte ended a line, and a line feed still belongs to it.
    returned: bool,
    /// Nothing of the stream was given on.
    stream_begins: bool,
}

// === impl SseFilter ===

impl SseFilter {
    /// For the answer that `filter` filters.
    pub fn new(filter: ListFilter) -> Self {
        Self {
            filter,
            event: Vec::new(),
            too_large: false,
            line_begins: true,
            returned: false,
            stream_begins: true,
        }
    }

    /// Takes the next piece of the stream, and gives what is known by now.
    pub fn feed(&mut self, piece: &[u8], allowed: &mut dyn FnMut(Item<'_>) -> bool) -> Vec<u8> {
        let mut out = Vec::new();
        for byte in piece {
            if std::mem::take(&mut self.returned) && *byte == b'\n' {
                continue;
            }
            match byte {
                b'\r' | b'\n' => {
                    self.returned = *byte == b'\r';
                    // There is one kind of end of line from here on.
                    self.push(b'\n');
                    if std::mem::replace(&mut self.line_begins, true) {
                        self.end(&mut out, allowed);
                    }
                }
                byte => {
                    self.line_begins = false;
                    self.push(*byte);
                }
            }
        }
        out
    }

    fn push(&mut self, byte: u8) {
        match self.event.len() < EVENT_BYTES_MAX {
            true => self.event.push(byte),
            false => self.too_large = true,
        }
    }

    /// Gives on the event that has ended.
    fn end(&mut self, out: &mut Vec<u8>, allowed: &mut dyn FnMut(Item<'_>) -> bool) {
        let event = std::mem::take(&mut self.event);
        let begins = std::mem::take(&mut self.stream_begins);
        if std::mem::take(&mut self.too_large) {
            write_data(&self.filter.empty(), out);
            out.push(b'\n');
            return;
        }
        let mut lines = event.as_slice();
        if begins {
            lines = lines.strip_prefix("\u{feff}".as_bytes()).unwrap_or(lines);
        }
        let mut data: Option<Vec<u8>> = None;
        for line in lines.split(|byte| *byte == b'\n') {
            let at = line.iter().position(|byte| *byte == b':');
            let (field, value) = match at.and_then(|at| line.split_at_checked(at)) {
                Some((field, rest)) => {
                    let value = rest.strip_prefix(b":").unwrap_or(rest);
                    (field, value.strip_prefix(b" ").unwrap_or(value))
                }
                None => (line, &b""[..]),
            };
            match field {
                b"data" => match &mut data {
                    Some(data) => {
                        data.push(b'\n');
                        data.extend(value);
                    }
                    None => data = Some(value.to_owned()),
                },
                // A comment, or what an event has beside its data.
                b"" if at.is_none() => {}
                b"" | b"event" | b"id" | b"retry" => {
                    out.extend(line);
                    out.push(b'\n');
                }
                _ => {}
            }
        }
        if let Some(data) = data {
            let seen = match data.iter().all(u8::is_ascii_whitespace) {
                true => None,
                false => self.filter.event(&data, allowed),
            };
            match seen {
                Some(seen) => write_data(&seen, out),
                None => write_data(&String::from_utf8_lossy(&data), out),
            }
        }
        out.push(b'\n');
    }
}

fn write_data(data: &str, out: &mut Vec<u8>) {
    for line in data.split('\n') {
        out.extend(b"data: ");
        out.extend(line.as_bytes());
        out.push(b'\n');
    }
}

#[cfg(test)]
mod tests;
