//! *What does this path hold, in this request?* Looked up when a policy first asks, then remembered for the leg.
//!
//! A read is a variable or an attribute of another read: `context.tool`, `principal.owner.active`. The compiler numbers
//! the paths that policies share, most used first, so that a thousand policies that test `context.tool` look it up
//! once. A path that cannot be followed is remembered with the error it gives; whoever asks gets it again, at the place
//! where it asks, as if it had looked itself. Nothing is remembered from one leg to the next.

use crate::ids::NONE;
use crate::outcome::ErrorKind;
use crate::program::{ENTITY_STORED, TAG_ENTITY, TAG_NONE, TAG_RECORD, Tables, Val};
use crate::scratch::Scratch;
use crate::{eval, faults, values};

/// The variables are the first reads, in this order: principal, action, resource, context.
pub(crate) const VARIABLES: u16 = 4;
/// The variable that differs from item to item of a filter.
const RESOURCE: u16 = 2;
/// Attributes below a variable that a read may follow; longer paths are walked by instructions.
pub(crate) const PATH_MAX: usize = 4;

/// Reads of one bundle, variables included: as many as stay in a fast cache beside everything else.
pub(crate) const READS_MAX: usize = 1_024;

/// What the reads of one leg hold.
#[derive(Debug, Default)]
pub(crate) struct Reads {
    /// The leg at hand. A cell that bears another number holds nothing.
    leg: u32,
    /// The bundle that the cells know shapes of; see [`crate::handy::Handy::serial`].
    bundle: u64,
    cells: Vec<Cell>,
}

/// What one read holds.
#[derive(Clone, Copy, Debug)]
struct Cell {
    leg: u32,
    /// The last shape of the bundle that the attribute was looked for in, and where it stands there.
    shape: u32,
    place: u32,
    /// The value, or [`failure`].
    val: Val,
}

const EMPTY: Cell = Cell { leg: 0, shape: NONE, place: 0, val: Val::NONE };

// === impl Reads ===

impl Reads {
    /// Forgets everything and sets the variables.
    pub(crate) fn begin(&mut self, t: &Tables, variables: [Val; VARIABLES as usize]) {
        if self.bundle != t.handy.serial {
            self.bundle = t.handy.serial;
            self.cells.clear();
        }
        let needed = t.reads.len().max(usize::from(VARIABLES));
        if self.cells.len() < needed {
            self.cells.resize(needed, EMPTY);
        }
        if self.leg != 0 && faults::READS_KEPT.is_on() {
            return self.set(variables);
        }
        self.leg = self.leg.wrapping_add(1);
        if self.leg == 0 {
            // Once in four billion legs: marks of long ago must not look like today's.
            self.cells.fill(EMPTY);
            self.leg = 1;
        }
        self.set(variables);
    }

    /// Goes on with another resource: what is read of it is forgotten, the rest stays.
    pub(crate) fn next_resource(&mut self, t: &Tables, resource: Val) {
        for ix in &t.handy.resource_reads {
            if let Some(cell) = self.cells.get_mut(usize::from(*ix)) {
                cell.leg = 0;
            }
        }
        if let Some(cell) = self.cells.get_mut(usize::from(RESOURCE)) {
            *cell = Cell { leg: self.leg, val: resource, ..EMPTY };
        }
    }

    fn set(&mut self, variables: [Val; VARIABLES as usize]) {
        for (cell, val) in self.cells.iter_mut().zip(variables) {
            *cell = Cell { leg: self.leg, val, ..EMPTY };
        }
    }

    /// The value of a variable.
    #[inline]
    pub(crate) fn variable(&self, var: u16) -> Val {
        self.cells.get(usize::from(var)).map_or(Val::NONE, |cell| cell.val)
    }
}

/// What the read `ix` holds.
#[inline]
pub(crate) fn get(t: &Tables, s: &mut Scratch, ix: u16) -> Result<Val, ErrorKind> {
    let val = held(t, s, ix);
    if val.tag == TAG_NONE { Err(kind(val)) } else { Ok(val) }
}

