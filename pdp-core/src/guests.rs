//! Entities of a request: those the bundle knows by number, and guests, which it does not or whose data came along.
//!
//! Guests get numbers past those of the bundle, so that everything later sees only numbers. They live in the caller's
//! scratch and are gone with the request.

use crate::hash;
use crate::ids::NONE;
use crate::lookup;
use crate::overlay::{BASE, Named};
use crate::program::{ENTITY_IS_ANCESTOR, ENTITY_STORED, Span, Tables};
use crate::scratch::{Scratch, TooLarge, bundle_len, position, push_text};

/// An entity of the request that has no id in the bundle, or whose data came with the request.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Guest {
    /// Symbol of its type's name.
    pub(crate) type_symbol: u32,
    /// Its type in the bundle, or none.
    pub(crate) entity_type: u32,
    /// Its id, a run of the scratch's text.
    id: Span,
    /// Its data came with the request.
    pub(crate) present: bool,
    pub(crate) shape: u32,
    pub(crate) attrs: u32,
    pub(crate) tag_shape: u32,
    pub(crate) tags: u32,
    pub(crate) parents: Span,
    /// Sorted, without itself; filled in by `ancestors`.
    pub(crate) ancestors: Span,
    pub(crate) closing: Closing,
}

/// How far the ancestors of a guest are put together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Closing {
    Open,
    /// Some descendant of it is waiting for it.
    OnPath,
    Done,
}

/// What is known of an entity: the bundle's record or a guest.
#[derive(Clone, Copy, Debug)]
pub(crate) struct EntityData<'a> {
    pub(crate) shape: u32,
    pub(crate) attrs: u32,
    pub(crate) tag_shape: u32,
    pub(crate) tags: u32,
    pub(crate) ancestors: &'a [u32],
}

// === impl Scratch ===

impl Scratch {
    /// The id of an entity: the bundle's, or one of this request.
    pub(crate) fn entity(
        &mut self,
        t: &Tables,
        entity_type: &str,
        id: &str,
    ) -> Result<u32, TooLarge> {
        self.text_taken(entity_type.len() + id.len())?;
        self.entity_again(t, entity_type, id)
    }

    /// The id of an entity whose name's bytes have been counted.
    #[inline]
    pub(crate) fn entity_again(
        &mut self,
        t: &Tables,
        entity_type: &str,
        id: &str,
    ) -> Result<u32, TooLarge> {
        match lookup::entity(t, entity_type.as_bytes(), id.as_bytes()) {
            Some(known) => Ok(known),
            None => self.unknown_entity(t, entity_type, id),
        }
    }

    #[inline(never)]
    fn unknown_entity(&mut self, t: &Tables, entity_type: &str, id: &str) -> Result<u32, TooLarge> {
        if let Some(overlay) = &self.overlay
            && let Some(known) = overlay.entity(t, entity_type, id)
        {
            return Ok(known);
        }
        let known_type = lookup::entity_type(t, entity_type.as_bytes());
        let type_symbol = match known_type.and_then(|ty| t.types.get(ty as usize)) {
            Some(known) => known.name,
            None => self.counted_symbol(t, entity_type)?,
        };
        self.guest(t, type_symbol, known_type.unwrap_or(NONE), id)
    }

    /// The guest for an inline entity; one of its own also where the bundle knows the name.
    pub(crate) fn arrival(&mut self, t: &Tables, entity: u32, id: &str) -> Result<u32, TooLarge> {
        let named = self.overlay.as_ref().and_then(|overlay| overlay.named(entity));
        let (type_symbol, entity_type) = match (t.entities.get(entity as usize), named) {
            (Some(known), _) => {
                let ty = t.types.get(known.entity_type as usize);
                (ty.map_or(NONE, |ty| ty.name), known.entity_type)
            }
            (None, Some(named)) => (named.type_symbol, named.entity_type),
            (None, None) => return Ok(entity),
        };
        let guest = self.guest(t, type_symbol, entity_type, id)?;
        if !self.arrivals.iter().any(|(at, _)| *at == entity) {
            self.arrivals.push((entity, guest));
        }
        Ok(guest)
    }

    fn guest(
        &mut self,
        t: &Tables,
        type_symbol: u32,
        entity_type: u32,
        id: &str,
    ) -> Result<u32, TooLarge> {
        let base = bundle_len(t.entities.len());
        let hash = hash::seeded(self.secret ^ u64::from(type_symbol), id.as_bytes());
        let (guests, stored) = (&self.guests, &self.text);
        let found = self.guest_table.find(hash, |ix| {
            guests
                .get(*ix as usize)
                .is_some_and(|g| g.type_symbol == type_symbol && g.id.of(stored) == id.as_bytes())
        });
        if let Some(ix) = found {
            return Ok(base + *ix);
        }
        let ix = position(self.guests.len())?;
        let id = push_text(&mut self.text, id)?;
        self.guests.push(Guest {
            type_symbol,
            entity_type,
            id,
            present: false,
            shape: NONE,
            attrs: 0,
            tag_shape: NONE,
            tags: 0,
            parents: Span::EMPTY,
            ancestors: Span::EMPTY,
            closing: Closing::Open,
        });
        let (secret, guests, stored) = (self.secret, &self.guests, &self.text);
        self.guest_table.insert_unique(hash, ix, |ix| {
            guests
                .get(*ix as usize)
                .map_or(0, |g| hash::seeded(secret ^ u64::from(g.type_symbol), g.id.of(stored)))
        });
        Ok(base + ix)
    }

