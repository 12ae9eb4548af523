//! Which compiler builds modules: rustup's with its target, or Debian's with the library's sources.
//!
//! Rustup's target comes first, because nothing has to be built but our crates. Debian's compiler is taken with cargo's
//! own way of building the library; its linker is the one that rustup's toolchain brings. A child never installs
//! anything by itself: rustup would otherwise fetch a toolchain while it is asked for something else.

use std::ffi::OsString;
use std::fmt;
use std::path::{Path, PathBuf};

use super::TARGET;
use crate::step::Step;

/// Debian's compiler, which is never first on the path where rustup is.
const DEBIAN_RUSTC: &str = "/usr/bin/rustc";
/// Where Debian puts the library's sources, below the compiler's root.
const LIBRARY: &str = "lib/rustlib/src/rust/library";
const REMEDIES: &str = "run `rustup target add wasm32-unknown-unknown`, or on Debian \
    `apt-get install rustc-web rust-web-src`";

/// A compiler that can build modules.
#[derive(Debug)]
pub(super) enum Toolchain {
    /// Rustup's, which has the target.
    Rustup { version: String },
    /// Debian's, which builds the library for the target, too.
    Debian {
        version: String,
        /// The folder of rustup's linker.
        linker: PathBuf,
    },
}

// === impl Toolchain ===

impl Toolchain {
    /// The first that is there.
    pub(super) fn find() -> Result<Self, String> {
        Self::rustup().or_else(|rustup| {
            Self::debian().map_err(|debian| {
                format!("nothing here builds modules: {rustup}, and {debian}; {REMEDIES}")
            })
        })
    }

    /// The one of this name, if it is a name.
    pub(super) fn named(name: &str) -> Option<Result<Self, String>> {
        let found = match name {
            "rustup" => Self::rustup(),
            "debian" => Self::debian(),
            _ => return None,
        };
        Some(found.map_err(|error| format!("{error}; {REMEDIES}")))
    }

    /// Rustup's, if it has the target.
    pub(super) fn rustup() -> Result<Self, String> {
        let ask = ["--print", "target-libdir", "--target", TARGET];
        let library = rustc(ask)?;
        match Path::new(&library).is_dir() {
            true => Ok(Self::Rustup { version: rustc(["--version"])? }),
            false => Err(format!("rustc has no target {TARGET}")),
        }
    }

    fn debian() -> Result<Self, String> {
        if !Path::new(DEBIAN_RUSTC).is_file() {
            return Err(format!("there is no {DEBIAN_RUSTC}"));
        }
        let ask = |args: [&str; 2]| said(Step::program(DEBIAN_RUSTC, args));
        let root = ask(["--print", "sysroot"])?;
        if !Path::new(&root).join(LIBRARY).is_dir() {
            return Err(format!("{DEBIAN_RUSTC} has no sources of the library"));
        }
        let version = ask(["--version", "--verbose"])?;
        let verbose = rustc(["--version", "--verbose"])?;
        let host = field(&verbose, "host").ok_or("rustc does not say for which host it is")?;
        let linker: PathBuf =
            [&rustc(["--print", "sysroot"])?, "lib/rustlib", host, "bin"].iter().collect();
        if !linker.join("rust-lld").is_file() {
            return Err(format!("there is no rust-lld in {}", linker.display()));
        }
        let version = version.lines().next().unwrap_or_default().to_owned();
        Ok(Self::Debian { version, linker })
    }

    /// The folder of its builds: two compilers in one folder would throw away each other's work.
    pub(super) fn folder(&self) -> &'static str {
        match self {
            Self::Rustup { .. } => "rustup",
            Self::Debian { .. } => "debian",
        }
    }

    /// Makes a step of cargo use it.
    pub(super) fn equip(&self, step: Step) -> Step {
        let step = step.env("RUSTUP_AUTO_INSTALL", "0");
        match self {
            Self::Rustup { .. } => step,
            Self::Debian { linker, .. } => step
                .args(["-Zbuild-std=std,panic_abort"])
                .env("RUSTC", DEBIAN_RUSTC)
                // What builds the library is not stable; this is how a stable compiler is asked for it.
                .env("RUSTC_BOOTSTRAP", "1")
                .env("PATH", path_with(linker)),
        }
    }
}

