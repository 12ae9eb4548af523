//! A client of HTTP/1.1 that keeps its connection, for tests in which thousands of calls are made.
#![expect(clippy::unwrap_used, reason = "test code fails loudly")]

use std::net::SocketAddr;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::envoy::{Answer, SOON};

/// The client.
#[derive(Debug)]
pub struct Steady {
    address: SocketAddr,
    stream: Option<TcpStream>,
    bytes: Vec<u8>,
}

// === impl Steady ===

impl Steady {
    /// Of a server; it connects when it is needed.
    pub fn new(address: SocketAddr) -> Self {
        Self { address, stream: None, bytes: Vec::new() }
    }

    /// Sends a call as it stands, and reads the answer. Status 0 is none: the connection ended, and the next call makes
    /// another one.
    pub async fn call(&mut self, request: &[u8]) -> Answer {
        tokio::time::timeout(SOON, self.exchange(request)).await.unwrap()
    }

    async fn exchange(&mut self, request: &[u8]) -> Answer {
        let mut stream = match self.stream.take() {
            Some(stream) => stream,
            None => TcpStream::connect(self.address).await.unwrap(),
        };
        self.bytes.clear();
        if stream.write_all(request).await.is_err() {
            return Answer::none();
        }
        loop {
            match stream.read_buf(&mut self.bytes).await {
                Ok(read) if read > 0 => {}
                _ => return Answer::none(),
            }
            if let Some((answer, true)) = Answer::read(&self.bytes) {
                if !answer.head.contains("\r\nconnection: close\r\n") {
                    self.stream = Some(stream);
                }
                return answer;
            }
        }
    }
}
