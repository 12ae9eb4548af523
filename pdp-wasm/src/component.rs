//! The component's door: `wit/pdp.wit`, by which hosts with types of their own ask.
//!
//! It converts and nothing else; requests in `component/typed.rs`. A call that was ended from outside leaves what it was
//! at half done, so every later one denies: the host replaces the instance.

mod typed;

use std::cell::RefCell;

use pdp_core::{BundleName, Effect as Decided, ErrorKind, OwnedAnswer, OwnedLeg, Reason};

use crate::desk::{Desk, Question, Unreadable};
use bindings::exports::pdp::decision::engine::{
    Answer, BundleInfo, Effect, EntityUid, Guest, Leg, Obligation, PolicyError, Request,
};

/// What the world says, as Rust.
#[expect(
    unsafe_code,
    clippy::allow_attributes_without_reason,
    reason = "generated from `wit/pdp.wit`; SAFETY: by the generator, which writes both sides of the canonical ABI"
)]
mod bindings {
    wit_bindgen::generate!({ path: "wit/pdp.wit", world: "pdp" });

    export!(Component with_types_in self);

    use super::Component;
}

/// What is exported.
struct Component;

thread_local! {
    // Borrowed while a call runs: a call that did not come to its end leaves it borrowed, and every later one sees that.
    static DESK: RefCell<Desk> = RefCell::default();
}

const BROKEN: &str = "an earlier call did not come to its end; make a new instance";

// === impl Component ===

impl Component {
    fn with<T>(
        work: impl FnOnce(&mut Desk) -> Result<T, Unreadable>,
        refused: impl FnOnce(&Desk, Unreadable) -> T,
    ) -> T {
        let broken = || Unreadable(BROKEN.to_owned());
        DESK.with(|desk| match desk.try_borrow_mut() {
            Ok(mut desk) => work(&mut desk).unwrap_or_else(|why| refused(&desk, why)),
            // What is in force is not known any more; a new desk has no bundle to name.
            Err(_) => refused(&Desk::new(), broken()),
        })
    }
}

impl Guest for Component {
    fn load_bundle(bytes: Vec<u8>) -> Result<BundleInfo, String> {
        Self::with(
            |desk| desk.load(&bytes).map(|info| Ok(info.into())).map_err(Unreadable),
            |_, Unreadable(why)| Err(why),
        )
    }

    fn info() -> Option<BundleInfo> {
        Self::with(|desk| Ok(desk.info().map(BundleInfo::from)), |_, _| None)
    }

    fn authorize(request: Request) -> Answer {
        let read = Self::with(
            |desk| desk.ask(|_, arena| typed::request(&request, arena), |answer| answer.to_owned()),
            |desk, why| desk.refused(why),
        );
        read.into()
    }

    fn authorize_bytes(request: Vec<u8>) -> Effect {
        let allowed = Self::with(|desk| desk.authorize(&request), |_, _| false);
        if allowed { Effect::Allow } else { Effect::Deny }
    }

    fn answer_bytes(request: Vec<u8>) -> Answer {
        Self::with(|desk| desk.answer(&request), |desk, why| desk.refused(why)).into()
    }

    fn filter(request: Request, resources: Vec<EntityUid>) -> Result<Vec<bool>, String> {
        let read = |desk: &mut Desk| {
            desk.filter(|_, arena| {
                let request = typed::request(&request, arena)?;
                Ok(Question { request, resources: typed::uids(&resources, arena) })
            })
        };
        Self::with(|desk| read(desk).map(Ok), |_, Unreadable(why)| Err(why))
    }
}

// === what is told ===

impl From<crate::desk::Info> for BundleInfo {
    fn from(info: crate::desk::Info) -> Self {
        let crate::desk::Info { name, revision, digest, policies, entities, bytes, has_schema } =
            info;
        Self { name, revision, digest, policies, entities, bytes, has_schema }
    }
}

impl From<OwnedAnswer> for Answer {
    fn from(answer: OwnedAnswer) -> Self {
        Self {
            effect: answer.effect.into(),
            reason: code(answer.reason),
            policies: answer.policies,
            errors: errors(answer.errors),
            legs: answer.legs.into_iter().map(Leg::from).collect(),
            failed_leg: answer.failed_leg.map(|leg| leg.to_string()),
            obligations: answer
                .obligations
                .into_iter()
                .map(|(policy, key, value)| Obligation { policy, key, value })
                .collect(),
            message: answer.message,
            bundle: answer.bundle.map(|BundleName { name, revision, digest }| {
                bindings::exports::pdp::decision::engine::BundleName { name, revision, digest }
            }),
        }
    }
}

impl From<OwnedLeg> for Leg {
    fn from(leg: OwnedLeg) -> Self {
        Self {
            role: leg.role.to_string(),
            effect: leg.effect.into(),
            reason: code(leg.reason),
            policies: leg.policies,
            errors: errors(leg.errors),
        }
    }
}

impl From<Decided> for Effect {
    fn from(effect: Decided) -> Self {
        match effect {
            Decided::Allow => Self::Allow,
            Decided::Deny => Self::Deny,
        }
    }
}

fn code(reason: Reason) -> String {
    reason.as_str().to_owned()
}

fn errors(errors: Vec<(String, ErrorKind)>) -> Vec<PolicyError> {
    let told = |(policy, kind): (String, ErrorKind)| PolicyError {
        policy,
        kind: kind.as_str().to_owned(),
    };
    errors.into_iter().map(told).collect()
}
