//! Cedar text of strings: literals, entity references, attribute access and `like` patterns.
//!
//! Everything the generator writes into a policy or a schema passes through here, so that a string's content never
//! decides how the text around it parses.

use crate::rng::Rng;

/// Words that stand for themselves in the grammar and therefore need quotes as attribute names.
const RESERVED: &[&str] = &["if", "then", "else", "true", "false", "in", "is", "has", "like"];

/// `text` as a Cedar string literal, quotes included.
pub(crate) fn literal(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 2);
    out.push('"');
    for c in text.chars() {
        push_escaped(&mut out, c);
    }
    out.push('"');
    out
}

/// Like [`literal`], but now and then a character is written as an escape it does not need.
pub(crate) fn varied_literal(rng: &mut Rng, text: &str) -> String {
    if !rng.percent(4) {
        return literal(text);
    }
    let mut out = String::from("\"");
    for c in text.chars() {
        match rng.below(4) {
            0 if c.is_ascii() => out.push_str(&format!("\\x{:02x}", u32::from(c))),
            1 => out.push_str(&format!("\\u{{{:x}}}", u32::from(c))),
            _ => push_escaped(&mut out, c),
        }
    }
    out.push('"');
    out
}

/// A `like` pattern as a literal: `None` is the wildcard.
pub(crate) fn pattern(parts: &[Option<char>]) -> String {
    let mut out = String::from("\"");
    for part in parts {
        match part {
            None => out.push('*'),
            Some('*') => out.push_str("\\*"),
            Some(c) => push_escaped(&mut out, *c),
        }
    }
    out.push('"');
    out
}

/// True when `name` may stand after a dot.
pub(crate) fn is_identifier(name: &str) -> bool {
    let mut chars = name.chars();
    chars.next().is_some_and(|c| c == '_' || c.is_ascii_alphabetic())
        && chars.all(|c| c == '_' || c.is_ascii_alphanumeric())
        && !RESERVED.contains(&name)
}

/// `of.name`, or `of["name"]` where the name is no identifier.
pub(crate) fn access(of: &str, name: &str) -> String {
    if is_identifier(name) { format!("{of}.{name}") } else { format!("{of}[{}]", literal(name)) }
}

/// A name as a record key, after `has`, or as an attribute in a schema.
pub(crate) fn key(name: &str) -> String {
    if is_identifier(name) { name.to_owned() } else { literal(name) }
}

fn push_escaped(out: &mut String, c: char) {
    match c {
        '"' => out.push_str("\\\""),
        '\\' => out.push_str("\\\\"),
        '\n' => out.push_str("\\n"),
        '\r' => out.push_str("\\r"),
        '\t' => out.push_str("\\t"),
        '\0' => out.push_str("\\0"),
        c if c.is_control() => out.push_str(&format!("\\u{{{:x}}}", u32::from(c))),
        c => out.push(c),
    }
}

#[cfg(test)]
mod tests {
    use super::{access, is_identifier, literal, pattern, varied_literal};
    use crate::rng::Rng;
    use cedar_policy::{Context, Entities, EntityUid, Expression, Request};
    use cedar_policy::{EvalResult, eval_expression};
    use std::str::FromStr as _;

    fn evaluated(text: &str) -> Option<EvalResult> {
        let uid = || EntityUid::from_str("T::\"x\"").ok();
        let request = Request::new(uid()?, uid()?, uid()?, Context::empty(), None).ok()?;
        let expression = Expression::from_str(text).ok()?;
        eval_expression(&request, &Entities::empty(), &expression).ok()
    }

    #[test]
    fn what_is_quoted_reads_back_as_itself() {
        let mut rng = Rng::new(&[3]);
        for text in ["", "a\"b\\c", "\u{0}\n\r\t\u{7f}\u{85}", "日本🦀", "*", "a'b"] {
            let expected = Some(EvalResult::String(text.to_owned()));
            assert_eq!(evaluated(&literal(text)), expected, "{text:?}");
            for _ in 0..50 {
                assert_eq!(evaluated(&varied_literal(&mut rng, text)), expected, "{text:?}");
            }
        }
    }

    #[test]
    fn a_star_in_a_pattern_is_escaped_and_a_wildcard_is_not() {
        let written = pattern(&[Some('*'), None, Some('"')]);
        let matches = |text: &str| evaluated(&format!("{} like {written}", literal(text)));
        assert_eq!(matches("*abc\""), Some(EvalResult::Bool(true)));
        assert_eq!(matches("xabc\""), Some(EvalResult::Bool(false)));
    }

    #[test]
    fn names_that_are_no_identifiers_are_indexed() {
        assert_eq!(access("context", "tool"), "context.tool");
        assert_eq!(access("context", "in"), "context[\"in\"]");
        assert_eq!(access("context", "x y"), "context[\"x y\"]");
        assert!(!is_identifier(""));
        assert!(!is_identifier("1a"));
    }
}
