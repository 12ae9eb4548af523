//! One bundle in force: taken whole or not at all, and whatever is not understood is denied.
#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "test code fails loudly")]

use pdp_core::{CompileOptions, Loose, Notation, Source};

use super::*;

/// A bundle by which alice may read what is in a folder. Policies are named by their place; the one that counts stands
/// behind so many others.
fn bundle(others: usize) -> Vec<u8> {
    let policies = [
        "forbid(principal == User::\"carol\", action, resource);".repeat(others).as_str(),
        "permit(principal == User::\"alice\", action == Action::\"read\", resource in Folder::\"open\");",
    ]
    .concat();
    let entities = r#"[{"uid": {"type": "Doc", "id": "a"}, "attrs": {}, "parents": [{"type": "Folder", "id": "open"}]}]"#;
    let loose = Loose { policies: Notation::Cedar(&policies), schema: None, entities, links: None };
    pdp_core::compile(&Source::loose(&loose).unwrap(), &CompileOptions::STANDARD).unwrap()
}

fn loaded() -> Desk {
    let mut desk = Desk::new();
    desk.load(&bundle(0)).unwrap();
    desk
}

fn question(principal: &str) -> String {
    format!(
        r#"{{"principal": "User::\"{principal}\"", "action": "Action::\"read\"", "resource": "Doc::\"a\""}}"#
    )
}

#[test]
fn without_a_bundle_everything_is_denied() {
    let mut desk = Desk::new();
    assert_eq!(desk.authorize(question("alice").as_bytes()), Ok(false));
    assert_eq!(desk.answer(question("alice").as_bytes()).unwrap().reason, Reason::NoBundle);
    assert_eq!(
        desk.filter_json(question("alice").as_bytes(), br#"["Doc::\"a\""]"#),
        Ok(vec![false])
    );
    assert_eq!(desk.info(), None);
}

#[test]
fn a_question_is_answered() {
    let mut desk = loaded();
    assert_eq!(desk.authorize(question("alice").as_bytes()), Ok(true));
    assert_eq!(desk.authorize(question("bob").as_bytes()), Ok(false));
    let answer = desk.answer(question("alice").as_bytes()).unwrap();
    assert_eq!((answer.reason, answer.policies), (Reason::Permitted, vec!["policy0".to_owned()]));
}

#[test]
fn a_bad_bundle_changes_nothing_and_a_good_one_everything() {
    let mut desk = loaded();
    let (before, second) = (desk.info().unwrap(), bundle(1));
    for bad in [&b""[..], b"PDPB", &second[..second.len() / 2], &[&second[..], b"x"].concat()] {
        assert!(desk.load(bad).is_err());
        assert_eq!(desk.info().as_ref(), Some(&before));
        let answer = desk.answer(question("alice").as_bytes()).unwrap();
        assert_eq!(answer.policies, ["policy0"]);
    }
    let info = desk.load(&second).unwrap();
    assert_eq!((desk.info().as_ref(), info.policies), (Some(&info), 2));
    assert_ne!(info.digest, before.digest);
    assert_eq!(desk.answer(question("alice").as_bytes()).unwrap().policies, ["policy1"]);
}

#[test]
fn what_cannot_be_read_is_denied_with_a_sentence() {
    let mut desk = loaded();
    let long = [question("alice").into_bytes(), vec![b' '; 1 << 20]].concat();
    for (request, expected) in [
        (&b""[..], "expected"),
        (b"{}", "is missing"),
        (b"\xff\xfe", "not UTF-8: byte 0"),
        (&question("alice").as_bytes()[1..], "object"),
        (&long, "at most 1048576"),
    ] {
        let why = desk.authorize(request).unwrap_err();
        assert!(why.0.contains(expected), "{why:?}");
        assert_eq!(desk.answer(request), Err(why.clone()));
        let answer = desk.refused(why.clone());
        assert_eq!((answer.effect, answer.reason), (Effect::Deny, Reason::InvalidRequest));
        assert_eq!(answer.message, why.0);
        assert_eq!(answer.bundle.map(|bundle| bundle.digest), desk.info().map(|info| info.digest));
    }
    assert_eq!(desk.authorize(question("alice").as_bytes()), Ok(true), "the desk goes on");
}

#[test]
fn a_filter_answers_as_each_resource_alone() {
    let mut desk = loaded();
    let request = question("alice");
    let resources = br#"["Doc::\"a\"", {"type": "Doc", "id": "b"}, "Folder::\"open\""]"#;
    assert_eq!(desk.filter_json(request.as_bytes(), resources), Ok(vec![true, false, true]));
    assert_eq!(desk.filter_json(request.as_bytes(), b"[]"), Ok(vec![]));
    for bad in [&b"{}"[..], b"[1]", b"[\"Doc::a\"]", b"[", b"[] x", b"\xff"] {
        assert!(desk.filter_json(request.as_bytes(), bad).is_err());
    }
    assert!(desk.filter_json(b"{}", resources).is_err());
    let many = format!("[{}]", vec!["{\"type\":\"D\",\"id\":\"\"}"; RESOURCES_MAX / 2].join(","));
    let why = desk.filter_json(request.as_bytes(), many.as_bytes()).unwrap_err();
    assert!(why.0.contains("at most 1048576"), "{why:?}");
    let name = Uid::new("Doc", "a");
    let names = vec![name; RESOURCES_MAX + 1];
    let asked = Request::new(name, name, name, &[]);
    let why = desk.filter(|_, _| Ok(Question { request: asked, resources: &names })).unwrap_err();
    assert!(why.0.contains("at most 100000 are taken"), "{why:?}");
}
