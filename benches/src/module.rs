//! What a module costs a host: the same requests decided by the library and by modules under wasmtime, in turns.
//!
//! The library and the plain exports begin at the bytes of a request in JSON and end at the effect, and so does the
//! component's fast way; its typed way begins at records, beside the library that begins at a request. Instances come
//! from a pool and calls may be ended, as in a service. All answers are compared before anything is timed.

use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, Instant};

use pdp_core::json::Arena;
use pdp_core::{CompileOptions, DecideOptions, Scratch, Source};
use pdp_embed::decision::{self, Effect};
use pdp_embed::{
    Artefact, Exports, ExportsGuest, Guest, Limits, Runtime, Said, Typed, TypedGuest, read_artefact,
};

use crate::goals::{Goal, most};
use crate::measure::{Samples, in_words};
use crate::ours::{self, Ours};
use crate::record;
use crate::w1::W1;

const USAGE: &str = "usage: module [--quick]";
const TURNS: usize = 7;
/// Policies of W1.
const POLICIES: usize = 10_000;

/// What is asked of which bundle.
struct Work {
    name: &'static str,
    bundle: Vec<u8>,
    questions: Vec<String>,
}

/// Ways to an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Way {
    /// The library, from JSON.
    Library,
    /// The plain exports, from JSON.
    Plain,
    /// The component, from JSON.
    Bytes,
    /// The library, from a request.
    Request,
    /// The component, from records.
    Records,
}

/// Guests with the bundle loaded.
struct Guests {
    plain: ExportsGuest,
    typed: TypedGuest,
}

/// Runs the program.
pub fn main(args: &[String]) -> ExitCode {
    let turn = match args {
        [] => Duration::from_millis(700),
        [quick] if quick == "--quick" => Duration::from_millis(150),
        _ => {
            eprintln!("module: {USAGE}");
            return ExitCode::FAILURE;
        }
    };
    match compare(turn) {
        Ok(()) => ExitCode::SUCCESS,
        Err(text) => {
            eprintln!("module: {text}");
            ExitCode::FAILURE
        }
    }
}

fn compare(turn: Duration) -> Result<(), String> {
    let runtime = Runtime::new(Limits::STANDARD).map(Arc::new).map_err(said)?;
    let (module, component) =
        (read_artefact("pdp-exports.wasm")?, read_artefact("pdp-component.wasm")?);
    let begun = Instant::now();
    let plain = Exports::compile(&runtime, &module).map_err(said)?;
    let compiled = begun.elapsed();
    let typed = Typed::compile(&runtime, &component).map_err(said)?;
    println!(
        "compiling the module takes {compiled:.1?}, the component {:.1?}",
        begun.elapsed() - compiled
    );
    println!("\n| bundle | way | a decision | of the library |\n|---|---|---|---|");
    let (mut goals, mut loads) = (Vec::new(), String::new());
    for work in [agents()?, w1()?] {
        let mut guests = Guests {
            plain: plain.instantiate().map_err(said)?,
            typed: typed.instantiate().map_err(said)?,
        };
        let before = guests.plain.memory_bytes();
        let begun = Instant::now();
        guests.plain.load(&work.bundle).map_err(said)??;
        let loaded = begun.elapsed();
        guests.typed.load(&work.bundle).map_err(said)??;
        let ours = Ours::load(&work.bundle)?;
        let medians = measured(&work, ours, &mut guests, turn)?;
        for (way, median) in Way::ALL.into_iter().zip(medians) {
            let beside = Way::ALL.iter().position(|one| *one == way.beside());
            let beside = beside.and_then(|at| medians.get(at)).copied().unwrap_or(f64::NAN);
            println!(
                "| {} | {} | {} | {:.2} |",
                work.name,
                way.name(),
                in_words(median),
                median / beside
            );
        }
        let [library, plain, bytes, ..] = medians;
        judge(&mut goals, work.name, plain / library, (bytes - library) / 1_000.0);
        loads.push_str(&format!(
            "\n{}: a bundle of {} KB takes {loaded:.1?} to load, and memory grows by {} KB (from {} KB).",
            work.name,
            work.bundle.len() / 1_000,
            (guests.plain.memory_bytes() - before) / 1_000,
            before / 1_000
        ));
    }
    println!("{loads}\n\n{}", record::table_of(&goals));
    Ok(())
}

