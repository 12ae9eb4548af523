//! The decision: legs → candidates → conditions → answer. Readable in a sitting.
//!
//! One call sees one bundle. It knows no parser, does no I/O, takes no lock, allocates nothing after warm-up (save for
//! the sentence about an invalid request), never panics, and its work is bounded by the bundle's limits. Each layer
//! can only take authority away: without a bundle everything is denied; an invalid request is denied; a request is
//! allowed only if every leg allows; a forbid wins; running out of steps denies. There is no decision cache.

use std::sync::Arc;

use crate::ancestors::sort_and_dedup;
use crate::bundle::Bundle;
use crate::candidates;
use crate::eval::{self, Verdict};
use crate::explain::Explanation;
use crate::faults;
use crate::limits::OverlayLimits;
use crate::lookup;
use crate::outcome::{Answer, Effect, ErrorKind, LegRole, Reason};
use crate::overlay::{self, ChangeError, EntityChange, Overlay, OverlaySize};
use crate::prepare::{self, Prepared, Refusal};
use crate::program::{
    META_ENDS_ONLY, META_SCHEMA, META_SKIP_FORBID_ERRORS, MetaRec, PostingRec, Span, Tables, Val,
};
use crate::request::{Request, Uid};
use crate::scratch::{LegSpan, Scratch};
use crate::validate;

/// Answers requests from one bundle; without one it denies, with reason `no_bundle`.
#[derive(Clone, Debug)]
pub struct Decider {
    bundle: Option<Arc<Bundle>>,
    overlay: Option<Arc<Overlay>>,
}

/// How to decide. There is no default: each caller says what it wants.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DecideOptions {
    /// Check the request, and entities that come with it, against the bundle's schema, if it has one.
    pub validate_request: bool,
    /// Evaluate the scope of every policy instead of asking the index. For proof and comparison; slow.
    pub all_policies: bool,
    /// Stop as soon as effect and reason are known. Then one determining policy is named of those there may be, errors
    /// only as far as they were met, and a request that would run out of steps later does not.
    pub effect_only: bool,
}

impl DecideOptions {
    /// What every service wants: requests validated, index used.
    pub const STANDARD: Self =
        Self { validate_request: true, all_policies: false, effect_only: false };
}

/// How one leg came out.
#[derive(Clone, Copy, Debug)]
pub(crate) struct LegOutcome {
    pub(crate) effect: Effect,
    pub(crate) reason: Reason,
}

/// How a request came out.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Outcome {
    effect: Effect,
    reason: Reason,
    failed_leg: Option<u16>,
}

// === impl Outcome ===

impl Outcome {
    /// Denied before there was a leg.
    pub(crate) fn denied(reason: Reason) -> Self {
        Self { effect: Effect::Deny, reason, failed_leg: None }
    }

    /// Allowed only if every leg is; else denied for the reason of the first that is not.
    pub(crate) fn of_legs(legs: &[LegSpan]) -> Self {
        let failed = (0u16..).zip(legs).find(|(_, leg)| leg.effect == Effect::Deny);
        match failed {
            None => Self { effect: Effect::Allow, reason: Reason::Permitted, failed_leg: None },
            Some((at, leg)) => {
                let reason = match leg.role {
                    LegRole::Principal => leg.reason,
                    LegRole::Actor(_) | LegRole::Subject => Reason::DelegatorNotPermitted,
                };
                Self { effect: Effect::Deny, reason, failed_leg: Some(at) }
            }
        }
    }
}

// === impl Decider ===

impl Decider {
    /// Decides from a bundle.
    pub fn new(bundle: Arc<Bundle>) -> Self {
        Self { bundle: Some(bundle), overlay: None }
    }

    /// Denies everything, until there is a bundle.
    pub fn no_bundle() -> Self {
        Self { bundle: None, overlay: None }
    }

    /// The bundle that decides.
    pub fn bundle(&self) -> Option<&Arc<Bundle>> {
        self.bundle.as_ref()
    }

