//! Methods of sets.

use super::Writer;
use super::constants::holds_empty_set;
use crate::generate::paths::Path;
use crate::generate::types::Ty;
use crate::value::Val;

// === impl Writer ===

impl Writer<'_> {
    pub(super) fn set_test(&mut self, depth: u32) -> String {
        let strict = self.manners.strict;
        let fits = |path: &Path| !strict || path.ty.is_exact();
        let set = self.path_where(|path| fits(path) && matches!(path.ty, Ty::Set(_)));
        let element = self.path_where(|path| fits(path) && path.last.is_some());
        match (set, element) {
            (Some(set), _) if self.rng.percent(65) => self.test_of_set(set, depth),
            (_, Some(element)) => self.test_of_element(element, depth),
            _ => "[1].contains(1)".to_owned(),
        }
    }

    /// A method on an attribute that is a set.
    fn test_of_set(&mut self, set: &Path, depth: u32) -> String {
        let Ty::Set(element) = &set.ty else {
            return "true".to_owned();
        };
        let of = self.follow(set);
        match self.set_method() {
            "contains" => {
                let known = match self.aimed_value(set) {
                    Some(Val::Set(items)) => self.rng.pick_maybe(items).cloned(),
                    _ => None,
                };
                let argument = match known {
                    Some(known) if self.rng.percent(50) && !holds_empty_set(&known) => {
                        self.written(known)
                    }
                    _ => self.term(element, depth),
                };
                format!("{of}.contains({argument})")
            }
            "isEmpty" => format!("{of}.isEmpty()"),
            method => format!("{of}.{method}({})", self.term(&set.ty, depth)),
        }
    }

    /// A set of constants asked about an attribute: `["a", "b"].contains(context.tool)`.
    fn test_of_element(&mut self, element: &Path, depth: u32) -> String {
        let count = self.rng.weighted(&[(5, 1), (6, 2), (6, 3), (2, 9), (1, 20)]);
        let mut items: Vec<String> = (0..count).map(|_| self.constant_for(element)).collect();
        if self.rng.percent(10) {
            items.extend(items.first().cloned());
        }
        let of = format!("[{}]", items.join(", "));
        match self.set_method() {
            "contains" => format!("{of}.contains({})", self.follow(element)),
            "isEmpty" => format!("!{of}.isEmpty()"),
            "containsAny" => format!("{of}.containsAny([{}])", self.follow(element)),
            method => {
                let other = self.term(&Ty::set_of(element.ty.clone()), depth);
                format!("{of}.{method}({other})")
            }
        }
    }

    fn set_method(&mut self) -> &'static str {
        self.rng.weighted(&[
            (6, "contains"),
            (3, "containsAll"),
            (3, "containsAny"),
            (2, "isEmpty"),
        ])
    }
}
