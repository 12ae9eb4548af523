//! *Does this conjunct hold?* The conjuncts that authors write most, each one instruction on what reads hold.
//!
//! They give what the instructions they stand for would give, errors included: operands are looked at from left to
//! right, and everything but the commonest types goes through the same operators as `eval`. Nothing is built and no
//! stack is used.

use crate::ids::NONE;
use crate::op;
use crate::outcome::ErrorKind;
use crate::program::{
    Op, TAG_BOOL, TAG_ENTITY, TAG_IP6, TAG_LONG, TAG_RECORD, TAG_SET, TAG_STRING, Tables, Val,
};
use crate::scratch::Scratch;
use crate::{eval, faults, reads};

/// Whether what a test asks holds; its negation is the caller's.
#[inline(always)]
pub(crate) fn holds(
    t: &Tables,
    s: &mut Scratch,
    test: &Op,
    fuel: &mut u64,
) -> Result<bool, ErrorKind> {
    let read = reads::get(t, s, test.b)?;
    let constant = || t.vals.get(test.c as usize).copied().unwrap_or(Val::NONE);
    match test.code {
        op::TEST_EQ => equal(t, s, read, constant(), fuel),
        op::TEST_EQ_READ => {
            let right = other(t, s, test)?;
            equal(t, s, read, right, fuel)
        }
        op::TEST_LESS => less(t, s, op::LESS, read, constant(), fuel),
        op::TEST_LESS_EQ => less(t, s, op::LESS_EQ, read, constant(), fuel),
        op::TEST_GREATER => less(t, s, op::LESS, constant(), read, fuel),
        op::TEST_GREATER_EQ => less(t, s, op::LESS_EQ, constant(), read, fuel),
        op::TEST_LESS_READ => {
            let right = other(t, s, test)?;
            less(t, s, op::LESS, read, right, fuel)
        }
        op::TEST_LESS_EQ_READ => {
            let right = other(t, s, test)?;
            less(t, s, op::LESS_EQ, read, right, fuel)
        }
        op::TEST_TRUE => match read.tag {
            TAG_BOOL => Ok(read.bits != 0),
            // A negated test holds when this does not.
            _ if faults::REQUIRE_SKIPS_TYPE.is_on() => Ok(test.a == 0),
            _ => Err(ErrorKind::Type),
        },
        op::TEST_HAS => eval::has(t, s, read, test.c),
        op::TEST_IS => {
            eval::expect(read, TAG_ENTITY)?;
            Ok(s.entity_type(t, read.low()) == test.c && test.c != NONE)
        }
        op::TEST_IN => truth(eval::binary(t, s, op::IN, read, constant(), fuel)),
        op::TEST_HOLDS => truth(eval::binary(t, s, op::CONTAINS, read, constant(), fuel)),
        op::TEST_HOLDS_READ => {
            // The set is looked at first, but only both operands together can be of a wrong type.
            let right = other(t, s, test)?;
            truth(eval::binary(t, s, op::CONTAINS, read, right, fuel))
        }
        op::TEST_ONE_OF => truth(eval::binary(t, s, op::CONTAINS, constant(), read, fuel)),
        op::TEST_LIKE => {
            eval::expect(read, TAG_STRING)?;
            eval::matches(t, s, read.low(), test.c, fuel)
        }
        _ => Err(ErrorKind::Limit),
    }
}

/// The two sides of a test as they are written, for explanations.
pub(crate) fn operands(t: &Tables, s: &mut Scratch, test: &Op) -> Option<(Val, Val)> {
    let read = reads::get(t, s, test.b).ok()?;
    let constant = t.vals.get(test.c as usize).copied();
    match test.code {
        code if op::reads_two(code) => Some((read, other(t, s, test).ok()?)),
        op::TEST_GREATER | op::TEST_GREATER_EQ | op::TEST_ONE_OF => Some((constant?, read)),
        op::TEST_EQ | op::TEST_LESS | op::TEST_LESS_EQ | op::TEST_IN | op::TEST_HOLDS => {
            Some((read, constant?))
        }
        _ => None,
    }
}

/// The second read of a test that has two.
#[inline]
fn other(t: &Tables, s: &mut Scratch, test: &Op) -> Result<Val, ErrorKind> {
    // `verify` has looked: it is a number of a read.
    reads::get(t, s, u16::try_from(test.c).unwrap_or(u16::MAX))
}

#[inline]
fn equal(
    t: &Tables,
    s: &Scratch,
    left: Val,
    right: Val,
    fuel: &mut u64,
) -> Result<bool, ErrorKind> {
    if left.tag != right.tag || !matches!(left.tag, TAG_SET | TAG_RECORD | TAG_IP6) {
        return Ok(left == right);
    }
    truth(eval::binary(t, s, op::EQ, left, right, fuel))
}

#[inline]
fn less(
    t: &Tables,
    s: &Scratch,
    code: u8,
    left: Val,
    right: Val,
    fuel: &mut u64,
) -> Result<bool, ErrorKind> {
    if left.tag == TAG_LONG && right.tag == TAG_LONG && !faults::LESS_FOR_LESS_EQUAL.is_on() {
        let (left, right) = (left.as_i64(), right.as_i64());
        return Ok(if code == op::LESS { left < right } else { left <= right });
    }
    truth(eval::binary(t, s, code, left, right, fuel))
}

#[inline]
fn truth(result: Result<Val, ErrorKind>) -> Result<bool, ErrorKind> {
    result.map(|val| val.bits != 0)
}
