//! Plots as inline SVG: the latency distribution, and bars beside each other. Colours come from the page's style.
//!
//! Every text that is drawn goes through [`escaped`]; numbers are written by this file.

use std::fmt::Write;

use crate::bench::shape::BarShape;
use crate::bench::text::time;
use crate::render;

/// A bar with what it is called.
#[derive(Debug)]
pub(crate) struct Row<'a> {
    /// Shown before it, cut where it is long.
    pub(crate) label: &'a str,
    /// Its parts, in the order of the legend.
    pub(crate) parts: [f64; 2],
    /// Shown behind it.
    pub(crate) value: String,
    /// Shown when pointed at.
    pub(crate) hint: String,
}

const WIDTH: f64 = 880.0;
const DISTRIBUTION_HEIGHT: f64 = 240.0;
const AXIS_HEIGHT: f64 = 46.0;
const HEAD_HEIGHT: f64 = 44.0;
const ROW_HEIGHT: f64 = 26.0;
const LABEL_WIDTH: f64 = 300.0;
const VALUE_WIDTH: f64 = 110.0;
const LABEL_CHARS_MAX: usize = 37;

/// Text from outside as HTML text or attribute value, with control characters made visible.
pub(crate) fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in render::shown(text).chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            c => out.push(c),
        }
    }
    out
}

/// The latency distribution. Bars are of equal ratio up to the p99, so the axis is logarithmic there.
pub(crate) fn distribution(bars: &[BarShape], marks: &[(&str, f64)]) -> String {
    let all: u64 = bars.iter().map(|bar| bar.batches).sum();
    let most = bars.iter().map(|bar| bar.batches).max().unwrap_or(0);
    if most == 0 {
        return String::new();
    }
    let bottom = DISTRIBUTION_HEIGHT - AXIS_HEIGHT;
    let step = WIDTH / bars.len() as f64;
    let mut out = open(DISTRIBUTION_HEIGHT, "Distribution of decision times");
    for (at, bar) in bars.iter().enumerate() {
        let x = at as f64 * step;
        // A bar that is there at all shows.
        let height = match bar.batches {
            0 => 0.0,
            count => (count as f64 / most as f64 * (bottom - HEAD_HEIGHT)).max(1.5),
        };
        let share = 100.0 * bar.batches as f64 / all as f64;
        let _ = writeln!(
            out,
            "<rect class=\"a\" x=\"{:.1}\" y=\"{:.1}\" width=\"{:.1}\" height=\"{height:.1}\" rx=\"2\"><title>{} to {}: {share:.2} %</title></rect>",
            x + 1.0,
            bottom - height,
            (step - 2.0).max(1.0),
            time(bar.from_ns),
            time(bar.to_ns)
        );
        // Every other edge, so that labels do not run into each other.
        if at % 2 == 0 {
            let anchor = if at == 0 { "start" } else { "middle" };
            label(&mut out, x, bottom + 16.0, anchor, "axis", &time(bar.from_ns));
        }
    }
    let _ = writeln!(out, "<path class=\"rule\" d=\"M0 {bottom:.1}H{WIDTH:.1}\"/>");
    label(
        &mut out,
        WIDTH,
        bottom + 34.0,
        "end",
        "axis",
        "time of a decision; bars of equal ratio up to the p99",
    );
    for (at, (name, ns)) in marks.iter().enumerate() {
        let Some(x) = position(bars, *ns).map(|bar| bar * step) else { continue };
        let y = 10.0 + 14.0 * at as f64;
        let _ = writeln!(out, "<path class=\"mark\" d=\"M{x:.1} {y:.1}V{bottom:.1}\"/>");
        // To the side where there is room.
        let (x, anchor) = if x > WIDTH / 2.0 { (x - 4.0, "end") } else { (x + 4.0, "start") };
        label(&mut out, x, y + 3.0, anchor, "axis", &format!("{name} {}", time(*ns)));
    }
    out.push_str("</svg>\n");
    out
}

/// Where a time lies, in bars from the left.
fn position(bars: &[BarShape], ns: f64) -> Option<f64> {
    let at = bars.iter().position(|bar| ns <= bar.to_ns)?;
    let bar = bars.get(at)?;
    let (from, to) = (bar.from_ns.max(0.1), bar.to_ns.max(0.1));
    let within = match to > from {
        true => ((ns / from).ln() / (to / from).ln()).clamp(0.0, 1.0),
        false => 0.5,
    };
    Some(at as f64 + within)
}

