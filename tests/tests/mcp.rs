//! Messages of the Model Context Protocol: examples that nobody here wrote, what they ask through a sidecar, and what
//! their callers are told.
#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "test code fails loudly")]

use std::collections::BTreeMap;
use std::sync::Arc;

use pdp_core::json::Arena;
use pdp_core::{
    Bundle, Datetime, DecideOptions, Decider, LoadLimits, Request, Scratch, Uid, Value as Datum,
};
use pdp_edge::mcp::{About, List, ListFilter, Message, SseFilter, Unread, item};
use pdp_tests::check::{Check, Client};
use pdp_tests::served::{self, Served};
use pdp_tests::{desk, parts};
use serde_json::{Value, json};

const VERSION: &str = "2026-07-28";

/// Headers that agree with a message of revision 2026-07-28.
fn headers(method: &str, name: Option<&str>) -> Vec<(String, String)> {
    let mut headers = vec![
        ("content-type", "application/json"),
        ("mcp-protocol-version", VERSION),
        ("mcp-method", method),
    ];
    headers.extend(name.map(|name| ("mcp-name", name)));
    headers.into_iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
}

fn read<'a>(
    headers: &[(String, String)],
    body: &'a [u8],
    arena: &'a Arena,
) -> Result<Message<'a>, Unread<'a>> {
    let headers: Vec<(&[u8], &[u8])> =
        headers.iter().map(|(name, value)| (name.as_bytes(), value.as_bytes())).collect();
    Message::read("POST", &headers, Some(body), arena)
}

/// Examples of the protocol's types, by type; `None`, and said so, where they are not and need not be.
fn examples() -> Option<BTreeMap<String, Vec<Value>>> {
    let folder = parts::examples("MCP_DATA", "mcp")?.join("schema/2026-07-28/examples");
    let types = std::fs::read_dir(folder).unwrap();
    let mut examples: BTreeMap<String, Vec<Value>> = BTreeMap::new();
    for of in types {
        let of = of.unwrap();
        for file in std::fs::read_dir(of.path()).unwrap() {
            let text = std::fs::read_to_string(file.unwrap().path()).unwrap();
            let name = of.file_name().into_string().unwrap();
            examples.entry(name).or_default().push(serde_json::from_str(&text).unwrap());
        }
    }
    Some(examples)
}

#[test]
fn examples_of_what_clients_send_are_about_what_they_name() {
    let Some(examples) = examples() else { return };
    let table = [
        ("CallToolRequest", About::Tool("get_weather"), true),
        ("ListToolsRequest", About::Server, false),
        ("ListResourcesRequest", About::Server, false),
        ("ListResourceTemplatesRequest", About::Server, false),
        ("ListPromptsRequest", About::Server, false),
        ("ReadResourceRequest", About::Resource("file:///project/src/main.rs"), true),
        ("GetPromptRequest", About::Prompt("code_review"), true),
        ("CompleteRequest", About::Prompt("code_review"), false),
        ("DiscoverRequest", About::Server, false),
        ("SubscriptionsListenRequest", About::Resource("file:///project/config.json"), false),
        ("CancelledNotification", About::Server, false),
        ("ProgressNotification", About::Server, false),
    ];
    for (of, about, is_named) in table {
        for example in &examples[of] {
            let body = example.to_string();
            let method = example["method"].as_str().unwrap();
            let (good, arena) = (headers(method, about.name().filter(|_| is_named)), Arena::new());
            let message = read(&good, body.as_bytes(), &arena).unwrap();
            assert_eq!((message.about, message.method), (about, method), "{body}");
            assert_eq!(message.id.map(str::to_owned), example.get("id").map(Value::to_string));
            let arguments = example["params"].get("arguments").map(Value::to_string);
            assert_eq!(message.arguments.map(str::to_owned), arguments);
            // Each header is needed, and has to say the same.
            for at in 0..good.len() {
                for change in [None, Some("x".to_owned())] {
                    let mut bad = good.clone();
                    match change {
                        Some(value) => bad[at].1 = value,
                        None => _ = bad.remove(at),
                    }
                    // A notification names its revision in the head alone.
                    let older = bad.iter().all(|(name, _)| name != "mcp-protocol-version");
                    let fault = read(&bad, body.as_bytes(), &arena).err().map(|it| it.fault);
                    assert_eq!(
                        fault.is_none(),
                        older && example.get("id").is_none(),
                        "{bad:?} {body}"
                    );
                }
            }
        }
    }
    // What a server asks, no client sends.
    for of in ["CreateMessageRequest", "ElicitRequest", "ListRootsRequest"] {
        for example in &examples[of] {
            let (body, arena) = (example.to_string(), Arena::new());
            let good = headers(example["method"].as_str().unwrap(), None);
            assert!(read(&good, body.as_bytes(), &arena).is_err(), "{body}");
        }
    }
}

