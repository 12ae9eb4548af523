//! The oracle: what the `cedar-policy` crate answers.
//!
//! Cedar gives up on deep expressions when its stack runs short, and then skips the policy, so its answer depends on the
//! thread it runs on. [`Oracle`] therefore owns one thread with a very large stack and asks everything there.
//! It compares nothing and knows no other engine.

mod prepared;
mod worker;

pub use prepared::{Contexts, Prepared};
pub use worker::{Oracle, STACK_BYTES};

use crate::world::{Request, World};
use cedar_policy::{
    AuthorizationError, Authorizer, Decision, Entities, EvaluationError, Response, Schema,
};
use serde_json::Value as Json;
use std::collections::BTreeSet;
use std::sync::Arc;

/// What Cedar says to a world.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// Policies, links, schema or entities cannot be read: the generator's mistake, as it should not draw such worlds.
    WorldRefused(String),
    /// One outcome per request, in their order.
    Judged {
        /// Whether the policies pass the strict validator; false without a schema.
        validates: bool,
        /// The outcomes.
        outcomes: Vec<Outcome>,
    },
}

/// What Cedar says to a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// It was decided.
    Answer(Answer),
    /// The request, its context or its inline entities do not fit the schema, or cannot be read; the text says why.
    Refused(String),
}

/// A decision with its grounds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// Whether the request is allowed.
    pub allow: bool,
    /// The ids of the determining policies.
    pub reasons: BTreeSet<String>,
    /// The ids of the policies that could not be evaluated.
    pub errors: BTreeSet<String>,
    /// Why they could not; for counting coverage, as no engine has to fail in Cedar's words.
    pub error_kinds: BTreeSet<ErrorKind>,
}

/// Why a policy could not be evaluated.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ErrorKind {
    /// An attribute or tag of an entity that does not exist.
    EntityMissing,
    /// An attribute that the entity does not have.
    AttributeMissing,
    /// A tag that the entity does not have.
    TagMissing,
    /// A field that the record does not have.
    FieldMissing,
    /// An operand of the wrong type.
    Type,
    /// An extension call with too few or too many arguments.
    Arity,
    /// An integer beyond 64 bits.
    Overflow,
    /// An extension function that refused its arguments.
    Extension,
    /// Any other: the recursion limit, an unlinked slot, an unknown value. None of these should ever be seen.
    Other,
}

/// Asks Cedar on the thread it is called on; keeps the last schema and entities, as consecutive worlds share them.
///
/// For callers who already run on a large stack; everyone else asks [`Oracle`].
#[derive(Debug, Default)]
pub struct Judge {
    schema: Option<(String, Arc<Schema>)>,
    /// With whether they were read with the schema above.
    entities: Option<(Vec<Json>, bool, Arc<Entities>)>,
}

// === impl Judge ===

impl Judge {
    /// What Cedar says to `world`.
    pub fn judge(&mut self, world: &World) -> Verdict {
        match self.prepare(world) {
            Ok(prepared) => Verdict::Judged {
                validates: prepared.validates(),
                outcomes: answers(&prepared, &world.requests),
            },
            Err(why) => Verdict::WorldRefused(why),
        }
    }

    /// Reads `world`.
    ///
    /// # Errors
    ///
    /// Cedar's words, when it refuses the policies, the links, the schema or the entities.
    pub fn prepare(&mut self, world: &World) -> Result<Prepared, String> {
        let schema = world.schema.as_deref().map(|text| self.schema(text)).transpose()?;
        let entities = self.entities(&world.entities, schema.as_deref())?;
        Prepared::read(world, schema, entities)
    }

    fn schema(&mut self, text: &str) -> Result<Arc<Schema>, String> {
        if let Some((known, schema)) = &self.schema
            && known == text
        {
            return Ok(Arc::clone(schema));
        }
        let schema = Arc::new(prepared::schema(text)?);
        self.schema = Some((text.to_owned(), Arc::clone(&schema)));
        // What was read with another schema is not the same.
        self.entities = None;
        Ok(schema)
    }

    fn entities(
        &mut self,
        json: &[Json],
        schema: Option<&Schema>,
    ) -> Result<Arc<Entities>, String> {
        if let Some((known, by_schema, entities)) = &self.entities
            && known == json
            && *by_schema == schema.is_some()
        {
            return Ok(Arc::clone(entities));
        }
        let entities = Arc::new(prepared::entities(json, schema)?);
        self.entities = Some((json.to_vec(), schema.is_some(), Arc::clone(&entities)));
        Ok(entities)
    }
}

fn answers(prepared: &Prepared, requests: &[Request]) -> Vec<Outcome> {
    let authorizer = Authorizer::new();
    let mut contexts = Contexts::default();
    requests
        .iter()
        .map(|request| match prepared.question(request, &mut contexts) {
            Ok((question, entities)) => Outcome::Answer(Answer::from(authorizer.is_authorized(
                &question,
                prepared.policies(),
                &entities,
            ))),
            Err(why) => Outcome::Refused(why),
        })
        .collect()
}

// === impl Answer ===

impl From<Response> for Answer {
    fn from(response: Response) -> Self {
        let diagnostics = response.diagnostics();
        let mut errors = BTreeSet::new();
        let mut error_kinds = BTreeSet::new();
        for error in diagnostics.errors() {
            let AuthorizationError::PolicyEvaluationError(error) = error;
            errors.insert(error.policy_id().to_string());
            error_kinds.insert(ErrorKind::of(error.inner()));
        }
        Self {
            allow: response.decision() == Decision::Allow,
            reasons: diagnostics.reason().map(ToString::to_string).collect(),
            errors,
            error_kinds,
        }
    }
}

// === impl ErrorKind ===

impl ErrorKind {
    /// All kinds, in the order in which they are reported.
    pub const ALL: [Self; 9] = [
        Self::EntityMissing,
        Self::AttributeMissing,
        Self::TagMissing,
        Self::FieldMissing,
        Self::Type,
        Self::Arity,
        Self::Overflow,
        Self::Extension,
        Self::Other,
    ];

    fn of(error: &EvaluationError) -> Self {
        match error {
            EvaluationError::EntityDoesNotExist(_) => Self::EntityMissing,
            // Cedar tells the two apart in its words only.
            EvaluationError::EntityAttrDoesNotExist(error)
                if error.to_string().contains("` does not have the tag `") =>
            {
                Self::TagMissing
            }
            EvaluationError::EntityAttrDoesNotExist(_) => Self::AttributeMissing,
            EvaluationError::RecordAttrDoesNotExist(_) => Self::FieldMissing,
            EvaluationError::TypeError(_) => Self::Type,
            EvaluationError::WrongNumArguments(_) => Self::Arity,
            EvaluationError::IntegerOverflow(_) => Self::Overflow,
            EvaluationError::FailedExtensionFunctionExecution(_) => Self::Extension,
            _ => Self::Other,
        }
    }
}
