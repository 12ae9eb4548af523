//! `--budget p99=2us,p50=500ns`: how long decisions may take before the build is red.

use std::str::FromStr;

/// All limits of one `--budget`.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Budget(pub(crate) Vec<Allowance>);

/// What one percentile may take.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Allowance {
    /// Which.
    pub(crate) percentile: Percentile,
    /// The most it may take.
    pub(crate) max_ns: f64,
    /// As it was written.
    pub(crate) written: String,
}

/// A percentile that `bench` measures.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Percentile {
    P50,
    P99,
    P999,
}

const EXAMPLE: &str = "such as `p99=2us` or `p50=500ns,p99=2us`";

// === impl Percentile ===

impl Percentile {
    /// Its name in text.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::P50 => "p50",
            Self::P99 => "p99",
            Self::P999 => "p99.9",
        }
    }
}

// === impl Budget ===

impl FromStr for Budget {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let mut found: Vec<Allowance> = Vec::new();
        for part in text.split(',').map(str::trim) {
            let Some((name, limit)) = part.split_once('=') else {
                return Err(format!("`{part}` is no limit; give percentile=duration, {EXAMPLE}"));
            };
            let percentile = match name.trim() {
                "p50" => Percentile::P50,
                "p99" => Percentile::P99,
                "p99.9" | "p999" => Percentile::P999,
                other => {
                    return Err(format!(
                        "`{other}` is not measured; give `p50`, `p99` or `p99.9`, {EXAMPLE}"
                    ));
                }
            };
            if found.iter().any(|before| before.percentile == percentile) {
                return Err(format!("`{}` occurs twice; give each once", percentile.name()));
            }
            let max_ns = duration_ns(limit.trim())?;
            found.push(Allowance { percentile, max_ns, written: limit.trim().to_owned() });
        }
        Ok(Self(found))
    }
}

/// A duration with its unit, in nanoseconds.
fn duration_ns(text: &str) -> Result<f64, String> {
    let unit_at = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    let (number, unit) = text.split_at_checked(unit_at).unwrap_or((text, ""));
    let factor = match unit.trim() {
        "ns" => 1.0,
        // The micro sign and the Greek letter look the same.
        "us" | "\u{b5}s" | "\u{3bc}s" => 1e3,
        "ms" => 1e6,
        "s" => 1e9,
        "" => {
            return Err(format!("`{text}` has no unit; add `ns`, `us`, `ms` or `s`, {EXAMPLE}"));
        }
        other => {
            return Err(format!(
                "`{other}` in `{text}` is no unit; give `ns`, `us`, `ms` or `s`, {EXAMPLE}"
            ));
        }
    };
    match number.parse::<f64>() {
        Ok(number) if number > 0.0 && (number * factor).is_finite() => Ok(number * factor),
        Ok(_) => Err(format!("`{text}` is no time; give more than 0, {EXAMPLE}")),
        Err(_) => Err(format!("`{text}` does not begin with a number; give one, {EXAMPLE}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(text: &str) -> Result<Vec<(&'static str, f64)>, String> {
        let budget: Budget = text.parse()?;
        Ok(budget.0.iter().map(|limit| (limit.percentile.name(), limit.max_ns)).collect())
    }

    #[test]
    fn every_unit() {
        assert_eq!(parsed("p50=500ns, p99=1.5us"), Ok(vec![("p50", 500.0), ("p99", 1500.0)]));
        assert_eq!(parsed("p99.9=2µs"), Ok(vec![("p99.9", 2000.0)]));
        assert_eq!(parsed("p999=2μs"), Ok(vec![("p99.9", 2000.0)]));
        assert_eq!(parsed("p50=3ms"), Ok(vec![("p50", 3e6)]));
        assert_eq!(parsed("p50=1s"), Ok(vec![("p50", 1e9)]));
    }

    #[test]
    fn what_is_wrong_is_named() {
        for (text, told) in [
            ("", "`` is no limit"),
            ("p99", "`p99` is no limit; give percentile=duration"),
            ("p98=1us", "`p98` is not measured; give `p50`, `p99` or `p99.9`"),
            ("p99=2", "`2` has no unit"),
            ("p99=2 years", "`years` in `2 years` is no unit"),
            ("p99=us", "`us` does not begin with a number"),
            ("p99=1.2.3us", "does not begin with a number"),
            ("p99=0us", "give more than 0"),
            ("p99=-1us", "is no unit"),
            ("p99=1us,p99=2us", "`p99` occurs twice"),
            ("p99=1us,", "`` is no limit"),
        ] {
            let error = parsed(text).err().unwrap_or_default();
            assert!(error.contains(told), "{text}: {error}");
        }
    }
}
