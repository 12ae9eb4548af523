//! Flags, and what a run looks like as JSON and as text.

use crate::bench::shape::{BaselineShape, ComparedShape};
use crate::render::Paint;

use super::*;

#[test]
fn seconds_are_positive_and_bounded() {
    assert_eq!(seconds("0.5"), Ok(Duration::from_millis(500)));
    assert_eq!(seconds("3600"), Ok(Duration::from_secs(3600)));
    for refused in ["0", "-1", "3601", "NaN", "inf", "1e400", "three", ""] {
        assert!(seconds(refused).is_err(), "{refused}");
    }
}

pub(super) fn figures() -> BenchShape {
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
        workload: WorkloadShape { from: "cases".to_owned(), requests: 41, hash: "0f".to_owned() },
        histogram: vec![
            BarShape { from_ns: 200.0, to_ns: 400.0, batches: 30 },
            BarShape { from_ns: 400.0, to_ns: 12_345.6, batches: 10 },
        ],
        slowest: vec![SlowShape {
            request: "a slow\u{1b} one".to_owned(),
            principal: "U::\"a\"".to_owned(),
            action: "Action::\"do\"".to_owned(),
            resource: "R::\"r\"".to_owned(),
            decision: "deny",
            reason: "forbidden",
            ns: 500.0,
            mean_ns: 510.5,
            policies_ns: 300.0,
            legs: 1,
            candidates: 1,
            steps: 12,
            dearest: vec![EvaluatedShape { policy: "p".to_owned(), steps: 12, ns: 300.0 }],
            why: vec!["60 % of its time in `p`".to_owned()],
        }],
        policy_costs: vec![PolicyShape {
            policy: "p".to_owned(),
            effect: "forbid",
            file: Some("a.cedar".to_owned()),
            line: Some(7),
            requests: 40,
            evaluations: 41,
            satisfied: 1,
            failed: 0,
            steps: 12.0,
            ns: 300.0,
            share: 0.6,
            why: vec!["this forbid is evaluated for every request".to_owned()],
        }],
        policies_not_met: 13,
        share_not_policies: 0.4,
        costly: vec![],
        baseline: None,
        budget: vec![],
    }
}

#[test]
fn figures_as_json() {
    let json = serde_json::to_string(&figures()).unwrap_or_default();
    let expected = concat!(
        r#"{"decisions":2000000,"decisions_per_second":4000000.0,"p50_ns":250.0,"p99_ns":400.0,"p999_ns":1234.6,"#,
        r#""allocations_per_decision":0.0,"compile_ms":12.5,"load_ms":0.25,"bundle_bytes":4096,"seconds":0.5,"#,
        r#""batch":10,"clock_ns":25.1,"cases":41,"cases_failed":0,"changed":[],"policies":14,"entities":1,"#,
        r#""bundle":{"name":"b","revision":1,"digest":"00"},"#,
        r#""workload":{"from":"cases","requests":41,"hash":"0f"},"#,
        r#""histogram":[{"from_ns":200.0,"to_ns":400.0,"batches":30},{"from_ns":400.0,"to_ns":12345.6,"batches":10}],"#,
        r#""slowest":[{"request":"a slow\u001b one","principal":"U::\"a\"","action":"Action::\"do\"","resource":"R::\"r\"","#,
        r#""decision":"deny","reason":"forbidden","ns":500.0,"mean_ns":510.5,"policies_ns":300.0,"legs":1,"#,
        r#""candidates":1,"steps":12,"dearest":[{"policy":"p","steps":12,"ns":300.0}],"why":["60 % of its time in `p`"]}],"#,
        r#""policy_costs":[{"policy":"p","effect":"forbid","file":"a.cedar","line":7,"requests":40,"evaluations":41,"#,
        r#""satisfied":1,"failed":0,"steps":12.0,"ns":300.0,"share":0.6,"#,
        r#""why":["this forbid is evaluated for every request"]}],"#,
        r#""policies_not_met":13,"share_not_policies":0.4,"costly":[],"baseline":null,"budget":[]}"#,
    );
    assert_eq!(json, expected);
}

#[test]
fn figures_as_text() {
    let expected = r#"  decisions    2000000 in 0.50 s, one thread
  per second   4000000
  p50          250.0 ns
  p99          400.0 ns
  p99.9        1234.6 ns
  allocations  0 per decision
  compile      12.500 ms
  load         0.250 ms
  bundle       4096 bytes
  workload     41 cases, 14 policies, 1 entity
  sampling     means of 10 decisions of one request; a look at the clock costs 25.1 ns

latency, 40 batches
    200.0 ns to   400.0 ns   75.00 %  ████████████████████████████████████████
    400.0 ns to    12.3 µs   25.00 %  ██████████████

slowest requests
    500.0 ns  a slow\u{1b} one  deny forbidden
              U::"a", Action::"do", R::"r"
              1 candidate, 12 steps, 300.0 ns in policies
              dearest: p 300.0 ns (12 steps)
              - 60 % of its time in `p`

cost per policy: 1 policy evaluated, 13 by no request; 40.0 % of the time is not theirs
    share        each     steps    requests  policy
   60.0 %    300.0 ns      12.0       40/41  p  a.cedar:7
           - this forbid is evaluated for every request
ok  every answer was that of the first run
"#;
    assert_eq!(text::text(&figures(), 10, Paint::PLAIN), expected);
}

#[test]
fn changed_answers_void_the_figures() {
    let changed = BenchShape { changed: vec!["a".to_owned(), "b".to_owned()], ..figures() };
    let told = text::text(&changed, 10, Paint::PLAIN);
    assert!(
        told.ends_with("failed  answers changed between runs, the figures are void: a, b\n"),
        "{told}"
    );
}

#[test]
fn a_budget_is_judged_figure_by_figure() -> Result<(), String> {
    let budget: Budget = "p50=250ns,p99=0.3us,p99.9=2us".parse()?;
    let budget = judge(&budget, &figures());
    assert_eq!(budget.iter().map(|limit| limit.kept).collect::<Vec<_>>(), [true, false, true]);
    let told = text::text(&BenchShape { budget, ..figures() }, 10, Paint::PLAIN);
    for line in ["kept  p50 250.0 ns ≤ 250ns\n", "over budget  p99 400.0 ns > 0.3us\n"] {
        assert!(told.contains(line), "{told}");
    }
    Ok(())
}

#[test]
fn a_comparison_says_what_is_unlike() {
    let row = |figure: &str, before: f64, now: f64, ratio| ComparedShape {
        figure: figure.to_owned(),
        before,
        now,
        ratio,
    };
    let baseline = BaselineShape {
        file: "before.json".to_owned(),
        same_bundle: false,
        same_requests: true,
        remarks: vec!["the bundle is another".to_owned()],
        figures: vec![
            row("p50_ns", 200.0, 250.0, Some(1.25)),
            row("allocations_per_decision", 0.0, 2.0, None),
            row("compile_ms", 0.0, 0.0, None),
        ],
        policies: vec![row("p", 10.0, 30.0, Some(3.0))],
    };
    let told = text::text(&BenchShape { baseline: Some(baseline), ..figures() }, 10, Paint::PLAIN);
    let expected = "
beside before.json
  - the bundle is another
      200.0 ns →     250.0 ns    × 1.25  p50_ns
             0 →            2       new  allocations_per_decision
             0 →            0      same  compile_ms
  policies whose evaluation takes another time:
       10.0 ns →      30.0 ns    × 3.00  p
";
    assert!(told.contains(expected), "{told}");
}
