//! Which of several routes a call takes.

#![expect(clippy::unwrap_used, reason = "a test stops at the first surprise")]

use pdp_core::RouteTable;

use super::*;

fn routes(routes: &[(&str, &[&str], Option<&str>)]) -> Routes {
    let routes = routes.iter().map(|(path, methods, host)| Route {
        path: (*path).to_owned(),
        methods: methods.iter().map(|name| (*name).to_owned()).collect(),
        host: host.map(str::to_owned),
        action: Some("Action::\"a\"".to_owned()),
        resource: Some("R::\"r\"".to_owned()),
        principal: Some("U::\"anybody\"".to_owned()),
        deny: None,
        strip: Vec::new(),
        mcp: None,
    });
    Routes::new(RouteTable { routes: routes.collect(), ..RouteTable::default() }).unwrap()
}

#[test]
fn the_most_specific_route_is_taken() {
    let routes = routes(&[
        ("/{rest...}", &[], None),
        ("/a/{x}", &[], None),
        ("/a/{y}", &["GET"], None),
        ("/a/{z}", &[], Some("h")),
        ("/a/b", &["PUT"], None),
        ("/{x}/b", &[], None),
        ("/a/", &[], None),
        ("/a/{x}/{more...}", &[], None),
    ]);
    for (method, host, path, expected) in [
        ("PUT", "i", "/a/b", Some("/a/b")),
        ("GET", "i", "/a/b", Some("/a/{y}")),
        ("POST", "i", "/a/b", Some("/a/{x}")),
        ("GET", "h", "/a/c", Some("/a/{z}")),
        ("GET", "i", "/q/b", Some("/{x}/b")),
        ("GET", "i", "/q/c", Some("/{rest...}")),
        ("GET", "i", "/a/", Some("/a/")),
        ("GET", "i", "/a", Some("/{rest...}")),
        ("GET", "i", "/a/b/c/d", Some("/a/{x}/{more...}")),
        ("GET", "i", "/a/b/", Some("/{rest...}")),
        ("GET", "i", "/", None),
    ] {
        let found = Router::new(&routes).find(method, host, path);
        assert_eq!(
            found.map(|found| found.route().path.as_str()),
            expected,
            "{method} {host}{path}"
        );
    }
}

#[test]
fn parameters_are_without_escapes() {
    let routes = routes(&[("/a/{x}/{more...}", &[], None)]);
    let found = Router::new(&routes).find("GET", "", "/a/caf%C3%A9/b/c%20d").unwrap();
    assert_eq!(found.parameters, [("x", "café".to_owned()), ("more", "b/c d".to_owned())]);
}
