//! A client in another language, with stubs generated from the protocol's definition: `packaging/client.py`.
#![expect(clippy::unwrap_used, reason = "test code fails loudly")]

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use pdp_core::Datetime;
use pdp_tests::parts;
use pdp_tests::served::{self, Served};

/// 2026-06-01T12:00:00Z, when the cases take place.
const NOW: Datetime = Datetime(1_780_315_200_000);

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// Asks with the client.
fn ask(stubs: &Path, address: &str, names: [&str; 6]) -> Output {
    let client = root().join("packaging/client.py");
    python(stubs, &client).arg(address).args(names).output().unwrap()
}

/// A program that finds the stubs, which are generated for the first one.
fn python(stubs: &Path, program: &Path) -> Command {
    let grpc = parts::python_grpc();
    let path = std::env::join_paths([&grpc, stubs]).unwrap();
    if !stubs.join("pdp").is_dir() {
        let out = stubs.display();
        let made = Command::new("python3")
            .env("PYTHONPATH", &path)
            .args(["-m", "grpc_tools.protoc", "-I"])
            .arg(root().join("pdp-grpc/proto"))
            .args([format!("--python_out={out}"), format!("--grpc_python_out={out}")])
            .arg("pdp/v1/authorization.proto")
            .output()
            .unwrap();
        assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    }
    let mut command = Command::new("python3");
    command.env("PYTHONPATH", &path).arg(program);
    command
}

#[tokio::test(flavor = "multi_thread")]
async fn python_calls_every_method() {
    let served = Served::start(served::bundle("certification"), NOW, |_| {});
    let address = served.address.to_string();
    let folder = tempfile::tempdir().unwrap();
    let stubs = folder.path().to_owned();
    let called = tokio::task::spawn_blocking(move || {
        let program = root().join("tests/python/methods.py");
        python(&stubs, &program).arg(address).output().unwrap()
    });
    let output = called.await.unwrap();
    let expected = "authorize: allow permitted\n\
                    batch: allow permitted, deny not_permitted, failure 3\n\
                    stream: allow permitted, deny not_permitted\n\
                    filter: [0]\n";
    let error = String::from_utf8_lossy(&output.stderr);
    assert_eq!(String::from_utf8_lossy(&output.stdout), expected, "{error}");
    served.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn python_gets_the_answers_and_reads_no_allow_out_of_none() {
    let served = Served::start(served::bundle("certification"), NOW, |_| {});
    let address = served.address.to_string();
    let folder = tempfile::tempdir().unwrap();
    let stubs = folder.path().to_owned();
    let asking = address.clone();
    let asked = tokio::task::spawn_blocking(move || {
        for (names, code, says) in [
            (
                ["user", "alice", "Action", "write", "record", "record-1"],
                0,
                "allow permitted R2-owners-write-what-is-active\n",
            ),
            (["user", "bob", "Action", "write", "record", "record-1"], 1, "deny not_permitted\n"),
            (["user", "bob", "Action", "fly", "record", "record-1"], 1, "deny invalid_request\n"),
        ] {
            let output = ask(&stubs, &asking, names);
            let said = String::from_utf8_lossy(&output.stdout);
            let error = String::from_utf8_lossy(&output.stderr);
            assert_eq!((output.status.code(), &*said), (Some(code), says), "{error}");
        }
        let no_type = ask(&stubs, &asking, ["", "alice", "Action", "write", "record", "record-1"]);
        assert_eq!(no_type.status.code(), Some(2));
        let error = String::from_utf8_lossy(&no_type.stderr);
        assert!(error.contains("INVALID_ARGUMENT: `principal.type` is empty"), "{error}");
        stubs
    });
    let stubs = asked.await.unwrap();
    served.stop().await;
    let gone = tokio::task::spawn_blocking(move || {
        ask(&stubs, &address, ["user", "alice", "Action", "write", "record", "record-1"])
    });
    assert_eq!(gone.await.unwrap().status.code(), Some(2));
}
