//! `pdp test`: runs a bundle's own cases and says which expectation failed and what came instead.
//!
//! Running and comparing is the core's work, the same that guards a bundle's activation. This command tells the
//! result to people and machines, and adds what passing cases hide: policies that no case ever reaches.

use std::collections::HashSet;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use clap::Args;
use pdp_core::{
    Bundle, BundleName, CaseResult, DecideOptions, Decider, OwnedAnswer, Scratch, run_cases,
};
use serde::Serialize;

use crate::exit::{self, Exit, Failure};
use crate::junit::{self, Entry, Verdict};
use crate::load;
use crate::progress::Progress;
use crate::render::{self, Out, Paint};
use crate::shapes::{AnswerShape, BundleShape};
use crate::write;

/// Run the cases of a bundle
///
/// Each case in `cases.toml` is decided and compared with what it expects: effect, and where the case says so reason,
/// determining policies, failing policies and failed leg. Then come the policies that no case exercises, those that
/// never determine an answer and never fail; they do not fail the run.
#[derive(Debug, Args)]
#[command(verbatim_doc_comment, after_long_help = exit::help(
    "pdp test policies/agent-tools\npdp test policies/agent-tools --junit target/agent-tools.xml",
    &[
        (Exit::Ok, "every case gave what it expects"),
        (Exit::No, "a case did not, or there are no cases"),
        (Exit::Data, "the folder has errors, or the file is no bundle"),
        (Exit::NoInput, "PATH does not exist or cannot be read"),
        (Exit::CannotCreate, "the JUnit file cannot be created"),
    ],
))]
pub(crate) struct TestArgs {
    /// Bundle folder, or file written by `pdp build`
    #[arg(value_name = "PATH")]
    path: PathBuf,
    /// Also write the results as JUnit XML
    #[arg(long, value_name = "FILE")]
    junit: Option<PathBuf>,
}

/// What a run came to.
struct Outcome {
    bundle: Arc<Bundle>,
    results: Vec<CaseResult>,
    unexercised: Vec<String>,
    elapsed: Duration,
}

#[derive(Serialize)]
struct TestShape<'a> {
    ok: bool,
    passed: usize,
    failed: usize,
    cases: Vec<CaseShape<'a>>,
    unexercised: &'a [String],
    bundle: BundleShape,
}

#[derive(Serialize)]
struct CaseShape<'a> {
    name: &'a str,
    passed: bool,
    failures: &'a [String],
    answer: Option<AnswerShape<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<&'a str>,
}

/// Runs the command.
pub(crate) fn run(args: &TestArgs, out: &mut Out) -> Result<Exit, Failure> {
    let loaded = load::load(&args.path)?;
    let progress = Progress::start("running cases".to_owned());
    let start = Instant::now();
    let decider = Decider::new(Arc::clone(&loaded.bundle));
    let results = run_cases(&decider, &mut Scratch::new(), &DecideOptions::STANDARD);
    let elapsed = start.elapsed();
    drop(progress);
    let ids = loaded.bundle.policies().map(|ix| loaded.bundle.policy_id(ix));
    let unexercised = unexercised(ids, &results);
    let outcome = Outcome { bundle: loaded.bundle, results, unexercised, elapsed };

    if let Some(file) = &args.junit {
        write::atomically(file, outcome.junit().as_bytes())?;
    }
    if out.json() {
        out.shape(&outcome.shape())?
    } else {
        out.text(&outcome.text(out.paint()))?
    }
    Ok(if outcome.ok() { Exit::Ok } else { Exit::No })
}

// === impl Outcome ===

impl Outcome {
    fn failed(&self) -> usize {
        self.results.iter().filter(|result| !result.passed()).count()
    }

    /// A bundle without cases has shown nothing, so it does not pass.
    fn ok(&self) -> bool {
        !self.results.is_empty() && self.failed() == 0
    }

    fn name(&self, result: &CaseResult) -> &str {
        self.bundle.cases().get(result.case).map_or("", |case| &case.name)
    }

    fn junit(&self) -> String {
        let entry = |result| Entry { name: self.name(result), verdict: verdict(result) };
        let entries: Vec<Entry<'_>> = self.results.iter().map(entry).collect();
        junit::document(self.bundle.name(), &entries, self.elapsed)
    }

