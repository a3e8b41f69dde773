//! A wire that remembers when what went over it, without touching it.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Instant;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

/// Stops listening when dropped.
pub struct Wire {
    /// `host:port`.
    pub address: String,
    shared: Arc<Mutex<Record>>,
    accepting: JoinHandle<()>,
}

#[derive(Debug, Clone, Default)]
pub struct Record {
    pub connected: Option<Instant>,
    pub sent: Vec<(Instant, Vec<u8>)>,
    pub last_answer: Option<Instant>,
}

#[derive(Clone, Copy)]
enum Direction {
    ToServer,
    ToClient,
}

impl Wire {
    pub async fn start(target: &str) -> std::io::Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?.to_string();
        let shared = Arc::new(Mutex::new(Record::default()));
        let accepting = tokio::spawn(accept(listener, target.to_owned(), Arc::clone(&shared)));
        Ok(Self { address, shared, accepting })
    }

    pub fn record(&self) -> Record {
        lock(&self.shared).clone()
    }
}

impl Drop for Wire {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

impl Record {
    /// The SQL that a Postgres client prepared, with the type of each parameter, and when the first such message went out.
    pub fn prepared(&self) -> (HashMap<String, Vec<u32>>, Option<Instant>) {
        let stream: Vec<u8> = self.sent.iter().flat_map(|(_, bytes)| bytes.iter().copied()).collect();
        let at = |offset: usize| {
            let mut end = 0;
            self.sent.iter().find(|(_, bytes)| {
                end += bytes.len();
                offset < end
            })
        };
        // The first message, which signs in, has a length and no type.
        let mut offset = number(&stream, 0).unwrap_or(0) as usize;
        let (mut prepared, mut first) = (HashMap::new(), None);
        while let Some(length) = number(&stream, offset + 1) {
            if matches!(stream[offset], b'P' | b'Q') && first.is_none() {
                first = at(offset).map(|(when, _)| *when);
            }
            if stream[offset] == b'P' {
                prepared.extend(parse_message(&stream[offset + 5..(offset + 1 + length as usize).min(stream.len())]));
            }
            offset += 1 + length as usize;
        }
        (prepared, first)
    }
}

fn parse_message(body: &[u8]) -> Option<(String, Vec<u32>)> {
    let mut parts = body.splitn(3, |byte| *byte == 0);
    let (_name, sql, rest) = (parts.next()?, parts.next()?, parts.next()?);
    let types = rest.get(2..)?.chunks_exact(4).map(|oid| u32::from_be_bytes([oid[0], oid[1], oid[2], oid[3]]));
    Some((String::from_utf8_lossy(sql).into_owned(), types.collect()))
}

fn number(stream: &[u8], offset: usize) -> Option<u32> {
    let bytes: [u8; 4] = stream.get(offset..offset + 4)?.try_into().ok()?;
    Some(u32::from_be_bytes(bytes))
}

async fn accept(listener: TcpListener, target: String, shared: Arc<Mutex<Record>>) {
    while let Ok((client, _)) = listener.accept().await {
        lock(&shared).connected.get_or_insert_with(Instant::now);
        let Ok(server) = TcpStream::connect(&target).await else { continue };
        let _ = (client.set_nodelay(true), server.set_nodelay(true));
        let (from_client, to_client) = client.into_split();
        let (from_server, to_server) = server.into_split();
        tokio::spawn(carry(from_client, to_server, Arc::clone(&shared), Direction::ToServer));
        tokio::spawn(carry(from_server, to_client, Arc::clone(&shared), Direction::ToClient));
    }
}

async fn carry(mut from: OwnedReadHalf, mut to: OwnedWriteHalf, shared: Arc<Mutex<Record>>, direction: Direction) {
    let mut buffer = vec![0; 64 * 1024];
    while let Ok(length @ 1..) = from.read(&mut buffer).await {
        match direction {
            Direction::ToServer => lock(&shared).sent.push((Instant::now(), buffer[..length].to_vec())),
            Direction::ToClient => lock(&shared).last_answer = Some(Instant::now()),
        }
        if to.write_all(&buffer[..length]).await.is_err() {
            break;
        }
    }
}

fn lock(record: &Mutex<Record>) -> MutexGuard<'_, Record> {
    record.lock().expect("nobody panics while they hold this lock")
}
