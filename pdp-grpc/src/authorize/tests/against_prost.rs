//! The reader against `prost`'s decoder and a plain walk over its message: the same bytes are accepted, with the same
//! meaning. The bytes are whole requests, damaged ones, and messages put together field by field, in which fields are
//! doubled, overwritten, unknown, of wrong types, cut off or deep.

use super::random::Dice;
use super::*;

// === the walk ===

fn by_prost<'a>(bytes: &[u8], arena: &'a Arena, depth_max: u32) -> Option<Request<'a>> {
    let message = arena.alloc(pb::AuthorizeRequest::decode(bytes).ok()?);
    let walk = Walk { arena, depth_max };
    Some(Request {
        principal: uid(message.principal.as_ref()?)?,
        action: uid(message.action.as_ref()?)?,
        resource: uid(message.resource.as_ref()?)?,
        context: walk.entries(&message.context, 1)?,
        on_behalf_of: match &message.on_behalf_of {
            Some(subject) => Some(uid(subject)?),
            None => None,
        },
        actors: walk.all(&message.actors, uid)?,
        scopes: walk.all(&message.scopes, |scope| Some(scope.as_str()))?,
        entities: walk.all(&message.entities, |entity| {
            Some(InlineEntity {
                uid: uid(entity.uid.as_ref()?)?,
                parents: walk.all(&entity.parents, uid)?,
                attrs: walk.entries(&entity.attributes, 1)?,
                tags: walk.entries(&entity.tags, 1)?,
            })
        })?,
        now: Some(NOW),
    })
}

struct Walk<'a> {
    arena: &'a Arena,
    depth_max: u32,
}

