//! *What does a request cost, and which policies make it so?* Counted in steps, for authors; nothing here decides.
//!
//! Two views. [`Decider::each_candidate`] takes a request in as a decision would and hands out every policy that the
//! index names, to be evaluated alone, counted or timed. [`PolicyCost`] says what the bundle alone knows about a
//! policy: how the index finds it, and how many steps its condition takes at most. `bound` puts those together to the
//! dearest request that a bundle's own entities can make, and `findings` says what `pdp check` warns of.
//!
//! A cold path, beside `explain`: it may allocate and take its time. Steps that depend on what a request brings (the
//! length of a text, the size of a set in the context) are not foreseen here; the bundle's `eval_steps_max` bounds
//! them when deciding, and running out of it denies.

mod bound;
#[cfg(feature = "compile")]
mod findings;

use crate::bundle::Bundle;
use crate::candidates;
use crate::decide::{self, DecideOptions, Decider};
use crate::eval::{self, Verdict};
use crate::ids::PolicyIx;
use crate::listing::key_text;
use crate::op;
use crate::outcome::{ErrorKind, LegRole};
use crate::program::{
    KEY_ANY, KeyRec, Op, POLICY_GROUPED, PolicyRec, Span, TAG_RECORD, TAG_SET, Tables, Val,
};
use crate::request::Request;
use crate::scratch::Scratch;
use crate::values::Values;

/// What a bundle knows about the cost of one of its policies.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PolicyCost {
    /// What the index asks of the principal, in Cedar's words; `None`: anyone will do.
    pub principal: Option<String>,
    /// What the index asks of the action; `None`: any will do.
    pub action: Option<String>,
    /// What the index asks of the resource; `None`: any will do.
    pub resource: Option<String>,
    /// It is found by what the paths hold that its condition opens with, and looked at only where they hold that or
    /// cannot be followed.
    pub grouped: bool,
    /// Steps of one evaluation at most: one for looking at it, one an instruction, and what its literal sets and
    /// patterns are walked over for.
    pub steps_max: u64,
    /// Elements of the largest literal set that an evaluation walks over; 0 if it walks over none.
    pub literal_elements_max: u64,
    /// Pieces of text between the wildcards of its longest pattern; 0 without `like`.
    pub pattern_pieces_max: u64,
    /// It calls extension functions, which take longer than a step's usual time.
    pub calls: bool,
}

/// The dearest request that a bundle's own entities can make, by its index alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RequestBound {
    /// Candidates of one leg at most.
    pub candidates: u64,
    /// Steps of one leg at most.
    pub steps: u64,
    /// Legs that a request may have.
    pub legs: u64,
}

/// A policy that a request has to look at: its scope matches.
#[derive(Debug)]
pub struct Candidate<'c> {
    bundle: &'c Bundle,
    scratch: &'c mut Scratch,
    policy: PolicyIx,
    leg: LegRole,
}

/// What one evaluation of a condition came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Evaluation {
    /// Steps it took, the one for looking at the policy included.
    pub steps: u64,
    /// Whether the condition was satisfied, or what failed.
    pub satisfied: Result<bool, ErrorKind>,
}

/// A part of a condition that costs more than its instruction.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Walk {
    steps: u64,
    elements: u64,
}

// === impl Decider ===

impl Decider {
    /// Hands out every policy that the request has to look at, leg by leg, in the order in which a decision comes to
    /// them; also those that a decision would not reach because its steps run out. For people: it allocates.
    ///
    /// Gives the number of legs; 0 without a bundle, or if the request is refused before any policy is asked.
    pub fn each_candidate(
        &self,
        scratch: &mut Scratch,
        request: &Request<'_>,
        options: &DecideOptions,
        visit: &mut dyn FnMut(&mut Candidate<'_>),
    ) -> usize {
        let Some(bundle) = self.bundle().map(AsRef::as_ref) else { return 0 };
        let (t, meta) = (bundle.tables(), bundle.meta());
        scratch.reset(self.overlay());
        let Ok(prepared) = decide::take_in(t, meta, scratch, request, options) else { return 0 };
        let (action, resource) = (prepared.action, prepared.resource);
        let mut legs = 0;
        for leg in decide::leg_roles(meta, request) {
            let Ok(principal) = decide::leg_principal(t, scratch, request, &prepared, leg) else {
                continue;
            };
            legs += 1;
            let [p, a, r] = [principal, action, resource].map(Val::entity);
            scratch.reads.begin(t, [p, a, r, prepared.context]);
            let asked = [principal, action, resource];
            let sides = candidates::sides(t, scratch, asked);
            // With all the steps there are: also what a decision would not come to is shown.
            let mut fuel = u64::MAX;
            let _ = candidates::find(t, scratch, &sides, asked, options.all_policies, &mut fuel);
            let found = std::mem::take(&mut scratch.candidates);
            for posting in found.iter().flat_map(|run| run.of(&t.postings)) {
                visit(&mut Candidate { bundle, scratch, policy: posting.ix(), leg });
            }
            scratch.candidates = found;
        }
        scratch.overlay = None;
        legs
    }
}

// === impl Candidate ===

impl Candidate<'_> {
    /// Which policy.
    pub fn policy(&self) -> PolicyIx {
        self.policy
    }

