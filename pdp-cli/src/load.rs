//! From PATH to a bundle: a folder is compiled in memory, a built file is read.
//!
//! Either way what decides went through bundle bytes, so a folder and the file built from it answer alike. Reading
//! and checking is the core's work; this module finds out what PATH is, measures how long the steps took, and says
//! what to do when PATH is neither.

use std::fs::{self, File};
use std::io::{self, Read};
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use pdp_core::{Bundle, CompileOptions, LoadLimits, Report, Source, compile};

use crate::exit::{Exit, Failure};
use crate::progress::Progress;

/// A bundle, and what it took to get it.
#[derive(Debug)]
pub(crate) struct Loaded {
    /// The verified bundle.
    pub(crate) bundle: Arc<Bundle>,
    /// Size of the bundle file, or of what would be one.
    pub(crate) bundle_bytes: usize,
    /// Reading, checking and compiling the folder; nothing for a built file.
    pub(crate) compile: Option<Duration>,
    /// Verifying and loading the bytes.
    pub(crate) load: Duration,
    /// Warnings about the folder.
    pub(crate) warnings: Report,
}

/// Bytes compiled from a folder.
#[derive(Debug)]
pub(crate) struct Compiled {
    /// The bundle file's content.
    pub(crate) bytes: Vec<u8>,
    /// Reading, checking and compiling.
    pub(crate) elapsed: Duration,
    /// Warnings about the folder.
    pub(crate) warnings: Report,
}

/// What PATH is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// A bundle folder.
    Folder,
    /// A built bundle.
    File,
}

const LIMITS: LoadLimits = LoadLimits::STANDARD;

/// Gets the bundle that PATH names.
pub(crate) fn load(path: &Path) -> Result<Loaded, Failure> {
    match kind(path)? {
        Kind::Folder => {
            let compiled = compile_folder(path)?;
            let (bundle, load) = verify(&compiled.bytes).map_err(|error| {
                Failure::new(
                    Exit::Internal,
                    format!(
                        "`{}` was compiled, but what came out does not load: {error}",
                        path.display()
                    ),
                )
            })?;
            Ok(Loaded {
                bundle,
                bundle_bytes: compiled.bytes.len(),
                compile: Some(compiled.elapsed),
                load,
                warnings: compiled.warnings,
            })
        }
        Kind::File => {
            let bytes = read_bundle(path)?;
            let (bundle, load) = verify(&bytes).map_err(|error| {
                Failure::new(
                    Exit::Data,
                    format!(
                        "`{}` cannot be used: {error}; PATH is a bundle folder or a file written by `pdp build`",
                        path.display()
                    ),
                )
            })?;
            let bundle_bytes = bytes.len();
            Ok(Loaded { bundle, bundle_bytes, compile: None, load, warnings: Report::default() })
        }
    }
}

/// Compiles a bundle folder.
pub(crate) fn compile_folder(path: &Path) -> Result<Compiled, Failure> {
    let _progress = Progress::start(format!("compiling {}", path.display()));
    let start = Instant::now();
    let source = Source::folder(path).map_err(Failure::Refused)?;
    let bytes = compile(&source, &CompileOptions::STANDARD).map_err(Failure::Refused)?;
    let warnings = Report { items: source.warnings().items.clone() };
    Ok(Compiled { bytes, elapsed: start.elapsed(), warnings })
}

/// Verifies bundle bytes and says how long it took.
pub(crate) fn verify(bytes: &[u8]) -> Result<(Arc<Bundle>, Duration), pdp_core::LoadError> {
    let start = Instant::now();
    let bundle = Bundle::load(bytes, &LIMITS)?;
    Ok((Arc::new(bundle), start.elapsed()))
}

/// Whether PATH is a folder or a file.
pub(crate) fn kind(path: &Path) -> Result<Kind, Failure> {
    let metadata = fs::metadata(path).map_err(|error| no_input(path, &error))?;
    if metadata.is_dir() {
        Ok(Kind::Folder)
    } else if metadata.is_file() {
        Ok(Kind::File)
    } else {
        Err(Failure::new(
            Exit::NoInput,
            format!(
                "`{}` is neither a folder nor a regular file; PATH is a bundle folder or a file written by `pdp build`",
                path.display()
            ),
        ))
    }
}

/// Why a file of the user's could not be opened or read.
pub(crate) fn no_input(path: &Path, error: &io::Error) -> Failure {
    let shown = path.display();
    match error.kind() {
        io::ErrorKind::NotFound => Failure::new(
            Exit::NoInput,
            format!("`{shown}` does not exist; check the spelling and the current folder"),
        ),
        io::ErrorKind::PermissionDenied => Failure::new(
            Exit::NoInput,
            format!("`{shown}` may not be read by this user; check its permissions"),
        ),
        _ => Failure::new(Exit::NoInput, format!("`{shown}` cannot be read: {error}")),
    }
}

fn read_bundle(path: &Path) -> Result<Vec<u8>, Failure> {
    let file = File::open(path).map_err(|e| no_input(path, &e))?;
    let size = file.metadata().map_err(|e| no_input(path, &e))?.len();
    let bytes_max = LIMITS.bundle_bytes_max;
    let too_large = || {
        Failure::new(
            Exit::Data,
            format!("`{}` has {size} bytes; a bundle has at most {bytes_max}", path.display()),
        )
    };
    if size > bytes_max {
        return Err(too_large());
    }
    let mut bytes = Vec::new();
    // The file may grow while it is read; one byte over the limit shows it.
    let read = file.take(bytes_max.saturating_add(1)).read_to_end(&mut bytes);
    let read = read.map_err(|error| {
        Failure::new(Exit::Io, format!("`{}` cannot be read: {error}", path.display()))
    })?;
    if u64::try_from(read).unwrap_or(u64::MAX) > bytes_max {
        return Err(too_large());
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(result: Result<impl std::fmt::Debug, Failure>) -> (Exit, String) {
        match result {
            Err(failure) => (failure.exit(), failure.text().unwrap_or_default()),
            Ok(value) => (Exit::Ok, format!("{value:?}")),
        }
    }

    #[test]
    fn a_path_that_does_not_exist() {
        let (exit, text) = told(load(Path::new("no/such/folder")));
        assert_eq!(exit, Exit::NoInput);
        assert_eq!(
            text,
            "error: `no/such/folder` does not exist; check the spelling and the current folder"
        );
    }

    #[test]
    fn a_file_that_is_no_bundle() -> io::Result<()> {
        let folder = tempfile::tempdir()?;
        let path = folder.path().join("x.pdpb");
        fs::write(&path, "permit (principal, action, resource);")?;
        let (exit, text) = told(load(&path));
        assert_eq!(exit, Exit::Data);
        assert!(
            text.ends_with("PATH is a bundle folder or a file written by `pdp build`"),
            "{text}"
        );
        Ok(())
    }

    #[cfg(unix)]
    #[test]
    fn a_device_is_not_read() {
        let (exit, text) = told(load(Path::new("/dev/zero")));
        assert_eq!(exit, Exit::NoInput);
        assert!(text.contains("neither a folder nor a regular file"), "{text}");
    }
}
