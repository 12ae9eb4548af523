//! Entity names: Cedar's text form and its JSON forms.

use bumpalo::Bump;
use bumpalo::collections::String as ArenaString;

use super::JsonError;
use super::cursor::{Cursor, Kind};
use crate::request::{Uid, Value};

/// Reads an entity's name in Cedar's text form, `Type::"id"`, with Cedar's escapes in the id.
///
/// # Errors
///
/// When the text is not of that form.
pub fn read_uid<'a>(text: &'a str, arena: &'a Bump) -> Result<Uid<'a>, JsonError> {
    let bad = || JsonError::new(format!("`{text}` is not an entity; write it like `Type::\"id\"`"));
    let (entity_type, rest) = text.trim().split_once("::\"").ok_or_else(bad)?;
    let quoted = rest.strip_suffix('"').ok_or_else(bad)?;
    let id = match quoted.bytes().any(|byte| matches!(byte, b'"' | b'\\')) {
        false => quoted,
        true => unescape(quoted, arena).ok_or_else(bad)?,
    };
    let uid = Uid { entity_type, id };
    if uid.has_type_name() { Ok(uid) } else { Err(bad()) }
}

/// An entity's name: `{"type", "id"}`, `{"__entity": {"type", "id"}}` or, where `by_text` says so, the text form.
pub(super) fn read<'a>(cursor: &mut Cursor<'a>, by_text: bool) -> Result<Uid<'a>, JsonError> {
    match cursor.kind()? {
        Kind::Text if by_text => read_uid(cursor.text()?, cursor.arena),
        Kind::Object => {
            cursor.enter()?;
            match cursor.key(true)? {
                Some("__entity") => {
                    if cursor.kind()? != Kind::Object {
                        return Err(other(cursor.kind()?));
                    }
                    cursor.enter()?;
                    let key = cursor.key(true)?;
                    let uid = type_and_id(cursor, key)?;
                    if cursor.key(false)?.is_some() { Err(no_entity()) } else { Ok(uid) }
                }
                key => type_and_id(cursor, key),
            }
        }
        kind => Err(other(kind)),
    }
}

/// The rest of `{"type", "id"}` after its first key.
fn type_and_id<'a>(
    cursor: &mut Cursor<'a>,
    mut key: Option<&'a str>,
) -> Result<Uid<'a>, JsonError> {
    let (mut entity_type, mut id) = (None, None);
    while let Some(name) = key {
        let slot = match name {
            "type" => &mut entity_type,
            "id" => &mut id,
            _ => return Err(no_entity()),
        };
        if slot.is_some() {
            return Err(cursor.error(&format!("key `{name}` occurs twice")));
        }
        if cursor.kind()? != Kind::Text {
            return Err(no_entity());
        }
        *slot = Some(cursor.text()?);
        key = cursor.key(false)?;
    }
    let (Some(entity_type), Some(id)) = (entity_type, id) else { return Err(no_entity()) };
    named(entity_type, id)
}

/// The entity that an object under `__entity` names.
pub(super) fn of_record<'a>(pairs: &[(&'a str, Value<'a>)]) -> Result<Uid<'a>, JsonError> {
    match *pairs {
        [("type", Value::String(entity_type)), ("id", Value::String(id))]
        | [("id", Value::String(id)), ("type", Value::String(entity_type))] => {
            named(entity_type, id)
        }
        _ => Err(no_entity()),
    }
}

fn named<'a>(entity_type: &'a str, id: &'a str) -> Result<Uid<'a>, JsonError> {
    let uid = Uid { entity_type, id };
    match uid.has_type_name() {
        true => Ok(uid),
        false => Err(JsonError::new(format!("`{entity_type}` is not the name of an entity type"))),
    }
}

#[cold]
fn no_entity() -> JsonError {
    JsonError::new("an entity is `{\"type\": …, \"id\": …}` with two strings")
}

#[cold]
fn other(kind: Kind) -> JsonError {
    JsonError::new(format!("expected an entity, `{{\"type\": …, \"id\": …}}`, not {kind}"))
}

/// The text of a Cedar string literal, without its quotes.
fn unescape<'a>(quoted: &str, arena: &'a Bump) -> Option<&'a str> {
    let mut text = ArenaString::with_capacity_in(quoted.len(), arena);
    let mut chars = quoted.chars();
    while let Some(c) = chars.next() {
        match c {
            '"' => return None,
            '\\' => text.push(escape(&mut chars)?),
            c => text.push(c),
        }
    }
    Some(text.into_bump_str())
}

fn escape(chars: &mut std::str::Chars<'_>) -> Option<char> {
    Some(match chars.next()? {
        'n' => '\n',
        'r' => '\r',
        't' => '\t',
        '0' => '\0',
        '\\' => '\\',
        '\'' => '\'',
        '"' => '"',
        'x' => {
            let (high, low) = (chars.next()?.to_digit(16)?, chars.next()?.to_digit(16)?);
            char::from_u32(high * 16 + low).filter(char::is_ascii)?
        }
        'u' => {
            let (digits, rest) = chars.as_str().strip_prefix('{')?.split_once('}')?;
            *chars = rest.chars();
            let (mut code, mut count) = (0, 0);
            for digit in digits.chars().filter(|digit| *digit != '_') {
                (code, count) = (code * 16 + digit.to_digit(16)?, count + 1);
                if count > 6 {
                    return None;
                }
            }
            char::from_u32(code).filter(|_| count > 0)?
        }
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, expect: Option<(&str, &str)>) {
        let arena = Bump::new();
        let uid = read_uid(text, &arena).ok().map(|uid| (uid.entity_type, uid.id));
        assert_eq!(uid, expect, "{text}");
    }

    #[test]
    fn text_form() {
        check(r#"User::"alice""#, Some(("User", "alice")));
        check(r#"A::B::"x\"y\\\u{1F600}\n""#, Some(("A::B", "x\"y\\\u{1F600}\n")));
        check(r#"User::"""#, Some(("User", "")));
        check(r#"User::"a"b""#, None);
        check(r#"User::alice"#, None);
        check(r#"::"alice""#, None);
        check(r#"User::"a\"#, None);
        check(r#"User::"\u{110000}""#, None);
        check(r#"Us er::"a""#, None);
        check(r#"User::"\x41\x7f\u{4_1}\0\'""#, Some(("User", "A\u{7f}A\0'")));
        for bad in [
            r"\x80",
            r"\x+1",
            r"\x4",
            r"\u{}",
            r"\u{41",
            r"\u41",
            r"\u{1234567}",
            r"\u{d800}",
            r"\q",
        ] {
            check(&format!("User::\"{bad}\""), None);
        }
    }

    #[test]
    fn the_displayed_form_is_read_back() {
        let arena = Bump::new();
        let uid = Uid::new("A::B", "tab\t quote\" back\\slash \u{0} ü 'x'");
        assert_eq!(read_uid(&uid.to_string(), &arena), Ok(uid));
    }
}
