//! Why an answer came out as it did, for people: determining policies with text and place, failing ones with what
//! failed, and for a default deny the nearest permits with the first thing in each that did not hold.
//!
//! A cold path: it looks at every permit, allocates, and may be asked for by authors and operators, not by strangers:
//! what it shows (policy texts, attribute values) is more than a caller may need to know.

use crate::bundle::Bundle;
use crate::decide::{self, DecideOptions, Decider};
use crate::eval;
use crate::ids::PolicyIx;
use crate::listing::key_text;
use crate::origin::Clause;
use crate::outcome::{Effect, ErrorKind, LegRole, OwnedAnswer, OwnedLeg, Reason};
use crate::program::{
    KeyRec, Op, POLICY_FORBID, PolicyRec, TAG_BOOL, TAG_DATETIME, TAG_DECIMAL, TAG_DURATION,
    TAG_ENTITY, TAG_LONG, TAG_RECORD, TAG_SET, TAG_STRING, Tables, Val,
};
use crate::request::Request;
use crate::scratch::Scratch;
use crate::{conjunct, op, scope};

/// How many near misses are shown.
const NEAREST_MAX: usize = 3;
/// Values longer than this are cut in messages.
const SHOWN_CHARS_MAX: usize = 200;

/// Why an answer came out as it did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Explanation {
    /// The answer, as `decide_with` gives it.
    pub answer: OwnedAnswer,
    /// One entry a leg.
    pub legs: Vec<LegExplanation>,
}

/// Why a leg came out as it did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LegExplanation {
    /// Which part of the request.
    pub role: LegRole,
    /// The leg's principal in Cedar's form.
    pub principal: String,
    /// Determining policies.
    pub determining: Vec<PolicyNote>,
    /// Policies that could not be evaluated.
    pub failing: Vec<PolicyNote>,
    /// For a default deny: permits that came closest, the closest first.
    pub nearest: Vec<NearMiss>,
}

/// A policy with its text and place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PolicyNote {
    /// Its id.
    pub id: String,
    /// `permit` or `forbid`.
    pub effect: &'static str,
    /// Its file, unless the source was stripped from the bundle.
    pub file: Option<String>,
    /// Its line, counted from 1.
    pub line: Option<u32>,
    /// Its text.
    pub text: Option<String>,
    /// For a failing one: what failed, in words.
    pub error: Option<String>,
}

/// A permit that did not apply.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NearMiss {
    /// The permit.
    pub policy: PolicyNote,
    /// The first part of it that did not hold, as written.
    pub clause: String,
    /// That part's line, counted from 1.
    pub line: Option<u32>,
    /// What it asks for.
    pub expected: String,
    /// What was there.
    pub actual: String,
}

/// How far a permit got before it failed.
struct Miss {
    /// Dimensions of the scope that hold, then conjuncts that hold.
    reached: (usize, usize),
    policy: PolicyIx,
    clause: String,
    line: Option<u32>,
    expected: String,
    actual: String,
}

/// One leg as the evaluator sees it.
struct LegView<'a> {
    bundle: &'a Bundle,
    /// Principal, action, resource.
    ids: [u32; 3],
}

/// Decides and explains.
pub(crate) fn explain(
    decider: &Decider,
    scratch: &mut Scratch,
    request: &Request<'_>,
    options: &DecideOptions,
) -> Explanation {
    let answer = decider.decide_with(scratch, request, options).to_owned();
    let Some(bundle) = decider.bundle() else { return Explanation { answer, legs: Vec::new() } };
    let (t, meta) = (bundle.tables(), bundle.meta());
    scratch.reset(decider.overlay());
    let Ok(prepared) = decide::take_in(t, meta, scratch, request, options) else {
        return Explanation { answer, legs: Vec::new() };
    };
    let mut legs = Vec::new();
    for (leg, role) in answer.legs.iter().zip(decide::leg_roles(meta, request)) {
        let Ok(principal) = decide::leg_principal(t, scratch, request, &prepared, role) else {
            continue;
        };
        let ids = [principal, prepared.action, prepared.resource];
        let [p, a, r] = ids.map(Val::entity);
        scratch.reads.begin(t, [p, a, r, prepared.context]);
        let view = LegView { bundle, ids };
        legs.push(view.explain(scratch, role, leg));
    }
    scratch.overlay = None;
    Explanation { answer, legs }
}

// === impl LegView ===

