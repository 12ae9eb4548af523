//! `AuthorizeStream`: questions as they come, each answered from the bundle in force when it is read.
//!
//! It holds no question back and none in store: the client's flow control is the limit on what is in flight.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use prost::bytes::Bytes;
use tokio_stream::Stream;
use tonic::{Status, Streaming};

use super::{Shared, one};
use crate::answer::{Put, Written};
use crate::desk::{Asker, Origin};
use crate::metrics::Protocol;
use crate::{answer, authorize, respond};

/// Room for most answers.
const BYTES: usize = 512;

/// The answers to a stream of questions.
pub(super) struct Answers {
    shared: Arc<Shared>,
    origin: Origin,
    /// `None` after the end, and after what ended the stream.
    questions: Option<Streaming<Bytes>>,
}

// === impl Answers ===

impl Answers {
    pub(super) fn new(shared: Arc<Shared>, origin: Origin, questions: Streaming<Bytes>) -> Self {
        Self { shared, origin, questions: Some(questions) }
    }

    /// An `AuthorizeStreamResponse`.
    fn answer(&self, message: &[u8]) -> Result<Written, Status> {
        let question = match authorize::read_numbered(message) {
            Ok(question) => question,
            // Without an id there is nobody to tell it to.
            Err(malformed) => return Err(respond::status(&malformed.into())),
        };
        let asker = Asker { protocol: Protocol::Stream, origin: &self.origin };
        let mut out = Vec::with_capacity(BYTES);
        let mut put = Put::at(&mut out);
        put.number(1, question.id);
        answer::result(&mut put, 2, |out| {
            one::with_bundle(&self.shared, asker, question.request, out)
        });
        Ok(Written(out))
    }
}

impl Stream for Answers {
    type Item = Result<Written, Status>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let Some(questions) = &mut self.questions else { return Poll::Ready(None) };
        let next = std::task::ready!(Pin::new(questions).poll_next(context));
        let answered = match next {
            Some(Ok(message)) => Some(self.answer(&message)),
            Some(Err(status)) => Some(Err(respond::broken_stream(status))),
            None => None,
        };
        if !matches!(answered, Some(Ok(_))) {
            self.questions = None;
        }
        Poll::Ready(answered)
    }
}
