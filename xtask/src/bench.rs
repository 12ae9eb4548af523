//! `bench`: decision time beside the reference, by criterion and as a table; with `--record`, a dated file of the table.
//!
//! Package `pdp-benches` is built by itself: built with the tests it would get their feature `faults`.

use std::fs;
use std::time::{SystemTime, UNIX_EPOCH};

use crate::step::{Step, workspace};
use crate::usage;

/// Runs what the flags leave.
pub(crate) fn run(args: &[&str]) -> Result<(), String> {
    if args.iter().any(|arg| !["--quick", "--record"].contains(arg)) {
        return Err(usage("bench"));
    }
    if !args.contains(&"--quick") {
        Step::cargo(["bench", "--locked", "--package", "pdp-benches", "--bench", "decide"])
            .run()?;
    }
    let date = today();
    let mut table = String::new();
    Step::cargo(["run", "--locked", "--quiet", "--release", "--package", "pdp-benches", "--bin"])
        .args(["compare", "--", date.as_str()])
        .run_reading(|line| {
            table.push_str(line);
            table.push('\n');
        })?;
    if args.contains(&"--record") {
        let file = format!("benches/record/{date}-decide.md");
        fs::write(workspace()?.join(&file), table)
            .map_err(|error| format!("cannot write `{file}`: {error}"))?;
        println!("\nxtask: wrote {file}");
    }
    Ok(())
}

/// Today's date, in UTC.
fn today() -> String {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    date_of(since.as_secs() / 86_400)
}

/// The date of a day, counted from 1970-01-01.
fn date_of(mut day: u64) -> String {
    let leap = |year: u64| {
        year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400))
    };
    let mut year = 1970;
    while day >= 365 + u64::from(leap(year)) {
        day -= 365 + u64::from(leap(year));
        year += 1;
    }
    let february = 28 + u64::from(leap(year));
    let mut month = 1;
    for days in [31, february, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31] {
        if day < days {
            break;
        }
        day -= days;
        month += 1;
    }
    format!("{year}-{month:02}-{:02}", day + 1)
}

#[cfg(test)]
mod tests {
    use super::date_of;

    #[test]
    fn days_become_dates() {
        assert_eq!(date_of(0), "1970-01-01");
        assert_eq!(date_of(59), "1970-03-01");
        assert_eq!(date_of(11_016), "2000-02-29");
        assert_eq!(date_of(20_453), "2025-12-31");
        assert_eq!(date_of(20_454), "2026-01-01");
    }
}
