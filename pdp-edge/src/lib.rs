//! From an HTTP call to a question for [`pdp_core`]: which path it is, which route, who asks and what about.
//!
//! Pure: no I/O, no clock, no wire format. A proxy's adapter fills an [`HttpMessage`]; what comes back is a request or a
//! [`Refused`], which is a deny. What is ambiguous is refused and never put right, because a proxy and what
//! stands behind it could put it right in different ways.
//!
//! In reading order: `path` (one rule for what a path is), `route` (which route a call takes), `http` (the request), `mcp`
//! (calls that are messages of the Model Context Protocol).

pub mod mcp;

mod http;
mod path;
mod route;

pub use http::{ClaimValue, Claims, HttpMessage, Refusal, Refused};
pub use path::{PathError, Target};
pub use route::{Matched, Router};
