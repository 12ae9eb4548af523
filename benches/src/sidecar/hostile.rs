//! A steady caller alone, and beside connections that mean harm: what becomes of its p50 and p99.
//!
//! The server may keep more connections than are tried, as far as the limit of open files allows, so that they are all
//! held and not turned away. Attackers come for a turn and are gone in the next.

use std::fs;

use super::Work;
use super::attack::Attackers;
use super::figures::Figures;
use super::load::{self, Kind, lasting};
use super::process::Process;
use crate::goals::{Goal, most};

const TURNS: usize = 5;
const IN_FLIGHT: usize = 8;
/// How many times its p99 alone a caller may see.
const P99_MAX: f64 = 2.0;
/// More connections than are tried.
const CONNECTIONS_MAX: usize = 16_384;
/// What a server needs files for besides connections.
const OTHER_FILES: usize = 64;

const ALONE: Attackers = Attackers { idle: 0, half: 0, garbage: 0 };
const IDLE: Attackers = Attackers { idle: 10_000, ..ALONE };
const ALL: Attackers = Attackers { half: 500, garbage: 32, ..IDLE };

/// A row of the table.
struct Row {
    name: &'static str,
    attackers: Attackers,
    turns: Vec<Figures>,
    /// What the attackers say they reached, and what the server held, when the turn began: the least of all turns.
    reached: String,
    held: Option<usize>,
}

/// Measures, prints, and judges.
pub(super) async fn compare(work: &Work, goals: &mut Vec<Goal>) -> Result<(), String> {
    let files = files_max()?;
    let connections = files.saturating_sub(OTHER_FILES).clamp(1, CONNECTIONS_MAX);
    let limit = format!("connections={connections}");
    let server = Process::start(&["serve", "pdp", "tcp", &work.bundle("hostile")?, &limit])?;
    load::check(&server.said, &work.questions).await?;
    let before = server.open_files()?;
    let row = |name, attackers| Row {
        name,
        attackers,
        turns: Vec::new(),
        reached: "–".to_owned(),
        held: None,
    };
    let mut rows = [
        row("alone", ALONE),
        row("beside 10,000 idle connections", IDLE),
        row("beside these, 500 that stop halfway, 32 that send garbage", ALL),
    ];
    for _ in 0..TURNS {
        for row in &mut rows {
            take(work, &server, before, row).await?;
        }
    }
    println!(
        "\nThe server may keep {connections} connections; the limit of open files is {files}. {IN_FLIGHT} in flight."
    );
    println!(
        "| a steady caller | idle, half, garbage reached | connections held | answers/s | p50 µs | p99 µs | of alone: p50, p99 |"
    );
    println!("|---|---|---|---|---|---|---|");
    let medians: Vec<_> = rows.iter().map(|row| Figures::median(&row.turns)).collect();
    let mut ratios = Vec::new();
    for (row, figures) in rows.iter().zip(&medians) {
        let Some(alone) = medians.first() else { continue };
        let over = figures.over(alone);
        let Figures { per_second, p50_us, p99_us, .. } = figures;
        println!(
            "| {} | {} | {} | {per_second:.0} | {p50_us:.0} | {p99_us:.0} | {:.2}, {:.2} |",
            row.name,
            row.reached,
            row.held.unwrap_or_default(),
            over.p50_us,
            over.p99_us
        );
        if row.attackers != ALONE {
            ratios.push((over.p99_us, row.name.to_owned()));
        }
    }
    goals.push(most("hostile: p99 of a steady caller, of its p99 alone", P99_MAX, "×", ratios));
    Ok(())
}

/// One turn of a row, with its attackers for as long as it takes.
async fn take(work: &Work, server: &Process, before: usize, row: &mut Row) -> Result<(), String> {
    let address = server.said.trim_start_matches("http://");
    let attack = match row.attackers {
        ALONE => None,
        attackers => {
            let [idle, half, garbage] = attackers.arguments();
            Some(Process::start(&["attack", address, &idle, &half, &garbage])?)
        }
    };
    let held = server.open_files()?.saturating_sub(before);
    if row.held.is_none_or(|least| held < least)
        && let Some(attack) = &attack
    {
        (row.held, row.reached) = (Some(held), attack.said.clone());
    }
    let goes_on = lasting(work.turn);
    let turn = load::turn(&server.said, &work.questions, Kind::Unary, IN_FLIGHT, goes_on).await?;
    if let Some(failure) = turn.failure {
        return Err(format!("{}: {} calls failed: {failure}", row.name, turn.failed));
    }
    row.turns.push(Figures::new(&turn, 0.0));
    drop(attack);
    // What the server has yet to clean up is not to weigh on the next turn.
    server.closes_down_to(before).await
}

/// How many files a process may have open, which its children inherit.
fn files_max() -> Result<usize, String> {
    let path = "/proc/self/limits";
    let text = fs::read_to_string(path).map_err(|error| format!("{path}: {error}"))?;
    let line = text.lines().find_map(|line| line.strip_prefix("Max open files"));
    let soft = line.and_then(|rest| rest.split_whitespace().next());
    match soft {
        Some("unlimited") => Ok(usize::MAX),
        Some(number) => number.parse().map_err(|_| format!("{path}: `{number}` is no number")),
        None => Err(format!("{path} says nothing of open files")),
    }
}
