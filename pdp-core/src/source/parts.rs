//! Cuts a policy text between its policies and a JSON array between its elements, so that parts can be read apart.
//!
//! A policy ends with the only `;` of it that stands neither in a string nor in a comment. Strings and comments are
//! told as Cedar's lexer tells them; where the two could differ the lexer sees an error, the part does not parse, and
//! the caller reads the text as a whole.

use super::nesting::end_of_string;

/// Bytes of a part, at least: large enough that starting a parser does not show, small enough that what Cedar makes of
/// one part does not either.
const PART_BYTES: usize = 1 << 16;

/// A part of a policy text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Part<'t> {
    pub(super) text: &'t str,
    /// Where it begins in the whole.
    pub(super) start: usize,
    /// How many policies stand before it.
    pub(super) first: usize,
    /// How many policies end in it, if they were counted.
    pub(super) policies: Option<usize>,
}

/// The parts of a text; one after the other they are the text.
pub(super) fn parts(text: &str) -> Vec<Part<'_>> {
    cut(text, PART_BYTES)
}

fn cut(text: &str, part_bytes: usize) -> Vec<Part<'_>> {
    let bytes = text.as_bytes();
    let mut parts = Vec::new();
    let part = |start: usize, end: usize, first, policies| {
        let text = text.get(start..end)?;
        Some(Part { text, start, first, policies: Some(policies) })
    };
    let (mut start, mut first, mut policies, mut at) = (0, 0, 0, 0);
    while let Some(byte) = bytes.get(at) {
        match byte {
            b'"' => at = end_of_string(bytes, at),
            b'/' if bytes.get(at + 1) == Some(&b'/') => at = end_of_comment(bytes, at),
            b';' => {
                policies += 1;
                let end = at + 1;
                // What follows the last policy, white space as a rule, stays with it.
                if end - start >= part_bytes && bytes.len() - end >= part_bytes {
                    parts.extend(part(start, end, first, policies));
                    (start, first, policies) = (end, first + policies, 0);
                }
            }
            _ => {}
        }
        at += 1;
    }
    parts.extend(part(start, text.len(), first, policies));
    parts
}

/// Runs of elements of a JSON array, without its brackets; `None` if the text is not cut so easily. Runs that are read
/// without an error are together what the array is; of anything else the array as a whole has to tell.
pub(super) fn elements(text: &str) -> Option<Vec<&str>> {
    elements_of(text, PART_BYTES)
}

fn elements_of(text: &str, part_bytes: usize) -> Option<Vec<&str>> {
    let white = |c| matches!(c, ' ' | '\n' | '\r' | '\t');
    let inner = text.trim_matches(white).strip_prefix('[')?.strip_suffix(']')?;
    let bytes = inner.as_bytes();
    let mut runs = Vec::new();
    let (mut start, mut open, mut at) = (0, 0usize, 0);
    while let Some(byte) = bytes.get(at) {
        match byte {
            b'"' => at = end_of_string(bytes, at),
            b'[' | b'{' => open += 1,
            b']' | b'}' => open = open.checked_sub(1)?,
            b',' if open == 0 && at - start >= part_bytes => {
                runs.push(inner.get(start..at)?);
                start = at + 1;
            }
            _ => {}
        }
        at += 1;
    }
    runs.push(inner.get(start..)?);
    // A run of nothing would hide a comma too many.
    (open == 0 && runs.iter().all(|run| !run.trim_matches(white).is_empty())).then_some(runs)
}

/// Where the comment that begins at `start` ends: its line break.
fn end_of_comment(bytes: &[u8], start: usize) -> usize {
    let rest = bytes.iter().skip(start);
    rest.clone()
        .position(|byte| matches!(byte, b'\n' | b'\r'))
        .map_or(bytes.len(), |len| start + len)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, expect: &[(&str, usize, usize)]) {
        let found = cut(text, 1);
        let plain: Vec<_> =
            found.iter().map(|part| (part.text, part.first, part.policies)).collect();
        let expect: Vec<_> =
            expect.iter().map(|(text, first, count)| (*text, *first, Some(*count))).collect();
        assert_eq!(plain, expect);
        let mut end = 0;
        for part in found {
            assert_eq!(part.start, end, "{text}");
            end += part.text.len();
        }
        assert_eq!(end, text.len(), "{text}");
    }

    #[test]
    fn texts_are_cut_behind_policies_only() {
        check("", &[("", 0, 0)]);
        check("a", &[("a", 0, 0)]);
        check("a;", &[("a;", 0, 1)]);
        check("a;b;c; ", &[("a;", 0, 1), ("b;", 1, 1), ("c;", 2, 1), (" ", 3, 0)]);
        check("\";\\\";\";b;", &[("\";\\\";\";", 0, 1), ("b;", 1, 1)]);
        check("a;// ;\nb;// ;\r;", &[("a;", 0, 1), ("// ;\nb;", 1, 1), ("// ;\r;", 2, 1)]);
        check("a / b; \";", &[("a / b;", 0, 1), (" \";", 1, 0)]);
        check("ä;\"ö\\", &[("ä;", 0, 1), ("\"ö\\", 1, 0)]);
    }

    #[test]
    fn arrays_are_cut_behind_elements_only() {
        let check = |text, expect: Option<&[&str]>| {
            assert_eq!(elements_of(text, 1).as_deref(), expect, "{text}");
        };
        check(" [1,2, 3]\n", Some(&["1", "2", " 3"]));
        check(
            r#"[{"a":[1,2]},"],\",",[[],{}]]"#,
            Some(&[r#"{"a":[1,2]}"#, r#""],\",""#, "[[],{}]"]),
        );
        for text in ["", "{}", "[", "[]", "[1,]", "[1]]", "[[1]", "[1", "[1] 2", "[}{]", "[1}, {2]"]
        {
            check(text, None);
        }
        // The comma before anything stays with what follows, where reading it fails.
        check("[,1,2]", Some(&[",1", "2"]));
        check("[1,,2]", Some(&["1", ",2"]));
    }

    #[test]
    fn parts_are_as_long_as_asked() {
        let text = "abc;".repeat(10);
        let found: Vec<usize> = cut(&text, 10).iter().filter_map(|part| part.policies).collect();
        assert_eq!(found, [3, 3, 4]);
    }
}
