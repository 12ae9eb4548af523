//! Cedar policies compiled into an indexed bundle, and the engine that decides from it.
//!
//! Two halves meet in a bundle's bytes. The compile half (feature `compile`, on by default) reads policies, schema and
//! entities, checks them and writes a bundle. The decide half loads one and answers requests, without parser, I/O,
//! lock or, after warm-up, allocation.
//!
//! ```
//! use std::sync::Arc;
//! use pdp_core::{Bundle, CompileOptions, DecideOptions, Decider, LoadLimits, Loose, Notation, Request, Scratch, Source, Uid};
//!
//! let source = Source::loose(&Loose {
//!     policies: Notation::Cedar(r#"permit(principal, action == Action::"read", resource in Folder::"public");"#),
//!     schema: None,
//!     entities: r#"[{"uid": {"type": "Doc", "id": "a"}, "attrs": {}, "parents": [{"type": "Folder", "id": "public"}]}]"#,
//!     links: None,
//! })?;
//! let bytes = pdp_core::compile(&source, &CompileOptions::STANDARD)?;
//! let decider = Decider::new(Arc::new(Bundle::load(&bytes, &LoadLimits::STANDARD)?));
//!
//! let mut scratch = Scratch::new();
//! let request = Request::new(Uid::new("User", "alice"), Uid::new("Action", "read"), Uid::new("Doc", "a"), &[]);
//! let answer = decider.decide_with(&mut scratch, &request, &DecideOptions::STANDARD);
//! assert!(answer.is_allowed());
//! assert_eq!(answer.policies().collect::<Vec<_>>(), ["policy0"]);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! Should you use this crate? If your program decides in its own process, yes. If it asks a sidecar, use `pdp-grpc`'s
//! client; if you write policies, use the `pdp` tool.

// In the order in which a request meets them.
mod ancestors;
mod call;
mod candidates;
mod conjunct;
mod decide;
mod declared;
mod error;
mod eval;
mod ext;
mod faults;
mod filter;
mod groups;
mod guests;
mod handy;
mod hash;
mod ids;
mod like;
mod limits;
mod live;
mod lookup;
mod op;
mod outcome;
mod overlay;
mod prepare;
mod program;
mod reads;
mod request;
mod scope;
mod scratch;
mod trie;
mod validate;
mod values;

mod bundle;
mod cases;
mod catalogue;
mod cost;
mod explain;
mod format;
pub mod json;
mod lines;
mod listing;
mod origin;
mod pack;
mod read;
mod routes;
mod verify;

#[cfg(feature = "compile")]
mod codes;
#[cfg(feature = "compile")]
mod compile;
#[cfg(feature = "compile")]
mod source;
#[cfg(feature = "compile")]
mod write;

pub use bundle::{Bundle, PolicySource, SectionSize};
pub use cases::{Case, CaseResult, run_cases};
pub use cost::{Candidate, Evaluation, PolicyCost, RequestBound};
pub use decide::{DecideOptions, Decider};
pub use error::LoadError;
pub use explain::{Explanation, LegExplanation, NearMiss, PolicyNote};
pub use ext::{Datetime, Decimal, Duration, ExtError, IpNet};
pub use ids::PolicyIx;
pub use limits::{BundleLimits, LoadLimits, OverlayLimits, RequestLimits};
pub use live::{Live, Snapshot};
pub use outcome::{
    Answer, BundleName, Effect, ErrorKind, Leg, LegRole, Obligation, OwnedAnswer, OwnedLeg, Permit,
    Reason,
};
pub use overlay::{ChangeError, EntityChange, OverlaySize};
pub use request::{InlineEntity, Request, Uid, Value};
pub use routes::{
    Claim, Denial, Fact, Identity, Literal, Mcp, McpDenial, McpKind, McpMode, McpRoute,
    OWN_EXTENSIONS, Part, ReadyKind, ReadyMcp, ReadyRoute, Route, RouteTable, Routes, ScopesClaim,
    Segment, UidTemplate,
};
pub use scratch::Scratch;

#[cfg(feature = "compile")]
pub use codes::{CODES, Diagnostic, Report, Severity};
#[cfg(feature = "compile")]
pub use compile::{CompileOptions, compile};
#[cfg(feature = "compile")]
pub use source::{Loose, Notation, Source};

/// Hand-made faults, for tests that prove the tests.
#[cfg(feature = "faults")]
pub mod fault {
    pub use crate::faults::{ALL, switch};
}
