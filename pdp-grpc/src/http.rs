//! HTTP/1.1 for what is not gRPC: a listener with a limit on everything, and its end.
//!
//! It knows no protocol; `admin` and `authzen` say what is served. Connections come from `accept`, with its limits, TLS
//! and ends. One that does not send its headers is cut; when draining begins, or it is old enough, each finishes the
//! request that it is at. A panic costs the request that caused it, which gets status 500.

use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::Request;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};
use tokio_stream::StreamExt;
use tower::ServiceExt;

use crate::accept::{Connection, Incoming};
use crate::desk::Telemetry;
use crate::listen::Bound;

/// A listener that does not serve yet.
#[derive(Debug)]
pub(crate) struct HttpListener {
    listener: Bound,
    address: SocketAddr,
}

/// What is served, and what a request may take.
#[derive(Clone, Debug)]
pub(crate) struct Service {
    pub(crate) router: Router,
    pub(crate) telemetry: Arc<Telemetry>,
    /// Head of a request, in bytes.
    pub(crate) header_bytes_max: u32,
    /// From the beginning of a connection, or the end of a request, to the end of the next head.
    pub(crate) head_timeout: Duration,
    /// From the head of a request to its answer.
    pub(crate) request_timeout: Duration,
    /// Age at which a connection ends after the request that it is at.
    pub(crate) connection_age: Duration,
}

// === impl HttpListener ===

impl HttpListener {
    /// Takes the address.
    pub(crate) fn bind(address: SocketAddr) -> io::Result<Self> {
        let (listener, address) = Bound::tcp(address)?;
        Ok(Self { listener, address })
    }

    /// Where it listens.
    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// What it listens with.
    pub(crate) fn into_bound(self) -> Bound {
        self.listener
    }
}

// === impl Service ===

impl Service {
    /// Serves until `stop` is true, then lets requests in flight finish. Dropping the future cuts them.
    pub(crate) async fn serve(self, mut incoming: Incoming, mut stop: watch::Receiver<bool>) {
        let mut connections = JoinSet::new();
        loop {
            let accepted = tokio::select! {
                _ = stop.wait_for(|stop| *stop) => break,
                _ = connections.join_next(), if !connections.is_empty() => continue,
                accepted = incoming.next() => accepted,
            };
            // Accepting neither ends nor fails; if it did there would be nothing to serve.
            let Some(Ok(connection)) = accepted else { break };
            connections.spawn(self.clone().connection(connection, stop.clone()));
        }
        drop(incoming);
        while connections.join_next().await.is_some() {}
    }

    async fn connection(self, connection: Connection, mut stop: watch::Receiver<bool>) {
        let age = sleep(self.connection_age);
        let peer = connection.peer().clone();
        let mut builder = http1::Builder::new();
        builder
            .timer(TokioTimer::new())
            .header_read_timeout(self.head_timeout)
            // The smallest that the library takes is 8 KiB.
            .max_buf_size(
                usize::try_from(self.header_bytes_max).unwrap_or(usize::MAX).max(8 << 10),
            );
        let service = hyper::service::service_fn(move |request: hyper::Request<_>| {
            let body = |body| Body::new(self.telemetry.admission.count(body, u64::MAX));
            let mut request = request.map(body);
            request.extensions_mut().insert(peer.clone());
            self.clone().answer(request)
        });
        let mut serving = pin!(builder.serve_connection(TokioIo::new(connection), service));
        tokio::select! {
            // How a connection ends is its client's business.
            _ = &mut serving => return,
            _ = stop.wait_for(|stop| *stop) => {}
            () = age => {}
        }
        serving.as_mut().graceful_shutdown();
        let _ = serving.await;
    }

    async fn answer(self, request: Request) -> Result<Response, Infallible> {
        let mut answering = Box::pin(self.router.oneshot(request));
        let unless_it_panics = std::future::poll_fn(|context| {
            match catch_unwind(AssertUnwindSafe(|| answering.as_mut().poll(context))) {
                Ok(polled) => polled.map(Some),
                Err(_) => Poll::Ready(None),
            }
        });
        Ok(match timeout(self.request_timeout, unless_it_panics).await {
            Ok(Some(Ok(response))) => response,
            Ok(None) => {
                self.telemetry.metrics.panicked();
                let text = "a fault in the server stopped this request; nothing is allowed by it\n";
                (StatusCode::INTERNAL_SERVER_ERROR, text).into_response()
            }
            Err(_) => {
                let text = "the request took longer than it may\n";
                (StatusCode::REQUEST_TIMEOUT, text).into_response()
            }
        })
    }
}
