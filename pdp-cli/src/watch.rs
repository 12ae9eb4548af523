//! What `pdp serve` serves, kept in step with its folder or file, and what is said about it on standard error.
//!
//! When to look and what to publish is `pdp-grpc`'s; this says how PATH becomes a bundle and prints what happened.

use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use pdp_core::{Bundle, BundleName, Live};
use pdp_grpc::{BundleSource, ReloadEvent, ReloadMonitor, ReloadSettings, Reloader};

use crate::exit::{Exit, Failure};
use crate::{load, render};

/// PATH as something that is watched.
struct Watched {
    path: PathBuf,
}

/// Keeps `live`, which has the bundle of `path` in it, in step with the path.
pub(crate) fn start(
    path: &Path,
    poll_ms: u32,
    live: Arc<Live>,
    monitor: ReloadMonitor,
) -> Result<Reloader, Failure> {
    let settings = ReloadSettings { poll_ms, events: true };
    let mut in_force = live.snapshot().bundle().map(|bundle| BundleName::of(bundle));
    let told = move |event| {
        let text = match event {
            ReloadEvent::Activated(name) => {
                let text = format!("pdp: now serving {}", render::bundle_name(&name));
                in_force = Some(name);
                text
            }
            ReloadEvent::Kept(why) => {
                let kept = in_force.as_ref().map(render::bundle_name).unwrap_or_default();
                format!("pdp: still serving {kept}; what is there now cannot be served:\n{why}")
            }
        };
        // If standard error is gone, serving goes on.
        let _ = writeln!(io::stderr(), "{text}");
    };
    let source = Box::new(Watched { path: path.to_owned() });
    Reloader::start(source, live, settings, monitor, told).map_err(|error| {
        Failure::new(Exit::Internal, format!("the thread that reloads cannot start: {error}"))
    })
}

// === impl Watched ===

impl BundleSource for Watched {
    fn path(&self) -> &Path {
        &self.path
    }

    fn load(&self) -> Result<Arc<Bundle>, String> {
        match load::load(&self.path) {
            Ok(loaded) => Ok(loaded.bundle),
            Err(failure) => Err(failure.text().unwrap_or_default()),
        }
    }
}
