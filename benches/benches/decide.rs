//! One decision of some families, ours and the reference's, at growing numbers of policies, by criterion.
//!
//! For watching one change: criterion keeps the last run and says what differs. The program `compare` is what is
//! recorded. An iteration is one round through all questions; the throughput criterion prints is decisions per second.
//! Before anything of a size is timed, the answers of both engines are compared; a difference ends the run.

use std::hint::black_box;
use std::time::Duration;

use criterion::{BenchmarkId, Criterion, SamplingMode, Throughput};
use pdp_benches::answer::check;
use pdp_benches::families::FAMILIES;
use pdp_benches::ours::{Ours, UNVALIDATED, VALIDATED};
use pdp_benches::reference::Reference;
use pdp_benches::w1::W1;
use pdp_core::json::Arena;

/// Numbers of policies of W1.
const W1_SIZES: [usize; 4] = [10, 100, 1_000, 10_000];
/// Numbers of policies of the other families.
const SIZES: [usize; 2] = [10, 1_000];
/// From this size on a round of the reference is so many questions, and ours the same ones: all would take minutes.
const FEW_FROM: usize = 10_000;
const FEW: usize = 32;
/// Numbers of policies that no request can match, beside a hundred of the workload.
const BYSTANDERS: [usize; 4] = [0, 1_000, 10_000, 100_000];

fn main() -> Result<(), String> {
    let mut criterion = Criterion::default()
        .sample_size(10)
        .warm_up_time(Duration::from_millis(300))
        .measurement_time(Duration::from_millis(1_500))
        .configure_from_args();
    families(&mut criterion)?;
    growth(&mut criterion)?;
    criterion.final_summary();
    Ok(())
}

fn families(criterion: &mut Criterion) -> Result<(), String> {
    for family in FAMILIES.iter().filter(|family| family.axis == "policies") {
        let mut group = criterion.benchmark_group(family.name);
        let sizes = if family.name == "w1" { &W1_SIZES[..] } else { &SIZES };
        for size in sizes.iter().copied() {
            let workload = (family.make)(size);
            let (mut ours, arena) = (Ours::new(&workload)?, Arena::new());
            let mut requests = ours.read_all(&workload, &arena)?;
            let questions = if size >= FEW_FROM { FEW } else { usize::MAX };
            requests.truncate(questions);
            let reference = Reference::new(&workload, questions)?;
            let mix = check(&requests, &mut ours, &reference, usize::MAX)?;
            println!("{}: {size} policies: the answers agree, {mix:?}", family.name);
            group.throughput(Throughput::Elements(requests.len() as u64));
            for (name, options) in [("ours", VALIDATED), ("ours, not validated", UNVALIDATED)] {
                group.bench_function(BenchmarkId::new(name, size), |bencher| {
                    bencher.iter(|| {
                        for request in &requests {
                            black_box(ours.decide(black_box(request), &options));
                        }
                    });
                });
            }
            // A round of the reference can take a second; as many of them a sample as fit would take minutes.
            group.sampling_mode(SamplingMode::Flat);
            group.bench_function(BenchmarkId::new("cedar-policy", size), |bencher| {
                bencher.iter(|| {
                    for at in 0..reference.questions() {
                        black_box(reference.decide(black_box(at), false));
                    }
                });
            });
            group.sampling_mode(SamplingMode::Auto);
        }
        group.finish();
    }
    Ok(())
}

fn growth(criterion: &mut Criterion) -> Result<(), String> {
    let mut group = criterion.benchmark_group("growth");
    for bystanders in BYSTANDERS {
        let workload = W1::crowded(100, bystanders).workload();
        let (mut ours, arena) = (Ours::new(&workload)?, Arena::new());
        let requests = ours.read_all(&workload, &arena)?;
        if bystanders <= 1_000 {
            let reference = Reference::new(&workload, usize::MAX)?;
            check(&requests, &mut ours, &reference, usize::MAX)?;
        }
        group.throughput(Throughput::Elements(requests.len() as u64));
        group.bench_function(BenchmarkId::new("ours", bystanders), |bencher| {
            bencher.iter(|| {
                for request in &requests {
                    black_box(ours.decide(black_box(request), &VALIDATED));
                }
            });
        });
    }
    group.finish();
    Ok(())
}
