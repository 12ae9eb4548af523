//! Whatever bytes and numbers a host passes on: an answer that is defined, no allow, and an instance that goes on.
//!
//! The desk of the modules is compiled for the host, too; both builds have to say the same of what cannot be read.

use pdp_core::{Effect, Reason, Uid};
use pdp_embed::decision::{self, EntityUid, Value};
use pdp_embed::{Artefact, ExportsGuest, Guest, Said, TypedGuest};
use pdp_wasm::desk::{Desk, Unreadable};
use pdp_wasm::shape;

use crate::bundles::{example, reading, small};
use crate::compiled::{PATIENT, exports, typed};
use crate::typed::told;

/// Numbers that look random and are the same in each run (splitmix64).
struct Draw(u64);

impl Draw {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn below(&mut self, end: usize) -> usize {
        usize::try_from(self.next() % end as u64).unwrap()
    }

    fn bytes(&mut self, len: usize) -> Vec<u8> {
        (0..len).map(|_| self.next().to_le_bytes()[0]).collect()
    }
}

/// A desk of the host, a guest by each door, all with one bundle.
struct Doors {
    desk: Desk,
    exports: ExportsGuest,
    typed: TypedGuest,
}

impl Doors {
    fn open(bundle: &[u8]) -> Self {
        let mut doors = Self {
            desk: Desk::new(),
            exports: exports(PATIENT).instantiate().unwrap(),
            typed: typed(PATIENT).instantiate().unwrap(),
        };
        doors.desk.load(bundle).unwrap();
        doors.exports.load(bundle).unwrap().unwrap();
        doors.typed.load(bundle).unwrap().unwrap();
        doors
    }

    /// Asks by every door; whether it could be read and was allowed.
    #[track_caller]
    fn ask(&mut self, request: &[u8]) -> Result<bool, Unreadable> {
        let shown = || String::from_utf8_lossy(request).into_owned();
        let native = self.desk.answer(request);
        let (code, said) = match &native {
            Ok(answer) if answer.effect == Effect::Allow => (Said::Allow, decision::Effect::Allow),
            Ok(_) => (Said::Deny, decision::Effect::Deny),
            Err(_) => (Said::Unreadable, decision::Effect::Deny),
        };
        let allowed = native.as_ref().map(|answer| answer.effect == Effect::Allow);
        let allowed = allowed.map_err(Clone::clone);
        let answer = native.unwrap_or_else(|why| self.desk.refused(why));
        assert_eq!(self.exports.authorize(request).unwrap(), code, "{}", shown());
        let (again, text) = self.exports.answer(request).unwrap();
        assert_eq!((again, text.as_bytes()), (code, &shape::answer(&answer)[..]), "{}", shown());
        assert_eq!(self.typed.authorize_bytes(request).unwrap(), said, "{}", shown());
        let typed = self.typed.answer_bytes(request).unwrap();
        assert_eq!(told(&typed), crate::typed::expected(&answer), "{}", shown());
        allowed
    }
}

#[test]
fn requests_that_are_cut_off_flipped_or_drawn() {
    let example = example("agent-tools");
    let mut doors = Doors::open(&example.bytes);
    let allowed = example
        .requests()
        .filter(|request| doors.desk.authorize(request.as_bytes()) == Ok(true))
        .max_by_key(|request| request.len())
        .unwrap()
        .as_bytes();
    assert_eq!(doors.ask(allowed), Ok(true));
    for len in 0..allowed.len() {
        assert!(doors.ask(&allowed[..len]).is_err(), "cut off at {len}");
    }
    let mut unreadable = 0;
    for bit in 0..allowed.len() * 8 {
        let mut flipped = allowed.to_vec();
        flipped[bit / 8] ^= 1 << (bit % 8);
        unreadable += usize::from(doors.ask(&flipped).is_err());
    }
    assert!(unreadable > allowed.len(), "{unreadable} flipped bits cannot be read");
    let mut draw = Draw(5);
    for _ in 0..1_000 {
        let len = draw.below(200);
        let drawn = draw.bytes(len);
        assert!(doors.ask(&drawn).is_err() || len == 0);
        // What looks like a request for a while.
        let mut spliced = allowed[..draw.below(allowed.len())].to_vec();
        spliced.extend(&allowed[draw.below(allowed.len())..]);
        let _ = doors.ask(&spliced);
    }
    let deep = [&b"{\"context\":"[..], &b"[".repeat(100_000)].concat();
    assert!(doors.ask(&deep).is_err());
    let wide = [allowed, &b" ".repeat(2 << 20)].concat();
    assert!(doors.ask(&wide).unwrap_err().0.contains("at most 1048576"));
    assert_eq!(doors.ask(allowed), Ok(true), "the instances go on");
}

