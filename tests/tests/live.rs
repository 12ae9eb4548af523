//! Swapping under load: no answer mixes two bundles, no request fails, and what was replaced is freed.
#![expect(
    clippy::panic,
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "test code fails loudly"
)]

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;

use pdp_core::{
    Bundle, CompileOptions, DecideOptions, Decider, Live, LoadLimits, Loose, Notation, Request,
    Scratch, Source, Uid,
};

const SWAPS: u64 = 1_000;
const READERS: usize = 4;

/// A bundle whose two halves, a policy and an entity's attribute, hold the same number: a canary for mixtures.
fn canary(number: u64) -> Decider {
    let policies = format!(
        "@id(\"{number}\") permit(principal, action, resource) when {{ principal.half == {number} }};"
    );
    let entities = format!(
        r#"[{{"uid": {{"type": "U", "id": "a"}}, "attrs": {{"half": {number}}}, "parents": []}}]"#
    );
    let texts = Loose {
        policies: Notation::Cedar(&policies),
        schema: None,
        entities: &entities,
        links: Some("[]"),
    };
    let source = Source::loose(&texts).unwrap_or_else(|report| panic!("{report}"));
    let bytes = pdp_core::compile(&source, &CompileOptions::STANDARD)
        .unwrap_or_else(|report| panic!("{report}"));
    Decider::new(Arc::new(Bundle::load(&bytes, &LoadLimits::STANDARD).unwrap()))
}

#[test]
fn swapping_under_load_mixes_nothing_and_keeps_nothing() {
    let bundles = [canary(1), canary(2)];
    let live = Live::new(bundles[0].clone());
    let (running, decided) = (AtomicBool::new(true), AtomicU64::new(0));
    let read = || {
        let mut scratch = Scratch::new();
        let uid = Uid::new("U", "a");
        let mut seen = [false; 2];
        while running.load(Ordering::Relaxed) {
            let snapshot = live.snapshot();
            let answer = snapshot.decide_with(
                &mut scratch,
                &Request::new(uid, uid, uid, &[]),
                &DecideOptions::STANDARD,
            );
            assert!(answer.is_allowed(), "both halves are of one bundle: {answer:?}");
            let number: usize = answer.policies().next().unwrap().parse().unwrap();
            let digest = answer.bundle().unwrap().digest();
            assert_eq!(
                digest,
                bundles[number - 1].bundle().unwrap().digest(),
                "the answer names the bundle that decided"
            );
            seen[number - 1] = true;
            decided.fetch_add(1, Ordering::Relaxed);
        }
        seen
    };
    thread::scope(|scope| {
        let readers: Vec<_> = (0..READERS).map(|_| scope.spawn(read)).collect();
        for swap in 0..SWAPS {
            live.publish(bundles[usize::from(swap % 2 == 0)].clone());
            // The readers get on between swaps, however few cores there are.
            let before = decided.load(Ordering::Relaxed);
            while decided.load(Ordering::Relaxed) == before {
                thread::yield_now();
            }
        }
        running.store(false, Ordering::Relaxed);
        for reader in readers {
            assert_ne!(reader.join().unwrap(), [false; 2], "every reader decided");
        }
    });
    assert_eq!(live.collect(), 0, "what was replaced is freed once nobody uses it");
    assert!(decided.load(Ordering::Relaxed) >= SWAPS);
}

#[test]
fn without_a_bundle_everything_is_denied_and_a_bundle_changes_that() {
    let live = Live::new(Decider::no_bundle());
    let uid = Uid::new("U", "a");
    let mut scratch = Scratch::new();
    let request = Request::new(uid, uid, uid, &[]);
    let before = live.snapshot();
    let answer = before.decide_with(&mut scratch, &request, &DecideOptions::STANDARD);
    assert_eq!(
        (answer.is_allowed(), answer.reason().as_str(), answer.bundle().is_none()),
        (false, "no_bundle", true)
    );
    live.publish(canary(1));
    let after = live.snapshot();
    assert!(after.decide_with(&mut scratch, &request, &DecideOptions::STANDARD).is_allowed());
    let held = before.decide_with(&mut scratch, &request, &DecideOptions::STANDARD);
    assert!(!held.is_allowed(), "a snapshot stays what it was");
}
