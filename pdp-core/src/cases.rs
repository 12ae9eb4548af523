//! Requests with the answers their authors expect: run by `pdp test`, before activation, and as benchmark workload.
//!
//! Cases travel inside the bundle, so that a bundle can always be asked whether it still does what its author meant.

use serde::{Deserialize, Serialize};

use crate::decide::{DecideOptions, Decider};
use crate::json::{self, Arena};
use crate::limits::RequestLimits;
use crate::outcome::{Effect, OwnedAnswer};
use crate::scratch::Scratch;

/// A request with the answer its author expects.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Case {
    /// Unique within the bundle.
    pub name: String,
    /// The request as JSON (see [`crate::json::read_request`]); its `now` is always set.
    pub request_json: String,
    /// The effect expected.
    pub expect: Effect,
    /// The reason code expected, if the author says.
    pub reason: Option<String>,
    /// The determining policies expected, as a set, if the author says.
    pub policies: Option<Vec<String>>,
    /// The policies expected to fail, as a set, if the author says.
    pub errors: Option<Vec<String>>,
    /// The failed leg expected, if the author says.
    pub failed_leg: Option<String>,
}

/// What one case gave.
#[derive(Clone, Debug)]
pub struct CaseResult {
    /// Position among [`crate::Bundle::cases`].
    pub case: usize,
    /// What came, or why the request could not be read.
    pub answer: Result<OwnedAnswer, String>,
    /// A sentence for each expectation that was not met.
    pub failures: Vec<String>,
}

/// A case as it stands in the bundle's section.
#[derive(Serialize, Deserialize)]
struct Stored {
    name: String,
    request: String,
    expect: String,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    reason: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    policies: Option<Vec<String>>,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    errors: Option<Vec<String>>,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    failed_leg: Option<String>,
}

/// Runs all cases of the decider's bundle.
pub fn run_cases(
    decider: &Decider,
    scratch: &mut Scratch,
    options: &DecideOptions,
) -> Vec<CaseResult> {
    let Some(bundle) = decider.bundle() else { return Vec::new() };
    let mut arena = Arena::new();
    let mut results = Vec::with_capacity(bundle.cases().len());
    for (at, case) in bundle.cases().iter().enumerate() {
        arena.reset();
        let request =
            json::read_request(&case.request_json, Some(bundle), &arena, &RequestLimits::STANDARD);
        results.push(match request {
            Ok(request) => {
                let answer = decider.decide_with(scratch, &request, options).to_owned();
                CaseResult { case: at, failures: case.failures(&answer), answer: Ok(answer) }
            }
            Err(error) => {
                let text = format!("the request cannot be read: {error}");
                CaseResult { case: at, answer: Err(text.clone()), failures: vec![text] }
            }
        });
    }
    results
}

/// Reads the cases section.
pub(crate) fn read(json: &[u8]) -> Result<Vec<Case>, serde_json::Error> {
    let stored: Vec<Stored> = serde_json::from_slice(json)?;
    Ok(stored.into_iter().map(Case::from).collect())
}

/// Writes the cases section.
#[cfg(feature = "compile")]
pub(crate) fn write(cases: &[Case]) -> Vec<u8> {
    let stored: Vec<Stored> = cases.iter().cloned().map(Stored::from).collect();
    // Plain strings and options always serialise.
    serde_json::to_vec(&stored).unwrap_or_default()
}

// === impl Case ===

impl Case {
    /// A sentence for each expectation that the answer does not meet.
    pub fn failures(&self, answer: &OwnedAnswer) -> Vec<String> {
        let mut failures = Vec::new();
        let mut differs = |what: &str, expected: String, came: String| {
            if expected != came {
                failures.push(format!("expected {what} {expected}, came {came}"));
            }
        };
        differs("effect", self.expect.as_str().to_owned(), answer.effect.as_str().to_owned());
        if let Some(reason) = &self.reason {
            differs("reason", reason.clone(), answer.reason.as_str().to_owned());
        }
        if let Some(policies) = &self.policies {
            differs("policies", listed(policies.iter()), listed(answer.policies.iter()));
        }
        if let Some(errors) = &self.errors {
            differs(
                "errors in",
                listed(errors.iter()),
                listed(answer.errors.iter().map(|(id, _)| id)),
            );
        }
        if let Some(leg) = &self.failed_leg {
            differs(
                "failed leg",
                leg.clone(),
                answer.failed_leg.map_or("none".to_owned(), |leg| leg.to_string()),
            );
        }
        failures
    }
}

impl CaseResult {
    /// Whether every expectation was met.
    pub fn passed(&self) -> bool {
        self.failures.is_empty()
    }
}

/// A set of ids as text.
fn listed<'a>(ids: impl Iterator<Item = &'a String>) -> String {
    let mut ids: Vec<&str> = ids.map(String::as_str).collect();
    ids.sort_unstable();
    ids.dedup();
    if ids.is_empty() { "none".to_owned() } else { ids.join(", ") }
}

// === impl Stored ===

impl From<Stored> for Case {
    fn from(stored: Stored) -> Self {
        // Anything but `allow` expects a denial: a case that is misread can only fail.
        let expect =
            if stored.expect == Effect::Allow.as_str() { Effect::Allow } else { Effect::Deny };
        let Stored { name, request, reason, policies, errors, failed_leg, .. } = stored;
        Case { name, request_json: request, expect, reason, policies, errors, failed_leg }
    }
}

#[cfg(feature = "compile")]
impl From<Case> for Stored {
    fn from(case: Case) -> Self {
        let Case { name, request_json: request, expect, reason, policies, errors, failed_leg } =
            case;
        Stored {
            name,
            request,
            expect: expect.as_str().to_owned(),
            reason,
            policies,
            errors,
            failed_leg,
        }
    }
}
