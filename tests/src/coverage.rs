//! What the cases reached: counts per feature, and a check that none is too rare.
//!
//! A case is one request. It reaches an operator when a policy whose scope matches the request contains it: that the policy
//! was a candidate is known, that the operator was evaluated is not (something before it may have settled the matter).
//! Errors and outcomes are counted from what Cedar answered.

mod feature;

mod facts;

mod scope;

mod head;

mod walk;

mod twins;

mod candidates;

#[cfg(test)]
mod tests;

pub use feature::Feature;

use crate::oracle::{Contexts, Judge, Outcome, Verdict};
use crate::world::World;
use candidates::{candidate_features, known_policies};
use facts::{outcome_features, request_features, world_features};
use feature::FeatureSet;
use scope::Asked;
use std::fmt;

/// Counts of what cases reached.
#[derive(Debug, Clone)]
pub struct Coverage {
    cases: u64,
    worlds: u64,
    worlds_refused: u64,
    counts: Vec<u64>,
}

// === impl Coverage ===

impl Coverage {
    /// Nothing reached yet.
    pub fn new() -> Self {
        Self { cases: 0, worlds: 0, worlds_refused: 0, counts: vec![0; Feature::ALL.len()] }
    }

    /// Counts the cases of `world`, to which Cedar said `verdict`.
    ///
    /// Reads the world once more; call it where the stack is large, as in [`Oracle::run`](crate::Oracle::run).
    pub fn observe(&mut self, judge: &mut Judge, world: &World, verdict: &Verdict) {
        self.worlds += 1;
        let (Verdict::Judged { validates, outcomes }, Ok(prepared)) =
            (verdict, judge.prepare(world))
        else {
            self.worlds_refused += 1;
            return;
        };
        let of_world = world_features(world, *validates);
        let policies = known_policies(&prepared);
        let mut contexts = Contexts::default();
        for (request, outcome) in world.requests.iter().zip(outcomes) {
            let mut found = of_world;
            found.extend(request_features(world, request));
            found.extend(outcome_features(outcome, *validates && request.validate));
            match (outcome, prepared.question(request, &mut contexts)) {
                (Outcome::Answer(answer), Ok((question, entities))) => {
                    if let (Some(principal), Some(action), Some(resource)) =
                        (question.principal(), question.action(), question.resource())
                    {
                        let asked = Asked { principal, action, resource, entities: &entities };
                        candidate_features(&asked, &policies, answer, &mut found);
                    }
                }
                _ => found.insert(Feature::Refused),
            }
            self.count(found);
        }
    }

    /// Adds what another count reached.
    pub fn merge(&mut self, other: &Self) {
        self.cases += other.cases;
        self.worlds += other.worlds;
        self.worlds_refused += other.worlds_refused;
        for (count, more) in self.counts.iter_mut().zip(&other.counts) {
            *count += more;
        }
    }

    /// The number of cases.
    pub fn cases(&self) -> u64 {
        self.cases
    }

    /// The share of worlds that Cedar refused to read.
    pub fn refused_worlds_share(&self) -> f64 {
        share(self.worlds_refused, self.worlds)
    }

    /// The share of cases that reached `feature`.
    pub fn share(&self, feature: Feature) -> f64 {
        share(self.reached(feature), self.cases)
    }

    /// How many cases reached `feature`.
    pub fn reached(&self, feature: Feature) -> u64 {
        self.counts.get(feature as usize).copied().unwrap_or(0)
    }

    /// Checks that at least `min_share` of the cases reached each feature.
    ///
    /// # Errors
    ///
    /// Every feature that fewer cases reached, with its count.
    pub fn check(&self, min_share: f64) -> Result<(), Vec<String>> {
        let rare: Vec<String> = Feature::ALL
            .iter()
            .filter(|feature| self.share(**feature) < min_share)
            .map(|feature| {
                format!("{}: {} of {} cases", feature.name(), self.reached(*feature), self.cases)
            })
            .collect();
        if rare.is_empty() { Ok(()) } else { Err(rare) }
    }

    fn count(&mut self, found: FeatureSet) {
        self.cases += 1;
        for (feature, count) in Feature::ALL.iter().zip(&mut self.counts) {
            *count += u64::from(found.contains(*feature));
        }
    }
}

impl Default for Coverage {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Display for Coverage {
    /// A table: share, count, name.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "{} cases in {} worlds, {} of them refused",
            self.cases, self.worlds, self.worlds_refused
        )?;
        for feature in Feature::ALL {
            writeln!(
                f,
                "{:>7.2} %  {:>9}  {}",
                self.share(*feature) * 100.0,
                self.reached(*feature),
                feature.name()
            )?;
        }
        Ok(())
    }
}

#[expect(
    clippy::cast_precision_loss,
    reason = "a share is for reading and for a floor; 52 bits are plenty"
)]
fn share(part: u64, whole: u64) -> f64 {
    if whole == 0 { 0.0 } else { part as f64 / whole as f64 }
}
