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
