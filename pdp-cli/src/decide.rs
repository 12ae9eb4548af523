//! `pdp decide`: one question, or a file of them, to a bundle here or to a running server.
//!
//! All questions of a run see the same bundle. A line that is no question gets an error in its place and the rest is
//! served; the exit code then says so. A single decision is the exit code, so that a script can act on it.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use clap::Args;
use pdp_core::json::{Arena, read_request};
use pdp_core::{
    Bundle, Datetime, DecideOptions, Decider, Effect, Explanation, OwnedAnswer, RequestLimits,
    Scratch,
};

use crate::exit::{self, Exit, Failure};
use crate::explain;
use crate::lines::Lines;
use crate::load;
use crate::question::{self, Question};
use crate::remote::{AskError, Remote, TlsFiles};
use crate::render::{self, Out};
use crate::shapes::{AnswerShape, ErrorLine};

/// Decide a request, and say why
///
/// PATH is a bundle folder or a built file. With --server the question goes to a running `pdp serve` instead; PATH is
/// then optional and only tells how to read the context (with a schema at hand, a plain string will do where it
/// wants a datetime, decimal, ipaddr or duration).
///
/// --requests takes one JSON object a line, and gives one JSON object a line:
///   {"principal": "T::\"id\"", "action": ..., "resource": ..., "context"?: {...}, "on_behalf_of"?: ...,
///    "actors"?: [...], "scopes"?: [...], "entities"?: [...], "now"?: "2026-06-01T12:00:00Z"}
/// A line that is no request gives {"line": N, "error": TEXT}, and the rest is served.
#[derive(Debug, Args)]
#[command(verbatim_doc_comment, override_usage = USAGE, after_long_help = exit::help(
    "pdp decide policies/documents --principal 'User::\"ann\"' --action 'Action::\"view\"' \\\n    \
     --resource 'Document::\"plan\"' --context '{\"mfa\": true}' --explain\n\
     pdp decide policies/documents --requests questions.jsonl\n\
     pdp decide --server http://127.0.0.1:8170 --principal ...\n\
     pdp decide --server https://pdp.example:8170 --ca ca.pem --cert me.pem --key me.key --principal ...",
    &[
        (Exit::Ok, "allow; with --requests: every line was answered, whatever the answers are"),
        (Exit::Denied, "deny"),
        (Exit::Usage, "a flag is wrong; also a uid or a time in one"),
        (Exit::Data, "the bundle or a request cannot be used; with --requests: at least one line cannot"),
        (Exit::NoInput, "a file does not exist or cannot be read"),
        (Exit::Unavailable, "the server did not answer, or does not answer this caller"),
    ],
))]
pub(crate) struct DecideArgs {
    /// Bundle folder, or file written by `pdp build`
    #[arg(value_name = "PATH", required_unless_present = "server")]
    path: Option<PathBuf>,
    #[command(flatten)]
    question: Question,
    /// The time of the request, in place of this machine's clock; a line's own `now` comes first
    #[arg(long, value_name = "TIME", value_parser = question::datetime, conflicts_with = "server")]
    now: Option<Datetime>,
    /// Requests as JSON, one a line; - for standard input
    #[arg(long, value_name = "FILE", conflicts_with_all = question::FLAGS)]
    requests: Option<PathBuf>,
    /// Show determining policies with their text, and what the nearest permits lacked
    #[arg(long, conflicts_with = "server")]
    explain: bool,
    /// Ask a running server, for example http://127.0.0.1:8170, https://pdp.example:8170 or unix:///run/pdp.sock
    #[arg(long, value_name = "URL")]
    server: Option<String>,
    /// Authorities of the server's certificate, a PEM file; needed for https
    #[arg(long, value_name = "FILE", requires = "server")]
    ca: Option<PathBuf>,
    /// Our certificate, a PEM file, where the server asks for one
    #[arg(long, value_name = "FILE", requires_all = ["ca", "key"])]
    cert: Option<PathBuf>,
    /// The key of --cert, a PEM file
    #[arg(long, value_name = "FILE", requires = "cert")]
    key: Option<PathBuf>,
}

