//! What an expression can reach from `principal`, `resource` and `context`: every attribute path up to a depth, with its type
//! and the `has` tests that make it safe.

use super::model::Model;
use super::types::{ActionIx, Field, Ty, TypeIx};
use crate::quote;

/// The types a request has; policies are written for one such request type.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Env {
    pub(super) principal: TypeIx,
    pub(super) action: ActionIx,
    pub(super) resource: TypeIx,
}

/// The variable a path starts from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Root {
    Principal,
    Resource,
    Context,
}

/// A way to a value.
#[derive(Debug, Clone)]
pub(super) struct Path {
    pub(super) root: Root,
    pub(super) steps: Vec<String>,
    /// The expression, such as `principal.profile.country`.
    pub(super) text: String,
    /// What must hold, in this order, for the expression not to fail on absent attributes.
    pub(super) needs: Vec<String>,
    pub(super) ty: Ty,
    /// The last step: `principal.profile` and `country`; `None` for a variable.
    pub(super) last: Option<(String, String)>,
}

/// How many steps a path has at most, and how many of them lead from an entity to another.
const STEPS_MAX: u32 = 3;
const HOPS_MAX: u32 = 2;

/// All paths of a request type, variables included.
pub(super) fn all(model: &Model, env: Env) -> Vec<Path> {
    let mut paths = Vec::new();
    let context = Ty::Record(model.action(env.action).context.clone());
    for (root, text, ty) in [
        (Root::Principal, "principal", Ty::Entity(env.principal)),
        (Root::Resource, "resource", Ty::Entity(env.resource)),
        (Root::Context, "context", context),
    ] {
        let root = Path {
            root,
            steps: Vec::new(),
            text: text.to_owned(),
            needs: Vec::new(),
            ty,
            last: None,
        };
        expand(model, &mut paths, root, 0, 0);
    }
    // The context as a whole is a record like any other, but comparing it says little; its fields do.
    paths.retain(|path| path.text != "context");
    paths
}

fn expand(model: &Model, paths: &mut Vec<Path>, path: Path, steps: u32, hops: u32) {
    let (fields, hops): (&[Field], u32) = match &path.ty {
        Ty::Entity(ix) => (&model.entity_type(*ix).shape, hops + 1),
        Ty::Record(fields) => (fields, hops),
        _ => (&[], hops),
    };
    if steps < STEPS_MAX && hops <= HOPS_MAX {
        for field in fields {
            let mut needs = path.needs.clone();
            if field.optional {
                needs.push(format!("{} has {}", path.text, quote::key(&field.name)));
            }
            let mut steps_there = path.steps.clone();
            steps_there.push(field.name.clone());
            let next = Path {
                root: path.root,
                steps: steps_there,
                text: quote::access(&path.text, &field.name),
                needs,
                ty: field.ty.clone(),
                last: Some((path.text.clone(), field.name.clone())),
            };
            expand(model, paths, next, steps + 1, hops);
        }
    }
    paths.push(path);
}