fn judge(goals: &mut Vec<Goal>, name: &str, ratio: f64, more_us: f64) {
    let row = |value| vec![(value, name.to_owned())];
    goals.push(most("plain exports, of the library", 1.6, "×", row(ratio)));
    goals.push(most("component from bytes, more than the library", 0.5, "µs", row(more_us)));
}

/// The medians, after all answers were compared.
fn measured(
    work: &Work,
    mut ours: Ours,
    guests: &mut Guests,
    turn: Duration,
) -> Result<[f64; 5], String> {
    let arena = Arena::new();
    let mut requests = Vec::new();
    for question in &work.questions {
        requests.push(ours.read(question, &arena)?);
    }
    let records: Vec<decision::Request> = requests.iter().map(decision::Request::from).collect();
    let mut scratch = Scratch::new();
    for ((request, record), question) in requests.iter().zip(&records).zip(&work.questions) {
        let answer = ours.decider().decide_with(&mut scratch, request, &DecideOptions::STANDARD);
        let expected = answer.is_allowed();
        let bytes = question.as_bytes();
        let plain = guests.plain.authorize(bytes).map_err(said)? == Said::Allow;
        let fast = guests.typed.authorize_bytes(bytes).map_err(said)? == Effect::Allow;
        let typed = guests.typed.authorize(record).map_err(said)?;
        let same = typed.reason == answer.reason().as_str()
            && typed.policies.iter().map(String::as_str).eq(answer.policies());
        if [plain, fast, typed.effect == Effect::Allow] != [expected; 3] || !same {
            return Err(format!(
                "the module answers {typed:?}, the library {answer:?}: {question}"
            ));
        }
    }
    println!("| {} | {} answers are the library's, in each way | | |", work.name, requests.len());
    let mut samples: [Samples; 5] = std::array::from_fn(|_| Samples::default());
    let mut own = Arena::new();
    for round in 0..TURNS {
        for (way, samples) in Way::ALL.into_iter().zip(&mut samples) {
            let from = round * 31;
            let question = |at: usize| work.questions.get(at).map_or("", String::as_str);
            samples.take(requests.len(), from, turn, |at| match way {
                Way::Library => ours.decide_json(question(at), &mut own),
                Way::Plain => usize::from(
                    guests
                        .plain
                        .authorize(question(at).as_bytes())
                        .is_ok_and(|said| said == Said::Allow),
                ),
                Way::Bytes => {
                    let effect = guests.typed.authorize_bytes(question(at).as_bytes());
                    usize::from(effect.is_ok_and(|effect| effect == Effect::Allow))
                }
                Way::Request => requests
                    .get(at)
                    .map_or(0, |request| ours.decide(request, &DecideOptions::STANDARD)),
                Way::Records => {
                    let answer =
                        records.get(at).and_then(|record| guests.typed.authorize(record).ok());
                    answer.map_or(0, |answer| answer.policies.len())
                }
            });
        }
    }
    Ok(samples.map(|samples| samples.quantile(0.5)))
}

fn agents() -> Result<Work, String> {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../policies/agent-tools");
    let options = CompileOptions { keep_source: false, ..CompileOptions::STANDARD };
    let bundle = Source::folder(folder.as_ref())
        .and_then(|source| pdp_core::compile(&source, &options))
        .map_err(|report| report.to_string())?;
    let ours = Ours::load(&bundle)?;
    let cases = ours.bundle().map(|bundle| bundle.cases()).unwrap_or_default();
    let questions = cases.iter().map(|case| case.request_json.clone()).collect();
    Ok(Work { name: "agent-tools", bundle, questions })
}

fn w1() -> Result<Work, String> {
    let workload = W1::new(POLICIES).workload();
    let bundle = ours::build(&workload)?.bytes;
    Ok(Work { name: "W1, 10,000 policies", bundle, questions: workload.questions })
}

fn said(error: impl std::fmt::Display) -> String {
    error.to_string()
}

// === impl Way ===

impl Way {
    const ALL: [Self; 5] = [Self::Library, Self::Plain, Self::Bytes, Self::Request, Self::Records];

    fn name(self) -> &'static str {
        match self {
            Way::Library => "library, from JSON",
            Way::Plain => "plain exports, from JSON",
            Way::Bytes => "component, from JSON",
            Way::Request => "library, from a request",
            Way::Records => "component, from records",
        }
    }

    /// What it is measured beside.
    fn beside(self) -> Self {
        match self {
            Way::Library | Way::Plain | Way::Bytes => Way::Library,
            Way::Request | Way::Records => Way::Request,
        }
    }
}
