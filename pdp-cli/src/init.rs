//! `pdp init`: a small bundle to start from, that passes its own cases.
//!
//! The documents are files of this crate's `template` folder. Nothing is ever overwritten: the folder must be new or
//! empty, each file is created and not opened, and what was written is removed again if the rest cannot be.

use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use clap::Args;
use serde::Serialize;

use crate::exit::{self, Exit, Failure};
use crate::load;
use crate::render::Out;

/// Write a small bundle to start from
///
/// It holds a schema, policies, entities and cases about people who share documents, and a README that says what to
/// change first. DIR is created if need be; an existing DIR must be empty (files that begin with a dot do not count).
#[derive(Debug, Args)]
#[command(verbatim_doc_comment, after_long_help = exit::help(
    "pdp init policies/mine\npdp test policies/mine",
    &[
        (Exit::Ok, "the bundle is written"),
        (Exit::CannotCreate, "DIR is not empty or cannot be created; nothing was changed"),
        (Exit::Io, "writing broke off; what was written is removed again"),
    ],
))]
pub(crate) struct InitArgs {
    /// Folder to write into
    #[arg(value_name = "DIR")]
    dir: PathBuf,
}

#[derive(Serialize)]
struct InitShape {
    dir: String,
    files: Vec<&'static str>,
}

/// What was made so far; removed again unless everything was made.
struct Made {
    files: Vec<PathBuf>,
    folders: Vec<PathBuf>,
}

/// Path inside the bundle, and text.
const TEMPLATE: [(&str, &str); 6] = [
    ("bundle.toml", include_str!("../template/bundle.toml")),
    ("schema.cedarschema", include_str!("../template/schema.cedarschema")),
    ("documents.cedar", include_str!("../template/documents.cedar")),
    ("entities/office.json", include_str!("../template/entities/office.json")),
    ("cases.toml", include_str!("../template/cases.toml")),
    ("README.md", include_str!("../template/README.md")),
];

// === impl Made ===

impl Drop for Made {
    fn drop(&mut self) {
        // The error that led here is the one to tell; a folder that someone else used meanwhile is not empty and stays.
        for file in self.files.iter().rev() {
            let _ = fs::remove_file(file);
        }
        for folder in self.folders.iter().rev() {
            let _ = fs::remove_dir(folder);
        }
    }
}

impl Made {
    fn folder(&mut self, path: &Path) -> io::Result<()> {
        let missing: Vec<&Path> =
            path.ancestors().take_while(|p| !p.as_os_str().is_empty() && !p.exists()).collect();
        for folder in missing.into_iter().rev() {
            fs::create_dir(folder)?;
            self.folders.push(folder.to_owned());
        }
        Ok(())
    }

    fn file(&mut self, path: &Path, text: &str) -> io::Result<()> {
        let mut file = OpenOptions::new().write(true).create_new(true).open(path)?;
        self.files.push(path.to_owned());
        file.write_all(text.as_bytes())
    }

    fn keep(mut self) {
        self.files.clear();
        self.folders.clear();
    }
}

/// Runs the command.
pub(crate) fn run(args: &InitArgs, out: &mut Out) -> Result<Exit, Failure> {
    write_template(&args.dir)?;
    if out.json() {
        let files = TEMPLATE.iter().map(|(name, _)| *name).collect();
        out.shape(&InitShape { dir: args.dir.display().to_string(), files })?;
        return Ok(Exit::Ok);
    }
    let dir = args.dir.display();
    for (name, _) in TEMPLATE {
        out.line(format_args!("{}", args.dir.join(name).display()))?;
    }
    out.line(format_args!("\nnext: pdp test {dir}"))?;
    Ok(Exit::Ok)
}

