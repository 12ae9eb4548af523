//! A world as one JSON object: the form in which findings are reported, kept and replayed.
//!
//! ```json
//! { "policies": "permit(principal, action, resource);",
//!   "schema": "entity User; …",
//!   "entities": [],
//!   "links": [{ "template_id": "policy1", "link_id": "link0", "args": { "?principal": "User::\"alice\"" } }],
//!   "requests": [{
//!     "request": {
//!       "principal": { "type": "User", "id": "alice" },
//!       "action": { "type": "Action", "id": "view" },
//!       "resource": { "type": "User", "id": "bob" },
//!       "context": {}
//!     },
//!     "validateRequest": true,
//!     "inline": []
//!   }] }
//! ```
//!
//! `schema`, `links` and `inline` are left away when there is nothing in them.

use super::{Link, Request, Uid, World};
use cedar_policy::EntityUid;
use serde_json::{Map, Value, json};
use std::fmt;
use std::str::FromStr as _;

/// A JSON value that is no world: which part is missing or of another shape.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WorldFormatError {
    part: String,
}

// === impl WorldFormatError ===

impl WorldFormatError {
    fn new(part: impl Into<String>) -> Self {
        Self { part: part.into() }
    }
}

impl fmt::Display for WorldFormatError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{}` is missing in the world or not of the expected shape", self.part)
    }
}

impl std::error::Error for WorldFormatError {}

// === impl World ===

impl World {
    /// The world as one JSON object.
    pub fn to_json(&self) -> Value {
        let mut out = Map::new();
        out.insert("policies".to_owned(), json!(self.policy_text()));
        if let Some(schema) = &self.schema {
            out.insert("schema".to_owned(), json!(schema));
        }
        out.insert("entities".to_owned(), self.entities_json());
        if !self.links.is_empty() {
            out.insert("links".to_owned(), self.links.iter().map(Link::to_json).collect());
        }
        out.insert("requests".to_owned(), self.requests.iter().map(Request::to_json).collect());
        Value::Object(out)
    }

    /// Reads what [`World::to_json`] wrote.
    ///
    /// # Errors
    ///
    /// When a part is missing or has another shape; policies and entities are not looked into.
    pub fn from_json(world: &Value) -> Result<Self, WorldFormatError> {
        let texts = |part: &str| world.get(part).and_then(Value::as_str);
        Ok(Self {
            schema: texts("schema").map(str::to_owned),
            policies: statements(
                texts("policies").ok_or_else(|| WorldFormatError::new("policies"))?,
            ),
            links: optional_list(world, "links")
                .iter()
                .map(Link::from_json)
                .collect::<Result<_, _>>()?,
            entities: optional_list(world, "entities").to_vec(),
            requests: optional_list(world, "requests")
                .iter()
                .map(Request::from_json)
                .collect::<Result<_, _>>()?,
        })
    }
}

// === impl Link ===

impl Link {
    fn to_json(&self) -> Value {
        let mut args = Map::new();
        for (slot, uid) in [("?principal", &self.principal), ("?resource", &self.resource)] {
            if let Some(uid) = uid {
                args.insert(slot.to_owned(), json!(uid.cedar()));
            }
        }
        json!({ "template_id": self.template_id, "link_id": self.link_id, "args": args })
    }

    fn from_json(link: &Value) -> Result<Self, WorldFormatError> {
        let text = |part: &str| {
            link.get(part)
                .and_then(Value::as_str)
                .map(str::to_owned)
                .ok_or_else(|| WorldFormatError::new(format!("links.{part}")))
        };
        let slot = |name: &str| {
            let Some(written) = link.get("args").and_then(|args| args.get(name)) else {
                return Ok(None);
            };
            written
                .as_str()
                .and_then(|written| EntityUid::from_str(written).ok())
                .map(|uid| Some(Uid::new(uid.type_name().to_string(), uid.id().unescaped())))
                .ok_or_else(|| WorldFormatError::new(format!("links.args.{name}")))
        };
        Ok(Self {
            template_id: text("template_id")?,
            link_id: text("link_id")?,
            principal: slot("?principal")?,
            resource: slot("?resource")?,
        })
    }
}

// === impl Request ===

impl Request {
    fn to_json(&self) -> Value {
        let mut out = json!({
            "request": {
                "principal": self.principal.json(),
                "action": self.action.json(),
                "resource": self.resource.json(),
                "context": self.context,
            },
            "validateRequest": self.validate,
        });
        if let Some(out) = out.as_object_mut().filter(|_| !self.inline_entities.is_empty()) {
            out.insert("inline".to_owned(), Value::Array(self.inline_entities.clone()));
        }
        out
    }

    fn from_json(item: &Value) -> Result<Self, WorldFormatError> {
        let request =
            item.get("request").ok_or_else(|| WorldFormatError::new("requests.request"))?;
        let uid = |part: &str| {
            let text = |key: &str| request.get(part)?.get(key)?.as_str();
            match (text("type"), text("id")) {
                (Some(ty), Some(id)) => Ok(Uid::new(ty, id)),
                _ => Err(WorldFormatError::new(format!("requests.request.{part}"))),
            }
        };
        Ok(Self {
            principal: uid("principal")?,
            action: uid("action")?,
            resource: uid("resource")?,
            context: request.get("context").cloned().unwrap_or_else(|| json!({})),
            validate: item.get("validateRequest").and_then(Value::as_bool) != Some(false),
            inline_entities: optional_list(item, "inline").to_vec(),
        })
    }
}

fn optional_list<'a>(of: &'a Value, part: &str) -> &'a [Value] {
    of.get(part).and_then(Value::as_array).map_or(&[], Vec::as_slice)
}

/// Cuts a text of policies after each policy: a semicolon outside of strings and comments ends one.
fn statements(text: &str) -> Vec<String> {
    let mut statements = Vec::new();
    let mut current = String::new();
    let mut chars = text.chars().peekable();
    let mut in_string = false;
    while let Some(c) = chars.next() {
        if c == '/' && !in_string && chars.peek() == Some(&'/') {
            while chars.next_if(|c| *c != '\n' && *c != '\r').is_some() {}
            continue;
        }
        current.push(c);
        match c {
            '"' => in_string = !in_string,
            '\\' if in_string => current.extend(chars.next()),
            ';' if !in_string => statements.push(std::mem::take(&mut current)),
            _ => {}
        }
        if current.trim().is_empty() {
            current.clear();
        }
    }
    if !current.is_empty() {
        statements.push(current);
    }
    statements
}

#[cfg(test)]
mod tests {
    use super::statements;

    #[test]
    fn semicolons_in_strings_and_comments_end_nothing() {
        let text = "permit(principal, action, resource) when { \"a;\\\";\" == \"\" }; // one; two\nforbid(principal, action, resource);\n";
        assert_eq!(
            statements(text),
            [
                "permit(principal, action, resource) when { \"a;\\\";\" == \"\" };",
                "forbid(principal, action, resource);"
            ]
        );
    }

    #[test]
    fn an_unfinished_policy_is_kept_for_the_parser_to_complain_about() {
        assert_eq!(statements("permit(; forbid"), ["permit(;", "forbid"]);
    }
}
