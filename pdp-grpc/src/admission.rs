//! What is in flight: memory that messages take while they arrive, and connections; refused before it runs out.
//!
//! Each piece of a message that arrives is counted until its request has been read, so who sends slowly holds what was
//! sent and no more. Limits per connection do not do this: many connections that each keep to theirs take more than
//! there is. It refuses to queue: who is turned away can go elsewhere at once.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll, ready};

use hyper::body::{Body, Bytes, Frame, SizeHint};
use tonic::Status;

use crate::config::Limits;

/// How much of a stream is counted while it lasts: what it may keep when each of its messages is taken at once.
pub(crate) const STREAM_BYTES: u64 = 8 << 10;

/// What is free, what is open, and what was turned away.
#[derive(Debug)]
pub(crate) struct Admission {
    free_bytes: AtomicU64,
    bytes_max: u64,
    connections: AtomicU64,
    shed_memory: AtomicU64,
    shed_connections: AtomicU64,
}

/// A body whose pieces are counted; one too many becomes an error.
#[derive(Debug)]
pub(crate) struct Counted<B> {
    body: B,
    held: Held,
    /// More than this is not counted.
    bytes_max: u64,
}

/// Memory that is counted, until it is dropped.
#[derive(Debug)]
struct Held {
    admission: Arc<Admission>,
    bytes: u64,
}

/// A connection that is counted, until it is dropped.
#[derive(Debug)]
pub(crate) struct Open(Arc<Admission>);

/// What is in flight now, and what was turned away so far.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Load {
    /// Memory of messages that arrive, in bytes.
    pub(crate) bytes: u64,
    /// Connections, of all listeners.
    pub(crate) connections: u64,
    /// Requests for which there was no memory.
    pub(crate) shed_memory: u64,
    /// Connections beyond the limit.
    pub(crate) shed_connections: u64,
}

/// Why a body breaks off that was turned away.
#[derive(Debug)]
pub(crate) struct NoMemory;

// === impl Admission ===

impl Admission {
    pub(crate) fn new(bytes_max: u32) -> Self {
        let bytes_max = bytes_max.into();
        Self {
            free_bytes: AtomicU64::new(bytes_max),
            bytes_max,
            connections: AtomicU64::new(0),
            shed_memory: AtomicU64::new(0),
            shed_connections: AtomicU64::new(0),
        }
    }

    /// Counts what arrives of a body, up to `bytes_max` at a time.
    pub(crate) fn count<B>(self: &Arc<Self>, body: B, bytes_max: u64) -> Counted<B> {
        Counted { body, held: Held { admission: Arc::clone(self), bytes: 0 }, bytes_max }
    }

    /// Counts a connection.
    pub(crate) fn open(self: &Arc<Self>) -> Open {
        self.connections.fetch_add(1, Ordering::Relaxed);
        Open(Arc::clone(self))
    }

    /// Counts a connection that was turned away.
    pub(crate) fn turned_away(&self) {
        self.shed_connections.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn load(&self) -> Load {
        Load {
            bytes: self.bytes_max.saturating_sub(self.free_bytes.load(Ordering::Relaxed)),
            connections: self.connections.load(Ordering::Relaxed),
            shed_memory: self.shed_memory.load(Ordering::Relaxed),
            shed_connections: self.shed_connections.load(Ordering::Relaxed),
        }
    }
}

impl Default for Admission {
    fn default() -> Self {
        Self::new(Limits::SIDECAR.in_flight_bytes_max)
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        self.0.connections.fetch_sub(1, Ordering::Relaxed);
    }
}

// === impl Held ===

impl Held {
    fn take(&mut self, bytes: u64) -> Result<(), NoMemory> {
        let take = |free: u64| free.checked_sub(bytes);
        match self.admission.free_bytes.fetch_update(Ordering::Relaxed, Ordering::Relaxed, take) {
            Ok(_) => {
                self.bytes += bytes;
                Ok(())
            }
            Err(_) => {
                self.admission.shed_memory.fetch_add(1, Ordering::Relaxed);
                Err(NoMemory)
            }
        }
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.admission.free_bytes.fetch_add(self.bytes, Ordering::Relaxed);
    }
}

// === impl Counted ===

impl<B> Body for Counted<B>
where
    B: Body<Data = Bytes> + Unpin,
    B::Error: Into<tonic::codegen::StdError>,
{
    type Data = Bytes;
    type Error = tonic::codegen::StdError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        let frame = ready!(Pin::new(&mut self.body).poll_frame(context));
        if let Some(Ok(frame)) = &frame
            && let Some(data) = frame.data_ref()
        {
            let bytes = u64::try_from(data.len()).unwrap_or(u64::MAX);
            let bytes = bytes.min(self.bytes_max.saturating_sub(self.held.bytes));
            if let Err(no_memory) = self.held.take(bytes) {
                return Poll::Ready(Some(Err(no_memory.into())));
            }
        }
        Poll::Ready(frame.map(|frame| frame.map_err(Into::into)))
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

// === impl NoMemory ===

impl NoMemory {
    /// What whoever is turned away is told.
    pub(crate) const TEXT: &str = "the server has no memory for more requests at a time (`in_flight_bytes_max`); try again, or elsewhere";
}

impl From<NoMemory> for tonic::codegen::StdError {
    fn from(_: NoMemory) -> Self {
        Box::new(Status::resource_exhausted(NoMemory::TEXT))
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test stops at the first surprise")]

    use std::task::Waker;

    use super::*;

    fn pull(body: &mut Counted<axum::body::Body>) -> Option<Result<usize, String>> {
        let mut context = Context::from_waker(Waker::noop());
        match Pin::new(body).poll_frame(&mut context) {
            Poll::Ready(Some(Ok(frame))) => Some(Ok(frame.into_data().unwrap().len())),
            Poll::Ready(Some(Err(error))) => Some(Err(error.to_string())),
            Poll::Ready(None) | Poll::Pending => None,
        }
    }

    #[test]
    fn what_arrives_is_counted_until_it_is_dropped() {
        let admission = Arc::new(Admission::new(100));
        let body = |bytes: usize, most| admission.count(vec![0_u8; bytes].into(), most);
        let mut first = body(60, u64::MAX);
        assert_eq!(admission.load().bytes, 0, "nothing has arrived");
        assert_eq!(pull(&mut first), Some(Ok(60)));
        let told = pull(&mut body(41, u64::MAX)).unwrap().unwrap_err();
        assert!(told.contains("in_flight_bytes_max"), "{told}");
        let mut stream = body(1_000, 40);
        assert_eq!(pull(&mut stream), Some(Ok(1_000)));
        let load = admission.load();
        assert_eq!((load.bytes, load.shed_memory), (100, 1));
        drop((first, stream));
        assert_eq!(admission.load().bytes, 0);
        assert_eq!(pull(&mut body(100, u64::MAX)), Some(Ok(100)));
    }

    #[test]
    fn connections_are_counted_while_they_are_open() {
        let admission = Arc::new(Admission::new(100));
        let open = [admission.open(), admission.open()];
        assert_eq!(admission.load().connections, 2);
        drop(open);
        assert_eq!(admission.load().connections, 0);
    }
}
