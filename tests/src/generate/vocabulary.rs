//! The words worlds are made of: names, ids and constants, weighted towards the ends of their ranges.
//!
//! Extension constants stand in groups that Cedar takes to be equal; an engine that compares how they are written fails on them.

use crate::value::ExtKind;

/// Ids of entities: plain ones, and ones that break naive quoting, trimming, case folding or normalising.
pub(super) const IDS: &[&str] = &[
    "alice", "bob", "carol", "dave", "erin", "g1", "g2", "root", "a b", "Alice", "x\"y", "日本",
    "é", "e\u{301}", "", "a::b", "*", "\\", "0", "\n",
];

/// Strings as values: some parse as an extension value, so that `ip(context.tool)` fails only sometimes.
pub(super) const TEXTS: &[&str] = &[
    "",
    "a",
    "sales",
    "Sales",
    "sales ",
    "eng",
    "tool/search",
    "tool/send",
    "crm:read",
    "a*b",
    "*",
    "aaaa",
    "aab",
    "日本語",
    "🦀",
    "é",
    "e\u{301}",
    "\"",
    "\\",
    "\\u{0}",
    "\0",
    "\u{7f}",
    "\r\n\t",
    "\u{202e}abc",
    "127.0.0.1",
    "10.0.0.0/8",
    "1.0",
    "-0.5",
    "2024-01-01",
    "1h30m",
    "true",
    "0",
    "' OR 1=1",
    "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaab",
];

/// Names after which entities can be asked for something no schema declares.
pub(super) const UNDECLARED_NAMES: &[&str] = &["nope", "Department", "owner2", "name ", "__id"];

/// Keys of tags.
pub(super) const TAG_KEYS: &[&str] = &["env", "team", "", "a b", "日本", "Env"];

/// Integers: the ends, their neighbours, and small ones that make comparisons go both ways.
pub(super) const LONGS: &[i64] = &[
    i64::MIN,
    i64::MIN + 1,
    i64::MAX,
    i64::MAX - 1,
    -1,
    0,
    1,
    2,
    5,
    10,
    18,
    100,
    1000,
    -100,
    3_037_000_500,
    4_294_967_296,
    9_007_199_254_740_993,
    86_400_000,
];

/// Durations that lead out of the range of datetimes, or to its very ends.
pub(super) const DURATION_LIMITS: &[&str] =
    &["9223372036854775807ms", "-9223372036854775808ms", "9223372036854775806ms", "106751991167d"];

/// Small integers, for values that should not overflow at once.
pub(super) const SMALL_LONGS: &[i64] = &[-1, 0, 1, 2, 3, 5, 10, 18, 65];

/// Groups of equal IP addresses and ranges.
const IPS: &[&[&str]] = &[
    &["127.0.0.1", "127.0.0.1/32"],
    &["127.0.0.0/8"],
    &["127.0.0.1/8"],
    &["127.0.0.1/7"],
    &["10.0.0.1", "10.0.0.1/32"],
    &["10.0.0.0/8"],
    &["10.1.2.3/8"],
    &["192.168.1.0/24"],
    &["0.0.0.0"],
    &["0.0.0.0/0"],
    &["255.255.255.255"],
    &["224.0.0.1"],
    &["224.0.0.0/4"],
    &["224.0.0.0/3"],
    &["::", "0:0:0:0:0:0:0:0", "::/128"],
    &["::1", "0:0:0:0:0:0:0:1", "::1/128"],
    &["::1/127"],
    &["::/0"],
    &["ff02::1", "FF02::1"],
    &["ff00::/8"],
    &["2001:db8::1", "2001:0DB8:0:0:0:0:0:1", "2001:db8:0::0:1/128"],
    &["2001:db8::/32"],
    &["::ffff:7f00:1"],
];

/// Groups of equal decimals.
const DECIMALS: &[&[&str]] = &[
    &["1.0", "1.00", "1.0000", "01.0"],
    &["0.0", "0.0000", "-0.0", "00.0"],
    &["0.0001"],
    &["-0.0001"],
    &["-1.5", "-1.50"],
    &["10.25", "10.2500"],
    &["99.9", "99.90"],
    &["922337203685477.5807"],
    &["-922337203685477.5808"],
    &["922337203685477.5806"],
];

/// Groups of equal instants.
const DATETIMES: &[&[&str]] = &[
    &[
        "2024-01-01",
        "2024-01-01T00:00:00Z",
        "2024-01-01T00:00:00.000Z",
        "2024-01-01T05:30:00+0530",
        "2023-12-31T23:00:00.000-0100",
    ],
    &["1970-01-01", "1970-01-01T00:00:00.000+0000"],
    &["1969-12-31T23:59:59.999Z", "1970-01-01T00:59:59.999+0100"],
    &["1969-12-31", "1969-12-31T00:00:00-0000"],
    &["0000-01-01"],
    &["0000-01-01T00:00:00+2359"],
    &["9999-12-31"],
    &["9999-12-31T23:59:59.999Z"],
    &["9999-12-31T23:59:59.999-2359"],
    &["2024-02-29", "2024-02-29T00:00:00Z"],
    &["2024-02-29T12:34:56.789Z", "2024-02-29T13:34:56.789+0100"],
    &["2026-06-01T12:00:00Z"],
    &["1900-03-01T00:00:01Z"],
];

