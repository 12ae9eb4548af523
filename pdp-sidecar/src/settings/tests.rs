//! Settings from three layers: who wins, and every mistake with the words that its maker reads.

use std::fs;
use std::path::PathBuf;

use clap::Parser;
use pdp_grpc::{Limits, LogTarget, Name, UnixSocket, Who, Whom};
use serde::Deserialize;

use super::{Launch, SettingsArgs};

#[derive(Debug, Parser)]
struct Cli {
    #[command(flatten)]
    settings: SettingsArgs,
}

/// A mistake, and parts of what is said about it.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Mistake {
    name: String,
    file: String,
    env: Vec<String>,
    flags: Vec<String>,
    says: Vec<String>,
    /// How many problems are told; 1 unless said.
    problems: Option<usize>,
}

#[derive(Debug, Deserialize)]
struct Mistakes {
    mistake: Vec<Mistake>,
}

fn launch(file: &str, env: &[String], flags: &[String]) -> Result<Launch, String> {
    let folder = tempfile::tempdir().map_err(|error| error.to_string())?;
    let path = folder.path().join("sidecar.toml");
    fs::write(&path, file).map_err(|error| error.to_string())?;
    let mut args = vec!["test".to_owned()];
    args.extend_from_slice(flags);
    let has_config = flags.iter().any(|flag| flag.starts_with("--config"));
    if !file.is_empty() && !has_config {
        args.push(format!("--config={}", path.display()));
    }
    let cli = Cli::try_parse_from(args).map_err(|error| error.to_string())?;
    let env = env.iter().filter_map(|pair| pair.split_once('='));
    let env = env.map(|(name, value)| (name.to_owned(), value.to_owned()));
    let launched = cli.settings.launch_in(env).map_err(|failure| failure.text);
    launched.map_err(|text| text.replace(&folder.path().display().to_string(), "DIR"))
}

fn texts(texts: &[&str]) -> Vec<String> {
    texts.iter().map(|text| (*text).to_owned()).collect()
}

#[test]
fn every_mistake_is_told_with_its_place_and_its_remedy() {
    let text = include_str!("tests/mistakes.toml");
    let mistakes: Mistakes = toml::from_str(text).unwrap_or(Mistakes { mistake: Vec::new() });
    assert!(mistakes.mistake.len() >= 90, "{} mistakes were read", mistakes.mistake.len());
    let mut wrong = String::new();
    for Mistake { name, file, env, flags, says, problems } in mistakes.mistake {
        let told = match launch(&file, &env, &flags) {
            Ok(launch) => {
                wrong.push_str(&format!("{name}: accepted as {launch:?}\n"));
                continue;
            }
            Err(told) => told,
        };
        for part in &says {
            if !told.contains(part) {
                wrong.push_str(&format!("{name}: does not say `{part}` but\n{told}\n"));
            }
        }
        let count = told.lines().filter(|line| line.starts_with("- ")).count().max(1);
        if count != problems.unwrap_or(1) || says.is_empty() {
            wrong.push_str(&format!("{name}: {count} problems are told:\n{told}\n"));
        }
    }
    assert!(wrong.is_empty(), "{wrong}");
}

#[test]
fn a_flag_wins_over_the_environment_and_that_over_the_file() {
    let file = "bundle = 'f'\nlisten = '127.0.0.1:1'\nhttp = '127.0.0.1:2'\nadmin = '127.0.0.1:3'\nexplain = true";
    let env = texts(&["PDP_HTTP=127.0.0.1:22", "PDP_ADMIN=127.0.0.1:33", "PDP_EXPLAIN=false"]);
    let all = launch(file, &env, &texts(&["--admin", "127.0.0.1:333", "--explain"]));
    let all = all.map(|Launch { bundle, config, .. }| {
        let port = |address: Option<std::net::SocketAddr>| address.map(|address| address.port());
        (bundle, config.address.port(), port(config.http), port(config.admin), config.explain)
    });
    assert_eq!(all, Ok((PathBuf::from("f"), 1, Some(22), Some(333), true)));
    let explain = |flags: &[&str]| {
        let launched = launch(file, &[], &texts(flags));
        launched.map(|launch| launch.config.explain)
    };
    assert_eq!((explain(&[]), explain(&["--explain=false"])), (Ok(true), Ok(false)));
}

#[test]
fn the_file_may_be_named_in_the_environment() {
    let folder = tempfile::tempdir().map(|folder| {
        let path = folder.path().join("s.toml");
        let written = fs::write(&path, "bundle = 'named'");
        (folder, path, written.is_ok())
    });
    assert!(folder.as_ref().is_ok_and(|(_, _, written)| *written));
    let env = folder.iter().map(|(_, path, _)| format!("PDP_CONFIG={}", path.display()));
    let launched = launch("", &env.collect::<Vec<_>>(), &[]).map(|launch| launch.bundle);
    assert_eq!(launched, Ok("named".into()));
}

