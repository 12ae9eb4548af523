//! One policy or template: effect, annotations, scope, clauses.

use super::expr::{Aim, Manners, Writer};
use super::model::Model;
use super::paths::Path;
use super::pool::Values;
use super::scope::{Scope, Slots};
use super::store::Store;
use crate::rng::Rng;

/// What policies are written from.
#[derive(Debug, Clone, Copy)]
pub(super) struct Scene<'a> {
    pub(super) model: &'a Model,
    pub(super) values: Values<'a>,
    pub(super) store: &'a Store,
    pub(super) aim: &'a Aim,
    pub(super) paths: &'a [Path],
    /// The world has a schema.
    pub(super) schema: bool,
    /// Of 100 of the world's policies, how many are confused.
    pub(super) confused_percent: u32,
}

/// How deep expressions nest when nothing special is wanted.
const DEPTH_MAX: u32 = 3;
/// How deep the policies nest that are there to be deep.
const NESTING_MAX: usize = 60;

const ANNOTATIONS: &[&str] = &[
    "@obligation(\"log\")",
    "@note(\"line\\nbreak; \\\"quoted\\\"\")",
    "@advice(\"\")",
    "@flag",
    "@if(\"reserved words may be keys\")",
];

/// A policy, or a template when `slots` says so.
///
/// `bodies` are the clauses that other policies with the same aim have; some are taken up again, since an engine that
/// evaluates an expression once for several policies has to do so rightly.
pub(super) fn write(
    rng: &mut Rng,
    scene: Scene<'_>,
    slots: Slots,
    bodies: &mut Vec<String>,
) -> String {
    let manners = manners(rng, scene);
    let mut writer = writer(rng, scene, manners);
    let scope = writer.scope(slots);
    let clauses = match writer.rng.below(100) {
        0..2 => vec![format!("when {{ {} }}", nested(&mut writer))],
        2..14 => Vec::new(),
        14..42 => with_head(&mut writer, &scope),
        _ => clauses(&mut writer, &scope, bodies),
    };
    assemble(writer.rng, &scope.text, &clauses)
}

/// The manners of one policy: some are confused, and without a schema the others are careless.
pub(super) fn manners(rng: &mut Rng, scene: Scene<'_>) -> Manners {
    let confused = rng.percent(scene.confused_percent);
    Manners {
        strict: scene.schema && !confused,
        confusion_per_mille: if confused { 180 } else { 0 },
        unguarded_percent: match (scene.schema, confused) {
            (true, false) => 0,
            (true, true) => 30,
            (false, _) => 35,
        },
    }
}

pub(super) fn writer<'a>(rng: &'a mut Rng, scene: Scene<'a>, manners: Manners) -> Writer<'a> {
    Writer::new(rng, scene.model, scene.values, scene.store, scene.aim, scene.paths, manners)
}

/// Annotations, effect, scope and clauses put together, one clause a line.
pub(super) fn assemble(rng: &mut Rng, scope: &str, clauses: &[String]) -> String {
    let mut out = String::new();
    if rng.percent(12) {
        let first = rng.below(ANNOTATIONS.len());
        let count = rng.between(1, 2);
        for annotation in ANNOTATIONS.iter().cycle().skip(first).take(count) {
            out.push_str(annotation);
            out.push('\n');
        }
    }
    out.push_str(if rng.percent(30) { "forbid" } else { "permit" });
    out.push('(');
    out.push_str(scope);
    out.push(')');
    for clause in clauses {
        out.push('\n');
        out.push_str(clause);
    }
    out.push(';');
    out
}

