//! The caller's memory: all that one request needs beyond the bundle, reused from request to request.
//!
//! A [`Scratch`] belongs to one thread at a time; sharing one between threads would serialise them, which is why
//! `decide_with` takes it by `&mut` instead of keeping a pool. After warm-up nothing in here allocates.
//! Strings and entities of the request that the bundle does not know get ids past those of the bundle, so that two
//! different unknown strings are never equal. The maps that hold them are keyed by what callers choose, hence hashed
//! with a secret drawn per process.

use std::fmt::Write;
use std::hash::{BuildHasher, RandomState};
use std::sync::Arc;

use hashbrown::HashTable;

use crate::decide::LegOutcome;
use crate::guests::Guest;
use crate::hash;
use crate::ids::{NONE, PolicyIx};
use crate::lookup;
use crate::outcome::{Answer, Effect, ErrorKind, LegRole, Reason};
use crate::overlay::{BASE, Overlay};
use crate::program::{Ip6, Span, TAG_IP4, TAG_IP6, Tables, Val};
use crate::reads::Reads;
use crate::values::Values;

/// Memory of one caller, reused from decision to decision. One per thread.
#[derive(Debug)]
pub struct Scratch {
    pub(crate) secret: u64,
    /// What changed about the bundle's entities, while a request is decided.
    pub(crate) overlay: Option<Arc<Overlay>>,
    /// Text of everything below.
    pub(crate) text: Vec<u8>,
    symbols: Vec<Span>,
    symbol_table: HashTable<u32>,
    pub(crate) guests: Vec<Guest>,
    pub(crate) guest_table: HashTable<u32>,
    pub(crate) vals: Vec<Val>,
    /// The most values that the request at hand may hold, those that policies build included.
    pub(crate) values_max: usize,
    /// The most bytes that the strings of the request at hand may have, and how many of them are left.
    pub(crate) text_max: usize,
    pub(crate) text_left: usize,
    pub(crate) shapes: Vec<Span>,
    pub(crate) shape_keys: Vec<u32>,
    pub(crate) ip6: Vec<Ip6>,
    /// Ancestors of guests.
    pub(crate) ancestors: Vec<u32>,
    /// Direct parents of guests.
    pub(crate) parents: Vec<u32>,
    /// Guests whose ancestors are being put together: (guest, next parent to look at).
    pub(crate) walk: Vec<(u32, u32)>,
    /// Policies that the index names for the leg at hand: runs of `postings`.
    pub(crate) candidates: Vec<Span>,
    /// Entities that the bundle mentions but does not store and that came with the request: (entity, guest).
    pub(crate) arrivals: Vec<(u32, u32)>,
    /// Attributes that the caller may supply for stored entities: (entity, attribute, value).
    pub(crate) overrides: Vec<(u32, u32, Val)>,
    /// The evaluator's stack; also working memory while sets are built.
    pub(crate) stack: Vec<Val>,
    /// What the paths that policies read hold, in the leg at hand.
    pub(crate) reads: Reads,
    /// Working memory while records are built.
    pub(crate) pairs: Vec<(u32, Val)>,
    /// Keys of entities whose class the bundle does not hold.
    pub(crate) keys: Vec<u32>,
    pub(crate) policies: Vec<PolicyIx>,
    pub(crate) errors: Vec<(PolicyIx, ErrorKind)>,
    pub(crate) forbids: Vec<PolicyIx>,
    pub(crate) legs: Vec<LegSpan>,
    pub(crate) message: String,
    /// Where the messages of legs go that nobody asks for: the first failed leg's is the one shown.
    pub(crate) later_message: String,
}

/// One leg's answer, by ranges of the scratch.
#[derive(Clone, Copy, Debug)]
pub(crate) struct LegSpan {
    pub(crate) role: LegRole,
    pub(crate) effect: Effect,
    pub(crate) reason: Reason,
    pub(crate) policies: Span,
    pub(crate) errors: Span,
}

/// A limit of the request was reached while it was taken in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct TooLarge;

impl Default for Scratch {
    fn default() -> Self {
        Self::new()
    }
}

// === impl Scratch ===

