//! Checks against no bundle and against bytes that are none.

#![expect(clippy::unwrap_used, reason = "a test stops at the first surprise")]

use std::sync::Arc;

use pdp_core::{Decider, Live};

use super::*;
use crate::config::Config;

#[test]
fn without_a_bundle_every_call_is_denied() {
    let live = Arc::new(Live::new(Decider::no_bundle()));
    let desk = Desk::new(&Config::sidecar(), live, Arc::default());
    let origin = desk.origin_of(&http::Request::new(()));
    for message in [&b""[..], b"\xff", b"\x0a\x00"] {
        let denied = check(&desk, &origin, message).denied.unwrap();
        let start = "{\"reason\":\"no_bundle\",\"refusal\":\"no_bundle\",\"decision_id\":\"";
        assert!(denied.body.starts_with(start), "{}", denied.body);
    }
}
