//! What is decided over and over: the bundle's cases, or a file of recorded requests.
//!
//! Everything is read before the first measurement, and a line that is no request refuses the whole file: figures of
//! half a workload are no figures.

use std::fs::File;
use std::io::{self, BufRead, BufReader};
use std::path::Path;

use pdp_core::json::{Arena, read_request};
use pdp_core::{Bundle, Datetime, Request, RequestLimits};

use crate::exit::{Exit, Failure};
use crate::lines::Lines;
use crate::{load, question, render};

/// Requests with their names.
#[derive(Debug)]
pub(crate) struct Workload<'a> {
    /// `cases`, or the file's name.
    pub(crate) from: String,
    pub(crate) requests: Vec<Request<'a>>,
    names: Vec<String>,
    /// Over the texts of all requests, to tell workloads apart; no defence against forgery.
    pub(crate) hash: String,
}

const LIMITS: RequestLimits = RequestLimits::STANDARD;
/// More lines would only cost memory: a day of traffic says no more than a sample of it.
const REQUESTS_MAX: usize = 1_000_000;
/// Faulty lines that are shown one by one.
const SHOWN_MAX: usize = 10;

const FNV_OFFSET: u64 = 0xcbf2_9ce4_8422_2325;
const FNV_PRIME: u64 = 0x0000_0100_0000_01b3;

// === impl Workload ===

impl<'a> Workload<'a> {
    /// The bundle's own cases.
    pub(crate) fn of_cases(
        bundle: &Bundle,
        path: &Path,
        arena: &'a Arena,
    ) -> Result<Self, Failure> {
        let mut workload = Self::new("cases".to_owned());
        let mut hash = FNV_OFFSET;
        for case in bundle.cases() {
            // Requests borrow their texts, and outlive the bundle's hold on them.
            let text = arena.alloc_str(&case.request_json);
            let request = read_request(text, Some(bundle), arena, &LIMITS);
            let request = request.map_err(|error| {
                let name = render::shown(&case.name);
                Failure::new(Exit::Data, format!("case `{name}`: {error}"))
            })?;
            workload.requests.push(request);
            workload.names.push(case.name.clone());
            hash = fnv(hash, &case.request_json);
        }
        if workload.requests.is_empty() {
            let text = format!(
                "`{}` has no cases to measure; add some to `cases.toml`, or give `--requests FILE`",
                path.display()
            );
            return Err(Failure::new(Exit::Data, text));
        }
        workload.hash = format!("{hash:016x}");
        Ok(workload)
    }

    /// Recorded requests, one JSON object a line; `-` is standard input.
    pub(crate) fn of_file(file: &Path, bundle: &Bundle, arena: &'a Arena) -> Result<Self, Failure> {
        if file.as_os_str() == "-" {
            return Self::of_lines(io::stdin().lock(), "standard input", bundle, arena);
        }
        if file.is_dir() {
            let text = format!(
                "`{}` is a folder; `--requests` wants a file with one JSON object a line",
                file.display()
            );
            return Err(Failure::new(Exit::NoInput, text));
        }
        let from = File::open(file).map_err(|error| load::no_input(file, &error))?;
        Self::of_lines(BufReader::new(from), &file.display().to_string(), bundle, arena)
    }

    fn of_lines(
        from: impl BufRead,
        name: &str,
        bundle: &Bundle,
        arena: &'a Arena,
    ) -> Result<Self, Failure> {
        let mut workload = Self::new(name.to_owned());
        let (mut hash, mut refused) = (FNV_OFFSET, Vec::new());
        let mut refused_count: usize = 0;
        // One time for all that state none: the same question must get the same answer in every round.
        let now: Datetime = question::clock();
        let mut lines = Lines::new(from, LIMITS.request_bytes_max);
        let broken = |e: io::Error| Failure::new(Exit::Io, format!("{name} cannot be read: {e}"));
        while let Some((line, text)) = lines.next().map_err(broken)? {
            if workload.requests.len() == REQUESTS_MAX {
                let text = format!(
                    "{name} has more than {REQUESTS_MAX} requests; measure a part of it, for example `shuf -n 100000`"
                );
                return Err(Failure::new(Exit::Data, text));
            }
            let read = text.and_then(|text| {
                hash = fnv(hash, text);
                // The next line takes the place of this one, and requests borrow their texts.
                let text = arena.alloc_str(text);
                read_request(text, Some(bundle), arena, &LIMITS).map_err(|e| e.to_string())
            });
            match read {
                Ok(mut request) => {
                    request.now = request.now.or(Some(now));
                    workload.requests.push(request);
                    workload.names.push(format!("line {line}"));
                }
                Err(error) => {
                    refused_count += 1;
                    if refused.len() < SHOWN_MAX {
                        refused.push(format!("  line {line}: {}", render::shown(&error)));
                    }
                }
            }
        }
        if refused_count > 0 {
            let more = refused_count - refused.len();
            if more > 0 {
                refused.push(format!("  and {more} more"));
            }
            let text = format!(
                "{} of {name} cannot be used as requests; each line is one request as `pdp decide --requests` takes it:\n{}",
                render::count(refused_count, "line", "lines"),
                refused.join("\n")
            );
            return Err(Failure::new(Exit::Data, text));
        }
        if workload.requests.is_empty() {
            let text = format!("{name} holds no requests; give one JSON object a line");
            return Err(Failure::new(Exit::Data, text));
        }
        workload.hash = format!("{hash:016x}");
        Ok(workload)
    }

    fn new(from: String) -> Self {
        Self { from, requests: Vec::new(), names: Vec::new(), hash: String::new() }
    }

    /// What to call a request.
    pub(crate) fn name(&self, index: usize) -> &str {
        self.names.get(index).map_or("", String::as_str)
    }
}

/// One step of FNV-1a over a text and its end, so that two texts are not one.
fn fnv(hash: u64, text: &str) -> u64 {
    let step = |hash: u64, byte: u8| (hash ^ u64::from(byte)).wrapping_mul(FNV_PRIME);
    step(text.bytes().fold(hash, step), 0xff)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_hash_tells_workloads_apart() {
        // FNV-1a of `a` is published; the end mark comes on top.
        let published: u64 = 0xaf63_dc4c_8601_ec8c;
        assert_eq!(fnv(FNV_OFFSET, "a"), (published ^ 0xff).wrapping_mul(FNV_PRIME));
        let of = |texts: &[&str]| texts.iter().fold(FNV_OFFSET, |hash, text| fnv(hash, text));
        assert_ne!(of(&["ab", "c"]), of(&["a", "bc"]));
        assert_ne!(of(&["a", "b"]), of(&["b", "a"]));
    }
}
