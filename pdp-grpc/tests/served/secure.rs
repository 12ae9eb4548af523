//! TLS, mutual TLS and Unix sockets: who gets a connection, and what becomes of certificates that change.

use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::os::unix::net::UnixListener;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

use pdp_core::{Decider, Live};
use pdp_grpc::{
    Client, ClientError, ClientOptions, Config, Insecure, ServeError, Server, UnixSocket,
};

use crate::certificates::{Authority, Pki, dns};
use crate::support::{QUESTION, Running, SOON, soon};

/// Whether there is an answer; the handshake of a client that is refused may look fine to it until it asks.
async fn is_answered(url: &str, options: &ClientOptions) -> bool {
    match Client::connect_with(url, options).await {
        Ok(client) => client.authorize(&QUESTION).await.is_ok(),
        Err(ClientError::Connect(_)) => false,
        Err(other) => panic!("expected no connection, got {other}"),
    }
}

#[tokio::test]
async fn mutual_tls_takes_the_right_certificate_and_no_other() {
    let pki = Pki::new();
    let server = Running::start(|config| config.tls = Some(pki.server(true)));
    let url = &server.own_url;
    assert!(url.starts_with("grpcs://127.0.0.1:"), "{url}");
    let name = [dns("client.example")];
    assert!(is_answered(url, &pki.client(&name)).await);
    assert!(!is_answered(url, &pki.nameless()).await, "no certificate");
    let other = Authority::new("another");
    assert!(!is_answered(url, &pki.client_of(&other, &name, false)).await, "wrong authority");
    assert!(!is_answered(url, &pki.client_of(&pki.authority, &name, true)).await, "expired");
    // And the client is as strict about the server.
    pki.write("other.pem", &other.pem());
    let right = pki.client(&name);
    let misled = ClientOptions { ca: Some(pki.path("other.pem")), ..right.clone() };
    assert!(!is_answered(url, &misled).await, "a server of another authority");
    let misnamed = ClientOptions { server_name: Some("pdp.example".to_owned()), ..right.clone() };
    assert!(!is_answered(url, &misnamed).await, "a server of another name");
    assert!(is_answered(&url.replace("grpcs", "https"), &right).await);
    // Without TLS there is nobody to talk to.
    let bare = Client::connect(&server.url(), SOON).await;
    if let Ok(bare) = bare {
        assert!(bare.authorize(&QUESTION).await.is_err());
    }
    server.stop().await;
}

#[tokio::test]
async fn certificates_are_never_left_unused() {
    let pki = Pki::new();
    let with = pki.nameless();
    let without = ClientOptions::within(SOON);
    for (url, options, says) in [
        ("http://127.0.0.1:1", &with, "has no TLS"),
        ("unix:///x", &with, "has no TLS"),
        ("https://127.0.0.1:1", &without, "needs the authorities"),
    ] {
        match Client::connect_with(url, options).await {
            Err(ClientError::Url(error)) => assert!(error.to_string().contains(says), "{error}"),
            other => panic!("expected that `{url}` is refused, got {other:?}"),
        }
    }
    let missing = ClientOptions { ca: Some(pki.path("missing.pem")), ..without };
    let error = Client::connect_with("https://127.0.0.1:1", &missing).await.unwrap_err();
    assert!(matches!(error, ClientError::Tls(_)) && error.to_string().contains("missing.pem"));
}

#[tokio::test]
async fn files_that_do_not_fit_keep_a_server_from_starting() {
    let pki = Pki::new();
    let (_, other_key) = pki.authority.issue(&[], false);
    pki.write("server.key", &other_key);
    let mut config = Config { tls: Some(pki.server(false)), ..Config::sidecar() };
    config.address.set_port(0);
    let live = Arc::new(Live::new(Decider::no_bundle()));
    let error = Server::bind(config, live).unwrap_err();
    assert!(
        matches!(error, ServeError::Tls(_)) && error.to_string().contains("server.pem"),
        "{error}"
    );
}

