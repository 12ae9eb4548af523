//! Every metric of a sidecar, by name; the only place that names one.
//!
//! Labels have fixed sets of values, so that no caller can make series. Counting is one or two additions to numbers that
//! all threads share. Text is made when somebody asks, in the format of OpenMetrics, which Prometheus reads.
//!
//! | metric | labels | meaning |
//! |---|---|---|
//! | `pdp_decisions_total` | `protocol`, `reason` | decisions; the effect is allow for `permitted` and deny for all others; of `ext_authz` also denies of calls that are no question |
//! | `pdp_decision_seconds` | `protocol`, `effect` | time to decide one question, without reading and writing messages; for `filter` and `authzen_search`, a whole call |
//! | `pdp_unanswered_total` | `protocol`, `cause` | questions that got an error in place of a decision; `ext_authz` denies those |
//! | `pdp_panics_total` | | HTTP requests that a fault of the sidecar ended before or after deciding |
//! | `pdp_connections` | | connections that are open, of all listeners |
//! | `pdp_in_flight_bytes` | | memory of messages that are arriving |
//! | `pdp_shed_total` | `cause` | turned away: `connections` beyond the limit, requests for which there is no `memory` |
//! | `pdp_decision_log_records_total` | | records handed to the decision log |
//! | `pdp_decision_log_dropped_total` | `cause` | records that it lost: `queue` was full, `write` failed |
//! | `pdp_bundle_info` | `name`, `revision`, `digest` | 1 for the bundle in force; absent when there is none |
//! | `pdp_bundle_revision` | | its revision; 0 when there is none |
//! | `pdp_bundles_held` | | replaced bundles that requests still hold |
//! | `pdp_reloads_total` | `result` | looks that put another bundle in force (`activated`) or refused one (`failed`) |
//! | `pdp_reload_failing` | | 1 while what is there now cannot be put in force |
//! | `pdp_bundle_activated_seconds` | | when the bundle in force was put there, since 1970; its age is `time()` less this |

use std::fmt::{self, Write};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use pdp_core::{Effect, Live, Reason};

use crate::admin::seconds;
use crate::admission::Load;
use crate::decision_log::DecisionLog;
use crate::reload::{ReloadMonitor, ReloadStatus};
use crate::respond::NoAnswer;

/// By which way a question came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Protocol {
    Authorize,
    Batch,
    Stream,
    Filter,
    Authzen,
    AuthzenSearch,
    ExtAuthz,
}

/// Upper ends of the buckets of a histogram, in nanoseconds and as they are written in seconds.
const BUCKETS: [(u64, &str); 14] = [
    (500, "0.0000005"),
    (1_000, "0.000001"),
    (2_000, "0.000002"),
    (5_000, "0.000005"),
    (10_000, "0.00001"),
    (20_000, "0.00002"),
    (50_000, "0.00005"),
    (100_000, "0.0001"),
    (250_000, "0.00025"),
    (1_000_000, "0.001"),
    (5_000_000, "0.005"),
    (25_000_000, "0.025"),
    (100_000_000, "0.1"),
    (1_000_000_000, "1.0"),
];

/// What is counted.
#[derive(Debug, Default)]
pub(crate) struct Metrics {
    protocols: [OfProtocol; Protocol::ALL.len()],
    panics: Count,
}

#[derive(Debug, Default)]
struct OfProtocol {
    reasons: [Count; Reason::ALL.len()],
    effects: [Histogram; 2],
    causes: [Count; CAUSES.len()],
}

/// On a cache line of its own, so that two threads that count different things do not wait for each other.
#[derive(Debug, Default)]
#[repr(align(64))]
struct Count(AtomicU64);

#[derive(Debug, Default)]
#[repr(align(64))]
struct Histogram {
    buckets: [AtomicU64; BUCKETS.len() + 1],
    sum_ns: AtomicU64,
}

/// Why questions get no answer; see [`NoAnswer::cause`].
const CAUSES: [&str; 4] = ["malformed", "too_large", "too_late", "panic"];

// === impl Protocol ===

impl Protocol {
    pub(crate) const ALL: [Self; 7] = [
        Self::Authorize,
        Self::Batch,
        Self::Stream,
        Self::Filter,
        Self::Authzen,
        Self::AuthzenSearch,
        Self::ExtAuthz,
    ];

    /// As label, and as `entry` of the decision log.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Protocol::Authorize => "authorize",
            Protocol::Batch => "batch",
            Protocol::Stream => "stream",
            Protocol::Filter => "filter",
            Protocol::Authzen => "authzen",
            Protocol::AuthzenSearch => "authzen_search",
            Protocol::ExtAuthz => "ext_authz",
        }
    }
}

