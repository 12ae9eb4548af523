//! `pdp inspect --size`: which part of a bundle takes how much, and what a policy and an entity take of it.
//!
//! Parts gather tables by what they are for. A table that no part names is shown under `other`, so that nothing is
//! left out: parts add up to the file. What a bundle takes in memory is the same tables, copied as they are, without
//! the container; a source section is kept as long as the bundle is.

use pdp_core::{Bundle, SectionSize};
use serde::Serialize;

use crate::exit::Failure;
use crate::load::Loaded;
use crate::render::{self, Out};
use crate::shapes::BundleShape;

/// Sizes of a bundle.
#[derive(Debug, Serialize)]
pub(super) struct SizeShape {
    bundle: BundleShape,
    bundle_bytes: u64,
    policies: usize,
    entities: usize,
    /// What finds and runs policies, by policy; nothing without policies.
    bytes_per_policy: Option<f64>,
    /// What is stored of entities, by entity; nothing without entities.
    bytes_per_entity: Option<f64>,
    /// What a module takes in memory with it, at most.
    module_memory_bytes: u64,
    parts: Vec<PartShape>,
}

#[derive(Debug, Serialize)]
struct PartShape {
    part: &'static str,
    holds: &'static str,
    bytes: u64,
    /// Of the file, from 0 to 1.
    share: f64,
    tables: Vec<TableShape>,
}

#[derive(Debug, Serialize)]
struct TableShape {
    name: &'static str,
    bytes: u64,
    share: f64,
    records: u64,
    bytes_per_record: f64,
}

/// Parts with what they hold and their tables, in the order in which a request meets them.
const PARTS: [(&str, &str, &[&str]); 10] = [
    (
        "names",
        "strings and types that policies, entities or the schema name",
        &["symbol_ends", "symbol_text", "symbol_slots", "types", "type_slots"],
    ),
    (
        "entities",
        "stored entities, their ids and ancestors; also those that policies mention",
        &[
            "entities",
            "entity_rest",
            "entity_text",
            "entity_slots",
            "ancestors",
            "parent_marks",
            "child_counts",
        ],
    ),
    (
        "values",
        "attributes and tags of entities, literals of conditions",
        &["shapes", "shape_keys", "vals", "ip6"],
    ),
    (
        "index",
        "how policies are found: scope keys, classes of entities, rows, cells, groups",
        &[
            "principal_keys",
            "action_keys",
            "resource_keys",
            "key_entities",
            "principal_classes",
            "action_classes",
            "resource_classes",
            "class_keys",
            "principal_in_keys",
            "action_in_keys",
            "resource_in_keys",
            "rows",
            "row_slots",
            "action_kinds",
            "class_pairs",
            "class_pair_slots",
            "class_rows",
            "cells",
            "cell_keys",
            "cell_slots",
            "columns",
            "column_cells",
            "postings",
            "groups",
            "group_reads",
            "group_slots",
            "group_runs",
        ],
    ),
    (
        "policies",
        "policies and what their conditions run",
        &["policies", "ops", "patterns", "pieces", "pattern_text", "paths", "reads"],
    ),
    ("answers", "policy ids and obligations, only shown", &["texts", "obligations"]),
    (
        "schema",
        "what requests are validated against",
        &["schema_types", "fields", "declarations", "actions", "type_lists", "caller_attributes"],
    ),
    ("source", "policy texts and spans, for people; may be stripped", &["source"]),
    ("cases", "requests with their expected answers", &["cases"]),
    ("routes", "which HTTP call is which question", &["routes"]),
];

// === impl SizeShape ===

impl SizeShape {
    pub(super) fn new(loaded: &Loaded) -> Self {
        let bundle = &loaded.bundle;
        Self::of(bundle, bundle.sections(), bundle.bytes_len())
    }

    fn of(bundle: &Bundle, sections: Vec<SectionSize>, bundle_bytes: u64) -> Self {
        let parts = parts(sections, bundle_bytes);
        let bytes = |names: &[&str]| -> u64 {
            parts.iter().filter(|part| names.contains(&part.part)).map(|part| part.bytes).sum()
        };
        let each = |bytes: u64, count: usize| {
            (count > 0).then(|| (bytes as f64 / count as f64 * 10.0).round() / 10.0)
        };
        let (policies, entities) = (bundle.policy_count(), bundle.entity_count());
        Self {
            bundle: BundleShape::new(bundle),
            bundle_bytes,
            policies,
            entities,
            bytes_per_policy: each(bytes(&["index", "policies"]), policies),
            bytes_per_entity: each(bytes(&["entities"]), entities),
            module_memory_bytes: bundle.module_memory_bytes(),
            parts,
        }
    }

