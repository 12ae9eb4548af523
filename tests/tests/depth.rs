//! Depth: values that nest as deep as anything lets them are loaded, taken in, compared and validated on a small stack.
//!
//! How deep a thread's stack is must show in no answer and must end no process. A file of its own, because where that
//! does not hold there is nothing to catch: the whole test binary ends.

use pdp_core::json::{Arena, read_request};
use pdp_core::{DecideOptions, Reason, Request, RequestLimits, Uid, Value};
use pdp_tests::desk::{Desk, MANIFEST, on_stack, request};

const ANY: &str = "permit(principal, action, resource);";
const SMALL_STACK: usize = 256 << 10;
const LARGE_STACK: usize = 64 << 20;
/// About as deep as sets and records of a text may nest.
const LITERAL_DEPTH: usize = 60;
/// As deep as values of a request may nest.
const VALUE_DEPTH: u32 = 128;

fn asking(context: &str) -> String {
    request(r#"User::"u""#, r#"Action::"a""#, r#"Doc::"d""#, context)
}

/// Load and decide on a small stack and on a large one; both must say `forbidden`.
#[track_caller]
fn forbidden_on_every_stack(condition: &str, context: &str) {
    let policies = format!("{ANY} forbid(principal, action, resource) when {{ {condition} }};");
    for stack in [SMALL_STACK, LARGE_STACK] {
        let answer = on_stack(stack, || Desk::loose(&policies, "[]").ask(&asking(context)));
        assert_eq!(answer.reason, Reason::Forbidden, "{stack} bytes: {}", answer.message);
    }
}

fn nested(open: &str, core: &str, close: &str, depth: usize) -> String {
    format!("{}{core}{}", open.repeat(depth), close.repeat(depth))
}

#[test]
fn constants_are_compared_by_loading() {
    for (open, close) in [("[", "]"), ("{a: ", "}")] {
        let (one, two) =
            (nested(open, "1", close, LITERAL_DEPTH), nested(open, "2", close, LITERAL_DEPTH));
        // A set of both has an order that loading verifies.
        forbidden_on_every_stack(&format!("[{one}, {two}].contains({two})"), "{}");
        forbidden_on_every_stack(&format!("{one} != {two}"), "{}");
    }
}

#[test]
fn values_that_policies_build_are_compared_by_deciding() {
    for (open, close) in [("[", "]"), ("{a: ", "}")] {
        let constant = nested(open, "1", close, LITERAL_DEPTH);
        let built = nested(open, "context.n", close, LITERAL_DEPTH);
        let other = nested(open, "context.m", close, LITERAL_DEPTH);
        let context = r#"{"n": 1, "m": 1}"#;
        forbidden_on_every_stack(&format!("{built} == {constant}"), context);
        forbidden_on_every_stack(&format!("{built} == {other}"), context);
        forbidden_on_every_stack(&format!("[{built}, 1].containsAll([{other}])"), context);
    }
}

#[test]
fn what_policies_build_around_deep_values_is_compared_by_deciding() {
    for (open, close) in [("[", "]"), ("{a: ", "}")] {
        let built = |core: &str| nested(open, core, close, LITERAL_DEPTH);
        let deep = nested("[", "1", "]", 98);
        let context = format!("{{\"a\": {deep}, \"b\": {deep}}}");
        forbidden_on_every_stack("context.a == context.b", &context);
        let both = format!("{} == {}", built("context.a"), built("context.b"));
        forbidden_on_every_stack(&both, &context);
    }
}

/// Builds a value on the heap that nests `depth` sets or records, and hands it to `visit`.
fn deep_value(depth: u32, record: bool, value: Value<'_>, visit: &mut dyn FnMut(Value<'_>)) {
    let arena = Arena::new();
    let mut value = value;
    for _ in 0..depth {
        value = match record {
            true => Value::Record(arena.alloc_slice_copy(&[("a", value)])),
            false => Value::Set(arena.alloc_slice_copy(&[value])),
        };
    }
    visit(value);
}

/// A request whose context holds two equal values so deep, to a bundle that allows what any may, on a small stack.
fn deepest(depth: u32, record: bool, schema: Option<&str>) -> Reason {
    let manifest = format!("{MANIFEST}[limits]\nvalue_depth_max = {VALUE_DEPTH}\n");
    let policies =
        "@id(\"p\") permit(principal, action, resource) when { context.x == context.y };";
    let mut files = vec![("bundle.toml", manifest.as_str()), ("p.cedar", policies)];
    files.extend(schema.map(|schema| ("schema.cedarschema", schema)));
    let bytes = pdp_tests::desk::compile(&files);
    on_stack(SMALL_STACK, move || {
        let desk = match bytes {
            Ok(bytes) => Desk::bytes(&bytes),
            Err(report) => unreachable!("{report}"),
        };
        let mut reason = Reason::NoBundle;
        deep_value(depth, record, Value::Long(1), &mut |x| {
            deep_value(depth, record, Value::Long(1), &mut |y| {
                let context = [("x", x), ("y", y)];
                let (user, action, doc) =
                    (Uid::new("User", "u"), Uid::new("Action", "a"), Uid::new("Doc", "d"));
                let request = Request::new(user, action, doc, &context);
                reason = desk.decide(&request, &DecideOptions::STANDARD).reason;
            });
        });
        reason
    })
}

#[test]
fn values_as_deep_as_a_manifest_may_allow_are_taken_in() {
    for record in [false, true] {
        assert_eq!(deepest(VALUE_DEPTH, record, None), Reason::Permitted);
        assert_eq!(deepest(VALUE_DEPTH + 1, record, None), Reason::Limit);
        assert_eq!(deepest(100_000, record, None), Reason::Limit);
    }
}

#[test]
fn values_as_deep_as_a_schema_may_declare_are_validated() {
    for (record, open, close, depth) in [(false, "Set<", ">", 120), (true, "{a: ", "}", 50)] {
        let ty = nested(open, "Long", close, depth);
        let schema = format!(
            "entity User, Doc; action a appliesTo {{ principal: User, resource: Doc, context: {{x: {ty}, y: {ty}}} }};"
        );
        let depth = u32::try_from(depth).unwrap_or(0);
        assert_eq!(deepest(depth, record, Some(&schema)), Reason::Permitted);
        assert_eq!(deepest(depth - 1, record, Some(&schema)), Reason::InvalidRequest);
    }
}

#[test]
fn json_is_read_as_deep_as_its_own_limit() {
    let read = |depth: usize, json_depth_max: u32| {
        let context = format!("{{\"a\": {}}}", nested("[", "1", "]", depth));
        let limits = RequestLimits { request_bytes_max: 1 << 20, json_depth_max };
        on_stack(SMALL_STACK, || {
            read_request(&asking(&context), None, &Arena::new(), &limits).is_ok()
        })
    };
    assert!(read(90, 100));
    assert!(!read(100, 100));
    // The reader underneath has a limit of its own; a host that asks for more gets that.
    assert!(!read(1_000, u32::MAX));
}
