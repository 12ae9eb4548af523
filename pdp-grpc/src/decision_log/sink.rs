//! Where lines end up: standard output, or a file that is put aside when it is large enough.
//!
//! A write either leaves whole lines or nothing: what a full disk cut off is taken away again. It does not wait for the
//! disk to have it (`fsync`): this log may lose its end with the machine.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use super::LogTarget;

/// An open target.
#[derive(Debug)]
pub(super) enum Sink {
    Stdout,
    File(Rotated),
}

#[derive(Debug)]
pub(super) struct Rotated {
    path: PathBuf,
    bytes_max: u64,
    files_max: u32,
    /// `None` after what went wrong; the next write opens it anew.
    open: Option<(File, u64)>,
}

// === impl Sink ===

impl Sink {
    pub(super) fn open(target: &LogTarget) -> io::Result<Self> {
        match target {
            LogTarget::Stdout => Ok(Self::Stdout),
            LogTarget::File { path, file_bytes_max, files_max } => {
                let open = Some(append(path)?);
                let (path, bytes_max, files_max) = (path.clone(), *file_bytes_max, *files_max);
                Ok(Self::File(Rotated { path, bytes_max, files_max, open }))
            }
        }
    }

    /// Writes whole lines.
    pub(super) fn write(&mut self, lines: &[u8]) -> io::Result<()> {
        match self {
            Sink::Stdout => {
                let mut stdout = io::stdout().lock();
                stdout.write_all(lines)?;
                stdout.flush()
            }
            Sink::File(file) => file.write(lines),
        }
    }
}

/// Opens a file at its end. A line that was cut off there, with the process that wrote it, gets its end first.
fn append(path: &Path) -> io::Result<(File, u64)> {
    let mut file = OpenOptions::new().create(true).append(true).read(true).open(path)?;
    let mut length = file.metadata()?.len();
    if length > 0 {
        let mut last = [0];
        file.seek(SeekFrom::End(-1))?;
        file.read_exact(&mut last)?;
        if last != *b"\n" {
            file.write_all(b"\n")?;
            length += 1;
        }
    }
    Ok((file, length))
}

// === impl Rotated ===

impl Rotated {
    fn write(&mut self, lines: &[u8]) -> io::Result<()> {
        let (file, length) = match self.open.take() {
            Some(open) => open,
            None => append(&self.path)?,
        };
        let added = u64::try_from(lines.len()).unwrap_or(u64::MAX);
        if length > 0 && length.saturating_add(added) > self.bytes_max {
            self.put_aside()?;
            let (new, length) = append(&self.path)?;
            return self.add(new, length, lines);
        }
        self.add(file, length, lines)
    }

    fn add(&mut self, mut file: File, length: u64, lines: &[u8]) -> io::Result<()> {
        if let Err(error) = file.write_all(lines) {
            // Half a line would run into the next one.
            file.set_len(length)?;
            self.open = Some((file, length));
            return Err(error);
        }
        let added = u64::try_from(lines.len()).unwrap_or(u64::MAX);
        self.open = Some((file, length.saturating_add(added)));
        Ok(())
    }

    /// `PATH.2` becomes `PATH.3`, `PATH.1` becomes `PATH.2`, `PATH` becomes `PATH.1`; the last one is gone.
    fn put_aside(&self) -> io::Result<()> {
        if self.files_max == 0 {
            return fs::remove_file(&self.path);
        }
        for number in (1..self.files_max).rev() {
            let (from, to) = (self.aside(number), self.aside(number + 1));
            match fs::rename(from, to) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                _ => {}
            }
        }
        fs::rename(&self.path, self.aside(1))
    }

    fn aside(&self, number: u32) -> PathBuf {
        let mut name = self.path.clone().into_os_string();
        name.push(format!(".{number}"));
        name.into()
    }
}
