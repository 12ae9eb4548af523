//! Instructions of a fixed small set of decisions, counted by callgrind; `cargo xtask instructions` runs it and compares.
//!
//! Loading and one round of warm-up happen in the set-up, which is not counted, and what was loaded is handed back, so
//! that freeing it is not counted either. The rows are those of `pdp_benches::instructions`.
#![expect(missing_docs, reason = "the macros of the harness make items without a word about them")]

use std::path::Path;

use gungraun::{library_benchmark, library_benchmark_group, main};
use pdp_benches::instructions::Loaded;
use pdp_core::Request;
use pdp_core::json::Arena;

/// Where `cargo xtask instructions` puts bundles and questions.
const FOLDER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../target/instructions");

/// What a benchmark is given.
type Warm = (Loaded, Vec<Request<'static>>);

#[expect(
    clippy::panic,
    reason = "the harness takes no errors; without its files there is nothing to count"
)]
fn warm(name: &str) -> Warm {
    let arena: &'static Arena = Box::leak(Box::default());
    let loaded = Loaded::new(Path::new(FOLDER), name).and_then(|mut loaded| {
        let requests = loaded.requests(arena)?;
        loaded.decide(&requests);
        Ok((loaded, requests))
    });
    loaded.unwrap_or_else(|error| panic!("{error}"))
}

#[library_benchmark(setup = warm)]
#[bench::w1("w1")]
#[bench::deep_groups("deep_groups")]
#[bench::attribute_rules("attribute_rules")]
#[bench::overlap("overlap")]
#[bench::delegated("delegated")]
#[bench::inline_entities("inline_entities")]
fn decide((mut loaded, requests): Warm) -> (usize, Warm) {
    (loaded.decide(&requests), (loaded, requests))
}

#[library_benchmark(setup = warm)]
#[bench::w1("w1")]
#[bench::inline_entities("inline_entities")]
fn decide_json((mut loaded, requests): Warm) -> (usize, Warm) {
    (loaded.decide_json(), (loaded, requests))
}

#[library_benchmark(setup = warm)]
#[bench::w1("w1")]
#[bench::inline_entities("inline_entities")]
fn decide_protobuf((mut loaded, requests): Warm) -> (usize, Warm) {
    (loaded.decide_protobuf(), (loaded, requests))
}

library_benchmark_group!(name = decisions, benchmarks = [decide, decide_json, decide_protobuf]);
main!(library_benchmark_groups = decisions);
