//! `pdp bench`: how fast this bundle answers its own cases on this machine.
//!
//! One thread, requests already decoded: it measures deciding, not parsing and not a network. Numbers without right
//! answers are worth nothing, so every batch is compared with the first run, and cases that fail are mentioned.

use std::io::{self, Write};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use clap::Args;
use pdp_core::json::{Arena, read_request};
use pdp_core::{Bundle, DecideOptions, Decider, Request, RequestLimits, Scratch, run_cases};
use serde::Serialize;

use crate::exit::{self, Exit, Failure};
use crate::load::{self, Loaded};
use crate::measure::{self, Measured};
use crate::progress::Progress;
use crate::render::{self, Fields, Out, Paint};
use crate::shapes::BundleShape;

/// Measure decisions, with the bundle's cases as workload
///
/// One thread decides the cases over and over; requests are decoded beforehand. A decision may take less time than a
/// look at the clock, so decisions are timed in batches of one case in a row, just long enough that the clock's cost
/// is at most 1 %; `batch` says how many. Percentiles are over the batches' means: a stall of one decision is spread
/// over its batch. Compile and load times are of one run each; a built file has no compile time.
#[derive(Debug, Args)]
#[command(verbatim_doc_comment, after_long_help = exit::help(
    "pdp bench policies/agent-tools --seconds 10\npdp bench agent-tools.pdpb --json",
    &[
        (Exit::Ok, "measured, and every answer was that of the first run"),
        (Exit::No, "answers changed between runs; the figures are void"),
        (Exit::Data, "the folder has errors, the file is no bundle, or there are no cases"),
        (Exit::NoInput, "PATH does not exist or cannot be read"),
    ],
))]
pub(crate) struct BenchArgs {
    /// Bundle folder, or file written by `pdp build`
    #[arg(value_name = "PATH")]
    path: PathBuf,
    /// How long to measure, up to 3600; fractions are allowed
    #[arg(long, value_name = "N", default_value = "3", value_parser = seconds)]
    seconds: Duration,
}

#[derive(Debug, Serialize)]
struct BenchShape {
    decisions: u64,
    decisions_per_second: f64,
    p50_ns: f64,
    p99_ns: f64,
    p999_ns: f64,
    allocations_per_decision: f64,
    compile_ms: Option<f64>,
    load_ms: f64,
    bundle_bytes: usize,
    seconds: f64,
    batch: u64,
    clock_ns: f64,
    cases: usize,
    cases_failed: usize,
    changed: Vec<String>,
    policies: usize,
    entities: usize,
    bundle: BundleShape,
}

const SECONDS_MAX: f64 = 3600.0;

/// Runs the command.
pub(crate) fn run(args: &BenchArgs, out: &mut Out) -> Result<Exit, Failure> {
    let loaded = load::load(&args.path)?;
    let bundle = Arc::clone(&loaded.bundle);
    let arena = Arena::new();
    let requests = requests(&bundle, &arena)?;
    if requests.is_empty() {
        let text =
            format!("`{}` has no cases to measure; add some to `cases.toml`", args.path.display());
        return Err(Failure::new(Exit::Data, text));
    }
    let decider = Decider::new(Arc::clone(&bundle));
    let results = run_cases(&decider, &mut Scratch::new(), &DecideOptions::STANDARD);
    let cases_failed = results.iter().filter(|result| !result.passed()).count();

    let progress = Progress::start(format!("measuring for {} s", args.seconds.as_secs_f64()));
    let measured = measure::measure(&decider, &requests, args.seconds);
    drop(progress);

    let shape = shape(&loaded, &measured, cases_failed);
    if cases_failed > 0 && !out.json() {
        // A remark beside the result; if standard error is gone, the figures stand all the same.
        let _ = writeln!(
            io::stderr(),
            "warning: {} of {} do not give what they expect; `pdp test {}` says why",
            cases_failed,
            render::count(requests.len(), "case", "cases"),
            args.path.display()
        );
    }
    if out.json() {
        out.shape(&shape)?
    } else {
        out.text(&text(&shape, out.paint()))?
    }
    Ok(if measured.changed.is_empty() { Exit::Ok } else { Exit::No })
}

fn requests<'a>(bundle: &'a Bundle, arena: &'a Arena) -> Result<Vec<Request<'a>>, Failure> {
    let read = |case: &'a pdp_core::Case| {
        read_request(&case.request_json, Some(bundle), arena, &RequestLimits::STANDARD).map_err(
            |error| {
                Failure::new(Exit::Data, format!("case `{}`: {error}", render::shown(&case.name)))
            },
        )
    };
    bundle.cases().iter().map(read).collect()
}

fn shape(loaded: &Loaded, measured: &Measured, cases_failed: usize) -> BenchShape {
    let bundle = &loaded.bundle;
    let name = |index: &usize| {
        bundle.cases().get(*index).map_or_else(String::new, |case| case.name.clone())
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
        compile_ms: loaded.compile.map(render::ms),
        load_ms: render::ms(loaded.load),
        bundle_bytes: loaded.bundle_bytes,
        seconds: render::ms(measured.elapsed) / 1e3,
        batch: measured.batch,
        clock_ns: (measured.clock_ns * 10.0).round() / 10.0,
        cases: bundle.cases().len(),
        cases_failed,
        changed: measured.changed.iter().map(name).collect(),
        policies: bundle.policy_count(),
        entities: bundle.entity_count(),
        bundle: BundleShape::new(bundle),
    }
}

