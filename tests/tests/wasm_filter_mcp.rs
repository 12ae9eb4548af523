//! Messages of the Model Context Protocol through the filter in a real Envoy: tools by name and by argument, and lists
//! that show what may be seen.
#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "test code fails loudly")]

use pdp_tests::envoy::Answer;
use pdp_tests::filtered::{Filtered, Plan, bearer, bundle};
use pdp_tests::upstream::{Reply, Upstream};
use serde_json::{Value, json};

fn parsed(answer: &Answer) -> Value {
    serde_json::from_str(&answer.body).unwrap_or_else(|error| unreachable!("{error}: {answer:?}"))
}

async fn before(upstream: Upstream) -> Filtered {
    Plan::inline(&bundle(1, "")).start(upstream).await
}

#[tokio::test(flavor = "multi_thread")]
async fn tools_are_called_by_name_and_by_argument() {
    let all = before(Upstream::echo().await).await;
    let (ann, bob) = (bearer("ann"), bearer("bob"));
    let pay = |input: Value| json!({ "name": "pay", "arguments": input });
    for _ in 0..3 {
        for (who, method, params, cause) in [
            (&ann, "tools/call", json!({ "name": "yes" }), ""),
            (&ann, "tools/call", json!({ "name": "no" }), "not_permitted"),
            (&bob, "tools/call", json!({ "name": "yes" }), "not_permitted"),
            (&ann, "tools/call", pay(json!({ "amount": 100 })), ""),
            (&ann, "tools/call", pay(json!({ "amount": 101 })), "not_permitted"),
            (&ann, "tools/call", pay(json!({ "amount": "100" })), "invalid_request"),
            (&ann, "tools/call", pay(json!({ "amount": 1, "fee": 9 })), "mcp_arguments"),
            (&ann, "tools/call", pay(json!({})), "mcp_arguments"),
            (&ann, "initialize", json!({}), ""),
            (&ann, "tools/delete", json!({}), "Method not found"),
            (&ann, "resources/read", json!({ "uri": "a" }), "mcp_unmapped"),
        ] {
            let arrived = all.upstream.arrived().len();
            let answer = all.message("/mcp", who, method, params.clone()).await;
            let passed = answer.body.starts_with("POST /mcp ");
            assert_eq!(passed, cause.is_empty(), "{method} {params}: {answer:?}");
            assert_eq!(all.upstream.arrived().len() - arrived, usize::from(passed));
            if !passed {
                assert!(answer.body.contains(cause), "{method} {params}: {answer:?}");
                assert_eq!((parsed(&answer)["id"].as_i64(), answer.status), (Some(7), 200));
            }
        }
        let hidden = all.message("/hidden-mcp", &ann, "tools/call", json!({ "name": "no" })).await;
        assert_eq!(parsed(&hidden)["error"]["message"], "Unknown tool: no");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_message_does_not_arrive() {
    let all = before(Upstream::echo().await).await;
    let ann = bearer("ann");
    for (body, status, said) in [
        (&b""[..], 415, "Content-Type"),
        (b"{", 400, "Parse error"),
        (b"\xff\xfe", 400, "Parse error"),
        (b"{}", 400, "Invalid Request"),
        (b"[]", 400, "Batches"),
        (br#"[{"jsonrpc":"2.0","id":1,"method":"ping"}]"#, 400, "Batches"),
        (br#"{"jsonrpc":"2.0","id":1,"method":"ping","method":"ping"}"#, 400, "Parse error"),
        (br#"{"jsonrpc":"2.0","id":1,"method":"ping"}{}"#, 400, "Parse error"),
        (
            br#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"yes","Name":"no"}}"#,
            400,
            "Invalid params",
        ),
    ] {
        let answer = match body {
            b"" => all.envoy.call(b"POST", b"/mcp", &ann, b"").await,
            body => all.post("/mcp", &ann, body).await,
        };
        assert_eq!(answer.status, status, "{}: {answer:?}", String::from_utf8_lossy(body));
        assert!(answer.body.contains(said), "{answer:?}");
    }
    let deep = format!("{}1{}", "[".repeat(50_000), "]".repeat(50_000));
    assert_eq!(all.post("/mcp", &ann, deep.as_bytes()).await.status, 400);
    // What the head says, the body has to say.
    let other = format!("{ann}mcp-name: no\r\n");
    let answer = all.message("/mcp", &other, "tools/call", json!({ "name": "yes" })).await;
    assert_eq!((answer.status, answer.body.contains("Header mismatch")), (400, true));
    assert!(all.upstream.arrived().is_empty(), "{:?}", all.upstream.arrived());
}

/// What a server of tools lists.
fn list(cursor: &str) -> Value {
    json!({ "jsonrpc": "2.0", "id": 7, "result": {
        "nextCursor": cursor,
        "tools": [
            { "name": "no", "description": "hidden" },
            { "name": "yes", "description": "shown" },
            { "title": "without a name" },
            { "name": "pay", "inputSchema": {} },
        ],
    } })
}

fn names(seen: &Value) -> Vec<&str> {
    let tools = seen["result"]["tools"].as_array().unwrap();
    tools.iter().map(|tool| tool["name"].as_str().unwrap()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_list_of_json_shows_what_may_be_seen() {
    let all = before(
        Upstream::start(|arrived| {
            assert_eq!(arrived.header("accept-encoding"), None);
            let mut reply = Reply::ok("application/json; charset=utf-8", list("next").to_string());
            // In pieces, which is how large ones come.
            let body = reply.pieces.concat();
            if arrived.header("x-pieces").is_some() {
                reply.pieces = body.chunks(10).map(<[u8]>::to_vec).collect();
            }
            reply
        })
        .await,
    )
    .await;
    for headers in ["", "x-pieces: 1\r\n", "accept-encoding: gzip, br\r\n"] {
        let ann = format!("{}{headers}", bearer("ann"));
        let answer = all.message("/mcp", &ann, "tools/list", json!({})).await;
        assert_eq!(answer.status, 200, "{answer:?}");
        let seen = parsed(&answer);
        assert_eq!(names(&seen), ["yes", "pay"], "in order");
        assert_eq!(seen["result"]["nextCursor"], "next");
        assert_eq!(seen["result"]["cacheScope"], "private");
        let bob = format!("{}{headers}", bearer("bob"));
        let seen = parsed(&all.message("/mcp", &bob, "tools/list", json!({})).await);
        assert_eq!(names(&seen), [""; 0], "{seen}");
    }
    // Who may not connect sees no list at all.
    let arrived = all.upstream.arrived().len();
    assert!(all.message("/mcp", "", "tools/list", json!({})).await.body.contains("no_principal"));
    assert_eq!(all.upstream.arrived().len(), arrived);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_shows_what_may_be_seen_event_by_event() {
    let all = before(
        Upstream::start(|_| {
            let progress = r#"{"jsonrpc":"2.0","method":"notifications/progress","params":{}}"#;
            let events = format!(
                "id: 1\r\ndata: {progress}\r\n\r\ndata: {}\r\n\r\ndata: cut off",
                list("c")
            );
            let mut reply = Reply::ok("text/event-stream", "");
            reply.pieces = events.as_bytes().chunks(7).map(<[u8]>::to_vec).collect();
            reply
        })
        .await,
    )
    .await;
    for (who, shown) in [("ann", vec!["yes", "pay"]), ("bob", vec![])] {
        let calls = [
            all.message("/mcp", &bearer(who), "tools/list", json!({})).await,
            // A stream that answers no request may have lists in it all the same.
            all.get("/mcp", &bearer(who)).await,
        ];
        for answer in calls {
            let data: Vec<Value> = answer
                .body
                .lines()
                .filter_map(|line| {
                    Some(serde_json::from_str(line.strip_prefix("data: ")?).unwrap())
                })
                .collect();
            assert_eq!(data.len(), 2, "{answer:?}");
            assert_eq!(data[0]["method"], "notifications/progress");
            assert_eq!(names(&data[1]), shown, "{who}");
            assert!(!answer.body.contains("hidden") && !answer.body.contains("cut off"));
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_list_that_can_be_read_is_an_empty_one() {
    let table: [(&str, fn() -> Reply); 9] = [
        ("/html", || Reply::ok("text/html", list("c").to_string())),
        ("/no-type", || Reply { headers: Vec::new(), ..Reply::ok("", list("c").to_string()) }),
        ("/packed", || {
            let mut reply = Reply::ok("application/json", list("c").to_string());
            reply.headers.push(("content-encoding", "gzip".to_owned()));
            reply
        }),
        ("/cut", || {
            let mut text = list("c").to_string();
            text.truncate(text.len() - 1);
            Reply::ok("application/json", text)
        }),
        ("/twice", || {
            let text = list("c").to_string().replace("\"nextCursor\"", "\"tools\"");
            Reply::ok("application/json", text)
        }),
        ("/error", || Reply {
            status: "500 Internal Server Error",
            ..Reply::ok("text/plain", list("c").to_string())
        }),
        ("/error-json", || Reply {
            status: "404 Not Found",
            ..Reply::ok("application/json", list("c").to_string())
        }),
        ("/large", || {
            let text = list(&"c".repeat(600_000)).to_string();
            Reply::ok("application/json", text)
        }),
        ("/event", || Reply::ok("text/event-stream", format!("data: x{}\n\n", list("c")))),
    ];
    let all = before(
        Upstream::start(move |arrived| {
            let wanted = arrived.header("x-wanted").unwrap_or_default();
            table.iter().find(|(name, _)| *name == wanted).unwrap().1()
        })
        .await,
    )
    .await;
    for (name, reply) in table {
        let headers = format!("{}x-wanted: {name}\r\n", bearer("ann"));
        let answer = all.message("/mcp", &headers, "tools/list", json!({})).await;
        assert!(!answer.body.contains("hidden"), "{name}: {answer:?}");
        let status = reply().status;
        assert!(status.starts_with(&answer.status.to_string()), "{name}: {answer:?}");
        let text = answer.body.strip_prefix("data: ").unwrap_or(&answer.body);
        let seen: Value = serde_json::from_str(text).unwrap();
        match name {
            // Readable, whatever its status: what may be seen of it.
            "/error-json" => assert_eq!(names(&seen), ["yes", "pay"]),
            _ => assert_eq!((seen["id"].as_i64(), names(&seen)), (Some(7), vec![]), "{name}"),
        }
    }
    // The proxy's own words are no list either.
    let Filtered { envoy, upstream } = all;
    drop(upstream);
    let ask = json!({ "jsonrpc": "2.0", "id": 7, "method": "tools/list" }).to_string();
    let headers = format!("{}content-type: application/json\r\n", bearer("ann"));
    let answer = envoy.call(b"POST", b"/mcp", &headers, ask.as_bytes()).await;
    assert_eq!((answer.status, names(&parsed(&answer))), (503, vec![]), "{answer:?}");
}
