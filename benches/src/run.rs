//! One workload measured: built, checked, and every engine timed in turns.
//!
//! Engines are plugged in in [`measure`] and nowhere else. Each gets a short turn after the other, over and over, so
//! that what else the machine does meets all of them; a turn begins where the one before ended. Nothing is timed on
//! a workload that an engine answers differently.

use std::str::FromStr;
use std::time::{Duration, Instant};

use cedar_policy::PolicySet;
use pdp_core::json::Arena;

use crate::answer::check;
use crate::counting;
use crate::measure::Samples;
use crate::ours::{self, Ours, UNVALIDATED, VALIDATED};
use crate::peers::casbin::{self, Casbin};
use crate::peers::hash_index::HashIndex;
use crate::peers::rego::{self, Rego};
use crate::peers::{self, Peer};
use crate::reference::Reference;
use crate::results::{Facts, Memory, Results, Timing};
use crate::workload::{Rewrite, Workload};

/// How long to measure.
#[derive(Clone, Copy, Debug)]
pub struct Plan {
    /// Whether it is the short run.
    pub quick: bool,
    /// Turns of each engine on each workload.
    pub turns: u32,
    /// How long a turn takes.
    pub turn: Duration,
}

/// Our engine as services run it.
pub const OURS: &str = "pdp";
/// The same, when nobody asks for reasons.
pub const OURS_EFFECT: &str = "pdp, decision only";
/// The same without validation of requests.
pub const OURS_UNVALIDATED: &str = "pdp, not validated";
/// The same from JSON bytes.
pub const OURS_JSON: &str = "pdp, from JSON";
/// The same from protobuf bytes.
pub const OURS_PROTOBUF: &str = "pdp, from protobuf";
/// The reference.
pub const REFERENCE: &str = "cedar-policy";
/// The reference over the policies in scope.
pub const REFERENCE_SLICE: &str = "cedar-policy, perfect slice";

/// The index written for W1.
pub const HASH_INDEX: &str = "hand-written index";
/// Rego that looks grants up.
pub const REGO_DATA: &str = "regorus, grants as data";
/// Rego with a rule for each policy.
pub const REGO_RULES: &str = "regorus, a rule a policy";
/// Grants without conditions.
pub const CASBIN: &str = "casbin, grants without conditions";

/// The engines that do not read Cedar, as far as they can express a workload.
#[derive(Debug, Default)]
struct Peers<'a> {
    index: Option<HashIndex<'a>>,
    regos: Vec<(&'static str, Rego)>,
    casbin: Option<Casbin<'a>>,
}

/// How long an engine is asked before it is timed, and again while its allocations are counted, at most.
const WARM_UP: Duration = Duration::from_millis(100);

/// Asks from a question on, for a time.
type Timer<'a> = dyn FnMut(&mut Samples, usize, Duration) + 'a;

/// An engine that is ready to be asked: how many questions it has, and the call that answers one of them.
struct Entrant<'a> {
    name: &'static str,
    questions: usize,
    time: Box<Timer<'a>>,
    allocations: f64,
    samples: Samples,
}

// === impl Plan ===

impl Plan {
    /// A few minutes in all.
    pub const QUICK: Self = Self { quick: true, turns: 4, turn: Duration::from_millis(40) };
    /// What goes into the record.
    pub const FULL: Self = Self { quick: false, turns: 5, turn: Duration::from_millis(120) };
}

// === impl Entrant ===

impl<'a> Entrant<'a> {
    /// Each entrant has a loop of its own around its own call: nothing is called through a pointer while timed.
    fn new(
        name: &'static str,
        questions: usize,
        mut decide: impl FnMut(usize) -> usize + 'a,
    ) -> Self {
        // Once around, so that what grows has grown; then counted.
        let begun = Instant::now();
        for at in 0..questions {
            std::hint::black_box(decide(at));
            if begun.elapsed() > WARM_UP {
                break;
            }
        }
        let begun = Instant::now();
        let (mut asked, mut calls) = (0_u32, 0);
        for at in 0..questions {
            let (read, used) = counting::calls(|| decide(at));
            std::hint::black_box(read);
            (asked, calls) = (asked + 1, calls + used);
            if begun.elapsed() > WARM_UP {
                break;
            }
        }
        Self {
            name,
            questions,
            time: Box::new(move |samples, from, turn| {
                samples.take(questions, from, turn, &mut decide);
            }),
            allocations: calls as f64 / f64::from(asked.max(1)),
            samples: Samples::default(),
        }
    }
}

