//! Questions as they come, over one stream, many in flight: each answer finds its question by the id that went with it.
//!
//! A task reads the answers; whoever asked waits for its own. An answer to a question that is not in flight, which a
//! second answer to the same question is as well, ends the stream for everybody: who mixes up one answer may have mixed
//! up all of them. A stream that has ended stays ended; it is not opened again behind anybody's back.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use pdp_core::{OwnedAnswer, Request};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, oneshot};
use tokio::task::JoinHandle;
use tokio::time::timeout;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Status, Streaming};

use super::{Client, ClientError, status_of, unsendable};
use crate::answer::NotAnAnswer;
use crate::{answer, authorize, pb};

/// Questions of one stream that have no answer yet. Whoever asks more waits, within the deadline.
const IN_FLIGHT_MAX: usize = 1_024;

/// A stream of questions to a served PDP, from [`Client::stream`]; dropping it ends the stream.
///
/// It is asked through a shared reference: many tasks that hold it in an [`Arc`], or many futures of one task, have
/// their questions in flight at the same time. Each question is answered from the bundle in force when it is read.
pub struct QuestionStream {
    client: Client,
    questions: mpsc::Sender<pb::AuthorizeStreamRequest>,
    places: Arc<Semaphore>,
    asked: Arc<Asked>,
    reading: JoinHandle<()>,
}

/// The questions in flight, and what ended the stream.
#[derive(Default)]
struct Asked(Mutex<Questions>);

#[derive(Default)]
struct Questions {
    next_id: u64,
    /// A question that nobody waits for any more stays until its answer comes, so that this is not taken for a stray.
    in_flight: HashMap<u64, Waiting>,
    ended: Option<Ended>,
}

/// Who waits for an answer, and the place that the question takes until it comes.
struct Waiting {
    told: oneshot::Sender<Told>,
    _place: OwnedSemaphorePermit,
}

/// What whoever asked is told.
type Told = Result<pb::AuthorizeStreamResponse, Ended>;

/// Why a stream gives no more answers.
#[derive(Clone, Debug)]
enum Ended {
    /// The server, or the way to it, gave an error.
    Refused(Status),
    /// What came is not to be acted on, or nothing came.
    NotAnAnswer(NotAnAnswer),
}

const ENDED: Ended =
    Ended::NotAnAnswer(NotAnAnswer::Missing("the stream ended before the answer came"));

impl Client {
    /// Opens a stream of questions over the client's connection.
    ///
    /// # Errors
    ///
    /// When the server does not take it up within the deadline.
    pub async fn stream(&self) -> Result<QuestionStream, ClientError> {
        let (questions, sent) = mpsc::channel(IN_FLIGHT_MAX);
        let mut inner = self.inner.clone();
        // Without the deadline in it: that holds for each question, and the stream may live as long as the connection.
        let answers = self.within(inner.authorize_stream(ReceiverStream::new(sent))).await?;
        let asked = Arc::new(Asked::default());
        let reading = tokio::spawn(Arc::clone(&asked).read(answers));
        let places = Arc::new(Semaphore::new(IN_FLIGHT_MAX));
        Ok(QuestionStream { client: self.clone(), questions, places, asked, reading })
    }
}

// === impl QuestionStream ===

impl QuestionStream {
    /// Asks, as [`Client::authorize`] does.
    ///
    /// # Errors
    ///
    /// When there is no complete answer, for whatever reason: treat the request as denied. If the stream is to blame,
    /// every other question gets the same error, those to come included; open another one with [`Client::stream`].
    /// A server ends the stream for a question that is larger than it takes.
    pub async fn authorize(&self, request: &Request<'_>) -> Result<OwnedAnswer, ClientError> {
        let message = authorize::write(request).map_err(unsendable)?;
        let client = &self.client;
        let response = timeout(client.deadline, self.ask(message))
            .await
            .map_err(|_| client.too_late())?
            .map_err(|ended| match ended {
                Ended::Refused(status) => ClientError::Refused(client.no_answer(status)),
                Ended::NotAnAnswer(what) => client.not_an_answer(what),
            })?;
        match answer::read_result(response.result) {
            Ok(Ok(answer)) => Ok(answer),
            Ok(Err(failure)) => Err(client.refused(status_of(failure))),
            Err(what) => Err(client.not_an_answer(what)),
        }
    }

    async fn ask(&self, message: pb::AuthorizeRequest) -> Told {
        let place = Arc::clone(&self.places).acquire_owned().await.map_err(|_| ENDED)?;
        let (id, answer) = self.asked.enter(place)?;
        // The queue has room for every question that has a place. Where it is closed, the stream has ended or is about
        // to, and the reading task says why.
        let _ = self.questions.try_send(pb::AuthorizeStreamRequest { id, request: Some(message) });
        answer.await.map_err(|_| ENDED)?
    }
}

impl Drop for QuestionStream {
    fn drop(&mut self) {
        // With it goes the receiving half of the stream; the sending half goes with the queue.
        self.reading.abort();
    }
}

impl fmt::Debug for QuestionStream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("QuestionStream").field("client", &self.client).finish_non_exhaustive()
    }
}

// === impl Asked ===

impl Asked {
    /// Numbers a question.
    fn enter(&self, place: OwnedSemaphorePermit) -> Result<(u64, oneshot::Receiver<Told>), Ended> {
        let mut questions = self.lock();
        if let Some(ended) = &questions.ended {
            return Err(ended.clone());
        }
        let id = questions.next_id;
        questions.next_id += 1;
        let (told, answer) = oneshot::channel();
        questions.in_flight.insert(id, Waiting { told, _place: place });
        Ok((id, answer))
    }

    /// Hands out answers until the stream ends, and then says so to everybody who waits.
    async fn read(self: Arc<Self>, mut answers: Streaming<pb::AuthorizeStreamResponse>) {
        let ended = loop {
            match answers.message().await {
                Ok(Some(response)) => {
                    if let Err(stray) = self.answered(response) {
                        break stray;
                    }
                }
                Ok(None) => break ENDED,
                Err(status) => break Ended::Refused(status),
            }
        };
        let mut questions = self.lock();
        for (_, waiting) in questions.in_flight.drain() {
            // Who does not wait any more need not know.
            let _ = waiting.told.send(Err(ended.clone()));
        }
        questions.ended = Some(ended);
    }

    fn answered(&self, response: pb::AuthorizeStreamResponse) -> Result<(), Ended> {
        let id = response.id;
        match self.lock().in_flight.remove(&id) {
            Some(waiting) => {
                let _ = waiting.told.send(Ok(response));
                Ok(())
            }
            None => Err(Ended::NotAnAnswer(NotAnAnswer::Stray(id))),
        }
    }

    fn lock(&self) -> MutexGuard<'_, Questions> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