    /// The decider that follows this one when some entities change, in this order; all of it or nothing. This one goes
    /// on seeing what it saw, and both share the bundle and what did not change.
    ///
    /// A change costs microseconds, however many were made before and however many entities the bundle holds. Giving
    /// other parents to an entity that others descend from takes work linear in its descendants, here and not when a
    /// request is decided; the first time this happens to a bundle also one pass over its entities. With a schema, what
    /// is given must fit it, and actions cannot change.
    ///
    /// # Errors
    ///
    /// When there is no bundle, when an entity does not fit the schema, is stated inconsistently or would be its own
    /// ancestor, and when the changes since the bundle was built exceed a limit.
    pub fn with_entities(
        &self,
        changes: &[EntityChange<'_>],
        limits: &OverlayLimits,
    ) -> Result<Self, ChangeError> {
        let Some(bundle) = &self.bundle else { return Err(ChangeError::NoBundle) };
        let overlay = overlay::apply(bundle, self.overlay.as_deref(), changes, limits)?;
        Ok(Self { bundle: Some(Arc::clone(bundle)), overlay: Some(overlay) })
    }

    /// How much differs from the bundle's entities: when it grows, building the bundle anew pays.
    pub fn overlay_size(&self) -> OverlaySize {
        self.overlay.as_ref().map_or(OverlaySize::default(), |overlay| overlay.size())
    }

    /// Cedar's `in` among the entities that are in force now: the same one, or a descendant by bundle and changes. Who
    /// is not known descends from nobody. For edges that confine callers to a part of the hierarchy.
    pub fn is_in(&self, uid: &Uid<'_>, ancestor: &Uid<'_>) -> bool {
        if uid == ancestor {
            return true;
        }
        let Some(bundle) = &self.bundle else { return false };
        let (t, changed) = (bundle.tables(), self.overlay.as_deref());
        let find = |uid: &Uid<'_>| {
            lookup::entity(t, uid.entity_type.as_bytes(), uid.id.as_bytes())
                .or_else(|| changed?.entity(t, uid.entity_type, uid.id))
        };
        let (Some(entity), Some(ancestor)) = (find(uid), find(ancestor)) else { return false };
        let ancestors = match changed.and_then(|changed| changed.stored(entity)) {
            Some(stored) => &stored.ancestors,
            None => t.ancestors_of(entity),
        };
        ancestors.binary_search(&ancestor).is_ok()
    }

    pub(crate) fn overlay(&self) -> Option<&Arc<Overlay>> {
        self.overlay.as_ref()
    }

    /// Answers one request. The scratch is the caller's; keep one per thread.
    pub fn decide_with<'s>(
        &'s self,
        scratch: &'s mut Scratch,
        request: &Request<'_>,
        options: &DecideOptions,
    ) -> Answer<'s> {
        scratch.reset(self.overlay());
        let Some(bundle) = self.bundle.as_deref() else {
            return answer(scratch, None, Outcome::denied(Reason::NoBundle));
        };
        let (tables, meta) = (bundle.tables(), bundle.meta());
        let outcome = match take_in(tables, meta, scratch, request, options) {
            Ok(prepared) => legs(tables, meta, scratch, request, &prepared, options),
            Err(refusal) => Outcome::denied(reason_of(refusal)),
        };
        // Nothing is held between requests.
        scratch.overlay = None;
        answer(scratch, Some(bundle), outcome)
    }

    /// Answers one request and says why, in words and data. For people: it allocates and takes its time.
    pub fn explain(
        &self,
        scratch: &mut Scratch,
        request: &Request<'_>,
        options: &DecideOptions,
    ) -> Explanation {
        crate::explain::explain(self, scratch, request, options)
    }
}

/// Takes the request in and validates what is the same for all legs.
pub(crate) fn take_in(
    t: &Tables,
    meta: &MetaRec,
    s: &mut Scratch,
    request: &Request<'_>,
    options: &DecideOptions,
) -> Result<Prepared, Refusal> {
    let prepared = prepare::request(t, meta, s, request)?;
    if validates(meta, options) {
        validate::inline(t, s, request.entities)?;
        // The principal's scope comes first, so that its message is the one shown when several things are wrong.
        validate::scope(t, s, prepared.principal, prepared.action, prepared.resource)?;
        if !prepared.context_fits {
            validate::context(t, s, prepared.action, prepared.context)?;
        }
    }
    Ok(prepared)
}

pub(crate) fn validates(meta: &MetaRec, options: &DecideOptions) -> bool {
    options.validate_request && meta.flags & META_SCHEMA != 0
}

/// The principals of the legs, in order: principal, inner actors, subject.
pub(crate) fn leg_roles(
    meta: &MetaRec,
    request: &Request<'_>,
) -> impl Iterator<Item = LegRole> + use<> {
    let actors = match meta.flags & META_ENDS_ONLY {
        0 => request.actors.len(),
        _ => 0,
    };
    let legs = 1 + actors + usize::from(request.on_behalf_of.is_some());
    (0..legs).map(move |at| match at.checked_sub(1) {
        None => LegRole::Principal,
        // No chain is longer than a `u16` counts: `prepare` has refused it.
        Some(actor) if actor < actors => LegRole::Actor(u16::try_from(actor).unwrap_or(u16::MAX)),
        Some(_) => LegRole::Subject,
    })
}

