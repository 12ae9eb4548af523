//! `bundle.toml` and `cases.toml`: TOML to manifest and cases. Unknown keys are refused.

use std::collections::BTreeMap;

use serde::Deserialize;

use crate::cases::Case;
use crate::ext::Datetime;
use crate::json;
use crate::limits::{BundleLimits, CHAIN_ACTORS_MAX, RequestLimits};
use crate::outcome::{Effect, Reason};

/// What an author says about a bundle.
#[derive(Clone, Debug)]
pub(crate) struct Manifest {
    pub(crate) name: String,
    pub(crate) revision: u64,
    pub(crate) skip_forbid_errors: bool,
    pub(crate) ends_only: bool,
    pub(crate) entities_complete: bool,
    pub(crate) case_time: Datetime,
    pub(crate) obligations: Vec<String>,
    /// Entity type → attributes.
    pub(crate) caller_attributes: BTreeMap<String, Vec<String>>,
    pub(crate) now_key: Option<String>,
    pub(crate) delegation_key: Option<String>,
    pub(crate) limits: BundleLimits,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ManifestToml {
    name: String,
    revision: u64,
    #[serde(default)]
    on_forbid_error: OnForbidError,
    #[serde(default)]
    chain_legs: ChainLegs,
    #[serde(default = "yes")]
    entities_complete: bool,
    #[serde(default)]
    case_time: Option<String>,
    #[serde(default)]
    obligations: Option<Vec<String>>,
    #[serde(default)]
    caller_attributes: BTreeMap<String, Vec<String>>,
    #[serde(default)]
    context: ContextToml,
    #[serde(default)]
    limits: LimitsToml,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "lowercase")]
enum OnForbidError {
    #[default]
    Deny,
    Skip,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "lowercase")]
