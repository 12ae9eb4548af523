//! The JSON that scripts and hosts rely on, word for word.

use super::*;
use crate::outcome::{Effect, LegRole, Reason};

fn json(shape: &impl Serialize) -> String {
    serde_json::to_string(shape).unwrap_or_else(|e| e.to_string())
}

fn answer() -> OwnedAnswer {
    let leg = |role, effect, reason, policies: &[&str]| OwnedLeg {
        role,
        effect,
        reason,
        policies: policies.iter().map(|id| (*id).to_owned()).collect(),
        errors: vec![("G2".to_owned(), ErrorKind::EntityMissing)],
    };
    OwnedAnswer {
        effect: Effect::Deny,
        reason: Reason::DelegatorNotPermitted,
        policies: vec!["F\"1".to_owned()],
        errors: vec![
            ("G2".to_owned(), ErrorKind::EntityMissing),
            ("G2".to_owned(), ErrorKind::Overflow),
        ],
        legs: vec![
            leg(LegRole::Principal, Effect::Allow, Reason::Permitted, &["P1"]),
            leg(LegRole::Actor(0), Effect::Deny, Reason::Forbidden, &["F\"1"]),
        ],
        failed_leg: Some(LegRole::Actor(0)),
        obligations: vec![("F\"1".to_owned(), "obligation".to_owned(), "log".to_owned())],
        message: "why\nnot".to_owned(),
        bundle: Some(BundleName { name: "b".to_owned(), revision: 7, digest: "ab".to_owned() }),
    }
}

#[test]
fn an_answer() {
    let expected = concat!(
        r#"{"decision":"deny","reason":"delegator_not_permitted","policies":["F\"1"],"errors":["G2"],"#,
        r#""error_kinds":[{"policy":"G2","kind":"entity_missing"},{"policy":"G2","kind":"overflow"}],"#,
        r#""failed_leg":"actor[0]","message":"why\nnot","#,
        r#""legs":[{"leg":"principal","decision":"allow","reason":"permitted","policies":["P1"],"errors":["G2"]},"#,
        r#"{"leg":"actor[0]","decision":"deny","reason":"forbidden","policies":["F\"1"],"errors":["G2"]}],"#,
        r#""obligations":[{"policy":"F\"1","key":"obligation","value":"log"}],"#,
        r#""bundle":{"name":"b","revision":7,"digest":"ab"}}"#,
    );
    assert_eq!(json(&AnswerShape::new(&answer())), expected);
}

#[test]
fn no_bundle_and_no_failed_leg_are_null() {
    let mut answer = answer();
    answer.bundle = None;
    answer.failed_leg = None;
    let text = json(&AnswerShape::new(&answer));
    assert!(text.contains(r#""failed_leg":null"#), "{text}");
    assert!(text.ends_with(r#""bundle":null}"#), "{text}");
}
