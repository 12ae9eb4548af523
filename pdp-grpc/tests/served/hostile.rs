//! Connections that mean harm, or nothing, beside one that asks: it is answered every time.

use std::time::Duration;

use pdp_grpc::Client;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::certificates::{Pki, dns};
use crate::support::{QUESTION, Running, soon};

/// The first bytes of a TLS record that announces more than ever comes.
const HALF_A_HELLO: &[u8] = &[0x16, 0x03, 0x01, 0x02, 0x00, 0x01, 0x00, 0x01, 0xfc];

#[tokio::test]
async fn idle_half_open_and_garbage_connections_cost_nobody_an_answer() {
    let pki = Pki::new();
    let server = Running::start(|config| {
        config.tls = Some(pki.server(true));
        config.limits.connections_max = 1_024;
        config.limits.greeting_timeout_ms = 60_000;
    });
    let options = pki.client(&[dns("client.example")]);
    let client = Client::connect_with(&server.own_url, &options).await.unwrap();
    let (mut held, mut garbage) = (Vec::new(), Vec::new());
    // Both ends are in this process, which may have 1,024 descriptors only.
    for n in 0..400 {
        let mut socket = TcpStream::connect(server.address).await.unwrap();
        match n % 4 {
            0 => socket.write_all(HALF_A_HELLO).await.unwrap(),
            1 => {
                socket.write_all(&[b'!'; 64]).await.unwrap();
                garbage.push(socket);
                continue;
            }
            _ => {}
        }
        held.push(socket);
    }
    for n in 0..2_000 {
        client.authorize(&QUESTION).await.unwrap_or_else(|error| panic!("question {n}: {error}"));
    }
    // Who newly comes is served as well, and garbage was sent away.
    let fresh = Client::connect_with(&server.own_url, &options).await.unwrap();
    assert!(fresh.authorize(&QUESTION).await.is_ok());
    for mut socket in garbage {
        // An alert may come first.
        let _ = soon(socket.read_to_end(&mut Vec::new())).await;
    }
    drop((client, fresh, held));
    server.stop().await;
}

#[tokio::test]
async fn stalled_handshakes_hold_places_and_only_for_the_time_of_a_greeting() {
    let pki = Pki::new();
    let server = Running::start(|config| {
        config.tls = Some(pki.server(false));
        config.limits.connections_max = 2;
        config.limits.greeting_timeout_ms = 500;
    });
    let mut stalled = Vec::new();
    for _ in 0..2 {
        let mut socket = TcpStream::connect(server.address).await.unwrap();
        socket.write_all(HALF_A_HELLO).await.unwrap();
        stalled.push(socket);
    }
    // One more is closed at once; with those before it cut, places are free again.
    let mut third = TcpStream::connect(server.address).await.unwrap();
    let closed = soon(third.read(&mut [0; 1])).await;
    assert!(matches!(closed, Ok(0) | Err(_)), "{closed:?}");
    for mut socket in stalled {
        let cut = soon(socket.read(&mut [0; 1])).await;
        assert!(matches!(cut, Ok(0) | Err(_)), "{cut:?}");
    }
    let mut options = pki.nameless();
    options.deadline = Duration::from_secs(20);
    let client = Client::connect_with(&server.own_url, &options).await.unwrap();
    assert!(client.authorize(&QUESTION).await.is_ok());
    drop(client);
    server.stop().await;
}
