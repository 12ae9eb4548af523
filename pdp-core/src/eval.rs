//! *Is this policy's condition satisfied?* One loop over flat instructions, no recursion, no allocation after warm-up.
//!
//! Values live on a stack in the caller's scratch; what a condition builds (sets, records) lives there until the
//! condition is done. Every error is Cedar's: same operands, same order, same short circuits. Each instruction costs
//! a step, and so does every element that a set operation, a comparison or `like` walks over; running out is its own
//! verdict and never means satisfied. This module refuses to know about scopes, effects and legs.

use crate::ids::NONE;
use crate::op;
use crate::outcome::ErrorKind;
use crate::program::{
    ENTITY_STORED, Op, Span, TAG_BOOL, TAG_DATETIME, TAG_DURATION, TAG_ENTITY, TAG_LONG,
    TAG_RECORD, TAG_SET, TAG_STRING, Tables, Val,
};
use crate::scratch::Scratch;
use crate::{call, conjunct, faults, like, reads, scope, values};

/// How the evaluation of a condition ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    Satisfied,
    Unsatisfied,
    Failed(ErrorKind),
}

/// Whether a policy's condition is satisfied. `fuel` is what is left of the request's steps.
#[inline(always)]
pub(crate) fn condition(t: &Tables, s: &mut Scratch, ops: &[Op], fuel: &mut u64) -> Verdict {
    let mut rest = ops;
    while let Some((op, after)) = rest.split_first() {
        if !op::is_test(op.code) {
            return instructions(t, s, rest, fuel);
        }
        match spend(fuel, 1).and_then(|()| conjunct::holds(t, s, op, fuel)) {
            Ok(holds) if holds != (op.a == 1) => rest = after,
            Ok(_) => return Verdict::Unsatisfied,
            Err(kind) => return Verdict::Failed(kind),
        }
    }
    Verdict::Satisfied
}

/// What is left of a condition from its first instruction on that is no test.
#[inline(never)]
fn instructions(t: &Tables, s: &mut Scratch, ops: &[Op], fuel: &mut u64) -> Verdict {
    s.stack.clear();
    let marks = (s.vals.len(), s.shapes.len(), s.shape_keys.len(), s.ip6.len());
    let verdict = match run(t, s, ops, fuel) {
        Ok(true) => Verdict::Satisfied,
        Ok(false) => Verdict::Unsatisfied,
        Err(kind) => Verdict::Failed(kind),
    };
    s.vals.truncate(marks.0);
    s.shapes.truncate(marks.1);
    s.shape_keys.truncate(marks.2);
    s.ip6.truncate(marks.3);
    verdict
}

/// Runs instructions and gives the value they leave: for explanations, which look at parts of a condition.
pub(crate) fn value(
    t: &Tables,
    s: &mut Scratch,
    ops: &[Op],
    fuel: &mut u64,
) -> Result<Val, ErrorKind> {
    s.stack.clear();
    let holds = run(t, s, ops, fuel)?;
    match ops {
        [test] if op::is_test(test.code) => Ok(Val::bool(holds)),
        _ => s.stack.pop().ok_or(ErrorKind::Type),
    }
}