fn clauses(writer: &mut Writer<'_>, scope: &Scope, bodies: &mut Vec<String>) -> Vec<String> {
    let count = writer.rng.weighted(&[(6, 1), (2, 2), (1, 3)]);
    let pins = pins(writer, scope);
    let mut clauses = Vec::new();
    for at in 0..count {
        let depth = writer.rng.weighted(&[(4, 0), (4, 1), (2, 2), (1, DEPTH_MAX)]);
        let body = writer.boolean(depth);
        let body = match writer.rng.pick_maybe(bodies) {
            Some(earlier) if writer.rng.percent(15) => match writer.rng.below(4) {
                0 => format!("!({earlier})"),
                1 => format!("({body} && {earlier})"),
                2 => format!("({earlier} || {body})"),
                _ => earlier.clone(),
            },
            _ => {
                bodies.push(body.clone());
                body
            }
        };
        let unless = writer.rng.percent(22);
        if at > 0 || pins.is_empty() {
            clauses.push(clause(unless, &body));
        } else if unless || writer.rng.percent(50) {
            clauses.push(clause(false, &pins.join(" && ")));
            clauses.push(clause(unless, &body));
        } else {
            clauses.push(clause(false, &format!("{} && {body}", pins.join(" && "))));
        }
    }
    clauses
}

/// Clauses of which the first begins with conjuncts that could be lifted.
fn with_head(writer: &mut Writer<'_>, scope: &Scope) -> Vec<String> {
    let mut conjuncts = pins(writer, scope);
    conjuncts.extend(writer.head());
    if writer.rng.percent(75) {
        conjuncts.push(writer.boolean(1));
    }
    let grouped_right = writer.rng.percent(20);
    let body = if grouped_right {
        // `a && (b && c)`, where Cedar itself groups `(a && b) && c`.
        let (first, rest) = conjuncts.split_at(1);
        match rest {
            [] => first.join(""),
            rest => format!("{} && ({})", first.join(""), rest.join(" && ")),
        }
    } else {
        conjuncts.join(" && ")
    };
    let mut clauses = vec![clause(writer.rng.percent(6), &body)];
    if writer.rng.percent(20) {
        let more = writer.boolean(1);
        let unless = writer.rng.percent(50);
        clauses.push(clause(unless, &more));
    }
    if writer.rng.percent(8) {
        let early = writer.boolean(0);
        clauses.insert(0, clause(false, &early));
    }
    clauses
}

/// Tests that narrow the request's types to the aimed ones where the scope does not, so that what follows fits its types.
pub(super) fn pins(writer: &mut Writer<'_>, scope: &Scope) -> Vec<String> {
    let mut pins = Vec::new();
    let aim = writer.aim;
    // Whoever writes for a schema has to narrow the types; without one it is a matter of taste.
    let percent = if writer.manners.strict { 100 } else { 25 };
    if !scope.settles_action && writer.rng.percent(percent) {
        pins.push(format!("action == {}", aim.action.cedar()));
    }
    for (settled, variable, ix) in [
        (scope.settles_principal, "principal", aim.env.principal),
        (scope.settles_resource, "resource", aim.env.resource),
    ] {
        if !settled && writer.rng.percent(percent) {
            pins.push(format!("{variable} is {}", writer.model.entity_type(ix).name));
        }
    }
    pins
}

pub(super) fn clause(unless: bool, body: &str) -> String {
    let keyword = if unless { "unless" } else { "when" };
    format!("{keyword} {{ {body} }}")
}

/// A deep or a long expression.
fn nested(writer: &mut Writer<'_>) -> String {
    let mut text = writer.boolean(0);
    let levels = writer.rng.between(10, NESTING_MAX);
    match writer.rng.below(5) {
        0 => {
            for _ in 0..levels {
                text = format!(
                    "(if {text} then {} else {text_false})",
                    writer.rng.percent(70),
                    text_false = writer.rng.percent(70)
                );
            }
        }
        1 => {
            for _ in 0..levels {
                text = format!("!({text})");
            }
        }
        2 => {
            for _ in 0..levels {
                let other = writer.liftable();
                text = format!("{other} || {text}");
            }
        }
        3 => {
            let strict = writer.manners.strict;
            let path = writer.path_where(|path| {
                path.last.is_some() && (!strict || path.needs.is_empty() && path.ty.is_exact())
            });
            if let Some(path) = path {
                for _ in 0..levels {
                    let constant = writer.constant_for(path);
                    text = format!("{} == {constant} || {text}", path.text);
                }
            }
        }
        _ => {
            let mut sum = "1".to_owned();
            for _ in 0..levels {
                sum = format!("({sum} + 1)");
            }
            text = format!("{sum} > 0 && {text}");
        }
    }
    text
}
