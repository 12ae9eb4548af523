//! A past for a world's entities: another store, and the changes that lead from it to the world's own.
//!
//! Whatever an engine does with the changes, afterwards it must answer as if it had known the world's entities all along.
//! The past is drawn from the entities themselves, so that a world that is made smaller keeps the past of what is left.

use std::hash::{DefaultHasher, Hash, Hasher};

use serde_json::{Value, json};

use crate::rng::Rng;
use crate::world::World;

/// A change of one entity.
#[derive(Debug, Clone, PartialEq)]
pub enum Change {
    /// The entity as it is from then on, as entity JSON.
    Upsert(Value),
    /// The type and id of an entity that is no longer stored.
    Remove(String, String),
}

/// Another store, and what has to happen to it.
#[derive(Debug, Clone, PartialEq)]
pub struct History {
    /// The entities in the beginning, as entity JSON.
    pub before: Vec<Value>,
    /// The changes, in their order.
    pub changes: Vec<Change>,
}

// === impl History ===

impl History {
    /// A past of the world's entities.
    pub fn of(world: &World) -> Self {
        let mut history = Self { before: Vec::new(), changes: Vec::new() };
        for (at, entity) in world.entities.iter().enumerate() {
            let mut rng = drawn_for(entity);
            // Only an entity earlier in the list, so that the hierarchy has no cycle at any time.
            let others: Vec<&Value> = world.entities[..at]
                .iter()
                .filter(|other| other["uid"]["type"] == entity["uid"]["type"])
                .collect();
            let other = rng.pick_maybe(&others).map_or(entity, |other| *other);
            let kind = if is_action(entity) && world.schema.is_some() { 0 } else { rng.below(100) };
            let (attrs, parents) = match kind {
                0..35 => {
                    history.before.push(entity.clone());
                    continue;
                }
                35..55 => {
                    history.changes.push(Change::Upsert(entity.clone()));
                    continue;
                }
                55..65 => (entity, None),
                65..75 => (other, Some(entity)),
                75..85 => (entity, Some(other)),
                _ => (other, Some(other)),
            };
            let mut past = json!({ "uid": entity["uid"], "attrs": attrs["attrs"] });
            past["parents"] = parents.map_or(json!([]), |parents| parents["parents"].clone());
            if !attrs["tags"].is_null() {
                past["tags"] = attrs["tags"].clone();
            }
            history.before.push(past);
            history.changes.push(Change::Upsert(entity.clone()));
        }
        history.with_removed(world);
        let mut rng = drawn_for(&Value::Array(world.entities.clone()));
        for at in (1..history.changes.len()).rev() {
            history.changes.swap(at, rng.below(at + 1));
        }
        history
    }

    /// Adds entities that go: names that the requests use and the world does not store, below stored ones of their type.
    fn with_removed(&mut self, world: &World) {
        let mut names: Vec<Value> = Vec::new();
        for request in &world.requests {
            names.extend([&request.principal, &request.resource].map(|uid| uid.json()));
            names.extend(request.inline_entities.iter().map(|entity| named(&entity["uid"])));
        }
        for name in names {
            let taken = |entities: &[Value]| entities.iter().any(|e| named(&e["uid"]) == name);
            let model = world.entities.iter().find(|e| named(&e["uid"])["type"] == name["type"]);
            let Some(model) = model.filter(|model| !is_action(model)) else { continue };
            if taken(&world.entities) || taken(&self.before) || !drawn_for(&name).percent(50) {
                continue;
            }
            let mut past = model.clone();
            past["uid"] = name.clone();
            past["parents"] = json!([model["uid"]]);
            if world.schema.is_some() {
                past["parents"] = model["parents"].clone();
            }
            self.before.push(past);
            let text = |key: &str| name[key].as_str().unwrap_or_default().to_owned();
            self.changes.push(Change::Remove(text("type"), text("id")));
        }
    }
}

/// A name without its escape.
fn named(uid: &Value) -> Value {
    if uid["__entity"].is_null() { uid.clone() } else { uid["__entity"].clone() }
}

fn is_action(entity: &Value) -> bool {
    named(&entity["uid"])["type"].as_str().is_some_and(|ty| ty.ends_with("Action"))
}

fn drawn_for(value: &Value) -> Rng {
    let mut hasher = DefaultHasher::new();
    value.to_string().hash(&mut hasher);
    Rng::new(&[hasher.finish()])
}
