//! Conditions to instructions, literals to constants.
//!
//! A condition is its conjuncts one after the other, each followed by `REQUIRE`. Chains of first operands are emitted
//! in a loop, everything else by recursion as deep as the text nests. What is written out, sets, records and calls of
//! constructors included, becomes a constant; a constructor that would fail stays a call and fails when it is reached,
//! as in Cedar.

use std::collections::HashMap;

use super::Failure;
use super::build::Builder;
use super::fuse;
use super::paths::Paths;
use crate::eval::FAIL_KINDS;
use crate::ext::{Datetime, Decimal, Duration, IpNet};
use crate::faults;
use crate::ids::{TooMany, next_id};
use crate::op;
use crate::outcome::ErrorKind;
use crate::program::{Op, PatternRec, Span, TAG_DATETIME, TAG_DECIMAL, TAG_DURATION, Val};
use crate::source::tree::{Exprs, Ix, Node, PolicyTree};

/// A condition as instructions.
#[derive(Debug)]
pub(super) struct Condition {
    pub(super) ops: Span,
    pub(super) marks: Vec<Mark>,
}

/// Where a conjunct's instructions are, counted from the start of the condition's.
#[derive(Debug, Clone, Copy)]
pub(super) struct Mark {
    pub(super) clause: Ix,
    pub(super) start: u32,
    pub(super) end: u32,
    /// For a comparison: where its right operand begins.
    pub(super) middle: Option<u32>,
}

/// Lowers the conjuncts `kept` of a policy's condition.
pub(super) fn condition(
    builder: &mut Builder,
    paths: &Paths,
    policy: &PolicyTree,
    kept: &[Ix],
    fuse: bool,
) -> Result<Condition, Failure> {
    let mut lower = Lower { builder, paths, exprs: &policy.condition, ops: Vec::new() };
    let mut marks = Vec::new();
    for clause in kept {
        // A conjunct that is written out as true asks nothing.
        if matches!(policy.condition.node(*clause), Node::Bool(true)) {
            continue;
        }
        let start = lower.at()?;
        let test = match fuse {
            true => fuse::test(lower.builder, paths, &policy.condition, *clause)?,
            false => None,
        };
        if let Some(test) = test {
            lower.ops.push(test);
            marks.push(Mark { clause: *clause, start, end: lower.at()?, middle: None });
            continue;
        }
        let middle = lower.clause(*clause)?;
        let end = lower.at()?;
        lower.push(op::REQUIRE, 0, 0, 0);
        marks.push(Mark { clause: *clause, start, end, middle });
    }
    let ops = lower.ops;
    Ok(Condition { ops: shared(builder, ops)?, marks })
}

/// Links of a template, and policies that differ only in scope, share their instructions.
fn shared(builder: &mut Builder, ops: Vec<Op>) -> Result<Span, TooMany> {
    let key: Vec<(u8, u8, u16, u32)> = ops.iter().map(|op| (op.code, op.a, op.b, op.c)).collect();
    if let Some(span) = builder.conditions.get(&key) {
        return Ok(*span);
    }
    let span = Span { start: next_id(builder.tables.ops.len())?, len: next_id(ops.len())? };
    builder.tables.ops.extend(ops);
    builder.conditions.insert(key, span);
    Ok(span)
}

/// Conditions that are there already, by their instructions.
pub(super) type Conditions = HashMap<Vec<(u8, u8, u16, u32)>, Span>;

