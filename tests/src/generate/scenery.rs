//! What a few consecutive worlds have in common: whether there is a schema, who is stored, and which values are usual.

use super::model::Model;
use super::pool::{Pools, Values};
use super::request::{CHECKED, UNCHECKED};
use super::store::{Cast, Store};
use crate::rng::Rng;
use crate::value::JsonStyle;
use serde_json::Value as Json;

/// Entities and usual values.
#[derive(Debug)]
pub(super) struct Scenery {
    pub(super) schema: bool,
    pools: Pools,
    cast: Cast,
    pub(super) store: Store,
    pub(super) entities: Vec<Json>,
}

// === impl Scenery ===

impl Scenery {
    pub(super) fn draw(mut rng: Rng, model: &Model) -> Self {
        let rng = &mut rng;
        let schema = rng.percent(55);
        let (flaws, style) =
            if schema { (CHECKED, JsonStyle::SchemaLed) } else { (UNCHECKED, JsonStyle::Explicit) };
        let pools = Pools::draw(rng);
        let cast = Cast::draw(rng, model);
        let values = Values { pools: &pools, cast: &cast, data: true };
        let mut store = Store::draw(rng, model, values, flaws);
        if !schema {
            store.add_actions(rng, model);
        }
        let entities = store.json(rng, style);
        Self { schema, pools, cast, store, entities }
    }

    /// Values for entities and requests.
    pub(super) fn data(&self) -> Values<'_> {
        Values { pools: &self.pools, cast: &self.cast, data: true }
    }

    /// Values for policies.
    pub(super) fn constants(&self) -> Values<'_> {
        Values { data: false, ..self.data() }
    }
}
