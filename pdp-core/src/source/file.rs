//! A text as it was read: its name, its bytes, its lines. It refuses what is too large or not UTF-8.

use std::path::Path;
use std::sync::OnceLock;

use crate::codes::{self, Diagnostic, Report};
use crate::limits::SourceLimits;

/// A source file as it was read.
#[derive(Debug)]
pub(crate) struct TextFile {
    /// Relative to the folder.
    pub(crate) name: String,
    pub(crate) text: String,
    /// Where its lines end, once somebody asks: counting them for each of a hundred thousand places takes minutes.
    line_ends: OnceLock<Vec<usize>>,
}

pub(super) static NO_FILE: TextFile =
    TextFile { name: String::new(), text: String::new(), line_ends: OnceLock::new() };

// === impl TextFile ===

impl TextFile {
    pub(super) fn new(name: &str, text: impl Into<String>) -> Self {
        Self { name: name.to_owned(), text: text.into(), line_ends: OnceLock::new() }
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
        let ends = self.line_ends.get_or_init(|| {
            let bytes = self.text.bytes().enumerate();
            bytes.filter(|(_, byte)| *byte == b'\n').map(|(at, _)| at).collect()
        });
        ends.partition_point(|end| *end < at) + 1
    }

    /// A finding about a byte range of this file.
    pub(super) fn mark(&self, item: Diagnostic, start: usize, end: usize) -> Diagnostic {
        item.in_file(&self.name).at_line(&self.text, self.line(start), start, end)
    }
}
