//! `bench`: every workload family with every engine in one run, into `target/bench/`; with `--record`, a dated folder.
//!
//! Package `pdp-benches` is built by itself: built with the tests it would get their feature `faults`. The applications
//! of the public Cedar test data are measured where their archives lie beside the clone, in `../shared/data/cedar`, or
//! where `CEDAR_DATA` says; they are not ours to commit.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use crate::step::{Step, workspace};
use crate::usage;

/// Where a run writes.
const OUT: &str = "target/bench";

/// Runs what the flags leave.
pub(crate) fn run(args: &[&str]) -> Result<(), String> {
    let (mut quick, mut record, mut passed) = (false, false, Vec::new());
    let mut rest = args.iter();
    while let Some(arg) = rest.next() {
        match *arg {
            "--quick" => quick = true,
            "--record" => record = true,
            "--million" => passed.push("--million".to_owned()),
            "--only" => {
                let only = rest.next().ok_or_else(|| usage("bench"))?;
                passed.extend(["--only".to_owned(), (*only).to_owned()]);
            }
            _ => return Err(usage("bench")),
        }
    }
    let date = today();
    let out = workspace()?.join(OUT);
    // What an earlier run measured must not stand beside what this one did.
    if out.exists() {
        fs::remove_dir_all(&out).map_err(|error| format!("cannot empty `{OUT}`: {error}"))?;
    }
    passed.extend(["--date", &date, "--out", OUT].map(str::to_owned));
    if quick {
        passed.push("--quick".to_owned());
    }
    match data()? {
        Some(data) => passed.extend(["--data".to_owned(), data.display().to_string()]),
        None => println!(
            "xtask: no applications: there are no archives in ../shared/data/cedar or CEDAR_DATA"
        ),
    }
    Step::cargo(["run", "--locked", "--quiet", "--release", "--package", "pdp-benches", "--bin"])
        .args(["compare".to_owned(), "--".to_owned()])
        .args(passed)
        .run()?;
    println!("\nxtask: wrote {OUT}");
    if record {
        let folder = format!("benches/record/{date}");
        copy(&out, &workspace()?.join(&folder))
            .map_err(|error| format!("cannot write `{folder}`: {error}"))?;
        println!("xtask: wrote {folder}");
    }
    Ok(())
}

/// Copies the files of a folder; there are no folders in it.
fn copy(from: &Path, to: &Path) -> std::io::Result<()> {
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        fs::copy(entry.path(), to.join(entry.file_name()))?;
    }
    Ok(())
}

/// The folder with the archives of applications, if there is one.
fn data() -> Result<Option<PathBuf>, String> {
    let folder = match std::env::var_os("CEDAR_DATA") {
        Some(named) => PathBuf::from(named),
        None => workspace()?.join("../shared/data/cedar"),
    };
    Ok(folder.join("benchmark-apps.tar.gz").is_file().then_some(folder))
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
