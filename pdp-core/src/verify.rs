//! Are the tables what the rest of this crate may rely on? Every id in range, every run inside its table, every order
//! kept, nothing nested deeper than recursion may go.
//!
//! One pass over each table, once, when a bundle is loaded. It refuses to judge whether the tables are the right
//! translation of some policies: that is what digest and signature are for.

mod index;

use crate::error::LoadError;
use crate::ids::{NONE, PolicyIx};
use crate::limits::CHAIN_ACTORS_MAX;
use crate::op;
use crate::program::{
    Slot, Span, TAG_BOOL, TAG_DATETIME, TAG_DECIMAL, TAG_DURATION, TAG_ENTITY, TAG_IP4, TAG_IP6,
    TAG_LONG, TAG_RECORD, TAG_SET, TAG_STRING, TYPE_BOOL, TYPE_ENTITY, TYPE_EXTENSION, TYPE_LONG,
    TYPE_RECORD, TYPE_SET, TYPE_STRING, Tables, Val,
};
use crate::reads::{PATH_MAX, READS_MAX, VARIABLES};
use crate::values::Values;

/// How deep values and types of a bundle may nest: comparing and validating recurse as deep, on stacks of 256 KiB.
const NESTING_MAX: u32 = 256;
/// The most that a bundle's `value_depth_max` may allow.
const VALUE_DEPTH_MAX: u32 = 128;

type Checked = Result<(), LoadError>;

/// Checks all tables.
pub(crate) fn tables(t: &Tables) -> Checked {
    symbols(t)?;
    meta(t)?;
    schema(t)?;
    names(t)?;
    vals(t)?;
    index::scopes(t)?;
    reads(t)?;
    policies(t)
}

fn demand(holds: bool, name: &'static str, why: &'static str) -> Checked {
    if holds { Ok(()) } else { Err(LoadError::table(name, why)) }
}

fn below<T>(id: u32, table: &[T]) -> bool {
    (id as usize) < table.len()
}

fn none_or_below<T>(id: u32, table: &[T]) -> bool {
    id == NONE || below(id, table)
}

fn inside<T>(span: Span, table: &[T]) -> bool {
    table.get(span.range()).is_some()
}

/// The text that a table holds. Checked once as a whole: then a run of it is a text if both its ends stand between
/// characters, and a million short ids need not be checked one by one.
fn text_of<'t>(bytes: &'t [u8], name: &'static str) -> Result<&'t str, LoadError> {
    std::str::from_utf8(bytes).map_err(|_| LoadError::table(name, "it is not UTF-8"))
}

fn is_text(span: Span, text: &str) -> bool {
    text.get(span.range()).is_some()
}

/// Runs of a table that may not overlap: what all of them together may still take. Without it many entries that point
/// at the same long run would make a short file take for ever to check.
struct Budget(usize);

impl Budget {
    fn of<T>(table: &[T]) -> Self {
        Self(table.len())
    }

    fn take(&mut self, span: Span) -> bool {
        match self.0.checked_sub(span.len as usize) {
            Some(left) => {
                self.0 = left;
                true
            }
            None => false,
        }
    }
}

fn symbols(t: &Tables) -> Checked {
    let name = "symbol_ends";
    let all = text_of(&t.symbol_text, "symbol_text")?;
    let ordered = t.symbol_ends.is_sorted()
        && t.symbol_ends.iter().all(|end| all.is_char_boundary(*end as usize));
    demand(ordered, name, "its ends are not in order")?;
    demand(
        t.symbol_ends.last().is_none_or(|end| *end as usize == all.len()),
        name,
        "it does not cover the text",
    )?;
    slots(&t.symbol_slots, t.symbol_ends.len(), "symbol_slots")?;
    slots(&t.type_slots, t.types.len(), "type_slots")?;
    slots(&t.entity_slots, t.entities.len(), "entity_slots")?;
    slots(&t.row_slots, t.rows.len(), "row_slots")?;
    slots(&t.class_pair_slots, t.class_pairs.len(), "class_pair_slots")
}

