//! Spins.
use pdp_benches::{
    ours::{self, Ours},
    w1::W1,
    workload::Workload,
};
use pdp_core::json::Arena;
use std::hint::black_box;
use std::time::Instant;
fn main() {
    let mut args = std::env::args().skip(1);
    let family = args.next().unwrap();
    let size: usize = args.next().unwrap().parse().unwrap();
    let rounds: usize = args.next().unwrap().parse().unwrap();
    let workload: Workload = match family.as_str() {
        "w1" => W1::new(size).workload(),
        "deep" => pdp_benches::deep_groups::workload(size),
        "overlap" => pdp_benches::overlap::workload(size),
        "attr" => pdp_benches::attribute_rules::workload(size),
        _ => panic!(),
    };
    let file = format!("/tmp/spin-{family}-{size}.pdpb");
    if rounds == 0 {
        std::fs::write(&file, ours::build(&workload).unwrap().bytes).unwrap();
        return;
    }
    let mut ours = Ours::load(&std::fs::read(&file).unwrap()).unwrap();
    let arena = Arena::new();
    let requests = ours.read_all(&workload, &arena).unwrap();
    let mut best = f64::MAX;
    for _ in 0..rounds {
        let start = Instant::now();
        for r in &requests {
            black_box(ours.decide(r, &ours::VALIDATED));
        }
        best = best.min(start.elapsed().as_secs_f64() * 1e9 / requests.len() as f64);
    }
    println!("{family} {size}: best {best:.0} ns/decision over {} requests", requests.len());
}
