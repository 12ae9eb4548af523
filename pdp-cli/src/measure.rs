//! The timed loop of `pdp bench`: how long a decision takes, how often it allocates, and whether it stays the same.
//!
//! A decision can be shorter than a look at the clock. Decisions are therefore timed in batches, one request in a
//! row, long enough that the clock's cost is at most a hundredth; a sample is the mean of a batch. Nothing in the
//! loop allocates but the decisions, so the count of this thread's allocations is theirs.

use std::hint::black_box;
use std::time::{Duration, Instant};

use pdp_core::{Answer, DecideOptions, Decider, OwnedAnswer, Request, Scratch};

use crate::allocations;
use crate::histogram::Histogram;

/// What a run measured.
#[derive(Debug)]
pub(crate) struct Measured {
    /// Decisions in timed batches.
    pub(crate) decisions: u64,
    /// Time spent in them.
    pub(crate) elapsed: Duration,
    /// Decisions a batch.
    pub(crate) batch: u64,
    /// What one look at the clock costs.
    pub(crate) clock_ns: f64,
    /// Mean time of a decision, by batch.
    pub(crate) samples: Histogram,
    /// Heap allocations during all timed batches.
    pub(crate) allocations: u64,
    /// Which requests gave another answer than in the first run, as indices.
    pub(crate) changed: Vec<usize>,
    /// What each request took, in their order.
    pub(crate) requests: Vec<Timing>,
}

/// What the batches of one request took.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Timing {
    /// Mean of the fastest batch: what a decision takes when nothing else gets in between.
    pub(crate) fastest_ps: u64,
    /// Sum of the batches' means.
    total_ps: u64,
    batches: u64,
}

/// Warming up goes on at least this long.
const WARM_UP_MS: u64 = 100;
/// The clock's share of a batch is at most one in this many.
const CLOCK_SHARE: f64 = 100.0;
const BATCH_MAX: u64 = 65_536;
const CLOCK_LOOKS: u32 = 20_000;

const OPTIONS: DecideOptions = DecideOptions::STANDARD;

