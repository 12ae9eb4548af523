//! A world: everything one policy set needs to be asked questions, as plain text and JSON.
//!
//! No engine's types appear here, and nothing is checked: whoever reads a world decides what to refuse.

mod json;

pub use json::WorldFormatError;

use crate::quote;
use serde_json::{Value, json};

/// The identifier of an entity: its type's full name and its id, unescaped.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Uid {
    /// The full name of the entity type, such as `App::User`.
    pub ty: String,
    /// The id, as it is (not escaped).
    pub id: String,
}

/// A template linked to entities.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Link {
    /// The id of the template: `policy` and its position among the world's policies.
    pub template_id: String,
    /// The id of the policy that the link makes.
    pub link_id: String,
    /// What `?principal` stands for, if the template has it.
    pub principal: Option<Uid>,
    /// What `?resource` stands for, if the template has it.
    pub resource: Option<Uid>,
}

/// One question, with what comes along with it.
///
/// With `validate`, the context and the inline entities are read with the schema and the request is checked against it.
/// Without it (or without a schema) all three are taken as they are: the schema is not looked at, so every entity and
/// extension value in them is written with its escape.
#[derive(Debug, Clone, PartialEq)]
pub struct Request {
    /// Who asks.
    pub principal: Uid,
    /// What they want to do.
    pub action: Uid,
    /// What they want to do it to.
    pub resource: Uid,
    /// The context: a JSON object.
    pub context: Value,
    /// Whether this request is checked against the world's schema.
    pub validate: bool,
    /// Entities that exist for this request only, as entity JSON: uids that the world's entities do not hold and that no
    /// stored entity names as its parent.
    pub inline_entities: Vec<Value>,
}

/// Policies, entities and requests.
#[derive(Debug, Clone, PartialEq)]
pub struct World {
    /// The schema in Cedar's schema syntax.
    pub schema: Option<String>,
    /// Policies and templates in Cedar syntax, one each; the one at position `n` has the id `policyn`.
    pub policies: Vec<String>,
    /// The templates' links.
    pub links: Vec<Link>,
    /// Entity JSON, one entity each. Read with the schema where there is one.
    pub entities: Vec<Value>,
    /// The questions.
    pub requests: Vec<Request>,
}

// === impl Uid ===

impl Uid {
    /// An identifier from its parts.
    pub fn new(ty: impl Into<String>, id: impl Into<String>) -> Self {
        Self { ty: ty.into(), id: id.into() }
    }

    /// The identifier in Cedar syntax, such as `App::User::"alice"`.
    pub fn cedar(&self) -> String {
        format!("{}::{}", self.ty, quote::literal(&self.id))
    }

    /// The identifier as `{"type", "id"}`.
    pub fn json(&self) -> Value {
        json!({ "type": self.ty, "id": self.id })
    }
}

// === impl World ===

impl World {
    /// All policies in one text; the positional ids Cedar gives them are those the world means.
    pub fn policy_text(&self) -> String {
        self.policies.join("\n")
    }

    /// All entities in one JSON array.
    pub fn entities_json(&self) -> Value {
        Value::Array(self.entities.clone())
    }

    /// The id of the policy at `position`.
    pub fn policy_id(position: usize) -> String {
        format!("policy{position}")
    }
}
