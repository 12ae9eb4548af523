//! Connections: how many at a time, and that each of them ends.
//!
//! The gRPC library closes connections politely and then waits for the client; what it spawned outlives it. So each
//! connection here carries its own end: it is cut when it does not greet, when it has outlived its age and grace, when
//! draining is over, and when the server is dropped. Handshakes of TLS run beside the accepting and count as part of the
//! greeting, so who stalls one holds a place that long and nobody up. This module knows nothing of what the bytes mean.

use std::fmt;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpStream, UnixStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio::task::JoinSet;
use tokio::time::{Sleep, sleep};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;
use tokio_stream::Stream;
use tonic::transport::server::Connected;

use crate::admission::{Admission, Open};
use crate::listen::Listener;
use crate::peer::Peer;
use crate::tls::Tls;

/// How long to stop accepting when the system has no descriptor or memory left for another connection.
const EXHAUSTED_PAUSE: Duration = Duration::from_millis(50);

/// What an HTTP/2 client sends first.
const GREETING_BYTES: usize = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".len();

/// The connections that arrive at an address.
#[derive(Debug)]
pub(crate) struct Incoming {
    listener: Listener,
    tls: Option<(Arc<Tls>, Speaks)>,
    /// Handshakes under way; dropped with this, and by that cut.
    handshakes: JoinSet<Option<Connection>>,
    free: Arc<Semaphore>,
    terms: Terms,
    pause: Option<Pin<Box<Sleep>>>,
}

/// What a listener speaks, which TLS has to agree on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Speaks {
    /// HTTP/2, and nothing else.
    Http2,
    /// HTTP/1.1.
    Http1,
}

/// What ends a connection, and where it is counted.
#[derive(Clone, Debug)]
pub(crate) struct Terms {
    /// Time for the greeting.
    pub(crate) greeting: Duration,
    /// Time for everything after it.
    pub(crate) life: Duration,
    /// Becomes true, or closes, when all connections are to end at once.
    pub(crate) cut: watch::Receiver<bool>,
    pub(crate) admission: Arc<Admission>,
}

/// One accepted connection; reading or writing it fails once it is cut.
pub(crate) struct Connection {
    stream: Secured,
    peer: Peer,
    terms: Terms,
    greeting_bytes_left: usize,
    end: Option<End>,
    _place: Place,
}

/// What a connection takes up, among those of its listener and among all.
struct Place {
    _permit: OwnedSemaphorePermit,
    _open: Open,
}

/// Ready when the connection is to be cut.
type End = Pin<Box<dyn Future<Output = ()> + Send>>;

/// What the system gives.
#[derive(Debug)]
pub(crate) enum Socket {
    Tcp(TcpStream),
    Unix(UnixStream),
}

/// A socket, bare or with TLS upon it.
enum Secured {
    Plain(Socket),
    Tls(Box<TlsStream<Socket>>),
}

// === impl Incoming ===

impl Incoming {
    /// Accepts up to `connections_max` at a time, each on the same terms; with `tls`, after a handshake.
    pub(crate) fn new(
        listener: Listener,
        tls: Option<(Arc<Tls>, Speaks)>,
        connections_max: u32,
        terms: Terms,
    ) -> Self {
        let places = usize::try_from(connections_max).unwrap_or(Semaphore::MAX_PERMITS);
        let free = Arc::new(Semaphore::new(places));
        Self { listener, tls, handshakes: JoinSet::new(), free, terms, pause: None }
    }

    /// Takes a connection in; gives it back at once where nothing must be agreed on first.
    fn take(&mut self, socket: Socket) -> Option<Connection> {
        // A connection beyond the limit is dropped here and thereby closed: its caller learns it at once.
        let Ok(permit) = Arc::clone(&self.free).try_acquire_owned() else {
            self.terms.admission.turned_away();
            return None;
        };
        let place = Place { _permit: permit, _open: self.terms.admission.open() };
        let terms = self.terms.clone();
        let mut end = terms.end_after(terms.greeting);
        let Some((tls, speaks)) = &self.tls else {
            let peer = Peer::of_socket(&socket);
            return Some(Connection::new(Secured::Plain(socket), peer, terms, end, place));
        };
        let acceptor = TlsAcceptor::from(speaks.of(tls));
        self.handshakes.spawn(async move {
            let accepted = tokio::select! {
                () = &mut end => return None,
                accepted = acceptor.accept(socket) => accepted,
            };
            // Who cannot agree was told so by the handshake itself.
            let stream = accepted.ok()?;
            let peer = Peer::of_tls(&stream);
            Some(Connection::new(Secured::Tls(Box::new(stream)), peer, terms, end, place))
        });
        None
    }

    /// A connection whose handshake is done.
    fn poll_handshakes(&mut self, context: &mut Context<'_>) -> Poll<Connection> {
        loop {
            match self.handshakes.poll_join_next(context) {
                Poll::Ready(Some(Ok(Some(connection)))) => return Poll::Ready(connection),
                // It failed, was cut, or broke off in a panic, and is gone.
                Poll::Ready(Some(_)) => {}
                Poll::Ready(None) | Poll::Pending => return Poll::Pending,
            }
        }
    }
}

// === impl Speaks ===

impl Speaks {
    /// What a new connection gets.
    fn of(self, tls: &Tls) -> Arc<rustls::ServerConfig> {
        match self {
            Speaks::Http2 => tls.current(),
            Speaks::Http1 => tls.current_http1(),
        }
    }
}