fn slots(slots: &[Slot], entries: usize, name: &'static str) -> Checked {
    if slots.is_empty() {
        return demand(entries == 0, name, "entries cannot be found");
    }
    // No early way out: this way the loop runs over several slots at once.
    let (mut taken, mut named) = (0usize, 0u32);
    for slot in slots {
        taken += usize::from(slot.ix != NONE);
        named = named.max(slot.ix.wrapping_add(1));
    }
    demand(slots.len().is_power_of_two() && taken < slots.len(), name, "it has no free slot")?;
    demand(named as usize <= entries, name, "it names an entry that does not exist")
}

fn meta(t: &Tables) -> Checked {
    let [meta] = t.meta.as_slice() else {
        return Err(LoadError::table("meta", "there must be one record"));
    };
    demand(is_text(meta.name, text_of(&t.texts, "texts")?), "meta", "the name is no text")?;
    let keys = [meta.now_key, meta.delegation_key].into_iter().chain(meta.delegation_fields);
    demand(
        keys.into_iter().all(|key| none_or_below(key, &t.symbol_ends)),
        "meta",
        "a key does not exist",
    )?;
    let filled = meta.delegation_key == NONE || !meta.delegation_fields.contains(&NONE);
    demand(filled, "meta", "the delegation's fields have no names")?;
    demand(
        meta.limits.chain_actors_max <= CHAIN_ACTORS_MAX,
        "meta",
        "chain_actors_max is above 1000",
    )?;
    demand(meta.limits.value_depth_max <= VALUE_DEPTH_MAX, "meta", "value_depth_max is above 128")
}

fn schema(t: &Tables) -> Checked {
    let name = "schema_types";
    let mut depths: Vec<u32> = Vec::with_capacity(t.schema_types.len());
    let depth_of = |depths: &[u32], id: u32| depths.get(id as usize).copied();
    let mut fields_seen = 0usize;
    for node in &t.schema_types {
        // Parts come before what they are part of, so nothing contains itself.
        let depth = match node.kind {
            TYPE_BOOL | TYPE_LONG | TYPE_STRING => Some(0),
            TYPE_ENTITY => none_or_below(node.a, &t.types).then_some(0),
            TYPE_EXTENSION => {
                matches!(node.a, TAG_DECIMAL | TAG_DATETIME | TAG_DURATION | TAG_IP4).then_some(0)
            }
            TYPE_SET => depth_of(&depths, node.a).map(|depth| depth + 1),
            TYPE_RECORD => {
                let span = Span { start: node.a, len: node.b };
                fields_seen += span.len as usize;
                demand(inside(span, &t.fields), name, "a record's fields do not exist")?;
                span.of(&t.fields).iter().try_fold(0, |deepest: u32, field| {
                    depth_of(&depths, field.schema_type).map(|depth| deepest.max(depth + 1))
                })
            }
            _ => None,
        };
        let depth = depth.filter(|depth| *depth <= NESTING_MAX);
        depths.push(depth.ok_or(LoadError::table(
            name,
            "a type refers to what does not exist or is too deep",
        ))?);
        demand(fields_seen <= t.fields.len(), name, "records share fields")?;
    }
    let fields_ok = t
        .fields
        .iter()
        .all(|f| below(f.name, &t.symbol_ends) && below(f.schema_type, &t.schema_types));
    demand(fields_ok, "fields", "a name or type does not exist")?;
    let mut fields_left = Budget::of(&t.fields);
    for declaration in &t.declarations {
        let name = "declarations";
        demand(fields_left.take(declaration.fields), name, "declarations share attributes")?;
        demand(inside(declaration.fields, &t.fields), name, "its attributes do not exist")?;
        demand(
            declaration.fields.of(&t.fields).is_sorted_by_key(|f| f.name),
            name,
            "its attributes are out of order",
        )?;
        demand(
            none_or_below(declaration.tags, &t.schema_types),
            name,
            "the type of its tags does not exist",
        )?;
        let lists = inside(declaration.ancestor_types, &t.type_lists)
            && inside(declaration.members, &t.type_lists);
        demand(lists, name, "a list does not exist")?;
    }
    for action in &t.actions {
        let lists =
            inside(action.principals, &t.type_lists) && inside(action.resources, &t.type_lists);
        demand(
            lists && below(action.context, &t.schema_types),
            "actions",
            "a list or type does not exist",
        )?;
    }
    let attributes = t.caller_attributes.iter();
    let known = |a: &crate::program::CallerAttribute| {
        below(a.entity_type, &t.types) && below(a.attribute, &t.symbol_ends)
    };
    demand(attributes.clone().all(known), "caller_attributes", "a type or attribute does not exist")
}

