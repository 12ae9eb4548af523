//! Why a request or a policy costs what it costs, in words that an author can act on.

use pdp_core::{PolicyCost, Request, Value};

use crate::bench::profile::{PolicyUse, RequestUse};
use crate::render;

/// Steps that the bundle foresees for one evaluation, from which on they are worth a word.
const STEPS_NOTED: u64 = 100;
/// Elements of a literal set, or pieces of a pattern, from which on they are worth a word.
const LITERAL_NOTED: u64 = 16;
/// Values in a request from which on they are worth a word.
const VALUES_NOTED: usize = 32;
/// Bytes of the strings in a request from which on they are worth a word.
const TEXT_NOTED: usize = 4_096;

/// What is known of a request beside its evaluations.
#[derive(Clone, Copy, Debug)]
pub(crate) struct RequestFacts<'a> {
    /// Decision time, undisturbed.
    pub(crate) ns: f64,
    /// Candidates of the workload's request in the middle.
    pub(crate) usual_candidates: usize,
    /// The id of the policy that took longest, its time, and why it does.
    pub(crate) dearest: Option<(&'a str, f64, &'a [String])>,
    /// The answer's reason.
    pub(crate) reason: &'static str,
}

/// Why a policy costs what it does.
pub(crate) fn policy(
    effect: &str,
    cost: &PolicyCost,
    used: &PolicyUse,
    requests: usize,
) -> Vec<String> {
    let mut why = Vec::new();
    why.push(match (&cost.principal, &cost.action, &cost.resource) {
        (None, None, None) => {
            format!("this {effect} has an unconstrained scope and is evaluated for every request")
        }
        (None, Some(action), None) => format!(
            "the scope of this {effect} constrains only the action (`{}`): every request for it evaluates it",
            cut(action)
        ),
        (principal, action, resource) => {
            let asked = [principal, action, resource].into_iter().flatten();
            let asked: Vec<String> = asked.map(|asked| cut(asked)).collect();
            format!("found by `{}`", asked.join(", "))
        }
    });
    if used.requests == requests && requests > 1 && !cost.is_unconstrained() {
        why.push("its scope matches every request of this workload".to_owned());
    }
    if cost.steps_max == 1 {
        why.push("no condition: the scope decides".to_owned());
    }
    if cost.literal_elements_max >= LITERAL_NOTED {
        why.push(format!("walks over a literal set of {} elements", cost.literal_elements_max));
    }
    if cost.pattern_pieces_max >= LITERAL_NOTED {
        why.push(format!("matches a pattern of {} pieces", cost.pattern_pieces_max));
    }
    if used.steps_max > cost.steps_max && used.steps_max >= STEPS_NOTED {
        why.push(format!(
            "walks over what the request or an entity holds: up to {} steps, where the condition alone has {}",
            used.steps_max, cost.steps_max
        ));
    } else if cost.steps_max >= STEPS_NOTED {
        why.push(format!("a long condition: up to {} steps", cost.steps_max));
    }
    if cost.calls {
        why.push("calls extension functions such as `ip` or `datetime`".to_owned());
    }
    if used.failed > 0 {
        why.push(format!("fails in {} of {} evaluations", used.failed, used.evaluations));
    }
    if used.satisfied == 0 {
        why.push("never satisfied by this workload".to_owned());
    }
    why
}

/// Why a request takes as long as it does.
pub(crate) fn request(
    request: &Request<'_>,
    used: &RequestUse,
    facts: &RequestFacts<'_>,
) -> Vec<String> {
    let mut why = Vec::new();
    if used.legs == 0 {
        why.push(format!("refused before any policy is asked, reason `{}`", facts.reason));
    }
    if facts.reason == "limit" && used.legs > 0 {
        why.push("runs out of the bundle's `eval_steps_max` and is denied for it".to_owned());
    }
    if used.legs > 1 {
        why.push(format!("{} legs, each decided on its own", used.legs));
    }
    if used.candidates > facts.usual_candidates.saturating_mul(2).max(4) {
        why.push(format!(
            "{} policies speak, where the request in the middle of this workload has {}",
            used.candidates, facts.usual_candidates
        ));
    }
    if let Some((id, ns, reasons)) = facts.dearest.filter(|(_, ns, _)| *ns > 0.25 * facts.ns) {
        let because = reasons.first().map_or(String::new(), |why| format!(": {why}"));
        why.push(format!(
            "{:.0} % of its time in `{}`{because}",
            100.0 * (ns / facts.ns).min(1.0),
            render::shown(id)
        ));
    }
    if !request.entities.is_empty() {
        let count = render::count(request.entities.len(), "entity", "entities");
        why.push(format!("{count} came with the request, to be taken in each time"));
    }
    let (mut values, mut bytes) = (0, 0);
    let attrs = request.entities.iter().flat_map(|entity| entity.attrs.iter().chain(entity.tags));
    for (_, value) in request.context.iter().chain(attrs) {
        measure(value, &mut values, &mut bytes);
    }
    if values >= VALUES_NOTED || bytes >= TEXT_NOTED {
        why.push(format!("brings {values} values and {bytes} bytes of text"));
    }
    if why.is_empty() {
        why.push(
            match used.ns < 0.5 * facts.ns {
                true => "most of its time goes to taking the request in, the index and the answer",
                false => "its policies take most of the time, none of them by itself",
            }
            .to_owned(),
        );
    }
    why
}

