//! The load: connections that send a call when the one before is answered, how long each took, and whether it was right.

use std::net::TcpListener;
use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::Guard;
use super::work::Call;

/// How long Envoy may take until it listens.
const PATIENCE: Duration = Duration::from_secs(60);

/// What a turn measured.
#[derive(Clone, Debug, Default)]
pub(super) struct Turn {
    /// Of each call, in nanoseconds, sorted.
    took: Vec<u64>,
    time: Duration,
}

/// A connection that stays.
struct Connection {
    stream: TcpStream,
    read: Vec<u8>,
}

/// A port for each guard, free a moment ago.
pub(super) fn free_ports() -> Result<[u16; 4], String> {
    let mut listeners = Vec::new();
    let mut ports = [0; 4];
    for port in &mut ports {
        // All are held until there is one for each, so that none is given twice.
        let listener = TcpListener::bind("127.0.0.1:0").map_err(|error| error.to_string())?;
        *port = listener.local_addr().map_err(|error| error.to_string())?.port();
        listeners.push(listener);
    }
    Ok(ports)
}

/// Waits until somebody listens, which no proxy tells of: it is tried until it works.
pub(super) async fn answers(port: u16) -> Result<(), String> {
    let begun = Instant::now();
    while let Err(error) = TcpStream::connect(("127.0.0.1", port)).await {
        if begun.elapsed() > PATIENCE {
            return Err(format!("Envoy does not listen: {error}"));
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    Ok(())
}

/// Sends every call once.
pub(super) async fn check(port: u16, calls: &[Call], guard: Guard) -> Result<(), String> {
    let mut connection = Connection::open(port).await?;
    for call in calls {
        connection.call(call, guard).await?;
    }
    Ok(())
}

/// Keeps so many connections busy for so long.
pub(super) async fn turn(
    port: u16,
    calls: &[Call],
    guard: Guard,
    connections: usize,
    time: Duration,
) -> Result<Turn, String> {
    let mut open = Vec::new();
    for _ in 0..connections {
        open.push(Connection::open(port).await?);
    }
    let begun = Instant::now();
    let mut tasks = tokio::task::JoinSet::new();
    for (at, mut connection) in open.into_iter().enumerate() {
        let calls = calls.to_vec();
        tasks.spawn(async move {
            let mut took = Vec::new();
            // Each from another place, so that they do not ask the same at once.
            let from = at * calls.len() / connections;
            for call in calls.iter().cycle().skip(from) {
                if begun.elapsed() >= time {
                    break;
                }
                let sent = Instant::now();
                connection.call(call, guard).await?;
                took.push(u64::try_from(sent.elapsed().as_nanos()).unwrap_or(u64::MAX));
            }
            Ok::<_, String>(took)
        });
    }
    let mut turn = Turn::default();
    while let Some(done) = tasks.join_next().await {
        turn.took.extend(done.map_err(|error| error.to_string())??);
    }
    turn.time = begun.elapsed();
    turn.took.sort_unstable();
    Ok(turn)
}

// === impl Turn ===

impl Turn {
    pub(super) fn answers(&self) -> usize {
        self.took.len()
    }

    pub(super) fn p50_us(&self) -> f64 {
        self.took.get(self.took.len() / 2).map_or(f64::NAN, |ns| *ns as f64 / 1_000.0)
    }

    pub(super) fn per_second(&self) -> f64 {
        self.took.len() as f64 / self.time.as_secs_f64()
    }
}

// === impl Connection ===

impl Connection {
    async fn open(port: u16) -> Result<Self, String> {
        let stream = TcpStream::connect(("127.0.0.1", port)).await;
        let stream = stream.map_err(|error| error.to_string())?;
        stream.set_nodelay(true).map_err(|error| error.to_string())?;
        Ok(Self { stream, read: Vec::new() })
    }

    /// Sends a call, reads the answer to its end and looks at its status.
    async fn call(&mut self, call: &Call, guard: Guard) -> Result<(), String> {
        let expected = if call.is_allowed || guard == Guard::Nothing { "200" } else { "403" };
        let text = format!("GET {} HTTP/1.1\r\nhost: bench\r\nx-request-id: 1\r\n\r\n", call.path);
        let wrong = |what: String| format!("{}, {}: {what}", guard.name(), call.path);
        let sent = self.stream.write_all(text.as_bytes()).await;
        sent.map_err(|error| wrong(error.to_string()))?;
        self.read.clear();
        loop {
            match self.stream.read_buf(&mut self.read).await {
                Ok(0) => return Err(wrong("the connection is closed".to_owned())),
                Ok(_) => {}
                Err(error) => return Err(wrong(error.to_string())),
            }
            let text = String::from_utf8_lossy(&self.read);
            let Some((head, body)) = text.split_once("\r\n\r\n") else { continue };
            let len = head.lines().find_map(|line| line.strip_prefix("content-length: "));
            let len = len.and_then(|len| len.parse::<usize>().ok());
            let len = len.ok_or_else(|| wrong(format!("no length in {head}")))?;
            if body.len() < len {
                continue;
            }
            return match head.split(' ').nth(1) {
                Some(status) if status == expected => Ok(()),
                _ => Err(wrong(format!("{expected} was expected: {text}"))),
            };
        }
    }
}