#[test]
fn examples_of_lists_are_filtered_whole_and_as_a_stream() {
    let Some(examples) = examples() else { return };
    for (of, method, member) in [
        ("ListToolsResultResponse", "tools/list", "tools"),
        ("ListResourcesResultResponse", "resources/list", "resources"),
        ("ListResourceTemplatesResultResponse", "resources/templates/list", "resourceTemplates"),
        ("ListPromptsResultResponse", "prompts/list", "prompts"),
    ] {
        let request = json!({ "jsonrpc": "2.0", "id": 1, "method": method, "params": {
            "_meta": { "io.modelcontextprotocol/protocolVersion": VERSION } } });
        let (request, arena) = (request.to_string(), Arena::new());
        let message = read(&headers(method, None), request.as_bytes(), &arena).unwrap();
        let filter = ListFilter::new(&message, 1_000).unwrap();
        for example in &examples[of] {
            let body = serde_json::to_string_pretty(example).unwrap();
            for all in [true, false] {
                let mut expected = example.clone();
                let result = &mut expected["result"];
                result["cacheScope"] = json!("private");
                if result.get("ttlMs").is_some() {
                    result["ttlMs"] = json!(1_000);
                }
                assert!(!result[member].as_array().unwrap().is_empty(), "{of}");
                if !all {
                    result[member] = json!([]);
                }
                let seen = filter.body(body.as_bytes(), &mut |_| all);
                assert_eq!(serde_json::from_str::<Value>(&seen).unwrap(), expected);

                let stream = body.lines().map(|line| format!("data: {line}\r\n"));
                let stream = format!("id: 1\r\n{}\r\n", stream.collect::<String>());
                let mut sse = SseFilter::new(filter.clone());
                let seen = sse.feed(stream.as_bytes(), &mut |_| all);
                let seen = String::from_utf8(seen).unwrap();
                let data: String =
                    seen.lines().filter_map(|line| line.strip_prefix("data: ")).collect();
                assert_eq!(serde_json::from_str::<Value>(&data).unwrap(), expected);
                assert!(seen.starts_with("id: 1\n") && seen.ends_with("\n\n"), "{seen}");
            }
        }
    }
}

// === through a sidecar ===

/// 2026-06-01T12:00:00Z, when the cases of the examples take place.
const NOW: i64 = 1_780_315_200;

/// An agent's message on behalf of somebody to a server of the example.
fn agent(agent: &str, person: &str, server: &str) -> Check {
    Check {
        source_principal: format!("spiffe://agents.meridian.example/{agent}"),
        ..Check::get(&format!("/mcp/{server}"))
    }
    .claims(json!({
        "sub": person,
        "iat": NOW - 60,
        "aud": format!("https://{server}.mcp.example"),
        "scope": "tools:read tools:write",
    }))
}

