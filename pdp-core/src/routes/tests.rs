//! What a route table may say: each fault with its words, and what ties with what.

#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test stops at the first surprise"
)]

use super::*;

fn route(path: &str) -> Route {
    Route {
        path: path.to_owned(),
        methods: Vec::new(),
        host: None,
        action: Some("Action::\"{method}\"".to_owned()),
        resource: Some("R::\"{template}\"".to_owned()),
        principal: Some("U::\"anybody\"".to_owned()),
        deny: None,
        strip: Vec::new(),
        mcp: None,
    }
}

fn faults(routes: Vec<Route>) -> Vec<String> {
    let table = RouteTable { routes, ..RouteTable::default() };
    table.faults().into_iter().map(|fault| fault.message).collect()
}

#[test]
fn paths_that_no_call_can_have_are_refused() {
    for path in [
        "",
        "a",
        "//",
        "/a//b",
        "/.",
        "/a/../b",
        "/a b",
        "/é",
        "/%41",
        "/a;b",
        "/{}",
        "/{a}/{a}",
        "/{a...}/b",
        "/{method}",
        "/x{a}",
        "/{a-b}",
    ] {
        assert_eq!(faults(vec![route(path)]).len(), 1, "{path}");
    }
    for path in ["/", "/a", "/a/", "/{a}", "/{a}/{b...}", "/a.b/~c", "/{a}/"] {
        assert_eq!(faults(vec![route(path)]), Vec::<String>::new(), "{path}");
    }
}

#[test]
fn what_no_difference_tells_apart_is_a_tie() {
    let with = |methods: &[&str], host: Option<&str>, path: &str| Route {
        methods: methods.iter().map(|name| (*name).to_owned()).collect(),
        host: host.map(str::to_owned),
        ..route(path)
    };
    let tied = |one: &Route, two: &Route| !faults(vec![one.clone(), two.clone()]).is_empty();
    let any = with(&[], None, "/a/{x}");
    assert!(tied(&any, &with(&[], None, "/a/{y}")));
    assert!(!tied(&any, &with(&["GET"], None, "/a/{y}")));
    assert!(!tied(&any, &with(&[], Some("h"), "/a/{y}")));
    assert!(!tied(&any, &with(&[], None, "/a/{y...}")));
    assert!(!tied(&any, &with(&[], None, "/a/b")));
    let get = with(&["GET", "HEAD"], None, "/a");
    assert!(tied(&get, &with(&["HEAD", "PUT"], None, "/a")));
    assert!(!tied(&get, &with(&["PUT"], None, "/a")));
}

#[test]
fn placeholders_are_those_that_something_fills() {
    let with = |resource: &str| {
        faults(vec![Route { resource: Some(resource.to_owned()), ..route("/a/{id}") }])
    };
    assert!(with("R::\"{id}:{path}\"").is_empty());
    assert_eq!(with("R::\"{it}\""), ["route `/a/{id}`: `R::\"{it}\"`: nothing fills `{it}`"]);
    assert_eq!(with("R::\"}\"").len(), 1);
    assert_eq!(with("R::\"{\"").len(), 1);
    assert_eq!(with("R").len(), 1);
}

#[test]
fn a_section_that_is_no_sound_table_is_refused() {
    let table = RouteTable { routes: vec![route("/a")], ..RouteTable::default() };
    let bytes = serde_json::to_vec(&table).unwrap();
    assert_eq!(read(&bytes), Some(Routes::new(table).unwrap()));
    let tied = RouteTable { routes: vec![route("/a"), route("/a")], ..RouteTable::default() };
    assert_eq!(read(&serde_json::to_vec(&tied).unwrap()), None);
    assert_eq!(read(b"{\"rout\":[]}"), None);
    assert_eq!(read(b"{"), None);
}

#[test]
fn a_table_is_ready_once_and_its_most_specific_routes_come_first() {
    let paths = ["/{rest...}", "/a/{x}", "/{x}/b", "/a/b", "/a/{x}/{more...}"];
    let table = RouteTable { routes: paths.map(route).into(), ..RouteTable::default() };
    let routes = Routes::new(table).unwrap();
    let order: Vec<&str> = routes.routes.iter().map(|one| one.route.path.as_str()).collect();
    assert_eq!(order, ["/a/b", "/a/{x}", "/a/{x}/{more...}", "/{x}/b", "/{rest...}"]);
    assert_eq!(routes.routes[1].segments[1], Segment::One("x".to_owned()));
    assert_eq!(routes.routes[1].action.parts, [Part::Hole("method".to_owned())]);

    let wrong = RouteTable { routes: vec![route("a"), route("//")], ..RouteTable::default() };
    let message = Routes::new(wrong).unwrap_err();
    assert!(message.starts_with("route `a`: a path begins with `/`; route `//`"), "{message}");
}

