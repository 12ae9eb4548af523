//! A small client that asks a served PDP in the terms of the core: one question, many of them, or one about many things.
//!
//! It fails closed: whatever is not a complete answer that agrees with itself is a [`ClientError`], and there is no way
//! to read an allow out of one. It does not retry and keeps no answers.

use std::path::PathBuf;
use std::time::Duration;

use pdp_core::{OwnedAnswer, Request};
use prost::Message;
use tonic::transport::Channel;
use tonic::{Code, Response, Status};

use crate::answer::NotAnAnswer;
use crate::authorize::Unsendable;
use crate::pb::authorization_client::AuthorizationClient;
use crate::{answer, authorize, pb};

mod batch;
mod dial;
mod error;
mod filter;
mod stream;

use dial::Way;

pub use error::{
    AnswerError, ClientError, ConnectError, DeadlineError, RefusedError, RequestError, UrlError,
};
pub use filter::{Among, Denied, Filtered};
pub use stream::QuestionStream;

/// The largest answer read, in bytes: what a server with standard limits sends at most.
const ANSWER_BYTES_MAX: usize = crate::config::Limits::SIDECAR.answer_bytes_max as usize;

/// A connection to a served PDP. Cloning it is cheap and shares the connection.
///
/// ```no_run
/// use std::time::Duration;
/// use pdp_core::{Effect, Request, Uid};
/// use pdp_grpc::{Among, Client, ClientError};
///
/// # async fn ask() -> Result<(), ClientError> {
/// let client = Client::connect("http://127.0.0.1:8170", Duration::from_millis(500)).await?;
/// let (alice, call) = (Uid::new("User", "alice"), Uid::new("Action", "call"));
/// let (search, delete) = (Uid::new("Tool", "search"), Uid::new("Tool", "delete"));
///
/// // One question; every error means that the request is not allowed.
/// let request = Request::new(alice, call, search, &[]);
/// let is_allowed = client.authorize(&request).await?.effect == Effect::Allow;
///
/// // Many, answered from one snapshot. What is wrong with one of them concerns it alone.
/// let deletes = Request { resource: delete, ..request };
/// for answer in client.authorize_batch(&[request, deletes]).await? {
///     let is_allowed = answer.is_ok_and(|answer| answer.effect == Effect::Allow);
/// }
///
/// // One question about many tools: which may she call?
/// let tools = [search, delete];
/// let filtered = client.filter(&request, Among::Resources(&tools)).await?;
/// let usable: Vec<_> = filtered.allowed().filter_map(|at| tools.get(at)).collect();
///
/// // Questions as they come, on one stream, many in flight.
/// let stream = client.stream().await?;
/// let (first, second) = tokio::join!(stream.authorize(&request), stream.authorize(&deletes));
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct Client {
    url: String,
    deadline: Duration,
    inner: AuthorizationClient<Channel>,
}

/// How to connect and how long to wait.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClientOptions {
    /// Holds for connecting and for each question.
    pub deadline: Duration,
    /// Authorities of the server's certificate, in PEM. Needed for `https://`; those of the system do not count.
    pub ca: Option<PathBuf>,
    /// The client's own certificate and its key, in PEM, where the server asks for one.
    pub identity: Option<(PathBuf, PathBuf)>,
    /// The name that the server's certificate must have; `None`: the host of the URL.
    pub server_name: Option<String>,
}

/// Writes a request as the bytes of a `pdp.v1.AuthorizeRequest`, all of it, for hosts that carry them by another way than
/// gRPC; [`crate::read_request`] is the inverse.
///
/// # Errors
///
/// When the request states a time, which the message does not have, or nests values deeper than
/// [`crate::VALUE_DEPTH_MAX`].
pub fn write_request(request: &Request<'_>) -> Result<Vec<u8>, RequestError> {
    match authorize::write(request) {
        Ok(message) => Ok(message.encode_to_vec()),
        Err(unsendable) => Err(RequestError { unsendable }),
    }
}

// === impl Client ===

