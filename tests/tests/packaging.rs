//! What is in `packaging/`: each file reads, and names only flags, settings, metrics and paths that there are.
//!
//! Envoy's configuration and the client in Python are run by tests of their own. Images are not built and nothing is
//! sent to a cluster: neither is there to be had on every machine.
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "test code fails loudly"
)]

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use clap::{Args, Command, Parser};
use pdp_grpc::{LogConfig, LogTarget, ReloadMonitor};
use pdp_sidecar::{Launch, SettingsArgs};
use pdp_tests::served::{self, Served};
use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

#[derive(Debug, Parser)]
struct Sidecar {
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    settings: SettingsArgs,
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

fn text(name: &str) -> String {
    let path = root().join("packaging").join(name);
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// What a command line of the sidecar comes to, where files are those of a folder.
fn launch(args: &[&str]) -> Launch {
    let args = ["pdp-sidecar"].iter().chain(args);
    let cli = Sidecar::try_parse_from(args).unwrap_or_else(|error| panic!("{error}"));
    cli.settings.launch().unwrap_or_else(|failure| panic!("{failure}"))
}

/// The settings in a text.
fn settings(toml: &str) -> Launch {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("sidecar.toml");
    fs::write(&path, toml).unwrap();
    launch(&["--config", path.to_str().unwrap()])
}

/// Refuses flags that the sidecar does not have.
#[track_caller]
fn known_flags<'a>(words: impl IntoIterator<Item = &'a str>) {
    let command = SettingsArgs::augment_args(Command::new("pdp-sidecar"));
    let known: BTreeSet<String> =
        command.get_arguments().filter_map(|arg| arg.get_long()).map(str::to_owned).collect();
    for word in words {
        if let Some(flag) = word.strip_prefix("--") {
            let name = flag.split('=').next().unwrap();
            assert!(known.contains(name), "`--{name}` is no flag of the sidecar");
        }
    }
}

/// The documents of a file in YAML.
fn documents(name: &str) -> Vec<Value> {
    let text = text(name);
    let documents: Vec<Value> = text
        .split("\n---\n")
        .map(|document| {
            serde_saphyr::from_str(document).unwrap_or_else(|error| panic!("{name}: {error}"))
        })
        .collect();
    assert!(documents.iter().all(Value::is_object), "{name}");
    documents
}

#[test]
fn the_settings_are_ones_that_the_sidecar_takes() {
    let Launch { bundle, config, .. } = settings(&text("sidecar.toml"));
    assert_eq!(bundle, Path::new("/etc/pdp/bundle.pdpb"));
    assert_eq!(config.unix.unwrap().mode, 0o660);
    assert!(matches!(config.log.unwrap().target, LogTarget::File { .. }));
}

#[test]
fn the_unit_starts_what_there_is_and_waits_for_the_drain() {
    let unit = text("pdp-sidecar.service");
    let (mut section, mut entries) = ("", Vec::new());
    for line in unit.lines().map(str::trim).filter(|line| !line.is_empty()) {
        if line.starts_with('#') {
            continue;
        }
        match line.strip_prefix('[').and_then(|line| line.strip_suffix(']')) {
            Some(name) => section = name,
            None => {
                let (key, value) = line.split_once('=').unwrap_or_else(|| panic!("`{line}`"));
                entries.push((section, key, value));
            }
        }
    }
    let all = |wanted: &'static str| {
        entries.iter().filter(move |(_, key, _)| *key == wanted).map(|(_, _, value)| *value)
    };
    for command in all("ExecStart").chain(all("ExecStartPre")) {
        assert!(command.starts_with("/usr/local/bin/pdp-sidecar "), "{command}");
        assert!(command.contains("--config /etc/pdp/sidecar.toml"), "{command}");
        known_flags(command.split(' '));
    }
    assert!(all("ExecStart").count() == 1 && all("ExecStartPre").any(|it| it.contains("--check")));
    let limits = settings(&text("sidecar.toml")).config.limits;
    let wait: u32 = all("TimeoutStopSec").next().unwrap().parse().unwrap();
    assert!(wait * 1_000 > limits.drain_notice_ms + limits.drain_deadline_ms);
    let files: u32 = all("LimitNOFILE").next().unwrap().parse().unwrap();
    assert!(files > 2 * (limits.connections_max + limits.http_connections_max));
    // Folders of the settings are those that the unit makes.
    let made: Vec<&str> = all("RuntimeDirectory").chain(all("LogsDirectory")).collect();
    assert_eq!(made, ["pdp", "pdp"]);
    for (section, _, _) in &entries {
        assert!(["Unit", "Service", "Install"].contains(section), "[{section}]");
    }
}

