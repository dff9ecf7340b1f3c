//! Traffic from this process to itself.

use std::io::{self, ErrorKind, Read, Write};
use std::net::{Ipv4Addr, Shutdown, TcpListener, TcpStream};
use std::thread;
use std::time::Duration;

use super::turn::Turn;
use super::{DisturbError, MIB};

const CHUNK: usize = 256 << 10;

/// How long a read or write may block before the stop flag is looked at again.
const BLOCKED: Duration = Duration::from_millis(50);

/// Sends up to `bytes` over 127.0.0.1, spread over the turn, and reads them. Returns the bytes
/// received. Nobody else can connect: the port is known to no one and taken once.
pub(super) fn send(bytes: u64, turn: &Turn<'_>) -> Result<u64, DisturbError> {
    let (sender, receiver) = connect().map_err(DisturbError::at("connect over 127.0.0.1"))?;
    thread::scope(|scope| {
        let receiving = thread::Builder::new()
            .name("demo-loopback".to_owned())
            .spawn_scoped(scope, || receive(receiver))
            .map_err(DisturbError::at("start a thread that receives"))?;
        let sent = transmit(sender, bytes, turn);
        let received = receiving
            .join()
            .map_err(|_| io::Error::other("the receiving thread died"))
            .flatten();
        sent.and(received)
            .map_err(DisturbError::at("send over 127.0.0.1"))
    })
}

/// Two ends of one connection. The peer's address is checked, as any process could connect.
fn connect() -> io::Result<(TcpStream, TcpStream)> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    let sender = TcpStream::connect(listener.local_addr()?)?;
    let ours = sender.local_addr()?;
    loop {
        let (receiver, peer) = listener.accept()?;
        if peer == ours {
            sender.set_write_timeout(Some(BLOCKED))?;
            return Ok((sender, receiver));
        }
    }
}

/// Consumes the sender, so that its end closes the connection and ends the receiver.
fn transmit(mut sender: TcpStream, bytes: u64, turn: &Turn<'_>) -> io::Result<()> {
    let chunk = vec![0x5A; CHUNK];
    let mut sent = 0;
    while !turn.is_over() {
        let due = turn.due(bytes, 1.0);
        if sent >= due {
            turn.pause();
            continue;
        }
        let length = CHUNK.min((due - sent) as usize);
        match sender.write(&chunk[..length]) {
            Ok(written) => sent += written as u64,
            Err(error) if is_temporary(&error) => {}
            Err(error) => return Err(error),
        }
    }
    sender.shutdown(Shutdown::Write)
}

/// Reads until the sender closes.
fn receive(mut receiver: TcpStream) -> io::Result<u64> {
    let mut chunk = vec![0; MIB as usize];
    let mut received = 0;
    loop {
        match receiver.read(&mut chunk) {
            Ok(0) => return Ok(received),
            Ok(read) => received += read as u64,
            Err(error) if is_temporary(&error) => {}
            Err(error) => return Err(error),
        }
    }
}

fn is_temporary(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        ErrorKind::WouldBlock | ErrorKind::TimedOut | ErrorKind::Interrupted
    )
}
