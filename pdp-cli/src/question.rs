//! One question from flags: the JSON request that they amount to.
//!
//! Flags and `--requests` lines thus meet in one notation, which the core reads with the schema at hand. What a user
//! wrote as JSON is handed on as it stands and not through a map, so that a duplicate key reaches the core and is
//! refused there.

use std::fs::File;
use std::io::Read;
use std::path::Path;
use std::str::FromStr;
use std::time::{SystemTime, UNIX_EPOCH};

use clap::Args;
use pdp_core::json::{Arena, read_uid};
use pdp_core::{Datetime, RequestLimits};
use serde::Serialize;
use serde_json::value::RawValue;

use crate::exit::{Exit, Failure};
use crate::load;

/// The flags of one question.
#[derive(Debug, Default, Args)]
pub(crate) struct Question {
    /// Who acts, as Cedar writes it: 'User::"alice"'
    #[arg(long, value_name = "UID", value_parser = uid, required_unless_present = "requests")]
    principal: Option<String>,
    /// What is to be done: 'Action::"view"'
    #[arg(long, value_name = "UID", value_parser = uid, required_unless_present = "requests")]
    action: Option<String>,
    /// On what: 'Document::"plan"'
    #[arg(long, value_name = "UID", value_parser = uid, required_unless_present = "requests")]
    resource: Option<String>,
    /// Facts about the request: a JSON object, or @FILE that holds one
    #[arg(long, value_name = "JSON|@FILE")]
    context: Option<String>,
    /// The subject on whose behalf the principal acts
    #[arg(long, value_name = "UID", value_parser = uid)]
    on_behalf_of: Option<String>,
    /// An inner actor of the delegation chain; repeat it, nearest to the principal first
    #[arg(long = "actor", value_name = "UID", value_parser = uid)]
    actors: Vec<String>,
    /// A scope of the delegation; repeat it for more
    #[arg(long = "scope", value_name = "SCOPE")]
    scopes: Vec<String>,
    /// Entities that come with the request: a JSON array in Cedar's entity format, or @FILE
    #[arg(long, value_name = "JSON|@FILE")]
    entities: Option<String>,
}

/// A request in the notation of the core.
#[derive(Serialize)]
struct RequestText<'a> {
    principal: &'a str,
    action: &'a str,
    resource: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    context: Option<&'a RawValue>,
    #[serde(skip_serializing_if = "Option::is_none")]
    on_behalf_of: Option<&'a str>,
    #[serde(skip_serializing_if = "<[String]>::is_empty")]
    actors: &'a [String],
    #[serde(skip_serializing_if = "<[String]>::is_empty")]
    scopes: &'a [String],
    #[serde(skip_serializing_if = "Option::is_none")]
    entities: Option<&'a RawValue>,
}

/// Names of all flags here, for commands that have another way to get a request.
pub(crate) const FLAGS: [&str; 8] =
    ["principal", "action", "resource", "context", "on_behalf_of", "actors", "scopes", "entities"];

// === impl Question ===

impl Question {
    /// The request as JSON.
    pub(crate) fn to_json(&self) -> Result<String, Failure> {
        let (Some(principal), Some(action), Some(resource)) =
            (&self.principal, &self.action, &self.resource)
        else {
            return Err(Failure::new(
                Exit::Usage,
                "`--principal`, `--action` and `--resource` are needed together",
            ));
        };
        let context =
            self.context.as_deref().map(|text| json("--context", text, '{')).transpose()?;
        let entities =
            self.entities.as_deref().map(|text| json("--entities", text, '[')).transpose()?;
        let request = RequestText {
            principal,
            action,
            resource,
            context: context.as_deref(),
            on_behalf_of: self.on_behalf_of.as_deref(),
            actors: &self.actors,
            scopes: &self.scopes,
            entities: entities.as_deref(),
        };
        serde_json::to_string(&request).map_err(|error| {
            Failure::new(Exit::Internal, format!("the request cannot be written as JSON: {error}"))
        })
    }
}

/// Checks the value of a flag that names an entity.
fn uid(text: &str) -> Result<String, String> {
    let arena = Arena::new();
    read_uid(text, &arena).map(|_| text.to_owned()).map_err(|error| error.to_string())
}

/// Checks the value of `--now`.
pub(crate) fn datetime(text: &str) -> Result<Datetime, String> {
    Datetime::from_str(text).map_err(|error| error.to_string())
}

/// The time on this machine's clock.
pub(crate) fn clock() -> Datetime {
    let ms =
        |duration: std::time::Duration| i64::try_from(duration.as_millis()).unwrap_or(i64::MAX);
    match SystemTime::now().duration_since(UNIX_EPOCH) {
        Ok(since) => Datetime(ms(since)),
        Err(before) => Datetime(ms(before.duration()).saturating_neg()),
    }
}

