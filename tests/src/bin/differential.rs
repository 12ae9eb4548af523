//! `differential [--cases N] [--seed S] [--requests N] [--modes all|standard] [--world I]`: compares engine and Cedar on generated worlds.

use pdp_tests::engine::{all_modes, standard_modes};
use std::io::{IsTerminal, Write};
use std::process::ExitCode;
use std::sync::Mutex;
use std::time::Instant;

use pdp_tests::differential::{self, Plan, compare};
use pdp_tests::generate::REQUESTS_PER_WORLD;
use pdp_tests::{Generator, Oracle};

/// Cases a run without `--cases` makes.
const CASES: u64 = 200_000;
/// The least share of cases that must reach each feature.
const SHARE_MIN: f64 = 0.001;
const USAGE: &str =
    "usage: differential [--cases N] [--seed S] [--requests N] [--modes all|standard] [--world I]";

fn main() -> ExitCode {
    let mut plan = Plan { cases: CASES, seed: 1, requests: REQUESTS_PER_WORLD, modes: all_modes() };
    let (mut args, mut world) = (std::env::args().skip(1), None);
    while let Some(flag) = args.next() {
        let value = args.next().unwrap_or_default();
        let number = value.replace('_', "").parse::<u64>().ok();
        match (flag.as_str(), number, value.as_str()) {
            ("--cases", Some(number), _) => plan.cases = number,
            ("--seed", Some(number), _) => plan.seed = number,
            // More requests of each world: many more cases in the same time.
            ("--requests", Some(number @ 1..=10_000), _) => plan.requests = number as usize,
            ("--modes", _, "all") => plan.modes = all_modes(),
            // Only the bundle that services run, and how they ask.
            ("--modes", _, "standard") => plan.modes = standard_modes().to_vec(),
            ("--world", Some(number), _) => world = Some(number),
            _ => {
                eprintln!("{USAGE}");
                return ExitCode::from(64);
            }
        }
    }
    match world {
        Some(index) => replay(&plan, index),
        None => campaign(&plan),
    }
}

fn campaign(plan: &Plan) -> ExitCode {
    let (started, shown) = (Instant::now(), Mutex::new(Instant::now()));
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let cases = plan.cases;
    let progress = |done: u64| {
        let Ok(mut last) = shown.lock() else { return };
        if std::io::stderr().is_terminal() && last.elapsed().as_millis() > 200 {
            *last = Instant::now();
            let _ = write!(std::io::stderr(), "\rdifferential: {done} of {cases} cases");
        }
    };
    let report = differential::run(plan, threads, &progress);
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
        "differential: {} cases, each in {} modes, seed {}, {seconds:.0} s: {} mismatches, {} features too rare",
        report.coverage.cases(),
        plan.modes.len(),
        plan.seed,
        report.mismatches,
        rare.len()
    );
    ExitCode::from(u8::from(report.mismatches > 0 || !rare.is_empty()))
}

/// Draws one world again and shows what each engine says.
fn replay(plan: &Plan, index: u64) -> ExitCode {
    let world = Generator::new(plan.seed).with_requests(plan.requests).world(index);
    println!("{}", world.to_json());
    let verdict = Oracle::start().judge(&world);
    let differences = compare(&world, &verdict, &plan.modes);
    for difference in &differences {
        println!("request {} in {:?}\n{}", difference.request, difference.mode, difference.text);
    }
    println!("differential: seed {} world {index}: {} mismatches", plan.seed, differences.len());
    ExitCode::from(u8::from(!differences.is_empty()))
}
