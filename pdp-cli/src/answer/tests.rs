//! The framing of the protocol, and how its parts are read. What the answers are is tested against the real data.

use std::io::{BufReader, Read};

use super::*;
use crate::render::tests::Captured;

/// Serves lines with an engine that only measures them.
fn framed(input: impl Read) -> (Vec<String>, Option<Exit>) {
    let captured = Captured::default();
    let mut out = captured.out(true);
    let result = serve(BufReader::new(input), &mut out, |line| match line {
        "good" => Ok(Answers { responses: vec![], validates: true }),
        other => Err(format!("bad: {other}")),
    });
    (captured.lines(), result.err().map(|failure| failure.exit()))
}

#[test]
fn a_bad_line_does_not_stop_the_next() {
    let good = r#"{"responses":[],"validates":true}"#;
    let (lines, failed) = framed(b"good\n{]\n\xff\n\ngood".as_slice());
    assert_eq!(failed, None);
    assert_eq!(
        lines,
        [
            good,
            r#"{"error":"bad: {]"}"#,
            r#"{"error":"the line is not UTF-8 from byte 0 on"}"#,
            r#"{"error":"bad: "}"#,
            good,
        ]
    );
}

#[test]
fn no_input_no_output() {
    assert_eq!(framed(b"".as_slice()), (vec![], None));
}

/// Gives one line, and fails when asked for more: the line must have been answered by then.
struct OneLineThenBroken(Option<&'static [u8]>);

impl Read for OneLineThenBroken {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self.0.take() {
            Some(mut line) => line.read(buffer),
            None => Err(io::Error::from(io::ErrorKind::ConnectionReset)),
        }
    }
}

#[test]
fn a_line_is_answered_before_the_next_is_read() {
    let (lines, failed) = framed(OneLineThenBroken(Some(b"good\n")));
    assert_eq!(lines, [r#"{"responses":[],"validates":true}"#]);
    assert_eq!(failed, Some(Exit::Io));
}

#[test]
fn a_line_that_is_no_case_says_so() {
    let error =
        answer_line("{\"policies\": 1}", false, &mut Scratch::new()).err().unwrap_or_default();
    assert!(error.starts_with("the line is not a case: missing field `entities`"), "{error}");
    let error = answer_line("7", false, &mut Scratch::new()).err().unwrap_or_default();
    assert!(
        error.starts_with(
            "the line is not a case: invalid type: integer `7`, expected a JSON object"
        ),
        "{error}"
    );
    let error = answer_line("[", false, &mut Scratch::new()).err().unwrap_or_default();
    assert!(error.starts_with("the line is not a case: EOF"), "{error}");
}

fn text(json: &str, format: Option<Format>) -> Result<(String, Format), String> {
    let value: Box<RawValue> = serde_json::from_str(json).map_err(|e| e.to_string())?;
    text_of("policies", &value, format).map(|text| (text.text.into_owned(), text.format))
}

#[test]
fn policies_are_text_or_json() {
    let text_value = "\"permit \\u0041\"";
    assert_eq!(text(text_value, None), Ok(("permit A".to_owned(), Format::Cedar)));
    assert_eq!(text(text_value, Some(Format::Json)), Ok(("permit A".to_owned(), Format::Json)));
    assert_eq!(text("{\"a\": 1}", Some(Format::Json)), Ok(("{\"a\": 1}".to_owned(), Format::Json)));
    assert_eq!(text("{\"a\": 1}", None), Ok(("{\"a\": 1}".to_owned(), Format::Json)));
    let refused = text("{}", Some(Format::Cedar)).err().unwrap_or_default();
    assert_eq!(
        refused,
        "`policies` is not a string, but its format is `cedar`; give the text as a string"
    );
}

#[test]
fn a_request_is_rewritten_for_the_core() -> Result<(), serde_json::Error> {
    let asked = r#"{"description": "x", "decision": "allow",
        "request": {"principal": {"type": "U", "id": "a\u0000"}, "action": {"__entity": {"type": "Action", "id": ""}},
                    "resource": {"type": "D", "id": "d"}, "context": {"n": 1, "n": 2}}}"#;
    let asked: Asked<'_> = serde_json::from_str(asked)?;
    assert!(asked.validate_request);
    let text = RequestText {
        principal: asked.request.principal.inner(),
        action: asked.request.action.inner(),
        resource: asked.request.resource.inner(),
        context: asked.request.context,
    };
    let expected = r#"{"principal":{"type":"U","id":"a\u0000"},"action":{"type":"Action","id":""},"resource":{"type":"D","id":"d"},"context":{"n": 1, "n": 2}}"#;
    assert_eq!(serde_json::to_string(&text)?, expected);
    Ok(())
}

#[test]
fn an_answer_without_a_decision_is_an_error() {
    let decider = Decider::no_bundle();
    let request = r#"{"request": {"principal": {"type": "U"}}}"#;
    let error = respond(request, &decider, false, &mut Scratch::new()).err().unwrap_or_default();
    assert!(
        error.starts_with("not a request: an entity is {\"type\": TEXT, \"id\": TEXT}"),
        "{error}"
    );

    let uid = pdp_core::Uid::new("U", "a");
    let mut scratch = Scratch::new();
    let request = pdp_core::Request::new(uid, uid, uid, &[]);
    let answer = decider.decide_with(&mut scratch, &request, &DecideOptions::STANDARD);
    assert_eq!(response(&answer).err(), Some("no usable bundle is loaded".to_owned()));
}
