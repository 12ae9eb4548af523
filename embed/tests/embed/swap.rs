//! Bundles are swapped while threads ask: every answer is wholly of one bundle, and the new one is taken up.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use pdp_embed::{Host, Said, Worker};

use crate::bundles::{reading, small};
use crate::compiled::{PATIENT, exports};

const SWAPS: u64 = 60;
const THREADS: usize = 3;

#[test]
fn swapping_under_load_mixes_nothing() {
    // The first lets alice read, by its policy 0; the second bob, by its policy 1.
    let bundles = [small("alice", 0), small("bob", 1)];
    let host = Arc::new(Host::new(exports(PATIENT)));
    host.publish(&bundles[0]).unwrap();
    let (stop, asked) = (AtomicBool::new(false), AtomicU64::new(0));
    let seen = [0, 0].map(AtomicU64::new);
    let deadline = Instant::now() + Duration::from_secs(120);
    thread::scope(|scope| {
        for _ in 0..THREADS {
            scope.spawn(|| {
                let mut worker = Worker::new(&host);
                while !stop.load(Ordering::Relaxed) {
                    // One call, three questions: the bundle may not change between them.
                    let said = worker.call(|guest| {
                        Ok([
                            guest.answer(reading("alice").as_bytes())?,
                            guest.answer(reading("bob").as_bytes())?,
                            guest.answer(reading("carol").as_bytes())?,
                        ])
                    });
                    let [alice, bob, carol] = said.expect("no call fails");
                    let of = usize::from(bob.0 == Said::Allow);
                    let expected = [[Said::Allow, Said::Deny], [Said::Deny, Said::Allow]][of];
                    assert_eq!([alice.0, bob.0], expected);
                    assert_eq!(carol.0, Said::Deny);
                    let named = format!("\"policies\":[\"policy{of}\"]");
                    let allowed = [&alice.1, &bob.1][of];
                    assert!(allowed.contains(&named), "{allowed}");
                    seen[of].fetch_add(1, Ordering::Relaxed);
                    asked.fetch_add(1, Ordering::Relaxed);
                }
            });
        }
        for swap in 1..=SWAPS {
            let before = asked.load(Ordering::Relaxed);
            host.publish(&bundles[usize::try_from(swap % 2).unwrap()]).unwrap();
            assert!(host.publish(b"no bundle").is_err());
            // So that every state is asked while it is in force.
            while asked.load(Ordering::Relaxed) < before + 20 {
                assert!(Instant::now() < deadline, "no thread asks any more");
                thread::yield_now();
            }
        }
        stop.store(true, Ordering::Relaxed);
    });
    assert!(seen.iter().all(|seen| seen.load(Ordering::Relaxed) > SWAPS), "{seen:?}");
    // After the last swap everybody has the last bundle.
    let last = usize::try_from(SWAPS % 2).unwrap();
    let said = Worker::new(&host)
        .call(|guest| guest.authorize(reading(["alice", "bob"][last]).as_bytes()));
    assert_eq!(said.unwrap(), Said::Allow);
}
