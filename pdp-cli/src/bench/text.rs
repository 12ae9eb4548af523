//! A run in text: the figures, the distribution as bars, the slowest requests and the dearest policies with reasons.

use std::fmt::Write;

use crate::bench::shape::{
    BaselineShape, BenchShape, BudgetShape, ComparedShape, PolicyShape, SlowShape,
};
use crate::render::{self, Fields, Paint};

/// Characters of the longest bar.
const BAR_CHARS: f64 = 40.0;

/// The run as text; `top` requests and policies.
pub(crate) fn text(shape: &BenchShape, top: usize, paint: Paint) -> String {
    let mut out = figures(shape, paint);
    out.push_str(&distribution(shape, paint));
    if !shape.slowest.is_empty() {
        let _ = writeln!(out, "\nslowest requests");
        for slow in &shape.slowest {
            request(&mut out, slow, paint);
        }
    }
    policies(&mut out, shape, top, paint);
    if !shape.costly.is_empty() {
        let _ = writeln!(out, "\ncostly, as `pdp check` says with the place");
        for item in &shape.costly {
            let _ = writeln!(out, "  {}  {}", item.code, render::shown(&item.message));
            if let Some(help) = &item.help {
                let _ = writeln!(out, "        {} {}", paint.dim("help:"), render::shown(help));
            }
        }
    }
    if let Some(baseline) = &shape.baseline {
        compared(&mut out, baseline);
    }
    if !shape.budget.is_empty() {
        let _ = writeln!(out);
        for limit in &shape.budget {
            out.push_str(&budget(limit, paint));
        }
    }
    let _ = match shape.changed.len() {
        0 => writeln!(out, "{}  every answer was that of the first run", paint.good("ok")),
        _ => writeln!(
            out,
            "{}  answers changed between runs, the figures are void: {}",
            paint.bad("failed"),
            render::names(shape.changed.iter().map(String::as_str))
        ),
    };
    out
}

fn figures(shape: &BenchShape, paint: Paint) -> String {
    let mut fields = Fields::default();
    fields.push("decisions", format!("{} in {:.2} s, one thread", shape.decisions, shape.seconds));
    fields.push("per second", format!("{:.0}", shape.decisions_per_second));
    fields.push("p50", time(shape.p50_ns));
    fields.push("p99", time(shape.p99_ns));
    fields.push("p99.9", time(shape.p999_ns));
    fields.push("allocations", format!("{} per decision", shape.allocations_per_decision));
    if let Some(compile_ms) = shape.compile_ms {
        fields.push("compile", format!("{compile_ms:.3} ms"));
    }
    fields.push("load", format!("{:.3} ms", shape.load_ms));
    fields.push("bundle", format!("{} bytes", shape.bundle_bytes));
    let requests = match shape.workload.from.as_str() {
        "cases" => render::count(shape.workload.requests, "case", "cases"),
        from => format!(
            "{} of {}",
            render::count(shape.workload.requests, "request", "requests"),
            render::shown(from)
        ),
    };
    fields.push(
        "workload",
        format!(
            "{requests}, {}, {}",
            render::count(shape.policies, "policy", "policies"),
            render::count(shape.entities, "entity", "entities")
        ),
    );
    fields.push(
        "sampling",
        format!(
            "means of {} decisions of one request; a look at the clock costs {:.1} ns",
            shape.batch, shape.clock_ns
        ),
    );
    fields.render(paint)
}

/// The latency distribution, a line a bar.
fn distribution(shape: &BenchShape, paint: Paint) -> String {
    let all: u64 = shape.histogram.iter().map(|bar| bar.batches).sum();
    let most = shape.histogram.iter().map(|bar| bar.batches).max().unwrap_or(0);
    if all == 0 {
        return String::new();
    }
    let mut out = format!("\nlatency, {all} batches\n");
    for bar in &shape.histogram {
        // A bar that is there at all shows.
        let chars = (bar.batches as f64 / most as f64 * BAR_CHARS).ceil() as usize;
        let line = format!(
            "  {:>10} to {:>10}  {:>6.2} %  {}",
            time(bar.from_ns),
            time(bar.to_ns),
            100.0 * bar.batches as f64 / all as f64,
            paint.good(&"█".repeat(chars))
        );
        let _ = writeln!(out, "{}", line.trim_end());
    }
    out
}

