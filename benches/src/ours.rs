//! Our engine, built from a workload: compiled, loaded from the bundle's bytes, asked from strings.
//!
//! What every service runs is [`VALIDATED`]. Nothing is prepared for a question but what reading its JSON gives: names
//! and values as a caller holds them, nothing interned. Compile and load are timed where they happen, once each.

use std::hint::black_box;
use std::sync::Arc;
use std::time::{Duration, Instant};

use pdp_core::json::{Arena, read_request};
use pdp_core::{
    Bundle, CompileOptions, Datetime, DecideOptions, Decider, LoadLimits, Loose, Notation, Request,
    RequestLimits, Scratch, Source,
};

use crate::answer::Answer;
use crate::workload::{SchemaText, Workload};

/// Our engine, as every service runs it: requests are validated.
pub const VALIDATED: DecideOptions = DecideOptions::STANDARD;
/// Our engine without request validation, which is what the reference's `is_authorized` does.
pub const UNVALIDATED: DecideOptions =
    DecideOptions { validate_request: false, ..DecideOptions::STANDARD };
/// Our engine when only the effect is asked for: it stops when that is known.
pub const EFFECT_ONLY: DecideOptions =
    DecideOptions { effect_only: true, ..DecideOptions::STANDARD };
/// Our engine with the index switched off. Answers are compared in this way, too; it is not timed.
pub const ALL_POLICIES: DecideOptions =
    DecideOptions { all_policies: true, ..DecideOptions::STANDARD };

/// Our engine, loaded from bundle bytes.
#[derive(Debug)]
pub struct Ours {
    decider: Decider,
    scratch: Scratch,
}

/// The time of questions that come as protobuf, which have none of their own; no workload looks at it.
pub const NOW: Datetime = Datetime(1_780_000_000_000);

/// What building it took.
#[derive(Clone, Debug)]
pub struct Built {
    /// The bundle.
    pub bytes: Vec<u8>,
    /// Reading, parsing and validating the source.
    pub read: Duration,
    /// From the source to the bundle's bytes.
    pub compile: Duration,
}

/// Compiles a workload into bundle bytes.
///
/// # Errors
///
/// When the workload does not compile, or should pass the strict validator and does not.
pub fn build(workload: &Workload) -> Result<Built, String> {
    let begun = Instant::now();
    let source = Source::loose(&Loose {
        policies: Notation::Cedar(&workload.policies),
        schema: workload.schema.as_ref().map(|schema| match schema {
            SchemaText::Cedar(text) => Notation::Cedar(text),
            SchemaText::Json(text) => Notation::Json(text),
        }),
        entities: &workload.entities,
        links: None,
    })
    .map_err(|report| report.to_string())?;
    if workload.is_valid && !source.validates() {
        return Err("the workload does not pass the strict validator".to_owned());
    }
    let read = begun.elapsed();
    // Without the source section, which deciding never touches.
    let options = CompileOptions { keep_source: false, ..CompileOptions::STANDARD };
    let bytes = pdp_core::compile(&source, &options).map_err(|report| report.to_string())?;
    Ok(Built { bytes, read, compile: begun.elapsed().saturating_sub(read) })
}

// === impl Ours ===

impl Ours {
    /// Compiles a workload and loads it.
    ///
    /// # Errors
    ///
    /// When it does not compile, see [`build`], or the bundle does not load.
    pub fn new(workload: &Workload) -> Result<Self, String> {
        Self::load(&build(workload)?.bytes)
    }

    /// Loads bundle bytes.
    ///
    /// # Errors
    ///
    /// When they are no bundle.
    pub fn load(bytes: &[u8]) -> Result<Self, String> {
        let bundle =
            Bundle::load(bytes, &LoadLimits::STANDARD).map_err(|error| error.to_string())?;
        Ok(Self { decider: Decider::new(Arc::new(bundle)), scratch: Scratch::new() })
    }

    /// The bundle that decides.
    pub fn bundle(&self) -> Option<&Arc<Bundle>> {
        self.decider.bundle()
    }

    /// What decides.
    pub fn decider(&self) -> &Decider {
        &self.decider
    }

