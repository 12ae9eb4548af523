//! Tables under construction: everything is interned on its way in, so that equal things are the same thing.

use std::collections::HashMap;

use crate::hash;
use crate::ids::{NONE, TooMany, next_id};
use crate::program::{EntityRec, EntityRest, Ip6, Slot, Span, TAG_IP6, Tables, TypeRec, Val};
use crate::scratch::{halves, ip4};
use crate::source::tree::Name;
use crate::values::Values;

/// Tables under construction.
#[derive(Debug, Default)]
pub(crate) struct Builder {
    pub(crate) tables: Tables,
    symbols: HashMap<String, u32>,
    types: HashMap<String, u32>,
    entities: HashMap<Name, u32>,
    shapes: HashMap<Vec<u32>, u32>,
    /// Runs of values that compound constants share.
    runs: HashMap<Vec<(u32, u32, u64)>, u32>,
    constants: HashMap<(u32, u32, u64), u32>,
    ip6: HashMap<u128, u32>,
    /// Runs of ancestors, which members of one group share: by ancestors, none, parents.
    ancestors: HashMap<Vec<u32>, Span>,
    lists: HashMap<Vec<u32>, Span>,
    paths: HashMap<Vec<u32>, Span>,
    pub(super) conditions: super::lower::Conditions,
}

impl Builder {
    /// A string.
    pub(crate) fn symbol(&mut self, text: &str) -> Result<u32, TooMany> {
        if let Some(symbol) = self.symbols.get(text) {
            return Ok(*symbol);
        }
        let symbol = next_id(self.tables.symbol_ends.len())?;
        self.tables.symbol_text.extend_from_slice(text.as_bytes());
        self.tables.symbol_ends.push(next_id(self.tables.symbol_text.len())?);
        self.symbols.insert(text.to_owned(), symbol);
        Ok(symbol)
    }

    /// A text that is only shown.
    pub(crate) fn text(&mut self, text: &str) -> Result<Span, TooMany> {
        let start = next_id(self.tables.texts.len())?;
        self.tables.texts.extend_from_slice(text.as_bytes());
        next_id(self.tables.texts.len())?;
        Ok(Span { start, len: next_id(text.len())? })
    }

    /// An entity type.
    pub(crate) fn entity_type(&mut self, name: &str) -> Result<u32, TooMany> {
        if let Some(ty) = self.types.get(name) {
            return Ok(*ty);
        }
        let ty = next_id(self.tables.types.len())?;
        let symbol = self.symbol(name)?;
        self.tables.types.push(TypeRec {
            name: symbol,
            principal_class: 0,
            action_class: 0,
            resource_class: 0,
            declaration: NONE,
        });
        self.types.insert(name.to_owned(), ty);
        Ok(ty)
    }

    /// An entity, by name only.
    pub(crate) fn entity(&mut self, name: &Name) -> Result<u32, TooMany> {
        if let Some(entity) = self.entities.get(name) {
            return Ok(*entity);
        }
        let entity_type = self.entity_type(&name.entity_type)?;
        let entity = next_id(self.tables.entities.len())?;
        let id =
            Span { start: next_id(self.tables.entity_text.len())?, len: next_id(name.id.len())? };
        self.tables.entity_text.extend_from_slice(name.id.as_bytes());
        next_id(self.tables.entity_text.len())?;
        self.tables.entities.push(EntityRec {
            entity_type,
            flags: 0,
            id,
            shape: NONE,
            attrs: 0,
            principal_class: 0,
            resource_class: 0,
        });
        self.tables.entity_rest.push(EntityRest {
            tag_shape: NONE,
            tags: 0,
            ancestors: Span::EMPTY,
            action_class: 0,
            action: NONE,
        });
        self.entities.insert(name.clone(), entity);
        Ok(entity)
    }

    /// A set of keys that records have in common. `keys` is sorted.
    pub(crate) fn shape(&mut self, keys: &[u32]) -> Result<u32, TooMany> {
        if let Some(shape) = self.shapes.get(keys) {
            return Ok(*shape);
        }
        let shape = next_id(self.tables.shapes.len())?;
        let span =
            Span { start: next_id(self.tables.shape_keys.len())?, len: next_id(keys.len())? };
        self.tables.shape_keys.extend_from_slice(keys);
        self.tables.shapes.push(span);
        self.shapes.insert(keys.to_vec(), shape);
        Ok(shape)
    }

    /// A run of values of its own.
    pub(crate) fn vals(&mut self, vals: &[Val]) -> Result<u32, TooMany> {
        let start = next_id(self.tables.vals.len())?;
        self.tables.vals.extend_from_slice(vals);
        next_id(self.tables.vals.len())?;
        Ok(start)
    }

    /// A run of values that may be shared with whoever needs the same.
    pub(crate) fn shared_vals(&mut self, vals: &[Val]) -> Result<u32, TooMany> {
        let key: Vec<(u32, u32, u64)> =
            vals.iter().map(|val| (val.tag, val.aux, val.bits)).collect();
        if let Some(start) = self.runs.get(&key) {
            return Ok(*start);
        }
        let start = self.vals(vals)?;
        self.runs.insert(key, start);
        Ok(start)
    }

    /// Where a constant stands among the values.
    pub(crate) fn constant(&mut self, val: Val) -> Result<u32, TooMany> {
        let key = (val.tag, val.aux, val.bits);
        if let Some(at) = self.constants.get(&key) {
            return Ok(*at);
        }
        let at = self.vals(&[val])?;
        self.constants.insert(key, at);
        Ok(at)
    }

