//! Machines that share memory: one fetches, all take, and another one takes over.
#![expect(clippy::unwrap_used, reason = "test code fails loudly")]

use std::cell::RefCell;
use std::collections::BTreeMap;

use super::*;

/// Memory as a proxy shares it: the number of a state goes up with each write.
#[derive(Default)]
struct Memory(RefCell<BTreeMap<String, (Vec<u8>, u32)>>);

impl Board for Memory {
    fn read(&self, key: &str) -> (Option<Vec<u8>>, Option<u32>) {
        match self.0.borrow().get(key) {
            Some((value, state)) => (Some(value.clone()), Some(*state)),
            None => (None, None),
        }
    }

    fn write(&self, key: &str, value: &[u8], state: Option<u32>) -> bool {
        let mut all = self.0.borrow_mut();
        let now = all.get(key).map_or(0, |(_, state)| *state);
        if state.is_some_and(|state| state != now) {
            return false;
        }
        all.insert(key.to_owned(), (value.to_owned(), now + 1));
        true
    }
}

fn fetch(path: &str) -> FetchSettings {
    FetchSettings {
        cluster: "bundles".to_owned(),
        authority: "bundles.example".to_owned(),
        path: path.to_owned(),
        every_ms: 1_000,
        timeout_ms: 500,
    }
}

fn machines<const N: usize>() -> [Poller; N] {
    std::array::from_fn(|at| Poller::new(&fetch("/b"), at as u64 + 1))
}

#[test]
fn one_fetches_and_all_take() {
    let memory = Memory::default();
    let mut machines = machines::<4>();
    let mut fetches = 0;
    for now in (0..10_000).step_by(250) {
        for at in 0..machines.len() {
            let machine = machines.get_mut(at).unwrap();
            if machine.is_due(&memory, now) {
                fetches += 1;
                machine.ended();
                assert!(machine.publish(&memory, now, "\"e\"", &[at as u8, fetches]));
                assert_eq!(machine.news(&memory), None, "its own is no news");
            }
        }
        for machine in machines.iter_mut().skip(1) {
            if now % 1_000 == 0 {
                assert_eq!(machine.news(&memory).unwrap().bundle, [0, fetches]);
                assert_eq!(machine.etag(), Some("\"e\""));
            }
            assert_eq!(machine.news(&memory), None);
        }
    }
    assert_eq!(fetches, 10);
}

#[test]
fn another_takes_over_when_the_first_is_gone_and_begins_with_what_there_is() {
    let memory = Memory::default();
    let [mut first, mut second] = machines();
    assert!(first.is_due(&memory, 0) && !second.is_due(&memory, 0));
    assert!(first.publish(&memory, 100, "", b"one"));
    assert_eq!(first.etag(), None);
    // It is heard of no more, in the middle of the next fetch.
    assert!(!first.is_due(&memory, 1_000), "one is under way");
    first.ended();
    assert!(first.is_due(&memory, 1_000));
    assert!(!second.is_due(&memory, 1_000 + 2_499));
    assert!(second.is_due(&memory, 1_000 + 2_500));
    assert_eq!(second.news(&memory).unwrap().bundle, b"one");
    assert!(second.publish(&memory, 3_600, "x", b"two"));
    // What the first got in the end is old.
    assert!(!first.publish(&memory, 3_700, "old", b"old"));
    let mut third = Poller::new(&fetch("/b"), 3);
    let parcel = third.news(&memory).unwrap();
    assert_eq!((parcel.bundle.as_slice(), third.etag()), (&b"two"[..], Some("x")));
    assert_eq!(first.news(&memory).unwrap().bundle, b"two");
}

#[test]
fn filters_with_other_servers_share_nothing_and_a_strange_clock_no_lease() {
    let memory = Memory::default();
    let mut one = Poller::new(&fetch("/b"), 1);
    let mut other = Poller::new(&fetch("/c"), 2);
    assert!(one.is_due(&memory, 0) && other.is_due(&memory, 0));
    assert!(one.publish(&memory, 0, "", b"one"));
    assert_eq!(other.news(&memory), None);
    // A lease until a time that is far off.
    let mut later = Poller::new(&fetch("/b"), 3);
    let forever = [9_u64.to_le_bytes(), u64::MAX.to_le_bytes()].concat();
    memory.write(&one.lease_key, &forever, None);
    assert!(later.is_due(&memory, 5));
}

#[test]
fn what_stands_in_memory_and_is_none_is_passed_over() {
    let memory = Memory::default();
    let [mut machine, mut other] = machines();
    for bytes in [&b""[..], b"x", &[0; 15], &[0xff; 16], &[0xff; 40]] {
        memory.write(&machine.lease_key, bytes, None);
        memory.write(&machine.number_key, bytes, None);
        memory.write(&machine.parcel_key, bytes, None);
        assert_eq!(machine.news(&memory), None, "{bytes:?}");
        assert_eq!(other.news(&memory), None, "{bytes:?}");
    }
    memory.write(&machine.lease_key, b"x", None);
    assert!(machine.is_due(&memory, 0) && !other.is_due(&memory, 0));
}

#[test]
fn answers_are_what_their_status_says() {
    let read = |status: &[u8], etag: &[u8]| {
        Reply::read(Some(status), Some(etag.to_owned()), b"body".to_vec())
    };
    let bundle = |etag: &str| Reply::Bundle(etag.to_owned(), b"body".to_vec());
    assert_eq!(read(b"200", b"W/\"a\""), bundle("W/\"a\""));
    for etag in [&b"a b"[..], b"a\r\n", b"\xff", &[b'x'; 257]] {
        assert_eq!(read(b"200", etag), bundle(""), "{etag:?}");
    }
    assert_eq!(read(b"304", b""), Reply::Unchanged);
    for status in [&b"201"[..], b"302", b"404", b"503", b"", b"2000"] {
        assert_eq!(read(status, b""), Reply::Nothing);
    }
    assert_eq!(Reply::read(None, None, Vec::new()), Reply::Nothing);
}
