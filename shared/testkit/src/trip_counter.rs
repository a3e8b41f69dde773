//! A wire between a client and Postgres (or its pooler) that counts round trips and can be cut or blocked.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinHandle;

/// The first message of a connection has no type; it asks for TLS when it carries this number instead of a version.
const SSL_REQUEST: [u8; 4] = 80_877_103_u32.to_be_bytes();

/// Stops listening and cuts all its connections when dropped.
pub struct TripCounter {
    address: SocketAddr,
    shared: Arc<Shared>,
    accepting: JoinHandle<()>,
}

struct Shared {
    target: String,
    seen: Mutex<Seen>,
    fuse: Mutex<Option<(usize, Fault)>>,
    wire: watch::Sender<Wire>,
}

/// What has gone over the wire since the last [`TripCounter::reset`].
#[derive(Debug, Clone, Default)]
pub struct Seen {
    /// Messages after which a client waits for an answer: Sync and simple Query. Signing in is not counted.
    pub trips: usize,
    pub connections: usize,
    /// The SQL that was prepared or sent as a simple query, for the message of a failing test.
    pub statements: Vec<String>,
}

/// What befalls a trip, see [`TripCounter::fail_trip`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// Its request does not reach the server.
    CutBefore,
    /// Its request is on its way to the server, nobody waits for the answer.
    CutWhileRunning,
    /// The server has done it, its answer does not reach the client.
    CutAfter,
    /// Its request is held back, as by [`TripCounter::stall`].
    Stall,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
struct Wire {
    stalled: bool,
    refusing: bool,
    /// Connections of an earlier generation have been cut.
    generation: u64,
}

impl TripCounter {
    /// Listens on a free port of 127.0.0.1 and forwards to `target` (`host:port`). TLS is answered with "no": what is
    /// encrypted can't be counted.
    pub async fn start(target: &str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port on the loopback address");
        let address = listener.local_addr().expect("a bound socket has an address");
        let shared = Arc::new(Shared {
            target: target.to_owned(),
            seen: Mutex::default(),
            fuse: Mutex::default(),
            wire: watch::Sender::new(Wire::default()),
        });
        let accepting = tokio::spawn(accept(listener, Arc::clone(&shared)));
        Self { address, shared, accepting }
    }

    pub fn host(&self) -> String {
        self.address.ip().to_string()
    }

    pub fn port(&self) -> u16 {
        self.address.port()
    }

    pub fn seen(&self) -> Seen {
        self.shared.seen().clone()
    }

    pub fn trips(&self) -> usize {
        self.shared.seen().trips
    }

    /// Counts from zero again.
    pub fn reset(&self) {
        *self.shared.seen() = Seen::default();
    }

    /// Once only: the trip with this number, counted from the last reset and starting with 1, meets this fault.
    pub fn fail_trip(&self, number: usize, fault: Fault) {
        *self.shared.fuse() = Some((number, fault));
    }

    /// Cuts every connection; new ones are accepted.
    pub fn cut(&self) {
        self.shared.cut();
    }

    /// Cuts every connection and closes new ones at once, until [`TripCounter::accept`].
    pub fn refuse(&self) {
        self.shared.wire.send_modify(|wire| wire.refusing = true);
        self.cut();
    }

    pub fn accept(&self) {
        self.shared.wire.send_modify(|wire| wire.refusing = false);
    }

    /// Holds back everything, in both directions, until [`TripCounter::resume`].
    pub fn stall(&self) {
        self.shared.wire.send_modify(|wire| wire.stalled = true);
    }

    pub fn resume(&self) {
        self.shared.wire.send_modify(|wire| wire.stalled = false);
    }
}

impl Drop for TripCounter {
    fn drop(&mut self) {
        self.accepting.abort();
        self.cut();
    }
}

impl Shared {
    fn seen(&self) -> MutexGuard<'_, Seen> {
        self.seen.lock().expect("nobody panics while they hold this lock")
    }

    fn fuse(&self) -> MutexGuard<'_, Option<(usize, Fault)>> {
        self.fuse.lock().expect("nobody panics while they hold this lock")
    }

    fn cut(&self) {
        self.wire.send_modify(|wire| wire.generation += 1);
    }

    /// Whether the trip that has been counted last meets this fault now.
    fn meets(&self, fault: Fault) -> bool {
        let trips = self.seen().trips;
        self.fuse().take_if(|fuse| *fuse == (trips, fault)).is_some()
    }
}

