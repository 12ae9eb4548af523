//! The Boolean expressions that test something: comparisons, membership, `has`, `like`, set and extension methods.

use super::Writer;
use crate::generate::paths::{Path, Root};
use crate::generate::types::Ty;
use crate::generate::vocabulary::{DURATION_LIMITS, LONGS};
use crate::quote;
use crate::value::{ExtKind, Val};

#[derive(Debug, Clone, Copy)]
enum Atom {
    Literal,
    Flag,
    Order,
    Limit,
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
    (15, Atom::Order),
    (5, Atom::Limit),
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
        if self.values.pools.strangers
            && self.rng.percent(18)
            && let Some(test) = self.strangers_meet()
        {
            return test;
        }
        match self.rng.weighted(ATOMS) {
            Atom::Literal => self.rng.percent(65).to_string(),
            Atom::Flag => self.path(|ty| *ty == Ty::Bool).unwrap_or_else(|| "true".to_owned()),
            Atom::Order => self.order(depth),
            Atom::Limit => self.limit(),
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
        let operator = self.rng.choose(&["<", "<=", ">", ">="]);
        // Arithmetic is rare elsewhere, so it gets room here even where nothing else is nested.
        let depth = if self.rng.percent(60) { depth.max(1) } else { depth };
        let left = self.term(&ty, depth);
        let right = self.term(&ty, depth);
        format!("{left} {operator} {right}")
    }

    /// An operation that leaves the range of integers or datetimes, or just does not.
    fn limit(&mut self) -> String {
        let operator = self.rng.choose(&["<", "<=", ">", ">="]);
        match self.rng.below(4) {
            0 | 1 => {
                let limit = Val::Long(self.rng.choose(LONGS)).cedar();
                let operation = self.rng.choose(&["+", "-", "*"]);
                let other = self.term(&Ty::Long, 0);
                let (left, right) =
                    if self.rng.percent(50) { (limit, other) } else { (other, limit) };
                format!("({left} {operation} {right}) {operator} 0")
            }
            2 => {
                let limit = Val::Long(self.rng.choose(LONGS)).cedar();
                format!("(-{limit}) {operator} {}", self.term(&Ty::Long, 0))
            }
            _ => {
                let datetime = Ty::Ext(ExtKind::Datetime);
                let of = self.term(&datetime, 0);
                let by = self.rng.choose(DURATION_LIMITS);
                let then = self.rng.choose(&["", ".toDate()", ".offset(duration(\"1h\"))"]);
                let other = self.term(&datetime, 0);
                format!("{of}.offset(duration(\"{by}\")){then} {operator} {other}")
            }
        }
    }

    /// `==` and `!=`: mostly an attribute and a constant of its type.
    fn equal(&mut self, depth: u32) -> String {
        let operator = self.rng.weighted(&[(4, "=="), (1, "!=")]);
        let strict = self.manners.strict;
        if self.rng.percent(2) {
            return self.whole_context(operator, depth);
        }
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

    /// Two strings of one request, which may both be unknown to all policies and entities, in an equality of some form.
    fn strangers_meet(&mut self) -> Option<String> {
        let one = self.path_where(|path| path.root == Root::Context && path.ty == Ty::Text)?;
        let other = self.path_where(|path| {
            path.root != Root::Resource && path.ty == Ty::Text && path.text != one.text
        });
        let set =
            self.path_where(|path| path.root == Root::Context && path.ty == Ty::set_of(Ty::Text));
        let left = self.follow(one);
        if let Some(set) = set.filter(|_| other.is_none() || self.rng.percent(40)) {
            return Some(format!("{}.contains({left})", self.follow(set)));
        }
        let right = self.follow(other?);
        Some(match self.rng.below(7) {
            0 => format!("{left} != {right}"),
            1 => format!("[{left}].contains({right})"),
            2 => format!("[{left}, {right}] == [{right}]"),
            3 => format!("{{a: {left}}} == {{a: {right}}}"),
            _ => format!("{left} == {right}"),
        })
    }

    /// The context as a value: with itself, or with a record of its fields.
    fn whole_context(&mut self, operator: &str, depth: u32) -> String {
        let model = self.model;
        let declared = &model.action(self.aim.env.action).context;
        let ty = Ty::Record(declared.clone());
        let other = if self.manners.strict && !ty.is_exact() || self.rng.percent(30) {
            "context".to_owned()
        } else {
            self.term(&ty, depth)
        };
        match self.rng.below(4) {
            0 => format!("[{other}].contains(context)"),
            _ => format!("context {operator} {other}"),
        }
    }

    /// Another path to the same type: two values that no policy knows may meet here.
    fn other_path(&mut self, path: &Path, depth: u32) -> String {
        match self.path_where(|other| other.ty == path.ty && other.text != path.text) {
            Some(other) => self.follow(other),
            None => self.term(&path.ty, depth),
        }
    }

    fn like(&mut self, depth: u32) -> String {
        let path = self.path_where(|path| path.ty == Ty::Text);
        let sample = match path.and_then(|path| self.aimed_value(path)) {
            Some(Val::Text(text)) if self.rng.percent(60) => text.clone(),
            _ => self.values.pools.text(self.rng, "", false),
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
