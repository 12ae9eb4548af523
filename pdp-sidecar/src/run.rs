//! Serving: from a bundle to a process that answers, keeps in step with what is served, and ends on a signal.
//!
//! One line on standard output says that it is ready; everything else that happens is told by `messages`.

use std::fmt::Display;
use std::io::{self, Write};
use std::pin::pin;
use std::sync::Arc;

use pdp_core::{Bundle, BundleName, Live};
use pdp_grpc::{
    BoundServer, BundleSource, Config, ReloadEvent, ReloadMonitor, ReloadSettings, Reloader,
    ServeError, Server,
};
use serde::Serialize;
use tokio::runtime::Builder;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::oneshot;

use crate::failure::{Failure, FailureKind};
use crate::settings::Launch;
use crate::traces::Traces;

/// The line that says ready, as JSON.
#[derive(Serialize)]
struct ReadyShape<'a> {
    serving: String,
    http: Option<String>,
    admin: Option<String>,
    bundle: BundleShape<'a>,
}

#[derive(Serialize)]
struct BundleShape<'a> {
    name: &'a str,
    revision: u64,
    digest: &'a str,
}

/// What asks a server to stop.
struct Signals {
    interrupt: Signal,
    terminate: Signal,
}

/// Checks what [`run`] would meet before it listens: the bundle's cases, certificates and keys. Says on `out` that all
/// is well.
///
/// # Errors
///
/// When it is not.
pub fn check(launch: &Launch, bundle: &Arc<Bundle>, out: &mut dyn Write) -> Result<(), Failure> {
    let (name, cases) = (BundleName::of(bundle), bundle.cases().len());
    activate(launch, Arc::clone(bundle))?;
    if let Some(tls) = &launch.config.tls {
        tls.check().map_err(|error| Failure::new(FailureKind::NoInput, error.to_string()))?;
    }
    writeln!(out, "ok  settings, and {name} with {cases} cases").map_err(|error| unwritten(&error))
}

/// Serves `bundle`, and then what `source` has in its place, until a signal asks it to stop.
///
/// # Errors
///
/// When it cannot start, or breaks off.
pub fn run(
    launch: Launch,
    bundle: Arc<Bundle>,
    source: Box<dyn BundleSource>,
    json: bool,
    out: &mut dyn Write,
) -> Result<(), Failure> {
    launch.messages.begin();
    let monitor = ReloadMonitor::default();
    let live = Arc::new(Live::new(activate(&launch, Arc::clone(&bundle))?));
    let Launch { config, poll_ms, traces, .. } = launch;
    let runtime = Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(|error| internal("the runtime of the server", &error))?;
    let traces = {
        let _on_it = runtime.enter();
        let begun = traces.as_ref().map(Traces::begin).transpose();
        begun.map_err(|text| Failure::new(FailureKind::Internal, text))?
    };
    let tracer = traces.as_ref().map(Traces::tracer);
    let config = Config { reload: Some(monitor.clone()), tracer, ..config };
    let server =
        Server::bind(config, Arc::clone(&live)).map_err(|error| Failure::serving(&error))?;
    let settings = ReloadSettings { poll_ms, events: true };
    let reloader = Reloader::start(source, live, settings, monitor, teller(&bundle))
        .map_err(|error| internal("the thread that reloads", &error))?;
    let served = runtime.block_on(async {
        // Before anybody is told that the server is ready: whoever is told may stop it.
        let signals =
            Signals::install().map_err(|error| internal("the handler of signals", &error))?;
        say_ready(&server, &bundle, json, out).map_err(|error| unwritten(&error))?;
        until_stopped(server, signals).await.map_err(|error| Failure::serving(&error))
    });
    // While there is a runtime to send them on.
    if let Some(traces) = traces {
        traces.end();
    }
    served?;
    drop(reloader);
    Ok(())
}

fn activate(launch: &Launch, bundle: Arc<Bundle>) -> Result<pdp_core::Decider, Failure> {
    pdp_grpc::activate(bundle).map_err(|why| {
        Failure::new(FailureKind::Data, format!("`{}`: {why}", launch.bundle.display()))
    })
}

/// Tells of each change of what is served.
fn teller(first: &Bundle) -> impl FnMut(ReloadEvent) + Send + 'static {
    let mut in_force = BundleName::of(first);
    move |event| match event {
        ReloadEvent::Activated(name) => {
            tracing::info!("now serving {name}");
            in_force = name;
        }
        ReloadEvent::Kept(why) => {
            tracing::error!("still serving {in_force}; what is there now cannot be served:\n{why}");
        }
    }
}

fn say_ready(
    server: &BoundServer,
    bundle: &Bundle,
    json: bool,
    out: &mut dyn Write,
) -> io::Result<()> {
    let admin = server.admin_address().map(|address| format!("http://{address}"));
    let http = server.http_url();
    if json {
        let (name, revision, digest) = (bundle.name(), bundle.revision(), bundle.digest_hex());
        let bundle = BundleShape { name, revision, digest };
        let shape = ReadyShape { serving: server.url(), http, admin, bundle };
        serde_json::to_writer(&mut *out, &shape)?;
        writeln!(out)?;
    } else {
        writeln!(out, "pdp: serving {} on {}", BundleName::of(bundle), server.url())?;
        if let Some(http) = http {
            writeln!(out, "pdp: AuthZEN on {http}")?;
        }
        if let Some(admin) = admin {
            writeln!(out, "pdp: /livez, /readyz, /metrics and /status on {admin}")?;
        }
    }
    out.flush()
}

async fn until_stopped(server: BoundServer, mut signals: Signals) -> Result<(), ServeError> {
    let (stop, stopped) = oneshot::channel::<()>();
    let mut served = pin!(server.run(async {
        // Told, or the one who would tell is gone: both mean stop.
        let _ = stopped.await;
    }));
    tokio::select! {
        result = &mut served => return result,
        () = signals.next() => {}
    }
    tracing::info!("stopping when requests in flight are answered; a second signal stops at once");
    drop(stop);
    tokio::select! {
        result = served => result,
        () = signals.next() => Ok(()),
    }
}

// === impl Signals ===

impl Signals {
    fn install() -> io::Result<Self> {
        Ok(Self {
            interrupt: signal(SignalKind::interrupt())?,
            terminate: signal(SignalKind::terminate())?,
        })
    }

    async fn next(&mut self) {
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
        }
    }
}

fn internal(what: &str, error: &dyn Display) -> Failure {
    Failure::new(FailureKind::Internal, format!("{what} cannot start: {error}"))
}

fn unwritten(error: &io::Error) -> Failure {
    Failure::new(FailureKind::Io, format!("standard output cannot be written: {error}"))
}
