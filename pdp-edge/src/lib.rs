//! From an HTTP call to a question for [`pdp_core`], and from its answer to what becomes of the call.
//!
//! Pure: no I/O, no clock. A proxy's adapter fills an [`HttpMessage`]; what comes back is a request or a
//! [`Refused`], which is a deny. What is ambiguous is refused and never put right, because a proxy and what
//! stands behind it could put it right in different ways.
//!
//! In reading order: `path` (one rule for what a path is), `route` (which route a call takes), `http` (the request), `mcp`
//! (calls that are messages of the Model Context Protocol), `wire` and `metadata` (what a proxy says in protobuf about
//! tokens that it verified), `teller` (how a call goes on, or what its caller is told), `decision_id`, `trace_parent`
//! and `record` (what is kept of a decision).

pub mod mcp;
pub mod wire;

mod base64;
mod decision_id;
mod http;
mod metadata;
mod path;
mod record;
mod route;
mod teller;
mod trace_parent;

pub use base64::base64;
pub use decision_id::DecisionId;
pub use http::{ClaimValue, Claims, HttpMessage, Refusal, Refused};
pub use metadata::{Metadata, each, pair};
pub use path::{PathError, Target};
pub use record::{Record, Said, Shown};
pub use route::{Matched, Router};
pub use teller::{Passed, Stopped, Teller, label};
pub use trace_parent::{TRACEPARENT, TraceParent};
