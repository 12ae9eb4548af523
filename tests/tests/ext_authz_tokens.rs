//! What tokens say, over gRPC as a proxy hands it on: claims in contexts, scopes, and the examples that go by both.
#![expect(clippy::unwrap_used, reason = "test code fails loudly")]

use std::sync::Arc;

use pdp_core::{Bundle, Datetime, LoadLimits};
use pdp_tests::check::{Check, Client};
use pdp_tests::desk;
use pdp_tests::served::{self, Served};
use serde_json::{Value, json};

const MANIFEST: &str = r#"
name = "edge"
revision = 1
entities_complete = false
[context]
delegation = "delegation"
"#;

const ROUTES: &str = r#"
resource = 'Doc::"{path}"'
action = 'Action::"{id}"'

[[principal]]
claim = { namespace = "envoy.filters.http.jwt_authn", payload = "jwt", name = "sub" }
entity = 'User::"{value}"'

[scopes]
claim = { namespace = "envoy.filters.http.jwt_authn", payload = "jwt", name = "scope" }

[context]
level = { claim = { namespace = "envoy.filters.http.jwt_authn", payload = "jwt", name = "level" } }
groups = { claim = { namespace = "envoy.filters.http.jwt_authn", payload = "jwt", name = "groups" } }
issued = { claim_time = { namespace = "envoy.filters.http.jwt_authn", payload = "jwt", name = "iat" } }

[[route]]
path = "/{id}"
"#;

const POLICY: &str = r#"
@id("level") permit(principal, action == Action::"level", resource) when { context.level > 2 };
@id("groups") permit(principal, action == Action::"groups", resource)
when { context.groups.containsAny(["staff", "admins"]) };
@id("issued") permit(principal, action == Action::"issued", resource)
when { context.issued >= datetime("2026-06-01T12:00:00Z") };
@id("write") permit(principal, action == Action::"write", resource)
when { context.delegation.scopes.contains("docs:write") };
@id("count") permit(principal, action == Action::"none", resource)
when { context.delegation.scopes.isEmpty() };
"#;

fn start(trusting: bool) -> Served {
    let files = [("bundle.toml", MANIFEST), ("p.cedar", POLICY), ("routes.toml", ROUTES)];
    let bundle = Bundle::load(&desk::compile(&files).unwrap(), &LoadLimits::STANDARD).unwrap();
    Served::start(Arc::new(bundle), Datetime(0), |config| config.trust_delegation = trusting)
}

/// Ann's calls, each with a claim, and what becomes of them.
async fn asked(trusting: bool, table: &[(&str, &str, Value, &str)]) {
    let served = start(trusting);
    let client = &mut Client::connect(&served).await;
    for (action, claim, value, cause) in table {
        let mut claims = json!({ "sub": "ann" });
        claims.as_object_mut().unwrap().insert((*claim).to_owned(), value.clone());
        let told = client.ask(&Check::get(&format!("/{action}")).claims(claims)).await;
        assert_eq!(told.cause(), *cause, "{action} {claim}: {value}");
        assert_eq!(told.allowed, *cause == "permitted", "{action} {claim}: {value}");
    }
    served.stop().await;
}

#[tokio::test]
async fn a_claim_that_is_an_integer_is_one_in_policies() {
    let case = |level, cause| ("level", "level", level, cause);
    let table = [
        case(json!(3), "permitted"),
        case(json!(2), "not_permitted"),
        case(json!(2.5), "identity_malformed"),
        case(json!(1e300), "identity_malformed"),
        case(json!([3]), "identity_malformed"),
    ];
    asked(false, &table).await;
}

#[tokio::test]
async fn a_claim_that_is_a_list_of_texts_is_a_set_in_policies() {
    let case = |groups, cause| ("groups", "groups", groups, cause);
    let table = [
        case(json!(["all", "staff"]), "permitted"),
        case(json!(["staff", "staff"]), "permitted"),
        case(json!(["all"]), "not_permitted"),
        case(json!([]), "not_permitted"),
        // One text is no set, and a policy that takes it for one cannot be evaluated.
        case(json!("staff"), "not_permitted"),
        case(json!(["staff", null]), "identity_malformed"),
        case(json!(["staff", 1]), "identity_malformed"),
        case(json!([["staff"]]), "identity_malformed"),
        case(json!({ "staff": "staff" }), "identity_malformed"),
    ];
    asked(false, &table).await;
}

