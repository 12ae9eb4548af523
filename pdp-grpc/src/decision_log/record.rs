//! One decision as a line of JSON.
//!
//! Written by hand into bytes, because it is made for every decision; every text goes through the JSON library's
//! escaping. The fields are in the table of the module above.

use std::io::Write;
use std::time::Duration;

use pdp_core::{Bundle, Datetime, Request, Uid, Value};

use super::LogConfig;
use crate::decision_id::DecisionId;
use crate::desk::Verdict;
use crate::metrics::Protocol;
use crate::trace::TraceParent;

/// What is recorded of a decision.
#[derive(Debug)]
pub(crate) struct Record<'a> {
    pub(crate) id: DecisionId,
    pub(crate) protocol: Protocol,
    pub(crate) time: Datetime,
    pub(crate) trace: Option<TraceParent>,
    /// What was asked, if it was a question.
    pub(crate) request: Option<&'a Request<'a>>,
    pub(crate) bundle: Option<&'a Bundle>,
    pub(crate) took: Duration,
}

/// A JSON object that is being written.
struct Object<'o> {
    out: &'o mut Vec<u8>,
    is_empty: bool,
}

// === impl Record ===

impl Record<'_> {
    /// The line of one decision.
    pub(crate) fn line(&self, out: &mut Vec<u8>, config: &LogConfig, verdict: &Verdict<'_>) {
        self.object(out, config, |object| {
            let allows = verdict.effect() == pdp_core::Effect::Allow;
            object.text("decision", if allows { "allow" } else { "deny" });
            object.text("reason", verdict.reason().as_str());
            if !verdict.message().is_empty() {
                object.text("message", verdict.message());
            }
            if let Some(code) = verdict.code() {
                object.text("refusal", code);
            }
            if let Some(request) = self.request {
                object.uid("principal", request.principal);
                object.uid("action", request.action);
                object.uid("resource", request.resource);
            }
            if let Some(answer) = verdict.answer() {
                if let Some(leg) = answer.failed_leg() {
                    object.text("failed_leg", &leg.role().to_string());
                }
                object.texts("determining_policies", answer.policies());
                if answer.errors().next().is_some() {
                    object.list("errors", answer.errors(), |out, (policy, kind)| {
                        let mut error = Object::begin(out);
                        error.text("policy", policy);
                        error.text("kind", kind.as_str());
                        error.end();
                    });
                }
                if answer.obligations().next().is_some() {
                    object.list("obligations", answer.obligations(), |out, obligation| {
                        let mut entry = Object::begin(out);
                        entry.text("policy", obligation.policy);
                        entry.text("key", obligation.key);
                        entry.text("value", obligation.value);
                        entry.end();
                    });
                }
            }
        })
    }

    /// The line of a filter: of what was filtered, how much there was and what is allowed.
    pub(crate) fn filter_line(
        &self,
        out: &mut Vec<u8>,
        config: &LogConfig,
        candidates: usize,
        allowed: &[u32],
    ) {
        self.object(out, config, |object| {
            if let Some(request) = self.request {
                object.uid("principal", request.principal);
                for (name, uid) in [("action", request.action), ("resource", request.resource)] {
                    if !uid.entity_type.is_empty() {
                        object.uid(name, uid);
                    }
                }
            }
            object.raw("candidates", candidates);
            object.list("allowed", allowed.iter(), |out, at| _ = write!(out, "{at}"));
        })
    }

    fn object(&self, out: &mut Vec<u8>, config: &LogConfig, middle: impl FnOnce(&mut Object<'_>)) {
        let mut object = Object::begin(out);
        object.text("type", "decision");
        object.text("decision_id", std::str::from_utf8(&self.id.text()).unwrap_or_default());
        object.text("time", &self.time.to_string());
        object.text("entry", self.protocol.as_str());
        if let Some(trace) = self.trace {
            object.hex("trace_id", &trace.trace_id);
            object.hex("span_id", &trace.span_id);
        }
        middle(&mut object);
        if let Some(request) = self.request {
            if let Some(subject) = request.on_behalf_of {
                object.uid("on_behalf_of", subject);
            }
            if !request.actors.is_empty() {
                object.list("chain", request.actors.iter(), |out, actor| uid(out, *actor));
            }
            if !request.scopes.is_empty() {
                object.texts("scopes", request.scopes.iter().copied());
            }
            if config.context {
                object.key("context");
                pairs(object.out, request.context, &config.mask);
            } else if !request.context.is_empty() {
                object.texts("context_keys", request.context.iter().map(|(key, _)| *key));
            }
        }
        if let Some(bundle) = self.bundle {
            object.key("bundle");
            let mut named = Object::begin(object.out);
            named.text("name", bundle.name());
            named.raw("revision", bundle.revision());
            named.text("digest", bundle.digest_hex());
            named.end();
        }
        object.raw("latency_ns", self.took.as_nanos());
        object.end();
        out.push(b'\n');
    }
}