#[test]
fn bundles_that_are_cut_off_flipped_or_drawn() {
    let good = example("documents").bytes;
    let mut doors = Doors::open(&good);
    let before = (doors.exports.info().unwrap(), doors.typed.info().unwrap().unwrap().digest);
    let mut draw = Draw(7);
    let mut bad: Vec<Vec<u8>> = vec![vec![0], b"PDPB".to_vec(), [&good[..], b"x"].concat()];
    for _ in 0..60 {
        bad.push(good[..draw.below(good.len())].to_vec());
        let mut flipped = good.clone();
        flipped[draw.below(good.len())] ^= 1 << draw.below(8);
        bad.push(flipped);
        let len = draw.below(4_096);
        bad.push(draw.bytes(len));
        let mut drawn = good[..64].to_vec();
        drawn.extend(draw.bytes(good.len() - 64));
        bad.push(drawn);
    }
    for bundle in bad.iter().filter(|bundle| !bundle.is_empty()) {
        let expected = doors.desk.load(bundle).unwrap_err();
        assert_eq!(doors.exports.load(bundle).unwrap(), Err(expected.clone()));
        assert_eq!(doors.typed.load(bundle).unwrap(), Err(expected));
    }
    assert!(doors.exports.load(b"").unwrap().is_err() && doors.typed.load(b"").unwrap().is_err());
    let after = (doors.exports.info().unwrap(), doors.typed.info().unwrap().unwrap().digest);
    assert_eq!(before, after, "the last good one is in force");
    for request in example("documents").requests() {
        doors.ask(request.as_bytes()).unwrap();
    }
}

#[test]
fn wild_addresses_and_lengths() {
    let mut guest = exports(PATIENT).instantiate().unwrap();
    guest.load(&small("alice", 0)).unwrap().unwrap();
    let mut draw = Draw(9);
    let edges = [0, 1, 2, 8, 1 << 16, 1 << 20, 1 << 31, u32::MAX - 1, u32::MAX];
    let pairs = edges.iter().flat_map(|at| edges.iter().map(|len| (*at, *len)));
    let drawn = (0..2_000).map(|_| {
        let (at, len) = (draw.next() as u32 % (4 << 20), draw.next() as u32);
        // Near what there is, and short.
        (at, len >> (draw.next() % 32))
    });
    let drawn: Vec<(u32, u32)> = drawn.collect();
    let mut outside = 0;
    for (at, len) in pairs.chain(drawn) {
        let code = guest.authorize_at(at, len).unwrap();
        assert!(matches!(code, -1 | -2), "{at} {len}: {code}");
        outside += u32::from(code == -2);
        for code in guest.all_at(at, len).unwrap() {
            assert!(matches!(code, -1 | -2), "{at} {len}: {code}");
        }
    }
    assert!(outside > 1_000, "{outside}");
    assert_eq!(guest.authorize(reading("alice").as_bytes()).unwrap(), Said::Allow);
    assert_eq!(guest.authorize(reading("bob").as_bytes()).unwrap(), Said::Deny);
    let memory = guest.memory_bytes();
    assert!(memory < 8 << 20, "{memory} bytes of memory");
}

#[test]
fn typed_requests_that_are_wrong() {
    let mut guest = typed(PATIENT).instantiate().unwrap();
    guest.load(&small("alice", 0)).unwrap().unwrap();
    let (alice, read) = (Uid::new("User", "alice"), Uid::new("Action", "read"));
    let doc = Uid::new("Doc", "a");
    let asked = pdp_core::Request::new(alice, read, doc, &[]);
    let plain = decision::Request::from(&asked);
    let with = |parts: Vec<Value>, value: Value| decision::Request {
        context: vec![("k".to_owned(), value)],
        parts,
        ..plain.clone()
    };
    let doubled: Vec<Value> = std::iter::once(Value::Long(1))
        .chain((0..60).map(|at| Value::SetOf(vec![at, at])))
        .collect();
    let wrong = [
        (with(vec![], Value::Decimal("1.23456".to_owned())), "`context.k`: `1.23456`"),
        (with(vec![], Value::Ip("10.0.0.0/99".to_owned())), "`context.k`: `10.0.0.0/99`"),
        (with(vec![], Value::SetOf(vec![0])), "names part 0, but only 0 stand before it"),
        (with(vec![Value::SetOf(vec![0])], Value::Long(1)), "names part 0, but only 0"),
        (with(doubled, Value::Long(1)), "holds more than 65536 values"),
        (decision::Request { principal: Uid::new("Us er", "a").into(), ..plain.clone() }, ""),
        (
            decision::Request {
                context: vec![("k".to_owned(), Value::Long(1)), ("k".to_owned(), Value::Long(2))],
                ..plain.clone()
            },
            "",
        ),
    ];
    for (request, expected) in &wrong {
        let answer = guest.authorize(request).unwrap();
        assert_eq!(answer.effect, decision::Effect::Deny, "{request:?}");
        if !expected.is_empty() {
            assert_eq!(answer.reason, Reason::InvalidRequest.as_str());
            assert!(answer.message.contains(expected), "{}", answer.message);
            let why = guest.filter(request, &[doc.into()]).unwrap().unwrap_err();
            assert_eq!(why, answer.message);
        }
    }
    let many = vec![EntityUid::from(doc); 100_001];
    let why = guest.filter(&plain, &many).unwrap().unwrap_err();
    assert!(why.contains("at most 100000 are taken"), "{why}");
    assert_eq!(guest.authorize(&plain).unwrap().effect, decision::Effect::Allow);
}
