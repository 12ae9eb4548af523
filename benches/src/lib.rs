//! Decision time, measured beside the reference implementation on the same workload in the same run.
//!
//! [`w1`] makes the workload, [`engines`] runs it and checks, before anything is timed, that both engines give the
//! same answer to every request; [`measure`] times. The criterion benchmark `decide` and the program `compare` are
//! two views of the same thing. Nothing here is part of a shipped build, and no figure here means anything without the
//! peer measured beside it.

pub mod engines;
pub mod measure;
pub mod w1;
