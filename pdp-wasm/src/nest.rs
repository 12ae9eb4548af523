//! Sets and records from a flat list: an interface without recursive types names the parts of a value by position.
//!
//! A part stands before what holds it, so there are no circles and nothing has to be walked twice. Depth and size are
//! counted while building: parts may be held by many, and what is small as a list could be endless as a value.

use pdp_core::Value;
use pdp_core::json::Arena;

/// Nesting of a value.
const DEPTH_MAX: u32 = 100;
/// Values that a part stands for, those in it counted as often as they are there.
const SIZE_MAX: u32 = 65_536;

/// The parts built so far.
#[derive(Debug)]
pub(crate) struct Nest<'a> {
    arena: &'a Arena,
    parts: Vec<Part<'a>>,
}

/// A value, how deep it is and how many values are in it.
#[derive(Clone, Copy, Debug)]
struct Part<'a> {
    value: Value<'a>,
    depth: u32,
    size: u32,
}

// === impl Nest ===

impl<'a> Nest<'a> {
    /// With no part.
    pub(crate) fn new(arena: &'a Arena) -> Self {
        Self { arena, parts: Vec::new() }
    }

    /// Adds what has no parts among these.
    pub(crate) fn add(&mut self, value: Value<'a>) -> Result<(), String> {
        let size = match value {
            Value::Set(items) => u32::try_from(items.len()).unwrap_or(u32::MAX).saturating_add(1),
            _ => 1,
        };
        self.push(Part { value, depth: 2, size })
    }

    /// Adds a set of earlier parts.
    pub(crate) fn add_set(&mut self, items: &[u32]) -> Result<(), String> {
        let part = self.set(items)?;
        self.push(part)
    }

    /// Adds a record of earlier parts.
    pub(crate) fn add_record(&mut self, fields: &'a [(String, u32)]) -> Result<(), String> {
        let part = self.record(fields)?;
        self.push(part)
    }

    /// A set of parts, for a place that is not among them.
    pub(crate) fn set_of(&self, items: &[u32]) -> Result<Value<'a>, String> {
        Ok(self.set(items)?.value)
    }

    /// A record of parts, for a place that is not among them.
    pub(crate) fn record_of(&self, fields: &'a [(String, u32)]) -> Result<Value<'a>, String> {
        Ok(self.record(fields)?.value)
    }

    fn set(&self, items: &[u32]) -> Result<Part<'a>, String> {
        let (mut values, mut depth, mut size) = (Vec::with_capacity(items.len()), 0, 1);
        for at in items {
            values.push(self.part(*at, &mut depth, &mut size)?);
        }
        let value = Value::Set(self.arena.alloc_slice_copy(&values));
        Ok(Part { value, depth, size })
    }

    fn record(&self, fields: &'a [(String, u32)]) -> Result<Part<'a>, String> {
        let (mut values, mut depth, mut size) = (Vec::with_capacity(fields.len()), 0, 1);
        for (key, at) in fields {
            values.push((key.as_str(), self.part(*at, &mut depth, &mut size)?));
        }
        let value = Value::Record(self.arena.alloc_slice_copy(&values));
        Ok(Part { value, depth, size })
    }

    fn part(&self, at: u32, depth: &mut u32, size: &mut u32) -> Result<Value<'a>, String> {
        let Some(part) = self.parts.get(at as usize) else {
            return Err(format!(
                "a set or record names part {at}, but only {} stand before it",
                self.parts.len()
            ));
        };
        *depth = (*depth).max(part.depth.saturating_add(1));
        *size = size.saturating_add(part.size);
        match (*depth > DEPTH_MAX, *size > SIZE_MAX) {
            (true, _) => Err(format!("a value is nested more than {DEPTH_MAX} deep")),
            (_, true) => Err(format!("a set or record holds more than {SIZE_MAX} values")),
            _ => Ok(part.value),
        }
    }

    fn push(&mut self, part: Part<'a>) -> Result<(), String> {
        if self.parts.len() >= SIZE_MAX as usize {
            return Err(format!("a request has more than {SIZE_MAX} parts of sets and records"));
        }
        self.parts.push(part);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(at: u32) -> Vec<(String, u32)> {
        vec![("k".to_owned(), at)]
    }

    #[test]
    fn parts_become_values() {
        let (arena, inner) = (Arena::new(), key(1));
        let mut nest = Nest::new(&arena);
        nest.add(Value::Long(1)).unwrap_or_default();
        nest.add_set(&[0, 0]).unwrap_or_default();
        let record = nest.record_of(&inner).map(|value| value.to_string());
        assert_eq!(record.as_deref(), Ok("{\"k\": [1, 1]}"));
        assert_eq!(nest.set_of(&[]).map(|value| value.to_string()).as_deref(), Ok("[]"));
    }

    #[test]
    fn a_part_stands_before_what_holds_it() {
        let (arena, record) = (Arena::new(), key(0));
        let mut nest = Nest::new(&arena);
        let expected = "a set or record names part 0, but only 0 stand before it";
        assert_eq!(nest.add_set(&[0]), Err(expected.to_owned()));
        assert_eq!(nest.add_record(&record), Err(expected.to_owned()));
        assert!(nest.set_of(&[u32::MAX]).is_err());
    }

    #[test]
    fn what_grows_without_end_is_refused() {
        let arena = Arena::new();
        let mut nest = Nest::new(&arena);
        nest.add(Value::Long(1)).unwrap_or_default();
        // Each holds the last one twice.
        let doubled = (0..40).try_for_each(|at| nest.add_set(&[at, at]));
        assert_eq!(doubled, Err("a set or record holds more than 65536 values".to_owned()));

        let mut nest = Nest::new(&arena);
        nest.add(Value::Long(1)).unwrap_or_default();
        let deep = (0..200).try_for_each(|at| nest.add_set(&[at]));
        assert_eq!(deep, Err("a value is nested more than 100 deep".to_owned()));

        let mut nest = Nest::new(&arena);
        let many = (0..100_000).try_for_each(|_| nest.add(Value::Long(1)));
        assert_eq!(many, Err("a request has more than 65536 parts of sets and records".to_owned()));
    }
}
