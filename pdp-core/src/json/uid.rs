//! Entity names: Cedar's text form and its JSON forms.

use bumpalo::Bump;
use bumpalo::collections::String as ArenaString;

use super::JsonError;
use super::tree::Json;
use crate::request::Uid;

/// Reads an entity's name in Cedar's text form, `Type::"id"`, with Cedar's escapes in the id.
///
/// # Errors
///
/// When the text is not of that form.
pub fn read_uid<'a>(text: &str, arena: &'a Bump) -> Result<Uid<'a>, JsonError> {
    let bad = || JsonError::new(format!("`{text}` is not an entity; write it like `Type::\"id\"`"));
    let (entity_type, rest) = text.trim().split_once("::\"").ok_or_else(bad)?;
    let quoted = rest.strip_suffix('"').ok_or_else(bad)?;
    if !is_type_name(entity_type) {
        return Err(bad());
    }
    let id = unescape(quoted, arena).ok_or_else(bad)?;
    Ok(Uid { entity_type: arena.alloc_str(entity_type), id })
}

/// An entity's name from JSON: `{"type", "id"}`, `{"__entity": {"type", "id"}}` or, where `text` says so, the text form.
pub(super) fn from_json<'a>(
    json: Json<'a>,
    text: bool,
    arena: &'a Bump,
) -> Result<Uid<'a>, JsonError> {
    match json {
        Json::Text(name) if text => read_uid(name, arena),
        Json::Object([("__entity", inner)]) => type_and_id(*inner),
        json => type_and_id(json),
    }
}

fn type_and_id(json: Json<'_>) -> Result<Uid<'_>, JsonError> {
    match json {
        Json::Object(pairs) if pairs.len() == 2 => match (json.get("type"), json.get("id")) {
            (Some(Json::Text(entity_type)), Some(Json::Text(id))) if is_type_name(entity_type) => {
                Ok(Uid { entity_type, id })
            }
            (Some(Json::Text(name)), Some(Json::Text(_))) => {
                Err(JsonError::new(format!("`{name}` is not the name of an entity type")))
            }
            _ => Err(JsonError::new("an entity is `{\"type\": …, \"id\": …}` with two strings")),
        },
        json => Err(JsonError::new(format!(
            "expected an entity, `{{\"type\": …, \"id\": …}}`, not {}",
            json.kind()
        ))),
    }
}

/// Identifiers joined by `::`, without white space.
fn is_type_name(name: &str) -> bool {
    name.split("::").all(|part| {
        let mut chars = part.chars();
        chars.next().is_some_and(|c| c == '_' || c.is_ascii_alphabetic())
            && chars.all(|c| c == '_' || c.is_ascii_alphanumeric())
    })
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
            let digits: String = chars.by_ref().take(2).collect();
            let code = u8::from_str_radix(&digits, 16)
                .ok()
                .filter(|code| digits.len() == 2 && *code < 0x80)?;
            char::from(code)
        }
        'u' => {
            if chars.next()? != '{' {
                return None;
            }
            let digits: String =
                chars.by_ref().take_while(|c| *c != '}').filter(|c| *c != '_').collect();
            let code = u32::from_str_radix(&digits, 16).ok().filter(|_| digits.len() <= 6)?;
            char::from_u32(code)?
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
    }

    #[test]
    fn the_displayed_form_is_read_back() {
        let arena = Bump::new();
        let uid = Uid::new("A::B", "tab\t quote\" back\\slash \u{0} ü 'x'");
        assert_eq!(read_uid(&uid.to_string(), &arena), Ok(uid));
    }
}
