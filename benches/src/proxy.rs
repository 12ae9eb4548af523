//! What a decision costs in front of a service: no filter, Envoy's own RBAC, our filter in the proxy, our sidecar asked by
//! the proxy.
//!
//! One Envoy with one worker has a listener for each, which answer by themselves, so that nothing behind them is
//! measured. They take turns of a second under the same load from the same client, and every answer that is timed is
//! compared with the library's. CPU is Envoy's user and system time for an answer, and with the sidecar the sidecar's as
//! well; of the turns the least counts, because whatever else the machine does can only add to it.

mod config;
mod load;
mod work;

use std::path::PathBuf;
use std::process::{Command, ExitCode, Stdio};
use std::time::Duration;

use crate::goals::{Goal, least, most};
use crate::record;
use crate::sidecar::{Folder, process::Process, serve};
use load::Turn;
use work::Work;

const TURNS: usize = 12;
const CONNECTIONS: usize = 4;
const USAGE: &str = "usage: proxy [--quick] [--envoy FILE] [--filter FILE]";
/// Where the tests put Envoy, which its package's name and version name.
const ENVOY: &str = "target/parts/envoy-1.40.0/envoy/_bin/envoy";
const FILTER: &str = "target/wasm/pdp-filter.wasm";

/// What stands in front of the answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Guard {
    Nothing,
    Rbac,
    Filter,
    Sidecar,
}

/// What is measured of one guard.
#[derive(Clone, Copy, Debug)]
struct Figures {
    answers: usize,
    /// The least of all turns, in microseconds an answer.
    envoy_us: f64,
    sidecar_us: f64,
    /// Of the same turns: the least of their medians.
    p50_us: f64,
    per_second: f64,
}

/// Runs the program; with `serve` it is the sidecar, until its input ends.
pub fn main(args: &[String]) -> ExitCode {
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    let done = match args[..] {
        ["serve", "pdp", at, bundle, ref settings @ ..] => {
            serve::pdp(at, bundle.as_ref(), settings)
        }
        _ => compare(&args),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(text) => {
            eprintln!("proxy: {text}");
            ExitCode::FAILURE
        }
    }
}

fn compare(mut args: &[&str]) -> Result<(), String> {
    let (mut turns, mut envoy, mut filter) = (TURNS, PathBuf::from(ENVOY), PathBuf::from(FILTER));
    loop {
        args = match args {
            [] => break,
            ["--quick", rest @ ..] => {
                turns = 4;
                rest
            }
            ["--envoy", path, rest @ ..] => {
                envoy = path.into();
                rest
            }
            ["--filter", path, rest @ ..] => {
                filter = path.into();
                rest
            }
            _ => return Err(USAGE.to_owned()),
        };
    }
    for (path, remedy) in [
        (&envoy, "`cargo test -p pdp-tests --test envoy` fetches it"),
        (&filter, "`cargo xtask wasm` builds it"),
    ] {
        if !path.is_file() {
            return Err(format!("there is no `{}`; {remedy}", path.display()));
        }
    }
    let work = Work::new()?;
    let folder = Folder::new()?;
    let bundle = folder.write("bundle", &work.bundle)?;
    let sidecar = Process::start(&["serve", "pdp", "tcp", &bundle])?;
    let ports = load::free_ports()?;
    let config = config::json(&ports, &sidecar.said, &filter, &work.bundle)?;
    let config = folder.write("envoy.json", config.to_string().as_bytes())?;
    let envoy = Command::new(&envoy)
        .args(["-c", &config, "--concurrency", "1", "--use-dynamic-base-id", "-l", "error"])
        .stdin(Stdio::null())
        .spawn()
        .map(Process::of)
        .map_err(|error| format!("`{}` does not start: {error}", envoy.display()))?;

    // One thread for the client, so that Envoy's has the other.
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|error| error.to_string())?;
    let goals = runtime.block_on(async {
        for (guard, port) in Guard::ALL.into_iter().zip(ports) {
            load::answers(port).await?;
            load::check(port, &work.calls, guard).await?;
        }
        println!("{} answers of each guard are the library's", work.calls.len());
        let mut taken: Vec<Vec<(Turn, f64, f64)>> = vec![Vec::new(); Guard::ALL.len()];
        for turn in 0..turns {
            eprintln!("turn {} of {turns}", turn + 1);
            for ((guard, port), taken) in Guard::ALL.into_iter().zip(ports).zip(&mut taken) {
                let before = (envoy.cpu_seconds()?, sidecar.cpu_seconds()?);
                let time = Duration::from_secs(1);
                let turn = load::turn(port, &work.calls, guard, CONNECTIONS, time).await?;
                let after = (envoy.cpu_seconds()?, sidecar.cpu_seconds()?);
                taken.push((turn, after.0 - before.0, after.1 - before.1));
            }
        }
        Ok::<_, String>(tell(&taken))
    })?;
    println!("\n{}", record::table_of(&goals));
    Ok(())
}

