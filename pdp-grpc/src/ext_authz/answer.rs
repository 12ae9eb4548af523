//! A `CheckResponse`: the few messages of Envoy's that an answer is made of, and what each answer says.
//!
//! Written out rather than generated, because a dozen fields are less than the files they would be generated from.

use std::collections::BTreeMap;
use std::sync::Arc;

use pdp_core::{Bundle, Effect};
use pdp_edge::{Passed, Stopped, Teller, label};

use crate::desk::Verdict;

/// gRPC's code for a denied call.
const PERMISSION_DENIED: i32 = 7;
/// Envoy's `OVERWRITE_IF_EXISTS_OR_ADD`.
const OVERWRITE: i32 = 2;

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
        let denied = teller.stopped(reason, Some(code), &id);
        let metadata = [
            ("decision_id", id),
            ("reason", reason.to_owned()),
            ("refusal", code.to_owned()),
            ("bundle", bundle.map(|bundle| label(bundle)).unwrap_or_default()),
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
            ("bundle", label(bundle)),
        ];
        if verdict.effect() == Effect::Allow {
            let Passed { set, remove } = teller.passed(reason, &id);
            let headers = set.into_iter().map(|(key, value)| HeaderOption::new(key, value));
            return Self {
                status: Some(RpcStatus { code: 0 }),
                denied: None,
                ok: Some(Allowed { headers: headers.collect(), remove }),
                metadata: Some(Struct::new(metadata)),
            };
        }
        Self::denied(teller.stopped(reason, None, &id), metadata)
    }

    fn denied<const N: usize>(denied: Stopped, metadata: [(&str, String); N]) -> Self {
        let Stopped { status, headers, body } = denied;
        let headers = headers.into_iter().map(|(key, value)| HeaderOption::new(&key, value));
        let status = Some(HttpStatus { code: status.into() });
        let denied = Denied { status, headers: headers.collect(), body };
        Self {
            status: Some(RpcStatus { code: PERMISSION_DENIED }),
            denied: Some(denied),
            ok: None,
            metadata: Some(Struct::new(metadata)),
        }
    }
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
