//! The goals, judged from what was measured: the goal, the figure, and whether it is met.
//!
//! A goal of which a run measured nothing is listed as such and never as met. Where a goal holds for several families or
//! sizes, the figure is the worst of them and says where it was found; nothing is averaged over families.

use crate::measure::in_words;
use crate::results::Results;
use crate::run::{HASH_INDEX, OURS, OURS_JSON, OURS_PROTOBUF, REFERENCE, REFERENCE_SLICE};

/// One goal.
#[derive(Clone, Debug)]
pub struct Goal {
    /// What it is about.
    pub what: String,
    /// What was set.
    pub goal: String,
    /// What came out, and where.
    pub measured: String,
    /// Whether it is met; nothing where it was not measured.
    pub met: Option<bool>,
}

/// The ratios to the reference that are set, by number of policies.
const RATIOS: [(usize, f64); 5] =
    [(10, 50.0), (100, 350.0), (1_000, 3_500.0), (10_000, 60_000.0), (100_000, 400_000.0)];
/// Families whose size is not a number of policies, or that grow with it by what they are.
const NOT_FLAT: [&str; 3] = ["cold", "overlap", "adversarial-one-bucket"];

/// A figure and where it was found.
type Found = (f64, String);

/// All goals that this benchmark can judge.
pub fn judge(results: &Results) -> Vec<Goal> {
    let families = results.families();
    let mut goals = Vec::new();
    let w1 = results.sizes("w1");
    let per_size = |engine: &str, against: &str| -> Vec<Found> {
        w1.iter()
            .filter_map(|size| {
                let ratio =
                    results.p50("w1", *size, engine)? / results.p50("w1", *size, against)?;
                Some((ratio, format!("w1, {size}")))
            })
            .collect()
    };
    goals.push(most(
        "w1: p50 against a hand-written index without reasons",
        3.5,
        "×",
        per_size(OURS, HASH_INDEX),
    ));
    for (size, least_ratio) in RATIOS {
        let ratio = |family: &str| {
            let ratio = results.p50(family, size, REFERENCE)? / results.p50(family, size, OURS)?;
            Some((ratio, family.to_owned()))
        };
        goals.push(least(
            &format!("w1, {size} policies: times faster than `cedar-policy`"),
            least_ratio,
            ratio("w1").into_iter().collect(),
        ));
        let all: Vec<Found> = families
            .iter()
            .filter(|family| is_generated(family) && **family != "cold")
            .filter_map(|family| ratio(family))
            .collect();
        goals.push(least(
            &format!("worst family, {size} policies: times faster than `cedar-policy`"),
            least_ratio,
            all,
        ));
    }
    goals.push(least(
        "w1: times faster than `cedar-policy` given a perfect slice",
        20.0,
        per_size(REFERENCE_SLICE, OURS),
    ));
    let applications: Vec<Found> = families
        .iter()
        .filter(|family| family.starts_with("app-"))
        .flat_map(|family| results.sizes(family).into_iter().map(move |size| (*family, size)))
        .filter_map(|(family, size)| {
            let ratio = results.p50(family, size, REFERENCE)? / results.p50(family, size, OURS)?;
            Some((ratio, format!("{family}, {size}")))
        })
        .collect();
    goals.push(least("OOPSLA 2024 applications: times faster", 25.0, applications));
    growth(results, &families, &mut goals);
    goals.push(most(
        "a policy that does match, conditions of `overlap`, in ns",
        20.0,
        "ns",
        results
            .sizes("overlap")
            .into_iter()
            .filter_map(|size| {
                let in_scope = results.facts("overlap", size)?.in_scope;
                let each = results.p50("overlap", size, OURS)? / in_scope.max(1.0);
                (in_scope > 100.0).then(|| (each, format!("{in_scope:.0} in scope of {size}")))
            })
            .collect(),
    ));
    for (what, engine, at_most) in
        [("JSON", OURS_JSON, 1_000.0), ("protobuf", OURS_PROTOBUF, 400.0)]
    {
        let sizes = w1
            .iter()
            .filter_map(|size| Some((results.p50("w1", *size, engine)?, format!("w1, {size}"))));
        goals.push(time(&format!("{what} bytes to decision, w1"), at_most, sizes.collect()));
    }
    let ours = results.timings.iter().filter(|row| row.engine.starts_with(OURS));
    let allocations =
        ours.map(|row| (row.allocations, format!("{}, {}", row.family, row.size))).collect();
    goals.push(most("allocations a decision, ours, after warm-up", 0.0, "", allocations));
    for row in &results.threads {
        goals.push(least(
            &format!("two threads against one: {}", row.what),
            1.9,
            vec![(row.two / row.one, format!("{:.1} million a second", row.two / 1e6))],
        ));
    }
    for row in &results.rates {
        let millions = (row.per_second / 1e6, row.what.clone());
        goals.push(least_of(
            "answers a second of a filter in the library",
            5.0,
            "million",
            millions,
        ));
    }
    let upserts = results.changes.iter().filter(|row| row.what.contains("after 10,000 changes"));
    let upserts = upserts.filter(|row| row.entities == 1_000_000);
    goals.push(time(
        "one entity upsert into 1,000,000, after 10,000 others",
        20e3,
        upserts.map(|row| (row.p50, row.what.clone())).collect(),
    ));
    building(results, &mut goals);
    goals
}

