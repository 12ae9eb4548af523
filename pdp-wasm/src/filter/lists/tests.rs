//! How answers are read, by their headers, and what of them may be seen.
#![expect(clippy::unwrap_used, reason = "test code fails loudly")]

use pdp_core::Datetime;
use pdp_edge::mcp::ListFilter;

use super::*;
use crate::filter::judge::tests::{call, decider};
use crate::filter::judge::{Outcome, judge};
use crate::filter::names::Names;

/// A request for the list of tools that was let through.
fn asked(decider: &Decider, setting: &Setting<'_>) -> (Call, ListFilter) {
    let mut call = call("POST", "/mcp");
    call.headers = vec![("content-type".to_owned(), b"application/json".to_vec())];
    call.body = Some(br#"{"jsonrpc":"2.0","id":1,"method":"tools/list"}"#.to_vec());
    let judged = judge(decider, &mut Room::new(), &call, setting);
    let Outcome::Passed(_, Some(filter)) = judged.outcome else { unreachable!("{judged:?}") };
    (call, filter)
}

fn setting() -> Setting<'static> {
    let shown = Some(pdp_edge::Shown { context: false, mask: &[] });
    Setting { now: Datetime(0), id: Names::new(1).next(1), list_ttl_ms_max: 0, shown }
}

#[test]
fn an_answer_is_read_where_its_head_says_once_and_plainly_what_it_is() {
    let (decider, setting) = (decider(), setting());
    let (_, filter) = asked(&decider, &setting);
    let read = |headers: &[(&str, &str)]| {
        let headers: Vec<_> = headers
            .iter()
            .map(|(name, value)| ((*name).to_owned(), value.as_bytes().to_vec()))
            .collect();
        match Reading::of(&headers, &filter) {
            Reading::Whole => "whole",
            Reading::Stream(_) => "stream",
            Reading::Unread => "unread",
        }
    };
    let json = ("content-type", "application/json");
    assert_eq!(read(&[json]), "whole");
    assert_eq!(read(&[("content-type", "Application/JSON ; charset=utf-8")]), "whole");
    assert_eq!(read(&[json, ("content-encoding", "identity")]), "whole");
    assert_eq!(read(&[("content-type", "text/event-stream")]), "stream");
    for headers in [
        &[][..],
        &[json, json],
        &[("content-type", "application/json, text/plain")],
        &[("content-type", "application/jsonl")],
        &[("content-type", "")],
        &[json, ("content-encoding", "gzip")],
        &[json, ("content-encoding", "identity"), ("content-encoding", "identity")],
    ] {
        assert_eq!(read(headers), "unread", "{headers:?}");
    }
}

#[test]
fn items_are_judged_as_calls_would_be_and_recorded() {
    let (decider, setting) = (decider(), setting());
    let (call, filter) = asked(&decider, &setting);
    let list = r#"{"jsonrpc":"2.0","id":1,"result":{"tools":[{"name":"no"},{"name":"yes"}]}}"#;
    let room = &mut Room::new();
    let all = whole(&decider, room, &call, &setting, &filter, list.as_bytes());
    let seen = String::from_utf8(all.bytes).unwrap();
    assert!(seen.contains("yes") && !seen.contains("\"no\""), "{seen}");
    let line: serde_json::Value = serde_json::from_slice(&all.line).unwrap();
    assert_eq!(
        (line.get("candidates").unwrap(), line.get("allowed").unwrap()),
        (&2.into(), &vec![1].into())
    );

    // In pieces of one byte, and without the bundle by which it was let through.
    for (decider, shows) in [(&decider, true), (&Decider::no_bundle(), false)] {
        let mut sse = SseFilter::new(filter.clone());
        let stream = format!("data: {list}\n\n");
        let mut seen = Vec::new();
        for byte in stream.as_bytes() {
            seen.extend(piece(decider, room, &call, &setting, &mut sse, &[*byte]).bytes);
        }
        let seen = String::from_utf8(seen).unwrap();
        assert_eq!((seen.contains("yes"), seen.contains("\"no\"")), (shows, false), "{seen}");
    }
    // What cannot be judged any more shows nothing.
    let lost = Call { is_unreadable: true, ..call };
    let all = whole(&decider, room, &lost, &setting, &filter, list.as_bytes());
    assert!(!String::from_utf8(all.bytes).unwrap().contains("yes") && all.line.is_empty());
}
