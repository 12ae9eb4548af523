//! `routes.toml`: TOML to a route table, checked by itself and against the schema. Unknown keys are refused.

use super::manifest::TomlError;
use super::tree::SchemaTree;
use crate::routes::{Part, RouteTable, UidTemplate};

/// Reads `routes.toml`.
pub(super) fn read(text: &str, schema: Option<&SchemaTree>) -> Result<RouteTable, Vec<TomlError>> {
    let table: RouteTable = toml::from_str(text).map_err(|e| vec![TomlError::from(e)])?;
    let mut errors: Vec<TomlError> = table
        .faults()
        .into_iter()
        .map(|fault| TomlError {
            span: fault.near.and_then(|near| place(text, &near)),
            message: fault.message,
        })
        .collect();
    let mut refuse = |near: &str, message: String| {
        // What the table says for all routes is wrong once, not once a route.
        if !errors.iter().any(|error: &TomlError| error.message == message) {
            errors.push(TomlError { span: place(text, near), message });
        }
    };
    if let Some(schema) = schema {
        for entity in table.entities() {
            if let Ok(template) = UidTemplate::read(entity)
                && !schema.entity_types.iter().any(|ty| ty.name == template.entity_type)
            {
                let ty = &template.entity_type;
                refuse(entity, format!("`{ty}` is a type that the schema does not declare"));
            }
        }
        for action in table.actions() {
            let Ok(template) = UidTemplate::read(action) else { continue };
            let id = match template.parts.as_slice() {
                [] => Some(""),
                [Part::Text(id)] => Some(id.as_str()),
                _ => None,
            };
            let declared = schema.actions.iter().any(|action| {
                action.name.entity_type == template.entity_type
                    && id.is_none_or(|id| action.name.id == id)
            });
            if !declared {
                refuse(action, format!("`{action}` is an action that the schema does not declare"));
            }
        }
    }
    if errors.is_empty() { Ok(table) } else { Err(errors) }
}

/// Where a text stands in quotes, or else at all.
fn place(text: &str, near: &str) -> Option<(usize, usize)> {
    let quoted = ['"', '\''].map(|quote| format!("{quote}{near}{quote}"));
    let in_quotes = quoted.iter().find_map(|quoted| text.find(quoted)).map(|at| at + 1);
    in_quotes.or_else(|| text.find(near)).map(|at| (at, at + near.len()))
}
