//! Answers as JSON, in the shape that `pdp decide --json` prints, and what is said about a bundle.
//!
//! Two things differ from the tool: there is no explanation, and a request that cannot be read is an answer, too: a denial
//! with reason `invalid_request` and the sentence as its message. Nothing here is on the fast path.

use pdp_core::OwnedAnswer;
use pdp_core::json::AnswerShape;
use serde::Serialize;

use crate::desk::Info;

/// An answer in JSON.
pub fn answer(answer: &OwnedAnswer) -> Vec<u8> {
    json(&AnswerShape::new(answer))
}

/// What is in force, in JSON.
pub fn info(info: &Info) -> Vec<u8> {
    let Info { name, revision, digest, policies, entities, bytes, has_schema } = info;
    json(&InfoShape {
        name,
        revision: *revision,
        digest,
        policies: *policies,
        entities: *entities,
        bytes: *bytes,
        has_schema: *has_schema,
    })
}

#[derive(Serialize)]
struct InfoShape<'a> {
    name: &'a str,
    revision: u64,
    digest: &'a str,
    policies: u32,
    entities: u32,
    bytes: u64,
    has_schema: bool,
}

fn json(shape: &impl Serialize) -> Vec<u8> {
    // Strings, numbers and lists of them always serialise.
    serde_json::to_vec(shape).unwrap_or_default()
}
