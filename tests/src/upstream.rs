//! A server of HTTP/1.1 for tests that put something before it: it keeps what arrived, and answers as it is told.
//!
//! It is no server for anything else: one request a connection, and no more of the protocol than clients here speak.
#![expect(clippy::unwrap_used, reason = "test code fails loudly")]

use std::fmt;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

/// A request that arrived.
#[derive(Clone, Debug)]
pub struct Arrived {
    /// Request line and headers.
    pub head: String,
    /// The body, without its framing.
    pub body: Vec<u8>,
}

/// What is answered.
#[derive(Clone, Debug)]
pub struct Reply {
    /// Status and reason, like `200 OK`.
    pub status: &'static str,
    /// Headers.
    pub headers: Vec<(&'static str, String)>,
    /// The body, in pieces that are sent one by one.
    pub pieces: Vec<Vec<u8>>,
    /// Nothing is sent, and the connection stays.
    pub hangs: bool,
}

/// The server, gone with its value.
pub struct Upstream {
    /// Where it listens.
    pub address: SocketAddr,
    arrived: Arc<Mutex<Vec<Arrived>>>,
    task: JoinHandle<()>,
}

// === impl Arrived ===

impl Arrived {
    /// The value of a header.
    pub fn header(&self, name: &str) -> Option<&str> {
        header(&self.head, name)
    }

    /// The path and query.
    pub fn target(&self) -> &str {
        self.head.split(' ').nth(1).unwrap_or_default()
    }
}

/// The value of a header in a head.
pub fn header<'h>(head: &'h str, name: &str) -> Option<&'h str> {
    head.lines().find_map(|line| {
        let (found, value) = line.split_once(':')?;
        found.eq_ignore_ascii_case(name).then_some(value.trim())
    })
}

// === impl Reply ===

impl Reply {
    /// 200 with a body of a type.
    pub fn ok(content_type: &str, body: impl Into<Vec<u8>>) -> Self {
        Self {
            status: "200 OK",
            headers: vec![("content-type", content_type.to_owned())],
            pieces: vec![body.into()],
            hangs: false,
        }
    }

    /// A status and nothing else.
    pub fn status(status: &'static str) -> Self {
        Self { status, headers: Vec::new(), pieces: Vec::new(), hangs: false }
    }

    /// No answer at all.
    pub fn hang() -> Self {
        Self { hangs: true, ..Self::status("") }
    }
}

// === impl Upstream ===

impl Upstream {
    /// Listens on a free port.
    pub async fn start(answer: impl Fn(&Arrived) -> Reply + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let arrived = Arc::new(Mutex::new(Vec::new()));
        let (kept, answer) = (Arc::clone(&arrived), Arc::new(answer));
        let task = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (kept, answer) = (Arc::clone(&kept), Arc::clone(&answer));
                tokio::spawn(async move { serve(stream, &kept, &*answer).await });
            }
        });
        Self { address, arrived, task }
    }

    /// Answers every request with its head, so that whoever sent it sees what arrived.
    pub async fn echo() -> Self {
        Self::start(|arrived| Reply::ok("text/plain", arrived.head.clone())).await
    }

    /// What has arrived so far.
    pub fn arrived(&self) -> Vec<Arrived> {
        self.arrived.lock().unwrap().clone()
    }
}

impl Drop for Upstream {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl fmt::Debug for Upstream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Upstream({})", self.address)
    }
}

async fn serve(
    mut stream: TcpStream,
    kept: &Mutex<Vec<Arrived>>,
    answer: &(dyn Fn(&Arrived) -> Reply + Send + Sync),
) {
    let Some(arrived) = read(&mut stream).await else { return };
    let reply = answer(&arrived);
    kept.lock().unwrap().push(arrived);
    let mut bytes = [0; 4_096];
    if reply.hangs {
        // Until the other side has had enough.
        while matches!(stream.read(&mut bytes).await, Ok(read) if read > 0) {}
        return;
    }
    let mut head = format!("HTTP/1.1 {}\r\nconnection: close\r\n", reply.status);
    for (name, value) in &reply.headers {
        head.push_str(&format!("{name}: {value}\r\n"));
    }
    if reply.pieces.len() <= 1 && !reply.status.starts_with("304") {
        let length = reply.pieces.first().map_or(0, Vec::len);
        head.push_str(&format!("content-length: {length}\r\n"));
    }
    head.push_str("\r\n");
    // Whoever asked may be gone.
    let _ = stream.write_all(head.as_bytes()).await;
    for piece in reply.pieces {
        let _ = stream.write_all(&piece).await;
        let _ = stream.flush().await;
        tokio::task::yield_now().await;
    }
    let _ = stream.shutdown().await;
    while matches!(stream.read(&mut bytes).await, Ok(read) if read > 0) {}
}

/// A request; `None` if it ends before its end.
async fn read(stream: &mut TcpStream) -> Option<Arrived> {
    let mut bytes = Vec::new();
    let at = loop {
        if let Some(at) = bytes.windows(4).position(|end| end == b"\r\n\r\n") {
            break at + 4;
        }
        more(stream, &mut bytes).await?;
    };
    let mut body = bytes.split_off(at);
    let head = String::from_utf8_lossy(&bytes).into_owned();
    if header(&head, "transfer-encoding").is_some_and(|value| value.contains("chunked")) {
        let mut whole = Vec::new();
        loop {
            let line = line(stream, &mut body).await?;
            let size = usize::from_str_radix(&line, 16).ok()?;
            while body.len() < size + 2 {
                more(stream, &mut body).await?;
            }
            let rest = body.split_off(size + 2);
            body.truncate(size);
            whole.append(&mut body);
            body = rest;
            if size == 0 {
                return Some(Arrived { head, body: whole });
            }
        }
    }
    let length = header(&head, "content-length").map_or(Some(0), |length| length.parse().ok())?;
    while body.len() < length {
        more(stream, &mut body).await?;
    }
    Some(Arrived { head, body })
}

/// A line, taken off.
async fn line(stream: &mut TcpStream, bytes: &mut Vec<u8>) -> Option<String> {
    loop {
        if let Some(at) = bytes.windows(2).position(|end| end == b"\r\n") {
            let rest = bytes.split_off(at + 2);
            let line = String::from_utf8_lossy(bytes.get(..at)?).into_owned();
            *bytes = rest;
            return Some(line);
        }
        more(stream, bytes).await?;
    }
}

async fn more(stream: &mut TcpStream, bytes: &mut Vec<u8>) -> Option<()> {
    let mut piece = [0; 16_384];
    let read = stream.read(&mut piece).await.ok()?;
    bytes.extend(piece.get(..read)?);
    (read > 0).then_some(())
}
