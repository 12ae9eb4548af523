//! The generator's strength: faults that engines have had, imitated by changing the world, must show in the answers.
//!
//! Each fault is applied to policies, entities or requests before Cedar is asked a second time. If hardly any case then comes
//! out differently, a real engine with that fault would pass the differential test.

use pdp_tests::{Generator, Oracle, Outcome, Verdict, World};
use serde_json::{Value, json};

const WORLDS: u64 = 400;
const SEED: u64 = 77;
/// How many of the 6,400 cases must tell the faulty engine from Cedar.
const TELLING_MIN: usize = 3;

struct Fault {
    name: &'static str,
    apply: fn(&mut World),
}

const FAULTS: &[Fault] = &[
    Fault {
        name: "all strings that the bundle does not know are one symbol",
        apply: |world| {
            for request in &mut world.requests {
                collapse_unseen(&mut request.context);
            }
        },
    },
    Fault {
        name: "an equality test that fails is taken for false",
        apply: |world| {
            replace(world, &[("context.tool == ", "context has tool && context.tool == ")])
        },
    },
    Fault {
        name: "a conjunct is lifted over an operand that may fail",
        apply: |world| world.policies.iter_mut().for_each(swap_first_conjuncts),
    },
    Fault {
        name: "extension values are compared by their spelling",
        apply: |world| replace(world, RESPELLED),
    },
    Fault {
        name: "inline entities have no parents",
        apply: |world| {
            for request in &mut world.requests {
                request.inline_entities.iter_mut().for_each(orphan);
            }
        },
    },
    Fault {
        name: "only the first parent counts",
        apply: |world| {
            for parents in world.entities.iter_mut().filter_map(parents) {
                parents.truncate(1);
            }
        },
    },
    Fault {
        name: "membership reaches as far as the parents",
        apply: |world| {
            let all: Vec<Value> = world
                .entities
                .iter_mut()
                .filter_map(parents)
                .flat_map(|parents| parents.clone())
                .collect();
            let is_parent = |entity: &Value| entity.get("uid").is_some_and(|uid| all.contains(uid));
            world.entities.iter_mut().filter(|entity| is_parent(entity)).for_each(orphan);
        },
    },
    Fault {
        name: "an escaped star matches anything",
        apply: |world| replace(world, &[("\\*", "*")]),
    },
    Fault { name: "`<=` is `<`", apply: |world| replace(world, &[(" <= ", " < ")]) },
    Fault {
        name: "a missing attribute is an empty string",
        apply: |world| {
            replace(
                world,
                &[(
                    "principal.department",
                    "(if principal has department then principal.department else \"\")",
                )],
            )
        },
    },
    Fault {
        name: "links share the first link's principal",
        apply: |world| {
            let first = world.links.iter().find_map(|link| link.principal.clone());
            for link in &mut world.links {
                if link.principal.is_some() {
                    link.principal.clone_from(&first);
                }
            }
        },
    },
];

/// Spellings, and constants that mean something else.
const RESPELLED: &[(&str, &str)] = &[
    ("/32\")", "/31\")"),
    ("\"1.00\"", "\"1.01\""),
    ("\"0.0000\"", "\"0.01\""),
    ("\"-1.50\"", "\"-1.51\""),
    ("T05:30:00+0530", "T05:30:01+0530"),
    ("T00:00:00.000Z", "T00:00:00.001Z"),
    ("\"60m\"", "\"61m\""),
    ("\"3600s\"", "\"3601s\""),
    ("\"24h\"", "\"25h\""),
];

fn replace(world: &mut World, pairs: &[(&str, &str)]) {
    for policy in &mut world.policies {
        for (from, to) in pairs {
            *policy = policy.replace(from, to);
        }
    }
}

fn collapse_unseen(json: &mut Value) {
    match json {
        Value::String(text) if text.starts_with("unseen-") => *text = "unseen".to_owned(),
        Value::Array(items) => items.iter_mut().for_each(collapse_unseen),
        Value::Object(parts) => parts.values_mut().for_each(collapse_unseen),
        _ => {}
    }
}

/// Swaps the first two conjuncts of the first `when`, if that still parses.
fn swap_first_conjuncts(policy: &mut String) {
    let swapped = || {
        let (before, rest) = policy.split_once("when { ")?;
        let (first, rest) = rest.split_once(" && ")?;
        let (second, rest) = rest.split_once(" && ")?;
        Some(format!("{before}when {{ {second} && {first} && {rest}"))
    };
    if let Some(swapped) = swapped().filter(|text| text.parse::<cedar_policy::PolicySet>().is_ok())
    {
        *policy = swapped;
    }
}

fn parents(entity: &mut Value) -> Option<&mut Vec<Value>> {
    entity.get_mut("parents")?.as_array_mut()
}

fn orphan(entity: &mut Value) {
    if let Some(entity) = entity.as_object_mut() {
        entity.insert("parents".to_owned(), json!([]));
    }
}

/// In how many cases the two verdicts differ.
fn differing(sound: &Verdict, faulty: &Verdict) -> usize {
    match (sound, faulty) {
        (Verdict::Judged { outcomes: sound, .. }, Verdict::Judged { outcomes: faulty, .. }) => {
            sound
                .iter()
                .zip(faulty)
                .filter(|(sound, faulty)| match (sound, faulty) {
                    (Outcome::Answer(sound), Outcome::Answer(faulty)) => {
                        (sound.allow, &sound.reasons, &sound.errors)
                            != (faulty.allow, &faulty.reasons, &faulty.errors)
                    }
                    _ => false,
                })
                .count()
        }
        _ => 0,
    }
}

#[test]
fn known_faults_show() {
    let weak = Oracle::start().run(|judge| {
        let mut generator = Generator::new(SEED);
        let mut telling = vec![0; FAULTS.len()];
        for index in 0..WORLDS {
            let world = generator.world(index);
            let sound = judge.judge(&world);
            for (fault, telling) in FAULTS.iter().zip(&mut telling) {
                let mut changed = world.clone();
                (fault.apply)(&mut changed);
                if changed != world {
                    *telling += differing(&sound, &judge.judge(&changed));
                }
            }
        }
        let mut weak = Vec::new();
        for (fault, telling) in FAULTS.iter().zip(telling) {
            println!("{telling:>5} cases tell: {}", fault.name);
            if telling < TELLING_MIN {
                weak.push(fault.name);
            }
        }
        weak
    });
    assert_eq!(weak, Vec::<&str>::new(), "these faults would pass unnoticed");
}