impl LegView<'_> {
    fn explain(&self, s: &mut Scratch, role: LegRole, leg: &OwnedLeg) -> LegExplanation {
        let by_id = |id: &str| self.bundle.policies().find(|ix| self.bundle.policy_id(*ix) == id);
        let determining =
            leg.policies.iter().filter_map(|id| by_id(id)).map(|ix| self.note(ix)).collect();
        let failing = leg.errors.iter().filter_map(|(id, kind)| Some((by_id(id)?, *kind)));
        let failing = failing.map(|(ix, kind)| PolicyNote {
            error: Some(self.failure(s, ix, kind)),
            ..self.note(ix)
        });
        let failing = failing.collect();
        let nearest = match (leg.effect, leg.reason) {
            (Effect::Deny, Reason::NotPermitted) => self.nearest(s),
            _ => Vec::new(),
        };
        LegExplanation {
            role,
            principal: show(self.bundle.tables(), s, Val::entity(self.ids[0])),
            determining,
            failing,
            nearest,
        }
    }

    fn nearest(&self, s: &mut Scratch) -> Vec<NearMiss> {
        let t = self.bundle.tables();
        let mut misses: Vec<Miss> = Vec::new();
        for (ix, policy) in self.bundle.policies().zip(&t.policies) {
            if policy.flags & POLICY_FORBID == 0 {
                misses.extend(self.miss(s, ix, policy));
            }
        }
        // The farther it got the nearer it is; the order of the bundle breaks ties.
        misses.sort_by_key(|miss| (std::cmp::Reverse(miss.reached), miss.policy));
        misses.truncate(NEAREST_MAX);
        let near = misses.into_iter().map(|miss| NearMiss {
            policy: self.note(miss.policy),
            clause: miss.clause,
            line: miss.line,
            expected: miss.expected,
            actual: miss.actual,
        });
        near.collect()
    }

    /// Where a permit fails first; `None` if it does not.
    fn miss(&self, s: &mut Scratch, ix: PolicyIx, policy: &PolicyRec) -> Option<Miss> {
        let t = self.bundle.tables();
        let keys: [(&str, Option<&KeyRec>); 3] = [
            ("principal", t.principal_keys.get(policy.principal_key as usize)),
            ("action", t.action_keys.get(policy.action_key as usize)),
            ("resource", t.resource_keys.get(policy.resource_key as usize)),
        ];
        let holds: Vec<bool> =
            keys.iter().zip(self.ids).map(|((_, key), id)| scope::holds(t, s, *key, id)).collect();
        let line = self.bundle.policy_source(ix).map(|source| source.line);
        if let Some(at) = holds.iter().position(|holds| !holds) {
            let ((name, key), id) = (keys.get(at)?, *self.ids.get(at)?);
            let asked = key_text(t, name, *key);
            return Some(Miss {
                reached: (holds.iter().filter(|holds| **holds).count(), 0),
                policy: ix,
                clause: asked.clone(),
                line,
                expected: asked,
                actual: format!("{name} is {}", show(t, s, Val::entity(id))),
            });
        }
        let clauses = self.bundle.origins()?.clauses(ix)?;
        for (at, clause) in clauses.iter().enumerate() {
            match self.run(s, policy, clause.start, clause.end) {
                Ok(Val { tag: TAG_BOOL, bits: 1, .. }) => continue,
                Ok(_) => return Some(self.unmet(s, ix, policy, clause, at, line)),
                Err(kind) => {
                    return Some(Miss {
                        reached: (3, at),
                        policy: ix,
                        clause: clause.text.clone(),
                        line: some_line(clause, line),
                        expected: "a value".to_owned(),
                        actual: format!("an error: {}", describe(kind)),
                    });
                }
            }
        }
        None
    }

    /// A conjunct that is false: what it compares, and with what.
    fn unmet(
        &self,
        s: &mut Scratch,
        ix: PolicyIx,
        policy: &PolicyRec,
        clause: &Clause,
        at: usize,
        line: Option<u32>,
    ) -> Miss {
        let t = self.bundle.tables();
        let operand = |s: &mut Scratch, start: u32, end: u32| {
            self.run(s, policy, start, end).map(|val| show(t, s, val))
        };
        let compared = match self.ops(policy, clause.start, clause.end) {
            [test] if op::is_test(test.code) => {
                let sides = conjunct::operands(t, s, test);
                clause.operator.zip(sides).map(|(operator, (left, right))| {
                    (format!("{operator} {}", show(t, s, right)), show(t, s, left))
                })
            }
            _ => clause.middle.zip(clause.operator).and_then(|(middle, operator)| {
                // The operator itself, and the negation of an `unless`, come after the right operand.
                let right_end = clause.end.checked_sub(1 + u32::from(clause.negated))?;
                let left = operand(s, clause.start, middle).ok()?;
                let right = operand(s, middle, right_end).ok()?;
                Some((format!("{operator} {right}"), left))
            }),
        };
        let (expected, actual) = match compared {
            Some((expected, actual)) if clause.negated => (format!("not {expected}"), actual),
            Some(both) => both,
            None if clause.negated => ("false".to_owned(), "true".to_owned()),
            None => ("true".to_owned(), "false".to_owned()),
        };
        Miss {
            reached: (3, at),
            policy: ix,
            clause: clause.text.clone(),
            line: some_line(clause, line),
            expected,
            actual,
        }
    }

    /// What failed in a policy: the first conjunct that cannot be evaluated.
    fn failure(&self, s: &mut Scratch, ix: PolicyIx, kind: ErrorKind) -> String {
        let t = self.bundle.tables();
        let clauses = self.bundle.origins().and_then(|origins| origins.clauses(ix));
        if let (Some(clauses), Some(policy)) = (clauses, t.policies.get(ix.index())) {
            for clause in &clauses {
                if self.run(s, policy, clause.start, clause.end).is_err() {
                    return format!("{}, in `{}`", describe(kind), clause.text);
                }
            }
        }
        describe(kind).to_owned()
    }

    fn run(
        &self,
        s: &mut Scratch,
        policy: &PolicyRec,
        start: u32,
        end: u32,
    ) -> Result<Val, ErrorKind> {
        let t = self.bundle.tables();
        let ops = self.ops(policy, start, end);
        let mut fuel = self.bundle.limits().eval_steps_max;
        eval::value(t, s, ops, &mut fuel)
    }

    fn ops(&self, policy: &PolicyRec, start: u32, end: u32) -> &[Op] {
        let ops = self.bundle.tables().condition(policy);
        ops.get(start as usize..end as usize).unwrap_or_default()
    }

    fn note(&self, ix: PolicyIx) -> PolicyNote {
        let source = self.bundle.policy_source(ix);
        PolicyNote {
            id: self.bundle.policy_id(ix).to_owned(),
            effect: if self.bundle.is_forbid(ix) { "forbid" } else { "permit" },
            file: source.map(|source| source.file.to_owned()),
            line: source.map(|source| source.line),
            text: source.map(|source| source.text.to_owned()),
            error: None,
        }
    }
}

