//! Sizes: what is large is answered in linear time, counted and, beyond a limit of the bundle, denied.
//!
//! A limit that is reached gives the reason `limit` and never an answer that more steps might have changed. Nothing
//! here measures time: where the reference takes seconds, the test would simply not end.

use pdp_core::{DecideOptions, Effect, ErrorKind, OwnedAnswer, Reason};
use pdp_tests::desk::{Desk, MANIFEST, request};

const ANY: &str = "permit(principal, action, resource);";

/// A request whose names no bundle here knows.
fn asking(context: &str) -> String {
    request(r#"User::"u""#, r#"Action::"a""#, r#"Doc::"d""#, context)
}

#[track_caller]
fn limited(answer: &OwnedAnswer, policy: &str) {
    assert_eq!((answer.effect, answer.reason), (Effect::Deny, Reason::Limit), "{answer:?}");
    assert_eq!(answer.errors, [(policy.to_owned(), ErrorKind::Limit)], "{answer:?}");
    assert!(answer.policies.is_empty(), "{answer:?}");
    assert!(answer.message.contains("eval_steps_max"), "{}", answer.message);
}

#[track_caller]
fn holds(condition: &str, context: &str, expect: bool) {
    let policy = format!("permit(principal, action, resource) when {{ {condition} }};");
    let answer = Desk::loose(&policy, "[]").ask(&asking(context));
    assert_eq!(answer.effect == Effect::Allow, expect, "{condition}: {answer:?}");
}

#[test]
fn a_long_pattern_on_a_long_text_is_matched_in_one_pass() {
    let pattern = format!("*{}b*", "a".repeat(9_000));
    let condition = format!("context.text like \"{pattern}\"");
    let text = "a".repeat(900_000);
    holds(&condition, &format!("{{\"text\": \"{text}\"}}"), false);
    holds(&condition, &format!("{{\"text\": \"{text}b\"}}"), true);
}

/// So many different numbers.
fn numbers(count: u32) -> String {
    let numbers: Vec<String> = (0..count).map(|n| n.to_string()).collect();
    format!("[{}]", numbers.join(","))
}

#[test]
fn giant_sets_are_looked_up_or_refused() {
    let context = format!("{{\"many\": {}}}", numbers(60_000));
    holds("context.many.contains(59999) && !context.many.contains(60000)", &context, true);
    holds(
        "context.many.containsAll([0, 59999]) && context.many.containsAny([-1, 7])",
        &context,
        true,
    );
    let constant = format!("context.many == {}", numbers(60_000));
    holds(&constant, &context, true);
    let answer = Desk::loose(ANY, "[]").ask(&asking(&format!("{{\"many\": {}}}", numbers(70_000))));
    assert_eq!(answer.reason, Reason::Limit);
    assert!(answer.message.contains("request_values_max"), "{}", answer.message);
}

/// A bundle whose requests may take 1,000 steps.
fn frugal(policies: &str) -> Desk {
    let manifest = format!("{MANIFEST}[limits]\neval_steps_max = 1000\n");
    Desk::folder(&[("bundle.toml", manifest.as_str()), ("p.cedar", policies)])
}

#[test]
fn running_out_of_steps_denies() {
    let others = numbers(2_000).replace(',', ",-").replace('[', "[-9");
    let context = format!("{{\"a\": {0}, \"b\": {0}, \"others\": {others}}}", numbers(2_000));
    for condition in [
        "context.a == context.b",
        "context.a.containsAll(context.b)",
        "context.a.containsAny(context.others) || true",
        "[context.a].contains(context.b)",
        "context.a.contains(context.b) || context.a == context.b",
    ] {
        let policies =
            format!("@id(\"p\") permit(principal, action, resource) when {{ {condition} }};");
        let answer = frugal(&policies).ask(&asking(&context));
        limited(&answer, "p");
    }
    let text = format!("{{\"a\": \"{}\"}}", "a".repeat(20_000));
    let like =
        "@id(\"p\") permit(principal, action, resource) when { context.a like \"*b*\" || true };";
    limited(&frugal(like).ask(&asking(&text)), "p");
}

#[test]
fn nested_values_count_for_a_comparison_too() {
    // One set in a set: the comparison still walks over all numbers.
    let context = format!("{{\"a\": [{0}], \"b\": [{0}]}}", numbers(2_000));
    for condition in ["context.a == context.b", "context.a.containsAll(context.b)"] {
        let policies =
            format!("@id(\"p\") permit(principal, action, resource) when {{ {condition} }};");
        let answer = frugal(&policies).ask(&asking(&context));
        limited(&answer, "p");
    }
}

#[test]
fn values_that_policies_build_count_as_values_of_the_request() {
    let manifest = format!("{MANIFEST}[limits]\nrequest_values_max = 10\n");
    let built: Vec<String> = (0..100).map(|at| format!("context.a + {at}")).collect();
    let policies = format!(
        "@id(\"p\") permit(principal, action, resource) when {{ [{}].contains(3) || true }};",
        built.join(", ")
    );
    let mut desk = Desk::folder(&[("bundle.toml", manifest.as_str()), ("p.cedar", &policies)]);
    assert_eq!(desk.ask(&asking(r#"{"a": 1}"#)).reason, Reason::Limit);
}

#[test]
fn too_many_candidates_deny_even_if_the_first_would_permit() {
    let policies: Vec<String> = (0..2_000)
        .map(|at| {
            format!(
                "@id(\"p{at}\") permit(principal, action, resource) when {{ {at} == context.n + 0 }};"
            )
        })
        .collect();
    let policies = format!("@id(\"first\") {ANY}\n{}", policies.join("\n"));
    for all_policies in [false, true] {
        let options = DecideOptions { all_policies, ..DecideOptions::STANDARD };
        let answer = frugal(&policies).ask_with(&asking(r#"{"n": 5}"#), &options);
        assert_eq!((answer.effect, answer.reason), (Effect::Deny, Reason::Limit));
        assert!(answer.policies.is_empty(), "{answer:?}");
    }
}

#[test]
fn a_forbid_that_runs_out_of_steps_never_allows() {
    let context = format!("{{\"a\": {0}, \"b\": {0}}}", numbers(2_000));
    for rule in ["deny", "skip"] {
        let manifest =
            format!("{MANIFEST}on_forbid_error = \"{rule}\"\n[limits]\neval_steps_max = 1000\n");
        let policies = format!(
            "@id(\"permit\") {ANY} @id(\"forbid\") forbid(principal, action, resource) when {{ context.a == context.b }};"
        );
        let mut desk = Desk::folder(&[("bundle.toml", manifest.as_str()), ("p.cedar", &policies)]);
        let answer = desk.ask(&asking(&context));
        limited(&answer, "forbid");
    }
}

#[test]
fn a_large_set_that_many_entities_hold_within_records_is_no_lie() {
    // The store keeps the set once and each record by itself: spelled out it is far larger than its table.
    let badges = numbers(1_000);
    let entity = |at: u32| {
        let profile = format!("{{\"badges\":{badges},\"number\":{at}}}");
        format!(
            "{{\"uid\":{{\"type\":\"U\",\"id\":\"{at}\"}},\"attrs\":{{\"profile\":{profile}}},\"parents\":[]}}"
        )
    };
    let entities: Vec<String> = (0..300).map(entity).collect();
    let policy = "permit(principal, action, resource) when { principal.profile.badges.contains(999) && principal.profile.number == 7 };";
    let mut desk = Desk::loose(policy, &format!("[{}]", entities.join(",")));
    let ask = request("U::\"7\"", "Action::\"a\"", "D::\"d\"", "{}");
    assert_eq!(desk.ask(&ask).reason, Reason::Permitted);
}
