//! *Could this policy set wear the engine out?* What `pdp check` warns of, with place and remedy.
//!
//! Whatever a set costs, a request stays within its bundle's `eval_steps_max` and is denied when it runs out. These
//! warnings are for the author, before that happens. Each says a number and the number that is normal; none refuses.

use std::collections::HashMap;

use crate::bundle::Bundle;
use crate::codes::{self, Diagnostic, Report};
use crate::ids::PolicyIx;

/// Policies that every request looks at, and candidates of one request, up to which nothing is said. At 10 to 20 ns a
/// policy so many take over 10 µs, ten times what a whole decision is meant to take.
const CANDIDATES_NORMAL: u64 = 1_000;
/// Steps of one condition up to which nothing is said: a hundredth of what a whole request may take by default.
const POLICY_STEPS_NORMAL: u64 = 10_000;
/// Scopes longer than this are cut in messages: a list of actions may be as long as a file.
const SCOPE_CHARS_MAX: usize = 200;
/// Dear conditions that are named one by one.
const NAMED_MAX: usize = 20;

impl Bundle {
    /// Warnings about policies that cost very much, alone or together. Nothing about any of them is wrong, only slow.
    pub fn costly(&self) -> Report {
        let mut report = Report::default();
        dear_conditions(self, &mut report);
        let free = unconstrained(self, &mut report);
        crowd(self, free, &mut report);
        report
    }
}

/// Conditions that are long, or walk over long literals.
fn dear_conditions(bundle: &Bundle, report: &mut Report) {
    let costs = bundle.policies().map(|ix| (ix, bundle.policy_cost(ix)));
    let mut dear: Vec<_> = costs.filter(|(_, cost)| cost.steps_max > POLICY_STEPS_NORMAL).collect();
    // The dearest first; those past the last that is named are the cheapest of them.
    dear.sort_by_key(|(ix, cost)| (std::cmp::Reverse(cost.steps_max), *ix));
    let unnamed = dear.len().saturating_sub(NAMED_MAX);
    for (ix, cost) in dear.iter().take(NAMED_MAX) {
        let (why, help) = if cost.pattern_pieces_max > POLICY_STEPS_NORMAL / 2 {
            (
                format!(", its pattern has {} pieces", cost.pattern_pieces_max),
                "shorten the pattern: test a prefix, or an attribute that says the same",
            )
        } else if cost.literal_elements_max > POLICY_STEPS_NORMAL / 2 {
            (
                format!(", it walks over a literal set of {} elements", cost.literal_elements_max),
                "make the elements members of one entity and test `in` that entity, or ask `contains` of the set",
            )
        } else {
            (
                String::new(),
                "split the policy by principal, action or resource, or shorten its condition",
            )
        };
        let message = format!(
            "one evaluation of `{}` may take {} steps{why}; up to {POLICY_STEPS_NORMAL} is normal",
            id(bundle, *ix),
            cost.steps_max,
        );
        report.push(placed(bundle, *ix, Diagnostic::new(codes::POLICY_STEPS, message)).help(help));
    }
    if unnamed > 0 {
        let message =
            format!("{unnamed} more policies may take more than {POLICY_STEPS_NORMAL} steps each");
        report.push(Diagnostic::new(codes::POLICY_STEPS, message).help("begin with those above"));
    }
}

/// Policies that every request has to look at; how many there are.
fn unconstrained(bundle: &Bundle, report: &mut Report) -> u64 {
    let found: Vec<PolicyIx> =
        bundle.policies().filter(|ix| bundle.policy_cost(*ix).is_unconstrained()).collect();
    let count = found.len() as u64;
    if let (true, Some(first)) = (count > CANDIDATES_NORMAL, found.first()) {
        let message = format!(
            "{count} policies have an unconstrained scope and are evaluated for every request, `{}` among them; up to {CANDIDATES_NORMAL} is normal",
            id(bundle, *first)
        );
        let item = placed(bundle, *first, Diagnostic::new(codes::UNCONSTRAINED, message));
        report.push(item.help(
            "constrain principal, action or resource, in the scope or first in `when`, or fold policies that differ only in a constant into one that tests `in` or `contains`",
        ));
    }
    count
}

/// Requests that meet very many policies, or more than their steps allow. `free` policies were already spoken of.
fn crowd(bundle: &Bundle, free: u64, report: &mut Report) {
    let bound = bundle.request_bound();
    let (steps, steps_max) =
        (bound.steps.saturating_mul(bound.legs), bundle.limits().eval_steps_max);
    let Some((first, shared)) = most_shared(bundle) else { return };
    let cost = bundle.policy_cost(first);
    let asked =
        [("principal", cost.principal), ("action", cost.action), ("resource", cost.resource)]
            .map(|(name, asked)| asked.unwrap_or_else(|| format!("any {name}")));
    let scope: String = asked.join(", ").chars().take(SCOPE_CHARS_MAX).collect();
    let example =
        format!("`{}` and {} more have the scope `{scope}`", id(bundle, first), shared - 1);
    let help = "constrain principal, action or resource further, or fold policies that differ only in a constant into one";
    if steps > steps_max {
        let message = format!(
            "a request may meet {} policies in each of up to {} legs and take {steps} steps, the bundle's eval_steps_max is {steps_max}: such a request is denied, reason `limit`; {example}",
            bound.candidates, bound.legs
        );
        report.push(placed(bundle, first, Diagnostic::new(codes::REQUEST_STEPS, message)).help(
            format!(
                "{help}; or raise `eval_steps_max` in `bundle.toml`, if decisions may take so long"
            ),
        ));
    } else if bound.candidates.saturating_sub(free) > CANDIDATES_NORMAL {
        let message = format!(
            "a request may meet {} policies; up to {CANDIDATES_NORMAL} is normal; {example}",
            bound.candidates
        );
        report.push(placed(bundle, first, Diagnostic::new(codes::CANDIDATES, message)).help(help));
    }
}

/// The scope that most policies share: the first policy with it, and how many there are.
fn most_shared(bundle: &Bundle) -> Option<(PolicyIx, u64)> {
    let mut scopes: HashMap<[u32; 3], (PolicyIx, u64)> = HashMap::new();
    for (ix, policy) in bundle.policies().zip(&bundle.tables().policies) {
        let keys = [policy.principal_key, policy.action_key, policy.resource_key];
        scopes.entry(keys).or_insert((ix, 0)).1 += 1;
    }
    scopes.into_values().max_by_key(|(first, count)| (*count, std::cmp::Reverse(*first)))
}

/// A policy's id on one line.
fn id(bundle: &Bundle, ix: PolicyIx) -> String {
    let id = bundle.policy_id(ix);
    match id.chars().any(char::is_control) {
        true => id.escape_debug().to_string(),
        false => id.to_owned(),
    }
}

/// Points at a policy, if the bundle knows its text.
fn placed(bundle: &Bundle, ix: PolicyIx, item: Diagnostic) -> Diagnostic {
    let Some(origins) = bundle.origins() else { return item };
    let Some((file, text, place)) = origins.place(ix) else { return item };
    item.in_file(file).at(text, place.start, place.end)
}
