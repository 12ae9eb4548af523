//! How a server starts and how it goes away. Nothing here waits for time to pass.

use std::sync::{Arc, Mutex, mpsc};
use std::time::Duration;

use pdp_core::{Datetime, Decider, Live, Reason};
use pdp_grpc::{Client, ClientError, Clock, Config, Insecure, ServeError, Server};
use tonic_health::pb::HealthCheckRequest;

use crate::support::{QUESTION, Running, soon};

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_request_in_flight_is_answered_before_the_server_goes() {
    // The clock is asked within a decision, so it can hold one there.
    let (entered, inside) = mpsc::channel();
    let (release, released) = mpsc::channel();
    let gate = Mutex::new((entered, released));
    let clock = Clock::from_fn(move || {
        let gate = gate.lock().unwrap();
        gate.0.send(()).unwrap();
        gate.1.recv().unwrap();
        Datetime(0)
    });
    let server = Running::start(|config| config.clock = clock);
    let address = server.address;
    let client = server.client().await;
    let mut health =
        server.health().await.watch(HealthCheckRequest::default()).await.unwrap().into_inner();
    let question = tokio::spawn(async move { client.authorize(&QUESTION).await });
    tokio::task::spawn_blocking(move || inside.recv().unwrap()).await.unwrap();

    let served = server.tell_to_stop();
    // The end of this stream says that the server has begun to drain.
    soon(async { while health.message().await.unwrap().is_some() {} }).await;
    assert!(!question.is_finished() && !served.is_finished());
    release.send(()).unwrap();

    assert_eq!(soon(question).await.unwrap().unwrap().reason, Reason::NoBundle);
    soon(served).await.unwrap().unwrap();
    let late = Client::connect(&format!("http://{address}"), Duration::from_secs(5)).await;
    assert!(matches!(late, Err(ClientError::Connect(_))), "{late:?}");
}

#[tokio::test]
async fn dropping_the_server_ends_its_connections() {
    let server = Server::bind(local(), Arc::new(Live::new(Decider::no_bundle()))).unwrap();
    let address = server.address();
    let served = tokio::spawn(server.run(std::future::pending()));
    let client =
        Client::connect(&format!("http://{address}"), Duration::from_secs(5)).await.unwrap();
    client.authorize(&QUESTION).await.unwrap();
    served.abort();
    assert!(soon(served).await.unwrap_err().is_cancelled());
    assert!(matches!(
        client.authorize(&QUESTION).await,
        Err(ClientError::Refused(_) | ClientError::Deadline(_))
    ));
}

fn local() -> Config {
    let mut config = Config::sidecar();
    config.address.set_port(0);
    config
}

// === starting ===

#[tokio::test]
async fn an_address_in_use_is_named_with_the_remedy() {
    let live = Arc::new(Live::new(Decider::no_bundle()));
    let first = Server::bind(local(), Arc::clone(&live)).unwrap();
    let address = first.address();
    match Server::bind(Config { address, ..local() }, live) {
        Err(ServeError::Listen(error)) => assert_eq!(
            error.to_string(),
            format!(
                "cannot listen on `{address}`: the address is in use; stop what listens there or choose another port"
            )
        ),
        other => panic!("expected that the address is in use, got {other:?}"),
    }
}

#[tokio::test]
async fn an_address_of_another_machine_is_refused() {
    let address = "192.0.2.1:0".parse().unwrap();
    let insecure = Insecure { plaintext_anywhere: true, ..Insecure::NOTHING };
    let config = Config { address, insecure, ..local() };
    let error = Server::bind(config, Arc::new(Live::new(Decider::no_bundle()))).unwrap_err();
    assert!(
        error
            .to_string()
            .starts_with("cannot listen on `192.0.2.1:0`: this machine has no such address")
    );
}

#[tokio::test]
async fn a_limit_out_of_range_stops_the_start() {
    let mut config = local();
    config.limits.frame_bytes_max = 1;
    let error = Server::bind(config, Arc::new(Live::new(Decider::no_bundle()))).unwrap_err();
    assert!(
        matches!(error, ServeError::Config(_)) && error.to_string().contains("`frame_bytes_max`"),
        "{error}"
    );
}
