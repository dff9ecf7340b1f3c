//! SIGINT and SIGTERM, counted.

use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;

/// How often the process was told to stop.
#[derive(Clone)]
pub struct Signals {
    count: watch::Receiver<u32>,
    send: std::sync::Arc<watch::Sender<u32>>,
}

impl Signals {
    /// Listens from now on; the default action no longer ends the process.
    ///
    /// # Errors
    /// When the handlers cannot be installed.
    pub fn listen() -> std::io::Result<Signals> {
        let mut interrupt = signal(SignalKind::interrupt())?;
        let mut terminate = signal(SignalKind::terminate())?;
        let (send, count) = watch::channel(0);
        let send = std::sync::Arc::new(send);
        let counter = std::sync::Arc::clone(&send);
        tokio::spawn(async move {
            loop {
                tokio::select! {
                    _ = interrupt.recv() => {}
                    _ = terminate.recv() => {}
                }
                counter.send_modify(|count| *count += 1);
            }
        });
        Ok(Signals { count, send })
    }

    /// Tells to stop, as a signal would.
    pub fn raise(&self) {
        self.send.send_modify(|count| *count += 1);
    }

    /// Waits until it was told `times` times.
    pub async fn times(&mut self, times: u32) {
        // The sender lives as long as this value.
        self.count.wait_for(|count| *count >= times).await.ok();
    }

    pub fn raised(&self) -> bool {
        *self.count.borrow() > 0
    }
}