    /// A set of values.
    pub(crate) fn set(&mut self, mut items: Vec<Val>) -> Result<Val, TooMany> {
        let (values, mut work) = (self.values(), 0);
        items.sort_by(|a, b| values.compare(*a, *b, &mut work));
        items.dedup_by(|a, b| values.equal(*a, *b, &mut work));
        let len = next_id(items.len())?;
        Ok(Val::set(self.shared_vals(&items)?, len))
    }

    /// A record.
    pub(crate) fn record(&mut self, mut pairs: Vec<(u32, Val)>) -> Result<Val, TooMany> {
        pairs.sort_by_key(|(key, _)| *key);
        let (keys, vals): (Vec<u32>, Vec<Val>) = pairs.into_iter().unzip();
        let shape = self.shape(&keys)?;
        Ok(Val::record(shape, self.shared_vals(&vals)?))
    }

    /// An IP value.
    pub(crate) fn ip(&mut self, ip: crate::ext::IpNet) -> Result<Val, TooMany> {
        match ip.addr() {
            std::net::IpAddr::V4(addr) => Ok(ip4(addr, ip.prefix())),
            std::net::IpAddr::V6(addr) => {
                let bits = u128::from(addr);
                let next = next_id(self.tables.ip6.len())?;
                let at = *self.ip6.entry(bits).or_insert(next);
                if at == next {
                    let (high, low) = halves(bits);
                    self.tables.ip6.push(Ip6 { high, low });
                }
                Ok(Val { tag: TAG_IP6, aux: ip.prefix().into(), bits: at.into() })
            }
        }
    }

    /// A run of ancestors, shared between entities that have the same and the same parents. Both are sorted.
    pub(crate) fn ancestors(
        &mut self,
        ancestors: &[u32],
        parents: &[u32],
    ) -> Result<Span, TooMany> {
        let mut key = ancestors.to_vec();
        key.push(NONE);
        key.extend_from_slice(parents);
        if let Some(span) = self.ancestors.get(&key) {
            return Ok(*span);
        }
        let t = &mut self.tables;
        let span = Span { start: next_id(t.ancestors.len())?, len: next_id(ancestors.len())? };
        for ancestor in ancestors {
            let at = t.ancestors.len();
            t.ancestors.push(*ancestor);
            if at / 32 == t.parent_marks.len() {
                t.parent_marks.push(0);
            }
            let marked = u32::from(parents.binary_search(ancestor).is_ok());
            if let Some(word) = t.parent_marks.get_mut(at / 32) {
                *word |= marked << (at % 32);
            }
        }
        next_id(t.ancestors.len())?;
        self.ancestors.insert(key, span);
        Ok(span)
    }

    /// A run of types or entities.
    pub(crate) fn list(&mut self, items: &[u32]) -> Result<Span, TooMany> {
        shared(&mut self.lists, &mut self.tables.type_lists, items)
    }

    /// A path of attributes.
    pub(crate) fn path(&mut self, keys: &[u32]) -> Result<Span, TooMany> {
        shared(&mut self.paths, &mut self.tables.paths, keys)
    }

    /// The id of the next policy.
    pub(crate) fn policies_len(&self) -> Result<u32, TooMany> {
        next_id(self.tables.policies.len())
    }

    pub(crate) fn values(&self) -> Values<'_> {
        Values::of_bundle(&self.tables)
    }

    /// Adds the hash tables over names and hands the tables over.
    pub(crate) fn finish(mut self) -> Result<Tables, TooMany> {
        let t = &self.tables;
        let text = |symbol: u32| crate::lookup::symbol_text(t, symbol);
        let symbols = slots((0u32..).take(t.symbol_ends.len()).map(|ix| hash::bytes(text(ix))));
        let types = slots(t.types.iter().map(|ty| hash::bytes(text(ty.name))));
        let entities = slots(t.entities.iter().map(|e| {
            let ty = t.types.get(e.entity_type as usize).map_or(NONE, |ty| ty.name);
            hash::uid(text(ty), e.id.of(&t.entity_text))
        }));
        self.tables.symbol_slots = symbols;
        self.tables.type_slots = types;
        self.tables.entity_slots = entities;
        Ok(self.tables)
    }
}

/// A hash table over the entries of a table, given by their hashes; at most half full.
pub(crate) fn slots(hashes: impl Iterator<Item = u32>) -> Vec<Slot> {
    let hashes: Vec<u32> = hashes.collect();
    if hashes.is_empty() {
        return Vec::new();
    }
    let size = (hashes.len() * 2).next_power_of_two();
    let mut slots = vec![Slot { hash: 0, ix: NONE }; size];
    for (ix, hash) in (0u32..).zip(hashes) {
        let mut at = hash as usize & (size - 1);
        while slots.get(at).is_some_and(|slot| slot.ix != NONE) {
            at = (at + 1) & (size - 1);
        }
        if let Some(slot) = slots.get_mut(at) {
            *slot = Slot { hash, ix };
        }
    }
    slots
}

fn shared(
    known: &mut HashMap<Vec<u32>, Span>,
    table: &mut Vec<u32>,
    items: &[u32],
) -> Result<Span, TooMany> {
    if let Some(span) = known.get(items) {
        return Ok(*span);
    }
    let span = Span { start: next_id(table.len())?, len: next_id(items.len())? };
    table.extend_from_slice(items);
    next_id(table.len())?;
    known.insert(items.to_vec(), span);
    Ok(span)
}
