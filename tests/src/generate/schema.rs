//! A model as a schema in Cedar's schema syntax.

use super::model::{ActionDecl, EntityType, Model};
use super::types::{Field, Ty};
use crate::quote;
use crate::rng::Rng;
use std::collections::BTreeMap;
use std::fmt::Write as _;

/// The schema's text; `rng` decides on things that mean the same, such as naming a context's type.
pub(super) fn text(rng: &mut Rng, model: &Model) -> String {
    let mut blocks: BTreeMap<&str, String> = BTreeMap::new();
    for ty in model.types() {
        let (namespace, name) = split(&ty.name);
        let block = blocks.entry(namespace).or_default();
        entity(block, model, ty, name);
    }
    for (at, action) in model.actions().iter().enumerate() {
        let (namespace, _) = split(&action.uid.ty);
        let block = blocks.entry(namespace).or_default();
        let named_context = rng.percent(25).then(|| format!("Context{at}"));
        declare_action(block, model, action, named_context.as_deref());
    }
    let mut out = String::new();
    for (namespace, block) in blocks {
        if namespace.is_empty() {
            out.push_str(&block);
        } else {
            // Writing to a String cannot fail.
            let _ = writeln!(out, "namespace {namespace} {{\n{block}}}");
        }
    }
    out
}

fn entity(out: &mut String, model: &Model, ty: &EntityType, name: &str) {
    let _ = write!(out, "entity {name}");
    if !ty.choices.is_empty() {
        let choices: Vec<String> = ty.choices.iter().map(|id| quote::literal(id)).collect();
        let _ = writeln!(out, " enum [{}];", choices.join(", "));
        return;
    }
    if !ty.parents.is_empty() {
        let parents: Vec<&str> =
            ty.parents.iter().map(|ix| model.entity_type(*ix).name.as_str()).collect();
        let _ = write!(out, " in [{}]", parents.join(", "));
    }
    let _ = write!(out, " = {}", record(model, &ty.shape));
    if let Some(tags) = &ty.tags {
        let _ = write!(out, " tags {}", type_text(model, tags));
    }
    out.push_str(";\n");
}

fn declare_action(
    out: &mut String,
    model: &Model,
    action: &ActionDecl,
    named_context: Option<&str>,
) {
    let context = record(model, &action.context);
    let context = match named_context.filter(|_| !action.principals.is_empty()) {
        Some(name) => {
            let _ = writeln!(out, "type {name} = {context};");
            name.to_owned()
        }
        None => context,
    };
    let _ = write!(out, "action {}", quote::literal(&action.uid.id));
    if !action.groups.is_empty() {
        let groups: Vec<String> =
            action.groups.iter().map(|ix| model.action(*ix).uid.cedar()).collect();
        let _ = write!(out, " in [{}]", groups.join(", "));
    }
    if !action.principals.is_empty() {
        let names = |types: &[super::types::TypeIx]| {
            let names: Vec<&str> =
                types.iter().map(|ix| model.entity_type(*ix).name.as_str()).collect();
            names.join(", ")
        };
        let _ = write!(
            out,
            " appliesTo {{ principal: [{}], resource: [{}], context: {context} }}",
            names(&action.principals),
            names(&action.resources),
        );
    }
    out.push_str(";\n");
}

fn record(model: &Model, fields: &[Field]) -> String {
    let fields: Vec<String> = fields
        .iter()
        .map(|field| {
            let mark = if field.optional { "?" } else { "" };
            format!("{}{mark}: {}", quote::key(&field.name), type_text(model, &field.ty))
        })
        .collect();
    format!("{{{}}}", fields.join(", "))
}

fn type_text(model: &Model, ty: &Ty) -> String {
    match ty {
        Ty::Bool => "Bool".to_owned(),
        Ty::Long => "Long".to_owned(),
        Ty::Text => "String".to_owned(),
        Ty::Entity(ix) => model.entity_type(*ix).name.clone(),
        Ty::Ext(kind) => kind.type_name().to_owned(),
        Ty::Set(element) => format!("Set<{}>", type_text(model, element)),
        Ty::Record(fields) => record(model, fields),
    }
}

fn split(name: &str) -> (&str, &str) {
    name.rsplit_once("::").unwrap_or(("", name))
}