#[tokio::test]
async fn authorities_of_clients_change_for_new_connections_and_bad_files_change_nothing() {
    let pki = Pki::new();
    let second = Authority::new("second");
    pki.write("clients.pem", &pki.authority.pem());
    let tls = pdp_grpc::TlsConfig { client_ca: Some(pki.path("clients.pem")), ..pki.server(true) };
    let server = Running::start(|config| config.tls = Some(tls));
    let url = &server.own_url;
    let old = pki.client(&[dns("old.example")]);
    let new = pki.client_of(&second, &[dns("new.example")], false);
    let kept = Client::connect_with(url, &old).await.unwrap();
    assert!(kept.authorize(&QUESTION).await.is_ok());
    assert!(!is_answered(url, &new).await);

    pki.write("clients.pem", "no certificate");
    pki.write("server.key", "no key");
    for _ in 0..20 {
        assert!(is_answered(url, &old).await);
    }
    pki.renew();
    pki.write("clients.pem", &second.pem());
    // By itself, as soon as the files are looked at.
    soon(async { while !is_answered(url, &new).await {} }).await;
    assert!(!is_answered(url, &old).await);
    assert!(kept.authorize(&QUESTION).await.is_ok(), "what was connected stays so");
    drop(kept);
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_hundred_rotations_under_load_cost_no_question() {
    let pki = Pki::new();
    let server = Running::start(|config| config.tls = Some(pki.server(true)));
    let options = pki.client(&[dns("client.example")]);
    let (done, asked) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU32::new(0)));
    let clients: Vec<_> = (0..4)
        .map(|n| {
            let (url, options) = (server.own_url.clone(), options.clone());
            let (done, asked) = (Arc::clone(&done), Arc::clone(&asked));
            tokio::spawn(async move {
                let mut client = Client::connect_with(&url, &options).await.unwrap();
                while !done.load(Ordering::Relaxed) {
                    // Two keep their connections, two take a fresh one each time.
                    if n % 2 == 0 {
                        client = Client::connect_with(&url, &options).await.unwrap();
                    }
                    client.authorize(&QUESTION).await.unwrap();
                    asked.fetch_add(1, Ordering::Relaxed);
                }
            })
        })
        .collect();
    for _ in 0..200 {
        pki.renew();
        // So that questions do go on between two of them, whatever the machine is busy with.
        let before = asked.load(Ordering::Relaxed);
        soon(async {
            while asked.load(Ordering::Relaxed) < before + 4 {
                tokio::task::yield_now().await;
            }
        })
        .await;
    }
    done.store(true, Ordering::Relaxed);
    for client in clients {
        soon(client).await.unwrap();
    }
    server.stop().await;
}

#[tokio::test]
async fn a_unix_socket_has_its_mode_and_goes_with_its_server() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("pdp.sock");
    for mode in [0o600, 0o660] {
        let socket = UnixSocket { mode, ..UnixSocket::private(&path) };
        let server = Running::start(|config| config.unix = Some(socket));
        let found = std::fs::symlink_metadata(&path).unwrap();
        assert!(found.file_type().is_socket());
        assert_eq!(found.mode() & 0o777, mode);
        assert_eq!(server.own_url, format!("unix://{}", path.display()));
        let client = Client::connect(&server.own_url, SOON).await.unwrap();
        assert!(client.authorize(&QUESTION).await.is_ok());
        drop(client);
        server.stop().await;
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0, "nothing is left behind");
    }
}

#[tokio::test]
async fn only_a_socket_that_nobody_listens_on_is_replaced() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("pdp.sock");
    let bind = || {
        let unix = Some(UnixSocket::private(&path));
        Server::bind(
            Config { unix, ..Config::sidecar() },
            Arc::new(Live::new(Decider::no_bundle())),
        )
    };
    std::fs::write(&path, "precious").unwrap();
    let error = bind().unwrap_err().to_string();
    assert!(error.contains("a file that is no socket is in the way"), "{error}");
    assert_eq!(std::fs::read_to_string(&path).unwrap(), "precious");
    std::fs::remove_file(&path).unwrap();

    let listener = UnixListener::bind(&path).unwrap();
    let error = bind().unwrap_err().to_string();
    assert!(error.contains("a server listens there"), "{error}");
    drop(listener);
    assert!(path.exists(), "left behind by its server");
    drop(bind().unwrap());
    assert!(!path.exists());
}

#[test]
fn dangers_stop_a_start_all_at_once_unless_they_are_named() {
    let anywhere = "0.0.0.0:0".parse().unwrap();
    let live = || Arc::new(Live::new(Decider::no_bundle()));
    let config = Config { address: anywhere, trust_delegation: true, ..Config::sidecar() };
    let problems = match Server::bind(config.clone(), live()) {
        Err(ServeError::Config(error)) => error.problems().join("\n"),
        other => panic!("expected that it does not start, got {other:?}"),
    };
    assert!(problems.contains("`plaintext_anywhere`") && problems.contains("`trust_anybody`"));
    let insecure = Insecure { plaintext_anywhere: true, trust_anybody: true, ..Insecure::NOTHING };
    assert!(Server::bind(Config { insecure, ..config }, live()).is_ok());

    let folder = tempfile::tempdir().unwrap();
    let socket = UnixSocket { mode: 0o666, ..UnixSocket::private(folder.path().join("s")) };
    let config = Config { unix: Some(socket), ..Config::sidecar() };
    let error = Server::bind(config.clone(), live()).unwrap_err().to_string();
    assert!(error.contains("mode `666`") && error.contains("`socket_for_everybody`"), "{error}");
    let insecure = Insecure { socket_for_everybody: true, ..Insecure::NOTHING };
    assert!(Server::bind(Config { insecure, ..config }, live()).is_ok());
}
