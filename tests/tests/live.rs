//! Swapping under load: no answer mixes two bundles, no request fails, and what was replaced is freed.
#![expect(
    clippy::panic,
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "test code fails loudly"
)]

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Barrier, Weak};
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
        let mut goes_on = true;
        while goes_on {
            // Looked at before the decision, so that also a thread that came late decides once.
            goes_on = running.load(Ordering::Relaxed);
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

/// A bundle lives as long as anything holds it; `Weak` tells without holding it.
#[test]
fn an_idle_reader_keeps_nothing_alive_and_a_reading_one_exactly_its_own() {
    let live = Live::new(canary(1));
    let (first, second) = (held(&live), std::cell::OnceCell::new());
    let (begin, read, idle, replaced) =
        (Barrier::new(2), Barrier::new(2), Barrier::new(2), Barrier::new(2));
    thread::scope(|scope| {
        scope.spawn(|| {
            let mut scratch = Scratch::new();
            let uid = Uid::new("U", "a");
            let mut policy = |decider: &Decider| {
                let request = Request::new(uid, uid, uid, &[]);
                let answer = decider.decide_with(&mut scratch, &request, &DecideOptions::STANDARD);
                answer.policies().next().unwrap().to_owned()
            };
            let snapshot = live.snapshot();
            assert_eq!(policy(&snapshot), "1");
            begin.wait();
            replaced.wait();
            assert_eq!(policy(&snapshot), "1", "inside a request nothing changes");
            read.wait();
            drop(snapshot);
            assert_eq!(policy(&live.snapshot()), "2", "the next request sees what is in force");
            // From here on the thread idles: it lives, its scratch too, but it is inside no request.
            idle.wait();
            idle.wait();
        });
        begin.wait();
        live.publish(canary(2));
        assert!(second.set(held(&live)).is_ok());
        replaced.wait();
        assert_eq!(live.collect(), 1, "the request still runs");
        assert!(first.upgrade().is_some());
        read.wait();
        idle.wait();
        assert_eq!(live.collect(), 0);
        assert!(first.upgrade().is_none(), "the request is over, the bundle is gone");
        live.publish(canary(3));
        assert!(second.get().unwrap().upgrade().is_none(), "and an idle thread keeps none");
        idle.wait();
    });
}

fn held(live: &Live) -> Weak<Bundle> {
    Arc::downgrade(live.snapshot().bundle().unwrap())
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
