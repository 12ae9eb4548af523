//! What stands beside `Authorize`: AuthZEN over TLS, reflection, and what is turned away before memory runs out.

use std::net::SocketAddr;
use std::sync::Arc;

use pdp_grpc::{CallerRule, ClientOptions, Who, Whom};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_stream::StreamExt;
use tonic::Code;
use tonic_reflection::pb::v1::server_reflection_client::ServerReflectionClient;
use tonic_reflection::pb::v1::server_reflection_request::MessageRequest;
use tonic_reflection::pb::v1::server_reflection_response::MessageResponse;
use tonic_reflection::pb::v1::{ServerReflectionRequest, ServerReflectionResponse};

use crate::certificates::{Pki, dns};
use crate::support::{Running, http, question, question_with, soon};

const ANY_PORT: SocketAddr =
    SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), 0);
const EVALUATION: &str = "POST /access/v1/evaluation";
const ALICE: &str = r#"{"subject":{"type":"User","id":"alice"},"action":{"name":"view"},"resource":{"type":"Document","id":"d"}}"#;
const BOB: &str = r#"{"subject":{"type":"User","id":"bob"},"action":{"name":"view"},"resource":{"type":"Document","id":"d"}}"#;

/// Asks over HTTPS, with a client's certificate if there is one.
async fn https(
    address: SocketAddr,
    options: &ClientOptions,
    body: &str,
) -> std::io::Result<String> {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_file(options.ca.as_ref().unwrap()).unwrap()).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots);
    let mut config = match &options.identity {
        Some((certificate, key)) => {
            let chain = vec![CertificateDer::from_pem_file(certificate).unwrap()];
            builder
                .with_client_auth_cert(chain, PrivateKeyDer::from_pem_file(key).unwrap())
                .unwrap()
        }
        None => builder.with_no_client_auth(),
    };
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    let stream = TcpStream::connect(address).await?;
    let name = ServerName::try_from("127.0.0.1").unwrap();
    let stream = TlsConnector::from(Arc::new(config)).connect(name, stream).await?;
    http(stream, EVALUATION, body).await
}

#[tokio::test]
async fn authzen_over_tls_knows_its_caller_by_certificate() {
    let pki = Pki::new();
    let rule = CallerRule {
        who: Who::Dns("portal.example".to_owned()),
        trust_delegation: false,
        explain: false,
        principals: Some(vec![Whom::One(pdp_grpc::Name::new("User", "alice"))]),
        tenants: None,
    };
    let server = Running::start(|config| {
        config.tls = Some(pki.server(true));
        config.http = Some(ANY_PORT);
        config.callers = vec![rule];
    });
    let address = server.http.unwrap();
    let portal = pki.client(&[dns("portal.example")]);
    let answer = https(address, &portal, ALICE).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 200") && answer.contains("no_bundle"), "{answer}");
    let answer = https(address, &portal, BOB).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 403"), "{answer}");
    let stranger = pki.client(&[dns("other.example")]);
    let answer = https(address, &stranger, ALICE).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 403"), "{answer}");
    // Without a certificate there is no connection that answers, and without TLS neither.
    let nobody = https(address, &pki.nameless(), ALICE).await;
    assert!(!nobody.is_ok_and(|answer| answer.contains("HTTP/1.1 2")));
    let bare = TcpStream::connect(address).await.unwrap();
    assert!(!http(bare, EVALUATION, ALICE).await.is_ok_and(|answer| answer.contains("HTTP/1.1 2")));
    server.stop().await;
}

/// The services that reflection tells of.
async fn listed(server: &Running) -> Result<Vec<String>, Code> {
    let mut client = ServerReflectionClient::new(server.channel().await);
    let message_request = Some(MessageRequest::ListServices(String::new()));
    let request = ServerReflectionRequest { host: String::new(), message_request };
    let answers = client.server_reflection_info(tokio_stream::iter([request])).await;
    let mut answers = answers.map_err(|status| status.code())?.into_inner();
    let answer: ServerReflectionResponse = soon(answers.next()).await.unwrap().unwrap();
    match answer.message_response {
        Some(MessageResponse::ListServicesResponse(list)) => {
            Ok(list.service.into_iter().map(|service| service.name).collect())
        }
        other => panic!("no list but {other:?}"),
    }
}