/// Groups of equal durations.
const DURATIONS: &[&[&str]] = &[
    &["1h", "60m", "3600s", "3600000ms", "0d1h"],
    &["0ms", "-0ms", "0d", "0h0s"],
    &["1ms"],
    &["-1ms"],
    &["1d", "24h", "23h60m"],
    &["1d2h3m4s5ms"],
    &["-1d2h3m4s5ms"],
    &["90m", "1h30m"],
    &["999ms"],
    &["-59s"],
    &["9223372036854775807ms", "106751991167d7h12m55s807ms"],
    &["-9223372036854775808ms", "-106751991167d7h12m55s808ms"],
    &["9223372036854775806ms"],
];

/// Texts that the constructors refuse, although many a parser would not.
const BAD_IPS: &[&str] = &[
    "",
    "999.0.0.1",
    "1.2.3",
    "127.0.0.1/33",
    "127.0.0.1/032",
    "127.0.0.1/",
    "127.0.0.1 ",
    "010.0.0.1",
    "::1/129",
    "::1/-1",
    "::ffff:127.0.0.1",
    ":::",
    "localhost",
    "fe80::1%eth0",
];
const BAD_DECIMALS: &[&str] = &[
    "",
    "1",
    "1.",
    ".5",
    "+1.0",
    "1.00001",
    "1e3",
    " 1.0",
    "1.0 ",
    "--1.0",
    "１.0",
    "922337203685477.5808",
    "-922337203685477.5809",
    "99999999999999999999.0",
];
const BAD_DATETIMES: &[&str] = &[
    "",
    "2024-02-30",
    "2023-02-29",
    "2024-1-01",
    "24-01-01",
    "2024-01-01T",
    "2024-01-01Z",
    "2024-01-01T24:00:00Z",
    "2016-12-31T23:59:60Z",
    "2024-01-01T00:00:00",
    "2024-01-01T00:00:00z",
    "2024-01-01T00:00:00.1Z",
    "2024-01-01T00:00:00+24:00",
    "2024-01-01T00:00:00+2400",
    "2024-01-01T00:00:00+0060",
    "-001-01-01",
    "10000-01-01",
    "2024-01-01 00:00:00Z",
];
const BAD_DURATIONS: &[&str] = &[
    "",
    "-",
    "1",
    "h",
    "1x",
    "1H",
    "1h1d",
    "1h 1m",
    " 1h",
    "1.5h",
    "+1h",
    "1h-1m",
    "9223372036854775808ms",
    "-9223372036854775809ms",
    "99999999999999999999d",
];

/// Groups of equal constants that the constructor of `kind` accepts.
pub(super) fn equal_constants(kind: ExtKind) -> &'static [&'static [&'static str]] {
    match kind {
        ExtKind::Ip => IPS,
        ExtKind::Decimal => DECIMALS,
        ExtKind::Datetime => DATETIMES,
        ExtKind::Duration => DURATIONS,
    }
}

/// Constants that the constructor of `kind` refuses.
pub(super) fn refused_constants(kind: ExtKind) -> &'static [&'static str] {
    match kind {
        ExtKind::Ip => BAD_IPS,
        ExtKind::Decimal => BAD_DECIMALS,
        ExtKind::Datetime => BAD_DATETIMES,
        ExtKind::Duration => BAD_DURATIONS,
    }
}

#[cfg(test)]
mod tests {
    use super::{equal_constants, refused_constants};
    use crate::value::ExtKind;
    use cedar_policy::{
        Context, Entities, EntityUid, EvalResult, Expression, Request, eval_expression,
    };
    use std::str::FromStr as _;

    fn holds(text: &str) -> Option<bool> {
        let uid = || EntityUid::from_str("T::\"x\"").ok();
        let request = Request::new(uid()?, uid()?, uid()?, Context::empty(), None).ok()?;
        let expression = Expression::from_str(text).ok()?;
        match eval_expression(&request, &Entities::empty(), &expression) {
            Ok(EvalResult::Bool(value)) => Some(value),
            _ => None,
        }
    }

    #[test]
    fn cedar_agrees_on_which_constants_are_equal() {
        for kind in ExtKind::ALL {
            let name = kind.constructor();
            for (at, group) in equal_constants(kind).iter().enumerate() {
                for (other_at, other) in equal_constants(kind).iter().enumerate() {
                    for (one, two) in
                        group.iter().flat_map(|one| other.iter().map(move |two| (one, two)))
                    {
                        let text = format!("{name}(\"{one}\") == {name}(\"{two}\")");
                        assert_eq!(holds(&text), Some(at == other_at), "{text}");
                    }
                }
            }
        }
    }

    #[test]
    fn cedar_refuses_what_is_listed_as_refused() {
        for kind in ExtKind::ALL {
            for constant in refused_constants(kind) {
                let call = format!("{}(\"{constant}\")", kind.constructor());
                assert_eq!(holds(&format!("{call} == {call}")), None, "{call}");
            }
        }
    }
}