fn run(t: &Tables, s: &mut Scratch, ops: &[Op], fuel: &mut u64) -> Result<bool, ErrorKind> {
    let mut at = 0;
    while let Some(op) = ops.get(at) {
        at += 1;
        spend(fuel, 1)?;
        match op.code {
            op::CONST => s.stack.push(t.vals.get(op.c as usize).copied().unwrap_or(Val::NONE)),
            op::VAR => {
                let val = s.reads.variable(op.a.into());
                s.stack.push(val);
            }
            op::READ => {
                let val = reads::get(t, s, op.b)?;
                s.stack.push(val);
            }
            code if op::is_test(code) => {
                if conjunct::holds(t, s, op, fuel)? == (op.a == 1) {
                    return Ok(false);
                }
            }
            op::ATTR => {
                let of = pop(s)?;
                let val = attribute(t, s, of, op.c)?;
                s.stack.push(val);
            }
            op::HAS => {
                let of = pop(s)?;
                let has = has(t, s, of, op.c)?;
                s.stack.push(Val::bool(has));
            }
            op::HAS_PATH => {
                let of = pop(s)?;
                let has = has_path(t, s, of, Span { start: op.c, len: op.b.into() })?;
                s.stack.push(Val::bool(has));
            }
            op::AND => match top_bool(s)? {
                true => _ = s.stack.pop(),
                false => at += op.c as usize,
            },
            op::OR => match top_bool(s)? {
                false => _ = s.stack.pop(),
                true => at += op.c as usize,
            },
            op::BRANCH => {
                if !pop_bool(s)? {
                    at += op.c as usize;
                }
            }
            op::JUMP => at += op.c as usize,
            op::BOOL => {
                top_bool(s)?;
            }
            op::REQUIRE => {
                if faults::REQUIRE_SKIPS_TYPE.is_on() && top_bool(s).is_err() {
                    continue;
                }
                if !pop_bool(s)? {
                    return Ok(false);
                }
            }
            op::NOT => {
                let value = pop_bool(s)?;
                s.stack.push(Val::bool(!value));
            }
            op::NEG => {
                let value = pop_long(s)?.checked_neg().ok_or(ErrorKind::Overflow)?;
                s.stack.push(Val::long(value));
            }
            op::IS_EMPTY => {
                let set = pop(s)?;
                expect(set, TAG_SET)?;
                s.stack.push(Val::bool(set.aux == 0));
            }
            op::LIKE => {
                let text = pop(s)?;
                expect(text, TAG_STRING)?;
                let matches = matches(t, s, text.low(), op.c, fuel)?;
                s.stack.push(Val::bool(matches));
            }
            op::IS => {
                let entity = pop(s)?;
                expect(entity, TAG_ENTITY)?;
                let is = s.entity_type(t, entity.low()) == op.c && op.c != NONE;
                s.stack.push(Val::bool(is));
            }
            op::SET => {
                spend(fuel, u64::from(op.c))?;
                let mark = s.stack.len().checked_sub(op.c as usize).ok_or(ErrorKind::Type)?;
                let (set, work) = s.set_from_stack(t, mark).map_err(|_| ErrorKind::Limit)?;
                spend(fuel, work)?;
                s.stack.push(set);
            }
            op::RECORD => {
                let keys = Span { start: op.c, len: op.b.into() };
                let record = record(t, s, keys, fuel)?;
                s.stack.push(record);
            }
            op::CALL => {
                let result = call::function(t, s, op.a)?;
                s.stack.push(result);
            }
            op::FAIL => return Err(kind_of(op.a)),
            op::FAULT => return Err(ErrorKind::Limit),
            code => {
                let (right, left) = (pop(s)?, pop(s)?);
                let result = binary(t, s, code, left, right, fuel)?;
                s.stack.push(result);
            }
        }
    }
    Ok(true)
}

