//! Worlds drawn from a seed: the same seed and index give the same world, on every machine.
//!
//! A world is made backwards from its answers: first the entities, then a few requests to aim at, then policies whose scopes
//! and constants match those requests more often than not, then requests at and around the aims.
//! Half of the worlds have a schema, and then nearly all of their policies pass the strict validator; the others break
//! their model in data and policies alike.
//!
//! The main type is [`Generator`].

mod vocabulary;

mod types;

mod fields;

mod model;

mod schema;

mod pool;

mod store;

mod scenery;

mod paths;

mod expr;

mod scope;

mod head;

mod policy;

mod twins;

mod request;

use crate::rng::Rng;
use crate::world::{Link, Request, World};
use expr::Aim;
use model::Model;
use paths::{Env, Path};
use policy::Scene;
use request::Requester;
use scenery::Scenery;
use scope::Slots;
use std::collections::HashMap;
use std::sync::Arc;

/// How many requests each world has, unless a campaign asks for more: policies take longer to read than to ask.
pub const REQUESTS_PER_WORLD: usize = 16;
/// How many worlds in a row share entity types and actions, so that an oracle may keep the schema it has read.
pub const WORLDS_PER_MODEL: u64 = 16;
/// How many worlds in a row share entities, so that an oracle may keep those it has read.
pub const WORLDS_PER_STORE: u64 = 4;
/// How often a request is drawn again because the world has it already.
const REDRAWS_MAX: usize = 3;
/// The most policies and templates a world has.
pub const POLICIES_MAX: usize = 30;

/// Draws worlds from a seed.
#[derive(Debug)]
pub struct Generator {
    seed: u64,
    requests: usize,
    block: Option<(u64, Block)>,
    scenery: Option<(u64, Scenery)>,
}

/// A model with its schema, and the paths found in it so far.
#[derive(Debug)]
struct Block {
    model: Arc<Model>,
    schema: String,
    paths: HashMap<Env, Arc<Vec<Path>>>,
}

/// Streams of random numbers that must not depend on each other.
const MODEL_STREAM: u64 = 1;
const STORE_STREAM: u64 = 2;
const WORLD_STREAM: u64 = 3;

// === impl Generator ===

impl Generator {
    /// A generator of the worlds of `seed`.
    pub fn new(seed: u64) -> Self {
        Self { seed, requests: REQUESTS_PER_WORLD, block: None, scenery: None }
    }

    /// The same worlds with so many requests each; the first ones are the same.
    pub fn with_requests(self, requests: usize) -> Self {
        Self { requests, ..self }
    }

    /// The world at `index`; it does not depend on which worlds were drawn before.
    /// Drawing in the order of the indices is faster.
    pub fn world(&mut self, index: u64) -> World {
        let stream = |kind, number| Rng::new(&[self.seed, kind, number]);
        let number = index / WORLDS_PER_MODEL;
        let mut block = match self.block.take() {
            Some((drawn, block)) if drawn == number => block,
            _ => Block::draw(stream(MODEL_STREAM, number)),
        };
        let store = index / WORLDS_PER_STORE;
        let scenery = match self.scenery.take() {
            Some((drawn, scenery)) if drawn == store => scenery,
            _ => Scenery::draw(stream(STORE_STREAM, store), &block.model),
        };
        let world = block.world(&scenery, &mut stream(WORLD_STREAM, index), self.requests);
        self.block = Some((number, block));
        self.scenery = Some((store, scenery));
        world
    }
}

// === impl Block ===

impl Block {
    fn draw(mut rng: Rng) -> Self {
        let model = Model::draw(&mut rng);
        let schema = schema::text(&mut rng, &model);
        Self { model: Arc::new(model), schema, paths: HashMap::new() }
    }

    fn world(&mut self, scenery: &Scenery, rng: &mut Rng, count: usize) -> World {
        let model = Arc::clone(&self.model);
        let aims: Vec<Aim> = (0..rng.weighted(&[(3, 1), (4, 2), (2, 3)]))
            .map(|_| aim(rng, &model, scenery))
            .collect();
        let (policies, links) = self.policies(rng, scenery, &aims);
        let requester = Requester {
            model: &model,
            values: scenery.data(),
            aims: &aims,
            schema: scenery.schema,
        };
        let mut requests: Vec<Request> = Vec::with_capacity(count);
        while requests.len() < count {
            let mut request = requester.draw(rng, &requests);
            for _ in 0..REDRAWS_MAX {
                if requests.contains(&request) {
                    request = requester.draw(rng, &requests);
                }
            }
            requests.push(request);
        }
        World {
            schema: scenery.schema.then(|| self.schema.clone()),
            policies,
            links,
            entities: scenery.entities.clone(),
            requests,
        }
    }

