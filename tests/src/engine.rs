//! The engine under test, fed with texts: compiled, written to bundle bytes, loaded, asked.
//!
//! Whatever a test asks goes through the bytes of a bundle; there is no other way into the engine.

use std::collections::BTreeSet;
use std::sync::Arc;

use pdp_core::json::{self, Arena};
use pdp_core::{
    Bundle, CompileOptions, DecideOptions, Decider, LoadLimits, Loose, Reason, RequestLimits,
    Scratch, Source,
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

/// A way of running the engine; the answers must not depend on it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mode {
    /// Which of [`VARIANTS`].
    pub variant: usize,
    /// The index is replaced by all policies.
    pub all_policies: bool,
}

/// Every mode.
pub const MODES: [Mode; 8] = [
    Mode { variant: 0, all_policies: false },
    Mode { variant: 0, all_policies: true },
    Mode { variant: 1, all_policies: false },
    Mode { variant: 2, all_policies: false },
    Mode { variant: 3, all_policies: false },
    Mode { variant: 4, all_policies: false },
    Mode { variant: 5, all_policies: false },
    Mode { variant: 5, all_policies: true },
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
    /// One a variant.
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