#[test]
fn what_kubernetes_sets_is_nobodys_mistake() {
    let env = texts(&[
        "PDP_SERVICE_HOST=10.0.0.1",
        "PDP_SERVICE_PORT=8170",
        "PDP_SERVICE_PORT_GRPC=8170",
        "PDP_PORT=tcp://10.0.0.1:8170",
        "PDP_PORT_8170_TCP=tcp://10.0.0.1:8170",
        "PDP_SIDECAR_PORT_8170_TCP_ADDR=10.0.0.1",
        "PATH=/bin",
    ]);
    assert!(launch("bundle = 'b'", &env, &[]).is_ok());
}

#[test]
fn all_three_layers_have_every_kind_of_value() {
    let file = "bundle = 'b'\nlog = 'd.jsonl'\nlog_context = true\nlog_mask = ['card', 'pin']\n\
                [limits]\nconnections_max = 7\ndrain_notice_ms = 5";
    let env = texts(&["PDP_LOG_MASK=card, pin", "PDP_LIMITS=connections_max=7,drain_notice_ms=5"]);
    let flags = texts(&[
        "b",
        "--log=d.jsonl",
        "--log-context",
        "--log-mask=card",
        "--log-mask=pin",
        "--limits=connections_max=7",
        "--limits=drain_notice_ms=5",
    ]);
    let limits = Limits { connections_max: 7, drain_notice_ms: 5, ..Limits::SIDECAR };
    for launched in [
        launch(file, &[], &[]),
        launch("bundle = 'b'\nlog = 'd.jsonl'\nlog_context = true", &env, &[]),
        launch("", &[], &flags),
    ] {
        assert!(launched.is_ok(), "{launched:?}");
        let config = launched.map(|launch| launch.config);
        assert_eq!(config.as_ref().map(|config| config.limits), Ok(limits));
        let log = config.ok().and_then(|config| config.log);
        assert_eq!(log.as_ref().map(|log| log.mask.clone()), Some(texts(&["card", "pin"])));
        assert!(matches!(log.map(|log| log.target), Some(LogTarget::File { .. })));
    }
}

#[test]
fn rules_for_callers_come_from_the_file() {
    let file = r#"
        bundle = 'b'
        listen = 'unix:/run/pdp.sock'
        [[callers]]
        unix_user = 1000
        trust_delegation = true
        principals = ["App::User", 'App::Agent::"bot"']
        [[callers]]
        anybody = true
        tenants = ['Tenant::"a"']
    "#;
    let rules = launch(file, &[], &[]).map(|launch| launch.config.callers);
    let rules = rules.unwrap_or_default();
    let [bot, anybody] = rules.as_slice() else { unreachable!("{rules:?}") };
    assert_eq!((&bot.who, bot.trust_delegation, bot.explain), (&Who::UnixUser(1000), true, false));
    let whom = vec![Whom::Type("App::User".to_owned()), Whom::One(Name::new("App::Agent", "bot"))];
    assert_eq!((&bot.principals, &bot.tenants), (&Some(whom), &None));
    assert_eq!(anybody.who, Who::Anybody);
    assert_eq!(anybody.tenants, Some(vec![Name::new("Tenant", "a")]));
}

#[test]
fn a_socket_has_a_mode_and_an_owner() {
    let file = "bundle = 'b'\nlisten = 'unix:///run/s'\nsocket_mode = '660'\nsocket_owner = '7:8'";
    let socket = launch(file, &[], &[]).map(|launch| launch.config.unix);
    let expected = UnixSocket { path: "/run/s".into(), mode: 0o660, owner: Some((7, 8)) };
    assert_eq!(socket, Ok(Some(expected)));
}

#[test]
fn nothing_said_is_a_sidecar_on_this_machine() {
    let launched = launch("", &[], &texts(&["b"]));
    let config = launched.map(|launch| launch.config);
    assert!(config.as_ref().is_ok_and(|config| {
        let own = [Some(config.address), config.http, config.admin];
        own.iter().all(|address| address.is_some_and(|address| address.ip().is_loopback()))
            && !config.trust_delegation
            && !config.explain
            && config.log.is_none()
    }));
    let off = launch("", &[], &texts(&["b", "--http", "off", "--admin=off"]));
    let off = off.map(|launch| (launch.config.http, launch.config.admin));
    assert_eq!(off, Ok((None, None)));
}
