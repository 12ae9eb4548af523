//! How a policy's clauses begin: which conjuncts an index could lift into the scope, and which it could not.
//!
//! This is a count of shapes, not a decision on what may be lifted: it knows no types and proves nothing.

use super::feature::{Feature, FeatureSet};
use super::walk::operator;
use serde_json::Value as Json;

/// A test of a request's variable against literals.
struct Test {
    feature: Feature,
    reversed: bool,
}

/// Looks at the clauses of a policy: `true` stands for `when`.
pub(super) fn clauses(clauses: &[(bool, &Json)], found: &mut FeatureSet) {
    let Some(((is_when, body), later)) = clauses.split_first() else {
        return;
    };
    let mut conjuncts = Vec::new();
    flatten(body, &mut conjuncts);
    if *is_when {
        first_clause(&conjuncts, found);
    } else {
        found.insert_if(
            conjuncts.first().is_some_and(|first| test(first).is_some()),
            Feature::LiftUnlessFirst,
        );
    }
    for (_, body) in later.iter().filter(|(is_when, _)| *is_when) {
        let mut conjuncts = Vec::new();
        flatten(body, &mut conjuncts);
        found.insert_if(
            conjuncts.first().is_some_and(|first| test(first).is_some()),
            Feature::LiftLaterClause,
        );
    }
}

fn first_clause(conjuncts: &[&Json], found: &mut FeatureSet) {
    let mut risk = false;
    for conjunct in conjuncts {
        if let Some(test) = test(conjunct) {
            found.insert(if risk { Feature::LiftAfterRisk } else { test.feature });
            found.insert_if(test.reversed, Feature::LiftReversed);
        } else {
            near_misses(conjunct, found);
            risk |= conjunct.get("Value").is_none();
        }
    }
}

/// Conjuncts that look as if they could be lifted.
fn near_misses(conjunct: &Json, found: &mut FeatureSet) {
    let Some((name, operands)) = operator(conjunct) else {
        return;
    };
    let side = |name: &str| operands.get(name);
    match name {
        "||" => {
            let tests = [side("left"), side("right")]
                .into_iter()
                .flatten()
                .filter(|side| test(side).is_some())
                .count();
            found.insert_if(tests == 2, Feature::HeadDisjunction);
            found.insert_if(tests == 1, Feature::HeadDisjunctionMixed);
        }
        "in" if side("left").is_some_and(|left| variable(left).is_some()) => {
            let set = side("right").is_some_and(|right| right.get("Set").is_some());
            found.insert(if set { Feature::HeadInMixedSet } else { Feature::HeadInEvaluated });
        }
        _ => {}
    }
}

/// Takes `a && (b && c)` and `(a && b) && c` apart, in the order of evaluation.
fn flatten<'a>(body: &'a Json, conjuncts: &mut Vec<&'a Json>) {
    match (
        body.get("&&").and_then(|and| and.get("left")),
        body.get("&&").and_then(|and| and.get("right")),
    ) {
        (Some(left), Some(right)) => {
            flatten(left, conjuncts);
            flatten(right, conjuncts);
        }
        _ => conjuncts.push(body),
    }
}

fn test(conjunct: &Json) -> Option<Test> {
    let (name, operands) = operator(conjunct)?;
    let left = operands.get("left")?;
    let plain = |feature| Some(Test { feature, reversed: false });
    match name {
        "==" => {
            let right = operands.get("right")?;
            let reversed = is_entity(left);
            let (variable_side, literal) = if reversed { (right, left) } else { (left, right) };
            if !is_entity(literal) {
                return None;
            }
            let feature = match variable(variable_side)? {
                "principal" => Feature::LiftPrincipalEqual,
                "action" => Feature::LiftActionEqual,
                _ => Feature::LiftResourceEqual,
            };
            Some(Test { feature, reversed })
        }
        "in" => {
            let right = operands.get("right")?;
            let variable = variable(left)?;
            if is_entity(right) {
                plain(match variable {
                    "principal" => Feature::LiftPrincipalIn,
                    "action" => Feature::LiftActionIn,
                    _ => Feature::LiftResourceIn,
                })
            } else if right.get("Set")?.as_array()?.iter().all(is_entity) {
                plain(match variable {
                    "principal" => Feature::LiftPrincipalInSet,
                    "action" => Feature::LiftActionInSet,
                    _ => Feature::LiftResourceInSet,
                })
            } else {
                None
            }
        }
        "is" => match (variable(left)?, operands.get("in")) {
            ("principal", None) => plain(Feature::LiftPrincipalIs),
            ("resource", None) => plain(Feature::LiftResourceIs),
            ("principal", Some(place)) if is_entity(place) => plain(Feature::LiftPrincipalIsIn),
            ("resource", Some(place)) if is_entity(place) => plain(Feature::LiftResourceIsIn),
            _ => None,
        },
        _ => None,
    }
}

fn variable(expression: &Json) -> Option<&str> {
    let name = expression.get("Var")?.as_str()?;
    (name != "context").then_some(name)
}

fn is_entity(expression: &Json) -> bool {
    expression.get("Value").is_some_and(|value| value.get("__entity").is_some())
}
