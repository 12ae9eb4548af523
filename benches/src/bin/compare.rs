//! `compare [--quick] [--million] [--only FAMILY,…] [--date DATE] [--data DIR] [--out DIR]`: every engine on every family, in one run.
//!
//! `--million` adds W1 with 1,000,000 policies, for which the reference alone wants minutes and gigabytes; `--data`
//! names the folder with the archives of public applications. Progress goes to standard error, the readable table to standard output; `--out` names a folder that gets
//! `results.json`, the table as `README.md` and the plots. Fails when two engines differ in an answer. What is not
//! measured in a run is said in its record.

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use pdp_benches::counting::Counting;
use pdp_benches::families::FAMILIES;
use pdp_benches::measure::{Samples, in_words};
use pdp_benches::plot;
use pdp_benches::record::{markdown, what};
use pdp_benches::results::Results;
use pdp_benches::run::{OURS, Plan, REFERENCE, measure, memory};
use pdp_benches::w1::W1;
use pdp_benches::workload::Workload;
use pdp_benches::{apps, filter, threads, upserts};

#[global_allocator]
static ALLOCATOR: Counting = Counting;

const USAGE: &str =
    "usage: compare [--quick] [--million] [--only FAMILY,…] [--date DATE] [--data DIR] [--out DIR]";

/// What the command line says.
#[derive(Debug, Default)]
struct Arguments {
    quick: bool,
    million: bool,
    only: Vec<String>,
    data: Option<PathBuf>,
    date: String,
    out: Option<PathBuf>,
}

fn main() -> ExitCode {
    match arguments().and_then(|arguments| run(&arguments)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("compare: {error}");
            ExitCode::FAILURE
        }
    }
}

fn arguments() -> Result<Arguments, String> {
    let (mut arguments, mut rest) = (Arguments::default(), std::env::args().skip(1));
    while let Some(flag) = rest.next() {
        let mut value = || rest.next().ok_or_else(|| format!("`{flag}` wants a value; {USAGE}"));
        match flag.as_str() {
            "--quick" => arguments.quick = true,
            "--million" => arguments.million = true,
            "--data" => arguments.data = Some(value()?.into()),
            "--only" => arguments.only = value()?.split(',').map(str::to_owned).collect(),
            "--date" => arguments.date = value()?,
            "--out" => arguments.out = Some(value()?.into()),
            _ => return Err(format!("`{flag}` is not known; {USAGE}")),
        }
    }
    let known = |only: &&String| only_special(only) || FAMILIES.iter().any(|f| f.name == **only);
    match arguments.only.iter().find(|only| !known(only)) {
        Some(name) => {
            let names: Vec<&str> = FAMILIES.iter().map(|family| family.name).collect();
            Err(format!(
                "there is no family `{name}`; there are {}, apps, threads, upserts",
                names.join(", ")
            ))
        }
        None => Ok(arguments),
    }
}

/// What `--only` may name beside families.
fn only_special(name: &str) -> bool {
    ["apps", "threads", "upserts"].contains(&name)
}

fn run(arguments: &Arguments) -> Result<(), String> {
    let plan = if arguments.quick { Plan::QUICK } else { Plan::FULL };
    let begun = Instant::now();
    let mut results = Results {
        date: arguments.date.clone(),
        machine: machine(),
        quick: arguments.quick,
        empty: Samples::empty(Duration::from_millis(300)).quantiles(),
        ..Results::default()
    };
    let wanted =
        |name: &str| arguments.only.is_empty() || arguments.only.iter().any(|only| only == name);
    let mut failures: Vec<String> = Vec::new();
    let mut one = |workload: &Workload| {
        let (family, size) = (workload.family.as_str(), workload.size);
        eprint!("compare: {:>4} s  {family} {size}", begun.elapsed().as_secs());
        // What was measured before is not lost over one workload; the run fails at its end.
        if let Err(error) = measure(workload, &plan, &mut results) {
            eprintln!(": FAILED: {error}");
            failures.push(format!("{family} {size} is not measured: {error}"));
            return;
        }
        let said = |engine| results.p50(family, size, engine).map_or_else(String::new, in_words);
        eprintln!(": {} beside {}", said(OURS), said(REFERENCE));
    };
    for family in FAMILIES.iter().filter(|family| wanted(family.name)) {
        for size in if plan.quick { family.quick } else { family.sizes } {
            one(&(family.make)(*size));
        }
        if arguments.million && family.name == "w1" {
            one(&(family.make)(1_000_000));
        }
    }
    match &arguments.data {
        Some(data) if wanted("apps") => {
            let unpacked = std::env::temp_dir().join(format!("pdp-bench-{}", std::process::id()));
            let workloads = apps::workloads(data, &unpacked);
            let removed = std::fs::remove_dir_all(&unpacked);
            let workloads = workloads?;
            removed.map_err(|error| format!("cannot remove `{}`: {error}", unpacked.display()))?;
            for workload in &workloads {
                if !plan.quick || workload.family.starts_with("app-") {
                    one(workload);
                }
            }
        }
        _ => results.notes.push("applications and sets of others: no data was given".to_owned()),
    }
    if wanted("threads") {
        let size = if plan.quick { 10_000 } else { 100_000 };
        eprintln!("compare: {:>4} s  threads and memory, w1 {size}", begun.elapsed().as_secs());
        let workload = W1::new(size).workload();
        results.threads = threads::measure(&workload, plan.turns, plan.turn * 4)?;
        results.rates = filter::measure(&W1::new(10_000).workload(), plan.turns, plan.turn * 4)?;
        results.memory.push(memory(&workload)?);
    }
    if wanted("upserts") {
        let size = if plan.quick { 100_000 } else { 1_000_000 };
        eprintln!("compare: {:>4} s  upserts, {size} entities", begun.elapsed().as_secs());
        results.changes = upserts::measure(size)?;
    }
    results.failures = failures;
    let table = markdown(&results);
    println!("{table}");
    if let Some(out) = &arguments.out {
        write(out, "results.json", &format!("{:#}\n", results.to_json()))?;
        write(out, "README.md", &table)?;
        write(out, "overview.svg", &plot::overview(&results))?;
        for family in results.families() {
            if results.sizes(family).len() > 1 {
                let (what, axis) = what(family);
                let picture = plot::family(&results, family, what, axis);
                write(out, &format!("{family}.svg"), &picture)?;
            }
        }
    }
    eprintln!("compare: done in {} s", begun.elapsed().as_secs());
    match results.failures.is_empty() {
        true => Ok(()),
        false => Err(results.failures.join("; ")),
    }
}

fn write(folder: &std::path::Path, name: &str, text: &str) -> Result<(), String> {
    let file = folder.join(name);
    std::fs::create_dir_all(folder)
        .and_then(|()| std::fs::write(&file, text))
        .map_err(|error| format!("cannot write `{}`: {error}", file.display()))
}

/// What the figures were taken on.
fn machine() -> String {
    let cores = std::thread::available_parallelism().map_or(0, usize::from);
    let model = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = model
        .lines()
        .find_map(|line| line.strip_prefix("model name")?.split_once(':'))
        .map_or("an unknown processor", |(_, model)| model.trim());
    let load = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    let load = load.split(' ').next().unwrap_or("unknown");
    format!(
        "{cores} cores of {model}, load {load} when it began; shared, so trust the ratios and not the times."
    )
}