    /// Writes it as text.
    pub(super) fn text(&self, out: &mut Out) -> Result<(), Failure> {
        let paint = out.paint();
        out.line(format_args!(
            "{} revision {}",
            render::shown(self.bundle.name()),
            self.bundle.revision()
        ))?;
        let head = format!(
            "{:<22}{:>12}  {:>7}  {:>10}  {:>8}",
            "part", "bytes", "share", "records", "each"
        );
        out.line(format_args!("  {}", paint.dim(&head)))?;
        for part in &self.parts {
            out.line(format_args!(
                "  {:<22}{:>12}  {:>5.1} %  {}",
                part.part,
                part.bytes,
                100.0 * part.share,
                paint.dim(part.holds)
            ))?;
            // A part that is one table says all of it in its own line.
            for table in
                part.tables.iter().filter(|table| part.part != table.name || part.tables.len() > 1)
            {
                out.line(format_args!(
                    "    {:<20}{:>12}  {:>5.1} %  {:>10}  {:>8}",
                    table.name,
                    table.bytes,
                    100.0 * table.share,
                    table.records,
                    table.bytes_per_record
                ))?;
            }
        }
        out.line(format_args!("  {:<22}{:>12}", "in all", self.bundle_bytes))?;
        if let Some(bytes) = self.bytes_per_policy {
            out.line(format_args!(
                "  {bytes} bytes a policy in index and policies, {}",
                render::count(self.policies, "policy", "policies")
            ))?;
        }
        if let Some(bytes) = self.bytes_per_entity {
            out.line(format_args!(
                "  {bytes} bytes an entity in entities, {} stored; attributes are under values",
                render::count(self.entities, "entity", "entities")
            ))?;
        }
        out.line(format_args!(
            "  {} bytes of memory at most in each virtual machine of a module",
            self.module_memory_bytes
        ))
    }
}

/// Every table in its part, what is left over under `other`, and the container as the rest of the file.
fn parts(sections: Vec<SectionSize>, bundle_bytes: u64) -> Vec<PartShape> {
    let all = bundle_bytes.max(1) as f64;
    let share = |bytes: u64| (bytes as f64 / all * 1e4).round() / 1e4;
    let table = |size: &SectionSize| TableShape {
        name: size.name,
        bytes: size.bytes,
        share: share(size.bytes),
        records: size.records,
        bytes_per_record: (size.bytes as f64 / size.records.max(1) as f64 * 10.0).round() / 10.0,
    };
    let gather = |part, holds, belongs: &dyn Fn(&str) -> bool| {
        let tables: Vec<TableShape> = sections
            .iter()
            .filter(|size| size.bytes > 0 && belongs(size.name))
            .map(table)
            .collect();
        let bytes = tables.iter().map(|table| table.bytes).sum();
        PartShape { part, holds, bytes, share: share(bytes), tables }
    };
    let mut parts: Vec<PartShape> = PARTS
        .iter()
        .map(|(part, holds, names)| gather(part, holds, &|name| names.contains(&name)))
        .collect();
    parts.push(gather("other", "what belongs to no part above", &|name| {
        !PARTS.iter().any(|(_, _, names)| names.contains(&name))
    }));
    parts.retain(|part| part.bytes > 0);
    let told: u64 = parts.iter().map(|part| part.bytes).sum();
    let bytes = bundle_bytes.saturating_sub(told);
    let holds = "headers, directories, digests, and the gaps that align tables";
    parts.push(PartShape { part: "container", holds, bytes, share: share(bytes), tables: vec![] });
    parts
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_add_up_to_the_file() {
        let size = |name, bytes, records| SectionSize { name, bytes, records };
        let sections = vec![
            size("meta", 100, 1),
            size("ops", 80, 10),
            size("policies", 40, 2),
            size("patterns", 0, 0),
            size("a_table_of_next_year", 7, 7),
            size("source", 500, 1),
        ];
        let parts = parts(sections, 1_000);
        let told: Vec<(&str, u64)> = parts.iter().map(|part| (part.part, part.bytes)).collect();
        assert_eq!(
            told,
            [("policies", 120), ("source", 500), ("other", 107), ("container", 273)],
            "empty parts are left out"
        );
        let policies = parts.first().map(|part| part.tables.as_slice()).unwrap_or_default();
        let told: Vec<_> =
            policies.iter().map(|table| (table.name, table.bytes_per_record)).collect();
        assert_eq!(told, [("ops", 8.0), ("policies", 20.0)]);
        assert_eq!(parts.iter().map(|part| part.share).sum::<f64>(), 1.0);
    }
}
