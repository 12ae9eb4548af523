//! What a loaded bundle keeps at hand beside its tables: names of types and fields where they are compared, and what the
//! context of each action must be.
//!
//! All of it follows from the tables, is small, and is worked out once, when a bundle is loaded and verified. Nothing in
//! here is trusted from a file, and nothing is here that grows with policies or entities.

use std::sync::atomic::{AtomicU64, Ordering};

use crate::ids::NONE;
use crate::program::{FieldRec, MetaRec, Span, TYPE_RECORD, Tables};
use crate::reads;

/// Contexts with more fields are read the general way.
pub(crate) const FIELDS_MAX: usize = 16;

/// Bundles that this process has loaded, and one: 0 is no bundle's number.
static LOADED: AtomicU64 = AtomicU64::new(1);

/// What follows from the tables. Empty while a bundle is being compiled.
#[derive(Debug, Default)]
pub(crate) struct Handy {
    /// Another number for each bundle that this process loads, for callers' memory that remembers things of one bundle.
    pub(crate) serial: u64,
    /// The reads that stand on the resource.
    pub(crate) resource_reads: Vec<u16>,
    /// For each entity type.
    pub(crate) types: Vec<HandyType>,
    /// For each field: its name, a run of `symbol_text`.
    pub(crate) field_names: Vec<Span>,
    /// For each action that the schema declares.
    pub(crate) contexts: Vec<Option<HandyContext>>,
}

/// An entity type.
#[derive(Clone, Copy, Debug)]
pub(crate) struct HandyType {
    /// Its name, a run of `symbol_text`.
    pub(crate) name: Span,
    /// The schema declares it, and not as an enumeration: any id will do.
    pub(crate) is_open: bool,
}

/// The context of an action, if it can be read along the schema.
#[derive(Clone, Copy, Debug)]
pub(crate) struct HandyContext {
    /// Its fields, a run of `fields`.
    pub(crate) fields: Span,
    /// The shape of a context that has all of them, or none.
    pub(crate) shape: u32,
    /// A bit for each field that must be there.
    pub(crate) required: u32,
}

// === impl Handy ===

impl Handy {
    /// Works it out from tables that have been verified.
    pub(crate) fn new(t: &Tables, meta: &MetaRec) -> Self {
        let types = t.types.iter().map(|ty| {
            let declaration = t.declarations.get(ty.declaration as usize);
            HandyType {
                name: symbol(t, ty.name),
                is_open: declaration.is_some_and(|declaration| declaration.enumerated == 0),
            }
        });
        Self {
            serial: LOADED.fetch_add(1, Ordering::Relaxed),
            resource_reads: reads::of_resource(t),
            types: types.collect(),
            field_names: t.fields.iter().map(|field| symbol(t, field.name)).collect(),
            contexts: t.actions.iter().map(|action| context(t, meta, action.context)).collect(),
        }
    }
}

fn context(t: &Tables, meta: &MetaRec, schema_type: u32) -> Option<HandyContext> {
    let node = t.schema_types.get(schema_type as usize)?;
    if node.kind != TYPE_RECORD || node.b as usize > FIELDS_MAX {
        return None;
    }
    let fields = Span { start: node.a, len: node.b };
    let records = fields.of(&t.fields);
    // What the PDP fills in is declared, too, and not among what a caller may send.
    let filled = |field: &FieldRec| field.name == meta.now_key || field.name == meta.delegation_key;
    if records.iter().any(filled) {
        return None;
    }
    let required = (0u32..)
        .zip(records)
        .filter(|(_, field)| field.required != 0)
        .fold(0, |required, (at, _)| required | 1 << at);
    let has_all = |shape: &Span| {
        let keys = shape.of(&t.shape_keys);
        keys.len() == records.len() && keys.iter().zip(records).all(|(key, f)| *key == f.name)
    };
    // A shape that says otherwise is not an error, only of no use.
    let shape = t.shapes.get(node.shape as usize).filter(|shape| has_all(shape));
    Some(HandyContext { fields, shape: shape.map_or(NONE, |_| node.shape), required })
}

/// The text of a symbol, as a run of `symbol_text`.
fn symbol(t: &Tables, symbol: u32) -> Span {
    let end = |symbol: u32| t.symbol_ends.get(symbol as usize).copied().unwrap_or(0);
    let start = symbol.checked_sub(1).map_or(0, end);
    Span { start, len: end(symbol).saturating_sub(start) }
}
