//! Where the time of a workload goes: to which policies, and to which requests.
//!
//! Every policy that a request has to look at is evaluated on its own, counted first and then timed. What is left of
//! a decision's time is taking the request in, asking the index and putting the answer together.

use std::collections::BTreeMap;
use std::hint::black_box;
use std::time::{Duration, Instant};

use pdp_core::{Candidate, DecideOptions, Decider, PolicyIx, Request, Scratch};

/// What a workload does with each policy and in each request.
#[derive(Debug, Default)]
pub(crate) struct Profile {
    /// Policies that are a candidate of some request.
    pub(crate) policies: BTreeMap<PolicyIx, PolicyUse>,
    /// In the order of the workload.
    pub(crate) requests: Vec<RequestUse>,
}

/// What the workload does with one policy.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct PolicyUse {
    /// Requests that evaluate it.
    pub(crate) requests: usize,
    /// Evaluations; more than requests where there are several legs.
    pub(crate) evaluations: u64,
    pub(crate) satisfied: u64,
    pub(crate) failed: u64,
    /// Steps of all evaluations.
    pub(crate) steps: u64,
    /// Steps of the longest evaluation.
    pub(crate) steps_max: u64,
    /// Time of all evaluations.
    pub(crate) ns: f64,
}

/// What one request does.
#[derive(Clone, Debug, Default)]
pub(crate) struct RequestUse {
    pub(crate) legs: usize,
    pub(crate) candidates: usize,
    pub(crate) steps: u64,
    /// Time of its evaluations.
    pub(crate) ns: f64,
    /// Those that took longest, the longest first.
    pub(crate) dearest: Vec<Evaluated>,
}

/// One evaluation.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Evaluated {
    /// Which; a bundle alone can name one.
    pub(crate) policy: Option<PolicyIx>,
    pub(crate) steps: u64,
    pub(crate) ns: f64,
}

const OPTIONS: DecideOptions = DecideOptions::STANDARD;
/// Evaluations that are kept for each request.
const DEAREST_MAX: usize = 3;
/// An evaluation is timed this often, and the fastest counts.
const ROUNDS: u32 = 3;
/// Evaluations a round: enough that a look at the clock does not weigh much.
const ROUND_MAX: u64 = 1_000;

/// Counts and times every evaluation of the workload, in about the time given.
pub(crate) fn profile(
    decider: &Decider,
    requests: &[Request<'_>],
    clock_ns: f64,
    goal: Duration,
) -> Profile {
    let mut scratch = Scratch::new();
    let mut profile = Profile::default();
    let (start, mut evaluations) = (Instant::now(), 0.0);
    let mut met: Vec<PolicyIx> = Vec::new();
    for request in requests {
        let mut at = RequestUse::default();
        met.clear();
        let legs = decider.each_candidate(&mut scratch, request, &OPTIONS, &mut |candidate| {
            let steps = profile.policies.entry(candidate.policy()).or_default().count(candidate);
            at.candidates += 1;
            at.steps = at.steps.saturating_add(steps);
            met.push(candidate.policy());
            evaluations += 1.0;
        });
        at.legs = legs;
        profile.requests.push(at);
        // A request counts once for a policy, however many legs look at it.
        met.sort_unstable();
        met.dedup();
        for policy in &met {
            profile.policies.entry(*policy).or_default().requests += 1;
        }
    }
    let evaluation_ns = start.elapsed().as_secs_f64() * 1e9 / f64::max(evaluations, 1.0);
    let allowed_ns = goal.as_secs_f64() * 1e9 / f64::max(evaluations, 1.0);
    let round = round_of(evaluation_ns, clock_ns, allowed_ns);
    for (request, at) in requests.iter().zip(&mut profile.requests) {
        decider.each_candidate(&mut scratch, request, &OPTIONS, &mut |candidate| {
            let policy = candidate.policy();
            let (steps, ns) = time(candidate, round, clock_ns);
            if let Some(entry) = profile.policies.get_mut(&policy) {
                entry.ns += ns;
            }
            at.ns += ns;
            at.keep(Evaluated { policy: Some(policy), steps, ns });
        });
    }
    profile
}

/// Evaluations a round: as many as drown the clock's cost, fewer where that would take longer than allowed.
fn round_of(evaluation_ns: f64, clock_ns: f64, allowed_ns: f64) -> u64 {
    let evaluation_ns = evaluation_ns.max(1.0);
    let wanted = (clock_ns * 20.0 / evaluation_ns).ceil();
    let affordable = (allowed_ns / f64::from(ROUNDS) / evaluation_ns).floor();
    // Between 1 and a thousand after the clamp, so nothing is cut off; a number that is none becomes 0, hence 1.
    (wanted.min(affordable).clamp(1.0, ROUND_MAX as f64) as u64).max(1)
}

/// Steps and time of one evaluation: the mean of the fastest round, without the look at the clock.
fn time(candidate: &mut Candidate<'_>, round: u64, clock_ns: f64) -> (u64, f64) {
    let (mut fastest, mut steps) = (f64::INFINITY, 0);
    for _ in 0..ROUNDS {
        let start = Instant::now();
        for _ in 0..round {
            steps = black_box(candidate.evaluate()).steps;
        }
        let ns = start.elapsed().as_secs_f64() * 1e9;
        fastest = fastest.min((ns - clock_ns).max(0.0) / round as f64);
    }
    (steps, fastest)
}

// === impl PolicyUse ===

impl PolicyUse {
    /// Evaluates once, and gives the steps.
    fn count(&mut self, candidate: &mut Candidate<'_>) -> u64 {
        let evaluation = candidate.evaluate();
        self.evaluations += 1;
        match evaluation.satisfied {
            Ok(true) => self.satisfied += 1,
            Ok(false) => {}
            Err(_) => self.failed += 1,
        }
        self.steps = self.steps.saturating_add(evaluation.steps);
        self.steps_max = self.steps_max.max(evaluation.steps);
        evaluation.steps
    }
}

// === impl RequestUse ===

impl RequestUse {
    fn keep(&mut self, evaluated: Evaluated) {
        let at = self.dearest.partition_point(|before| before.ns >= evaluated.ns);
        if at < DEAREST_MAX {
            self.dearest.truncate(DEAREST_MAX - 1);
            self.dearest.insert(at.min(self.dearest.len()), evaluated);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rounds_drown_the_clock_unless_that_takes_too_long() {
        assert_eq!(round_of(10.0, 25.0, 1e9), 50);
        assert_eq!(round_of(10.0, 25.0, 300.0), 10);
        assert_eq!(round_of(10.0, 25.0, 0.0), 1);
        assert_eq!(round_of(1e9, 25.0, 1e9), 1);
        assert_eq!(round_of(0.0, 1e9, f64::INFINITY), ROUND_MAX);
        assert_eq!(round_of(f64::NAN, f64::NAN, f64::NAN), 1);
    }

    #[test]
    fn the_dearest_evaluations_are_kept_in_order() {
        let mut request = RequestUse::default();
        for ns in [3.0, 9.0, 1.0, 7.0, 8.0, 2.0] {
            request.keep(Evaluated { policy: None, steps: 1, ns });
        }
        let kept: Vec<f64> = request.dearest.iter().map(|evaluated| evaluated.ns).collect();
        assert_eq!(kept, [9.0, 8.0, 7.0]);
    }
}