// === impl Peers ===

impl<'a> Peers<'a> {
    /// Builds those that can express the workload and compares their answers.
    fn new(workload: &'a Workload, policies: usize, allowed: &[bool]) -> Result<Self, String> {
        let mut peers = Self::default();
        match &workload.rewrite {
            Rewrite::None(_) => {}
            Rewrite::W1(w1) => {
                peers.index = Some(HashIndex::new(w1));
                peers.regos.push((REGO_DATA, Rego::w1_data(w1)?));
                if policies <= rego::RULES_MAX {
                    peers.regos.push((REGO_RULES, Rego::w1_rules(w1)?));
                }
                if policies <= casbin::POLICIES_MAX {
                    let casbin = Casbin::new(w1)?;
                    let asked = w1.questions.iter().take(asked_of_reference(policies));
                    let covered: Vec<bool> =
                        asked.map(|question| casbin::expected(w1, question)).collect();
                    agree(CASBIN, &casbin, &covered)?;
                    peers.casbin = Some(casbin);
                }
            }
            Rewrite::Attributes(rules) => {
                peers.regos.push((REGO_DATA, Rego::attributes_data(workload, rules)?));
                if policies <= rego::RULES_MAX {
                    peers.regos.push((REGO_RULES, Rego::attributes_rules(workload, rules)?));
                }
            }
        }
        if let Some(index) = &peers.index {
            agree(HASH_INDEX, index, allowed)?;
        }
        for (name, rego) in &peers.regos {
            agree(name, rego, allowed)?;
        }
        Ok(peers)
    }
}

/// An error where a peer's answers are not the expected ones.
fn agree(name: &str, peer: &impl Peer, expected: &[bool]) -> Result<(), String> {
    match expected.iter().enumerate().find(|(at, allow)| peer.allows(*at) != **allow) {
        None => Ok(()),
        Some((at, allow)) => {
            let words = |allow| if allow { "allow" } else { "deny" };
            Err(format!("request {at}: {name} says {}, expected {}", words(!allow), words(*allow)))
        }
    }
}

/// Of how many questions the reference builds its requests at a size.
fn asked_of_reference(policies: usize) -> usize {
    match policies {
        0..=1_000 => usize::MAX,
        1_001..=10_000 => 200,
        _ => 50,
    }
}

/// Of how many questions the answers of the reference over all policies are compared at a size.
fn compared_whole(policies: usize) -> usize {
    match policies {
        0..=100 => usize::MAX,
        101..=1_000 => 200,
        1_001..=10_000 => 32,
        _ => 8,
    }
}

