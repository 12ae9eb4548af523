//! Echo and sidecar take turns under the same load, over TCP and over a Unix socket; what is printed are medians, and
//! their ratio to the echo's.

use prost::Message;

use super::figures::Figures;
use super::load::{self, Kind, lasting};
use super::process::Process;
use super::{Question, Work};
use crate::goals::{Goal, least, least_of, most};

/// Turns of each server at each load.
const TURNS: usize = 5;

/// A row of the table: which server, asked how.
type Asked<'a> = (&'a str, &'a Process, Kind);

/// Measures, prints, and judges.
pub(super) async fn compare(work: &Work, goals: &mut Vec<Goal>) -> Result<(), String> {
    let bundle = work.bundle("bundle")?;
    let socket = |name: &str| Ok::<_, String>(format!("unix:{}", work.folder.file(name)?));
    let pdp = Process::start(&["serve", "pdp", "tcp", &bundle])?;
    let pdp_unix = Process::start(&["serve", "pdp", &socket("pdp.sock")?, &bundle])?;
    let log = format!("log={}", work.folder.file("log.jsonl")?);
    let logging = Process::start(&["serve", "pdp", "tcp", &bundle, &log])?;
    for server in [&pdp, &pdp_unix, &logging] {
        load::check(&server.said, &work.questions).await?;
    }
    println!("{} answers over the wire are the library's, from each server", work.questions.len());
    // A real answer, so that the sizes are the same.
    let answer = work.folder.write("answer", &answer(&pdp.said, &work.questions).await?)?;
    let echo = Process::start(&["serve", "echo", "tcp", &answer])?;
    let echo_unix = Process::start(&["serve", "echo", &socket("echo.sock")?, &answer])?;

    println!(
        "| load | server | answers/s | p50 µs | p99 µs | server CPU µs | of echo: answers/s, CPU, p50, p99 |"
    );
    println!("|---|---|---|---|---|---|---|");
    let (mut beside_echo, mut beside_silent) = (Vec::new(), Vec::new());
    for in_flight in [1, 8, 64] {
        let tcp = [
            ("echo", &echo, Kind::Echoed),
            ("pdp", &pdp, Kind::Unary),
            ("pdp, log on", &logging, Kind::Unary),
        ];
        let unix = [("echo", &echo_unix, Kind::Echoed), ("pdp", &pdp_unix, Kind::Unary)];
        for (way, servers) in [("TCP", &tcp[..]), ("Unix socket", &unix[..])] {
            let name = format!("Authorize, {way}, {in_flight} in flight");
            let at = format!("{way}, {in_flight} in flight");
            let medians = rows(&name, servers, work, in_flight).await?;
            if let [echo, pdp, ..] = &medians[..] {
                beside_echo.push((pdp.over(echo), at.clone()));
            }
            if let [_, silent, logging] = &medians[..] {
                beside_silent.push((logging.per_second / silent.per_second, at));
            }
        }
    }
    let each = |pick: fn(&Figures) -> f64| -> Vec<(f64, String)> {
        beside_echo.iter().map(|(ratios, at)| (pick(ratios), at.clone())).collect()
    };
    let beside = |what: &str| format!("Authorize: {what}, of the echo's");
    goals.push(least(&beside("answers a second"), 0.95, each(|ratios| ratios.per_second)));
    goals.push(most(&beside("CPU of an answer"), 1.1, "×", each(|ratios| ratios.cpu_us)));
    goals.push(most(&beside("p50"), 1.05, "×", each(|ratios| ratios.p50_us)));
    goals.push(most(&beside("p99"), 1.1, "×", each(|ratios| ratios.p99_us)));
    goals.push(least(
        "Authorize: answers a second with the log on, of log off",
        0.9,
        beside_silent,
    ));

    for (name, kind, in_flight, goal) in [
        ("batches of 64", Kind::Batch, 4, Some(700_000.0)),
        ("filters of 500", Kind::Filter, 4, None),
        ("one stream", Kind::Stream, 64, None),
        ("one stream", Kind::Stream, 512, Some(1_000_000.0)),
    ] {
        let at = format!("{in_flight} in flight");
        let medians =
            rows(&format!("{name}, {at}"), &[("pdp", &pdp, kind)], work, in_flight).await?;
        if let (Some(goal), Some(pdp)) = (goal, medians.first()) {
            goals.push(least_of(name, goal, "answers a second", (pdp.per_second, at)));
        }
    }
    Ok(())
}

/// Measures servers in turns, prints a row for each, and answers its medians.
async fn rows(
    name: &str,
    servers: &[Asked<'_>],
    work: &Work,
    in_flight: usize,
) -> Result<Vec<Figures>, String> {
    let mut all = vec![Vec::new(); servers.len()];
    for _ in 0..TURNS {
        for ((_, server, kind), figures) in servers.iter().zip(&mut all) {
            let before = server.cpu_seconds()?;
            let goes_on = lasting(work.turn);
            let turn = load::turn(&server.said, &work.questions, *kind, in_flight, goes_on).await?;
            if let Some(failure) = turn.failure {
                return Err(format!("{name}: {} calls failed: {failure}", turn.failed));
            }
            figures.push(Figures::new(&turn, server.cpu_seconds()? - before));
        }
    }
    let medians: Vec<Figures> = all.iter().map(|figures| Figures::median(figures)).collect();
    for ((server, _, _), figures) in servers.iter().zip(&medians) {
        let of_echo = match medians.first() {
            Some(echo) if servers.len() > 1 => {
                let Figures { per_second, p50_us, p99_us, cpu_us } = figures.over(echo);
                format!("{per_second:.2}, {cpu_us:.2}, {p50_us:.2}, {p99_us:.2}")
            }
            _ => String::new(),
        };
        let Figures { per_second, p50_us, p99_us, cpu_us } = figures;
        println!(
            "| {name} | {server} | {per_second:.0} | {p50_us:.0} | {p99_us:.0} | {cpu_us:.2} | {of_echo} |"
        );
    }
    Ok(medians)
}

/// The bytes of the sidecar's answer to the first question.
async fn answer(url: &str, questions: &[Question]) -> Result<Vec<u8>, String> {
    let first = questions.first().ok_or("no question")?.message.clone();
    let answer = load::connect(url).await?.authorize(first).await;
    Ok(answer.map_err(|status| status.to_string())?.get_ref().encode_to_vec())
}
