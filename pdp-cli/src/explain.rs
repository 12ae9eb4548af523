//! An explanation as text: which policies decided, with their text and place, and what the nearest permits lacked.
//!
//! Whatever it shows comes from the core; nothing is evaluated or guessed here.

use std::fmt::Write;

use pdp_core::{Explanation, LegExplanation, NearMiss, PolicyNote, Reason};

use crate::render::{Fields, Paint, shown};

/// All legs, one after another; each begins with an empty line.
pub(crate) fn text(explanation: &Explanation, paint: Paint) -> String {
    let leg = |leg: &LegExplanation| {
        let own = explanation.answer.legs.iter().find(|own| own.role == leg.role);
        leg_text(leg, own.map(|own| own.reason), paint)
    };
    explanation.legs.iter().map(leg).collect()
}

fn leg_text(leg: &LegExplanation, reason: Option<Reason>, paint: Paint) -> String {
    let mut out = format!("\n{}  {}\n", leg.role, shown(&leg.principal));
    for note in &leg.determining {
        push(&mut out, &format!("  decided by {}", place(note)));
        push_source(&mut out, note, paint);
    }
    for note in &leg.failing {
        push(&mut out, &format!("  could not be evaluated: {}", place(note)));
        if let Some(error) = &note.error {
            push(&mut out, &format!("    {}", shown(error)));
        }
        push_source(&mut out, note, paint);
    }
    let silent = leg.determining.is_empty() && leg.nearest.is_empty() && leg.failing.is_empty();
    // A request that was refused as invalid was never put to any policy.
    if silent && reason == Some(Reason::NotPermitted) {
        push(&mut out, "  no policy speaks about this principal, action and resource");
    }
    for miss in &leg.nearest {
        push(&mut out, &format!("  would permit, but did not apply: {}", place(&miss.policy)));
        for line in miss_fields(miss).render(paint).lines() {
            push(&mut out, &format!("  {line}"));
        }
    }
    out
}

fn miss_fields(miss: &NearMiss) -> Fields {
    let mut fields = Fields::default();
    let line = miss.line.map(|line| format!(" (line {line})")).unwrap_or_default();
    fields.push("failed", format!("{}{line}", shown(&miss.clause)));
    fields.push("expected", shown(&miss.expected));
    fields.push("actual", shown(&miss.actual));
    fields
}

fn push(out: &mut String, line: &str) {
    out.push_str(line);
    out.push('\n');
}

/// `P1, permit, crm.cedar:3`.
fn place(note: &PolicyNote) -> String {
    let mut place = format!("{}, {}", shown(&note.id), note.effect);
    if let Some(file) = &note.file {
        let _ = write!(place, ", {}", shown(file));
        if let Some(line) = note.line {
            let _ = write!(place, ":{line}");
        }
    }
    place
}

/// The policy as its author wrote it, set off by a bar.
fn push_source(out: &mut String, note: &PolicyNote, paint: Paint) {
    for line in note.text.as_deref().unwrap_or_default().lines() {
        // Tabs are layout; every other control character is shown as what it is.
        let line = line.replace('\t', "    ");
        push(out, format!("    {} {}", paint.dim("|"), shown(&line)).trim_end());
    }
}

#[cfg(test)]
mod tests {
    use pdp_core::{Effect, LegRole, OwnedAnswer, OwnedLeg};

    use super::*;

    fn note(id: &str, effect: &'static str) -> PolicyNote {
        PolicyNote {
            id: id.to_owned(),
            effect,
            file: Some("crm.cedar".to_owned()),
            line: Some(3),
            text: Some("permit (\n\tprincipal, action, resource\n);".to_owned()),
            error: None,
        }
    }

    fn explanation(reason: Reason, legs: Vec<LegExplanation>) -> Explanation {
        let own = |leg: &LegExplanation| OwnedLeg {
            role: leg.role,
            effect: Effect::Deny,
            reason,
            policies: vec![],
            errors: vec![],
        };
        Explanation {
            answer: OwnedAnswer {
                effect: Effect::Deny,
                reason,
                policies: vec![],
                errors: vec![],
                legs: legs.iter().map(own).collect(),
                failed_leg: None,
                obligations: vec![],
                message: String::new(),
                bundle: None,
            },
            legs,
        }
    }

    fn leg(role: LegRole) -> LegExplanation {
        let principal = "Agent::\"crm\"".to_owned();
        LegExplanation { role, principal, determining: vec![], failing: vec![], nearest: vec![] }
    }

    #[test]
    fn each_leg_says_what_spoke_and_what_lacked() {
        let miss = NearMiss {
            policy: PolicyNote { text: None, line: None, file: None, ..note("P2", "permit") },
            clause: "context.input.amount <= 1000".to_owned(),
            line: Some(7),
            expected: "at most 1000".to_owned(),
            actual: "5000".to_owned(),
        };
        let failing =
            PolicyNote { error: Some("no entity".to_owned()), text: None, ..note("G2", "forbid") };
        let told = explanation(
            Reason::NotPermitted,
            vec![
                LegExplanation {
                    determining: vec![note("P1", "permit")],
                    ..leg(LegRole::Principal)
                },
                LegExplanation {
                    failing: vec![failing],
                    nearest: vec![miss],
                    ..leg(LegRole::Subject)
                },
            ],
        );
        let expected = "
principal  Agent::\"crm\"
  decided by P1, permit, crm.cedar:3
    | permit (
    |     principal, action, resource
    | );

subject  Agent::\"crm\"
  could not be evaluated: G2, forbid, crm.cedar:3
    no entity
  would permit, but did not apply: P2, permit
    failed    context.input.amount <= 1000 (line 7)
    expected  at most 1000
    actual    5000
";
        assert_eq!(text(&told, Paint::PLAIN), expected);
    }

    #[test]
    fn silence_is_said() {
        let told = explanation(Reason::NotPermitted, vec![leg(LegRole::Actor(1))]);
        assert_eq!(
            text(&told, Paint::PLAIN),
            "\nactor[1]  Agent::\"crm\"\n  no policy speaks about this principal, action and resource\n"
        );
    }

    #[test]
    fn an_invalid_request_met_no_policy() {
        let told = explanation(Reason::InvalidRequest, vec![leg(LegRole::Principal)]);
        assert_eq!(text(&told, Paint::PLAIN), "\nprincipal  Agent::\"crm\"\n");
    }
}
