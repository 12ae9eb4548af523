//! What `decide` answers: effect, reason, policies, errors, legs, obligations, and which bundle said so.
//!
//! An [`Answer`] borrows from the caller's scratch and from the bundle; [`Answer::to_owned`] copies it for a log or
//! a wire. Reason codes are stable: they are part of the API and of every wire format.

use std::fmt;

use crate::bundle::Bundle;
use crate::ids::PolicyIx;
use crate::scratch::LegSpan;

/// Allow or deny.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Effect {
    /// The request is permitted.
    Allow,
    /// The request is denied.
    Deny,
}

/// Why; a stable code.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Reason {
    /// A permit is satisfied and no forbid is.
    Permitted,
    /// A forbid is satisfied.
    Forbidden,
    /// No permit is satisfied.
    NotPermitted,
    /// A forbid could not be evaluated, and the bundle says that this denies.
    PolicyError,
    /// The principal's own leg allows, another leg of the delegation does not.
    DelegatorNotPermitted,
    /// The request is outside the schema, or states what callers may not state.
    InvalidRequest,
    /// No usable bundle.
    NoBundle,
    /// A limit of the bundle was reached before the answer was known.
    Limit,
}

/// How evaluating a policy failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ErrorKind {
    /// An operator met a value of a type it does not take.
    Type,
    /// A record or entity has no such attribute.
    AttributeMissing,
    /// An entity has no such tag.
    TagMissing,
    /// An attribute or tag of an entity that does not exist was asked for.
    EntityMissing,
    /// Integer arithmetic left 64 bits.
    Overflow,
    /// An extension function refused its argument.
    Extension,
    /// An extension function was called with the wrong number of arguments.
    Arity,
    /// A limit of the bundle ended the evaluation.
    Limit,
}

/// Which part of a delegated request a leg is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum LegRole {
    /// The request's principal, that is the current actor.
    Principal,
    /// An inner actor of the chain, counted from 0, nearest to the principal first.
    Actor(u16),
    /// The subject on whose behalf the principal acts.
    Subject,
}

/// The answer to one request. Borrowed; valid until the scratch is used again.
#[derive(Clone, Copy, Debug)]
pub struct Answer<'s> {
    pub(crate) effect: Effect,
    pub(crate) reason: Reason,
    pub(crate) bundle: Option<&'s Bundle>,
    pub(crate) policies: &'s [PolicyIx],
    pub(crate) errors: &'s [(PolicyIx, ErrorKind)],
    /// What the legs' spans are runs of.
    pub(crate) all_policies: &'s [PolicyIx],
    pub(crate) all_errors: &'s [(PolicyIx, ErrorKind)],
    pub(crate) legs: &'s [LegSpan],
    pub(crate) failed_leg: Option<u16>,
    pub(crate) message: &'s str,
}

/// One leg of an answer.
#[derive(Clone, Copy, Debug)]
pub struct Leg<'s> {
    answer: Answer<'s>,
    span: LegSpan,
}

/// An obligation: an annotation of a determining policy whose key the manifest lists.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Obligation<'s> {
    /// The policy that carries it.
    pub policy: &'s str,
    /// The annotation's key.
    pub key: &'s str,
    /// The annotation's value.
    pub value: &'s str,
}

/// Proof that a request was allowed, for handlers to take as an argument: it cannot be made in any other way.
#[derive(Clone, Copy, Debug)]
pub struct Permit<'s> {
    answer: Answer<'s>,
}

/// An [`Answer`] that owns its texts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OwnedAnswer {
    /// Allow or deny.
    pub effect: Effect,
    /// Why.
    pub reason: Reason,
    /// Ids of the determining policies.
    pub policies: Vec<String>,
    /// Ids of the policies that could not be evaluated, with the kind of error.
    pub errors: Vec<(String, ErrorKind)>,
    /// The legs, in the order principal, inner actors, subject; one entry for a request without delegation.
    pub legs: Vec<OwnedLeg>,
    /// The leg that denied first, if one did.
    pub failed_leg: Option<LegRole>,
    /// Obligations as (policy, key, value).
    pub obligations: Vec<(String, String, String)>,
    /// A sentence about an invalid request or a limit, else empty.
    pub message: String,
    /// The bundle that decided; none when there was none.
    pub bundle: Option<BundleName>,
}

