//! Answers as a client takes them, or does not.

#![expect(clippy::unwrap_used, reason = "a test stops at the first surprise")]

use prost::Message;

use super::*;
use crate::desk::Verdict;

fn allow() -> pb::AuthorizeResponse {
    let leg = |role: &str| pb::Leg {
        role: role.to_owned(),
        effect: pb::Effect::Allow.into(),
        reason: "permitted".to_owned(),
        policies: vec![format!("P-{role}")],
        errors: vec![pb::PolicyError { policy: "E".to_owned(), kind: "overflow".to_owned() }],
    };
    pb::AuthorizeResponse {
        effect: pb::Effect::Allow.into(),
        reason: "permitted".to_owned(),
        policies: vec!["P-principal".to_owned(), "P-subject".to_owned()],
        errors: vec![pb::PolicyError { policy: "E".to_owned(), kind: "overflow".to_owned() }],
        legs: vec![leg("principal"), leg("actor[0]"), leg("actor[65535]"), leg("subject")],
        failed_leg: String::new(),
        obligations: vec![pb::Obligation {
            policy: "P".to_owned(),
            key: "log".to_owned(),
            value: "full".to_owned(),
        }],
        message: String::new(),
        explanation: None,
        decision_id: "01".to_owned(),
        bundle: Some(pb::BundleName {
            name: "b".to_owned(),
            revision: u64::MAX,
            digest: "00ff".to_owned(),
        }),
    }
}

fn deny(reason: &str) -> pb::AuthorizeResponse {
    pb::AuthorizeResponse {
        effect: pb::Effect::Deny.into(),
        reason: reason.to_owned(),
        ..pb::AuthorizeResponse::default()
    }
}

#[track_caller]
fn refused(response: pb::AuthorizeResponse, expected: &str) {
    assert_eq!(read(response).unwrap_err().to_string(), expected);
}

#[test]
fn a_whole_answer_is_read_whole() {
    let answer = read(allow()).unwrap();
    assert_eq!((answer.effect, answer.reason), (Effect::Allow, Reason::Permitted));
    assert_eq!(answer.policies, ["P-principal", "P-subject"]);
    assert_eq!(answer.errors, [("E".to_owned(), ErrorKind::Overflow)]);
    let roles: Vec<_> = answer.legs.iter().map(|leg| leg.role).collect();
    assert_eq!(
        roles,
        [LegRole::Principal, LegRole::Actor(0), LegRole::Actor(65535), LegRole::Subject]
    );
    assert_eq!(answer.legs.first().unwrap().policies, ["P-principal"]);
    assert_eq!(answer.legs.first().unwrap().errors, [("E".to_owned(), ErrorKind::Overflow)]);
    assert_eq!(answer.failed_leg, None);
    assert_eq!(answer.obligations, [("P".to_owned(), "log".to_owned(), "full".to_owned())]);
    let bundle = answer.bundle.unwrap();
    assert_eq!(
        (bundle.name.as_str(), bundle.revision, bundle.digest.as_str()),
        ("b", u64::MAX, "00ff")
    );
}

#[test]
fn every_code_of_the_core_is_read_back() {
    for reason in Reason::ALL {
        // A reason that the core gains stops this from compiling, and then belongs into the list above.
        match reason {
            Reason::Permitted => continue,
            Reason::Forbidden
            | Reason::NotPermitted
            | Reason::PolicyError
            | Reason::DelegatorNotPermitted
            | Reason::InvalidRequest
            | Reason::NoBundle
            | Reason::Limit => {}
        }
        assert_eq!(read(deny(reason.as_str())).unwrap().reason, reason);
    }
    for kind in ErrorKind::ALL {
        match kind {
            ErrorKind::Type
            | ErrorKind::AttributeMissing
            | ErrorKind::TagMissing
            | ErrorKind::EntityMissing
            | ErrorKind::Overflow
            | ErrorKind::Extension
            | ErrorKind::Arity
            | ErrorKind::Limit => {}
        }
        let errors =
            vec![pb::PolicyError { policy: String::new(), kind: kind.as_str().to_owned() }];
        assert_eq!(
            read(pb::AuthorizeResponse { errors, ..allow() }).unwrap().errors,
            [(String::new(), kind)]
        );
    }
}

#[test]
fn only_an_allow_is_an_allow() {
    for effect in [0, 3, -1, i32::MAX] {
        let text = format!("the effect {effect} is neither allow nor deny");
        refused(pb::AuthorizeResponse { effect, ..allow() }, &text);
    }
    refused(pb::AuthorizeResponse::default(), "the effect 0 is neither allow nor deny");
}

#[test]
fn an_unknown_code_is_an_error_and_not_a_guess() {
    let unknown = |field: &str, code: &str| {
        format!(
            "`{field}` is `{code}`, which this client does not know; use one as new as the server"
        )
    };
    refused(deny("revoked\n"), &unknown("reason", "revoked\\n"));
    refused(deny(""), &unknown("reason", ""));
    for role in ["actor[65536]", "actor[+1]", "actor[]", "actor[1", "Principal"] {
        let failed_leg = role.to_owned();
        refused(
            pb::AuthorizeResponse { failed_leg, ..deny("forbidden") },
            &unknown("failed_leg", role),
        );
    }
    let errors = vec![pb::PolicyError::default()];
    refused(pb::AuthorizeResponse { errors, ..allow() }, &unknown("kind", ""));
}

#[test]
fn an_allow_that_something_speaks_against_is_refused() {
    refused(
        pb::AuthorizeResponse { reason: "forbidden".to_owned(), ..allow() },
        "its effect and its reason differ",
    );
    refused(deny("permitted"), "its effect and its reason differ");
    refused(pb::AuthorizeResponse { bundle: None, ..allow() }, "it allows and names no bundle");
    refused(
        pb::AuthorizeResponse { failed_leg: "subject".to_owned(), ..allow() },
        "it allows although a leg denies",
    );
    let leg = |effect: pb::Effect, reason: &str| pb::Leg {
        role: "subject".to_owned(),
        effect: effect.into(),
        reason: reason.to_owned(),
        ..pb::Leg::default()
    };
    refused(
        pb::AuthorizeResponse { legs: vec![leg(pb::Effect::Deny, "forbidden")], ..allow() },
        "it allows although a leg denies",
    );
    refused(
        pb::AuthorizeResponse {
            legs: vec![leg(pb::Effect::Allow, "forbidden")],
            ..deny("forbidden")
        },
        "the effect and the reason of a leg differ",
    );
}

#[test]
fn what_this_edge_denies_itself_is_a_whole_answer() {
    let mut bytes = Vec::new();
    response(&mut bytes, &Verdict::refused("why".to_owned()), None);
    let answer = read(pb::AuthorizeResponse::decode(&*bytes).unwrap()).unwrap();
    assert_eq!(
        (answer.effect, answer.reason, answer.message.as_str()),
        (Effect::Deny, Reason::InvalidRequest, "why")
    );
    assert!(answer.legs.is_empty() && answer.policies.is_empty() && answer.bundle.is_none());
}
