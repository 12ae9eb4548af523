//! What a decider knows by name: entities of a type, actions, declared context keys, attributes that callers may supply.
//!
//! For those who search and for edges that must tell what a schema declares. It reads whole tables and allocates; no
//! decision passes through here, and it says nothing about who may do what.

use crate::decide::Decider;
use crate::ids::NONE;
use crate::lookup;
use crate::overlay::{BASE, Overlay};
use crate::program::{
    ActionRec, CallerAttribute, ENTITY_STORED, EntityRec, FieldRec, Span, TYPE_RECORD, Tables,
};
use crate::request::Uid;

/// What the last part of the type of every action is.
const ACTION: &str = "Action";

impl Decider {
    /// Every entity type that schema, policies or store name, in an order that stays.
    pub fn entity_types(&self) -> impl Iterator<Item = &str> {
        let tables = self.bundle().map(|bundle| bundle.tables());
        tables
            .into_iter()
            .flat_map(|t| t.types.iter().map(|ty| text(lookup::symbol_text(t, ty.name))))
    }

    /// The stored entities of a type, and the members of an enumerated one, in an order that stays.
    pub fn entities_of<'d>(&'d self, entity_type: &str) -> Vec<Uid<'d>> {
        let Some(bundle) = self.bundle() else { return Vec::new() };
        let (t, overlay) = (bundle.tables(), self.overlay().map(AsRef::as_ref));
        let mut uids = Vec::new();
        if let Some(known) = lookup::entity_type(t, entity_type.as_bytes()) {
            let members = members(t, known);
            for (at, record) in (0u32..).zip(t.entities.iter()) {
                if record.entity_type == known
                    && (is_present(record, at, overlay) || members.contains(&at))
                {
                    uids.push(uid(t, record));
                }
            }
        }
        if let Some(overlay) = overlay {
            let named = (BASE..NONE).map_while(|at| Some((at, overlay.named(at)?)));
            for (at, named) in named {
                let name = text(overlay.symbol_text(t, named.type_symbol));
                if name == entity_type && overlay.stored(at).is_some_and(|stored| stored.present) {
                    uids.push(Uid::new(name, &named.id));
                }
            }
        }
        uids
    }

    /// The actions that the schema declares; without a schema those that the bundle names.
    pub fn actions(&self) -> Vec<Uid<'_>> {
        let Some(bundle) = self.bundle() else { return Vec::new() };
        let t = bundle.tables();
        let mut actions = Vec::new();
        for (record, rest) in t.entities.iter().zip(t.entity_rest.iter()) {
            let uid = uid(t, record);
            let is_action = match bundle.has_schema() {
                true => rest.action != NONE,
                false => uid.entity_type.rsplit("::").next() == Some(ACTION),
            };
            if is_action {
                actions.push(uid);
            }
        }
        actions
    }

    /// Whether an action applies to a principal and a resource of these types; without a schema every action does.
    pub fn applies(&self, action: Uid<'_>, principal_type: &str, resource_type: &str) -> bool {
        let Some(bundle) = self.bundle() else { return false };
        let t = bundle.tables();
        if !bundle.has_schema() {
            return true;
        }
        let Some(record) = action_record(t, action) else { return false };
        let has = |types: Span, name: &str| {
            let known = lookup::entity_type(t, name.as_bytes());
            known.is_some_and(|known| types.of(&t.type_lists).contains(&known))
        };
        has(record.principals, principal_type) && has(record.resources, resource_type)
    }

    /// Whether the context of an action may have a key; without a schema every key may be there.
    pub fn declares_context(&self, action: Uid<'_>, key: &str) -> bool {
        let Some(bundle) = self.bundle() else { return false };
        let t = bundle.tables();
        if !bundle.has_schema() {
            return true;
        }
        let Some(symbol) = lookup::symbol(t, key.as_bytes()) else { return false };
        let fields = action_record(t, action).map(|record| context_fields(t, record));
        fields.is_some_and(|fields| fields.iter().any(|field| field.name == symbol))
    }

    /// Whether the manifest lists an attribute of a type as one that callers may supply.
    pub fn is_caller_attribute(&self, entity_type: &str, attribute: &str) -> bool {
        let Some(bundle) = self.bundle() else { return false };
        let t = bundle.tables();
        let entity_type = lookup::entity_type(t, entity_type.as_bytes());
        let attribute = lookup::symbol(t, attribute.as_bytes());
        entity_type.zip(attribute).is_some_and(|(entity_type, attribute)| {
            t.caller_attributes.contains(&CallerAttribute { entity_type, attribute })
        })
    }
}

fn is_present(record: &EntityRec, at: u32, overlay: Option<&Overlay>) -> bool {
    match overlay.and_then(|overlay| overlay.stored(at)) {
        Some(stored) => stored.present,
        None => record.flags & ENTITY_STORED != 0,
    }
}

/// The entities of an enumerated type.
fn members(t: &Tables, entity_type: u32) -> &[u32] {
    let declaration = t.types.get(entity_type as usize).map(|ty| ty.declaration);
    let declaration = declaration.and_then(|at| t.declarations.get(at as usize));
    declaration
        .filter(|declaration| declaration.enumerated == 1)
        .map_or(&[], |declaration| declaration.members.of(&t.type_lists))
}

fn action_record<'t>(t: &'t Tables, action: Uid<'_>) -> Option<&'t ActionRec> {
    let at = lookup::entity(t, action.entity_type.as_bytes(), action.id.as_bytes())?;
    t.actions.get(t.entity_rest.get(at as usize)?.action as usize)
}

fn context_fields<'t>(t: &'t Tables, action: &ActionRec) -> &'t [FieldRec] {
    let context = t.schema_types.get(action.context as usize);
    context
        .filter(|context| context.kind == TYPE_RECORD)
        .map_or(&[], |context| Span { start: context.a, len: context.b }.of(&t.fields))
}

fn uid<'t>(t: &'t Tables, record: &EntityRec) -> Uid<'t> {
    let ty = t.types.get(record.entity_type as usize);
    let name = ty.map_or(&[][..], |ty| lookup::symbol_text(t, ty.name));
    Uid::new(text(name), text(record.id.of(&t.entity_text)))
}

/// The bundle holds no text that is not UTF-8.
fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).unwrap_or_default()
}
