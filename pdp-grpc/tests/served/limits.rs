//! Every limit of the transport that a caller can run into, met on purpose. Waits are for events; the times that pass
//! are those that the limits themselves set.

use std::time::{Duration, Instant};

use crate::support::{QUESTION, Running, question, question_with, soon};
use pdp_grpc::pb;
use prost::Message;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tonic::codegen::http::uri::PathAndQuery;
use tonic::transport::Channel;
use tonic::{Code, Response, Status};
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_client::HealthClient;

/// Begins a request on `channel` whose message never comes, and returns when the server has taken up what was sent
/// before: requests of one connection arrive in order.
async fn begin_and_hang(channel: &Channel) -> impl Future<Output = Result<(), Status>> + use<> {
    let mut grpc = tonic::client::Grpc::new(channel.clone());
    let mut hanging = Box::pin(async move {
        grpc.ready().await.unwrap();
        let path = PathAndQuery::from_static("/pdp.v1.Authorization/Authorize");
        let nothing = tokio_stream::pending::<pb::AuthorizeRequest>();
        let codec = tonic_prost::ProstCodec::<_, pb::AuthorizeResponse>::default();
        grpc.client_streaming(tonic::Request::new(nothing), path, codec)
            .await
            .map(|_: Response<_>| ())
    });
    let mut health = HealthClient::new(channel.clone());
    let passed = async {
        // Whether it is served or shed, it was taken up after the first one.
        let _ = health.check(HealthCheckRequest::default()).await;
    };
    tokio::select! {
        biased;
        ended = &mut hanging => assert!(ended.is_err(), "a request without a message got an answer"),
        () = soon(passed) => {}
    }
    hanging
}

#[tokio::test]
async fn a_message_of_the_largest_size_passes_and_one_byte_more_is_refused() {
    let server = Running::start(|_| {});
    let mut bare = server.bare().await;
    let largest = 64 << 10;
    // The length of the text is written in three bytes either way, so the size grows by one with it.
    let around = question_with("x".repeat(65_000)).encoded_len();
    let text = |bytes: usize| "x".repeat(65_000 + bytes - around);
    assert_eq!(question_with(text(largest)).encoded_len(), largest);

    assert_eq!(
        bare.authorize(question_with(text(largest))).await.unwrap().into_inner().reason,
        "no_bundle"
    );
    for bytes in [largest + 1, 5 << 20] {
        let status = bare.authorize(question_with(text(bytes))).await.unwrap_err();
        assert_eq!(status.code(), Code::ResourceExhausted, "{status:?}");
        assert!(status.message().contains("the limit is: 65536 bytes"), "{}", status.message());
        // The same connection goes on.
        assert_eq!(bare.authorize(question()).await.unwrap().into_inner().reason, "no_bundle");
    }
    server.stop().await;
}

#[tokio::test]
async fn a_refused_message_does_not_cost_the_connection() {
    let server = Running::start(|_| {});
    let channel = server.channel().await;
    // A stream on the connection ends with it, so it tells whether a later request came over another one.
    let mut health = HealthClient::new(channel.clone())
        .watch(HealthCheckRequest::default())
        .await
        .unwrap()
        .into_inner();
    assert!(health.message().await.unwrap().is_some());
    let mut bare = pb::authorization_client::AuthorizationClient::new(channel);
    assert!(bare.authorize(question_with("x".repeat(100_000))).await.is_err());
    assert!(bare.authorize(question()).await.is_ok());
    tokio::select! {
        biased;
        message = health.message() => panic!("the stream of the first connection said {message:?}"),
        () = std::future::ready(()) => {}
    }
    server.stop().await;
}

#[tokio::test]
async fn an_answer_over_its_limit_is_an_error_and_not_a_part_of_it() {
    let server = Running::start(|config| config.limits.answer_bytes_max = 4);
    let status = server.bare().await.authorize(question()).await.unwrap_err();
    assert_eq!(status.code(), Code::ResourceExhausted);
    assert!(status.message().contains("`answer_bytes_max`"), "{}", status.message());
    server.stop().await;
}

#[tokio::test]
async fn values_deeper_than_the_limit_are_an_invalid_argument_at_any_depth() {
    let server = Running::start(|_| {});
    let mut bare = server.bare().await;
    let nested = |depth: usize| {
        let mut kind = pb::value::Kind::Boolean(true);
        for _ in 1..depth {
            let value = Some(pb::Value { kind: Some(kind) });
            let entries = vec![pb::Entry { key: "r".to_owned(), value }];
            kind = pb::value::Kind::Record(pb::Record { entries });
        }
        let value = Some(pb::Value { kind: Some(kind) });
        pb::AuthorizeRequest {
            context: vec![pb::Entry { key: "r".to_owned(), value }],
            ..question()
        }
    };
    assert!(bare.authorize(nested(32)).await.is_ok());
    for depth in [33, 34, 50, 1_000] {
        let status = bare.authorize(nested(depth)).await.unwrap_err();
        assert_eq!(status.code(), Code::InvalidArgument, "{depth}: {status:?}");
    }
    server.stop().await;
}

