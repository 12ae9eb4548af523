//! The reference, `cedar-policy`, with everything parsed and built that can be built beforehand.
//!
//! It is asked over all policies, which is how it is used, and over each request's *slice*: only the policies whose
//! scope matches, which is the best that an index in front of it could do. Slices are found with the reference's own
//! notion of scopes and ancestors. A delegated request is one request a leg, put together as our engine documents it;
//! a request that brings entities gets a store that already holds them.

use std::collections::BTreeSet;
use std::str::FromStr;

use cedar_policy::{
    ActionConstraint, AuthorizationError, Authorizer, Context, Decision, Entities, EntityId,
    EntityTypeName, EntityUid, Policy, PolicyId, PolicySet, PrincipalConstraint, Request,
    ResourceConstraint, Schema,
};
use serde_json::Value;

use crate::answer::Answer;
use crate::workload::{SchemaText, Workload};

/// A slice with more policies is not built: then nearly everything matches, and it shows nothing.
const SLICE_POLICIES_MAX: usize = 2_000;

/// The reference on one workload.
#[derive(Debug)]
pub struct Reference {
    authorizer: Authorizer,
    policies: PolicySet,
    entities: Entities,
    asked: Vec<Asked>,
    /// How many policies are in scope, on average over the requests that were looked at.
    pub in_scope: f64,
}

#[derive(Debug)]
struct Asked {
    /// One request a leg, the principal's first.
    legs: Vec<Request>,
    /// The store with what the request brings along.
    entities: Option<Entities>,
    /// For each leg the policies whose scope it matches.
    slices: Vec<PolicySet>,
}

/// Scopes taken apart once, because taking them from a policy clones names.
struct Scope {
    principal: PrincipalConstraint,
    action: ActionConstraint,
    resource: ResourceConstraint,
}

// === impl Reference ===

impl Reference {
    /// Parses a workload, and builds and validates its first `questions` requests.
    ///
    /// # Errors
    ///
    /// When the reference refuses a part of the workload.
    pub fn new(workload: &Workload, questions: usize) -> Result<Self, String> {
        let policies =
            PolicySet::from_str(&workload.policies).map_err(|error| error.to_string())?;
        Self::with(workload, policies, questions)
    }

    /// As [`Reference::new`], where the policies are parsed already.
    ///
    /// # Errors
    ///
    /// When the reference refuses another part of the workload.
    pub fn with(
        workload: &Workload,
        policies: PolicySet,
        questions: usize,
    ) -> Result<Self, String> {
        let schema = schema(workload)?;
        let (questions, entities) = match &workload.reference_entities {
            Some((sample, entities)) => (questions.min(*sample), entities),
            None => (questions, &workload.entities),
        };
        let entities =
            Entities::from_json_str(entities, schema.as_ref()).map_err(|error| explain(&error))?;
        let mut reference = Self {
            authorizer: Authorizer::new(),
            policies,
            entities,
            asked: Vec::new(),
            in_scope: 0.0,
        };
        for question in workload.questions.iter().take(questions) {
            let asked = reference.read(question, schema.as_ref())?;
            reference.asked.push(asked);
        }
        reference.slice()?;
        Ok(reference)
    }

    fn read(&self, question: &str, schema: Option<&Schema>) -> Result<Asked, String> {
        let question: Value = serde_json::from_str(question).map_err(|error| error.to_string())?;
        let part = |name: &str| question.get(name).filter(|part| !part.is_null());
        let named = |name: &str| uid(part(name).unwrap_or(&Value::Null));
        let (action, resource) = (named("action")?, named("resource")?);
        let principals: Vec<EntityUid> = part("principal")
            .into_iter()
            .chain(part("actors").and_then(Value::as_array).into_iter().flatten())
            .chain(part("on_behalf_of"))
            .map(uid)
            .collect::<Result<_, _>>()?;
        let context = part("context").cloned().unwrap_or_else(|| serde_json::json!({}));
        let mut legs = Vec::with_capacity(principals.len());
        for principal in principals {
            let context =
                Context::from_json_value(context.clone(), schema.map(|schema| (schema, &action)))
                    .map_err(|error| explain(&error))?;
            let request =
                Request::new(principal, action.clone(), resource.clone(), context, schema)
                    .map_err(|error| explain(&error))?;
            legs.push(request);
        }
        let entities = match part("entities") {
            None => None,
            Some(inline) => {
                let all =
                    self.entities.clone().add_entities_from_json_value(inline.clone(), schema);
                Some(all.map_err(|error| explain(&error))?)
            }
        };
        Ok(Asked { legs, entities, slices: Vec::new() })
    }

    /// Finds what is in scope of every request that was read.
    fn slice(&mut self) -> Result<(), String> {
        let scopes: Vec<(Scope, &Policy)> = self
            .policies
            .policies()
            .map(|policy| {
                let scope = Scope {
                    principal: policy.principal_constraint(),
                    action: policy.action_constraint(),
                    resource: policy.resource_constraint(),
                };
                (scope, policy)
            })
            .collect();
        let (mut found, mut looked) = (0, 0);
        for asked in &mut self.asked {
            let entities = asked.entities.as_ref().unwrap_or(&self.entities);
            for leg in &asked.legs {
                let Some((principal, action, resource)) = names(leg) else { continue };
                let matching: Vec<&Policy> = scopes
                    .iter()
                    .filter(|(scope, _)| scope.matches(entities, principal, action, resource))
                    .map(|(_, policy)| *policy)
                    .collect();
                found += matching.len();
                looked += 1;
                if matching.len() > SLICE_POLICIES_MAX {
                    continue;
                }
                let mut slice = PolicySet::new();
                for policy in matching {
                    slice.add(policy.clone()).map_err(|error| error.to_string())?;
                }
                asked.slices.push(slice);
            }
        }
        self.in_scope = f64::from(found as u32) / f64::from(looked.max(1));
        Ok(())
    }

