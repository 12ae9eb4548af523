//! A server on a free port, and the ways to talk to it.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use pdp_core::{Decider, Live, Request, Uid};
use pdp_grpc::pb::authorization_client::AuthorizationClient;
use pdp_grpc::{Client, Config, ServeError, Server, pb};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tonic::transport::{Channel, Endpoint};
use tonic_health::pb::health_client::HealthClient;

/// How long anything here may take before the test fails instead of hanging.
pub(crate) const SOON: Duration = Duration::from_secs(20);

/// The service's name in health.
pub(crate) const SERVICE: &str = "pdp.v1.Authorization";

/// A question that any schema-less bundle could be asked.
pub(crate) const QUESTION: Request<'static> = Request::new(
    Uid::new("User", "alice"),
    Uid::new("Action", "view"),
    Uid::new("Document", "d"),
    &[],
);

/// A running server.
pub(crate) struct Running {
    pub(crate) address: SocketAddr,
    /// As the server says it.
    pub(crate) own_url: String,
    /// Where it answers AuthZEN, and operators, if it does.
    pub(crate) http: Option<SocketAddr>,
    pub(crate) admin: Option<SocketAddr>,
    stop: oneshot::Sender<()>,
    served: JoinHandle<Result<(), ServeError>>,
}

impl Running {
    /// Starts without a bundle, on a free port.
    pub(crate) fn start(change: impl FnOnce(&mut Config)) -> Self {
        let mut config = Config::sidecar();
        config.address.set_port(0);
        change(&mut config);
        let server = Server::bind(config, Arc::new(Live::new(Decider::no_bundle()))).unwrap();
        let (address, own_url) = (server.address(), server.url());
        let (http, admin) = (server.http_address(), server.admin_address());
        let (stop, stopped) = oneshot::channel::<()>();
        let served = tokio::spawn(server.run(async move {
            let _ = stopped.await;
        }));
        Self { address, own_url, http, admin, stop, served }
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Our own client.
    pub(crate) async fn client(&self) -> Client {
        Client::connect(&self.url(), SOON).await.unwrap()
    }

    /// One connection for bare messages.
    pub(crate) async fn channel(&self) -> Channel {
        soon(Endpoint::from_shared(self.url()).unwrap().connect()).await.unwrap()
    }

    pub(crate) async fn bare(&self) -> AuthorizationClient<Channel> {
        AuthorizationClient::new(self.channel().await)
    }

    pub(crate) async fn health(&self) -> HealthClient<Channel> {
        HealthClient::new(self.channel().await)
    }

    /// Tells the server to stop, without waiting for it.
    pub(crate) fn tell_to_stop(self) -> JoinHandle<Result<(), ServeError>> {
        self.stop.send(()).expect("the server still runs");
        self.served
    }

    /// Stops the server and expects it to have served well.
    pub(crate) async fn stop(self) {
        soon(self.tell_to_stop()).await.unwrap().unwrap();
    }
}

/// What is answered to `head` and `body` by HTTP over a connection that ends with the answer.
pub(crate) async fn http(
    mut stream: impl AsyncRead + AsyncWrite + Unpin,
    head: &str,
    body: &str,
) -> std::io::Result<String> {
    let bytes = body.len();
    let request = format!(
        "{head} HTTP/1.1\r\nhost: pdp\r\nconnection: close\r\ncontent-type: application/json\r\n\
         content-length: {bytes}\r\n\r\n{body}"
    );
    stream.write_all(request.as_bytes()).await?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await?;
    Ok(answer)
}

/// Waits for something that happens by itself.
pub(crate) async fn soon<T>(happening: impl Future<Output = T>) -> T {
    tokio::time::timeout(SOON, happening).await.expect("it happens soon")
}

/// The question above as a message.
pub(crate) fn question() -> pb::AuthorizeRequest {
    let name = |entity_type: &str, id: &str| {
        Some(pb::EntityUid { r#type: entity_type.to_owned(), id: id.to_owned() })
    };
    pb::AuthorizeRequest {
        principal: name("User", "alice"),
        action: name("Action", "view"),
        resource: name("Document", "d"),
        ..pb::AuthorizeRequest::default()
    }
}

/// The question with a context of one string.
pub(crate) fn question_with(text: String) -> pb::AuthorizeRequest {
    let value = pb::Value { kind: Some(pb::value::Kind::String(text)) };
    let context = vec![pb::Entry { key: "text".to_owned(), value: Some(value) }];
    pb::AuthorizeRequest { context, ..question() }
}