    /// Which leg it is a candidate of.
    pub fn leg(&self) -> LegRole {
        self.leg
    }

    /// Evaluates the condition, with all steps of a request to itself. May be repeated; nothing of it stays.
    pub fn evaluate(&mut self) -> Evaluation {
        let t = self.bundle.tables();
        let steps_max = self.bundle.limits().eval_steps_max;
        let ops = t.policies.get(self.policy.index()).map_or(&[][..], |policy| t.condition(policy));
        let mut fuel = steps_max;
        let verdict = match eval::spend(&mut fuel, 1) {
            Ok(()) => eval::condition(t, self.scratch, ops, &mut fuel),
            Err(limit) => Verdict::Failed(limit),
        };
        let satisfied = match verdict {
            Verdict::Satisfied => Ok(true),
            Verdict::Unsatisfied => Ok(false),
            Verdict::Failed(kind) => Err(kind),
        };
        // What asked for more than was left took nothing, but it was the end of all of it.
        let left = if satisfied == Err(ErrorKind::Limit) { 0 } else { fuel };
        Evaluation { steps: steps_max.saturating_sub(left), satisfied }
    }
}

// === impl Bundle ===

impl Bundle {
    /// What the bundle knows about the cost of a policy.
    pub fn policy_cost(&self, ix: PolicyIx) -> PolicyCost {
        let t = self.tables();
        let Some(policy) = t.policies.get(ix.index()) else { return PolicyCost::NONE };
        let asked = |var: &str, keys: &[KeyRec], key: u32| {
            let key = keys.get(key as usize);
            key.filter(|key| key.kind != KEY_ANY).map(|key| key_text(t, var, Some(key)))
        };
        PolicyCost {
            principal: asked("principal", &t.principal_keys, policy.principal_key),
            action: asked("action", &t.action_keys, policy.action_key),
            resource: asked("resource", &t.resource_keys, policy.resource_key),
            grouped: policy.flags & POLICY_GROUPED != 0,
            ..condition_cost(t, policy)
        }
    }

    /// The dearest request that the bundle's own entities can make. An entity that comes with a request may have more
    /// parents than any that is stored, and then meets more policies; such a request is the caller's doing.
    pub fn request_bound(&self) -> RequestBound {
        bound::of(self)
    }
}

// === impl PolicyCost ===

impl PolicyCost {
    const NONE: Self = Self {
        principal: None,
        action: None,
        resource: None,
        grouped: false,
        steps_max: 0,
        literal_elements_max: 0,
        pattern_pieces_max: 0,
        calls: false,
    };

    /// Whether it is looked at for every request.
    pub fn is_unconstrained(&self) -> bool {
        let any = self.principal.is_none() && self.action.is_none() && self.resource.is_none();
        any && !self.grouped
    }
}

/// The part of a policy's cost that its condition has.
fn condition_cost(t: &Tables, policy: &PolicyRec) -> PolicyCost {
    let ops = t.condition(policy);
    let mut cost = PolicyCost { steps_max: 1 + ops.len() as u64, ..PolicyCost::NONE };
    for (at, instruction) in ops.iter().enumerate() {
        match instruction.code {
            op::CONST => {
                let val = t.vals.get(instruction.c as usize).copied().unwrap_or(Val::NONE);
                let walk = walk(t, val, ops.get(at + 1..).unwrap_or_default());
                cost.steps_max = cost.steps_max.saturating_add(walk.steps);
                cost.literal_elements_max = cost.literal_elements_max.max(walk.elements);
            }
            code @ (op::TEST_EQ | op::TEST_IN | op::TEST_HOLDS | op::TEST_ONE_OF) => {
                let val = t.vals.get(instruction.c as usize).copied().unwrap_or(Val::NONE);
                let (operator, is_top) = match code {
                    op::TEST_EQ => (op::EQ, true),
                    op::TEST_IN => (op::IN, true),
                    code => (op::CONTAINS, code == op::TEST_HOLDS),
                };
                let walk = walk_by(t, val, operator, is_top);
                cost.steps_max = cost.steps_max.saturating_add(walk.steps);
                cost.literal_elements_max = cost.literal_elements_max.max(walk.elements);
            }
            op::LIKE | op::TEST_LIKE => {
                let record = t.patterns.get(instruction.c as usize);
                let pieces = record.map_or(Span::EMPTY, |record| record.pieces).of(&t.pieces);
                let bytes: u64 = pieces.iter().map(|piece| u64::from(piece.len)).sum();
                let count = pieces.len() as u64;
                // As for the text: 16 bytes are about what one instruction costs.
                cost.steps_max = cost.steps_max.saturating_add(count).saturating_add(bytes / 16);
                cost.pattern_pieces_max = cost.pattern_pieces_max.max(count);
            }
            op::SET => cost.steps_max = cost.steps_max.saturating_add(instruction.c.into()),
            op::RECORD => cost.steps_max = cost.steps_max.saturating_add(instruction.b.into()),
            op::CALL => cost.calls = true,
            _ => {}
        }
    }
    cost
}

