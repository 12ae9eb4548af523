//! What a caller sees: answers, refusals, health.

use std::sync::atomic::{AtomicU32, Ordering};

use crate::support::{QUESTION, Running, SERVICE, question, soon};
use pdp_core::{Datetime, Effect, Reason, Request, Uid};
use pdp_grpc::{ClientError, Clock, pb};
use tonic::Code;
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_check_response::ServingStatus;

fn health_of(service: &str) -> HealthCheckRequest {
    HealthCheckRequest { service: service.to_owned() }
}

// === answers ===

#[tokio::test]
async fn without_a_bundle_every_question_is_denied_and_says_so() {
    let server = Running::start(|_| {});
    let answer = server.client().await.authorize(&QUESTION).await.unwrap();
    assert_eq!((answer.effect, answer.reason), (Effect::Deny, Reason::NoBundle));
    assert_eq!(answer.bundle, None);

    let response = server.bare().await.authorize(question()).await.unwrap().into_inner();
    assert_eq!(response.effect(), pb::Effect::Deny);
    assert_eq!(response.reason, "no_bundle");
    server.stop().await;
}

#[tokio::test]
async fn what_is_no_question_is_an_invalid_argument_that_names_the_field() {
    let server = Running::start(|_| {});
    let mut bare = server.bare().await;
    let status = bare.authorize(pb::AuthorizeRequest::default()).await.unwrap_err();
    assert_eq!(status.code(), Code::InvalidArgument);
    assert_eq!(status.message(), "`principal` is missing; name an entity by its type and id");

    let hollow = pb::Entry { key: "ü\n".to_owned(), value: Some(pb::Value::default()) };
    let status = bare
        .authorize(pb::AuthorizeRequest { context: vec![hollow], ..question() })
        .await
        .unwrap_err();
    assert_eq!(status.code(), Code::InvalidArgument);
    assert!(
        status.message().starts_with("`context[\"ü\\n\"]` has no kind"),
        "{}",
        status.message()
    );

    // The connection is as good as before.
    assert_eq!(bare.authorize(question()).await.unwrap().into_inner().reason, "no_bundle");
    server.stop().await;
}

#[tokio::test]
async fn bytes_that_are_no_message_are_an_invalid_argument() {
    let server = Running::start(|_| {});
    let mut grpc = tonic::client::Grpc::new(server.channel().await);
    let path =
        || tonic::codegen::http::uri::PathAndQuery::from_static("/pdp.v1.Authorization/Authorize");
    // A string where the message has the principal, as another protocol might send it.
    #[derive(Clone, PartialEq, prost::Message)]
    struct Other {
        #[prost(bytes = "vec", tag = "1")]
        principal: Vec<u8>,
    }
    for principal in [vec![0xff; 5], vec![0x0a, 0x02, 0xff, 0xff]] {
        grpc.ready().await.unwrap();
        let request = tonic::Request::new(Other { principal });
        let codec = tonic_prost::ProstCodec::<Other, Other>::default();
        let status = grpc.unary(request, path(), codec).await.unwrap_err();
        assert_eq!(status.code(), Code::InvalidArgument, "{status:?}");
        assert!(
            status.message().starts_with("the bytes are no `pdp.v1.AuthorizeRequest`: ")
                && status.message().contains("in `principal"),
            "{}",
            status.message()
        );
    }
    server.stop().await;
}

// === delegation ===

const USER: Uid<'static> = Uid::new("User", "bob");

#[tokio::test]
async fn a_statement_of_delegation_from_anyone_denies_where_callers_are_not_trusted() {
    let server = Running::start(|_| {});
    let client = server.client().await;
    let statements = [
        (Request { on_behalf_of: Some(USER), ..QUESTION }, "`on_behalf_of`"),
        (Request { actors: &[USER], ..QUESTION }, "`actors`"),
        (Request { scopes: &["crm:read"], ..QUESTION }, "`scopes`"),
        (
            Request { on_behalf_of: Some(USER), actors: &[USER], scopes: &[""], ..QUESTION },
            "`on_behalf_of`, `actors`, `scopes`",
        ),
    ];
    for (request, named) in statements {
        let answer = client.authorize(&request).await.unwrap();
        assert_eq!((answer.effect, answer.reason), (Effect::Deny, Reason::InvalidRequest));
        assert!(
            answer.message.contains(named) && answer.message.contains("`trust_delegation`"),
            "{}",
            answer.message
        );
    }
    server.stop().await;
}

#[tokio::test]
async fn a_trusted_statement_of_delegation_reaches_the_core() {
    let server = Running::start(|config| config.trust_delegation = true);
    let request = Request { on_behalf_of: Some(USER), actors: &[USER], scopes: &["s"], ..QUESTION };
    let answer = server.client().await.authorize(&request).await.unwrap();
    assert_eq!(answer.reason, Reason::NoBundle);
    server.stop().await;
}

// === faults ===

#[tokio::test]
async fn a_panic_costs_its_request_and_nothing_else() {
    let asked = AtomicU32::new(0);
    let clock = Clock::from_fn(move || match asked.fetch_add(1, Ordering::Relaxed) {
        0 => panic!("on purpose, to see what it takes down"),
        _ => Datetime(0),
    });
    let server = Running::start(|config| config.clock = clock);
    let client = server.client().await;
    match client.authorize(&QUESTION).await {
        Err(ClientError::Refused(error)) => {
            assert_eq!(error.code(), i32::from(Code::Internal));
            assert!(error.message().contains("not allowed"), "{error}");
        }
        other => panic!("expected an error of the server, got {other:?}"),
    }
    assert_eq!(client.authorize(&QUESTION).await.unwrap().reason, Reason::NoBundle);
    server.stop().await;
}

// === health ===

#[tokio::test]
async fn health_says_not_serving_while_no_bundle_decides() {
    let server = Running::start(|_| {});
    let mut health = server.health().await;
    for service in ["", SERVICE] {
        let status = health.check(health_of(service)).await.unwrap().into_inner().status();
        assert_eq!(status, ServingStatus::NotServing, "{service:?}");
    }
    let status = health.check(health_of("pdp.v2.Authorization")).await.unwrap_err();
    assert_eq!(status.code(), Code::NotFound);
    server.stop().await;
}

#[tokio::test]
async fn one_who_watches_health_does_not_keep_the_server_from_going() {
    // Were the stream not ended, draining would last for the whole deadline, which is longer than `soon`.
    let server = Running::start(|config| config.limits.drain_deadline_ms = u32::MAX);
    let mut stream = server.health().await.watch(health_of(SERVICE)).await.unwrap().into_inner();
    assert_eq!(stream.message().await.unwrap().unwrap().status(), ServingStatus::NotServing);
    let served = server.tell_to_stop();
    soon(async {
        while let Some(message) = stream.message().await.unwrap() {
            assert_eq!(message.status(), ServingStatus::NotServing);
        }
    })
    .await;
    soon(served).await.unwrap().unwrap();
}
