//! `pdp` from the outside: what it prints and how it ends, run as its users run it.
//!
//! One test program, so that what starts the tool is written once. `help` and `usage` need no bundle; `bundles`, `bench`,
//! `costs`, `questions`, `protocol` and `serving` work on the bundle that `pdp init` writes; `shipped` on the folders in
//! `policies`.

#![expect(
    clippy::indexing_slicing,
    reason = "JSON values are indexed by key; a missing key is null and fails the comparison"
)]

mod bench;
mod bundles;
mod costs;
mod help;
mod protocol;
mod questions;
mod run;
mod serving;
mod shipped;
mod usage;