// === impl Terms ===

impl Terms {
    fn end_after(&self, time: Duration) -> End {
        let mut cut = self.cut.clone();
        Box::pin(async move {
            tokio::select! {
                _ = cut.wait_for(|cut| *cut) => {}
                () = sleep(time) => {}
            }
        })
    }
}

/// Never ends and never fails, because either would end the server.
impl Stream for Incoming {
    type Item = io::Result<Connection>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        loop {
            if let Poll::Ready(connection) = self.poll_handshakes(context) {
                return Poll::Ready(Some(Ok(connection)));
            }
            if let Some(pause) = &mut self.pause {
                ready!(pause.as_mut().poll(context));
                self.pause = None;
            }
            match ready!(self.listener.poll_accept(context)) {
                Ok(socket) => {
                    if let Some(connection) = self.take(socket) {
                        return Poll::Ready(Some(Ok(connection)));
                    }
                }
                Err(error) if concerns_one_connection(&error) => {}
                // Trying again at once would fail at once.
                Err(_) => self.pause = Some(Box::pin(sleep(EXHAUSTED_PAUSE))),
            }
        }
    }
}

fn concerns_one_connection(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::ConnectionAborted
            | io::ErrorKind::ConnectionReset
            | io::ErrorKind::ConnectionRefused
    )
}

// === impl Connection ===

impl Connection {
    fn new(stream: Secured, peer: Peer, terms: Terms, end: End, place: Place) -> Self {
        let greeting_bytes_left = GREETING_BYTES;
        Self { stream, peer, terms, greeting_bytes_left, end: Some(end), _place: place }
    }

    /// Who is at the other end.
    pub(crate) fn peer(&self) -> &Peer {
        &self.peer
    }

    /// Whether the connection is cut; if not, the task is woken when it is.
    fn is_cut(&mut self, context: &mut Context<'_>) -> bool {
        if let Some(end) = &mut self.end
            && end.as_mut().poll(context).is_ready()
        {
            self.end = None;
        }
        self.end.is_none()
    }

    /// Once greeted, the connection has the rest of its life. The reader polls again, and so arms the new end.
    fn received(&mut self, bytes: usize) {
        if self.greeting_bytes_left > 0 && bytes > 0 {
            self.greeting_bytes_left = self.greeting_bytes_left.saturating_sub(bytes);
            if self.greeting_bytes_left == 0 {
                self.end = Some(self.terms.end_after(self.terms.life));
            }
        }
    }
}

fn cut<T>() -> Poll<io::Result<T>> {
    Poll::Ready(Err(io::Error::new(
        io::ErrorKind::ConnectionAborted,
        "the server cut the connection",
    )))
}

impl AsyncRead for Connection {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.is_cut(context) {
            return cut();
        }
        let before = buf.filled().len();
        let polled = Pin::new(&mut self.stream).poll_read(context, buf);
        self.received(buf.filled().len().saturating_sub(before));
        polled
    }
}

/// Asked about the end only where writing waits: a client that does not read must not keep its connection by that.
impl AsyncWrite for Connection {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        match Pin::new(&mut self.stream).poll_write(context, buf) {
            Poll::Pending if self.is_cut(context) => cut(),
            polled => polled,
        }
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        match Pin::new(&mut self.stream).poll_write_vectored(context, bufs) {
            Poll::Pending if self.is_cut(context) => cut(),
            polled => polled,
        }
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}

impl Connected for Connection {
    type ConnectInfo = Peer;

    fn connect_info(&self) -> Peer {
        self.peer.clone()
    }
}

impl fmt::Debug for Connection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connection").field("peer", &self.peer).finish_non_exhaustive()
    }
}

// === impl Socket, impl Secured ===

/// Passes everything on to what the variants hold.
macro_rules! pass_on {
    ($name:ty { $($variant:path),+ }) => {
        impl AsyncRead for $name {
            fn poll_read(
                self: Pin<&mut Self>,
                context: &mut Context<'_>,
                buf: &mut ReadBuf<'_>,
            ) -> Poll<io::Result<()>> {
                match self.get_mut() { $($variant(inner) => Pin::new(inner).poll_read(context, buf)),+ }
            }
        }

        impl AsyncWrite for $name {
            fn poll_write(
                self: Pin<&mut Self>,
                context: &mut Context<'_>,
                buf: &[u8],
            ) -> Poll<io::Result<usize>> {
                match self.get_mut() { $($variant(inner) => Pin::new(inner).poll_write(context, buf)),+ }
            }

            fn poll_write_vectored(
                self: Pin<&mut Self>,
                context: &mut Context<'_>,
                bufs: &[io::IoSlice<'_>],
            ) -> Poll<io::Result<usize>> {
                match self.get_mut() {
                    $($variant(inner) => Pin::new(inner).poll_write_vectored(context, bufs)),+
                }
            }

            fn is_write_vectored(&self) -> bool {
                match self { $($variant(inner) => inner.is_write_vectored()),+ }
            }

            fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
                match self.get_mut() { $($variant(inner) => Pin::new(inner).poll_flush(context)),+ }
            }

            fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
                match self.get_mut() { $($variant(inner) => Pin::new(inner).poll_shutdown(context)),+ }
            }
        }
    };
}

pass_on!(Socket { Socket::Tcp, Socket::Unix });
pass_on!(Secured { Secured::Plain, Secured::Tls });

#[cfg(test)]
mod tests;
