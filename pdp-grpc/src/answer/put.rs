//! Answers written to the wire as they stand in the caller's scratch, without a message of strings in between.
//!
//! What is written is what `prost` would make of the message of the same name: fields in the order of their numbers,
//! those with nothing in them left out. Numbers of fields are in `authorization.proto`; the tests decode what comes out.

use pdp_core::{Answer, Bundle, Effect, ErrorKind, Leg};
use prost::Message;
use prost::bytes::BufMut;
use prost::encoding::{encode_varint, encoded_len_varint};

use crate::desk::Verdict;
use crate::respond::NoAnswer;
use crate::{pb, respond};

/// Bytes of one message.
#[derive(Debug, Default)]
pub(crate) struct Written(pub(crate) Vec<u8>);

/// Fields of a message, appended to bytes.
pub(crate) struct Put<'o> {
    out: &'o mut Vec<u8>,
}

const VARINT: u64 = 0;
const LENGTH: u64 = 2;

// === impl Put ===

impl<'o> Put<'o> {
    /// A message that begins where the bytes end.
    pub(crate) fn at(out: &'o mut Vec<u8>) -> Self {
        Self { out }
    }

    pub(crate) fn number(&mut self, field: u64, number: u64) {
        if number != 0 {
            encode_varint(field << 3 | VARINT, self.out);
            encode_varint(number, self.out);
        }
    }

    fn text(&mut self, field: u64, text: &str) {
        if !text.is_empty() {
            self.element(field, text);
        }
    }

    /// One of a list, where nothing is something as well.
    fn element(&mut self, field: u64, text: &str) {
        encode_varint(field << 3 | LENGTH, self.out);
        encode_varint(wide(text.len()), self.out);
        self.out.put_slice(text.as_bytes());
    }

    /// A message inside; where `write` fails, nothing of it stays.
    pub(crate) fn message<E>(
        &mut self,
        field: u64,
        write: impl FnOnce(&mut Vec<u8>) -> Result<(), E>,
    ) -> Result<(), E> {
        let begin = self.out.len();
        encode_varint(field << 3 | LENGTH, self.out);
        // Most are shorter than 128 bytes or not by much; what is longer is moved by a byte or two when its length is known.
        self.out.push(0);
        let inside = self.out.len();
        if let Err(error) = write(self.out) {
            self.out.truncate(begin);
            return Err(error);
        }
        let bytes = wide(self.out.len() - inside);
        let mut length = [0; 10];
        let mut rest = length.as_mut_slice();
        encode_varint(bytes, &mut rest);
        let length = length.iter().copied().take(encoded_len_varint(bytes));
        self.out.splice(inside - 1..inside, length);
        Ok(())
    }

