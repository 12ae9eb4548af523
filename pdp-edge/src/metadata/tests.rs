//! Numbers, texts, and bytes that are no metadata.
#![expect(clippy::unwrap_used, reason = "a test stops at the first surprise")]

use super::*;

/// A field of bytes.
fn field(number: u8, bytes: &[u8]) -> Vec<u8> {
    [&[number << 3 | 2, u8::try_from(bytes.len()).unwrap()], bytes].concat()
}

fn entry(key: &str, value: &[u8]) -> Vec<u8> {
    field(1, &[field(1, key.as_bytes()), field(2, value)].concat())
}

fn text(text: &str) -> Vec<u8> {
    field(3, text.as_bytes())
}

#[test]
fn a_number_is_an_integer_where_it_cannot_have_been_another_one() {
    // A `google.protobuf.Value`: field 2, eight bytes.
    let number = |number: f64| {
        let bytes = [&[0x11], number.to_le_bytes().as_slice()].concat();
        scalar(Fields::new(&bytes)).unwrap()
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
        assert!(scalar(Fields::new(damaged)).is_err(), "{damaged:?}");
    }
}

#[test]
fn claims_are_found_in_their_namespace_and_texts_are_listed() {
    // The payload's struct is field 5 of its value.
    let payload = field(5, &[entry("sub", &text("ann")), entry("aud", &text(""))].concat());
    let own = entry("pdp.action", &text("A::\"b\""));
    let number = entry("n", &[0x20, 1]);
    let bytes =
        [entry("jwt", &entry("p", &payload)), entry("pdp", &own), entry("bad", &number)].concat();
    let metadata = Metadata::read(&bytes).unwrap();
    let claim = |namespace: &str, payload: &str, name: &str| {
        let [namespace, payload, name] = [namespace, payload, name].map(str::to_owned);
        metadata.claim(&Claim { namespace, payload, name })
    };
    assert_eq!(claim("jwt", "p", "sub"), Some(ClaimValue::Text("ann".to_owned())));
    assert_eq!(claim("jwt", "p", "aud"), Some(ClaimValue::Text(String::new())));
    for (namespace, payload, name) in [("pdp", "p", "sub"), ("jwt", "q", "sub"), ("jwt", "p", "x")]
    {
        assert_eq!(claim(namespace, payload, name), None);
    }
    let texts: [(&[u8], &[u8]); 1] = [(b"pdp.action", b"A::\"b\"")];
    assert_eq!(metadata.texts("pdp").unwrap(), texts);
    assert!(metadata.texts("other").unwrap().is_empty());
    // What is no text is not passed over.
    assert!(metadata.texts("bad").is_err());
}

#[test]
fn bytes_that_are_cut_off_are_no_metadata_or_say_less() {
    let payload = field(5, &entry("sub", &text("ann")));
    let bytes = entry("jwt", &entry("p", &payload));
    let claim = Claim { namespace: "jwt".into(), payload: "p".into(), name: "sub".into() };
    for end in 1..bytes.len() {
        let cut = bytes.get(..end).unwrap();
        let claimed = Metadata::read(cut).map(|metadata| metadata.claim(&claim));
        assert!(!matches!(claimed, Ok(Some(ClaimValue::Text(_)))), "{cut:?}");
    }
}
