//! What came out of a run, as data: rows of one kind each, to JSON and back to whoever draws or judges.
//!
//! Nothing is computed here but look-ups; ratios are the reader's, so that the file holds only what was measured. Times
//! are nanoseconds unless a name says otherwise.

use serde_json::{Value, json};

use crate::measure::quantile;

/// Everything of one run.
#[derive(Clone, Debug, Default)]
pub struct Results {
    /// The day, as given.
    pub date: String,
    /// What it was measured on.
    pub machine: String,
    /// Whether it was the short run.
    pub quick: bool,
    /// Median, p99 and p99.9 of batches of nothing.
    pub empty: [f64; 3],
    /// Decision times.
    pub timings: Vec<Timing>,
    /// What is known about each workload.
    pub workloads: Vec<Facts>,
    /// Throughput of threads.
    pub threads: Vec<Threads>,
    /// Answers a second of filters.
    pub rates: Vec<Rate>,
    /// What changes of entities take.
    pub changes: Vec<Change>,
    /// Memory of compiling, loading and parsing.
    pub memory: Vec<Memory>,
    /// Workloads that could not be measured, and why.
    pub failures: Vec<String>,
    /// What an engine cannot express, in a sentence each.
    pub notes: Vec<String>,
}

/// Decision times of one engine on one workload.
#[derive(Clone, Debug)]
pub struct Timing {
    /// The family.
    pub family: String,
    /// Its size.
    pub size: usize,
    /// The engine, and how it was asked.
    pub engine: String,
    /// Half of all batches took less.
    pub p50: f64,
    /// 99 in 100.
    pub p99: f64,
    /// 999 in 1,000.
    pub p999: f64,
    /// How many batches.
    pub batches: usize,
    /// Allocations a decision, on average over the questions.
    pub allocations: f64,
}

/// What is known about a workload and what building it took.
#[derive(Clone, Debug, Default)]
pub struct Facts {
    /// The family.
    pub family: String,
    /// Its size.
    pub size: usize,
    /// Policies whose scope a request matches, on average.
    pub in_scope: f64,
    /// How its requests came out.
    pub mix: crate::answer::Mix,
    /// Bytes of the bundle, without policy texts.
    pub bundle_bytes: usize,
    /// Reading, parsing and validating the source, by our engine.
    pub read_ms: f64,
    /// From there to the bundle.
    pub compile_ms: f64,
    /// `PolicySet::from_str` of the reference, on the policies alone.
    pub reference_parse_ms: f64,
    /// From the bundle's bytes to the first decision.
    pub load_ms: f64,
}

/// Decisions a second.
#[derive(Clone, Debug)]
pub struct Threads {
    /// What they did.
    pub what: String,
    /// One thread.
    pub one: f64,
    /// Two threads together.
    pub two: f64,
}

/// Answers a second of one thread.
#[derive(Clone, Debug)]
pub struct Rate {
    /// To what.
    pub what: String,
    /// How many.
    pub per_second: f64,
}

/// Times of changing entities of a loaded bundle, and of what goes with it.
#[derive(Clone, Debug)]
pub struct Change {
    /// What was done.
    pub what: String,
    /// Entities of the bundle.
    pub entities: usize,
    /// Half of all took less.
    pub p50: f64,
    /// 99 in 100.
    pub p99: f64,
}

/// Bytes of the heap.
#[derive(Clone, Debug)]
pub struct Memory {
    /// The family.
    pub family: String,
    /// Its size.
    pub size: usize,
    /// Bytes of the bundle.
    pub bundle: usize,
    /// What a loaded bundle holds.
    pub loaded: i64,
    /// The most that compiling held.
    pub compile_peak: i64,
    /// The most that `PolicySet::from_str` held.
    pub reference_peak: i64,
}

// === impl Results ===

impl Results {
    /// The times of an engine on a workload.
    pub fn timing(&self, family: &str, size: usize, engine: &str) -> Option<&Timing> {
        self.timings.iter().find(|row| {
            (row.family.as_str(), row.size, row.engine.as_str()) == (family, size, engine)
        })
    }

    /// The median of an engine on a workload.
    pub fn p50(&self, family: &str, size: usize, engine: &str) -> Option<f64> {
        self.timing(family, size, engine).map(|row| row.p50)
    }

