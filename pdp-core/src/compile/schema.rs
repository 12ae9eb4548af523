//! The schema as tables: types with their parts before them, declarations of entity types and actions.

use std::collections::HashMap;

use super::build::Builder;
use crate::ids::{NONE, TooMany, next_id};
use crate::program::{
    ActionRec, DeclarationRec, FieldRec, SchemaType, Span, TAG_DATETIME, TAG_DECIMAL, TAG_DURATION,
    TAG_IP4, TYPE_BOOL, TYPE_ENTITY, TYPE_EXTENSION, TYPE_LONG, TYPE_RECORD, TYPE_SET, TYPE_STRING,
};
use crate::source::tree::{FieldTree, Name, SchemaTree, TypeTree};

/// Adds a schema.
pub(super) fn add(builder: &mut Builder, schema: &SchemaTree) -> Result<(), TooMany> {
    let mut types = Types::default();
    for ty in &schema.entity_types {
        let own = builder.entity_type(&ty.name)?;
        let fields = types.fields(builder, &ty.attributes)?;
        let tags = match &ty.tags {
            Some(tags) => types.add(builder, tags)?,
            None => NONE,
        };
        let ancestor_types = names(builder, &ty.ancestor_types)?;
        let mut members = Vec::new();
        for id in ty.enumerated.iter().flatten() {
            members.push(builder.entity(&Name { entity_type: ty.name.clone(), id: id.clone() })?);
        }
        let record = DeclarationRec {
            fields,
            tags,
            ancestor_types,
            enumerated: u32::from(ty.enumerated.is_some()),
            members: builder.list(&members)?,
        };
        let declaration = next_id(builder.tables.declarations.len())?;
        builder.tables.declarations.push(record);
        if let Some(record) = builder.tables.types.get_mut(own as usize) {
            record.declaration = declaration;
        }
    }
    for action in &schema.actions {
        let entity = builder.entity(&action.name)?;
        let record = ActionRec {
            principals: names(builder, &action.principals)?,
            resources: names(builder, &action.resources)?,
            context: types.add(builder, &action.context)?,
        };
        let ix = next_id(builder.tables.actions.len())?;
        builder.tables.actions.push(record);
        if let Some(rest) = builder.tables.entity_rest.get_mut(entity as usize) {
            rest.action = ix;
        }
    }
    Ok(())
}

fn names(builder: &mut Builder, names: &[String]) -> Result<Span, TooMany> {
    let types =
        names.iter().map(|name| builder.entity_type(name)).collect::<Result<Vec<_>, _>>()?;
    builder.list(&types)
}

/// Types that are there already.
#[derive(Default)]
struct Types {
    known: HashMap<TypeTree, u32>,
}

impl Types {
    fn add(&mut self, builder: &mut Builder, ty: &TypeTree) -> Result<u32, TooMany> {
        if let Some(known) = self.known.get(ty) {
            return Ok(*known);
        }
        let plain = |kind, a| SchemaType { kind, a, b: 0, shape: NONE };
        let record = match ty {
            TypeTree::Bool => plain(TYPE_BOOL, 0),
            TypeTree::Long => plain(TYPE_LONG, 0),
            TypeTree::Text => plain(TYPE_STRING, 0),
            // A type without a name has no values.
            TypeTree::Entity(name) if name.is_empty() => plain(TYPE_ENTITY, NONE),
            TypeTree::Entity(name) => plain(TYPE_ENTITY, builder.entity_type(name)?),
            TypeTree::Set(element) => plain(TYPE_SET, self.add(builder, element)?),
            TypeTree::Record(fields) => {
                let span = self.fields(builder, fields)?;
                let names: Vec<u32> =
                    span.of(&builder.tables.fields).iter().map(|field| field.name).collect();
                let shape = builder.shape(&names)?;
                SchemaType { kind: TYPE_RECORD, a: span.start, b: span.len, shape }
            }
            TypeTree::Extension(name) => {
                let tag = match name.as_str() {
                    "decimal" => TAG_DECIMAL,
                    "datetime" => TAG_DATETIME,
                    "duration" => TAG_DURATION,
                    _ => TAG_IP4,
                };
                plain(TYPE_EXTENSION, tag)
            }
        };
        let ix = next_id(builder.tables.schema_types.len())?;
        builder.tables.schema_types.push(record);
        self.known.insert(ty.clone(), ix);
        Ok(ix)
    }

    /// Fields, sorted by symbol.
    fn fields(&mut self, builder: &mut Builder, fields: &[FieldTree]) -> Result<Span, TooMany> {
        let mut records = Vec::new();
        for field in fields {
            let schema_type = self.add(builder, &field.field_type)?;
            records.push(FieldRec {
                name: builder.symbol(&field.name)?,
                schema_type,
                required: field.required.into(),
            });
        }
        records.sort_by_key(|field| field.name);
        let span =
            Span { start: next_id(builder.tables.fields.len())?, len: next_id(records.len())? };
        builder.tables.fields.extend(records);
        Ok(span)
    }
}