/// One leg of an [`OwnedAnswer`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OwnedLeg {
    /// Which part of the request.
    pub role: LegRole,
    /// Its own effect.
    pub effect: Effect,
    /// Its own reason.
    pub reason: Reason,
    /// Ids of the leg's determining policies.
    pub policies: Vec<String>,
    /// Ids of the leg's failing policies.
    pub errors: Vec<(String, ErrorKind)>,
}

/// Which bundle decided.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BundleName {
    /// The manifest's name.
    pub name: String,
    /// The manifest's revision.
    pub revision: u64,
    /// SHA-256 of what decides, in lower-case hexadecimal.
    pub digest: String,
}

// === impl Answer ===

impl<'s> Answer<'s> {
    /// Allow or deny.
    pub fn effect(&self) -> Effect {
        self.effect
    }

    /// Whether the request is allowed.
    pub fn is_allowed(&self) -> bool {
        self.effect == Effect::Allow
    }

    /// Why.
    pub fn reason(&self) -> Reason {
        self.reason
    }

    /// A sentence about an invalid request or a limit, else empty.
    pub fn message(&self) -> &'s str {
        self.message
    }

    /// The bundle that decided.
    pub fn bundle(&self) -> Option<&'s Bundle> {
        self.bundle
    }

    /// Determining policies: over all legs when allowed, of the failed leg when denied. In bundle order.
    pub fn policy_indices(&self) -> &'s [PolicyIx] {
        self.policies
    }

    /// Ids of the determining policies, in bundle order.
    pub fn policies(&self) -> impl Iterator<Item = &'s str> + use<'s> {
        let bundle = self.bundle;
        self.policies.iter().map(move |ix| policy_id(bundle, *ix))
    }

    /// Policies that could not be evaluated, with the kind of error; over all legs, in bundle order.
    pub fn errors(&self) -> impl Iterator<Item = (&'s str, ErrorKind)> + use<'s> {
        let bundle = self.bundle;
        self.errors.iter().map(move |(ix, kind)| (policy_id(bundle, *ix), *kind))
    }

    /// The legs that were evaluated. A request without delegation has one; an invalid one may have none.
    pub fn legs(&self) -> impl Iterator<Item = Leg<'s>> + use<'s> {
        let answer = *self;
        self.legs.iter().map(move |span| Leg { answer, span: *span })
    }

    /// The first leg that denied.
    pub fn failed_leg(&self) -> Option<Leg<'s>> {
        let span = self.legs.get(usize::from(self.failed_leg?))?;
        Some(Leg { answer: *self, span: *span })
    }

    /// Annotations of the determining policies whose keys the manifest lists.
    pub fn obligations(&self) -> impl Iterator<Item = Obligation<'s>> + use<'s> {
        let bundle = self.bundle;
        self.policies.iter().filter_map(move |ix| Some((bundle?, *ix))).flat_map(|(bundle, ix)| {
            bundle.obligations(ix).map(move |(key, value)| Obligation {
                policy: bundle.policy_id(ix),
                key,
                value,
            })
        })
    }

    /// The proof for handlers, when allowed.
    pub fn permit(&self) -> Option<Permit<'s>> {
        self.is_allowed().then_some(Permit { answer: *self })
    }

    /// Copies everything out of the scratch.
    pub fn to_owned(&self) -> OwnedAnswer {
        OwnedAnswer {
            effect: self.effect,
            reason: self.reason,
            policies: self.policies().map(str::to_owned).collect(),
            errors: self.errors().map(|(id, kind)| (id.to_owned(), kind)).collect(),
            legs: self.legs().map(|leg| leg.to_owned()).collect(),
            failed_leg: self.failed_leg().map(|leg| leg.role()),
            obligations: self
                .obligations()
                .map(|o| (o.policy.to_owned(), o.key.to_owned(), o.value.to_owned()))
                .collect(),
            message: self.message.to_owned(),
            bundle: self.bundle.map(BundleName::of),
        }
    }
}

fn policy_id(bundle: Option<&Bundle>, ix: PolicyIx) -> &str {
    bundle.map_or("", |b| b.policy_id(ix))
}

// === impl BundleName ===

/// Hexadecimal digits of a digest that are shown to people.
const DIGEST_SHOWN_CHARS: usize = 12;

