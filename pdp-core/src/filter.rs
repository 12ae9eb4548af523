//! *Which of these may the principal use?* One principal, one action, one context, many resources.
//!
//! What the resources share is done once: the request is taken in and validated, principal and action are looked up in
//! the index, and what policies read of principal and context is read for the first resource and kept for the others.
//! Each answer is the one that the resource alone would get, within limits of its own. A delegated request has legs,
//! which take turns with the principal; there only taking in is shared. This is how a long list, of tools for one, is
//! cut down; there is no cache in it, and nothing is kept from one call to the next.

use crate::candidates::{self, Sides};
use crate::decide::{self, DecideOptions, Decider, Outcome};
use crate::faults;
use crate::outcome::{Answer, LegRole};
use crate::prepare::{self, Prepared, Refusal};
use crate::program::{MetaRec, Tables, Val};
use crate::request::{Request, Uid};
use crate::scratch::Scratch;
use crate::validate;

impl Decider {
    /// Answers one request for each of many resources; `request.resource` is not looked at.
    ///
    /// `each` is called once a resource, in their order, with its position and its answer. All see one bundle, and each
    /// is answered as [`Decider::decide_with`] would answer it, under limits of its own.
    pub fn filter(
        &self,
        scratch: &mut Scratch,
        request: &Request<'_>,
        resources: &[Uid<'_>],
        options: &DecideOptions,
        mut each: impl FnMut(usize, &Answer<'_>),
    ) {
        let shared = self.bundle().map(AsRef::as_ref).and_then(|bundle| {
            let (t, meta) = (bundle.tables(), bundle.meta());
            scratch.reset(self.overlay());
            let prepared = take_in(t, meta, scratch, request, options).ok()?;
            Some((bundle, prepared))
        });
        let Some((bundle, prepared)) = shared else {
            // There is nothing to share: each is refused, and told why, by itself.
            scratch.overlay = None;
            for (at, resource) in resources.iter().enumerate() {
                let request = Request { resource: *resource, ..*request };
                each(at, &self.decide_with(scratch, &request, options));
            }
            return;
        };
        let (t, meta) = (bundle.tables(), bundle.meta());
        let text_left = scratch.text_left;
        let alone = request.on_behalf_of.is_none() && decide::leg_roles(meta, request).count() == 1;
        let sides = alone.then(|| begin(t, scratch, &prepared));
        for (at, resource) in resources.iter().enumerate() {
            scratch.next_question();
            scratch.text_left = text_left;
            let taken = scratch.entity(t, resource.entity_type, resource.id).map_err(Refusal::from);
            let taken = taken.and_then(|resource| {
                let prepared = Prepared { resource, ..prepared };
                if decide::validates(meta, options) {
                    validate::scope(t, scratch, prepared.principal, prepared.action, resource)?;
                }
                Ok(prepared)
            });
            let outcome = match (taken, &sides) {
                (Err(refusal), _) => Outcome::denied(decide::reason_of(refusal)),
                (Ok(prepared), None) => decide::legs(t, meta, scratch, request, &prepared, options),
                (Ok(prepared), Some(sides)) => {
                    leg(t, meta, scratch, sides, &prepared, options);
                    Outcome::of_legs(&scratch.legs)
                }
            };
            each(at, &decide::answer(scratch, Some(bundle), outcome));
        }
        // Nothing is held between calls.
        scratch.overlay = None;
    }
}

/// Takes in and validates what all resources share.
fn take_in(
    t: &Tables,
    meta: &MetaRec,
    s: &mut Scratch,
    request: &Request<'_>,
    options: &DecideOptions,
) -> Result<Prepared, Refusal> {
    let prepared = prepare::all_but_resource(t, meta, s, request)?;
    if decide::validates(meta, options) {
        validate::inline(t, s, request.entities)?;
        if !prepared.context_fits {
            validate::context(t, s, prepared.action, prepared.context)?;
        }
    }
    Ok(prepared)
}

/// What the single legs of all resources share: their reads begin, and the index is asked for both sides.
fn begin<'t>(t: &'t Tables, s: &mut Scratch, prepared: &Prepared) -> Sides<'t> {
    let asked = [prepared.principal, prepared.action, prepared.resource];
    let [p, a, r] = asked.map(Val::entity);
    s.reads.begin(t, [p, a, r, prepared.context]);
    candidates::sides(t, s, asked)
}

/// The one leg of a resource.
fn leg(
    t: &Tables,
    meta: &MetaRec,
    s: &mut Scratch,
    sides: &Sides<'_>,
    prepared: &Prepared,
    options: &DecideOptions,
) {
    let asked = [prepared.principal, prepared.action, prepared.resource];
    if !faults::FILTER_KEEPS_READS.is_on() {
        s.reads.next_resource(t, Val::entity(prepared.resource));
    }
    let mut fuel = meta.limits.eval_steps_max;
    let collected = candidates::find(t, s, sides, asked, options.all_policies, &mut fuel);
    let outcome = decide::judge(t, meta, s, collected, options, &mut fuel);
    s.leg_done(LegRole::Principal, outcome, 0, 0);
}