/// Operators of two operands that are both evaluated first.
pub(crate) fn binary(
    t: &Tables,
    s: &Scratch,
    code: u8,
    left: Val,
    right: Val,
    fuel: &mut u64,
) -> Result<Val, ErrorKind> {
    let values = s.values(t);
    let mut work = 0;
    let result = match code {
        op::EQ => {
            if faults::SET_KEEPS_DUPLICATES.is_on() && left.tag == TAG_SET {
                return Ok(Val::bool(left == right));
            }
            values.equal(left, right, &mut work)
        }
        op::LESS | op::LESS_EQ => {
            let comparable =
                left.tag == right.tag && matches!(left.tag, TAG_LONG | TAG_DATETIME | TAG_DURATION);
            if !comparable {
                return Err(ErrorKind::Type);
            }
            let (left, right) = (left.as_i64(), right.as_i64());
            left < right
                || (code == op::LESS_EQ && left == right && !faults::LESS_FOR_LESS_EQUAL.is_on())
        }
        op::ADD | op::SUB | op::MUL => {
            expect(left, TAG_LONG)?;
            expect(right, TAG_LONG)?;
            let (left, right) = (left.as_i64(), right.as_i64());
            if code == op::ADD && faults::OVERFLOW_WRAPS.is_on() {
                return Ok(Val::long(left.wrapping_add(right)));
            }
            let result = match code {
                op::ADD => left.checked_add(right),
                op::SUB => left.checked_sub(right),
                _ => left.checked_mul(right),
            };
            return result.map(Val::long).ok_or(ErrorKind::Overflow);
        }
        op::IN => {
            expect(left, TAG_ENTITY)?;
            match right.tag {
                TAG_ENTITY => scope::is_in(t, s, left.low(), right.low()),
                TAG_SET => {
                    let elements = values.elements(right);
                    spend(fuel, elements.len() as u64)?;
                    if elements.iter().any(|element| element.tag != TAG_ENTITY) {
                        return Err(ErrorKind::Type);
                    }
                    elements.iter().any(|element| scope::is_in(t, s, left.low(), element.low()))
                }
                _ => return Err(ErrorKind::Type),
            }
        }
        op::CONTAINS => {
            expect(left, TAG_SET)?;
            values.contains(values.elements(left), right, &mut work)
        }
        op::CONTAINS_ALL | op::CONTAINS_ANY => {
            expect(left, TAG_SET)?;
            expect(right, TAG_SET)?;
            let (left, right) = (values.elements(left), values.elements(right));
            match code == op::CONTAINS_ALL || faults::CONTAINS_ANY_IS_ALL.is_on() {
                true => right.iter().all(|element| values.contains(left, *element, &mut work)),
                false => right.iter().any(|element| values.contains(left, *element, &mut work)),
            }
        }
        op::GET_TAG | op::HAS_TAG => {
            expect(left, TAG_ENTITY)?;
            expect(right, TAG_STRING)?;
            let Some(data) = s.entity_data(t, left.low()) else {
                return if code == op::GET_TAG {
                    Err(ErrorKind::EntityMissing)
                } else {
                    Ok(Val::bool(false))
                };
            };
            let tag = match faults::TAG_AS_ATTRIBUTE.is_on() {
                true => values.field(data.shape, data.attrs, right.low()),
                false => values.field(data.tag_shape, data.tags, right.low()),
            };
            match code {
                op::GET_TAG => return tag.ok_or(ErrorKind::TagMissing),
                _ => tag.is_some(),
            }
        }
        _ => return Err(ErrorKind::Limit),
    };
    // Paid after the fact: one operation walks over no more than the values that bundle and request hold.
    spend(fuel, work)?;
    Ok(Val::bool(result))
}

/// The attribute of a record or entity.
#[inline]
pub(crate) fn attribute(t: &Tables, s: &Scratch, of: Val, key: u32) -> Result<Val, ErrorKind> {
    match field(t, s, of, key)? {
        Some(val) => Ok(val),
        None => no_attribute(t, s, of),
    }
}

#[cold]
fn no_attribute(t: &Tables, s: &Scratch, of: Val) -> Result<Val, ErrorKind> {
    if of.tag != TAG_ENTITY || s.entity_data(t, of.low()).is_some() {
        return Err(ErrorKind::AttributeMissing);
    }
    if faults::MISSING_ENTITY_IS_FALSE.is_on() {
        return Ok(Val::bool(false));
    }
    Err(ErrorKind::EntityMissing)
}

/// The attribute of a record or entity, if it has it; an error for anything else.
#[inline]
fn field(t: &Tables, s: &Scratch, of: Val, key: u32) -> Result<Option<Val>, ErrorKind> {
    match of.tag {
        TAG_RECORD => Ok(s.values(t).field(of.aux, of.low(), key)),
        TAG_ENTITY => {
            // The common case first: stored, and nothing about it came with the request.
            if let Some(record) = t.entities.get(of.low() as usize)
                && record.flags & ENTITY_STORED != 0
                && s.overrides.is_empty()
                && s.overlay.is_none()
            {
                return Ok(stored_field(t, record.shape, record.attrs, key));
            }
            if let Some(val) = s.override_of(of.low(), key) {
                return Ok(Some(val));
            }
            let Some(data) = s.entity_data(t, of.low()) else { return Ok(None) };
            Ok(s.values(t).field(data.shape, data.attrs, key))
        }
        _ => Err(ErrorKind::Type),
    }
}

/// Whether a record or entity has an attribute.
#[inline]
pub(crate) fn has(t: &Tables, s: &Scratch, of: Val, key: u32) -> Result<bool, ErrorKind> {
    let has = field(t, s, of, key)?.is_some();
    let missing = faults::HAS_ERRS_NOT.is_on()
        && of.tag == TAG_ENTITY
        && s.entity_data(t, of.low()).is_none();
    Ok(has || missing)
}

