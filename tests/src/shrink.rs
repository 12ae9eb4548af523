//! Makes a failing world small: whatever can go without the failure going goes.
//!
//! It knows nothing of what failed. The caller says whether a smaller world still fails; a world that nobody can read should
//! count as one that does not.

mod operands;

use crate::world::{Link, Request, World};
use serde_json::Value as Json;

/// A world without whatever could be taken away while `still_fails` says yes to the rest.
///
/// Requests, policies, links, entities, inline entities, clauses, operands of `&&` and `||`, annotations, attributes, parents,
/// tags and context fields are taken away, many at once first, then one at a time, until nothing more can go. The schema is given up when the
/// failure does not need it. Policies keep their order; as ids are positions, those after a removed one change.
pub fn shrink(world: World, mut still_fails: impl FnMut(&World) -> bool) -> World {
    let mut best = world;
    loop {
        let before = size(&best);
        shrink_list(&mut best, &mut still_fails, |world| world.requests.len(), without_request);
        shrink_list(&mut best, &mut still_fails, |world| world.policies.len(), without_policy);
        shrink_list(&mut best, &mut still_fails, |world| world.links.len(), without_link);
        shrink_list(&mut best, &mut still_fails, |world| world.entities.len(), without_entity);
        shrink_list(&mut best, &mut still_fails, lines, without_line);
        shrink_operands(&mut best, &mut still_fails);
        shrink_parts(&mut best, &mut still_fails);
        try_replacing(&mut best, &mut still_fails, |world| {
            world.schema = None;
            for request in &mut world.requests {
                request.validate = false;
            }
        });
        if size(&best) >= before {
            return best;
        }
    }
}

/// Something that every step which takes anything away makes smaller.
fn size(world: &World) -> usize {
    world.to_json().to_string().len()
}

/// Keeps the change that `change` makes, if the world still fails with it.
fn try_replacing(
    best: &mut World,
    still_fails: &mut impl FnMut(&World) -> bool,
    change: impl FnOnce(&mut World),
) -> bool {
    let mut candidate = best.clone();
    change(&mut candidate);
    let smaller = candidate != *best && still_fails(&candidate);
    if smaller {
        *best = candidate;
    }
    smaller
}

/// Takes away stretches of a list, half of it first, single items last.
fn shrink_list(
    best: &mut World,
    still_fails: &mut impl FnMut(&World) -> bool,
    count: impl Fn(&World) -> usize,
    without: impl Fn(&mut World, usize),
) {
    let mut stretch = count(best).div_ceil(2);
    while stretch > 0 {
        // From the end, so that the positions still to be tried do not move.
        let mut end = count(best);
        while end > 0 {
            let start = end.saturating_sub(stretch);
            try_replacing(best, still_fails, |world| {
                for at in (start..end).rev() {
                    without(world, at);
                }
            });
            end = start.min(count(best));
        }
        stretch /= 2;
    }
}

fn without_request(world: &mut World, at: usize) {
    remove(&mut world.requests, at);
}

fn without_entity(world: &mut World, at: usize) {
    remove(&mut world.entities, at);
}

fn without_link(world: &mut World, at: usize) {
    remove(&mut world.links, at);
}

/// Takes a policy away; links to it go too, and links to later ones follow their templates.
fn without_policy(world: &mut World, at: usize) {
    remove(&mut world.policies, at);
    let gone = World::policy_id(at);
    world.links.retain(|link| link.template_id != gone);
    for link in &mut world.links {
        follow_template(link, at);
    }
}

fn follow_template(link: &mut Link, removed: usize) {
    let position =
        link.template_id.strip_prefix("policy").and_then(|position| position.parse::<usize>().ok());
    if let Some(position) = position.filter(|position| *position > removed) {
        link.template_id = World::policy_id(position - 1);
    }
}

/// The number of lines of all policies: a generated policy has one per annotation and clause.
fn lines(world: &World) -> usize {
    world.policies.iter().map(|policy| policy.lines().count()).sum()
}

