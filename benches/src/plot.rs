//! Plots as SVG, written by hand: latency against size, both logarithmic, one line an engine.
//!
//! Lines are labelled at their ends, in their colour, so that nobody has to look up a legend. Colours follow whether
//! the reader's page is light or dark. There is no plotting library here and no script in the picture.

use std::fmt::Write;

use crate::results::Results;
use crate::run::{
    CASBIN, HASH_INDEX, OURS, OURS_JSON, REFERENCE, REFERENCE_SLICE, REGO_DATA, REGO_RULES,
};

/// A line: its name, the class that gives it colour and stroke, and its points in sizes and nanoseconds.
#[derive(Clone, Debug)]
struct Line {
    name: String,
    class: &'static str,
    points: Vec<(f64, f64)>,
}

/// Where a panel stands in the picture, and how far its axes go, in powers of ten.
#[derive(Clone, Copy, Debug)]
struct Panel {
    left: f64,
    top: f64,
    width: f64,
    height: f64,
    x: (i32, i32),
    y: (i32, i32),
    /// Whether it is one of many: then there is no room for names beside it, nor for long numbers below.
    small: bool,
}

const STYLE: &str = "<style>\
    .bg{fill:#fff}.ink{fill:#1f2328}.soft{fill:#59636e}.grid{stroke:#d1d9e0;stroke-width:1}.axis{stroke:#59636e;stroke-width:1}\
    text{font-family:system-ui,-apple-system,'Segoe UI',Helvetica,Arial,sans-serif;font-size:13px}\
    .title{font-size:17px;font-weight:600}.head{font-size:14px;font-weight:600}.label{font-weight:600}\
    polyline{fill:none;stroke-width:2;stroke-linejoin:round}\
    .ours{stroke-width:3.5}.dashed{stroke-dasharray:6 4}\
    \
    polyline.c0{stroke:#0757ba}polyline.c1{stroke:#cf222e}polyline.c2{stroke:#a04100}polyline.c3{stroke:#6f3fc4}polyline.c4{stroke:#116329}polyline.c5{stroke:#57606a}polyline.c6{stroke:#0a7c8c}\
    .fill.c0{fill:#0757ba}.fill.c1{fill:#cf222e}.fill.c2{fill:#a04100}.fill.c3{fill:#6f3fc4}.fill.c4{fill:#116329}.fill.c5{fill:#57606a}.fill.c6{fill:#0a7c8c}\
    @media (prefers-color-scheme:dark){\
    .bg{fill:#0d1117}.ink{fill:#e6edf3}.soft{fill:#9198a1}.grid{stroke:#2a313c}.axis{stroke:#9198a1}\
    polyline.c0{stroke:#58a6ff}polyline.c1{stroke:#ff7b72}polyline.c2{stroke:#ffa657}polyline.c3{stroke:#bc8cff}polyline.c4{stroke:#56d364}polyline.c5{stroke:#9ea7b3}polyline.c6{stroke:#39c5cf}\
    .fill.c0{fill:#58a6ff}.fill.c1{fill:#ff7b72}.fill.c2{fill:#ffa657}.fill.c3{fill:#bc8cff}.fill.c4{fill:#56d364}.fill.c5{fill:#9ea7b3}.fill.c6{fill:#39c5cf}}\
    </style>";

/// The engines that are drawn, with their classes; the variants of ours that lie on its line are left to the table.
const DRAWN: &[(&str, &str)] = &[
    (OURS, "c0 ours"),
    (OURS_JSON, "c6"),
    (REFERENCE, "c1"),
    (REFERENCE_SLICE, "c2 dashed"),
    (REGO_DATA, "c3"),
    (REGO_RULES, "c3 dashed"),
    (CASBIN, "c4"),
    (HASH_INDEX, "c5 dashed"),
];