#[tokio::test]
async fn reflection_is_there_where_it_is_wanted() {
    let server = Running::start(|config| config.reflection = true);
    let names = listed(&server).await.unwrap();
    for name in ["pdp.v1.Authorization", "grpc.health.v1.Health"] {
        assert!(names.iter().any(|listed| listed == name), "{names:?}");
    }
    server.stop().await;
    let silent = Running::start(|_| {});
    assert_eq!(listed(&silent).await, Err(Code::Unimplemented));
    silent.stop().await;
}

async fn metrics(server: &Running) -> String {
    let stream = TcpStream::connect(server.admin.unwrap()).await.unwrap();
    http(stream, "GET /metrics", "").await.unwrap()
}

#[tokio::test]
async fn what_there_is_no_memory_for_is_refused_and_counted_and_the_rest_is_answered() {
    let server = Running::start(|config| {
        config.limits.in_flight_bytes_max = 4 << 10;
        config.http = Some(ANY_PORT);
        config.admin = Some(ANY_PORT);
    });
    let mut bare = server.bare().await;
    let large = || question_with("x".repeat(8 << 10));
    for _ in 0..3 {
        let status = bare.authorize(large()).await.unwrap_err();
        assert_eq!(status.code(), Code::ResourceExhausted, "{status:?}");
        assert!(status.message().contains("in_flight_bytes_max"), "{}", status.message());
        assert_eq!(bare.authorize(question()).await.unwrap().into_inner().reason, "no_bundle");
    }
    let padded = format!("{}{ALICE}", " ".repeat(8 << 10));
    let stream = TcpStream::connect(server.http.unwrap()).await.unwrap();
    let answer = http(stream, EVALUATION, &padded).await.unwrap();
    assert!(
        answer.starts_with("HTTP/1.1 503") && answer.contains("in_flight_bytes_max"),
        "{answer}"
    );
    let stream = TcpStream::connect(server.http.unwrap()).await.unwrap();
    let answer = http(stream, EVALUATION, ALICE).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    let text = metrics(&server).await;
    assert!(text.contains("pdp_shed_total{cause=\"memory\"} 4\n"), "{text}");
    assert!(text.contains("pdp_in_flight_bytes 0\n"), "what was held is given back: {text}");
    server.stop().await;
}

#[tokio::test]
async fn connections_are_counted_and_so_are_those_that_are_turned_away() {
    let server = Running::start(|config| {
        config.limits.connections_max = 2;
        config.admin = Some(ANY_PORT);
    });
    let mut first = server.bare().await;
    let mut second = server.bare().await;
    for bare in [&mut first, &mut second] {
        assert!(bare.authorize(question()).await.is_ok());
    }
    let mut third = TcpStream::connect(server.address).await.unwrap();
    let closed = soon(tokio::io::AsyncReadExt::read(&mut third, &mut [0_u8; 8])).await;
    assert!(closed.map_or(true, |bytes| bytes == 0));
    let text = metrics(&server).await;
    assert!(text.contains("pdp_shed_total{cause=\"connections\"} 1\n"), "{text}");
    // Two, and the one that asks for the metrics.
    assert!(text.contains("pdp_connections 3\n"), "{text}");
    server.stop().await;
}

#[tokio::test]
async fn a_connection_for_http_ends_politely_when_it_is_old() {
    let server = Running::start(|config| {
        config.limits.connection_age_ms = 200;
        config.http = Some(ANY_PORT);
    });
    let mut stream = TcpStream::connect(server.http.unwrap()).await.unwrap();
    let bytes = ALICE.len();
    let request = format!(
        "{EVALUATION} HTTP/1.1\r\nhost: pdp\r\ncontent-type: application/json\r\ncontent-length: {bytes}\r\n\r\n{ALICE}"
    );
    stream.write_all(request.as_bytes()).await.unwrap();
    // It is kept for the next request, until it is old; the end is one that a client sees as such.
    let mut answer = String::new();
    soon(stream.read_to_string(&mut answer)).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 200") && answer.contains("no_bundle"), "{answer}");
    server.stop().await;
}
