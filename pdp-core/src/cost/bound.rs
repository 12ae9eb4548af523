//! *How many policies can one request meet, and how many steps can they take?* An upper bound from scope keys alone.
//!
//! Policies fall in four groups, by whether their principal and their resource are constrained. A request meets all
//! of its action's policies that constrain neither; of those that constrain one, what its principal's or resource's
//! class meets; of those that constrain both, no more than either class alone would meet. The dearest class of each
//! kind is taken apart, so the bound may lie above what any one request reaches, never below.

use std::collections::HashMap;

use super::{RequestBound, condition_cost};
use crate::bundle::Bundle;
use crate::program::{KEY_ANY, KeyRec, META_ENDS_ONLY, POLICY_GROUPED, Span, Tables, key_number};

/// Policies and their steps.
#[derive(Clone, Copy, Debug, Default)]
struct Weight {
    candidates: u64,
    steps: u64,
}

/// What policies weigh, by the action key they ask for.
type ByAction = HashMap<u32, Weight>;

/// The classes of actions: which of them hit an action key, and how many there are.
struct Actions {
    classes: usize,
    hit_by: HashMap<u32, Vec<usize>>,
}

/// More additions than this, and actions are no longer told apart: the bound gets coarser, not slower.
const ADDITIONS_MAX: u64 = 20_000_000;

/// The bound of a bundle.
pub(super) fn of(bundle: &Bundle) -> RequestBound {
    within(bundle, ADDITIONS_MAX)
}

/// The bound, found with at most so many additions if actions are told apart.
pub(super) fn within(bundle: &Bundle, additions_max: u64) -> RequestBound {
    let t = bundle.tables();
    let mut free = ByAction::new();
    let mut by_principal: HashMap<u32, ByAction> = HashMap::new();
    let mut by_resource: HashMap<u32, ByAction> = HashMap::new();
    let mut both_by_principal: HashMap<u32, ByAction> = HashMap::new();
    let mut both_by_resource: HashMap<u32, ByAction> = HashMap::new();
    for policy in &t.policies {
        // What is found by the equalities it opens with is met by requests that hold just that, or lack the path: then
        // it takes its steps, which count, but it makes no crowd.
        let candidates = u64::from(policy.flags & POLICY_GROUPED == 0);
        let weight = Weight { candidates, steps: condition_cost(t, policy).steps_max };
        let (principal, resource) = (policy.principal_key, policy.resource_key);
        let action = policy.action_key;
        let add = |to: &mut ByAction| to.entry(action).or_default().add(weight);
        match (is_any(&t.principal_keys, principal), is_any(&t.resource_keys, resource)) {
            (true, true) => add(&mut free),
            (false, true) => add(by_principal.entry(principal).or_default()),
            (true, false) => add(by_resource.entry(resource).or_default()),
            (false, false) => {
                add(both_by_principal.entry(principal).or_default());
                add(both_by_resource.entry(resource).or_default());
            }
        }
    }
    let (principals, resources) = (&t.principal_classes, &t.resource_classes);
    let parts = [
        (principals, &by_principal),
        (resources, &by_resource),
        (principals, &both_by_principal),
        (resources, &both_by_resource),
    ];
    let apart = Actions::apart(t);
    let additions = parts.iter().map(|(classes, by)| apart.additions(t, classes, by));
    let actions = match additions.fold(0, u64::saturating_add) <= additions_max {
        true => apart,
        false => Actions::together(t),
    };
    let [principal, resource, both_principal, both_resource] =
        parts.map(|(classes, by)| actions.heaviest(t, classes, by));
    let free = actions.sum(&free);
    let mut most = Weight::default();
    let groups =
        free.iter().zip(&principal).zip(&resource).zip(&both_principal).zip(&both_resource);
    for ((((free, principal), resource), both_principal), both_resource) in groups {
        let mut weight = *free;
        weight.add(*principal);
        weight.add(*resource);
        weight.add(both_principal.min(*both_resource));
        most = most.max(weight);
    }
    RequestBound { candidates: most.candidates, steps: most.steps, legs: legs(bundle) }
}

