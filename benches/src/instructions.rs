//! The fixed set of decisions whose instructions are counted.
//!
//! Counts do not depend on what else a machine does, so a change of a few in a hundred shows in CI, where times do not.
//! They say nothing about caches and branches; the figures of record are times.

use std::path::Path;

use pdp_core::Request;
use pdp_core::json::Arena;

use crate::ours::{Ours, VALIDATED};
use crate::workload::Workload;
use crate::{attribute_rules, deep_groups, delegated, inline_entities, overlap, w1};

/// One row of the counts.
#[derive(Clone, Copy, Debug)]
pub struct Row {
    /// Its name, also that of its files.
    pub name: &'static str,
    /// Makes its workload.
    pub make: fn(usize) -> Workload,
    /// Policies.
    pub policies: usize,
    /// Decisions, each of another question.
    pub questions: usize,
}

/// All rows; `benches/benches/instructions.rs` has a benchmark for each.
pub const ROWS: [Row; 6] = [
    Row { name: "w1", make: |size| w1::W1::new(size).workload(), policies: 1_000, questions: 100 },
    Row { name: "deep_groups", make: deep_groups::workload, policies: 1_000, questions: 100 },
    Row {
        name: "attribute_rules",
        make: attribute_rules::workload,
        policies: 1_000,
        questions: 100,
    },
    Row { name: "overlap", make: overlap::workload, policies: 300, questions: 100 },
    Row { name: "delegated", make: delegated::three_legs, policies: 1_000, questions: 100 },
    Row {
        name: "inline_entities",
        make: inline_entities::workload,
        policies: 1_000,
        questions: 100,
    },
];

/// What a row needs, loaded and warm.
#[derive(Debug)]
pub struct Loaded {
    ours: Ours,
    questions: Vec<String>,
    messages: Vec<Vec<u8>>,
    arena: Arena,
}

// === impl Loaded ===

impl Loaded {
    /// Loads the files of a row and asks every question once.
    ///
    /// # Errors
    ///
    /// When the files are not there or not what they should be.
    pub fn new(folder: &Path, name: &str) -> Result<Self, String> {
        let told = |error: std::io::Error| {
            format!(
                "cannot read `{name}` in `{}`: {error}; `cargo xtask instructions` writes it",
                folder.display()
            )
        };
        let bytes = std::fs::read(folder.join(format!("{name}.pdpb"))).map_err(told)?;
        let questions =
            std::fs::read_to_string(folder.join(format!("{name}.jsonl"))).map_err(told)?;
        let questions = questions.lines().map(str::to_owned).collect();
        let (ours, arena) = (Ours::load(&bytes)?, Arena::new());
        let mut loaded = Self { ours, questions, messages: Vec::new(), arena };
        let copies = Arena::new();
        let requests = loaded.requests(&copies)?;
        loaded.messages = requests.iter().map(Ours::protobuf).collect::<Result<_, _>>()?;
        loaded.decide_json();
        loaded.decide_protobuf();
        Ok(loaded)
    }

    /// Reads all questions into an arena, their texts, too.
    ///
    /// # Errors
    ///
    /// When one cannot be read.
    pub fn requests<'a>(&self, arena: &'a Arena) -> Result<Vec<Request<'a>>, String> {
        let copied = self.questions.iter().map(|question| &*arena.alloc_str(question));
        copied.map(|question| self.ours.read(question, arena)).collect()
    }

    /// Decides requests that were read.
    pub fn decide(&mut self, requests: &[Request<'_>]) -> usize {
        requests.iter().map(|request| self.ours.decide(request, &VALIDATED)).sum()
    }

    /// Decides all questions from their JSON.
    pub fn decide_json(&mut self) -> usize {
        let Self { ours, questions, arena, .. } = self;
        questions.iter().map(|question| ours.decide_json(question, arena)).sum()
    }

    /// Decides all questions from their protobuf.
    pub fn decide_protobuf(&mut self) -> usize {
        let Self { ours, messages, arena, .. } = self;
        messages.iter().map(|message| ours.decide_protobuf(message, arena)).sum()
    }
}
