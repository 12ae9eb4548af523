//! What it serves, what it says, and every refusal.

use std::fs;
use std::io::{BufRead, BufReader};
use std::process::Stdio;
use std::time::Duration;

use pdp_grpc::Client;

use crate::scene::{Scene, Sidecar, command};

fn evaluate(http: &str, user: &str) -> String {
    let body = format!(
        r#"{{"subject":{{"type":"user","id":"{user}"}},"action":{{"name":"read"}},"resource":{{"type":"record","id":"record-1"}}}}"#
    );
    let url = format!("http://{http}/access/v1/evaluation");
    let mut response =
        ureq::post(&url).header("Content-Type", "application/json").send(&body).unwrap();
    response.body_mut().read_to_string().unwrap()
}

#[test]
fn it_serves_a_file_takes_up_another_one_and_ends() {
    let scene = Scene::new();
    let mut sidecar =
        scene.start(&["c.pdpb", "--listen", "127.0.0.1:0", "--poll-ms=20", "--messages-json"]);
    let grpc = sidecar.address("grpc://");
    let http = sidecar.address("http://");
    let admin = sidecar.address("http://");
    assert!(evaluate(&http, "alice").starts_with(r#"{"decision":true"#));
    let ready = ureq::get(format!("http://{admin}/readyz")).call().unwrap();
    assert_eq!(ready.status(), 200);

    // What is no bundle changes nothing.
    fs::write(scene.path("c.pdpb"), "no bundle").unwrap();
    let told = sidecar.tells("cannot be served");
    assert!(told.starts_with('{') && told.contains(r#""level":"ERROR""#), "{told}");
    assert!(evaluate(&http, "alice").starts_with(r#"{"decision":true"#));
    let revised = |text: String| text.replace("revision = 1", "revision = 77");
    scene.write("certification", "c.pdpb", revised);
    sidecar.tells("now serving certification revision 77");
    assert!(evaluate(&http, "alice").starts_with(r#"{"decision":true"#));

    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let url = format!("http://{grpc}");
    let client = runtime.block_on(Client::connect(&url, Duration::from_secs(10)));
    assert!(client.is_ok(), "{client:?}");
    // A client that nobody polls would keep its connection until the drain is over.
    drop((client, runtime));
    assert_eq!(sidecar.stop(), Some(0));
}

#[test]
fn its_settings_come_from_file_environment_and_flags() {
    let scene = Scene::new();
    let settings =
        "bundle = 'c.pdpb'\nlisten = '127.0.0.1:0'\nhttp = 'off'\nlog = 'nowhere/else'\n";
    fs::write(scene.path("s.toml"), settings).unwrap();
    let mut child = command();
    child.args(["--config", "s.toml", "--json", "--log", "decisions.jsonl"]);
    child.env("PDP_ADMIN", "off").current_dir(scene.folder.path());
    let mut child = child.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut said = BufReader::new(child.stdout.take().unwrap()).lines();
    let told = BufReader::new(child.stderr.take().unwrap()).lines();
    let line = said.next().unwrap().unwrap();
    assert!(line.starts_with(r#"{"serving":"grpc://127.0.0.1:"#), "{line}");
    assert!(
        line.contains(r#""http":null,"admin":null,"bundle":{"name":"certification""#),
        "{line}"
    );
    assert!(scene.path("decisions.jsonl").exists());
    let mut sidecar = Sidecar { child, said, told };
    assert_eq!(sidecar.stop(), Some(0));
}

#[test]
fn check_says_that_all_is_well_or_all_that_is_not() {
    let scene = Scene::new();
    let well = scene.run(&["c.pdpb", "--check"]);
    assert_eq!(well.status.code(), Some(0), "{well:?}");
    let said = String::from_utf8(well.stdout).unwrap();
    assert!(said.starts_with("ok  settings, and certification revision 1 ("), "{said}");
    let ill = scene.run(&["c.pdpb", "--check", "--listen=0.0.0.0:1", "--limits=frame_bytes_max=1"]);
    assert_eq!(ill.status.code(), Some(64), "{ill:?}");
    let told = String::from_utf8(ill.stderr).unwrap();
    assert!(told.starts_with("error: 2 settings are wrong:\n- "), "{told}");
    let certificates = ["--tls-cert=no.pem", "--tls-key=no.key"];
    let ill = scene.run(&[&["c.pdpb", "--check"], certificates.as_slice()].concat());
    assert_eq!(ill.status.code(), Some(66), "{ill:?}");
}

#[test]
fn what_is_no_bundle_is_refused_with_what_to_do() {
    let scene = Scene::new();
    fs::write(scene.path("text"), "permit(principal, action, resource);").unwrap();
    let folder = scene.text("");
    let cases: [(&[&str], i32, &str); 5] = [
        (&["no.pdpb"], 66, "`no.pdpb` cannot be read"),
        (&["text"], 65, "a bundle is a file written by `pdp build`"),
        (&[&folder], 66, "it is not a regular file"),
        (&[], 64, "nothing says what to serve"),
        (&["c.pdpb", "--lisen", "x"], 64, "unexpected argument '--lisen'"),
    ];
    for (args, code, says) in cases {
        let ran = scene.run(args);
        let told = String::from_utf8(ran.stderr).unwrap();
        assert_eq!(
            (ran.status.code(), told.contains(says)),
            (Some(code), true),
            "{args:?}: {told}"
        );
        assert!(ran.stdout.is_empty(), "nothing is ready");
    }
}

#[test]
fn an_address_in_use_is_said() {
    let scene = Scene::new();
    let mut first =
        scene.start(&["c.pdpb", "--listen", "127.0.0.1:0", "--http=off", "--admin=off"]);
    let address = first.address("grpc://");
    let ran = scene.run(&["c.pdpb", "--listen", &address, "--http=off", "--admin=off"]);
    assert_eq!(ran.status.code(), Some(69), "{ran:?}");
    assert!(String::from_utf8(ran.stderr).unwrap().contains("the address is in use"));
}