/// Takes a line out of the policies, counted over all of them.
fn without_line(world: &mut World, at: usize) {
    let mut before = 0;
    for policy in &mut world.policies {
        let count = policy.lines().count();
        if let Some(own) = at.checked_sub(before).filter(|own| *own < count) {
            let mut lines: Vec<&str> = policy.lines().collect();
            remove(&mut lines, own);
            let mut text = lines.join("\n");
            if !text.trim_end().ends_with(';') {
                text.push(';');
            }
            *policy = text;
            return;
        }
        before += count;
    }
}

/// Takes operands of `&&` and `||` out of the policies.
fn shrink_operands(best: &mut World, still_fails: &mut impl FnMut(&World) -> bool) {
    for at in 0..best.policies.len() {
        let mut shorter = true;
        while shorter {
            let candidates =
                best.policies.get(at).map_or_else(Vec::new, |policy| operands::without_one(policy));
            shorter = candidates.into_iter().any(|candidate| {
                try_replacing(best, still_fails, |world| {
                    if let Some(policy) = world.policies.get_mut(at) {
                        *policy = candidate;
                    }
                })
            });
        }
    }
}

/// Takes away what requests and entities hold.
fn shrink_parts(best: &mut World, still_fails: &mut impl FnMut(&World) -> bool) {
    for at in 0..best.requests.len() {
        let of = move |world: &World| {
            world.requests.get(at).map_or(0, |request| request.inline_entities.len())
        };
        shrink_list(best, still_fails, of, move |world, inline| {
            if let Some(request) = world.requests.get_mut(at) {
                remove(&mut request.inline_entities, inline);
            }
        });
        shrink_object(best, still_fails, move |world| context_mut(world, at));
        for inline in 0..best.requests.get(at).map_or(0, |request| request.inline_entities.len()) {
            shrink_entity(best, still_fails, move |world| {
                world.requests.get_mut(at)?.inline_entities.get_mut(inline)
            });
        }
    }
    for at in 0..best.entities.len() {
        shrink_entity(best, still_fails, move |world| world.entities.get_mut(at));
    }
}

fn context_mut(world: &mut World, at: usize) -> Option<&mut Json> {
    world.requests.get_mut(at).map(|Request { context, .. }| context)
}

fn shrink_entity(
    best: &mut World,
    still_fails: &mut impl FnMut(&World) -> bool,
    entity: impl Fn(&mut World) -> Option<&mut Json> + Copy,
) {
    shrink_object(best, still_fails, move |world| entity(world)?.get_mut("attrs"));
    shrink_object(best, still_fails, move |world| entity(world)?.get_mut("tags"));
    let parents = move |world: &mut World| -> Option<usize> {
        Some(entity(world)?.get("parents")?.as_array()?.len())
    };
    for at in (0..parents(&mut best.clone()).unwrap_or(0)).rev() {
        try_replacing(best, still_fails, |world| {
            if let Some(parents) = entity(world)
                .and_then(|entity| entity.get_mut("parents"))
                .and_then(Json::as_array_mut)
            {
                remove(parents, at);
            }
        });
    }
}

/// Takes the keys of a JSON object away, one at a time.
fn shrink_object(
    best: &mut World,
    still_fails: &mut impl FnMut(&World) -> bool,
    object: impl Fn(&mut World) -> Option<&mut Json>,
) {
    let keys: Vec<String> = object(&mut best.clone())
        .and_then(|object| object.as_object())
        .map(|object| object.keys().cloned().collect())
        .unwrap_or_default();
    for key in keys {
        try_replacing(best, still_fails, |world| {
            if let Some(object) = object(world).and_then(Json::as_object_mut) {
                object.remove(&key);
            }
        });
    }
}

fn remove<T>(list: &mut Vec<T>, at: usize) {
    if at < list.len() {
        list.remove(at);
    }
}
