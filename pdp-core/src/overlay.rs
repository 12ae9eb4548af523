//! What changed about a bundle's entities since it was built: new ones, changed ones, removed ones.
//!
//! An [`Overlay`] never changes; the next one is made from it and shares all but what is new (`trie`), so a change
//! costs the same after ten thousand others. Its ids lie above those of any bundle and any request: strings, entities,
//! values and shapes are found by where their number lies, bundle, request or overlay, and a name has one number only,
//! the bundle's first. An entity that the bundle names keeps its number; what is known of it stands here instead.
//! Ancestors are closed when a change is made (`change`), so that deciding only looks up.
//! Numbers are not used again: what was replaced is let go, its number and its strings are not. Rebuilding the bundle
//! begins anew, and [`OverlaySize`] tells when.

mod change;

use std::hash::{BuildHasher, RandomState};
use std::sync::{Arc, OnceLock};

use crate::hash;
use crate::ids::NONE;
use crate::lookup;
use crate::program::{ENTITY_IS_ANCESTOR, ENTITY_STORED, Ip6, Span, Tables, Val};
use crate::trie::Trie;
use crate::values::Values;

/// Where the overlay's ids begin. Bundles that have an overlay hold less than a quarter of the range, and a request
/// never counts past half of it (`scratch::position`), so neither reaches up to here.
pub(crate) const BASE: u32 = 3 << 30;
/// The longest that tables of a bundle with an overlay may be.
const TABLE_MAX: usize = 1 << 30;
/// Values of one page: a run of values takes whole pages.
const PAGE_VALS: u32 = 64;

pub(crate) use change::apply;
pub use change::{ChangeError, EntityChange};

/// How much an overlay holds, for its owner to see when building the bundle anew pays.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct OverlaySize {
    /// Entities that differ from the bundle: added, changed, removed, or moved with an ancestor.
    pub entities: u64,
    /// Values that were given to them since the bundle was built, those since replaced included.
    pub values: u64,
    /// Bytes of names and strings that the bundle does not hold, those no longer used included.
    pub text_bytes: u64,
    /// Ancestors of the entities that differ.
    pub ancestors: u64,
}

/// Entities that differ from the bundle's.
#[derive(Clone, Debug)]
pub(crate) struct Overlay {
    secret: u64,
    /// The bundle's hierarchy, downwards, once somebody needs it.
    children: Arc<OnceLock<Children>>,
    /// For each entity, how many of its children in the bundle the overlay says something of.
    taken_over: Trie<u32>,
    /// For each entity, the entities of the overlay that name it as a parent.
    below: Trie<Trie<()>>,
    /// What is known of entities instead of what the bundle says, by their numbers.
    stored: Trie<Arc<Stored>>,
    names: Trie<Arc<Named>>,
    name_buckets: Trie<Arc<[u32]>>,
    symbols: Trie<Arc<str>>,
    symbol_buckets: Trie<Arc<[u32]>>,
    pages: Trie<(Arc<[Val]>, u32)>,
    next_page: u32,
    shapes: Trie<Arc<[u32]>>,
    shape_buckets: Trie<Arc<[u32]>>,
    ip6: Trie<Ip6>,
    size: OverlaySize,
}

/// What is known of an entity.
#[derive(Clone, Debug)]
pub(crate) struct Stored {
    /// It is there; else it was removed.
    pub(crate) present: bool,
    pub(crate) shape: u32,
    pub(crate) attrs: u32,
    pub(crate) tag_shape: u32,
    pub(crate) tags: u32,
    /// Direct parents, sorted.
    pub(crate) parents: Vec<u32>,
    /// All ancestors, sorted, without itself.
    pub(crate) ancestors: Vec<u32>,
}

/// An entity that the bundle does not name.
#[derive(Debug)]
pub(crate) struct Named {
    /// Symbol of its type's name.
    pub(crate) type_symbol: u32,
    /// Its type in the bundle, or none.
    pub(crate) entity_type: u32,
    pub(crate) id: Box<str>,
}