impl<'a> Walk<'a> {
    fn all<T, U>(&self, items: &'a [T], read: impl Fn(&'a T) -> Option<U>) -> Option<&'a [U]> {
        let read: Option<Vec<U>> = items.iter().map(read).collect();
        Some(self.arena.alloc_slice_fill_iter(read?))
    }

    fn entries(&self, entries: &'a [pb::Entry], depth: u32) -> Option<&'a [(&'a str, Value<'a>)]> {
        let keys: std::collections::BTreeSet<_> = entries.iter().map(|entry| &entry.key).collect();
        if keys.len() != entries.len() {
            return None;
        }
        self.all(entries, |entry| {
            Some((entry.key.as_str(), self.value(entry.value.as_ref()?, depth)?))
        })
    }

    fn value(&self, value: &'a pb::Value, depth: u32) -> Option<Value<'a>> {
        if depth > self.depth_max {
            return None;
        }
        Some(match value.kind.as_ref()? {
            Kind::Boolean(boolean) => Value::Bool(*boolean),
            Kind::Long(long) => Value::Long(*long),
            Kind::String(string) => Value::String(string),
            Kind::Entity(entity) => Value::Entity(uid(entity)?),
            Kind::Set(set) => {
                Value::Set(self.all(&set.elements, |element| self.value(element, depth + 1))?)
            }
            Kind::Record(record) => Value::Record(self.entries(&record.entries, depth + 1)?),
            Kind::DecimalTenThousandths(scaled) => Value::Decimal(Decimal(*scaled)),
            Kind::Ip(text) => Value::Ip(text.parse().ok()?),
            Kind::DatetimeMs(ms) => Value::Datetime(Datetime(*ms)),
            Kind::DurationMs(ms) => Value::Duration(Duration(*ms)),
        })
    }
}

fn uid(entity: &pb::EntityUid) -> Option<Uid<'_>> {
    let is_name = entity.r#type.split("::").all(|part| {
        part.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
            && part.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
    });
    is_name.then(|| Uid::new(&entity.r#type, &entity.id))
}

// === the comparison ===

#[derive(Debug, Default)]
struct Seen {
    accepted: u32,
    undecodable: u32,
    refused: u32,
}

impl Seen {
    #[track_caller]
    fn compare(&mut self, bytes: &[u8], depth_max: u32) {
        let (arena, oracle) = (Arena::new(), Arena::new());
        let read = read_request(bytes, NOW, &arena, depth_max);
        let expected = by_prost(bytes, &oracle, depth_max);
        match (read, expected) {
            // `InlineEntity` has no equality; its debug form shows all of it.
            (Ok(read), Some(expected)) => {
                assert_eq!(format!("{read:?}"), format!("{expected:?}"), "{bytes:?}");
                self.accepted += 1;
            }
            (Err(error), None) => {
                assert!(!error.to_string().is_empty());
                match pb::AuthorizeRequest::decode(bytes) {
                    Ok(_) => self.refused += 1,
                    Err(_) => self.undecodable += 1,
                }
            }
            (Ok(read), None) => unreachable!("accepted {read:?}, which prost refuses: {bytes:?}"),
            (Err(error), Some(expected)) => {
                unreachable!("{error}, but prost reads {expected:?}: {bytes:?}")
            }
        }
    }

    fn reaches_every_way_out(&self) {
        assert!(self.accepted > 100 && self.undecodable > 100 && self.refused > 100, "{self:?}");
    }
}

#[test]
fn whole_and_damaged_requests() {
    let (mut dice, mut arena, mut seen) =
        (Dice(0x2545_f491_4f6c_dd1d), Arena::new(), Seen::default());
    for _ in 0..20_000 {
        arena.reset();
        let mut bytes = write(&dice.request(&arena)).unwrap().encode_to_vec();
        if dice.roll(2) == 0 {
            // Two messages in a row are one, merged.
            bytes.extend(write(&dice.request(&arena)).unwrap().encode_to_vec());
        }
        for _ in 0..dice.roll(4) {
            let at = dice.roll(bytes.len() as u64) as usize;
            match dice.roll(3) {
                0 => drop(bytes.remove(at)),
                1 => bytes.insert(at, dice.roll(256) as u8),
                _ => {
                    if let Some(byte) = bytes.get_mut(at) {
                        *byte = dice.roll(256) as u8;
                    }
                }
            }
        }
        seen.compare(&bytes, 1 + dice.roll(32) as u32);
    }
    seen.reaches_every_way_out();
}

#[test]
fn messages_put_together_field_by_field() {
    let (mut dice, mut seen) = (Dice(0x9e37_79b9_7f4a_7c15), Seen::default());
    for _ in 0..60_000 {
        let mut bytes = Vec::new();
        for number in 1..=3 {
            if dice.roll(30) != 0 {
                message(&mut bytes, number, &names(&mut dice));
            }
        }
        for _ in 0..dice.roll(5) {
            let (number, part) = match dice.roll(12) {
                0..6 => (4, entry_message(&mut dice, 4)),
                6 => (8, entity_message(&mut dice)),
                7 => (7, b"scope".to_vec()),
                other => (other - 7, names(&mut dice)),
            };
            message(&mut bytes, number as u32, &part);
        }
        oddity(&mut dice, &mut bytes);
        seen.compare(&bytes, 1 + dice.roll(6) as u32);
    }
    seen.reaches_every_way_out();
}

#[test]
fn messages_as_deep_as_protobuf_allows() {
    let mut seen = Seen::default();
    for depth in 80..110 {
        // A set within sets, in a value that counts, or in one that is overwritten.
        for overwritten in [false, true] {
            let mut value = Vec::new();
            for _ in 0..depth / 2 {
                let mut set = Vec::new();
                message(&mut set, 1, &value);
                value.clear();
                message(&mut value, 5, &set);
            }
            for odd in [&[][..], &[0x98, 6, 1], &[0x9B, 6, 0x9C, 6]] {
                let mut innermost_first = odd.to_vec();
                innermost_first.extend(&value);
                if overwritten {
                    innermost_first.extend([8, 1]);
                }
                let mut entry = Vec::new();
                message(&mut entry, 2, &innermost_first);
                let mut bytes = question().encode_to_vec();
                message(&mut bytes, 4, &entry);
                seen.compare(&bytes, VALUE_DEPTH_MAX);
            }
        }
        // Groups within groups, in a field that nobody knows.
        let mut bytes = question().encode_to_vec();
        bytes.extend([0x7B].repeat(depth));
        bytes.extend([0x7C].repeat(depth));
        seen.compare(&bytes, VALUE_DEPTH_MAX);
    }
    assert!(seen.accepted > 10 && seen.undecodable > 10, "{seen:?}");
}

// === fields ===

fn varint(bytes: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        bytes.push(value as u8 | 0x80);
        value >>= 7;
    }
    bytes.push(value as u8);
}

/// A string or a message.
fn message(bytes: &mut Vec<u8>, number: u32, content: &[u8]) {
    varint(bytes, u64::from(number << 3 | 2));
    varint(bytes, content.len() as u64);
    bytes.extend(content);
}

