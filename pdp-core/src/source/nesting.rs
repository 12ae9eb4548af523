//! How deep does a text nest? Counted on its tokens, before a recursive parser sees it.
//!
//! Two hundred nested parentheses overflow the stack of Cedar's parser on a usual thread and abort the process, and
//! nobody can catch that. Brackets count, and so does `if`, which nests without brackets; strings and comments do not.

/// The first place where a text nests deeper than `nesting_max`, or sets, records and blocks in it deeper than
/// `literal_nesting_max`.
pub(super) fn too_deep(text: &str, nesting_max: u32, literal_nesting_max: u32) -> Option<usize> {
    let bytes = text.as_bytes();
    // What is open: brackets, and `if`s that end with the bracket around them.
    let mut open: Vec<u8> = Vec::new();
    let mut at = 0;
    while let Some(byte) = bytes.get(at) {
        match byte {
            b'"' => at = end_of_string(bytes, at),
            b'/' if bytes.get(at + 1) == Some(&b'/') => at = end_of_line(bytes, at),
            b'(' | b'[' | b'{' | b'<' => open.push(*byte),
            b')' | b']' | b'}' | b'>' => {
                while open.last() == Some(&b'i') {
                    open.pop();
                }
                // `<` is an operator in policies and a bracket in schemas: only its own kind closes it.
                if *byte != b'>' {
                    while open.last() == Some(&b'<') {
                        open.pop();
                    }
                    open.pop();
                } else if open.last() == Some(&b'<') {
                    open.pop();
                }
            }
            b';' | b',' => {
                while matches!(open.last(), Some(b'i' | b'<')) {
                    open.pop();
                }
            }
            // What `<` compares ends here; a bracket of a schema never has these inside.
            b'&' | b'|' => {
                while open.last() == Some(&b'<') {
                    open.pop();
                }
            }
            b'i' if is_word(bytes, at, b"if") => open.push(b'i'),
            _ => {}
        }
        let literals = || open.iter().filter(|bracket| matches!(bracket, b'[' | b'{')).count();
        if open.len() > nesting_max as usize
            || (open.len() > literal_nesting_max as usize
                && literals() > literal_nesting_max as usize)
        {
            return Some(at);
        }
        at += 1;
    }
    None
}

/// Where the string that begins at `start` ends: its closing quote, or the end of the text.
pub(super) fn end_of_string(bytes: &[u8], start: usize) -> usize {
    let mut at = start + 1;
    while let Some(byte) = bytes.get(at) {
        match byte {
            b'\\' => at += 2,
            b'"' => return at,
            _ => at += 1,
        }
    }
    bytes.len()
}

fn end_of_line(bytes: &[u8], start: usize) -> usize {
    bytes.iter().skip(start).position(|byte| *byte == b'\n').map_or(bytes.len(), |len| start + len)
}

fn is_word(bytes: &[u8], at: usize, word: &[u8]) -> bool {
    let part_of_name =
        |byte: Option<&u8>| byte.is_some_and(|b| b.is_ascii_alphanumeric() || *b == b'_');
    let before = at.checked_sub(1).and_then(|before| bytes.get(before));
    bytes.get(at..at + word.len()) == Some(word)
        && !part_of_name(before)
        && !part_of_name(bytes.get(at + word.len()))
}

#[cfg(test)]
mod tests {
    use super::too_deep;

    #[track_caller]
    fn check(text: &str, nesting_max: u32, expect: bool) {
        assert_eq!(too_deep(text, nesting_max, 2).is_some(), expect, "{text}");
    }

    #[test]
    fn brackets_and_ifs_count() {
        check("((a))", 2, false);
        check("(((a)))", 2, true);
        check("if a then if b then c else d else e", 1, true);
        check("if a then b else if c then d else if e then f else g", 2, true);
        check("f(if a then b else c, if a then b else c)", 2, false);
        check("\"(((((\" // (((((\n(a)", 1, false);
        check("\"\\\"(((((\"", 1, false);
        check("gift if_ elif", 0, false);
        check("a < b && c < d || e < f", 1, false);
        check("permit(p,a,r) when { a < b }; permit(p,a,r) when { a < b };", 2, false);
        check("Set<Set<Set<Long>>>", 2, true);
        check("([({1})])", 9, false);
        check("([([{}])])", 9, true);
    }
}