#[tokio::test]
async fn what_a_message_says_is_what_is_asked() {
    let served = Served::start(served::bundle("agent-tools"), Datetime(NOW * 1_000), |config| {
        config.trust_delegation = true;
    });
    let client = &mut Client::connect(&served).await;
    let crm = || agent("crm-bot", "alice", "crm");
    let tool = |name: &str| json!({ "name": name, "arguments": {} });
    let with = |header: (&str, &str)| {
        crm().message("tools/call", tool("search")).header(header.0, header.1)
    };
    let raw = |body: &[u8]| Check { body: body.to_vec(), ..crm().message("ping", json!({})) };
    let batch = br#"[{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"search"}}]"#;
    let twice = br#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"search","name":"get_contract"}}"#;
    let body_alone = Check { method: "POST".to_owned(), ..crm() };
    let stream = |method: &str| Check { method: method.to_owned(), ..crm() };
    let table = [
        (crm().message("tools/call", tool("search")), "permitted"),
        // Above the agent's ceiling, unknown, and of another server by its name.
        (crm().message("tools/call", tool("get_contract")), "forbidden"),
        (crm().message("tools/call", tool("nothing")), "policy_error"),
        (crm().message("tools/call", tool("../pay/list_payments")), "policy_error"),
        (
            agent("crm-bot", "farah", "crm").message("tools/call", tool("search")),
            "delegator_not_permitted",
        ),
        (crm().message("tools/list", json!({})), "permitted"),
        (crm().message("initialize", json!({})), "permitted"),
        (crm().message("ping", json!({})), "permitted"),
        (
            crm().message(
                "completion/complete",
                json!({ "ref": { "type": "ref/prompt", "name": "summarise_account" } }),
            ),
            "permitted",
        ),
        (
            agent("crm-bot", "farah", "crm")
                .message("resources/read", json!({ "uri": "accounts/tallis" })),
            "delegator_not_permitted",
        ),
        (
            agent("crm-bot", "bruno", "crm")
                .message("resources/read", json!({ "uri": "accounts/tallis" })),
            "permitted",
        ),
        (
            agent("crm-bot", "bruno", "crm")
                .message("resources/subscribe", json!({ "uri": "accounts/tallis/renewal" })),
            "forbidden",
        ),
        (crm().message("tasks/get", json!({ "taskId": "t" })), "mcp_unmapped"),
        (crm().message("tools/delete", json!({})), "mcp_method"),
        (agent("crm-bot", "alice", "notes").message("initialize", json!({})), "forbidden"),
        (raw(br#"{"jsonrpc":"2.0","method":"notifications/initialized"}"#), "permitted"),
        (raw(br#"{"jsonrpc":"2.0","id":3,"result":{"roots":[]}}"#), "permitted"),
        (stream("GET"), "permitted"),
        (stream("DELETE"), "permitted"),
        (stream("PUT"), "mcp_http_method"),
        (stream("GET").header("mcp-protocol-version", VERSION), "mcp_http_method"),
        // What is no message.
        (body_alone, "mcp_content_type"),
        (raw(b""), "mcp_json"),
        (raw(b"{"), "mcp_json"),
        (raw(b"\xff"), "mcp_json"),
        (raw(batch), "mcp_batch"),
        (raw(twice), "mcp_json"),
        (raw(b"{}"), "mcp_message"),
        (crm().message("tools/call", json!({})), "mcp_params"),
        (with(("mcp-name", "get_contact")), "mcp_headers"),
        (with(("mcp-protocol-version", "2025-11-25")), "mcp_headers"),
        (with(("x-envoy-auth-partial-body", "true")), "body_unreadable"),
        (with(("pdp.tool", "get_contract")), "permitted"),
        (
            crm().message("ping", json!({})).extension("pdp.action", "Action::\"x\""),
            "unknown_extension",
        ),
        (
            Check {
                source_principal: String::new(),
                ..crm().message("tools/call", tool("search"))
            },
            "no_principal",
        ),
    ];
    for (call, cause) in table {
        let told = client.ask(&call).await;
        let body = String::from_utf8_lossy(&call.body).into_owned();
        assert_eq!(
            (told.cause(), told.allowed),
            (cause, cause == "permitted"),
            "{body} {:?}",
            call.headers
        );
        if !told.allowed && cause != "body_unreadable" {
            assert_eq!(told.headers, [("content-type".to_owned(), "application/json".to_owned())]);
            let said: Value = serde_json::from_str(&told.body).unwrap();
            assert_eq!(
                (said["jsonrpc"].as_str(), said["error"]["code"].is_i64()),
                (Some("2.0"), true),
                "{said}"
            );
        }
    }
    served.stop().await;
}

#[test]
fn a_list_shows_what_the_same_policies_let_be_seen() {
    let decider = Decider::new(served::bundle("agent-tools"));
    let mcp = decider.bundle().unwrap().routes().unwrap().mcp.as_ref().unwrap();
    let arena = Arena::new();
    let shown = |server: &str, list: List, names: &[&str], person: &str, bot: &str| {
        let mut scratch = Scratch::new();
        let mut seen = Vec::new();
        for name in names {
            let (action, resource) = item(mcp, server, list, name, &arena).unwrap();
            let audience = format!("https://{server}.mcp.example");
            let context = [
                ("tokenIssuedAt", Datum::Datetime(Datetime(NOW * 1_000))),
                ("audience", Datum::String(&audience)),
            ];
            let mut request =
                Request::new(Uid::new("Agentic::Agent", bot), action, resource, &context);
            request.on_behalf_of = Some(Uid::new("Agentic::User", person));
            request.now = Some(Datetime(NOW * 1_000));
            if decider.decide_with(&mut scratch, &request, &DecideOptions::STANDARD).is_allowed() {
                seen.push((*name).to_owned());
            }
        }
        seen
    };
    let crm = ["search", "get_contact", "get_contract", "nothing"];
    assert_eq!(shown("crm", List::Tools, &crm, "alice", "crm-bot"), ["search", "get_contact"]);
    assert_eq!(shown("crm", List::Tools, &crm, "farah", "crm-bot"), [""; 0]);
    // What takes an approval to be called, and has an action of its own, may be seen.
    let pay = ["transfer_funds", "list_payments"];
    assert_eq!(shown("pay", List::Tools, &pay, "chen", "pay-bot"), pay);
    let files = ["accounts/tallis", "accounts/tallis/renewal", "accounts/{x}"];
    assert_eq!(shown("crm", List::Resources, &files, "bruno", "crm-bot"), ["accounts/tallis"]);
    assert_eq!(shown("crm", List::Templates, &files, "bruno", "crm-bot"), ["accounts/tallis"]);
    let prompts = ["summarise_account", "board_brief"];
    assert_eq!(shown("crm", List::Prompts, &prompts, "alice", "crm-bot"), ["summarise_account"]);
}

#[tokio::test]
async fn a_tool_with_an_action_of_its_own_is_judged_by_its_arguments() {
    let served = Served::start(served::bundle("agent-tools"), Datetime(NOW * 1_000), |config| {
        config.trust_delegation = true;
    });
    let client = &mut Client::connect(&served).await;
    let pay = |input: Value| {
        let params = json!({ "name": "transfer_funds", "arguments": input });
        agent("pay-bot", "chen", "pay").message("tools/call", params)
    };
    let input = |amount: Value| json!({ "amount": amount, "currency": "USD", "to": "acme" });
    let mut more = input(json!(5));
    more["limit"] = json!(1_000_000);
    let no_arguments =
        agent("pay-bot", "chen", "pay").message("tools/call", json!({ "name": "transfer_funds" }));
    // The tool is destructive, which takes an approval that no call carries: so what is permitted by its arguments is
    // stopped by the guardrail, and what is not does not get as far.
    let table = [
        (pay(input(json!(5))), "forbidden"),
        (pay(more), "mcp_arguments"),
        (pay(input(json!("5"))), "invalid_request"),
        (pay(input(json!(5.5))), "mcp_arguments"),
        (pay(input(json!(null))), "mcp_arguments"),
        (pay(json!({})), "mcp_arguments"),
        (no_arguments, "mcp_arguments"),
    ];
    for (call, cause) in table {
        let told = client.ask(&call).await;
        assert_eq!(told.cause(), cause, "{}", String::from_utf8_lossy(&call.body));
        // The server hides what is denied, whatever was in the way.
        let body = json!({ "jsonrpc": "2.0", "id": 7, "error": {
            "code": -32602, "message": "Unknown tool: transfer_funds" } });
        let said: Value = serde_json::from_str(&told.body).unwrap();
        assert_eq!((told.status, said), (200, body));
    }
    served.stop().await;
}

const TYPED: &str = r#"
namespace Srv::copy {
  entity Mode enum ["fast", "slow"];
}
namespace Srv {
  entity User;
  entity Server;
  type Input = {
    rate?: decimal,
    at?: datetime,
    from?: ipaddr,
    mode?: Srv::copy::Mode,
    owner?: User,
    tags?: Set<String>,
    count?: Long,
    deep?: { flag: Bool },
  };
  action call appliesTo { principal: User, resource: Server, context: {} };
  action "copy" in [call] appliesTo { principal: User, resource: Server, context: { input: Input } };
  action "list" appliesTo { principal: User, resource: Server, context: {} };
}
"#;

const TYPED_POLICY: &str = r#"
@id("list") permit(principal, action == Srv::Action::"list", resource);
@id("plain") permit(principal, action == Srv::Action::"call", resource == Srv::Server::"s/plain");
@id("rate") permit(principal, action == Srv::Action::"copy", resource)
when { context.input has rate && context.input.rate.lessThan(decimal("1.5")) };
@id("at") permit(principal, action == Srv::Action::"copy", resource)
when { context.input has at && context.input.at < datetime("2026-01-01") };
@id("from") permit(principal, action == Srv::Action::"copy", resource)
when { context.input has from && context.input.from.isInRange(ip("10.0.0.0/8")) };
@id("mode") permit(principal, action == Srv::Action::"copy", resource)
when { context.input has mode && context.input.mode == Srv::copy::Mode::"fast" };
@id("owner") permit(principal, action == Srv::Action::"copy", resource)
when { context.input has owner && context.input.owner == principal };
@id("tags") permit(principal, action == Srv::Action::"copy", resource)
when { context.input has tags && context.input.tags.contains("x") };
@id("deep") permit(principal, action == Srv::Action::"copy", resource)
when { context.input has deep && context.input.deep.flag };
"#;

const TYPED_ROUTES: &str = r#"
[[principal]]
claim = { namespace = "envoy.filters.http.jwt_authn", payload = "jwt", name = "sub" }
entity = 'Srv::User::"{value}"'

[mcp.server]
action = 'Srv::Action::"list"'
entity = 'Srv::Server::"{server}"'

[mcp.tool]
action = 'Srv::Action::"call"'
own = 'Srv::Action::"{name}"'
input = "input"
entity = 'Srv::Server::"{server}/{name}"'

[[route]]
path = "/mcp"
mcp = { server = "s", deny = { mode = "tool-error" } }
"#;

#[tokio::test]
async fn arguments_are_of_the_types_that_the_schema_says() {
    let files = [
        ("bundle.toml", "name = \"typed\"\nrevision = 1\nentities_complete = false\n"),
        ("schema.cedarschema", TYPED),
        ("p.cedar", TYPED_POLICY),
        ("routes.toml", TYPED_ROUTES),
    ];
    let bundle = Bundle::load(&desk::compile(&files).unwrap(), &LoadLimits::STANDARD).unwrap();
    let served = Served::start(Arc::new(bundle), Datetime(0), |_| {});
    let client = &mut Client::connect(&served).await;
    let call = |name: &str, arguments: &str| {
        let mut check =
            Check::get("/mcp").claims(json!({ "sub": "ann" })).message("ping", json!({}));
        check.body = format!(
            r#"{{"jsonrpc":"2.0","id":7,"method":"tools/call","params":{{"name":"{name}","arguments":{arguments}}}}}"#
        )
        .into_bytes();
        check
    };
    for (arguments, cause) in [
        (r#"{"rate":1.4999}"#, "permitted"),
        (r#"{"rate":1}"#, "permitted"),
        (r#"{"rate":-0.5}"#, "permitted"),
        (r#"{"rate":"1.25"}"#, "permitted"),
        (r#"{"rate":1.5}"#, "not_permitted"),
        (r#"{"rate":1e0}"#, "mcp_arguments"),
        (r#"{"rate":1.00001}"#, "mcp_arguments"),
        (r#"{"rate":{"__extn":{"fn":"decimal","arg":"1.0"}}}"#, "mcp_arguments"),
        (r#"{"at":"2025-12-31T23:59:59Z"}"#, "permitted"),
        (r#"{"at":"2026-12-31"}"#, "not_permitted"),
        (r#"{"at":"yesterday"}"#, "mcp_arguments"),
        (r#"{"at":1}"#, "mcp_arguments"),
        (r#"{"from":"10.1.2.3"}"#, "permitted"),
        (r#"{"from":"11.1.2.3"}"#, "not_permitted"),
        (r#"{"mode":"fast"}"#, "permitted"),
        (r#"{"mode":"slow"}"#, "not_permitted"),
        (r#"{"mode":"other"}"#, "invalid_request"),
        (r#"{"mode":{"type":"Srv::copy::Mode","id":"fast"}}"#, "mcp_arguments"),
        (r#"{"owner":"ann"}"#, "permitted"),
        (r#"{"owner":"bob"}"#, "not_permitted"),
        (r#"{"owner":{"__entity":{"type":"Srv::User","id":"ann"}}}"#, "mcp_arguments"),
        (r#"{"tags":["y","x"]}"#, "permitted"),
        (r#"{"tags":"x"}"#, "mcp_arguments"),
        (r#"{"tags":[1]}"#, "invalid_request"),
        (r#"{"deep":{"flag":true}}"#, "permitted"),
        (r#"{"deep":{"flag":true,"flog":false}}"#, "mcp_arguments"),
        (r#"{"deep":{}}"#, "mcp_arguments"),
        (r#"{"count":true}"#, "invalid_request"),
        (r#"{"Rate":1.0}"#, "mcp_arguments"),
        ("{}", "not_permitted"),
    ] {
        let told = client.ask(&call("copy", arguments)).await;
        assert_eq!((told.cause(), told.allowed), (cause, cause == "permitted"), "{arguments}");
        if !told.allowed {
            let said: Value = serde_json::from_str(&told.body).unwrap();
            let text = said["result"]["content"][0]["text"].as_str().unwrap();
            assert_eq!((told.status, said["result"]["isError"].as_bool()), (200, Some(true)));
            assert!(text.contains(cause) && text.contains(told.id()), "{text}");
        }
    }
    // Where nothing is typed, arguments are what they are; a name that is that of an action is not thereby that action.
    let anything = r#"{"a":[1.5,null],"__entity":{"type":"Srv::User","id":"ann"}}"#;
    assert_eq!(client.ask(&call("plain", anything)).await.cause(), "permitted");
    assert_eq!(client.ask(&call("list", "{}")).await.cause(), "not_permitted");
    served.stop().await;
}
