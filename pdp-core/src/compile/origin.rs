//! The source section: where each policy came from and what its conjuncts are, for explanations and `inspect`.

use std::collections::HashMap;

use super::lift::Scope;
use super::lower::{self, Condition};
use crate::ids::{TooMany, next_id};
use crate::op;
use crate::origin::{File, Mark, Origin, Written};
use crate::source::Source;
use crate::source::tree::{Exprs, Ix, Node, PolicyTree};

/// The section under construction.
#[derive(Debug, Default)]
pub(super) struct Section {
    reads: Vec<Vec<String>>,
    known_reads: HashMap<Vec<String>, u32>,
    policies: Vec<Origin>,
}

impl Section {
    /// Adds the entry of one policy.
    pub(super) fn add(
        &mut self,
        policy: &PolicyTree,
        scope: &Scope,
        condition: &Condition,
    ) -> Result<(), TooMany> {
        let reads = reads(&policy.condition);
        let reads = match self.known_reads.get(&reads) {
            Some(known) => *known,
            None => {
                let next = next_id(self.reads.len())?;
                self.reads.push(reads.clone());
                self.known_reads.insert(reads, next);
                next
            }
        };
        self.policies.push(Origin {
            file: next_id(policy.place.file)?,
            start: next_id(policy.place.start)?,
            len: next_id(policy.place.end - policy.place.start)?,
            reads,
            lifted: next_id(scope.lifted)?,
            marks: condition.marks.iter().map(|of| mark(policy, of)).collect(),
        });
        Ok(())
    }

    /// The section's bytes.
    pub(super) fn json(self, source: &Source) -> Vec<u8> {
        let files = source.files.iter();
        let files = files.map(|file| File { name: file.name.as_str(), text: file.text.as_str() });
        let written =
            Written { files: files.collect(), reads: self.reads, policies: self.policies };
        // Strings and numbers always serialise.
        serde_json::to_vec(&written).unwrap_or_default()
    }
}

fn mark(policy: &PolicyTree, of: &lower::Mark) -> Mark {
    let (negated, inner) = match policy.condition.node(of.clause) {
        Node::Unary(op::NOT, inner) => (true, *inner),
        _ => (false, of.clause),
    };
    let span = policy.condition.span(of.clause).or_else(|| policy.condition.span(inner));
    let policy_start = u32::try_from(policy.place.start).ok();
    let text = span.zip(policy_start).and_then(|((start, end), policy_start)| {
        Some((start.checked_sub(policy_start)?, end.checked_sub(start)?))
    });
    Mark {
        start: of.start,
        len: of.end - of.start,
        left: of.middle.map(|middle| middle - of.start),
        operator: match policy.condition.node(inner) {
            Node::Binary(code, _, _) => *code,
            _ => 0,
        },
        negated,
        text,
    }
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
