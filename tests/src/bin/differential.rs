//! `differential [--cases N] [--seed S] [--modes all|standard] [--world I]`: compares engine and Cedar on generated worlds.

use pdp_tests::engine::{Mode, all_modes, standard_modes};
use std::io::{IsTerminal, Write};
use std::process::ExitCode;
use std::sync::Mutex;
use std::time::Instant;

use pdp_tests::differential::{self, compare};
use pdp_tests::{Generator, Oracle};

/// Cases a run without `--cases` makes.
const CASES: u64 = 200_000;
/// The least share of cases that must reach each feature.
const SHARE_MIN: f64 = 0.001;
const USAGE: &str = "usage: differential [--cases N] [--seed S] [--modes all|standard] [--world I]";

fn main() -> ExitCode {
    let mut args = std::env::args().skip(1);
    let (mut cases, mut seed, mut world, mut modes) = (CASES, 1, None, all_modes());
    while let Some(flag) = args.next() {
        let value = args.next().unwrap_or_default();
        let number = value.replace('_', "").parse::<u64>().ok();
        match (flag.as_str(), number) {
            ("--modes", _) if value == "all" => modes = all_modes(),
            // The bundle that services run, and how they ask: many more cases in the same time.
            ("--modes", _) if value == "standard" => modes = standard_modes().to_vec(),
            ("--cases", Some(number)) => cases = number,
            ("--seed", Some(number)) => seed = number,
            ("--world", Some(number)) => world = Some(number),
            _ => {
                eprintln!("{USAGE}");
                return ExitCode::from(64);
            }
        }
    }
    match world {
        Some(index) => replay(seed, index),
        None => campaign(cases, seed, &modes),
    }
}

fn campaign(cases: u64, seed: u64, modes: &[Mode]) -> ExitCode {
    let (started, shown) = (Instant::now(), Mutex::new(Instant::now()));
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let progress = |done: u64| {
        let Ok(mut last) = shown.lock() else { return };
        if std::io::stderr().is_terminal() && last.elapsed().as_millis() > 200 {
            *last = Instant::now();
            let _ = write!(std::io::stderr(), "\rdifferential: {done} of {cases} cases");
        }
    };
    let report = differential::run(cases, seed, threads, modes, &progress);
    println!("{}", report.coverage);
    for finding in &report.findings {
        println!("MISMATCH {finding}\n");
    }
    let rare = report.coverage.check(SHARE_MIN).err().unwrap_or_default();
    for feature in &rare {
        println!("differential: TOO RARE {feature}");
    }
    let seconds = started.elapsed().as_secs_f64();
    println!(
        "differential: {} cases, each in {} modes, seed {seed}, {seconds:.0} s: {} mismatches, {} features too rare",
        report.coverage.cases(),
        modes.len(),
        report.mismatches,
        rare.len()
    );
    ExitCode::from(u8::from(report.mismatches > 0 || !rare.is_empty()))
}

/// Draws one world again and shows what each engine says.
fn replay(seed: u64, index: u64) -> ExitCode {
    let world = Generator::new(seed).world(index);
    println!("{}", world.to_json());
    let verdict = Oracle::start().judge(&world);
    let differences = compare(&world, &verdict, &all_modes());
    for difference in &differences {
        println!("request {} in {:?}\n{}", difference.request, difference.mode, difference.text);
    }
    println!("differential: seed {seed} world {index}: {} mismatches", differences.len());
    ExitCode::from(u8::from(!differences.is_empty()))
}
