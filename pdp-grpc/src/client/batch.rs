//! Many questions in one call, answered from one snapshot.
//!
//! Either every question has its result, each complete and of one bundle, or there is none for any of them.

use pdp_core::{OwnedAnswer, Request};

use super::{Client, ClientError, RefusedError, status_of, unsendable};
use crate::{answer, authorize, pb};

impl Client {
    /// Asks many questions at once. Results come in the order of the questions, one for each, and no two of them from
    /// different revisions; a question that got no answer says why, and is not allowed.
    ///
    /// A server takes 1,024 questions and 1 MiB in one call, if nobody told it otherwise.
    ///
    /// # Errors
    ///
    /// When the call fails, or one of the results is not one to act on: treat all the requests as denied.
    pub async fn authorize_batch(
        &self,
        requests: &[Request<'_>],
    ) -> Result<Vec<Result<OwnedAnswer, RefusedError>>, ClientError> {
        let messages: Result<Vec<_>, _> = requests.iter().map(authorize::write).collect();
        let batch = pb::AuthorizeBatchRequest { requests: messages.map_err(unsendable)? };
        let mut inner = self.inner.clone();
        let response = self.within(inner.authorize_batch(self.timed(batch))).await?;
        let results = answer::read_batch(response, requests.len())
            .map_err(|what| self.not_an_answer(what))?;
        let told = |failure| self.no_answer(status_of(failure));
        Ok(results.into_iter().map(|result| result.map_err(told)).collect())
    }
}
