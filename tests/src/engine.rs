//! The engine under test, fed with texts: compiled, written to bundle bytes, loaded, asked.
//!
//! Whatever a test asks goes through the bytes of a bundle; there is no other way into the engine.

use std::collections::BTreeSet;
use std::sync::Arc;

use crate::history::Change;
use pdp_core::json::{self, Arena};
use pdp_core::{
    Answer, Bundle, CompileOptions, DecideOptions, Decider, EntityChange, LoadLimits, Loose,
    OverlayLimits, Reason, RequestLimits, Scratch, Source, Uid,
};

const EVERYTHING: CompileOptions =
    CompileOptions { keep_source: false, ..CompileOptions::STANDARD };

/// Ways of compiling: everything on, each optimisation off by itself, everything off.
pub const VARIANTS: [(&str, CompileOptions); 6] = [
    ("everything", EVERYTHING),
    ("no lifting", CompileOptions { lift: false, ..EVERYTHING }),
    ("no groups", CompileOptions { group: false, ..EVERYTHING }),
    ("no sharing", CompileOptions { share: false, ..EVERYTHING }),
    ("no columns", CompileOptions { columns: false, ..EVERYTHING }),
    (
        "nothing",
        CompileOptions {
            lift: false,
            share: false,
            group: false,
            columns: false,
            keep_source: false,
        },
    ),
];

/// How the engine is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// As every service asks.
    Decide,
    /// The index is replaced by all policies.
    AllPolicies,
    /// As the second resource of a filter, behind one that is not asked about.
    Filter,
    /// No more than the effect is asked for.
    EffectOnly,
}

/// A way of running the engine; the answers must not depend on it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mode {
    /// Which of [`VARIANTS`]; past them: entities that changed.
    pub variant: usize,
    /// How it is asked.
    pub way: Way,
}

/// In the place of a variant: an engine whose entities changed after it was compiled, see [`Engine::live`].
pub const LIVE: usize = VARIANTS.len();

/// The modes of such an engine.
pub const LIVE_MODES: [Mode; 3] = [
    Mode { variant: LIVE, way: Way::Decide },
    Mode { variant: LIVE, way: Way::AllPolicies },
    Mode { variant: LIVE, way: Way::Filter },
];

/// Every mode of an engine that stays as it was compiled. The first three are those of the bundle that services run.
pub const MODES: [Mode; 10] = [
    Mode { variant: 0, way: Way::Decide },
    Mode { variant: 0, way: Way::Filter },
    Mode { variant: 0, way: Way::EffectOnly },
    Mode { variant: 0, way: Way::AllPolicies },
    Mode { variant: 1, way: Way::Decide },
    Mode { variant: 2, way: Way::Decide },
    Mode { variant: 3, way: Way::Decide },
    Mode { variant: 4, way: Way::Decide },
    Mode { variant: 5, way: Way::Decide },
    Mode { variant: 5, way: Way::AllPolicies },
];

/// Every mode there is.
pub fn all_modes() -> Vec<Mode> {
    MODES.into_iter().chain(LIVE_MODES).collect()
}

/// The modes of the bundle that services run, with its index.
pub fn standard_modes() -> &'static [Mode] {
    MODES.split_at(3).0
}

// === impl Came ===

impl Came {
    /// Whether this is what was expected, as far as it was asked for: where no more than the effect was, one policy is
    /// reason enough, and errors are met only as far as it took.
    pub fn agrees_with(&self, expected: &Came) -> bool {
        match (self, expected) {
            (Came::Refused(_), Came::Refused(_)) => true,
            (
                Came::Effect { allow, reasons, errors },
                Came::Answer { allow: a, reasons: r, errors: e },
            ) => {
                allow == a
                    && r.is_superset(reasons)
                    && r.is_empty() == reasons.is_empty()
                    && e.is_superset(errors)
            }
            (came, expected) => came == expected,
        }
    }
}

// === impl Mode ===

impl Mode {
    /// What the engine is told.
    pub fn options(self, validate_request: bool) -> DecideOptions {
        DecideOptions {
            validate_request,
            all_policies: self.way == Way::AllPolicies,
            effect_only: self.way == Way::EffectOnly,
        }
    }
}

/// What one request gave, in terms that engines share.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Came {
    /// Allow or deny.
    Answer {
        /// Whether the request is allowed.
        allow: bool,
        /// Determining policies.
        reasons: BTreeSet<String>,
        /// Policies that could not be evaluated.
        errors: BTreeSet<String>,
    },
    /// Allow or deny, and of determining and failed policies no more than it took.
    Effect {
        /// Whether the request is allowed.
        allow: bool,
        /// Determining policies that were met.
        reasons: BTreeSet<String>,
        /// Policies that were met and could not be evaluated.
        errors: BTreeSet<String>,
    },
    /// The request does not fit the schema or cannot be read.
    Refused(String),
}