    fn shape(&self) -> TestShape<'_> {
        let failed = self.failed();
        TestShape {
            ok: self.ok(),
            passed: self.results.len() - failed,
            failed,
            cases: self
                .results
                .iter()
                .map(|result| case_shape(self.name(result), result))
                .collect(),
            unexercised: &self.unexercised,
            bundle: BundleShape::new(&self.bundle),
        }
    }

    fn text(&self, paint: Paint) -> String {
        let mut text = String::new();
        for result in self.results.iter().filter(|result| !result.passed()) {
            text.push_str(&failure_text(self.name(result), result, paint));
        }
        let name = BundleName::of(&self.bundle).to_string();
        text.push_str(&summary(&name, self.results.len(), self.failed(), paint));
        if !self.results.is_empty() {
            text.push_str(&unexercised_text(&self.unexercised));
        }
        text
    }
}

fn verdict(result: &CaseResult) -> Verdict<'_> {
    match &result.answer {
        _ if result.passed() => Verdict::Passed,
        Ok(_) => Verdict::Failed(&result.failures),
        Err(error) => Verdict::Unreadable(error),
    }
}

fn case_shape<'a>(name: &'a str, result: &'a CaseResult) -> CaseShape<'a> {
    CaseShape {
        name,
        passed: result.passed(),
        failures: &result.failures,
        answer: result.answer.as_ref().ok().map(AnswerShape::new),
        error: result.answer.as_ref().err().map(String::as_str),
    }
}

/// A failed case: what differs, then the whole answer that came.
fn failure_text(name: &str, result: &CaseResult, paint: Paint) -> String {
    let mut text = format!("{}  {}\n", paint.bad("failed"), render::shown(name));
    for sentence in &result.failures {
        text.push_str(&format!("  {}\n", render::shown(sentence)));
    }
    match &result.answer {
        Ok(answer) => {
            let answer = render::answer(answer, paint);
            for (n, line) in answer.lines().enumerate() {
                text.push_str(&format!("  {} {line}\n", if n == 0 { "came:" } else { "     " }));
            }
        }
        Err(error) if result.failures.iter().any(|sentence| sentence.contains(error.as_str())) => {}
        Err(error) => {
            text.push_str(&format!("  the request cannot be read: {}\n", render::shown(error)))
        }
    }
    text.push('\n');
    text
}

fn summary(bundle: &str, all: usize, failed: usize, paint: Paint) -> String {
    let verdict = match (all, failed) {
        (0, _) => {
            return format!(
                "{}  {bundle}: no cases; add some to `cases.toml`\n",
                paint.bad("failed")
            );
        }
        (_, 0) => paint.good("ok"),
        _ => paint.bad("failed"),
    };
    format!(
        "{verdict}  {bundle}: {}, {} passed, {failed} failed\n",
        render::count(all, "case", "cases"),
        all - failed
    )
}

fn unexercised_text(ids: &[String]) -> String {
    if ids.is_empty() {
        return "every policy is exercised by a case\n".to_owned();
    }
    let mut text =
        format!("no case exercises {}:\n", render::count(ids.len(), "policy", "policies"));
    for id in ids {
        text.push_str(&format!("  {}\n", render::shown(id)));
    }
    text
}

/// Policies that never determine an answer and never fail, in any leg of any case.
fn unexercised<'a>(ids: impl Iterator<Item = &'a str>, results: &[CaseResult]) -> Vec<String> {
    let mut seen: HashSet<&str> = HashSet::new();
    for answer in results.iter().filter_map(|result| result.answer.as_ref().ok()) {
        seen.extend(spoke(answer));
    }
    ids.filter(|id| !seen.contains(id)).map(str::to_owned).collect()
}

fn spoke(answer: &OwnedAnswer) -> impl Iterator<Item = &str> {
    let of_legs = answer.legs.iter().flat_map(|leg| leg.policies.iter());
    let failing = answer.errors.iter().map(|(id, _)| id);
    let failing_in_legs = answer.legs.iter().flat_map(|leg| leg.errors.iter().map(|(id, _)| id));
    answer.policies.iter().chain(of_legs).chain(failing).chain(failing_in_legs).map(String::as_str)
}

#[cfg(test)]
mod tests;
