//! The source section: where each policy came from and what its conjuncts are, for explanations and `inspect`.

use super::lift::Scope;
use super::lower::{Condition, Mark};
use crate::op;
use crate::origin::{Clause, File, Origin, Origins};
use crate::source::tree::{Constraint, Exprs, Ix, Node, PolicyTree};
use crate::source::{Source, TextFile};

/// The entry of one policy.
pub(super) fn of(
    policy: &PolicyTree,
    scope: &Scope,
    condition: &Condition,
    source: &Source,
) -> Origin {
    let file = source.files.get(policy.place.file);
    Origin {
        file: policy.place.file,
        start: policy.place.start,
        end: policy.place.end,
        line: line(file, policy.place.start),
        found: found(scope),
        reads: reads(&policy.condition),
        clauses: condition.marks.iter().map(|mark| clause(policy, mark, file)).collect(),
    }
}

/// The section's bytes.
pub(super) fn section(source: &Source, policies: Vec<Origin>) -> Vec<u8> {
    let files = source
        .files
        .iter()
        .map(|file| File { name: file.name.clone(), text: file.text.clone() })
        .collect();
    // Strings and numbers always serialise.
    serde_json::to_vec(&Origins { files, policies }).unwrap_or_default()
}

fn clause(policy: &PolicyTree, mark: &Mark, file: Option<&TextFile>) -> Clause {
    let (negated, inner) = match policy.condition.node(mark.clause) {
        Node::Unary(op::NOT, inner) => (true, *inner),
        _ => (false, mark.clause),
    };
    let span = policy.condition.span(mark.clause).or_else(|| policy.condition.span(inner));
    let text = file.map_or("", |file| &file.text);
    let written = span.and_then(|(start, end)| text.get(start as usize..end as usize));
    Clause {
        start: mark.start,
        end: mark.end,
        middle: mark.middle,
        operator: operator(&policy.condition, inner).map(str::to_owned),
        text: written.unwrap_or("").split_whitespace().collect::<Vec<_>>().join(" "),
        line: span.filter(|_| written.is_some()).map_or(0, |(start, _)| line(file, start as usize)),
        negated,
    }
}

fn operator(exprs: &Exprs, ix: Ix) -> Option<&'static str> {
    match exprs.node(ix) {
        Node::Binary(code, _, _) => Some(match *code {
            op::EQ => "==",
            op::LESS => "<",
            op::LESS_EQ => "<=",
            op::IN => "in",
            op::CONTAINS => "contains",
            op::CONTAINS_ALL => "containsAll",
            op::CONTAINS_ANY => "containsAny",
            op::HAS_TAG => "hasTag",
            _ => return None,
        }),
        _ => None,
    }
}

/// How the index finds the policy, in words.
fn found(scope: &Scope) -> String {
    let part = |name: &str, constraint: &Constraint| match constraint {
        Constraint::Any => format!("any {name}"),
        Constraint::Is(ty) => format!("{name} is {ty}"),
        Constraint::Eq(of) => format!("{name} == {of}"),
        Constraint::In(of) => format!("{name} in {of}"),
        Constraint::IsIn(ty, of) => format!("{name} is {ty} in {of}"),
        Constraint::InSet(of) => {
            let names: Vec<String> = of.iter().map(ToString::to_string).collect();
            format!("{name} in [{}]", names.join(", "))
        }
    };
    let parts = [
        part("principal", &scope.principal),
        part("action", &scope.action),
        part("resource", &scope.resource),
    ];
    let lifted = match scope.lifted {
        0 => String::new(),
        n => format!(" ({n} lifted from the condition)"),
    };
    format!("{}{lifted}", parts.join(", "))
}

/// What a condition reads of the request and the store, as paths.
fn reads(exprs: &Exprs) -> Vec<String> {
    // `context.input` is read on the way to `context.input.amount`: only the longest are named.
    let mut on_the_way = vec![false; exprs.len() as usize];
    for ix in 0..exprs.len() {
        if let Node::Attr(of, _) | Node::Has(of, _) = exprs.node(ix)
            && let Some(mark) = on_the_way.get_mut(*of as usize)
        {
            *mark = true;
        }
    }
    let ends = (0..exprs.len()).zip(on_the_way).filter(|(_, on_the_way)| !on_the_way);
    let mut paths: Vec<String> = ends.filter_map(|(ix, _)| path(exprs, ix)).collect();
    paths.sort();
    paths.dedup();
    let kept = |path: &String| {
        let longer = format!("{path}.");
        let from = paths.partition_point(|other| *other < longer);
        !paths.get(from).is_some_and(|other| other.starts_with(&longer))
    };
    paths.iter().filter(|path| kept(path)).cloned().collect()
}

fn path(exprs: &Exprs, ix: Ix) -> Option<String> {
    const VARS: [&str; 4] = ["principal", "action", "resource", "context"];
    let mut keys = Vec::new();
    let mut at = ix;
    loop {
        match exprs.node(at) {
            Node::Attr(of, key) => {
                keys.push(key.clone());
                at = *of;
            }
            Node::Has(of, path) => {
                keys.push(path.join("."));
                at = *of;
            }
            Node::Var(var) if !keys.is_empty() => {
                keys.push((*VARS.get(usize::from(*var))?).to_owned());
                keys.reverse();
                return Some(keys.join("."));
            }
            _ => return None,
        }
    }
}

fn line(file: Option<&TextFile>, at: usize) -> u32 {
    file.map_or(0, |file| u32::try_from(file.line(at)).unwrap_or(0))
}
