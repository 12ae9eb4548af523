//! What is served changes while it is asked: no request fails, none sees two revisions, and what is bad changes nothing.
#![expect(clippy::unwrap_used, clippy::panic, reason = "test code fails loudly")]

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{self, Receiver};
use std::time::Duration;

use pdp_core::{Bundle, Datetime, LoadLimits};
use pdp_grpc::pb::authorization_client::AuthorizationClient;
use pdp_grpc::{BundleFile, ReloadEvent, ReloadMonitor, ReloadSettings, Reloader, pb};
use pdp_tests::desk;
use pdp_tests::served::Served;
use tonic::transport::{Channel, Endpoint};

const SOON: Duration = Duration::from_secs(60);
const RELOADS: u64 = 1_000;

/// A bundle whose halves must agree: a permit that names the revision, and an entity that has it. Were one revision's
/// policies asked about another's entities, every question would be denied; and the answer says which policy permitted.
fn canary(revision: u64) -> Vec<u8> {
    let manifest = format!("name = \"canary\"\nrevision = {revision}\n");
    let policy = format!(
        "@id(\"canary-{revision}\") permit(principal, action, resource) when {{ resource.half == {revision} }};"
    );
    let entities = format!(
        r#"[{{"uid": {{"type": "D", "id": "d"}}, "attrs": {{"half": {revision}}}, "parents": []}}]"#
    );
    let cases = "[[case]]\nname = \"halves agree\"\nprincipal = 'U::\"u\"'\naction = 'Action::\"a\"'\nresource = 'D::\"d\"'\nexpect = \"allow\"\n";
    let files = [
        ("bundle.toml", manifest.as_str()),
        ("p.cedar", &policy),
        ("entities/e.json", &entities),
        ("cases.toml", cases),
    ];
    desk::compile(&files).unwrap()
}