impl Client {
    /// Connects to `url`, for example `http://127.0.0.1:8170`. `deadline` holds for this and for each question.
    ///
    /// # Errors
    ///
    /// As [`Client::connect_with`].
    pub async fn connect(url: &str, deadline: Duration) -> Result<Self, ClientError> {
        Self::connect_with(url, &ClientOptions::within(deadline)).await
    }

    /// Connects to `http://host:port`, `https://host:port` or `unix:///path`; `grpc` and `grpcs` are other words for
    /// the first two. A connection that is lost is made again, the same way, when the next question is asked.
    ///
    /// # Errors
    ///
    /// When the URL is none of these, TLS is wanted without `ca` or given where there is none, a file cannot be used,
    /// or nobody accepts within the deadline.
    pub async fn connect_with(url: &str, options: &ClientOptions) -> Result<Self, ClientError> {
        let deadline = options.deadline;
        let way = Way::of(url, options)?;
        let failed =
            |cause: String| ClientError::Connect(ConnectError { url: url.to_owned(), cause });
        let channel = tokio::time::timeout(deadline, way.connect())
            .await
            .map_err(|_| failed(format!("nobody answered within {deadline:?}")))?
            .map_err(|error| failed(innermost(&error)))?;
        let inner = AuthorizationClient::new(channel)
            .max_decoding_message_size(ANSWER_BYTES_MAX)
            .max_encoding_message_size(ANSWER_BYTES_MAX);
        Ok(Self { url: url.to_owned(), deadline, inner })
    }

    /// Asks.
    ///
    /// The request's `now` must be empty: a served PDP goes by its own clock.
    ///
    /// # Errors
    ///
    /// When there is no complete answer, for whatever reason: treat the request as denied.
    pub async fn authorize(&self, request: &Request<'_>) -> Result<OwnedAnswer, ClientError> {
        let message = authorize::write(request).map_err(unsendable)?;
        let mut inner = self.inner.clone();
        let response = self.within(inner.authorize(self.timed(message))).await?;
        answer::read(response).map_err(|what| self.not_an_answer(what))
    }

    /// A message that tells the server for how long anybody waits, so that it does not work on for nobody.
    fn timed<M>(&self, message: M) -> tonic::Request<M> {
        let mut message = tonic::Request::new(message);
        message.set_timeout(self.deadline);
        message
    }

    /// Waits for what a call gives. The time is held here as well: waiting for a lost connection to come back is not part
    /// of what the transport times.
    async fn within<A>(
        &self,
        call: impl Future<Output = Result<Response<A>, Status>>,
    ) -> Result<A, ClientError> {
        tokio::time::timeout(self.deadline, call)
            .await
            .map_err(|_| self.too_late())?
            .map(Response::into_inner)
            .map_err(|status| self.refused(status))
    }

    fn refused(&self, status: Status) -> ClientError {
        match status.code() {
            // The transport's own word for a deadline is that the request was cancelled; we cancel nothing.
            Code::DeadlineExceeded | Code::Cancelled => self.too_late(),
            _ => ClientError::Refused(self.no_answer(status)),
        }
    }

    fn no_answer(&self, status: Status) -> RefusedError {
        RefusedError { url: self.url.clone(), status }
    }

    fn too_late(&self) -> ClientError {
        ClientError::Deadline(DeadlineError { url: self.url.clone(), deadline: self.deadline })
    }

    fn not_an_answer(&self, what: NotAnAnswer) -> ClientError {
        ClientError::Answer(AnswerError { url: self.url.clone(), what })
    }
}

fn unsendable(unsendable: Unsendable) -> ClientError {
    ClientError::Request(RequestError { unsendable })
}

/// What a question among many failed with, as it would have failed alone.
fn status_of(failure: pb::Failure) -> Status {
    Status::new(Code::from(failure.code), failure.message)
}

/// The last cause of an error: the ones before it only say that there is one.
fn innermost(error: &dyn std::error::Error) -> String {
    match error.source() {
        Some(source) => innermost(source),
        None => error.to_string(),
    }
}

// === impl ClientOptions ===

impl ClientOptions {
    /// No TLS, and so long to wait.
    pub fn within(deadline: Duration) -> Self {
        Self { deadline, ca: None, identity: None, server_name: None }
    }
}
