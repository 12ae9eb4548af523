//! The sidecar as a process: what its operator says, the bundle it serves, and how it ends.
//!
//! `settings` reads file, environment and flags into one shape and that into what `pdp-grpc` takes; `run` serves a
//! bundle and what takes its place, until a signal; `messages` is what it says meanwhile, `traces` what it tells collectors. `pdp serve` is this with
//! folders compiled as well, and the binary `pdp-sidecar` is this alone, with no parser of policies in it.
//! It decides nothing and knows no protocol.

mod failure;
mod messages;
mod run;
mod settings;
mod traces;

pub use failure::{Failure, FailureKind};
pub use messages::Messages;
pub use run::{check, run};
pub use settings::{Launch, Settings, SettingsArgs};
pub use traces::TracesConfig;