    /// What is known of an entity, if it exists for this request.
    #[inline]
    pub(crate) fn entity_data<'a>(&'a self, t: &'a Tables, entity: u32) -> Option<EntityData<'a>> {
        if self.overlay.is_some() {
            return self.overlaid_data(t, entity);
        }
        self.bundle_or_guest_data(t, entity)
    }

    /// What is known of an entity where some differ from the bundle.
    #[inline(never)]
    fn overlaid_data<'a>(&'a self, t: &'a Tables, entity: u32) -> Option<EntityData<'a>> {
        match self.overlay.as_ref().and_then(|overlay| overlay.stored(entity)) {
            Some(stored) if stored.present => Some(EntityData {
                shape: stored.shape,
                attrs: stored.attrs,
                tag_shape: stored.tag_shape,
                tags: stored.tags,
                ancestors: &stored.ancestors,
            }),
            // It was removed, so it may have come with the request.
            Some(_) => self.arrival_data(t, entity),
            None if entity >= BASE => self.arrival_data(t, entity),
            None => self.bundle_or_guest_data(t, entity),
        }
    }

    fn arrival_data<'a>(&'a self, t: &Tables, entity: u32) -> Option<EntityData<'a>> {
        let (_, guest) = self.arrivals.iter().find(|(at, _)| *at == entity)?;
        self.guest_data(t, *guest)
    }

    /// Whether an entity is stored, so that a request may not bring it.
    pub(crate) fn is_stored(&self, t: &Tables, entity: u32) -> bool {
        match self.overlay.as_ref().and_then(|overlay| overlay.stored(entity)) {
            Some(stored) => stored.present,
            None => t.entities.get(entity as usize).is_some_and(|e| e.flags & ENTITY_STORED != 0),
        }
    }

    /// Whether a stored entity stands below an entity, so that a request may not give it parents.
    pub(crate) fn is_ancestor(&self, t: &Tables, entity: u32) -> bool {
        match &self.overlay {
            Some(overlay) => overlay.is_ancestor(t, entity),
            None => {
                t.entities.get(entity as usize).is_some_and(|e| e.flags & ENTITY_IS_ANCESTOR != 0)
            }
        }
    }

    #[inline]
    fn bundle_or_guest_data<'a>(&'a self, t: &'a Tables, entity: u32) -> Option<EntityData<'a>> {
        if let Some(record) = t.entities.get(entity as usize) {
            if record.flags & ENTITY_STORED != 0 {
                let rest = t.entity_rest.get(entity as usize)?;
                return Some(EntityData {
                    shape: record.shape,
                    attrs: record.attrs,
                    tag_shape: rest.tag_shape,
                    tags: rest.tags,
                    ancestors: rest.ancestors.of(&t.ancestors),
                });
            }
            if self.arrivals.is_empty() {
                return None;
            }
            return self.arrival_data(t, entity);
        }
        self.guest_data(t, entity)
    }

    fn guest_data<'a>(&'a self, t: &Tables, entity: u32) -> Option<EntityData<'a>> {
        let guest = self.guest_of(t, entity).filter(|guest| guest.present)?;
        Some(EntityData {
            shape: guest.shape,
            attrs: guest.attrs,
            tag_shape: guest.tag_shape,
            tags: guest.tags,
            ancestors: guest.ancestors.of(&self.ancestors),
        })
    }

    pub(crate) fn guest_of(&self, t: &Tables, entity: u32) -> Option<&Guest> {
        self.guests.get((entity as usize).checked_sub(t.entities.len())?)
    }

    pub(crate) fn guest_mut(&mut self, t: &Tables, entity: u32) -> Option<&mut Guest> {
        self.guests.get_mut((entity as usize).checked_sub(t.entities.len())?)
    }

    /// The bundle's type of an entity, or none when the bundle does not name it.
    #[inline]
    pub(crate) fn entity_type(&self, t: &Tables, entity: u32) -> u32 {
        match t.entities.get(entity as usize) {
            Some(record) => record.entity_type,
            None => match self.named(entity) {
                Some(named) => named.entity_type,
                None => self.guest_of(t, entity).map_or(NONE, |guest| guest.entity_type),
            },
        }
    }

    /// Type name and id of an entity, for messages.
    pub(crate) fn entity_name<'a>(&'a self, t: &'a Tables, entity: u32) -> (&'a [u8], &'a [u8]) {
        match t.entities.get(entity as usize) {
            Some(record) => {
                let name = t.types.get(record.entity_type as usize).map_or(NONE, |ty| ty.name);
                (lookup::symbol_text(t, name), record.id.of(&t.entity_text))
            }
            None => match self.named(entity) {
                Some(named) => (self.symbol_text(t, named.type_symbol), named.id.as_bytes()),
                None => self.guest_of(t, entity).map_or((&[], &[]), |guest| {
                    (self.symbol_text(t, guest.type_symbol), guest.id.of(&self.text))
                }),
            },
        }
    }

    /// The name of an entity of the overlay that the bundle does not name.
    fn named(&self, entity: u32) -> Option<&Named> {
        self.overlay.as_ref().and_then(|overlay| overlay.named(entity))
    }
}