    /// What is known about a workload.
    pub fn facts(&self, family: &str, size: usize) -> Option<&Facts> {
        self.workloads.iter().find(|facts| (facts.family.as_str(), facts.size) == (family, size))
    }

    /// The families, in the order in which they were measured.
    pub fn families(&self) -> Vec<&str> {
        let mut families: Vec<&str> = Vec::new();
        for row in &self.timings {
            if !families.contains(&row.family.as_str()) {
                families.push(&row.family);
            }
        }
        families
    }

    /// The engines that were asked in a family, in order.
    pub fn engines(&self, family: &str) -> Vec<&str> {
        let mut engines: Vec<&str> = Vec::new();
        for row in self.timings.iter().filter(|row| row.family == family) {
            if !engines.contains(&row.engine.as_str()) {
                engines.push(&row.engine);
            }
        }
        engines
    }

    /// The sizes that were measured in a family, in order.
    pub fn sizes(&self, family: &str) -> Vec<usize> {
        let of = self.timings.iter().filter(|row| row.family == family);
        let mut sizes: Vec<usize> = of.map(|row| row.size).collect();
        sizes.sort_unstable();
        sizes.dedup();
        sizes
    }

    /// All of it.
    pub fn to_json(&self) -> Value {
        json!({
            "date": self.date,
            "machine": self.machine,
            "quick": self.quick,
            "empty_batches_ns": {"p50": self.empty[0], "p99": self.empty[1], "p99.9": self.empty[2]},
            "timings": self.timings.iter().map(Timing::to_json).collect::<Vec<_>>(),
            "workloads": self.workloads.iter().map(Facts::to_json).collect::<Vec<_>>(),
            "threads": self.threads.iter().map(|row| json!({
                "what": row.what, "one_thread_per_second": row.one, "two_threads_per_second": row.two,
            })).collect::<Vec<_>>(),
            "rates": self.rates.iter().map(|row| json!({
                "what": row.what, "per_second": row.per_second,
            })).collect::<Vec<_>>(),
            "changes": self.changes.iter().map(|row| json!({
                "what": row.what, "entities": row.entities,
                "p50_ns": rounded(row.p50), "p99_ns": rounded(row.p99),
            })).collect::<Vec<_>>(),
            "memory": self.memory.iter().map(|row| json!({
                "family": row.family, "size": row.size, "bundle_bytes": row.bundle,
                "loaded_bytes": row.loaded, "compile_peak_bytes": row.compile_peak,
                "reference_parse_peak_bytes": row.reference_peak,
            })).collect::<Vec<_>>(),
            "failures": self.failures,
            "notes": self.notes,
        })
    }
}

// === impl Change ===

impl Change {
    /// A row from the times that were taken.
    pub fn new(what: &str, entities: usize, mut nanoseconds: Vec<f64>) -> Self {
        nanoseconds.sort_unstable_by(f64::total_cmp);
        let [p50, p99] = [0.5, 0.99].map(|share| quantile(&nanoseconds, share));
        Self { what: what.to_owned(), entities, p50, p99 }
    }
}

// === impl Timing ===

impl Timing {
    fn to_json(&self) -> Value {
        json!({
            "family": self.family, "size": self.size, "engine": self.engine,
            "p50_ns": rounded(self.p50), "p99_ns": rounded(self.p99), "p99.9_ns": rounded(self.p999),
            "batches": self.batches, "allocations": rounded(self.allocations),
        })
    }
}

// === impl Facts ===

impl Facts {
    fn to_json(&self) -> Value {
        json!({
            "family": self.family, "size": self.size, "in_scope": rounded(self.in_scope),
            "allowed": self.mix.allowed, "forbidden": self.mix.forbidden,
            "not_permitted": self.mix.not_permitted, "with_errors": self.mix.with_errors,
            "checked_over_all_policies": self.mix.checked_whole,
            "checked_over_policies_in_scope": self.mix.checked_sliced,
            "bundle_bytes": self.bundle_bytes, "read_ms": rounded(self.read_ms),
            "compile_ms": rounded(self.compile_ms),
            "reference_parse_ms": rounded(self.reference_parse_ms),
            "load_ms": rounded(self.load_ms),
        })
    }
}

/// Two digits after the point: more of them are noise.
fn rounded(number: f64) -> f64 {
    (number * 100.0).round() / 100.0
}