#[test]
fn the_manifest_fits_the_settings_that_it_brings() {
    let documents = documents("kubernetes.yaml");
    let of = |kind: &str| documents.iter().find(|document| document["kind"] == kind).unwrap();
    let Launch { bundle, config, .. } =
        settings(of("ConfigMap")["data"]["sidecar.toml"].as_str().unwrap());
    let pod = &of("Deployment")["spec"]["template"]["spec"];
    let sidecar = &pod["initContainers"][0];
    assert_eq!(sidecar["restartPolicy"], "Always", "else it would be no sidecar");
    let args: Vec<&str> =
        sidecar["args"].as_array().unwrap().iter().filter_map(Value::as_str).collect();
    known_flags(args.iter().copied());
    let mounts: Vec<(&str, &str)> = sidecar["volumeMounts"]
        .as_array()
        .unwrap()
        .iter()
        .map(|mount| (mount["name"].as_str().unwrap(), mount["mountPath"].as_str().unwrap()))
        .collect();
    for path in [bundle.to_str().unwrap(), args[1]] {
        assert!(mounts.iter().any(|(_, folder)| path.starts_with(folder)), "{path}");
    }
    let volumes = pod["volumes"].as_array().unwrap();
    for (name, _) in mounts {
        assert!(volumes.iter().any(|volume| volume["name"] == name), "{name}");
    }
    let port = &sidecar["ports"][0];
    assert_eq!(port["containerPort"], config.admin.unwrap().port());
    for probe in ["startupProbe", "readinessProbe", "livenessProbe"] {
        let get = &sidecar[probe]["httpGet"];
        assert_eq!(get["port"], port["name"]);
        assert!(["/livez", "/readyz"].contains(&get["path"].as_str().unwrap()));
    }
    let grace = pod["terminationGracePeriodSeconds"].as_u64().unwrap() * 1_000;
    assert!(grace > u64::from(config.limits.drain_notice_ms + config.limits.drain_deadline_ms));
    let url = pod["containers"][0]["env"][0]["value"].as_str().unwrap();
    assert_eq!(url, format!("http://{}", config.address));
}

#[test]
fn the_image_is_made_of_what_there_is() {
    let file = text("Containerfile");
    let mut stages = 0;
    for line in file.lines().filter(|line| !line.is_empty() && !line.starts_with('#')) {
        let (word, rest) = line.split_once(' ').unwrap_or_else(|| panic!("`{line}`"));
        match word {
            "FROM" => stages += 1,
            "RUN" if rest.starts_with("cargo ") => {
                assert!(rest.contains("--locked") && rest.contains("-p pdp-sidecar"), "{rest}");
                let profile = rest.split("--profile ").nth(1).unwrap().split(' ').next().unwrap();
                let manifest = fs::read_to_string(root().join("Cargo.toml")).unwrap();
                assert!(manifest.contains(&format!("[profile.{profile}]")), "{profile}");
            }
            "COPY" if rest.contains("--from") => {
                assert!(rest.contains("/target/dist/pdp-sidecar "), "{rest}");
            }
            "CMD" | "ENTRYPOINT" => {
                let words: Vec<String> = serde_json::from_str(rest).unwrap();
                known_flags(words.iter().map(String::as_str));
            }
            "EXPOSE" => assert_eq!(rest, "8170 8171 8172"),
            "RUN" | "COPY" | "WORKDIR" | "USER" | "STOPSIGNAL" => {}
            other => panic!("`{other}` is not what such a file needs"),
        }
    }
    assert_eq!(stages, 2);
}

/// The names of all metrics of a server that has everything.
async fn metrics() -> BTreeSet<String> {
    let folder = tempfile::tempdir().unwrap();
    let log = LogConfig {
        target: LogTarget::File {
            path: folder.path().join("log"),
            file_bytes_max: 1 << 20,
            files_max: 1,
        },
        queue_bytes_max: 64 << 20,
        context: false,
        mask: Vec::new(),
    };
    let served = Served::start(served::bundle("routes"), pdp_core::Datetime(0), |config| {
        config.admin = Some(([127, 0, 0, 1], 0).into());
        config.log = Some(log);
        config.reload = Some(ReloadMonitor::default());
    });
    let mut stream = TcpStream::connect(served.admin.unwrap()).await.unwrap();
    let request = b"GET /metrics HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n";
    stream.write_all(request).await.unwrap();
    let mut page = String::new();
    stream.read_to_string(&mut page).await.unwrap();
    served.stop().await;
    let samples = page.lines().filter(|line| line.starts_with("pdp_"));
    samples.filter_map(|line| line.split(['{', ' ']).next()).map(str::to_owned).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn alerts_are_about_metrics_that_there_are() {
    let metrics = metrics().await;
    let rules = documents("alerts.yaml")[0]["groups"][0]["rules"].as_array().unwrap().clone();
    assert!(rules.len() >= 8, "{}", rules.len());
    let mut names = BTreeSet::new();
    for rule in &rules {
        let alert = rule["alert"].as_str().unwrap();
        assert!(names.insert(alert), "{alert} is there twice");
        let expression = rule["expr"].as_str().unwrap();
        let is_name = |c: char| c.is_ascii_alphanumeric() || c == '_';
        let about: Vec<&str> =
            expression.split(|c| !is_name(c)).filter(|word| word.starts_with("pdp_")).collect();
        assert!(!about.is_empty(), "{alert} is about nothing");
        for metric in about {
            assert!(metrics.contains(metric), "{alert}: there is no `{metric}`");
        }
        assert!(["critical", "warning"].contains(&rule["labels"]["severity"].as_str().unwrap()));
        for text in ["summary", "description"] {
            assert!(rule["annotations"][text].as_str().is_some_and(|text| !text.is_empty()));
        }
        let opened = expression.matches('(').count();
        assert_eq!(opened, expression.matches(')').count(), "{alert}");
    }
}