fn is_generated(family: &str) -> bool {
    !family.starts_with("app-") && !family.starts_with("set-")
}

fn growth(results: &Results, families: &[&str], goals: &mut Vec<Goal>) {
    let grown = |family: &str, engine: &str| {
        let sizes = results.sizes(family);
        let (first, last) = (*sizes.first()?, *sizes.last()?);
        let ratio = results.p50(family, last, engine)? / results.p50(family, first, engine)?;
        (last > first).then(|| (ratio, format!("{family}, {first} to {last}")))
    };
    let flat = || families.iter().filter(|f| is_generated(f) && !NOT_FLAT.contains(f));
    goals.push(most("w1: growth of p50", 2.0, "×", grown("w1", OURS).into_iter().collect()));
    goals.push(most(
        "worst family: growth of p50",
        2.0,
        "×",
        flat().filter_map(|family| grown(family, OURS)).collect(),
    ));
    let spread = |family: &str| -> Vec<Found> {
        let sizes = results.sizes(family).into_iter();
        let rows = sizes.filter_map(|size| results.timing(family, size, OURS));
        rows.map(|row| (row.p99 / row.p50, format!("{family}, {}", row.size))).collect()
    };
    goals.push(most("w1: p99 against p50", 2.5, "×", spread("w1")));
    goals.push(most(
        "worst family: p99 against p50",
        2.5,
        "×",
        flat().flat_map(|family| spread(family)).collect(),
    ));
    let attributes = || {
        let ratio = results.p50("attribute-rules", 10_000, OURS)?
            / results.p50("attribute-rules", 10, OURS)?;
        Some((ratio, "10 to 10000".to_owned()))
    };
    goals.push(most(
        "attribute rules: growth of p50 to 10,000 policies",
        3.0,
        "×",
        attributes().into_iter().collect(),
    ));
}

fn building(results: &Results, goals: &mut Vec<Goal>) {
    let large = || {
        results.workloads.iter().filter(|facts| {
            facts.size == 100_000 && is_generated(&facts.family) && facts.family != "cold"
        })
    };
    let ratio = large().map(|facts| {
        let ours = facts.read_ms + facts.compile_ms;
        (ours / facts.reference_parse_ms.max(1e-6), facts.family.clone())
    });
    goals.push(most(
        "compile 100,000 policies, entities read and all validated, against `PolicySet::from_str`",
        2.0,
        "×",
        ratio.collect(),
    ));
    let peaks = results.memory.iter().map(|row| {
        (
            row.compile_peak as f64 / (row.reference_peak as f64).max(1.0),
            format!("{}, {}", row.family, row.size),
        )
    });
    goals.push(most("memory of the same", 1.0, "×", peaks.collect()));
    goals.push(time(
        "100,000 policies: bundle bytes to first decision",
        20e6,
        large().map(|facts| (facts.load_ms * 1e6, facts.family.clone())).collect(),
    ));
    let cold = results.workloads.iter().filter(|f| f.family == "cold" && f.size == 1_000_000);
    goals.push(time(
        "1,000,000 entities: bundle bytes to first decision",
        200e6,
        cold.map(|facts| (facts.load_ms * 1e6, facts.family.clone())).collect(),
    ));
    let resident = results.memory.iter().map(|row| {
        (row.loaded as f64 / (row.bundle as f64).max(1.0), format!("{}, {}", row.family, row.size))
    });
    goals.push(most("resident against bundle bytes", 1.5, "×", resident.collect()));
    let bytes = large().filter(|facts| facts.family == "w1").map(|facts| {
        (facts.bundle_bytes as f64 / facts.size as f64, "entities included".to_owned())
    });
    goals.push(most("bundle bytes a w1 policy, of 100,000", 100.0, "bytes", bytes.collect()));
}