/// Who answers.
enum Judge {
    /// A bundle in this process.
    Here { decider: Decider, scratch: Box<Scratch>, explain: bool },
    /// A server; a bundle, if there is one, tells how to read requests.
    There { remote: Box<Remote>, bundle: Option<Arc<Bundle>> },
}

/// An answer, and why if that was asked.
struct Reply {
    answer: OwnedAnswer,
    explanation: Option<Explanation>,
}

const USAGE: &str = "\
pdp decide PATH --principal UID --action UID --resource UID [OPTIONS]
       pdp decide PATH --requests FILE [OPTIONS]
       pdp decide --server URL ... [OPTIONS]";

const OPTIONS: DecideOptions = DecideOptions::STANDARD;
const LIMITS: RequestLimits = RequestLimits::STANDARD;

/// Runs the command.
pub(crate) fn run(args: &DecideArgs, out: &mut Out) -> Result<Exit, Failure> {
    // The question first: what is wrong with a flag should not wait for a large bundle.
    let single = match &args.requests {
        None => Some(args.question.to_json()?),
        Some(_) => None,
    };
    let mut judge = Judge::new(args)?;
    match (single, &args.requests) {
        (Some(text), _) => one(&mut judge, &text, args.now, out),
        (None, Some(file)) if file.as_os_str() == "-" => {
            many(&mut judge, io::stdin().lock(), "standard input", args.now, out)
        }
        (None, Some(file)) => {
            many(&mut judge, open(file)?, &file.display().to_string(), args.now, out)
        }
        (None, None) => {
            Err(Failure::new(Exit::Usage, "no question was asked; see `pdp decide --help`"))
        }
    }
}

fn one(
    judge: &mut Judge,
    text: &str,
    now: Option<Datetime>,
    out: &mut Out,
) -> Result<Exit, Failure> {
    let reply = judge.ask(text, now).map_err(|error| match error {
        AskError::Request(why) => {
            Failure::new(Exit::Data, format!("the request cannot be used: {why}"))
        }
        AskError::Server(failure) => failure,
    })?;
    if out.json() {
        reply.shape(out)?;
    } else {
        let paint = out.paint();
        out.text(&render::answer(&reply.answer, paint))?;
        if let Some(explanation) = &reply.explanation {
            out.text(&explain::text(explanation, paint))?;
        }
    }
    Ok(match reply.answer.effect {
        Effect::Allow => Exit::Ok,
        Effect::Deny => Exit::Denied,
    })
}

fn many(
    judge: &mut Judge,
    from: impl BufRead,
    name: &str,
    now: Option<Datetime>,
    out: &mut Out,
) -> Result<Exit, Failure> {
    let mut lines = Lines::new(from, LIMITS.request_bytes_max);
    let broken =
        |error: io::Error| Failure::new(Exit::Io, format!("{name} cannot be read: {error}"));
    let (mut all, mut refused) = (0, 0);
    while let Some((line, text)) = lines.next().map_err(broken)? {
        all += 1;
        match text.map_err(AskError::Request).and_then(|text| judge.ask(text, now)) {
            Ok(reply) => reply.shape(out)?,
            Err(AskError::Request(error)) => {
                refused += 1;
                out.shape(&ErrorLine { line: Some(line), error: &error })?;
            }
            // Without a server there is no use in asking on.
            Err(AskError::Server(failure)) => {
                out.flush()?;
                return Err(failure);
            }
        }
        // Whoever sends lines one by one waits for each answer.
        out.flush()?;
    }
    if refused == 0 {
        return Ok(Exit::Ok);
    }
    // Beside the answers, which say it too.
    let _ = writeln!(
        io::stderr(),
        "error: {refused} of {} in {name} cannot be used as requests; their place holds an error",
        render::count(all, "line", "lines")
    );
    Ok(Exit::Data)
}

fn open(path: &Path) -> Result<BufReader<File>, Failure> {
    if path.is_dir() {
        let text = format!(
            "`{}` is a folder; `--requests` wants a file with one JSON object a line",
            path.display()
        );
        return Err(Failure::new(Exit::NoInput, text));
    }
    File::open(path).map(BufReader::new).map_err(|error| load::no_input(path, &error))
}