fn names(t: &Tables) -> Checked {
    for ty in &t.types {
        let classes = below(ty.principal_class, &t.principal_classes)
            && below(ty.action_class, &t.action_classes)
            && below(ty.resource_class, &t.resource_classes);
        let known =
            below(ty.name, &t.symbol_ends) && none_or_below(ty.declaration, &t.declarations);
        demand(classes && known, "types", "a name, class or declaration does not exist")?;
    }
    let shape_len = |shape: u32| t.shapes.get(shape as usize).map(|span| span.len as usize);
    let fits = |shape: u32, start: u32| match shape {
        NONE => true,
        shape => shape_len(shape).is_some_and(|len| {
            (start as usize).checked_add(len).is_some_and(|end| end <= t.vals.len())
        }),
    };
    let (ids, mut ids_left) = (text_of(&t.entity_text, "entity_text")?, Budget::of(&t.entity_text));
    for entity in &t.entities {
        let name = "entities";
        demand(ids_left.take(entity.id), name, "ids overlap")?;
        demand(
            below(entity.entity_type, &t.types) && is_text(entity.id, ids),
            name,
            "a type or id does not exist",
        )?;
        demand(fits(entity.shape, entity.attrs), name, "its values do not exist")?;
        let classes = below(entity.principal_class, &t.principal_classes)
            && below(entity.resource_class, &t.resource_classes);
        demand(classes, name, "a class does not exist")?;
    }
    let name = "entity_rest";
    demand(t.entity_rest.len() == t.entities.len(), name, "there is not one for each entity")?;
    for rest in &t.entity_rest {
        demand(fits(rest.tag_shape, rest.tags), name, "its values do not exist")?;
        demand(inside(rest.ancestors, &t.ancestors), name, "its ancestors do not exist")?;
        demand(
            below(rest.action_class, &t.action_classes) && none_or_below(rest.action, &t.actions),
            name,
            "a class or action does not exist",
        )?;
    }
    let ancestors = t.ancestors.iter().all(|entity| below(*entity, &t.entities));
    demand(ancestors, "ancestors", "an entity does not exist")?;
    let counted = t.child_counts.is_sorted_by(|a, b| a.entity < b.entity)
        && t.child_counts.iter().all(|count| below(count.entity, &t.entities));
    demand(counted, "child_counts", "an entity does not exist or is out of order")?;
    let marked = t.parent_marks.len() == t.ancestors.len().div_ceil(32);
    demand(marked, "parent_marks", "it has not a bit for each ancestor")?;
    let mut keys_left = Budget::of(&t.shape_keys);
    for shape in &t.shapes {
        demand(keys_left.take(*shape), "shapes", "shapes overlap")?;
        let keys = shape.of(&t.shape_keys);
        let ordered =
            keys.is_sorted_by(|a, b| a < b) && keys.iter().all(|key| below(*key, &t.symbol_ends));
        demand(
            inside(*shape, &t.shape_keys) && ordered,
            "shapes",
            "its keys do not exist or are out of order",
        )?;
    }
    Ok(())
}

