//! Decision time, measured beside other engines on the same workload in the same run.
//!
//! [`families`] lists the workloads; [`ours`] and [`reference`](mod@reference) build themselves from one, and [`answer`] checks,
//! before anything is timed, that both give the same answer to every request; [`measure`] times, [`run`] does all of it, and
//! [`results`] holds what came out. The criterion benchmark `decide` and the program `compare` are two views of the
//! same thing. Nothing here is part of a shipped build, and no figure here means anything without the peer measured
//! beside it.

// What is asked.
pub mod workload;

pub mod adversarial;
pub mod apps;
pub mod attribute_rules;
pub mod cold;
pub mod deep_groups;
pub mod delegated;
pub mod families;
pub mod inline_entities;
pub mod overlap;
pub mod w1;

// Who is asked.
pub mod answer;
pub mod ours;
pub mod peers;
pub mod reference;

// How it is measured, and what came out.
pub mod counting;
pub mod filter;
pub mod goals;
pub mod instructions;
pub mod measure;
pub mod module;
pub mod plot;
pub mod proxy;
pub mod record;
pub mod results;
pub mod run;
pub mod sidecar;
pub mod threads;
pub mod upserts;
