//! AuthZEN's Authorization API 1.0 over HTTP/JSON: evaluation, evaluations, the three searches, and discovery.
//!
//! A deny is status 200 with `"decision": false`. What is not a message of the API is 400 with a sentence, also where
//! frameworks would say 415 or 422; a body over the limit is 413. `X-Request-ID` comes back as it was sent. Callers state
//! no delegation here: the API has no place for it.
//!
//! In `context` of a response: `reason` (a code as in `pdp.v1`), `decision_id`, and `message` for an invalid request.

mod json;
mod read;
mod search;

use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use http_body_util::BodyExt;
use pdp_core::{Decider, RequestLimits};
use serde_json::{Value, json};

use self::json::{Json, Members, member};
use self::read::{Evaluation, Malformed, Searched};
use self::search::Page;
use crate::admission::NoMemory;
use crate::config::Limits;
use crate::desk::{Asker, Desk, Origin, Room, isolated};
use crate::metrics::Protocol;
use crate::respond::{self, NoAnswer};
use crate::until::Until;

const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
/// A longer one is not sent back.
const REQUEST_ID_BYTES_MAX: usize = 200;

/// What the answers are made of.
#[derive(Clone, Debug)]
pub(crate) struct Authzen {
    desk: Desk,
    limits: Limits,
    /// Where what is answered comes from.
    origin: Origin,
    /// The URL under which callers reach this server, without a slash at its end.
    public_url: Arc<str>,
}

/// What an evaluation came to.
#[derive(Clone, Debug)]
struct Outcome {
    decision: bool,
    context: Value,
}

/// Why a request has no answer of the API.
#[derive(Debug)]
enum Refusal {
    /// It is not a message of the API.
    Malformed(Malformed),
    /// Its body is larger than the limit.
    TooLarge { bytes_max: u32 },
    /// There is no memory for its body.
    NoMemory,
    /// It could not be decided.
    NoAnswer(NoAnswer),
}

/// When to stop a batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Semantic {
    ExecuteAll,
    DenyOnFirstDeny,
    PermitOnFirstPermit,
}

/// So many times the limit is taken off the wire of a body that is too large, so that its sender, who may read nothing
/// before it has sent all, learns why.
const DISCARDED_TIMES: usize = 4;

// === impl Authzen ===

impl Authzen {
    pub(crate) fn new(desk: Desk, limits: Limits, public_url: &str) -> Self {
        // Of nobody, until there is a request.
        let origin = desk.origin_of(&Request::new(()));
        Self { desk, limits, origin, public_url: public_url.trim_end_matches('/').into() }
    }

    pub(crate) fn router(self) -> Router {
        let search = |searched| {
            post(async move |State(authzen): State<Self>, request: Request| {
                authzen
                    .answer(request, |authzen, members| authzen.searched(members, searched))
                    .await
            })
        };
        Router::new()
            .route(
                "/access/v1/evaluation",
                post(async |State(authzen): State<Self>, request: Request| {
                    authzen.answer(request, Self::evaluation).await
                }),
            )
            .route(
                "/access/v1/evaluations",
                post(async |State(authzen): State<Self>, request: Request| {
                    authzen.answer(request, Self::evaluations).await
                }),
            )
            .route("/access/v1/search/subject", search(Searched::Subject))
            .route("/access/v1/search/resource", search(Searched::Resource))
            .route("/access/v1/search/action", search(Searched::Action))
            .route(
                "/.well-known/authzen-configuration",
                get(async |State(authzen): State<Self>| authzen.discovery()),
            )
            .with_state(self)
            .layer(middleware::from_fn(echo_request_id))
    }

    /// Reads the body of a request and answers it to whoever its connection proves to be asking.
    async fn answer(
        self,
        request: Request,
        answer: impl FnOnce(&Self, &Members) -> Result<Value, Refusal>,
    ) -> Response {
        let origin = self.desk.origin_of(&request);
        let asked = Self { origin, ..self };
        let (head, body) = request.into_parts();
        let answered = match asked.body(&head.headers, body).await {
            Ok(bytes) => {
                read::body(&bytes).map_err(Refusal::from).and_then(|body| answer(&asked, &body))
            }
            Err(refusal) => Err(refusal),
        };
        match answered {
            Ok(value) => {
                let is_json = [(header::CONTENT_TYPE, "application/json")];
                (is_json, value.to_string()).into_response()
            }
            Err(refusal) => refusal.into_response(),
        }
    }

