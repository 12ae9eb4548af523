//! Cedar's `like` in linear time.
//!
//! A pattern is pieces of text between wildcards. The first piece must begin the text, the last must end it, and each
//! piece between is taken at its leftmost place after the one before, which is where a match must be if there is
//! one. Finding a piece uses `str::find`'s two-way search, so a match costs one pass over the text, not one per
//! position as in the reference. Pieces and text are UTF-8; equality of bytes is equality of characters.

/// Whether `text` matches pieces with a wildcard between each two. No piece matches only the empty text.
pub(crate) fn matches<'p>(mut pieces: impl Iterator<Item = &'p str>, text: &str) -> bool {
    let Some(first) = pieces.next() else { return text.is_empty() };
    let Some(mut rest) = text.strip_prefix(first) else { return false };
    let Some(mut piece) = pieces.next() else { return rest.is_empty() };
    for next in pieces {
        // `piece` has a wildcard on both sides.
        let Some(at) = rest.find(piece) else { return false };
        rest = rest.get(at + piece.len()..).unwrap_or_default();
        piece = next;
    }
    crate::faults::LIKE_WITHOUT_END.is_on() || rest.ends_with(piece)
}

#[cfg(test)]
mod tests {
    use super::matches;

    #[track_caller]
    fn check(pattern: &str, text: &str, expect: bool) {
        assert_eq!(matches(pattern.split('*'), text), expect, "{pattern:?} like {text:?}");
    }

    #[test]
    fn wildcards() {
        check("foo bar*", "foo bar", true);
        check("*o b*", "foo bar", true);
        check("f**r", "foo bar", true);
        check("f*x*r", "foo bar", false);
        check("", "", true);
        check("", "x", false);
        check("*", "", true);
        check("ab*ba", "aba", false);
        check("ab*ba", "abba", true);
        check("*ab*ab*", "abab", true);
        check("*ab*ab*", "aab", false);
        check("y*", "y\u{306}", true);
        check("a*a*a", "aa", false);
    }

    #[test]
    fn a_pattern_that_is_quadratic_elsewhere_ends() {
        let pattern = format!("*{}b*", "a".repeat(9_000));
        let text = "a".repeat(900_000);
        check(&pattern, &text, false);
    }
}
