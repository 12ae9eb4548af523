//! The count is honest: who is counted as a candidate is one, and what nobody reached is named.

use super::candidates::known_policies;
use super::scope::Asked;
use super::{Coverage, Feature};
use crate::oracle::{Contexts, Outcome, Verdict};
use crate::{Generator, Oracle};
use std::collections::BTreeSet;

#[test]
fn only_candidates_speak() {
    Oracle::start().run(|judge| {
        let mut generator = Generator::new(21);
        for index in 0..200 {
            let world = generator.world(index);
            let verdict = judge.judge(&world);
            let Verdict::Judged { outcomes, .. } = verdict else {
                continue;
            };
            let prepared =
                judge.prepare(&world).unwrap_or_else(|why| crate::impossible::impossible(&why));
            let policies = known_policies(&prepared);
            let mut contexts = Contexts::default();
            for (request, outcome) in world.requests.iter().zip(outcomes) {
                let (Outcome::Answer(answer), Ok((question, entities))) =
                    (outcome, prepared.question(request, &mut contexts))
                else {
                    continue;
                };
                let (Some(principal), Some(action), Some(resource)) =
                    (question.principal(), question.action(), question.resource())
                else {
                    continue;
                };
                let asked = Asked { principal, action, resource, entities: &entities };
                let candidates: BTreeSet<String> = policies
                    .iter()
                    .filter(|known| asked.matches(known.policy))
                    .map(|known| known.policy.id().to_string())
                    .collect();
                assert!(answer.reasons.is_subset(&candidates), "world {index}");
                assert!(answer.errors.is_subset(&candidates), "world {index}");
            }
        }
    });
}

#[test]
fn a_feature_nobody_reached_is_named() {
    let coverage = Coverage::new();
    let rare = coverage.check(0.001).err().unwrap_or_default();
    assert_eq!(rare.len(), Feature::ALL.len());
    assert!(rare.iter().any(|line| line == "op: like with wildcard: 0 of 0 cases"));
}

#[test]
fn merging_adds_up() {
    let half = |from: u64, to: u64| {
        Oracle::start().run(move |judge| {
            let mut coverage = Coverage::new();
            let mut generator = Generator::new(4);
            for index in from..to {
                let world = generator.world(index);
                let verdict = judge.judge(&world);
                coverage.observe(judge, &world, &verdict);
            }
            coverage
        })
    };
    let mut merged = half(0, 10);
    merged.merge(&half(10, 20));
    assert_eq!(merged.to_string(), half(0, 20).to_string());
}