/// Nanoseconds with one decimal.
fn ns(ps: u64) -> f64 {
    (ps as f64 / 100.0).round() / 10.0
}

fn text(shape: &BenchShape, paint: Paint) -> String {
    let mut fields = Fields::default();
    fields.push("decisions", format!("{} in {:.2} s, one thread", shape.decisions, shape.seconds));
    fields.push("per second", format!("{:.0}", shape.decisions_per_second));
    fields.push("p50", format!("{:.1} ns", shape.p50_ns));
    fields.push("p99", format!("{:.1} ns", shape.p99_ns));
    fields.push("p99.9", format!("{:.1} ns", shape.p999_ns));
    fields.push("allocations", format!("{} per decision", shape.allocations_per_decision));
    if let Some(compile_ms) = shape.compile_ms {
        fields.push("compile", format!("{compile_ms:.3} ms"));
    }
    fields.push("load", format!("{:.3} ms", shape.load_ms));
    fields.push("bundle", format!("{} bytes", shape.bundle_bytes));
    fields.push(
        "workload",
        format!(
            "{}, {}, {}",
            render::count(shape.cases, "case", "cases"),
            render::count(shape.policies, "policy", "policies"),
            render::count(shape.entities, "entity", "entities")
        ),
    );
    fields.push(
        "sampling",
        format!(
            "means of {} decisions of one case; a look at the clock costs {:.1} ns",
            shape.batch, shape.clock_ns
        ),
    );
    let verdict = match shape.changed.len() {
        0 => format!("{}  every answer was that of the first run\n", paint.good("ok")),
        _ => format!(
            "{}  answers changed between runs, the figures are void: {}\n",
            paint.bad("failed"),
            render::names(shape.changed.iter().map(String::as_str))
        ),
    };
    format!("{}{verdict}", fields.render(paint))
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
mod tests {
    use super::*;

    #[test]
    fn seconds_are_positive_and_bounded() {
        assert_eq!(seconds("0.5"), Ok(Duration::from_millis(500)));
        assert_eq!(seconds("3600"), Ok(Duration::from_secs(3600)));
        for refused in ["0", "-1", "3601", "NaN", "inf", "1e400", "three", ""] {
            assert!(seconds(refused).is_err(), "{refused}");
        }
    }

    fn figures() -> BenchShape {
        BenchShape {
            decisions: 2_000_000,
            decisions_per_second: 4_000_000.0,
            p50_ns: ns(250_049),
            p99_ns: ns(400_000),
            p999_ns: ns(1_234_567),
            allocations_per_decision: 0.0,
            compile_ms: Some(12.5),
            load_ms: 0.25,
            bundle_bytes: 4096,
            seconds: 0.5,
            batch: 10,
            clock_ns: 25.1,
            cases: 41,
            cases_failed: 0,
            changed: vec![],
            policies: 14,
            entities: 1,
            bundle: BundleShape::of_name(&pdp_core::BundleName {
                name: "b".to_owned(),
                revision: 1,
                digest: "00".to_owned(),
            }),
        }
    }

    #[test]
    fn figures_as_json() {
        let json = serde_json::to_string(&figures()).unwrap_or_default();
        let expected = concat!(
            r#"{"decisions":2000000,"decisions_per_second":4000000.0,"p50_ns":250.0,"p99_ns":400.0,"p999_ns":1234.6,"#,
            r#""allocations_per_decision":0.0,"compile_ms":12.5,"load_ms":0.25,"bundle_bytes":4096,"seconds":0.5,"#,
            r#""batch":10,"clock_ns":25.1,"cases":41,"cases_failed":0,"changed":[],"policies":14,"entities":1,"#,
            r#""bundle":{"name":"b","revision":1,"digest":"00"}}"#,
        );
        assert_eq!(json, expected);
    }

    #[test]
    fn figures_as_text() {
        let expected = "  \
  decisions    2000000 in 0.50 s, one thread
  per second   4000000
  p50          250.0 ns
  p99          400.0 ns
  p99.9        1234.6 ns
  allocations  0 per decision
  compile      12.500 ms
  load         0.250 ms
  bundle       4096 bytes
  workload     41 cases, 14 policies, 1 entity
  sampling     means of 10 decisions of one case; a look at the clock costs 25.1 ns
ok  every answer was that of the first run
";
        assert_eq!(text(&figures(), Paint::PLAIN), expected);
    }

    #[test]
    fn changed_answers_void_the_figures() {
        let changed = BenchShape { changed: vec!["a".to_owned(), "b".to_owned()], ..figures() };
        let told = text(&changed, Paint::PLAIN);
        assert!(
            told.ends_with("failed  answers changed between runs, the figures are void: a, b\n"),
            "{told}"
        );
    }
}
