//! Delegated requests: one leg for the principal, each inner actor and the subject, and what the answer says of them.
//!
//! Small policy sets, each for one sentence of the design; `legs_laws` asks random ones whether anybody ever gains
//! anything by delegating.
#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "test code fails loudly")]

use pdp_core::{DecideOptions, Effect, ErrorKind, LegRole, OwnedAnswer, Reason};
use pdp_tests::desk::{Desk, MANIFEST, request};

const ROLES: [LegRole; 4] =
    [LegRole::Principal, LegRole::Actor(0), LegRole::Actor(1), LegRole::Subject];

/// A bundle without a schema, with a manifest that says more.
fn desk(manifest: &str, policies: &str) -> Desk {
    let manifest = format!("{MANIFEST}{manifest}\n");
    Desk::folder(&[
        ("bundle.toml", manifest.as_str()),
        ("p.cedar", policies),
        ("entities/e.json", r#"[{"uid": {"type": "G", "id": "g"}, "attrs": {}, "parents": []}]"#),
    ])
}

/// `principal` through `actors` for `subject`; names are ids of the type `A`.
fn asking(principal: &str, actors: &[&str], subject: Option<&str>, rest: &str) -> String {
    let uid = |id: &str| serde_json::Value::from(format!("A::\"{id}\"")).to_string();
    let mut text = request(&format!("A::\"{principal}\""), "Action::\"do\"", "D::\"d\"", "{}");
    text.pop();
    let actors: Vec<String> = actors.iter().map(|id| uid(id)).collect();
    text.push_str(&format!(",\"actors\":[{}]", actors.join(",")));
    if let Some(subject) = subject {
        text.push_str(&format!(",\"on_behalf_of\":{}", uid(subject)));
    }
    format!("{text}{rest}}}")
}

/// Permits with the names `p-ID` for these ids.
fn permits(ids: &[&str]) -> String {
    let permit = |id: &&str| {
        format!(
            "@id(\"p-{id}\") @obligation(\"log-{id}\") permit(principal, action, resource) when {{ principal == A::\"{id}\" }};\n"
        )
    };
    ids.iter().map(permit).collect()
}

const LOOSE: &str = "entities_complete = false\n";
const EVERYBODY: [&str; 4] = ["a", "b", "c", "u"];

fn roles(answer: &OwnedAnswer) -> Vec<LegRole> {
    answer.legs.iter().map(|leg| leg.role).collect()
}

// === one answer ===

#[test]
fn legs_come_in_the_order_principal_inner_actors_subject() {
    let mut desk = desk(LOOSE, &permits(&EVERYBODY));
    let answer = desk.ask(&asking("a", &["b", "c"], Some("u"), ""));
    assert_eq!((answer.reason, answer.failed_leg), (Reason::Permitted, None));
    assert_eq!(roles(&answer), ROLES);
    for (leg, id) in answer.legs.iter().zip(EVERYBODY) {
        assert_eq!((leg.effect, leg.reason), (Effect::Allow, Reason::Permitted));
        assert_eq!(leg.policies, [format!("p-{id}")]);
    }
    assert_eq!(roles(&desk.ask(&asking("a", &[], Some("u"), ""))), [ROLES[0], ROLES[3]]);
    assert_eq!(roles(&desk.ask(&asking("a", &["b"], None, ""))), ROLES[..2]);
    assert_eq!(roles(&desk.ask(&asking("a", &[], None, ""))), ROLES[..1]);
}

#[test]
fn the_first_leg_that_denies_fails_the_request() {
    // Every set of legs that deny.
    for denied in 1u32..16 {
        let denies = |at: usize| denied >> at & 1 == 1;
        let allowed: Vec<&str> = (0..4).filter(|at| !denies(*at)).map(|at| EVERYBODY[at]).collect();
        let policies = format!("{}{}", permits(&allowed), permits(&["nobody"]));
        let answer = desk(LOOSE, &policies).ask(&asking("a", &["b", "c"], Some("u"), ""));
        let first = (0..4).find(|at| denies(*at)).unwrap();
        assert_eq!(answer.failed_leg, Some(ROLES[first]), "{denied:b}");
        let expect = if first == 0 { Reason::NotPermitted } else { Reason::DelegatorNotPermitted };
        assert_eq!((answer.effect, answer.reason), (Effect::Deny, expect), "{denied:b}");
        // There is an entry for each, also behind the first that denies.
        assert_eq!(roles(&answer), ROLES);
        for (at, leg) in answer.legs.iter().enumerate() {
            let own = if denies(at) { Reason::NotPermitted } else { Reason::Permitted };
            assert_eq!(leg.reason, own, "{denied:b}: {leg:?}");
        }
    }
}

#[test]
fn a_failed_leg_keeps_its_own_reason() {
    let sum = vec!["1"; 200].join(" + ");
    let costly = format!("{sum} == 0");
    for (forbid, own) in [
        ("principal == A::\"ID\"", Reason::Forbidden),
        ("principal == A::\"ID\" && principal.no", Reason::PolicyError),
        ("principal == A::\"ID\" && COSTLY", Reason::Limit),
    ] {
        for (failing, role) in EVERYBODY.into_iter().zip(ROLES) {
            let forbid = forbid.replace("ID", failing).replace("COSTLY", &costly);
            let policies = format!(
                "{}@id(\"f\") forbid(principal, action, resource) when {{ if {forbid} then true else false }};",
                permits(&EVERYBODY)
            );
            let limits = format!("{LOOSE}[limits]\neval_steps_max = 250\n");
            let answer = desk(&limits, &policies).ask(&asking("a", &["b", "c"], Some("u"), ""));
            let overall =
                if role == LegRole::Principal { own } else { Reason::DelegatorNotPermitted };
            assert_eq!((answer.reason, answer.failed_leg), (overall, Some(role)), "{answer:?}");
            let leg = answer.legs.iter().find(|leg| leg.role == role).unwrap();
            assert_eq!((leg.effect, leg.reason), (Effect::Deny, own), "{answer:?}");
        }
    }
}

#[test]
fn steps_are_those_of_all_legs_together() {
    let terms = vec!["principal != A::\"no\""; 30].join(" && ");
    let policies = format!(
        "@id(\"p\") permit(principal, action, resource) when {{ if {terms} then true else false }};"
    );
    let mut desk = desk(&format!("{LOOSE}[limits]\neval_steps_max = 400\n"), &policies);
    assert_eq!(desk.ask(&asking("a", &[], None, "")).reason, Reason::Permitted);
    let answer = desk.ask(&asking("a", &["b", "c"], Some("u"), ""));
    assert_eq!(answer.reason, Reason::DelegatorNotPermitted);
    assert_eq!(answer.legs[3].reason, Reason::Limit);
    assert!(answer.message.contains("eval_steps_max"), "{answer:?}");
}

#[test]
fn chain_legs_ends_asks_the_ends_only() {
    let ends = format!("chain_legs = \"ends\"\n{LOOSE}");
    let answer = desk(&ends, &permits(&["a", "u"])).ask(&asking("a", &["b", "c"], Some("u"), ""));
    assert_eq!((answer.reason, roles(&answer)), (Reason::Permitted, vec![ROLES[0], ROLES[3]]));
    let answer = desk(&ends, &permits(&["a"])).ask(&asking("a", &["b"], Some("u"), ""));
    assert_eq!(
        (answer.reason, answer.failed_leg),
        (Reason::DelegatorNotPermitted, Some(LegRole::Subject))
    );
    // Who is not asked is still counted and looked at.
    let answer = desk(&ends, &permits(&["a", "u"])).ask(&asking("a", &["b", "b"], Some("u"), ""));
    assert_eq!(answer.reason, Reason::InvalidRequest);
    let limited = format!("{ends}[limits]\nchain_actors_max = 1\n");
    let answer =
        desk(&limited, &permits(&["a", "u"])).ask(&asking("a", &["b", "c"], Some("u"), ""));
    assert!(
        answer.effect == Effect::Deny && answer.message.contains("chain_actors_max"),
        "{answer:?}"
    );
}

// === unions ===

#[test]
fn policies_obligations_and_errors_are_united_on_allow() {
    let any = "@id(\"any\") @obligation(\"log\") permit(principal, action, resource);\n";
    let errs = |id: &str| {
        format!(
            "@id(\"e-{id}\") permit(principal, action, resource) when {{ principal == A::\"{id}\" && principal.no }};\n"
        )
    };
    let everywhere = "@id(\"e\") permit(principal, action, resource) when { principal.no };\n";
    let policies = format!("{any}{}{}{}{everywhere}", permits(&["u", "a"]), errs("u"), errs("b"));
    let answer = desk(LOOSE, &policies).ask(&asking("a", &["b"], Some("u"), ""));
    assert_eq!(answer.reason, Reason::Permitted);
    // Each once, in the order of the bundle.
    assert_eq!(answer.policies, ["any", "p-u", "p-a"]);
    let obligation =
        |policy: &str, value: &str| (policy.to_owned(), "obligation".to_owned(), value.to_owned());
    let obligations =
        [obligation("any", "log"), obligation("p-u", "log-u"), obligation("p-a", "log-a")];
    assert_eq!(answer.obligations, obligations);
    let error = |id: &str| (id.to_owned(), ErrorKind::EntityMissing);
    assert_eq!(answer.errors, [error("e-u"), error("e-b"), error("e")]);
    assert_eq!(answer.legs[0].errors, [error("e")]);
    assert_eq!(answer.legs[2].errors, [error("e-u"), error("e")]);
}

#[test]
fn policies_and_obligations_are_the_failed_legs_on_deny_and_errors_those_of_all() {
    let forbid = |id: &str| {
        format!(
            "@id(\"f-{id}\") @obligation(\"page-{id}\") forbid(principal, action, resource) when {{ principal == A::\"{id}\" }};\n"
        )
    };
    let errs = |id: &str| {
        format!(
            "@id(\"e-{id}\") permit(principal, action, resource) when {{ principal == A::\"{id}\" && principal.no }};\n"
        )
    };
    let policies = [permits(&EVERYBODY), forbid("b"), forbid("u"), errs("a"), errs("u")].concat();
    let answer = desk(LOOSE, &policies).ask(&asking("a", &["b"], Some("u"), ""));
    assert_eq!(
        (answer.reason, answer.failed_leg),
        (Reason::DelegatorNotPermitted, Some(LegRole::Actor(0)))
    );
    assert_eq!(answer.policies, ["f-b"]);
    assert_eq!(
        answer.obligations,
        [("f-b".to_owned(), "obligation".to_owned(), "page-b".to_owned())]
    );
    assert_eq!(answer.errors.iter().map(|(id, _)| id.as_str()).collect::<Vec<_>>(), ["e-a", "e-u"]);
    // What nobody is permitted is determined by nothing.
    let answer = desk(LOOSE, &permits(&["a"])).ask(&asking("a", &[], Some("u"), ""));
    assert!(answer.policies.is_empty() && answer.obligations.is_empty(), "{answer:?}");
}

// === what is refused ===

#[track_caller]
fn refused(answer: &OwnedAnswer, part: &str) {
    assert_eq!(
        (answer.effect, answer.reason),
        (Effect::Deny, Reason::InvalidRequest),
        "{answer:?}"
    );
    assert!(answer.message.contains(part), "{}", answer.message);
    assert!(answer.legs.is_empty() && answer.policies.is_empty(), "{answer:?}");
}

#[test]
fn an_actor_that_occurs_twice_is_refused() {
    let mut desk = desk(LOOSE, "@id(\"p\") permit(principal, action, resource);");
    for actors in [&["a"][..], &["b", "a"], &["b", "b"], &["b", "c", "b"]] {
        refused(
            &desk.ask(&asking("a", actors, Some("u"), "")),
            "occurs twice in the delegation chain",
        );
    }
    assert_eq!(desk.ask(&asking("a", &["b", "c"], Some("u"), "")).reason, Reason::Permitted);
}

#[test]
fn a_chain_that_is_too_long_is_refused() {
    let ids: Vec<String> = (0..17).map(|id| id.to_string()).collect();
    let ids: Vec<&str> = ids.iter().map(String::as_str).collect();
    let any = "@id(\"p\") permit(principal, action, resource);";
    let mut usual = desk(LOOSE, any);
    assert_eq!(usual.ask(&asking("a", &ids[..16], Some("u"), "")).reason, Reason::Permitted);
    refused(&usual.ask(&asking("a", &ids, Some("u"), "")), "chain_actors_max");
    let mut none = desk(&format!("{LOOSE}[limits]\nchain_actors_max = 0\n"), any);
    assert_eq!(none.ask(&asking("a", &[], Some("u"), "")).reason, Reason::Permitted);
    refused(&none.ask(&asking("a", &["b"], Some("u"), "")), "chain_actors_max");
}

#[test]
fn no_manifest_allows_chains_that_answers_cannot_number() {
    // A leg's number has 16 bits; a leg that is not asked would be authority gained.
    let manifest = format!("{MANIFEST}[limits]\nchain_actors_max = 70000\n");
    let policies = "@id(\"p\") permit(principal, action, resource);";
    let files = [("bundle.toml", manifest.as_str()), ("p.cedar", policies)];
    let report = pdp_tests::desk::compile(&files).map(drop).unwrap_err();
    assert_eq!(report.items[0].code, "E101", "{report}");
}

#[test]
fn context_that_the_pdp_fills_in_is_refused_from_callers() {
    let fills = format!("{LOOSE}[context]\nnow = \"time\"\ndelegation = \"chain\"\n");
    let mut desk = desk(&fills, "@id(\"p\") permit(principal, action, resource);");
    for key in ["time", "chain"] {
        for rest in ["", ",\"now\":\"2026-01-01\""] {
            let text = asking("a", &[], None, rest)
                .replace("\"context\":{}", &format!("\"context\":{{\"{key}\":1}}"));
            refused(&desk.ask(&text), &format!("`{key}` is filled in by the PDP"));
        }
    }
    let other = asking("a", &[], None, "").replace("\"context\":{}", "\"context\":{\"now\":1}");
    assert_eq!(desk.ask(&other).reason, Reason::Permitted);
}

// === schema ===

const SCHEMA: &str = "
entity Agent, Human, D;
action do appliesTo { principal: Agent, resource: D, context: { now?: datetime, chain?: { depth: Long } } };
action see appliesTo { principal: [Agent, Human], resource: D, context: {} };
";

fn with_schema(policies: &str) -> Desk {
    let manifest = format!("{MANIFEST}[context]\nnow = \"now\"\ndelegation = \"chain\"\n");
    Desk::folder(&[
        ("bundle.toml", manifest.as_str()),
        ("schema.cedarschema", SCHEMA),
        ("p.cedar", policies),
    ])
}

fn typed(action: &str, principal: &str, rest: &str) -> String {
    let text = request(principal, &format!("Action::\"{action}\""), "D::\"d\"", "{}");
    format!("{}{rest}}}", text.strip_suffix('}').unwrap())
}

#[test]
fn each_leg_is_validated_as_a_request_of_its_own() {
    let mut desk = with_schema("@id(\"p\") permit(principal, action, resource);");
    let human = ",\"on_behalf_of\":\"Human::\\\"u\\\"\"";
    assert_eq!(desk.ask(&typed("see", "Agent::\"a\"", human)).reason, Reason::Permitted);
    let answer = desk.ask(&typed("do", "Agent::\"a\"", human));
    assert_eq!(
        (answer.reason, answer.failed_leg),
        (Reason::DelegatorNotPermitted, Some(LegRole::Subject))
    );
    assert_eq!(answer.legs[1].reason, Reason::InvalidRequest);
    assert!(answer.message.contains("`Human`"), "{}", answer.message);
    let answer = desk.ask(&typed("see", "Agent::\"a\"", ",\"actors\":[\"Robot::\\\"r\\\"\"]"));
    assert_eq!(
        (answer.reason, answer.failed_leg),
        (Reason::DelegatorNotPermitted, Some(LegRole::Actor(0)))
    );
    assert!(answer.message.contains("`Robot`"), "{}", answer.message);
    assert_eq!(desk.ask(&typed("do", "Human::\"u\"", "")).reason, Reason::InvalidRequest);
}

#[test]
fn what_an_action_does_not_declare_is_not_filled_in() {
    let policies = "@id(\"do\") permit(principal, action == Action::\"do\", resource)
            when { context has now && context has chain && context.chain == {depth: 2} };
        @id(\"see\") permit(principal, action == Action::\"see\", resource);";
    let mut desk = with_schema(policies);
    let rest = ",\"now\":\"2026-01-01\",\"actors\":[\"Agent::\\\"b\\\"\"],\"scopes\":[\"s\"]";
    for action in ["do", "see"] {
        let answer = desk.ask_with(&typed(action, "Agent::\"a\"", rest), &DecideOptions::STANDARD);
        assert_eq!(
            (answer.reason, &answer.policies[..]),
            (Reason::Permitted, &[action.to_owned()][..]),
            "{answer:?}"
        );
    }
}

// === what policies see ===

#[track_caller]
fn sees(text: &str, condition: &str) {
    let fills = format!("{LOOSE}[context]\nnow = \"now\"\ndelegation = \"d\"\n");
    let policies =
        format!("@id(\"p\") permit(principal, action, resource) when {{ {condition} }};");
    let answer = desk(&fills, &policies).ask(text);
    assert_eq!(answer.reason, Reason::Permitted, "{condition} for {text}: {answer:?}");
}

#[test]
fn policies_see_the_delegation_and_every_leg_the_same() {
    let scopes = ",\"scopes\":[\"x\",\"y\",\"x\"]";
    let all = asking("a", &["b", "c"], Some("u"), scopes);
    sees(
        &all,
        "context.d == {subject: A::\"u\", chain: [A::\"a\", A::\"b\", A::\"c\"], depth: 3, scopes: [\"x\", \"y\"]}",
    );
    let nobody = asking("a", &["b"], None, "");
    sees(&nobody, "context.d == {chain: [A::\"a\", A::\"b\"], depth: 2, scopes: []}");
    let direct = asking("a", &[], Some("u"), "");
    sees(&direct, "context.d == {subject: A::\"u\", chain: [A::\"a\"], depth: 1, scopes: []}");
    let plain = asking("a", &[], None, scopes);
    sees(&plain, "context.d == {chain: [], depth: 0, scopes: [\"x\", \"y\"]}");
}

#[test]
fn policies_see_the_time_of_the_request() {
    let at = asking("a", &[], Some("u"), ",\"now\":\"2026-06-01T12:00:00Z\"");
    sees(&at, "context.now == datetime(\"2026-06-01T14:00:00.000+0200\")");
    sees(&asking("a", &[], None, ""), "!(context has now)");
}
