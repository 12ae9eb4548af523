//! One attribute of an action's context, from JSON that was not written for Cedar: what somebody sends to a tool.
//!
//! The schema leads. Where it says entity, a string is the entity's id; where it says `decimal`, a number will do; a
//! record has the fields declared and no others, because a policy that knows the type would otherwise judge less than
//! what is sent. There are no escapes here. It reads nothing for which there is no type.

use bumpalo::Bump;

use super::JsonError;
use super::cursor::Cursor;
use super::value::{self, Expected, Manner};
use crate::bundle::Bundle;
use crate::limits::RequestLimits;
use crate::lookup;
use crate::prepare::{context_type, field_type};
use crate::request::{Uid, Value};

/// Reads a text as the attribute `key` of an action's context. `None` where the bundle's schema does not declare one: of
/// such a text nothing is read.
///
/// # Errors
///
/// When the text is not JSON of the declared type, is too long or too deep, or has a key twice.
pub fn read_attribute<'a>(
    text: &'a str,
    bundle: &Bundle,
    action: Uid<'_>,
    key: &str,
    arena: &'a Bump,
    limits: &RequestLimits,
) -> Result<Option<Value<'a>>, JsonError> {
    let tables = bundle.tables();
    let declared = || {
        let action = lookup::entity(tables, action.entity_type.as_bytes(), action.id.as_bytes())?;
        let key = lookup::symbol(tables, key.as_bytes())?;
        field_type(tables, context_type(tables, action), key)
    };
    let Some(schema_type) = declared().filter(|_| bundle.has_schema()) else { return Ok(None) };
    let mut cursor = Cursor::new(text, arena, limits)?;
    let expected = Expected { tables, schema_type, manner: Manner::Foreign };
    let value = value::read(&mut cursor, Some(expected)).map_err(|e| e.within(key))?;
    cursor.end()?;
    Ok(Some(value))
}