pub(crate) fn most(what: &str, goal: f64, unit: &str, found: Vec<Found>) -> Goal {
    let worst = found.into_iter().max_by(|a, b| a.0.total_cmp(&b.0));
    let said = |number: f64| format!("{} {unit}", short(number)).trim_end().to_owned();
    of(what, format!("at most {}", said(goal)), worst, said, |number| number <= goal)
}

pub(crate) fn least(what: &str, goal: f64, found: Vec<Found>) -> Goal {
    let worst = found.into_iter().min_by(|a, b| a.0.total_cmp(&b.0));
    let said = |number: f64| format!("{} ×", short(number));
    of(what, format!("at least {}", said(goal)), worst, said, |number| number >= goal)
}

pub(crate) fn least_of(what: &str, goal: f64, unit: &str, found: Found) -> Goal {
    let said = |number: f64| format!("{} {unit}", short(number));
    of(what, format!("at least {}", said(goal)), Some(found), said, |number| number >= goal)
}

fn time(what: &str, goal: f64, found: Vec<Found>) -> Goal {
    let worst = found.into_iter().max_by(|a, b| a.0.total_cmp(&b.0));
    of(what, format!("at most {}", in_words(goal)), worst, in_words, |number| number <= goal)
}

fn of(
    what: &str,
    goal: String,
    worst: Option<Found>,
    said: impl Fn(f64) -> String,
    met: impl Fn(f64) -> bool,
) -> Goal {
    let (measured, met) = match worst {
        Some((number, at)) => (format!("{} ({at})", said(number)), Some(met(number))),
        None => ("not measured in this run".to_owned(), None),
    };
    Goal { what: what.to_owned(), goal, measured, met }
}

/// A number without digits that are noise.
fn short(number: f64) -> String {
    match number {
        n if n >= 100.0 || n.fract() == 0.0 => format!("{n:.0}"),
        n if n >= 10.0 => format!("{n:.1}"),
        n => format!("{n:.2}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::results::Timing;

    fn timed(family: &str, size: usize, engine: &str, p50: f64) -> Timing {
        Timing {
            family: family.to_owned(),
            size,
            engine: engine.to_owned(),
            p50,
            p99: p50 * 2.0,
            p999: p50 * 3.0,
            batches: 1,
            allocations: 0.0,
        }
    }

    fn judged<'a>(goals: &'a [Goal], what: &str) -> &'a Goal {
        goals
            .iter()
            .find(|goal| goal.what.contains(what))
            .unwrap_or_else(|| unreachable!("no goal `{what}`"))
    }

    #[test]
    fn the_worst_family_is_the_figure() {
        let results = Results {
            timings: vec![
                timed("w1", 10, OURS, 100.0),
                timed("w1", 10, REFERENCE, 10_000.0),
                timed("overlap", 10, OURS, 100.0),
                timed("overlap", 10, REFERENCE, 1_000.0),
            ],
            ..Results::default()
        };
        let goals = judge(&results);
        assert_eq!(judged(&goals, "w1, 10 policies").met, Some(true));
        let worst = judged(&goals, "worst family, 10 policies");
        assert_eq!((worst.met, worst.measured.as_str()), (Some(false), "10 × (overlap)"));
    }

    #[test]
    fn what_was_not_measured_is_not_met() {
        let goals = judge(&Results::default());
        assert!(goals.len() > 20);
        assert!(goals.iter().all(|goal| goal.met.is_none()), "{goals:?}");
    }

    #[test]
    fn growth_is_judged_from_first_to_last_size() {
        let timings = vec![timed("w1", 10, OURS, 100.0), timed("w1", 100_000, OURS, 250.0)];
        let goals = judge(&Results { timings, ..Results::default() });
        let growth = judged(&goals, "w1: growth");
        assert_eq!(
            (growth.met, growth.measured.as_str()),
            (Some(false), "2.50 × (w1, 10 to 100000)")
        );
    }
}
