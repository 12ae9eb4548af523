//! `pdp bench`: how fast this bundle answers on this machine, which requests and policies take the time, and why.
//!
//! One thread, requests already decoded: it measures deciding, not parsing and not a network. Numbers without right
//! answers are worth nothing, so every batch is compared with the first run, and cases that fail are mentioned.
//! `workload` reads what is decided, `measure` times it, `profile` takes it apart, `why` says what came of it in
//! words; `text` and `page` show it, `baseline` and `budget` judge it.

mod baseline;
mod budget;
mod page;
mod plot;
mod profile;
mod shape;
mod text;
mod why;
mod workload;

use std::collections::HashMap;
use std::io::{self, Write};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use clap::Args;
use pdp_core::json::Arena;
use pdp_core::{DecideOptions, Decider, PolicyIx, Scratch, run_cases};

use crate::exit::{self, Exit, Failure};
use crate::load::{self, Loaded};
use crate::measure::{self, Measured, Timing};
use crate::progress::Progress;
use crate::render::{self, Out};
use crate::shapes::BundleShape;
use crate::write;

use baseline::Saved;
use budget::{Budget, Percentile};
use profile::{Profile, RequestUse};
use shape::{
    BarShape, BenchShape, BudgetShape, CostlyShape, EvaluatedShape, PolicyShape, SlowShape,
    WorkloadShape,
};
use workload::Workload;

/// Measure decisions; show the slowest requests, what each policy costs, and why
///
/// The workload is the bundle's cases or, with `--requests`, a file of recorded requests, one JSON object a line as
/// `pdp decide --requests` takes them; those that state no time get the time of the start.
///
/// One thread decides them over and over; requests are decoded beforehand. A decision may take less time than a
/// look at the clock, so decisions are timed in batches of one request in a row, just long enough that the clock's
/// cost is at most 1 %; `batch` says how many. Percentiles are over the batches' means: a stall of one decision is
/// spread over its batch. Compile and load times are of one run each; a built file has no compile time.
///
/// Requests are ranked by their fastest batch, which is what a decision takes when nothing else disturbs it. Then
/// every policy that a request looks at is evaluated alone, for as long as a third of `--seconds`: that gives its
/// time, its steps, and its share of all decisions. A share of 30 % means that decisions would take that much less
/// without it. A step is an instruction, or an element walked over; the bundle's `eval_steps_max` counts them.
#[derive(Debug, Args)]
#[command(verbatim_doc_comment, after_long_help = exit::help(
    "pdp bench policies/agent-tools --seconds 10\n\
     pdp bench policies/agent-tools --requests monday.jsonl --html report.html\n\
     pdp bench policies/agent-tools --save before.json\n\
     pdp bench policies/agent-tools --baseline before.json --budget p50=500ns,p99=2us\n\
     pdp bench agent-tools.pdpb --json | jq '.policy_costs[0]'",
    &[
        (Exit::Ok, "measured, every answer was that of the first run, and the budget is kept"),
        (Exit::No, "answers changed between runs; the figures are void, nothing is saved"),
        (Exit::OverBudget, "measured, and a percentile is over `--budget`; files asked for are written"),
        (Exit::Data, "the folder has errors, the file is no bundle, the baseline no saved run, a line no request, or there are no cases"),
        (Exit::NoInput, "PATH, the requests or the baseline do not exist or cannot be read"),
        (Exit::CannotCreate, "the file for `--save` or `--html` cannot be written"),
    ],
))]
pub(crate) struct BenchArgs {
    /// Bundle folder, or file written by `pdp build`
    #[arg(value_name = "PATH")]
    path: PathBuf,
    /// How long to measure, up to 3600; fractions are allowed
    #[arg(long, value_name = "N", default_value = "3", value_parser = seconds)]
    seconds: Duration,
    /// Decide these requests and not the cases: JSON, one a line; - for standard input
    #[arg(long, value_name = "FILE")]
    requests: Option<PathBuf>,
    /// How many of the slowest requests and dearest policies to show, up to 1000
    #[arg(long, value_name = "N", default_value = "10", value_parser = clap::value_parser!(u16).range(1..=1000))]
    top: u16,
    /// Write the figures to a file, for a later `--baseline`
    #[arg(long, value_name = "FILE")]
    save: Option<PathBuf>,
    /// Compare with figures that `--save` wrote, before they are saved anew
    #[arg(long, value_name = "FILE")]
    baseline: Option<PathBuf>,
    /// End with 3 if a percentile takes longer: p50, p99, p99.9 in ns, us, ms or s, such as p50=500ns,p99=2us
    #[arg(long, value_name = "LIMITS")]
    budget: Option<Budget>,
    /// Write a page with plots; it stands alone and loads nothing
    #[arg(long, value_name = "FILE")]
    html: Option<PathBuf>,
}

