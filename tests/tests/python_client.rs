//! A client in another language, with stubs generated from the protocol's definition: `packaging/client.py`.
#![expect(clippy::unwrap_used, reason = "test code fails loudly")]

use std::path::Path;
use std::process::{Command, Output};

use pdp_core::Datetime;
use pdp_tests::parts;
use pdp_tests::served::{self, Served};

/// 2026-06-01T12:00:00Z, when the cases take place.
const NOW: Datetime = Datetime(1_780_315_200_000);

/// Generates the stubs and asks.
fn ask(stubs: &Path, address: &str, names: [&str; 6]) -> Output {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let grpc = parts::python_grpc();
    let path = std::env::join_paths([&grpc, stubs]).unwrap();
    if !stubs.join("pdp").is_dir() {
        let out = stubs.display();
        let made = Command::new("python3")
            .env("PYTHONPATH", &path)
            .args(["-m", "grpc_tools.protoc", "-I"])
            .arg(root.join("pdp-grpc/proto"))
            .args([format!("--python_out={out}"), format!("--grpc_python_out={out}")])
            .arg("pdp/v1/authorization.proto")
            .output()
            .unwrap();
        assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    }
    let mut command = Command::new("python3");
    command.env("PYTHONPATH", &path).arg(root.join("packaging/client.py")).arg(address);
    command.args(names).output().unwrap()
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