fn question() -> pb::AuthorizeRequest {
    let name = |entity_type: &str, id: &str| {
        Some(pb::EntityUid { r#type: entity_type.to_owned(), id: id.to_owned() })
    };
    pb::AuthorizeRequest {
        principal: name("U", "u"),
        action: name("Action", "a"),
        resource: name("D", "d"),
        ..pb::AuthorizeRequest::default()
    }
}

/// A served file with the first canary in it, and the events of its reloader.
struct Watched {
    folder: tempfile::TempDir,
    served: Served,
    reloader: Reloader,
    events: Receiver<ReloadEvent>,
}

impl Watched {
    fn start(name: &str, settings: ReloadSettings, prepare: impl FnOnce(&Path)) -> Self {
        let folder = tempfile::tempdir().unwrap();
        prepare(folder.path());
        let bundle = Bundle::load(&canary(1), &LoadLimits::STANDARD).unwrap();
        let served = Served::start(Arc::new(bundle), Datetime(0), |_| {});
        let (told, events) = mpsc::channel();
        let source = BundleFile::new(folder.path().join(name), LoadLimits::STANDARD);
        let live = Arc::clone(&served.live);
        let reloader = Reloader::start(
            Box::new(source),
            live,
            settings,
            ReloadMonitor::default(),
            move |event| {
                let _ = told.send(event);
            },
        );
        Self { folder, served, reloader: reloader.unwrap(), events }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn activated(&self) -> u64 {
        match self.events.recv_timeout(SOON).unwrap() {
            ReloadEvent::Activated(name) => name.revision,
            ReloadEvent::Kept(why) => panic!("{why}"),
        }
    }

    fn kept(&self) -> String {
        match self.events.recv_timeout(SOON).unwrap() {
            ReloadEvent::Kept(why) => why,
            ReloadEvent::Activated(name) => panic!("{name:?}"),
        }
    }

    fn revision(&self) -> u64 {
        self.served.live.snapshot().bundle().unwrap().revision()
    }
}

async fn bare(served: &Served) -> AuthorizationClient<Channel> {
    let channel = Endpoint::from_shared(served.url()).unwrap().connect().await.unwrap();
    AuthorizationClient::new(channel)
}

/// Puts a file in place as `pdp build` does.
fn replace(folder: &Path, name: &str, bytes: &[u8]) {
    let aside = folder.join("aside");
    fs::write(&aside, bytes).unwrap();
    fs::rename(aside, folder.join(name)).unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_thousand_reloads_under_load_fail_no_request_and_mix_no_revisions() {
    let settings = ReloadSettings { poll_ms: 50, events: true };
    let watched =
        Watched::start("b.pdpb", settings, |folder| replace(folder, "b.pdpb", &canary(1)));
    let done = Arc::new(AtomicBool::new(false));
    let asking = |done: Arc<AtomicBool>, mut bare: AuthorizationClient<Channel>| async move {
        let (mut answers, mut revisions) = (0_u64, 0_u64);
        let mut last = 0;
        while !done.load(Ordering::Relaxed) {
            let answer = bare.authorize(question()).await.unwrap().into_inner();
            let revision = answer.bundle.unwrap().revision;
            assert_eq!(answer.policies, [format!("canary-{revision}")], "{}", answer.reason);
            let requests = vec![question(); 8];
            let batch = bare.authorize_batch(pb::AuthorizeBatchRequest { requests }).await.unwrap();
            let batch = batch.into_inner();
            let expected = [format!("canary-{}", batch.bundle.unwrap().revision)];
            for result in batch.results {
                match result.result {
                    Some(pb::authorize_result::Result::Answer(answer)) => {
                        assert_eq!(answer.policies, expected);
                    }
                    other => panic!("{other:?}"),
                }
            }
            answers += 9;
            revisions += u64::from(revision != last);
            assert!(revision >= last, "revision {revision} after {last}");
            last = revision;
        }
        (answers, revisions)
    };
    let mut clients = Vec::new();
    for _ in 0..3 {
        clients.push(tokio::spawn(asking(Arc::clone(&done), bare(&watched.served).await)));
    }
    let (watched, seen) = tokio::task::spawn_blocking(move || {
        let mut seen = 0;
        for revision in 2..2 + RELOADS {
            replace(watched.folder.path(), "b.pdpb", &canary(revision));
            assert_eq!(watched.activated(), revision);
            seen += 1;
        }
        (watched, seen)
    })
    .await
    .unwrap();
    done.store(true, Ordering::Relaxed);
    let (mut answers, mut revisions) = (0, 0);
    for client in clients {
        let (a, r) = client.await.unwrap();
        answers += a;
        revisions += r;
    }
    assert_eq!((seen, watched.reloader.status().activated), (RELOADS, RELOADS));
    // They must have been asked during the swaps, or it shows nothing.
    assert!(
        answers > RELOADS && revisions > RELOADS / 4,
        "{answers} answers, {revisions} revisions"
    );
    assert_eq!(watched.served.live.collect(), 0, "every replaced bundle is freed");
}

#[tokio::test]
async fn a_change_is_seen_without_events_however_it_is_made() {
    let settings = ReloadSettings { poll_ms: 1, events: false };
    // As Kubernetes mounts: the file is a link into a folder that is a link, and that link is swapped.
    let watched = Watched::start("b.pdpb", settings, |folder| {
        fs::create_dir(folder.join("..1")).unwrap();
        fs::write(folder.join("..1/b.pdpb"), canary(1)).unwrap();
        symlink("..1", folder.join("..data")).unwrap();
        symlink("..data/b.pdpb", folder.join("b.pdpb")).unwrap();
    });
    fs::create_dir(watched.path("..2")).unwrap();
    fs::write(watched.path("..2/b.pdpb"), canary(2)).unwrap();
    symlink("..2", watched.path("..data_tmp")).unwrap();
    fs::rename(watched.path("..data_tmp"), watched.path("..data")).unwrap();
    assert_eq!(watched.activated(), 2);
    // By rename over the link.
    replace(watched.folder.path(), "b.pdpb", &canary(3));
    assert_eq!(watched.activated(), 3);
    // In place: between the two halves there is no bundle, which is told or not, as it happens to be seen.
    fs::write(watched.path("b.pdpb"), canary(4)).unwrap();
    let seen = loop {
        match watched.events.recv_timeout(SOON).unwrap() {
            ReloadEvent::Activated(name) => break name.revision,
            ReloadEvent::Kept(_) => {}
        }
    };
    assert_eq!(seen, 4);
}

#[tokio::test]
async fn what_is_bad_keeps_the_good_one_and_says_why() {
    let settings = ReloadSettings { poll_ms: 1, events: true };
    let watched =
        Watched::start("b.pdpb", settings, |folder| replace(folder, "b.pdpb", &canary(1)));
    let good = canary(2);
    let mut damaged = good.clone();
    *damaged.last_mut().unwrap() ^= 1;
    let cut = good.split_last().unwrap().1;
    let failing = {
        let manifest = "name = \"canary\"\nrevision = 3\n";
        let cases = "[[case]]\nname = \"never\"\nprincipal = 'U::\"u\"'\naction = 'Action::\"a\"'\nresource = 'D::\"d\"'\nexpect = \"allow\"\n";
        desk::compile(&[
            ("bundle.toml", manifest),
            ("p.cedar", "forbid(principal, action, resource);"),
            ("cases.toml", cases),
        ])
        .unwrap()
    };
    for (bytes, says) in [
        (&*damaged, "cannot be used"),
        (cut, "cannot be used"),
        (b"permit(principal, action, resource);", "a bundle is a file written by `pdp build`"),
        (&*failing, "1 of its 1 cases fail; `never`: "),
    ] {
        replace(watched.folder.path(), "b.pdpb", bytes);
        let why = watched.kept();
        assert!(why.contains(says), "{why}");
        assert_eq!(watched.reloader.status().error, Some(why));
        assert_eq!(watched.revision(), 1);
    }
    fs::remove_file(watched.path("b.pdpb")).unwrap();
    assert!(watched.kept().contains("cannot be read"));
    let answer = bare(&watched.served).await.authorize(question()).await.unwrap().into_inner();
    assert_eq!(answer.policies, ["canary-1"]);

    replace(watched.folder.path(), "b.pdpb", &good);
    assert_eq!(watched.activated(), 2);
    assert_eq!(watched.reloader.status().error, None);
}
