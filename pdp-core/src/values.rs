//! Values of bundle and request, seen as one: equality, order, set and record access.
//!
//! Positions below the length of the bundle's table belong to the bundle, those from [`BASE`] on to the overlay, the
//! rest to the request.
//! Sets are kept sorted by [`Values::compare`], a total order that agrees with Cedar's equality; the order itself
//! means nothing to a policy. Comparison walks nested values by recursion whose depth the bundle's
//! `value_depth_max` and the nesting of policies bound.

use std::cmp::Ordering;

use crate::overlay::{BASE, Overlay};
use crate::program::{Ip6, Span, TAG_IP4, TAG_IP6, TAG_RECORD, TAG_SET, Tables, Val};

/// Bundle and request values. Cheap to copy.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Values<'a> {
    pub(crate) tables: &'a Tables,
    pub(crate) vals: &'a [Val],
    pub(crate) shapes: &'a [Span],
    pub(crate) shape_keys: &'a [u32],
    pub(crate) ip6: &'a [Ip6],
    pub(crate) overlay: Option<&'a Overlay>,
}

/// Where a key stands among the keys of a shape.
#[inline]
pub(crate) fn position(keys: &[u32], key: u32) -> Option<usize> {
    // Few keys: looking at all of them is cheaper than halving.
    if keys.len() <= 12 {
        keys.iter().position(|k| *k == key)
    } else {
        keys.binary_search(&key).ok()
    }
}

impl<'a> Values<'a> {
    /// The values of a bundle alone.
    pub(crate) fn of_bundle(tables: &'a Tables) -> Self {
        Self { tables, vals: &[], shapes: &[], shape_keys: &[], ip6: &[], overlay: None }
    }

    /// A run of values.
    #[inline]
    pub(crate) fn run(self, start: u32, len: u32) -> &'a [Val] {
        let span = Span { start, len };
        match start.checked_sub(self.bundle_vals()) {
            None => span.of(&self.tables.vals),
            Some(_) if span.start >= BASE => {
                self.overlay.map_or(&[], |overlay| overlay.run(span.start, len))
            }
            Some(start) => Span { start, len }.of(self.vals),
        }
    }

    /// The value that stands `place` behind the beginning of a run.
    #[inline]
    pub(crate) fn at(self, start: u32, place: usize) -> Option<Val> {
        let at = (start as usize).checked_add(place)?;
        match at.checked_sub(self.tables.vals.len()) {
            None => self.tables.vals.get(at).copied(),
            Some(at) => self.vals.get(at).copied(),
        }
    }

    /// The elements of a set.
    #[inline]
    pub(crate) fn elements(self, set: Val) -> &'a [Val] {
        self.run(set.low(), set.aux)
    }

    /// The keys of a shape.
    #[inline]
    pub(crate) fn keys(self, shape: u32) -> &'a [u32] {
        match (shape as usize).checked_sub(self.tables.shapes.len()) {
            None => self
                .tables
                .shapes
                .get(shape as usize)
                .map_or(&[], |span| span.of(&self.tables.shape_keys)),
            Some(_) if shape >= BASE => self.overlay.map_or(&[], |overlay| overlay.keys(shape)),
            Some(ix) => self.shapes.get(ix).map_or(&[], |span| span.of(self.shape_keys)),
        }
    }

    /// The value under a key, given a shape and where its values start.
    #[inline]
    pub(crate) fn field(self, shape: u32, start: u32, key: u32) -> Option<Val> {
        let keys = self.keys(shape);
        let at = position(keys, key)?;
        self.run(start, u32::try_from(keys.len()).ok()?).get(at).copied()
    }

    /// The address of an IPv6 value.
    #[inline]
    pub(crate) fn ip6(self, val: Val) -> u128 {
        let halves = match (val.low() as usize).checked_sub(self.tables.ip6.len()) {
            None => self.tables.ip6.get(val.low() as usize),
            Some(_) if val.low() >= BASE => self.overlay.and_then(|overlay| overlay.ip6(val.low())),
            Some(ix) => self.ip6.get(ix),
        };
        halves.map_or(0, |ip| u128::from(ip.high) << 64 | u128::from(ip.low))
    }

    /// The address and prefix of an IP value.
    pub(crate) fn ip(self, val: Val) -> Option<crate::ext::IpNet> {
        match val.tag {
            TAG_IP4 => {
                let prefix = u8::try_from(val.bits >> 32).ok()?;
                crate::ext::IpNet::new(std::net::Ipv4Addr::from(val.low()).into(), prefix)
            }
            TAG_IP6 => {
                let addr = std::net::Ipv6Addr::from(self.ip6(val));
                crate::ext::IpNet::new(addr.into(), u8::try_from(val.aux).ok()?)
            }
            _ => None,
        }
    }

    /// Cedar's `==`. `work` grows by the values that were walked over.
    #[inline]
    pub(crate) fn equal(self, a: Val, b: Val, work: &mut u64) -> bool {
        if a == b {
            return true;
        }
        if a.tag != b.tag || !matches!(a.tag, TAG_SET | TAG_RECORD | TAG_IP6) {
            return false;
        }
        self.compare(a, b, work) == Ordering::Equal
    }

    /// A total order under which equal values are neighbours. `work` grows by the values that were walked over.
    pub(crate) fn compare(self, a: Val, b: Val, work: &mut u64) -> Ordering {
        if a == b {
            return Ordering::Equal;
        }
        if a.tag != b.tag {
            return a.tag.cmp(&b.tag);
        }
        match a.tag {
            TAG_SET => {
                let (a, b) = (self.elements(a), self.elements(b));
                a.len().cmp(&b.len()).then_with(|| self.compare_runs(a, b, work))
            }
            TAG_RECORD => {
                let (a_keys, b_keys) = (self.keys(a.aux), self.keys(b.aux));
                a_keys.cmp(b_keys).then_with(|| {
                    let len = u32::try_from(a_keys.len()).unwrap_or(0);
                    self.compare_runs(self.run(a.low(), len), self.run(b.low(), len), work)
                })
            }
            TAG_IP6 => (self.ip6(a), a.aux).cmp(&(self.ip6(b), b.aux)),
            _ => a.bits.cmp(&b.bits),
        }
    }

    fn compare_runs(self, a: &[Val], b: &[Val], work: &mut u64) -> Ordering {
        for (a, b) in a.iter().zip(b) {
            *work += 1;
            let order = self.compare(*a, *b, work);
            if order != Ordering::Equal {
                return order;
            }
        }
        a.len().cmp(&b.len())
    }

    /// Whether a set holds a value. `work` grows by the values that were walked over.
    #[inline]
    pub(crate) fn contains(self, elements: &[Val], val: Val, work: &mut u64) -> bool {
        *work += 1;
        if elements.len() <= 8 {
            return elements.iter().any(|element| self.equal(*element, val, work));
        }
        elements.binary_search_by(|element| self.compare(*element, val, work)).is_ok()
    }

    #[inline]
    fn bundle_vals(self) -> u32 {
        u32::try_from(self.tables.vals.len()).unwrap_or(u32::MAX)
    }
}
