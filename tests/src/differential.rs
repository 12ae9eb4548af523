//! The differential test: the engine in every mode against Cedar, on worlds drawn from a seed.
//!
//! Decision, determining policies and erroring policies must be the same, as sets; what one refuses the other must
//! refuse. A finding is shrunk and printed as one JSON object that `pdp answer` takes as well.

use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;

use pdp_core::{Loose, Notation};
use serde_json::{Value, json};

use crate::engine::{Came, Engine, LIVE, MODES, Mode, all_modes};
use crate::history::History;
use crate::impossible::impossible;
use crate::oracle::{Judge, Outcome, STACK_BYTES, Verdict};
use crate::outside::{self, Outside};
use crate::world::{Request, World};
use crate::{Coverage, Generator, shrink};

/// How many findings are shrunk and shown; the rest is counted.
const FINDINGS_SHOWN: usize = 3;
/// Worlds handed to a thread at once: worlds that follow each other share what they are drawn from.
const BATCH_WORLDS: u64 = 64;

/// What a campaign compares.
#[derive(Clone, Debug)]
pub struct Plan {
    /// How many cases, at least.
    pub cases: u64,
    /// What worlds are drawn from.
    pub seed: u64,
    /// Requests of each world.
    pub requests: usize,
    /// How the engine is asked.
    pub modes: Vec<Mode>,
}

/// What a campaign found.
#[derive(Debug, Default)]
pub struct Report {
    /// What the cases reached.
    pub coverage: Coverage,
    /// Cases whose answers differ.
    pub mismatches: u64,
    /// The first findings, shrunk.
    pub findings: Vec<String>,
}

/// A difference between engine and Cedar.
#[derive(Debug)]
pub struct Difference {
    /// Position of the request in its world.
    pub request: usize,
    /// The mode of the engine.
    pub mode: Mode,
    /// What each said.
    pub text: String,
}

/// Compares what a plan asks for, on `threads` threads. `progress` is told the cases done so far.
pub fn run(plan: &Plan, threads: usize, progress: &(impl Fn(u64) + Sync)) -> Report {
    let Plan { cases, seed, requests, ref modes } = *plan;
    let (next, done) = (AtomicU64::new(0), AtomicU64::new(0));
    let campaign = || {
        let (mut judge, mut generator) =
            (Judge::default(), Generator::new(seed).with_requests(requests));
        let mut report = Report { coverage: Coverage::new(), ..Report::default() };
        while done.load(Ordering::Relaxed) < cases {
            let first = next.fetch_add(BATCH_WORLDS, Ordering::Relaxed);
            for index in first..first + BATCH_WORLDS {
                let world = generator.world(index);
                let verdict = judge.judge(&world);
                report.coverage.observe(&mut judge, &world, &verdict);
                let differences = compare(&world, &verdict, modes);
                report.mismatches += differences.len() as u64;
                if !differences.is_empty() && report.findings.len() < FINDINGS_SHOWN {
                    report.findings.push(finding(&mut judge, seed, index, world.clone()));
                }
                done.fetch_add(world.requests.len() as u64, Ordering::Relaxed);
            }
            progress(done.load(Ordering::Relaxed));
        }
        report
    };
    let mut whole = Report { coverage: Coverage::new(), ..Report::default() };
    thread::scope(|scope| {
        let workers: Vec<_> = (0..threads)
            .map(|_| {
                // The reference recurses as deep as policies nest, and answers wrongly where its stack ends.
                let worker =
                    thread::Builder::new().stack_size(STACK_BYTES).spawn_scoped(scope, campaign);
                worker
                    .unwrap_or_else(|why| impossible(&format!("no thread for the campaign: {why}")))
            })
            .collect();
        for worker in workers {
            let report = worker.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
            whole.coverage.merge(&report.coverage);
            whole.mismatches += report.mismatches;
            whole.findings.extend(report.findings);
        }
    });
    whole.findings.truncate(FINDINGS_SHOWN);
    whole
}

