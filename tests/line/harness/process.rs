//! The real binary: its commands, and the daemon as a process.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

use super::{Setup, until};

/// A command that has ended.
#[derive(Debug)]
pub struct Ended {
    pub status: ExitStatus,
    pub stdout: String,
    pub stderr: String,
}

/// Runs a command of outlierd to its end.
pub fn outlierd(arguments: &[&str]) -> Ended {
    ended(command(arguments))
}

/// The same, with variables of the environment.
pub fn outlierd_with(environment: &[(&str, &str)], arguments: &[&str]) -> Ended {
    let mut command = command(arguments);
    command.envs(environment.iter().copied());
    ended(command)
}

fn command(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_outlierd"));
    command.args(arguments).stdin(Stdio::null());
    command
}

fn ended(mut command: Command) -> Ended {
    let output = command.output().unwrap();
    Ended {
        status: output.status,
        stdout: String::from_utf8(output.stdout).unwrap(),
        stderr: String::from_utf8(output.stderr).unwrap(),
    }
}

impl Setup {
    fn run(&self) -> Command {
        let mut command = command(&["run", "-c", self.write().to_str().unwrap()]);
        command.envs(self.environment.iter().cloned());
        command
    }

    /// Runs the daemon, which is expected to end by itself.
    pub fn run_to_its_end(&self) -> Ended {
        let mut daemon = Outlierd::spawn(self);
        let status = daemon.wait();
        let stderr = daemon.stderr();
        Ended {
            status,
            stdout: String::new(),
            stderr,
        }
    }
}

/// A running daemon, killed when it is dropped.
pub struct Outlierd {
    child: Child,
    address: Option<SocketAddr>,
    stderr: Arc<Mutex<String>>,
    reader: Option<JoinHandle<()>>,
}

impl Outlierd {
    /// Starts the daemon and waits until it serves HTTP.
    #[track_caller]
    pub fn start(setup: &Setup) -> Outlierd {
        let mut daemon = Outlierd::spawn(setup);
        daemon.address = Some(until("the daemon's address", || {
            let ended = daemon.child.try_wait().unwrap();
            assert!(ended.is_none(), "the daemon has ended: {}", daemon.stderr());
            let said = daemon.stderr();
            let (_, from_address) = said.split_once("status at http://")?;
            let (address, _) = from_address.split_once("/\n")?;
            Some(address.parse().unwrap())
        }));
        daemon
    }

    /// Starts the daemon and waits until it is ready.
    #[track_caller]
    pub fn start_ready(setup: &Setup) -> Outlierd {
        let daemon = Outlierd::start(setup);
        daemon.wait_ready();
        daemon
    }

    fn spawn(setup: &Setup) -> Outlierd {
        let mut child = setup
            .run()
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let stderr = Arc::new(Mutex::new(String::new()));
        let (pipe, said) = (child.stderr.take().unwrap(), Arc::clone(&stderr));
        let reader = std::thread::spawn(move || {
            for line in BufReader::new(pipe).lines() {
                let line = line.unwrap();
                said.lock().unwrap().push_str(&(line + "\n"));
            }
        });
        Outlierd {
            child,
            address: None,
            stderr,
            reader: Some(reader),
        }
    }

    /// Where it serves HTTP.
    pub fn url(&self) -> String {
        format!("http://{}", self.address.unwrap())
    }

    /// What it has written to standard error so far.
    pub fn stderr(&self) -> String {
        self.stderr.lock().unwrap().clone()
    }

    /// The status and the body of a GET.
    pub fn get(&self, path: &str) -> (u16, String) {
        self.ask(&format!("GET {path}"), "")
    }

    /// The status and the body of a POST, with a token or none.
    pub fn post(&self, path: &str, token: Option<&str>) -> (u16, String) {
        let token = token.map(|token| format!("Authorization: Bearer {token}\r\n"));
        let length = "Content-Length: 0\r\n";
        self.ask(
            &format!("POST {path}"),
            &format!("{length}{}", token.unwrap_or_default()),
        )
    }

    fn ask(&self, what: &str, headers: &str) -> (u16, String) {
        let mut stream = TcpStream::connect(self.address.unwrap()).unwrap();
        stream
            .set_read_timeout(Some(Duration::from_secs(30)))
            .unwrap();
        write!(
            stream,
            "{what} HTTP/1.1\r\nHost: test\r\n{headers}Connection: close\r\n\r\n"
        )
        .unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        (
            head.split(' ').nth(1).unwrap().parse().unwrap(),
            body.to_owned(),
        )
    }

    pub fn status(&self) -> Value {
        serde_json::from_str(&self.get("/status").1).unwrap()
    }

    /// The value of a series, named as `/metrics` writes it, such as
    /// `outlierd_records_total{disposition="normal"}`.
    #[track_caller]
    pub fn metric(&self, series: &str) -> u64 {
        let page = self.get("/metrics").1;
        let value = page
            .lines()
            .find_map(|line| line.strip_prefix(series)?.strip_prefix(' '));
        let value = value.unwrap_or_else(|| panic!("no {series} in\n{page}"));
        value.parse::<f64>().unwrap() as u64
    }

    /// Records with a durable disposition.
    pub fn records(&self) -> u64 {
        self.status()["records"]
            .as_object()
            .unwrap()
            .values()
            .map(|count| count.as_u64().unwrap())
            .sum()
    }

    #[track_caller]
    pub fn wait_records(&self, count: usize) {
        let mut seen = 0;
        until(&format!("{count} records"), || {
            seen = self.records();
            (seen >= count as u64).then_some(())
        });
        assert_eq!(seen, count as u64, "more records than there are");
    }

    #[track_caller]
    pub fn wait_ready(&self) {
        until("readiness", || (self.get("/readyz").0 == 200).then_some(()));
    }

    /// Waits until it is not ready because of `condition`, and gives the whole answer.
    #[track_caller]
    pub fn wait_unready(&self, condition: &str) -> String {
        until(&format!("{condition} in /readyz"), || {
            let (status, body) = self.get("/readyz");
            let unmet = body
                .lines()
                .any(|line| line.starts_with(&format!("{condition}: ")));
            unmet.then(|| {
                assert_eq!(status, 503);
                body
            })
        })
    }

    pub fn id(&self) -> u32 {
        self.child.id()
    }

    pub fn is_running(&mut self) -> bool {
        self.child.try_wait().unwrap().is_none()
    }

    pub fn signal(&self, signal: Signal) {
        let pid = Pid::from_raw(self.id().try_into().unwrap()).unwrap();
        kill_process(pid, signal).unwrap();
    }

    /// SIGKILL, and waits until the process is gone.
    pub fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// SIGTERM, and the exit status.
    #[track_caller]
    pub fn terminate(&mut self) -> ExitStatus {
        self.signal(Signal::TERM);
        self.wait()
    }

    /// Waits until the process has ended and all that it said was read.
    #[track_caller]
    pub fn wait(&mut self) -> ExitStatus {
        let status = until("the end of the daemon", || self.child.try_wait().unwrap());
        if let Some(reader) = self.reader.take() {
            reader.join().unwrap();
        }
        status
    }
}

impl Drop for Outlierd {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
        if std::thread::panicking() || std::env::var_os("OUTLIERD_TEST_LOG").is_some() {
            eprintln!("what the daemon said:\n{}", self.stderr());
        }
    }
}