/// The value under a key, where shape and values are the bundle's.
#[inline]
fn stored_field(t: &Tables, shape: u32, start: u32, key: u32) -> Option<Val> {
    let keys = t.shapes.get(shape as usize)?.of(&t.shape_keys);
    let at = values::position(keys, key)?;
    t.vals.get((start as usize).checked_add(at)?).copied()
}

/// `has a.b.c`: as `has a && .a has b && .a.b has c`.
fn has_path(t: &Tables, s: &Scratch, of: Val, path: Span) -> Result<bool, ErrorKind> {
    let mut current = of;
    for key in path.of(&t.paths) {
        match field(t, s, current, *key)? {
            Some(next) => current = next,
            None => return Ok(false),
        }
    }
    Ok(true)
}

/// Whether a string is `like` a pattern.
pub(crate) fn matches(
    t: &Tables,
    s: &Scratch,
    symbol: u32,
    pattern: u32,
    fuel: &mut u64,
) -> Result<bool, ErrorKind> {
    let text = s.symbol_text(t, symbol);
    // 16 bytes a step: about what one instruction costs.
    spend(fuel, text.len() as u64 / 16)?;
    let Ok(text) = std::str::from_utf8(text) else { return Err(ErrorKind::Type) };
    let pieces = t.patterns.get(pattern as usize).map_or(Span::EMPTY, |record| record.pieces);
    // A pattern of many pieces is walked over, too.
    spend(fuel, pieces.len.into())?;
    let pieces = pieces
        .of(&t.pieces)
        .iter()
        .map(|piece| std::str::from_utf8(piece.of(&t.pattern_text)).unwrap_or(""));
    Ok(like::matches(pieces, text))
}

fn record(t: &Tables, s: &mut Scratch, keys: Span, fuel: &mut u64) -> Result<Val, ErrorKind> {
    spend(fuel, keys.len.into())?;
    let from = s.stack.len().checked_sub(keys.len as usize).ok_or(ErrorKind::Type)?;
    let mark = s.pairs.len();
    s.pairs.extend(keys.of(&t.paths).iter().copied().zip(s.stack.drain(from..)));
    // A record's keys are distinct; a bundle that says otherwise has no value here.
    s.record_from_pairs(t, mark).map_err(|_| ErrorKind::Limit)?.ok_or(ErrorKind::Type)
}

// === small steps ===

#[inline]
pub(crate) fn spend(fuel: &mut u64, steps: u64) -> Result<(), ErrorKind> {
    *fuel = fuel.checked_sub(steps).ok_or(ErrorKind::Limit)?;
    Ok(())
}

#[inline]
pub(crate) fn pop(s: &mut Scratch) -> Result<Val, ErrorKind> {
    s.stack.pop().ok_or(ErrorKind::Type)
}

#[inline]
pub(crate) fn expect(val: Val, tag: u32) -> Result<(), ErrorKind> {
    if val.tag == tag { Ok(()) } else { Err(ErrorKind::Type) }
}

#[inline]
fn pop_bool(s: &mut Scratch) -> Result<bool, ErrorKind> {
    let val = pop(s)?;
    expect(val, TAG_BOOL)?;
    Ok(val.bits != 0)
}

#[inline]
fn top_bool(s: &Scratch) -> Result<bool, ErrorKind> {
    match s.stack.last() {
        Some(val) if val.tag == TAG_BOOL => Ok(val.bits != 0),
        _ => Err(ErrorKind::Type),
    }
}

#[inline]
fn pop_long(s: &mut Scratch) -> Result<i64, ErrorKind> {
    let val = pop(s)?;
    expect(val, TAG_LONG)?;
    Ok(val.as_i64())
}

/// Error kinds that the compiler can foresee, as operands of `FAIL`.
pub(crate) const FAIL_KINDS: &[ErrorKind] =
    &[ErrorKind::Type, ErrorKind::Extension, ErrorKind::Arity];

fn kind_of(a: u8) -> ErrorKind {
    FAIL_KINDS.get(usize::from(a)).copied().unwrap_or(ErrorKind::Type)
}
