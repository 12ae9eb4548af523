//! What the compiler produced, as text: for each policy how it will be found and how it will be run.
//!
//! Printed by `pdp inspect` and compared with committed text in tests, so that a change of index or instructions shows
//! in review. Not a format: nothing reads it back.

use std::fmt::Write;

use crate::bundle::Bundle;
use crate::lookup;
use crate::op;
use crate::program::{
    KEY_ANY, KEY_EQ, KEY_IN, KEY_IN_SET, KEY_IS, KEY_IS_IN, KeyRec, Op, POLICY_CAN_ERROR,
    POLICY_FORBID, POLICY_GROUPED, PolicyRec, Span, TAG_BOOL, TAG_DATETIME, TAG_DECIMAL,
    TAG_DURATION, TAG_ENTITY, TAG_LONG, TAG_RECORD, TAG_SET, TAG_STRING, Tables, Val,
};
use crate::values::Values;

const VARS: [&str; 4] = ["principal", "action", "resource", "context"];

/// The listing of a bundle.
pub(crate) fn text(bundle: &Bundle) -> String {
    let t = bundle.tables();
    let mut out = String::new();
    // Writing to a String cannot fail.
    let _ = writeln!(
        out,
        "bundle {} revision {} digest {}",
        bundle.name(),
        bundle.revision(),
        bundle.digest_hex()
    );
    let _ = writeln!(
        out,
        "{} policies, {} entities stored, {} named, {} types, {} strings",
        t.policies.len(),
        bundle.entity_count(),
        t.entities.len(),
        t.types.len(),
        t.symbol_ends.len()
    );
    let _ = writeln!(
        out,
        "index: {} rows, {} cells; keys: {} principal, {} action, {} resource; classes: {} principal, {} action, {} resource",
        t.rows.len(),
        t.cells.len(),
        t.principal_keys.len(),
        t.action_keys.len(),
        t.resource_keys.len(),
        t.principal_classes.len(),
        t.action_classes.len(),
        t.resource_classes.len()
    );
    for (ix, policy) in bundle.policies().zip(&t.policies) {
        let _ = writeln!(out);
        policy_text(&mut out, bundle, ix, policy);
    }
    out
}

fn policy_text(out: &mut String, bundle: &Bundle, ix: crate::PolicyIx, policy: &PolicyRec) {
    let t = bundle.tables();
    let effect = if policy.flags & POLICY_FORBID != 0 { "forbid" } else { "permit" };
    let errors = if policy.flags & POLICY_CAN_ERROR != 0 { "can error" } else { "cannot error" };
    let _ = writeln!(
        out,
        "{effect} {} ({errors}, at most {} steps)",
        bundle.policy_id(ix),
        t.condition(policy).len()
    );
    let _ = writeln!(
        out,
        "  found by  {}, {}, {}",
        key_text(t, "principal", t.principal_keys.get(policy.principal_key as usize)),
        key_text(t, "action", t.action_keys.get(policy.action_key as usize)),
        key_text(t, "resource", t.resource_keys.get(policy.resource_key as usize))
    );
    if let Some(origins) = bundle.origins() {
        if origins.lifted(ix) > 0 {
            let _ =
                writeln!(out, "            {} of it lifted from the condition", origins.lifted(ix));
        }
        if !origins.reads(ix).is_empty() {
            let _ = writeln!(out, "  reads     {}", origins.reads(ix).join(", "));
        }
    }
    if policy.flags & POLICY_GROUPED != 0 {
        let _ =
            writeln!(out, "            and by what the paths hold that its condition opens with");
    }
    let ops = t.condition(policy);
    if ops.is_empty() {
        let _ = writeln!(out, "  runs      nothing: the scope decides");
    }
    for (at, instruction) in ops.iter().enumerate() {
        let lead = if at == 0 { "  runs    " } else { "          " };
        let _ = writeln!(out, "{lead} {at:>3} {}", op_text(t, at, instruction));
    }
}