    fn policies(
        &mut self,
        rng: &mut Rng,
        scenery: &Scenery,
        aims: &[Aim],
    ) -> (Vec<String>, Vec<Link>) {
        let model = Arc::clone(&self.model);
        let wanted = match rng.below(20) {
            0..3 => rng.between(1, 3),
            3..14 => rng.between(3, 8),
            14..19 => rng.between(8, 13),
            _ => rng.between(13, POLICIES_MAX),
        };
        // With a schema, confusion is for a world as a whole: one confused policy is enough for a set not to validate.
        let confused_percent = match (scenery.schema, rng.below(100)) {
            (true, 0..70) => 0,
            (true, _) => 25,
            (false, _) => 22,
        };
        let mut policies = Vec::new();
        let mut links = Vec::new();
        let mut bodies: Vec<Vec<String>> = vec![Vec::new(); aims.len()];
        while policies.len() < wanted {
            let at = rng.below(aims.len());
            let (Some(aim), Some(bodies)) = (aims.get(at), bodies.get_mut(at)) else {
                break;
            };
            let paths = self.paths(aim.env);
            let scene = Scene {
                model: &model,
                values: scenery.constants(),
                store: &scenery.store,
                aim,
                paths: &paths,
                schema: scenery.schema,
                confused_percent,
            };
            match rng.below(100) {
                0..10 => {
                    let slots = rng.choose(&[Slots::Principal, Slots::Resource, Slots::Both]);
                    link(rng, scene, slots, policies.len(), &mut links);
                    policies.push(policy::write(rng, scene, slots, bodies));
                }
                10..18 if scene.values.pools.twins.is_some() => {
                    policies.extend(twins::write(rng, scene));
                }
                _ => policies.push(policy::write(rng, scene, Slots::None, bodies)),
            }
        }
        // Only a family at the end can overshoot, and families have no links.
        policies.truncate(POLICIES_MAX);
        (policies, links)
    }

    fn paths(&mut self, env: Env) -> Arc<Vec<Path>> {
        let paths = self.paths.entry(env).or_insert_with(|| Arc::new(paths::all(&self.model, env)));
        Arc::clone(paths)
    }
}

/// A request to aim at: one that the model allows, and without a schema now and then one that it does not.
fn aim(rng: &mut Rng, model: &Model, scenery: &Scenery) -> Aim {
    let action = rng.choose(&model.leaves);
    let declared = model.action(action);
    let mut env = Env {
        principal: rng.choose(&declared.principals),
        action,
        resource: rng.choose(&declared.resources),
    };
    if !scenery.schema && rng.percent(8) {
        env.principal = rng.choose(&model.open_types());
    }
    let values = scenery.data();
    Aim {
        env,
        principal: values.cast.any(rng, env.principal),
        action: declared.uid.clone(),
        resource: values.cast.any(rng, env.resource),
        context: values.fields(rng, &declared.context),
    }
}

/// Links the template that will stand at `position`: not at all, once or several times.
fn link(rng: &mut Rng, scene: Scene<'_>, slots: Slots, position: usize, links: &mut Vec<Link>) {
    let aim = scene.aim;
    for _ in 0..rng.weighted(&[(1, 0), (4, 1), (3, 2), (1, 3)]) {
        let mut target = |ty, uid| {
            if rng.percent(70) {
                rng.pick(&scene.store.ancestors_and_self(uid)).clone()
            } else {
                scene.values.cast.any(rng, ty)
            }
        };
        let principal = slots.has_principal().then(|| target(aim.env.principal, &aim.principal));
        let resource = slots.has_resource().then(|| target(aim.env.resource, &aim.resource));
        links.push(Link {
            template_id: World::policy_id(position),
            link_id: format!("link{}", links.len()),
            principal,
            resource,
        });
    }
}