fn number(bytes: &mut Vec<u8>, field: u32, value: u64) {
    varint(bytes, u64::from(field << 3));
    varint(bytes, value);
}

/// Sometimes something that no writer writes, most of which is allowed.
fn oddity(dice: &mut Dice, bytes: &mut Vec<u8>) {
    match dice.roll(40) {
        0 => number(bytes, 99, dice.roll(u64::MAX)),
        1 => message(bytes, 77, &[0xFF, 0]),
        2 => bytes.extend([0x9B, 6, 8, 1, 0x9C, 6]),
        3 => bytes.extend([0x99, 6, 1, 2, 3, 4, 5, 6, 7, 8, 0x9D, 6, 1, 2, 3, 4]),
        4 if dice.roll(4) == 0 => number(bytes, 1 + dice.roll(10) as u32, 1),
        5 if dice.roll(4) == 0 => message(bytes, 1 + dice.roll(10) as u32, &[0xFF]),
        6 if dice.roll(4) == 0 => bytes.extend([0x9C, 6]),
        7 if dice.roll(4) == 0 => bytes.push(dice.roll(256) as u8),
        8 if dice.roll(4) == 0 => drop(bytes.pop()),
        _ => {}
    }
}

fn names(dice: &mut Dice) -> Vec<u8> {
    let mut bytes = Vec::new();
    for _ in 0..1 + dice.roll(3) {
        let types = [&b"T"[..], b"A::B", b"", b"T", b"T", b"a b", b"T", b"\xFF"];
        let sides = if dice.roll(8) == 0 { 8 } else { 2 };
        let kind = types.get(dice.roll(sides) as usize).unwrap();
        message(&mut bytes, 1, kind);
        if dice.roll(2) == 0 {
            message(&mut bytes, 2, "ü".as_bytes());
        }
    }
    oddity(dice, &mut bytes);
    bytes
}

fn entity_message(dice: &mut Dice) -> Vec<u8> {
    let mut bytes = Vec::new();
    for _ in 0..1 + dice.roll(4) {
        let (number, part) = match dice.roll(4) {
            0 | 1 => (1 + dice.roll(2) as u32, names(dice)),
            _ => (3 + dice.roll(2) as u32, entry_message(dice, 3)),
        };
        message(&mut bytes, number, &part);
    }
    bytes
}

fn entry_message(dice: &mut Dice, depth: u32) -> Vec<u8> {
    let mut bytes = Vec::new();
    for _ in 0..1 + dice.roll(2) {
        if dice.roll(4) != 0 {
            let keys = ["a", "b", "c", "d", "e", "f", "g", "h"];
            message(&mut bytes, 1, keys.get(dice.roll(8) as usize).unwrap().as_bytes());
        }
        if dice.roll(16) != 0 {
            message(&mut bytes, 2, &value_message(dice, depth));
        }
    }
    oddity(dice, &mut bytes);
    bytes
}

fn value_message(dice: &mut Dice, depth: u32) -> Vec<u8> {
    let mut bytes = Vec::new();
    let several = if dice.roll(4) == 0 { dice.roll(4) } else { 1 };
    for _ in 0..several {
        match dice.roll(if depth == 0 { 7 } else { 12 }) {
            0 => number(&mut bytes, 1, dice.roll(3)),
            1 => number(&mut bytes, 2, dice.roll(u64::MAX)),
            2 => message(&mut bytes, 3, b"text"),
            3 => message(&mut bytes, 4, &names(dice)),
            4 => number(&mut bytes, 7 + 2 * dice.roll(2) as u32, dice.roll(300)),
            5 => message(&mut bytes, 8, if dice.roll(8) == 0 { b"no" } else { b"1.2.3.4" }),
            6 => number(&mut bytes, 10, 0),
            7 | 8 => {
                let mut record = Vec::new();
                for _ in 0..dice.roll(3) {
                    message(&mut record, 1, &entry_message(dice, depth - 1));
                }
                oddity(dice, &mut record);
                message(&mut bytes, 6, &record);
            }
            _ => {
                let mut set = Vec::new();
                for _ in 0..dice.roll(3) {
                    message(&mut set, 1, &value_message(dice, depth - 1));
                }
                oddity(dice, &mut set);
                message(&mut bytes, 5, &set);
            }
        }
    }
    oddity(dice, &mut bytes);
    bytes
}
