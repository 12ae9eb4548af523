//! The workload families, in one list: what each is called, what it shows, and at which sizes.
//!
//! A family is a file of its own that makes a [`Workload`]; this list is all that the program `compare` and the tests
//! see of it. Sizes leave out only what would take minutes and show nothing new: a family whose every policy has to be
//! looked at grows with the policies, at 10,000 as at 100,000.

use crate::workload::Workload;
use crate::{
    adversarial, attribute_rules, cold, deep_groups, delegated, inline_entities, overlap, w1,
};

/// One family.
#[derive(Clone, Copy, Debug)]
pub struct Family {
    /// Its name in the record.
    pub name: &'static str,
    /// What it shows, in a sentence.
    pub what: &'static str,
    /// What its size counts.
    pub axis: &'static str,
    /// The sizes of a full run.
    pub sizes: &'static [usize],
    /// The sizes of a quick run.
    pub quick: &'static [usize],
    /// Makes it.
    pub make: fn(usize) -> Workload,
}

const ALL_SIZES: &[usize] = &[10, 100, 1_000, 10_000, 100_000];
const SMALL_SIZES: &[usize] = &[10, 100, 1_000, 10_000];
const QUICK_SIZES: &[usize] = &[10, 1_000, 10_000];

/// All generated families.
pub const FAMILIES: &[Family] = &[
    Family {
        name: "w1",
        what: "agents call tools: a policy for an agent and a tool, or for a group and a server",
        axis: "policies",
        sizes: ALL_SIZES,
        quick: ALL_SIZES,
        make: |size| w1::W1::new(size).workload(),
    },
    Family {
        name: "deep-groups",
        what: "hierarchies ten levels deep on both sides, wide membership",
        axis: "policies",
        sizes: ALL_SIZES,
        quick: QUICK_SIZES,
        make: deep_groups::workload,
    },
    Family {
        name: "attribute-rules",
        what: "unconstrained scopes; policies differ in what attributes equal",
        axis: "policies",
        sizes: ALL_SIZES,
        quick: QUICK_SIZES,
        make: attribute_rules::workload,
    },
    Family {
        name: "overlap",
        what: "hundreds of policies match each request",
        axis: "policies",
        sizes: ALL_SIZES,
        quick: QUICK_SIZES,
        make: overlap::workload,
    },
    Family {
        name: "adversarial-one-bucket",
        what: "one scope for all, conditions without equality: all are looked at",
        axis: "policies",
        sizes: SMALL_SIZES,
        quick: QUICK_SIZES,
        make: adversarial::one_bucket,
    },
    Family {
        name: "adversarial-crossing",
        what: "principal and resource alone each find half of all policies, together almost none",
        axis: "policies",
        sizes: ALL_SIZES,
        quick: QUICK_SIZES,
        make: adversarial::crossing,
    },
    Family {
        name: "delegated-2",
        what: "an agent acts for a user: two legs",
        axis: "policies",
        sizes: ALL_SIZES,
        quick: QUICK_SIZES,
        make: delegated::two_legs,
    },
    Family {
        name: "delegated-3",
        what: "an agent acts for an agent that acts for a user: three legs",
        axis: "policies",
        sizes: SMALL_SIZES,
        quick: &[1_000],
        make: delegated::three_legs,
    },
    Family {
        name: "inline-entities",
        what: "each request brings one or two entities that the store does not have",
        axis: "policies",
        sizes: SMALL_SIZES,
        quick: QUICK_SIZES,
        make: inline_entities::workload,
    },
    Family {
        name: "cold",
        what: "requests drawn uniformly from all entities, 10,000 policies",
        axis: "entities",
        sizes: &[10_000, 100_000, 1_000_000],
        quick: &[100_000],
        make: cold::workload,
    },
];

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "test code fails loudly")]
mod tests {
    use pdp_core::json::Arena;

    use super::*;
    use crate::answer::{Mix, check};
    use crate::ours::Ours;
    use crate::reference::Reference;

    fn checked(workload: &mut Workload, questions: usize) -> (Mix, f64) {
        workload.questions.truncate(questions);
        let (mut ours, arena) = (Ours::new(workload).unwrap(), Arena::new());
        let requests = ours.read_all(workload, &arena).unwrap();
        let reference = Reference::new(workload, questions).unwrap();
        assert!(reference.is_sliced());
        let mix = check(&requests, &mut ours, &reference, questions).unwrap();
        (mix, reference.in_scope)
    }

    #[test]
    fn the_engines_agree_on_every_family_and_outcomes_are_mixed() {
        for family in FAMILIES.iter().filter(|family| family.axis == "policies") {
            let (mix, in_scope) = checked(&mut (family.make)(100), 100);
            let name = family.name;
            assert!(mix.checked_whole == 100 && mix.checked_sliced == 100, "{name}: {mix:?}");
            assert!(mix.allowed > 0 && in_scope > 0.0, "{name}: {mix:?}, {in_scope} in scope");
            assert!(mix.not_permitted + mix.forbidden > 0, "{name}: {mix:?}");
        }
    }

    #[test]
    fn the_engines_agree_on_few_entities_too() {
        let (mix, in_scope) = checked(&mut cold::workload(3_000), cold::SAMPLE);
        assert!(mix.allowed > 0 && mix.not_permitted > 0 && in_scope > 1.0, "{mix:?}, {in_scope}");
    }

    #[test]
    fn the_same_size_gives_the_same_texts() {
        for family in FAMILIES {
            let size = if family.axis == "policies" { 50 } else { 2_100 };
            let (first, second) = ((family.make)(size), (family.make)(size));
            assert_eq!(first.policies, second.policies, "{}", family.name);
            assert_eq!(first.entities, second.entities, "{}", family.name);
            assert_eq!(first.questions, second.questions, "{}", family.name);
            assert_eq!((first.family.as_str(), first.size), (family.name, size));
        }
    }
}