/// For each entity of a bundle, the stored entities that name it as a parent.
#[derive(Debug)]
pub(crate) struct Children {
    /// Where each one's run of `items` ends.
    ends: Vec<u32>,
    items: Vec<u32>,
}

/// The numbers of an overlay are used up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct UsedUp;

// === impl Overlay ===

impl Overlay {
    /// Nothing changed yet.
    fn new(t: &Tables) -> Result<Self, UsedUp> {
        let longest = [t.entities.len(), t.symbol_ends.len(), t.vals.len(), t.shapes.len()];
        if longest.into_iter().chain([t.ip6.len()]).any(|len| len > TABLE_MAX) {
            return Err(UsedUp);
        }
        Ok(Self {
            secret: RandomState::new().hash_one(0u8),
            children: Arc::default(),
            taken_over: Trie::default(),
            below: Trie::default(),
            stored: Trie::default(),
            names: Trie::default(),
            name_buckets: Trie::default(),
            symbols: Trie::default(),
            symbol_buckets: Trie::default(),
            pages: Trie::default(),
            next_page: 0,
            shapes: Trie::default(),
            shape_buckets: Trie::default(),
            ip6: Trie::default(),
            size: OverlaySize::default(),
        })
    }

    pub(crate) fn size(&self) -> OverlaySize {
        self.size
    }

    /// What is known of an entity instead of what the bundle says.
    #[inline]
    pub(crate) fn stored(&self, entity: u32) -> Option<&Stored> {
        self.stored.get(entity).map(|stored| &**stored)
    }

    /// Whether any stored entity has this one as its ancestor.
    pub(crate) fn is_ancestor(&self, t: &Tables, entity: u32) -> bool {
        if self.below.get(entity).is_some_and(|below| below.len() > 0) {
            return true;
        }
        let counts = &t.child_counts;
        let at = counts.binary_search_by_key(&entity, |count| count.entity).ok();
        let count = at.and_then(|at| counts.get(at)).map_or(0, |count| count.count);
        count > self.taken_over.get(entity).copied().unwrap_or(0)
    }

    /// Hands those that name an entity as a parent to `visit`. The first time that the bundle says so of any, it takes
    /// one pass over the bundle's entities.
    fn each_child(&self, t: &Tables, entity: u32, mut visit: impl FnMut(u32)) {
        let record = t.entities.get(entity as usize);
        if record.is_some_and(|record| record.flags & ENTITY_IS_ANCESTOR != 0) {
            let children = self.children.get_or_init(|| Children::of(t));
            // Of what the overlay knows, it knows the parents, too.
            let unchanged = children.of_entity(entity).iter().copied();
            unchanged.filter(|child| self.stored.get(*child).is_none()).for_each(&mut visit);
        }
        if let Some(below) = self.below.get(entity) {
            below.each(|child, ()| visit(child));
        }
    }

    // === names ===

    /// The name of an entity that the bundle does not name.
    #[inline]
    pub(crate) fn named(&self, entity: u32) -> Option<&Named> {
        self.names.get(entity.checked_sub(BASE)?).map(|named| &**named)
    }

    /// The number of an entity that the bundle does not name.
    pub(crate) fn entity(&self, t: &Tables, entity_type: &str, id: &str) -> Option<u32> {
        let bucket = self.name_buckets.get(self.uid_hash(entity_type, id))?;
        bucket.iter().copied().find(|entity| {
            self.named(*entity).is_some_and(|named| {
                *named.id == *id && self.symbol_text(t, named.type_symbol) == entity_type.as_bytes()
            })
        })
    }

    /// The number of a string that the bundle does not hold.
    pub(crate) fn symbol(&self, text: &str) -> Option<u32> {
        let bucket = self.symbol_buckets.get(self.hash(text.as_bytes()))?;
        let is = |symbol: &u32| {
            symbol
                .checked_sub(BASE)
                .and_then(|ix| self.symbols.get(ix))
                .is_some_and(|s| **s == *text)
        };
        bucket.iter().copied().find(is)
    }

