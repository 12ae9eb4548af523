//! Rules for callers, as the file of settings has them: `[[callers]]`.
//!
//! ```toml
//! [[callers]]
//! spiffe = "spiffe://example/tenants/a/*"  # or `dns`, `unix_user`, or `anybody = true`
//! trust_delegation = true                  # without it, false
//! explain = true                           # without it, false
//! principals = ["User", 'Agent::"bot"']    # without it, any; types and entities
//! tenants = ['Tenant::"a"']                # without it, any; principals must be in one of them
//! ```

use pdp_core::json::{Arena, read_uid};
use pdp_grpc::{CallerRule, Name, Who, Whom};
use serde::{Deserialize, Serialize};

/// One rule.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct CallerShape {
    spiffe: Option<String>,
    dns: Option<String>,
    unix_user: Option<u32>,
    anybody: bool,
    trust_delegation: bool,
    explain: bool,
    principals: Option<Vec<String>>,
    tenants: Option<Vec<String>>,
}

// === impl CallerShape ===

impl CallerShape {
    /// The rule, or all that is wrong with it.
    pub(super) fn rule(&self) -> Result<CallerRule, Vec<String>> {
        let mut problems = Vec::new();
        let mut named = Vec::new();
        named.extend(self.spiffe.clone().map(Who::Spiffe));
        named.extend(self.dns.clone().map(Who::Dns));
        named.extend(self.unix_user.map(Who::UnixUser));
        named.extend(self.anybody.then_some(Who::Anybody));
        let who = match (named.pop(), named.is_empty()) {
            (Some(who), true) => who,
            _ => {
                problems.push(
                    "say one of `spiffe`, `dns`, `unix_user` and `anybody = true`".to_owned(),
                );
                Who::Anybody
            }
        };
        let mut all = |texts: &Option<Vec<String>>, whom: fn(&str) -> Result<Whom, String>| {
            texts.as_ref().map(|texts| {
                let read = texts.iter().map(|text| whom(text));
                read.filter_map(|whom| whom.map_err(|problem| problems.push(problem)).ok())
                    .collect()
            })
        };
        let principals: Option<Vec<Whom>> = all(&self.principals, whom);
        let tenants: Option<Vec<Whom>> = all(&self.tenants, |text| name(text).map(Whom::One));
        let tenants = tenants.map(|tenants| {
            let named = |whom| match whom {
                Whom::One(name) => Some(name),
                Whom::Type(_) => None,
            };
            tenants.into_iter().filter_map(named).collect()
        });
        for (key, is_empty) in [
            ("principals", principals.as_ref().is_some_and(Vec::is_empty)),
            ("tenants", tenants.as_ref().is_some_and(Vec::is_empty)),
        ] {
            if is_empty && problems.is_empty() {
                problems.push(format!("`{key}` lists nobody; leave it out, or the rule"));
            }
        }
        let (trust_delegation, explain) = (self.trust_delegation, self.explain);
        match problems.is_empty() {
            true => Ok(CallerRule { who, trust_delegation, explain, principals, tenants }),
            false => Err(problems),
        }
    }
}

/// A type or an entity.
fn whom(text: &str) -> Result<Whom, String> {
    let is_type = text.split("::").all(|part| {
        part.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
            && part.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
    });
    if is_type { Ok(Whom::Type(text.to_owned())) } else { name(text).map(Whom::One) }
}

/// An entity.
fn name(text: &str) -> Result<Name, String> {
    let arena = Arena::new();
    let uid = read_uid(text, &arena).map_err(|error| format!("`{text}`: {error}"))?;
    Ok(Name::new(uid.entity_type, uid.id))
}
