//! HTTP/1.1 for what is not gRPC: a listener with a limit on everything, and its end.
//!
//! It knows no protocol; `admin` says what is served on it. A connection beyond the limit is closed at once, one that
//! does not send its headers is cut, and when draining begins each finishes the request that it is at.

use std::convert::Infallible;
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::Request;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::TcpStream;
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};
use tower::ServiceExt;

/// How long to stop accepting when the system has no descriptor or memory left for another connection.
const EXHAUSTED_PAUSE: Duration = Duration::from_millis(50);

/// A listener that does not serve yet.
#[derive(Debug)]
pub(crate) struct HttpListener {
    listener: TcpListener,
    address: SocketAddr,
}

/// What a connection may take.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Terms {
    /// Connections at a time.
    pub(crate) connections_max: u32,
    /// Head of a request, in bytes.
    pub(crate) header_bytes_max: u32,
    /// From the beginning of a connection, or the end of a request, to the end of the next head.
    pub(crate) head_timeout: Duration,
    /// From the head of a request to its answer.
    pub(crate) request_timeout: Duration,
}

// === impl HttpListener ===

impl HttpListener {
    /// Takes the address.
    pub(crate) fn bind(address: SocketAddr) -> io::Result<Self> {
        let listener = TcpListener::bind(address)?;
        listener.set_nonblocking(true)?;
        let address = listener.local_addr()?;
        Ok(Self { listener, address })
    }

    /// Where it listens.
    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Serves until `stop` is true, then lets requests in flight finish. Dropping the future cuts them.
    pub(crate) async fn serve(
        self,
        router: Router,
        terms: Terms,
        mut stop: watch::Receiver<bool>,
    ) -> io::Result<()> {
        let listener = tokio::net::TcpListener::from_std(self.listener)?;
        let free = usize::try_from(terms.connections_max).unwrap_or(Semaphore::MAX_PERMITS);
        let free = Arc::new(Semaphore::new(free));
        let mut connections = JoinSet::new();
        loop {
            let accepted = tokio::select! {
                _ = stop.wait_for(|stop| *stop) => break,
                _ = connections.join_next(), if !connections.is_empty() => continue,
                accepted = listener.accept() => accepted,
            };
            let stream = match accepted {
                Ok((stream, _)) => stream,
                Err(error) if error.kind() == io::ErrorKind::ConnectionAborted => continue,
                Err(_) => {
                    sleep(EXHAUSTED_PAUSE).await;
                    continue;
                }
            };
            // Beyond the limit it is dropped here, and its caller learns it at once.
            if let Ok(place) = Arc::clone(&free).try_acquire_owned() {
                let (router, stop) = (router.clone(), stop.clone());
                connections.spawn(async move {
                    connection(stream, router, terms, stop).await;
                    drop(place);
                });
            }
        }
        drop(listener);
        while connections.join_next().await.is_some() {}
        Ok(())
    }
}

async fn connection(
    stream: TcpStream,
    router: Router,
    terms: Terms,
    mut stop: watch::Receiver<bool>,
) {
    let service = hyper::service::service_fn(move |request: hyper::Request<_>| {
        answer(router.clone(), request.map(Body::new), terms.request_timeout)
    });
    let serving = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(terms.head_timeout)
        // The smallest that the library takes is 8 KiB.
        .max_buf_size(usize::try_from(terms.header_bytes_max).unwrap_or(usize::MAX).max(8 << 10))
        .serve_connection(TokioIo::new(stream), service);
    let mut serving = std::pin::pin!(serving);
    tokio::select! {
        // How a connection ends is its client's business.
        _ = &mut serving => return,
        _ = stop.wait_for(|stop| *stop) => {}
    }
    serving.as_mut().graceful_shutdown();
    let _ = serving.await;
}

async fn answer(router: Router, request: Request, time: Duration) -> Result<Response, Infallible> {
    Ok(match timeout(time, router.oneshot(request)).await {
        Ok(Ok(response)) => response,
        Err(_) => {
            (StatusCode::REQUEST_TIMEOUT, "the request took longer than it may\n").into_response()
        }
    })
}
