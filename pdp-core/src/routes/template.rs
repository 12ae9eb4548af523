//! Entities with placeholders, Cedar's text form with `{name}` in the id: read once, filled in by whoever has the values.
//!
//! It does not know which placeholders there are; a table says that.

use crate::json::{Arena, read_uid};

/// An entity with placeholders in its id.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UidTemplate {
    /// The type; it has no placeholders.
    pub entity_type: String,
    /// The id.
    pub parts: Vec<Part>,
}

/// A piece of an id.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Part {
    /// These characters.
    Text(String),
    /// The name of a placeholder.
    Hole(String),
}

// === impl UidTemplate ===

impl UidTemplate {
    /// Reads a template.
    ///
    /// # Errors
    ///
    /// A sentence, when the text is no entity, or its id holds braces that are no placeholder.
    pub fn read(text: &str) -> Result<Self, String> {
        let arena = Arena::new();
        let uid = read_uid(text, &arena).map_err(|error| error.to_string())?;
        let odd = || format!("`{text}` has a brace that is no placeholder");
        let parts = parts(uid.id).ok_or_else(odd)?;
        Ok(Self { entity_type: uid.entity_type.to_owned(), parts })
    }
}

/// The pieces of a text; `None` if it has braces that are no placeholder.
pub(super) fn parts(text: &str) -> Option<Vec<Part>> {
    let (mut parts, mut rest) = (Vec::new(), text);
    while let Some((before, after)) = rest.split_once('{') {
        let (hole, after) = after.split_once('}')?;
        if before.contains('}') || hole.is_empty() || hole.contains('{') {
            return None;
        }
        if !before.is_empty() {
            parts.push(Part::Text(before.to_owned()));
        }
        parts.push(Part::Hole(hole.to_owned()));
        rest = after;
    }
    if rest.contains('}') {
        return None;
    }
    if !rest.is_empty() {
        parts.push(Part::Text(rest.to_owned()));
    }
    Some(parts)
}

/// Reads a template whose placeholders are all among `holes`.
pub(super) fn template(text: &str, holes: &[&str]) -> Result<UidTemplate, String> {
    let template = UidTemplate::read(text)?;
    for part in &template.parts {
        if let Part::Hole(name) = part
            && !holes.contains(&name.as_str())
        {
            return Err(format!("`{text}`: nothing fills `{{{name}}}`"));
        }
    }
    Ok(template)
}
