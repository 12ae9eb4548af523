//! `instructions`: counts the instructions of a fixed set of decisions, and compares them with what is committed.
//!
//! Counts do not depend on what else the machine does, so a slower hot path shows in CI. They do depend on the compiler
//! and a little on the processor; [`TOLERANCE`] is for the second, and for the first there is `--bless`, in the commit
//! that changes the compiler. Fewer instructions than committed fail, too, once they leave the tolerance: otherwise what
//! was won could be lost again unseen.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::fs;

use crate::step::{Step, workspace};
use crate::usage;

/// Where the committed counts stand.
const BASELINE: &str = "benches/instructions.txt";
/// Where bundles and questions are put for the benchmark.
const FOLDER: &str = "target/instructions";
/// The share by which a count may differ.
const TOLERANCE: f64 = 0.02;

/// Counts by benchmark.
type Counts = BTreeMap<String, u64>;

/// Counts, and compares or blesses.
pub(crate) fn run(args: &[&str]) -> Result<(), String> {
    let bless = match args {
        [] => false,
        ["--bless"] => true,
        _ => return Err(usage("instructions")),
    };
    Step::program("valgrind", ["--version"])
        .remedy("install it, for example with `apt-get install valgrind`")
        .output()?;
    Step::program("gungraun-runner", ["--version"])
        .remedy("install it with `cargo install gungraun-runner@0.20.0 --locked`")
        .output()?;
    Step::cargo(["run", "--locked", "--quiet", "--release", "--package", "pdp-benches"])
        .args(["--bin", "count", "--", FOLDER])
        .run()?;
    let mut reader = Reader::default();
    Step::cargo(["bench", "--locked", "--package", "pdp-benches", "--bench", "instructions"])
        .args(["--", "--color=never"])
        .run_reading(|line| reader.read(line))?;
    let counts = reader.counts;
    if counts.is_empty() {
        return Err("the benchmark told no counts".to_owned());
    }
    let file = workspace()?.join(BASELINE);
    if bless {
        fs::write(&file, print(&counts))
            .map_err(|error| format!("cannot write `{BASELINE}`: {error}"))?;
        println!("\nxtask: wrote {BASELINE}");
        return Ok(());
    }
    let committed = fs::read_to_string(&file)
        .map_err(|error| format!("cannot read `{BASELINE}`: {error}; `--bless` writes it"))?;
    let (table, failures) = compare(&parse(&committed)?, &counts);
    println!("\n{table}");
    if failures.is_empty() {
        return Ok(());
    }
    Err(format!(
        "{}; if that is meant, `cargo xtask instructions --bless` and commit {BASELINE} with the reason",
        failures.join("; ")
    ))
}

/// Reads what the harness prints: a heading for each benchmark, and below it a line of `Instructions:`.
#[derive(Debug, Default)]
struct Reader {
    heading: String,
    counts: Counts,
}

// === impl Reader ===

impl Reader {
    fn read(&mut self, line: &str) {
        if let Some(heading) = line.strip_prefix("instructions::decisions::") {
            // `decide w1:warm("w1")`: the function, the name of the benchmark, and what it was given.
            let heading = heading.split(':').next().unwrap_or_default();
            self.heading = heading.trim().replace(' ', "/");
        }
        let Some(rest) = line.trim_start().strip_prefix("Instructions:") else { return };
        let digits: String = rest.trim_start().chars().take_while(char::is_ascii_digit).collect();
        if let Ok(count) = digits.parse() {
            self.counts.insert(std::mem::take(&mut self.heading), count);
        }
    }
}

fn print(counts: &Counts) -> String {
    let mut text = String::from(
        "# Instructions of the decisions in benches/src/instructions.rs; written by `cargo xtask instructions --bless`.\n",
    );
    for (name, count) in counts {
        // Writing to a String cannot fail.
        let _ = writeln!(text, "{name} {count}");
    }
    text
}

fn parse(text: &str) -> Result<Counts, String> {
    text.lines()
        .filter(|line| !line.starts_with('#') && !line.is_empty())
        .map(|line| {
            let (name, count) = line.split_once(' ').ok_or(line)?;
            Ok((name.to_owned(), count.parse().map_err(|_| line)?))
        })
        .collect::<Result<_, &str>>()
        .map_err(|line| format!("`{line}` in {BASELINE} is not a name and a count"))
}

/// A table of both, and what is wrong.
fn compare(committed: &Counts, counted: &Counts) -> (String, Vec<String>) {
    let (mut table, mut failures) = (String::new(), Vec::new());
    let names: std::collections::BTreeSet<&String> =
        committed.keys().chain(counted.keys()).collect();
    for name in names {
        match (committed.get(name), counted.get(name)) {
            (Some(before), Some(now)) => {
                let change = *now as f64 / (*before).max(1) as f64 - 1.0;
                // Writing to a String cannot fail.
                let _ = writeln!(table, "  {name}: {before} → {now} ({:+.2} %)", change * 100.0);
                if change.abs() > TOLERANCE {
                    let word = if change > 0.0 { "more" } else { "fewer" };
                    failures.push(format!(
                        "`{name}` takes {:.1} % {word} instructions than committed",
                        change.abs() * 100.0
                    ));
                }
            }
            (Some(_), None) => failures.push(format!("`{name}` was not counted")),
            (None, _) => failures.push(format!("`{name}` has no committed count")),
        }
    }
    (table, failures)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counts(rows: &[(&str, u64)]) -> Counts {
        rows.iter().map(|(name, count)| ((*name).to_owned(), *count)).collect()
    }

    #[test]
    fn what_is_printed_is_read_again() {
        let told = counts(&[("decide/w1", 12), ("decide_json/w1", 7)]);
        assert_eq!(parse(&print(&told)), Ok(told));
        assert!(parse("decide/w1 many").is_err());
    }

    #[test]
    fn output_of_the_harness_is_read() {
        let mut reader = Reader::default();
        for line in [
            "instructions::decisions::decide w1:warm(\"w1\")",
            "  Instructions:                      123456|100000               (+23.456%)",
            "  L1 Hits:                           9|9",
            "instructions::decisions::decide_json w1:warm(\"w1\")",
            "  Instructions:                      77|N/A                      (*********)",
        ] {
            reader.read(line);
        }
        assert_eq!(reader.counts, counts(&[("decide/w1", 123_456), ("decide_json/w1", 77)]));
    }

    #[test]
    fn more_and_fewer_and_missing_fail_beyond_the_tolerance() {
        let committed = counts(&[("a", 1_000), ("b", 1_000), ("c", 1_000), ("gone", 1)]);
        let counted = counts(&[("a", 1_019), ("b", 1_021), ("c", 979), ("new", 1)]);
        let (_, failures) = compare(&committed, &counted);
        assert_eq!(failures.len(), 4, "{failures:?}");
        assert!(!failures.iter().any(|failure| failure.starts_with("`a`")), "{failures:?}");
    }
}
