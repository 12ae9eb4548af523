//! `pdp answer`: a line protocol for comparing engines. A case a line in, a line of answers out.
//!
//! Each case brings its own policies, schema, entities and requests, and is answered in Cedar's own semantics: a
//! forbid that fails is skipped, nothing is filled into the context. Whatever is wrong with a case is said in its
//! place, and the next line is served. Keys that the protocol does not name are ignored, so that a test suite's own
//! fields (names, expectations) may stay in.

use std::borrow::Cow;
use std::io::{self, BufRead};
use std::sync::Arc;

use clap::Args;
use pdp_core::json::{Arena, read_request_as_cedar};
use pdp_core::{
    Answer, Bundle, CompileOptions, DecideOptions, Decider, LoadLimits, Loose, Notation, Reason,
    RequestLimits, Scratch, Source, compile,
};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::exit::{self, Exit, Failure};
use crate::lines::Lines;
use crate::render::Out;
use crate::shapes::ErrorLine;

/// Answer cases from standard input, a line each; for comparing engines
///
/// Each line of input is a case:
///   {"policies": TEXT|JSON, "policyFormat"?: "cedar"|"json",
///    "schema"?: TEXT|JSON, "schemaFormat"?: "cedar"|"json",
///    "entities": [...], "links"?: [{"template_id", "link_id", "args"}],
///    "requests": [{"request": {"principal": {"type", "id"}, "action": {...},
///                              "resource": {...}, "context": {...}},
///                  "validateRequest": true|false}, ...]}
/// Each gives a line of output, at once:
///   {"responses": [{"decision": "allow"|"deny", "reason": [IDs], "errors": [IDs]}, ...],
///    "validates": true|false}
///
/// `validates` is what the strict validator says. A request that the schema refuses gives {"error": TEXT} in its
/// place; a case that cannot be read gives {"error": TEXT} for the line, and the next line is served.
/// Policies in Cedar text are called policy0, policy1, ...; with `links`, by their @id. JSON policies keep their ids.
#[derive(Debug, Args)]
#[command(verbatim_doc_comment, after_long_help = exit::help(
    "pdp answer < cases.jsonl\npdp answer --all-policies < cases.jsonl",
    &[
        (Exit::Ok, "every line got its line; also when that line is an error"),
        (Exit::Io, "standard input or output broke off"),
    ],
))]
pub(crate) struct AnswerArgs {
    /// Evaluate every policy instead of asking the index; the answers must be the same
    #[arg(long)]
    all_policies: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Format {
    Cedar,
    Json,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", expecting = "a JSON object")]
struct Case<'a> {
    #[serde(borrow)]
    policies: &'a RawValue,
    policy_format: Option<Format>,
    #[serde(borrow)]
    schema: Option<&'a RawValue>,
    schema_format: Option<Format>,
    #[serde(borrow)]
    entities: &'a RawValue,
    #[serde(borrow)]
    links: Option<&'a RawValue>,
    // Kept apart, so that one request that cannot be read does not take the others with it.
    #[serde(borrow)]
    requests: Vec<&'a RawValue>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", expecting = "a JSON object")]
struct Asked<'a> {
    #[serde(borrow)]
    request: AskedRequest<'a>,
    #[serde(default = "yes")]
    validate_request: bool,
}

#[derive(Deserialize)]
#[serde(expecting = "a JSON object")]
struct AskedRequest<'a> {
    principal: AskedUid,
    action: AskedUid,
    resource: AskedUid,
    #[serde(borrow)]
    context: Option<&'a RawValue>,
}

/// `{type, id}`, or the same behind `__entity` as Cedar's own JSON has it.
#[derive(Deserialize)]
#[serde(untagged, expecting = "an entity is {\"type\": TEXT, \"id\": TEXT}")]
enum AskedUid {
    Wrapped { __entity: TypeAndId },
    Plain(TypeAndId),
}

#[derive(Deserialize, Serialize)]
struct TypeAndId {
    r#type: String,
    id: String,
}

/// The request in the notation of the core.
#[derive(Serialize)]
struct RequestText<'a> {
    principal: &'a TypeAndId,
    action: &'a TypeAndId,
    resource: &'a TypeAndId,
    #[serde(skip_serializing_if = "Option::is_none")]
    context: Option<&'a RawValue>,
}

#[derive(Debug, Serialize)]
struct Answers {
    responses: Vec<Response>,
    validates: bool,
}

