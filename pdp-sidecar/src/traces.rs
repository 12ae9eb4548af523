//! Decisions as spans of OpenTelemetry, in batches to a collector.
//!
//! A span belongs to the trace that its request's `traceparent` names, and is made only where the caller records that
//! trace; decisions without one begin a trace as often as the settings say. Spans wait in the library's bounded queue,
//! so a collector that is slow or gone costs spans and no decision. Nothing of a context is told.

use std::fmt;
use std::time::Duration;

use opentelemetry::trace::{
    Span, SpanContext, SpanId, SpanKind, TraceContextExt, TraceFlags, TraceId, TraceState,
    Tracer as _, TracerProvider,
};
use opentelemetry::{Context, KeyValue};
use opentelemetry_otlp::{SpanExporter, WithExportConfig};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::trace::{Sampler, SdkTracer, SdkTracerProvider};
use pdp_core::Effect;
use pdp_grpc::{DecisionSpan, SharedTracer, TraceParent, Tracer};

/// How long a collector may take to take a batch.
const EXPORT_TIMEOUT: Duration = Duration::from_secs(5);

/// Where spans go.
#[derive(Clone, Debug, PartialEq)]
pub struct TracesConfig {
    /// A collector's URL, OTLP over gRPC.
    pub url: String,
    /// Share of the decisions without a trace that begin one.
    pub ratio: f64,
}

/// The library's, as long as the process serves.
pub(crate) struct Traces {
    provider: SdkTracerProvider,
}

struct Spans(SdkTracer);

// === impl Traces ===

impl Traces {
    /// Begins to export; must be called on the runtime, which the connection to the collector uses.
    pub(crate) fn begin(config: &TracesConfig) -> Result<Self, String> {
        let exporter = SpanExporter::builder()
            .with_tonic()
            .with_endpoint(&config.url)
            .with_timeout(EXPORT_TIMEOUT)
            .build()
            .map_err(|error| format!("traces cannot be sent to `{}`: {error}", config.url))?;
        let root = Sampler::TraceIdRatioBased(config.ratio);
        let provider = SdkTracerProvider::builder()
            .with_batch_exporter(exporter)
            .with_sampler(Sampler::ParentBased(Box::new(root)))
            .with_resource(Resource::builder().with_service_name("pdp").build())
            .build();
        Ok(Self { provider })
    }

    /// Who hears of decisions.
    pub(crate) fn tracer(&self) -> SharedTracer {
        SharedTracer::new(Spans(self.provider.tracer("pdp")))
    }

    /// Sends what waits, within the time for one batch; blocks.
    pub(crate) fn end(self) {
        if let Err(error) = self.provider.shutdown_with_timeout(EXPORT_TIMEOUT) {
            tracing::warn!("the last spans of traces were not sent: {error}");
        }
    }
}

impl fmt::Debug for Traces {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Traces")
    }
}

// === impl Spans ===

impl Tracer for Spans {
    fn decided(&self, decision: &DecisionSpan<'_>) {
        let parent = match decision.parent {
            // Decided here, so that nothing is made of a span that nobody records.
            Some(parent) if !parent.is_sampled => return,
            Some(parent) => Context::new().with_remote_span_context(context(parent)),
            None => Context::new(),
        };
        let builder = self
            .0
            .span_builder(format!("pdp {}", decision.entry))
            .with_kind(SpanKind::Server)
            .with_start_time(decision.ended - decision.took);
        let mut span = self.0.build_with_context(builder, &parent);
        if span.is_recording() {
            span.set_attributes(attributes(decision));
        }
        span.end_with_timestamp(decision.ended);
    }
}

fn context(parent: TraceParent) -> SpanContext {
    SpanContext::new(
        TraceId::from_bytes(parent.trace_id),
        SpanId::from_bytes(parent.span_id),
        TraceFlags::SAMPLED,
        true,
        TraceState::default(),
    )
}

/// There is no convention for decisions, so the names are ours, under `pdp.`.
fn attributes(decision: &DecisionSpan<'_>) -> Vec<KeyValue> {
    let effect = if decision.effect == Effect::Allow { "allow" } else { "deny" };
    let mut attributes = vec![
        KeyValue::new("pdp.decision_id", decision.decision_id()),
        KeyValue::new("pdp.entry", decision.entry),
        KeyValue::new("pdp.effect", effect),
    ];
    attributes.extend(decision.reason.map(|reason| KeyValue::new("pdp.reason", reason.as_str())));
    if let Some(request) = decision.request {
        for (key, uid) in [
            ("pdp.principal", request.principal),
            ("pdp.action", request.action),
            ("pdp.resource", request.resource),
        ] {
            // What a filter's candidates take the place of is not said.
            if !uid.entity_type.is_empty() {
                attributes.push(KeyValue::new(key, uid.to_string()));
            }
        }
    }
    if let Some(bundle) = decision.bundle {
        attributes.push(KeyValue::new("pdp.bundle.name", bundle.name().to_owned()));
        let revision = i64::try_from(bundle.revision()).unwrap_or(i64::MAX);
        attributes.push(KeyValue::new("pdp.bundle.revision", revision));
        attributes.push(KeyValue::new("pdp.bundle.digest", bundle.digest_hex().to_owned()));
    }
    attributes
}
