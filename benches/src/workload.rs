//! What an engine is asked in a benchmark: texts, questions, and what is known about them.
//!
//! A [`Workload`] holds Cedar texts and questions and knows no engine; each engine builds itself from it beforehand. A
//! question is one JSON text, in the form that `pdp_core::json` reads, so that nothing is measured which could not have
//! come over a wire. Everything comes from [`Random`] with a fixed seed: the same size gives the same texts on every
//! machine. A generator refuses to know how an engine finds policies; it is about what people write.

use std::fmt::Write;

use serde_json::{Value, json};

use crate::w1::W1;

/// Distinct questions of a generated workload, asked in turn: enough that they do not all stay in the nearest cache.
pub const QUESTIONS: usize = 1_000;

/// A namespace for [`Random`] seeds, so that families do not draw the same numbers.
const SEED: u64 = 0x5731_0000;

/// Texts and questions of one family at one size.
#[derive(Clone, Debug)]
pub struct Workload {
    /// The family, as the record names it.
    pub family: String,
    /// The size on the horizontal axis: policies, except where the family says otherwise.
    pub size: usize,
    /// The policies in Cedar syntax, named `policy0`, `policy1`, … by position.
    pub policies: String,
    /// The schema in Cedar syntax or as JSON; without one, requests are not validated.
    pub schema: Option<SchemaText>,
    /// The entities as Cedar's JSON.
    pub entities: String,
    /// Where the reference cannot take them all: of how many questions it is asked, and the entities these need.
    pub reference_entities: Option<(usize, String)>,
    /// Whether the policies must pass the strict validator; those of others need not.
    pub is_valid: bool,
    /// What is asked, one JSON text each.
    pub questions: Vec<String>,
    /// The same in another engine's words, where there are any.
    pub rewrite: Rewrite,
}

/// A schema in one of its two notations.
#[derive(Clone, Debug)]
pub enum SchemaText {
    /// Cedar's own syntax.
    Cedar(String),
    /// JSON.
    Json(String),
}

/// What peers that do not read Cedar can be built from.
#[derive(Clone, Debug)]
pub enum Rewrite {
    /// Agents and tools: grants of agents and groups.
    W1(Box<W1>),
    /// Rules that differ only in what attributes equal.
    Attributes(Vec<crate::attribute_rules::Rule>),
    /// Nothing, and why.
    None(&'static str),
}

/// A splitmix64 generator: small, known, the same everywhere.
#[derive(Clone, Debug)]
pub struct Random(u64);

/// Writes entities as Cedar's JSON.
#[derive(Debug)]
pub struct EntityWriter {
    json: String,
}

// === impl Random ===

impl Random {
    /// The generator of a family, for one of the things that it draws.
    pub fn new(family: u64) -> Self {
        Self(SEED + family)
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A number below `end`; nought where there is none.
    pub fn below(&mut self, end: usize) -> usize {
        let below = self.next().checked_rem(end as u64).unwrap_or(0);
        usize::try_from(below).unwrap_or(0)
    }

    /// One of some items.
    pub fn pick<T: Copy>(&mut self, items: &[T]) -> Option<T> {
        items.get(self.below(items.len())).copied()
    }
}

// === impl EntityWriter ===

impl EntityWriter {
    /// An empty array.
    pub fn new() -> Self {
        Self { json: "[\n".to_owned() }
    }

    /// Adds an entity; `attrs` are the inside of its JSON object.
    pub fn add(&mut self, kind: &str, id: &str, attrs: &str, parents: &[(&str, String)]) {
        let comma = if self.json.len() > 2 { ",\n" } else { "" };
        // Writing to a String cannot fail.
        let _ = write!(
            self.json,
            r#"{comma}{{"uid":{{"type":"{kind}","id":"{id}"}},"attrs":{{{attrs}}},"parents":["#
        );
        for (at, (kind, id)) in parents.iter().enumerate() {
            let comma = if at > 0 { "," } else { "" };
            let _ = write!(self.json, r#"{comma}{{"type":"{kind}","id":"{id}"}}"#);
        }
        self.json.push_str("]}");
    }

    /// The array.
    pub fn finish(mut self) -> String {
        self.json.push_str("\n]\n");
        self.json
    }
}

impl Default for EntityWriter {
    fn default() -> Self {
        Self::new()
    }
}

/// A question without delegation: principal, action and resource by type and id, and the context.
pub fn question(
    principal: (&str, &str),
    action: &str,
    resource: (&str, &str),
    context: &Value,
) -> String {
    json!({
        "principal": uid(principal.0, principal.1),
        "action": {"type": action_type(principal.0), "id": action},
        "resource": uid(resource.0, resource.1),
        "context": context,
    })
    .to_string()
}

/// An entity's name as JSON.
pub fn uid(kind: &str, id: &str) -> Value {
    json!({"type": kind, "id": id})
}

/// The type of actions in the namespace of `kind`.
fn action_type(kind: &str) -> String {
    match kind.rsplit_once("::") {
        Some((namespace, _)) => format!("{namespace}::Action"),
        None => "Action".to_owned(),
    }
}
