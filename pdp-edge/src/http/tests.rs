//! Calls to questions: who is asked about, what is left out, what is refused.

#![expect(clippy::unwrap_used, reason = "a test stops at the first surprise")]

use std::collections::BTreeMap;

use pdp_core::{Route, RouteTable, Routes, ScopesClaim};

use super::*;

struct Known(Vec<(&'static str, ClaimValue)>);

impl Claims for Known {
    fn claim(&self, claim: &Claim) -> Option<ClaimValue> {
        let name = format!("{}/{}/{}", claim.namespace, claim.payload, claim.name);
        self.0.iter().find(|(key, _)| *key == name).map(|(_, value)| value.clone())
    }
}

fn named(name: &str) -> Claim {
    Claim { namespace: "n".to_owned(), payload: "jwt".to_owned(), name: name.to_owned() }
}

fn routes() -> Routes {
    let user = Identity {
        claim: Some(named("sub")),
        spiffe: None,
        entity: "User::\"{value}\"".to_owned(),
    };
    let service = Identity {
        claim: None,
        spiffe: Some("spiffe://t/".to_owned()),
        entity: "Service::\"{value}\"".to_owned(),
    };
    let route = |path: &str, principal: Option<&str>| Route {
        path: path.to_owned(),
        methods: Vec::new(),
        host: None,
        action: None,
        resource: None,
        principal: principal.map(str::to_owned),
        deny: None,
        strip: Vec::new(),
        mcp: None,
    };
    let context = [
        ("path", Fact::Path),
        ("groups", Fact::Claim(named("groups"))),
        ("issued", Fact::ClaimTime(named("iat"))),
        ("ip", Fact::SourceIp),
        ("tenants", Fact::Header("x-tenant".to_owned())),
        ("tier", Fact::Extension("tier".to_owned())),
        ("stage", Fact::Literal(Literal::String("prod".to_owned()))),
    ];
    Routes::new(RouteTable {
        principal: vec![service],
        on_behalf_of: Some(user),
        scopes: Some(ScopesClaim { claim: named("scope") }),
        action: Some("Action::\"{method}\"".to_owned()),
        resource: Some("Doc::\"{host}{template}\"".to_owned()),
        context: context
            .into_iter()
            .map(|(key, fact)| (key.to_owned(), fact))
            .collect::<BTreeMap<_, _>>(),
        mcp: None,
        routes: vec![route("/d/{id}", None), route("/open", Some("Service::\"anybody\""))],
    })
    .unwrap()
}

fn refusal(refused: Refused<'_>) -> Refusal {
    refused.refusal
}

const CALL: HttpMessage<'_> = HttpMessage {
    method: b"GET",
    host: b"Shop.Example:8080",
    target: b"/d/4%20x?q=1",
    headers: &[(b"x-tenant", b"a"), (b"x-other", b"b"), (b"x-tenant", b"c")],
    source_principal: b"spiffe://t/web",
    source_ip: None,
    extensions: &[],
    body: None,
};

#[test]
fn a_call_becomes_a_question() {
    let (routes, arena) = (routes(), Arena::new());
    let claims = Known(vec![("n/jwt/sub", ClaimValue::Text("ann".to_owned()))]);
    let (matched, request) = Router::new(&routes).question(&CALL, &claims, &arena).unwrap();
    assert_eq!(matched.route().path, "/d/{id}");
    assert_eq!(request.principal, Uid::new("Service", "web"));
    assert_eq!(request.on_behalf_of, Some(Uid::new("User", "ann")));
    assert!(request.scopes.is_empty());
    assert_eq!(request.action, Uid::new("Action", "GET"));
    assert_eq!(request.resource, Uid::new("Doc", "shop.example/d/{id}"));
    let both = [Value::String("a"), Value::String("c")];
    let expected = [
        ("path", Value::String("/d/4%20x")),
        ("stage", Value::String("prod")),
        ("tenants", Value::Set(&both)),
    ];
    assert_eq!(request.context, expected);
}

#[test]
fn what_is_no_question_is_refused() {
    let none = || Known(Vec::new());
    let claim = |value| Known(vec![("n/jwt/sub", value)]);
    let table = [
        (HttpMessage { method: b"get", ..CALL }, none(), Refusal::Method),
        (HttpMessage { method: b"", ..CALL }, none(), Refusal::Method),
        (HttpMessage { method: b"G\xff", ..CALL }, none(), Refusal::Method),
        (HttpMessage { host: b"", ..CALL }, none(), Refusal::Host),
        (HttpMessage { host: b"a b", ..CALL }, none(), Refusal::Host),
        (HttpMessage { host: b"a:b", ..CALL }, none(), Refusal::Host),
        (HttpMessage { host: b"a@b", ..CALL }, none(), Refusal::Host),
        (HttpMessage { target: b"/d//", ..CALL }, none(), Refusal::Path(PathError::EmptySegment)),
        (HttpMessage { target: b"/e", ..CALL }, none(), Refusal::NoRoute),
        (HttpMessage { source_principal: b"", ..CALL }, none(), Refusal::NoPrincipal),
        (
            HttpMessage { source_principal: b"spiffe://other/web", ..CALL },
            none(),
            Refusal::NoPrincipal,
        ),
        (HttpMessage { source_principal: b"spiffe://t/", ..CALL }, none(), Refusal::Identity),
        (HttpMessage { source_principal: b"spiffe://t/\xff", ..CALL }, none(), Refusal::Identity),
        (HttpMessage { headers: &[(b"x-tenant", b"\xff")], ..CALL }, none(), Refusal::Header),
        (CALL, claim(ClaimValue::Text(String::new())), Refusal::Identity),
        (CALL, claim(ClaimValue::Long(7)), Refusal::Identity),
        (CALL, claim(ClaimValue::Other), Refusal::Identity),
    ];
    let routes = routes();
    for (call, claims, refusal) in table {
        let arena = Arena::new();
        let came = Router::new(&routes)
            .question(&call, &claims, &arena)
            .map(|(_, request)| request.principal);
        // What is wrong before there is a route is no route's to answer.
        let route = match refusal {
            Refusal::Method | Refusal::Host | Refusal::Path(_) | Refusal::NoRoute => None,
            _ => Some("/d/{id}"),
        };
        let refused = came.unwrap_err();
        assert_eq!(refused.refusal, refusal, "{call:?}");
        assert_eq!(refused.route.map(|route| route.path.as_str()), route, "{call:?}");
    }
}

#[test]
fn scopes_are_names_and_anything_else_refuses() {
    let text = |text: &str| ClaimValue::Text(text.to_owned());
    let list = |names: &[&str]| ClaimValue::Texts(names.iter().map(|&name| name.into()).collect());
    let refused = Err(Refusal::Scopes);
    let routes = routes();
    for (value, scopes) in [
        (text("a:b/c.d c!"), Ok(vec!["a:b/c.d", "c!"])),
        (list(&["a", "b", "a"]), Ok(vec!["a", "b", "a"])),
        (text(""), Ok(vec![])),
        (list(&[]), Ok(vec![])),
        (text(" "), refused.clone()),
        (text("a "), refused.clone()),
        (text("a\nb"), refused.clone()),
        (text("a\\b"), refused.clone()),
        (text("a\u{a0}b"), refused.clone()),
        (list(&["a b"]), refused.clone()),
        (list(&[""]), refused.clone()),
        (ClaimValue::Long(1), refused.clone()),
        (ClaimValue::Bool(true), refused.clone()),
        (ClaimValue::Other, refused),
    ] {
        let (arena, claims) = (Arena::new(), Known(vec![("n/jwt/scope", value)]));
        let came = Router::new(&routes).question(&CALL, &claims, &arena);
        assert_eq!(
            came.map(|(_, request)| request.scopes.to_vec()).map_err(refusal),
            scopes,
            "{:?}",
            claims.0
        );
    }
}

#[test]
fn lists_of_texts_are_sets_and_seconds_are_times() {
    let routes = routes();
    let texts = ClaimValue::Texts(vec!["a".to_owned(), "b".to_owned()]);
    let both = [Value::String("a"), Value::String("b")];
    let time = |seconds: i64| Ok(Some(Value::Datetime(Datetime(seconds * 1_000))));
    let (first, last) = (-62_167_219_200, 253_402_300_799);
    assert_eq!(Datetime(first * 1_000).to_string(), "0000-01-01T00:00:00.000Z");
    assert_eq!(Datetime(last * 1_000).to_string(), "9999-12-31T23:59:59.000Z");
    let text = ClaimValue::Text("2026-06-01T12:00:00Z".to_owned());
    for (name, value, key, expected) in [
        ("n/jwt/groups", texts.clone(), "groups", Ok(Some(Value::Set(&both)))),
        ("n/jwt/groups", ClaimValue::Texts(vec![]), "groups", Ok(Some(Value::Set(&[])))),
        ("n/jwt/groups", ClaimValue::Other, "groups", Err(Refusal::Identity)),
        ("n/jwt/iat", ClaimValue::Long(1_780_315_200), "issued", time(1_780_315_200)),
        ("n/jwt/iat", ClaimValue::Long(0), "issued", time(0)),
        ("n/jwt/iat", ClaimValue::Long(first), "issued", time(first)),
        ("n/jwt/iat", ClaimValue::Long(last), "issued", time(last)),
        ("n/jwt/iat", ClaimValue::Long(first - 1), "issued", Err(Refusal::Identity)),
        ("n/jwt/iat", ClaimValue::Long(last + 1), "issued", Err(Refusal::Identity)),
        ("n/jwt/iat", ClaimValue::Long(i64::MAX), "issued", Err(Refusal::Identity)),
        ("n/jwt/iat", text, "issued", Err(Refusal::Identity)),
        ("n/jwt/iat", ClaimValue::Bool(true), "issued", Err(Refusal::Identity)),
        ("n/jwt/iat", texts, "issued", Err(Refusal::Identity)),
        ("n/jwt/iat", ClaimValue::Other, "issued", Err(Refusal::Identity)),
        ("n/jwt/exp", ClaimValue::Long(1), "issued", Ok(None)),
    ] {
        let (arena, claims) = (Arena::new(), Known(vec![(name, value)]));
        let came = Router::new(&routes).question(&CALL, &claims, &arena).map(|(_, request)| {
            request.context.iter().find(|(found, _)| *found == key).map(|(_, value)| *value)
        });
        assert_eq!(came.map_err(refusal), expected, "{:?}", claims.0);
    }
}

#[test]
fn a_public_route_names_its_principal() {
    let (routes, arena) = (routes(), Arena::new());
    let call = HttpMessage { target: b"/open", source_principal: b"", ..CALL };
    let (_, request) = Router::new(&routes).question(&call, &Known(Vec::new()), &arena).unwrap();
    assert_eq!(request.principal, Uid::new("Service", "anybody"));
    assert_eq!(request.on_behalf_of, None);
}

#[test]
fn what_the_operator_of_the_proxy_says_takes_the_place_of_the_table() {
    let (routes, arena) = (routes(), Arena::new());
    let extensions: [(&[u8], &[u8]); 5] = [
        (b"pdp.action", b"Action::\"read\""),
        (b"pdp.resource", b"Order::\"first\""),
        (b"pdp.resource", b"Shop::Order::\"{host}/{id}:{method}\""),
        (b"tier", b"gold"),
        (b"other", b"\xff"),
    ];
    let call = HttpMessage { extensions: &extensions, ..CALL };
    let (_, request) = Router::new(&routes).question(&call, &Known(Vec::new()), &arena).unwrap();
    assert_eq!(request.action, Uid::new("Action", "read"));
    assert_eq!(request.resource, Uid::new("Shop::Order", "shop.example/4 x:GET"));
    assert_eq!(request.principal, Uid::new("Service", "web"));
    assert!(request.context.contains(&("tier", Value::String("gold"))), "{request:?}");
    assert!(!request.context.iter().any(|(key, _)| *key == "other"), "{request:?}");
}

#[test]
fn an_extension_that_cannot_be_followed_denies() {
    let routes = routes();
    let table: [(&[u8], &[u8], Refusal); 11] = [
        (b"pdp.action", b"read", Refusal::Extension),
        (b"pdp.action", b"", Refusal::Extension),
        (b"pdp.action", b"Action::\"\xff\"", Refusal::Extension),
        (b"pdp.resource", b"Doc::\"{id\"", Refusal::Extension),
        (b"pdp.resource", b"Doc::\"{name}\"", Refusal::Extension),
        (b"pdp.resource", b"Doc::\"{value}\"", Refusal::Extension),
        (b"tier", b"\xff", Refusal::Extension),
        (b"pdp.principal", b"Service::\"admin\"", Refusal::UnknownExtension),
        (b"pdp.Action", b"Action::\"read\"", Refusal::UnknownExtension),
        (b"pdp.", b"", Refusal::UnknownExtension),
        (b"pdp.action2", b"Action::\"read\"", Refusal::UnknownExtension),
    ];
    for (name, value, refusal) in table {
        let (arena, extensions) = (Arena::new(), [(name, value)]);
        let call = HttpMessage { extensions: &extensions, ..CALL };
        let came = Router::new(&routes).question(&call, &Known(Vec::new()), &arena);
        let name = String::from_utf8_lossy(name);
        assert_eq!(
            came.map(|(_, request)| request.action).map_err(self::refusal),
            Err(refusal),
            "{name}"
        );
    }
}
