//! Nobody gains anything by delegating: laws that hold for every policy set, asked of random ones.
//!
//! No oracle is needed. Worlds are small on purpose, so that names meet: a few agents and people, groups, permits and
//! forbids whose conditions may fail. A test that allows or denies nearly everything says little, so both are counted.
#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "test code fails loudly")]

use pdp_core::{Effect, OwnedAnswer, Reason};
use pdp_tests::desk::{Desk, MANIFEST, request};
use pdp_tests::rng::Rng;

const WORLDS: u64 = 60;
const REQUESTS: u64 = 25;
const PEOPLE: [&str; 6] =
    ["A::\"0\"", "A::\"1\"", "A::\"2\"", "B::\"0\"", "B::\"1\"", "B::\"unknown\""];
const GROUPS: [&str; 3] = ["G::\"0\"", "G::\"1\"", "G::\"2\""];
const ENTITIES: &str = r#"[
    {"uid": {"type": "G", "id": "0"}, "attrs": {}, "parents": []},
    {"uid": {"type": "G", "id": "1"}, "attrs": {}, "parents": [{"type": "G", "id": "0"}]},
    {"uid": {"type": "G", "id": "2"}, "attrs": {}, "parents": []},
    {"uid": {"type": "A", "id": "0"}, "attrs": {"n": 0}, "parents": [{"type": "G", "id": "1"}]},
    {"uid": {"type": "A", "id": "1"}, "attrs": {"n": 1}, "parents": [{"type": "G", "id": "0"}, {"type": "G", "id": "2"}]},
    {"uid": {"type": "A", "id": "2"}, "attrs": {}, "parents": []},
    {"uid": {"type": "B", "id": "0"}, "attrs": {"n": "text"}, "parents": [{"type": "G", "id": "1"}]},
    {"uid": {"type": "B", "id": "1"}, "attrs": {"n": 3}, "parents": [{"type": "G", "id": "2"}]}]"#;

/// A bundle's texts. Policies do not look at the delegation.
#[derive(Clone)]
struct Sketch {
    manifest: String,
    policies: Vec<String>,
}

/// Who asks for whom.
#[derive(Clone, Debug)]
struct Chain {
    principal: &'static str,
    actors: Vec<&'static str>,
    subject: Option<&'static str>,
    flag: bool,
}

fn policy(rng: &mut Rng, effect: &str) -> String {
    let scope = match rng.below(6) {
        0 => format!("principal == {}", rng.pick(&PEOPLE)),
        1 => format!("principal in {}", rng.pick(&GROUPS)),
        2 => "principal is A".to_owned(),
        3 => format!("principal is B in {}", rng.pick(&GROUPS)),
        _ => "principal".to_owned(),
    };
    let condition = match rng.below(9) {
        0 => "when { principal.n < 2 }".to_owned(),
        1 => "unless { principal has n }".to_owned(),
        2 => "when { context.flag }".to_owned(),
        3 => format!("when {{ principal in {} }}", rng.pick(&GROUPS)),
        4 => format!("unless {{ principal == {} }}", rng.pick(&PEOPLE)),
        5 => "when { principal has n && principal.n != 1 }".to_owned(),
        6 => "when { context.flag || principal.n == 3 }".to_owned(),
        _ => String::new(),
    };
    format!("{effect}({scope}, action, resource) {condition};")
}

impl Sketch {
    fn draw(rng: &mut Rng) -> Self {
        let rule = rng.choose(&["deny", "skip"]);
        let legs = rng.choose(&["all", "ends"]);
        let manifest = format!(
            "{MANIFEST}on_forbid_error = \"{rule}\"\nchain_legs = \"{legs}\"\nentities_complete = false\n"
        );
        let mut policies = Vec::new();
        for _ in 0..rng.between(2, 5) {
            policies.push(policy(rng, "permit"));
        }
        for _ in 0..rng.between(0, 2) {
            policies.push(policy(rng, "forbid"));
        }
        Self { manifest, policies }
    }

    fn desk(&self) -> Desk {
        let policies = self.policies.join("\n");
        Desk::folder(&[
            ("bundle.toml", self.manifest.as_str()),
            ("p.cedar", &policies),
            ("entities/e.json", ENTITIES),
        ])
    }
}

impl Chain {
    fn draw(rng: &mut Rng) -> Self {
        let mut people = PEOPLE;
        rng.shuffle(&mut people);
        let (principal, rest) = people.split_first().unwrap();
        let (subject, rest) = rest.split_first().unwrap();
        Self {
            principal,
            actors: rest[..rng.below(3)].to_vec(),
            subject: rng.percent(80).then_some(*subject),
            flag: rng.percent(50),
        }
    }