/// A compiled policy set.
#[derive(Debug)]
pub struct Engine {
    /// One a variant that some mode asks, and one whose entities changed.
    deciders: Vec<Option<Decider>>,
    /// Memory for each of them, so that what one request leaves behind meets the next one of the same bundle.
    scratches: Vec<Scratch>,
    /// What the strict validator says.
    pub validates: bool,
    arena: Arena,
}

impl Engine {
    /// Compiles texts in every variant that these modes ask, and loads all from their bytes.
    pub fn new(texts: &Loose<'_>, modes: &[Mode]) -> Result<Self, String> {
        let source = Source::loose(texts).map_err(|report| report.to_string())?;
        let load = |options: &CompileOptions| -> Result<Decider, String> {
            let bytes = pdp_core::compile(&source, options).map_err(|report| report.to_string())?;
            let bundle = Bundle::load(&bytes, &LoadLimits::STANDARD).map_err(|e| e.to_string())?;
            Ok(Decider::new(Arc::new(bundle)))
        };
        let deciders = VARIANTS.iter().enumerate().map(|(variant, (_, options))| {
            let asked = modes.iter().any(|mode| mode.variant == variant);
            asked.then(|| load(options)).transpose()
        });
        Ok(Self {
            deciders: deciders.collect::<Result<_, _>>()?,
            validates: source.validates(),
            scratches: (0..=LIVE).map(|_| Scratch::new()).collect(),
            arena: Arena::new(),
        })
    }

    /// Adds the modes [`LIVE_MODES`]: compiled with the entities that `texts` say, which then change.
    pub fn live(&mut self, texts: &Loose<'_>, changes: &[Change]) -> Result<(), String> {
        let source = Source::loose(texts).map_err(|report| report.to_string())?;
        let bytes = pdp_core::compile(&source, &EVERYTHING).map_err(|report| report.to_string())?;
        let bundle = Bundle::load(&bytes, &LoadLimits::STANDARD).map_err(|e| e.to_string())?;
        let mut decider = Decider::new(Arc::new(bundle));
        // Some at once and some one by one: what was changed before must not show.
        let (first, rest) = changes.split_at(changes.len() / 2);
        for changes in std::iter::once(first).chain(rest.chunks(1)) {
            decider = changed(&decider, changes)?;
        }
        self.deciders.push(Some(decider));
        Ok(())
    }

    /// Asks one request, given as JSON (see `pdp_core::json`). `by_schema`: the schema leads the reading.
    pub fn ask(
        &mut self,
        mode: Mode,
        request: &str,
        by_schema: bool,
        validate_request: bool,
    ) -> Came {
        self.arena.reset();
        let (decider, scratch) =
            (self.deciders.get(mode.variant), self.scratches.get_mut(mode.variant));
        let (Some(Some(decider)), Some(scratch)) = (decider, scratch) else {
            return Came::Refused(format!("there is no {mode:?}"));
        };
        let bundle = decider.bundle().map(Arc::as_ref).filter(|_| by_schema);
        let limits = RequestLimits { request_bytes_max: usize::MAX, json_depth_max: 128 };
        let request = match json::read_request_as_cedar(request, bundle, &self.arena, &limits) {
            Ok(request) => request,
            Err(error) => return Came::Refused(error.to_string()),
        };
        let options = mode.options(validate_request);
        if mode.way != Way::Filter {
            return came(mode, &decider.decide_with(scratch, &request, &options));
        }
        // What the first one leaves behind must not show in the second.
        let resources = [request.principal, request.resource];
        let mut last = Came::Refused("the filter did not answer".to_owned());
        decider.filter(scratch, &request, &resources, &options, |_, answer| {
            last = came(mode, answer);
        });
        last
    }
}

fn came(mode: Mode, answer: &Answer<'_>) -> Came {
    if matches!(answer.reason(), Reason::InvalidRequest | Reason::Limit) {
        return Came::Refused(answer.message().to_owned());
    }
    let allow = answer.is_allowed();
    let reasons = answer.policies().map(str::to_owned).collect();
    let errors = answer.errors().map(|(id, _)| id.to_owned()).collect();
    match mode.way {
        Way::EffectOnly => Came::Effect { allow, reasons, errors },
        _ => Came::Answer { allow, reasons, errors },
    }
}

fn changed(decider: &Decider, changes: &[Change]) -> Result<Decider, String> {
    let arena = Arena::new();
    let limits = RequestLimits { request_bytes_max: usize::MAX, json_depth_max: 128 };
    let mut read = Vec::new();
    for change in changes {
        match change {
            Change::Remove(ty, id) => read.push(EntityChange::Remove(Uid::new(ty, id))),
            Change::Upsert(entity) => {
                let text: &str = arena.alloc_str(&format!("[{entity}]"));
                let bundle = decider.bundle().map(Arc::as_ref);
                let entities = json::read_entities(text, bundle, &arena, &limits)
                    .map_err(|error| error.to_string())?;
                read.extend(entities.iter().map(|entity| EntityChange::Upsert(*entity)));
            }
        }
    }
    decider.with_entities(&read, &OverlayLimits::STANDARD).map_err(|error| error.to_string())
}
