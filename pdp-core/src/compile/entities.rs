//! The store as tables: attributes by shape, ancestors closed.
//!
//! The closure visits each entity once, parents first, without recursion: linear in the number of ancestors there are,
//! where Cedar's loader is quadratic in the depth.

use std::collections::BTreeMap;

use super::Failure;
use super::build::Builder;
use super::lower;
use crate::codes::{self, Diagnostic};
use crate::ids::{TooMany, next_id};
use crate::program::{ChildCount, ENTITY_IS_ANCESTOR, ENTITY_STORED, Val};
use crate::source::tree::{EntityTree, Exprs, Ix};

/// The most ancestors that all entities together may have: 1 GiB of them.
const ANCESTORS_MAX: usize = 1 << 28;

/// Adds the store.
pub(super) fn add(builder: &mut Builder, entities: &[EntityTree]) -> Result<(), Failure> {
    let ids = entities
        .iter()
        .map(|entity| builder.entity(&entity.name))
        .collect::<Result<Vec<_>, _>>()?;
    let mut children: BTreeMap<u32, u32> = BTreeMap::new();
    let closed = close(builder, entities, &ids)?;
    for ((entity, id), ancestors) in entities.iter().zip(ids).zip(closed) {
        let mut parents = Vec::with_capacity(entity.parents.len());
        for parent in &entity.parents {
            parents.push(builder.entity(parent)?);
        }
        parents.sort_unstable();
        parents.dedup();
        for parent in &parents {
            *children.entry(*parent).or_default() += 1;
        }
        for ancestor in &ancestors {
            if let Some(record) = builder.tables.entities.get_mut(*ancestor as usize) {
                record.flags |= ENTITY_IS_ANCESTOR;
            }
        }
        let ancestors = builder.ancestors(&ancestors, &parents)?;
        let (shape, attrs) = fields(builder, &entity.values, &entity.attrs)?;
        let (tag_shape, tags) = fields(builder, &entity.values, &entity.tags)?;
        if let Some(record) = builder.tables.entities.get_mut(id as usize) {
            record.flags |= ENTITY_STORED;
            (record.shape, record.attrs) = (shape, attrs);
        }
        if let Some(rest) = builder.tables.entity_rest.get_mut(id as usize) {
            rest.ancestors = ancestors;
            (rest.tag_shape, rest.tags) = (tag_shape, tags);
        }
    }
    let counts = children.into_iter().map(|(entity, count)| ChildCount { entity, count });
    builder.tables.child_counts = counts.collect();
    Ok(())
}

fn fields(
    builder: &mut Builder,
    values: &Exprs,
    pairs: &[(String, Ix)],
) -> Result<(u32, u32), Failure> {
    let mut fields: Vec<(u32, Val)> = Vec::with_capacity(pairs.len());
    for (key, ix) in pairs {
        let val = lower::fold(builder, values, *ix)?.ok_or_else(|| {
            Failure::from(format!("attribute `{key}` of an entity is not a value"))
        })?;
        fields.push((builder.symbol(key)?, val));
    }
    fields.sort_by_key(|(key, _)| *key);
    let (keys, vals): (Vec<u32>, Vec<Val>) = fields.into_iter().unzip();
    Ok((builder.shape(&keys)?, builder.vals(&vals)?))
}

/// All ancestors of each entity, sorted, in the order of `entities`.
fn close(
    builder: &mut Builder,
    entities: &[EntityTree],
    ids: &[u32],
) -> Result<Vec<Vec<u32>>, Failure> {
    let mut parents: Vec<Vec<u32>> = Vec::with_capacity(entities.len());
    for entity in entities {
        let of = entity
            .parents
            .iter()
            .map(|parent| builder.entity(parent))
            .collect::<Result<Vec<_>, TooMany>>()?;
        parents.push(of);
    }
    // Entity id → position in `entities`, for those that are stored.
    let mut position = vec![usize::MAX; builder.tables.entities.len()];
    for (at, id) in ids.iter().enumerate() {
        if let Some(slot) = position.get_mut(*id as usize) {
            *slot = at;
        }
    }
    let stored = |id: &u32| position.get(*id as usize).copied().filter(|at| *at != usize::MAX);
    let mut closed: Vec<Option<Vec<u32>>> = vec![None; entities.len()];
    let mut on_path = vec![false; entities.len()];
    let mut total = 0usize;
    for root in 0..entities.len() {
        let mut path = vec![(root, 0usize)];
        while let Some((at, next)) = path.pop() {
            if closed.get(at).is_some_and(Option::is_some) {
                continue;
            }
            let own = parents.get(at).map_or(&[][..], Vec::as_slice);
            let open = own.iter().enumerate().skip(next).find_map(|(nth, parent)| {
                let parent = stored(parent)?;
                closed.get(parent).is_some_and(Option::is_none).then_some((nth, parent))
            });
            if let Some((nth, parent)) = open {
                if parent == at || on_path.get(parent).copied().unwrap_or(false) {
                    return Err(cycle(entities, parent));
                }
                if let Some(mark) = on_path.get_mut(at) {
                    *mark = true;
                }
                path.push((at, nth));
                path.push((parent, 0));
                continue;
            }
            let mut all: Vec<u32> = own.to_vec();
            for parent in own.iter().filter_map(stored) {
                all.extend(closed.get(parent).into_iter().flatten().flatten());
            }
            all.sort_unstable();
            all.dedup();
            total += all.len();
            if total > ANCESTORS_MAX {
                let message =
                    format!("the entities have more than {ANCESTORS_MAX} ancestors together");
                let item =
                    Diagnostic::new(codes::CAPACITY, message).help("make the hierarchy flatter");
                return Err(Failure::Other(Box::new(item)));
            }
            if let (Some(slot), Some(mark)) = (closed.get_mut(at), on_path.get_mut(at)) {
                *slot = Some(all);
                *mark = false;
            }
        }
    }
    next_id(total)?;
    Ok(closed.into_iter().map(Option::unwrap_or_default).collect())
}

fn cycle(entities: &[EntityTree], at: usize) -> Failure {
    let name = entities.get(at).map_or(String::new(), |entity| entity.name.to_string());
    let item = Diagnostic::new(codes::ENTITY_CYCLE, format!("entity {name} is its own ancestor"));
    Failure::Other(Box::new(item.help("remove one of the `parents` on the way round")))
}
