//! Why a client has no answer, and how that reads: what is wrong, where, and what to do.
//!
//! None of these is an allow, and none can be read as one.

use std::fmt;
use std::time::Duration;

use tonic::Status;

use crate::answer::NotAnAnswer;
use crate::authorize::Unsendable;
use crate::config::VALUE_DEPTH_MAX;
use crate::tls::TlsError;

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
    pub(super) url: String,
    /// What else there is to say.
    pub(super) why: Option<&'static str>,
}

/// A connection that could not be made.
#[derive(Debug)]
pub struct ConnectError {
    pub(super) url: String,
    pub(super) cause: String,
}

/// A request that cannot be sent.
#[derive(Debug)]
pub struct RequestError {
    pub(super) unsendable: Unsendable,
}

/// A deadline that passed.
#[derive(Debug)]
pub struct DeadlineError {
    pub(super) url: String,
    pub(super) deadline: Duration,
}

/// An error that the server, or the way to it, gave.
#[derive(Debug)]
pub struct RefusedError {
    pub(super) url: String,
    pub(super) status: Status,
}

/// A response that is not an answer.
#[derive(Debug)]
pub struct AnswerError {
    pub(super) url: String,
    pub(super) what: NotAnAnswer,
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

impl std::error::Error for RefusedError {}

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
