//! Expressions, written as Cedar text and directed by type.
//!
//! What is written fits the model, so that the strict validator accepts it, unless confusion strikes: then one operand has
//! another type, names nothing, or is a call nobody can answer. Attributes that may be absent are tested with `has` first,
//! most of the time.

mod atoms;
mod confused;
mod constants;
mod membership;
mod presence;
mod sets;
mod terms;

use super::model::Model;
use super::paths::{Env, Path};
use super::pool::Values;
use super::store::Store;
use super::types::{Ty, TypeIx};
use crate::rng::Rng;
use crate::value::Val;
use crate::world::Uid;

/// The request a policy is meant to match, so that its constants are often the right ones.
#[derive(Debug, Clone)]
pub(super) struct Aim {
    pub(super) env: Env,
    pub(super) principal: Uid,
    pub(super) action: Uid,
    pub(super) resource: Uid,
    pub(super) context: Vec<(String, Val)>,
}

/// What one policy may do wrong.
#[derive(Debug, Clone, Copy)]
pub(super) struct Manners {
    /// Only what the strict validator accepts: no empty sets, no constructors of anything but literals.
    pub(super) strict: bool,
    /// Of 1,000 sub-expressions, how many are confused.
    pub(super) confusion_per_mille: u32,
    /// Of 100 attributes that may be absent, how many are used untested.
    pub(super) unguarded_percent: u32,
}

/// Writes the expressions of one policy.
#[derive(Debug)]
pub(super) struct Writer<'a> {
    pub(super) rng: &'a mut Rng,
    pub(super) model: &'a Model,
    pub(super) values: Values<'a>,
    pub(super) store: &'a Store,
    pub(super) aim: &'a Aim,
    pub(super) paths: &'a [Path],
    pub(super) manners: Manners,
    /// Tests that must stand before the Boolean expression being written.
    needs: Vec<String>,
}

#[derive(Debug, Clone, Copy)]
enum Form {
    Atom,
    And,
    Or,
    Not,
    If,
}

// === impl Writer ===

impl<'a> Writer<'a> {
    pub(super) fn new(
        rng: &'a mut Rng,
        model: &'a Model,
        values: Values<'a>,
        store: &'a Store,
        aim: &'a Aim,
        paths: &'a [Path],
        manners: Manners,
    ) -> Self {
        Self { rng, model, values, store, aim, paths, manners, needs: Vec::new() }
    }

    /// A Boolean expression, fit to be an operand of `&&` and `||`.
    pub(super) fn boolean(&mut self, depth: u32) -> String {
        if self.is_confused() {
            return self.guarded(|writer| writer.confused_boolean(depth));
        }
        let forms: &[(u32, Form)] = if depth == 0 {
            &[(1, Form::Atom)]
        } else {
            &[(45, Form::Atom), (18, Form::And), (18, Form::Or), (12, Form::Not), (7, Form::If)]
        };
        match self.rng.weighted(forms) {
            Form::Atom => self.guarded(|writer| writer.atom(depth)),
            Form::And => self.joined(" && ", depth),
            Form::Or => self.joined(" || ", depth),
            Form::Not => {
                let bangs = self.rng.weighted(&[(12, "!"), (2, "!!"), (1, "!!!"), (1, "!!!!")]);
                format!("{bangs}({})", self.boolean(depth - 1))
            }
            Form::If => {
                let test = self.boolean(depth - 1);
                let then = self.boolean(depth - 1);
                let otherwise = self.boolean(depth - 1);
                format!("(if {test} then {then} else {otherwise})")
            }
        }
    }

    /// Writes with `write`, and puts the tests its operands need in front.
    pub(super) fn guarded(&mut self, write: impl FnOnce(&mut Self) -> String) -> String {
        let outer = std::mem::take(&mut self.needs);
        let text = write(self);
        let needs = std::mem::replace(&mut self.needs, outer);
        if needs.is_empty() { text } else { format!("({} && {text})", needs.join(" && ")) }
    }

    /// Asks for a test to stand before the expression being written.
    fn need(&mut self, test: &str) {
        if !self.needs.iter().any(|need| need == test) {
            self.needs.push(test.to_owned());
        }
    }

    fn joined(&mut self, operator: &str, depth: u32) -> String {
        let count = self.rng.weighted(&[(5, 2), (1, 3)]);
        let mut text = String::from("(");
        for at in 0..count {
            if at > 0 {
                text.push_str(operator);
            }
            text.push_str(&self.boolean(depth - 1));
        }
        text.push(')');
        text
    }

    fn is_confused(&mut self) -> bool {
        self.rng.per_mille(self.manners.confusion_per_mille)
    }

    /// The text of a path to a value that `wanted` accepts, if there is one.
    pub(super) fn path(&mut self, wanted: impl Fn(&Ty) -> bool) -> Option<String> {
        let path = self.path_where(|path| wanted(&path.ty))?;
        Some(self.follow(path))
    }

    /// A path that `wanted` accepts, if there is one.
    pub(super) fn path_where(&mut self, wanted: impl Fn(&Path) -> bool) -> Option<&'a Path> {
        let paths = self.paths;
        let count = paths.iter().filter(|path| wanted(path)).count();
        let at = self.rng.below(count);
        paths.iter().filter(|path| wanted(path)).nth(at)
    }

    /// The text of `path`; its tests are asked for, unless this policy leaves them away.
    pub(super) fn follow(&mut self, path: &Path) -> String {
        for need in &path.needs {
            if !self.rng.percent(self.manners.unguarded_percent) {
                self.need(need);
            }
        }
        // Data without a schema lacks attributes at random, so there any test may be in place.
        if !self.manners.strict
            && self.rng.percent(15)
            && let Some((of, name)) = &path.last
        {
            self.need(&format!("{of} has {}", crate::quote::key(name)));
        }
        path.text.clone()
    }

    /// The type that an expression over entities is about: often one the request has.
    fn entity_type(&mut self) -> TypeIx {
        match self.rng.below(10) {
            0..4 => self.aim.env.principal,
            4..7 => self.aim.env.resource,
            _ => TypeIx(self.rng.below(self.model.types().len())),
        }
    }
}