/// Counts values and bytes of strings. The reader of requests has bounded the depth.
fn measure(value: &Value<'_>, values: &mut usize, bytes: &mut usize) {
    *values += 1;
    match value {
        Value::String(text) => *bytes += text.len(),
        Value::Set(items) => items.iter().for_each(|item| measure(item, values, bytes)),
        Value::Record(pairs) => pairs.iter().for_each(|(_, item)| measure(item, values, bytes)),
        _ => {}
    }
}

/// A key of the scope, not longer than a line.
fn cut(text: &str) -> String {
    const CHARS_MAX: usize = 80;
    match text.char_indices().nth(CHARS_MAX) {
        Some((at, _)) => format!("{}…", render::shown(text.get(..at).unwrap_or(text))),
        None => render::shown(text),
    }
}

#[cfg(test)]
mod tests {
    use pdp_core::Uid;

    use super::*;

    const FREE: PolicyCost = PolicyCost {
        principal: None,
        action: None,
        resource: None,
        grouped: false,
        steps_max: 4,
        literal_elements_max: 0,
        pattern_pieces_max: 0,
        calls: false,
    };
    const USED: PolicyUse = PolicyUse {
        requests: 1,
        evaluations: 2,
        satisfied: 1,
        failed: 0,
        steps: 8,
        steps_max: 4,
        ns: 20.0,
    };

    #[test]
    fn policies() {
        assert_eq!(
            policy("forbid", &FREE, &USED, 9),
            ["this forbid has an unconstrained scope and is evaluated for every request"]
        );
        let action = PolicyCost { action: Some("action == A::\"x\"".to_owned()), ..FREE };
        assert_eq!(
            policy("permit", &action, &USED, 9),
            [
                "the scope of this permit constrains only the action (`action == A::\"x\"`): every request for it evaluates it"
            ]
        );
        let long = PolicyCost {
            principal: Some("p".repeat(90)),
            steps_max: 1_000,
            literal_elements_max: 300,
            pattern_pieces_max: 20,
            calls: true,
            ..FREE
        };
        let unlucky = PolicyUse { satisfied: 0, failed: 1, requests: 9, ..USED };
        assert_eq!(
            policy("permit", &long, &unlucky, 9),
            [
                &format!("found by `{}…`", "p".repeat(80)),
                "its scope matches every request of this workload",
                "walks over a literal set of 300 elements",
                "matches a pattern of 20 pieces",
                "a long condition: up to 1000 steps",
                "calls extension functions such as `ip` or `datetime`",
                "fails in 1 of 2 evaluations",
                "never satisfied by this workload",
            ]
        );
        let walked = PolicyUse { steps_max: 5_000, ..USED };
        assert!(
            policy("permit", &FREE, &walked, 9)
                .iter()
                .any(|why| why.contains("up to 5000 steps, where"))
        );
    }

    #[test]
    fn requests() {
        let uid = Uid::new("U", "a");
        let plain = Request::new(uid, uid, uid, &[]);
        let facts =
            RequestFacts { ns: 100.0, usual_candidates: 2, dearest: None, reason: "permitted" };
        let used = RequestUse { legs: 1, candidates: 2, steps: 4, ns: 10.0, dearest: vec![] };
        assert_eq!(
            request(&plain, &used, &facts),
            ["most of its time goes to taking the request in, the index and the answer"]
        );
        let refused = RequestUse { legs: 0, ..used.clone() };
        assert_eq!(
            request(&plain, &refused, &RequestFacts { reason: "invalid_request", ..facts }),
            ["refused before any policy is asked, reason `invalid_request`"]
        );
        let out_of_steps = RequestFacts { reason: "limit", ..facts };
        assert_eq!(
            request(&plain, &used, &out_of_steps),
            ["runs out of the bundle's `eval_steps_max` and is denied for it"]
        );
        let because = ["this forbid is long".to_owned()];
        let dear = RequestFacts { dearest: Some(("f", 60.0, &because)), ..facts };
        let crowded = RequestUse { legs: 3, candidates: 50, ns: 90.0, ..used };
        let values = [Value::Long(1); 40];
        let context = [("xs", Value::Set(&values))];
        let large = Request { context: &context, ..plain };
        assert_eq!(
            request(&large, &crowded, &dear),
            [
                "3 legs, each decided on its own",
                "50 policies speak, where the request in the middle of this workload has 2",
                "60 % of its time in `f`: this forbid is long",
                "brings 41 values and 0 bytes of text",
            ]
        );
    }
}
