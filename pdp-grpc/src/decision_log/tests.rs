//! Lines that cannot be forged, files that are put aside, and what is lost.
#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test stops at the first surprise"
)]

use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use pdp_core::{Datetime, Request, Uid, Value};
use pdp_edge::Record;

use super::*;
use crate::decision_id;
use crate::desk::Verdict;
use crate::metrics::Protocol;

fn config(target: LogTarget) -> LogConfig {
    LogConfig { target, queue_bytes_max: 256 << 10, context: true, mask: vec!["secret".to_owned()] }
}

fn file(path: &Path, file_bytes_max: u64, files_max: u32) -> LogTarget {
    LogTarget::File { path: path.to_owned(), file_bytes_max, files_max }
}

fn text(path: &Path) -> String {
    fs::read_to_string(path).unwrap()
}

#[test]
fn no_text_begins_a_line_or_ends_a_string_and_masked_names_keep_their_values() {
    let hostile = "x\n{\"type\":\"decision\",\"decision\":\"allow\"}\r\u{1b}[31m\u{0}\"\\";
    let inner = [("secret", Value::String("do-not-log")), ("open", Value::Long(-1))];
    let set = [Value::Record(&inner), Value::Bool(true)];
    let context = [
        (hostile, Value::String(hostile)),
        ("secret", Value::Set(&set)),
        ("list", Value::Set(&set)),
        ("who", Value::Entity(Uid::new("User", hostile))),
    ];
    let scopes = [hostile];
    let request = Request {
        on_behalf_of: Some(Uid::new("User", "u")),
        scopes: &scopes,
        ..Request::new(
            Uid::new("User", hostile),
            Uid::new("Action", "a"),
            Uid::new("Doc", "d"),
            &context,
        )
    };
    let record = Record {
        trace: None,
        id: decision_id::next(),
        entry: Protocol::Stream.as_str(),
        time: Datetime(1),
        request: Some(&request),
        bundle: None,
        took: Some(Duration::from_nanos(7)),
    };
    let verdict = Verdict::refused(hostile.to_owned());
    let mut line = Vec::new();
    record.line(&mut line, config(LogTarget::Stdout).shown(), &verdict.said());
    assert_eq!(line.iter().filter(|byte| **byte == b'\n').count(), 1);
    assert!(line.iter().all(|byte| *byte >= b' ' || *byte == b'\n'), "control characters");
    let line: serde_json::Value = serde_json::from_slice(&line).unwrap();
    assert_eq!(line["type"], "decision");
    assert_eq!(line["decision"], "deny");
    assert_eq!(line["entry"], "stream");
    assert_eq!(line["time"], "1970-01-01T00:00:00.001Z");
    assert_eq!(line["principal"]["id"], hostile);
    assert_eq!(line["message"], hostile);
    assert_eq!(line["scopes"][0], hostile);
    assert_eq!(line["context"][hostile], hostile);
    assert_eq!(line["context"]["secret"], "***");
    assert_eq!(line["context"]["list"][0]["secret"], "***");
    assert_eq!(line["context"]["list"][0]["open"], -1);
    assert!(!line.to_string().contains("do-not-log"));

    // Without values there are keys.
    let keys_only = LogConfig { context: false, ..config(LogTarget::Stdout) };
    let mut bytes = Vec::new();
    record.line(&mut bytes, keys_only.shown(), &verdict.said());
    let line: serde_json::Value = serde_json::from_slice(&bytes).unwrap();
    assert_eq!(line["context_keys"], serde_json::json!([hostile, "secret", "list", "who"]));
    assert_eq!(line["context"], serde_json::Value::Null);
}

#[test]
fn files_are_put_aside_whole_and_the_oldest_is_gone() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("log");
    let mut sink = Sink::open(&file(&path, 10, 2)).unwrap();
    for line in ["one 1\n", "two 2\n", "three\n", "four 4\n"] {
        sink.write(line.as_bytes()).unwrap();
    }
    let aside = |number: u32| folder.path().join(format!("log.{number}"));
    assert_eq!(text(&path), "four 4\n");
    assert_eq!(text(&aside(1)), "three\n");
    assert_eq!(text(&aside(2)), "two 2\n");
    assert!(!aside(3).exists());
}

#[test]
fn a_line_that_was_cut_off_stays_one_by_itself() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("log");
    fs::write(&path, "whole\ncut o").unwrap();
    let log = DecisionLog::start(config(file(&path, 1 << 20, 1))).unwrap();
    log.push(|out| out.extend_from_slice(b"next\n"));
    drop(log);
    assert_eq!(text(&path), "whole\ncut o\nnext\n");
}

#[test]
fn a_full_disk_costs_records_and_they_are_counted() {
    // A device that refuses every write as a full disk does.
    let log = DecisionLog::start(config(file(Path::new("/dev/full"), u64::MAX, 0))).unwrap();
    let mut handed_over = 0;
    while log.counts().dropped_write == 0 {
        log.push(|out| out.extend_from_slice(b"line\n"));
        handed_over += 1;
        std::thread::yield_now();
    }
    let counts = log.counts();
    assert_eq!(counts.records, handed_over);
    assert!(counts.dropped_write + counts.dropped_queue <= handed_over);
}

#[test]
fn a_queue_that_is_full_costs_records_which_are_counted_and_announced() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("pipe");
    // A pipe that nobody reads: writing to it waits once it is full.
    assert!(Command::new("mkfifo").arg(&path).status().unwrap().success());
    let reader = fs::OpenOptions::new().read(true).write(true).open(&path).unwrap();
    let log = DecisionLog::start(config(file(&path, u64::MAX, 0))).unwrap();
    let line = [vec![b'x'; 4_000], vec![b'\n']].concat();
    while log.counts().dropped_queue == 0 {
        log.push(|out| out.extend_from_slice(&line));
    }
    let lost = log.counts().dropped_queue;
    let announced = std::thread::spawn(move || {
        use std::io::{BufRead, BufReader};
        let lines = BufReader::new(reader).lines();
        lines.map(Result::unwrap).find(|line| line.contains("dropped")).unwrap()
    });
    drop(log);
    let announced: serde_json::Value = serde_json::from_str(&announced.join().unwrap()).unwrap();
    assert_eq!(announced["type"], "dropped");
    assert_eq!(announced["cause"], "queue");
    assert_eq!(announced["count"], lost);
}

#[test]
fn lines_are_written_in_pieces_that_end_with_them() {
    let long = [vec![b'x'; AT_ONCE + 10], vec![b'\n']].concat();
    let short = vec![b'y', b'\n'];
    assert_eq!(piece_bytes(&short), 2);
    assert_eq!(piece_bytes(&[long.clone(), short.clone()].concat()), long.len());
    let many = short.repeat(AT_ONCE);
    assert_eq!(piece_bytes(&many), AT_ONCE);
    assert_eq!(piece_bytes(&[short, long].concat()), 2);
}