/// One family, every engine.
pub fn family(results: &Results, family: &str, what: &str, axis: &str) -> String {
    let lines = lines(results, family, |_| true);
    let mut svg = open(1_040.0, 540.0, &format!("{family}: one decision, median"), what);
    let panel = Panel {
        left: 76.0,
        top: 74.0,
        width: 620.0,
        height: 400.0,
        x: powers(points(&lines).map(|point| point.0)),
        y: powers(points(&lines).map(|point| point.1)),
        small: false,
    };
    panel.draw(&mut svg, &lines);
    // Writing to a String cannot fail.
    let _ = writeln!(
        svg,
        r#"<text class="soft" x="{}" y="{}" text-anchor="middle">{axis}</text>"#,
        panel.left + panel.width / 2.0,
        panel.top + panel.height + 44.0
    );
    svg.push_str("</svg>\n");
    svg
}

/// All families, ours beside the reference, in panels with the same vertical axis.
pub fn overview(results: &Results) -> String {
    let families: Vec<&str> =
        results.families().into_iter().filter(|family| results.sizes(family).len() > 1).collect();
    let shown = |engine: &str| [OURS, REFERENCE, REFERENCE_SLICE].contains(&engine);
    let all: Vec<(&str, Vec<Line>)> =
        families.iter().map(|family| (*family, lines(results, family, shown))).collect();
    let y = powers(all.iter().flat_map(|(_, lines)| points(lines)).map(|point| point.1));
    let columns = 3;
    let rows = all.len().div_ceil(columns);
    let (width, height) = (1_060.0, 96.0 + 250.0 * rows as f64 + 24.0);
    let mut svg = open(
        width,
        height,
        "One decision, median, against the size of the workload",
        "pdp reads strings, validates, and gives reasons; cedar-policy is given its request prebuilt; policies below, graph or store size for app- and cold",
    );
    let mut at = 40.0;
    for (name, class) in DRAWN.iter().filter(|(name, _)| shown(name)) {
        let _ = writeln!(
            svg,
            r#"<polyline class="{class}" points="{at},78 {},78"/><text class="fill label {class}" x="{}" y="82">{name}</text>"#,
            at + 28.0,
            at + 34.0
        );
        at += 70.0 + 8.0 * name.len() as f64;
    }
    for (at, (family, lines)) in all.iter().enumerate() {
        let (column, row) = ((at % columns) as f64, (at / columns) as f64);
        let panel = Panel {
            left: 70.0 + 335.0 * column,
            top: 124.0 + 250.0 * row,
            width: 250.0,
            height: 176.0,
            x: powers(points(lines).map(|point| point.0)),
            y,
            small: true,
        };
        let _ = writeln!(
            svg,
            r#"<text class="ink head" x="{}" y="{}">{family}</text>"#,
            panel.left,
            panel.top - 8.0
        );
        panel.draw(&mut svg, lines);
    }
    svg.push_str("</svg>\n");
    svg
}

fn lines(results: &Results, family: &str, shown: impl Fn(&str) -> bool) -> Vec<Line> {
    DRAWN
        .iter()
        .filter(|(engine, _)| shown(engine))
        .map(|(engine, class)| Line {
            name: (*engine).to_owned(),
            class,
            points: results
                .sizes(family)
                .into_iter()
                .filter_map(|size| Some((size as f64, results.p50(family, size, engine)?)))
                .collect(),
        })
        .filter(|line| !line.points.is_empty())
        .collect()
}

fn points(lines: &[Line]) -> impl Iterator<Item = (f64, f64)> {
    lines.iter().flat_map(|line| line.points.iter().copied())
}

fn open(width: f64, height: f64, title: &str, what: &str) -> String {
    format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width} {height}\" width=\"{width}\" height=\"{height}\" role=\"img\" aria-label=\"{title}\">\n\
         {STYLE}\n<rect class=\"bg\" width=\"{width}\" height=\"{height}\"/>\n\
         <text class=\"ink title\" x=\"24\" y=\"32\">{title}</text>\n<text class=\"soft\" x=\"24\" y=\"54\">{what}</text>\n"
    )
}

