//! Constants: often the very value that the aimed request will bring, in one of its spellings.

use super::Writer;
use crate::generate::paths::{Path, Root};
use crate::generate::types::Ty;
use crate::generate::vocabulary::equal_constants;
use crate::quote;
use crate::value::Val;

// === impl Writer ===

impl<'a> Writer<'a> {
    /// A constant that the attribute at the end of `path` may well have.
    pub(in crate::generate) fn constant_for(&mut self, path: &Path) -> String {
        let name = path.last.as_ref().map_or("", |(_, name)| name);
        if self.rng.percent(60)
            && let Some(known) = self.aimed_value(path)
            && !(self.manners.strict && holds_empty_set(known))
        {
            let known = known.clone();
            return self.written(known);
        }
        self.literal(&path.ty, name)
    }

    /// The value at the end of `path` when the aimed request comes.
    pub(super) fn aimed_value(&self, path: &Path) -> Option<&'a Val> {
        let aim = self.aim;
        let store = self.store;
        let mut current: Option<&'a Val> = None;
        let mut uid = match path.root {
            Root::Principal => Some(&aim.principal),
            Root::Resource => Some(&aim.resource),
            Root::Context => None,
        };
        let mut fields = aim.context.as_slice();
        for step in &path.steps {
            if let Some(uid) = uid {
                let stored = store.entities.iter().find(|stored| stored.uid == *uid)?;
                fields = &stored.attrs;
            }
            let (_, value) = fields.iter().find(|(name, _)| name == step)?;
            (uid, fields) = match value {
                Val::Entity(uid) => (Some(uid), &[][..]),
                Val::Record(fields) => (None, fields.as_slice()),
                _ => (None, &[][..]),
            };
            current = Some(value);
        }
        current
    }

    /// A value as text; one with several spellings is spelt in any of them.
    pub(super) fn written(&mut self, value: Val) -> String {
        match value {
            Val::Text(text) => quote::varied_literal(self.rng, &text),
            Val::Ext(kind, text) => {
                let text = equal_constants(kind)
                    .iter()
                    .find(|group| group.contains(&text.as_str()))
                    .map_or(text, |group| self.rng.choose(group).to_owned());
                Val::Ext(kind, text).cedar()
            }
            value => value.cedar(),
        }
    }

    /// A literal of type `ty`, as the attribute `field` may have it.
    pub(in crate::generate) fn literal(&mut self, ty: &Ty, field: &str) -> String {
        let mut value = self.values.draw(self.rng, ty, field);
        if self.manners.strict && matches!(&value, Val::Set(items) if items.is_empty()) {
            // The strict validator refuses the empty set, as it has no type.
            for _ in 0..8 {
                value = self.values.draw(self.rng, ty, field);
                if !holds_empty_set(&value) {
                    break;
                }
            }
        }
        self.written(value)
    }
}

pub(super) fn holds_empty_set(value: &Val) -> bool {
    match value {
        Val::Set(items) => items.is_empty() || items.iter().any(holds_empty_set),
        Val::Record(fields) => fields.iter().any(|(_, value)| holds_empty_set(value)),
        _ => false,
    }
}