// === impl Object ===

impl<'o> Object<'o> {
    fn begin(out: &'o mut Vec<u8>) -> Self {
        out.push(b'{');
        Self { out, is_empty: true }
    }

    fn end(self) {
        self.out.push(b'}');
    }

    fn key(&mut self, name: &str) {
        if !self.is_empty {
            self.out.push(b',');
        }
        self.is_empty = false;
        string(self.out, name);
        self.out.push(b':');
    }

    fn hex(&mut self, key: &str, bytes: &[u8]) {
        self.key(key);
        self.out.push(b'"');
        for byte in bytes {
            let _ = write!(self.out, "{byte:02x}");
        }
        self.out.push(b'"');
    }

    fn text(&mut self, name: &str, text: &str) {
        self.key(name);
        string(self.out, text);
    }

    fn raw(&mut self, name: &str, number: impl std::fmt::Display) {
        self.key(name);
        let _ = write!(self.out, "{number}");
    }

    fn uid(&mut self, name: &str, of: Uid<'_>) {
        self.key(name);
        uid(self.out, of);
    }

    fn texts<'t>(&mut self, name: &str, texts: impl Iterator<Item = &'t str>) {
        self.list(name, texts, string);
    }

    fn list<T>(
        &mut self,
        name: &str,
        items: impl Iterator<Item = T>,
        write: impl Fn(&mut Vec<u8>, T),
    ) {
        self.key(name);
        list(self.out, items, write);
    }
}

// === parts ===

fn list<T>(out: &mut Vec<u8>, items: impl Iterator<Item = T>, write: impl Fn(&mut Vec<u8>, T)) {
    out.push(b'[');
    for (at, item) in items.enumerate() {
        if at > 0 {
            out.push(b',');
        }
        write(out, item);
    }
    out.push(b']');
}

fn string(out: &mut Vec<u8>, text: &str) {
    // Bytes in memory do not refuse.
    let _ = serde_json::to_writer(out, text);
}

fn uid(out: &mut Vec<u8>, uid: Uid<'_>) {
    let mut object = Object::begin(out);
    object.text("type", uid.entity_type);
    object.text("id", uid.id);
    object.end();
}

/// A record without what is masked. Its depth is that of a request, which is limited.
fn pairs(out: &mut Vec<u8>, pairs: &[(&str, Value<'_>)], mask: &[String]) {
    let mut object = Object::begin(out);
    for (key, of) in pairs {
        object.key(key);
        if mask.iter().any(|masked| masked == key) {
            string(object.out, "***");
        } else {
            value(object.out, of, mask);
        }
    }
    object.end();
}

fn value(out: &mut Vec<u8>, of: &Value<'_>, mask: &[String]) {
    match of {
        Value::Bool(boolean) => _ = write!(out, "{boolean}"),
        Value::Long(long) => _ = write!(out, "{long}"),
        Value::String(text) => string(out, text),
        Value::Entity(entity) => uid(out, *entity),
        Value::Set(elements) => {
            list(out, elements.iter(), |out, element| value(out, element, mask))
        }
        Value::Record(fields) => pairs(out, fields, mask),
        Value::Decimal(decimal) => string(out, &decimal.to_string()),
        Value::Ip(ip) => string(out, &ip.to_string()),
        Value::Datetime(time) => string(out, &time.to_string()),
        Value::Duration(span) => string(out, &span.to_string()),
    }
}
