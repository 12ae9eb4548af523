//! The oracle against itself: changes that must not change its answers.

use pdp_tests::oracle::Judge;
use pdp_tests::rng::Rng;
use pdp_tests::{Generator, Oracle, Outcome, Verdict, World};
use std::collections::{BTreeMap, BTreeSet};

const WORLDS: u64 = 200;
const SEED: u64 = 11;

/// The world with its policies in another order, and each id's new name.
fn shuffled(world: &World, rng: &mut Rng) -> (World, BTreeMap<String, String>) {
    let mut order: Vec<usize> = (0..world.policies.len()).collect();
    rng.shuffle(&mut order);
    let mut renamed = BTreeMap::new();
    for (new, old) in order.iter().enumerate() {
        renamed.insert(World::policy_id(*old), World::policy_id(new));
    }
    let mut other = world.clone();
    other.policies = order.iter().filter_map(|old| world.policies.get(*old).cloned()).collect();
    for link in &mut other.links {
        if let Some(id) = renamed.get(&link.template_id) {
            link.template_id.clone_from(id);
        }
    }
    (other, renamed)
}

/// A decision with the ids of the determining and of the failing policies; nothing when the request was refused.
type Decided = Option<(bool, BTreeSet<String>, BTreeSet<String>)>;

/// What Cedar answers, with its ids renamed; links keep theirs.
fn answers(judge: &mut Judge, world: &World, renamed: &BTreeMap<String, String>) -> Vec<Decided> {
    let rename = |ids: &BTreeSet<String>| -> BTreeSet<String> {
        ids.iter().map(|id| renamed.get(id).unwrap_or(id).clone()).collect()
    };
    match judge.judge(world) {
        Verdict::WorldRefused(_) => Vec::new(),
        Verdict::Judged { outcomes, .. } => outcomes
            .iter()
            .map(|outcome| match outcome {
                Outcome::Answer(answer) => {
                    Some((answer.allow, rename(&answer.reasons), rename(&answer.errors)))
                }
                Outcome::Refused(_) => None,
            })
            .collect(),
    }
}

#[test]
fn the_order_of_policies_does_not_matter() {
    Oracle::start().run(|judge| {
        let mut generator = Generator::new(SEED);
        let mut rng = Rng::new(&[SEED]);
        for index in 0..WORLDS {
            let world = generator.world(index);
            let (other, renamed) = shuffled(&world, &mut rng);
            let expected = answers(judge, &world, &renamed);
            let found = answers(judge, &other, &BTreeMap::new());
            assert_eq!(expected.len(), world.requests.len(), "world {index}");
            assert_eq!(found, expected, "world {index}\n{}", world.to_json());
        }
    });
}

#[test]
fn the_answer_to_a_request_does_not_depend_on_its_neighbours() {
    Oracle::start().run(|judge| {
        let mut generator = Generator::new(SEED);
        for index in 0..WORLDS / 4 {
            let world = generator.world(index);
            let together = answers(judge, &world, &BTreeMap::new());
            for (request, expected) in world.requests.iter().zip(together) {
                let mut alone = world.clone();
                alone.requests = vec![request.clone()];
                let found = answers(judge, &alone, &BTreeMap::new());
                assert_eq!(found, [expected], "world {index}\n{}", alone.to_json());
            }
        }
    });
}

#[test]
fn what_the_judge_keeps_between_worlds_changes_no_verdict() {
    Oracle::start().run(|judge| {
        let mut generator = Generator::new(SEED);
        for index in 0..64 {
            let world = generator.world(index);
            let kept = judge.judge(&world);
            assert_eq!(Judge::default().judge(&world), kept, "world {index}");
            // The same entities without the schema must not be taken for those read with it.
            let mut bare = world;
            bare.schema = None;
            let kept = judge.judge(&bare);
            assert_eq!(Judge::default().judge(&bare), kept, "world {index}");
        }
    });
}
