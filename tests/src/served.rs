//! A sidecar on a free port of this machine, for as long as its value lives, and the questions that tests ask it.
#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "test code fails loudly")]

use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use pdp_core::json::{self, Arena};
use pdp_core::{
    Bundle, CompileOptions, Datetime, Decider, Live, LoadLimits, Request, RequestLimits, Source,
};
use pdp_grpc::{Clock, Config, Server};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use crate::desk::Folder;
use crate::rng::Rng;

/// A running sidecar; dropping it stops it.
#[derive(Debug)]
pub struct Served {
    /// Where it answers gRPC.
    pub address: SocketAddr,
    /// Where it answers AuthZEN, if it does.
    pub http: Option<SocketAddr>,
    /// Where it answers operators, if it does.
    pub admin: Option<SocketAddr>,
    /// What it decides from.
    pub live: Arc<Live>,
    stop: Option<oneshot::Sender<()>>,
    task: JoinHandle<()>,
}

/// Compiles a folder of `policies/`.
pub fn bundle(name: &str) -> Arc<Bundle> {
    loaded(&compiled(&policies(name)))
}

/// The same with another table of routes, or with one.
pub fn bundle_with_routes(name: &str, routes: &str) -> Arc<Bundle> {
    loaded(&bytes_with_routes(name, routes))
}

/// The bytes of a folder of `policies/` with another table of routes, or with one.
pub fn bytes_with_routes(name: &str, routes: &str) -> Vec<u8> {
    let copy = Folder::new(&[]);
    for folder in ["", "entities"] {
        for entry in fs::read_dir(policies(name).join(folder)).unwrap() {
            let entry = entry.unwrap();
            if entry.file_type().unwrap().is_file() {
                let to = Path::new(folder).join(entry.file_name());
                copy.write(to.to_str().unwrap(), &fs::read(entry.path()).unwrap());
            }
        }
    }
    copy.write("routes.toml", routes.as_bytes());
    compiled(copy.path())
}

fn policies(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../policies").join(name)
}

fn compiled(folder: &Path) -> Vec<u8> {
    Source::folder(folder)
        .and_then(|source| pdp_core::compile(&source, &CompileOptions::STANDARD))
        .unwrap_or_else(|report| unreachable!("cannot be compiled:\n{report}"))
}

fn loaded(bytes: &[u8]) -> Arc<Bundle> {
    Arc::new(Bundle::load(bytes, &LoadLimits::STANDARD).unwrap())
}

/// Questions in the JSON of the core: the bundle's cases, and then principal, action, resource and context of different
/// cases put together at random, up to `count`.
pub fn questions(bundle: &Bundle, count: usize, seed: u64) -> Vec<String> {
    let cases: Vec<serde_json::Value> = bundle
        .cases()
        .iter()
        .map(|case| serde_json::from_str(&case.request_json).unwrap())
        .collect();
    let mut rng = Rng::new(&[seed]);
    let mut questions = cases.clone();
    while questions.len() < count {
        let mut question = rng.pick(&cases).clone();
        for part in ["principal", "action", "resource", "context", "on_behalf_of"] {
            let other = rng.pick(&cases);
            if rng.percent(33)
                && let Some(value) = other.get(part)
            {
                question[part] = value.clone();
            }
        }
        questions.push(question);
    }
    questions.truncate(count);
    questions.into_iter().map(|question| question.to_string()).collect()
}

/// Reads such a question as of `now`.
pub fn read<'a>(
    question: &'a str,
    bundle: &'a Bundle,
    arena: &'a Arena,
    now: Datetime,
) -> Request<'a> {
    try_read(question, bundle, arena, now).unwrap()
}

/// The same where the question may be none along the bundle's schema.
pub fn try_read<'a>(
    question: &'a str,
    bundle: &'a Bundle,
    arena: &'a Arena,
    now: Datetime,
) -> Option<Request<'a>> {
    let request = json::read_request(question, Some(bundle), arena, &RequestLimits::STANDARD);
    Some(Request { now: Some(now), ..request.ok()? })
}

// === impl Served ===

impl Served {
    /// Serves a bundle at a time that stands still.
    pub fn start(bundle: Arc<Bundle>, now: Datetime, change: impl FnOnce(&mut Config)) -> Self {
        let live = Arc::new(Live::new(Decider::new(bundle)));
        let mut config = Config { clock: Clock::fixed(now), ..Config::sidecar() };
        config.address.set_port(0);
        change(&mut config);
        let server = Server::bind(config, Arc::clone(&live)).unwrap();
        let (address, http, admin) =
            (server.address(), server.http_address(), server.admin_address());
        let (stop, stopped) = oneshot::channel::<()>();
        let task = tokio::spawn(async move {
            server.run(async { drop(stopped.await) }).await.unwrap();
        });
        Self { address, http, admin, live, stop: Some(stop), task }
    }

    /// Its URL.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Stops it and waits until it has ended well.
    pub async fn stop(mut self) {
        drop(self.stop.take());
        (&mut self.task).await.unwrap();
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        self.task.abort();
    }
}
