//! The messages that carry many questions: where each question's bytes stand in them.
//!
//! What the questions say is read one by one, later, so that what is wrong with one of them concerns it alone.

use pdp_edge::wire::Fields;

use super::malformed::{Fault, Malformed, Path};

/// One question of a stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Numbered<'a> {
    /// The client's number for it.
    pub(crate) id: u64,
    /// The bytes of an `AuthorizeRequest`.
    pub(crate) request: &'a [u8],
}

/// The bytes of each `AuthorizeRequest` in an `AuthorizeBatchRequest`.
pub(crate) fn read_batch(bytes: &[u8]) -> Result<Vec<&[u8]>, Malformed> {
    let path = Path::Field("requests");
    let of_batch = |damage| Malformed::bytes(path, damage).of("AuthorizeBatchRequest");
    let mut fields = Fields::new(bytes);
    let mut requests = Vec::new();
    while let Some((number, payload)) = fields.field().map_err(of_batch)? {
        match number {
            1 => requests.push(payload.bytes().map_err(of_batch)?),
            _ => fields.unknown().map_err(of_batch)?,
        }
    }
    Ok(requests)
}

/// The parts of an `AuthorizeStreamRequest`.
pub(crate) fn read_numbered(bytes: &[u8]) -> Result<Numbered<'_>, Malformed> {
    let of_stream = |damage| Malformed::bytes(Path::Message, damage).of("AuthorizeStreamRequest");
    let mut fields = Fields::new(bytes);
    let (mut id, mut request) = (0, None);
    while let Some((number, payload)) = fields.field().map_err(of_stream)? {
        match number {
            1 => id = payload.varint().map_err(of_stream)?,
            2 if request.is_none() => request = Some(payload.bytes().map_err(of_stream)?),
            2 => return Err(Malformed::at(Path::Field("request"), Fault::RequestTwice)),
            _ => fields.unknown().map_err(of_stream)?,
        }
    }
    match request {
        Some(request) => Ok(Numbered { id, request }),
        None => Err(Malformed::at(Path::Field("request"), Fault::RequestMissing)),
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test stops at the first surprise")]

    use prost::Message;

    use super::*;
    use crate::pb;

    fn question(id: &str) -> pb::AuthorizeRequest {
        let uid = pb::EntityUid { r#type: "T".to_owned(), id: id.to_owned() };
        pb::AuthorizeRequest { principal: Some(uid), ..pb::AuthorizeRequest::default() }
    }

    #[test]
    fn questions_stand_where_the_message_has_them() {
        let requests = vec![question("a"), pb::AuthorizeRequest::default(), question("b")];
        let batch = pb::AuthorizeBatchRequest { requests: requests.clone() }.encode_to_vec();
        let read: Vec<_> = read_batch(&batch)
            .unwrap()
            .into_iter()
            .map(|bytes| pb::AuthorizeRequest::decode(bytes).unwrap())
            .collect();
        assert_eq!(read, requests);
        assert_eq!(read_batch(&[]).unwrap(), Vec::<&[u8]>::new());
        assert_eq!(
            read_batch(batch.split_last().unwrap().1).unwrap_err().to_string(),
            "the bytes are no `pdp.v1.AuthorizeBatchRequest`: a field is longer than what is there, in `requests`"
        );
    }

    #[test]
    fn a_numbered_question_is_there_once() {
        let message = pb::AuthorizeStreamRequest { id: u64::MAX, request: Some(question("a")) };
        let bytes = message.encode_to_vec();
        let read = read_numbered(&bytes).unwrap();
        assert_eq!(read.id, u64::MAX);
        assert_eq!(pb::AuthorizeRequest::decode(read.request).unwrap(), question("a"));

        let twice = [bytes.clone(), bytes].concat();
        let refused = |bytes: &[u8]| read_numbered(bytes).unwrap_err().to_string();
        assert_eq!(refused(&twice), "`request` occurs twice; send one question a message");
        assert_eq!(refused(&[8, 7]), "`request` is missing; send one question a message");
        assert_eq!(
            refused(&[0xff]),
            "the bytes are no `pdp.v1.AuthorizeStreamRequest`: a number is cut off or has more than 64 bits"
        );
    }
}
