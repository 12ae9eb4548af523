//! `proof conformance DIR` and `proof differential N`: public Cedar cases and generated ones, through the plain exports.
//!
//! Each request is asked of the module in wasmtime and of the same desk as the host's compiler makes it. The two must
//! answer alike, to the byte; and where a case asks as services do, the answer must be Cedar's, too.

use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Instant;

use pdp_embed::{Artefact, Exports, ExportsGuest, Guest, Limits, Runtime, Said, read_artefact};
use pdp_tests::conformance;
use pdp_tests::differential::{self, Plan};
use pdp_tests::engine::standard_modes;
use pdp_tests::generate::REQUESTS_PER_WORLD;
use pdp_tests::oracle::STACK_BYTES;
use pdp_tests::outside::Outside;
use pdp_wasm::desk::Desk;
use pdp_wasm::shape;

const USAGE: &str = "usage: proof conformance DIR | proof differential CASES [SEED]";
/// Nobody is ended here: this is about answers.
const LIMITS: Limits =
    Limits { call_epochs_max: 60_000, load_epochs_max: 60_000, ..Limits::STANDARD };
/// Failures that are shown; the rest is counted.
const SHOWN: usize = 20;

/// The module and its double.
struct Pair {
    guest: ExportsGuest,
    desk: Desk,
    asked: u64,
    allowed: u64,
}

// === impl Pair ===

impl Pair {
    fn new() -> Result<Self, String> {
        let ended = |error: wasmtime::Error| format!("{error:#}");
        let runtime = Arc::new(Runtime::new(LIMITS).map_err(ended)?);
        let exports = Exports::compile(&runtime, &read_artefact("pdp-exports.wasm")?);
        let guest = exports.and_then(|exports| exports.instantiate()).map_err(ended)?;
        Ok(Self { guest, desk: Desk::new(), asked: 0, allowed: 0 })
    }
}

impl Outside for Pair {
    fn load(&mut self, bundle: &[u8]) -> Result<(), String> {
        self.desk.load(bundle)?;
        self.guest.load(bundle).map_err(|error| format!("{error:#}"))?
    }

    fn answer(&mut self, request: &str) -> Result<String, String> {
        let ended = |error: wasmtime::Error| format!("the call ended: {error:#}");
        let fast = self.guest.authorize(request.as_bytes()).map_err(ended)?;
        let (said, answer) = self.guest.answer(request.as_bytes()).map_err(ended)?;
        let native = self.desk.answer(request.as_bytes());
        let native = shape::answer(&native.unwrap_or_else(|why| self.desk.refused(why)));
        self.asked += 1;
        self.allowed += u64::from(said == Said::Allow);
        if fast != said || (said == Said::Allow) != answer.starts_with("{\"decision\":\"allow\"") {
            return Err(format!("the module says {fast:?}, {said:?} and {answer}"));
        }
        if answer.as_bytes() != native {
            let native = String::from_utf8_lossy(&native);
            return Err(format!("the module says {answer}, its double {native}"));
        }
        Ok(answer)
    }
}

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    let number = |text: &str| text.replace('_', "").parse::<u64>().ok();
    let plan = |cases, seed| Plan {
        cases,
        seed,
        requests: REQUESTS_PER_WORLD,
        modes: standard_modes().to_vec(),
    };
    let result = match *args.as_slice() {
        ["conformance", folder] => on_a_large_stack(|pair| conformance(Path::new(folder), pair)),
        ["differential", cases] => match number(cases) {
            Some(cases) => on_a_large_stack(|pair| differential(&plan(cases, 1), pair)),
            None => Err(USAGE.to_owned()),
        },
        ["differential", cases, seed] => match (number(cases), number(seed)) {
            (Some(cases), Some(seed)) => {
                on_a_large_stack(|pair| differential(&plan(cases, seed), pair))
            }
            _ => Err(USAGE.to_owned()),
        },
        _ => Err(USAGE.to_owned()),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("proof: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Cedar recurses as deep as policies nest.
fn on_a_large_stack(
    work: impl FnOnce(&mut Pair) -> Result<(), String> + Send,
) -> Result<(), String> {
    std::thread::scope(|scope| {
        let thread = std::thread::Builder::new()
            .stack_size(STACK_BYTES)
            .spawn_scoped(scope, || work(&mut Pair::new()?))
            .map_err(|error| format!("no thread for the proof: {error}"))?;
        thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    })
}

fn conformance(folder: &Path, pair: &mut Pair) -> Result<(), String> {
    let summary = conformance::run_beside(folder, None, Some(&mut *pair))?;
    for (name, cases, requests) in &summary.suites {
        println!("wasm conformance: {name}: {cases} cases, {requests} requests");
    }
    judge("wasm conformance", pair, &summary.failures)
}

fn differential(plan: &Plan, pair: &mut Pair) -> Result<(), String> {
    let begun = Instant::now();
    let (cases, failures) = differential::run_outside(plan, &mut *pair);
    let seconds = begun.elapsed().as_secs();
    println!("wasm differential: {cases} cases, seed {}, {seconds} s", plan.seed);
    judge("wasm differential", pair, &failures)
}

fn judge(what: &str, pair: &Pair, failures: &[String]) -> Result<(), String> {
    for failure in failures.iter().take(SHOWN) {
        println!("{what}: WRONG {failure}");
    }
    let (asked, allowed, wrong) = (pair.asked, pair.allowed, failures.len());
    println!(
        "{what}: {asked} requests through the plain exports, {allowed} allowed: {wrong} wrong"
    );
    match (asked, wrong) {
        (0, _) => Err("no request was asked".to_owned()),
        (_, 0) => Ok(()),
        (_, wrong) => Err(format!("{wrong} answers are wrong")),
    }
}
