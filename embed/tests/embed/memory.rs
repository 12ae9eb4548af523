//! What a module takes in memory for a bundle, beside what `pdp inspect --size` says of it.

use pdp_embed::{Artefact, Guest};

use crate::bundles::examples;
use crate::compiled::{PATIENT, exports};

/// Swaps after which memory grows no more.
const SWAPS: usize = 6;

#[test]
fn a_module_takes_what_is_said_of_a_bundle_and_not_much_less() {
    let mut told = Vec::new();
    for example in examples() {
        let mut guest = exports(PATIENT).instantiate().unwrap();
        for _ in 0..SWAPS {
            guest.load(&example.bytes).unwrap().unwrap();
        }
        let said = usize::try_from(example.bundle.module_memory_bytes()).unwrap();
        told.push((example.name, guest.memory_bytes(), said));
    }
    for (name, takes, said) in &told {
        assert!(takes <= said && said - takes < said / 4, "{name}: {takes} of {said}: {told:?}");
    }
}
