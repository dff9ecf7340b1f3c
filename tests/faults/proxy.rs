//! A proxy in front of a broker that tells Kafka's requests apart, and does harm to one kind of them.

use std::io::{self, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// Kinds of requests, by their numbers in Kafka's protocol.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Request {
    Produce = 0,
    OffsetCommit = 8,
    JoinGroup = 11,
    EndTxn = 26,
    TxnOffsetCommit = 28,
    ConsumerGroupHeartbeat = 68,
}

/// What is done to a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Harm {
    /// The connection is cut, and the request is gone.
    Cut,
    /// The request gets through, and its connection is cut before the answer does.
    Unanswered,
    /// The request and all after it on its connection are swallowed; the connection stays.
    Swallowed,
    /// The request, and all after it on its connection, come later.
    Delayed(Duration),
    /// The connection is cut, and the request gets through all the same, later.
    Late(Duration),
}

/// Which requests are harmed: after `skip` of them `times` ones, with `every - 1` between two.
#[derive(Debug, Clone, Copy)]
pub struct Plan {
    pub request: Request,
    pub harm: Harm,
    pub skip: usize,
    pub every: usize,
    pub times: usize,
}

/// A listener on loopback that forwards to one broker.
pub struct Proxy {
    pub address: SocketAddr,
    state: Arc<State>,
}

#[derive(Default)]
struct State {
    plan: Mutex<Option<Plan>>,
    seen: AtomicUsize,
    fired: AtomicUsize,
}

impl Proxy {
    /// Forwards to `broker`, which may not be there yet.
    pub fn before(broker: SocketAddr) -> io::Result<Proxy> {
        let listener = TcpListener::bind("127.0.0.1:0")?;
        let address = listener.local_addr()?;
        let state = Arc::new(State::default());
        let shared = Arc::clone(&state);
        // It ends with the process: a proxy without clients does nothing.
        std::thread::spawn(move || {
            for client in listener.incoming().flatten() {
                let state = Arc::clone(&shared);
                std::thread::spawn(move || Connection::serve(client, broker, &state).ok());
            }
        });
        Ok(Proxy { address, state })
    }

    /// From now on follows `plan`.
    pub fn arm(&self, plan: Plan) {
        self.state.seen.store(0, Ordering::SeqCst);
        self.state.fired.store(0, Ordering::SeqCst);
        *self.state.plan.lock().unwrap() = Some(plan);
    }

    /// Does no harm any more; says how much it did.
    pub fn disarm(&self) -> usize {
        *self.state.plan.lock().unwrap() = None;
        self.fired()
    }

    pub fn fired(&self) -> usize {
        self.state.fired.load(Ordering::SeqCst)
    }
}

impl State {
    /// What is to be done to a request of this number.
    fn harm(&self, number: i16) -> Option<Harm> {
        let plan = (*self.plan.lock().unwrap()).filter(|plan| plan.request as i16 == number)?;
        let seen = self.seen.fetch_add(1, Ordering::SeqCst);
        let turn = seen >= plan.skip && (seen - plan.skip).is_multiple_of(plan.every);
        if !turn || self.fired.load(Ordering::SeqCst) >= plan.times {
            return None;
        }
        self.fired.fetch_add(1, Ordering::SeqCst);
        Some(plan.harm)
    }
}

/// A request or an answer with the four bytes of its length.
struct Frame(Vec<u8>);

impl Frame {
    fn read(from: &mut TcpStream) -> io::Result<Frame> {
        let mut length = [0; 4];
        from.read_exact(&mut length)?;
        let mut frame = length.to_vec();
        frame.resize(4 + u32::from_be_bytes(length) as usize, 0);
        from.read_exact(&mut frame[4..])?;
        Ok(Frame(frame))
    }

    /// Of a request: which one it is.
    fn number(&self) -> i16 {
        i16::from_be_bytes([self.0[4], self.0[5]])
    }

    /// What an answer has in common with its request.
    fn correlation(&self, is_request: bool) -> &[u8] {
        let at = if is_request { 8 } else { 4 };
        &self.0[at..at + 4]
    }
}

struct Connection {
    client: TcpStream,
    broker: TcpStream,
    /// The request whose answer cuts the connection.
    cut_at: Arc<Mutex<Option<Vec<u8>>>>,
}

impl Connection {
    fn serve(client: TcpStream, broker: SocketAddr, state: &State) -> io::Result<()> {
        let broker = TcpStream::connect(broker)?;
        client.set_nodelay(true)?;
        broker.set_nodelay(true)?;
        let mut connection = Connection {
            client,
            broker,
            cut_at: Arc::default(),
        };
        let answers = connection.copy()?;
        std::thread::spawn(move || answers.answers().ok());
        let ended = connection.requests(state);
        connection.cut();
        ended
    }

    fn copy(&self) -> io::Result<Connection> {
        Ok(Connection {
            client: self.client.try_clone()?,
            broker: self.broker.try_clone()?,
            cut_at: Arc::clone(&self.cut_at),
        })
    }

    fn cut(&self) {
        self.client.shutdown(Shutdown::Both).ok();
        self.broker.shutdown(Shutdown::Both).ok();
    }

    /// Waits until the other thread has cut it.
    fn wait_cut(&self) -> io::Result<()> {
        while Arc::strong_count(&self.cut_at) > 1 {
            std::thread::sleep(Duration::from_millis(5));
        }
        Ok(())
    }

    fn requests(&mut self, state: &State) -> io::Result<()> {
        loop {
            let frame = Frame::read(&mut self.client)?;
            match state.harm(frame.number()) {
                None => {}
                Some(Harm::Cut) => return Ok(()),
                Some(Harm::Unanswered) => {
                    *self.cut_at.lock().unwrap() = Some(frame.correlation(true).to_vec());
                }
                Some(Harm::Swallowed) => loop {
                    Frame::read(&mut self.client)?;
                },
                Some(Harm::Delayed(by)) => std::thread::sleep(by),
                Some(Harm::Late(by)) => {
                    *self.cut_at.lock().unwrap() = Some(frame.correlation(true).to_vec());
                    self.client.shutdown(Shutdown::Both)?;
                    std::thread::sleep(by);
                    self.broker.write_all(&frame.0)?;
                    // Whoever reads the answers cuts the connection with this one's.
                    return self.wait_cut();
                }
            }
            self.broker.write_all(&frame.0)?;
        }
    }

    fn answers(mut self) -> io::Result<()> {
        loop {
            let frame = Frame::read(&mut self.broker);
            let Ok(frame) = frame else {
                self.cut();
                return Ok(());
            };
            let is_cut = self
                .cut_at
                .lock()
                .unwrap()
                .as_deref()
                .is_some_and(|correlation| correlation == frame.correlation(false));
            if is_cut {
                self.cut();
                return Ok(());
            }
            // A client that was cut off gets no answers any more; the broker's are read all the same.
            self.client.write_all(&frame.0).ok();
        }
    }
}