#[tokio::test]
async fn a_claim_in_seconds_is_a_point_in_time() {
    let case = |issued, cause| ("issued", "iat", issued, cause);
    let table = [
        case(json!(1_780_315_200), "permitted"),
        case(json!(1_780_315_199), "not_permitted"),
        case(json!(-1), "not_permitted"),
        case(json!(253_402_300_799_i64), "permitted"),
        // Whoever counts milliseconds does not get a token that is newer than any.
        case(json!(1_780_315_200_000_i64), "identity_malformed"),
        case(json!(1_780_315_200.5), "identity_malformed"),
        case(json!("1780315200"), "identity_malformed"),
        case(json!("2026-06-01T12:00:00Z"), "identity_malformed"),
        case(json!([1_780_315_200]), "identity_malformed"),
        case(json!(null), "identity_malformed"),
        // Without it there is no time, and policies do without.
        ("issued", "exp", json!(1_780_315_200), "not_permitted"),
    ];
    asked(false, &table).await;
}

#[tokio::test]
async fn scopes_are_those_of_a_verified_claim_in_either_way_to_write_them() {
    let case = |action, scope, cause| (action, "scope", scope, cause);
    let table = [
        case("write", json!("docs:write"), "permitted"),
        case("write", json!("openid docs:write profile"), "permitted"),
        case("write", json!(["openid", "docs:write"]), "permitted"),
        case("write", json!("docs:read"), "not_permitted"),
        case("write", json!(["docs:writer", "docs"]), "not_permitted"),
        // Only that claim holds scopes.
        ("write", "scp", json!("docs:write"), "not_permitted"),
        ("none", "scp", json!("docs:write"), "permitted"),
        case("none", json!(""), "permitted"),
        case("none", json!([]), "permitted"),
        case("none", json!("docs:write"), "not_permitted"),
        // What is no list of names is not put right.
        case("write", json!(" docs:write"), "scopes_malformed"),
        case("write", json!("docs:write  openid"), "scopes_malformed"),
        case("write", json!("docs:write\topenid"), "scopes_malformed"),
        case("write", json!("docs:write \"openid\""), "scopes_malformed"),
        case("write", json!("docs:write caf\u{e9}"), "scopes_malformed"),
        case("write", json!(["docs:write openid"]), "scopes_malformed"),
        case("write", json!(["docs:write", ""]), "scopes_malformed"),
        case("write", json!(["docs:write", 7]), "scopes_malformed"),
        case("write", json!(["docs:write", ["docs:write"]]), "scopes_malformed"),
        case("write", json!({ "docs:write": true }), "scopes_malformed"),
        case("write", json!(true), "scopes_malformed"),
        case("none", json!(7), "scopes_malformed"),
        case("none", json!(null), "scopes_malformed"),
    ];
    asked(true, &table).await;
}

#[tokio::test]
async fn scopes_that_a_caller_may_not_state_deny() {
    let case = |action, scope, cause| (action, "scope", scope, cause);
    let table = [
        case("write", json!("docs:write"), "invalid_request"),
        case("none", json!("docs:write"), "invalid_request"),
        // Nothing is stated here.
        case("none", json!(""), "permitted"),
        ("none", "other", json!("docs:write"), "permitted"),
    ];
    asked(false, &table).await;
}

/// 2026-06-01T12:00:00Z, when the cases of the examples take place.
const NOW: i64 = 1_780_315_200;

/// Calls to an example in `policies`, and what becomes of them.
async fn example(folder: &str, table: &[(Check, &str)]) {
    let served = Served::start(served::bundle(folder), Datetime(NOW * 1_000), |config| {
        config.trust_delegation = true;
    });
    let client = &mut Client::connect(&served).await;
    for (call, cause) in table {
        let told = client.ask(call).await;
        assert_eq!((told.cause(), told.allowed), (*cause, *cause == "permitted"), "{call:?}");
    }
    served.stop().await;
}

fn posted(check: Check) -> Check {
    Check { method: "POST".to_owned(), ..check }
}

#[tokio::test]
async fn services_and_customers_get_through_the_example_of_a_shop() {
    let service = |name: &str, target: &str| Check {
        source_principal: format!("spiffe://shop.example/{name}"),
        source_ip: "10.1.4.7".to_owned(),
        ..Check::get(target)
    };
    let daily = |check: Check| check.extension("cert_lifetime", "24h");
    let items = || service("storefront", "/catalogue/items?page=2");
    let order = |claims| daily(service("gateway", "/orders/77")).claims(claims);
    let buy = |scope| {
        let claims = json!({ "sub": "cust-881", "scope": scope });
        posted(daily(service("gateway", "/orders")).claims(claims))
    };
    let table = [
        (daily(items()), "permitted"),
        (items(), "forbidden"),
        (items().extension("cert_lifetime", "720h"), "forbidden"),
        // What a client says is not what the operator says.
        (
            items().header("cert_lifetime", "24h").claims(json!({ "cert_lifetime": "24h" })),
            "forbidden",
        ),
        (Check { method: "DELETE".to_owned(), ..daily(items()) }, "not_permitted"),
        (order(json!({ "sub": "cust-881" })), "permitted"),
        (order(json!({ "sub": "cust-902" })), "delegator_not_permitted"),
        // A session that was opened for browsing buys nothing.
        (buy(json!("shop:read shop:write")), "permitted"),
        (buy(json!(["shop:write"])), "permitted"),
        (buy(json!("shop:read")), "delegator_not_permitted"),
        (buy(json!("")), "delegator_not_permitted"),
        (buy(json!("shop:read,shop:write")), "delegator_not_permitted"),
        (buy(json!("shop:read  shop:write")), "scopes_malformed"),
        (buy(json!("shop:read")).header("scope", "shop:write"), "delegator_not_permitted"),
    ];
    example("routes", &table).await;
}

