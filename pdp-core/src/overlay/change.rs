//! Changing entities: from one overlay to the next, whole or not at all.
//!
//! First all data is taken over, then the ancestors of what was moved and of all that stands below it are put together
//! anew, parents first, each entity once; then what was given is held against the schema. Work is linear in the changes
//! and in the descendants of what got other parents, however many entities there are. It is no part of a decision.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

use super::{Overlay, OverlaySize, Stored, UsedUp, parents};
use crate::bundle::Bundle;
use crate::ids::NONE;
use crate::limits::OverlayLimits;
use crate::program::{
    ENTITY_STORED, META_SCHEMA, TAG_DATETIME, TAG_DECIMAL, TAG_DURATION, TAG_IP6, TAG_RECORD,
    TAG_SET, Tables, Val,
};
use crate::request::{InlineEntity, Uid, Value};
use crate::scratch::{Scratch, halves, ip4};
use crate::{faults, validate};

/// A change of one entity.
#[derive(Clone, Copy, Debug)]
pub enum EntityChange<'a> {
    /// The entity is stored with just these attributes, tags and direct parents, whatever was known of it.
    Upsert(InlineEntity<'a>),
    /// The entity is no longer stored. Entities that name it as a parent go on naming it, as they would if the bundle
    /// were compiled without it; what stood above it no longer stands above them on its account.
    Remove(Uid<'a>),
}

/// Why changes are refused, all of them.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ChangeError {
    /// There is no bundle whose entities could change.
    NoBundle,
    /// An entity does not fit the schema, has a key twice, or nests deeper than the bundle's `value_depth_max`.
    Invalid {
        /// What is wrong, and of which entity.
        message: String,
    },
    /// An entity would be its own ancestor.
    Cycle {
        /// One of the entities on the way round, in Cedar's form.
        entity: String,
    },
    /// The changes since the bundle was built would take more than a limit allows: build the bundle anew.
    Full {
        /// The limit's name.
        limit: &'static str,
        /// How much it allows.
        max: u64,
    },
}

/// How far an entity's ancestors are put together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Closing {
    Open,
    /// Some descendant of it is waiting for it.
    OnPath,
    Done,
}