const SECONDS_MAX: f64 = 3600.0;
/// Bars of the distribution up to the p99.
const BARS: u32 = 15;
/// Evaluating policies one by one takes this part of the time for measuring.
const PROFILE_PART: u32 = 3;

/// Runs the command.
pub(crate) fn run(args: &BenchArgs, out: &mut Out) -> Result<Exit, Failure> {
    // What is wrong with a file should not wait for the measurement.
    let saved = args.baseline.as_deref().map(Saved::read).transpose()?;
    let loaded = load::load(&args.path)?;
    let bundle = Arc::clone(&loaded.bundle);
    let arena = Arena::new();
    let workload = match &args.requests {
        Some(file) => Workload::of_file(file, &bundle, &arena)?,
        None => Workload::of_cases(&bundle, &args.path, &arena)?,
    };
    let decider = Decider::new(Arc::clone(&bundle));
    let results = run_cases(&decider, &mut Scratch::new(), &DecideOptions::STANDARD);
    let cases_failed = results.iter().filter(|result| !result.passed()).count();

    let progress = Progress::start(format!("measuring for {} s", args.seconds.as_secs_f64()));
    let measured = measure::measure(&decider, &workload.requests, args.seconds);
    drop(progress);
    let progress = Progress::start("timing each policy".to_owned());
    let goal = args.seconds / PROFILE_PART;
    let profile = profile::profile(&decider, &workload.requests, measured.clock_ns, goal);
    drop(progress);

    let run = Run { loaded: &loaded, workload: &workload, measured: &measured, profile: &profile };
    let mut shape = run.shape(&decider, usize::from(args.top), cases_failed);
    shape.baseline =
        saved.zip(args.baseline.as_deref()).map(|(saved, path)| saved.compare(path, &shape));
    shape.budget = args.budget.as_ref().map_or(Vec::new(), |budget| judge(budget, &shape));

    if cases_failed > 0 && !out.json() {
        // A remark beside the result; if standard error is gone, the figures stand all the same.
        let _ = writeln!(
            io::stderr(),
            "warning: {} of {} do not give what they expect; `pdp test {}` says why",
            cases_failed,
            render::count(bundle.cases().len(), "case", "cases"),
            args.path.display()
        );
    }
    if out.json() {
        out.shape(&shape)?
    } else {
        out.text(&text::text(&shape, usize::from(args.top), out.paint()))?
    }
    if !shape.changed.is_empty() {
        return Ok(Exit::No);
    }
    if let Some(file) = &args.html {
        write::atomically(file, page::html(&shape, usize::from(args.top)).as_bytes())?;
    }
    if let Some(file) = &args.save {
        let json = serde_json::to_vec(&shape)
            .map_err(|error| Failure::new(Exit::Internal, format!("no JSON came out: {error}")))?;
        write::atomically(file, &json)?;
    }
    let kept = shape.budget.iter().all(|limit| limit.kept);
    Ok(if kept { Exit::Ok } else { Exit::OverBudget })
}

/// All that a run gave, before it is put in order.
struct Run<'a> {
    loaded: &'a Loaded,
    workload: &'a Workload<'a>,
    measured: &'a Measured,
    profile: &'a Profile,
}

// === impl Run ===

