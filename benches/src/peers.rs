//! Engines that do not read Cedar, asked the same questions: who they are, and what they cannot express.
//!
//! Each is built from what a workload says about itself ([`crate::workload::Rewrite`]), as somebody who knows the engine
//! would write it, and its answers are compared with ours before it is timed. None gives determining policies, and
//! none validates its input. An engine that cannot express a workload is not bent until it can: [`notes`] says so.

pub mod casbin;
pub mod hash_index;
pub mod rego;

use crate::workload::{Rewrite, Workload};

/// What is asked of an engine here.
pub trait Peer {
    /// The answer to question number `at`.
    fn allows(&self, at: usize) -> bool;
}

/// What the peers cannot express of a workload, for the record.
pub fn notes(workload: &Workload) -> Vec<String> {
    match &workload.rewrite {
        Rewrite::None(why) => vec![format!(
            "{}: regorus, casbin and the hand-written index are left out: {why}",
            workload.family
        )],
        Rewrite::W1(_) => vec![
            format!(
                "w1: casbin has no form for the conditions and the forbids; it says whether any grant to agent or group covers the tool, and is checked against that, up to {} policies",
                casbin::POLICIES_MAX
            ),
            format!("w1: regorus refuses or takes minutes beyond {} rules; as data it has all sizes", rego::RULES_MAX),
        ],
        Rewrite::Attributes(_) => vec![
            "attribute-rules: casbin and the hand-written index are left out: the first has no form for attributes of both sides, the second is written for w1".to_owned(),
        ],
    }
}
