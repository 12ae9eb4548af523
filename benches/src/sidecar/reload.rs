//! A steady caller while the bundle it is answered from is rewritten, over and over, against itself while nothing changes.
//!
//! The file is replaced as `pdp build` output is meant to be, by a rename, and the server takes it up by its own watching.
//! Two bundles take turns in it, which answer the same for the same reasons, so that answers can be compared throughout;
//! the next one takes its place as soon as the one before is in force, or at a steady pace. Their bytes are written
//! beforehand: whoever copies megabytes beside a service takes time from it, whatever it does with them. Loading takes a
//! core for as long as it lasts: on a machine with few of them, the first row says what that costs, and the second what
//! swapping does.

use std::fs;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use super::figures::Figures;
use super::load::{self, Kind, Turn, lasting};
use super::process::{Process, heard};
use super::{Work, serve};
use crate::goals::{Goal, most};

const TURNS: usize = 5;
const IN_FLIGHT: usize = 8;
/// How many times its p99 in peace a caller may see.
const P99_MAX: f64 = 1.5;
/// The slower pace.
const PACE: Duration = Duration::from_millis(100);

/// What rewrites the file.
struct Writer {
    server: Process,
    path: String,
    /// Another name of a bundle before it takes its place.
    next: String,
    /// Files of the two bundles.
    bundles: [String; 2],
    /// Swaps so far.
    swaps: usize,
}

/// A row of the table.
#[derive(Default)]
struct Row {
    turns: Vec<Figures>,
    swaps: usize,
    time: Duration,
    failed: usize,
    failure: Option<String>,
}

/// Measures, prints, and judges.
pub(super) async fn compare(work: &Work, goals: &mut Vec<Goal>) -> Result<(), String> {
    // In a folder of its own: writing the next bundle beside it would have the server look for nothing.
    let folder = work.folder.file("watched")?;
    fs::create_dir(&folder).map_err(|error| format!("{folder}: {error}"))?;
    let path = work.bundle("watched/bundle")?;
    let server = Process::start(&["serve", "pdp", "tcp", &path, "reload"])?;
    let url = server.said.clone();
    let next = work.folder.file("next")?;
    let [even, odd] = &work.bundles;
    let bundles = [work.folder.write("even", even)?, work.folder.write("odd", odd)?];
    let mut writer = Writer { server, path, next, bundles, swaps: 0 };
    // Either bundle gives the library's answers.
    load::check(&url, &work.questions).await?;
    writer.swap()?;
    load::check(&url, &work.questions).await?;

    let (mut steady, mut at_once, mut paced) = (Row::default(), Row::default(), Row::default());
    let paced_swaps = usize::try_from(work.turn.as_millis() / PACE.as_millis()).unwrap_or(1).max(1);
    for _ in 0..TURNS {
        let turn;
        (turn, writer) = while_swapping(work, &url, writer, work.swaps, Duration::ZERO).await?;
        let time = at_once.take(turn, work.swaps);
        let goes_on = lasting(time.max(work.turn));
        let turn = load::turn(&url, &work.questions, Kind::Unary, IN_FLIGHT, goes_on).await?;
        steady.take(turn, 0);
        let turn;
        (turn, writer) = while_swapping(work, &url, writer, paced_swaps, PACE).await?;
        paced.take(turn, paced_swaps);
    }
    println!("\nA bundle of {} bytes; {IN_FLIGHT} in flight.", work.bundles.concat().len() / 2);
    println!(
        "| a steady caller | swaps | swaps/s | failed | answers/s | p50 µs | p99 µs | of steady: p50, p99 |"
    );
    println!("|---|---|---|---|---|---|---|---|");
    let peace = Figures::median(&steady.turns);
    let (mut ratios, mut failed) = (Vec::new(), Vec::new());
    for (name, row) in [
        ("steady", &steady),
        ("rewritten as fast as it is swapped", &at_once),
        ("rewritten ten times a second", &paced),
    ] {
        let figures = Figures::median(&row.turns);
        let over = figures.over(&peace);
        let Figures { per_second, p50_us, p99_us, .. } = figures;
        println!(
            "| {name} | {} | {:.1} | {} | {per_second:.0} | {p50_us:.0} | {p99_us:.0} | {:.2}, {:.2} |",
            row.swaps,
            row.swaps as f64 / row.time.as_secs_f64(),
            row.failed,
            over.p50_us,
            over.p99_us
        );
        if row.swaps > 0 {
            ratios.push((over.p99_us, name.to_owned()));
        }
        let why = row.failure.as_deref().unwrap_or(name);
        failed.push((row.failed as f64, why.to_owned()));
    }
    goals.push(most("reload: p99 of a steady caller, of its p99 in peace", P99_MAX, "×", ratios));
    goals.push(most("reload: calls that failed", 0.0, "", failed));
    Ok(())
}

/// Keeps asking until so many bundles have been swapped.
async fn while_swapping(
    work: &Work,
    url: &str,
    mut writer: Writer,
    swaps: usize,
    pace: Duration,
) -> Result<(Turn, Writer), String> {
    let done = Arc::new(AtomicBool::new(false));
    let (goes_on, over) = (Arc::clone(&done), Over(done));
    // The writer waits for the server on a thread of its own; the client's one thread asks meanwhile.
    let writing = tokio::task::spawn_blocking(move || {
        let _over = over;
        for _ in 0..swaps {
            let begun = Instant::now();
            writer.swap()?;
            std::thread::sleep(pace.saturating_sub(begun.elapsed()));
        }
        Ok::<_, String>(writer)
    });
    let goes_on = move || !goes_on.load(Ordering::Acquire);
    let turn = load::turn(url, &work.questions, Kind::Unary, IN_FLIGHT, goes_on).await?;
    let writer = writing.await.map_err(|error| error.to_string())??;
    Ok((turn, writer))
}

/// Ends a turn when it is dropped, however the writing ended.
struct Over(Arc<AtomicBool>);

impl Drop for Over {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Release);
    }
}

// === impl Writer ===

impl Writer {
    /// Puts the bundle that is not in force into its place, and waits until it is in force.
    fn swap(&mut self) -> Result<(), String> {
        self.swaps += 1;
        let [even, odd] = &self.bundles;
        let file = if self.swaps.is_multiple_of(2) { even } else { odd };
        fs::hard_link(file, &self.next).map_err(|error| format!("{}: {error}", self.next))?;
        fs::rename(&self.next, &self.path).map_err(|error| format!("{}: {error}", self.path))?;
        match heard(&self.server.lines)?.as_str() {
            serve::ACTIVATED => Ok(()),
            why => Err(format!("bundle {} is not in force: {why}", self.swaps)),
        }
    }
}

// === impl Row ===

impl Row {
    /// Adds a turn, and answers how long it took.
    fn take(&mut self, turn: Turn, swaps: usize) -> Duration {
        self.turns.push(Figures::new(&turn, 0.0));
        self.swaps += swaps;
        self.time += turn.time;
        self.failed += turn.failed;
        self.failure = self.failure.take().or(turn.failure);
        turn.time
    }
}
