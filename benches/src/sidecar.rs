//! The sidecar over the wire, beside a bare tonic server that decodes the same questions and encodes answers of the same
//! size: what is ours of a request, and what is the transport's.
//!
//! Both run as processes of their own, so that their CPU time can be read, and take turns under the same load from the
//! same client. The echo decides nothing and is the floor. Before anything is timed, every question's answer over the
//! wire is compared with the library's.

mod echo;
mod load;
mod turns;

use std::process::ExitCode;
use std::sync::Arc;

use pdp_core::json::Arena;
use pdp_core::{DecideOptions, Live, Scratch};
use pdp_grpc::{Clock, Config, LogConfig, LogTarget, Server, pb};
use prost::Message;

use crate::ours::{NOW, Ours};
use crate::w1::W1;

/// Policies of the workload, W1.
pub const POLICIES: usize = 10_000;

/// A question as it is sent, and the reason that the library answers with.
#[derive(Clone, Debug)]
pub struct Question {
    /// The message.
    pub message: pb::AuthorizeRequest,
    /// What the library says.
    pub reason: &'static str,
}

/// The workload: what is served and what is asked.
pub(crate) fn workload() -> Result<(Ours, Vec<Question>), String> {
    let workload = W1::new(POLICIES).workload();
    let ours = Ours::new(&workload)?;
    let (arena, mut scratch) = (Arena::new(), Scratch::new());
    let mut questions = Vec::new();
    for request in ours.read_all(&workload, &arena)? {
        let answer = ours.decider().decide_with(&mut scratch, &request, &DecideOptions::STANDARD);
        let bytes = Ours::protobuf(&request)?;
        let message = pb::AuthorizeRequest::decode(&*bytes).map_err(|error| error.to_string())?;
        questions.push(Question { message, reason: answer.reason().as_str() });
    }
    Ok((ours, questions))
}

/// Runs the program: without arguments the comparison, with `serve WHAT` a server until its input ends.
pub fn main(args: &[String]) -> ExitCode {
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    let done = match args[..] {
        ["serve", "echo"] => serve_echo(),
        ["serve", "pdp"] => serve_pdp(None),
        ["serve", "pdp-log", path] => serve_pdp(Some(path)),
        [] => turns::compare(3_000),
        ["--quick"] => turns::compare(500),
        _ => Err("usage: sidecar [--quick]".to_owned()),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(text) => {
            eprintln!("sidecar: {text}");
            ExitCode::FAILURE
        }
    }
}

fn serve_echo() -> Result<(), String> {
    let (ours, questions) = workload()?;
    // A real answer, so that the sizes are the same.
    let answer = answer(ours, questions)?;
    in_runtime(async move {
        let (address, served) = echo::start(answer).await?;
        say(&format!("{address}"));
        until_input_ends(served).await
    })
}

fn serve_pdp(log: Option<&str>) -> Result<(), String> {
    let (ours, _) = workload()?;
    let server = bind(ours, log)?;
    say(&format!("{}", server.address()));
    in_runtime(until_input_ends(async {
        server.run(std::future::pending()).await.map_err(|error| error.to_string())
    }))
}

fn bind(ours: Ours, log: Option<&str>) -> Result<pdp_grpc::BoundServer, String> {
    let bundle = ours.bundle().map(Arc::clone).ok_or("no bundle")?;
    let live = Arc::new(Live::new(pdp_core::Decider::new(bundle)));
    let mut config = Config { clock: Clock::fixed(NOW), ..Config::sidecar() };
    config.address.set_port(0);
    config.log = log.map(|path| LogConfig {
        target: LogTarget::File { path: path.into(), file_bytes_max: 1 << 30, files_max: 1 },
        queue_records_max: 1 << 16,
        context: false,
        mask: Vec::new(),
    });
    Server::bind(config, live).map_err(|error| error.to_string())
}

/// The sidecar's answer to the first question.
fn answer(ours: Ours, questions: Vec<Question>) -> Result<pb::AuthorizeResponse, String> {
    let first = questions.into_iter().next().ok_or("no question")?;
    let server = bind(ours, None)?;
    let url = format!("http://{}", server.address());
    in_runtime(async move {
        tokio::spawn(server.run(std::future::pending()));
        let mut client = load::connect(&url).await?;
        let answer = client.authorize(first.message).await.map_err(|status| status.to_string())?;
        Ok(answer.into_inner())
    })
}

fn in_runtime<T>(work: impl Future<Output = Result<T, String>>) -> Result<T, String> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    runtime.map_err(|error| error.to_string())?.block_on(work)
}

fn say(line: &str) {
    println!("{line}");
}

async fn until_input_ends(served: impl Future<Output = Result<(), String>>) -> Result<(), String> {
    let ended = tokio::task::spawn_blocking(|| {
        let _ = std::io::read_to_string(std::io::stdin());
    });
    tokio::select! {
        served = served => served,
        _ = ended => Ok(()),
    }
}
