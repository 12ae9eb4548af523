//! The floor: a tonic server that decodes a question and encodes an answer it has at hand. It decides nothing.

use std::convert::Infallible;
use std::sync::Arc;

use pdp_grpc::pb;
use tokio::net::{TcpListener, UnixListener};
use tokio_stream::StreamExt;
use tokio_stream::wrappers::{TcpListenerStream, UnixListenerStream};
use tonic::body::Body;
use tonic::codegen::{BoxFuture, Context, Poll, Service, http};
use tonic::server::{Grpc, NamedService, UnaryService};
use tonic::{Request, Response, Status};

/// The service, under the name of the sidecar's.
#[derive(Clone)]
struct Echo(Arc<pb::AuthorizeResponse>);

/// Starts it on a free port (`tcp`) or on a socket (`unix:PATH`); answers its URL and what serves.
pub(super) async fn start(
    at: &str,
    answer: pb::AuthorizeResponse,
) -> Result<(String, BoxFuture<(), String>), String> {
    let server = tonic::transport::Server::builder().add_service(Echo(Arc::new(answer)));
    if let Some(path) = at.strip_prefix("unix:") {
        let listener = UnixListener::bind(path).map_err(|error| format!("{path}: {error}"))?;
        let served = server.serve_with_incoming(UnixListenerStream::new(listener));
        let served = async { served.await.map_err(|error| error.to_string()) };
        return Ok((format!("unix://{path}"), Box::pin(served)));
    }
    let listener = TcpListener::bind("127.0.0.1:0").await.map_err(|error| error.to_string())?;
    let address = listener.local_addr().map_err(|error| error.to_string())?;
    let incoming = TcpListenerStream::new(listener)
        .map(|accepted| accepted.inspect(|stream| drop(stream.set_nodelay(true))));
    let served = server.serve_with_incoming(incoming);
    let served = async { served.await.map_err(|error| error.to_string()) };
    Ok((format!("http://{address}"), Box::pin(served)))
}

impl NamedService for Echo {
    const NAME: &'static str = "pdp.v1.Authorization";
}

impl Service<http::Request<Body>> for Echo {
    type Response = http::Response<Body>;
    type Error = Infallible;
    type Future = BoxFuture<Self::Response, Self::Error>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: http::Request<Body>) -> Self::Future {
        let codec =
            tonic_prost::ProstCodec::<pb::AuthorizeResponse, pb::AuthorizeRequest>::default();
        let (mut grpc, method) = (Grpc::new(codec), self.clone());
        Box::pin(async move { Ok(grpc.unary(method, request).await) })
    }
}

impl UnaryService<pb::AuthorizeRequest> for Echo {
    type Response = pb::AuthorizeResponse;
    type Future = BoxFuture<Response<Self::Response>, Status>;

    fn call(&mut self, _: Request<pb::AuthorizeRequest>) -> Self::Future {
        let answer = Arc::clone(&self.0);
        Box::pin(async move { Ok(Response::new((*answer).clone())) })
    }
}