/// A table with a route for messages to `crm`, and what is said of it after a change.
fn mcp_faults(
    change: impl FnOnce(&mut Mcp, &mut Route, &mut BTreeMap<String, Fact>),
) -> Vec<String> {
    let kind = |action: &str, entity: &str| McpKind {
        action: action.to_owned(),
        list: None,
        own: None,
        input: None,
        entity: entity.to_owned(),
    };
    let tool = McpKind {
        list: Some("Action::\"list\"".to_owned()),
        own: Some("Action::\"{server}.{name}\"".to_owned()),
        input: Some("input".to_owned()),
        ..kind("Action::\"{method}\"", "T::\"{server}/{name}\"")
    };
    let mut mcp = Mcp {
        server: kind("Action::\"connect\"", "S::\"{server}\""),
        tool: Some(tool),
        resource: None,
        prompt: None,
        task: Some(kind("Action::\"task\"", "K::\"{name}\"")),
    };
    let mut route = Route {
        action: None,
        resource: None,
        mcp: Some(McpRoute { server: "{s}".to_owned(), deny: McpDenial::default() }),
        ..route("/{s}/{rest...}")
    };
    let mut context = BTreeMap::new();
    change(&mut mcp, &mut route, &mut context);
    let mcp = if mcp.server.entity.is_empty() { None } else { Some(mcp) };
    let table = RouteTable { routes: vec![route], mcp, context, ..RouteTable::default() };
    table.faults().into_iter().map(|fault| fault.message).collect()
}

#[test]
fn messages_have_questions_that_something_fills_and_a_server_that_is_one_name() {
    assert_eq!(mcp_faults(|_, _, _| ()), Vec::<String>::new());
    type Change = fn(&mut Mcp, &mut Route, &mut BTreeMap<String, Fact>);
    let table: [(Change, &str); 15] = [
        (
            |mcp, _, _| mcp.server.entity.clear(),
            "its calls are messages, and the table has no `[mcp]`",
        ),
        (|mcp, _, _| mcp.server.entity = "S::\"{name}\"".to_owned(), "nothing fills `{name}`"),
        (|mcp, _, _| mcp.server.action = "A::\"{name}\"".to_owned(), "nothing fills `{name}`"),
        (|mcp, _, _| mcp.server.list = Some("A::\"a\"".to_owned()), "`mcp.server` has no `list`"),
        (
            |mcp, _, _| mcp.task.as_mut().unwrap().own = Some("A::\"a\"".to_owned()),
            "`mcp.task` has no `own`",
        ),
        (|mcp, _, _| mcp.server.input = Some("i".to_owned()), "`mcp.server` has no `input`"),
        (
            |mcp, _, _| mcp.tool.as_mut().unwrap().own = Some("A::\"{method}\"".to_owned()),
            "nothing fills `{method}`",
        ),
        (
            |_, _, context| _ = context.insert("input".to_owned(), Fact::Path),
            "`input` is a key of `[context]`, too",
        ),
        (|_, route, _| route.mcp.as_mut().unwrap().server.clear(), "`mcp.server` is empty"),
        (|_, route, _| route.mcp.as_mut().unwrap().server = "a/b".to_owned(), "it has a slash"),
        (
            |_, route, _| route.mcp.as_mut().unwrap().server = "{rest}".to_owned(),
            "`{rest}` is none",
        ),
        (
            |_, route, _| route.mcp.as_mut().unwrap().server = "{".to_owned(),
            "a brace that is no placeholder",
        ),
        (
            |_, route, _| route.mcp.as_mut().unwrap().deny.code = Some(-32001),
            "JSON-RPC has reserved",
        ),
        (|_, route, _| route.mcp.as_mut().unwrap().deny.status = Some(404), "must be 200 or 403"),
        (|_, route, _| route.action = Some("A::\"a\"".to_owned()), "with `mcp` it has no `action`"),
    ];
    for (change, part) in table {
        let said = mcp_faults(change);
        assert!(said.len() == 1 && said[0].contains(part), "{part}: {said:?}");
    }
}