    fn ask(&self, desk: &mut Desk) -> OwnedAnswer {
        let uid = |uid: &str| serde_json::Value::from(uid).to_string();
        let context = format!("{{\"flag\":{}}}", self.flag);
        let plain = request(self.principal, "Action::\"do\"", "D::\"d\"", &context);
        let actors: Vec<String> = self.actors.iter().map(|actor| uid(actor)).collect();
        let subject = self.subject.map(|subject| format!(",\"on_behalf_of\":{}", uid(subject)));
        let rest = plain.strip_suffix('}').unwrap();
        let text =
            format!("{rest},\"actors\":[{}]{}}}", actors.join(","), subject.unwrap_or_default());
        let answer = desk.ask(&text);
        assert_ne!(answer.reason, Reason::InvalidRequest, "{text}: {answer:?}");
        answer
    }

    fn allowed(&self, desk: &mut Desk) -> bool {
        self.ask(desk).effect == Effect::Allow
    }

    /// Somebody who is not in the chain yet, and a place for them.
    fn longer(&self, rng: &mut Rng) -> Option<Self> {
        let inside = |person: &&str| {
            *person == self.principal
                || self.actors.contains(person)
                || Some(*person) == self.subject
        };
        let others: Vec<&'static str> =
            PEOPLE.into_iter().filter(|person| !inside(person)).collect();
        let mut chain = self.clone();
        let at = rng.between(0, chain.actors.len());
        chain.actors.insert(at, rng.pick_maybe(&others)?);
        Some(chain)
    }
}

/// Draws worlds and chains, and demands a law of each; tells how often the plain answer was an allow.
#[track_caller]
fn law(
    name: u64,
    mut holds: impl FnMut(&mut Rng, &Sketch, &mut Desk, &Chain) -> Result<(), String>,
) {
    let (mut allowed, mut asked) = (0, 0);
    for world in 0..WORLDS {
        let mut rng = Rng::new(&[name, world]);
        let sketch = Sketch::draw(&mut rng);
        let mut desk = sketch.desk();
        for _ in 0..REQUESTS {
            let chain = Chain::draw(&mut rng);
            asked += 1;
            allowed += u64::from(chain.allowed(&mut desk));
            if let Err(broken) = holds(&mut rng, &sketch, &mut desk, &chain) {
                unreachable!(
                    "world {world}: {broken}: {chain:?}\n{}\n{}",
                    sketch.manifest,
                    sketch.policies.join("\n")
                );
            }
        }
    }
    assert!(allowed * 10 > asked && allowed * 10 < asked * 9, "{allowed} of {asked} are allowed");
}

#[test]
fn what_an_agent_may_do_for_somebody_they_may_do_themselves() {
    law(1, |_, _, desk, chain| {
        let Some(subject) = chain.subject.filter(|_| chain.allowed(desk)) else { return Ok(()) };
        let alone =
            Chain { principal: subject, actors: Vec::new(), subject: None, ..chain.clone() };
        let without = Chain { subject: None, ..chain.clone() };
        match (alone.allowed(desk), without.allowed(desk)) {
            (true, true) => Ok(()),
            (alone, without) => Err(format!("alone: {alone}, agent without subject: {without}")),
        }
    });
}

#[test]
fn a_longer_chain_never_allows_what_a_shorter_one_does_not() {
    law(2, |rng, _, desk, chain| {
        let Some(longer) = chain.longer(rng) else { return Ok(()) };
        match chain.allowed(desk) || !longer.allowed(desk) {
            true => Ok(()),
            false => Err(format!("allowed: {longer:?}")),
        }
    });
}

#[test]
fn the_order_of_inner_actors_changes_no_effect() {
    law(3, |rng, _, desk, chain| {
        let mut chain = chain.longer(rng).unwrap_or_else(|| chain.clone());
        chain = chain.longer(rng).unwrap_or(chain);
        let before = chain.allowed(desk);
        rng.shuffle(&mut chain.actors);
        if chain.allowed(desk) == before { Ok(()) } else { Err(format!("turned round: {chain:?}")) }
    });
}

#[test]
fn one_more_forbid_never_allows_what_was_denied() {
    // Of the world that is at hand: its policies, and a bundle with one forbid more.
    let mut stricter: Option<(Vec<String>, Desk)> = None;
    law(4, |rng, sketch, desk, chain| {
        let (_, more) = match stricter.take().filter(|(of, _)| *of == sketch.policies) {
            Some(known) => stricter.insert(known),
            None => {
                let mut more = sketch.clone();
                let at = rng.between(0, more.policies.len());
                more.policies.insert(at, policy(rng, "forbid"));
                stricter.insert((sketch.policies.clone(), more.desk()))
            }
        };
        match chain.allowed(desk) || !chain.allowed(more) {
            true => Ok(()),
            false => Err("allowed by one forbid more".to_owned()),
        }
    });
}
