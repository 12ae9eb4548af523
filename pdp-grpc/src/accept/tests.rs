//! That a connection ends whatever its peer does, or does not.

#![expect(clippy::unwrap_used, clippy::expect_used, reason = "a test stops at the first surprise")]

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio_stream::StreamExt;

use std::sync::Arc;

use super::*;

const LONG: Duration = Duration::from_secs(3_600);

async fn soon<T>(happening: impl Future<Output = T>) -> T {
    tokio::time::timeout(Duration::from_secs(20), happening).await.expect("it happens soon")
}

/// A connection as the server has it, its peer, and what cuts it.
async fn pair(greeting: Duration, life: Duration) -> (Connection, TcpStream, watch::Sender<bool>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (sender, cut) = watch::channel(false);
    let mut incoming = Incoming::new(
        Listener::Tcp(listener),
        None,
        1,
        Terms { greeting, life, cut, admission: Arc::default() },
    );
    let peer = TcpStream::connect(address).await.unwrap();
    (soon(incoming.next()).await.unwrap().unwrap(), peer, sender)
}

#[track_caller]
fn is_aborted<T: fmt::Debug>(result: io::Result<T>) {
    assert_eq!(result.unwrap_err().kind(), io::ErrorKind::ConnectionAborted);
}

#[tokio::test]
async fn who_waits_for_bytes_is_woken_by_the_cut() {
    let (mut connection, _peer, cut) = pair(LONG, LONG).await;
    let reading = tokio::spawn(async move { connection.read_u8().await });
    tokio::task::yield_now().await;
    cut.send(true).unwrap();
    is_aborted(soon(reading).await.unwrap());
}

#[tokio::test]
async fn who_waits_for_a_peer_that_reads_nothing_is_woken_by_the_cut() {
    for vectored in [false, true] {
        let (mut connection, _peer, cut) = pair(LONG, LONG).await;
        let writing = tokio::spawn(async move {
            let block = [0; 1 << 16];
            loop {
                let written = match vectored {
                    false => connection.write(&block).await,
                    true => connection.write_vectored(&[io::IoSlice::new(&block)]).await,
                };
                if let Err(error) = written {
                    break error;
                }
            }
        });
        tokio::task::yield_now().await;
        cut.send(true).unwrap();
        assert_eq!(soon(writing).await.unwrap().kind(), io::ErrorKind::ConnectionAborted);
    }
}

#[tokio::test]
async fn a_server_that_is_gone_cuts_too() {
    let (mut connection, _peer, cut) = pair(LONG, LONG).await;
    drop(cut);
    is_aborted(soon(connection.read_u8()).await);
    // And it stays cut.
    is_aborted(soon(connection.read_u8()).await);
}

#[tokio::test]
async fn after_the_greeting_the_life_counts_and_before_it_does_not() {
    let moment = Duration::from_millis(20);
    let (mut connection, mut peer, _cut) = pair(LONG, moment).await;
    peer.write_all(&[0; GREETING_BYTES - 1]).await.unwrap();
    connection.read_exact(&mut [0; GREETING_BYTES - 1]).await.unwrap();
    assert_eq!(connection.greeting_bytes_left, 1);
    // The last byte and more, in one piece.
    peer.write_all(&[0; 9]).await.unwrap();
    connection.read_exact(&mut [0; 9]).await.unwrap();
    is_aborted(soon(connection.read_u8()).await);
}

#[tokio::test]
async fn the_place_of_a_connection_is_free_when_it_is_dropped() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (_sender, cut) = watch::channel(false);
    let mut incoming = Incoming::new(
        Listener::Tcp(listener),
        None,
        1,
        Terms { greeting: LONG, life: LONG, cut, admission: Arc::default() },
    );
    let _first_peer = TcpStream::connect(address).await.unwrap();
    let first = soon(incoming.next()).await.unwrap().unwrap();
    let mut refused = TcpStream::connect(address).await.unwrap();
    // Refusing is not an event for the server, so it is the third one that comes next.
    let third = tokio::spawn(async move { incoming.next().await.unwrap().unwrap() });
    assert_eq!(soon(refused.read(&mut [0; 1])).await.unwrap(), 0);
    drop(first);
    let mut peer = TcpStream::connect(address).await.unwrap();
    let mut third = soon(third).await.unwrap();
    peer.write_all(b"!").await.unwrap();
    assert_eq!(soon(third.read_u8()).await.unwrap(), b'!');
}