/// Principal, subject, and the inner actors if they are legs.
fn legs(bundle: &Bundle) -> u64 {
    match bundle.meta().flags & META_ENDS_ONLY {
        0 => 2 + u64::from(bundle.limits().chain_actors_max),
        _ => 2,
    }
}

fn is_any(keys: &[KeyRec], key: u32) -> bool {
    keys.get(key as usize).is_some_and(|key| key.kind == KEY_ANY)
}

// === impl Actions ===

impl Actions {
    fn apart(t: &Tables) -> Self {
        let mut hit_by: HashMap<u32, Vec<usize>> = HashMap::new();
        for (class, span) in t.action_classes.iter().enumerate() {
            for key in span.of(&t.class_keys) {
                hit_by.entry(key_number(*key)).or_default().push(class);
            }
        }
        Self { classes: t.action_classes.len(), hit_by }
    }

    fn together(t: &Tables) -> Self {
        let keys = t.action_classes.iter().flat_map(|span| span.of(&t.class_keys));
        Self { classes: 1, hit_by: keys.map(|key| (key_number(*key), vec![0])).collect() }
    }

    fn of(&self, action_key: u32) -> &[usize] {
        self.hit_by.get(&action_key).map_or(&[], Vec::as_slice)
    }

    /// How many additions `heaviest` takes.
    fn additions(&self, t: &Tables, classes: &[Span], by: &HashMap<u32, ByAction>) -> u64 {
        let of_key: HashMap<u32, u64> = by
            .iter()
            .map(|(key, weights)| {
                (*key, weights.keys().map(|action| self.of(*action).len() as u64).sum())
            })
            .collect();
        let keys = classes.iter().flat_map(|span| span.of(&t.class_keys));
        keys.filter_map(|key| of_key.get(&key_number(*key)))
            .fold(0, |sum: u64, n| sum.saturating_add(*n))
    }

    /// For each class of actions, the most that any of these classes of entities meets.
    fn heaviest(&self, t: &Tables, classes: &[Span], by: &HashMap<u32, ByAction>) -> Vec<Weight> {
        let mut most = vec![Weight::default(); self.classes];
        let mut met: Vec<Weight> = most.clone();
        let mut touched: Vec<usize> = Vec::new();
        for span in classes {
            for (action, weight) in
                span.of(&t.class_keys).iter().filter_map(|key| by.get(&key_number(*key))).flatten()
            {
                for class in self.of(*action) {
                    if let Some(slot) = met.get_mut(*class) {
                        slot.add(*weight);
                        touched.push(*class);
                    }
                }
            }
            for class in touched.drain(..) {
                if let (Some(slot), Some(most)) = (met.get_mut(class), most.get_mut(class)) {
                    *most = most.max(std::mem::take(slot));
                }
            }
        }
        most
    }

    /// For each class of actions, all that its keys weigh.
    fn sum(&self, weights: &ByAction) -> Vec<Weight> {
        let mut sums = vec![Weight::default(); self.classes];
        for (action, weight) in weights {
            for class in self.of(*action) {
                if let Some(slot) = sums.get_mut(*class) {
                    slot.add(*weight);
                }
            }
        }
        sums
    }
}

// === impl Weight ===

impl Weight {
    fn add(&mut self, other: Weight) {
        self.candidates = self.candidates.saturating_add(other.candidates);
        self.steps = self.steps.saturating_add(other.steps);
    }

    fn max(self, other: Weight) -> Weight {
        Weight {
            candidates: self.candidates.max(other.candidates),
            steps: self.steps.max(other.steps),
        }
    }

    fn min(self, other: Weight) -> Weight {
        Weight {
            candidates: self.candidates.min(other.candidates),
            steps: self.steps.min(other.steps),
        }
    }
}
