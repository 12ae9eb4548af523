//! The few values a world uses again and again, so that comparisons are often true; and fresh ones nobody has seen before.

use super::store::Cast;
use super::types::{Field, Ty};
use super::vocabulary::{LONGS, SMALL_LONGS, TEXTS, equal_constants};
use crate::rng::Rng;
use crate::value::{ExtKind, Val};

/// A world's usual values.
#[derive(Debug)]
pub(super) struct Pools {
    texts: Vec<&'static str>,
    longs: Vec<i64>,
    /// Per extension type, groups of equal constants.
    constants: [Vec<&'static [&'static str]>; 4],
    /// Most strings of entities and requests are ones that no policy knows, and policies compare them with each other.
    pub(super) strangers: bool,
    /// The constants that policies differ in, when some differ in nothing else.
    pub(super) twins: Option<Twins>,
}

/// A field that many policies compare with a constant of their own.
#[derive(Debug)]
pub(super) struct Twins {
    pub(super) field: &'static str,
    pub(super) texts: Vec<String>,
}

/// Draws values of any type.
#[derive(Debug, Clone, Copy)]
pub(super) struct Values<'a> {
    pub(super) pools: &'a Pools,
    pub(super) cast: &'a Cast,
    /// The values are for entities and requests, not for policies.
    pub(super) data: bool,
}

// === impl Pools ===

impl Pools {
    pub(super) fn draw(rng: &mut Rng) -> Self {
        let twins = rng.percent(40).then(|| Twins {
            field: rng.choose(&["department", "tool", "channel", "name"]),
            texts: (0..rng.between(3, 12)).map(|at| format!("team/{at}")).collect(),
        });
        Self {
            texts: (0..4).map(|_| rng.choose(TEXTS)).collect(),
            longs: (0..4)
                .map(|_| match rng.below(3) {
                    0 => rng.choose(LONGS),
                    _ => rng.choose(SMALL_LONGS),
                })
                .collect(),
            constants: ExtKind::ALL.map(|kind| (0..3).map(|_| equal_group(rng, kind)).collect()),
            strangers: rng.percent(20),
            twins,
        }
    }

    /// A string; `field` is the name it will stand under, if any.
    pub(super) fn text(&self, rng: &mut Rng, field: &str, data: bool) -> String {
        if let Some(twins) = &self.twins
            && rng.percent(if field == twins.field { 70 } else { 8 })
        {
            return rng.pick(&twins.texts).clone();
        }
        let known_percent = if data && self.strangers { 35 } else { 85 };
        match rng.below(100) {
            roll if roll < known_percent => rng.choose(&self.texts).to_owned(),
            85..92 => rng.choose(TEXTS).to_owned(),
            // Strings that no policy knows: some meet themselves again in another place, some never.
            _ if data && rng.percent(60) => format!("unseen-{}", rng.below(3)),
            _ => fresh(rng),
        }
    }

    pub(super) fn long(&self, rng: &mut Rng) -> i64 {
        match rng.below(100) {
            0..75 => rng.choose(&self.longs),
            75..85 => rng.choose(LONGS),
            _ => rng.choose(SMALL_LONGS),
        }
    }

    /// The text of an extension constant, in one of its spellings.
    pub(super) fn constant(&self, rng: &mut Rng, kind: ExtKind) -> &'static str {
        let [ips, decimals, datetimes, durations] = &self.constants;
        let own = match kind {
            ExtKind::Ip => ips,
            ExtKind::Decimal => decimals,
            ExtKind::Datetime => datetimes,
            ExtKind::Duration => durations,
        };
        let group = if rng.percent(75) { rng.pick(own) } else { rng.pick(equal_constants(kind)) };
        rng.choose(group)
    }
}

// === impl Values ===

impl Values<'_> {
    /// Values for `fields`; some of the optional ones are left away.
    pub(super) fn fields(&self, rng: &mut Rng, fields: &[Field]) -> Vec<(String, Val)> {
        let mut out = Vec::with_capacity(fields.len());
        for field in fields {
            if !field.optional || rng.percent(60) {
                let value = self.draw(rng, &field.ty, &field.name);
                out.push((field.name.clone(), value));
            }
        }
        out
    }

    /// A value of type `ty` for the field called `field`.
    pub(super) fn draw(&self, rng: &mut Rng, ty: &Ty, field: &str) -> Val {
        match ty {
            Ty::Bool => Val::Bool(rng.percent(60)),
            Ty::Long => Val::Long(self.pools.long(rng)),
            Ty::Text => Val::Text(self.pools.text(rng, field, self.data)),
            Ty::Entity(ix) => Val::Entity(self.cast.any(rng, *ix)),
            Ty::Ext(ExtKind::Datetime) if rng.percent(4) => Val::Offset {
                base: self.pools.constant(rng, ExtKind::Datetime).to_owned(),
                by: rng.pick(&["1ms", "-1d", "100000d", "-1000000d"]).to_string(),
            },
            Ty::Ext(kind) => Val::Ext(*kind, self.pools.constant(rng, *kind).to_owned()),
            Ty::Set(element) => {
                let mut items: Vec<Val> = (0..rng.weighted(&[(1, 0), (3, 1), (3, 2), (2, 3)]))
                    .map(|_| self.draw(rng, element, field))
                    .collect();
                if rng.percent(15) {
                    items.extend(items.first().cloned());
                }
                Val::Set(items)
            }
            Ty::Record(fields) => Val::Record(self.fields(rng, fields)),
        }
    }
}

/// A group of equal constants, mostly one with several spellings.
fn equal_group(rng: &mut Rng, kind: ExtKind) -> &'static [&'static str] {
    let group = rng.choose(equal_constants(kind));
    if group.len() == 1 && rng.percent(50) { rng.choose(equal_constants(kind)) } else { group }
}

/// A string that no policy, entity or other request has.
pub(super) fn fresh(rng: &mut Rng) -> String {
    format!("unseen-{:08x}", rng.bits() >> 32)
}