/// A value or a [`failure`]: as one value it is handed on in registers.
#[inline]
fn held(t: &Tables, s: &mut Scratch, ix: u16) -> Val {
    match s.reads.cells.get(usize::from(ix)) {
        Some(cell) if cell.leg == s.reads.leg => cell.val,
        _ => look(t, s, ix),
    }
}

/// The reads that stand on the resource.
pub(crate) fn of_resource(t: &Tables) -> Vec<u16> {
    let mut standing = vec![false; t.reads.len()];
    let mut found = Vec::new();
    for (ix, read) in (0u16..).zip(&t.reads).skip(usize::from(VARIABLES)) {
        let of = read.of as usize;
        if of == usize::from(RESOURCE) || standing.get(of).copied().unwrap_or(false) {
            if let Some(mark) = standing.get_mut(usize::from(ix)) {
                *mark = true;
            }
            found.push(ix);
        }
    }
    found
}

/// Follows a path that nobody has asked for yet. It stands on an earlier read, and `verify` bounds how many times.
#[inline(never)]
fn look(t: &Tables, s: &mut Scratch, ix: u16) -> Val {
    let Some(read) = t.reads.get(usize::from(ix)) else { return failure(ErrorKind::Type) };
    let of = match u16::try_from(read.of) {
        Ok(of) if of < ix => held(t, s, of),
        _ => failure(ErrorKind::Type),
    };
    let val = below(t, s, ix, of, read.attribute);
    let leg = s.reads.leg;
    if let Some(cell) = s.reads.cells.get_mut(usize::from(ix)) {
        (cell.leg, cell.val) = (leg, val);
    }
    val
}

/// The attribute of what a read holds.
#[inline]
fn below(t: &Tables, s: &mut Scratch, ix: u16, of: Val, key: u32) -> Val {
    // The common cases: an entity that is as the bundle stores it; a record.
    let (shape, start) = match of.tag {
        TAG_ENTITY => match t.entities.get(of.low() as usize) {
            Some(record)
                if record.flags & ENTITY_STORED != 0
                    && s.overrides.is_empty()
                    && s.overlay.is_none() =>
            {
                (record.shape, record.attrs)
            }
            _ => return general(t, s, of, key),
        },
        TAG_RECORD => (of.aux, of.low()),
        TAG_NONE => return of,
        _ => return general(t, s, of, key),
    };
    let Some(cell) = s.reads.cells.get_mut(usize::from(ix)) else { return general(t, s, of, key) };
    if cell.shape != shape || cell.shape == NONE {
        let keys = t.shapes.get(shape as usize).map(|keys| keys.of(&t.shape_keys));
        let found = keys.and_then(|keys| values::position(keys, key));
        // Not there, or not a shape of the bundle.
        let Some(found) = found.and_then(|found| u32::try_from(found).ok()) else {
            return general(t, s, of, key);
        };
        (cell.shape, cell.place) = (shape, found);
    }
    let place = cell.place as usize;
    s.values(t).at(start, place).unwrap_or(failure(ErrorKind::Type))
}

#[inline(never)]
fn general(t: &Tables, s: &Scratch, of: Val, key: u32) -> Val {
    match eval::attribute(t, s, of, key) {
        Ok(val) => val,
        Err(_) if faults::READ_ERROR_IS_FALSE.is_on() => Val::bool(false),
        Err(error) => failure(error),
    }
}

/// A failure, where a value is expected. No value has its tag.
fn failure(kind: ErrorKind) -> Val {
    Val { tag: TAG_NONE, aux: kind as u32, bits: 0 }
}

#[cold]
fn kind(failure: Val) -> ErrorKind {
    ErrorKind::ALL.get(failure.aux as usize).copied().unwrap_or(ErrorKind::Limit)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn failures_are_told_as_they_were() {
        for error in ErrorKind::ALL {
            assert_eq!(kind(failure(error)), error);
        }
    }
}