fn vals(t: &Tables) -> Checked {
    let name = "vals";
    // How deep the run that begins at a value is and how many values it spells out, for each run that a compound value
    // points at: a run is looked at once. Parts that are shared count as often as walking over them would meet them, so
    // that a small table cannot spell out a value that takes for ever to compare.
    let mut runs: Vec<Run> = Vec::new();
    let spelled_max = 64 * t.vals.len() as u64 + (1 << 16);
    let (mut walked, mut compared) = (0usize, 0u64);
    let values = Values::of_bundle(t);
    for (at, val) in t.vals.iter().enumerate() {
        let span = parts_of(t, *val)
            .ok_or(LoadError::table(name, "a value refers to what does not exist"))?;
        if span.len == 0 {
            continue;
        }
        // Parts come before what they are part of, so nothing contains itself.
        demand(span.range().end <= at, name, "a value contains a later one")?;
        if runs.is_empty() {
            runs = vec![(0, 0, 0, false); t.vals.len()];
        }
        let parts = span.of(&t.vals);
        let (mut len, mut depth, mut spells, mut sorted) =
            runs.get(span.start as usize).copied().unwrap_or_default();
        if len == 0 {
            walked += parts.len();
            demand(walked <= t.vals.len(), name, "values overlap")?;
            (len, spells) = (span.len, 1);
            for part in parts {
                let inner = parts_of(t, *part).filter(|inner| inner.len > 0);
                let (_, below, spelled, _) = inner
                    .and_then(|inner| runs.get(inner.start as usize).copied())
                    .unwrap_or((0, 0, 1, false));
                let compound = matches!(part.tag, TAG_SET | TAG_RECORD);
                depth = depth.max(below + u32::from(compound));
                spells = spelled.saturating_add(spells);
            }
            demand(spells <= spelled_max, name, "values share their parts too often")?;
        }
        demand(len == span.len, name, "values overlap")?;
        if val.tag == TAG_SET && !sorted {
            sorted = parts.is_sorted_by(|a: &Val, b: &Val| {
                compared <= spelled_max && values.compare(*a, *b, &mut compared).is_lt()
            });
            demand(compared <= spelled_max, name, "sets take too long to check")?;
            demand(sorted, name, "a set is out of order")?;
        }
        demand(depth < NESTING_MAX, name, "values are nested too deeply")?;
        if let Some(run) = runs.get_mut(span.start as usize) {
            *run = (len, depth, spells, sorted);
        }
    }
    Ok(())
}

/// Of a run of values: its length or 0 if nothing points at it, how deep its values are, how many values it spells out,
/// and whether it is known to be in the order of a set.
type Run = (u32, u32, u64, bool);

/// The run that a value is made of, empty for a scalar; `None` if it refers to what does not exist.
fn parts_of(t: &Tables, val: Val) -> Option<Span> {
    let scalar = |exists: bool| exists.then_some(Span::EMPTY);
    match val.tag {
        TAG_BOOL => scalar(val.bits <= 1),
        TAG_LONG | TAG_DECIMAL | TAG_DATETIME | TAG_DURATION => scalar(true),
        TAG_STRING => scalar(val.bits < t.symbol_ends.len() as u64),
        TAG_ENTITY => scalar(val.bits < t.entities.len() as u64),
        TAG_IP4 => scalar(val.bits >> 32 <= 32),
        TAG_IP6 => scalar(val.bits < t.ip6.len() as u64 && val.aux <= 128),
        TAG_SET => Some(Span { start: u32::try_from(val.bits).ok()?, len: val.aux }),
        TAG_RECORD => {
            let shape = t.shapes.get(val.aux as usize)?;
            Some(Span { start: u32::try_from(val.bits).ok()?, len: shape.len })
        }
        _ => None,
    }
}

