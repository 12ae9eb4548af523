//! Every case of every bundle in `policies/`, by every door: what the engine says without a module has to come back.

use std::sync::Arc;

use pdp_core::json::{Arena, read_request};
use pdp_core::{DecideOptions, Decider, Effect, OwnedAnswer, RequestLimits, Scratch, Uid};
use pdp_embed::decision;
use pdp_embed::{Artefact, Guest, Said};

use crate::bundles::{Example, examples};
use crate::compiled::{PATIENT, exports, typed};
use crate::typed;

/// What the engine says, and which of these resources it allows instead of the request's own.
fn native(example: &Example, request: &str, resources: &[Uid<'_>]) -> (OwnedAnswer, Vec<bool>) {
    let (arena, mut scratch) = (Arena::new(), Scratch::new());
    let decider = Decider::new(Arc::clone(&example.bundle));
    let request =
        read_request(request, Some(&example.bundle), &arena, &RequestLimits::STANDARD).unwrap();
    let answer = decider.decide_with(&mut scratch, &request, &DecideOptions::STANDARD).to_owned();
    let allowed = resources.iter().map(|resource| {
        let request = pdp_core::Request { resource: *resource, ..request };
        decider.decide_with(&mut scratch, &request, &DecideOptions::STANDARD).is_allowed()
    });
    (answer, allowed.collect())
}

/// The resources of all cases, each once.
fn resources<'a>(example: &Example, arena: &'a Arena) -> Vec<Uid<'a>> {
    let mut found: Vec<Uid<'a>> = Vec::new();
    for request in example.requests() {
        let request = arena.alloc_str(request);
        let limits = RequestLimits::STANDARD;
        let asked = read_request(request, Some(&example.bundle), arena, &limits).unwrap();
        if !found.contains(&asked.resource) {
            found.push(asked.resource);
        }
    }
    found
}

#[test]
fn the_plain_exports_answer_as_the_engine() {
    let exports = exports(PATIENT);
    let (mut allowed, mut denied) = (0, 0);
    for example in examples() {
        let mut guest = exports.instantiate().unwrap();
        guest.load(&example.bytes).unwrap().unwrap();
        let arena = Arena::new();
        let resources = resources(&example, &arena);
        let names: Vec<String> = resources
            .iter()
            .map(|uid| {
                let name = String::from_utf8(json_text(&uid.to_string())).unwrap();
                // One form and the other.
                match uid.id.len() % 2 {
                    0 => name,
                    _ => format!(
                        "{{\"type\":\"{}\",\"id\":{}}}",
                        uid.entity_type,
                        String::from_utf8(json_text(uid.id)).unwrap()
                    ),
                }
            })
            .collect();
        let names = format!("[{}]", names.join(", "));
        for request in example.requests() {
            let (expected, each) = native(&example, request, &resources);
            let said = guest.authorize(request.as_bytes()).unwrap();
            let is_allowed = expected.effect == Effect::Allow;
            assert_eq!(said, if is_allowed { Said::Allow } else { Said::Deny }, "{request}");
            let (again, answer) = guest.answer(request.as_bytes()).unwrap();
            assert_eq!(again, said);
            assert_eq!(answer.as_bytes(), pdp_wasm::shape::answer(&expected), "{request}");
            let filtered = guest.filter(request.as_bytes(), names.as_bytes()).unwrap();
            assert_eq!(filtered.as_ref(), Ok(&each), "{request} {names}");
            if is_allowed { allowed += 1 } else { denied += 1 }
        }
        let info = guest.info().unwrap().unwrap();
        let digest = format!("\"digest\":\"{}\"", example.bundle.digest_hex());
        assert!(info.contains(&digest), "{info}");
    }
    assert!(allowed >= 40 && denied >= 40, "{allowed} allowed, {denied} denied");
}

#[test]
fn the_component_answers_as_the_engine() {
    let component = typed(PATIENT);
    for example in examples() {
        let mut guest = component.instantiate().unwrap();
        guest.load(&example.bytes).unwrap().unwrap();
        let arena = Arena::new();
        let resources = resources(&example, &arena);
        let names: Vec<_> =
            resources.iter().copied().map(pdp_embed::decision::EntityUid::from).collect();
        for text in example.requests() {
            let (expected, each) = native(&example, text, &resources);
            let is_allowed = expected.effect == Effect::Allow;
            let effect = guest.authorize_bytes(text.as_bytes()).unwrap();
            assert_eq!(effect == decision::Effect::Allow, is_allowed, "{text}");
            let expected = typed::expected(&expected);
            let answer = guest.answer_bytes(text.as_bytes()).unwrap();
            assert_eq!(typed::told(&answer), expected, "{text}");
            let request = arena.alloc_str(text);
            let request =
                read_request(request, Some(&example.bundle), &arena, &RequestLimits::STANDARD);
            let request = pdp_embed::decision::Request::from(&request.unwrap());
            let answer = guest.authorize(&request).unwrap();
            assert_eq!(typed::told(&answer), expected, "{text}");
            let filtered = guest.filter(&request, &names).unwrap();
            assert_eq!(filtered, Ok(each), "{text}");
        }
        let info = guest.info().unwrap().unwrap();
        assert_eq!(info.digest, example.bundle.digest_hex());
        assert_eq!(info.policies as usize, example.bundle.policy_count());
    }
}

#[test]
fn without_a_bundle_every_door_denies() {
    let request = crate::bundles::reading("alice");
    let mut guest = exports(PATIENT).instantiate().unwrap();
    assert_eq!(guest.authorize(request.as_bytes()).unwrap(), Said::Deny);
    let (_, answer) = guest.answer(request.as_bytes()).unwrap();
    assert!(answer.contains("\"reason\":\"no_bundle\"") && answer.ends_with("\"bundle\":null}"));
    assert_eq!(guest.info().unwrap(), None);
    let filtered = guest.filter(request.as_bytes(), b"[\"Doc::\\\"a\\\"\"]").unwrap();
    assert_eq!(filtered, Ok(vec![false]));

    let mut guest = typed(PATIENT).instantiate().unwrap();
    let effect = guest.authorize_bytes(request.as_bytes()).unwrap();
    assert_eq!(effect, decision::Effect::Deny);
    let answer = guest.answer_bytes(request.as_bytes()).unwrap();
    assert_eq!((answer.reason.as_str(), answer.bundle.is_none()), ("no_bundle", true));
    assert!(guest.info().unwrap().is_none());
}

/// A string in JSON.
fn json_text(text: &str) -> Vec<u8> {
    let mut json = vec![b'"'];
    for c in text.chars() {
        match c {
            '"' | '\\' => json.extend([b'\\', c as u8]),
            c if c.is_control() => json.extend(format!("\\u{:04x}", c as u32).bytes()),
            c => json.extend(c.to_string().bytes()),
        }
    }
    json.push(b'"');
    json
}
