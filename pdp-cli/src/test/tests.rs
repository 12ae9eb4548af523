//! How the results of hand-made cases are told.

use pdp_core::{Effect, ErrorKind, LegRole, OwnedLeg, Reason};

use super::*;

fn answer(policies: &[&str], errors: &[&str]) -> OwnedAnswer {
    OwnedAnswer {
        effect: Effect::Deny,
        reason: Reason::NotPermitted,
        policies: policies.iter().map(|id| (*id).to_owned()).collect(),
        errors: errors.iter().map(|id| ((*id).to_owned(), ErrorKind::Type)).collect(),
        legs: vec![OwnedLeg {
            role: LegRole::Principal,
            effect: Effect::Allow,
            reason: Reason::Permitted,
            policies: vec!["in-a-leg".to_owned()],
            errors: vec![("failing-in-a-leg".to_owned(), ErrorKind::Type)],
        }],
        failed_leg: None,
        obligations: vec![],
        message: String::new(),
        bundle: None,
    }
}

fn result(answer: Result<OwnedAnswer, String>, failures: &[&str]) -> CaseResult {
    CaseResult {
        case: 0,
        answer,
        failures: failures.iter().map(|text| (*text).to_owned()).collect(),
    }
}

#[test]
fn a_failed_case_says_what_came_instead() {
    let failed = result(Ok(answer(&[], &["G2"])), &["expected allow, came deny"]);
    let expected = "\
failed  alice reads
  expected allow, came deny
  came: deny  not_permitted
          errors  G2 (type)
          bundle  none

";
    assert_eq!(failure_text("alice reads", &failed, Paint::PLAIN), expected);
}

#[test]
fn an_unreadable_request_is_told_once() {
    let error = "`context.n` is not a number".to_owned();
    let expected = "failed  x\n  the request cannot be read: `context.n` is not a number\n\n";
    let alone =
        result(Err(error.clone()), &["the request cannot be read: `context.n` is not a number"]);
    assert_eq!(failure_text("x", &alone, Paint::PLAIN), expected);
    let beside = result(Err(error), &[]);
    assert_eq!(failure_text("x", &beside, Paint::PLAIN), expected);
}

#[test]
fn policies_that_speak_in_any_leg_are_exercised() {
    let results =
        [result(Ok(answer(&["P1"], &["G2"])), &[]), result(Err("unreadable".to_owned()), &["x"])];
    let ids = ["P1", "G2", "in-a-leg", "failing-in-a-leg", "silent", "mute"];
    assert_eq!(unexercised(ids.into_iter(), &results), ["silent", "mute"]);
    assert_eq!(unexercised(ids.into_iter(), &[]).len(), 6);
}

#[test]
fn unexercised_policies_are_listed() {
    assert_eq!(unexercised_text(&[]), "every policy is exercised by a case\n");
    assert_eq!(unexercised_text(&["a\n".to_owned()]), "no case exercises 1 policy:\n  a\\n\n");
}

#[test]
fn the_summary_counts() {
    assert_eq!(
        summary("b revision 1 (00)", 3, 0, Paint::PLAIN),
        "ok  b revision 1 (00): 3 cases, 3 passed, 0 failed\n"
    );
    assert_eq!(summary("b", 1, 1, Paint::PLAIN), "failed  b: 1 case, 0 passed, 1 failed\n");
    assert_eq!(summary("b", 0, 0, Paint::PLAIN), "failed  b: no cases; add some to `cases.toml`\n");
}

#[test]
fn verdicts_for_build_servers() {
    assert!(matches!(verdict(&result(Ok(answer(&[], &[])), &[])), Verdict::Passed));
    assert!(matches!(verdict(&result(Ok(answer(&[], &[])), &["x"])), Verdict::Failed([_])));
    assert!(matches!(verdict(&result(Err("why".to_owned()), &["x"])), Verdict::Unreadable("why")));
}

#[test]
fn a_case_as_json() {
    let failed = result(Err("why".to_owned()), &["x"]);
    let json = serde_json::to_string(&case_shape("n", &failed)).unwrap_or_default();
    assert_eq!(json, r#"{"name":"n","passed":false,"failures":["x"],"answer":null,"error":"why"}"#);
}