impl Run<'_> {
    fn shape(&self, decider: &Decider, top: usize, cases_failed: usize) -> BenchShape {
        let (bundle, measured) = (&self.loaded.bundle, self.measured);
        let (policy_costs, whys) = self.policies();
        let shares: f64 = policy_costs.iter().map(|policy| policy.share).sum();
        let bar = |bar: crate::histogram::Bar| BarShape {
            from_ns: ns(bar.from_ps),
            to_ns: ns(bar.to_ps),
            batches: bar.count,
        };
        let costly = |item: pdp_core::Diagnostic| CostlyShape {
            code: item.code,
            message: item.message,
            help: item.help,
        };
        // Counts of decisions are far below 2^53, where a double is exact.
        let decisions = measured.decisions as f64;
        BenchShape {
            decisions: measured.decisions,
            decisions_per_second: (decisions / measured.elapsed.as_secs_f64().max(1e-9)).round(),
            p50_ns: ns(measured.samples.percentile_ps(500)),
            p99_ns: ns(measured.samples.percentile_ps(990)),
            p999_ns: ns(measured.samples.percentile_ps(999)),
            allocations_per_decision: measured.allocations as f64 / decisions.max(1.0),
            compile_ms: self.loaded.compile.map(render::ms),
            load_ms: render::ms(self.loaded.load),
            bundle_bytes: self.loaded.bundle_bytes,
            seconds: render::ms(measured.elapsed) / 1e3,
            batch: measured.batch,
            clock_ns: tenth(measured.clock_ns),
            cases: bundle.cases().len(),
            cases_failed,
            changed: measured
                .changed
                .iter()
                .map(|index| self.workload.name(*index).to_owned())
                .collect(),
            policies: bundle.policy_count(),
            entities: bundle.entity_count(),
            bundle: BundleShape::new(bundle),
            workload: WorkloadShape {
                from: self.workload.from.clone(),
                requests: self.workload.requests.len(),
                hash: self.workload.hash.clone(),
            },
            histogram: measured.samples.bars(BARS).into_iter().map(bar).collect(),
            slowest: self.slowest(decider, top, &whys),
            policies_not_met: bundle.policy_count().saturating_sub(policy_costs.len()),
            policy_costs,
            share_not_policies: thousandth((1.0 - shares).max(0.0)),
            costly: bundle.costly().items.into_iter().map(costly).collect(),
            baseline: None,
            budget: Vec::new(),
        }
    }

    /// Policies by their share, and why each costs what it does.
    fn policies(&self) -> (Vec<PolicyShape>, HashMap<PolicyIx, Vec<String>>) {
        let bundle = &self.loaded.bundle;
        let requests = self.workload.requests.len();
        // One of each request, undisturbed: what the shares are shares of.
        let all_ns: f64 =
            self.measured.requests.iter().map(|timing| ns(timing.fastest_ps)).sum::<f64>();
        let mut whys = HashMap::new();
        let mut policies: Vec<(f64, PolicyShape)> = Vec::new();
        for (ix, used) in &self.profile.policies {
            let effect = if bundle.is_forbid(*ix) { "forbid" } else { "permit" };
            let why = why::policy(effect, &bundle.policy_cost(*ix), used, requests);
            whys.insert(*ix, why.clone());
            let source = bundle.policy_source(*ix);
            let evaluations = used.evaluations.max(1) as f64;
            let shape = PolicyShape {
                policy: bundle.policy_id(*ix).to_owned(),
                effect,
                file: source.map(|source| source.file.to_owned()),
                line: source.map(|source| source.line),
                requests: used.requests,
                evaluations: used.evaluations,
                satisfied: used.satisfied,
                failed: used.failed,
                steps: tenth(used.steps as f64 / evaluations),
                ns: tenth(used.ns / evaluations),
                share: thousandth(used.ns / all_ns.max(1.0)),
                why,
            };
            policies.push((used.ns, shape));
        }
        policies.sort_by(|(a, _), (b, _)| b.total_cmp(a));
        (policies.into_iter().map(|(_, shape)| shape).collect(), whys)
    }

    fn slowest(
        &self,
        decider: &Decider,
        top: usize,
        whys: &HashMap<PolicyIx, Vec<String>>,
    ) -> Vec<SlowShape> {
        let timings = self.measured.requests.iter().enumerate();
        let mut order: Vec<(usize, &Timing)> = timings.collect();
        order.sort_by_key(|(index, timing)| (std::cmp::Reverse(timing.fastest_ps), *index));
        let mut candidates: Vec<usize> =
            self.profile.requests.iter().map(|used| used.candidates).collect();
        candidates.sort_unstable();
        let usual_candidates = candidates.get(candidates.len() / 2).copied().unwrap_or(0);
        let mut scratch = Scratch::new();
        order
            .into_iter()
            .take(top)
            .filter_map(|(index, timing)| {
                let request = self.workload.requests.get(index)?;
                let used = self.profile.requests.get(index)?;
                let answer = decider.decide_with(&mut scratch, request, &DecideOptions::STANDARD);
                let dearest = used.dearest.first().and_then(|evaluated| {
                    let ix = evaluated.policy?;
                    let bundle = &self.loaded.bundle;
                    Some((bundle.policy_id(ix), evaluated.ns, whys.get(&ix)?.as_slice()))
                });
                let facts = why::RequestFacts {
                    ns: ns(timing.fastest_ps),
                    usual_candidates,
                    dearest,
                    reason: answer.reason().as_str(),
                };
                Some(SlowShape {
                    request: self.workload.name(index).to_owned(),
                    principal: request.principal.to_string(),
                    action: request.action.to_string(),
                    resource: request.resource.to_string(),
                    decision: answer.effect().as_str(),
                    reason: answer.reason().as_str(),
                    ns: ns(timing.fastest_ps),
                    mean_ns: ns(timing.mean_ps()),
                    policies_ns: tenth(used.ns),
                    legs: used.legs,
                    candidates: used.candidates,
                    steps: used.steps,
                    dearest: self.dearest(used),
                    why: why::request(request, used, &facts),
                })
            })
            .collect()
    }

    fn dearest(&self, used: &RequestUse) -> Vec<EvaluatedShape> {
        let shape = |evaluated: &profile::Evaluated| {
            let policy = self.loaded.bundle.policy_id(evaluated.policy?).to_owned();
            Some(EvaluatedShape { policy, steps: evaluated.steps, ns: tenth(evaluated.ns) })
        };
        used.dearest.iter().filter_map(shape).collect()
    }
}

