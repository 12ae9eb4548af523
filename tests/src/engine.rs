//! The engine under test, fed with texts: compiled, written to bundle bytes, loaded, asked.
//!
//! Whatever a test asks goes through the bytes of a bundle; there is no other way into the engine.

use std::collections::BTreeSet;
use std::sync::Arc;

use crate::history::Change;
use pdp_core::json::{self, Arena};
use pdp_core::{
    Bundle, CompileOptions, DecideOptions, Decider, EntityChange, LoadLimits, Loose, OverlayLimits,
    Reason, RequestLimits, Scratch, Source, Uid,
};

const EVERYTHING: CompileOptions =
    CompileOptions { keep_source: false, ..CompileOptions::STANDARD };

/// Ways of compiling: everything on, each optimisation off by itself, everything off.
pub const VARIANTS: [(&str, CompileOptions); 5] = [
    ("everything", EVERYTHING),
    ("no lifting", CompileOptions { lift: false, ..EVERYTHING }),
    ("no groups", CompileOptions { group: false, ..EVERYTHING }),
    ("no sharing", CompileOptions { share: false, ..EVERYTHING }),
    ("nothing", CompileOptions { lift: false, share: false, group: false, keep_source: false }),
];

/// A way of running the engine; the answers must not depend on it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mode {
    /// Which of [`VARIANTS`]; past them: entities that changed.
    pub variant: usize,
    /// The index is replaced by all policies.
    pub all_policies: bool,
}

/// The modes of an engine whose entities changed after it was compiled: see [`Engine::live`].
pub const LIVE_MODES: [Mode; 2] = [
    Mode { variant: VARIANTS.len(), all_policies: false },
    Mode { variant: VARIANTS.len(), all_policies: true },
];

/// Every mode of an engine that stays as it was compiled.
pub const MODES: [Mode; 7] = [
    Mode { variant: 0, all_policies: false },
    Mode { variant: 0, all_policies: true },
    Mode { variant: 1, all_policies: false },
    Mode { variant: 2, all_policies: false },
    Mode { variant: 3, all_policies: false },
    Mode { variant: 4, all_policies: false },
    Mode { variant: 4, all_policies: true },
];

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
    /// The request does not fit the schema or cannot be read.
    Refused(String),
}

/// A compiled policy set.
#[derive(Debug)]
pub struct Engine {
    /// One a variant, and one whose entities changed.
    deciders: Vec<Decider>,
    /// What the strict validator says.
    pub validates: bool,
    scratch: Scratch,
    arena: Arena,
}

impl Engine {
    /// Compiles texts in every variant, and loads all from their bytes.
    pub fn new(texts: &Loose<'_>) -> Result<Self, String> {
        let source = Source::loose(texts).map_err(|report| report.to_string())?;
        let load = |(_, options): &(&str, CompileOptions)| -> Result<Decider, String> {
            let bytes = pdp_core::compile(&source, options).map_err(|report| report.to_string())?;
            let bundle = Bundle::load(&bytes, &LoadLimits::STANDARD).map_err(|e| e.to_string())?;
            Ok(Decider::new(Arc::new(bundle)))
        };
        Ok(Self {
            deciders: VARIANTS.iter().map(load).collect::<Result<_, _>>()?,
            validates: source.validates(),
            scratch: Scratch::new(),
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
        self.deciders.push(decider);
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
        let Some(decider) = self.deciders.get(mode.variant) else {
            return Came::Refused(format!("there is no {mode:?}"));
        };
        let bundle = decider.bundle().map(Arc::as_ref).filter(|_| by_schema);
        let limits = RequestLimits { request_bytes_max: usize::MAX, json_depth_max: 128 };
        let request = match json::read_request_as_cedar(request, bundle, &self.arena, &limits) {
            Ok(request) => request,
            Err(error) => return Came::Refused(error.to_string()),
        };
        let options = DecideOptions { validate_request, all_policies: mode.all_policies };
        let answer = decider.decide_with(&mut self.scratch, &request, &options);
        match answer.reason() {
            Reason::InvalidRequest | Reason::Limit => Came::Refused(answer.message().to_owned()),
            _ => Came::Answer {
                allow: answer.is_allowed(),
                reasons: answer.policies().map(str::to_owned).collect(),
                errors: answer.errors().map(|(id, _)| id.to_owned()).collect(),
            },
        }
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
                let text = format!("[{entity}]");
                let bundle = decider.bundle().map(Arc::as_ref);
                let entities = json::read_entities(&text, bundle, &arena, &limits)
                    .map_err(|error| error.to_string())?;
                read.extend(entities.iter().map(|entity| EntityChange::Upsert(*entity)));
            }
        }
    }
    decider.with_entities(&read, &OverlayLimits::STANDARD).map_err(|error| error.to_string())
}
