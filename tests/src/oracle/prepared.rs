//! A world as Cedar read it.

use crate::world::{Link, Request, Uid, World};
use cedar_policy::{
    Context, Entities, EntityId, EntityTypeName, EntityUid, PolicyId, PolicySet,
    Request as CedarRequest, Schema, SlotId, ValidationMode, Validator,
};
use serde_json::Value as Json;
use std::borrow::Cow;
use std::collections::HashMap;
use std::fmt::Display;
use std::str::FromStr as _;
use std::sync::Arc;

/// A world's policies, links, schema and entities, read by Cedar.
#[derive(Debug)]
pub struct Prepared {
    policies: PolicySet,
    schema: Option<Arc<Schema>>,
    entities: Arc<Entities>,
}

/// The contexts of a world that Cedar has read already; requests often send the same one.
#[derive(Debug, Default)]
pub struct Contexts {
    read: Vec<(Json, Uid, bool, Context)>,
}

// === impl Prepared ===

impl Prepared {
    pub(super) fn read(
        world: &World,
        schema: Option<Arc<Schema>>,
        entities: Arc<Entities>,
    ) -> Result<Self, String> {
        let mut policies =
            PolicySet::from_str(&world.policy_text()).map_err(|why| refused("policies", &why))?;
        for link in &world.links {
            add_link(&mut policies, link)?;
        }
        Ok(Self { policies, schema, entities })
    }

    /// The policies, links included.
    pub fn policies(&self) -> &PolicySet {
        &self.policies
    }

    /// Whether the policies pass the strict validator; false without a schema.
    pub fn validates(&self) -> bool {
        self.schema.as_ref().is_some_and(|schema| {
            Validator::new(Schema::clone(schema))
                .validate(&self.policies, ValidationMode::Strict)
                .validation_passed()
        })
    }

    /// A request as Cedar takes it, with the entities it sees.
    ///
    /// # Errors
    ///
    /// Cedar's words, when it refuses the request, the context or the inline entities.
    pub fn question(
        &self,
        request: &Request,
        contexts: &mut Contexts,
    ) -> Result<(CedarRequest, Cow<'_, Entities>), String> {
        let schema = self.schema.as_deref().filter(|_| request.validate);
        let action = entity_uid(&request.action)?;
        let context = contexts.read(request, &action, schema)?;
        let question = CedarRequest::new(
            entity_uid(&request.principal)?,
            action,
            entity_uid(&request.resource)?,
            context,
            schema,
        )
        .map_err(|why| refused("request", &report(&why)))?;
        let entities = if request.inline_entities.is_empty() {
            Cow::Borrowed(&*self.entities)
        } else {
            let inline = Json::Array(request.inline_entities.clone());
            let entities = Entities::clone(&self.entities)
                .add_entities_from_json_value(inline, schema)
                .map_err(|why| refused("inline entities", &report(&why)))?;
            Cow::Owned(entities)
        };
        Ok((question, entities))
    }
}

// === impl Contexts ===

impl Contexts {
    fn read(
        &mut self,
        request: &Request,
        action: &EntityUid,
        schema: Option<&Schema>,
    ) -> Result<Context, String> {
        let known = self.read.iter().find(|(json, of, validated, _)| {
            *json == request.context && *of == request.action && *validated == schema.is_some()
        });
        if let Some((.., context)) = known {
            return Ok(context.clone());
        }
        let context = Context::from_json_value(
            request.context.clone(),
            schema.map(|schema| (schema, action)),
        )
        .map_err(|why| refused("context", &report(&why)))?;
        self.read.push((
            request.context.clone(),
            request.action.clone(),
            schema.is_some(),
            context.clone(),
        ));
        Ok(context)
    }
}

pub(super) fn entities(json: &[Json], schema: Option<&Schema>) -> Result<Entities, String> {
    Entities::from_json_value(Json::Array(json.to_vec()), schema)
        .map_err(|why| refused("entities", &report(&why)))
}

pub(super) fn schema(text: &str) -> Result<Schema, String> {
    let (schema, _warnings) =
        Schema::from_cedarschema_str(text).map_err(|why| refused("schema", &report(&why)))?;
    Ok(schema)
}

fn add_link(policies: &mut PolicySet, link: &Link) -> Result<(), String> {
    let mut args = HashMap::new();
    for (slot, uid) in
        [(SlotId::principal(), &link.principal), (SlotId::resource(), &link.resource)]
    {
        if let Some(uid) = uid {
            args.insert(slot, entity_uid(uid)?);
        }
    }
    policies
        .link(PolicyId::new(&link.template_id), PolicyId::new(&link.link_id), args)
        .map_err(|why| refused("links", &why))
}

fn entity_uid(uid: &Uid) -> Result<EntityUid, String> {
    let ty = EntityTypeName::from_str(&uid.ty).map_err(|why| refused("entity type", &why))?;
    Ok(EntityUid::from_type_name_and_id(ty, EntityId::new(&uid.id)))
}

fn refused(part: &str, why: &dyn Display) -> String {
    format!("{part}: {why}")
}

/// An error with its causes.
fn report(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text.push_str(": ");
        text.push_str(&error.to_string());
        cause = error.source();
    }
    text
}
