//! Traces: the place of a request in somebody's trace, and who hears of each decision there.
//!
//! What arrives is W3C Trace Context, the header `traceparent`. What is done with a decision's span is the [`Tracer`]'s,
//! so this crate has no exporter. It refuses to begin traces: that, and sampling, is the tracer's as well.

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use pdp_core::{Bundle, Effect, Reason, Request};
pub use pdp_edge::TraceParent;

use crate::decision_id::DecisionId;
use crate::metrics::Protocol;

/// A decision, as a span.
#[derive(Debug)]
pub struct DecisionSpan<'a> {
    /// Where its request belongs, if its caller says so.
    pub parent: Option<TraceParent>,
    /// When deciding ended.
    pub ended: SystemTime,
    /// How long it took.
    pub took: Duration,
    /// By which way the question came: `authorize`, `authzen` and so on.
    pub entry: &'static str,
    /// What was asked; of a filter the part that all candidates share; `None` where it was no question.
    pub request: Option<&'a Request<'a>>,
    /// The decision; of a filter, allow if anything is allowed.
    pub effect: Effect,
    /// Why; of a filter nothing, as its candidates have reasons of their own.
    pub reason: Option<Reason>,
    /// What decided.
    pub bundle: Option<&'a Bundle>,
    pub(crate) id: DecisionId,
}

/// Hears of decisions, on the thread that decides: it must be quick and wait for nothing.
pub trait Tracer: Send + Sync {
    /// Takes a decision in.
    fn decided(&self, span: &DecisionSpan<'_>);
}

/// A tracer in a configuration.
#[derive(Clone)]
pub struct SharedTracer(Arc<dyn Tracer>);

// === impl DecisionSpan ===

impl<'a> DecisionSpan<'a> {
    /// A decision that ended now.
    pub(crate) fn new(
        id: DecisionId,
        protocol: Protocol,
        took: Duration,
        (effect, reason): (Effect, Option<Reason>),
    ) -> Self {
        let entry = protocol.as_str();
        let ended = SystemTime::now();
        Self { parent: None, ended, took, entry, request: None, effect, reason, bundle: None, id }
    }

    /// Its name in answers and in the decision log.
    pub fn decision_id(&self) -> String {
        self.id.to_string()
    }
}

// === impl SharedTracer ===

impl SharedTracer {
    /// Shares a tracer.
    pub fn new(tracer: impl Tracer + 'static) -> Self {
        Self(Arc::new(tracer))
    }

    pub(crate) fn decided(&self, span: &DecisionSpan<'_>) {
        self.0.decided(span);
    }
}

impl fmt::Debug for SharedTracer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SharedTracer")
    }
}
