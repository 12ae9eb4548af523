//! A small client that asks a served PDP in the terms of the core.
//!
//! It fails closed: whatever is not a complete answer that agrees with itself is a [`ClientError`], and there is no way
//! to read an allow out of one. It does not retry and keeps no answers.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use pdp_core::{OwnedAnswer, Request};
use prost::Message;
use tonic::transport::Channel;
use tonic::{Code, Status};

use crate::answer::NotAnAnswer;
use crate::authorize::Unsendable;
use crate::config::VALUE_DEPTH_MAX;
use crate::pb::authorization_client::AuthorizationClient;
use crate::tls::TlsError;
use crate::{answer, authorize};

mod dial;

use dial::Way;

/// The largest answer read, in bytes: what a server with standard limits sends at most.
const ANSWER_BYTES_MAX: usize = crate::config::Limits::SIDECAR.answer_bytes_max as usize;

/// A connection to a served PDP. Cloning it is cheap and shares the connection.
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

/// Why there is no answer. None of these is an allow.
#[derive(Debug)]
pub enum ClientError {
    /// The URL is not one of a served PDP.
    Url(UrlError),
    /// Certificates or keys cannot be used.
    Tls(TlsError),
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
    /// What else there is to say.
    why: Option<&'static str>,
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

// === impl ClientOptions ===

impl ClientOptions {
    /// No TLS, and so long to wait.
    pub fn within(deadline: Duration) -> Self {
        Self { deadline, ca: None, identity: None, server_name: None }
    }
}

// === impl ClientError ===

impl std::error::Error for ClientError {}

impl fmt::Display for ClientError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ClientError::Url(error) => error.fmt(f),
            ClientError::Tls(error) => error.fmt(f),
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
        match self.why {
            Some(why) => write!(f, "`{}` {why}", self.url),
            None => write!(
                f,
                "`{}` is not the URL of a served PDP; expected one like `http://127.0.0.1:8170`, \
                 `https://pdp.example:8170` or `unix:///run/pdp.sock`",
                self.url
            ),
        }
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
