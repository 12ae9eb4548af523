//! Decisions as spans in the traces of their callers, sent to a collector that speaks the protocol itself.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use opentelemetry_proto::tonic::collector::trace::v1::trace_service_server::{
    TraceService, TraceServiceServer,
};
use opentelemetry_proto::tonic::collector::trace::v1::{
    ExportTraceServiceRequest, ExportTraceServiceResponse,
};
use opentelemetry_proto::tonic::common::v1::any_value;
use opentelemetry_proto::tonic::trace::v1::Span;
use pdp_grpc::pb;
use pdp_grpc::pb::authorization_client::AuthorizationClient;
use tokio::net::TcpListener;
use tokio_stream::wrappers::TcpListenerStream;
use tonic::transport::Channel;
use tonic::{Request, Response, Status};

use crate::scene::{Scene, Sidecar};

/// A collector that keeps what it is sent.
#[derive(Clone, Default)]
struct Collector(Arc<Mutex<Vec<Span>>>);

#[tonic::async_trait]
impl TraceService for Collector {
    async fn export(
        &self,
        request: Request<ExportTraceServiceRequest>,
    ) -> Result<Response<ExportTraceServiceResponse>, Status> {
        let spans = request.into_inner().resource_spans.into_iter();
        let spans = spans.flat_map(|of| of.scope_spans).flat_map(|of| of.spans);
        self.0.lock().unwrap().extend(spans);
        Ok(Response::new(ExportTraceServiceResponse::default()))
    }
}

// === impl Collector ===

impl Collector {
    async fn start(&self) -> SocketAddr {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let server = tonic::transport::Server::builder()
            .add_service(TraceServiceServer::new(self.clone()))
            .serve_with_incoming(TcpListenerStream::new(listener));
        tokio::spawn(server);
        address
    }
}

/// What a span says under a key.
fn said(span: &Span, key: &str) -> String {
    let found = span.attributes.iter().find(|attribute| attribute.key == key);
    let value = found.and_then(|attribute| attribute.value.clone()).and_then(|value| value.value);
    match value {
        Some(any_value::Value::StringValue(text)) => text,
        Some(any_value::Value::IntValue(number)) => number.to_string(),
        other => panic!("`{key}` is {other:?} in {span:?}"),
    }
}

async fn ask(
    client: &mut AuthorizationClient<Channel>,
    traceparent: Option<&str>,
) -> pb::AuthorizeResponse {
    let name = |entity_type: &str, id: &str| {
        Some(pb::EntityUid { r#type: entity_type.to_owned(), id: id.to_owned() })
    };
    let mut request = Request::new(pb::AuthorizeRequest {
        principal: name("user", "alice"),
        action: name("Action", "read"),
        resource: name("record", "record-1"),
        ..pb::AuthorizeRequest::default()
    });
    if let Some(traceparent) = traceparent {
        request.metadata_mut().insert("traceparent", traceparent.parse().unwrap());
    }
    client.authorize(request).await.unwrap().into_inner()
}

/// The sidecar with the one listener that is asked here.
fn grpc_only(scene: &Scene, settings: &[&str]) -> Sidecar {
    let listeners = ["c.pdpb", "--listen=127.0.0.1:0", "--admin=off", "--http=off"];
    scene.start(&[&listeners[..], settings].concat())
}

async fn client(address: &str) -> AuthorizationClient<Channel> {
    let endpoint = tonic::transport::Endpoint::from_shared(format!("http://{address}")).unwrap();
    AuthorizationClient::new(endpoint.connect().await.unwrap())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_decision_is_a_span_in_the_trace_of_its_caller() {
    let collector = Collector::default();
    let url = format!("http://{}", collector.start().await);
    let scene = Scene::new();
    let mut sidecar = grpc_only(&scene, &["--log=log", "--traces", &url]);
    let mut client = client(&sidecar.address("grpc://")).await;
    let sampled = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
    let answer = ask(&mut client, Some(sampled)).await;
    assert_eq!(answer.effect(), pb::Effect::Allow, "{answer:?}");
    // Not recorded by its caller, without a trace, and with a header that is none.
    ask(&mut client, Some("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00")).await;
    ask(&mut client, None).await;
    ask(&mut client, Some("00-no-trace-01")).await;
    drop(client);
    let ended = tokio::task::spawn_blocking(move || sidecar.stop()).await.unwrap();
    assert_eq!(ended, Some(0));

    let spans = collector.0.lock().unwrap().clone();
    let [span] = spans.as_slice() else { panic!("one span was expected: {spans:?}") };
    let hex = |bytes: &[u8]| bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    assert_eq!(hex(&span.trace_id), "4bf92f3577b34da6a3ce929d0e0e4736");
    assert_eq!(hex(&span.parent_span_id), "00f067aa0ba902b7");
    assert_eq!(span.name, "pdp authorize");
    assert!(span.start_time_unix_nano <= span.end_time_unix_nano);
    for (key, value) in [
        ("pdp.decision_id", answer.decision_id.as_str()),
        ("pdp.entry", "authorize"),
        ("pdp.effect", "allow"),
        ("pdp.reason", "permitted"),
        ("pdp.principal", "user::\"alice\""),
        ("pdp.resource", "record::\"record-1\""),
        ("pdp.bundle.name", "certification"),
        ("pdp.bundle.revision", "1"),
    ] {
        assert_eq!(said(span, key), value, "{key}");
    }
    // The log names the trace of each request that has one, recorded or not.
    let log = std::fs::read_to_string(scene.path("log")).unwrap();
    let traces: Vec<bool> = log.lines().map(|line| line.contains("\"trace_id\":")).collect();
    assert_eq!(traces, [true, true, false, false], "{log}");
    let id = "\"trace_id\":\"4bf92f3577b34da6a3ce929d0e0e4736\",\"span_id\":\"00f067aa0ba902b7\"";
    assert!(log.lines().next().unwrap().contains(id), "{log}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_share_of_the_decisions_begins_a_trace() {
    let collector = Collector::default();
    let url = format!("http://{}", collector.start().await);
    let scene = Scene::new();
    let mut sidecar = grpc_only(&scene, &["--traces-ratio=1", "--traces", &url]);
    let mut client = client(&sidecar.address("grpc://")).await;
    for _ in 0..3 {
        ask(&mut client, None).await;
    }
    drop(client);
    tokio::task::spawn_blocking(move || sidecar.stop()).await.unwrap();
    let spans = collector.0.lock().unwrap().clone();
    assert_eq!(spans.len(), 3);
    assert!(spans.iter().all(|span| span.parent_span_id.is_empty()));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_collector_that_is_not_there_costs_spans_and_nothing_else() {
    let scene = Scene::new();
    // Nobody listens on this port: it is for the superuser, and reserved.
    let mut sidecar = grpc_only(&scene, &["--traces-ratio=1", "--traces=http://127.0.0.1:1"]);
    let mut client = client(&sidecar.address("grpc://")).await;
    for _ in 0..20 {
        let answered = tokio::time::timeout(Duration::from_secs(5), ask(&mut client, None)).await;
        assert_eq!(answered.unwrap().effect(), pb::Effect::Allow);
    }
    drop(client);
    let ended = tokio::task::spawn_blocking(move || sidecar.stop());
    let ended = tokio::time::timeout(Duration::from_secs(30), ended).await.unwrap().unwrap();
    assert_eq!(ended, Some(0));
}
