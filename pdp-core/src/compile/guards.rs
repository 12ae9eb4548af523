//! Which equality tests does a policy open with? They let the index find it by what the paths hold.
//!
//! A guard is a conjunct `path == constant`, the same turned round, `[constants].contains(path)`, or such equalities of
//! one path joined by `||`. Only what stands before anything else that can fail counts: between guards may stand
//! conjuncts that cannot fail, and `has` of what a guard asks for later. `groups` says why that is sound.

use super::build::Builder;
use super::lift::cannot_fail;
use super::lower::fold;
use super::paths::Paths;
use crate::faults;
use crate::ids::TooMany;
use crate::op;
use crate::program::{
    TAG_BOOL, TAG_DATETIME, TAG_DECIMAL, TAG_DURATION, TAG_ENTITY, TAG_IP4, TAG_LONG, TAG_SET,
    TAG_STRING, Val,
};
use crate::source::tree::{Exprs, Ix, Node, PolicyTree};

/// Guards of one policy that are used.
const GUARDS_MAX: usize = 4;
/// Ways in which one policy's guards may be met together: it stands in its table once for each.
const WAYS_MAX: usize = 64;

/// An equality that a policy opens with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Guard {
    pub(super) read: u16,
    /// A `has` of the path stands before it.
    pub(super) has: bool,
    /// What the path may hold.
    pub(super) values: Vec<Val>,
}

/// The guards of a policy, of which `kept` conjuncts stay after lifting.
pub(super) fn of(
    builder: &mut Builder,
    paths: &Paths,
    policy: &PolicyTree,
    kept: &[Ix],
) -> Result<Vec<Guard>, TooMany> {
    let exprs = &policy.condition;
    let mut guards: Vec<Guard> = Vec::new();
    let mut known: Vec<u16> = Vec::new();
    let mut ways = 1;
    for clause in kept {
        if let Some((read, values)) = equality(builder, paths, exprs, *clause)? {
            ways *= values.len();
            if ways > WAYS_MAX || guards.len() == GUARDS_MAX {
                break;
            }
            guards.push(Guard { read, has: known.contains(&read), values });
        } else if let Some((of, read)) = presence(paths, exprs, *clause)
            && (of < crate::reads::VARIABLES || known.contains(&of))
        {
            known.extend(read);
        } else if !cannot_fail(exprs, *clause) && !faults::GUARD_PAST_ERROR.is_on() {
            break;
        }
    }
    Ok(guards)
}

/// A conjunct that holds only if a path holds one of some values.
fn equality(
    builder: &mut Builder,
    paths: &Paths,
    exprs: &Exprs,
    clause: Ix,
) -> Result<Option<(u16, Vec<Val>)>, TooMany> {
    match exprs.node(clause) {
        Node::Or(..) => alternatives(builder, paths, exprs, clause),
        Node::Binary(op::CONTAINS, set, of) => {
            let (Some(read), Some(set)) = (path(paths, exprs, *of), fold(builder, exprs, *set)?)
            else {
                return Ok(None);
            };
            if set.tag != TAG_SET || set.aux == 0 || set.aux as usize > WAYS_MAX {
                return Ok(None);
            }
            let values = builder.values().elements(set).to_vec();
            Ok(values.iter().all(hashable).then_some((read, values)))
        }
        Node::Binary(op::EQ, left, right) => {
            let (read, constant) = match (path(paths, exprs, *left), path(paths, exprs, *right)) {
                (Some(read), None) => (read, *right),
                (None, Some(read)) => (read, *left),
                _ => return Ok(None),
            };
            let val = fold(builder, exprs, constant)?.filter(hashable);
            Ok(val.map(|val| (read, vec![val])))
        }
        _ => Ok(None),
    }
}

/// Equalities of one path, joined by `||`.
fn alternatives(
    builder: &mut Builder,
    paths: &Paths,
    exprs: &Exprs,
    clause: Ix,
) -> Result<Option<(u16, Vec<Val>)>, TooMany> {
    let mut found: Option<(u16, Vec<Val>)> = None;
    let (mut open, mut looked_at) = (vec![clause], 0);
    while let Some(at) = open.pop() {
        looked_at += 1;
        if looked_at > 2 * WAYS_MAX {
            return Ok(None);
        }
        if let Node::Or(left, right) = exprs.node(at) {
            open.extend([*left, *right]);
            continue;
        }
        let Some((read, values)) = equality(builder, paths, exprs, at)? else { return Ok(None) };
        match &mut found {
            None => found = Some((read, values)),
            Some((same, all)) if *same == read => {
                if !faults::GUARD_FIRST_VALUE.is_on() {
                    all.extend(values);
                }
            }
            Some(_) => return Ok(None),
        }
    }
    Ok(found)
}

/// A `has` of one attribute: what it looks at, and the number of the path it makes safe, if that has one.
fn presence(paths: &Paths, exprs: &Exprs, clause: Ix) -> Option<(u16, Option<u16>)> {
    match exprs.node(clause) {
        Node::Has(of, path) => match path.as_slice() {
            [key] => {
                let of = paths.read(exprs, *of)?;
                Some((of, paths.below(of, key)))
            }
            _ => None,
        },
        _ => None,
    }
}

/// The number of an attribute's path; variables themselves are the scope's matter.
fn path(paths: &Paths, exprs: &Exprs, ix: Ix) -> Option<u16> {
    match exprs.node(ix) {
        Node::Attr(..) => paths.read(exprs, ix),
        _ => None,
    }
}

/// Values that are equal only if tag and bits are.
fn hashable(val: &Val) -> bool {
    matches!(
        val.tag,
        TAG_BOOL
            | TAG_LONG
            | TAG_STRING
            | TAG_ENTITY
            | TAG_DECIMAL
            | TAG_DATETIME
            | TAG_DURATION
            | TAG_IP4
    )
}
