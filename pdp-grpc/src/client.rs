//! A small client that asks a served PDP in the terms of the core.
//!
//! It fails closed: whatever is not a complete answer that agrees with itself is a [`ClientError`], and there is no way
//! to read an allow out of one. It does not retry and keeps no answers.

use std::fmt;
use std::time::Duration;

use pdp_core::{OwnedAnswer, Request};
use prost::Message;
use tonic::transport::{Channel, Endpoint, Uri};
use tonic::{Code, Status};

use crate::answer::NotAnAnswer;
use crate::authorize::Unsendable;
use crate::config::VALUE_DEPTH_MAX;
use crate::pb::authorization_client::AuthorizationClient;
use crate::{answer, authorize};

/// The largest answer read, in bytes: what a server with standard limits sends at most.
const ANSWER_BYTES_MAX: usize = crate::config::Limits::SIDECAR.answer_bytes_max as usize;

/// A connection to a served PDP. Cloning it is cheap and shares the connection.
#[derive(Clone, Debug)]
pub struct Client {
    url: String,
    deadline: Duration,
    inner: AuthorizationClient<Channel>,
}

/// Why there is no answer. None of these is an allow.
#[derive(Debug)]
pub enum ClientError {
    /// The URL is not one of a served PDP.
    Url(UrlError),
    /// Nobody answers there.
    Connect(ConnectError),
    /// The request has something that is not sent.
    Request(RequestError),
    /// No answer within the deadline.
    Deadline(DeadlineError),
    /// The server gave an error instead of an answer.
    Refused(RefusedError),
    /// What came is not an answer to act on.
    Answer(AnswerError),
}

/// A URL that is not one of a served PDP.
#[derive(Debug)]
pub struct UrlError {
    url: String,
}

/// A connection that could not be made.
#[derive(Debug)]
pub struct ConnectError {
    url: String,
    cause: String,
}

/// A request that cannot be sent.
#[derive(Debug)]
pub struct RequestError {
    unsendable: Unsendable,
}

/// A deadline that passed.
#[derive(Debug)]
pub struct DeadlineError {
    url: String,
    deadline: Duration,
}

/// An error that the server, or the way to it, gave.
#[derive(Debug)]
pub struct RefusedError {
    url: String,
    status: Status,
}

/// A response that is not an answer.
#[derive(Debug)]
pub struct AnswerError {
    url: String,
    what: NotAnAnswer,
}

/// Writes a request as the bytes of a `pdp.v1.AuthorizeRequest`, all of it, for hosts that carry them by another way than
/// gRPC; [`crate::read_request`] is the inverse.
///
/// # Errors
///
/// When the request states a time, which the message does not have, or nests values deeper than [`VALUE_DEPTH_MAX`].
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
    /// When the URL is not `http://host:port`, or nobody accepts within the deadline.
    pub async fn connect(url: &str, deadline: Duration) -> Result<Self, ClientError> {
        let endpoint = Self::endpoint(url, deadline)?;
        let failed =
            |cause: String| ClientError::Connect(ConnectError { url: url.to_owned(), cause });
        let channel = tokio::time::timeout(deadline, endpoint.connect())
            .await
            .map_err(|_| failed(format!("nobody answered within {deadline:?}")))?
            .map_err(|error| failed(innermost(&error)))?;
        let inner = AuthorizationClient::new(channel)
            .max_decoding_message_size(ANSWER_BYTES_MAX)
            .max_encoding_message_size(ANSWER_BYTES_MAX);
        Ok(Self { url: url.to_owned(), deadline, inner })
    }

    fn endpoint(url: &str, deadline: Duration) -> Result<Endpoint, ClientError> {
        // Only what this client keeps its word on: no TLS, no sockets of other kinds, no path.
        let uri = url.parse::<Uri>().ok().filter(|uri| {
            uri.scheme_str() == Some("http")
                && uri.host().is_some_and(|host| !host.is_empty())
                && matches!(uri.path(), "" | "/")
        });
        let uri = uri.ok_or_else(|| ClientError::Url(UrlError { url: url.to_owned() }))?;
        Ok(Endpoint::from(uri).connect_timeout(deadline).tcp_nodelay(true))
    }

    /// Asks.
    ///
    /// The request's `now` must be empty: a served PDP goes by its own clock.
    ///
    /// # Errors
    ///
    /// When there is no complete answer, for whatever reason: treat the request as denied.
    pub async fn authorize(&self, request: &Request<'_>) -> Result<OwnedAnswer, ClientError> {
        let message = authorize::write(request)
            .map_err(|unsendable| ClientError::Request(RequestError { unsendable }))?;
        let mut message = tonic::Request::new(message);
        // The server is told, so that it does not work on for nobody.
        message.set_timeout(self.deadline);
        let mut inner = self.inner.clone();
        // Held here as well: waiting for a lost connection to come back is not part of what the transport times.
        let response = tokio::time::timeout(self.deadline, inner.authorize(message))
            .await
            .map_err(|_| self.too_late())?
            .map_err(|status| self.refused(status))?;
        answer::read(response.into_inner())
            .map_err(|what| ClientError::Answer(AnswerError { url: self.url.clone(), what }))
    }

    fn refused(&self, status: Status) -> ClientError {
        match status.code() {
            // The transport's own word for a deadline is that the request was cancelled; we cancel nothing.
            Code::DeadlineExceeded | Code::Cancelled => self.too_late(),
            _ => ClientError::Refused(RefusedError { url: self.url.clone(), status }),
        }
    }

    fn too_late(&self) -> ClientError {
        ClientError::Deadline(DeadlineError { url: self.url.clone(), deadline: self.deadline })
    }
}

/// The last cause of an error: the ones before it only say that there is one.
fn innermost(error: &dyn std::error::Error) -> String {
    match error.source() {
        Some(source) => innermost(source),
        None => error.to_string(),
    }
}

// === impl ClientError ===

impl std::error::Error for ClientError {}

impl fmt::Display for ClientError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ClientError::Url(error) => error.fmt(f),
            ClientError::Connect(error) => error.fmt(f),
            ClientError::Request(error) => error.fmt(f),
            ClientError::Deadline(error) => error.fmt(f),
            ClientError::Refused(error) => error.fmt(f),
            ClientError::Answer(error) => error.fmt(f),
        }
    }
}

impl fmt::Display for UrlError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "`{}` is not the URL of a served PDP; expected one like `http://127.0.0.1:8170`",
            self.url
        )
    }
}

impl fmt::Display for ConnectError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "cannot connect to `{}`: {}; check that a PDP is served there",
            self.url, self.cause
        )
    }
}

impl fmt::Display for RequestError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.unsendable {
            Unsendable::Now => f.write_str(
                "the request states a time; leave it out, a served PDP goes by its own clock",
            ),
            Unsendable::TooDeep => {
                write!(
                    f,
                    "a value of the request is nested too deep; values may have {VALUE_DEPTH_MAX} levels"
                )
            }
        }
    }
}

impl fmt::Display for DeadlineError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "no answer from `{}` in time (the deadline here is {:?})",
            self.url, self.deadline
        )
    }
}

impl RefusedError {
    /// The gRPC status code as a number.
    pub fn code(&self) -> i32 {
        self.status.code().into()
    }

    /// The server's text.
    pub fn message(&self) -> &str {
        self.status.message()
    }
}

impl fmt::Display for RefusedError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "`{}` gave no answer: {} ({:?})",
            self.url,
            self.status.message(),
            self.status.code()
        )
    }
}

impl fmt::Display for AnswerError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "what `{}` sent is not an answer to act on: {}", self.url, self.what)
    }
}
