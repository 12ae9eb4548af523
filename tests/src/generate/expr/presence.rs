//! `has`, `hasTag`, and tags that are asked for after such a test.

use super::Writer;
use crate::generate::paths::Path;
use crate::generate::types::{Ty, TypeIx};
use crate::generate::vocabulary::{TAG_KEYS, UNDECLARED_NAMES};
use crate::quote;

// === impl Writer ===

impl Writer<'_> {
    pub(super) fn has(&mut self, depth: u32) -> String {
        let Some(path) = self.path_where(|path| path.last.is_some()) else {
            return "context has tool".to_owned();
        };
        let Some((of, name)) = &path.last else {
            return "context has tool".to_owned();
        };
        if self.rng.percent(20) {
            return format!("{of} has {}", quote::key(self.rng.choose(UNDECLARED_NAMES)));
        }
        if let Some(chain) = self.rng.percent(60).then(|| chained(path)).flatten() {
            return chain;
        }
        if self.rng.percent(6) {
            let ty = Ty::Entity(self.entity_type());
            return format!("{} has {}", self.term(&ty, depth), quote::key(name));
        }
        // The steps before the last one need their own tests.
        for need in &path.needs {
            if !need.starts_with(&format!("{of} has ")) {
                self.need(need);
            }
        }
        format!("{of} has {}", quote::key(name))
    }

    pub(super) fn has_tag(&mut self, depth: u32) -> String {
        let ix = self.tagged_type();
        let of = self.term(&Ty::Entity(ix), depth);
        format!("{of}.hasTag({})", self.tag_key())
    }

    /// A tag's value compared with a constant, tested with `hasTag` most of the time.
    pub(super) fn tag(&mut self, depth: u32) -> String {
        let ix = self.tagged_type();
        let Some(ty) = self.model.entity_type(ix).tags.clone() else {
            return self.has_tag(depth);
        };
        let of = self.term(&Ty::Entity(ix), 0);
        let key = self.tag_key();
        if !self.rng.percent(self.manners.unguarded_percent) {
            self.need(&format!("{of}.hasTag({key})"));
        }
        if self.manners.strict && !ty.is_exact() {
            return format!("{of}.getTag({key}) == {of}.getTag({key})");
        }
        format!("{of}.getTag({key}) == {}", self.literal(&ty, ""))
    }

    /// A type with tags, if there is one; the variables' types come first.
    fn tagged_type(&mut self) -> TypeIx {
        let tagged = |ix: TypeIx| self.model.entity_type(ix).tags.is_some();
        let variables: Vec<TypeIx> = [self.aim.env.principal, self.aim.env.resource]
            .into_iter()
            .filter(|ix| tagged(*ix))
            .collect();
        let any: Vec<TypeIx> = self.model.type_indices().filter(|ix| tagged(*ix)).collect();
        match self.rng.pick_maybe(&variables) {
            Some(ix) if self.rng.percent(80) => *ix,
            _ => match self.rng.pick_maybe(&any) {
                Some(ix) => *ix,
                None => self.aim.env.principal,
            },
        }
    }

    /// A tag's key: a literal, or a string that is only known at run time.
    pub(super) fn tag_key(&mut self) -> String {
        if self.rng.percent(12)
            && let Some(path) = self.path(|ty| *ty == Ty::Text)
        {
            return path;
        }
        let key = self.rng.choose(TAG_KEYS);
        quote::varied_literal(self.rng, key)
    }
}

/// `principal has profile.contact.country` for a path whose steps are identifiers.
fn chained(path: &Path) -> Option<String> {
    let mut steps = path.text.split('.');
    let root = steps.next()?;
    let steps: Vec<&str> = steps.collect();
    (steps.len() > 1 && !path.text.contains(['[', '"']))
        .then(|| format!("{root} has {}", steps.join(".")))
}
