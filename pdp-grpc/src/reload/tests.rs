//! What a reloader does with paths that are not bundles, and when it looks again.
#![expect(clippy::unwrap_used, reason = "a test stops at the first surprise")]

use std::fs;
use std::sync::mpsc;

use super::*;

const SOON: Duration = Duration::from_secs(20);

#[test]
fn a_stamp_changes_with_content_name_and_target() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("b");
    let absent = Stamp::of(&path);
    fs::write(&path, "one").unwrap();
    let first = Stamp::of(&path);
    assert!(absent != first);
    assert!(!first.is_settled(), "a write just now could be followed by one that does not show");
    assert!(first == Stamp::of(&path));
    fs::write(&path, "longer").unwrap();
    let second = Stamp::of(&path);
    assert!(first != second);
    // The same bytes under another inode.
    fs::copy(&path, folder.path().join("c")).unwrap();
    fs::rename(folder.path().join("c"), &path).unwrap();
    assert!(second != Stamp::of(&path));
}

#[test]
fn what_cannot_be_read_is_told_once_and_counted() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x.pdpb");
    let live = Arc::new(Live::new(Decider::no_bundle()));
    let (told, heard) = mpsc::channel();
    let source = Box::new(BundleFile::new(&path, LoadLimits::STANDARD));
    let settings = ReloadSettings { poll_ms: 1, events: false };
    let reloader = Reloader::start(
        source,
        Arc::clone(&live),
        settings,
        ReloadMonitor::default(),
        move |event| {
            told.send(event).unwrap();
        },
    )
    .unwrap();
    let next = || match heard.recv_timeout(SOON).unwrap() {
        ReloadEvent::Kept(why) => why,
        other => unreachable!("{other:?}"),
    };
    let why = next();
    assert!(why.starts_with("`") && why.contains("x.pdpb` cannot be read: "), "{why}");
    // Written aside and renamed: half a file would be told as well.
    let aside = folder.path().join("aside");
    fs::write(&aside, "no bundle").unwrap();
    fs::rename(&aside, &path).unwrap();
    let why = next();
    assert!(why.ends_with("a bundle is a file written by `pdp build`"), "{why}");
    let status = reloader.status();
    assert_eq!((status.activated, status.error), (0, Some(why)));
    assert!(status.failed >= 2);
    assert!(live.snapshot().bundle().is_none());
    drop(reloader);
    assert!(heard.recv().is_err(), "each text is told once");
}