/// What the operator that takes a literal walks over it for. `rest` is what runs after the literal was pushed.
fn walk(t: &Tables, literal: Val, rest: &[Op]) -> Walk {
    if !matches!(literal.tag, TAG_SET | TAG_RECORD) {
        return Walk::default();
    }
    consumer(rest).map_or(Walk::default(), |(code, is_top)| walk_by(t, literal, code, is_top))
}

/// What an operator walks over a literal for, its right operand (`is_top`) or its left.
fn walk_by(t: &Tables, literal: Val, operator: u8, is_top: bool) -> Walk {
    if !matches!(literal.tag, TAG_SET | TAG_RECORD) {
        return Walk::default();
    }
    let elements = u64::from(if literal.tag == TAG_SET { literal.aux } else { 0 });
    let all = deep_size(t, literal);
    // Comparing compound elements walks into them, as often as a binary search looks.
    let per_element = match all.checked_div(elements) {
        Some(size) if size > 1 => size.saturating_mul(1 + u64::from(literal.aux.max(1).ilog2())),
        _ => 1,
    };
    match (operator, is_top) {
        (op::IN, true) => Walk { steps: elements, elements },
        (op::CONTAINS, false) => Walk { steps: per_element, elements: 0 },
        (op::CONTAINS_ALL | op::CONTAINS_ANY, true) => {
            Walk { steps: elements.saturating_mul(per_element), elements }
        }
        (op::CONTAINS_ALL | op::CONTAINS_ANY, false) => Walk { steps: per_element, elements: 0 },
        (op::EQ | op::CONTAINS | op::SET | op::RECORD, _) => Walk { steps: all, elements },
        _ => Walk::default(),
    }
}

/// The instruction that takes the value just pushed, and whether the value is on top then.
///
/// Follows the stack along the instructions: of two branches it counts the second in the place of the first.
fn consumer(rest: &[Op]) -> Option<(u8, bool)> {
    // Values above the one that is followed.
    let mut above: u32 = 0;
    for instruction in rest {
        let (takes, gives) = effect(instruction);
        if takes > above {
            return Some((instruction.code, above == 0));
        }
        above = above - takes + gives;
    }
    None
}

/// How many values an instruction takes off the stack and puts there, if it does not jump.
fn effect(instruction: &Op) -> (u32, u32) {
    match instruction.code {
        op::CONST | op::VAR | op::READ | op::FAIL => (0, 1),
        code if op::is_test(code) => (0, 0),
        op::ATTR | op::HAS | op::HAS_PATH | op::BOOL | op::NOT | op::NEG | op::IS_EMPTY => (1, 1),
        op::LIKE | op::IS => (1, 1),
        // The value of the branch that ends here; the other branch leaves its own.
        op::JUMP => (1, 0),
        op::AND | op::OR | op::BRANCH | op::REQUIRE => (1, 0),
        op::SET => (instruction.c, 1),
        op::RECORD => (instruction.b.into(), 1),
        op::CALL => (op::function(instruction.a).map_or(1, |(_, arity)| arity.into()), 1),
        _ => (2, 1),
    }
}

/// Values inside a literal, at any depth. A literal nests no deeper than the source's limits let it.
fn deep_size(t: &Tables, val: Val) -> u64 {
    let values = Values::of_bundle(t);
    let items = match val.tag {
        TAG_SET => values.elements(val),
        TAG_RECORD => {
            let keys = values.keys(val.aux);
            values.run(val.low(), u32::try_from(keys.len()).unwrap_or(0))
        }
        _ => return 0,
    };
    items.iter().fold(0, |sum: u64, item| sum.saturating_add(1).saturating_add(deep_size(t, *item)))
}

#[cfg(all(test, feature = "compile"))]
mod tests;
