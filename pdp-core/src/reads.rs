//! *What does this path hold, in this request?* Looked up when a policy first asks, then remembered for the leg.
//!
//! A read is a variable or an attribute of another read: `context.tool`, `principal.owner.active`. The compiler numbers
//! the paths that policies share, most used first, so that a thousand policies that test `context.tool` look it up
//! once. A path that cannot be followed is remembered with the error it gives; whoever asks gets it again, at the place
//! where it asks, as if it had looked itself. Nothing is remembered from one leg to the next.

use crate::eval;
use crate::faults;
use crate::outcome::ErrorKind;
use crate::program::{Tables, Val};
use crate::scratch::Scratch;

/// The variables are the first reads, in this order: principal, action, resource, context.
pub(crate) const VARIABLES: u16 = 4;
/// Attributes below a variable that a read may follow; longer paths are walked by instructions.
pub(crate) const PATH_MAX: usize = 4;

/// Reads of one bundle, variables included: as many as stay in a fast cache beside everything else.
pub(crate) const READS_MAX: usize = 1_024;

/// What the reads of one leg hold.
#[derive(Debug, Default)]
pub(crate) struct Reads {
    /// The leg at hand. A cell that bears another number holds nothing.
    leg: u32,
    cells: Vec<Cell>,
}

/// What one read holds.
#[derive(Clone, Copy, Debug)]
struct Cell {
    leg: u32,
    error: Option<ErrorKind>,
    val: Val,
}

const EMPTY: Cell = Cell { leg: 0, error: None, val: Val::NONE };

// === impl Reads ===

impl Reads {
    /// Forgets everything and sets the variables.
    pub(crate) fn begin(&mut self, t: &Tables, variables: [Val; VARIABLES as usize]) {
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

    fn set(&mut self, variables: [Val; VARIABLES as usize]) {
        for (cell, val) in self.cells.iter_mut().zip(variables) {
            *cell = Cell { leg: self.leg, error: None, val };
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
    match s.reads.cells.get(usize::from(ix)) {
        Some(cell) if cell.leg == s.reads.leg => match cell.error {
            None => Ok(cell.val),
            Some(error) => Err(error),
        },
        _ => look(t, s, ix),
    }
}

/// Follows a path that nobody has asked for yet. It stands on an earlier read, and `verify` bounds how many times.
#[inline(never)]
fn look(t: &Tables, s: &mut Scratch, ix: u16) -> Result<Val, ErrorKind> {
    let Some(read) = t.reads.get(usize::from(ix)).copied() else { return Err(ErrorKind::Type) };
    let of = match u16::try_from(read.of) {
        Ok(of) if of < VARIABLES => Ok(s.reads.variable(of)),
        Ok(of) if of < ix => get(t, s, of),
        _ => Err(ErrorKind::Type),
    };
    let result = of.and_then(|of| eval::attribute(t, s, of, read.attribute));
    let leg = s.reads.leg;
    if let Some(cell) = s.reads.cells.get_mut(usize::from(ix)) {
        *cell = match result {
            Ok(val) => Cell { leg, error: None, val },
            Err(_) if faults::READ_ERROR_IS_FALSE.is_on() => {
                Cell { leg, error: None, val: Val::bool(false) }
            }
            Err(error) => Cell { leg, error: Some(error), val: Val::NONE },
        };
    }
    result
}
