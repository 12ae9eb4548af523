//! The generator: the same world every time, worlds that can be read, and enough of everything in them.

#![expect(clippy::expect_used, reason = "a test whose own premise fails must stop and say which")]

use pdp_tests::generate::{POLICIES_MAX, REQUESTS_PER_WORLD};
use pdp_tests::{Coverage, ErrorKind, Feature, Generator, Oracle, Outcome, Uid, Verdict, World};
use serde_json::Value;

/// 20,000 cases.
const WORLDS: u64 = 1250;
const SEED: u64 = 2026;

fn worlds(seed: u64, count: u64) -> impl Iterator<Item = World> {
    let mut generator = Generator::new(seed);
    (0..count).map(move |index| generator.world(index))
}

#[test]
fn the_same_seed_and_index_give_the_same_world_in_any_order() {
    let forwards: Vec<World> = worlds(7, 48).collect();
    let mut generator = Generator::new(7);
    for (index, world) in (0..48).rev().zip(forwards.iter().rev()) {
        assert_eq!(generator.world(index), *world, "index {index}");
    }
}

#[test]
fn other_seeds_and_indices_give_other_worlds() {
    let mut generator = Generator::new(7);
    let first = generator.world(0);
    assert_ne!(generator.world(1), first);
    assert_ne!(Generator::new(8).world(0), first);
}

#[test]
fn worlds_keep_to_their_size() {
    for world in worlds(SEED, 300) {
        assert_eq!(world.requests.len(), REQUESTS_PER_WORLD);
        assert!((1..=POLICIES_MAX).contains(&world.policies.len()));
        assert!(world.links.iter().all(|link| {
            (0..world.policies.len()).any(|at| World::policy_id(at) == link.template_id)
        }));
    }
}

#[test]
fn inline_entities_are_new_and_change_nobody_s_ancestors() {
    let uid = |json: &Value| json.get("uid").cloned();
    let mut seen = 0;
    for world in worlds(SEED, 300) {
        let stored: Vec<_> = world.entities.iter().filter_map(uid).collect();
        let parents: Vec<&Value> = world
            .entities
            .iter()
            .filter_map(|entity| entity.get("parents")?.as_array())
            .flatten()
            .collect();
        for inline in world.requests.iter().flat_map(|request| &request.inline_entities) {
            let uid = uid(inline).expect("an entity has a uid");
            assert!(!stored.contains(&uid), "{uid} is stored");
            assert!(!parents.contains(&&uid), "{uid} is the parent of a stored entity");
            seen += 1;
        }
    }
    assert!(seen > 300, "{seen}");
}

#[test]
fn a_world_survives_being_written_down() {
    for world in worlds(SEED, 200) {
        let text = world.to_json().to_string();
        let json: Value = serde_json::from_str(&text).expect("written JSON parses");
        assert_eq!(World::from_json(&json).as_ref(), Ok(&world));
    }
}

#[test]
fn what_is_no_world_is_refused_with_the_part_that_is_missing() {
    let why =
        World::from_json(&serde_json::json!({ "entities": [] })).map_err(|why| why.to_string());
    assert_eq!(
        why,
        Err("`policies` is missing in the world or not of the expected shape".to_owned())
    );
}

/// Whether policies failed for known reasons only: never for want of stack, which the oracle has plenty of, and when
/// everything was validated, only in the ways that Cedar leaves open.
fn fails_as_promised(outcome: &Outcome, validated: bool) -> bool {
    let Outcome::Answer(answer) = outcome else {
        return true;
    };
    answer.error_kinds.iter().all(|kind| match kind {
        ErrorKind::EntityMissing | ErrorKind::Overflow | ErrorKind::Extension => true,
        ErrorKind::Other => false,
        _ => !validated,
    })
}

#[test]
fn twenty_thousand_cases_reach_everything() {
    let coverage = Oracle::start().run(|judge| {
        let mut coverage = Coverage::new();
        for world in worlds(SEED, WORLDS) {
            let verdict = judge.judge(&world);
            coverage.observe(judge, &world, &verdict);
            if let Verdict::Judged { validates, outcomes } = verdict {
                for (request, outcome) in world.requests.iter().zip(&outcomes) {
                    let validated = validates && request.validate;
                    assert!(fails_as_promised(outcome, validated), "{}", world.to_json());
                }
            }
        }
        coverage
    });
    println!("{coverage}");
    assert!(coverage.refused_worlds_share() < 0.01, "{coverage}");
    assert_eq!(coverage.check(0.001), Ok(()), "{coverage}");
    let share = |feature| coverage.share(feature);
    let denied = share(Feature::DeniedByForbid) + share(Feature::DeniedSilently);
    assert!(share(Feature::Allowed) >= 0.15, "{coverage}");
    assert!(denied >= 0.15, "{coverage}");
    assert!(share(Feature::SomeErrors) >= 0.15, "{coverage}");
    assert!(share(Feature::NoCandidate) <= 0.30, "{coverage}");
    assert!(share(Feature::StrictlyValid) >= 2.0 * share(Feature::StrictlyInvalid), "{coverage}");
    assert!((0.005..0.10).contains(&share(Feature::Refused)), "{coverage}");
}

#[test]
fn a_world_that_cedar_cannot_read_is_reported_as_such() {
    let oracle = Oracle::start();
    let good = Generator::new(1).world(0);
    let judged = |change: fn(&mut World)| {
        let mut world = good.clone();
        change(&mut world);
        oracle.judge(&world)
    };
    let refused = |verdict: Verdict, part: &str| match verdict {
        Verdict::WorldRefused(why) => why.starts_with(part),
        Verdict::Judged { .. } => false,
    };
    assert!(refused(
        judged(|world| world.policies.push("permit(principal".to_owned())),
        "policies: "
    ));
    assert!(refused(judged(|world| world.schema = Some("entity".to_owned())), "schema: "));
    assert!(refused(judged(|world| world.entities.push(Value::Null)), "entities: "));
    assert!(refused(
        judged(|world| world.links.push(pdp_tests::Link {
            template_id: "policy999".to_owned(),
            link_id: "x".to_owned(),
            principal: Some(Uid::new("T", "x")),
            resource: None,
        })),
        "links: "
    ));
}
