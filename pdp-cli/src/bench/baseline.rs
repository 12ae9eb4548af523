//! A saved run, and this run beside it.
//!
//! A saved run is what `--json` prints; only what is compared is read back. What makes a comparison unfair (another
//! bundle, other requests) is said and refuses nothing: to compare two bundles is what it is for.

use std::collections::HashMap;
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use serde::Deserialize;

use crate::bench::shape::{BaselineShape, BenchShape, ComparedShape};
use crate::exit::{Exit, Failure};
use crate::load;

/// What is read of a saved run.
#[derive(Debug, Deserialize)]
pub(crate) struct Saved {
    p50_ns: f64,
    p99_ns: f64,
    p999_ns: f64,
    allocations_per_decision: f64,
    compile_ms: Option<f64>,
    load_ms: f64,
    bundle_bytes: f64,
    bundle: SavedBundle,
    workload: SavedWorkload,
    policy_costs: Vec<SavedPolicy>,
}

#[derive(Debug, Deserialize)]
struct SavedBundle {
    digest: String,
}

#[derive(Debug, Deserialize)]
struct SavedWorkload {
    hash: String,
    requests: usize,
}

#[derive(Debug, Deserialize)]
struct SavedPolicy {
    policy: String,
    evaluations: f64,
    ns: f64,
}

/// A saved run with a hundred thousand policies has about 50 MB.
const BYTES_MAX: u64 = 1 << 28;
/// Policies that are compared one by one.
const POLICIES_MAX: usize = 10;
/// A policy's change is worth a word from this ratio on; less is noise.
const RATIO_NOTED: f64 = 1.1;

// === impl Saved ===

impl Saved {
    /// Reads a saved run.
    pub(crate) fn read(path: &Path) -> Result<Self, Failure> {
        let file = File::open(path).map_err(|error| load::no_input(path, &error))?;
        let mut text = String::new();
        let read = file.take(BYTES_MAX + 1).read_to_string(&mut text);
        let wrong = |why: &str| {
            let text = format!(
                "`{}` is no saved run: {why}; write one with `pdp bench PATH --save FILE`",
                path.display()
            );
            Failure::new(Exit::Data, text)
        };
        match read {
            Err(error) if error.kind() == std::io::ErrorKind::InvalidData => {
                return Err(wrong("it is not UTF-8"));
            }
            Err(error) => return Err(load::no_input(path, &error)),
            Ok(_) if text.len() as u64 > BYTES_MAX => {
                return Err(wrong(&format!("it has more than {BYTES_MAX} bytes")));
            }
            Ok(_) => {}
        }
        serde_json::from_str(&text).map_err(|error| wrong(&error.to_string()))
    }

    /// This run beside the saved one.
    pub(crate) fn compare(&self, path: &Path, now: &BenchShape) -> BaselineShape {
        let same_bundle = self.bundle.digest == now.bundle.digest();
        let same_requests = self.workload.hash == now.workload.hash;
        let mut remarks = Vec::new();
        if !same_bundle {
            remarks.push("the bundle is another than the baseline's".to_owned());
        }
        if !same_requests {
            remarks.push(format!(
                "the requests are others than the baseline's ({} then, {} now): the figures do not compare like with like",
                self.workload.requests, now.workload.requests
            ));
        }
        let mut figures = vec![
            compared("p50_ns", self.p50_ns, now.p50_ns),
            compared("p99_ns", self.p99_ns, now.p99_ns),
            compared("p999_ns", self.p999_ns, now.p999_ns),
            compared(
                "allocations_per_decision",
                self.allocations_per_decision,
                now.allocations_per_decision,
            ),
            compared("load_ms", self.load_ms, now.load_ms),
            compared("bundle_bytes", self.bundle_bytes, now.bundle_bytes as f64),
        ];
        if let (Some(before), Some(now)) = (self.compile_ms, now.compile_ms) {
            figures.push(compared("compile_ms", before, now));
        }
        let file = PathBuf::from(path).display().to_string();
        let policies = self.policies(now);
        BaselineShape { file, same_bundle, same_requests, remarks, figures, policies }
    }

    /// Policies of both runs whose evaluation takes another time, by what that changes in the whole.
    fn policies(&self, now: &BenchShape) -> Vec<ComparedShape> {
        let before: HashMap<&str, &SavedPolicy> =
            self.policy_costs.iter().map(|saved| (saved.policy.as_str(), saved)).collect();
        let mut changed: Vec<(f64, ComparedShape)> = now
            .policy_costs
            .iter()
            .filter_map(|policy| {
                let saved = before.get(policy.policy.as_str())?;
                let change = (policy.ns - saved.ns).abs();
                let ratio = (policy.ns / saved.ns).max(saved.ns / policy.ns);
                // A nanosecond is what timing one policy alone can tell.
                let noted = change >= 1.0 && ratio >= RATIO_NOTED;
                let weight = change * saved.evaluations.max(policy.evaluations as f64);
                noted.then(|| (weight, compared(&policy.policy, saved.ns, policy.ns)))
            })
            .collect();
        changed.sort_by(|(a, _), (b, _)| b.total_cmp(a));
        changed.into_iter().map(|(_, compared)| compared).take(POLICIES_MAX).collect()
    }
}

fn compared(figure: &str, before: f64, now: f64) -> ComparedShape {
    let ratio = (before > 0.0).then(|| (now / before * 1e3).round() / 1e3);
    ComparedShape { figure: figure.to_owned(), before, now, ratio }
}