    async fn body(&self, headers: &HeaderMap, body: Body) -> Result<Vec<u8>, Refusal> {
        let content_type = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
        let essence = content_type.and_then(|text| text.split(';').next()).map(str::trim);
        if !essence.is_some_and(|essence| essence.eq_ignore_ascii_case("application/json")) {
            let text = "the content type must be `application/json`";
            return Err(Malformed(text.to_owned()).into());
        }
        let bytes_max = self.limits.batch_bytes_max;
        let limit = usize::try_from(bytes_max).unwrap_or(usize::MAX);
        let (mut bytes, mut seen) = (Vec::new(), 0_usize);
        let mut body = body;
        while let Some(frame) = body.frame().await {
            let frame = frame.map_err(|error| Refusal::of_body(&error))?;
            let Some(data) = frame.data_ref() else { continue };
            seen = seen.saturating_add(data.len());
            if seen <= limit {
                bytes.extend_from_slice(data);
            } else if seen > limit.saturating_mul(DISCARDED_TIMES) {
                break;
            }
        }
        if seen > limit { Err(Refusal::TooLarge { bytes_max }) } else { Ok(bytes) }
    }

    fn evaluation(&self, members: &Members) -> Result<Value, Refusal> {
        let asked = read::evaluation(members, &[], Searched::Nothing)?;
        let decider = self.desk.snapshot();
        let outcome = self.evaluate(Protocol::Authzen, &decider, &asked)?;
        Ok(outcome.json())
    }

    fn evaluations(&self, members: &Members) -> Result<Value, Refusal> {
        let refuse = |text: &str| Err(Malformed(text.to_owned()).into());
        let items = match member(members, "evaluations") {
            None => return self.evaluation(members),
            Some(Json::Array(items)) if items.is_empty() => return self.evaluation(members),
            Some(Json::Array(items)) => items,
            Some(_) => return refuse("`evaluations` must be an array"),
        };
        let max = self.limits.batch_questions_max;
        if !u32::try_from(items.len()).is_ok_and(|count| count <= max) {
            return refuse(&format!("`evaluations` has {} items and may have {max}", items.len()));
        }
        let semantic = Semantic::read(members)?;
        let until = self.until();
        let decider = self.desk.snapshot();
        let mut results = Vec::with_capacity(items.len());
        for item in items {
            until.look()?;
            let Json::Object(item) = item else {
                return refuse("each of `evaluations` must be an object");
            };
            // What is wrong with an item of a batch that is one concerns the item: it is denied.
            let outcome = match read::evaluation(item, members, Searched::Nothing) {
                Ok(asked) => self.evaluated(&decider, &asked)?,
                Err(Malformed(text)) => Outcome::invalid_request(text),
            };
            results.push(outcome.json());
            if semantic.ends_with(outcome.decision) {
                break;
            }
        }
        Ok(json!({ "evaluations": results }))
    }

    /// Decides an item of a batch; one that is not this caller's to ask is denied.
    fn evaluated(&self, decider: &Decider, asked: &Evaluation) -> Result<Outcome, NoAnswer> {
        match self.evaluate(Protocol::Authzen, decider, asked) {
            Err(NoAnswer::NotForCaller(message)) => Ok(Outcome::invalid_request(message)),
            answered => answered,
        }
    }

    fn searched(&self, members: &Members, searched: Searched) -> Result<Value, Refusal> {
        let decider = self.desk.snapshot();
        let Page { results, next_token } = self.search(&decider, members, searched)?;
        let count = results.len();
        let results: Vec<Value> = results
            .into_iter()
            .map(|(kind, id)| match searched {
                Searched::Action => json!({ "name": id }),
                _ => json!({ "type": kind, "id": id }),
            })
            .collect();
        Ok(json!({ "results": results, "page": { "next_token": next_token, "count": count } }))
    }

    /// Decides one question.
    fn evaluate(
        &self,
        protocol: Protocol,
        decider: &Decider,
        asked: &Evaluation,
    ) -> Result<Outcome, NoAnswer> {
        let text = match read::question(decider, asked) {
            Ok(text) => text,
            Err(unaskable) => return Ok(unaskable.into()),
        };
        let answered = isolated(|room| {
            let Room { arena, scratch } = room;
            arena.reset();
            let bundle = decider.bundle().map(|bundle| &**bundle);
            let limits = &RequestLimits::STANDARD;
            let request = match pdp_core::json::read_request(&text, bundle, arena, limits) {
                Ok(request) => request,
                Err(error) => return Ok(Outcome::invalid_request(error.to_string())),
            };
            let request = pdp_core::Request { now: Some(self.desk.now()), ..request };
            let asker = Asker { protocol, origin: &self.origin };
            let verdict = self.desk.decide(asker, decider, scratch, &request).for_caller()?;
            let mut context = json!({
                "reason": verdict.reason().as_str(),
                "decision_id": verdict.id().to_string(),
            });
            if let (Some(object), message) = (context.as_object_mut(), verdict.message())
                && !message.is_empty()
            {
                object.insert("message".to_owned(), message.into());
            }
            Ok(Outcome { decision: verdict.effect() == pdp_core::Effect::Allow, context })
        });
        self.desk.answered(protocol, answered)
    }

