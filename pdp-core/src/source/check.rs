//! What Cedar's front end does not check: names that repeat, references that dangle, entities defined twice, links,
//! and what the manifest promises.

use std::collections::hash_map::Entry;
use std::collections::{HashMap, HashSet};

use serde::Deserialize;

use super::cedar::{Front, Named};
use super::file::TextFile;
use super::manifest::Manifest;
use super::tree::{Constraint, EntityTree, LinkTree, Name, PolicyTree, SchemaTree};
use crate::codes::{self, Diagnostic, Report};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct LinkJson {
    template_id: String,
    link_id: String,
    args: HashMap<String, String>,
}

/// Reads `links.json`.
pub(super) fn links(text: &str) -> Result<Vec<LinkTree>, String> {
    let links: Vec<LinkJson> = serde_json::from_str(text).map_err(|e| e.to_string())?;
    Ok(links
        .into_iter()
        .map(|LinkJson { template_id, link_id, args }| LinkTree { template_id, link_id, args })
        .collect())
}

/// Ids that repeat are errors, policies without one are warnings.
pub(super) fn names(front: &Front, files: &[TextFile], report: &mut Report) {
    let mut taken = Taken::default();
    for named in &front.named {
        let Some(file) = files.get(named.file) else { continue };
        report.items.extend(taken.repeats(named, file, files));
        if !named.has_annotation {
            let message = format!("policy `{}` has no @id and is named by its position", named.id);
            let item = Diagnostic::new(codes::POLICY_UNNAMED, message);
            let (start, _) = named.span;
            report.push(file.mark(item, start, start + 1).help(
                "add @id(\"…\"), so that answers and logs keep naming it when the file changes",
            ));
        }
    }
}

/// Ids that repeat, where policies need none.
pub(super) fn repeated(front: &Front, files: &[TextFile], report: &mut Report) {
    let mut taken = Taken::default();
    for named in &front.named {
        let Some(file) = files.get(named.file) else { continue };
        report.items.extend(taken.repeats(named, file, files));
    }
}

/// Ids that are taken, and by which file's policy.
#[derive(Default)]
struct Taken<'f>(HashMap<&'f str, usize>);

impl<'f> Taken<'f> {
    fn repeats(
        &mut self,
        named: &'f Named,
        file: &TextFile,
        files: &[TextFile],
    ) -> Option<Diagnostic> {
        match self.0.entry(&named.id) {
            Entry::Vacant(free) => {
                free.insert(named.file);
                None
            }
            Entry::Occupied(before) => {
                let other = files.get(*before.get()).map_or("", |file| &file.name);
                let message = format!("policy id `{}` is taken, by a policy in {other}", named.id);
                let item = Diagnostic::new(codes::POLICY_DUPLICATE, message);
                let (start, end) = named.span;
                Some(file.mark(item, start, end).help("give each policy an @id of its own"))
            }
        }
    }
}

/// Templates that nothing links decide nothing.
pub(super) fn templates(front: &Front, files: &[TextFile], report: &mut Report) {
    let linked: HashSet<(usize, (usize, usize))> = front
        .named
        .iter()
        .filter(|named| !named.is_template)
        .map(|named| (named.file, named.span))
        .collect();
    for named in front
        .named
        .iter()
        .filter(|named| named.is_template && !linked.contains(&(named.file, named.span)))
    {
        let Some(file) = files.get(named.file) else { continue };
        let message = format!("template `{}` is not linked and decides nothing", named.id);
        let item = Diagnostic::new(codes::TEMPLATE_UNUSED, message);
        let (start, _) = named.span;
        report.push(file.mark(item, start, start + 1).help("link it in links.json"));
    }
}

/// The file of each policy and template.
pub(super) fn files_of<'f>(
    front: &'f Front,
    files: &'f [TextFile],
) -> HashMap<&'f str, &'f TextFile> {
    let mut found = HashMap::new();
    for named in &front.named {
        if let Some(file) = files.get(named.file) {
            found.entry(named.id.as_str()).or_insert(file);
        }
    }
    found
}

/// Entities of all files as one list. The schema's actions are in each file's, hence only once here.
pub(super) fn merge(
    found: Vec<(&TextFile, Vec<EntityTree>)>,
    has_schema: bool,
    report: &mut Report,
) -> Vec<EntityTree> {
    let mut first: HashMap<Name, &str> = HashMap::new();
    let mut all = Vec::new();
    for (at, (file, entities)) in found.into_iter().enumerate() {
        for entity in entities {
            // With a schema every file's entities hold its actions, the same ones each time.
            let of_schema = has_schema
                && (entity.name.entity_type == "Action"
                    || entity.name.entity_type.ends_with("::Action"));
            match first.get(&entity.name) {
                Some(_) if of_schema => {}
                Some(other) => {
                    let message = format!("entity {} is defined in {other} already", entity.name);
                    let at = file.text.find(&format!("\"{}\"", entity.name.id)).unwrap_or(0);
                    let item = Diagnostic::new(codes::ENTITY_DUPLICATE, message);
                    report.push(file.mark(item, at, at + entity.name.id.len() + 2));
                }
                None => {
                    first.insert(entity.name.clone(), &file.name);
                    all.push(EntityTree { file: at, ..entity });
                }
            }
        }
    }
    all.sort_by(|a, b| a.name.cmp(&b.name));
    all
}

