//! `compare [DATE]`: the comparison of the benchmark `decide` in under a minute, as a table for `benches/record/`.
//!
//! Writes Markdown to standard output and what it is doing to standard error. Fails when the engines differ in an answer,
//! or when ours is not at least 500 times faster at 10,000 policies.

use std::process::ExitCode;
use std::time::Duration;

use pdp_benches::engines::{Mix, Ours, Reference, UNVALIDATED, VALIDATED, check};
use pdp_benches::measure::{Samples, in_words};
use pdp_benches::w1::W1;
use pdp_core::Request;

const SIZES: [usize; 4] = [10, 100, 1_000, 10_000];
const ALONE: usize = 100_000;
const BYSTANDERS: [usize; 4] = [0, 1_000, 10_000, 100_000];
/// The goal at 10,000 policies.
const RATIO_MIN: f64 = 500.0;
/// Turns of each engine at each size.
const TURNS: u32 = 5;
const TURN: Duration = Duration::from_millis(150);

/// Times of one size.
#[derive(Debug, Default)]
struct Row {
    matching: f64,
    validated: Samples,
    unvalidated: Samples,
    reference: Option<(Samples, Samples, Mix)>,
}

fn main() -> ExitCode {
    let date = std::env::args().nth(1).unwrap_or("undated".to_owned());
    match run(&date) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => {
            eprintln!("compare: at 10,000 policies we are less than {RATIO_MIN} times faster");
            ExitCode::FAILURE
        }
        Err(error) => {
            eprintln!("compare: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(date: &str) -> Result<bool, String> {
    println!("# {date}: one decision of W1, beside `cedar-policy` 4.14.1\n");
    println!("{}\n", machine());
    println!(
        "| policies | in scope | allow / forbidden / not permitted | `cedar-policy` p50 | its perfect slice p50 | ours p50 | ours p99 | not validated p50 | ratio | ratio to the slice |"
    );
    println!("|---|---|---|---|---|---|---|---|---|---|");
    let mut reached = true;
    for size in SIZES {
        eprintln!("compare: {size} policies");
        let row = measure(&W1::new(size), true)?;
        let ratio = print(size, &row);
        reached &= size != 10_000 || ratio >= RATIO_MIN;
    }
    eprintln!("compare: {ALONE} policies, our engine alone");
    print(ALONE, &measure(&W1::new(ALONE), false)?);
    println!("\n| policies that cannot match, beside 100 | ours p50 | ours p99 | to none |");
    println!("|---|---|---|---|");
    let mut first = None;
    for bystanders in BYSTANDERS {
        eprintln!("compare: {bystanders} policies that cannot match");
        let row = measure(&W1::crowded(100, bystanders), false)?;
        let (p50, p99) = (row.validated.quantile(0.5), row.validated.quantile(0.99));
        let growth = p50 / *first.get_or_insert(p50);
        println!("| {bystanders} | {} | {} | {growth:.2} |", in_words(p50), in_words(p99));
    }
    Ok(reached)
}

fn measure(workload: &W1, with_reference: bool) -> Result<Row, String> {
    let mut row = Row { matching: workload.matching_mean(), ..Row::default() };
    let mut ours = Ours::new(workload)?;
    let reference = match with_reference {
        true => {
            let reference = Reference::new(workload)?;
            let mix = check(workload, &mut ours, &reference)?;
            row.reference = Some((Samples::default(), Samples::default(), mix));
            Some(reference)
        }
        false => None,
    };
    let contexts: Vec<_> = workload.questions.iter().map(|question| question.context()).collect();
    let requests: Vec<Request<'_>> = workload
        .questions
        .iter()
        .zip(&contexts)
        .map(|(question, context)| question.request(context))
        .collect();
    let len = requests.len();
    for _ in 0..TURNS {
        for (samples, options) in
            [(&mut row.validated, VALIDATED), (&mut row.unvalidated, UNVALIDATED)]
        {
            samples.take(len, TURN, |at| {
                requests.get(at).map_or(0, |request| ours.decide(request, &options))
            });
        }
        if let (Some(reference), Some((whole, sliced, _))) = (&reference, &mut row.reference) {
            sliced.take(len, TURN, |at| reference.decide_over_slice(at));
            whole.take(len, TURN, |at| reference.decide(at));
        }
    }
    Ok(row)
}

/// Prints a row and gives the ratio of the medians, as services run it: with validation.
fn print(size: usize, row: &Row) -> f64 {
    let [p50, p99] = [0.5, 0.99].map(|share| row.validated.quantile(share));
    let unvalidated = row.unvalidated.quantile(0.5);
    let ours = format!("{} | {} | {}", in_words(p50), in_words(p99), in_words(unvalidated));
    let matching = row.matching;
    match &row.reference {
        Some((whole, sliced, mix)) => {
            let (whole, sliced) = (whole.quantile(0.5), sliced.quantile(0.5));
            let Mix { allowed, forbidden, not_permitted } = mix;
            println!(
                "| {size} | {matching:.1} | {allowed} / {forbidden} / {not_permitted} | {} | {} | {ours} | {:.0} | {:.1} |",
                in_words(whole),
                in_words(sliced),
                whole / p50,
                sliced / p50,
            );
            whole / p50
        }
        None => {
            println!("| {size} | {matching:.1} | – | – | – | {ours} | – | – |");
            0.0
        }
    }
}

/// What the figures were taken on.
fn machine() -> String {
    let cores = std::thread::available_parallelism().map_or(0, usize::from);
    let model = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = model
        .lines()
        .find_map(|line| line.strip_prefix("model name")?.split_once(':'))
        .map_or("an unknown processor", |(_, model)| model.trim());
    format!("{cores} cores of {model}; shared, so trust the ratios and not the times.")
}