    fn discovery(&self) -> Response {
        let url = &*self.public_url;
        let at = |path: &str| format!("{url}/access/v1/{path}");
        let document = json!({
            "policy_decision_point": url,
            "access_evaluation_endpoint": at("evaluation"),
            "access_evaluations_endpoint": at("evaluations"),
            "search_subject_endpoint": at("search/subject"),
            "search_resource_endpoint": at("search/resource"),
            "search_action_endpoint": at("search/action"),
        });
        ([(header::CONTENT_TYPE, "application/json")], document.to_string()).into_response()
    }

    fn until(&self) -> Until {
        // Half of the time, so that the answer arrives in the rest of it.
        Until::new(self.limits.request_timeout_ms / 2)
    }
}

/// Sends the request's id back, whatever becomes of it.
async fn echo_request_id(request: Request, next: Next) -> Response {
    let id: Option<HeaderValue> = request.headers().get(REQUEST_ID).cloned();
    let mut response = next.run(request).await;
    if let Some(id) = id.filter(|id| id.len() <= REQUEST_ID_BYTES_MAX) {
        response.headers_mut().insert(REQUEST_ID, id);
    }
    response
}

// === impl Refusal ===

impl Refusal {
    /// What kept a body from being read.
    fn of_body(error: &axum::Error) -> Self {
        let mut cause: Option<&(dyn std::error::Error + 'static)> = Some(error);
        while let Some(error) = cause {
            // As `admission` says it.
            if error.is::<tonic::Status>() {
                return Self::NoMemory;
            }
            cause = error.source();
        }
        Malformed("the body did not arrive whole".to_owned()).into()
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let (status, text) = match self {
            Refusal::Malformed(Malformed(text)) => (StatusCode::BAD_REQUEST, text),
            Refusal::TooLarge { bytes_max } => {
                (StatusCode::PAYLOAD_TOO_LARGE, format!("the body has more than {bytes_max} bytes"))
            }
            Refusal::NoMemory => (StatusCode::SERVICE_UNAVAILABLE, NoMemory::TEXT.to_owned()),
            Refusal::NoAnswer(why) => (respond::http_status(&why), why.to_string()),
        };
        (status, format!("{text}\n")).into_response()
    }
}

impl From<Malformed> for Refusal {
    fn from(malformed: Malformed) -> Self {
        Self::Malformed(malformed)
    }
}

impl From<NoAnswer> for Refusal {
    fn from(no_answer: NoAnswer) -> Self {
        Self::NoAnswer(no_answer)
    }
}

// === impl Outcome ===

impl Outcome {
    fn invalid_request(message: String) -> Self {
        Self {
            decision: false,
            context: json!({ "reason": "invalid_request", "message": message }),
        }
    }

    fn json(&self) -> Value {
        json!({ "decision": self.decision, "context": self.context })
    }
}

// === impl Semantic ===

impl Semantic {
    fn read(members: &Members) -> Result<Self, Malformed> {
        let name = match member(members, "options") {
            None => None,
            Some(Json::Object(options)) => member(options, "evaluations_semantic"),
            Some(_) => return Err(Malformed("`options` must be an object".to_owned())),
        };
        match name {
            None => Ok(Self::ExecuteAll),
            Some(Json::String(name)) => match name.as_str() {
                "execute_all" => Ok(Self::ExecuteAll),
                "deny_on_first_deny" => Ok(Self::DenyOnFirstDeny),
                "permit_on_first_permit" => Ok(Self::PermitOnFirstPermit),
                _ => Err(Self::unknown()),
            },
            Some(_) => Err(Self::unknown()),
        }
    }

    fn unknown() -> Malformed {
        Malformed(
            "`options.evaluations_semantic` must be one of `execute_all`, `deny_on_first_deny`, \
             `permit_on_first_permit`"
                .to_owned(),
        )
    }

    fn ends_with(self, decision: bool) -> bool {
        match self {
            Semantic::ExecuteAll => false,
            Semantic::DenyOnFirstDeny => !decision,
            Semantic::PermitOnFirstPermit => decision,
        }
    }
}