/// `rustup's rustc 1.95.0 (…)`.
impl fmt::Display for Toolchain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Rustup { version } => write!(f, "rustup's {version}"),
            Self::Debian { version, .. } => {
                write!(f, "Debian's {version}, and the library built from its sources")
            }
        }
    }
}

/// What to run where no toolchain is there: Debian's packages for its root, rustup's target for everybody else.
pub(super) fn installation() -> Result<Vec<Step>, String> {
    let is_debian = Path::new("/etc/debian_version").is_file();
    let is_root = said(Step::program("id", ["-u"])).is_ok_and(|id| id == "0");
    if is_debian && is_root {
        let packages = ["--no-install-recommends", "rustc-web", "rust-web-src"];
        return Ok(vec![
            Step::program("apt-get", ["update", "-qq"]),
            Step::program("apt-get", ["install", "-y"]).args(packages).remedy(REMEDIES),
        ]);
    }
    match said(Step::program("rustup", ["--version"])) {
        Ok(_) => Ok(vec![Step::program("rustup", ["target", "add", TARGET]).remedy(REMEDIES)]),
        Err(_) => Err(format!("there is no rustup here, and no root of Debian; {REMEDIES}")),
    }
}

fn rustc<const N: usize>(args: [&str; N]) -> Result<String, String> {
    let rustc = std::env::var("RUSTC").unwrap_or_else(|_| "rustc".to_owned());
    said(Step::program(&rustc, args).env("RUSTUP_AUTO_INSTALL", "0"))
}

fn said(step: Step) -> Result<String, String> {
    Ok(step.output()?.trim_end().to_owned())
}

/// A line of `rustc --version --verbose`.
fn field<'t>(text: &'t str, name: &str) -> Option<&'t str> {
    text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": "))
}

/// The path, with a folder at its end.
fn path_with(folder: &Path) -> OsString {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let folders = std::env::split_paths(&path).chain([folder.to_owned()]);
    // A folder whose name cannot be in a path leaves the path as it is, and the linker unfound.
    std::env::join_paths(folders).unwrap_or(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_host_is_read() {
        let text = "rustc 1.95.0 (abc)\nbinary: rustc\nhost: x86_64-unknown-linux-gnu\nrelease: 1";
        assert_eq!(field(text, "host"), Some("x86_64-unknown-linux-gnu"));
        assert_eq!(field(text, "hos"), None);
    }

    #[test]
    fn a_folder_is_added_behind_the_others() {
        let path = path_with(Path::new("/linkers"));
        let last = std::env::split_paths(&path).last();
        assert_eq!(last.as_deref(), Some(Path::new("/linkers")));
        assert!(std::env::split_paths(&path).count() > 1);
    }

    #[test]
    fn only_two_names_are_toolchains() {
        assert!(Toolchain::named("gentoo").is_none());
        assert!(Toolchain::named("rustup").is_some() && Toolchain::named("debian").is_some());
    }

    #[test]
    fn the_steps_of_a_toolchain_are_told_as_typed() {
        let debian = Toolchain::Debian { version: "rustc 1".to_owned(), linker: "/linkers".into() };
        let step = debian.equip(Step::program("cargo", ["build"])).to_string();
        assert_eq!(
            step,
            "RUSTUP_AUTO_INSTALL=0 RUSTC=/usr/bin/rustc RUSTC_BOOTSTRAP=1 PATH=$PATH:/linkers cargo build -Zbuild-std=std,panic_abort"
        );
        assert_eq!(debian.to_string(), "Debian's rustc 1, and the library built from its sources");
    }
}