enum ChainLegs {
    #[default]
    All,
    Ends,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct ContextToml {
    now: Option<String>,
    delegation: Option<String>,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct LimitsToml {
    eval_steps_max: Option<u64>,
    request_values_max: Option<u32>,
    request_text_bytes_max: Option<u32>,
    value_depth_max: Option<u32>,
    inline_entities_max: Option<u32>,
    inline_ancestors_max: Option<u32>,
    chain_actors_max: Option<u32>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct CasesToml {
    #[serde(default)]
    default: CaseToml,
    #[serde(default)]
    case: Vec<CaseToml>,
}

#[derive(Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct CaseToml {
    name: Option<String>,
    principal: Option<String>,
    action: Option<String>,
    resource: Option<String>,
    on_behalf_of: Option<String>,
    actors: Option<Vec<String>>,
    scopes: Option<Vec<String>>,
    now: Option<String>,
    context: Option<toml::Table>,
    entities: Option<Vec<toml::Value>>,
    expect: Option<String>,
    reason: Option<String>,
    policies: Option<Vec<String>>,
    errors: Option<Vec<String>>,
    failed_leg: Option<String>,
}

fn yes() -> bool {
    true
}

/// A TOML text that is not what it should be: what, and the byte range where known.
#[derive(Debug)]
pub(crate) struct TomlError {
    pub(crate) message: String,
    pub(crate) span: Option<(usize, usize)>,
}

// === impl Manifest ===

impl Manifest {
    /// What loose texts get: Cedar's own semantics.
    pub(crate) fn cedar(name: &str) -> Self {
        Self {
            name: name.to_owned(),
            revision: 0,
            skip_forbid_errors: true,
            ends_only: false,
            entities_complete: false,
            case_time: Datetime(0),
            obligations: Vec::new(),
            caller_attributes: BTreeMap::new(),
            now_key: None,
            delegation_key: None,
            limits: BundleLimits::STANDARD,
        }
    }

    /// Reads `bundle.toml`.
    pub(crate) fn read(text: &str) -> Result<Self, TomlError> {
        let manifest: ManifestToml = toml::from_str(text).map_err(TomlError::from)?;
        let refuse = |message: String| Err(TomlError { message, span: None });
        if manifest.name.is_empty() {
            return refuse("`name` is empty".to_owned());
        }
        let case_time = manifest.case_time.as_deref().unwrap_or("1970-01-01T00:00:00Z");
        let case_time = match case_time.parse() {
            Ok(time) => time,
            Err(error) => return refuse(format!("`case_time`: {error}")),
        };
        let standard = BundleLimits::STANDARD;
        let limits = manifest.limits;
        let limits = BundleLimits {
            eval_steps_max: limits.eval_steps_max.unwrap_or(standard.eval_steps_max),
            request_values_max: limits.request_values_max.unwrap_or(standard.request_values_max),
            request_text_bytes_max: limits
                .request_text_bytes_max
                .unwrap_or(standard.request_text_bytes_max),
            value_depth_max: limits.value_depth_max.unwrap_or(standard.value_depth_max),
            inline_entities_max: limits.inline_entities_max.unwrap_or(standard.inline_entities_max),
            inline_ancestors_max: limits
                .inline_ancestors_max
                .unwrap_or(standard.inline_ancestors_max),
            chain_actors_max: limits.chain_actors_max.unwrap_or(standard.chain_actors_max),
        };
        if limits.chain_actors_max > CHAIN_ACTORS_MAX {
            return refuse(format!("`limits.chain_actors_max` is at most {CHAIN_ACTORS_MAX}"));
        }
        if limits.value_depth_max > 128 {
            return refuse("`limits.value_depth_max` is at most 128".to_owned());
        }
        Ok(Self {
            name: manifest.name,
            revision: manifest.revision,
            skip_forbid_errors: matches!(manifest.on_forbid_error, OnForbidError::Skip),
            ends_only: matches!(manifest.chain_legs, ChainLegs::Ends),
            entities_complete: manifest.entities_complete,
            case_time,
            obligations: manifest.obligations.unwrap_or_else(|| vec!["obligation".to_owned()]),
            caller_attributes: manifest.caller_attributes,
            now_key: manifest.context.now,
            delegation_key: manifest.context.delegation,
            limits,
        })
    }
}

/// Reads `cases.toml`.
pub(crate) fn cases(text: &str, case_time: Datetime) -> Result<Vec<Case>, Vec<TomlError>> {
    let file: CasesToml = toml::from_str(text).map_err(|e| vec![TomlError::from(e)])?;
    let mut errors = Vec::new();
    let mut cases: Vec<Case> = Vec::new();
    for (at, case) in file.case.into_iter().enumerate() {
        let label = case.name.clone().unwrap_or(format!("number {}", at + 1));
        match merged(case, &file.default).build(case_time) {
            Ok(case) if cases.iter().any(|before| before.name == case.name) => {
                errors.push(TomlError {
                    message: format!("case `{label}`: the name occurs twice"),
                    span: None,
                });
            }
            Ok(case) => cases.push(case),
            Err(message) => {
                // Names are quoted in the file, so that the place can be shown.
                let span = text.find(&format!("\"{label}\"")).map(|at| (at, at + label.len() + 2));
                errors.push(TomlError { message: format!("case `{label}`: {message}"), span });
            }
        }
    }
    if errors.is_empty() { Ok(cases) } else { Err(errors) }
}

fn merged(case: CaseToml, default: &CaseToml) -> CaseToml {
    let context = match (default.context.clone(), case.context) {
        (Some(mut context), Some(own)) => {
            context.extend(own);
            Some(context)
        }
        (default, own) => own.or(default),
    };
    let or = |own: Option<String>, default: &Option<String>| own.or_else(|| default.clone());
    CaseToml {
        name: case.name,
        principal: or(case.principal, &default.principal),
        action: or(case.action, &default.action),
        resource: or(case.resource, &default.resource),
        on_behalf_of: or(case.on_behalf_of, &default.on_behalf_of),
        actors: case.actors.or_else(|| default.actors.clone()),
        scopes: case.scopes.or_else(|| default.scopes.clone()),
        now: or(case.now, &default.now),
        context,
        entities: case.entities.or_else(|| default.entities.clone()),
        expect: or(case.expect, &default.expect),
        reason: or(case.reason, &default.reason),
        policies: case.policies.or_else(|| default.policies.clone()),
        errors: case.errors.or_else(|| default.errors.clone()),
        failed_leg: or(case.failed_leg, &default.failed_leg),
    }
}

impl CaseToml {
    fn build(self, case_time: Datetime) -> Result<Case, String> {
        let missing = |what: &str| format!("`{what}` is missing");
        let mut request = serde_json::Map::new();
        let mut put =
            |key: &str, value: serde_json::Value| _ = request.insert(key.to_owned(), value);
        put("principal", self.principal.ok_or_else(|| missing("principal"))?.into());
        put("action", self.action.ok_or_else(|| missing("action"))?.into());
        put("resource", self.resource.ok_or_else(|| missing("resource"))?.into());
        put("context", to_json(toml::Value::Table(self.context.unwrap_or_default()))?);
        if let Some(subject) = self.on_behalf_of {
            put("on_behalf_of", subject.into());
        }
        if let Some(actors) = self.actors {
            put("actors", actors.into());
        }
        if let Some(scopes) = self.scopes {
            put("scopes", scopes.into());
        }
        if let Some(entities) = self.entities {
            put("entities", to_json(toml::Value::Array(entities))?);
        }
        put("now", self.now.unwrap_or_else(|| case_time.to_string()).into());
        let expect = match self.expect.as_deref() {
            Some("allow") => Effect::Allow,
            Some("deny") => Effect::Deny,
            Some(other) => return Err(format!("`expect` is `allow` or `deny`, not `{other}`")),
            None => return Err(missing("expect")),
        };
        let codes = Reason::ALL.map(Reason::as_str);
        if let Some(reason) = self.reason.as_deref().filter(|reason| !codes.contains(reason)) {
            return Err(format!("`reason` is one of {}, not `{reason}`", codes.join(", ")));
        }
        let request_json = serde_json::Value::Object(request).to_string();
        // Names, times and shapes; whether the request fits the schema may be the very point of the case.
        json::read_request(&request_json, None, &json::Arena::new(), &RequestLimits::STANDARD)
            .map_err(|e| e.to_string())?;
        Ok(Case {
            name: self.name.ok_or_else(|| missing("name"))?,
            request_json,
            expect,
            reason: self.reason,
            policies: self.policies,
            errors: self.errors,
            failed_leg: self.failed_leg,
        })
    }
}

/// TOML to JSON; Cedar has neither floats nor TOML's dates.
fn to_json(value: toml::Value) -> Result<serde_json::Value, String> {
    Ok(match value {
        toml::Value::String(text) => text.into(),
        toml::Value::Integer(i) => i.into(),
        toml::Value::Boolean(b) => b.into(),
        toml::Value::Float(f) => {
            return Err(format!("{f} is no Cedar value; write a decimal as a string"));
        }
        toml::Value::Datetime(d) => {
            return Err(format!("{d} is no Cedar value; write a datetime as a string"));
        }
        toml::Value::Array(items) => {
            items.into_iter().map(to_json).collect::<Result<Vec<_>, _>>()?.into()
        }
        toml::Value::Table(table) => {
            let pairs = table.into_iter().map(|(key, value)| Ok((key, to_json(value)?)));
            serde_json::Value::Object(pairs.collect::<Result<_, String>>()?)
        }
    })
}

// === impl TomlError ===

impl From<toml::de::Error> for TomlError {
    fn from(error: toml::de::Error) -> Self {
        Self {
            message: error.message().replace('\n', " "),
            span: error.span().map(|span| (span.start, span.end)),
        }
    }
}
