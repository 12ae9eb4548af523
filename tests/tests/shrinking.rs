//! The shrinker: what it leaves still fails, and little is left.

#![expect(clippy::expect_used, reason = "a test whose own premise fails must stop and say which")]

use pdp_tests::oracle::Judge;
use pdp_tests::{ErrorKind, Generator, Oracle, Outcome, Verdict, World, shrink};

/// Whether some policy of the world fails with `kind`.
fn fails_with(judge: &mut Judge, world: &World, kind: ErrorKind) -> bool {
    match judge.judge(world) {
        Verdict::WorldRefused(_) => false,
        Verdict::Judged { outcomes, .. } => outcomes.iter().any(|outcome| {
            matches!(outcome, Outcome::Answer(answer) if answer.error_kinds.contains(&kind))
        }),
    }
}

#[test]
fn a_failing_policy_is_left_alone_with_its_request() {
    let kinds = [
        ErrorKind::Overflow,
        ErrorKind::AttributeMissing,
        ErrorKind::EntityMissing,
        ErrorKind::Extension,
    ];
    Oracle::start().run(move |judge| {
        for kind in kinds {
            let mut generator = Generator::new(3);
            let failing = (0..2000)
                .map(|index| generator.world(index))
                .find(|world| world.policies.len() > 4 && fails_with(judge, world, kind))
                .expect("every kind of error occurs in 2,000 worlds");
            let small = shrink(failing, |world| fails_with(judge, world, kind));
            assert!(fails_with(judge, &small, kind), "{}", small.to_json());
            let left = (small.policies.len(), small.requests.len());
            assert_eq!(left, (1, 1), "{}", small.to_json());
            assert!(small.entities.len() <= 6, "{}", small.to_json());
            assert!(small.to_json().to_string().len() < 1500, "{}", small.to_json());
        }
    });
}

#[test]
fn links_follow_their_templates() {
    let mut generator = Generator::new(5);
    let world = (0..200)
        .map(|index| generator.world(index))
        .find(|world| {
            world.links.last().is_some_and(|link| link.template_id.len() == "policy0".len())
                && world.policies.len() > 5
                && world.links.last().map(|link| link.template_id.as_str()) > Some("policy2")
        })
        .expect("some world links a template that is not the first");
    let text = |world: &World| {
        let template = world.links.last().map(|link| link.template_id.clone());
        (0..world.policies.len())
            .find(|at| Some(World::policy_id(*at)) == template)
            .and_then(|at| world.policies.get(at).cloned())
    };
    let template = text(&world);
    let small = shrink(world, |world| !world.links.is_empty() && text(world) == template);
    assert_eq!(text(&small), template);
    assert_eq!(small.policies.len(), 1);
    assert_eq!(small.links.len(), 1);
    assert!(small.requests.is_empty() && small.entities.is_empty());
}

#[test]
fn nothing_goes_when_everything_is_needed() {
    let world = Generator::new(5).world(3);
    let whole = world.clone();
    assert_eq!(shrink(world, |smaller| *smaller == whole), whole);
}
