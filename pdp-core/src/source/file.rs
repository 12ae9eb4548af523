//! A text as it was read: its name, its bytes, its lines. It refuses what is too large or not UTF-8.

use std::path::Path;
use std::sync::OnceLock;

use crate::codes::{self, Diagnostic, Report};
use crate::limits::SourceLimits;
use crate::lines::Lines;

/// A source file as it was read.
#[derive(Debug)]
pub(crate) struct TextFile {
    /// Relative to the folder.
    pub(crate) name: String,
    pub(crate) text: String,
    /// Found when somebody asks.
    lines: OnceLock<Lines>,
}

pub(super) static NO_FILE: TextFile =
    TextFile { name: String::new(), text: String::new(), lines: OnceLock::new() };

// === impl TextFile ===

impl TextFile {
    pub(super) fn new(name: &str, text: impl Into<String>) -> Self {
        Self { name: name.to_owned(), text: text.into(), lines: OnceLock::new() }
    }

    pub(super) fn read(folder: &Path, name: &str, limits: &SourceLimits) -> Result<Self, Report> {
        let refuse =
            |code, message: String| Err(Diagnostic::new(code, message).in_file(name).into());
        let path = folder.join(name);
        match std::fs::metadata(&path) {
            Ok(meta) if meta.len() > limits.file_bytes_max => refuse(
                codes::TOO_LARGE,
                format!("{} bytes are more than {}", meta.len(), limits.file_bytes_max),
            ),
            Ok(_) => match std::fs::read(&path).map(String::from_utf8) {
                Ok(Ok(text)) => Ok(Self::new(name, text)),
                Ok(Err(error)) => refuse(
                    codes::IO,
                    format!("the file is not UTF-8 at byte {}", error.utf8_error().valid_up_to()),
                ),
                Err(error) => refuse(codes::IO, format!("cannot read {}: {error}", path.display())),
            },
            Err(error) => refuse(codes::IO, format!("cannot read {}: {error}", path.display())),
        }
    }

    /// The line of a byte, counted from 1.
    pub(crate) fn line(&self, at: usize) -> usize {
        self.lines.get_or_init(|| Lines::new(&self.text)).of(at)
    }

    /// A finding about a byte range of this file.
    pub(super) fn mark(&self, item: Diagnostic, start: usize, end: usize) -> Diagnostic {
        item.in_file(&self.name).at_line(&self.text, self.line(start), start, end)
    }
}
