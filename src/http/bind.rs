//! Taking the address of `[http] bind`.

use std::io;
use std::net::SocketAddr;

use tokio::net::TcpListener;

/// Why the address could not be taken: the caller stops.
#[derive(Debug, thiserror::Error)]
#[error("cannot listen on {addr} for http: {why}; {remedy}")]
pub struct BindError {
    addr: SocketAddr,
    why: &'static str,
    remedy: &'static str,
    source: io::Error,
}

/// Listens on `addr`; port 0 takes any free port.
///
/// # Errors
///
/// When the address is in use, not of this machine, or not permitted.
pub async fn bind(addr: SocketAddr) -> Result<TcpListener, BindError> {
    TcpListener::bind(addr).await.map_err(|source| {
        let (why, remedy) = explain(source.kind());
        BindError {
            addr,
            why,
            remedy,
            source,
        }
    })
}

fn explain(kind: io::ErrorKind) -> (&'static str, &'static str) {
    match kind {
        io::ErrorKind::AddrInUse => (
            "another program uses this address",
            "set another port in [http] bind, or stop that program",
        ),
        io::ErrorKind::AddrNotAvailable => (
            "no interface of this machine has this address",
            "set [http] bind to 127.0.0.1, 0.0.0.0 or an address of this machine",
        ),
        io::ErrorKind::PermissionDenied => (
            "the system does not permit it",
            "set a port above 1023 in [http] bind",
        ),
        _ => (
            "the system refused it",
            "set another address in [http] bind",
        ),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn an_address_in_use_is_refused_with_the_address_and_the_remedy() {
        let first = bind("127.0.0.1:0".parse().unwrap()).await.unwrap();
        let addr = first.local_addr().unwrap();
        let error = bind(addr).await.unwrap_err();
        assert_eq!(
            error.to_string(),
            format!(
                "cannot listen on {addr} for http: another program uses this address; \
                 set another port in [http] bind, or stop that program"
            )
        );
    }

    #[tokio::test]
    async fn an_address_of_another_machine_is_refused() {
        // TEST-NET-1, RFC 5737: no machine has it.
        let error = bind("192.0.2.1:0".parse().unwrap()).await.unwrap_err();
        assert!(error.to_string().contains("no interface of this machine"));
    }
}
