//! Damaged calls, messages and lists: what reads them says the same on the host and in a module, and never gives up.
//!
//! `PDP_DAMAGE_CASES` and `PDP_DAMAGE_SEED` make it more and other cases, as `cargo xtask damage` does.
#![expect(clippy::unwrap_used, clippy::panic, reason = "test code fails loudly")]

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use pdp_core::{Bundle, CompileOptions, Decider, LoadLimits, Source};
use pdp_embed::{Artefact, Exports, ExportsGuest, Guest, Limits, Runtime, read_artefact};
use pdp_tests::damage::mutate;
use pdp_tests::rng::Rng;
use pdp_wasm::probe::Script;

/// Cases unless somebody wants more.
const CASES: u64 = 20_000;
const SEED: u64 = 5;

const REVISIONS: [&str; 5] = ["2025-03-26", "2025-06-18", "2025-11-25", "2026-07-28", "2027-01-01"];
const TARGETS: [&str; 6] =
    ["/mcp/files", "/mcp/crm", "/mcp/%66iles", "/mcp//files", "/mcp/../mcp/files", "/other"];
const HEADERS: [(&str, &str); 9] = [
    ("content-type", "application/json"),
    ("content-type", "application/json; charset=utf-8"),
    ("content-type", "text/plain"),
    ("content-encoding", "gzip"),
    ("mcp-method", "tools/call"),
    ("mcp-method", "tools/list"),
    ("mcp-name", "read"),
    ("mcp-name", "=?base64?cmVhZA==?="),
    ("mcp-param-path", "/etc"),
];
const BODIES: [&str; 8] = [
    r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"read","arguments":{"path":"/etc","n":[1,2.5,{"name":"c"}]}}}"#,
    r#"{"params":{"_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28"},"arguments":{},"name":"read"},"method":"tools/call","id":"q","jsonrpc":"2.0"}"#,
    r#"{"jsonrpc":"2.0","id":7,"method":"tools/list","params":{"cursor":"x"}}"#,
    r#"{"jsonrpc":"2.0","id":7,"method":"resources/list"}"#,
    r#"{"jsonrpc":"2.0","id":7,"method":"resources/read","params":{"uri":"file:///a"}}"#,
    r#"{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":1}}"#,
    r#"[{"jsonrpc":"2.0","id":1,"method":"ping"}]"#,
    r#"{"jsonrpc":"2.0","id":1,"result":{}}"#,
];
const ANSWERS: [&str; 5] = [
    r#"{"jsonrpc":"2.0","id":7,"result":{"tools":[{"name":"a"},{"name":"bb"},{"x":{},"name":"c"}],"nextCursor":"y","ttlMs":99999}}"#,
    "data: {\"jsonrpc\":\"2.0\",\"id\":7,\"result\":{\"tools\":[{\"name\":\"bb\"}]}}\n\n",
    "event: message\r\nid: 1\r\ndata: {\"jsonrpc\":\"2.0\",\r\ndata: \"id\":7,\"result\":{\"resources\":[{\"uri\":\"bb\"}]}}\r\n\r\n: ping\n\n",
    r#"{"jsonrpc":"2.0","id":7,"result":{"resources":[{"uri":"bb"}],"cacheScope":"public"}}"#,
    r#"{"jsonrpc":"2.0","id":7,"error":{"code":-1,"message":"no"}}"#,
];

fn number(variable: &str, otherwise: u64) -> u64 {
    match std::env::var(variable) {
        Ok(text) => text.parse().unwrap_or_else(|_| panic!("{variable} is `{text}`, no number")),
        Err(_) => otherwise,
    }
}

/// A bundle with tools in it.
fn bundle() -> Vec<u8> {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../policies/agent-tools");
    let source = Source::folder(folder.as_ref()).unwrap();
    pdp_core::compile(&source, &CompileOptions::STANDARD).unwrap()
}

/// A call that is sound in most of its parts.
fn script(rng: &mut Rng) -> Script {
    let damaged = |rng: &mut Rng, texts: &[&str]| {
        let mut text = rng.pick(texts).as_bytes().to_vec();
        // Half of the parts stay as they are, so that what is damaged is reached.
        if rng.percent(50) {
            for _ in 0..rng.between(1, 3) {
                if text.len() > 1 {
                    text = mutate(&text, rng);
                }
            }
        }
        text
    };
    let mut headers = vec![(b"content-type".to_vec(), b"application/json".to_vec())];
    if rng.percent(70) {
        let revision = rng.pick(&REVISIONS).as_bytes().to_vec();
        headers.push((b"mcp-protocol-version".to_vec(), revision));
    }
    for _ in 0..rng.below(3) {
        let (name, value) = *rng.pick(&HEADERS);
        headers.push((name.as_bytes().to_vec(), damaged(rng, &[value])));
    }
    Script {
        method: damaged(rng, &["POST", "POST", "POST", "GET", "DELETE"]),
        host: damaged(rng, &["tools.example", "tools.example:443", "[::1]:80"]),
        target: damaged(rng, &TARGETS),
        peer: damaged(rng, &["spiffe://agents.meridian.example/triage", ""]),
        body: damaged(rng, &BODIES),
        answer: damaged(rng, &ANSWERS),
        headers,
    }
}

fn guest(runtime: &Arc<Runtime>, bundle: &[u8]) -> ExportsGuest {
    let module = read_artefact("pdp-probe.wasm").unwrap_or_else(|error| panic!("{error} --all"));
    let mut guest = Exports::compile(runtime, &module).unwrap().instantiate().unwrap();
    guest.load(bundle).unwrap().unwrap();
    guest
}

#[test]
fn a_module_reads_what_is_damaged_as_the_host_does() {
    let (cases, seed) = (number("PDP_DAMAGE_CASES", CASES), number("PDP_DAMAGE_SEED", SEED));
    let bytes = bundle();
    let decider = Decider::new(Arc::new(Bundle::load(&bytes, &LoadLimits::STANDARD).unwrap()));
    let runtime = Arc::new(Runtime::new(Limits::STANDARD).unwrap());
    let mut guest = guest(&runtime, &bytes);
    let mut reached: BTreeMap<String, u64> = BTreeMap::new();
    for case in 0..cases {
        let script = script(&mut Rng::new(&[seed, case]));
        let shown = || format!("case {case} of seed {seed}: {script:?}");
        let here = catch_unwind(AssertUnwindSafe(|| script.said(&decider)));
        let here = here.unwrap_or_else(|_| panic!("the host gives up: {}", shown()));
        let there = guest.text_of("pdp_probe", &script.bytes());
        let there =
            there.unwrap_or_else(|error| panic!("the module gives up: {error}: {}", shown()));
        assert_eq!(here, there, "{}", shown());
        for line in here.lines() {
            let word = line.split([' ', '{', '(']).next().unwrap_or_default();
            let told = line.strip_prefix("refused ").unwrap_or(word);
            *reached.entry(told.to_owned()).or_default() += 1;
        }
        if case > 0 && case.is_multiple_of(100_000) {
            eprintln!("{case} of {cases}");
        }
    }
    // Damage must reach the parts that decide, or this shows little.
    for wanted in ["list", "answer", "Mcp(Json)", "Mcp(Envelope)", "Mcp(Headers)", "NoPrincipal"] {
        assert!(
            reached.get(wanted).is_some_and(|count| *count >= cases / 1_000),
            "{wanted}: {reached:?}"
        );
    }
}