/// The principal of a leg.
pub(crate) fn leg_principal(
    t: &Tables,
    s: &mut Scratch,
    request: &Request<'_>,
    prepared: &Prepared,
    role: LegRole,
) -> Result<u32, Refusal> {
    Ok(match role {
        LegRole::Principal => prepared.principal,
        LegRole::Subject => prepared.subject.ok_or(Refusal::Invalid)?,
        LegRole::Actor(n) => {
            let actor = request.actors.get(usize::from(n)).ok_or(Refusal::Invalid)?;
            s.entity_again(t, actor.entity_type, actor.id)?
        }
    })
}

/// All legs of a request, one after the other.
pub(crate) fn legs(
    t: &Tables,
    meta: &MetaRec,
    s: &mut Scratch,
    request: &Request<'_>,
    prepared: &Prepared,
    options: &DecideOptions,
) -> Outcome {
    let mut fuel = meta.limits.eval_steps_max;
    let mut denied = false;
    for role in leg_roles(meta, request) {
        let (policies, errors) = (s.policies.len(), s.errors.len());
        // The message is that of the first leg that failed.
        if denied {
            std::mem::swap(&mut s.message, &mut s.later_message);
        }
        let outcome = match leg(t, meta, s, request, prepared, role, options, &mut fuel) {
            Ok(outcome) => outcome,
            Err(refusal) => LegOutcome { effect: Effect::Deny, reason: reason_of(refusal) },
        };
        if denied {
            std::mem::swap(&mut s.message, &mut s.later_message);
        }
        denied |= outcome.effect == Effect::Deny;
        s.leg_done(role, outcome, policies, errors);
    }
    Outcome::of_legs(&s.legs)
}

/// One evaluation: Cedar's rule over the policies whose scope matches.
#[expect(
    clippy::too_many_arguments,
    reason = "all of it is what one leg sees, and none of it belongs together"
)]
fn leg(
    t: &Tables,
    meta: &MetaRec,
    s: &mut Scratch,
    request: &Request<'_>,
    prepared: &Prepared,
    role: LegRole,
    options: &DecideOptions,
    fuel: &mut u64,
) -> Result<LegOutcome, Refusal> {
    let principal = leg_principal(t, s, request, prepared, role)?;
    if role != LegRole::Principal && validates(meta, options) {
        validate::scope(t, s, principal, prepared.action, prepared.resource)?;
    }
    let asked = [principal, prepared.action, prepared.resource];
    let [p, a, r] = asked.map(Val::entity);
    s.reads.begin(t, [p, a, r, prepared.context]);
    let sides = candidates::sides(t, s, asked);
    let collected = candidates::find(t, s, &sides, asked, options.all_policies, fuel);
    Ok(judge(t, meta, s, collected, options, fuel))
}

/// What the conditions of the candidates make of a leg.
#[inline]
pub(crate) fn judge(
    t: &Tables,
    meta: &MetaRec,
    s: &mut Scratch,
    collected: Result<(), ErrorKind>,
    options: &DecideOptions,
    fuel: &mut u64,
) -> LegOutcome {
    let (permits_from, errors_from) = (s.policies.len(), s.errors.len());
    s.forbids.clear();
    let candidates = std::mem::take(&mut s.candidates);
    let mut found = Found { out_of_steps: collected.is_err(), forbid_failed: false };
    let fail_closed = meta.flags & META_SKIP_FORBID_ERRORS == 0;
    if options.effect_only {
        found.effect_only(t, s, &candidates, fail_closed, fuel);
    } else {
        for candidate in candidates.iter().flat_map(|run| run.of(&t.postings)) {
            found.look_at(t, s, candidate, fuel);
            if found.out_of_steps {
                break;
            }
        }
    }
    s.candidates = candidates;
    let Found { out_of_steps, forbid_failed } = found;
    if let Some(errors) = s.errors.get_mut(errors_from..) {
        errors.sort_unstable_by_key(|(ix, _)| *ix);
    }
    let permitted = s.policies.len() > permits_from;
    let forbidden = !s.forbids.is_empty() && (!permitted || !faults::FORBID_LOSES.is_on());
    let (effect, reason) = if out_of_steps {
        (Effect::Deny, Reason::Limit)
    } else if forbidden {
        (Effect::Deny, Reason::Forbidden)
    } else if forbid_failed && fail_closed {
        (Effect::Deny, Reason::PolicyError)
    } else if permitted {
        (Effect::Allow, Reason::Permitted)
    } else {
        (Effect::Deny, Reason::NotPermitted)
    };
    if effect == Effect::Deny {
        // Permits determine nothing of a denial; satisfied forbids do.
        s.policies.truncate(permits_from);
        if reason == Reason::Forbidden {
            s.policies.extend_from_slice(&s.forbids);
        }
    }
    if let Some(policies) = s.policies.get_mut(permits_from..) {
        policies.sort_unstable();
    }
    if reason == Reason::Limit && s.message.is_empty() {
        s.message.push_str("the request took more steps than the bundle's eval_steps_max");
    }
    LegOutcome { effect, reason }
}