/// The powers of ten that enclose some numbers, at least one decade.
fn powers(numbers: impl Iterator<Item = f64>) -> (i32, i32) {
    let (mut low, mut high) = (i32::MAX, i32::MIN);
    for number in numbers.filter(|number| *number > 0.0) {
        low = low.min(number.log10().floor() as i32);
        high = high.max(number.log10().ceil() as i32);
    }
    if low > high { (0, 1) } else { (low, high.max(low + 1)) }
}

// === impl Panel ===

impl Panel {
    fn x_of(&self, size: f64) -> f64 {
        let (low, high) = self.x;
        self.left + self.width * (size.log10() - f64::from(low)) / f64::from(high - low)
    }

    fn y_of(&self, nanoseconds: f64) -> f64 {
        let (low, high) = self.y;
        let share = (nanoseconds.max(1e-3).log10() - f64::from(low)) / f64::from(high - low);
        self.top + self.height * (1.0 - share)
    }

    /// Grid, axes and lines; names at the ends of the lines where there is room beside the panel.
    fn draw(&self, svg: &mut String, lines: &[Line]) {
        let (right, bottom) = (self.left + self.width, self.top + self.height);
        for power in self.y.0..=self.y.1 {
            let y = self.y_of(10f64.powi(power));
            // Writing to a String cannot fail.
            let _ = writeln!(
                svg,
                r#"<line class="grid" x1="{}" y1="{y:.1}" x2="{right}" y2="{y:.1}"/><text class="soft" x="{}" y="{:.1}" text-anchor="end">{}</text>"#,
                self.left,
                self.left - 8.0,
                y + 4.0,
                time_label(power)
            );
        }
        for power in self.x.0..=self.x.1 {
            let x = self.x_of(10f64.powi(power));
            let _ = writeln!(
                svg,
                r#"<line class="grid" x1="{x:.1}" y1="{}" x2="{x:.1}" y2="{bottom}"/><text class="soft" x="{x:.1}" y="{}" text-anchor="middle">{}</text>"#,
                self.top,
                bottom + 19.0,
                size_label(power, self.small)
            );
        }
        let _ = writeln!(
            svg,
            r#"<polyline class="axis" points="{},{} {},{bottom} {right},{bottom}"/>"#,
            self.left, self.top, self.left
        );
        for line in lines.iter().rev() {
            let points: Vec<String> = line
                .points
                .iter()
                .map(|(x, y)| format!("{:.1},{:.1}", self.x_of(*x), self.y_of(*y)))
                .collect();
            let _ = writeln!(
                svg,
                r#"<polyline class="{}" points="{}"/>"#,
                line.class,
                points.join(" ")
            );
            for (x, y) in &line.points {
                let _ = writeln!(
                    svg,
                    r#"<circle class="fill {}" cx="{:.1}" cy="{:.1}" r="3.5"/>"#,
                    line.class,
                    self.x_of(*x),
                    self.y_of(*y)
                );
            }
        }
        if !self.small {
            self.name(svg, lines);
        }
    }

    /// Names in the order of the lines' ends, moved apart where two would touch.
    fn name(&self, svg: &mut String, lines: &[Line]) {
        let mut ends: Vec<(f64, &Line, f64)> = lines
            .iter()
            .filter_map(|line| line.points.last().map(|(_, y)| (self.y_of(*y), line, *y)))
            .collect();
        ends.sort_unstable_by(|a, b| a.0.total_cmp(&b.0));
        let mut lowest = f64::MIN;
        for (y, line, nanoseconds) in ends {
            let y = y.max(lowest + 18.0);
            lowest = y;
            let _ = writeln!(
                svg,
                r#"<text class="fill label {}" x="{}" y="{:.1}">{}: {}</text>"#,
                line.class,
                self.left + self.width + 10.0,
                y + 4.0,
                line.name,
                crate::measure::in_words(nanoseconds)
            );
        }
    }
}

