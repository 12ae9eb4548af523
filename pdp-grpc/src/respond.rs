//! Outcomes to status codes of gRPC and, where a question got no answer, of HTTP; the only file that chooses one.
//!
//! An answer of either effect is `OK`. Everything else is an error, so that nothing that went wrong can be read as an
//! allow. Texts are short, because they travel in a header.

use std::fmt;

use axum::http::StatusCode;
use prost::DecodeError;
use tonic::body::Body;
use tonic::codegen::{BoxFuture, Context, Poll, Service, http};
use tonic::server::NamedService;
use tonic::{Code, Status};

use crate::authorize::Malformed;
use crate::pb;
use crate::text::shorten;

/// How much of a decoder's own text is repeated.
const DECODER_TEXT_CHARS_MAX: usize = 300;

/// Why there is no answer.
#[derive(Debug)]
pub(crate) enum NoAnswer {
    /// The bytes are not a question.
    Malformed(Malformed),
    /// The answer is larger than the limit.
    TooLarge { bytes: usize, bytes_max: u32 },
    /// More questions or candidates than the limit.
    TooMany { what: &'static str, limit: &'static str, count: usize, max: u32 },
    /// Many questions took longer than a request may.
    TooLate { ms: u32 },
    /// This caller may not ask this.
    NotForCaller(String),
    /// The code that decides stopped in a panic, and this request was all it took down.
    Panicked,
}

/// Names the right code for a message over the size limit, which the layer below calls out of range.
#[derive(Clone, Debug)]
pub(crate) struct SizeRefused<S>(pub(crate) S);

/// The status of a request that got no answer.
#[cold]
pub(crate) fn status(no_answer: &NoAnswer) -> Status {
    match no_answer {
        NoAnswer::Malformed(malformed) => Status::invalid_argument(malformed.to_string()),
        NoAnswer::TooLarge { .. } | NoAnswer::TooMany { .. } => {
            Status::resource_exhausted(no_answer.to_string())
        }
        NoAnswer::TooLate { .. } => Status::deadline_exceeded(no_answer.to_string()),
        NoAnswer::NotForCaller(_) => Status::permission_denied(no_answer.to_string()),
        NoAnswer::Panicked => Status::internal(no_answer.to_string()),
    }
}

/// The same for one of many questions.
#[cold]
pub(crate) fn failure(no_answer: &NoAnswer) -> pb::Failure {
    let status = status(no_answer);
    pb::Failure { code: status.code().into(), message: status.message().to_owned() }
}

/// The same over HTTP.
#[cold]
pub(crate) fn http_status(no_answer: &NoAnswer) -> StatusCode {
    match no_answer {
        NoAnswer::Malformed(_) => StatusCode::BAD_REQUEST,
        NoAnswer::NotForCaller(_) => StatusCode::FORBIDDEN,
        NoAnswer::TooLarge { .. } | NoAnswer::TooMany { .. } => StatusCode::PAYLOAD_TOO_LARGE,
        NoAnswer::TooLate { .. } => StatusCode::SERVICE_UNAVAILABLE,
        NoAnswer::Panicked => StatusCode::INTERNAL_SERVER_ERROR,
    }
}

/// The status that ends a stream of questions whose next message cannot be taken.
#[cold]
pub(crate) fn broken_stream(status: Status) -> Status {
    if status.code() == Code::OutOfRange { size_refused(&status) } else { status }
}

fn size_refused(status: &Status) -> Status {
    let text = status.message();
    Status::resource_exhausted(format!("the request is larger than this server accepts: {text}"))
}

/// What a client makes of bytes that are not an answer.
#[cold]
pub(crate) fn undecodable_answer(message: &str, error: &DecodeError) -> Status {
    let text = shorten(&error.to_string(), DECODER_TEXT_CHARS_MAX);
    Status::internal(format!("the bytes are no `pdp.v1.{message}`: {text}"))
}

// === impl NoAnswer ===

impl NoAnswer {
    /// A word for it, as a label.
    pub(crate) fn cause(&self) -> &'static str {
        match self {
            NoAnswer::Malformed(_) => "malformed",
            NoAnswer::TooLarge { .. } | NoAnswer::TooMany { .. } => "too_large",
            NoAnswer::TooLate { .. } => "too_late",
            NoAnswer::NotForCaller(_) => "not_for_caller",
            NoAnswer::Panicked => "panic",
        }
    }
}

impl fmt::Display for NoAnswer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            NoAnswer::Malformed(malformed) => malformed.fmt(f),
            NoAnswer::TooLarge { bytes, bytes_max } => write!(
                f,
                "the answer takes {bytes} bytes and may take {bytes_max}; raise the server's `answer_bytes_max`, \
                 or let fewer policies determine one decision"
            ),
            NoAnswer::TooMany { what, limit, count, max } => write!(
                f,
                "the request has {count} {what} and may have {max}; send fewer at a time, or raise the server's `{limit}`"
            ),
            NoAnswer::TooLate { ms } => write!(
                f,
                "not decided within {ms} ms, the time for one request; ask fewer questions at a time"
            ),
            NoAnswer::NotForCaller(message) => f.write_str(message),
            NoAnswer::Panicked => f.write_str(
                "a fault in the server stopped this decision; the request is not allowed",
            ),
        }
    }
}

impl From<Malformed> for NoAnswer {
    fn from(malformed: Malformed) -> Self {
        Self::Malformed(malformed)
    }
}

// === impl SizeRefused ===

impl<S: NamedService> NamedService for SizeRefused<S> {
    const NAME: &'static str = S::NAME;
}

impl<S> Service<http::Request<Body>> for SizeRefused<S>
where
    S: Service<http::Request<Body>, Response = http::Response<Body>>,
    S::Future: Send + 'static,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = BoxFuture<Self::Response, Self::Error>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.0.poll_ready(context)
    }

    fn call(&mut self, request: http::Request<Body>) -> Self::Future {
        let answered = self.0.call(request);
        Box::pin(async move {
            let response = answered.await?;
            // Our own code never answers out of range, so it is the size check of the layer below.
            Ok(match Status::from_header_map(response.headers()) {
                Some(status) if status.code() == Code::OutOfRange => {
                    size_refused(&status).into_http()
                }
                _ => response,
            })
        })
    }
}
