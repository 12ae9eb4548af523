//! Echo and sidecar take turns under the same load; what is printed are medians, and their ratio to the echo's.

use std::fs;
use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use super::load::{self, Kind, Turn};
use super::{Question, workload};

/// Turns of each server at each load.
const TURNS: usize = 5;
/// Kernel ticks of CPU time a second, as Linux has them for programs.
const TICKS_PER_SECOND: f64 = 100.0;

/// A server in a process of its own; it ends with this value.
struct Process {
    child: Child,
    url: String,
}

/// What one turn came to.
#[derive(Clone, Copy, Debug, Default)]
struct Figures {
    per_second: f64,
    p50_us: f64,
    p99_us: f64,
    /// CPU time of the server for one answer.
    cpu_us: f64,
}

/// Measures and prints.
pub(super) fn compare(turn_ms: u64) -> Result<(), String> {
    let (_, questions) = workload()?;
    let questions = Arc::new(questions);
    let log = std::env::temp_dir().join(format!("pdp-bench-{}.jsonl", std::process::id()));
    let log_name = log.to_str().ok_or("the temporary folder is not UTF-8")?;
    let echo = Process::start(&["echo"])?;
    let pdp = Process::start(&["pdp"])?;
    let logging = Process::start(&["pdp-log", log_name])?;
    // One thread for the client: the servers' CPU time is read apart, and a second thread would take it from them.
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|error| error.to_string())?;
    let done = runtime.block_on(async {
        for server in [&pdp, &logging] {
            load::check(&server.url, &questions).await?;
        }
        println!("{} answers over the wire are the library's", questions.len());
        println!("| load | server | answers/s | p50 µs | p99 µs | server CPU µs | of echo: answers/s, CPU, p50, p99 |");
        println!("|---|---|---|---|---|---|---|");
        let time = Duration::from_millis(turn_ms);
        for in_flight in [1, 8, 64] {
            let servers = [("echo", &echo), ("pdp", &pdp), ("pdp, log on", &logging)];
            let name = format!("Authorize, TCP, {in_flight} in flight");
            rows(&name, &servers, &questions, Kind::Unary, in_flight, time).await?;
        }
        let alone = [("pdp", &pdp)];
        for (name, kind, in_flight) in [
            ("batches of 64, 4 in flight", Kind::Batch, 4),
            ("filters of 500, 4 in flight", Kind::Filter, 4),
            ("one stream, 64 in flight", Kind::Stream, 64),
            ("one stream, 512 in flight", Kind::Stream, 512),
        ] {
            rows(name, &alone, &questions, kind, in_flight, time).await?;
        }
        Ok(())
    });
    drop(logging);
    let _ = fs::remove_file(&log);
    let _ = fs::remove_file(format!("{log_name}.1"));
    done
}

async fn rows(
    name: &str,
    servers: &[(&str, &Process)],
    questions: &Arc<Vec<Question>>,
    kind: Kind,
    in_flight: usize,
    time: Duration,
) -> Result<(), String> {
    let mut all = vec![Vec::new(); servers.len()];
    for _ in 0..TURNS {
        for ((_, server), figures) in servers.iter().zip(&mut all) {
            let before = server.cpu_seconds()?;
            let turn = load::turn(&server.url, questions, kind, in_flight, time).await?;
            figures.push(Figures::new(&turn, server.cpu_seconds()? - before));
        }
    }
    let medians: Vec<Figures> = all.iter().map(|figures| median(figures)).collect();
    for ((server, _), figures) in servers.iter().zip(&medians) {
        let Figures { per_second, p50_us, p99_us, cpu_us } = figures;
        let of_echo = match medians.first() {
            Some(echo) if servers.len() > 1 => format!(
                "{:.2}, {:.2}, {:.2}, {:.2}",
                per_second / echo.per_second,
                cpu_us / echo.cpu_us,
                p50_us / echo.p50_us,
                p99_us / echo.p99_us
            ),
            _ => String::new(),
        };
        println!(
            "| {name} | {server} | {per_second:.0} | {p50_us:.0} | {p99_us:.0} | {cpu_us:.2} | {of_echo} |"
        );
    }
    Ok(())
}

fn median(figures: &[Figures]) -> Figures {
    let of = |pick: fn(&Figures) -> f64| {
        let mut all: Vec<f64> = figures.iter().map(pick).collect();
        all.sort_by(f64::total_cmp);
        all.get(all.len() / 2).copied().unwrap_or_default()
    };
    Figures {
        per_second: of(|one| one.per_second),
        p50_us: of(|one| one.p50_us),
        p99_us: of(|one| one.p99_us),
        cpu_us: of(|one| one.cpu_us),
    }
}

// === impl Figures ===

impl Figures {
    fn new(turn: &Turn, cpu_seconds: f64) -> Self {
        let quantile = |share: f64| {
            let at = (turn.took.len() as f64 * share) as usize;
            turn.took.get(at).map_or(0.0, |ns| *ns as f64 / 1_000.0)
        };
        let answers = (turn.answers as f64).max(1.0);
        Self {
            per_second: answers / turn.time.as_secs_f64(),
            p50_us: quantile(0.5),
            p99_us: quantile(0.99),
            cpu_us: cpu_seconds * 1_000_000.0 / answers,
        }
    }
}

// === impl Process ===

impl Process {
    fn start(what: &[&str]) -> Result<Self, String> {
        let program = std::env::current_exe().map_err(|error| error.to_string())?;
        let mut child = Command::new(program)
            .arg("serve")
            .args(what)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .map_err(|error| error.to_string())?;
        let stdout = child.stdout.take().ok_or("no output")?;
        let mut address = String::new();
        let read = BufReader::new(stdout).read_line(&mut address);
        read.map_err(|error| error.to_string())?;
        let address = address.trim();
        if address.is_empty() {
            return Err(format!("the server `{}` did not start", what.join(" ")));
        }
        Ok(Self { url: format!("http://{address}"), child })
    }

    /// User and system time so far.
    fn cpu_seconds(&self) -> Result<f64, String> {
        let path = format!("/proc/{}/stat", self.child.id());
        let text = fs::read_to_string(&path).map_err(|error| format!("{path}: {error}"))?;
        // The name of the program, in brackets, may have anything in it.
        let fields = text.rsplit_once(") ").map(|(_, rest)| rest).unwrap_or_default();
        let ticks = fields.split(' ').skip(11).take(2).map(|field| field.parse::<f64>());
        let ticks: Result<Vec<f64>, _> = ticks.collect();
        Ok(ticks.map_err(|error| error.to_string())?.iter().sum::<f64>() / TICKS_PER_SECOND)
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