/// Makes the overlay that follows `before` by some changes, in their order.
pub(crate) fn apply(
    bundle: &Bundle,
    before: Option<&Overlay>,
    changes: &[EntityChange<'_>],
    limits: &OverlayLimits,
) -> Result<Arc<Overlay>, ChangeError> {
    let t = bundle.tables();
    let mut next = match before {
        Some(before) => before.clone(),
        None => Overlay::new(t)?,
    };
    let mut moved = Vec::new();
    let mut given = Vec::new();
    for change in changes {
        let (EntityChange::Upsert(InlineEntity { uid, .. }) | EntityChange::Remove(uid)) = change;
        if bundle.meta().flags & META_SCHEMA != 0 && !validate::declares_type(t, uid.entity_type) {
            let message = format!("entity {uid} is of a type that the schema does not declare");
            return Err(invalid(message));
        }
        let (entity, new) = match change {
            EntityChange::Upsert(inline) => {
                let entity = next.entity_or_new(t, uid.entity_type, uid.id)?;
                given.push((entity, *uid));
                (entity, next.read(bundle, inline)?)
            }
            EntityChange::Remove(_) => {
                let Some(entity) = next.known(t, uid.entity_type, uid.id) else { continue };
                (entity, REMOVED)
            }
        };
        if next.put(t, entity, new) {
            moved.push(entity);
        }
        next.within(limits)?;
    }
    next.close(t, moved, limits)?;
    let next = Arc::new(next);
    if bundle.meta().flags & META_SCHEMA != 0 {
        let mut scratch = Scratch::new();
        scratch.overlay = Some(Arc::clone(&next));
        for (entity, uid) in given {
            validate::stored(t, &mut scratch, entity, uid)
                .map_err(|_| invalid(std::mem::take(&mut scratch.message)))?;
        }
    }
    Ok(next)
}

const REMOVED: Stored = Stored {
    present: false,
    shape: NONE,
    attrs: 0,
    tag_shape: NONE,
    tags: 0,
    parents: Vec::new(),
    ancestors: Vec::new(),
};

// === impl Overlay ===

impl Overlay {
    /// Takes a change of one entity over, all but its ancestors. Whether those are to be put together anew.
    fn put(&mut self, t: &Tables, entity: u32, mut new: Stored) -> bool {
        let old = self.stored.get(entity).cloned();
        let in_bundle = t.entities.get(entity as usize).filter(|e| e.flags & ENTITY_STORED != 0);
        let (old_parents, old_ancestors) = match (&old, in_bundle) {
            (Some(old), _) => (old.parents.clone(), old.ancestors.clone()),
            (None, Some(_)) => {
                let own: Vec<u32> = parents(t, entity).collect();
                for parent in &own {
                    let taken = self.taken_over.get(*parent).copied().unwrap_or(0);
                    self.taken_over.insert(*parent, taken + 1);
                }
                (own, t.ancestors_of(entity).to_vec())
            }
            (None, None) => (Vec::new(), Vec::new()),
        };
        if let Some(old) = &old {
            for parent in old.parents.iter().filter(|parent| !new.parents.contains(parent)) {
                let mut below = self.below.get(*parent).cloned().unwrap_or_default();
                below.remove(entity);
                self.below.insert(*parent, below);
            }
        }
        let known = old.as_ref().map_or(&[][..], |old| &old.parents);
        for parent in new.parents.iter().filter(|parent| !known.contains(parent)) {
            let mut below = self.below.get(*parent).cloned().unwrap_or_default();
            below.insert(entity, ());
            self.below.insert(*parent, below);
        }
        let moves = old_parents != new.parents;
        new.ancestors = old_ancestors;
        self.replace(entity, new);
        moves
    }

    /// Puts what is known of an entity in the place of what was.
    fn replace(&mut self, entity: u32, new: Stored) {
        let old = self.stored.get(entity).cloned();
        self.size.ancestors += new.ancestors.len() as u64;
        if let Some(old) = &old {
            self.size.ancestors = self.size.ancestors.saturating_sub(old.ancestors.len() as u64);
            if (old.attrs, old.tags) != (new.attrs, new.tags) {
                self.free_record(Val::record(old.shape, old.attrs));
                self.free_record(Val::record(old.tag_shape, old.tags));
            }
        }
        self.stored.insert(entity, Arc::new(new));
        self.size.entities = self.stored.len() as u64;
    }

    /// Lets go what a record of the overlay holds.
    fn free_record(&mut self, val: Val) {
        let len = match val.tag {
            TAG_RECORD => u32::try_from(self.keys(val.aux).len()).unwrap_or(0),
            TAG_SET => val.aux,
            _ => return,
        };
        if val.low() < super::BASE {
            return;
        }
        let parts = self.run(val.low(), len).to_vec();
        for part in parts {
            self.free_record(part);
        }
        self.free_run(val.low(), len);
    }

    // === what stands above ===

    /// Puts together the ancestors of entities that were moved, and of all that stands below them.
    fn close(
        &mut self,
        t: &Tables,
        moved: Vec<u32>,
        limits: &OverlayLimits,
    ) -> Result<(), ChangeError> {
        let mut closing: HashMap<u32, Closing> = HashMap::new();
        let mut order = Vec::new();
        let mut open = moved;
        while let Some(entity) = open.pop() {
            if closing.insert(entity, Closing::Open).is_none() {
                order.push(entity);
                if !faults::OVERLAY_LEAVES_DESCENDANTS.is_on() {
                    self.each_child(t, entity, |child| open.push(child));
                }
            }
        }
        for entity in order {
            let mut path = vec![(entity, 0)];
            while let Some((at, from)) = path.pop() {
                if closing.get(&at) == Some(&Closing::Done) {
                    continue;
                }
                closing.insert(at, Closing::OnPath);
                let own = self.parents_of(t, at);
                let waits =
                    own.iter().enumerate().skip(from).find_map(|(nth, parent)| {
                        match closing.get(parent) {
                            None | Some(Closing::Done) => None,
                            Some(closing) => Some((nth, *parent, *closing)),
                        }
                    });
                match waits {
                    Some((_, parent, Closing::OnPath)) => {
                        return Err(ChangeError::Cycle { entity: self.uid_text(t, parent) });
                    }
                    Some((nth, parent, _)) => path.extend([(at, nth + 1), (parent, 0)]),
                    None => {
                        self.gather(t, at, own);
                        self.within(limits)?;
                        closing.insert(at, Closing::Done);
                    }
                }
            }
        }
        Ok(())
    }

    /// Puts together an entity's ancestors; those of its parents are right already.
    fn gather(&mut self, t: &Tables, entity: u32, parents: Vec<u32>) {
        let mut ancestors = parents.clone();
        for parent in &parents {
            match self.stored.get(*parent) {
                Some(stored) => ancestors.extend_from_slice(&stored.ancestors),
                None => ancestors.extend_from_slice(t.ancestors_of(*parent)),
            }
        }
        ancestors.sort_unstable();
        ancestors.dedup();
        if let Some(stored) = self.stored.get(entity) {
            if stored.ancestors != ancestors {
                let stored = Stored { ancestors, ..Stored::clone(stored) };
                self.replace(entity, stored);
            }
        } else if let Some(record) = t.entities.get(entity as usize)
            && let Some(rest) = t.entity_rest.get(entity as usize)
            && rest.ancestors.of(&t.ancestors) != ancestors
        {
            let (shape, attrs) = (record.shape, record.attrs);
            let (tag_shape, tags) = (rest.tag_shape, rest.tags);
            let stored =
                Stored { present: true, shape, attrs, tag_shape, tags, parents, ancestors };
            self.put(t, entity, stored.clone());
            self.replace(entity, stored);
        }
    }

    fn parents_of(&self, t: &Tables, entity: u32) -> Vec<u32> {
        match self.stored.get(entity) {
            Some(stored) => stored.parents.clone(),
            None => parents(t, entity).collect(),
        }
    }

    fn uid_text(&self, t: &Tables, entity: u32) -> String {
        let mut scratch = Scratch::new();
        scratch.overlay = Some(Arc::new(self.clone()));
        let (entity_type, id) = scratch.entity_name(t, entity);
        let text = |bytes| std::str::from_utf8(bytes).unwrap_or("?");
        Uid::new(text(entity_type), text(id)).to_string()
    }

    // === values ===

    fn read(&mut self, bundle: &Bundle, inline: &InlineEntity<'_>) -> Result<Stored, ChangeError> {
        let t = bundle.tables();
        let depth = bundle.limits().value_depth_max;
        let within = |error| match error {
            ChangeError::Invalid { message } => {
                invalid(format!("entity {}: {message}", inline.uid))
            }
            other => other,
        };
        let attrs = self.record(t, inline.attrs, depth).map_err(within)?;
        let tags = self.record(t, inline.tags, depth).map_err(within)?;
        let mut parents = Vec::with_capacity(inline.parents.len());
        for parent in inline.parents {
            parents.push(self.entity_or_new(t, parent.entity_type, parent.id)?);
        }
        parents.sort_unstable();
        parents.dedup();
        Ok(Stored {
            present: true,
            shape: attrs.aux,
            attrs: attrs.low(),
            tag_shape: tags.aux,
            tags: tags.low(),
            parents,
            ancestors: Vec::new(),
        })
    }

    fn value(&mut self, t: &Tables, value: &Value<'_>, depth: u32) -> Result<Val, ChangeError> {
        Ok(match value {
            Value::Bool(b) => Val::bool(*b),
            Value::Long(i) => Val::long(*i),
            Value::String(text) => Val::string(self.symbol_or_new(t, text)?),
            Value::Entity(uid) => Val::entity(self.entity_or_new(t, uid.entity_type, uid.id)?),
            Value::Decimal(d) => Val::number(TAG_DECIMAL, d.0),
            Value::Datetime(d) => Val::number(TAG_DATETIME, d.0),
            Value::Duration(d) => Val::number(TAG_DURATION, d.0),
            Value::Ip(ip) => match ip.addr() {
                std::net::IpAddr::V4(addr) => ip4(addr, ip.prefix()),
                std::net::IpAddr::V6(addr) => {
                    let (high, low) = halves(u128::from(addr));
                    let at = self.push_ip6(crate::program::Ip6 { high, low })?;
                    Val { tag: TAG_IP6, aux: ip.prefix().into(), bits: at.into() }
                }
            },
            Value::Set(items) => {
                let depth = deeper(depth)?;
                let mut vals = Vec::with_capacity(items.len());
                for item in *items {
                    vals.push(self.value(t, item, depth)?);
                }
                let (values, mut work) = (self.values(t), 0);
                vals.sort_unstable_by(|a, b| values.compare(*a, *b, &mut work));
                vals.dedup_by(|a, b| values.equal(*a, *b, &mut work));
                let len = u32::try_from(vals.len()).map_err(|_| UsedUp)?;
                Val::set(self.push_run(&vals)?, len)
            }
            Value::Record(pairs) => self.record(t, pairs, depth)?,
        })
    }

    fn record(
        &mut self,
        t: &Tables,
        pairs: &[(&str, Value<'_>)],
        depth: u32,
    ) -> Result<Val, ChangeError> {
        let depth = deeper(depth)?;
        let mut fields = Vec::with_capacity(pairs.len());
        for (key, value) in pairs {
            fields.push((self.symbol_or_new(t, key)?, self.value(t, value, depth)?));
        }
        fields.sort_unstable_by_key(|(key, _)| *key);
        let (keys, vals): (Vec<u32>, Vec<Val>) = fields.into_iter().unzip();
        if keys.windows(2).any(|two| matches!(two, [a, b] if a == b)) {
            return Err(invalid("a record has a key twice".to_owned()));
        }
        Ok(Val::record(self.shape(&keys)?, self.push_run(&vals)?))
    }

    fn within(&self, limits: &OverlayLimits) -> Result<(), ChangeError> {
        let OverlaySize { entities, values, text_bytes, ancestors } = self.size;
        let all = [
            ("entities_max", entities, limits.entities_max),
            ("values_max", values, limits.values_max),
            ("text_bytes_max", text_bytes, limits.text_bytes_max),
            ("ancestors_max", ancestors, limits.ancestors_max),
        ];
        match all.into_iter().find(|(_, has, max)| has > max) {
            Some((limit, _, max)) => Err(ChangeError::Full { limit, max }),
            None => Ok(()),
        }
    }
}

fn deeper(depth: u32) -> Result<u32, ChangeError> {
    depth.checked_sub(1).ok_or_else(|| {
        invalid("a value is nested deeper than the bundle's value_depth_max".to_owned())
    })
}

#[cold]
fn invalid(message: String) -> ChangeError {
    ChangeError::Invalid { message }
}

// === impl ChangeError ===

impl ChangeError {
    /// A word for programs: `no_bundle`, `invalid_entity`, `entity_cycle` or `overlay_full`.
    pub fn code(&self) -> &'static str {
        match self {
            Self::NoBundle => "no_bundle",
            Self::Invalid { .. } => "invalid_entity",
            Self::Cycle { .. } => "entity_cycle",
            Self::Full { .. } => "overlay_full",
        }
    }
}

impl From<UsedUp> for ChangeError {
    fn from(_: UsedUp) -> Self {
        Self::Full { limit: "numbers of one kind", max: 1 << 30 }
    }
}

impl fmt::Display for ChangeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoBundle => f.write_str("no bundle is loaded whose entities could change"),
            Self::Invalid { message } => f.write_str(message),
            Self::Cycle { entity } => write!(f, "entity {entity} would be its own ancestor"),
            Self::Full { limit, max } => write!(
                f,
                "the changes since the bundle was built exceed {limit} ({max}): build the bundle anew"
            ),
        }
    }
}

impl std::error::Error for ChangeError {}