    /// Reads a question.
    ///
    /// # Errors
    ///
    /// When it is not what a request looks like.
    pub fn read<'a>(&self, question: &'a str, arena: &'a Arena) -> Result<Request<'a>, String> {
        let bundle = self.decider.bundle().map(Arc::as_ref);
        read_request(question, bundle, arena, &RequestLimits::STANDARD)
            .map_err(|error| format!("{error} in {question}"))
    }

    /// Reads all questions of a workload.
    ///
    /// # Errors
    ///
    /// As [`Ours::read`].
    pub fn read_all<'a>(
        &self,
        workload: &'a Workload,
        arena: &'a Arena,
    ) -> Result<Vec<Request<'a>>, String> {
        workload.questions.iter().map(|question| self.read(question, arena)).collect()
    }

    /// Decides, and reads the ids of the determining policies and of those that failed; for a black box.
    #[inline]
    pub fn decide(&mut self, request: &Request<'_>, options: &DecideOptions) -> usize {
        let answer = self.decider.decide_with(&mut self.scratch, request, options);
        let ids: usize = answer.policies().map(str::len).sum();
        let errors: usize = answer.errors().map(|(id, _)| id.len()).sum();
        ids + errors + usize::from(answer.is_allowed())
    }

    /// Decides the effect and reads nothing else.
    #[inline]
    pub fn decide_only(&mut self, request: &Request<'_>) -> usize {
        let answer = self.decider.decide_with(&mut self.scratch, request, &EFFECT_ONLY);
        usize::from(answer.is_allowed())
    }

    /// From JSON bytes to the decision with its reasons; the arena is the caller's and emptied here.
    #[inline]
    pub fn decide_json(&mut self, question: &str, arena: &mut Arena) -> usize {
        arena.reset();
        let bundle = self.decider.bundle().map(Arc::as_ref);
        // A question comes from outside as bytes.
        let Ok(question) = std::str::from_utf8(black_box(question.as_bytes())) else { return 0 };
        match read_request(question, bundle, arena, &RequestLimits::STANDARD) {
            Ok(request) => self.decide(&request, &VALIDATED),
            Err(_) => 0,
        }
    }

    /// From the bytes of a `pdp.v1.AuthorizeRequest` to the decision with its reasons; the arena is emptied here.
    #[inline]
    pub fn decide_protobuf(&mut self, question: &[u8], arena: &mut Arena) -> usize {
        arena.reset();
        match pdp_grpc::read_request(question, NOW, arena, pdp_grpc::VALUE_DEPTH_MAX) {
            Ok(request) => self.decide(&request, &VALIDATED),
            Err(_) => 0,
        }
    }

    /// Writes a question as protobuf and makes sure that it is read back as it was.
    ///
    /// # Errors
    ///
    /// When it is not, or protobuf cannot carry it.
    pub fn protobuf(request: &Request<'_>) -> Result<Vec<u8>, String> {
        let request = Request { now: None, ..*request };
        let bytes = pdp_grpc::write_request(&request).map_err(|error| error.to_string())?;
        let arena = Arena::new();
        let back = pdp_grpc::read_request(&bytes, NOW, &arena, pdp_grpc::VALUE_DEPTH_MAX)
            .map_err(|error| error.to_string())?;
        match format!("{:?}", Request { now: None, ..back }) == format!("{request:?}") {
            true => Ok(bytes),
            false => Err(format!("{request:?} comes back from protobuf as {back:?}")),
        }
    }

    /// Decides and copies the answer.
    pub fn answer(&mut self, request: &Request<'_>, options: &DecideOptions) -> Answer {
        let answer = self.decider.decide_with(&mut self.scratch, request, options);
        Answer {
            allow: answer.is_allowed(),
            reasons: Some(answer.policies().map(str::to_owned).collect()),
            errors: Some(answer.errors().map(|(id, _)| id.to_owned()).collect()),
        }
    }

    /// What is wrong with a request, if the engine says so: such a request measures nothing.
    pub fn refusal(&mut self, request: &Request<'_>) -> Option<String> {
        let answer = self.decider.decide_with(&mut self.scratch, request, &VALIDATED);
        let reason = answer.reason();
        matches!(reason, pdp_core::Reason::InvalidRequest | pdp_core::Reason::Limit)
            .then(|| format!("{}: {}", reason.as_str(), answer.message()))
    }
}