#[derive(Debug, Serialize)]
#[serde(untagged)]
enum Response {
    Decided { decision: &'static str, reason: Vec<String>, errors: Vec<String> },
    Refused { error: String },
}

/// Longest line: a case carries whole entity stores.
const LINE_BYTES_MAX: usize = 512 << 20;
/// Requests may be as large as the line they came in, and as deep as JSON parsers commonly go.
const REQUEST_LIMITS: RequestLimits =
    RequestLimits { request_bytes_max: LINE_BYTES_MAX, json_depth_max: 128 };

/// Runs the command.
pub(crate) fn run(args: &AnswerArgs, out: &mut Out) -> Result<Exit, Failure> {
    let mut scratch = Scratch::new();
    serve(io::stdin().lock(), out, |line| answer_line(line, args.all_policies, &mut scratch))?;
    Ok(Exit::Ok)
}

/// The framing: whatever a line is, it gets one line, before the next is read.
fn serve(
    input: impl BufRead,
    out: &mut Out,
    mut answer: impl FnMut(&str) -> Result<Answers, String>,
) -> Result<(), Failure> {
    let mut lines = Lines::new(input, LINE_BYTES_MAX);
    let broken = |error: io::Error| {
        Failure::new(Exit::Io, format!("standard input cannot be read: {error}"))
    };
    while let Some((_, text)) = lines.next().map_err(broken)? {
        match text.and_then(&mut answer) {
            Ok(answers) => out.shape(&answers)?,
            Err(error) => out.shape(&ErrorLine { line: None, error: &error })?,
        }
        out.flush()?;
    }
    Ok(())
}

fn answer_line(line: &str, all_policies: bool, scratch: &mut Scratch) -> Result<Answers, String> {
    let case: Case<'_> = serde_json::from_str(line).map_err(|error| {
        format!("the line is not a case: {error}; `pdp answer --help` shows the shape")
    })?;
    let policies = text_of("policies", case.policies, case.policy_format)?;
    let schema =
        case.schema.map(|schema| text_of("schema", schema, case.schema_format)).transpose()?;
    let source = Source::loose(&Loose {
        policies: policies.notation(),
        schema: schema.as_ref().map(Text::notation),
        entities: case.entities.get(),
        links: case.links.map(RawValue::get),
    })
    .map_err(|report| report.to_string())?;
    let bytes = compile(&source, &CompileOptions::STANDARD).map_err(|report| report.to_string())?;
    let bundle = Bundle::load(&bytes, &LoadLimits::STANDARD).map_err(|error| error.to_string())?;
    let decider = Decider::new(Arc::new(bundle));
    let respond = |asked: &&RawValue| match respond(asked.get(), &decider, all_policies, scratch) {
        Ok(response) => response,
        Err(error) => Response::Refused { error },
    };
    let responses = case.requests.iter().map(respond).collect();
    Ok(Answers { responses, validates: source.validates() })
}

fn respond(
    asked: &str,
    decider: &Decider,
    all_policies: bool,
    scratch: &mut Scratch,
) -> Result<Response, String> {
    let asked: Asked<'_> = serde_json::from_str(asked).map_err(|error| {
        format!(
            "not a request: {error}; give {{\"request\": {{principal, action, resource, context}}}}"
        )
    })?;
    let text = RequestText {
        principal: asked.request.principal.inner(),
        action: asked.request.action.inner(),
        resource: asked.request.resource.inner(),
        context: asked.request.context,
    };
    let text = serde_json::to_string(&text).map_err(|error| error.to_string())?;
    let arena = Arena::new();
    let bundle = decider.bundle().map(AsRef::as_ref);
    let request = read_request_as_cedar(&text, bundle, &arena, &REQUEST_LIMITS)
        .map_err(|error| error.to_string())?;
    let options = DecideOptions {
        validate_request: asked.validate_request,
        all_policies,
        effect_only: false,
    };
    response(&decider.decide_with(scratch, &request, &options))
}

fn response(answer: &Answer<'_>) -> Result<Response, String> {
    match answer.reason() {
        // Cedar knows no such answers: what is compared is decisions, so these are said as what they are.
        Reason::InvalidRequest | Reason::Limit | Reason::NoBundle => Err(match answer.message() {
            "" => answer.reason().as_str().to_owned(),
            message => message.to_owned(),
        }),
        _ => Ok(Response::Decided {
            decision: answer.effect().as_str(),
            reason: answer.policies().map(str::to_owned).collect(),
            errors: answer.errors().map(|(id, _)| id.to_owned()).collect(),
        }),
    }
}

/// Policies or a schema as the core wants them.
struct Text<'a> {
    text: Cow<'a, str>,
    format: Format,
}

// === impl Text ===

impl Text<'_> {
    fn notation(&self) -> Notation<'_> {
        match self.format {
            Format::Cedar => Notation::Cedar(&self.text),
            Format::Json => Notation::Json(&self.text),
        }
    }
}

/// Text stands in a JSON string; JSON stands for itself or in a string.
fn text_of<'a>(key: &str, value: &'a RawValue, format: Option<Format>) -> Result<Text<'a>, String> {
    if value.get().starts_with('"') {
        let text: String =
            serde_json::from_str(value.get()).map_err(|error| format!("`{key}`: {error}"))?;
        return Ok(Text { text: Cow::Owned(text), format: format.unwrap_or(Format::Cedar) });
    }
    match format {
        Some(Format::Cedar) => Err(format!(
            "`{key}` is not a string, but its format is `cedar`; give the text as a string"
        )),
        Some(Format::Json) | None => {
            Ok(Text { text: Cow::Borrowed(value.get()), format: Format::Json })
        }
    }
}

// === impl AskedUid ===

impl AskedUid {
    fn inner(&self) -> &TypeAndId {
        match self {
            Self::Wrapped { __entity: uid } | Self::Plain(uid) => uid,
        }
    }
}

fn yes() -> bool {
    true
}

#[cfg(test)]
mod tests;