fn policies(t: &Tables) -> Checked {
    let name = "policies";
    // Links of one template share their condition: how many instructions from each on have been checked already.
    let mut checked = vec![0u32; t.ops.len()];
    let mut walked = 0usize;
    let (texts, mut texts_left) = (text_of(&t.texts, "texts")?, Budget::of(&t.texts));
    for (ix, policy) in (0u32..).zip(&t.policies) {
        demand(texts_left.take(policy.id), name, "ids overlap")?;
        demand(is_text(policy.id, texts), name, "an id is no text")?;
        let keys = below(policy.principal_key, &t.principal_keys)
            && below(policy.action_key, &t.action_keys)
            && below(policy.resource_key, &t.resource_keys);
        demand(keys, name, "a key does not exist")?;
        let posting = t.postings.get(policy.posting as usize);
        let posted = posting.is_some_and(|posting| posting.ix() == PolicyIx(ix));
        demand(posted, name, "it is not among the postings")?;
    }
    for posting in &t.postings {
        let (ops, name) = (posting.ops, "postings");
        demand(inside(ops, &t.ops), name, "a condition does not exist")?;
        if let Some(len) = checked.get_mut(ops.start as usize)
            && *len != ops.len
            && ops.len > 0
        {
            *len = ops.len;
            walked += ops.len as usize;
            demand(walked <= t.ops.len(), name, "conditions overlap")?;
            condition(t, ops)?;
        }
    }
    let (mut pieces_left, mut text_left) = (Budget::of(&t.pieces), Budget::of(&t.pattern_text));
    let pattern_text = text_of(&t.pattern_text, "pattern_text")?;
    for pattern in &t.patterns {
        demand(pieces_left.take(pattern.pieces), "patterns", "patterns overlap")?;
        let apart = pattern.pieces.of(&t.pieces).iter().all(|piece| text_left.take(*piece));
        demand(apart, "pieces", "pieces overlap")?;
        let pieces = inside(pattern.pieces, &t.pieces)
            && pattern.pieces.of(&t.pieces).iter().all(|piece| is_text(*piece, pattern_text));
        demand(pieces, "patterns", "a piece is no text")?;
    }
    demand(
        t.paths.iter().all(|key| below(*key, &t.symbol_ends)),
        "paths",
        "an attribute does not exist",
    )?;
    let apart = t.obligations.iter().all(|o| texts_left.take(o.key) && texts_left.take(o.value));
    demand(apart, "obligations", "texts overlap")?;
    let obligations = t.obligations.iter();
    let listed = obligations
        .clone()
        .all(|o| below(o.policy, &t.policies) && is_text(o.key, texts) && is_text(o.value, texts));
    demand(
        listed && t.obligations.is_sorted_by_key(|o| o.policy),
        "obligations",
        "they are out of order or no texts",
    )
}

/// Reads stand on earlier ones, and not on many.
fn reads(t: &Tables) -> Checked {
    let mut depths: Vec<usize> = Vec::with_capacity(t.reads.len());
    for read in &t.reads {
        let depth = match depths.len() < usize::from(VARIABLES) {
            true => (read.of == NONE && read.attribute == NONE).then_some(0),
            false => depths
                .get(read.of as usize)
                .map(|depth| depth + 1)
                .filter(|depth| *depth <= PATH_MAX && below(read.attribute, &t.symbol_ends)),
        };
        depths.push(depth.ok_or(LoadError::table("reads", "a path leads nowhere"))?);
    }
    let numbered = (usize::from(VARIABLES)..=READS_MAX).contains(&depths.len());
    demand(numbered, "reads", "there are too few or too many")
}

fn condition(t: &Tables, ops: Span) -> Checked {
    for (at, instruction) in ops.of(&t.ops).iter().enumerate() {
        let c = instruction.c;
        let holds = match instruction.code {
            op::FAULT => false,
            op::CONST => below(c, &t.vals),
            op::VAR => instruction.a < 4,
            op::ATTR | op::HAS => below(c, &t.symbol_ends),
            op::HAS_PATH | op::RECORD => {
                inside(Span { start: c, len: instruction.b.into() }, &t.paths)
            }
            op::AND | op::OR | op::BRANCH | op::JUMP => {
                (at + 1).saturating_add(c as usize) <= ops.len as usize
            }
            op::LIKE => below(c, &t.patterns),
            op::IS => none_or_below(c, &t.types),
            op::CALL => op::function(instruction.a).is_some(),
            op::FAIL => usize::from(instruction.a) < crate::eval::FAIL_KINDS.len(),
            op::READ => below(instruction.b.into(), &t.reads),
            code if op::is_test(code) => {
                let names = match code {
                    op::TEST_TRUE => true,
                    op::TEST_HAS => below(c, &t.symbol_ends),
                    op::TEST_IS => none_or_below(c, &t.types),
                    op::TEST_LIKE => below(c, &t.patterns),
                    code if op::reads_two(code) => below(c, &t.reads) && u16::try_from(c).is_ok(),
                    _ => below(c, &t.vals),
                };
                names && instruction.a < 2 && below(instruction.b.into(), &t.reads)
            }
            code => code <= op::FAIL,
        };
        demand(holds, "ops", "an instruction is unknown or refers to what does not exist")?;
    }
    Ok(())
}
