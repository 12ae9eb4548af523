//! What a panic takes with it, and what it does not.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a test stops at the first surprise")]

use super::*;
use crate::decision_log::{LogConfig, LogTarget};

#[test]
fn memory_that_a_panic_left_is_not_used_again() {
    isolated(|_| Ok(())).unwrap();
    assert!(kept_bytes().is_some());
    let outcome: Result<(), _> = isolated(|_| panic!("on purpose"));
    assert!(matches!(outcome, Err(NoAnswer::Panicked)));
    assert!(kept_bytes().is_none());
}

#[test]
fn a_fault_has_an_answer_even_where_its_record_breaks_as_well() {
    let folder = tempfile::tempdir().unwrap();
    let target =
        LogTarget::File { path: folder.path().join("log"), file_bytes_max: 1 << 20, files_max: 1 };
    let log = LogConfig { target, queue_bytes_max: 64 << 20, context: true, mask: Vec::new() };
    let log = Some(DecisionLog::start(log).unwrap());
    let telemetry = Arc::new(Telemetry { log, ..Telemetry::default() });
    let live = Arc::new(Live::new(Decider::no_bundle()));
    // The record takes its time from here.
    let clock = Clock::from_fn(|| panic!("on purpose"));
    let config = Config { clock, ..Config::sidecar() };
    let desk = Desk::new(&config, live, Arc::clone(&telemetry));
    let origin = desk.origin_of(&http::Request::new(()));
    let asker = Asker { protocol: Protocol::ExtAuthz, origin: &origin };
    let verdict = desk.fault(asker, &desk.snapshot(), Instant::now());
    assert_eq!((verdict.effect(), verdict.code()), (Effect::Deny, Some("fault")));
    assert_eq!(telemetry.log.as_ref().unwrap().counts().records, 0);
}
