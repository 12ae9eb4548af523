//! From a checked source to bundle bytes: entities → tables, conditions → instructions, scopes → index.
//!
//! Everything that `decide` could ask is answered here once: ancestors are closed, names interned, scopes turned to
//! keys, literals folded. The result is a bundle even when it is used in the same process.

mod build;
mod entities;
mod fuse;
mod groups;
mod guards;
mod index;
mod lift;
mod lower;
mod origin;
mod paths;
mod schema;

use crate::bundle::Bundle;
use crate::cases;
use crate::codes::{self, Diagnostic, Report};
use crate::ids::{NONE, TooMany};
use crate::limits::{LoadLimits, SourceLimits};
use crate::pack;
use crate::program::{
    META_ENDS_ONLY, META_SCHEMA, META_SKIP_FORBID_ERRORS, MetaRec, ObligationRec, POLICY_CAN_ERROR,
    POLICY_FORBID, PolicyRec,
};
use crate::routes;
use crate::source::{Manifest, Source, on_large_stack};
use crate::write;

use build::Builder;
use index::{Keys, Written};
use paths::Paths;

/// How to compile. There is no default: each caller says what it wants.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CompileOptions {
    /// Move tests of principal, action and resource from the condition into the scope, where the index sees them.
    pub lift: bool,
    /// Look up each path that policies share once a request, and run common conjuncts as one instruction.
    pub share: bool,
    /// Find policies also by the equality tests they open with. Needs `share`.
    pub group: bool,
    /// Reach policies from the resource, too, where a principal hits more rows than the resource has policies.
    pub columns: bool,
    /// Keep policy texts and spans, for explanations and `inspect`.
    pub keep_source: bool,
}

impl CompileOptions {
    /// What every bundle wants.
    pub const STANDARD: Self =
        Self { lift: true, share: true, group: true, columns: true, keep_source: true };
}

/// Compiles a source into bundle bytes.
///
/// # Errors
///
/// When entities form a cycle, or the source is too large for a bundle.
pub fn compile(source: &Source, options: &CompileOptions) -> Result<Vec<u8>, Report> {
    // Nested expressions and values are lowered by recursion as deep as they nest.
    on_large_stack(&SourceLimits::STANDARD, || {
        let bytes = bundle(source, options)?;
        // What cannot be loaded is not handed out: the loader's checks are the definition of a bundle.
        if let Err(error) = Bundle::load(&bytes, &LoadLimits::STANDARD) {
            return Err(
                Failure::from(format!("the compiled bundle cannot be loaded: {error}")).into()
            );
        }
        Ok(bytes)
    })
}

/// Why a source that passed every check cannot become a bundle.
#[derive(Debug)]
pub(crate) enum Failure {
    /// A table would outgrow its ids.
    TooMany,
    /// Anything else, in words.
    Other(Box<Diagnostic>),
}