    /// The bytes of a string of overlay or bundle.
    pub(crate) fn symbol_text<'a>(&'a self, t: &'a Tables, symbol: u32) -> &'a [u8] {
        match symbol.checked_sub(BASE) {
            None => lookup::symbol_text(t, symbol),
            Some(ix) => self.symbols.get(ix).map_or(&[], |text| text.as_bytes()),
        }
    }

    /// The number of an entity, if it has one.
    fn known(&self, t: &Tables, entity_type: &str, id: &str) -> Option<u32> {
        lookup::entity(t, entity_type.as_bytes(), id.as_bytes())
            .or_else(|| self.entity(t, entity_type, id))
    }

    /// The number of an entity, a new one if it has none yet.
    fn entity_or_new(&mut self, t: &Tables, entity_type: &str, id: &str) -> Result<u32, UsedUp> {
        if let Some(known) = self.known(t, entity_type, id) {
            return Ok(known);
        }
        let known_type = lookup::entity_type(t, entity_type.as_bytes());
        let type_symbol = match known_type.and_then(|ty| t.types.get(ty as usize)) {
            Some(known) => known.name,
            None => self.symbol_or_new(t, entity_type)?,
        };
        let ix = next(self.names.len())?;
        let entity_type_ix = known_type.unwrap_or(NONE);
        let named = Named { type_symbol, entity_type: entity_type_ix, id: id.into() };
        self.names.insert(ix, Arc::new(named));
        let hash = self.uid_hash(entity_type, id);
        add(&mut self.name_buckets, hash, BASE + ix);
        self.size.text_bytes += id.len() as u64;
        Ok(BASE + ix)
    }

    /// The number of a string, a new one if it has none yet.
    fn symbol_or_new(&mut self, t: &Tables, text: &str) -> Result<u32, UsedUp> {
        if let Some(known) = lookup::symbol(t, text.as_bytes()).or_else(|| self.symbol(text)) {
            return Ok(known);
        }
        let ix = next(self.symbols.len())?;
        self.symbols.insert(ix, text.into());
        let hash = self.hash(text.as_bytes());
        add(&mut self.symbol_buckets, hash, BASE + ix);
        self.size.text_bytes += text.len() as u64;
        Ok(BASE + ix)
    }

    fn hash(&self, text: &[u8]) -> u32 {
        fold(hash::seeded(self.secret, text))
    }

    fn uid_hash(&self, entity_type: &str, id: &str) -> u32 {
        fold(hash::seeded(hash::seeded(self.secret, entity_type.as_bytes()), id.as_bytes()))
    }

    // === values ===

    /// A run of the overlay's values, given where it starts.
    pub(crate) fn run(&self, start: u32, len: u32) -> &[Val] {
        let Some(at) = start.checked_sub(BASE) else { return &[] };
        let Some((vals, from)) = self.pages.get(at / PAGE_VALS) else { return &[] };
        Span { start: from + at % PAGE_VALS, len }.of(vals)
    }

    /// The keys of a shape of the overlay.
    pub(crate) fn keys(&self, shape: u32) -> &[u32] {
        shape.checked_sub(BASE).and_then(|ix| self.shapes.get(ix)).map_or(&[], |keys| keys)
    }

    /// An IPv6 address of the overlay.
    pub(crate) fn ip6(&self, at: u32) -> Option<&Ip6> {
        self.ip6.get(at.checked_sub(BASE)?)
    }

    fn push_run(&mut self, vals: &[Val]) -> Result<u32, UsedUp> {
        if vals.is_empty() {
            return Ok(BASE);
        }
        let start = self.next_page;
        let pages = u32::try_from(vals.len()).map_err(|_| UsedUp)?.div_ceil(PAGE_VALS);
        self.next_page =
            start.checked_add(pages).filter(|end| *end < (1 << 30) / PAGE_VALS).ok_or(UsedUp)?;
        let vals: Arc<[Val]> = vals.into();
        for page in 0..pages {
            self.pages.insert(start + page, (Arc::clone(&vals), page * PAGE_VALS));
        }
        self.size.values += vals.len() as u64;
        Ok(BASE + start * PAGE_VALS)
    }

