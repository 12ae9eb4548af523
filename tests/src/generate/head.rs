//! How a policy's first clause begins: conjuncts that an index may lift into the scope, and ones that it must leave alone.
//!
//! A conjunct may be lifted if its right side is a literal and everything before it is a Boolean that cannot fail.
//! So each liftable form has neighbours here that differ in just that: an operand before it that may fail, a right side
//! that has to be evaluated, a negation, a disjunction with something else.

use super::expr::Writer;
use crate::world::Uid;

/// A liftable conjunct's variable.
#[derive(Debug, Clone, Copy)]
enum Variable {
    Principal,
    Action,
    Resource,
}

// === impl Writer ===

impl Writer<'_> {
    /// The conjuncts a clause begins with.
    pub(super) fn head(&mut self) -> Vec<String> {
        let count = self.rng.weighted(&[(5, 1), (3, 2), (1, 3)]);
        let mut conjuncts: Vec<String> = (0..count).map(|_| self.liftable()).collect();
        match self.rng.below(10) {
            0..4 => {}
            4..7 => {
                // What stands before a liftable conjunct decides whether it may be lifted.
                let at = self.rng.below(conjuncts.len());
                let before = self.boolean(1);
                conjuncts.insert(at, before);
            }
            7 => {
                let harmless = *self.rng.pick(&["true", "1 == 1", "!false", "(\"a\" like \"*\")"]);
                conjuncts.insert(0, harmless.to_owned());
            }
            8 => {
                let other = self.liftable();
                if let Some(last) = conjuncts.last_mut() {
                    *last = format!("({last} || {other})");
                }
            }
            _ => {
                let unliftable = self.unliftable();
                let at = self.rng.below(conjuncts.len() + 1);
                conjuncts.insert(at, unliftable);
            }
        }
        conjuncts
    }

    /// A test of a variable against literals.
    pub(super) fn liftable(&mut self) -> String {
        let variable = self.variable();
        let name = variable.name();
        match (variable, self.rng.below(10)) {
            (_, 0..3) => {
                let uid = self.named(variable).cedar();
                if self.rng.percent(25) {
                    format!("{uid} == {name}")
                } else {
                    format!("{name} == {uid}")
                }
            }
            (_, 3..5) => format!("{name} in {}", self.group_for(variable).cedar()),
            (_, 5..7) => {
                let mut uids = vec![self.group_for(variable), self.named(variable)];
                if self.manners.strict {
                    uids.retain({
                        let first = uids.first().map(|uid| uid.ty.clone());
                        move |uid| Some(&uid.ty) == first.as_ref()
                    });
                } else if self.rng.percent(8) {
                    uids.clear();
                }
                let uids: Vec<String> = uids.iter().map(Uid::cedar).collect();
                format!("{name} in [{}]", uids.join(", "))
            }
            (Variable::Action, _) => format!("action == {}", self.named(variable).cedar()),
            (_, 7 | 8) => format!("{name} is {}", self.type_name(variable)),
            (_, _) => format!(
                "{name} is {} in {}",
                self.type_name(variable),
                self.group_for(variable).cedar()
            ),
        }
    }

    /// A test of a variable that looks liftable and is not.
    fn unliftable(&mut self) -> String {
        let variable = self.variable();
        let name = variable.name();
        let uid = self.named(variable).cedar();
        match self.rng.below(8) {
            0 => {
                let other = self.boolean(0);
                format!("({name} == {uid} || {other})")
            }
            1 => format!("!({name} == {uid})"),
            2 => format!("{name} != {uid}"),
            3 => {
                let test = self.boolean(0);
                format!("{name} == (if {test} then {uid} else {uid})")
            }
            4 => self.guarded(|writer| {
                let (ty, uid) = match variable {
                    Variable::Principal => (writer.aim.env.principal, &writer.aim.principal),
                    _ => (writer.aim.env.resource, &writer.aim.resource),
                };
                let place = writer.place(Some(ty), Some(uid), 1);
                format!("{name} in {place}")
            }),
            5 => self.guarded(|writer| {
                let element = writer.term(&super::types::Ty::Entity(writer.aim.env.principal), 0);
                format!("{name} in [{uid}, {element}]")
            }),
            6 => {
                let test = self.boolean(0);
                format!("(if {test} then {name} == {uid} else false)")
            }
            _ if self.manners.strict => format!("[{uid}].contains({name})"),
            // Comparing with a value of another type is false and no failure; `in` with one is a failure.
            _ => self
                .rng
                .choose(&[
                    "principal == \"alice\"",
                    "resource == 1",
                    "principal in \"alice\"",
                    "resource in [1]",
                    "action == []",
                    "\"x\"",
                    "principal in context",
                ])
                .to_owned(),
        }
    }

    fn variable(&mut self) -> Variable {
        self.rng.weighted(&[
            (4, Variable::Principal),
            (2, Variable::Action),
            (4, Variable::Resource),
        ])
    }

    /// A uid of the variable's type, mostly the aimed one.
    fn named(&mut self, variable: Variable) -> Uid {
        let aim = self.aim;
        match variable {
            Variable::Principal => self.equal_target(aim.env.principal, &aim.principal),
            Variable::Resource => self.equal_target(aim.env.resource, &aim.resource),
            Variable::Action if self.rng.percent(80) => aim.action.clone(),
            Variable::Action => self.any_action(),
        }
    }

    fn group_for(&mut self, variable: Variable) -> Uid {
        let aim = self.aim;
        match variable {
            Variable::Principal => self.group_of(Some(aim.env.principal), Some(&aim.principal)),
            Variable::Resource => self.group_of(Some(aim.env.resource), Some(&aim.resource)),
            Variable::Action => self.action_group(),
        }
    }

    fn type_name(&mut self, variable: Variable) -> String {
        let env = self.aim.env;
        let ix = match variable {
            _ if self.rng.percent(12) => self.rng.choose(&self.model.open_types()),
            Variable::Principal => env.principal,
            Variable::Action | Variable::Resource => env.resource,
        };
        self.model.entity_type(ix).name.clone()
    }
}

// === impl Variable ===

impl Variable {
    fn name(self) -> &'static str {
        match self {
            Self::Principal => "principal",
            Self::Action => "action",
            Self::Resource => "resource",
        }
    }
}
