//! Connections that mean harm, from a process of their own: ones that greet and then idle, ones that stop in the middle
//! of a greeting or of a frame, and ones that send garbage.
//!
//! What the server closes is opened again, so the pressure stays. It sends no question and reads no answer.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::Semaphore;

use super::serve::{in_runtime, say, until_input_ends};

/// How many of each kind there are to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Attackers {
    pub(super) idle: usize,
    pub(super) half: usize,
    pub(super) garbage: usize,
}

/// What an HTTP/2 client sends first: the greeting, and a frame of settings with none in it.
const GREETING: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\x00\x00\x00\x04\x00\x00\x00\x00\x00";
/// After the greeting: five of the nine bytes that head a frame.
const HALF_A_HEAD: &[u8] = b"\x00\x00\x40\x01\x04";
/// After the greeting: the head of a frame of headers with 64 bytes, and four of them.
const HALF_HEADERS: &[u8] = b"\x00\x00\x40\x01\x04\x00\x00\x00\x01\x83\x86\x44\x1e";
const HALF_A_GREETING: &[u8] = b"PRI * HTTP/2.0\r\n";
const GARBAGE: &[u8] = &[0xa5; 64];

/// Connections that are being opened at a time: no more than a listener has room for.
const OPENING_MAX: usize = 64;
/// Between the end of a connection and the next of the same attacker.
const PAUSE: Duration = Duration::from_millis(100);

// === impl Attackers ===

impl Attackers {
    /// As arguments of [`run`].
    pub(super) fn arguments(&self) -> [String; 3] {
        [self.idle, self.half, self.garbage].map(|number| number.to_string())
    }
}

/// Attacks an address with so many of each kind, until its input ends; says what was reached once all have been tried.
pub(super) fn run(address: &str, counts: &[&str]) -> Result<(), String> {
    let address: SocketAddr = address.parse().map_err(|_| format!("`{address}` is no address"))?;
    let number = |text: &&str| text.parse().map_err(|_| format!("`{text}` is no number"));
    let counts: Vec<usize> = counts.iter().map(number).collect::<Result<_, _>>()?;
    let &[idle, half, garbage] = &counts[..] else {
        return Err("give the numbers of idle, half and garbage connections".to_owned());
    };
    in_runtime(until_input_ends(attack(address, Attackers { idle, half, garbage })))
}

async fn attack(address: SocketAddr, attackers: Attackers) -> Result<(), String> {
    let Attackers { idle, half, garbage } = attackers;
    let mut tried = Vec::new();
    let opening = Arc::new(Semaphore::new(OPENING_MAX));
    let kinds: [(usize, &'static [&'static [&'static [u8]]]); 3] = [
        (idle, &[&[GREETING]]),
        (half, &[&[GREETING, HALF_A_HEAD], &[GREETING, HALF_HEADERS], &[HALF_A_GREETING]]),
        (garbage, &[&[GARBAGE]]),
    ];
    for (number, ways) in kinds {
        let (mut first_tries, held) = (Vec::new(), Arc::new(AtomicUsize::new(0)));
        for sends in ways.iter().cycle().take(number) {
            let (tell, first_try) = tokio::sync::oneshot::channel();
            first_tries.push(first_try);
            tokio::spawn(hold(address, sends, Arc::clone(&opening), Arc::clone(&held), tell));
        }
        for first_try in first_tries {
            first_try.await.map_err(|error| error.to_string())?;
        }
        tried.push(format!("{} of {number}", held.load(Ordering::Relaxed)));
    }
    say(&tried.join(", "));
    std::future::pending().await
}

/// Opens a connection, sends, and stays for as long as the server lets it; then again.
async fn hold(
    address: SocketAddr,
    sends: &'static [&'static [u8]],
    opening: Arc<Semaphore>,
    held: Arc<AtomicUsize>,
    tell: tokio::sync::oneshot::Sender<()>,
) {
    let mut tell = Some(tell);
    loop {
        let opened = open(address, sends, &opening).await;
        if let Ok(socket) = &opened {
            held.fetch_add(1, Ordering::Relaxed);
            // Closing it leaves no port behind that waits for stragglers: there are more connections than ports.
            let _ = socket.set_zero_linger();
        }
        if let Some(tell) = tell.take() {
            let _ = tell.send(());
        }
        if let Ok(mut socket) = opened {
            let mut ignored = [0; 256];
            while matches!(socket.read(&mut ignored).await, Ok(1..)) {}
            held.fetch_sub(1, Ordering::Relaxed);
        }
        tokio::time::sleep(PAUSE).await;
    }
}

async fn open(
    address: SocketAddr,
    sends: &[&[u8]],
    opening: &Semaphore,
) -> Result<TcpStream, std::io::Error> {
    let _place = opening.acquire().await;
    let mut socket = TcpStream::connect(address).await?;
    for bytes in sends {
        socket.write_all(bytes).await?;
    }
    Ok(socket)
}