#[tokio::test]
async fn a_request_over_the_number_of_a_connection_is_refused_at_once() {
    let server = Running::start(|config| config.limits.requests_per_connection_max = 1);
    let channel = server.channel().await;
    let hanging = begin_and_hang(&channel).await;
    let mut bare = pb::authorization_client::AuthorizationClient::new(channel);
    let status = bare.authorize(question()).await.unwrap_err();
    assert_eq!(status.code(), Code::ResourceExhausted, "{status:?}");
    // Another connection is not concerned.
    assert!(server.bare().await.authorize(question()).await.is_ok());
    // Nor is this one, once the first request is over.
    assert_eq!(soon(hanging).await.unwrap_err().code(), Code::Cancelled);
    assert!(bare.authorize(question()).await.is_ok());
    server.stop().await;
}

#[tokio::test]
async fn a_message_that_never_comes_is_given_up() {
    let server = Running::start(|config| config.limits.request_timeout_ms = 50);
    let channel = server.channel().await;
    let hanging = begin_and_hang(&channel).await;
    let status = soon(hanging).await.unwrap_err();
    assert_eq!(status.code(), Code::Cancelled, "{status:?}");
    server.stop().await;
}

#[tokio::test]
async fn a_connection_over_the_number_is_closed_at_once_and_the_others_live() {
    let server = Running::start(|config| {
        config.limits.connections_max = 1;
        // Else that would close it.
        config.limits.greeting_timeout_ms = u32::MAX;
    });
    let mut bare = server.bare().await;
    assert!(bare.authorize(question()).await.is_ok());
    let mut second = TcpStream::connect(server.address).await.unwrap();
    assert!(soon(closed(&mut second)).await);
    assert!(bare.authorize(question()).await.is_ok());
    // Its place is free again when the first one is gone.
    drop(bare);
    let address = server.address;
    soon(async {
        loop {
            let url = format!("http://{address}");
            let client = pdp_grpc::Client::connect(&url, Duration::from_secs(5)).await;
            if let Ok(client) = client
                && client.authorize(&QUESTION).await.is_ok()
            {
                break;
            }
        }
    })
    .await;
    server.stop().await;
}

/// Whether the peer closes, politely or not, whatever it says before.
async fn closed(stream: &mut TcpStream) -> bool {
    match stream.read_to_end(&mut Vec::new()).await {
        Ok(_) => true,
        Err(error) => error.kind() == std::io::ErrorKind::ConnectionReset,
    }
}

#[tokio::test]
async fn a_connection_that_does_not_greet_is_cut() {
    let server = Running::start(|config| config.limits.greeting_timeout_ms = 50);
    let mut silent = TcpStream::connect(server.address).await.unwrap();
    assert!(soon(closed(&mut silent)).await);
    // Half a greeting is none, however slowly it comes.
    let mut slow = TcpStream::connect(server.address).await.unwrap();
    slow.write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r").await.unwrap();
    assert!(soon(closed(&mut slow)).await);
    server.stop().await;
}

#[tokio::test]
async fn a_connection_that_greeted_outlives_the_time_for_greeting() {
    let server = Running::start(|config| {
        config.limits.greeting_timeout_ms = 50;
        config.limits.request_timeout_ms = 200;
    });
    let channel = server.channel().await;
    // Ended by its own limit, which is the longer one, and so not by the connection's end.
    let status = soon(begin_and_hang(&channel).await).await.unwrap_err();
    assert_eq!(status.code(), Code::Cancelled, "{status:?}");
    assert_eq!(status.message(), "Timeout expired");
    server.stop().await;
}

#[tokio::test]
async fn a_connection_that_does_not_go_when_asked_is_cut_after_the_grace() {
    let server = Running::start(|config| {
        config.limits.connection_age_ms = 30;
        config.limits.connection_age_grace_ms = 30;
        config.limits.request_timeout_ms = u32::MAX;
    });
    let channel = server.channel().await;
    let hanging = begin_and_hang(&channel).await;
    assert!(soon(hanging).await.is_err());
    server.stop().await;
}

#[tokio::test]
async fn what_does_not_finish_while_draining_is_cut_at_the_deadline() {
    let server = Running::start(|config| {
        config.limits.drain_deadline_ms = 100;
        config.limits.request_timeout_ms = u32::MAX;
    });
    let channel = server.channel().await;
    let hanging = begin_and_hang(&channel).await;
    let began = Instant::now();
    soon(server.tell_to_stop()).await.unwrap().unwrap();
    assert!(began.elapsed() >= Duration::from_millis(100), "it was given its time");
    assert!(soon(hanging).await.is_err());
}
