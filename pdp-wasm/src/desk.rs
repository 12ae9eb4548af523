//! The one bundle in force and the memory to decide with: what every module has inside, whatever its door.
//!
//! A bundle is swapped whole; one that cannot be read changes nothing. A request that cannot be read is a denial with a
//! sentence, never an allow and never a trap. There is no clock in a module: the time is what the request's `now` says,
//! which the host states; a bundle whose manifest fills in the time denies a request without it. Delegation, scopes and
//! inline entities are believed, too: whoever embeds this decides which callers may state them. It refuses to know any
//! ABI.

use std::sync::Arc;

use pdp_core::json::{self, Arena, JsonError};
use pdp_core::{
    Answer, Bundle, BundleName, DecideOptions, Decider, Effect, LoadLimits, OwnedAnswer, Reason,
    Request, RequestLimits, Scratch, Uid,
};

/// Bundle bytes that a module takes: what its tables and their copy may need of a 32-bit memory.
const LOAD: LoadLimits = LoadLimits { bundle_bytes_max: 512 << 20 };
const READ: RequestLimits = RequestLimits::STANDARD;
const OPTIONS: DecideOptions = DecideOptions::STANDARD;

/// Resources that one question may be asked about.
pub const RESOURCES_MAX: usize = 100_000;

/// Answers questions from one bundle; until there is one, with a denial.
#[derive(Debug)]
pub struct Desk {
    decider: Decider,
    scratch: Scratch,
    arena: Arena,
}

/// Which bundle is in force.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Info {
    /// The manifest's name.
    pub name: String,
    /// The manifest's revision.
    pub revision: u64,
    /// SHA-256 of what decides, in lower-case hexadecimal.
    pub digest: String,
    /// Static policies and template links together.
    pub policies: u32,
    /// Entities in the store.
    pub entities: u32,
    /// Length of the bundle's bytes.
    pub bytes: u64,
    /// Whether requests are validated.
    pub has_schema: bool,
}

/// One request, and the resources it is asked for.
#[derive(Clone, Copy, Debug)]
pub struct Question<'s> {
    /// What is the same for all.
    pub request: Request<'s>,
    /// On what.
    pub resources: &'s [Uid<'s>],
}

/// Why a question was not understood, as a sentence. Whoever gets it denies.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unreadable(pub String);

// === impl Desk ===

impl Desk {
    /// Denies everything, until a bundle is loaded.
    pub fn new() -> Self {
        Self { decider: Decider::no_bundle(), scratch: Scratch::new(), arena: Arena::new() }
    }

    /// Puts a bundle in force.
    ///
    /// # Errors
    ///
    /// When the bytes are not a bundle; the one that was in force then stays.
    pub fn load(&mut self, bytes: &[u8]) -> Result<Info, String> {
        let bundle = Bundle::load(bytes, &LOAD).map_err(|error| error.to_string())?;
        let info = Info::of(&bundle);
        self.decider = Decider::new(Arc::new(bundle));
        Ok(info)
    }

    /// What decides.
    pub fn decider(&self) -> &Decider {
        &self.decider
    }

    /// The bundle in force.
    pub fn info(&self) -> Option<Info> {
        self.decider.bundle().map(|bundle| Info::of(bundle))
    }

    /// Whether a request in JSON is allowed.
    ///
    /// # Errors
    ///
    /// When it cannot be read.
    pub fn authorize(&mut self, request: &[u8]) -> Result<bool, Unreadable> {
        self.ask(|bundle, arena| written(request, bundle, arena), |answer| answer.is_allowed())
    }

    /// The whole answer to a request in JSON.
    ///
    /// # Errors
    ///
    /// When it cannot be read.
    pub fn answer(&mut self, request: &[u8]) -> Result<OwnedAnswer, Unreadable> {
        self.ask(|bundle, arena| written(request, bundle, arena), |answer| answer.to_owned())
    }

