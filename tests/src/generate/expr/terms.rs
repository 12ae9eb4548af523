//! Expressions of a wanted type: attributes, literals, arithmetic, records taken apart, dates moved and measured.

use super::Writer;
use crate::generate::types::{Field, Ty};
use crate::generate::vocabulary::{DURATION_LIMITS, LONGS};
use crate::quote;
use crate::value::{ExtKind, Val};

// === impl Writer ===

impl Writer<'_> {
    /// An expression of type `ty` that may stand before a dot.
    pub(in crate::generate) fn term(&mut self, ty: &Ty, depth: u32) -> String {
        if self.is_confused() {
            return self.confused_term(ty, depth);
        }
        if self.rng.percent(if depth == 0 { 55 } else { 45 })
            && let Some(path) = self.path(|found| found == ty)
        {
            return path;
        }
        if depth > 0 && self.rng.percent(55) {
            return self.composite(ty, depth - 1);
        }
        self.literal_term(ty)
    }

    /// A literal, unless the type's literals have types of their own in the strict validator's eyes.
    fn literal_term(&mut self, ty: &Ty) -> String {
        if self.manners.strict
            && !ty.is_exact()
            && let Some(path) = self.path(|found| found == ty)
        {
            return path;
        }
        self.literal(ty, "")
    }

    fn composite(&mut self, ty: &Ty, depth: u32) -> String {
        match self.rng.below(12) {
            0 | 1 => {
                let test = self.boolean(depth);
                let then = self.term(ty, depth);
                let otherwise = self.term(ty, depth);
                format!("(if {test} then {then} else {otherwise})")
            }
            2 => self.projection(ty, depth),
            3 => self.tag_of(ty, depth),
            _ => self.composite_of(ty, depth),
        }
    }

    fn composite_of(&mut self, ty: &Ty, depth: u32) -> String {
        match ty {
            Ty::Bool => format!("({})", self.boolean(depth)),
            Ty::Long => self.arithmetic(depth),
            Ty::Text | Ty::Entity(_) | Ty::Ext(ExtKind::Ip | ExtKind::Decimal) => {
                self.literal_term(ty)
            }
            Ty::Ext(ExtKind::Datetime) => self.moved_date(depth),
            Ty::Ext(ExtKind::Duration) => self.measured_time(depth),
            Ty::Set(element) => {
                let items: Vec<String> =
                    (0..self.rng.between(1, 3)).map(|_| self.term(element, depth)).collect();
                format!("[{}]", items.join(", "))
            }
            Ty::Record(fields) => self.record(fields, depth),
        }
    }

    fn arithmetic(&mut self, depth: u32) -> String {
        if self.rng.percent(26) {
            let of = self.term(&Ty::Ext(ExtKind::Duration), depth);
            let method =
                self.rng.pick(&["toMilliseconds", "toSeconds", "toMinutes", "toHours", "toDays"]);
            return format!("{of}.{method}()");
        }
        if self.rng.percent(16) {
            let signs = self.rng.weighted(&[(12, "-"), (2, "--"), (1, "---"), (1, "----")]);
            return format!("({signs}{})", self.term(&Ty::Long, depth));
        }
        let operator = self.rng.choose(&["+", "-", "*"]);
        let left = self.term(&Ty::Long, depth);
        let right = if self.rng.percent(45) {
            // The ends of the range, where the operation often leaves it.
            Val::Long(self.rng.choose(LONGS)).cedar()
        } else {
            self.term(&Ty::Long, depth)
        };
        format!("({left} {operator} {right})")
    }

    fn moved_date(&mut self, depth: u32) -> String {
        let of = self.term(&Ty::Ext(ExtKind::Datetime), depth);
        if self.rng.percent(40) {
            return format!("{of}.toDate()");
        }
        let by = if self.rng.percent(30) {
            let by = self.rng.choose(DURATION_LIMITS);
            Val::Ext(ExtKind::Duration, by.to_owned()).cedar()
        } else {
            self.term(&Ty::Ext(ExtKind::Duration), depth)
        };
        format!("{of}.offset({by})")
    }

    fn measured_time(&mut self, depth: u32) -> String {
        let datetime = Ty::Ext(ExtKind::Datetime);
        let of = self.term(&datetime, depth);
        if self.rng.percent(40) {
            return format!("{of}.toTime()");
        }
        let since = self.term(&datetime, depth);
        format!("{of}.durationSince({since})")
    }

    fn record(&mut self, fields: &[Field], depth: u32) -> String {
        let mut written = Vec::new();
        for field in fields {
            if !field.optional || self.rng.percent(50) {
                let value = self.term(&field.ty, depth);
                written.push(format!("{}: {value}", quote::key(&field.name)));
            }
        }
        format!("{{{}}}", written.join(", "))
    }

    /// A field of a record literal; the other fields are evaluated too, and may fail.
    fn projection(&mut self, ty: &Ty, depth: u32) -> String {
        let name = self.rng.choose(&["a", "k 1", "in"]);
        let value = self.term(ty, depth);
        let other = self.term(&Ty::Long, depth);
        let record = format!("{{{}: {value}, b: {other}}}", quote::key(name));
        if self.rng.percent(50) && quote::is_identifier(name) {
            quote::access(&record, name)
        } else {
            format!("{record}[{}]", quote::literal(name))
        }
    }

    /// A tag of type `ty` of one of the variables, if their types have such tags.
    fn tag_of(&mut self, ty: &Ty, depth: u32) -> String {
        let env = self.aim.env;
        let of = [("principal", env.principal), ("resource", env.resource)]
            .into_iter()
            .find(|(_, ix)| self.model.entity_type(*ix).tags.as_ref() == Some(ty));
        let Some((of, _)) = of else {
            return self.composite_of(ty, depth);
        };
        let key = self.tag_key();
        if !self.rng.percent(self.manners.unguarded_percent) {
            self.need(&format!("{of}.hasTag({key})"));
        }
        format!("{of}.getTag({key})")
    }
}
