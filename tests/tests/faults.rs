//! Is the differential test strong? Every hand-made fault, switched on alone, must be caught by it.
//!
//! A process of its own with one test: the switch is for the whole process.
#![expect(clippy::panic, reason = "test code fails loudly")]

use pdp_core::fault;
use pdp_tests::differential::compare;
use pdp_tests::engine::all_modes;
use pdp_tests::{Generator, Oracle, Verdict, World};

/// Worlds that a fault may survive at most; 16 cases each.
const WORLDS: u64 = 4_000;

#[test]
fn every_fault_is_caught() {
    let oracle = Oracle::start();
    let mut generator = Generator::new(7);
    let mut drawn: Vec<(World, Verdict)> = Vec::new();
    let mut survived = Vec::new();
    assert!(fault::ALL.len() >= 20);
    for (fault, what) in fault::ALL {
        let caught = (0..WORLDS).find(|index| {
            if drawn.len() as u64 == *index {
                let world = generator.world(*index);
                let verdict = oracle.judge(&world);
                drawn.push((world, verdict));
            }
            let Some((world, verdict)) = usize::try_from(*index).ok().and_then(|at| drawn.get(at))
            else {
                panic!("worlds are drawn in order");
            };
            fault::switch(Some(*fault));
            let differs = !compare(world, verdict, &all_modes()).is_empty();
            fault::switch(None);
            // Without the fault the same world must be in agreement, or the catch means nothing.
            differs && compare(world, verdict, &all_modes()).is_empty()
        });
        match caught {
            Some(index) => {
                println!("fault {fault:>2} caught within {:>6} cases: {what}", (index + 1) * 16)
            }
            None => survived.push(format!("{fault}: {what}")),
        }
    }
    assert!(survived.is_empty(), "faults that {} cases did not show: {survived:#?}", WORLDS * 16);
}