/// The value of an expression that is written out; `None` if it has to be evaluated.
pub(super) fn fold(builder: &mut Builder, exprs: &Exprs, ix: Ix) -> Result<Option<Val>, TooMany> {
    Ok(Some(match exprs.node(ix) {
        Node::Bool(b) => Val::bool(*b),
        Node::Long(i) => Val::long(*i),
        Node::Text(text) => Val::string(builder.symbol(text)?),
        Node::Entity(name) => Val::entity(builder.entity(name)?),
        Node::Set(items) => {
            let mut vals = Vec::with_capacity(items.len());
            for item in items {
                match fold(builder, exprs, *item)? {
                    Some(val) => vals.push(val),
                    None => return Ok(None),
                }
            }
            builder.set(vals)?
        }
        Node::Record(fields) => {
            let mut pairs = Vec::with_capacity(fields.len());
            for (key, value) in fields {
                match fold(builder, exprs, *value)? {
                    Some(val) => pairs.push((builder.symbol(key)?, val)),
                    None => return Ok(None),
                }
            }
            builder.record(pairs)?
        }
        Node::Call(..) => return call(builder, exprs, ix),
        _ => return Ok(None),
    }))
}

/// The value of a call that is written out. A chain of calls, each on what the one before gives, is walked in a loop:
/// nothing but the length of the text bounds it.
fn call(builder: &mut Builder, exprs: &Exprs, ix: Ix) -> Result<Option<Val>, TooMany> {
    let mut chain = Vec::new();
    let mut at = ix;
    // How Cedar keeps datetimes that are no text: an offset from the epoch.
    while let Some((from, by)) = offset_of(exprs.node(at)) {
        chain.push(by);
        at = from;
    }
    let mut val = match exprs.node(at) {
        Node::Call(function, args) => match args.as_slice() {
            [arg] => match exprs.node(*arg) {
                Node::Text(text) => construct(builder, function, text)?,
                _ => None,
            },
            _ => None,
        },
        // Only datetimes are moved, and no other node is one.
        _ => None,
    };
    for by in chain.into_iter().rev() {
        let Some(from) = val else { return Ok(None) };
        val = offset(builder, exprs, from, by)?;
    }
    Ok(val)
}

/// A datetime moved by a duration, if both are written out.
fn offset(builder: &mut Builder, exprs: &Exprs, from: Val, by: Ix) -> Result<Option<Val>, TooMany> {
    if from.tag != TAG_DATETIME {
        return Ok(None);
    }
    let by = fold(builder, exprs, by)?.filter(|by| by.tag == TAG_DURATION);
    let moved = by.and_then(|by| Datetime(from.as_i64()).offset(Duration(by.as_i64())));
    Ok(moved.map(|moved| Val::number(TAG_DATETIME, moved.0)))
}

/// What an offset moves, and by what.
fn offset_of(node: &Node) -> Option<(Ix, Ix)> {
    match node {
        Node::Call(function, args) => match (function.as_str(), args.as_slice()) {
            ("offset", [from, by]) => Some((*from, *by)),
            _ => None,
        },
        _ => None,
    }
}

fn construct(builder: &mut Builder, function: &str, text: &str) -> Result<Option<Val>, TooMany> {
    Ok(match function {
        "decimal" => text.parse().ok().map(|d: Decimal| Val::number(TAG_DECIMAL, d.0)),
        "datetime" => text.parse().ok().map(|d: Datetime| Val::number(TAG_DATETIME, d.0)),
        "duration" => text.parse().ok().map(|d: Duration| Val::number(TAG_DURATION, d.0)),
        "ip" => match text.parse::<IpNet>() {
            Ok(ip) => Some(builder.ip(ip)?),
            Err(_) => None,
        },
        _ => None,
    })
}

struct Lower<'a> {
    builder: &'a mut Builder,
    paths: &'a Paths,
    exprs: &'a Exprs,
    ops: Vec<Op>,
}

/// Where a chain of first operands begins.
enum Bottom {
    Constant(Val),
    /// It is there already.
    Emitted,
    Open,
}