/// Bars below each other, each of two parts.
pub(crate) fn rows(rows: &[Row<'_>], title: &str) -> String {
    let most = rows.iter().map(|row| row.parts.iter().sum::<f64>()).fold(0.0, f64::max);
    if most <= 0.0 {
        return String::new();
    }
    let mut out = open(rows.len() as f64 * ROW_HEIGHT + 4.0, title);
    let scale = (WIDTH - LABEL_WIDTH - VALUE_WIDTH) / most;
    for (at, row) in rows.iter().enumerate() {
        let y = at as f64 * ROW_HEIGHT + 4.0;
        let _ = writeln!(out, "<g><title>{}</title>", escaped(&row.hint));
        label(&mut out, LABEL_WIDTH - 10.0, y + 13.0, "end", "label", &cut(row.label));
        let mut x = LABEL_WIDTH;
        for (class, part) in ["a", "b"].iter().zip(row.parts) {
            let width = part * scale;
            let _ = writeln!(
                out,
                "<rect class=\"{class}\" x=\"{x:.1}\" y=\"{y:.1}\" width=\"{width:.1}\" height=\"18\" rx=\"2\"/>"
            );
            x += width;
        }
        label(&mut out, x + 6.0, y + 13.0, "start", "value", &row.value);
        out.push_str("</g>\n");
    }
    out.push_str("</svg>\n");
    out
}

fn open(height: f64, title: &str) -> String {
    format!(
        "<svg viewBox=\"0 0 {WIDTH:.0} {height:.0}\" role=\"img\" aria-label=\"{}\">\n",
        escaped(title)
    )
}

fn label(out: &mut String, x: f64, y: f64, anchor: &str, class: &str, text: &str) {
    let text = escaped(text);
    let _ = writeln!(
        out,
        "<text x=\"{x:.1}\" y=\"{y:.1}\" text-anchor=\"{anchor}\" class=\"{class}\">{text}</text>"
    );
}

fn cut(text: &str) -> String {
    match text.char_indices().nth(LABEL_CHARS_MAX) {
        Some((at, _)) => format!("{}…", text.get(..at).unwrap_or(text)),
        None => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_cannot_become_markup() {
        assert_eq!(
            escaped("<script>\"a\" & 'b'</script>\u{7}"),
            "&lt;script&gt;&quot;a&quot; &amp; &#39;b&#39;&lt;/script&gt;\\u{7}"
        );
        let hostile = "</text><script>alert(1)</script>";
        let row = Row {
            label: hostile,
            parts: [1.0, 2.0],
            value: hostile.to_owned(),
            hint: hostile.to_owned(),
        };
        let svg = rows(&[row], hostile);
        assert!(!svg.contains("<script"), "{svg}");
        assert_eq!(svg.matches("</text>").count(), 2, "{svg}");
    }

    #[test]
    fn marks_stand_where_their_time_is() {
        let bar = |from_ns, to_ns| BarShape { from_ns, to_ns, batches: 1 };
        let bars = [bar(100.0, 400.0), bar(400.0, 1600.0)];
        assert_eq!(position(&bars, 100.0), Some(0.0));
        assert_eq!(position(&bars, 200.0), Some(0.5));
        assert_eq!(position(&bars, 400.0), Some(1.0));
        assert_eq!(position(&bars, 1600.0), Some(2.0));
        assert_eq!(position(&bars, 2000.0), None);
        assert_eq!(position(&[bar(5.0, 5.0)], 5.0), Some(0.5));
    }

    #[test]
    fn nothing_measured_nothing_drawn() {
        assert_eq!(distribution(&[], &[]), "");
        assert_eq!(rows(&[], "none"), "");
    }

    #[test]
    fn the_longest_bar_ends_where_the_values_begin() {
        let row = |parts| Row { label: "x", parts, value: String::new(), hint: String::new() };
        let svg = rows(&[row([3.0, 1.0]), row([1.0, 0.0])], "bars");
        let width = WIDTH - LABEL_WIDTH - VALUE_WIDTH;
        assert!(svg.contains(&format!("width=\"{:.1}\"", width * 0.75)), "{svg}");
        assert!(svg.contains(&format!("width=\"{:.1}\"", width * 0.25)), "{svg}");
    }
}