/// Prints the figures, and judges them.
fn tell(taken: &[Vec<(Turn, f64, f64)>]) -> Vec<Goal> {
    let figures: Vec<Figures> = taken.iter().map(|turns| Figures::of(turns)).collect();
    println!(
        "\n{} policies, {CONNECTIONS} connections, one worker.\n| guard | answers | answers/s | p50 µs | Envoy CPU µs \
         | sidecar CPU µs | of nothing: CPU, p50 |\n|---|---|---|---|---|---|---|",
        work::POLICIES
    );
    let [nothing, rbac, filter, sidecar] = figures[..] else { return Vec::new() };
    for (guard, one) in Guard::ALL.into_iter().zip([nothing, rbac, filter, sidecar]) {
        let Figures { answers, envoy_us, sidecar_us, p50_us, per_second } = one;
        println!(
            "| {} | {answers} | {per_second:.0} | {p50_us:.0} | {envoy_us:.1} | {sidecar_us:.1} | {:.2}, {:.2} |",
            guard.name(),
            one.cpu_us() / nothing.cpu_us(),
            p50_us / nothing.p50_us
        );
    }
    let row = |value| vec![(value, format!("{} policies", work::POLICIES))];
    vec![
        most(
            "filter: CPU of an answer, of RBAC's",
            1.25,
            "×",
            row(filter.cpu_us() / rbac.cpu_us()),
        ),
        least(
            "ext_authz: CPU of an answer, of the filter's",
            3.0,
            row(sidecar.cpu_us() / filter.cpu_us()),
        ),
    ]
}

// === impl Guard ===

impl Guard {
    pub(crate) const ALL: [Self; 4] = [Self::Nothing, Self::Rbac, Self::Filter, Self::Sidecar];

    fn name(self) -> &'static str {
        match self {
            Guard::Nothing => "none",
            Guard::Rbac => "Envoy's RBAC, one rule",
            Guard::Filter => "filter",
            Guard::Sidecar => "ext_authz to the sidecar",
        }
    }
}

// === impl Figures ===

impl Figures {
    fn of(turns: &[(Turn, f64, f64)]) -> Self {
        let least = |of: &dyn Fn(&(Turn, f64, f64)) -> f64| {
            turns.iter().map(of).min_by(f64::total_cmp).unwrap_or(f64::NAN)
        };
        let each = |seconds: f64, turn: &Turn| seconds * 1e6 / turn.answers() as f64;
        // Of one turn both, or what they are together would be of none.
        let both = |(turn, envoy, sidecar): &(Turn, f64, f64)| each(envoy + sidecar, turn);
        let best = turns.iter().min_by(|one, two| both(one).total_cmp(&both(two)));
        let (envoy_us, sidecar_us) = best.map_or((f64::NAN, f64::NAN), |(turn, envoy, sidecar)| {
            (each(*envoy, turn), each(*sidecar, turn))
        });
        Self {
            answers: turns.iter().map(|(turn, ..)| turn.answers()).sum(),
            envoy_us,
            sidecar_us,
            p50_us: least(&|(turn, ..)| turn.p50_us()),
            per_second: -least(&|(turn, ..)| -turn.per_second()),
        }
    }

    fn cpu_us(&self) -> f64 {
        self.envoy_us + self.sidecar_us
    }
}