impl Lower<'_> {
    /// A conjunct; for a comparison, gives where its right operand begins.
    fn clause(&mut self, ix: Ix) -> Result<Option<u32>, Failure> {
        match self.exprs.node(ix) {
            Node::Unary(op::NOT, inner) => {
                let middle = self.clause(*inner)?;
                if !faults::UNLESS_IGNORED.is_on() {
                    self.push(op::NOT, 0, 0, 0);
                }
                Ok(middle)
            }
            Node::Binary(code, left, right) => {
                self.expr(*left)?;
                let middle = self.at()?;
                self.expr(*right)?;
                self.push(*code, 0, 0, 0);
                Ok(Some(middle))
            }
            _ => {
                self.expr(ix)?;
                Ok(None)
            }
        }
    }

    fn expr(&mut self, ix: Ix) -> Result<(), Failure> {
        let mut chain = Vec::new();
        let mut at = ix;
        let mut bottom = loop {
            let node = self.exprs.node(at);
            // Whether a chain of offsets is written out is told from its end, once, not anew at each of them.
            if offset_of(node).is_none()
                && let Some(val) = fold(self.builder, self.exprs, at)?
            {
                break Bottom::Constant(val);
            }
            if let Node::Attr(..) = node
                && let Some(read) = self.paths.read(self.exprs, at)
            {
                self.push(op::READ, 0, read, 0);
                break Bottom::Emitted;
            }
            match first_operand(node) {
                Some(first) => {
                    chain.push(at);
                    at = first;
                }
                None => break Bottom::Open,
            }
        };
        while let Bottom::Constant(from) = bottom
            && let Some((_, by)) = chain.last().and_then(|at| offset_of(self.exprs.node(*at)))
            && let Some(moved) = offset(self.builder, self.exprs, from, by)?
        {
            chain.pop();
            bottom = Bottom::Constant(moved);
        }
        match bottom {
            Bottom::Constant(val) => {
                let at = self.builder.constant(val)?;
                self.push(op::CONST, 0, 0, at);
            }
            Bottom::Emitted => {}
            Bottom::Open => self.bottom(at)?,
        }
        for parent in chain.into_iter().rev() {
            self.parent(parent)?;
        }
        Ok(())
    }

    /// An expression whose first operand has been emitted.
    fn parent(&mut self, ix: Ix) -> Result<(), Failure> {
        match self.exprs.node(ix) {
            Node::And(_, right) => self.short_circuit(op::AND, *right)?,
            Node::Or(_, right) => self.short_circuit(op::OR, *right)?,
            Node::Unary(code, _) => self.push(*code, 0, 0, 0),
            Node::Binary(code, _, right) => {
                self.expr(*right)?;
                self.push(*code, 0, 0, 0);
            }
            Node::Attr(_, key) => {
                let key = self.builder.symbol(key)?;
                self.push(op::ATTR, 0, 0, key);
            }
            Node::Has(_, path) => {
                let keys = path
                    .iter()
                    .map(|key| self.builder.symbol(key))
                    .collect::<Result<Vec<_>, _>>()?;
                if let [key] = keys.as_slice() {
                    self.push(op::HAS, 0, 0, *key);
                } else {
                    let span = self.builder.path(&keys)?;
                    let len = u16::try_from(span.len).map_err(|_| TooMany)?;
                    self.push(op::HAS_PATH, 0, len, span.start);
                }
            }
            Node::Like(_, pieces) => {
                let pattern = pattern(self.builder, pieces)?;
                self.push(op::LIKE, 0, 0, pattern);
            }
            Node::Is(_, ty) => {
                let ty = self.builder.entity_type(ty)?;
                self.push(op::IS, 0, 0, ty);
            }
            Node::Call(function, args) => {
                for arg in args.iter().skip(1) {
                    self.expr(*arg)?;
                }
                self.call(function, args.len());
            }
            // `first_operand` names no other.
            _ => self.fail(ErrorKind::Type),
        }
        Ok(())
    }

    fn bottom(&mut self, ix: Ix) -> Result<(), Failure> {
        match self.exprs.node(ix) {
            Node::Var(var) => self.push(op::VAR, *var, 0, 0),
            Node::If(test, then, otherwise) => {
                self.expr(*test)?;
                let branch = self.hole(op::BRANCH);
                self.expr(*then)?;
                let jump = self.hole(op::JUMP);
                self.land(branch)?;
                self.expr(*otherwise)?;
                self.land(jump)?;
            }
            Node::Set(items) => {
                for item in items {
                    self.expr(*item)?;
                }
                let len = next_id(items.len())?;
                self.push(op::SET, 0, 0, len);
            }
            Node::Record(fields) => self.record(fields)?,
            // Only calls without arguments are left: none of Cedar's functions takes none.
            Node::Call(function, _) => self.call(function, 0),
            _ => self.fail(ErrorKind::Type),
        }
        Ok(())
    }

    /// Fields are evaluated in the order of their names, as Cedar does: the first that fails is the error.
    fn record(&mut self, fields: &[(String, Ix)]) -> Result<(), Failure> {
        let mut keys = Vec::with_capacity(fields.len());
        for (key, value) in fields {
            keys.push(self.builder.symbol(key)?);
            self.expr(*value)?;
        }
        let span = self.builder.path(&keys)?;
        let len = u16::try_from(span.len).map_err(|_| TooMany)?;
        self.push(op::RECORD, 0, len, span.start);
        Ok(())
    }

    fn short_circuit(&mut self, code: u8, right: Ix) -> Result<(), Failure> {
        let hole = self.hole(code);
        self.expr(right)?;
        self.push(op::BOOL, 0, 0, 0);
        self.land(hole)
    }

    fn call(&mut self, function: &str, args: usize) {
        match op::FUNCTIONS.iter().find(|(_, name, _)| *name == function) {
            Some((id, _, arity)) if usize::from(*arity) == args => self.push(op::CALL, *id, 0, 0),
            Some(_) => self.fail(ErrorKind::Arity),
            None => self.fail(ErrorKind::Type),
        }
    }

    fn push(&mut self, code: u8, a: u8, b: u16, c: u32) {
        self.ops.push(Op { code, a, b, c });
    }

    fn fail(&mut self, kind: ErrorKind) {
        let a = FAIL_KINDS.iter().position(|known| *known == kind).unwrap_or(0);
        self.push(op::FAIL, u8::try_from(a).unwrap_or(0), 0, 0);
    }

    fn at(&self) -> Result<u32, TooMany> {
        next_id(self.ops.len())
    }

    /// A jump whose distance is not known yet.
    fn hole(&mut self, code: u8) -> usize {
        self.push(code, 0, 0, 0);
        self.ops.len()
    }

    /// The jump goes to here.
    fn land(&mut self, hole: usize) -> Result<(), Failure> {
        let distance = next_id(self.ops.len() - hole)?;
        if let Some(jump) = hole.checked_sub(1).and_then(|at| self.ops.get_mut(at)) {
            jump.c = distance;
        }
        Ok(())
    }
}

/// A `like` pattern, given by its pieces between wildcards.
pub(super) fn pattern(builder: &mut Builder, pieces: &[String]) -> Result<u32, TooMany> {
    let t = &mut builder.tables;
    let span = Span { start: next_id(t.pieces.len())?, len: next_id(pieces.len())? };
    for piece in pieces {
        let start = next_id(t.pattern_text.len())?;
        t.pattern_text.extend_from_slice(piece.as_bytes());
        next_id(t.pattern_text.len())?;
        t.pieces.push(Span { start, len: next_id(piece.len())? });
    }
    let pattern = next_id(t.patterns.len())?;
    t.patterns.push(PatternRec { pieces: span });
    Ok(pattern)
}

fn first_operand(node: &Node) -> Option<Ix> {
    match node {
        Node::And(first, _)
        | Node::Or(first, _)
        | Node::Unary(_, first)
        | Node::Binary(_, first, _)
        | Node::Attr(first, _)
        | Node::Has(first, _)
        | Node::Like(first, _)
        | Node::Is(first, _) => Some(*first),
        Node::Call(_, args) => args.first().copied(),
        _ => None,
    }
}