fn some_line(clause: &Clause, policy: Option<u32>) -> Option<u32> {
    if clause.line == 0 { policy } else { Some(clause.line) }
}

fn describe(kind: ErrorKind) -> &'static str {
    match kind {
        ErrorKind::Type => "an operator met a value of a type it does not take",
        ErrorKind::AttributeMissing => "an attribute is missing",
        ErrorKind::TagMissing => "a tag is missing",
        ErrorKind::EntityMissing => "an entity does not exist",
        ErrorKind::Overflow => "the result leaves 64 bits",
        ErrorKind::Extension => "an extension function refuses its argument",
        ErrorKind::Arity => "an extension function is called with the wrong number of arguments",
        ErrorKind::Limit => "a limit of the bundle was reached",
    }
}

/// A value in Cedar's syntax, cut where it is long.
fn show(t: &Tables, s: &Scratch, val: Val) -> String {
    let mut text = String::new();
    write(&mut text, t, s, val);
    if text.chars().count() > SHOWN_CHARS_MAX {
        text = text.chars().take(SHOWN_CHARS_MAX).chain("…".chars()).collect();
    }
    text
}

fn write(out: &mut String, t: &Tables, s: &Scratch, val: Val) {
    if out.len() > 4 * SHOWN_CHARS_MAX {
        return;
    }
    let values = s.values(t);
    let symbol =
        |symbol: u32| String::from_utf8_lossy(s.symbol_text(t, symbol)).escape_debug().to_string();
    match val.tag {
        TAG_BOOL => out.push_str(if val.bits == 1 { "true" } else { "false" }),
        TAG_LONG => out.push_str(&val.as_i64().to_string()),
        TAG_STRING => out.push_str(&format!("\"{}\"", symbol(val.low()))),
        TAG_ENTITY => {
            let (ty, id) = s.entity_name(t, val.low());
            let (ty, id) = (String::from_utf8_lossy(ty), String::from_utf8_lossy(id));
            out.push_str(&format!("{ty}::\"{}\"", id.escape_debug()));
        }
        TAG_SET => {
            out.push('[');
            for (at, item) in values.elements(val).iter().enumerate() {
                out.push_str(if at > 0 { ", " } else { "" });
                write(out, t, s, *item);
            }
            out.push(']');
        }
        TAG_RECORD => {
            out.push('{');
            let keys = values.keys(val.aux);
            let vals = values.run(val.low(), u32::try_from(keys.len()).unwrap_or(0));
            for (at, (key, item)) in keys.iter().zip(vals).enumerate() {
                out.push_str(if at > 0 { ", " } else { "" });
                out.push_str(&format!("\"{}\": ", symbol(*key)));
                write(out, t, s, *item);
            }
            out.push('}');
        }
        TAG_DECIMAL => out.push_str(&format!("decimal(\"{}\")", crate::Decimal(val.as_i64()))),
        TAG_DATETIME => out.push_str(&format!("datetime(\"{}\")", crate::Datetime(val.as_i64()))),
        TAG_DURATION => out.push_str(&format!("duration(\"{}\")", crate::Duration(val.as_i64()))),
        _ => out.push_str(&values.ip(val).map_or("?".to_owned(), |ip| format!("ip(\"{ip}\")"))),
    }
}