fn time_label(power: i32) -> String {
    let (scale, unit) = match power {
        ..3 => (0, "ns"),
        3..6 => (3, "µs"),
        6..9 => (6, "ms"),
        _ => (9, "s"),
    };
    format!("{} {unit}", 10f64.powi(power - scale))
}

fn size_label(power: i32, short: bool) -> String {
    let (scale, thousands) = match (power, short) {
        (..0, _) => return String::new(),
        (..3, _) => (0, ""),
        (3..6, false) => (3, ",000"),
        (3..6, true) => (3, "k"),
        (_, false) => (6, ",000,000"),
        (_, true) => (6, "M"),
    };
    format!("{}{thousands}", 10f64.powi(power - scale))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::results::Timing;

    fn results(rows: &[(usize, &str, f64)]) -> Results {
        let timing = |(size, engine, p50): &(usize, &str, f64)| Timing {
            family: "w1".to_owned(),
            size: *size,
            engine: (*engine).to_owned(),
            p50: *p50,
            p99: 0.0,
            p999: 0.0,
            batches: 1,
            allocations: 0.0,
        };
        Results { timings: rows.iter().map(timing).collect(), ..Results::default() }
    }

    #[test]
    fn axes_enclose_what_is_drawn() {
        assert_eq!(powers([10.0, 99_000.0].into_iter()), (1, 5));
        assert_eq!(powers([10.0].into_iter()), (1, 2));
        assert_eq!(powers(std::iter::empty()), (0, 1));
        assert_eq!(
            (time_label(2), time_label(4), time_label(9)),
            ("100 ns".into(), "10 µs".into(), "1 s".into())
        );
        assert_eq!((size_label(1, true), size_label(5, true)), ("10".into(), "100k".into()));
        assert_eq!(size_label(5, false), "100,000");
    }

    #[test]
    fn a_slower_engine_stands_higher_and_a_larger_size_further_right() {
        let drawn = results(&[
            (10, OURS, 200.0),
            (10_000, OURS, 200.0),
            (10, REFERENCE, 1e4),
            (10_000, REFERENCE, 1e7),
        ]);
        let svg = family(&drawn, "w1", "what", "policies");
        let points = |class: &str| -> Vec<(f64, f64)> {
            let line = svg
                .lines()
                .find(|line| line.starts_with(&format!("<polyline class=\"{class}\"")))
                .unwrap_or("");
            let points = line
                .split("points=\"")
                .nth(1)
                .and_then(|rest| rest.split('"').next())
                .unwrap_or("");
            let number = |text: &str| text.parse().unwrap_or(f64::NAN);
            points
                .split(' ')
                .filter_map(|point| point.split_once(','))
                .map(|(x, y)| (number(x), number(y)))
                .collect()
        };
        let (ours, reference) = (points("c0 ours"), points("c1"));
        let ((Some(first), Some(last)), Some(slow)) =
            ((ours.first(), ours.last()), reference.last())
        else {
            unreachable!("both lines are drawn: {svg}");
        };
        assert!(first.0 < last.0 && first.1 == last.1, "{ours:?}");
        assert!(slow.1 < last.1 && slow.0 == last.0, "{reference:?}");
    }

    #[test]
    fn names_of_lines_that_end_together_do_not_touch() {
        let drawn = results(&[(10, OURS, 200.0), (10, OURS_JSON, 201.0), (10, REFERENCE, 202.0)]);
        let svg = family(&drawn, "w1", "what", "policies");
        let mut heights: Vec<f64> = svg
            .lines()
            .filter(|line| line.starts_with("<text class=\"fill label"))
            .filter_map(|line| line.split(" y=\"").nth(1)?.split('"').next()?.parse().ok())
            .collect();
        heights.sort_unstable_by(f64::total_cmp);
        assert_eq!(heights.len(), 3);
        assert!(
            heights.windows(2).all(|pair| matches!(pair, [a, b] if b - a >= 17.9)),
            "{heights:?}"
        );
    }
}