    /// How many requests it was given.
    pub fn questions(&self) -> usize {
        self.asked.len()
    }

    /// Whether every request has its slices.
    pub fn is_sliced(&self) -> bool {
        self.asked.iter().all(|asked| asked.slices.len() == asked.legs.len())
    }

    /// Decides request number `at`, over all policies or over its slice; what comes back is for a black box.
    #[inline]
    pub fn decide(&self, at: usize, sliced: bool) -> usize {
        let Some(asked) = self.asked.get(at) else { return 0 };
        let entities = asked.entities.as_ref().unwrap_or(&self.entities);
        let mut read = 0;
        for (nth, leg) in asked.legs.iter().enumerate() {
            let policies = match sliced {
                true => asked.slices.get(nth).unwrap_or(&self.policies),
                false => &self.policies,
            };
            let response = self.authorizer.is_authorized(leg, policies, entities);
            let ids = response.diagnostics().reason().map(|id| AsRef::<str>::as_ref(id).len());
            read += ids.sum::<usize>() + usize::from(response.decision() == Decision::Allow);
        }
        read
    }

    /// Decides request number `at` and copies the answer; nothing where it has no slice and is to be asked over it.
    pub fn answer(&self, at: usize, sliced: bool) -> Option<Answer> {
        let asked = self.asked.get(at)?;
        let entities = asked.entities.as_ref().unwrap_or(&self.entities);
        let (mut errors, mut allowing) = (BTreeSet::new(), BTreeSet::new());
        let mut denying: Option<BTreeSet<String>> = None;
        for (nth, leg) in asked.legs.iter().enumerate() {
            let policies = if sliced { asked.slices.get(nth)? } else { &self.policies };
            let response = self.authorizer.is_authorized(leg, policies, entities);
            errors.extend(response.diagnostics().errors().map(|error| match error {
                AuthorizationError::PolicyEvaluationError(error) => error.policy_id().to_string(),
            }));
            let reasons = response.diagnostics().reason().map(PolicyId::to_string);
            match response.decision() {
                Decision::Allow => allowing.extend(reasons),
                Decision::Deny => {
                    denying.get_or_insert(reasons.collect());
                }
            }
        }
        let (allow, reasons) = match denying {
            Some(reasons) => (false, reasons),
            None => (true, allowing),
        };
        Some(Answer { allow, reasons: Some(reasons), errors: Some(errors) })
    }
}

// === impl Scope ===

impl Scope {
    fn matches(
        &self,
        entities: &Entities,
        principal: &EntityUid,
        action: &EntityUid,
        resource: &EntityUid,
    ) -> bool {
        let within =
            |low: &EntityUid, high: &EntityUid| low == high || entities.is_ancestor_of(high, low);
        (match &self.principal {
            PrincipalConstraint::Any => true,
            PrincipalConstraint::Eq(uid) => principal == uid,
            PrincipalConstraint::In(uid) => within(principal, uid),
            PrincipalConstraint::Is(kind) => principal.type_name() == kind,
            PrincipalConstraint::IsIn(kind, uid) => {
                principal.type_name() == kind && within(principal, uid)
            }
        }) && (match &self.resource {
            ResourceConstraint::Any => true,
            ResourceConstraint::Eq(uid) => resource == uid,
            ResourceConstraint::In(uid) => within(resource, uid),
            ResourceConstraint::Is(kind) => resource.type_name() == kind,
            ResourceConstraint::IsIn(kind, uid) => {
                resource.type_name() == kind && within(resource, uid)
            }
        }) && (match &self.action {
            ActionConstraint::Any => true,
            ActionConstraint::Eq(uid) => action == uid,
            ActionConstraint::In(uids) => uids.iter().any(|uid| within(action, uid)),
        })
    }
}

fn names(request: &Request) -> Option<(&EntityUid, &EntityUid, &EntityUid)> {
    Some((request.principal()?, request.action()?, request.resource()?))
}

/// The schema of a workload, parsed.
///
/// # Errors
///
/// When the reference refuses it.
pub fn schema(workload: &Workload) -> Result<Option<Schema>, String> {
    match &workload.schema {
        None => Ok(None),
        Some(SchemaText::Cedar(text)) => {
            let (schema, _) =
                Schema::from_cedarschema_str(text).map_err(|error| error.to_string())?;
            Ok(Some(schema))
        }
        Some(SchemaText::Json(text)) => {
            Schema::from_json_str(text).map(Some).map_err(|error| error.to_string())
        }
    }
}

fn uid(json: &Value) -> Result<EntityUid, String> {
    let json = json.get("__entity").unwrap_or(json);
    let part = |name: &str| json.get(name).and_then(Value::as_str);
    let (Some(kind), Some(id)) = (part("type"), part("id")) else {
        return Err(format!("`{json}` is not the name of an entity"));
    };
    let kind = EntityTypeName::from_str(kind).map_err(|error| error.to_string())?;
    Ok(EntityUid::from_type_name_and_id(kind, EntityId::new(id)))
}

/// An error of the reference with what it comes from, which is where it says what is wrong.
fn explain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(error) = source {
        text.push_str(": ");
        text.push_str(&error.to_string());
        source = error.source();
    }
    text
}