fn write_template(dir: &Path) -> Result<(), Failure> {
    if dir.exists() {
        if load::kind(dir)? == load::Kind::File {
            return Err(cannot_create(dir, "it is a file; give a folder that is new or empty"));
        }
        if let Some(name) = occupant(dir)? {
            return Err(cannot_create(
                dir,
                &format!("it holds `{name}`; give a folder that is new or empty"),
            ));
        }
    }
    let mut made = Made { files: Vec::new(), folders: Vec::new() };
    made.folder(dir).map_err(|error| cannot_create(dir, &error.to_string()))?;
    for (name, text) in TEMPLATE {
        let path = dir.join(name);
        let folder = path.parent().unwrap_or(dir);
        made.folder(folder).and_then(|()| made.file(&path, text)).map_err(|error| {
            match error.kind() {
                io::ErrorKind::AlreadyExists => cannot_create(&path, "it exists already"),
                _ => Failure::new(
                    Exit::Io,
                    format!("`{}` cannot be written: {error}", path.display()),
                ),
            }
        })?;
    }
    made.keep();
    Ok(())
}

/// Something that is in the folder and not hidden.
fn occupant(dir: &Path) -> Result<Option<String>, Failure> {
    let entries = fs::read_dir(dir).map_err(|error| load::no_input(dir, &error))?;
    for entry in entries {
        let name = entry.map_err(|error| load::no_input(dir, &error))?.file_name();
        let name = name.to_string_lossy();
        if !name.starts_with('.') {
            return Ok(Some(name.into_owned()));
        }
    }
    Ok(None)
}

fn cannot_create(path: &Path, why: &str) -> Failure {
    Failure::new(Exit::CannotCreate, format!("`{}` cannot be created: {why}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn exit(result: Result<(), Failure>) -> (Exit, String) {
        match result {
            Ok(()) => (Exit::Ok, String::new()),
            Err(failure) => (failure.exit(), failure.text().unwrap_or_default()),
        }
    }

    #[test]
    fn a_new_folder_gets_every_file() -> io::Result<()> {
        let root = tempfile::tempdir()?;
        let dir = root.path().join("a/b");
        assert_eq!(exit(write_template(&dir)).0, Exit::Ok);
        for (name, text) in TEMPLATE {
            assert_eq!(fs::read_to_string(dir.join(name))?, text);
        }
        Ok(())
    }

    #[test]
    fn an_empty_folder_will_do_and_hidden_files_are_no_hindrance() -> io::Result<()> {
        let root = tempfile::tempdir()?;
        fs::create_dir(root.path().join(".git"))?;
        assert_eq!(exit(write_template(root.path())).0, Exit::Ok);
        assert!(root.path().join("bundle.toml").is_file());
        Ok(())
    }

    #[test]
    fn a_folder_in_use_is_left_alone() -> io::Result<()> {
        let root = tempfile::tempdir()?;
        fs::write(root.path().join("mine.txt"), "mine")?;
        let (exit, text) = exit(write_template(root.path()));
        assert_eq!(exit, Exit::CannotCreate);
        assert!(
            text.ends_with("it holds `mine.txt`; give a folder that is new or empty"),
            "{text}"
        );
        assert_eq!(fs::read_dir(root.path())?.count(), 1);
        Ok(())
    }

    #[test]
    fn twice_is_refused() -> io::Result<()> {
        let root = tempfile::tempdir()?;
        assert_eq!(exit(write_template(root.path())).0, Exit::Ok);
        assert_eq!(exit(write_template(root.path())).0, Exit::CannotCreate);
        Ok(())
    }

    #[test]
    fn a_failure_half_way_leaves_nothing() -> io::Result<()> {
        let root = tempfile::tempdir()?;
        let mut made = Made { files: Vec::new(), folders: Vec::new() };
        let dir = root.path().join("x/y");
        made.folder(&dir)?;
        made.file(&dir.join("one"), "1")?;
        drop(made);
        assert_eq!(fs::read_dir(root.path())?.count(), 0);
        Ok(())
    }

    #[test]
    fn a_file_in_place_of_the_folder() -> io::Result<()> {
        let root = tempfile::tempdir()?;
        let path = root.path().join("file");
        fs::write(&path, "")?;
        let (exit, text) = exit(write_template(&path));
        assert_eq!(exit, Exit::CannotCreate);
        assert!(text.contains("it is a file"), "{text}");
        Ok(())
    }
}
