//! Who may ask about whom, and what a caller's word counts for.
//!
//! Rules are read from the top and the first that fits the peer holds; where there are rules, who fits none is refused.
//! A caller that is confined is refused before anything is decided. It decides nothing itself, and it refuses to look at
//! entities that come with a request: a caller could put anybody into its tenant with them.

use std::fmt;
use std::sync::Arc;

use pdp_core::{Decider, Request, Uid};

use crate::peer::{Peer, Proven, SPIFFE};
use crate::text::shorten;

/// How much of a caller's own text is repeated.
const NAME_CHARS_MAX: usize = 120;

/// One rule: what callers it is about, and what they may.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CallerRule {
    /// Whom it is about.
    pub who: Who,
    /// Whether what they state about delegation counts.
    pub trust_delegation: bool,
    /// Whether they may be told why, with policy texts and attribute values.
    pub explain: bool,
    /// About which principals they may ask; `None`: any.
    pub principals: Option<Vec<Whom>>,
    /// In one of which entities everybody must be whom they ask about, by the entities that are served; `None`: in any.
    pub tenants: Option<Vec<Name>>,
}

/// What identifies a caller.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Who {
    /// The SPIFFE id of its client certificate; with `/*` at the end, every id below.
    Spiffe(String),
    /// A DNS name of its client certificate, in small letters.
    Dns(String),
    /// The user id of the process at the other end of a Unix socket.
    UnixUser(u32),
    /// Everybody that can connect.
    Anybody,
}

/// Principals that may be asked about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Whom {
    /// All of an entity type.
    Type(String),
    /// One.
    One(Name),
}

/// The name of an entity.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Name {
    /// Its type.
    pub entity_type: String,
    /// Its id.
    pub id: String,
}

/// The rules in force.
#[derive(Clone, Debug)]
pub(crate) struct Access {
    rules: Vec<(Who, Arc<Caller>)>,
    /// For those whom no rule fits.
    others: Arc<Caller>,
}

/// Who asks.
#[derive(Clone, Debug)]
pub(crate) struct Caller {
    /// Whether what it states about delegation counts.
    pub(crate) trust_delegation: bool,
    /// Whether it may be told why, beyond what an answer says.
    pub(crate) explain: bool,
    /// Whether it may ask at all.
    admitted: bool,
    principals: Option<Vec<Whom>>,
    tenants: Option<Vec<Name>>,
}

// === impl Access ===

impl Access {
    /// Without rules, everybody is what `trust_delegation` and `explain` say; with rules, those hold alone.
    pub(crate) fn new(rules: &[CallerRule], trust_delegation: bool, explain: bool) -> Self {
        let admitted = rules.is_empty();
        let others = Caller {
            trust_delegation: admitted && trust_delegation,
            explain: admitted && explain,
            admitted,
            principals: None,
            tenants: None,
        };
        let rules = rules.iter().map(|rule| (rule.who.clone(), Arc::new(Caller::new(rule))));
        Self { rules: rules.collect(), others: Arc::new(others) }
    }

    /// What the peer is to us.
    pub(crate) fn caller(&self, peer: &Peer) -> &Arc<Caller> {
        let fits = self.rules.iter().find(|(who, _)| who.fits(peer.proven()));
        fits.map_or(&self.others, |(_, caller)| caller)
    }
}

// === impl Who ===

impl Who {
    fn fits(&self, proven: &Proven) -> bool {
        match self {
            Who::Spiffe(wanted) => proven.spiffe.as_deref().is_some_and(|id| {
                match wanted.strip_suffix('*') {
                    // With the slash, so that `…/a/*` does not take in `…/ab`; and something must follow.
                    Some(above) => id.len() > above.len() && id.starts_with(above),
                    None => id == wanted,
                }
            }),
            Who::Dns(wanted) => proven.dns.iter().any(|name| name == wanted),
            Who::UnixUser(wanted) => proven.uid == Some(*wanted),
            Who::Anybody => true,
        }
    }

    /// What is wrong with it.
    pub(crate) fn problem(&self) -> Option<String> {
        match self {
            Who::Spiffe(id) => {
                let (above, star) = match id.strip_suffix("/*") {
                    Some(above) => (above, true),
                    None => (id.as_str(), false),
                };
                let named = above.strip_prefix(SPIFFE).is_some_and(|name| !name.is_empty());
                (!named || above.contains('*')).then(|| {
                    let what = if star { "the beginning of a SPIFFE id" } else { "a SPIFFE id" };
                    let id = shorten(id, NAME_CHARS_MAX);
                    format!(
                        "`{id}` is not {what}; write `spiffe://domain/path`, or `spiffe://domain/path/*` for all below"
                    )
                })
            }
            Who::Dns(name) => {
                let fine = !name.is_empty() && *name == name.to_ascii_lowercase();
                (!fine || name.contains('*')).then(|| {
                    let name = shorten(name, NAME_CHARS_MAX);
                    format!("`{name}` is not a DNS name of a caller; write it whole and in small letters")
                })
            }
            Who::UnixUser(_) | Who::Anybody => None,
        }
    }
}

// === impl Caller ===

impl Caller {
    fn new(rule: &CallerRule) -> Self {
        Self {
            trust_delegation: rule.trust_delegation,
            explain: rule.explain,
            admitted: true,
            principals: rule.principals.clone(),
            tenants: rule.tenants.clone(),
        }
    }

    /// Why it may not ask this; `None`: it may.
    pub(crate) fn forbids(&self, decider: &Decider, request: &Request<'_>) -> Option<String> {
        if !self.admitted {
            return Some(STRANGER.to_owned());
        }
        if self.principals.is_none() && self.tenants.is_none() {
            return None;
        }
        let about = [request.principal].into_iter().chain(request.on_behalf_of);
        about
            .chain(request.actors.iter().copied())
            .find(|uid| !self.may_ask_about(decider, uid))
            .map(|uid| outside(&uid))
    }

    fn may_ask_about(&self, decider: &Decider, uid: &Uid<'_>) -> bool {
        let listed = |principals: &Vec<Whom>| principals.iter().any(|whom| whom.is(uid));
        let within =
            |tenants: &Vec<Name>| tenants.iter().any(|tenant| decider.is_in(uid, &tenant.uid()));
        self.principals.as_ref().is_none_or(listed) && self.tenants.as_ref().is_none_or(within)
    }
}

/// What a caller is told whom no rule fits.
const STRANGER: &str = "this caller is not one that this server answers; present a certificate or use a user id that \
                        its rules for callers name";

#[cold]
fn outside(uid: &Uid<'_>) -> String {
    let (entity_type, id) =
        (shorten(uid.entity_type, NAME_CHARS_MAX), shorten(uid.id, NAME_CHARS_MAX));
    format!(
        "this caller may not ask about `{entity_type}::{id:?}`; ask about those that its rule on the server lists"
    )
}

// === impl Whom, impl Name ===

impl Whom {
    fn is(&self, uid: &Uid<'_>) -> bool {
        match self {
            Whom::Type(entity_type) => *entity_type == uid.entity_type,
            Whom::One(name) => name.uid() == *uid,
        }
    }
}

impl Name {
    /// Names an entity.
    pub fn new(entity_type: impl Into<String>, id: impl Into<String>) -> Self {
        Self { entity_type: entity_type.into(), id: id.into() }
    }

    fn uid(&self) -> Uid<'_> {
        Uid::new(&self.entity_type, &self.id)
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}::{:?}", self.entity_type, self.id)
    }
}

#[cfg(test)]
mod tests;