fn request(out: &mut String, slow: &SlowShape, paint: Paint) {
    let _ = writeln!(
        out,
        "  {:>10}  {}  {}",
        time(slow.ns),
        render::shown(&slow.request),
        paint.dim(&format!("{} {}", slow.decision, slow.reason))
    );
    let _ = writeln!(
        out,
        "              {}",
        render::names([slow.principal.as_str(), &slow.action, &slow.resource])
    );
    let _ = writeln!(
        out,
        "              {}, {}, {} in policies",
        render::count(slow.candidates, "candidate", "candidates"),
        render::count(usize::try_from(slow.steps).unwrap_or(usize::MAX), "step", "steps"),
        time(slow.policies_ns)
    );
    if !slow.dearest.is_empty() {
        let _ = writeln!(out, "              dearest: {}", dearest(slow));
    }
    for why in &slow.why {
        let _ = writeln!(out, "              - {why}");
    }
}

/// The policies that took longest of a request, with what they took.
pub(crate) fn dearest(slow: &SlowShape) -> String {
    let policies = slow.dearest.iter().map(|evaluated| {
        format!("{} {} ({} steps)", evaluated.policy, time(evaluated.ns), evaluated.steps)
    });
    render::shown(&policies.collect::<Vec<_>>().join(", "))
}

/// How a figure changed.
pub(crate) fn ratio(row: &ComparedShape) -> String {
    match row.ratio {
        Some(ratio) => format!("× {ratio:.2}"),
        None if row.now == 0.0 => "same".to_owned(),
        None => "new".to_owned(),
    }
}

fn policies(out: &mut String, shape: &BenchShape, top: usize, paint: Paint) {
    let met = shape.policy_costs.len();
    let _ = writeln!(
        out,
        "\ncost per policy: {} evaluated, {} by no request; {:.1} % of the time is not theirs",
        render::count(met, "policy", "policies"),
        shape.policies_not_met,
        100.0 * shape.share_not_policies
    );
    if met > 0 {
        let head =
            format!("{:>7}  {:>10}  {:>8}  {:>10}  policy", "share", "each", "steps", "requests");
        let _ = writeln!(out, "  {}", paint.dim(&head));
    }
    for policy in shape.policy_costs.iter().take(top) {
        self::policy(out, policy, shape.workload.requests);
    }
    if met > top {
        let _ = writeln!(out, "  and {} more, which take less; `--top N` shows them", met - top);
    }
}

fn policy(out: &mut String, policy: &PolicyShape, requests: usize) {
    let place = match (&policy.file, policy.line) {
        (Some(file), Some(line)) => format!("  {}:{line}", render::shown(file)),
        _ => String::new(),
    };
    let _ = writeln!(
        out,
        "  {:>5.1} %  {:>10}  {:>8.1}  {:>10}  {}{place}",
        100.0 * policy.share,
        time(policy.ns),
        policy.steps,
        format!("{}/{requests}", policy.requests),
        render::shown(&policy.policy),
    );
    for why in &policy.why {
        let _ = writeln!(out, "           - {why}");
    }
}

fn compared(out: &mut String, baseline: &BaselineShape) {
    let _ = writeln!(out, "\nbeside {}", render::shown(&baseline.file));
    for remark in &baseline.remarks {
        let _ = writeln!(out, "  - {remark}");
    }
    let line = |out: &mut String, row: &ComparedShape, unit: &dyn Fn(f64) -> String| {
        let ratio = ratio(row);
        let _ = writeln!(
            out,
            "  {:>12} → {:>12}  {ratio:>8}  {}",
            unit(row.before),
            unit(row.now),
            render::shown(&row.figure)
        );
    };
    for row in &baseline.figures {
        match row.figure.strip_suffix("_ns") {
            Some(_) => line(out, row, &time),
            None => line(out, row, &|number| number.to_string()),
        }
    }
    if !baseline.policies.is_empty() {
        let _ = writeln!(out, "  policies whose evaluation takes another time:");
    }
    for row in &baseline.policies {
        line(out, row, &time);
    }
}

fn budget(limit: &BudgetShape, paint: Paint) -> String {
    let (verdict, sign) = match limit.kept {
        true => (paint.good("kept"), "≤"),
        false => (paint.bad("over budget"), ">"),
    };
    format!("{verdict}  {} {} {sign} {}\n", limit.figure, time(limit.measured_ns), limit.allowed)
}

/// A time in the unit that suits it.
pub(crate) fn time(ns: f64) -> String {
    match ns {
        ns if ns < 10_000.0 => format!("{ns:.1} ns"),
        ns if ns < 10_000_000.0 => format!("{:.1} µs", ns / 1e3),
        _ => format!("{:.1} ms", ns / 1e6),
    }
}