    /// The denial of what could not be read.
    pub fn refused(&self, why: Unreadable) -> OwnedAnswer {
        OwnedAnswer {
            effect: Effect::Deny,
            reason: Reason::InvalidRequest,
            policies: Vec::new(),
            errors: Vec::new(),
            legs: Vec::new(),
            failed_leg: None,
            obligations: Vec::new(),
            message: why.0,
            bundle: self.decider.bundle().map(|bundle| BundleName::of(bundle)),
        }
    }

    /// Answers a request that the door reads, with the bundle's help and into the arena.
    ///
    /// # Errors
    ///
    /// When the door says that it cannot be read.
    pub fn ask<'s, T>(
        &'s mut self,
        read: impl FnOnce(Option<&'s Bundle>, &'s Arena) -> Result<Request<'s>, Unreadable>,
        told: impl FnOnce(&Answer<'_>) -> T,
    ) -> Result<T, Unreadable> {
        let Self { decider, scratch, arena } = self;
        arena.reset();
        let request = read(decider.bundle().map(AsRef::as_ref), arena)?;
        Ok(told(&decider.decide_with(scratch, &request, &OPTIONS)))
    }

    /// Answers one request for each of many resources, in their order; the request's own resource is not looked at.
    ///
    /// # Errors
    ///
    /// When the door says that it cannot be read, or there are more than [`RESOURCES_MAX`] resources.
    pub fn filter<'s>(
        &'s mut self,
        read: impl FnOnce(Option<&'s Bundle>, &'s Arena) -> Result<Question<'s>, Unreadable>,
    ) -> Result<Vec<bool>, Unreadable> {
        let Self { decider, scratch, arena } = self;
        arena.reset();
        let Question { request, resources } = read(decider.bundle().map(AsRef::as_ref), arena)?;
        if resources.len() > RESOURCES_MAX {
            let asked = resources.len();
            return Err(Unreadable(format!(
                "the question is about {asked} resources, at most {RESOURCES_MAX} are taken at once"
            )));
        }
        let mut allowed = vec![false; resources.len()];
        decider.filter(scratch, &request, resources, &OPTIONS, |at, answer| {
            if let Some(allowed) = allowed.get_mut(at) {
                *allowed = answer.is_allowed();
            }
        });
        Ok(allowed)
    }

    /// The same in JSON: a request, and an array of resources.
    ///
    /// # Errors
    ///
    /// When either cannot be read.
    pub fn filter_json(
        &mut self,
        request: &[u8],
        resources: &[u8],
    ) -> Result<Vec<bool>, Unreadable> {
        self.filter(|bundle, arena| {
            let request = written(request, bundle, arena)?;
            Ok(Question { request, resources: json::read_uids(text(resources)?, arena, &READ)? })
        })
    }
}

impl Default for Desk {
    fn default() -> Self {
        Self::new()
    }
}

/// A request that is written as JSON.
fn written<'s>(
    request: &'s [u8],
    bundle: Option<&Bundle>,
    arena: &'s Arena,
) -> Result<Request<'s>, Unreadable> {
    Ok(json::read_request(text(request)?, bundle, arena, &READ)?)
}

fn text(bytes: &[u8]) -> Result<&str, Unreadable> {
    std::str::from_utf8(bytes).map_err(|error| {
        let at = error.valid_up_to();
        Unreadable(format!("the text is not UTF-8: byte {at} belongs to no character"))
    })
}

// === impl Info ===

impl Info {
    fn of(bundle: &Bundle) -> Self {
        let count = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
        Self {
            name: bundle.name().to_owned(),
            revision: bundle.revision(),
            digest: bundle.digest_hex().to_owned(),
            policies: count(bundle.policy_count()),
            entities: count(bundle.entity_count()),
            bytes: bundle.bytes_len(),
            has_schema: bundle.has_schema(),
        }
    }
}

// === impl Unreadable ===

impl From<JsonError> for Unreadable {
    fn from(error: JsonError) -> Self {
        Self(error.to_string())
    }
}

#[cfg(test)]
mod tests;
