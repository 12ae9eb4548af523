//! Where a server listens: a TCP address or a socket in the file system.
//!
//! A socket file is replaced only when it is a socket and nobody listens on it, and removed at the end. It refuses to
//! touch any other file. What comes in is `accept`'s.

use std::io;
use std::net::SocketAddr;
use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::task::{Context, Poll, ready};

use crate::accept::Socket;

/// A socket in the file system.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnixSocket {
    /// Where; its folder must exist.
    pub path: PathBuf,
    /// Who may connect, as a file mode such as `0o660`. Connecting needs the right to write.
    pub mode: u32,
    /// User and group ids to give it to; needs the right to do so.
    pub owner: Option<(u32, u32)>,
}

/// A bound listener that serves nobody yet.
#[derive(Debug)]
pub(crate) enum Bound {
    Tcp(std::net::TcpListener),
    Unix(UnixListener, SocketFile),
}

/// A listener on the runtime.
#[derive(Debug)]
pub(crate) enum Listener {
    Tcp(tokio::net::TcpListener),
    Unix { listener: tokio::net::UnixListener, _file: SocketFile },
}

/// Removes the file of a socket when it is dropped, if it is still the same one.
#[derive(Debug)]
pub(crate) struct SocketFile {
    path: PathBuf,
    inode: (u64, u64),
}

// === impl UnixSocket ===

impl UnixSocket {
    /// A socket for the user that the server runs as and nobody else.
    pub fn private(path: impl Into<PathBuf>) -> Self {
        Self { path: path.into(), mode: 0o600, owner: None }
    }
}

// === impl Bound ===

impl Bound {
    pub(crate) fn tcp(address: SocketAddr) -> io::Result<(Self, SocketAddr)> {
        let listener = std::net::TcpListener::bind(address)?;
        listener.set_nonblocking(true)?;
        let address = listener.local_addr()?;
        Ok((Self::Tcp(listener), address))
    }

    pub(crate) fn unix(socket: &UnixSocket) -> io::Result<Self> {
        make_room(&socket.path)?;
        // Made in a folder that only we can enter and moved into place with its rights: there is no moment at which
        // somebody could connect who may not.
        let parent = socket.path.parent().filter(|parent| !parent.as_os_str().is_empty());
        let private =
            parent.unwrap_or(Path::new(".")).join(format!(".pdp-socket-{}", std::process::id()));
        std::fs::create_dir(&private)?;
        let made = make(&private, socket);
        // Empty, or holding a socket that never was in place.
        let _ = std::fs::remove_dir_all(&private);
        made
    }

    /// Hands it to the runtime.
    pub(crate) fn start(self) -> io::Result<Listener> {
        Ok(match self {
            Bound::Tcp(listener) => Listener::Tcp(tokio::net::TcpListener::from_std(listener)?),
            Bound::Unix(listener, file) => {
                let listener = tokio::net::UnixListener::from_std(listener)?;
                Listener::Unix { listener, _file: file }
            }
        })
    }
}

fn make(private: &Path, socket: &UnixSocket) -> io::Result<Bound> {
    std::fs::set_permissions(private, PermissionsExt::from_mode(0o700))?;
    let inside = private.join("s");
    let listener = UnixListener::bind(&inside)?;
    listener.set_nonblocking(true)?;
    if let Some((uid, gid)) = socket.owner {
        std::os::unix::fs::chown(&inside, Some(uid), Some(gid))?;
    }
    std::fs::set_permissions(&inside, PermissionsExt::from_mode(socket.mode))?;
    let metadata = std::fs::symlink_metadata(&inside)?;
    std::fs::rename(&inside, &socket.path)?;
    let inode = (metadata.dev(), metadata.ino());
    Ok(Bound::Unix(listener, SocketFile { path: socket.path.clone(), inode }))
}

/// Removes a socket that a server left behind; anything else stays and is an error.
fn make_room(path: &Path) -> io::Result<()> {
    let found = match std::fs::symlink_metadata(path) {
        Ok(found) => found,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(error),
    };
    if !found.file_type().is_socket() {
        return Err(io::Error::new(
            io::ErrorKind::AlreadyExists,
            "a file that is no socket is in the way",
        ));
    }
    match UnixStream::connect(path) {
        Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => {
            std::fs::remove_file(path)
        }
        Err(error) => Err(error),
        Ok(_) => Err(io::ErrorKind::AddrInUse.into()),
    }
}

// === impl Listener ===

impl Listener {
    pub(crate) fn poll_accept(&self, context: &mut Context<'_>) -> Poll<io::Result<Socket>> {
        Poll::Ready(match self {
            Listener::Tcp(listener) => ready!(listener.poll_accept(context)).map(|(stream, _)| {
                // Without this option a connection is slower, not wrong.
                let _ = stream.set_nodelay(true);
                Socket::Tcp(stream)
            }),
            Listener::Unix { listener, .. } => {
                ready!(listener.poll_accept(context)).map(|(stream, _)| Socket::Unix(stream))
            }
        })
    }
}

// === impl SocketFile ===

impl Drop for SocketFile {
    fn drop(&mut self) {
        // Another server may have taken the place; its socket is not ours to remove.
        let ours = std::fs::symlink_metadata(&self.path)
            .is_ok_and(|found| (found.dev(), found.ino()) == self.inode);
        if ours {
            let _ = std::fs::remove_file(&self.path);
        }
    }
}