impl Scratch {
    /// Empty memory; it grows to what the requests need and stays there.
    pub fn new() -> Self {
        Self {
            secret: RandomState::new().hash_one(0u8),
            overlay: None,
            text: Vec::new(),
            symbols: Vec::new(),
            symbol_table: HashTable::new(),
            guests: Vec::new(),
            guest_table: HashTable::new(),
            vals: Vec::new(),
            values_max: 0,
            text_max: 0,
            text_left: 0,
            shapes: Vec::new(),
            shape_keys: Vec::new(),
            ip6: Vec::new(),
            ancestors: Vec::new(),
            parents: Vec::new(),
            walk: Vec::new(),
            candidates: Vec::new(),
            arrivals: Vec::new(),
            overrides: Vec::new(),
            stack: Vec::new(),
            reads: Reads::default(),
            pairs: Vec::new(),
            keys: Vec::new(),
            policies: Vec::new(),
            errors: Vec::new(),
            forbids: Vec::new(),
            legs: Vec::new(),
            message: String::new(),
            later_message: String::new(),
        }
    }

    /// Forgets the last request, keeps the memory; the next one sees this overlay.
    pub(crate) fn reset(&mut self, overlay: Option<&Arc<Overlay>>) {
        self.overlay = overlay.cloned();
        self.text.clear();
        self.symbols.clear();
        self.symbol_table.clear();
        self.guests.clear();
        self.guest_table.clear();
        self.vals.clear();
        self.shapes.clear();
        self.shape_keys.clear();
        self.ip6.clear();
        self.ancestors.clear();
        self.parents.clear();
        self.candidates.clear();
        self.arrivals.clear();
        self.overrides.clear();
        self.stack.clear();
        self.pairs.clear();
        self.keys.clear();
        self.policies.clear();
        self.errors.clear();
        self.forbids.clear();
        self.legs.clear();
        self.message.clear();
    }

    /// Forgets the last answer, keeps the request: another resource is asked for.
    pub(crate) fn next_question(&mut self) {
        self.policies.clear();
        self.errors.clear();
        self.forbids.clear();
        self.legs.clear();
        self.message.clear();
    }

    /// Notes how a leg came out whose policies and errors begin at these places.
    #[inline]
    pub(crate) fn leg_done(
        &mut self,
        role: LegRole,
        outcome: LegOutcome,
        policies: usize,
        errors: usize,
    ) {
        let LegOutcome { effect, reason } = outcome;
        let (policies, errors) =
            (since(policies, self.policies.len()), since(errors, self.errors.len()));
        self.legs.push(LegSpan { role, effect, reason, policies, errors });
    }

    /// The id of a string: the bundle's, or one of this request.
    pub(crate) fn symbol(&mut self, t: &Tables, text: &str) -> Result<u32, TooLarge> {
        self.text_taken(text.len())?;
        self.counted_symbol(t, text)
    }

    /// The id of a string whose bytes have been counted.
    #[inline]
    pub(crate) fn counted_symbol(&mut self, t: &Tables, text: &str) -> Result<u32, TooLarge> {
        match lookup::symbol(t, text.as_bytes()) {
            Some(symbol) => Ok(symbol),
            None => self.unknown_symbol(t, text),
        }
    }

    /// Counts the bytes of a string of the request, before anything is made of it.
    #[inline]
    pub(crate) fn text_taken(&mut self, bytes: usize) -> Result<(), TooLarge> {
        match self.text_left.checked_sub(bytes) {
            Some(left) => {
                self.text_left = left;
                Ok(())
            }
            None => Err(self.too_much_text()),
        }
    }

    #[cold]
    fn too_much_text(&mut self) -> TooLarge {
        self.message.clear();
        // Writing to a String cannot fail.
        let _ = write!(
            self.message,
            "the request holds more text than the bundle's request_text_bytes_max of {} bytes",
            self.text_max
        );
        TooLarge
    }

