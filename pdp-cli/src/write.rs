//! Writing a file whole or not at all.
//!
//! The bytes go to a new file in the same folder, are forced to the disk, and take the name in one step. Whatever
//! goes wrong, the old file stays as it was and the new one is removed. Devices and pipes are refused: to replace
//! them is never what was meant.

use std::ffi::OsString;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use crate::exit::{Exit, Failure};

/// Removes a file that did not get its name.
struct Unfinished {
    path: PathBuf,
    named: bool,
}

// === impl Unfinished ===

impl Drop for Unfinished {
    fn drop(&mut self) {
        if !self.named {
            // The error that led here is the one to tell.
            let _ = fs::remove_file(&self.path);
        }
    }
}

/// Puts `bytes` into the file at `path`, replacing what was there in one step.
pub(crate) fn atomically(path: &Path, bytes: &[u8]) -> Result<(), Failure> {
    let target = resolve(path)?;
    let (Some(folder), Some(name)) = (target.parent(), target.file_name()) else {
        return Err(cannot_create(path, "it names no file; give a file name such as `out.pdpb`"));
    };
    let folder = if folder.as_os_str().is_empty() { Path::new(".") } else { folder };
    let mut temporary = OsString::from(format!(".{}-", std::process::id()));
    temporary.push(name);
    temporary.push(".tmp");
    let temporary = folder.join(temporary);

    let file = OpenOptions::new().write(true).create_new(true).open(&temporary);
    let mut file = file.map_err(|error| match error.kind() {
        io::ErrorKind::NotFound => {
            cannot_create(path, "its folder does not exist; create it first")
        }
        _ => cannot_create(path, &error.to_string()),
    })?;
    let mut unfinished = Unfinished { path: temporary, named: false };
    let broken = |error: io::Error| {
        Failure::new(
            Exit::Io,
            format!("`{}` was not written: {error}; what was there is unchanged", path.display()),
        )
    };
    file.write_all(bytes).and_then(|()| file.sync_all()).map_err(broken)?;
    drop(file);
    fs::rename(&unfinished.path, &target).map_err(broken)?;
    unfinished.named = true;
    // The name is durable once the folder is; where folders cannot be synced the file itself already is.
    let _ = File::open(folder).and_then(|folder| folder.sync_all());
    Ok(())
}

/// Where to write: through a symbolic link to the file it names, but never onto anything that is not a file.
fn resolve(path: &Path) -> Result<PathBuf, Failure> {
    match fs::metadata(path) {
        Ok(metadata) if metadata.is_dir() => Err(cannot_create(
            path,
            "it is a folder; give a file name inside it, such as `out.pdpb`",
        )),
        Ok(metadata) if !metadata.is_file() => Err(cannot_create(path, "it is not a regular file")),
        Ok(_) => fs::canonicalize(path).map_err(|error| cannot_create(path, &error.to_string())),
        Err(_) => Ok(path.to_owned()),
    }
}

fn cannot_create(path: &Path, why: &str) -> Failure {
    Failure::new(Exit::CannotCreate, format!("`{}` cannot be written: {why}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entries(folder: &Path) -> io::Result<Vec<String>> {
        let mut names = Vec::new();
        for entry in fs::read_dir(folder)? {
            names.push(entry?.file_name().to_string_lossy().into_owned());
        }
        names.sort();
        Ok(names)
    }

    fn refused(result: Result<(), Failure>) -> (Exit, String) {
        match result {
            Ok(()) => (Exit::Ok, String::new()),
            Err(failure) => (failure.exit(), failure.text().unwrap_or_default()),
        }
    }

    #[test]
    fn a_file_is_replaced_and_nothing_else_stays() -> io::Result<()> {
        let folder = tempfile::tempdir()?;
        let path = folder.path().join("x.pdpb");
        fs::write(&path, "old and longer")?;
        assert_eq!(refused(atomically(&path, b"new")).0, Exit::Ok);
        assert_eq!(fs::read(&path)?, b"new");
        assert_eq!(entries(folder.path())?, ["x.pdpb"]);
        Ok(())
    }

    #[test]
    fn an_occupied_temporary_name_leaves_the_old_file() -> io::Result<()> {
        let folder = tempfile::tempdir()?;
        let path = folder.path().join("x.pdpb");
        fs::write(&path, "old")?;
        let occupied = format!(".{}-x.pdpb.tmp", std::process::id());
        fs::create_dir(folder.path().join(&occupied))?;
        assert_eq!(refused(atomically(&path, b"new")).0, Exit::CannotCreate);
        assert_eq!(fs::read(&path)?, b"old");
        assert_eq!(entries(folder.path())?, [occupied, "x.pdpb".to_owned()]);
        Ok(())
    }

    #[test]
    fn a_missing_folder_is_named() {
        let (exit, text) = refused(atomically(Path::new("no/such/folder/x.pdpb"), b"new"));
        assert_eq!(exit, Exit::CannotCreate);
        assert_eq!(
            text,
            "error: `no/such/folder/x.pdpb` cannot be written: its folder does not exist; create it first"
        );
    }

    #[test]
    fn a_folder_is_not_replaced() -> io::Result<()> {
        let folder = tempfile::tempdir()?;
        let (exit, text) = refused(atomically(folder.path(), b"new"));
        assert_eq!(exit, Exit::CannotCreate);
        assert!(text.contains("it is a folder"), "{text}");
        Ok(())
    }

    #[cfg(unix)]
    #[test]
    fn a_device_is_not_replaced() {
        let (exit, text) = refused(atomically(Path::new("/dev/null"), b"new"));
        assert_eq!(exit, Exit::CannotCreate);
        assert!(text.ends_with("it is not a regular file"), "{text}");
    }

    #[cfg(unix)]
    #[test]
    fn a_link_stays_a_link() -> io::Result<()> {
        let folder = tempfile::tempdir()?;
        let file = folder.path().join("real.pdpb");
        let link = folder.path().join("link.pdpb");
        fs::write(&file, "old")?;
        std::os::unix::fs::symlink(&file, &link)?;
        assert_eq!(refused(atomically(&link, b"new")).0, Exit::Ok);
        assert_eq!(fs::read(&file)?, b"new");
        assert!(fs::symlink_metadata(&link)?.is_symlink());
        Ok(())
    }
}
