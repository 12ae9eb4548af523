//! Two threads against one, on the same bundle, and while bundles are swapped under them.
//!
//! Each thread has its own scratch and its own place among the questions; nothing else is shared but the bundle. Runs
//! of one and of two threads take turns, so that a neighbour on the machine meets both. What swaps does so every few
//! milliseconds between two bundles that are loaded already: loading them is measured elsewhere.

use std::hint::black_box;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Barrier};
use std::time::{Duration, Instant};

use pdp_core::json::Arena;
use pdp_core::{Bundle, Decider, Live, LoadLimits, Request, RequestLimits, Scratch};

use crate::ours::{VALIDATED, build};
use crate::results::Threads;
use crate::workload::Workload;

/// Decisions between two looks at the flag that ends a run.
const BATCH: usize = 64;
/// Between two swaps.
const SWAP_EVERY: Duration = Duration::from_millis(5);

/// Measures one workload both ways.
///
/// # Errors
///
/// When the workload does not compile or load.
pub fn measure(workload: &Workload, turns: u32, turn: Duration) -> Result<Vec<Threads>, String> {
    let bytes = build(workload)?.bytes;
    let load = || {
        Bundle::load(&bytes, &LoadLimits::STANDARD).map(Arc::new).map_err(|error| error.to_string())
    };
    let (first, second) = (load()?, load()?);
    let arena = Arena::new();
    let requests: Vec<Request<'_>> = workload
        .questions
        .iter()
        .map(|question| {
            pdp_core::json::read_request(question, Some(&first), &arena, &RequestLimits::STANDARD)
                .map_err(|error| error.to_string())
        })
        .collect::<Result<_, _>>()?;
    let live = Live::new(Decider::new(Arc::clone(&first)));
    let mut rates = [[0.0; 2]; 2];
    for _ in 0..turns {
        for (swaps, rates) in [false, true].into_iter().zip(&mut rates) {
            let bundles = swaps.then_some([&first, &second]);
            for (threads, rate) in [1, 2].into_iter().zip(rates) {
                // The best turn: what a neighbour took is nobody's throughput.
                *rate = f64::max(*rate, decisions(&live, &requests, threads, turn, bundles));
            }
        }
    }
    let [calm, swapped] = rates;
    let row = |what: &str, [one, two]: [f64; 2]| Threads {
        what: format!("{} {}, {what}", workload.family, workload.size),
        one,
        two,
    };
    Ok(vec![row("one bundle", calm), row("bundles swapped every 5 ms", swapped)])
}

/// Decisions a second of some threads together.
fn decisions(
    live: &Live,
    requests: &[Request<'_>],
    threads: usize,
    turn: Duration,
    swapped: Option<[&Arc<Bundle>; 2]>,
) -> f64 {
    let (ends, done) = (AtomicBool::new(false), AtomicUsize::new(0));
    let barrier = Barrier::new(threads + 1);
    let elapsed = std::thread::scope(|scope| {
        for nth in 0..threads {
            let (ends, done, barrier) = (&ends, &done, &barrier);
            scope.spawn(move || {
                let mut scratch = Scratch::new();
                let mut at = nth * requests.len() / threads.max(1);
                let mut decided = 0;
                let mut decide = |count: usize| {
                    for _ in 0..count {
                        let decider = live.snapshot();
                        let Some(request) = requests.get(at) else { return };
                        let answer = decider.decide_with(&mut scratch, request, &VALIDATED);
                        black_box(answer.policies().map(str::len).sum::<usize>());
                        at = if at + 1 < requests.len() { at + 1 } else { 0 };
                    }
                };
                decide(requests.len());
                barrier.wait();
                while !ends.load(Ordering::Relaxed) {
                    decide(BATCH);
                    decided += BATCH;
                }
                done.fetch_add(decided, Ordering::Relaxed);
            });
        }
        barrier.wait();
        let begun = Instant::now();
        let mut swaps = 0_usize;
        while begun.elapsed() < turn {
            // Pacing, not waiting for anybody: the threads decide meanwhile.
            std::thread::sleep(SWAP_EVERY);
            if let Some([first, second]) = swapped {
                let bundle = if swaps.is_multiple_of(2) { second } else { first };
                live.publish(Decider::new(Arc::clone(bundle)));
                swaps += 1;
            }
        }
        ends.store(true, Ordering::Relaxed);
        begun.elapsed()
    });
    done.load(Ordering::Relaxed) as f64 / elapsed.as_secs_f64()
}
