//! Engines that live outside of this process's code, a module in a runtime for one: fed with a bundle's bytes, asked in
//! JSON, and compared with what is known to be right.
//!
//! Such an engine asks as every service does: the schema leads the reading and every request is validated. Where a
//! case asks for something else, its expectation is left out, and whoever implements [`Outside`] compares by itself.

use std::collections::BTreeSet;

use pdp_core::{CompileOptions, Loose, Source};
use serde_json::Value;

use crate::engine::Came;

/// An engine to ask.
pub trait Outside {
    /// Puts a bundle in force.
    ///
    /// # Errors
    ///
    /// When it is refused.
    fn load(&mut self, bundle: &[u8]) -> Result<(), String>;

    /// The answer to a request in JSON, as `pdp decide --json` prints it.
    ///
    /// # Errors
    ///
    /// When there is none, or it is not what this engine says elsewhere.
    fn answer(&mut self, request: &str) -> Result<String, String>;
}

/// Asks requests of a bundle made of these texts; gives a sentence for each answer that is not the one expected.
pub fn compare(
    outside: &mut dyn Outside,
    texts: &Loose<'_>,
    requests: impl Iterator<Item = (String, Option<Came>)>,
) -> Vec<String> {
    let bundle = Source::loose(texts)
        .and_then(|source| pdp_core::compile(&source, &CompileOptions::STANDARD))
        .map_err(|report| report.to_string());
    if let Err(error) = bundle.and_then(|bundle| outside.load(&bundle)) {
        return vec![format!("cannot be loaded outside: {error}")];
    }
    let mut failures = Vec::new();
    for (at, (request, expected)) in requests.enumerate() {
        let came = outside.answer(&request).and_then(|answer| came(&answer));
        match (came, expected) {
            (Err(error), _) => failures.push(format!("request {at} outside: {error}")),
            (Ok(came), Some(expected)) if !came.agrees_with(&expected) => {
                failures.push(format!("request {at} outside: expected {expected:?}, came {came:?}"))
            }
            _ => {}
        }
    }
    failures
}

/// An answer in terms that engines share.
fn came(answer: &str) -> Result<Came, String> {
    let bad = || format!("this is no answer: {answer}");
    let parsed: Value = serde_json::from_str(answer).map_err(|_| bad())?;
    let part = |name: &str| parsed.get(name).ok_or_else(bad);
    let ids = |name: &str| -> Result<BTreeSet<String>, String> {
        let ids = part(name)?.as_array().ok_or_else(bad)?;
        ids.iter().map(|id| id.as_str().map(str::to_owned).ok_or_else(bad)).collect()
    };
    if let Some("invalid_request" | "limit") = part("reason")?.as_str() {
        return Ok(Came::Refused(part("message")?.to_string()));
    }
    let allow = match part("decision")?.as_str() {
        Some("allow") => true,
        Some("deny") => false,
        _ => return Err(bad()),
    };
    Ok(Came::Answer { allow, reasons: ids("policies")?, errors: ids("errors")? })
}

#[cfg(test)]
mod tests {
    use pdp_core::Notation;

    use super::*;

    /// Says the same to everything.
    struct Parrot(&'static str);

    impl Outside for Parrot {
        fn load(&mut self, bundle: &[u8]) -> Result<(), String> {
            if bundle.starts_with(b"PDPB") { Ok(()) } else { Err("no bundle".to_owned()) }
        }

        fn answer(&mut self, _: &str) -> Result<String, String> {
            Ok(self.0.to_owned())
        }
    }

    fn failures(says: &'static str, expected: Option<Came>) -> Vec<String> {
        let texts = Loose {
            policies: Notation::Cedar("permit(principal, action, resource);"),
            schema: None,
            entities: "[]",
            links: None,
        };
        compare(&mut Parrot(says), &texts, std::iter::once((String::new(), expected)))
    }

    #[test]
    fn each_part_of_an_answer_counts() {
        let says = r#"{"decision":"allow","reason":"permitted","policies":["policy0"],"errors":["e"],"message":""}"#;
        let set = |id: &str| BTreeSet::from([id.to_owned()]);
        let right = Came::Answer { allow: true, reasons: set("policy0"), errors: set("e") };
        assert!(failures(says, Some(right)).is_empty());
        assert!(failures(says, None).is_empty());
        for wrong in [
            Came::Answer { allow: false, reasons: set("policy0"), errors: set("e") },
            Came::Answer { allow: true, reasons: set("policy1"), errors: set("e") },
            Came::Answer { allow: true, reasons: set("policy0"), errors: BTreeSet::new() },
            Came::Refused(String::new()),
        ] {
            assert_eq!(failures(says, Some(wrong)).len(), 1);
        }
        assert_eq!(failures("{}", None).len(), 1, "what is no answer is wrong by itself");
        let refused = r#"{"decision":"deny","reason":"invalid_request","message":"why"}"#;
        assert!(failures(refused, Some(Came::Refused(String::new()))).is_empty());
    }
}
