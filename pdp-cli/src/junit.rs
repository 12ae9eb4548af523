//! Test results in the XML that build servers read (JUnit's).
//!
//! A case that did not give what was expected is a `failure`; one whose request could not be read is an `error`.
//! Characters that XML 1.0 cannot hold are replaced, since one of them would make the whole file unreadable.

use std::fmt::Write;
use std::time::Duration;

/// What one case came to.
#[derive(Debug)]
pub(crate) struct Entry<'a> {
    /// Its name.
    pub(crate) name: &'a str,
    /// How it ended.
    pub(crate) verdict: Verdict<'a>,
}

/// How a case ended.
#[derive(Debug)]
pub(crate) enum Verdict<'a> {
    /// As expected.
    Passed,
    /// Not as expected; a sentence for each difference.
    Failed(&'a [String]),
    /// The request could not be read.
    Unreadable(&'a str),
}

/// The whole file.
pub(crate) fn document(suite: &str, entries: &[Entry<'_>], elapsed: Duration) -> String {
    let failed = entries.iter().filter(|e| matches!(e.verdict, Verdict::Failed(_))).count();
    let unreadable = entries.iter().filter(|e| matches!(e.verdict, Verdict::Unreadable(_))).count();
    let counts = format!(
        "name=\"{}\" tests=\"{}\" failures=\"{failed}\" errors=\"{unreadable}\" time=\"{:.6}\"",
        escaped(suite),
        entries.len(),
        elapsed.as_secs_f64()
    );
    let mut xml = String::from("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n");
    // Writing to a string does not fail.
    let _ = writeln!(xml, "<testsuites {counts}>\n  <testsuite {counts}>");
    for entry in entries {
        let head = format!(
            "    <testcase classname=\"{}\" name=\"{}\"",
            escaped(suite),
            escaped(entry.name)
        );
        let _ = match &entry.verdict {
            Verdict::Passed => writeln!(xml, "{head}/>"),
            Verdict::Failed(sentences) => {
                let first = sentences.first().map_or("", String::as_str);
                writeln!(
                    xml,
                    "{head}>\n      <failure message=\"{}\">{}</failure>\n    </testcase>",
                    escaped(first),
                    escaped(&sentences.join("\n"))
                )
            }
            Verdict::Unreadable(why) => {
                writeln!(
                    xml,
                    "{head}>\n      <error message=\"{}\"/>\n    </testcase>",
                    escaped(why)
                )
            }
        };
    }
    xml.push_str("  </testsuite>\n</testsuites>\n");
    xml
}

/// Text for an attribute or an element.
fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&apos;"),
            // As references they survive in attributes, where a reader would turn them into spaces.
            '\n' => out.push_str("&#10;"),
            '\r' => out.push_str("&#13;"),
            '\t' => out.push_str("&#9;"),
            '\u{0}'..='\u{1f}' | '\u{fffe}' | '\u{ffff}' => out.push('\u{fffd}'),
            _ => out.push(c),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn markup_and_control_characters_are_escaped() {
        assert_eq!(
            escaped("<a b=\"c\">&'\u{1}\u{ffff}\n\té"),
            "&lt;a b=&quot;c&quot;&gt;&amp;&apos;\u{fffd}\u{fffd}&#10;&#9;é"
        );
    }

    #[test]
    fn a_file() {
        let sentences = ["effect: expected allow, came deny".to_owned(), "reason: <x>".to_owned()];
        let entries = [
            Entry { name: "good", verdict: Verdict::Passed },
            Entry { name: "\"bad\"", verdict: Verdict::Failed(&sentences) },
            Entry { name: "ugly", verdict: Verdict::Unreadable("no `action`") },
        ];
        let expected = "\
<?xml version=\"1.0\" encoding=\"UTF-8\"?>
<testsuites name=\"a&amp;b\" tests=\"3\" failures=\"1\" errors=\"1\" time=\"0.250000\">
  <testsuite name=\"a&amp;b\" tests=\"3\" failures=\"1\" errors=\"1\" time=\"0.250000\">
    <testcase classname=\"a&amp;b\" name=\"good\"/>
    <testcase classname=\"a&amp;b\" name=\"&quot;bad&quot;\">
      <failure message=\"effect: expected allow, came deny\">effect: expected allow, came deny&#10;reason: &lt;x&gt;</failure>
    </testcase>
    <testcase classname=\"a&amp;b\" name=\"ugly\">
      <error message=\"no `action`\"/>
    </testcase>
  </testsuite>
</testsuites>
";
        assert_eq!(document("a&b", &entries, Duration::from_millis(250)), expected);
    }
}
