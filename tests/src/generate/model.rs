//! The shape of a world: entity types with their attributes and hierarchy, actions with what they apply to.
//!
//! Every world has a model, with or without a schema: it is what type-directed policies are written against.
//! A world without a schema breaks it in its data; [`schema`](super::schema) writes it down for a world with one.

use super::fields::{self, Kinds};
use super::types::{ActionIx, Field, Ty, TypeIx};
use crate::impossible::impossible;
use crate::rng::Rng;
use crate::world::Uid;

/// Entity types and actions.
#[derive(Debug, Clone)]
pub(super) struct Model {
    types: Vec<EntityType>,
    actions: Vec<ActionDecl>,
    pub(super) principals: Vec<TypeIx>,
    pub(super) resources: Vec<TypeIx>,
    /// The actions that apply to something; the others only group actions.
    pub(super) leaves: Vec<ActionIx>,
}

/// An entity type.
#[derive(Debug, Clone)]
pub(super) struct EntityType {
    /// The full name, namespace included.
    pub(super) name: String,
    /// The types its entities may be in, none after the type itself, so that hierarchies cannot have cycles.
    pub(super) parents: Vec<TypeIx>,
    pub(super) shape: Vec<Field>,
    pub(super) tags: Option<Ty>,
    /// The ids of an enumerated type; empty for any other.
    pub(super) choices: Vec<String>,
}

/// An action.
#[derive(Debug, Clone)]
pub(super) struct ActionDecl {
    pub(super) uid: Uid,
    /// The actions it is in, all before it.
    pub(super) groups: Vec<ActionIx>,
    pub(super) principals: Vec<TypeIx>,
    pub(super) resources: Vec<TypeIx>,
    pub(super) context: Vec<Field>,
}

const NAMESPACES: &[&[&str]] = &[&[""], &["App"], &["App", "Org::Unit"], &["", "App"]];
const GROUP_NAMES: &[&str] = &["Team", "Role"];
const CONTAINER_NAMES: &[&str] = &["Folder", "Server"];
const ENUMERATED_NAMES: &[&str] = &["Level", "Color"];
const PRINCIPAL_NAMES: &[&str] = &["User", "Agent", "Service"];
const RESOURCE_NAMES: &[&str] = &["Doc", "Tool", "Account"];
const LEAF_IDS: &[&str] = &["view", "edit", "tools/call", "delete", "", "日本", "a\"b"];
const GROUP_IDS: &[&str] = &["all", "write"];

// === impl Model ===

impl Model {
    pub(super) fn draw(rng: &mut Rng) -> Self {
        let namespaces = rng.pick(NAMESPACES);
        let mut model = Self {
            types: Vec::new(),
            actions: Vec::new(),
            principals: Vec::new(),
            resources: Vec::new(),
            leaves: Vec::new(),
        };
        model.declare_types(rng, namespaces);
        model.give_attributes(rng);
        model.declare_actions(rng, namespaces);
        model
    }

    pub(super) fn types(&self) -> &[EntityType] {
        &self.types
    }

    pub(super) fn type_indices(&self) -> impl Iterator<Item = TypeIx> + use<> {
        (0..self.types.len()).map(TypeIx)
    }

    pub(super) fn entity_type(&self, ix: TypeIx) -> &EntityType {
        self.types.get(ix.0).unwrap_or_else(|| impossible("an entity type of another model"))
    }

    pub(super) fn actions(&self) -> &[ActionDecl] {
        &self.actions
    }

    pub(super) fn action(&self, ix: ActionIx) -> &ActionDecl {
        self.actions.get(ix.0).unwrap_or_else(|| impossible("an action of another model"))
    }

    /// All types, except enumerated ones: those that data can be drawn for.
    pub(super) fn open_types(&self) -> Vec<TypeIx> {
        self.type_indices().filter(|ix| self.entity_type(*ix).choices.is_empty()).collect()
    }

    fn declare_types(&mut self, rng: &mut Rng, namespaces: &[&str]) {
        let mut groups = Vec::new();
        for name in take(rng, GROUP_NAMES, 1, 2) {
            let group = self.declare(rng, namespaces, name, &groups, 75);
            groups.push(group);
        }
        let mut containers = Vec::new();
        for name in take(rng, CONTAINER_NAMES, 0, 1) {
            containers.push(self.declare(rng, namespaces, name, &[], 75));
        }
        if rng.percent(75) {
            let name = rng.pick(ENUMERATED_NAMES);
            let enumerated = self.declare(rng, namespaces, name, &[], 0);
            if let Some(ty) = self.types.get_mut(enumerated.0) {
                ty.choices =
                    take(rng, &["low", "high", "", "mid \"x\""], 2, 3).map(str::to_owned).collect();
            }
        }
        for name in take(rng, PRINCIPAL_NAMES, 1, 2) {
            let principal = self.declare(rng, namespaces, name, &groups, 10);
            self.principals.push(principal);
        }
        if rng.percent(15) {
            self.principals.push(rng.choose(&groups));
        }
        let mut holders = containers.clone();
        holders.extend(groups);
        holders.extend(self.principals.first());
        for name in take(rng, RESOURCE_NAMES, 1, 2) {
            let resource = self.declare(rng, namespaces, name, &holders, 25);
            self.resources.push(resource);
        }
        self.resources.extend(containers.into_iter().filter(|_| rng.percent(50)));
        if rng.percent(25) {
            self.resources.extend(self.principals.first());
        }
    }