/// Compares what a plan asks for through an engine outside of this process's code, on this thread. Gives how many cases
/// were asked, and a sentence for each difference. The thread needs a stack of [`STACK_BYTES`].
pub fn run_outside(plan: &Plan, outside: &mut dyn Outside) -> (u64, Vec<String>) {
    let mut judge = Judge::default();
    let mut generator = Generator::new(plan.seed).with_requests(plan.requests);
    let (mut done, mut failures) = (0, Vec::new());
    for index in 0.. {
        if done >= plan.cases {
            break;
        }
        let world = generator.world(index);
        if let Verdict::Judged { outcomes, .. } = judge.judge(&world) {
            let asked = world.requests.iter().zip(&outcomes).map(|(request, outcome)| {
                let comparable = request.validate || world.schema.is_none();
                let expected = comparable.then(|| expected(outcome));
                (self::asked(request).to_string(), expected)
            });
            let entities = world.entities_json().to_string();
            let found =
                with_entities(&world, &entities, |texts| outside::compare(outside, texts, asked));
            let seed = plan.seed;
            failures.extend(found.iter().map(|why| format!("seed {seed} world {index}: {why}")));
            done += world.requests.len() as u64;
        }
    }
    (done, failures)
}

/// The differences between Cedar's verdict on a world and the engine's in these modes, the first of each request.
pub fn compare(world: &World, verdict: &Verdict, modes: &[Mode]) -> Vec<Difference> {
    let (validates, outcomes) = match verdict {
        Verdict::Judged { validates, outcomes } => (*validates, outcomes),
        // Counted by the coverage; a generator that draws many of them fails the campaign.
        Verdict::WorldRefused(_) => return Vec::new(),
    };
    let whole = |text: String| vec![Difference { request: 0, mode: MODES[0], text }];
    let mut engine = match compile(world, modes) {
        Ok(engine) => engine,
        Err(error) => return whole(format!("Cedar takes the world, the engine does not: {error}")),
    };
    if modes.iter().any(|mode| mode.variant == LIVE) {
        let history = History::of(world);
        let before = Value::Array(history.before).to_string();
        let changed = with_entities(world, &before, |texts| engine.live(texts, &history.changes));
        if let Err(error) = changed {
            return whole(format!("the entities of the world cannot come to be: {error}"));
        }
    }
    if world.schema.is_some() && engine.validates != validates {
        return whole(format!("validates: Cedar {validates}, the engine {}", engine.validates));
    }
    let mut found = Vec::new();
    for (at, (request, outcome)) in world.requests.iter().zip(outcomes).enumerate() {
        let text = asked(request).to_string();
        let by_schema = request.validate && world.schema.is_some();
        let expected = expected(outcome);
        let first = modes.iter().copied().find_map(|mode| {
            let came = engine.ask(mode, &text, by_schema, request.validate);
            (!came.agrees_with(&expected)).then(|| Difference {
                request: at,
                mode,
                text: format!("Cedar: {outcome:?}\nengine: {came:?}"),
            })
        });
        found.extend(first);
    }
    found
}

fn expected(outcome: &Outcome) -> Came {
    match outcome {
        Outcome::Refused(why) => Came::Refused(why.to_string()),
        Outcome::Answer(answer) => Came::Answer {
            allow: answer.allow,
            reasons: answer.reasons.clone(),
            errors: answer.errors.clone(),
        },
    }
}

fn compile(world: &World, modes: &[Mode]) -> Result<Engine, String> {
    with_entities(world, &world.entities_json().to_string(), |texts| Engine::new(texts, modes))
}

/// Hands the world's texts, with other entities, to `then`.
fn with_entities<T>(world: &World, entities: &str, then: impl FnOnce(&Loose<'_>) -> T) -> T {
    let policies = world.policy_text();
    let links = (!world.links.is_empty()).then(|| world.to_json()["links"].to_string());
    then(&Loose {
        policies: Notation::Cedar(&policies),
        schema: world.schema.as_deref().map(Notation::Cedar),
        entities,
        links: links.as_deref(),
    })
}

fn asked(request: &Request) -> serde_json::Value {
    json!({
        "principal": request.principal.json(),
        "action": request.action.json(),
        "resource": request.resource.json(),
        "context": request.context,
        "entities": request.inline_entities,
    })
}

/// A finding for people: seed and index to draw it again, the world made small, and what each engine said.
fn finding(judge: &mut Judge, seed: u64, index: u64, world: World) -> String {
    let small = shrink(world, |world| {
        let verdict = judge.judge(world);
        !compare(world, &verdict, &all_modes()).is_empty()
    });
    let verdict = judge.judge(&small);
    let differences = compare(&small, &verdict, &all_modes());
    let texts: Vec<String> = differences
        .iter()
        .map(|difference| {
            format!("request {} in {:?}\n{}", difference.request, difference.mode, difference.text)
        })
        .collect();
    format!("seed {seed} world {index}\n{}\n{}", small.to_json(), texts.join("\n"))
}
