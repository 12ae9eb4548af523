//! One decision of workload W1, ours and the reference's, at growing numbers of policies.
//!
//! An iteration is one round through all requests; the throughput criterion prints is decisions per second. Before
//! anything of a size is timed, the answers of both engines to all requests are compared; a difference ends the run.

use std::hint::black_box;
use std::time::Duration;

use criterion::measurement::WallTime;
use criterion::{BenchmarkGroup, BenchmarkId, Criterion, SamplingMode, Throughput};
use pdp_benches::engines::{Ours, Reference, UNVALIDATED, VALIDATED, check};
use pdp_benches::w1::W1;
use pdp_core::{DecideOptions, Request};

/// Numbers of policies at which both engines run.
const SIZES: [usize; 4] = [10, 100, 1_000, 10_000];
/// Numbers of policies that no request can match, beside a hundred of the workload.
const BYSTANDERS: [usize; 4] = [0, 1_000, 10_000, 100_000];

fn main() -> Result<(), String> {
    let mut criterion = Criterion::default()
        .sample_size(10)
        .warm_up_time(Duration::from_millis(300))
        .measurement_time(Duration::from_millis(1_500))
        .configure_from_args();
    decide(&mut criterion)?;
    growth(&mut criterion)?;
    criterion.final_summary();
    Ok(())
}

fn decide(criterion: &mut Criterion) -> Result<(), String> {
    let mut group = criterion.benchmark_group("decide");
    for size in SIZES {
        let workload = W1::new(size);
        let (mut ours, reference) = (Ours::new(&workload)?, Reference::new(&workload)?);
        let mix = check(&workload, &mut ours, &reference)?;
        println!("decide: {size} policies: the answers to all requests agree, {mix:?}");
        group.throughput(Throughput::Elements(workload.questions.len() as u64));
        rounds(&mut group, "ours, validated", size, &workload, &mut ours, &VALIDATED);
        rounds(&mut group, "ours, not validated", size, &workload, &mut ours, &UNVALIDATED);
        // A round of the reference can take a second; as many of them a sample as fit would take minutes.
        group.sampling_mode(SamplingMode::Flat);
        group.bench_function(BenchmarkId::new("cedar-policy", size), |bencher| {
            bencher.iter(|| {
                for at in 0..workload.questions.len() {
                    black_box(reference.decide(black_box(at)));
                }
            });
        });
        group.sampling_mode(SamplingMode::Auto);
    }
    let workload = W1::new(100_000);
    let mut ours = Ours::new(&workload)?;
    rounds(&mut group, "ours, validated", 100_000, &workload, &mut ours, &VALIDATED);
    rounds(&mut group, "ours, not validated", 100_000, &workload, &mut ours, &UNVALIDATED);
    group.finish();
    Ok(())
}

fn growth(criterion: &mut Criterion) -> Result<(), String> {
    let mut group = criterion.benchmark_group("growth");
    for bystanders in BYSTANDERS {
        let workload = W1::crowded(100, bystanders);
        let mut ours = Ours::new(&workload)?;
        if bystanders <= 1_000 {
            check(&workload, &mut ours, &Reference::new(&workload)?)?;
        }
        group.throughput(Throughput::Elements(workload.questions.len() as u64));
        rounds(&mut group, "ours, validated", bystanders, &workload, &mut ours, &VALIDATED);
    }
    group.finish();
    Ok(())
}

fn rounds(
    group: &mut BenchmarkGroup<'_, WallTime>,
    name: &str,
    size: usize,
    workload: &W1,
    ours: &mut Ours,
    options: &DecideOptions,
) {
    let contexts: Vec<_> = workload.questions.iter().map(|question| question.context()).collect();
    let requests: Vec<Request<'_>> = workload
        .questions
        .iter()
        .zip(&contexts)
        .map(|(question, context)| question.request(context))
        .collect();
    group.bench_function(BenchmarkId::new(name, size), |bencher| {
        bencher.iter(|| {
            for request in &requests {
                black_box(ours.decide(black_box(request), options));
            }
        });
    });
}
