//! The sidecar over the wire: what is ours of a request and what is the transport's, and what becomes of the latency when
//! somebody means harm or bundles are swapped.
//!
//! `authorize` compares with a bare tonic server that decodes the same questions and encodes answers of the same size; it
//! decides nothing and is the floor. `hostile` compares a steady caller with itself beside connections that mean harm,
//! and `reload` with itself while the bundle is rewritten. Servers and attackers are processes of their own, so that
//! their CPU time can be read, and what is compared takes turns under the same load from the same client. Every answer
//! that is timed is compared with the library's; only what the echo says is not.

mod attack;
mod echo;
mod figures;
mod hostile;
mod load;
pub(crate) mod process;
mod reload;
pub(crate) mod serve;
mod turns;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use pdp_core::json::Arena;
use pdp_core::{DecideOptions, Scratch};
use pdp_grpc::pb;
use prost::Message;

use crate::goals::Goal;
use crate::ours::{self, Ours};
use crate::record;
use crate::w1::W1;

/// Policies of the workload, W1.
pub const POLICIES: usize = 10_000;
const USAGE: &str = "usage: sidecar [--quick] [authorize] [hostile] [reload]";

/// A question as it is sent, and the reason that the library answers with.
#[derive(Clone, Debug)]
pub struct Question {
    /// The message.
    pub message: pb::AuthorizeRequest,
    /// What the library says.
    pub reason: &'static str,
}

/// What is served and asked, and how long each turn takes.
struct Work {
    folder: Folder,
    /// A bundle of W1, and another one with a copy of one of its policies, which answers the same for the same reasons.
    bundles: [Vec<u8>; 2],
    questions: Arc<Vec<Question>>,
    turn: Duration,
    /// How often a bundle is swapped in a turn.
    swaps: usize,
}

/// A folder that is gone when its value is.
pub(crate) struct Folder(PathBuf);

/// Runs the program: without names all three comparisons; with `serve` and `attack` it is one of their processes, until
/// its input ends.
pub fn main(args: &[String]) -> ExitCode {
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    let done = match args[..] {
        ["serve", "echo", at, answer] => serve::echo(at, Path::new(answer)),
        ["serve", "pdp", at, bundle, ref settings @ ..] => {
            serve::pdp(at, Path::new(bundle), settings)
        }
        ["attack", address, ref counts @ ..] => attack::run(address, counts),
        _ => compare(&args),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(text) => {
            eprintln!("sidecar: {text}");
            ExitCode::FAILURE
        }
    }
}

fn compare(args: &[&str]) -> Result<(), String> {
    let known = ["--quick", "authorize", "hostile", "reload"];
    if args.iter().any(|arg| !known.contains(arg)) {
        return Err(USAGE.to_owned());
    }
    let named = |name| args.contains(&name);
    let all = args.iter().all(|arg| *arg == "--quick");
    let (turn_ms, swaps) = if named("--quick") { (500, 4) } else { (3_000, 200) };
    let work = Work::new(Duration::from_millis(turn_ms), swaps)?;
    // One thread for the client: the servers' CPU time is read apart, and a second thread would take it from them.
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|error| error.to_string())?;
    let goals = runtime.block_on(async {
        let mut goals = Vec::new();
        if all || named("authorize") {
            turns::compare(&work, &mut goals).await?;
        }
        if all || named("hostile") {
            hostile::compare(&work, &mut goals).await?;
        }
        if all || named("reload") {
            reload::compare(&work, &mut goals).await?;
        }
        Ok::<Vec<Goal>, String>(goals)
    })?;
    println!("\n{}", record::table_of(&goals));
    Ok(())
}

// === impl Work ===

impl Work {
    fn new(turn: Duration, swaps: usize) -> Result<Self, String> {
        let mut doubled = W1::new(POLICIES);
        // The last one is a permit that names its agent and tool: a copy of it changes no answer but by its id.
        doubled.policies.extend(doubled.policies.last().copied());
        let workload = W1::new(POLICIES).workload();
        let bundles = [ours::build(&workload)?.bytes, ours::build(&doubled.workload())?.bytes];
        let [first, _] = &bundles;
        let ours = Ours::load(first)?;
        let (arena, mut scratch) = (Arena::new(), Scratch::new());
        let mut questions = Vec::new();
        for request in ours.read_all(&workload, &arena)? {
            let decider = ours.decider();
            let answer = decider.decide_with(&mut scratch, &request, &DecideOptions::STANDARD);
            let bytes = Ours::protobuf(&request)?;
            let message =
                pb::AuthorizeRequest::decode(&*bytes).map_err(|error| error.to_string())?;
            questions.push(Question { message, reason: answer.reason().as_str() });
        }
        Ok(Self { folder: Folder::new()?, bundles, questions: Arc::new(questions), turn, swaps })
    }

    /// Writes the first bundle to a file of this name.
    fn bundle(&self, name: &str) -> Result<String, String> {
        let [first, _] = &self.bundles;
        self.folder.write(name, first)
    }
}

// === impl Folder ===

impl Folder {
    pub(crate) fn new() -> Result<Self, String> {
        Self::named("served")
    }

    pub(crate) fn named(name: &str) -> Result<Self, String> {
        let path = std::env::temp_dir().join(format!("pdp-bench-{}-{name}", std::process::id()));
        fs::create_dir(&path).map_err(|error| format!("{}: {error}", path.display()))?;
        Ok(Self(path))
    }

    pub(crate) fn path(&self) -> &Path {
        &self.0
    }

    /// The path of a file in it.
    pub(crate) fn file(&self, name: &str) -> Result<String, String> {
        let path = self.0.join(name);
        path.to_str()
            .map(str::to_owned)
            .ok_or_else(|| "the temporary folder is not UTF-8".to_owned())
    }

    pub(crate) fn write(&self, name: &str, bytes: &[u8]) -> Result<String, String> {
        let path = self.file(name)?;
        fs::write(&path, bytes).map_err(|error| format!("{path}: {error}"))?;
        Ok(path)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}