/// `agent-tools revision 3 (1a2b3c4d5e6f)`, with control characters escaped.
impl fmt::Display for BundleName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for c in self.name.chars() {
            if c.is_control() { write!(f, "{}", c.escape_debug())? } else { write!(f, "{c}")? }
        }
        let digest = self.digest.get(..DIGEST_SHOWN_CHARS).unwrap_or(&self.digest);
        write!(f, " revision {} ({digest})", self.revision)
    }
}

impl BundleName {
    /// Names a bundle.
    pub fn of(bundle: &Bundle) -> Self {
        Self {
            name: bundle.name().to_owned(),
            revision: bundle.revision(),
            digest: bundle.digest_hex().to_owned(),
        }
    }
}

// === impl Leg ===

impl<'s> Leg<'s> {
    /// Which part of the request.
    pub fn role(&self) -> LegRole {
        self.span.role
    }

    /// The leg's own effect.
    pub fn effect(&self) -> Effect {
        self.span.effect
    }

    /// The leg's own reason.
    pub fn reason(&self) -> Reason {
        self.span.reason
    }

    /// Ids of the leg's determining policies.
    pub fn policies(&self) -> impl Iterator<Item = &'s str> + use<'s> {
        let bundle = self.answer.bundle;
        self.span.policies(&self.answer).iter().map(move |ix| policy_id(bundle, *ix))
    }

    /// Ids of the leg's failing policies.
    pub fn errors(&self) -> impl Iterator<Item = (&'s str, ErrorKind)> + use<'s> {
        let bundle = self.answer.bundle;
        self.span.errors(&self.answer).iter().map(move |(ix, kind)| (policy_id(bundle, *ix), *kind))
    }

    fn to_owned(self) -> OwnedLeg {
        OwnedLeg {
            role: self.role(),
            effect: self.effect(),
            reason: self.reason(),
            policies: self.policies().map(str::to_owned).collect(),
            errors: self.errors().map(|(id, kind)| (id.to_owned(), kind)).collect(),
        }
    }
}

// === impl Permit ===

impl<'s> Permit<'s> {
    /// The answer that permits.
    pub fn answer(&self) -> &Answer<'s> {
        &self.answer
    }
}

// === codes ===

impl Effect {
    /// `allow` or `deny`.
    pub fn as_str(self) -> &'static str {
        match self {
            Effect::Allow => "allow",
            Effect::Deny => "deny",
        }
    }
}

impl Reason {
    /// All of them.
    pub const ALL: [Self; 8] = [
        Self::Permitted,
        Self::Forbidden,
        Self::NotPermitted,
        Self::PolicyError,
        Self::DelegatorNotPermitted,
        Self::InvalidRequest,
        Self::NoBundle,
        Self::Limit,
    ];

    /// The stable code, for example `not_permitted`.
    pub fn as_str(self) -> &'static str {
        match self {
            Reason::Permitted => "permitted",
            Reason::Forbidden => "forbidden",
            Reason::NotPermitted => "not_permitted",
            Reason::PolicyError => "policy_error",
            Reason::DelegatorNotPermitted => "delegator_not_permitted",
            Reason::InvalidRequest => "invalid_request",
            Reason::NoBundle => "no_bundle",
            Reason::Limit => "limit",
        }
    }
}

impl ErrorKind {
    /// Every kind, in order.
    pub const ALL: [Self; 8] = [
        Self::Type,
        Self::AttributeMissing,
        Self::TagMissing,
        Self::EntityMissing,
        Self::Overflow,
        Self::Extension,
        Self::Arity,
        Self::Limit,
    ];

    /// The stable code, for example `attribute_missing`.
    pub fn as_str(self) -> &'static str {
        match self {
            ErrorKind::Type => "type",
            ErrorKind::AttributeMissing => "attribute_missing",
            ErrorKind::TagMissing => "tag_missing",
            ErrorKind::EntityMissing => "entity_missing",
            ErrorKind::Overflow => "overflow",
            ErrorKind::Extension => "extension",
            ErrorKind::Arity => "arity",
            ErrorKind::Limit => "limit",
        }
    }
}

/// Prints `principal`, `actor[0]`, `subject`.
impl std::fmt::Display for LegRole {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            LegRole::Principal => f.write_str("principal"),
            LegRole::Actor(n) => write!(f, "actor[{n}]"),
            LegRole::Subject => f.write_str("subject"),
        }
    }
}