// === impl Metrics ===

impl Metrics {
    fn of(&self, protocol: Protocol) -> &OfProtocol {
        let [authorize, batch, stream, filter, authzen, authzen_search, ext_authz] =
            &self.protocols;
        match protocol {
            Protocol::Authorize => authorize,
            Protocol::Batch => batch,
            Protocol::Stream => stream,
            Protocol::Filter => filter,
            Protocol::Authzen => authzen,
            Protocol::AuthzenSearch => authzen_search,
            Protocol::ExtAuthz => ext_authz,
        }
    }

    /// Counts decisions.
    pub(crate) fn decided(&self, protocol: Protocol, reason: Reason, decisions: usize) {
        let at = Reason::ALL.iter().position(|one| *one == reason);
        if let Some(count) = at.and_then(|at| self.of(protocol).reasons.get(at)) {
            count.add(u64::try_from(decisions).unwrap_or(u64::MAX));
        }
    }

    /// Notes how long deciding took.
    pub(crate) fn took(&self, protocol: Protocol, effect: Effect, time: Duration) {
        let [allow, deny] = &self.of(protocol).effects;
        match effect {
            Effect::Allow => allow.note(time),
            Effect::Deny => deny.note(time),
        }
    }

    /// Counts a question without an answer.
    pub(crate) fn unanswered(&self, protocol: Protocol, no_answer: &NoAnswer) {
        let at = CAUSES.iter().position(|cause| *cause == no_answer.cause());
        if let Some(count) = at.and_then(|at| self.of(protocol).causes.get(at)) {
            count.add(1);
        }
    }

    /// Counts a request that a fault ended.
    pub(crate) fn panicked(&self) {
        self.panics.add(1);
    }

    /// All of it, and what is to be said about the bundle in force and the log, as OpenMetrics.
    pub(crate) fn text(
        &self,
        live: &Live,
        load: Load,
        log: Option<&DecisionLog>,
        reload: Option<&ReloadMonitor>,
    ) -> String {
        let mut text = String::new();
        // Writing to a string does not fail.
        let _ = self.write(&mut text);
        let _ = write_load(&mut text, load);
        let _ = log.map_or(Ok(()), |log| write_log(&mut text, log));
        let _ = write_bundle(&mut text, live);
        let _ = reload.map_or(Ok(()), |reload| write_reload(&mut text, &reload.status()));
        text.push_str("# EOF\n");
        text
    }

    fn write(&self, text: &mut String) -> fmt::Result {
        let all =
            || Protocol::ALL.into_iter().map(|protocol| (protocol.as_str(), self.of(protocol)));
        head(text, "pdp_decisions", "counter", "Decisions by protocol and reason.")?;
        for (protocol, of) in all() {
            for (reason, count) in Reason::ALL.iter().zip(&of.reasons) {
                let reason = reason.as_str();
                let count = count.get();
                writeln!(
                    text,
                    "pdp_decisions_total{{protocol=\"{protocol}\",reason=\"{reason}\"}} {count}"
                )?;
            }
        }
        head(
            text,
            "pdp_decision_seconds",
            "histogram",
            "Time to decide, without reading and writing messages.",
        )?;
        for (protocol, of) in all() {
            for (effect, histogram) in ["allow", "deny"].iter().zip(&of.effects) {
                let labels = format!("protocol=\"{protocol}\",effect=\"{effect}\"");
                histogram.write(text, "pdp_decision_seconds", &labels)?;
            }
        }
        head(
            text,
            "pdp_unanswered",
            "counter",
            "Questions that got an error in place of an answer.",
        )?;
        for (protocol, of) in all() {
            for (cause, count) in CAUSES.iter().zip(&of.causes) {
                let count = count.get();
                writeln!(
                    text,
                    "pdp_unanswered_total{{protocol=\"{protocol}\",cause=\"{cause}\"}} {count}"
                )?;
            }
        }
        head(text, "pdp_panics", "counter", "HTTP requests that a fault of the sidecar ended.")?;
        writeln!(text, "pdp_panics_total {}", self.panics.get())
    }
}