    /// Declares a type; each of `parents` becomes one of its parents three times of four.
    fn declare(
        &mut self,
        rng: &mut Rng,
        namespaces: &[&str],
        name: &str,
        parents: &[TypeIx],
        in_itself_percent: u32,
    ) -> TypeIx {
        let ix = TypeIx(self.types.len());
        let mut parents: Vec<TypeIx> =
            parents.iter().copied().filter(|_| rng.percent(75)).collect();
        if rng.percent(in_itself_percent) {
            parents.push(ix);
        }
        let name = qualified(rng.choose(namespaces), name);
        self.types.push(EntityType {
            name,
            parents,
            shape: Vec::new(),
            tags: None,
            choices: Vec::new(),
        });
        ix
    }

    fn give_attributes(&mut self, rng: &mut Rng) {
        let kinds = Kinds { entities: self.type_indices().collect() };
        let enumerated: Vec<bool> = self.types.iter().map(|ty| !ty.choices.is_empty()).collect();
        for (ty, enumerated) in self.types.iter_mut().zip(enumerated) {
            if enumerated {
                continue;
            }
            ty.shape = fields::attributes(rng, &kinds);
            if rng.percent(55) {
                ty.tags = Some(fields::tag_type(rng, &kinds));
            }
        }
    }

    fn declare_actions(&mut self, rng: &mut Rng, namespaces: &[&str]) {
        let kinds = Kinds { entities: self.type_indices().collect() };
        let mut groups: Vec<ActionIx> = Vec::new();
        for id in take(rng, GROUP_IDS, 0, 2) {
            let uid = Uid::new(qualified(rng.choose(namespaces), "Action"), id);
            let above = groups.iter().copied().filter(|_| rng.percent(60)).collect();
            groups.push(self.declare_action(uid, above, (Vec::new(), Vec::new()), Vec::new()));
        }
        for id in take(rng, LEAF_IDS, 2, 4) {
            let uid = Uid::new(qualified(rng.choose(namespaces), "Action"), id);
            let mut above: Vec<ActionIx> =
                groups.iter().copied().filter(|_| rng.percent(60)).collect();
            above.extend(self.leaves.first().filter(|_| rng.percent(12)));
            let applies_to = (some(rng, &self.principals), some(rng, &self.resources));
            let context = fields::context(rng, &kinds);
            let leaf = self.declare_action(uid, above, applies_to, context);
            self.leaves.push(leaf);
        }
    }

    fn declare_action(
        &mut self,
        uid: Uid,
        groups: Vec<ActionIx>,
        (principals, resources): (Vec<TypeIx>, Vec<TypeIx>),
        context: Vec<Field>,
    ) -> ActionIx {
        let ix = ActionIx(self.actions.len());
        self.actions.push(ActionDecl { uid, groups, principals, resources, context });
        ix
    }
}

/// Between `least` and `most` of `names`, in their order.
fn take<'a>(
    rng: &mut Rng,
    names: &[&'a str],
    least: usize,
    most: usize,
) -> impl Iterator<Item = &'a str> + use<'a> {
    let wanted = rng.between(least, most);
    let mut order: Vec<usize> = (0..names.len()).collect();
    rng.shuffle(&mut order);
    order.truncate(wanted);
    let mut chosen: Vec<&'a str> =
        order.into_iter().filter_map(|at| names.get(at).copied()).collect();
    chosen.sort_unstable();
    chosen.into_iter()
}

/// Some of `types`, at least one, each once.
fn some(rng: &mut Rng, types: &[TypeIx]) -> Vec<TypeIx> {
    let mut chosen: Vec<TypeIx> = types.iter().copied().filter(|_| rng.percent(60)).collect();
    if chosen.is_empty() {
        chosen.push(rng.choose(types));
    }
    chosen.sort_unstable();
    chosen.dedup();
    chosen
}

fn qualified(namespace: &str, name: &str) -> String {
    if namespace.is_empty() { name.to_owned() } else { format!("{namespace}::{name}") }
}
