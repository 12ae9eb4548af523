//! Which policies of a world are alike except for constants that an attribute is compared with.

use super::walk::operator;
use serde_json::Value as Json;
use std::collections::{HashMap, HashSet};

/// For each of `policies` (as JSON), whether another one differs from it in such constants only.
pub(super) fn members(policies: &[&Json]) -> Vec<bool> {
    let skeletons: Vec<String> = policies.iter().map(|policy| skeleton(policy)).collect();
    let mut variants: HashMap<&str, HashSet<String>> = HashMap::new();
    for (policy, skeleton) in policies.iter().zip(&skeletons) {
        variants.entry(skeleton).or_default().insert(conditions(policy).to_string());
    }
    skeletons
        .iter()
        .map(|skeleton| variants.get(skeleton.as_str()).is_some_and(|variants| variants.len() > 1))
        .collect()
}

/// The policy without its effect, its annotations and the constants in question.
fn skeleton(policy: &Json) -> String {
    let mut conditions = conditions(policy).clone();
    blank_constants(&mut conditions);
    let part = |name: &str| policy.get(name).unwrap_or(&Json::Null);
    format!("{} {} {} {conditions}", part("principal"), part("action"), part("resource"))
}

fn conditions(policy: &Json) -> &Json {
    policy.get("conditions").unwrap_or(&Json::Null)
}

fn blank_constants(json: &mut Json) {
    let compares_attribute = operator(json).is_some_and(|(name, operands)| {
        let is_attribute =
            |side: &str| operands.get(side).is_some_and(|side| side.get(".").is_some());
        name == "==" && (is_attribute("left") || is_attribute("right"))
    });
    if compares_attribute && let Some(operands) = json.get_mut("==").and_then(Json::as_object_mut) {
        for side in operands.values_mut().filter(|side| side.get(".").is_none()) {
            *side = Json::Null;
        }
    }
    match json {
        Json::Array(items) => items.iter_mut().for_each(blank_constants),
        Json::Object(parts) => parts.values_mut().for_each(blank_constants),
        _ => {}
    }
}
