//! *Filter*: which of 500 tools may this agent call? The list of tools of an agent, cut down in one go.
//!
//! W1's agents and tools; a filter is one agent with 500 tools that follow each other. Before it is timed, every answer
//! is compared with that of the tool alone. What is told is answers a second of one thread, the best turn: what a
//! neighbour took is nobody's throughput.

use std::hint::black_box;
use std::time::{Duration, Instant};

use pdp_core::json::Arena;
use pdp_core::{DecideOptions, Request, Scratch, Uid};

use crate::ours::{EFFECT_ONLY, Ours, VALIDATED, build};
use crate::results::Rate;
use crate::w1::{TOOLS, tool_id};
use crate::workload::Workload;

/// Resources of one filter.
const RESOURCES: usize = 500;

/// Measures one workload, with reasons and without.
///
/// # Errors
///
/// When the workload does not compile or load, or a filter answers otherwise than the tool alone.
pub fn measure(workload: &Workload, turns: u32, turn: Duration) -> Result<Vec<Rate>, String> {
    let ours = Ours::load(&build(workload)?.bytes)?;
    let arena = Arena::new();
    let requests = ours.read_all(workload, &arena)?;
    let ids: Vec<String> = (0..TOOLS).map(tool_id).collect();
    let tools: Vec<Uid<'_>> =
        ids.iter().map(|id| Uid { entity_type: "Work::Tool", id: id.as_str() }).collect();
    compare(&ours, &requests, &tools)?;
    let mut rates = Vec::new();
    for (options, what) in [(VALIDATED, "with reasons"), (EFFECT_ONLY, "effect only")] {
        let mut best = 0.0;
        for _ in 0..turns {
            best = f64::max(best, answers(&ours, &requests, &tools, &options, turn));
        }
        rates.push(Rate {
            what: format!("{} {}, filter of {RESOURCES}, {what}", workload.family, workload.size),
            per_second: best,
        });
    }
    Ok(rates)
}

/// Answers a second.
fn answers(
    ours: &Ours,
    requests: &[Request<'_>],
    tools: &[Uid<'_>],
    options: &DecideOptions,
    turn: Duration,
) -> f64 {
    let (mut scratch, mut answered) = (Scratch::new(), 0usize);
    let begun = Instant::now();
    for (at, request) in requests.iter().enumerate().cycle() {
        let mut read = 0;
        ours.decider().filter(&mut scratch, request, list(tools, at), options, |_, answer| {
            read +=
                answer.policies().map(str::len).sum::<usize>() + usize::from(answer.is_allowed());
            answered += 1;
        });
        black_box(read);
        if begun.elapsed() > turn {
            break;
        }
    }
    answered as f64 / begun.elapsed().as_secs_f64()
}

/// The tools of a filter.
fn list<'t, 'a>(tools: &'t [Uid<'a>], at: usize) -> &'t [Uid<'a>] {
    let lists = tools.len() / RESOURCES;
    tools.chunks(RESOURCES).nth(at % lists.max(1)).unwrap_or_default()
}

fn compare(ours: &Ours, requests: &[Request<'_>], tools: &[Uid<'_>]) -> Result<(), String> {
    let (mut scratch, mut alone) = (Scratch::new(), Scratch::new());
    for (at, request) in requests.iter().enumerate().take(20) {
        let list = list(tools, at);
        let mut wrong = None;
        ours.decider().filter(&mut scratch, request, list, &VALIDATED, |nth, answer| {
            let Some(resource) = list.get(nth) else { return };
            let request = Request { resource: *resource, ..*request };
            let own = ours.decider().decide_with(&mut alone, &request, &VALIDATED);
            if own.to_owned() != answer.to_owned() {
                wrong = Some(format!("request {at}: the filter answers {resource} otherwise"));
            }
        });
        if let Some(wrong) = wrong {
            return Err(wrong);
        }
    }
    Ok(())
}
