//! Tests of principal, action and resource that stand in the condition, moved into the scope where the index sees them.
//!
//! Cedar evaluates a condition's conjuncts in order and stops at the first that is false or fails. A conjunct may be
//! moved to the front, which is what lifting does, only if everything before it is Boolean and cannot fail: then the
//! order between them shows in nothing. And only if it itself cannot fail, which is so when its right side is written
//! out: `principal in resource.owner` can fail by itself. A lifted conjunct is true for every request that the scope
//! lets through, so it is not evaluated again; what stays behind keeps its checks.

use crate::faults;
use crate::op;
use crate::source::tree::{Constraint, Exprs, Ix, Name, Node, PolicyTree};

/// A policy's scope, with what was lifted into it, and the conjuncts that stay.
#[derive(Debug)]
pub(super) struct Scope {
    pub(super) principal: Constraint,
    pub(super) action: Constraint,
    pub(super) resource: Constraint,
    pub(super) kept: Vec<Ix>,
    pub(super) lifted: usize,
}

/// The scope of a policy.
pub(super) fn scope(policy: &PolicyTree, lift: bool) -> Scope {
    let mut scope = Scope {
        principal: policy.principal.clone(),
        action: policy.action.clone(),
        resource: policy.resource.clone(),
        kept: Vec::new(),
        lifted: 0,
    };
    let mut leading = lift;
    for clause in &policy.clauses {
        if leading {
            if let Some((var, test)) = test(&policy.condition, *clause)
                && scope.take(var, test)
            {
                scope.lifted += 1;
                continue;
            }
            leading = cannot_fail(&policy.condition, *clause) || faults::LIFT_PAST_ERROR.is_on();
        }
        scope.kept.push(*clause);
    }
    scope
}

impl Scope {
    /// Puts a test into its dimension, if there is room.
    fn take(&mut self, var: u8, test: Constraint) -> bool {
        let slot = match var {
            2 if faults::LIFT_TO_WRONG_DIMENSION.is_on() => &mut self.principal,
            0 => &mut self.principal,
            1 => &mut self.action,
            _ => &mut self.resource,
        };
        match (&*slot, test) {
            (Constraint::Any, test) => *slot = test,
            (Constraint::Is(ty), Constraint::In(name)) => {
                *slot = Constraint::IsIn(ty.clone(), name)
            }
            (Constraint::In(name), Constraint::Is(ty)) => {
                *slot = Constraint::IsIn(ty, name.clone())
            }
            // An equality is the narrowest test there is, if it agrees with what the scope asks already.
            (Constraint::Is(ty), Constraint::Eq(name)) if *ty == name.entity_type => {
                *slot = Constraint::Eq(name)
            }
            _ => return false,
        }
        true
    }
}

/// A conjunct that tests a variable against something written out.
fn test(exprs: &Exprs, ix: Ix) -> Option<(u8, Constraint)> {
    let var = |ix: Ix| match exprs.node(ix) {
        Node::Var(var) if *var < 3 => Some(*var),
        _ => None,
    };
    match exprs.node(ix) {
        Node::Binary(op::EQ, left, right) => {
            let (var, name) = match (var(*left), entity(exprs, *right)) {
                (Some(var), Some(name)) => (var, name),
                _ => (var(*right)?, entity(exprs, *left)?),
            };
            Some((var, Constraint::Eq(name.clone())))
        }
        Node::Binary(op::IN, left, right) => {
            let var = var(*left)?;
            match exprs.node(*right) {
                Node::Entity(name) => Some((var, Constraint::In(name.clone()))),
                Node::Set(items) => {
                    let names = items
                        .iter()
                        .map(|item| entity(exprs, *item).cloned())
                        .collect::<Option<Vec<_>>>()?;
                    Some((var, Constraint::InSet(names)))
                }
                _ => None,
            }
        }
        Node::Is(of, ty) => Some((var(*of)?, Constraint::Is(ty.clone()))),
        _ => None,
    }
}

/// Whether a conjunct is Boolean and free of errors for every request.
pub(super) fn cannot_fail(exprs: &Exprs, ix: Ix) -> bool {
    let is_var = |ix: Ix| matches!(exprs.node(ix), Node::Var(_));
    match exprs.node(ix) {
        Node::Bool(_) => true,
        // `==` takes anything; variables and what is written out cannot fail.
        Node::Binary(op::EQ, left, right) => plain(exprs, *left) && plain(exprs, *right),
        // All four variables are entities or, for the context, a record.
        Node::Has(of, path) => is_var(*of) && path.len() == 1,
        _ => test(exprs, ix).is_some(),
    }
}

fn plain(exprs: &Exprs, ix: Ix) -> bool {
    matches!(
        exprs.node(ix),
        Node::Var(_) | Node::Bool(_) | Node::Long(_) | Node::Text(_) | Node::Entity(_)
    )
}

fn entity(exprs: &Exprs, ix: Ix) -> Option<&Name> {
    match exprs.node(ix) {
        Node::Entity(name) => Some(name),
        _ => None,
    }
}
