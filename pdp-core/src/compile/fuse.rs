//! Conjuncts that are one instruction: a path compared with a constant or another path.
//!
//! What a test gives is what the instructions it replaces would give, errors and their order included; `conjunct` runs
//! them. Anything else stays instructions.

use super::build::Builder;
use super::lower::{fold, pattern};
use super::paths::Paths;
use crate::faults;
use crate::ids::TooMany;
use crate::op;
use crate::program::{Op, TAG_DATETIME, TAG_DURATION, TAG_ENTITY, TAG_LONG, TAG_SET, Val};
use crate::source::tree::{Exprs, Ix, Node};

/// The one instruction of a conjunct, if one does.
pub(super) fn test(
    builder: &mut Builder,
    paths: &Paths,
    exprs: &Exprs,
    clause: Ix,
) -> Result<Option<Op>, TooMany> {
    let (mut at, mut negated) = (clause, false);
    while let Node::Unary(op::NOT, inner) = exprs.node(at) {
        negated ^= !faults::UNLESS_IGNORED.is_on();
        at = *inner;
    }
    let read = |ix: Ix| paths.read(exprs, ix);
    let test = |code, of, c| Ok(Some(Op { code, a: negated.into(), b: of, c }));
    match exprs.node(at) {
        Node::Binary(code, left, right) => {
            if let (Some(of), Some(with)) = (read(*left), read(*right)) {
                return match *code {
                    op::EQ => test(op::TEST_EQ_READ, of, with.into()),
                    op::LESS => test(op::TEST_LESS_READ, of, with.into()),
                    op::LESS_EQ => test(op::TEST_LESS_EQ_READ, of, with.into()),
                    op::CONTAINS => test(op::TEST_HOLDS_READ, of, with.into()),
                    _ => Ok(None),
                };
            }
            let (of, constant, swapped) = match (read(*left), read(*right)) {
                (Some(of), None) => (of, *right, false),
                (None, Some(of)) => (of, *left, true),
                _ => return Ok(None),
            };
            let Some(val) = fold(builder, exprs, constant)? else { return Ok(None) };
            let ordered = matches!(val.tag, TAG_LONG | TAG_DATETIME | TAG_DURATION);
            let test_code = match (*code, swapped) {
                (op::EQ, _) => op::TEST_EQ,
                (op::LESS, false) if ordered => op::TEST_LESS,
                (op::LESS, true) if ordered => op::TEST_GREATER,
                (op::LESS_EQ, false) if ordered => op::TEST_LESS_EQ,
                (op::LESS_EQ, true) if ordered => op::TEST_GREATER_EQ,
                (op::IN, false) if all_entities(builder, val) => op::TEST_IN,
                (op::CONTAINS, false) => op::TEST_HOLDS,
                (op::CONTAINS, true) if val.tag == TAG_SET => op::TEST_ONE_OF,
                _ => return Ok(None),
            };
            let at = builder.constant(val)?;
            test(test_code, of, at)
        }
        Node::Has(of, path) => match (read(*of), path.as_slice()) {
            (Some(of), [key]) => {
                let key = builder.symbol(key)?;
                test(op::TEST_HAS, of, key)
            }
            _ => Ok(None),
        },
        Node::Is(of, ty) => match read(*of) {
            Some(of) => {
                let ty = builder.entity_type(ty)?;
                test(op::TEST_IS, of, ty)
            }
            None => Ok(None),
        },
        Node::Like(of, pieces) => match read(*of) {
            Some(of) => {
                let at = pattern(builder, pieces)?;
                test(op::TEST_LIKE, of, at)
            }
            None => Ok(None),
        },
        Node::Attr(..) => match read(at) {
            Some(of) => test(op::TEST_TRUE, of, 0),
            None => Ok(None),
        },
        _ => Ok(None),
    }
}

/// Whether `in` takes the value without an error.
fn all_entities(builder: &Builder, val: Val) -> bool {
    match val.tag {
        TAG_ENTITY => true,
        TAG_SET => builder.values().elements(val).iter().all(|item| item.tag == TAG_ENTITY),
        _ => false,
    }
}
