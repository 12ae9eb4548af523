//! Checks against no bundle and against bytes that are none.

use std::sync::Arc;

use pdp_core::{Decider, Live};

use super::*;
use crate::config::Config;

#[test]
fn without_a_bundle_every_call_is_denied() {
    let live = Arc::new(Live::new(Decider::no_bundle()));
    let desk = Desk::new(&Config::sidecar(), live, Arc::default());
    let caller = desk.caller_of(&Peer::default());
    for message in [&b""[..], b"\xff", b"\x0a\x00"] {
        assert_eq!(check(&desk, caller, message), CheckResponse::refused("no_bundle"));
    }
}
