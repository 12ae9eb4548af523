//! `--html`: a run as one page that stands alone. No script, nothing loaded from elsewhere, light and dark.
//!
//! Names and ids come from bundles and requests, hence from strangers: all of them go through `plot::escaped`, and a
//! content policy in the page forbids scripts and loading should one ever slip through.

use std::fmt::Write;

use crate::bench::plot::{self, Row, escaped};
use crate::bench::shape::{BenchShape, ComparedShape, PolicyShape, SlowShape};
use crate::bench::text::{dearest, ratio, time};
use crate::render;

const STYLE: &str = "
:root{color-scheme:light dark;--back:#fff;--panel:#f6f8fa;--text:#1b2430;--soft:#5b6776;--line:#d8dee6;--a:#2563c9;--b:#a9c3ee;--mark:#b3261e;--good:#1a7f37;--bad:#b3261e}
@media (prefers-color-scheme:dark){:root{--back:#12161c;--panel:#1a2029;--text:#e4e9f0;--soft:#9aa6b5;--line:#313a46;--a:#6ea4ff;--b:#2f4f86;--mark:#ff8a80;--good:#57c06f;--bad:#ff8a80}}
*{box-sizing:border-box}
body{margin:0;background:var(--back);color:var(--text);font:15px/1.5 system-ui,sans-serif}
main{max-width:960px;margin:0 auto;padding:24px 20px 60px}
h1{font-size:24px;margin:0 0 2px}h2{font-size:18px;margin:36px 0 8px}
p{margin:6px 0}.soft{color:var(--soft)}.good{color:var(--good)}.bad{color:var(--bad);font-weight:600}
code{font:13px/1.4 ui-monospace,monospace;unicode-bidi:isolate;overflow-wrap:anywhere}
.tiles{display:grid;grid-template-columns:repeat(auto-fit,minmax(200px,1fr));gap:10px;margin:18px 0}
.tiles div{background:var(--panel);border:1px solid var(--line);border-radius:8px;padding:10px 12px}
.tiles b{display:block;font-size:19px;font-variant-numeric:tabular-nums}.tiles span{color:var(--soft);font-size:13px}
svg{width:100%;height:auto;display:block;margin:8px 0}
svg .a{fill:var(--a)}svg .b{fill:var(--b)}svg .rule{stroke:var(--line);fill:none}
svg .mark{stroke:var(--mark);fill:none;stroke-dasharray:4 3}
svg text{fill:var(--text);font:12px ui-monospace,monospace}svg .axis{fill:var(--soft);font-size:11px}
.legend i{display:inline-block;width:11px;height:11px;border-radius:2px;margin:0 5px 0 12px}
.scroll{overflow-x:auto}table{border-collapse:collapse;width:100%;font-size:14px}
th,td{text-align:left;padding:6px 10px 6px 0;border-bottom:1px solid var(--line);vertical-align:top}
td:first-child{min-width:210px}td:last-child:not(.n){min-width:240px}
th{color:var(--soft);font-weight:600}td.n,th.n{text-align:right;font-variant-numeric:tabular-nums;white-space:nowrap}
ul{margin:3px 0 0;padding-left:18px}li{margin:1px 0}
";

/// The run as a page; `top` requests and policies.
pub(crate) fn html(shape: &BenchShape, top: usize) -> String {
    let name = format!("{} revision {}", shape.bundle.name(), shape.bundle.revision());
    let mut out = format!(
        "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">\n\
         <meta name=\"viewport\" content=\"width=device-width\">\n<title>pdp bench: {title}</title>\n\
         <style>{STYLE}</style>\n</head>\n<body>\n<main>\n<h1>{title}</h1>\n",
        title = escaped(&name)
    );
    let from = match shape.workload.from.as_str() {
        "cases" => render::count(shape.workload.requests, "case", "cases"),
        from => format!("{} requests of {from}", shape.workload.requests),
    };
    let _ = writeln!(
        out,
        "<p class=\"soft\">{}, {}, {}; {} decisions in {:.2} s on one thread. Digest <code>{}</code></p>",
        escaped(&from),
        render::count(shape.policies, "policy", "policies"),
        render::count(shape.entities, "entity", "entities"),
        shape.decisions,
        shape.seconds,
        escaped(shape.bundle.digest())
    );
    verdicts(&mut out, shape);
    tiles(&mut out, shape);
    out.push_str("<h2>How long decisions take</h2>\n");
    let marks = [("p50", shape.p50_ns), ("p99", shape.p99_ns), ("p99.9", shape.p999_ns)];
    out.push_str(&plot::distribution(&shape.histogram, &marks));
    let _ = writeln!(
        out,
        "<p class=\"soft\">Means of {} decisions of one request in a row; a look at the clock costs {:.1} ns. The last two bars hold what is longer than the p99 and the p99.9.</p>",
        shape.batch, shape.clock_ns
    );
    slowest(&mut out, &shape.slowest);
    policies(&mut out, shape, top);
    costly(&mut out, shape);
    baseline(&mut out, shape);
    out.push_str("</main>\n</body>\n</html>\n");
    out
}

fn verdicts(out: &mut String, shape: &BenchShape) {
    if shape.cases_failed > 0 {
        let _ = writeln!(
            out,
            "<p class=\"bad\">{} of {} do not give what they expect.</p>",
            shape.cases_failed,
            render::count(shape.cases, "case", "cases")
        );
    }
    for limit in &shape.budget {
        let (class, word) = match limit.kept {
            true => ("good", "within the budget"),
            false => ("bad", "over the budget"),
        };
        let _ = writeln!(
            out,
            "<p class=\"{class}\">{} {} is {word} of {}.</p>",
            limit.figure,
            time(limit.measured_ns),
            escaped(&limit.allowed)
        );
    }
}

fn tiles(out: &mut String, shape: &BenchShape) {
    let mut tiles = vec![
        ("p50", time(shape.p50_ns)),
        ("p99", time(shape.p99_ns)),
        ("p99.9", time(shape.p999_ns)),
        ("decisions a second", format!("{:.0}", shape.decisions_per_second)),
        ("allocations a decision", shape.allocations_per_decision.to_string()),
        ("to load", format!("{:.2} ms", shape.load_ms)),
        ("bytes of the bundle", shape.bundle_bytes.to_string()),
    ];
    if let Some(compile_ms) = shape.compile_ms {
        tiles.push(("to compile", format!("{compile_ms:.2} ms")));
    }
    out.push_str("<div class=\"tiles\">\n");
    for (what, value) in tiles {
        let _ = writeln!(out, "<div><b>{value}</b><span>{what}</span></div>");
    }
    out.push_str("</div>\n");
}

fn slowest(out: &mut String, slowest: &[SlowShape]) {
    if slowest.is_empty() {
        return;
    }
    out.push_str(
        "<h2>Slowest requests</h2>\n<p class=\"soft legend\">Fastest batch of each: <i style=\"background:var(--a)\"></i>its policies <i style=\"background:var(--b)\"></i>taking in, index, answer</p>\n",
    );
    let rows: Vec<Row<'_>> = slowest
        .iter()
        .map(|slow| Row {
            label: &slow.request,
            parts: [slow.policies_ns.min(slow.ns), (slow.ns - slow.policies_ns).max(0.0)],
            value: time(slow.ns),
            hint: format!("{} {} {}", slow.principal, slow.action, slow.resource),
        })
        .collect();
    out.push_str(&plot::rows(&rows, "Slowest requests"));
    out.push_str("<div class=\"scroll\"><table>\n<tr><th>request</th><th class=\"n\">time</th><th class=\"n\">candidates</th><th class=\"n\">steps</th><th>why</th></tr>\n");
    for slow in slowest {
        let _ = writeln!(
            out,
            "<tr><td>{}<br><code class=\"soft\">{}, {}, {}</code><br><span class=\"soft\">{} {}</span></td><td class=\"n\">{}</td><td class=\"n\">{}</td><td class=\"n\">{}</td><td>{}<span class=\"soft\">{}</span></td></tr>",
            escaped(&slow.request),
            escaped(&slow.principal),
            escaped(&slow.action),
            escaped(&slow.resource),
            slow.decision,
            slow.reason,
            time(slow.ns),
            slow.candidates,
            slow.steps,
            list(&slow.why),
            escaped(&dearest(slow))
        );
    }
    out.push_str("</table></div>\n");
}

fn policies(out: &mut String, shape: &BenchShape, top: usize) {
    let shown = || shape.policy_costs.iter().take(top);
    let _ = writeln!(
        out,
        "<h2>What each policy costs</h2>\n<p class=\"soft\">Share of the time of all decisions. {:.1} % is not the policies': taking in, index, answer. {} evaluated, {} by no request of this workload.</p>",
        100.0 * shape.share_not_policies,
        render::count(shape.policy_costs.len(), "policy is", "policies are"),
        shape.policies_not_met
    );
    let rows: Vec<Row<'_>> = shown()
        .map(|policy| Row {
            label: &policy.policy,
            parts: [policy.share, 0.0],
            value: format!("{:.1} %", 100.0 * policy.share),
            hint: format!("{} {}", policy.effect, policy.policy),
        })
        .collect();
    out.push_str(&plot::rows(&rows, "Share of each policy"));
    out.push_str("<div class=\"scroll\"><table>\n<tr><th>policy</th><th class=\"n\">share</th><th class=\"n\">each</th><th class=\"n\">steps</th><th class=\"n\">requests</th><th>why</th></tr>\n");
    for policy in shown() {
        self::policy(out, policy, shape.workload.requests);
    }
    out.push_str("</table></div>\n");
    if let more @ 1.. = shape.policy_costs.len().saturating_sub(top) {
        let _ = writeln!(
            out,
            "<p class=\"soft\">{more} more take less; <code>--top N</code> shows them.</p>"
        );
    }
}

fn policy(out: &mut String, policy: &PolicyShape, requests: usize) {
    let place = match (&policy.file, policy.line) {
        (Some(file), Some(line)) => {
            format!("<br><code class=\"soft\">{}:{line}</code>", escaped(file))
        }
        _ => String::new(),
    };
    let _ = writeln!(
        out,
        "<tr><td><code>{}</code> <span class=\"soft\">{}</span>{place}</td><td class=\"n\">{:.1} %</td><td class=\"n\">{}</td><td class=\"n\">{:.1}</td><td class=\"n\">{}/{requests}</td><td>{}</td></tr>",
        escaped(&policy.policy),
        policy.effect,
        100.0 * policy.share,
        time(policy.ns),
        policy.steps,
        policy.requests,
        list(&policy.why)
    );
}

fn costly(out: &mut String, shape: &BenchShape) {
    if shape.costly.is_empty() {
        return;
    }
    out.push_str("<h2>Costly by construction</h2>\n<ul>\n");
    for item in &shape.costly {
        let help = item.help.as_deref().map_or(String::new(), |help| {
            format!("<br><span class=\"soft\">{}</span>", escaped(help))
        });
        let _ = writeln!(out, "<li>{} {}{help}</li>", item.code, escaped(&item.message));
    }
    out.push_str("</ul>\n");
}

fn baseline(out: &mut String, shape: &BenchShape) {
    let Some(baseline) = &shape.baseline else { return };
    let _ =
        writeln!(out, "<h2>Beside {}</h2>\n{}", escaped(&baseline.file), list(&baseline.remarks));
    out.push_str("<div class=\"scroll\"><table>\n<tr><th>figure</th><th class=\"n\">before</th><th class=\"n\">now</th><th class=\"n\">ratio</th></tr>\n");
    let mut line = |row: &ComparedShape, unit: &dyn Fn(f64) -> String| {
        let ratio = ratio(row);
        let _ = writeln!(
            out,
            "<tr><td><code>{}</code></td><td class=\"n\">{}</td><td class=\"n\">{}</td><td class=\"n\">{ratio}</td></tr>",
            escaped(&row.figure),
            unit(row.before),
            unit(row.now)
        );
    };
    for row in &baseline.figures {
        match row.figure.strip_suffix("_ns") {
            Some(_) => line(row, &time),
            None => line(row, &|number| number.to_string()),
        }
    }
    baseline.policies.iter().for_each(|row| line(row, &time));
    out.push_str("</table></div>\n");
}

fn list(lines: &[String]) -> String {
    if lines.is_empty() {
        return String::new();
    }
    let items: String = lines.iter().map(|line| format!("<li>{}</li>", escaped(line))).collect();
    format!("<ul>{items}</ul>")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bench::shape::{BaselineShape, CostlyShape};
    use crate::bench::tests::figures;

    const HOSTILE: &str = "\"'><script>alert(1)</script><img src=x onerror=alert(1)>";

    #[test]
    fn nothing_from_outside_becomes_markup() {
        let mut shape = figures();
        let hostile = || HOSTILE.to_owned();
        shape.workload.from = hostile();
        for slow in &mut shape.slowest {
            (slow.request, slow.principal, slow.action) = (hostile(), hostile(), hostile());
            (slow.resource, slow.why) = (hostile(), vec![hostile()]);
        }
        for policy in &mut shape.policy_costs {
            (policy.policy, policy.file, policy.why) =
                (hostile(), Some(hostile()), vec![hostile()]);
        }
        shape.costly =
            vec![CostlyShape { code: "W206", message: hostile(), help: Some(hostile()) }];
        let row = ComparedShape { figure: hostile(), before: 1.0, now: 2.0, ratio: Some(2.0) };
        shape.baseline = Some(BaselineShape {
            file: hostile(),
            same_bundle: false,
            same_requests: false,
            remarks: vec![hostile()],
            figures: vec![],
            policies: vec![row],
        });
        let page = html(&shape, 10);
        assert!(!page.contains("<script"), "{page}");
        assert!(!page.contains("<img"), "{page}");
        // Once for each place above and once more for each bar's label; two hints name them, too.
        assert!(page.matches("&lt;script&gt;alert(1)").count() >= 13, "{page}");
    }

    #[test]
    fn the_page_loads_nothing() {
        let page = html(&figures(), 10);
        for part in ["http:", "https:", "src=", "url(", "@import", "<link", "<script"] {
            assert!(!page.contains(part), "{part}");
        }
        assert!(page.contains("default-src 'none'"));
        assert_eq!(page.matches("<svg").count(), 3, "distribution, requests, policies");
        assert_eq!(page.matches("<svg").count(), page.matches("</svg>").count());
    }
}
