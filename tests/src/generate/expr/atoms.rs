//! The Boolean expressions that test something: comparisons, membership, `has`, `like`, set and extension methods.

use super::Writer;
use crate::generate::paths::Path;
use crate::generate::types::Ty;
use crate::quote;
use crate::value::{ExtKind, Val};

#[derive(Debug, Clone, Copy)]
enum Atom {
    Literal,
    Flag,
    Order,
    Equal,
    In,
    Is,
    Has,
    HasTag,
    Tag,
    Like,
    Set,
    Ip,
    Decimal,
}

const ATOMS: &[(u32, Atom)] = &[
    (3, Atom::Literal),
    (5, Atom::Flag),
    (16, Atom::Order),
    (24, Atom::Equal),
    (13, Atom::In),
    (5, Atom::Is),
    (6, Atom::Has),
    (3, Atom::HasTag),
    (4, Atom::Tag),
    (6, Atom::Like),
    (13, Atom::Set),
    (8, Atom::Ip),
    (5, Atom::Decimal),
];

// === impl Writer ===

impl Writer<'_> {
    /// A test; its operands go `depth` deep.
    pub(in crate::generate) fn atom(&mut self, depth: u32) -> String {
        match self.rng.weighted(ATOMS) {
            Atom::Literal => self.rng.percent(65).to_string(),
            Atom::Flag => self.path(|ty| *ty == Ty::Bool).unwrap_or_else(|| "true".to_owned()),
            Atom::Order => self.order(depth),
            Atom::Equal => self.equal(depth),
            Atom::In => self.membership(depth),
            Atom::Is => self.is(depth),
            Atom::Has => self.has(depth),
            Atom::HasTag => self.has_tag(depth),
            Atom::Tag => self.tag(depth),
            Atom::Like => self.like(depth),
            Atom::Set => self.set_test(depth),
            Atom::Ip => self.ip_test(depth),
            Atom::Decimal => self.decimal_test(depth),
        }
    }

    fn order(&mut self, depth: u32) -> String {
        let ty = self.rng.weighted(&[
            (7, None),
            (2, Some(ExtKind::Datetime)),
            (2, Some(ExtKind::Duration)),
        ]);
        let ty = ty.map_or(Ty::Long, Ty::Ext);
        debug_assert!(ty.is_ordered());
        let operator = self.rng.choose(&["<", "<=", ">", ">="]);
        // Arithmetic is rare elsewhere, so it gets room here even where nothing else is nested.
        let depth = if self.rng.percent(60) { depth.max(1) } else { depth };
        let left = self.term(&ty, depth);
        let right = self.term(&ty, depth);
        format!("{left} {operator} {right}")
    }

    /// `==` and `!=`: mostly an attribute and a constant of its type.
    fn equal(&mut self, depth: u32) -> String {
        let operator = self.rng.weighted(&[(4, "=="), (1, "!=")]);
        let strict = self.manners.strict;
        let path = self.path_where(|path| path.last.is_some() && (!strict || path.ty.is_exact()));
        let Some(path) = path else {
            let ty = Ty::Entity(self.entity_type());
            return format!("{} {operator} {}", self.term(&ty, depth), self.term(&ty, depth));
        };
        let (left, right) = match self.rng.below(10) {
            0..5 => (self.follow(path), self.constant_for(path)),
            5..7 => (self.follow(path), self.other_path(path, depth)),
            7 => (self.term(&path.ty, depth), self.follow(path)),
            8 => {
                let ty = Ty::Entity(self.entity_type());
                (self.term(&ty, depth), self.term(&ty, depth))
            }
            _ => (self.term(&path.ty, depth), self.term(&path.ty, depth)),
        };
        if self.rng.percent(15) {
            format!("{right} {operator} {left}")
        } else {
            format!("{left} {operator} {right}")
        }
    }

    /// Another path to the same type: two values that no policy knows may meet here.
    fn other_path(&mut self, path: &Path, depth: u32) -> String {
        self.path(|ty| *ty == path.ty).unwrap_or_else(|| self.term(&path.ty, depth))
    }

    fn like(&mut self, depth: u32) -> String {
        let path = self.path_where(|path| path.ty == Ty::Text);
        let sample = match path.and_then(|path| self.aimed_value(path)) {
            Some(Val::Text(text)) if self.rng.percent(60) => text.clone(),
            _ => self.values.pools.text(self.rng, ""),
        };
        let of = match path {
            Some(path) => self.follow(path),
            None => self.term(&Ty::Text, depth),
        };
        let mut parts: Vec<Option<char>> = Vec::new();
        if self.rng.percent(30) {
            parts.push(None);
        }
        for c in sample.chars() {
            match self.rng.below(8) {
                0 => parts.push(None),
                1 if self.rng.percent(20) => parts.push(Some('*')),
                _ => parts.push(Some(c)),
            }
        }
        if self.rng.percent(50) {
            parts.push(None);
        }
        format!("{of} like {}", quote::pattern(&parts))
    }

    fn ip_test(&mut self, depth: u32) -> String {
        let ty = Ty::Ext(ExtKind::Ip);
        let of = self.term(&ty, depth);
        match self.rng.choose(&[
            "isIpv4",
            "isIpv6",
            "isLoopback",
            "isMulticast",
            "isInRange",
            "isInRange",
        ]) {
            "isInRange" => format!("{of}.isInRange({})", self.term(&ty, depth)),
            method => format!("{of}.{method}()"),
        }
    }

    fn decimal_test(&mut self, depth: u32) -> String {
        let ty = Ty::Ext(ExtKind::Decimal);
        let method =
            self.rng.choose(&["lessThan", "lessThanOrEqual", "greaterThan", "greaterThanOrEqual"]);
        format!("{}.{method}({})", self.term(&ty, depth), self.term(&ty, depth))
    }
}
