//! Shared parts of the tests: the engine under test, the public conformance format, and the differential test's own
//! half: worlds drawn at random, Cedar's answers to them, a count of what they reach, and a shrinker for findings.
//!
//! A [`World`] is policies, entities and requests as plain text and JSON, so that any engine can be fed with it.
//! [`Generator`] draws worlds from a seed, [`Oracle`] answers them with the `cedar-policy` crate, [`Coverage`] counts
//! which features the answered requests met, [`shrink()`] makes a failing world small enough to read, and
//! [`differential`] compares.
//!
//! For tests of single behaviours, [`desk`] compiles and asks small bundles, [`forge`] takes bundle files apart, and
//! [`counting`] counts allocations.

mod impossible;
mod quote;
mod value;

pub mod rng;

pub mod world;

pub mod generate;

pub mod oracle;

pub mod coverage;

pub mod shrink;

pub mod engine;

#[expect(clippy::indexing_slicing, reason = "indexing a JSON value gives null, not a panic")]
pub mod history;

#[expect(clippy::indexing_slicing, reason = "indexing a JSON value gives null, not a panic")]
pub mod differential;

pub mod outside;

pub mod answer;

#[expect(clippy::indexing_slicing, reason = "indexing a JSON value gives null, not a panic")]
pub mod conformance;

pub mod counting;

pub mod desk;

pub mod forge;

pub mod damage;

pub mod parts;

pub mod served;

pub mod steady;

pub mod check;

pub mod upstream;

pub mod envoy;

pub mod module;

pub mod filtered;

pub use coverage::{Coverage, Feature};
pub use generate::Generator;
pub use oracle::{Answer, ErrorKind, Oracle, Outcome, Verdict};
pub use shrink::shrink;
pub use world::{Link, Request, Uid, World};

/// The Rust in the README, so that it compiles and does what it says.
#[cfg(doctest)]
#[doc = include_str!("../../README.md")]
pub struct Readme;