/// One JSON value from a flag or, behind `@`, from a file; `opening` is the bracket it begins with.
fn json(flag: &str, text: &str, opening: char) -> Result<Box<RawValue>, Failure> {
    let (text, from) = match text.strip_prefix('@') {
        None => (text.to_owned(), format!("`{flag}`")),
        Some(name) => (read_text(Path::new(name))?, format!("`{name}` (from `{flag}`)")),
    };
    let (what, example) = match opening {
        '{' => ("object", r#"{"amount": 5}"#),
        _ => ("array", r#"[{"uid": {"type": "T", "id": "x"}, "attrs": {}, "parents": []}]"#),
    };
    let wrong = |why: &str| {
        Failure::new(
            Exit::Data,
            format!("{from} {why}; give a JSON {what} such as '{example}', or @FILE with one"),
        )
    };
    let value: Box<RawValue> =
        serde_json::from_str(&text).map_err(|error| wrong(&format!("is not JSON: {error}")))?;
    if !value.get().starts_with(opening) {
        return Err(wrong(&format!("is not a JSON {what}")));
    }
    Ok(value)
}

fn read_text(path: &Path) -> Result<String, Failure> {
    let bytes_max = RequestLimits::STANDARD.request_bytes_max;
    let file = File::open(path).map_err(|e| load::no_input(path, &e))?;
    let mut bytes = Vec::new();
    // One byte over the limit shows that there is more, without reading all of it.
    let limit = u64::try_from(bytes_max).unwrap_or(u64::MAX).saturating_add(1);
    file.take(limit).read_to_end(&mut bytes).map_err(|e| load::no_input(path, &e))?;
    if bytes.len() > bytes_max {
        let text = format!(
            "`{}` has more than {bytes_max} bytes, the most a request may have",
            path.display()
        );
        return Err(Failure::new(Exit::Data, text));
    }
    String::from_utf8(bytes).map_err(|error| {
        let at = error.utf8_error().valid_up_to();
        let text = format!("`{}` is not UTF-8 from byte {at} on; save it as UTF-8", path.display());
        Failure::new(Exit::Data, text)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn question() -> Question {
        Question {
            principal: Some("U::\"a\\\"b\"".to_owned()),
            action: Some("Action::\"view\"".to_owned()),
            resource: Some("D::\"d\"".to_owned()),
            ..Question::default()
        }
    }

    fn told(question: &Question) -> (Exit, String) {
        match question.to_json() {
            Ok(text) => (Exit::Ok, text),
            Err(failure) => (failure.exit(), failure.text().unwrap_or_default()),
        }
    }

    #[test]
    fn flags_become_a_request() {
        let question = Question {
            context: Some(r#" {"a": 1, "a": 2} "#.to_owned()),
            actors: vec!["A::\"x\"".to_owned(), "A::\"y\"".to_owned()],
            scopes: vec!["read".to_owned()],
            on_behalf_of: Some("U::\"z\"".to_owned()),
            entities: Some("[]".to_owned()),
            ..question()
        };
        let expected = concat!(
            r#"{"principal":"U::\"a\\\"b\"","action":"Action::\"view\"","resource":"D::\"d\"","#,
            r#""context":{"a": 1, "a": 2},"on_behalf_of":"U::\"z\"","actors":["A::\"x\"","A::\"y\""],"#,
            r#""scopes":["read"],"entities":[]}"#,
        );
        assert_eq!(told(&question), (Exit::Ok, expected.to_owned()));
    }

    #[test]
    fn what_was_not_said_is_left_out() {
        let expected =
            r#"{"principal":"U::\"a\\\"b\"","action":"Action::\"view\"","resource":"D::\"d\""}"#;
        assert_eq!(told(&question()), (Exit::Ok, expected.to_owned()));
    }

    #[test]
    fn a_context_cannot_reach_beyond_its_place() {
        let text = r#"{},"on_behalf_of":"U::\"root\"""#.to_owned();
        let (exit, text) = told(&Question { context: Some(text), ..question() });
        assert_eq!(exit, Exit::Data);
        assert!(text.starts_with("error: `--context` is not JSON: trailing characters"), "{text}");
    }

    #[test]
    fn a_context_is_an_object_and_entities_are_an_array() {
        let (exit, text) = told(&Question { context: Some("[]".to_owned()), ..question() });
        assert_eq!(exit, Exit::Data);
        assert!(text.starts_with("error: `--context` is not a JSON object; give"), "{text}");
        let (exit, text) = told(&Question { entities: Some("{}".to_owned()), ..question() });
        assert_eq!(exit, Exit::Data);
        assert!(text.starts_with("error: `--entities` is not a JSON array; give"), "{text}");
    }

    #[test]
    fn a_file_is_named_in_errors() -> std::io::Result<()> {
        let folder = tempfile::tempdir()?;
        let path = folder.path().join("c.json");
        let flag = format!("@{}", path.display());
        let (exit, text) = told(&Question { context: Some(flag.clone()), ..question() });
        assert_eq!(exit, Exit::NoInput);
        assert!(text.contains("c.json` does not exist"), "{text}");
        std::fs::write(&path, "{\n  \"a\": }")?;
        let (exit, text) = told(&Question { context: Some(flag.clone()), ..question() });
        assert_eq!(exit, Exit::Data);
        assert!(text.contains("c.json` (from `--context`) is not JSON"), "{text}");
        assert!(text.contains("line 2 column 8"), "{text}");
        std::fs::write(&path, b"{\xff}")?;
        let (exit, text) = told(&Question { context: Some(flag), ..question() });
        assert_eq!(exit, Exit::Data);
        assert!(text.contains("not UTF-8 from byte 1 on"), "{text}");
        Ok(())
    }

    #[test]
    fn a_time_is_checked() {
        assert_eq!(datetime("1970-01-01T00:00:01Z"), Ok(Datetime(1000)));
        assert!(datetime("yesterday").is_err_and(|e| e.contains("expected a datetime like")));
    }

    #[test]
    fn the_clock_is_past_2026() {
        assert!(clock().0 > 1_767_225_600_000);
    }
}