/// Builds all engines from a workload, compares their answers, and times them.
///
/// # Errors
///
/// When an engine refuses the workload, or two answers differ.
pub fn measure(workload: &Workload, plan: &Plan, results: &mut Results) -> Result<(), String> {
    let built = ours::build(workload)?;
    let arena = Arena::new();
    let begun = Instant::now();
    let mut ours = Ours::load(&built.bytes)?;
    let first = workload.questions.first().ok_or("the workload has no question")?;
    let first = ours.read(first, &arena)?;
    std::hint::black_box(ours.decide(&first, &VALIDATED));
    let load = begun.elapsed();

    let begun = Instant::now();
    let parsed = PolicySet::from_str(&workload.policies).map_err(|error| error.to_string())?;
    let reference_parse = begun.elapsed();
    let policies = parsed.num_of_policies();

    let requests = ours.read_all(workload, &arena)?;
    let reference = Reference::with(workload, parsed, asked_of_reference(policies))?;
    let mix = check(&requests, &mut ours, &reference, compared_whole(policies))?;
    results.workloads.push(Facts {
        family: workload.family.clone(),
        size: workload.size,
        in_scope: reference.in_scope,
        mix,
        bundle_bytes: built.bytes.len(),
        read_ms: built.read.as_secs_f64() * 1e3,
        compile_ms: built.compile.as_secs_f64() * 1e3,
        reference_parse_ms: reference_parse.as_secs_f64() * 1e3,
        load_ms: load.as_secs_f64() * 1e3,
    });

    let allowed: Vec<bool> =
        requests.iter().map(|request| ours.answer(request, &VALIDATED).allow).collect();
    let peers = Peers::new(workload, policies, &allowed)?;
    for note in peers::notes(workload) {
        if !results.notes.contains(&note) {
            results.notes.push(note);
        }
    }

    let request = |at: usize| requests.get(at);
    let messages: Vec<Vec<u8>> = requests.iter().map(Ours::protobuf).collect::<Result<_, _>>()?;
    let (mut effect, mut unvalidated) = (Ours::load(&built.bytes)?, Ours::load(&built.bytes)?);
    let (mut json, mut protobuf) = (Ours::load(&built.bytes)?, Ours::load(&built.bytes)?);
    let (mut json_arena, mut protobuf_arena) = (Arena::new(), Arena::new());
    let all = requests.len();
    let mut entrants = vec![
        Entrant::new(OURS, all, |at| request(at).map_or(0, |r| ours.decide(r, &VALIDATED))),
        Entrant::new(OURS_EFFECT, all, |at| request(at).map_or(0, |r| effect.decide_only(r))),
        Entrant::new(OURS_UNVALIDATED, all, |at| {
            request(at).map_or(0, |r| unvalidated.decide(r, &UNVALIDATED))
        }),
        Entrant::new(OURS_JSON, all, |at| {
            workload.questions.get(at).map_or(0, |text| json.decide_json(text, &mut json_arena))
        }),
        Entrant::new(OURS_PROTOBUF, all, |at| {
            messages.get(at).map_or(0, |m| protobuf.decide_protobuf(m, &mut protobuf_arena))
        }),
        Entrant::new(REFERENCE, reference.questions(), |at| reference.decide(at, false)),
    ];
    if reference.is_sliced() {
        let sliced = |at| reference.decide(at, true);
        entrants.push(Entrant::new(REFERENCE_SLICE, reference.questions(), sliced));
    }
    if let Some(index) = &peers.index {
        entrants.push(Entrant::new(HASH_INDEX, all, |at| usize::from(index.allows(at))));
    }
    for (name, rego) in &peers.regos {
        entrants.push(Entrant::new(name, all, |at| usize::from(rego.allows(at))));
    }
    if let Some(casbin) = &peers.casbin {
        entrants.push(Entrant::new(CASBIN, all, |at| usize::from(casbin.allows(at))));
    }
    for turn in 0..plan.turns {
        for entrant in &mut entrants {
            let from = turn as usize * entrant.questions / plan.turns as usize;
            (entrant.time)(&mut entrant.samples, from, plan.turn);
        }
    }
    for entrant in entrants {
        let [p50, p99, p999] = entrant.samples.quantiles();
        results.timings.push(Timing {
            family: workload.family.clone(),
            size: workload.size,
            engine: entrant.name.to_owned(),
            p50,
            p99,
            p999,
            batches: entrant.samples.len(),
            allocations: entrant.allocations,
        });
    }
    Ok(())
}

/// Measures what the heap holds of a workload: the loaded bundle, compiling at its most, and the reference parsing.
///
/// # Errors
///
/// When the workload does not compile or load.
pub fn memory(workload: &Workload) -> Result<Memory, String> {
    let (built, compiling) = counting::bytes(|| ours::build(workload));
    let bytes = built?.bytes;
    let (loaded, loading) = counting::bytes(|| Ours::load(&bytes));
    let loaded = loaded?;
    let (parsed, parsing) = counting::bytes(|| {
        PolicySet::from_str(&workload.policies).map_err(|error| error.to_string())
    });
    let parsed = parsed?;
    drop((loaded, parsed));
    Ok(Memory {
        family: workload.family.clone(),
        size: workload.size,
        bundle: bytes.len(),
        loaded: loading.after,
        compile_peak: compiling.peak,
        reference_peak: parsing.peak,
    })
}
