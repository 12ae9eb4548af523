//! The servers, each in a process of its own: the echo, and the sidecar as it is shipped.

use std::path::Path;
use std::sync::Arc;

use pdp_core::{Decider, Live, LoadLimits};
use pdp_grpc::{
    BundleFile, BundleSource, Clock, Config, LogConfig, LogTarget, ReloadEvent, ReloadMonitor,
    ReloadSettings, Reloader, Server, UnixSocket, pb,
};
use prost::Message;

use super::echo;
use crate::ours::NOW;

/// As `pdp serve` looks at what it serves.
const RELOAD: ReloadSettings = ReloadSettings { poll_ms: 1_000, events: true };

/// What the server says when another bundle is in force.
pub(super) const ACTIVATED: &str = "activated";

/// Serves an answer that is in a file, on a free port (`tcp`) or a socket (`unix:PATH`), and says its URL.
pub(super) fn echo(at: &str, answer: &Path) -> Result<(), String> {
    let bytes = std::fs::read(answer).map_err(|error| format!("{}: {error}", answer.display()))?;
    let answer = pb::AuthorizeResponse::decode(&*bytes).map_err(|error| error.to_string())?;
    in_runtime(async move {
        let (url, served) = echo::start(at, answer).await?;
        say(&url);
        until_input_ends(served).await
    })
}

/// Serves a bundle that is in a file. Settings are `log=PATH`, `connections=NUMBER` and `reload`.
pub(crate) fn pdp(at: &str, bundle: &Path, settings: &[&str]) -> Result<(), String> {
    let source = BundleFile::new(bundle, LoadLimits::STANDARD);
    let live = Arc::new(Live::new(Decider::new(source.load()?)));
    let mut config = Config { clock: Clock::fixed(NOW), ..Config::sidecar() };
    config.address.set_port(0);
    config.unix = at.strip_prefix("unix:").map(UnixSocket::private);
    let mut reloads = false;
    for setting in settings {
        match setting.split_once('=') {
            Some(("log", path)) => config.log = Some(log(path)),
            Some(("connections", number)) => {
                let number = number.parse().map_err(|_| format!("`{number}` is no number"))?;
                config.limits.connections_max = number;
            }
            None if *setting == "reload" => reloads = true,
            _ => return Err(format!("`{setting}` is no setting of a server")),
        }
    }
    let server = Server::bind(config, Arc::clone(&live)).map_err(|error| error.to_string())?;
    // The client of the comparison knows `http` and `unix`.
    say(&server.url().replace("grpc://", "http://"));
    let told = |event| match event {
        ReloadEvent::Activated(_) => say(ACTIVATED),
        ReloadEvent::Kept(why) => say(&why),
    };
    let reloader = reloads
        .then(|| Reloader::start(Box::new(source), live, RELOAD, ReloadMonitor::default(), told));
    let _reloader = reloader.transpose().map_err(|error| error.to_string())?;
    in_runtime(until_input_ends(async {
        server.run(std::future::pending()).await.map_err(|error| error.to_string())
    }))
}

fn log(path: &str) -> LogConfig {
    LogConfig {
        target: LogTarget::File { path: path.into(), file_bytes_max: 1 << 30, files_max: 1 },
        queue_bytes_max: 64 << 20,
        context: false,
        mask: Vec::new(),
    }
}

pub(super) fn in_runtime<T>(work: impl Future<Output = Result<T, String>>) -> Result<T, String> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    runtime.map_err(|error| error.to_string())?.block_on(work)
}

pub(super) fn say(line: &str) {
    println!("{line}");
}

pub(super) async fn until_input_ends(
    served: impl Future<Output = Result<(), String>>,
) -> Result<(), String> {
    let ended = tokio::task::spawn_blocking(|| {
        let _ = std::io::read_to_string(std::io::stdin());
    });
    tokio::select! {
        served = served => served,
        _ = ended => Ok(()),
    }
}