// === impl Judge ===

impl Judge {
    fn new(args: &DecideArgs) -> Result<Self, Failure> {
        let bundle = args.path.as_deref().map(load::load).transpose()?.map(|loaded| loaded.bundle);
        match (&args.server, bundle) {
            (Some(server), bundle) => {
                let identity = args.cert.clone().zip(args.key.clone());
                let remote = Remote::connect(server, TlsFiles { ca: args.ca.clone(), identity })?;
                Ok(Self::There { remote: Box::new(remote), bundle })
            }
            (None, Some(bundle)) => Ok(Self::Here {
                decider: Decider::new(bundle),
                scratch: Box::new(Scratch::new()),
                explain: args.explain,
            }),
            (None, None) => Err(Failure::new(Exit::Usage, "PATH or `--server` is needed")),
        }
    }

    /// Asks one question. `now` is the time for questions that do not state one.
    fn ask(&mut self, text: &str, now: Option<Datetime>) -> Result<Reply, AskError> {
        let arena = Arena::new();
        let unreadable = |error: pdp_core::json::JsonError| AskError::Request(error.to_string());
        match self {
            Self::Here { decider, scratch, explain } => {
                let bundle = decider.bundle().map(AsRef::as_ref);
                let mut request =
                    read_request(text, bundle, &arena, &LIMITS).map_err(unreadable)?;
                request.now = request.now.or(now).or_else(|| Some(question::clock()));
                if *explain {
                    let explanation = decider.explain(scratch, &request, &OPTIONS);
                    return Ok(Reply {
                        answer: explanation.answer.clone(),
                        explanation: Some(explanation),
                    });
                }
                let answer = decider.decide_with(scratch, &request, &OPTIONS).to_owned();
                Ok(Reply { answer, explanation: None })
            }
            Self::There { remote, bundle } => {
                let request =
                    read_request(text, bundle.as_deref(), &arena, &LIMITS).map_err(unreadable)?;
                if request.now.is_some() {
                    let why = "`now` is stated, but a server goes by its own clock; leave it out";
                    return Err(AskError::Request(why.to_owned()));
                }
                Ok(Reply { answer: remote.ask(&request)?, explanation: None })
            }
        }
    }
}

// === impl Reply ===

impl Reply {
    fn shape(&self, out: &mut Out) -> Result<(), Failure> {
        match &self.explanation {
            Some(explanation) => out.shape(&AnswerShape::explained(&self.answer, explanation)),
            None => out.shape(&AnswerShape::new(&self.answer)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::render::tests::Captured;

    fn here() -> Judge {
        Judge::Here {
            decider: Decider::no_bundle(),
            scratch: Box::new(Scratch::new()),
            explain: false,
        }
    }

    #[test]
    fn lines_that_are_no_requests_are_named_and_the_rest_is_served() {
        let captured = Captured::default();
        let long = "x".repeat(LIMITS.request_bytes_max + 1);
        let input = format!("{{]\n{long}\n\n");
        let exit =
            many(&mut here(), input.as_bytes(), "questions.jsonl", None, &mut captured.out(false));
        assert!(matches!(exit, Ok(Exit::Data)), "{exit:?}");
        let lines = captured.lines();
        assert_eq!(lines.len(), 3);
        for (n, line) in lines.iter().enumerate() {
            assert!(line.starts_with(&format!("{{\"line\":{},\"error\":\"", n + 1)), "{line}");
        }
        assert!(
            lines.get(1).is_some_and(|line| line.contains("longer than 1048576 bytes")),
            "{lines:?}"
        );
    }

    #[test]
    fn no_lines_are_all_answered() {
        let captured = Captured::default();
        let exit = many(&mut here(), &b""[..], "x", None, &mut captured.out(false));
        assert!(matches!(exit, Ok(Exit::Ok)), "{exit:?}");
        assert!(captured.lines().is_empty());
    }

    #[test]
    fn a_folder_is_no_file_of_requests() {
        let refused = open(Path::new("/")).err().map(|failure| failure.exit());
        assert_eq!(refused, Some(Exit::NoInput));
    }
}