/// What a leg's candidates have come to so far, beside the lists in the scratch.
struct Found {
    out_of_steps: bool,
    forbid_failed: bool,
}

impl Found {
    /// Evaluates one candidate.
    #[inline(always)]
    fn look_at(&mut self, t: &Tables, s: &mut Scratch, candidate: &PostingRec, fuel: &mut u64) {
        let (ix, is_forbid) = (candidate.ix(), candidate.is_forbid());
        let verdict = match eval::spend(fuel, 1) {
            Ok(()) => eval::condition(t, s, candidate.ops.of(&t.ops), fuel),
            Err(limit) => Verdict::Failed(limit),
        };
        match verdict {
            Verdict::Satisfied if is_forbid => s.forbids.push(ix),
            Verdict::Satisfied => s.policies.push(ix),
            Verdict::Unsatisfied => {}
            Verdict::Failed(ErrorKind::Limit) => {
                s.errors.push((ix, ErrorKind::Limit));
                self.out_of_steps = true;
            }
            Verdict::Failed(_) if faults::ERRORS_DROPPED.is_on() => {}
            Verdict::Failed(kind) => {
                s.errors.push((ix, kind));
                self.forbid_failed |= is_forbid;
            }
        }
    }

    /// Evaluates no more than the effect and its reason need: forbids up to the first that is satisfied; if they leave
    /// anything to permit, permits up to the first that is satisfied.
    #[inline(never)]
    fn effect_only(
        &mut self,
        t: &Tables,
        s: &mut Scratch,
        candidates: &[Span],
        fail_closed: bool,
        fuel: &mut u64,
    ) {
        let permits_from = s.policies.len();
        for forbids in [true, false] {
            for candidate in candidates.iter().flat_map(|run| run.of(&t.postings)) {
                if candidate.is_forbid() != forbids {
                    continue;
                }
                self.look_at(t, s, candidate, fuel);
                let settled = !s.forbids.is_empty() || s.policies.len() > permits_from;
                if settled || self.out_of_steps {
                    return;
                }
            }
            if self.forbid_failed && fail_closed {
                return;
            }
        }
    }
}

/// Puts the answer together: of all legs when allowed, of the failed leg when denied; errors of all legs.
pub(crate) fn answer<'s>(
    s: &'s mut Scratch,
    bundle: Option<&'s Bundle>,
    outcome: Outcome,
) -> Answer<'s> {
    let Outcome { effect, reason, failed_leg } = outcome;
    let (policies_len, errors_len) = (s.policies.len(), s.errors.len());
    let several = s.legs.len() > 1;
    if several {
        if effect == Effect::Allow {
            s.policies.extend_from_within(..policies_len);
            sort_and_dedup(&mut s.policies, policies_len);
        }
        s.errors.extend_from_within(..errors_len);
        sort_and_dedup(&mut s.errors, errors_len);
    }
    let s = &*s;
    let failed = failed_leg.and_then(|at| s.legs.get(usize::from(at)));
    let policies = match failed {
        Some(leg) => leg.policies.of(&s.policies),
        None if several => s.policies.get(policies_len..).unwrap_or_default(),
        None => &s.policies,
    };
    let errors = if several { s.errors.get(errors_len..).unwrap_or_default() } else { &s.errors };
    let message = match s.message.as_str() {
        "" if reason == Reason::NoBundle => "no usable bundle is loaded",
        "" if reason == Reason::Limit => "the request is larger than the bundle's limits allow",
        message => message,
    };
    Answer {
        effect,
        reason,
        bundle,
        policies,
        errors,
        all_policies: &s.policies,
        all_errors: &s.errors,
        legs: &s.legs,
        failed_leg,
        message,
    }
}

pub(crate) fn reason_of(refusal: Refusal) -> Reason {
    match refusal {
        Refusal::Invalid => Reason::InvalidRequest,
        Refusal::Limit => Reason::Limit,
    }
}
