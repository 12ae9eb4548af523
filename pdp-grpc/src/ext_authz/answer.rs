//! A `CheckResponse`: the few messages of Envoy's that an answer is made of, and what each answer says.
//!
//! Written out rather than generated, because a dozen fields are less than the files they would be generated from.

use std::collections::BTreeMap;
use std::sync::Arc;

use pdp_core::{Bundle, Effect, Route};
use pdp_edge::mcp::{Cause, Fault, Message, told};

use crate::desk::Verdict;

/// gRPC's code for a denied call.
const PERMISSION_DENIED: i32 = 7;
/// What denied calls get unless their route says otherwise.
const FORBIDDEN: i32 = 403;
/// Envoy's `OVERWRITE_IF_EXISTS_OR_ADD`.
const OVERWRITE: i32 = 2;
/// What a call comes with under these names is never the upstream's to see.
const OURS: &[u8] = b"x-pdp-";

#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct CheckResponse {
    #[prost(message, optional, tag = "1")]
    pub(super) status: Option<RpcStatus>,
    #[prost(message, optional, tag = "2")]
    pub(super) denied: Option<Denied>,
    #[prost(message, optional, tag = "3")]
    pub(super) ok: Option<Allowed>,
    #[prost(message, optional, tag = "4")]
    pub(super) metadata: Option<Struct>,
}

#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct RpcStatus {
    #[prost(int32, tag = "1")]
    pub(super) code: i32,
}

#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct Denied {
    #[prost(message, optional, tag = "1")]
    pub(super) status: Option<HttpStatus>,
    #[prost(message, repeated, tag = "2")]
    pub(super) headers: Vec<HeaderOption>,
    #[prost(string, tag = "3")]
    pub(super) body: String,
}

#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct HttpStatus {
    #[prost(int32, tag = "1")]
    pub(super) code: i32,
}

#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct Allowed {
    #[prost(message, repeated, tag = "2")]
    pub(super) headers: Vec<HeaderOption>,
    #[prost(string, repeated, tag = "5")]
    pub(super) remove: Vec<String>,
}

#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct HeaderOption {
    #[prost(message, optional, tag = "1")]
    pub(super) header: Option<Header>,
    #[prost(int32, tag = "3")]
    pub(super) append_action: i32,
}

#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct Header {
    #[prost(string, tag = "1")]
    pub(super) key: String,
    #[prost(string, tag = "2")]
    pub(super) value: String,
}

#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct Struct {
    #[prost(btree_map = "string, message", tag = "1")]
    pub(super) fields: BTreeMap<String, Text>,
}

#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct Text {
    #[prost(string, optional, tag = "3")]
    pub(super) text: Option<String>,
}

/// By what a caller is told: the route, if the call takes one, and what the call says.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Teller<'c> {
    pub(super) route: Option<&'c Route>,
    /// The message that it is, as far as it was read.
    pub(super) message: Option<&'c Message<'c>>,
    /// What is wrong with the message.
    pub(super) fault: Option<Fault>,
    pub(super) headers: &'c [(&'c [u8], &'c [u8])],
}

// === impl CheckResponse ===

impl CheckResponse {
    /// A deny of what is no question.
    #[cold]
    pub(super) fn refused(
        verdict: &Verdict<'_>,
        code: &str,
        bundle: Option<&Arc<Bundle>>,
        teller: &Teller<'_>,
    ) -> Self {
        let (id, reason) = (verdict.id().to_string(), verdict.reason().as_str());
        let denied = teller.denied(reason, Some(code), &id);
        let metadata = [
            ("decision_id", id),
            ("reason", reason.to_owned()),
            ("refusal", code.to_owned()),
            ("bundle", bundle.map(|bundle| named(bundle)).unwrap_or_default()),
        ];
        Self::denied(denied, metadata)
    }

    /// What the core decided.
    pub(super) fn decided(verdict: &Verdict<'_>, bundle: &Bundle, teller: &Teller<'_>) -> Self {
        let (id, reason) = (verdict.id().to_string(), verdict.reason().as_str());
        let policies = verdict.answer().map(|answer| answer.policies().collect::<Vec<_>>());
        let metadata = [
            ("decision_id", id.clone()),
            ("reason", reason.to_owned()),
            ("policies", policies.unwrap_or_default().join(" ")),
            ("bundle", named(bundle)),
        ];
        if verdict.effect() == Effect::Allow {
            let set = [("x-pdp-decision-id", id), ("x-pdp-reason", reason.to_owned())];
            let mut remove = teller.route.map_or(Vec::new(), |route| route.strip.clone());
            for (name, _) in teller.headers {
                let name = String::from_utf8_lossy(name).to_ascii_lowercase();
                // The proxy removes after it sets, and what is set replaces what was there.
                if name.as_bytes().starts_with(OURS)
                    && !set.iter().any(|(ours, _)| *ours == name)
                    && !remove.contains(&name)
                {
                    remove.push(name);
                }
            }
            let headers = set.into_iter().map(|(key, value)| HeaderOption::new(key, value));
            return Self {
                status: Some(RpcStatus { code: 0 }),
                denied: None,
                ok: Some(Allowed { headers: headers.collect(), remove }),
                metadata: Some(Struct::new(metadata)),
            };
        }
        Self::denied(teller.denied(reason, None, &id), metadata)
    }

    fn denied<const N: usize>(denied: Denied, metadata: [(&str, String); N]) -> Self {
        Self {
            status: Some(RpcStatus { code: PERMISSION_DENIED }),
            denied: Some(denied),
            ok: None,
            metadata: Some(Struct::new(metadata)),
        }
    }
}

// === impl Teller ===

impl Teller<'_> {
    /// As the route says, or with the reason; where calls are messages, in the words of their protocol.
    fn denied(&self, reason: &str, refusal: Option<&str>, decision: &str) -> Denied {
        if let Some(mcp) = self.route.and_then(|route| route.mcp.as_ref()) {
            let Teller { message, fault, headers, .. } = *self;
            let cause = Cause { message, fault, reason, refusal, decision, headers };
            let told = told(&mcp.deny, &cause);
            let json = HeaderOption::new("content-type", "application/json".to_owned());
            let status = Some(HttpStatus { code: told.status.into() });
            return Denied { status, headers: vec![json], body: told.body };
        }
        let own = self.route.and_then(|route| route.deny.as_ref());
        let headers = own.into_iter().flat_map(|own| &own.headers);
        let refusal = refusal.map(|code| format!("\"refusal\":\"{code}\",")).unwrap_or_default();
        let body =
            || format!("{{\"reason\":\"{reason}\",{refusal}\"decision_id\":\"{decision}\"}}");
        Denied {
            status: Some(HttpStatus { code: own.map_or(FORBIDDEN, |own| own.status.into()) }),
            headers: headers.map(|(key, value)| HeaderOption::new(key, value.clone())).collect(),
            body: own.and_then(|own| own.body.clone()).unwrap_or_else(body),
        }
    }
}

fn named(bundle: &Bundle) -> String {
    format!("{}@{}", bundle.name(), bundle.revision())
}

impl HeaderOption {
    fn new(key: &str, value: String) -> Self {
        let header = Some(Header { key: key.to_owned(), value });
        Self { header, append_action: OVERWRITE }
    }
}

impl Struct {
    fn new<const N: usize>(fields: [(&str, String); N]) -> Self {
        let fields = fields.map(|(key, text)| (key.to_owned(), Text { text: Some(text) }));
        Self { fields: fields.into() }
    }
}
