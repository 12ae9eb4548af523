//! Lists: what is shown, what stays as it is, and what becomes empty.

#![expect(clippy::unwrap_used, reason = "a test stops at the first surprise")]

use super::super::message::{About, Revision};
use super::*;

/// A filter for the answer to request 7.
pub(in super::super) fn filter(method: &str) -> ListFilter {
    let message = Message {
        kind: Kind::Request,
        revision: Revision::July2026,
        method,
        id: Some("7"),
        about: About::Server,
        arguments: None,
    };
    ListFilter::new(&message, 60_000).unwrap()
}

fn shown(method: &str, body: &str) -> String {
    filter(method).body(body.as_bytes(), &mut |item| item.name.contains("yes"))
}

fn answer(result: &str) -> String {
    format!(r#"{{"jsonrpc":"2.0","id":7,"result":{{{result}}}}}"#)
}

#[test]
fn only_items_that_are_allowed_are_shown_and_all_else_stays() {
    let body = r#" { "jsonrpc" : "2.0" , "id" : 7 , "more" : [ 1.50 , "\u00e9" ] ,
        "result" : { "resultType" : "complete", "tools" : [
            { "name" : "yes-1" , "inputSchema" : { "a" : 1e2 } } , {"name":"no"} ,{"title":"x","name":"yes-\u0032"}
        ] , "nextCursor" : "c\n" , "ttlMs" : 3600000 , "cacheScope" : "public", "_meta":{} } } "#;
    let expected = r#"{"jsonrpc":"2.0","id":7,"more":[ 1.50 , "\u00e9" ],"result":{"resultType":"complete","tools":[{ "name" : "yes-1" , "inputSchema" : { "a" : 1e2 } },{"title":"x","name":"yes-\u0032"}],"nextCursor":"c\n","ttlMs":60000,"cacheScope":"private","_meta":{}}}"#;
    assert_eq!(shown("tools/list", body), expected);
}

#[test]
fn each_list_has_its_names() {
    for (method, member, name) in [
        ("tools/list", "tools", "name"),
        ("resources/list", "resources", "uri"),
        ("resources/templates/list", "resourceTemplates", "uriTemplate"),
        ("prompts/list", "prompts", "name"),
    ] {
        let item = |text: &str| format!(r#"{{"{name}":"{text}"}}"#);
        let with = |items: &str| answer(&format!(r#""{member}":[{items}],"cacheScope":"private""#));
        let body = with(&[item("no"), item("yes"), item("no")].join(","));
        assert_eq!(shown(method, &body), with(&item("yes")));
        assert_eq!(shown(method, &with(&item("no"))), with(""));
        // A list that nobody asked for is filtered like the one that was.
        let other = if member == "tools" { "prompts" } else { "tools" };
        let body = answer(&format!(r#""{member}":[],"{other}":[{{"name":"no"}}]"#));
        let empty = answer(&format!(r#""{member}":[],"{other}":[],"cacheScope":"private""#));
        assert_eq!(shown(method, &body), empty);
    }
}

#[test]
fn how_long_a_list_may_be_kept_is_limited() {
    for (given, kept) in [("0", "0"), ("59999", "59999"), ("60001", "60000"), ("1e9", "60000")] {
        let body = answer(&format!(r#""tools":[],"ttlMs":{given}"#));
        let expected = answer(&format!(r#""tools":[],"ttlMs":{kept},"cacheScope":"private""#));
        assert_eq!(shown("tools/list", &body), expected);
    }
    let body = answer(r#""tools":[],"ttlMs":-1"#);
    assert_eq!(
        shown("tools/list", &body),
        answer(r#""tools":[],"ttlMs":60000,"cacheScope":"private""#)
    );
}

#[test]
fn an_item_without_one_name_is_not_shown() {
    for item in [
        "1",
        "null",
        "[]",
        "{}",
        r#"{"name":1}"#,
        r#"{"Name":"yes"}"#,
        r#"{"name":"yes","NAME":"no"}"#,
        r#"{"title":"yes"}"#,
    ] {
        let body = answer(&format!(r#""tools":[{item},{{"name":"yes"}}]"#));
        let expected = answer(r#""tools":[{"name":"yes"}],"cacheScope":"private""#);
        assert_eq!(shown("tools/list", &body), expected, "{item}");
    }
}

#[test]
fn what_cannot_be_read_for_certain_becomes_empty() {
    let empty = r#"{"jsonrpc":"2.0","id":7,"result":{"resultType":"complete","tools":[],"ttlMs":0,"cacheScope":"private"}}"#;
    let long = answer(&format!(r#""tools":[{{"name":"yes","x":"{}"}}]"#, "x".repeat(1 << 20)));
    for body in [
        "",
        "[]",
        "{",
        "yes",
        &long,
        r#"{"jsonrpc":"2.0","id":7}"#,
        r#"{"jsonrpc":"2.0","id":7,"result":[]}"#,
        r#"{"jsonrpc":"2.0","id":7,"result":{}}"#,
        r#"{"jsonrpc":"2.0","id":7,"result":{"tools":{"name":"yes"}}}"#,
        r#"{"jsonrpc":"2.0","id":7,"result":{"tools":[]}} {}"#,
        r#"{"jsonrpc":"2.0","id":7,"result":{"tools":[],"tools":[{"name":"no"}]}}"#,
        r#"{"jsonrpc":"2.0","id":7,"result":{"tools":[],"Tools":[{"name":"no"}]}}"#,
        r#"{"jsonrpc":"2.0","id":7,"result":{"tools":[]},"Result":{"tools":[{"name":"no"}]}}"#,
        r#"{"jsonrpc":"2.0","id":7,"result":{"tools":[{"name":"yes","name":"no"}]}}"#,
        r#"{"jsonrpc":"2.0","id":7,"result":{"tools":[]},"error":{}}"#,
        r#"{"jsonrpc":"2.0","method":"notifications/x","params":{"tools":[]}}"#,
        r#"[{"jsonrpc":"2.0","id":7,"result":{"tools":[{"name":"yes"}]}}]"#,
    ] {
        assert_eq!(shown("tools/list", body), empty, "{body:.100}");
    }
    let filter = filter("tools/list");
    assert_eq!(filter.body(b"\xff", &mut |_| true), empty);
    // An error shows nothing.
    let error = r#"{"jsonrpc":"2.0","id":7,"error":{"code":-32603,"message":"no"}}"#;
    assert_eq!(shown("tools/list", error), error);
}

#[test]
fn only_lists_and_streams_are_filtered() {
    let message = |kind, method| Message {
        kind,
        revision: Revision::June2025,
        method,
        id: if kind == Kind::Request { Some("7") } else { None },
        about: About::Server,
        arguments: None,
    };
    assert!(ListFilter::new(&message(Kind::Request, "tools/call"), 0).is_none());
    assert!(ListFilter::new(&message(Kind::Notification, "tools/list"), 0).is_none());
    assert!(ListFilter::new(&message(Kind::Stream, ""), 0).is_some());
}