    /// Lets go the pages of a run that nothing refers to any more.
    fn free_run(&mut self, start: u32, len: u32) {
        let Some(at) = start.checked_sub(BASE) else { return };
        for page in 0..len.div_ceil(PAGE_VALS) {
            self.pages.remove(at / PAGE_VALS + page);
        }
    }

    fn push_ip6(&mut self, ip: Ip6) -> Result<u32, UsedUp> {
        let ix = next(self.ip6.len())?;
        self.ip6.insert(ix, ip);
        Ok(BASE + ix)
    }

    /// A set of keys that records have in common. `keys` is sorted.
    fn shape(&mut self, keys: &[u32]) -> Result<u32, UsedUp> {
        let hash = keys.iter().fold(self.secret, |hash, key| hash::value(hash, 0, (*key).into()));
        let hash = fold(hash);
        let known = self
            .shape_buckets
            .get(hash)
            .and_then(|bucket| bucket.iter().copied().find(|shape| self.keys(*shape) == keys));
        if let Some(known) = known {
            return Ok(known);
        }
        let ix = next(self.shapes.len())?;
        self.shapes.insert(ix, keys.into());
        add(&mut self.shape_buckets, hash, BASE + ix);
        Ok(BASE + ix)
    }

    /// Values of bundle and overlay, seen as one.
    fn values<'a>(&'a self, t: &'a Tables) -> Values<'a> {
        Values { overlay: Some(self), ..Values::of_bundle(t) }
    }
}

/// The next of so many numbers.
fn next(len: usize) -> Result<u32, UsedUp> {
    u32::try_from(len).ok().filter(|ix| *ix < NONE - BASE).ok_or(UsedUp)
}

fn add(buckets: &mut Trie<Arc<[u32]>>, hash: u32, item: u32) {
    let bucket = buckets.get(hash).map_or(&[][..], |bucket| bucket);
    let bucket = bucket.iter().copied().chain([item]).collect();
    buckets.insert(hash, bucket);
}

#[expect(clippy::cast_possible_truncation, reason = "folding keeps both halves")]
fn fold(hash: u64) -> u32 {
    (hash as u32) ^ ((hash >> 32) as u32)
}

// === impl Children ===

impl Children {
    fn of(t: &Tables) -> Self {
        let stored = || (0u32..).zip(&t.entities).filter(|(_, e)| e.flags & ENTITY_STORED != 0);
        let mut ends = vec![0u32; t.entities.len()];
        for (entity, _) in stored() {
            for parent in parents(t, entity) {
                if let Some(end) = ends.get_mut(parent as usize) {
                    *end += 1;
                }
            }
        }
        let mut total = 0u32;
        for end in &mut ends {
            // First where each begins; filling moves it to where it ends.
            (*end, total) = (total, total.saturating_add(*end));
        }
        let mut items = vec![NONE; total as usize];
        for (entity, _) in stored() {
            for parent in parents(t, entity) {
                let Some(end) = ends.get_mut(parent as usize) else { continue };
                if let Some(item) = items.get_mut(*end as usize) {
                    *item = entity;
                }
                *end = end.saturating_add(1);
            }
        }
        Self { ends, items }
    }

    /// Those directly below an entity, as the bundle says.
    pub(crate) fn of_entity(&self, entity: u32) -> &[u32] {
        let Some(end) = self.ends.get(entity as usize).copied() else { return &[] };
        let start = match entity.checked_sub(1) {
            Some(before) => self.ends.get(before as usize).copied().unwrap_or(end),
            None => 0,
        };
        self.items.get(start as usize..end as usize).unwrap_or_default()
    }
}

/// Of an entity's ancestors in the bundle, those that were named as parents.
fn parents(t: &Tables, entity: u32) -> impl Iterator<Item = u32> {
    let ancestors = t.entity_rest.get(entity as usize).map_or(Span::EMPTY, |rest| rest.ancestors);
    ancestors.range().zip(ancestors.of(&t.ancestors)).filter_map(|(at, ancestor)| {
        let word = t.parent_marks.get(at / 32).copied().unwrap_or(0);
        (word >> (at % 32) & 1 == 1).then_some(*ancestor)
    })
}
