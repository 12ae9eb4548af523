//! Checks against no bundle and against bytes that are none, and numbers.

#![expect(clippy::unwrap_used, reason = "a test stops at the first surprise")]

use std::sync::Arc;

use pdp_core::{Decider, Live};

use pdp_edge::ClaimValue;

use super::*;
use crate::authorize::wire::Fields;
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

#[test]
fn a_number_is_an_integer_where_it_cannot_have_been_another_one() {
    // A `google.protobuf.Value`: field 2, eight bytes.
    let number = |number: f64| {
        let bytes = [&[0x11], number.to_le_bytes().as_slice()].concat();
        read::scalar(Fields::new(&bytes)).unwrap()
    };
    let most = 9_007_199_254_740_991.0;
    for (float, integer) in [(0.0, 0), (-0.0, 0), (1.0, 1), (-17.0, -17), (most, (1 << 53) - 1)] {
        assert_eq!(number(float), ClaimValue::Long(integer), "{float}");
    }
    assert_eq!(number(-most), ClaimValue::Long(1 - (1 << 53)));
    for float in [0.5, -1.5, most + 1.0, -most - 1.0, 1e300, f64::INFINITY, f64::NAN, 5e-324] {
        assert_eq!(number(float), ClaimValue::Other, "{float}");
    }
    // One that is cut off, and one of another kind.
    for damaged in [&[0x11, 0, 0][..], &[0x10, 3], &[0x15, 0, 0, 0, 0]] {
        assert!(read::scalar(Fields::new(damaged)).is_err(), "{damaged:?}");
    }
}
