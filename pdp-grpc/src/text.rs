//! Cutting user text to a length that fits a message, without cutting away what the message says about it.

/// At most `chars_max` characters of `text`: its beginning and its end, with `…` where the middle is left out.
pub(crate) fn shorten(text: &str, chars_max: usize) -> String {
    let chars = text.chars().count();
    if chars <= chars_max {
        return text.to_owned();
    }
    let kept = chars_max.saturating_sub(1);
    let end = kept / 2;
    let start = kept - end;
    text.chars().take(start).chain(['…']).chain(text.chars().skip(chars - end)).collect()
}

#[cfg(test)]
mod tests {
    use super::shorten;

    #[test]
    fn keeps_the_beginning_and_the_end() {
        assert_eq!(shorten("abcdefghij", 10), "abcdefghij");
        assert_eq!(shorten("abcdefghijk", 10), "abcde…hijk");
        assert_eq!(shorten("äöüäöü", 3), "ä…ü");
        assert_eq!(shorten("abc", 1), "…");
        assert_eq!(shorten("abc", 0), "…");
    }
}