fn bundle(source: &Source, options: &CompileOptions) -> Result<Vec<u8>, Failure> {
    let manifest = &source.manifest;
    let mut builder = Builder::default();
    if let Some(schema) = &source.schema {
        schema::add(&mut builder, schema)?;
    }
    entities::add(&mut builder, &source.entities)?;
    let paths = Paths::plan(&mut builder, &source.policies, options.share)?;
    let mut keys = Keys::default();
    let mut guards = Vec::with_capacity(source.policies.len());
    let mut conditions = Vec::with_capacity(source.policies.len());
    let mut origins = origin::Section::default();
    for policy in &source.policies {
        let scope = lift::scope(policy, options.lift);
        let condition = lower::condition(&mut builder, &paths, policy, &scope.kept, options.share)?;
        guards.push(match options.group {
            true => guards::of(&mut builder, &paths, policy, &scope.kept)?,
            false => Vec::new(),
        });
        let principal_key = keys.principal.key(&mut builder, &scope.principal)?;
        let action_key = keys.action.key(&mut builder, &scope.action)?;
        let resource_key = keys.resource.key(&mut builder, &scope.resource)?;
        let ix = builder.policies_len()?;
        let mut flags = 0;
        flags |= if policy.forbid { POLICY_FORBID } else { 0 };
        let can_error =
            scope.kept.iter().any(|clause| !lift::cannot_fail(&policy.condition, *clause));
        flags |= if can_error { POLICY_CAN_ERROR } else { 0 };
        for (key, value) in
            policy.annotations.iter().filter(|(key, _)| manifest.obligations.contains(key))
        {
            let record =
                ObligationRec { policy: ix, key: builder.text(key)?, value: builder.text(value)? };
            builder.tables.obligations.push(record);
        }
        let record = PolicyRec {
            id: builder.text(&policy.id)?,
            flags,
            posting: NONE,
            principal_key,
            action_key,
            resource_key,
        };
        builder.tables.policies.push(record);
        conditions.push(condition.ops);
        if options.keep_source {
            origins.add(policy, &scope, &condition)?;
        }
    }
    index::build(&mut builder, keys, &Written { conditions, guards }, options.columns)?;
    meta(&mut builder, manifest, source)?;
    let tables = builder.finish()?;
    let origins = match options.keep_source {
        true => Some(pack::pack(&origins.json(source)).ok_or(TooMany)?),
        false => None,
    };
    let cases = (!source.cases.is_empty()).then(|| cases::write(&source.cases));
    let routes = source.routes.as_ref().map(routes::write);
    Ok(write::bundle(&tables, origins.as_deref(), cases.as_deref(), routes.as_deref()))
}

fn meta(builder: &mut Builder, manifest: &Manifest, source: &Source) -> Result<(), Failure> {
    let mut flags = 0;
    flags |= if source.schema.is_some() { META_SCHEMA } else { 0 };
    flags |= if manifest.skip_forbid_errors { META_SKIP_FORBID_ERRORS } else { 0 };
    flags |= if manifest.ends_only { META_ENDS_ONLY } else { 0 };
    let mut key = |name: &Option<String>| match name {
        Some(name) => builder.symbol(name),
        None => Ok(NONE),
    };
    let (now_key, delegation_key) = (key(&manifest.now_key)?, key(&manifest.delegation_key)?);
    let mut delegation_fields = [NONE; 4];
    if delegation_key != NONE {
        for (slot, name) in
            delegation_fields.iter_mut().zip(["subject", "chain", "depth", "scopes"])
        {
            *slot = builder.symbol(name)?;
        }
    }
    for (entity_type, attributes) in &manifest.caller_attributes {
        let entity_type = builder.entity_type(entity_type)?;
        for attribute in attributes {
            let attribute = builder.symbol(attribute)?;
            builder
                .tables
                .caller_attributes
                .push(crate::program::CallerAttribute { entity_type, attribute });
        }
    }
    // The schema's actions are stored, too, but nobody wrote them as entities.
    let declared =
        source.schema.as_ref().map_or(0, |schema| schema.actions.len()).min(source.entities.len());
    let record = MetaRec {
        revision: manifest.revision,
        limits: manifest.limits,
        name: builder.text(&manifest.name)?,
        flags,
        now_key,
        delegation_key,
        delegation_fields,
        stored_entities: u32::try_from(source.entities.len() - declared).map_err(|_| TooMany)?,
    };
    builder.tables.meta.push(record);
    Ok(())
}

// === impl Failure ===

impl From<TooMany> for Failure {
    fn from(_: TooMany) -> Self {
        Failure::TooMany
    }
}

impl From<String> for Failure {
    fn from(message: String) -> Self {
        Failure::Other(Box::new(Diagnostic::new(codes::CAPACITY, message)))
    }
}

impl From<Failure> for Report {
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::TooMany => Diagnostic::new(
                codes::CAPACITY,
                "the source has more than 4 billion strings, entities or values",
            )
            .into(),
            Failure::Other(item) => (*item).into(),
        }
    }
}