/// What was measured beside what is allowed.
fn judge(budget: &Budget, shape: &BenchShape) -> Vec<BudgetShape> {
    let judged = budget.0.iter().map(|limit| {
        let measured_ns = match limit.percentile {
            Percentile::P50 => shape.p50_ns,
            Percentile::P99 => shape.p99_ns,
            Percentile::P999 => shape.p999_ns,
        };
        BudgetShape {
            figure: limit.percentile.name(),
            allowed: limit.written.clone(),
            allowed_ns: limit.max_ns,
            measured_ns,
            kept: measured_ns <= limit.max_ns,
        }
    });
    judged.collect()
}

/// Nanoseconds with one decimal.
fn ns(ps: u64) -> f64 {
    (ps as f64 / 100.0).round() / 10.0
}

fn tenth(number: f64) -> f64 {
    (number * 10.0).round() / 10.0
}

fn thousandth(number: f64) -> f64 {
    (number * 1e3).round() / 1e3
}

/// Checks the value of `--seconds`.
fn seconds(text: &str) -> Result<Duration, String> {
    let number: f64 =
        text.parse().map_err(|_| "give a number of seconds such as `3` or `0.5`".to_owned())?;
    if number > 0.0 && number <= SECONDS_MAX {
        Duration::try_from_secs_f64(number).map_err(|error| error.to_string())
    } else {
        Err(format!("give more than 0 and at most {SECONDS_MAX} seconds"))
    }
}

#[cfg(test)]
mod tests;