fn write_load(text: &mut String, load: Load) -> fmt::Result {
    head(text, "pdp_connections", "gauge", "Connections that are open.")?;
    writeln!(text, "pdp_connections {}", load.connections)?;
    head(text, "pdp_in_flight_bytes", "gauge", "Memory of messages that are arriving.")?;
    writeln!(text, "pdp_in_flight_bytes {}", load.bytes)?;
    head(text, "pdp_shed", "counter", "Connections and requests that were turned away.")?;
    for (cause, count) in [("connections", load.shed_connections), ("memory", load.shed_memory)] {
        writeln!(text, "pdp_shed_total{{cause=\"{cause}\"}} {count}")?;
    }
    Ok(())
}

fn write_log(text: &mut String, log: &DecisionLog) -> fmt::Result {
    let counts = log.counts();
    head(text, "pdp_decision_log_records", "counter", "Records handed to the decision log.")?;
    writeln!(text, "pdp_decision_log_records_total {}", counts.records)?;
    head(text, "pdp_decision_log_dropped", "counter", "Records that the decision log lost.")?;
    for (cause, count) in [("queue", counts.dropped_queue), ("write", counts.dropped_write)] {
        writeln!(text, "pdp_decision_log_dropped_total{{cause=\"{cause}\"}} {count}")?;
    }
    Ok(())
}

fn write_bundle(text: &mut String, live: &Live) -> fmt::Result {
    let decider = live.snapshot();
    let bundle = decider.bundle();
    head(text, "pdp_bundle_info", "gauge", "1 for the bundle in force.")?;
    if let Some(bundle) = bundle {
        let (name, revision) = (escaped(bundle.name()), bundle.revision());
        let digest = bundle.digest_hex();
        writeln!(
            text,
            "pdp_bundle_info{{name=\"{name}\",revision=\"{revision}\",digest=\"{digest}\"}} 1"
        )?;
    }
    head(text, "pdp_bundle_revision", "gauge", "Revision of the bundle in force.")?;
    writeln!(text, "pdp_bundle_revision {}", bundle.map_or(0, |bundle| bundle.revision()))?;
    drop(decider);
    head(text, "pdp_bundles_held", "gauge", "Replaced bundles that requests still hold.")?;
    writeln!(text, "pdp_bundles_held {}", live.collect())
}

fn write_reload(text: &mut String, status: &ReloadStatus) -> fmt::Result {
    head(text, "pdp_reloads", "counter", "Bundles put in force or refused.")?;
    for (result, count) in [("activated", status.activated), ("failed", status.failed)] {
        writeln!(text, "pdp_reloads_total{{result=\"{result}\"}} {count}")?;
    }
    head(text, "pdp_reload_failing", "gauge", "1 while what is there cannot be put in force.")?;
    writeln!(text, "pdp_reload_failing {}", u8::from(status.error.is_some()))?;
    head(text, "pdp_bundle_activated_seconds", "gauge", "When the bundle was put in force.")?;
    match status.activated_at {
        Some(time) => writeln!(text, "pdp_bundle_activated_seconds {}", seconds(time)),
        None => Ok(()),
    }
}

fn head(text: &mut String, name: &str, kind: &str, help: &str) -> fmt::Result {
    writeln!(text, "# TYPE {name} {kind}")?;
    writeln!(text, "# HELP {name} {help}")
}

/// A label's value as the format has it.
fn escaped(value: &str) -> String {
    value.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
}

// === impl Count ===

impl Count {
    fn add(&self, more: u64) {
        self.0.fetch_add(more, Ordering::Relaxed);
    }

    fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

// === impl Histogram ===

impl Histogram {
    fn note(&self, time: Duration) {
        let ns = u64::try_from(time.as_nanos()).unwrap_or(u64::MAX);
        let at = BUCKETS.partition_point(|(end, _)| *end < ns);
        if let Some(bucket) = self.buckets.get(at) {
            bucket.fetch_add(1, Ordering::Relaxed);
        }
        self.sum_ns.fetch_add(ns, Ordering::Relaxed);
    }

    fn write(&self, text: &mut String, name: &str, labels: &str) -> fmt::Result {
        let mut count = 0;
        let ends = BUCKETS.iter().map(|(_, end)| *end).chain(["+Inf"]);
        for (end, bucket) in ends.zip(&self.buckets) {
            count += bucket.load(Ordering::Relaxed);
            writeln!(text, "{name}_bucket{{{labels},le=\"{end}\"}} {count}")?;
        }
        let seconds = Duration::from_nanos(self.sum_ns.load(Ordering::Relaxed)).as_secs_f64();
        writeln!(text, "{name}_sum{{{labels}}} {seconds:?}")?;
        writeln!(text, "{name}_count{{{labels}}} {count}")
    }
}
