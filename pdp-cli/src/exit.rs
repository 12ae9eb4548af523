//! Every exit code of `pdp` with its meaning, and how a command that cannot go on says so.
//!
//! Scripts act on these numbers, so a number is never given a second meaning. 0 to 3 are answers; from 64 on
//! they follow `sysexits.h` and mean that there is no answer. Only this file knows the numbers; commands return an
//! [`Exit`] or a [`Failure`].

use std::io;
use std::process::ExitCode;

use pdp_core::Report;

use crate::render;

/// How a run of `pdp` ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Exit {
    /// Done; the answer is yes.
    Ok,
    /// Done; the answer is no.
    No,
    /// Done; the decision is deny.
    Denied,
    /// Done; slower than asked for.
    OverBudget,
    /// The command line is wrong.
    Usage,
    /// Input was read and refused.
    Data,
    /// Input could not be found or read.
    NoInput,
    /// The server did not answer.
    Unavailable,
    /// A fault of `pdp` itself.
    Internal,
    /// Output could not be created.
    CannotCreate,
    /// Reading or writing broke off.
    Io,
}

/// Why a command could not do its work.
#[derive(Debug)]
pub(crate) enum Failure {
    /// Nobody reads standard output any more. Nothing is said, and the exit code is not a success: an answer that
    /// was not delivered must not look like a good one.
    Closed,
    /// A folder was read and refused, with every finding.
    Refused(Report),
    /// Everything else, in one sentence for people.
    Told {
        /// The exit code.
        exit: Exit,
        /// Names what is wrong, where, and the remedy.
        text: String,
    },
}

// === impl Exit ===

impl Exit {
    /// All of them, in the order of their numbers.
    pub(crate) const ALL: [Exit; 11] = [
        Exit::Ok,
        Exit::No,
        Exit::Denied,
        Exit::OverBudget,
        Exit::Usage,
        Exit::Data,
        Exit::NoInput,
        Exit::Unavailable,
        Exit::Internal,
        Exit::CannotCreate,
        Exit::Io,
    ];

    /// The number the shell sees.
    pub(crate) const fn code(self) -> u8 {
        match self {
            Exit::Ok => 0,
            Exit::No => 1,
            Exit::Denied => 2,
            Exit::OverBudget => 3,
            Exit::Usage => 64,
            Exit::Data => 65,
            Exit::NoInput => 66,
            Exit::Unavailable => 69,
            Exit::Internal => 70,
            Exit::CannotCreate => 73,
            Exit::Io => 74,
        }
    }

    /// What the number means, for `--help`.
    pub(crate) const fn meaning(self) -> &'static str {
        match self {
            Exit::Ok => "done; for one decision: allow",
            Exit::No => {
                "done, and the answer is no: `check` found errors, a case failed, answers changed during `bench`"
            }
            Exit::Denied => "done; the one decision asked for is deny",
            Exit::OverBudget => "done; `bench` measured more than its `--budget` allows",
            Exit::Usage => "the command line is wrong",
            Exit::Data => {
                "input was read and refused: a policy, schema, entity, case, bundle or request"
            }
            Exit::NoInput => "input does not exist or cannot be opened",
            Exit::Unavailable => {
                "the server cannot be reached, refused the call, or the address cannot be served"
            }
            Exit::Internal => "a fault of pdp itself; please report it",
            Exit::CannotCreate => "output cannot be created, or something is there already",
            Exit::Io => "reading or writing broke off; also when standard output was closed early",
        }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        ExitCode::from(exit.code())
    }
}

// === impl Failure ===

impl Failure {
    /// A failure with its exit code and text.
    pub(crate) fn new(exit: Exit, text: impl Into<String>) -> Self {
        Self::Told { exit, text: text.into() }
    }

    /// What writing to standard output ran into.
    pub(crate) fn stdout(error: &io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::BrokenPipe => Self::Closed,
            _ => Self::new(Exit::Io, format!("standard output cannot be written: {error}")),
        }
    }

    /// The exit code.
    pub(crate) fn exit(&self) -> Exit {
        match self {
            Self::Closed => Exit::Io,
            Self::Refused(_) => Exit::Data,
            Self::Told { exit, .. } => *exit,
        }
    }

    /// What to print on standard error, without a final line break; nothing when nobody listens.
    pub(crate) fn text(&self) -> Option<String> {
        match self {
            Self::Closed => None,
            Self::Refused(report) => Some(render::report(report)),
            Self::Told { text, .. } => Some(format!("error: {text}")),
        }
    }
}

/// The last part of a command's `--help`: examples, then the exit codes that the command uses.
pub(crate) fn help(examples: &str, codes: &[(Exit, &str)]) -> String {
    let mut text = String::from("Examples:\n");
    for line in examples.lines() {
        text.push_str("  ");
        text.push_str(line);
        text.push('\n');
    }
    text.push_str("\nExit codes:\n");
    text.push_str(&table(codes));
    text.push_str("\n`pdp --help` lists the codes that every command shares.");
    text
}

/// The table of all exit codes, for `pdp --help`.
pub(crate) fn all_codes() -> String {
    let rows: Vec<(Exit, &str)> = Exit::ALL.iter().map(|exit| (*exit, exit.meaning())).collect();
    format!(
        "Exit codes:\n{}\nSet NO_COLOR to have no colours; there are none when output is not a terminal.",
        table(&rows)
    )
}

fn table(rows: &[(Exit, &str)]) -> String {
    rows.iter().map(|(exit, meaning)| format!("  {:>2}  {meaning}\n", exit.code())).collect()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn codes_are_distinct_and_in_order() {
        let codes: Vec<u8> = Exit::ALL.iter().map(|exit| exit.code()).collect();
        let sorted: Vec<u8> = codes.iter().copied().collect::<BTreeSet<_>>().into_iter().collect();
        assert_eq!(codes, sorted);
    }

    #[test]
    fn a_closed_pipe_is_quiet_and_no_success() {
        let failure = Failure::stdout(&io::Error::from(io::ErrorKind::BrokenPipe));
        assert!(failure.text().is_none());
        assert_eq!(failure.exit(), Exit::Io);
    }

    #[test]
    fn other_write_errors_are_told() {
        let failure = Failure::stdout(&io::Error::from(io::ErrorKind::StorageFull));
        assert_eq!(failure.exit(), Exit::Io);
        assert!(
            failure
                .text()
                .is_some_and(|text| text.starts_with("error: standard output cannot be written"))
        );
    }

    #[test]
    fn help_ends_with_the_codes_of_the_command() {
        let text = help("pdp x", &[(Exit::Ok, "fine"), (Exit::Data, "not fine")]);
        assert!(text.contains("  pdp x\n\nExit codes:\n   0  fine\n  65  not fine\n"), "{text}");
    }
}