    #[inline(never)]
    fn unknown_symbol(&mut self, t: &Tables, text: &str) -> Result<u32, TooLarge> {
        if crate::faults::UNKNOWN_STRINGS_EQUAL.is_on() {
            return Ok(bundle_len(t.symbol_ends.len()));
        }
        if let Some(known) = self.overlay.as_ref().and_then(|overlay| overlay.symbol(text)) {
            return Ok(known);
        }
        let base = bundle_len(t.symbol_ends.len());
        let hash = hash::seeded(self.secret, text.as_bytes());
        let (symbols, stored) = (&self.symbols, &self.text);
        let found = self.symbol_table.find(hash, |ix| {
            symbols.get(*ix as usize).is_some_and(|span| span.of(stored) == text.as_bytes())
        });
        if let Some(ix) = found {
            return Ok(base + *ix);
        }
        let ix = position(self.symbols.len())?;
        let span = push_text(&mut self.text, text)?;
        self.symbols.push(span);
        let (secret, symbols, stored) = (self.secret, &self.symbols, &self.text);
        self.symbol_table.insert_unique(hash, ix, |ix| {
            hash::seeded(secret, symbols.get(*ix as usize).map_or(&[][..], |span| span.of(stored)))
        });
        Ok(base + ix)
    }

    /// The bytes of a string.
    pub(crate) fn symbol_text<'a>(&'a self, t: &'a Tables, symbol: u32) -> &'a [u8] {
        match (symbol as usize).checked_sub(t.symbol_ends.len()) {
            None => lookup::symbol_text(t, symbol),
            Some(_) if symbol >= BASE => {
                self.overlay.as_ref().map_or(&[], |overlay| overlay.symbol_text(t, symbol))
            }
            Some(ix) => self.symbols.get(ix).map_or(&[], |span| span.of(&self.text)),
        }
    }

    /// The value of an attribute that the caller supplied for a stored entity.
    #[inline]
    pub(crate) fn override_of(&self, entity: u32, attribute: u32) -> Option<Val> {
        if self.overrides.is_empty() {
            return None;
        }
        self.overrides
            .iter()
            .find(|(e, a, _)| *e == entity && *a == attribute)
            .map(|(_, _, val)| *val)
    }

    /// Bundle and request values, seen as one.
    #[inline]
    pub(crate) fn values<'a>(&'a self, t: &'a Tables) -> Values<'a> {
        Values {
            tables: t,
            vals: &self.vals,
            shapes: &self.shapes,
            shape_keys: &self.shape_keys,
            ip6: &self.ip6,
            overlay: self.overlay.as_deref(),
        }
    }

    /// Makes a set of the values on the working stack from `mark` on; they are taken off. Also tells how many values
    /// were walked over to bring them in order.
    pub(crate) fn set_from_stack(
        &mut self,
        t: &Tables,
        mark: usize,
    ) -> Result<(Val, u64), TooLarge> {
        let mut work = 0;
        let mut stack = std::mem::take(&mut self.stack);
        let items = stack.get_mut(mark..).unwrap_or_default();
        let values = self.values(t);
        items.sort_unstable_by(|a, b| values.compare(*a, *b, &mut work));
        let start = position(self.vals.len() + t.vals.len())?;
        let first = self.vals.len();
        for item in items.iter() {
            let last = self.vals.get(first..).and_then(<[Val]>::last).copied();
            if last.is_none_or(|last| !self.values(t).equal(last, *item, &mut work)) {
                self.vals.push(*item);
            }
        }
        stack.truncate(mark);
        self.stack = stack;
        self.within_values_max()?;
        let len = position(self.vals.len() - first)?;
        Ok((Val::set(start, len), work))
    }

    /// Makes a record of the pairs from `mark` on; they are taken off. `Ok(None)`: a key occurs twice.
    pub(crate) fn record_from_pairs(
        &mut self,
        t: &Tables,
        mark: usize,
    ) -> Result<Option<Val>, TooLarge> {
        let pairs = self.pairs.get_mut(mark..).unwrap_or_default();
        pairs.sort_unstable_by_key(|(key, _)| *key);
        if pairs.windows(2).any(|two| matches!(two, [(a, _), (b, _)] if a == b)) {
            self.pairs.truncate(mark);
            return Ok(None);
        }
        let mut pairs = std::mem::take(&mut self.pairs);
        let record = self.record_of(t, pairs.drain(mark..));
        self.pairs = pairs;
        record.map(Some)
    }

