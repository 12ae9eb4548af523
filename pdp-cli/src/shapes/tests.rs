//! The JSON that scripts rely on, word for word.

use pdp_core::{BundleName, Effect, ErrorKind, LegRole, OwnedLeg, Reason};

use super::*;

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

#[test]
fn an_explanation_is_added_by_leg() {
    let note = PolicyNote {
        id: "P1".to_owned(),
        effect: "permit",
        file: Some("a.cedar".to_owned()),
        line: Some(3),
        text: Some("permit (principal, action, resource);".to_owned()),
        error: None,
    };
    let explanation = Explanation {
        answer: answer(),
        legs: vec![LegExplanation {
            role: LegRole::Subject,
            principal: "U::\"a\"".to_owned(),
            determining: vec![],
            failing: vec![PolicyNote { error: Some("no owner".to_owned()), ..note.clone() }],
            nearest: vec![NearMiss {
                policy: note,
                clause: "context.n > 3".to_owned(),
                line: Some(4),
                expected: "> 3".to_owned(),
                actual: "1".to_owned(),
            }],
        }],
    };
    let text = json(&AnswerShape::explained(&explanation.answer, &explanation));
    let policy = r#""policy":"P1","effect":"permit","file":"a.cedar","line":3,"text":"permit (principal, action, resource);""#;
    let expected = format!(
        concat!(
            r#","explanation":[{{"leg":"subject","principal":"U::\"a\"","determining":[],"#,
            r#""failing":[{{{policy},"error":"no owner"}}],"#,
            r#""nearest":[{{{policy},"clause":"context.n > 3","clause_line":4,"expected":"> 3","actual":"1"}}]}}]}}"#,
        ),
        policy = policy
    );
    assert!(text.ends_with(&expected), "{text}\n{expected}");
}

#[test]
fn findings_without_a_place_have_none() {
    let report = Report {
        items: vec![
            Diagnostic {
                code: "E104",
                severity: Severity::Error,
                message: "no such type `X`".to_owned(),
                file: Some("a.cedar".to_owned()),
                line: 2,
                column: 5,
                help: Some("declare it".to_owned()),
                excerpt: None,
            },
            Diagnostic {
                code: "W201",
                severity: Severity::Warning,
                message: "no id".to_owned(),
                file: None,
                line: 0,
                column: 1,
                help: None,
                excerpt: None,
            },
        ],
    };
    let expected = concat!(
        r#"{"errors":1,"warnings":1,"diagnostics":["#,
        r#"{"code":"E104","severity":"error","message":"no such type `X`","file":"a.cedar","line":2,"column":5,"help":"declare it","excerpt":null},"#,
        r#"{"code":"W201","severity":"warning","message":"no id","file":null,"line":null,"column":null,"help":null,"excerpt":null}]}"#,
    );
    assert_eq!(json(&ReportShape::new(&report)), expected);
}

#[test]
fn an_error_line_names_its_line_where_there_is_one() {
    assert_eq!(json(&ErrorLine { line: Some(3), error: "x" }), r#"{"line":3,"error":"x"}"#);
    assert_eq!(json(&ErrorLine { line: None, error: "x" }), r#"{"error":"x"}"#);
}
