//! One decision as a line of JSON, the same from every edge.
//!
//! Written by hand into bytes, because it is made for every decision; every text goes through the JSON library's
//! escaping, so no caller can begin a line. The sidecar's decision log has the table of the fields. It keeps nothing and
//! sends nothing.

use std::io::Write;
use std::time::Duration;

use pdp_core::{Answer, Bundle, Datetime, Effect, Reason, Request, Uid, Value};

use crate::decision_id::DecisionId;

/// What is recorded of a decision.
#[derive(Clone, Copy, Debug)]
pub struct Record<'a> {
    /// Its name.
    pub id: DecisionId,
    /// By which way the question came.
    pub entry: &'static str,
    /// When.
    pub time: Datetime,
    /// Trace and span of the request, if it has them.
    pub trace: Option<([u8; 16], [u8; 8])>,
    /// What was asked, if it was a question.
    pub request: Option<&'a Request<'a>>,
    /// What decided.
    pub bundle: Option<&'a Bundle>,
    /// Time to decide, where somebody has a clock for it.
    pub took: Option<Duration>,
}

/// What a question got.
#[derive(Clone, Copy, Debug)]
pub struct Said<'a> {
    /// Allow or deny.
    pub effect: Effect,
    /// Why.
    pub reason: Reason,
    /// A sentence, or nothing.
    pub message: &'a str,
    /// A code for what was in the way, if a question was not taken at all.
    pub refusal: Option<&'a str>,
    /// The core's answer, if it was asked.
    pub answer: Option<&'a Answer<'a>>,
}

/// How much of a request's context is recorded.
#[derive(Clone, Copy, Debug)]
pub struct Shown<'a> {
    /// Values, and not only keys.
    pub context: bool,
    /// Names of attributes whose values are never recorded, at any depth.
    pub mask: &'a [String],
}

/// A JSON object that is being written.
struct Object<'o> {
    out: &'o mut Vec<u8>,
    is_empty: bool,
}

// === impl Record ===

impl Record<'_> {
    /// The line of one decision.
    pub fn line(&self, out: &mut Vec<u8>, shown: Shown<'_>, said: &Said<'_>) {
        self.object(out, shown, |object| {
            object.text("decision", said.effect.as_str());
            object.text("reason", said.reason.as_str());
            if !said.message.is_empty() {
                object.text("message", said.message);
            }
            if let Some(code) = said.refusal {
                object.text("refusal", code);
            }
            if let Some(request) = self.request {
                object.uid("principal", request.principal);
                object.uid("action", request.action);
                object.uid("resource", request.resource);
            }
            if let Some(answer) = said.answer {
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
    pub fn filter_line(
        &self,
        out: &mut Vec<u8>,
        shown: Shown<'_>,
        candidates: usize,
        allowed: &[u32],
    ) {
        self.object(out, shown, |object| {
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

    fn object(&self, out: &mut Vec<u8>, shown: Shown<'_>, middle: impl FnOnce(&mut Object<'_>)) {
        let mut object = Object::begin(out);
        object.text("type", "decision");
        object.text("decision_id", std::str::from_utf8(&self.id.text()).unwrap_or_default());
        object.text("time", &self.time.to_string());
        object.text("entry", self.entry);
        if let Some((trace, span)) = self.trace {
            object.hex("trace_id", &trace);
            object.hex("span_id", &span);
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
            if shown.context {
                object.key("context");
                pairs(object.out, request.context, shown.mask);
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
        if let Some(took) = self.took {
            object.raw("latency_ns", took.as_nanos());
        }
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