async fn accept(listener: TcpListener, shared: Arc<Shared>) {
    while let Ok((client, _)) = listener.accept().await {
        if !shared.wire.borrow().refusing {
            tokio::spawn(connect(client, Arc::clone(&shared)));
        }
    }
}

async fn connect(mut client: TcpStream, shared: Arc<Shared>) {
    let mut wire = shared.wire.subscribe();
    let generation = wire.borrow_and_update().generation;
    let cut = wire.wait_for(|wire| wire.generation != generation);
    let carry = async {
        let startup = read_startup(&mut client).await?;
        let mut server = TcpStream::connect(&shared.target).await?;
        server.set_nodelay(true)?;
        client.set_nodelay(true)?;
        server.write_all(&startup).await?;
        shared.seen().connections += 1;
        let (from_client, to_client) = client.into_split();
        let (from_server, to_server) = server.into_split();
        tokio::select! {
            done = requests(from_client, to_server, &shared) => done,
            done = answers(from_server, to_client, &shared) => done,
        }
    };
    // Either end closing, an error and a cut are the same to the other end: its connection is gone.
    tokio::select! {
        _ = cut => {}
        _ = carry => {}
    }
}

/// The startup message, length included, after TLS was declined if it was asked for.
async fn read_startup(client: &mut TcpStream) -> std::io::Result<Vec<u8>> {
    loop {
        let message = read_message(client, Vec::new()).await?;
        if message[4..] != SSL_REQUEST {
            return Ok(message);
        }
        client.write_all(b"N").await?;
    }
}

async fn requests(mut client: OwnedReadHalf, mut server: OwnedWriteHalf, shared: &Shared) -> std::io::Result<()> {
    loop {
        let kind = client.read_u8().await?;
        let message = read_message(&mut client, vec![kind]).await?;
        until_flowing(shared).await;
        let waits = shared.seen().count(kind, &message[5..]);
        if waits && shared.meets(Fault::Stall) {
            shared.wire.send_modify(|wire| wire.stalled = true);
            until_flowing(shared).await;
        }
        if waits && shared.meets(Fault::CutBefore) {
            shared.cut();
        } else {
            server.write_all(&message).await?;
        }
        if waits && shared.meets(Fault::CutWhileRunning) {
            shared.cut();
        }
    }
}

async fn answers(mut server: OwnedReadHalf, mut client: OwnedWriteHalf, shared: &Shared) -> std::io::Result<()> {
    let mut buffer = vec![0; 64 * 1024];
    loop {
        let length = server.read(&mut buffer).await?;
        if length == 0 {
            return Ok(());
        }
        until_flowing(shared).await;
        if shared.meets(Fault::CutAfter) {
            shared.cut();
            return Ok(());
        }
        client.write_all(&buffer[..length]).await?;
    }
}

/// Appends a message to `start`: its length, which counts itself, and so many bytes less four.
async fn read_message(from: &mut (impl AsyncReadExt + Unpin), start: Vec<u8>) -> std::io::Result<Vec<u8>> {
    let length = from.read_u32().await?;
    let mut message = start;
    message.extend_from_slice(&length.to_be_bytes());
    let body = message.len();
    message.resize(body + (length as usize).saturating_sub(4), 0);
    from.read_exact(&mut message[body..]).await?;
    Ok(message)
}

async fn until_flowing(shared: &Shared) {
    // The sender lives in `shared`, so waiting does not fail.
    let _ = shared.wire.subscribe().wait_for(|wire| !wire.stalled).await;
}

impl Seen {
    /// Whether the client waits for an answer after this message.
    fn count(&mut self, kind: u8, body: &[u8]) -> bool {
        match kind {
            b'Q' => self.statements.extend(text(body)),
            // Parse: the statement's name, then its SQL.
            b'P' => self.statements.extend(body.splitn(2, |byte| *byte == 0).nth(1).and_then(text)),
            _ => {}
        }
        let waits = matches!(kind, b'Q' | b'S');
        self.trips += usize::from(waits);
        waits
    }
}

/// The text up to the first NUL.
fn text(bytes: &[u8]) -> Option<String> {
    let end = bytes.iter().position(|byte| *byte == 0)?;
    Some(String::from_utf8_lossy(&bytes[..end]).into_owned())
}