/// Decides the requests over and over for about so long; each gets the same number of batches.
pub(crate) fn measure(decider: &Decider, requests: &[Request<'_>], goal: Duration) -> Measured {
    let mut scratch = Scratch::new();
    let first: Vec<OwnedAnswer> = requests
        .iter()
        .map(|request| decider.decide_with(&mut scratch, request, &OPTIONS).to_owned())
        .collect();
    let clock_ns = clock_cost_ns();
    let decision_ns = warm_up(decider, requests, &mut scratch);
    let mut measured = Measured {
        decisions: 0,
        elapsed: Duration::ZERO,
        batch: batch_size(clock_ns, decision_ns),
        clock_ns,
        samples: Histogram::new(),
        allocations: 0,
        // Room for all, so that noting one does not count as an allocation.
        changed: Vec::with_capacity(requests.len()),
        requests: vec![Timing::NONE; requests.len()],
    };

    let start = Instant::now();
    let allocated = allocations::of_this_thread();
    while !requests.is_empty() && (measured.decisions == 0 || start.elapsed() < goal) {
        for (index, (request, first)) in requests.iter().zip(&first).enumerate() {
            let begin = Instant::now();
            let mut last = decider.decide_with(&mut scratch, black_box(request), &OPTIONS);
            for _ in 1..measured.batch {
                last = black_box(decider.decide_with(&mut scratch, black_box(request), &OPTIONS));
            }
            let elapsed = begin.elapsed();
            measured.elapsed += elapsed;
            measured.decisions = measured.decisions.saturating_add(measured.batch);
            let ps = elapsed.as_nanos().saturating_mul(1000) / u128::from(measured.batch);
            let ps = u64::try_from(ps).unwrap_or(u64::MAX);
            measured.samples.record(ps);
            if let Some(timing) = measured.requests.get_mut(index) {
                timing.record(ps);
            }
            if !same(&last, first) && !measured.changed.contains(&index) {
                measured.changed.push(index);
            }
        }
    }
    measured.allocations = allocations::of_this_thread().wrapping_sub(allocated);
    measured
}

// === impl Timing ===

impl Timing {
    pub(crate) const NONE: Self = Self { fastest_ps: u64::MAX, total_ps: 0, batches: 0 };

    fn record(&mut self, ps: u64) {
        self.fastest_ps = self.fastest_ps.min(ps);
        self.total_ps = self.total_ps.saturating_add(ps);
        self.batches = self.batches.saturating_add(1);
    }

    /// Mean of all batches, stalls included.
    pub(crate) fn mean_ps(&self) -> u64 {
        self.total_ps / self.batches.max(1)
    }
}

/// Compares without allocating; every part that a caller could act on.
fn same(answer: &Answer<'_>, first: &OwnedAnswer) -> bool {
    answer.effect() == first.effect
        && answer.reason() == first.reason
        && answer.message() == first.message
        && answer.policies().eq(first.policies.iter().map(String::as_str))
        && answer.errors().eq(first.errors.iter().map(|(id, kind)| (id.as_str(), *kind)))
        && answer
            .legs()
            .map(|leg| (leg.role(), leg.effect(), leg.reason()))
            .eq(first.legs.iter().map(|leg| (leg.role, leg.effect, leg.reason)))
        && answer.failed_leg().map(|leg| leg.role()) == first.failed_leg
        && answer.obligations().map(|o| (o.policy, o.key, o.value)).eq(first
            .obligations
            .iter()
            .map(|(policy, key, value)| (policy.as_str(), key.as_str(), value.as_str())))
}

/// Decides everything at least once and for a while; the mean time of a decision in nanoseconds.
fn warm_up(decider: &Decider, requests: &[Request<'_>], scratch: &mut Scratch) -> f64 {
    let start = Instant::now();
    let goal = Duration::from_millis(WARM_UP_MS);
    let mut decisions: f64 = 0.0;
    while !requests.is_empty() && (decisions == 0.0 || start.elapsed() < goal) {
        for request in requests {
            black_box(decider.decide_with(scratch, black_box(request), &OPTIONS));
            decisions += 1.0;
        }
    }
    // An empty workload has no mean; any positive number keeps the batch size defined.
    start.elapsed().as_secs_f64() * 1e9 / decisions.max(1.0)
}

fn clock_cost_ns() -> f64 {
    let start = Instant::now();
    for _ in 0..CLOCK_LOOKS {
        black_box(Instant::now());
    }
    start.elapsed().as_secs_f64() * 1e9 / f64::from(CLOCK_LOOKS)
}

/// The fewest decisions that the clock's cost drowns in.
fn batch_size(clock_ns: f64, decision_ns: f64) -> u64 {
    // In whole picoseconds, where division rounds as it should.
    let clock_ps = whole(clock_ns * 1000.0 * CLOCK_SHARE);
    clock_ps.div_ceil(whole(decision_ns * 1000.0).max(1)).clamp(1, BATCH_MAX)
}

fn whole(number: f64) -> u64 {
    Duration::try_from_secs_f64(number).map_or(u64::MAX, |duration| duration.as_secs())
}

#[cfg(test)]
mod tests {
    use pdp_core::{Effect, Reason, Uid};

    use super::*;

    fn request() -> Request<'static> {
        let uid = Uid::new("U", "a");
        Request::new(uid, uid, uid, &[])
    }

    #[test]
    fn a_decider_without_bundle_is_measured_too() {
        let requests = [request(), request()];
        let measured = measure(&Decider::no_bundle(), &requests, Duration::from_millis(30));
        assert_eq!(measured.decisions, measured.samples.count() * measured.batch);
        assert_eq!(measured.samples.count() % 2, 0, "each request gets the same number of batches");
        assert!(measured.samples.percentile_ps(500) <= measured.samples.percentile_ps(999));
        assert!(measured.elapsed > Duration::ZERO);
        assert_eq!(measured.requests.len(), requests.len());
        for timing in &measured.requests {
            assert_eq!(timing.batches * 2, measured.samples.count());
            assert!(timing.fastest_ps <= timing.mean_ps());
        }
        assert_eq!(measured.allocations, 0);
        assert_eq!(measured.changed, Vec::<usize>::new());
    }

    #[test]
    fn no_requests_no_decisions() {
        let measured = measure(&Decider::no_bundle(), &[], Duration::from_secs(3600));
        assert_eq!(measured.decisions, 0);
    }

    #[test]
    fn a_changed_answer_is_seen() {
        let decider = Decider::no_bundle();
        let mut scratch = Scratch::new();
        let request = request();
        let answer = decider.decide_with(&mut scratch, &request, &OPTIONS);
        let first = answer.to_owned();
        assert!(same(&answer, &first));
        for changed in [
            OwnedAnswer { effect: Effect::Allow, ..first.clone() },
            OwnedAnswer { reason: Reason::Forbidden, ..first.clone() },
            OwnedAnswer { policies: vec!["P1".to_owned()], ..first.clone() },
            OwnedAnswer { message: "x".to_owned(), ..first.clone() },
            OwnedAnswer {
                obligations: vec![<(String, String, String)>::default()],
                ..first.clone()
            },
        ] {
            assert!(!same(&answer, &changed), "{changed:?}");
        }
    }

    #[test]
    fn batches_outweigh_the_clock() {
        assert_eq!(batch_size(25.0, 250.0), 10);
        assert_eq!(batch_size(25.0, 240.0), 11);
        assert_eq!(batch_size(25.0, 1e9), 1);
        assert_eq!(batch_size(25.0, 0.0), BATCH_MAX);
        assert_eq!(batch_size(1e9, 1.0), BATCH_MAX);
    }
}