    /// Makes a record of pairs whose keys ascend.
    pub(crate) fn record_of(
        &mut self,
        t: &Tables,
        pairs: impl Iterator<Item = (u32, Val)>,
    ) -> Result<Val, TooLarge> {
        let start = position(self.vals.len() + t.vals.len())?;
        let shape = position(self.shapes.len() + t.shapes.len())?;
        let keys = position(self.shape_keys.len())?;
        for (key, val) in pairs {
            self.shape_keys.push(key);
            self.vals.push(val);
        }
        let len = position(self.shape_keys.len())? - keys;
        self.shapes.push(Span { start: keys, len });
        self.within_values_max()?;
        Ok(Val::record(shape, start))
    }

    /// Makes a record of the values from `from` on, which are those of a shape of the bundle.
    #[inline]
    pub(crate) fn record_at(
        &mut self,
        t: &Tables,
        shape: u32,
        from: usize,
    ) -> Result<Val, TooLarge> {
        let start = position(from + t.vals.len())?;
        self.within_values_max()?;
        Ok(Val::record(shape, start))
    }

    /// Refuses what holds more values than the bundle allows, whoever built them: the request or a policy.
    #[inline]
    fn within_values_max(&mut self) -> Result<(), TooLarge> {
        if self.vals.len() <= self.values_max { Ok(()) } else { Err(self.too_many_values()) }
    }

    #[cold]
    fn too_many_values(&mut self) -> TooLarge {
        self.message.clear();
        // Writing to a String cannot fail.
        let _ = write!(
            self.message,
            "the request holds more values than the bundle's request_values_max of {}",
            self.values_max
        );
        TooLarge
    }

    /// An IP value.
    pub(crate) fn ip(&mut self, t: &Tables, ip: crate::ext::IpNet) -> Result<Val, TooLarge> {
        match ip.addr() {
            std::net::IpAddr::V4(addr) => Ok(ip4(addr, ip.prefix())),
            std::net::IpAddr::V6(addr) => {
                let at = position(self.ip6.len() + t.ip6.len())?;
                let (high, low) = halves(u128::from(addr));
                self.ip6.push(Ip6 { high, low });
                Ok(Val { tag: TAG_IP6, aux: ip.prefix().into(), bits: at.into() })
            }
        }
    }
}

/// An IPv4 value needs no table.
pub(crate) fn ip4(addr: std::net::Ipv4Addr, prefix: u8) -> Val {
    Val { tag: TAG_IP4, aux: 0, bits: u64::from(prefix) << 32 | u64::from(u32::from(addr)) }
}

#[expect(clippy::cast_possible_truncation, reason = "the halves are meant")]
pub(crate) fn halves(bits: u128) -> (u64, u64) {
    ((bits >> 64) as u64, bits as u64)
}

pub(crate) fn push_text(text: &mut Vec<u8>, new: &str) -> Result<Span, TooLarge> {
    let span = Span { start: position(text.len())?, len: position(new.len())? };
    text.extend_from_slice(new.as_bytes());
    Ok(span)
}

/// Sizes of tables; `verify` has checked that they fit.
pub(crate) fn bundle_len(len: usize) -> u32 {
    u32::try_from(len).unwrap_or(NONE)
}

pub(crate) fn position(len: usize) -> Result<u32, TooLarge> {
    // Half of the range, so that a bundle's ids and a request's ids together never reach NONE.
    u32::try_from(len).ok().filter(|at| *at < NONE / 2).ok_or(TooLarge)
}

fn since(from: usize, to: usize) -> Span {
    let start = u32::try_from(from).unwrap_or(u32::MAX);
    Span { start, len: u32::try_from(to).unwrap_or(u32::MAX).saturating_sub(start) }
}

// === impl LegSpan ===

impl LegSpan {
    pub(crate) fn policies<'s>(&self, answer: &Answer<'s>) -> &'s [PolicyIx] {
        self.policies.of(answer.all_policies)
    }

    pub(crate) fn errors<'s>(&self, answer: &Answer<'s>) -> &'s [(PolicyIx, ErrorKind)] {
        self.errors.of(answer.all_errors)
    }
}
