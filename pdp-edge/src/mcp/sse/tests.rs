//! Streams of events, whole and in pieces.

#![expect(clippy::unwrap_used, reason = "a test stops at the first surprise")]

use super::super::list::tests::filter;
use super::super::message::{About, Kind, Message, Revision};
use super::*;

const LIST: &str = r#"{"jsonrpc":"2.0","id":7,"result":{"tools":[{"name":"yes"},{"name":"no"}]}}"#;
const SHOWN: &str =
    r#"{"jsonrpc":"2.0","id":7,"result":{"tools":[{"name":"yes"}],"cacheScope":"private"}}"#;
const EMPTY: &str = r#"{"jsonrpc":"2.0","id":7,"result":{"resultType":"complete","tools":[],"ttlMs":0,"cacheScope":"private"}}"#;

fn shown(stream: &str, pieces: usize) -> String {
    let mut sse = SseFilter::new(filter("tools/list"));
    let mut out = Vec::new();
    for piece in stream.as_bytes().chunks(pieces) {
        out.extend(sse.feed(piece, &mut |item| item.name == "yes"));
    }
    String::from_utf8_lossy(&out).into_owned()
}

/// A stream with `LIST` where it has `@`, and what becomes of it.
#[track_caller]
fn check(stream: &str, expected: &str) {
    let stream = stream.replace('@', LIST);
    let expected = expected.replace('@', SHOWN).replace('!', EMPTY);
    for pieces in [1, 2, 3, 7, 64, stream.len()] {
        assert_eq!(shown(&stream, pieces), expected, "{stream:?} by {pieces}");
    }
}

#[test]
fn an_answer_is_filtered_wherever_it_stands() {
    check("data: @\n\n", "data: @\n\n");
    check("data:@\r\n\r\n", "data: @\n\n");
    check("data:@\r\r", "data: @\n\n");
    check(
        "id: 3\nevent: message\ndata: @\nretry: 5\n\n",
        "id: 3\nevent: message\nretry: 5\ndata: @\n\n",
    );
    check(": hello\n\ndata: @\n\n", ": hello\n\ndata: @\n\n");
    check("\u{feff}data: @\n\n", "data: @\n\n");
    check("id: 1\ndata:\n\ndata: @\n\n", "id: 1\ndata: \n\ndata: @\n\n");
    let server = r#"{"jsonrpc":"2.0","method":"notifications/progress","params":{}}"#;
    check(&format!("data: {server}\n\ndata: @\n\n"), &format!("data: {server}\n\ndata: @\n\n"));
}

#[test]
fn lines_of_data_are_one_text() {
    let (head, tail) = LIST.split_at(LIST.find("[{").unwrap_or_default() + 1);
    check(&format!("data: {head}\ndata: {tail}\n\n"), "data: @\n\n");
    // Within an item they stay apart.
    check(
        "data: {\"result\":{\"tools\":[{\"name\":\ndata: \"yes\"}]}}\n\n",
        "data: {\"result\":{\"tools\":[{\"name\":\ndata: \"yes\"}],\"cacheScope\":\"private\"}}\n\n",
    );
}

#[test]
fn what_could_be_taken_for_an_answer_is_not_given_on() {
    check("Data: @\n\n", "\n");
    check(" data: @\n\n", "\n");
    check("data : @\n\n", "\n");
    check("data: @", "");
    check("data: @\n", "");
    check("data: @ x\n\n", "data: !\n\n");
    check("data: [@]\n\n", "data: !\n\n");
    check("data: @\ndata: @\n\n", "data: !\n\n");
    // Only the first mark of a stream is none of the text.
    check("\n\u{feff}data: @\n\n", "\n\n");
    check("\u{feff}\u{feff}data: @\n\n", "\n");
}

#[test]
fn an_event_that_is_too_large_becomes_an_empty_list() {
    let stream = format!("data: {}\n\ndata: {LIST}\n\n", "x".repeat(EVENT_BYTES_MAX));
    assert_eq!(shown(&stream, 4096), format!("data: {EMPTY}\n\ndata: {SHOWN}\n\n"));
}

#[test]
fn lists_are_filtered_in_a_stream_that_answers_no_request() {
    let message = Message {
        kind: Kind::Stream,
        revision: Revision::June2025,
        method: "",
        id: None,
        about: About::Server,
        arguments: None,
    };
    let mut sse = SseFilter::new(ListFilter::new(&message, 0).unwrap());
    let called = r#"{"jsonrpc":"2.0","id":3,"result":{"content":[]}}"#;
    let stream = format!("data: {called}\n\ndata: {LIST}\n\ndata: {{\n\n");
    let out = sse.feed(stream.as_bytes(), &mut |item| item.name == "yes");
    let expected = format!("data: {called}\n\ndata: {SHOWN}\n\ndata: \n\n");
    assert_eq!(String::from_utf8(out).unwrap(), expected);
}