#[tokio::test]
async fn agents_get_through_the_example_of_tools_by_when_and_for_what_their_token_was_issued() {
    let token = |sub: &str, change: Value| {
        let mut token = json!({ "sub": sub, "iat": NOW - 60, "aud": "https://crm.mcp.example", "scope": "tools:read" });
        let change = change.as_object().unwrap().clone();
        token.as_object_mut().unwrap().extend(change);
        token
    };
    let agent = |name: &str, target: &str, claims: Value| Check {
        source_principal: format!("spiffe://agents.meridian.example/{name}"),
        ..Check::get(target).claims(claims)
    };
    let tool = |check: Check, name: &str, arguments: Value| {
        check.message("tools/call", json!({ "name": name, "arguments": arguments }))
    };
    let search = |name: &str, claims| tool(agent(name, "/mcp/crm", claims), "search", json!({}));
    let update = |change| {
        tool(agent("crm-bot", "/mcp/crm", token("alice", change)), "update_contact", json!({}))
    };
    let file = |name: &str| agent("crm-bot", &format!("/files/{name}"), token("bruno", json!({})));
    let delegated = |to: &str| {
        posted(agent("planner", &format!("/agents/{to}/tasks"), token("alice", json!({}))))
    };
    let alice = |change| search("crm-bot", token("alice", change));
    let mut nobody = token("alice", json!({}));
    nobody.as_object_mut().unwrap().remove("sub");
    let mut undated = token("alice", json!({}));
    undated.as_object_mut().unwrap().remove("iat");
    let desk = "https://helpdesk.mcp.example";
    let refund = |arguments| {
        let claims = token("hana", json!({ "aud": desk, "scope": "tools:write" }));
        tool(agent("triage-bot", "/mcp/helpdesk", claims), "issue_refund", arguments)
    };
    let connect = |server: &str| {
        agent("crm-bot", &format!("/mcp/{server}"), token("alice", json!({})))
            .message("initialize", json!({}))
    };
    let elsewhere = "spiffe://elsewhere.example/crm-bot".to_owned();
    let table = [
        (alice(json!({})), "permitted"),
        (search("crm-bot", token("farah", json!({}))), "delegator_not_permitted"),
        (search("crm-bot", nobody), "forbidden"),
        (Check { source_principal: elsewhere, ..alice(json!({})) }, "no_principal"),
        // When.
        (search("crm-bot-stolen-key", token("alice", json!({}))), "forbidden"),
        (search("crm-bot-stolen-key", token("alice", json!({ "iat": NOW }))), "permitted"),
        (alice(json!({ "iat": NOW * 1_000 })), "identity_malformed"),
        (search("crm-bot", undated), "invalid_request"),
        // For what.
        (update(json!({ "scope": "tools:read tools:write" })), "permitted"),
        (update(json!({ "scope": ["tools:write"] })), "permitted"),
        (update(json!({})), "forbidden"),
        (update(json!({ "scope": { "tools:write": true } })), "scopes_malformed"),
        (alice(json!({ "aud": "https://pay.mcp.example" })), "forbidden"),
        (alice(json!({ "aud": ["https://crm.mcp.example"] })), "invalid_request"),
        // The other routes.
        (
            agent("crm-bot", "/mcp/crm", token("alice", json!({})))
                .message("prompts/get", json!({ "name": "summarise_account" })),
            "permitted",
        ),
        (connect("crm"), "permitted"),
        (connect("notes"), "forbidden"),
        (file("crm/accounts/tallis"), "permitted"),
        (file("crm/accounts/tallis/renewal"), "forbidden"),
        (delegated("crm-bot"), "permitted"),
        (delegated("triage-bot"), "delegator_not_permitted"),
        // A refund is permitted by its typed action alone, up to a limit.
        (refund(json!({ "ticket": "T-1", "amount": 49.99 })), "permitted"),
        (refund(json!({ "ticket": "T-1", "amount": "49.99", "note": "broken" })), "permitted"),
        (refund(json!({ "ticket": "T-1", "amount": 50.01 })), "not_permitted"),
    ];
    example("agent-tools", &table).await;
}