/// References to entities that are not there. In Cedar they make an attribute access fail, and with it a forbid.
pub(super) fn references(
    entities: &[EntityTree],
    policies: &[PolicyTree],
    files: &[TextFile],
    entity_files: &[TextFile],
    schema: Option<&SchemaTree>,
    report: &mut Report,
) {
    let mut known: HashSet<&Name> = entities.iter().map(|entity| &entity.name).collect();
    let enumerated: Vec<Name> = schema.map(enumerated).unwrap_or_default();
    known.extend(&enumerated);
    let located = |item: Diagnostic, file: Option<&TextFile>, name: &Name| match file {
        // The id as it is written; most ids occur where they are referred to last.
        Some(file) => {
            let quoted = format!("\"{}\"", name.id);
            let start = file.text.rfind(&quoted).unwrap_or(0);
            file.mark(item, start, start + quoted.len())
        }
        None => item,
    };
    let help = "add the entity, or say `entities_complete = false` in bundle.toml";
    for entity in entities {
        let mut missing: Vec<&Name> = entity
            .parents
            .iter()
            .chain(entity.values.entities())
            .filter(|name| !known.contains(name))
            .collect();
        missing.sort();
        missing.dedup();
        for name in missing {
            let message = format!("entity {} refers to {name}, which does not exist", entity.name);
            let item = Diagnostic::new(codes::ENTITY_DANGLING, message).help(help);
            report.push(located(item, entity_files.get(entity.file), name));
        }
    }
    for policy in policies {
        let scope = [&policy.principal, &policy.action, &policy.resource]
            .into_iter()
            .flat_map(Constraint::entities);
        let mut missing: Vec<&Name> =
            scope.chain(policy.condition.entities()).filter(|name| !known.contains(name)).collect();
        missing.sort();
        missing.dedup();
        for name in missing {
            let message = format!("policy `{}` refers to {name}, which does not exist", policy.id);
            let mut item = Diagnostic::new(codes::POLICY_DANGLING, message).help(help);
            if let Some(file) = files.get(policy.place.file) {
                // The name itself if it is written there; a link has it from links.json.
                let text = file.text.get(policy.place.start..policy.place.end).unwrap_or("");
                let inside = text.find(&name.to_string()).map(|at| policy.place.start + at);
                let start = inside.unwrap_or(policy.place.start);
                let end = start + inside.map_or(1, |_| name.to_string().len());
                item = file.mark(item, start, end);
            }
            report.push(item);
        }
    }
}

fn enumerated(schema: &SchemaTree) -> Vec<Name> {
    let types = schema.entity_types.iter();
    types
        .flat_map(|ty| {
            let ids = ty.enumerated.iter().flatten();
            ids.map(|id| Name { entity_type: ty.name.clone(), id: id.clone() })
        })
        .collect()
}

/// The manifest may only name what the schema has.
pub(super) fn manifest(manifest: &Manifest, schema: Option<&SchemaTree>, report: &mut Report) {
    let Some(schema) = schema else { return };
    for (entity_type, attributes) in &manifest.caller_attributes {
        let declared = schema.entity_types.iter().find(|ty| ty.name == *entity_type);
        let unknown = match declared {
            None => vec![format!("`caller_attributes` names the type `{entity_type}`, which the schema does not declare")],
            Some(ty) => attributes
                .iter()
                .filter(|attribute| !ty.attributes.iter().any(|field| field.name == **attribute))
                .map(|attribute| {
                    format!("`caller_attributes` names `{attribute}` of `{entity_type}`, which the schema does not declare")
                })
                .collect(),
        };
        for message in unknown {
            report.push(Diagnostic::new(codes::MANIFEST_NAME, message).in_file("bundle.toml"));
        }
    }
}

/// A forbid without scope and without a lifted test costs every request.
pub(super) fn unconstrained(policies: &[PolicyTree], files: &[TextFile], report: &mut Report) {
    // Some such forbids are normal; a bundle full of them is worth a word.
    const NORMAL: usize = 100;
    let any = |policy: &&PolicyTree| {
        policy.forbid
            && policy.principal == Constraint::Any
            && policy.action == Constraint::Any
            && policy.resource == Constraint::Any
    };
    let found: Vec<&PolicyTree> = policies.iter().filter(any).collect();
    if found.len() > NORMAL {
        let message = format!(
            "{} forbids have an unconstrained scope and are evaluated for every request, `{}` among them",
            found.len(),
            found.first().map_or("", |policy| &policy.id),
        );
        let mut item = Diagnostic::new(codes::FORBID_UNCONSTRAINED, message);
        if let Some(file) = found.first().and_then(|policy| files.get(policy.place.file)) {
            item = item.in_file(&file.name);
        }
        report.push(item.help("constrain principal, action or resource where the rule allows it"));
    }
}
