//! Random requests survive the wire.

use super::*;

/// A small generator with a fixed seed: a failure is the same on every machine.
pub(super) struct Dice(pub(super) u64);

impl Dice {
    pub(super) fn roll(&mut self, sides: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % sides
    }

    fn text<'a>(&mut self, arena: &'a Arena) -> &'a str {
        let letters = ["", "a", "b", "::", "\"", "\u{0}", "ü", "\u{10ffff}", " ", "now"];
        let text: String = (0..self.roll(6))
            .filter_map(|_| letters.get(self.roll(10) as usize).copied())
            .collect();
        arena.alloc_str(&text)
    }

    fn uid<'a>(&mut self, arena: &'a Arena) -> Uid<'a> {
        let types = ["T", "A::B", "_x9::Y_", "Very::Long::Name::Of::A::Type"];
        Uid::new(types.get(self.roll(4) as usize).unwrap(), self.text(arena))
    }

    fn uids<'a>(&mut self, arena: &'a Arena) -> &'a [Uid<'a>] {
        let uids: Vec<_> = (0..self.roll(4)).map(|_| self.uid(arena)).collect();
        arena.alloc_slice_copy(&uids)
    }

    fn pairs<'a>(&mut self, arena: &'a Arena, depth: u32) -> &'a [(&'a str, Value<'a>)] {
        let mut pairs: Vec<(&str, Value<'_>)> = Vec::new();
        for _ in 0..self.roll(4) {
            let key = self.text(arena);
            if pairs.iter().all(|(other, _)| *other != key) {
                pairs.push((key, self.value(arena, depth)));
            }
        }
        arena.alloc_slice_copy(&pairs)
    }

    fn value<'a>(&mut self, arena: &'a Arena, depth: u32) -> Value<'a> {
        let long = (self.roll(u64::MAX) as i64) >> self.roll(64);
        // Below the deepest level only leaves are left.
        match self.roll(if depth == VALUE_DEPTH_MAX { 8 } else { 16 }) {
            0 => Value::Bool(long % 2 == 0),
            1 => Value::Long(long),
            2 => Value::String(self.text(arena)),
            3 => Value::Entity(self.uid(arena)),
            4 => Value::Decimal(Decimal(long)),
            5 => Value::Datetime(Datetime(long)),
            6 => Value::Duration(Duration(long)),
            7 => Value::Ip(self.ip()),
            8..12 => Value::Record(self.pairs(arena, depth + 1)),
            _ => {
                let elements: Vec<_> =
                    (0..self.roll(4)).map(|_| self.value(arena, depth + 1)).collect();
                Value::Set(arena.alloc_slice_copy(&elements))
            }
        }
    }

    fn ip(&mut self) -> IpNet {
        let (high, low) = (self.roll(u64::MAX) >> self.roll(64), self.roll(u64::MAX));
        if self.roll(2) == 0 {
            let addr = std::net::Ipv4Addr::from_bits(low as u32);
            IpNet::new(addr.into(), self.roll(33) as u8).unwrap()
        } else {
            let addr = std::net::Ipv6Addr::from_bits((u128::from(high) << 64) | u128::from(low));
            let mapped = std::net::Ipv4Addr::from_bits(low as u32).to_ipv6_mapped();
            let addr = if self.roll(4) == 0 { mapped } else { addr };
            IpNet::new(addr.into(), self.roll(129) as u8).unwrap()
        }
    }

    pub(super) fn request<'a>(&mut self, arena: &'a Arena) -> Request<'a> {
        let entities: Vec<_> = (0..self.roll(3))
            .map(|_| InlineEntity {
                uid: self.uid(arena),
                parents: self.uids(arena),
                attrs: self.pairs(arena, 1),
                tags: self.pairs(arena, 1),
            })
            .collect();
        let scopes: Vec<_> = (0..self.roll(3)).map(|_| self.text(arena)).collect();
        Request {
            on_behalf_of: (self.roll(2) == 0).then(|| self.uid(arena)),
            actors: self.uids(arena),
            scopes: arena.alloc_slice_copy(&scopes),
            entities: arena.alloc_slice_copy(&entities),
            ..Request::new(self.uid(arena), self.uid(arena), self.uid(arena), self.pairs(arena, 1))
        }
    }
}

#[test]
fn any_request_comes_back_from_the_wire_as_it_was() {
    let mut dice = Dice(0x9e37_79b9_7f4a_7c15);
    let mut arena = Arena::new();
    let mut kinds_seen = [false; 10];
    for _ in 0..2_000 {
        arena.reset();
        let request = dice.request(&arena);
        let bytes = write(&request).unwrap().encode_to_vec();
        let back = read_request(&bytes, NOW, &arena, VALUE_DEPTH_MAX).unwrap();
        // `InlineEntity` has no equality; its debug form shows all of it.
        let expected = Request { now: Some(NOW), ..request };
        assert_eq!(format!("{back:?}"), format!("{expected:?}"));
        for (_, value) in request.context {
            if let Some(seen) = kinds_seen.get_mut(kind_number(value)) {
                *seen = true;
            }
        }
    }
    assert_eq!(kinds_seen, [true; 10], "the generator makes every kind");
}

fn kind_number(value: &Value<'_>) -> usize {
    match value {
        Value::Bool(_) => 0,
        Value::Long(_) => 1,
        Value::String(_) => 2,
        Value::Entity(_) => 3,
        Value::Set(_) => 4,
        Value::Record(_) => 5,
        Value::Decimal(_) => 6,
        Value::Ip(_) => 7,
        Value::Datetime(_) => 8,
        Value::Duration(_) => 9,
    }
}
