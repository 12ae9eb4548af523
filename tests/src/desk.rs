//! A bundle at work: compiled from the files of a folder or from loose texts, loaded from its bytes, asked in JSON.
//!
//! For tests that look at whole answers. Nothing here forgives: what cannot be compiled, loaded or read ends the test,
//! unless the name says `try`.
#![expect(clippy::unwrap_used, clippy::panic, reason = "test code fails loudly")]

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use pdp_core::json::{self, Arena};
use pdp_core::{
    Bundle, CompileOptions, DecideOptions, Decider, LoadLimits, Loose, Notation, OwnedAnswer,
    Report, Request, RequestLimits, Scratch, Source,
};

/// The least that a `bundle.toml` says.
pub const MANIFEST: &str = "name = \"desk\"\nrevision = 1\n";

/// A folder with files, gone with its value.
#[derive(Debug)]
pub struct Folder {
    path: PathBuf,
}

/// A decider with the memory it needs.
#[derive(Debug)]
pub struct Desk {
    decider: Decider,
    scratch: Scratch,
    arena: Arena,
}

/// A request as JSON: principal, action and resource in Cedar's text form, context as JSON.
pub fn request(principal: &str, action: &str, resource: &str, context: &str) -> String {
    let uid = |uid: &str| serde_json::Value::from(uid).to_string();
    format!(
        "{{\"principal\":{},\"action\":{},\"resource\":{},\"context\":{context}}}",
        uid(principal),
        uid(action),
        uid(resource)
    )
}

/// Compiles a bundle folder that holds these files.
pub fn compile(files: &[(&str, &str)]) -> Result<Vec<u8>, Report> {
    let folder = Folder::new(files);
    pdp_core::compile(&Source::folder(folder.path())?, &CompileOptions::STANDARD)
}

/// Compiles loose texts without a schema, in Cedar's own semantics.
pub fn compile_loose(policies: &str, entities: &str) -> Result<Vec<u8>, Report> {
    let texts = Loose { policies: Notation::Cedar(policies), schema: None, entities, links: None };
    pdp_core::compile(&Source::loose(&texts)?, &CompileOptions::STANDARD)
}

/// Runs `work` on a thread with a stack of so many bytes, and gives what it gave.
pub fn on_stack<T: Send>(stack_bytes: usize, work: impl FnOnce() -> T + Send) -> T {
    std::thread::scope(|scope| {
        let thread = std::thread::Builder::new().stack_size(stack_bytes);
        match thread.spawn_scoped(scope, work).unwrap().join() {
            Ok(result) => result,
            Err(panic) => std::panic::resume_unwind(panic),
        }
    })
}

/// What `work` gives, if it ends within a minute. For work that is done in no time or never.
pub fn if_it_ends<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Option<T> {
    let (sender, receiver) = std::sync::mpsc::channel();
    // Not waited for: a test that fails because of it must be able to say so.
    std::thread::spawn(move || sender.send(work()));
    receiver.recv_timeout(std::time::Duration::from_secs(60)).ok()
}

// === impl Folder ===

impl Folder {
    /// Writes the files; names may have folders in them.
    pub fn new(files: &[(&str, &str)]) -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let name = format!("pdp-desk-{}-{number}", std::process::id());
        let folder = Self { path: std::env::temp_dir().join(name) };
        fs::create_dir_all(&folder.path).unwrap();
        for (name, text) in files {
            folder.write(name, text.as_bytes());
        }
        folder
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Writes a file.
    pub fn write(&self, name: &str, bytes: &[u8]) {
        let path = self.path.join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, bytes).unwrap();
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        // A folder that is left behind in the system's temporary place fails no test.
        let _ = fs::remove_dir_all(&self.path);
    }
}

// === impl Desk ===

impl Desk {
    /// From the files of a bundle folder.
    pub fn folder(files: &[(&str, &str)]) -> Self {
        match compile(files) {
            Ok(bytes) => Self::bytes(&bytes),
            Err(report) => panic!("cannot be compiled:\n{report}"),
        }
    }

    /// From loose texts without a schema, in Cedar's own semantics.
    pub fn loose(policies: &str, entities: &str) -> Self {
        match compile_loose(policies, entities) {
            Ok(bytes) => Self::bytes(&bytes),
            Err(report) => panic!("cannot be compiled:\n{report}"),
        }
    }

    /// From bundle bytes.
    pub fn bytes(bytes: &[u8]) -> Self {
        Self::new(Decider::new(Arc::new(Bundle::load(bytes, &LoadLimits::STANDARD).unwrap())))
    }

    /// From a decider.
    pub fn new(decider: Decider) -> Self {
        Self { decider, scratch: Scratch::new(), arena: Arena::new() }
    }

    /// Answers a request.
    pub fn ask(&mut self, request: &str) -> OwnedAnswer {
        self.ask_with(request, &DecideOptions::STANDARD)
    }

    /// Answers a request in a way of the caller's.
    pub fn ask_with(&mut self, request: &str, options: &DecideOptions) -> OwnedAnswer {
        match self.try_ask(request, options) {
            Ok(answer) => answer,
            Err(error) => panic!("{request}: {error}"),
        }
    }

    /// Answers a request if it can be read.
    pub fn try_ask(
        &mut self,
        request: &str,
        options: &DecideOptions,
    ) -> Result<OwnedAnswer, String> {
        self.arena.reset();
        let bundle = self.decider.bundle().map(Arc::as_ref);
        let limits = RequestLimits { request_bytes_max: 16 << 20, json_depth_max: 100 };
        let request = json::read_request(request, bundle, &self.arena, &limits)
            .map_err(|error| error.to_string())?;
        Ok(self.decider.decide_with(&mut self.scratch, &request, options).to_owned())
    }

    /// Answers a request that is at hand already, with memory of its own.
    pub fn decide(&self, request: &Request<'_>, options: &DecideOptions) -> OwnedAnswer {
        self.decider.decide_with(&mut Scratch::new(), request, options).to_owned()
    }

    /// The bundle that decides.
    pub fn bundle(&self) -> &Bundle {
        self.decider.bundle().unwrap()
    }
}
