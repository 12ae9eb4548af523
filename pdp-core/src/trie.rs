//! A map from `u32` that is cheap to copy and to change a little: copies share all that neither of them changed.
//!
//! A trie of the key's bits, four a level, lowest first, so that numbers given out one after the other spread evenly.
//! Looking up and changing touch one node a level, at most eight; changing copies those that a copy shares, and wider
//! nodes would make that dearer. Not for maps that live in one place: those are faster flat.

use std::sync::Arc;

/// Bits of the key that a level looks at.
const BITS: u32 = 4;
/// Branches of a node.
const BRANCHES: u32 = 1 << BITS;

/// A map from `u32` to `T`. A clone costs one count.
#[derive(Clone, Debug)]
pub(crate) struct Trie<T> {
    root: Arc<Node<T>>,
    len: usize,
}

#[derive(Clone, Debug)]
struct Node<T> {
    /// Which branches there are, a bit each; `slots` holds those, in order.
    branches: u32,
    slots: Vec<Slot<T>>,
}

#[derive(Clone, Debug)]
enum Slot<T> {
    Leaf(u32, T),
    Node(Arc<Node<T>>),
}

impl<T> Default for Trie<T> {
    fn default() -> Self {
        Self { root: Arc::new(Node::EMPTY), len: 0 }
    }
}

// === impl Trie ===

impl<T: Clone> Trie<T> {
    /// How many keys there are.
    pub(crate) fn len(&self) -> usize {
        self.len
    }

    /// What stands under a key.
    #[inline]
    pub(crate) fn get(&self, key: u32) -> Option<&T> {
        let (mut node, mut rest) = (&*self.root, key);
        loop {
            match node.slots.get(node.place(rest)?)? {
                Slot::Leaf(at, value) => return (*at == key).then_some(value),
                Slot::Node(below) => (node, rest) = (below, rest >> BITS),
            }
        }
    }

    /// Puts a value under a key, in place of what was there.
    pub(crate) fn insert(&mut self, key: u32, value: T) {
        self.len += usize::from(Arc::make_mut(&mut self.root).insert(0, key, value));
    }

    /// Takes a key out, if it is there.
    pub(crate) fn remove(&mut self, key: u32) {
        if self.get(key).is_some() {
            Arc::make_mut(&mut self.root).remove(0, key);
            self.len -= 1;
        }
    }

    /// Hands every key and value to `visit`, in no order that means anything.
    pub(crate) fn each(&self, mut visit: impl FnMut(u32, &T)) {
        self.root.each(&mut visit);
    }
}

// === impl Node ===

impl<T> Node<T> {
    const EMPTY: Self = Self { branches: 0, slots: Vec::new() };

    /// Where the branch for the low bits of `rest` stands.
    #[inline]
    fn place(&self, rest: u32) -> Option<usize> {
        let bit = 1 << (rest % BRANCHES);
        (self.branches & bit != 0).then(|| (self.branches & (bit - 1)).count_ones() as usize)
    }
}

impl<T: Clone> Node<T> {
    /// Whether the key is new. The depth of the recursion is that of the trie.
    fn insert(&mut self, depth: u32, key: u32, value: T) -> bool {
        let rest = key >> (depth * BITS);
        let Some(place) = self.place(rest) else {
            let bit = 1 << (rest % BRANCHES);
            let place = (self.branches & (bit - 1)).count_ones() as usize;
            self.branches |= bit;
            self.slots.insert(place, Slot::Leaf(key, value));
            return true;
        };
        let Some(slot) = self.slots.get_mut(place) else { return false };
        match slot {
            Slot::Leaf(at, old) if *at == key => {
                *old = value;
                false
            }
            Slot::Node(below) => Arc::make_mut(below).insert(depth + 1, key, value),
            Slot::Leaf(at, old) => {
                // Two different keys part at the last level at the latest.
                let mut below = Self::EMPTY;
                below.insert(depth + 1, *at, old.clone());
                below.insert(depth + 1, key, value);
                *slot = Slot::Node(Arc::new(below));
                true
            }
        }
    }

    fn remove(&mut self, depth: u32, key: u32) {
        let rest = key >> (depth * BITS);
        let Some(place) = self.place(rest) else { return };
        if let Some(Slot::Node(below)) = self.slots.get_mut(place) {
            return Arc::make_mut(below).remove(depth + 1, key);
        }
        self.branches &= !(1 << (rest % BRANCHES));
        self.slots.remove(place);
    }

    fn each(&self, visit: &mut impl FnMut(u32, &T)) {
        for slot in &self.slots {
            match slot {
                Slot::Leaf(key, value) => visit(*key, value),
                Slot::Node(below) => below.each(visit),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    #[test]
    fn it_is_a_map_and_its_copies_stay_as_they_were() {
        let (mut trie, mut map) = (Trie::default(), BTreeMap::new());
        let mut kept = Vec::new();
        let mut state = 1u32;
        for step in 0..20_000u32 {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            // Keys that lie close, and keys that part at the last level only.
            let key = ((state >> 16) % 500) | ((state & 1) << 31);
            if state & 6 == 0 {
                trie.remove(key);
                map.remove(&key);
            } else {
                trie.insert(key, step);
                map.insert(key, step);
            }
            if step % 1_000 == 0 {
                kept.push((trie.clone(), map.clone()));
            }
        }
        kept.push((trie, map));
        for (trie, map) in kept {
            let mut all = BTreeMap::new();
            trie.each(|key, value| _ = all.insert(key, *value));
            assert_eq!(all, map);
            assert_eq!(trie.len(), map.len());
            assert!((0..500).all(|key| trie.get(key) == map.get(&key)));
        }
    }
}
