//! Bodies to messages, and what is told of those that do not pass: tables of what is taken and what is refused.

#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test stops at the first surprise"
)]

use pdp_core::json::Arena;
use pdp_core::{McpDenial, McpMode};

use super::*;

type Header = (&'static str, &'static str);

const JSON: Header = ("content-type", "application/json");
const VERSION: Header = ("mcp-protocol-version", "2026-07-28");
const META: &str = r#""_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28"}"#;

/// Reads a body, and looks at what it is.
fn read<T>(
    headers: &[Header],
    body: &str,
    see: impl FnOnce(Result<Message<'_>, Unread<'_>>) -> T,
) -> T {
    let arena = Arena::new();
    let headers: Vec<(&[u8], &[u8])> =
        headers.iter().map(|(name, value)| (name.as_bytes(), value.as_bytes())).collect();
    see(Message::read("POST", &headers, Some(body.as_bytes()), &arena))
}

fn fault(headers: &[Header], body: &str) -> Option<Fault> {
    read(headers, body, |read| read.err().map(|unread| unread.fault))
}

/// Reads a call of a revision before 2026-07-28.
#[track_caller]
fn refused(body: &str, expected: Fault) {
    assert_eq!(fault(&[JSON], body), Some(expected), "{body}");
}

fn call(params: &str) -> String {
    format!(r#"{{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{{{params}}}}}"#)
}

#[test]
fn a_tool_call_is_read() {
    let body = call(r#""name":"a","arguments":{"x":[1.5e3,null]},"task":{"ttl":1}"#);
    read(&[JSON], &body, |read| {
        let message = read.unwrap();
        assert_eq!((message.kind, message.revision), (Kind::Request, Revision::March2025));
        assert_eq!((message.method, message.id), ("tools/call", Some("1")));
        assert_eq!(message.about, About::Tool("a"));
        assert_eq!(message.arguments, Some(r#"{"x":[1.5e3,null]}"#));
    });
}

#[test]
fn a_method_is_about_what_the_protocol_says() {
    let november = ("mcp-protocol-version", "2025-11-25");
    let table: [(&str, &str, About<'_>, [bool; 4]); 22] = [
        ("tools/call", r#""name":"n""#, About::Tool("n"), [true; 4]),
        ("tools/list", r#""cursor":"c""#, About::Server, [true; 4]),
        ("resources/list", "", About::Server, [true; 4]),
        ("resources/templates/list", "", About::Server, [true; 4]),
        ("resources/read", r#""uri":"file:///a""#, About::Resource("file:///a"), [true; 4]),
        ("prompts/list", "", About::Server, [true; 4]),
        ("prompts/get", r#""name":"n""#, About::Prompt("n"), [true; 4]),
        (
            "completion/complete",
            r#""ref":{"type":"ref/prompt","name":"n"},"argument":{"name":"x","value":""}"#,
            About::Prompt("n"),
            [true; 4],
        ),
        (
            "completion/complete",
            r#""ref":{"uri":"u:{x}","type":"ref/resource","name":"n"}"#,
            About::Resource("u:{x}"),
            [true; 4],
        ),
        (
            "initialize",
            r#""protocolVersion":"1999-01-01""#,
            About::Server,
            [true, true, true, false],
        ),
        ("ping", "", About::Server, [true, true, true, false]),
        ("logging/setLevel", r#""level":"info""#, About::Server, [true, true, true, false]),
        ("resources/subscribe", r#""uri":"u:""#, About::Resource("u:"), [true, true, true, false]),
        (
            "resources/unsubscribe",
            r#""uri":"u:""#,
            About::Resource("u:"),
            [true, true, true, false],
        ),
        ("server/discover", "", About::Server, [false, false, false, true]),
        (
            "subscriptions/listen",
            r#""notifications":{"toolsListChanged":true}"#,
            About::Server,
            [false, false, false, true],
        ),
        (
            "subscriptions/listen",
            r#""notifications":{"resourceSubscriptions":["u:"]}"#,
            About::Resource("u:"),
            [false, false, false, true],
        ),
        ("tasks/get", r#""taskId":"t""#, About::Task("t"), [false, false, true, true]),
        ("tasks/cancel", r#""taskId":"t""#, About::Task("t"), [false, false, true, true]),
        ("tasks/result", r#""taskId":"t""#, About::Task("t"), [false, false, true, false]),
        ("tasks/update", r#""taskId":"t""#, About::Task("t"), [false, false, false, true]),
        ("tasks/list", "", About::Server, [false; 4]),
    ];
    for (method, params, about, revisions) in table {
        for (revision, known) in Revision::ALL.into_iter().zip(revisions) {
            let strict = revision == Revision::July2026;
            let (meta, comma) =
                (if strict { META } else { "" }, if params.is_empty() { "" } else { "," });
            let comma = if strict { comma } else { "" };
            let body = format!(
                r#"{{"jsonrpc":"2.0","id":"x","method":"{method}","params":{{{meta}{comma}{params}}}}}"#
            );
            let mut headers =
                vec![JSON, ("Mcp-Protocol-Version", revision.name()), ("Mcp-Method", method)];
            if let (Some(name), "tools/call" | "resources/read" | "prompts/get") =
                (about.name(), method)
            {
                headers.push(("Mcp-Name", if name == "n" { "n" } else { "file:///a" }));
            }
            read(&headers, &body, |read| match (known, read) {
                (true, Ok(message)) => {
                    assert_eq!((message.about, message.revision), (about, revision), "{body}");
                }
                (false, Err(unread)) => {
                    assert!(matches!(unread.fault, Fault::Method), "{unread:?} {body}");
                }
                (_, read) => unreachable!("{read:?} {} {body}", revision.name()),
            });
        }
    }
    assert_eq!(fault(&[JSON, november], &call("")), Some(Fault::Params));
}

#[test]
fn what_two_readers_could_read_differently_is_refused() {
    for body in [
        "",
        " ",
        "{",
        "nul",
        "\u{feff}{}",
        r#"{"jsonrpc":"2.0","id":1,"id":2,"method":"ping"}"#,
        r#"{"jsonrpc":"2.0","id":1,"method":"ping","m\u0065thod":"tools/call"}"#,
        r#"{"jsonrpc":"2.0","id":1,"method":"ping"}{}"#,
        r#"{"jsonrpc":"2.0","id":1,"method":"ping",}"#,
        r#"{"jsonrpc":"2.0","id":1,"method":"ping"} // x"#,
        r#"{"jsonrpc":"2.0","id":01,"method":"ping"}"#,
        r#"{"jsonrpc":"2.0","id":1,"method":"\ud800"}"#,
        r#"{"jsonrpc":"2.0","id":1,"method":'ping'}"#,
        r#"{"jsonrpc":"2.0","id":1,"method":"ping","params":{"x":NaN}}"#,
    ] {
        refused(body, Fault::Json);
    }
    for params in [
        r#""name":"a","name":"b""#,
        r#""name":"a","\u006eame":"b""#,
        r#""name":"a","arguments":{"x":1,"x":2}"#,
        r#""name":"a","arguments":{"x":[{"y":1,"y":1}]}"#,
        r#""name":"a","_meta":{"p":{"q":1,"q":1}}"#,
    ] {
        refused(&call(params), Fault::Json);
    }
    let deep = format!(r#""name":"a","arguments":{{"x":{}{}}}"#, "[".repeat(98), "]".repeat(98));
    refused(&call(&deep), Fault::Json);
    let long = format!(r#""name":"a","arguments":{{"x":"{}"}}"#, "x".repeat(1 << 20));
    refused(&call(&long), Fault::Json);
    // Readers that do not look at case.
    for params in [
        r#""name":"a","Name":"b""#,
        r#""Name":"a""#,
        r#""name":"a","NAME":"b""#,
        r#""name":"a","argumentſ":{}"#,
        r#""name":"a","taſ\u212aId":"b""#,
        r#""name":"a","_Meta":{}"#,
        r#""name":"a","_meta":{"io.modelcontextprotocol/protocolversion":"2026-07-28"}"#,
    ] {
        refused(&call(params), Fault::Params);
    }
}

#[test]
fn what_is_no_message_is_refused() {
    for body in ["[]", r#"[{"jsonrpc":"2.0","id":1,"method":"ping"}]"#] {
        refused(body, Fault::Batch);
        // In every revision, also in those that know batches.
        for revision in Revision::ALL {
            let headers = [JSON, ("mcp-protocol-version", revision.name())];
            assert_eq!(fault(&headers, body), Some(Fault::Batch));
        }
    }
    refused(r#"[{"a":1,"a":1}]"#, Fault::Json);
    for body in [
        "1",
        "null",
        "{}",
        r#"{"id":1,"method":"ping"}"#,
        r#"{"jsonrpc":"1.0","id":1,"method":"ping"}"#,
        r#"{"jsonrpc":2.0,"id":1,"method":"ping"}"#,
        r#"{"jsonrpc":"2.0","id":null,"method":"ping"}"#,
        r#"{"jsonrpc":"2.0","id":1.5,"method":"ping"}"#,
        r#"{"jsonrpc":"2.0","id":1e2,"method":"ping"}"#,
        r#"{"jsonrpc":"2.0","id":true,"method":"ping"}"#,
        r#"{"jsonrpc":"2.0","id":1,"method":"ping","params":[]}"#,
        r#"{"jsonrpc":"2.0","id":1,"method":"ping","result":{}}"#,
        r#"{"jsonrpc":"2.0","id":1,"method":"ping","Method":"tools/call"}"#,
        r#"{"jsonrpc":"2.0","id":1,"Method":"ping"}"#,
        r#"{"jsonrpc":"2.0","id":1,"method":"ping","more":1}"#,
        r#"{"jsonrpc":"2.0","id":1,"result":{},"error":{}}"#,
        r#"{"jsonrpc":"2.0","result":{}}"#,
        r#"{"jsonrpc":"2.0","id":1,"result":1}"#,
        // A request that wants no answer is none.
        r#"{"jsonrpc":"2.0","method":"tools/call","params":{"name":"a"}}"#,
    ] {
        refused(body, Fault::Envelope);
    }
    refused(
        &format!(r#"{{"jsonrpc":"2.0","id":"{}","method":"ping"}}"#, "x".repeat(300)),
        Fault::Envelope,
    );
    for (method, params) in [
        ("tools/call", ""),
        ("tools/call", r#""name":"""#),
        ("tools/call", r#""name":" a""#),
        ("tools/call", r#""name":"a\u2003""#),
        ("tools/call", r#""name":1"#),
        ("tools/call", r#""name":"a\u0000b""#),
        ("tools/call", r#""name":"a","arguments":[]"#),
        ("tools/call", r#""name":"a","_meta":1"#),
        ("resources/read", r#""name":"a""#),
        ("completion/complete", r#""name":"a""#),
        ("completion/complete", r#""ref":{"type":"ref/tool","name":"a"}"#),
        ("completion/complete", r#""ref":{"type":"ref/prompt","Type":"ref/resource","name":"a"}"#),
    ] {
        let body =
            format!(r#"{{"jsonrpc":"2.0","id":1,"method":"{method}","params":{{{params}}}}}"#);
        refused(&body, Fault::Params);
    }
    for method in
        ["tools/delete", "Tools/call", "tools/call ", "", "notifications/initialized", "rpc.x"]
    {
        refused(&format!(r#"{{"jsonrpc":"2.0","id":1,"method":"{method}"}}"#), Fault::Method);
    }
    let listen = format!(
        r#"{{"jsonrpc":"2.0","id":1,"method":"subscriptions/listen","params":{{{META},"notifications":{{"resourceSubscriptions":["a:","b:"]}}}}}}"#
    );
    let headers = [JSON, VERSION, ("mcp-method", "subscriptions/listen")];
    assert_eq!(fault(&headers, &listen), Some(Fault::Params));
}

#[test]
fn notifications_answers_and_streams_are_about_the_server() {
    let november = ("mcp-protocol-version", "2025-11-25");
    let cancelled =
        r#"{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":"1"}}"#;
    let answer = r#"{"jsonrpc":"2.0","id":7,"result":{"roots":[]}}"#;
    let error = r#"{"jsonrpc":"2.0","id":7,"error":{"code":-1,"message":""}}"#;
    for (body, kind) in
        [(cancelled, Kind::Notification), (answer, Kind::Response), (error, Kind::Response)]
    {
        read(&[JSON, november], body, |read| {
            let message = read.unwrap();
            assert_eq!((message.kind, message.about), (kind, About::Server));
        });
    }
    assert_eq!(fault(&[JSON, VERSION], answer), Some(Fault::Envelope));
    assert_eq!(fault(&[JSON, VERSION], cancelled), Some(Fault::Headers));
    assert_eq!(fault(&[JSON, VERSION, ("mcp-method", "notifications/cancelled")], cancelled), None);

    let arena = Arena::new();
    let stream = |method: &str, version: &[u8], body| {
        let headers = [(&b"mcp-protocol-version"[..], version)];
        Message::read(method, &headers, body, &arena)
            .map_err(|unread| unread.fault)
            .map(|it| it.kind)
    };
    assert_eq!(stream("GET", b"2025-06-18", None), Ok(Kind::Stream));
    assert_eq!(stream("DELETE", b"2025-06-18", None), Ok(Kind::Stream));
    assert_eq!(stream("GET", b"2026-07-28", None), Err(Fault::HttpMethod));
    assert_eq!(stream("GET", b"2025-06-18", Some(b"{}")), Err(Fault::Envelope));
    assert_eq!(stream("PUT", b"2025-06-18", None), Err(Fault::HttpMethod));
}

#[test]
fn head_and_body_agree() {
    let body = call(&format!(
        r#"{META},"name":"größe","arguments":{{"region":"us-1","n":{{"k":42}},"b":true}}"#
    ));
    let (method, name) = (("mcp-method", "tools/call"), ("mcp-name", "=?base64?Z3LDtsOfZQ==?="));
    let good = [JSON, VERSION, method, name];
    assert_eq!(fault(&good, &body), None);
    let with = |more: &[Header]| fault(&[&good, more].concat(), &body);
    let instead = |at: usize, header: Header| {
        let mut headers = good;
        headers[at] = header;
        fault(&headers, &body)
    };
    // One after the other is left out.
    for at in 0..good.len() {
        let fault = instead(at, ("x", "y")).unwrap();
        assert_eq!(fault, if at == 0 { Fault::ContentType } else { Fault::Headers }, "{at}");
    }
    for (at, header, expected) in [
        (0, ("content-type", "application/json; charset=UTF-8"), None),
        (0, ("content-type", "application/json; charset=utf-16"), Some(Fault::ContentType)),
        (0, ("content-type", "text/plain"), Some(Fault::ContentType)),
        (1, ("mcp-protocol-version", "2025-11-25"), Some(Fault::Headers)),
        (1, ("mcp-protocol-version", "2027-01-01"), Some(Fault::Version)),
        (1, ("MCP-PROTOCOL-VERSION", " 2026-07-28 "), None),
        (2, ("mcp-method", "tools/list"), Some(Fault::Headers)),
        (2, ("mcp-method", "Tools/Call"), Some(Fault::Headers)),
        (3, ("mcp-name", "größe"), None),
        (3, ("mcp-name", "other"), Some(Fault::Headers)),
        (3, ("mcp-name", "=?base64?Z3LDtsOfZQ=?="), Some(Fault::Headers)),
        (3, ("mcp-name", "=?base64?Z3LDtsOfZR==?="), Some(Fault::Headers)),
        (3, ("mcp-name", "=?base64?/w==?="), Some(Fault::Headers)),
    ] {
        assert_eq!(instead(at, header), expected, "{header:?}");
    }
    for (more, expected) in [
        (("mcp-name", "=?base64?Z3LDtsOfZQ==?="), Some(Fault::Headers)),
        (("content-encoding", "gzip"), Some(Fault::ContentType)),
        (("content-encoding", "identity"), None),
        (("Mcp-Param-Region", "us-1"), None),
        (("Mcp-Param-Region", "=?base64?dXMtMQ==?="), None),
        (("Mcp-Param-Region", "us-2"), Some(Fault::Headers)),
        (("Mcp-Param-Count", "42"), None),
        (("Mcp-Param-Count", "42.0"), None),
        (("Mcp-Param-Count", "43"), Some(Fault::Headers)),
        (("Mcp-Param-B", "true"), None),
        (("Mcp-Param-B", "false"), Some(Fault::Headers)),
    ] {
        assert_eq!(with(&[more]), expected, "{more:?}");
    }
    assert_eq!(with(&[("mcp-param-a", "us-1"); 16]), None);
    assert_eq!(with(&[("mcp-param-a", "us-1"); 17]), Some(Fault::Headers));
    // Before, headers need not be there; what is there must agree.
    let old = call(r#""name":"a""#);
    let june = ("mcp-protocol-version", "2025-06-18");
    assert_eq!(fault(&[JSON, june], &old), None);
    assert_eq!(fault(&[JSON, june, ("mcp-name", "a")], &old), None);
    assert_eq!(fault(&[JSON, june, ("mcp-name", "b")], &old), Some(Fault::Headers));
    assert_eq!(fault(&[JSON, june, ("mcp-method", "tools/list")], &old), Some(Fault::Headers));
    assert_eq!(fault(&[JSON, june, ("mcp-param-x", "a")], &old), Some(Fault::Headers));
    // A name where none belongs.
    let list = r#"{"jsonrpc":"2.0","id":1,"method":"tools/list"}"#;
    assert_eq!(fault(&[JSON, june, ("mcp-name", "a")], list), Some(Fault::Headers));
    // The body says a revision, and the head says none or needs one.
    assert_eq!(fault(&[JSON], &body), Some(Fault::Headers));
    assert_eq!(fault(&[JSON, VERSION, method, ("mcp-name", "a")], &old), Some(Fault::Headers));
}

/// What is told of a body of a revision, in a mode.
fn said(how: &McpDenial, headers: &[Header], body: &str, refusal: Option<Fault>) -> (u16, String) {
    read(headers, body, |read| {
        let (message, fault) = match &read {
            Ok(message) => (Some(message), refusal),
            Err(unread) => (unread.message.as_ref(), Some(unread.fault)),
        };
        let headers: Vec<(&[u8], &[u8])> =
            headers.iter().map(|(name, value)| (name.as_bytes(), value.as_bytes())).collect();
        let told = told(
            how,
            &Cause {
                message,
                fault,
                reason: "forbidden",
                refusal: fault.map(Fault::code),
                decision: "D1",
                headers: &headers,
            },
        );
        (told.status, told.body)
    })
}

#[test]
fn a_denial_is_told_in_the_mode_of_its_route() {
    let mode = |mode| McpDenial { mode, ..McpDenial::default() };
    let old = call(r#""name":"a\"b""#);
    let new = call(&format!(r#"{META},"name":"a\"b""#)).replace("\"id\":1", "\"id\":\"x\"");
    let new_head = [JSON, VERSION, ("mcp-method", "tools/call"), ("mcp-name", "a\"b")];
    let data = r#""data":{"reason":"forbidden","evaluation_id":"D1"}"#;
    let error = |id: &str, code: i64, rest: &str| {
        format!(r#"{{"jsonrpc":"2.0","id":{id},"error":{{"code":{code},"message":{rest}}}}}"#)
    };
    let denied = format!(r#""Access denied",{data}"#);
    let unknown = r#""Unknown tool: a\"b""#;
    for (how, status_old, body_old, status_new, body_new) in [
        (mode(None), 200, error("1", -32001, &denied), 403, error("\"x\"", 403, &denied)),
        (
            McpDenial { code: Some(7), ..mode(Some(McpMode::Mcp2026)) },
            403,
            error("1", 7, &denied),
            403,
            error("\"x\"", 7, &denied),
        ),
        (
            McpDenial { status: Some(403), ..mode(Some(McpMode::Coaz)) },
            403,
            error("1", -32001, &denied),
            403,
            error("\"x\"", -32001, &denied),
        ),
        (
            mode(Some(McpMode::Hide)),
            200,
            error("1", -32602, unknown),
            200,
            error("\"x\"", -32602, unknown),
        ),
    ] {
        assert_eq!(said(&how, &[JSON], &old, None), (status_old, body_old));
        assert_eq!(said(&how, &new_head, &new, None), (status_new, body_new));
    }
    let tool = mode(Some(McpMode::ToolError));
    let text = r#"{"type":"text","text":"Access denied: forbidden (decision D1)"}"#;
    let result = format!(
        r#"{{"jsonrpc":"2.0","id":1,"result":{{"resultType":"complete","content":[{text}],"isError":true}}}}"#
    );
    assert_eq!(said(&tool, &[JSON], &old, None), (200, result));
    let list = r#"{"jsonrpc":"2.0","id":1,"method":"tools/list"}"#;
    assert_eq!(said(&tool, &[JSON], list, None), (403, error("1", 403, &denied)));
    let hide = mode(Some(McpMode::Hide));
    assert_eq!(said(&hide, &[JSON], list, None), (200, error("1", -32601, "\"Method not found\"")));
    // What nobody waits for.
    let note = r#"{"jsonrpc":"2.0","method":"notifications/initialized"}"#;
    for how in [mode(None), hide, tool] {
        let (status, body) = said(&how, &[JSON], note, None);
        assert_eq!((status, body.contains("\"id\"")), (403, false), "{body}");
    }
    // What is in the way of asking.
    let (status, body) = said(&mode(None), &[JSON], &old, Some(Fault::Arguments));
    assert_eq!(
        (status, body.contains("-32602,\"message\":\"Access denied\"")),
        (200, true),
        "{body}"
    );
    // A hidden tool is as hidden where its arguments are wrong.
    let hide = mode(Some(McpMode::Hide));
    assert_eq!(
        said(&hide, &[JSON], &old, Some(Fault::Arguments)),
        said(&hide, &[JSON], &old, None)
    );
}

#[test]
fn what_is_no_message_is_told_in_the_codes_of_the_protocol() {
    let how = McpDenial { mode: Some(McpMode::Hide), ..McpDenial::default() };
    let list = r#"{"jsonrpc":"2.0","id":1,"method":"tools/list"}"#;
    let june = ("mcp-protocol-version", "2025-06-18");
    let table: [(&[Header], &str, u16, &str); 7] = [
        (&[JSON], "{", 400, r#""id":null,"error":{"code":-32700"#),
        (&[JSON], "[]", 400, r#""id":null,"error":{"code":-32600"#),
        (&[JSON], "{}", 400, r#""id":null,"error":{"code":-32600"#),
        (
            &[JSON],
            r#"{"jsonrpc":"2.0","id":"q","method":"tools/call"}"#,
            400,
            r#""id":"q","error":{"code":-32602"#,
        ),
        (&[JSON, june, ("mcp-method", "x")], list, 400, r#""id":1,"error":{"code":-32020"#),
        (&[], list, 415, r#""id":null"#),
        (
            &[JSON, ("mcp-protocol-version", "1900-01-01\"")],
            list,
            400,
            r#""data":{"supported":["2025-03-26","2025-06-18","2025-11-25","2026-07-28"],"requested":"1900-01-01\""}"#,
        ),
    ];
    for (headers, body, status, part) in table {
        let (told, text) = said(&how, headers, body, None);
        assert_eq!((told, text.contains(part)), (status, true), "{text}");
    }
}
