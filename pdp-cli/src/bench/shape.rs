//! What `pdp bench --json` prints and `--save` writes: the same fields, so that a saved run can be compared with.

use serde::Serialize;

use crate::shapes::BundleShape;

/// All figures of a run.
#[derive(Debug, Serialize)]
pub(crate) struct BenchShape {
    pub(crate) decisions: u64,
    pub(crate) decisions_per_second: f64,
    pub(crate) p50_ns: f64,
    pub(crate) p99_ns: f64,
    pub(crate) p999_ns: f64,
    pub(crate) allocations_per_decision: f64,
    pub(crate) compile_ms: Option<f64>,
    pub(crate) load_ms: f64,
    pub(crate) bundle_bytes: usize,
    pub(crate) seconds: f64,
    pub(crate) batch: u64,
    pub(crate) clock_ns: f64,
    pub(crate) cases: usize,
    pub(crate) cases_failed: usize,
    pub(crate) changed: Vec<String>,
    pub(crate) policies: usize,
    pub(crate) entities: usize,
    pub(crate) bundle: BundleShape,
    pub(crate) workload: WorkloadShape,
    pub(crate) histogram: Vec<BarShape>,
    pub(crate) slowest: Vec<SlowShape>,
    pub(crate) policy_costs: Vec<PolicyShape>,
    /// Policies that no request of the workload looks at.
    pub(crate) policies_not_met: usize,
    /// Share of the decision time that is not the policies': taking in, index, answer.
    pub(crate) share_not_policies: f64,
    pub(crate) costly: Vec<CostlyShape>,
    pub(crate) baseline: Option<BaselineShape>,
    pub(crate) budget: Vec<BudgetShape>,
}

/// What was decided.
#[derive(Debug, Serialize)]
pub(crate) struct WorkloadShape {
    /// `cases`, or the file.
    pub(crate) from: String,
    pub(crate) requests: usize,
    /// Over the requests' texts.
    pub(crate) hash: String,
}

/// A bar of the latency distribution.
#[derive(Debug, Serialize)]
pub(crate) struct BarShape {
    pub(crate) from_ns: f64,
    pub(crate) to_ns: f64,
    pub(crate) batches: u64,
}

/// One of the slowest requests.
#[derive(Debug, Serialize)]
pub(crate) struct SlowShape {
    pub(crate) request: String,
    pub(crate) principal: String,
    pub(crate) action: String,
    pub(crate) resource: String,
    pub(crate) decision: &'static str,
    pub(crate) reason: &'static str,
    /// Mean of its fastest batch.
    pub(crate) ns: f64,
    /// Mean of all its batches, stalls included.
    pub(crate) mean_ns: f64,
    /// Time of its evaluations alone.
    pub(crate) policies_ns: f64,
    pub(crate) legs: usize,
    pub(crate) candidates: usize,
    pub(crate) steps: u64,
    pub(crate) dearest: Vec<EvaluatedShape>,
    pub(crate) why: Vec<String>,
}

/// One evaluation of a slow request.
#[derive(Debug, Serialize)]
pub(crate) struct EvaluatedShape {
    pub(crate) policy: String,
    pub(crate) steps: u64,
    pub(crate) ns: f64,
}

/// What a policy costs in this workload.
#[derive(Debug, Serialize)]
pub(crate) struct PolicyShape {
    pub(crate) policy: String,
    pub(crate) effect: &'static str,
    pub(crate) file: Option<String>,
    pub(crate) line: Option<u32>,
    /// Requests that look at it.
    pub(crate) requests: usize,
    /// Evaluations over all legs.
    pub(crate) evaluations: u64,
    pub(crate) satisfied: u64,
    pub(crate) failed: u64,
    /// Means of one evaluation.
    pub(crate) steps: f64,
    pub(crate) ns: f64,
    /// Its part of the time of all decisions, from 0 to 1.
    pub(crate) share: f64,
    pub(crate) why: Vec<String>,
}

/// A warning of `pdp check` about costs.
#[derive(Debug, Serialize)]
pub(crate) struct CostlyShape {
    pub(crate) code: &'static str,
    pub(crate) message: String,
    pub(crate) help: Option<String>,
}

/// This run beside a saved one.
#[derive(Debug, Serialize)]
pub(crate) struct BaselineShape {
    pub(crate) file: String,
    pub(crate) same_bundle: bool,
    pub(crate) same_requests: bool,
    /// What makes the comparison less than fair, in words.
    pub(crate) remarks: Vec<String>,
    pub(crate) figures: Vec<ComparedShape>,
    /// Policies whose evaluation takes another time, the largest change of the whole first.
    pub(crate) policies: Vec<ComparedShape>,
}

/// A figure before and now.
#[derive(Debug, Serialize)]
pub(crate) struct ComparedShape {
    pub(crate) figure: String,
    pub(crate) before: f64,
    pub(crate) now: f64,
    /// Now by before; nothing where before is 0.
    pub(crate) ratio: Option<f64>,
}

/// A limit of `--budget` and what was measured.
#[derive(Debug, Serialize)]
pub(crate) struct BudgetShape {
    pub(crate) figure: &'static str,
    pub(crate) allowed: String,
    pub(crate) allowed_ns: f64,
    pub(crate) measured_ns: f64,
    pub(crate) kept: bool,
}