fn op_text(t: &Tables, at: usize, instruction: &Op) -> String {
    let name = op::name(instruction.code).to_lowercase();
    let c = instruction.c;
    let operand = match instruction.code {
        op::CONST => t.vals.get(c as usize).map_or(String::new(), |val| val_text(t, *val)),
        op::VAR => VARS.get(usize::from(instruction.a)).map_or("?", |var| var).to_owned(),
        op::ATTR | op::HAS => symbol_text(t, c),
        op::HAS_PATH => {
            let keys = Span { start: c, len: instruction.b.into() }.of(&t.paths);
            keys.iter().map(|key| symbol_text(t, *key)).collect::<Vec<_>>().join(".")
        }
        op::AND | op::OR | op::BRANCH | op::JUMP => format!("→ {}", at + 1 + c as usize),
        op::LIKE => {
            format!("{:?}", pattern_text(t, c))
        }
        op::IS => type_text(t, c),
        op::SET => c.to_string(),
        op::RECORD => {
            let keys = Span { start: c, len: instruction.b.into() }.of(&t.paths);
            keys.iter().map(|key| symbol_text(t, *key)).collect::<Vec<_>>().join(", ")
        }
        op::READ => read_text(t, instruction.b.into()),
        code if op::is_test(code) => {
            let of = read_text(t, instruction.b.into());
            let with = match code {
                op::TEST_TRUE => String::new(),
                op::TEST_HAS => symbol_text(t, c),
                op::TEST_IS => type_text(t, c),
                op::TEST_LIKE => format!("{:?}", pattern_text(t, c)),
                code if op::reads_two(code) => read_text(t, c),
                _ => t.vals.get(c as usize).map_or(String::new(), |val| val_text(t, *val)),
            };
            let not = if instruction.a == 1 { "not " } else { "" };
            format!("{not}{of} {with}").trim_end().to_owned()
        }
        op::CALL => op::function(instruction.a).map_or("?", |(name, _)| name).to_owned(),
        op::FAIL => crate::eval::FAIL_KINDS
            .get(usize::from(instruction.a))
            .map_or("?", |kind| kind.as_str())
            .to_owned(),
        _ => String::new(),
    };
    format!("{name:<12} {operand}").trim_end().to_owned()
}

/// A path as it is written.
pub(crate) fn read_text(t: &Tables, ix: u32) -> String {
    if let Some(var) = VARS.get(ix as usize) {
        return (*var).to_owned();
    }
    match t.reads.get(ix as usize) {
        // A read stands on an earlier one.
        Some(read) if read.of < ix => {
            format!("{}.{}", read_text(t, read.of), symbol_text(t, read.attribute))
        }
        _ => "?".to_owned(),
    }
}

fn pattern_text(t: &Tables, pattern: u32) -> String {
    let pieces = t.patterns.get(pattern as usize).map_or(Span::EMPTY, |pattern| pattern.pieces);
    let pieces =
        pieces.of(&t.pieces).iter().map(|piece| String::from_utf8_lossy(piece.of(&t.pattern_text)));
    pieces.collect::<Vec<_>>().join("*")
}

/// What a key asks, in Cedar's words.
pub(crate) fn key_text(t: &Tables, var: &str, key: Option<&KeyRec>) -> String {
    let Some(key) = key else { return format!("{var} ?") };
    match key.kind {
        KEY_ANY => format!("any {var}"),
        KEY_IS => format!("{var} is {}", type_text(t, key.entity_type)),
        KEY_EQ => format!("{var} == {}", entity_text(t, key.entity)),
        KEY_IN => format!("{var} in {}", entity_text(t, key.entity)),
        KEY_IS_IN => {
            format!("{var} is {} in {}", type_text(t, key.entity_type), entity_text(t, key.entity))
        }
        KEY_IN_SET => {
            let members = Span { start: key.entity, len: key.len }.of(&t.key_entities);
            let names: Vec<String> = members.iter().map(|member| entity_text(t, *member)).collect();
            format!("{var} in [{}]", names.join(", "))
        }
        _ => format!("{var} ?"),
    }
}

fn val_text(t: &Tables, val: Val) -> String {
    let values = Values::of_bundle(t);
    match val.tag {
        TAG_BOOL => (val.bits != 0).to_string(),
        TAG_LONG => val.as_i64().to_string(),
        TAG_STRING => format!("{:?}", symbol_text(t, val.low())),
        TAG_ENTITY => entity_text(t, val.low()),
        TAG_SET => {
            let items: Vec<String> =
                values.elements(val).iter().map(|item| val_text(t, *item)).collect();
            format!("[{}]", items.join(", "))
        }
        TAG_RECORD => {
            let keys = values.keys(val.aux);
            let vals = values.run(val.low(), u32::try_from(keys.len()).unwrap_or(0));
            let fields = keys
                .iter()
                .zip(vals)
                .map(|(key, val)| format!("{:?}: {}", symbol_text(t, *key), val_text(t, *val)));
            format!("{{{}}}", fields.collect::<Vec<_>>().join(", "))
        }
        TAG_DECIMAL => format!("decimal(\"{}\")", crate::Decimal(val.as_i64())),
        TAG_DATETIME => format!("datetime(\"{}\")", crate::Datetime(val.as_i64())),
        TAG_DURATION => format!("duration(\"{}\")", crate::Duration(val.as_i64())),
        _ => values.ip(val).map_or("?".to_owned(), |ip| format!("ip(\"{ip}\")")),
    }
}

fn symbol_text(t: &Tables, symbol: u32) -> String {
    String::from_utf8_lossy(lookup::symbol_text(t, symbol)).into_owned()
}

fn type_text(t: &Tables, ty: u32) -> String {
    t.types.get(ty as usize).map_or("?".to_owned(), |ty| symbol_text(t, ty.name))
}

fn entity_text(t: &Tables, entity: u32) -> String {
    t.entities.get(entity as usize).map_or("?".to_owned(), |record| {
        let id = String::from_utf8_lossy(record.id.of(&t.entity_text));
        format!("{}::\"{}\"", type_text(t, record.entity_type), id.escape_debug())
    })
}