    /// The same where writing does not fail.
    fn whole(&mut self, field: u64, write: impl FnOnce(&mut Put<'_>)) {
        let written = self.message(field, |out| {
            write(&mut Put::at(out));
            Ok::<(), std::convert::Infallible>(())
        });
        match written {
            Ok(()) => {}
            Err(never) => match never {},
        }
    }
}

// === messages ===

/// An `AuthorizeResponse`. Where many questions share a bundle it is named beside them, and not here.
pub(crate) fn response(out: &mut Vec<u8>, verdict: &Verdict<'_>, bundle: Option<&Bundle>) {
    let mut put = Put::at(out);
    put.number(1, effect(verdict.effect()));
    put.text(2, verdict.reason().as_str());
    if let Some(answer) = verdict.answer() {
        self::answer(&mut put, answer);
    }
    put.text(8, verdict.message());
    if let Some(bundle) = bundle {
        bundle_name(&mut put, 9, bundle);
    }
    put.text(11, std::str::from_utf8(&verdict.id().text()).unwrap_or_default());
}

/// What explains an `AuthorizeResponse` that was written before. It is rare, and made as a message.
pub(crate) fn explanation(out: &mut Vec<u8>, explanation: &pb::Explanation) {
    Put::at(out).whole(10, |put| put.out.put_slice(&explanation.encode_to_vec()));
}

fn answer(put: &mut Put<'_>, answer: &Answer<'_>) {
    for policy in answer.policies() {
        put.element(3, policy);
    }
    errors(put, 4, answer.errors());
    for leg in answer.legs() {
        put.whole(5, |put| self::leg(put, leg));
    }
    if let Some(leg) = answer.failed_leg() {
        put.text(6, &leg.role().to_string());
    }
    for obligation in answer.obligations() {
        put.whole(7, |put| {
            put.text(1, obligation.policy);
            put.text(2, obligation.key);
            put.text(3, obligation.value);
        });
    }
}

fn leg(put: &mut Put<'_>, leg: Leg<'_>) {
    put.text(1, &leg.role().to_string());
    put.number(2, effect(leg.effect()));
    put.text(3, leg.reason().as_str());
    for policy in leg.policies() {
        put.element(4, policy);
    }
    errors(put, 5, leg.errors());
}

fn errors<'a>(put: &mut Put<'_>, field: u64, errors: impl Iterator<Item = (&'a str, ErrorKind)>) {
    for (policy, kind) in errors {
        put.whole(field, |put| {
            put.text(1, policy);
            put.text(2, kind.as_str());
        });
    }
}

/// A `BundleName` in a field.
pub(crate) fn bundle_name(put: &mut Put<'_>, field: u64, bundle: &Bundle) {
    put.whole(field, |put| {
        put.text(1, bundle.name());
        put.number(2, bundle.revision());
        put.text(3, bundle.digest_hex());
    });
}

/// An `AuthorizeResult` in a field: what `answer` writes, or the failure that it gives.
pub(crate) fn result(
    put: &mut Put<'_>,
    field: u64,
    answer: impl FnOnce(&mut Vec<u8>) -> Result<(), NoAnswer>,
) {
    put.whole(field, |put| {
        if let Err(no_answer) = put.message(1, answer) {
            let failure = respond::failure(&no_answer).encode_to_vec();
            put.whole(2, |put| put.out.put_slice(&failure));
        }
    });
}

fn effect(effect: Effect) -> u64 {
    match effect {
        Effect::Allow => pb::Effect::Allow as u64,
        Effect::Deny => pb::Effect::Deny as u64,
    }
}

fn wide(bytes: usize) -> u64 {
    u64::try_from(bytes).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test stops at the first surprise")]

    use super::*;
    use crate::desk::Verdict;

    #[test]
    fn messages_of_every_length_come_back() {
        for bytes in [0, 1, 100, 127, 128, 129, 16_000, 16_383, 16_384, 70_000] {
            let text = "x".repeat(bytes);
            let verdict = Verdict::refused(text.clone());
            let mut out = Vec::new();
            result(&mut Put::at(&mut out), 1, |out| {
                response(out, &verdict, None);
                Ok(())
            });
            let batch = pb::AuthorizeBatchResponse::decode(&*out).unwrap();
            let Some(pb::authorize_result::Result::Answer(answer)) =
                batch.results.into_iter().next().unwrap().result
            else {
                unreachable!("{bytes}");
            };
            assert_eq!(answer.message, text);
            assert_eq!(answer.decision_id, verdict.id().to_string());
            assert_eq!((answer.effect(), &*answer.reason), (pb::Effect::Deny, "invalid_request"));
            // As the library would have written it.
            let mut alone = Vec::new();
            response(&mut alone, &verdict, None);
            assert_eq!(alone, answer.encode_to_vec());
        }
    }

    #[test]
    fn what_failed_leaves_its_failure_and_nothing_else() {
        let mut out = Vec::new();
        result(&mut Put::at(&mut out), 1, |out| {
            out.put_slice(b"half of an answer");
            Err(NoAnswer::Panicked)
        });
        let batch = pb::AuthorizeBatchResponse::decode(&*out).unwrap();
        let [result] = batch.results.as_slice() else { unreachable!("{batch:?}") };
        let failure = respond::failure(&NoAnswer::Panicked);
        assert_eq!(result.result, Some(pb::authorize_result::Result::Failure(failure)));
    }
}
