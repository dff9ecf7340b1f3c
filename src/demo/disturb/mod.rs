//! Real disturbances of this host, small and bounded, so that a viewer can see them caught.

use std::io;
use std::path::PathBuf;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

mod disk;
mod loopback;
mod memory;
mod processor;
mod room;
mod turn;

pub use room::Room;
use turn::Turn;

/// How long a disturbance lasts unless the caller says otherwise: 16 samples of the host.
pub const LENGTH: Duration = Duration::from_secs(4);

const MIB: u64 = 1 << 20;

/// What was done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Done {
    /// Bytes touched, written or received; 0 for the processor.
    pub bytes: u64,
    pub lasted: Duration,
}

/// Why a disturbance could not be made. The demo goes on with the next one.
#[derive(Debug, thiserror::Error)]
pub enum DisturbError {
    #[error(
        "no room to disturb the {what}: less than {needed} bytes are free; free some or skip this one"
    )]
    NoRoom { what: &'static str, needed: u64 },
    #[error("cannot {action}: {source}")]
    System {
        action: String,
        #[source]
        source: io::Error,
    },
}

impl DisturbError {
    fn at(action: impl Into<String>) -> impl FnOnce(io::Error) -> Self {
        let action = action.into();
        move |source| Self::System { action, source }
    }
}

/// One kind of disturbance with its size, made to measure for a host by [`Disturbance::plan`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Disturbance {
    /// Every core busy.
    Processor { threads: usize },
    /// Memory taken page by page, held, freed.
    Memory { bytes: u64 },
    /// One temporary file written and synced, then removed.
    Disk { directory: PathBuf, bytes: u64 },
    /// Traffic from this process to itself over 127.0.0.1.
    Loopback { bytes: u64 },
}

impl Disturbance {
    /// One of each kind, as large as `room` allows: at most 512 MiB and a tenth of the available
    /// memory, at most 256 MiB and a tenth of the free disk, 2 GiB over loopback.
    pub fn plan(room: &Room) -> Vec<Self> {
        vec![
            Self::Processor {
                threads: room.cores.max(1),
            },
            Self::Memory {
                bytes: (512 * MIB).min(room.available_memory / 10),
            },
            Self::Disk {
                directory: room.directory.clone(),
                bytes: (256 * MIB).min(room.free_disk / 10),
            },
            Self::Loopback { bytes: 2048 * MIB },
        ]
    }

    pub fn name(&self) -> &'static str {
        match self {
            Self::Processor { .. } => "processor",
            Self::Memory { .. } => "memory",
            Self::Disk { .. } => "disk",
            Self::Loopback { .. } => "loopback",
        }
    }

    /// One sentence that says what [`Disturbance::run`] will do in `length`.
    pub fn announce(&self, length: Duration) -> String {
        let seconds = length.as_secs_f64();
        match self {
            Self::Processor { threads } => {
                format!("spins {threads} threads, one for each core, for {seconds} s")
            }
            Self::Memory { bytes } => format!(
                "takes {} MiB of memory page by page and frees it after {seconds} s",
                bytes / MIB
            ),
            Self::Disk { directory, bytes } => format!(
                "writes and syncs a temporary file of {} MiB in {} over {seconds} s",
                bytes / MIB,
                directory.display()
            ),
            Self::Loopback { bytes } => format!(
                "sends itself up to {} MiB over 127.0.0.1 in {seconds} s",
                bytes / MIB
            ),
        }
    }

    /// Fields of the host's records in which it should show. Whether it was caught is told by time
    /// alone, as a disturbance shows in others too.
    pub fn expected_fields(&self) -> &'static [&'static str] {
        match self {
            Self::Processor { .. } => &["cpu.mean", "cpu.min", "load.one"],
            Self::Memory { .. } => &["memory.available_bytes", "kernel.page_faults_per_s"],
            Self::Disk { .. } => &["disk.write_bytes_per_s"],
            Self::Loopback { .. } => &["loopback.bytes_per_s", "cpu.mean"],
        }
    }

    /// Disturbs the host for `length`, in threads of its own where one is not enough, and returns
    /// when all is freed and removed. Returns within a fraction of a second of `stop` being set, or
    /// one sync of the disk.
    ///
    /// # Errors
    ///
    /// When there is no room, or the operating system refuses a thread, memory, file or socket.
    pub fn run(&self, length: Duration, stop: &AtomicBool) -> Result<Done, DisturbError> {
        let turn = Turn::new(length, stop);
        let bytes = match self {
            Self::Processor { threads } => processor::spin(*threads, &turn)?,
            Self::Memory { bytes } => memory::touch(*bytes, &turn)?,
            Self::Disk { directory, bytes } => disk::write(directory, *bytes, &turn)?,
            Self::Loopback { bytes } => loopback::send(*bytes, &turn)?,
        };
        Ok(Done {
            bytes,
            lasted: turn.elapsed(),
        })
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
mod tests {
    use super::*;

    fn small(directory: &std::path::Path) -> Vec<Disturbance> {
        Disturbance::plan(&Room {
            cores: 2,
            available_memory: 80 * MIB,
            free_disk: 80 * MIB,
            directory: directory.to_owned(),
        })
    }

    #[test]
    fn sizes_are_a_tenth_of_what_is_free_and_never_above_the_bound() {
        let directory = PathBuf::from("/nowhere");
        let memory = |available_memory| {
            let room = Room {
                cores: 1,
                available_memory,
                free_disk: u64::MAX,
                directory: directory.clone(),
            };
            Disturbance::plan(&room)
        };
        assert!(memory(100 * MIB).contains(&Disturbance::Memory { bytes: 10 * MIB }));
        assert!(memory(u64::MAX).contains(&Disturbance::Memory { bytes: 512 * MIB }));
        assert!(memory(0).contains(&Disturbance::Disk {
            directory: directory.clone(),
            bytes: 256 * MIB
        }));
    }

    #[test]
    fn every_kind_does_its_work_in_its_time_and_leaves_nothing_behind() {
        let directory = tempfile::tempdir().unwrap();
        for disturbance in small(directory.path()) {
            let length = Duration::from_millis(200);
            let done = disturbance.run(length, &AtomicBool::new(false)).unwrap();
            let name = disturbance.name();
            assert!(done.lasted >= length, "{name} stopped early: {done:?}");
            assert_eq!(done.bytes == 0, name == "processor", "{name}: {done:?}");
            assert!(!disturbance.announce(length).is_empty());
        }
        assert_eq!(std::fs::read_dir(directory.path()).unwrap().count(), 0);
    }

    #[test]
    fn every_kind_ends_at_once_when_told_to_stop() {
        let directory = tempfile::tempdir().unwrap();
        for disturbance in small(directory.path()) {
            let done = disturbance
                .run(Duration::from_secs(600), &AtomicBool::new(true))
                .unwrap();
            assert!(done.lasted < Duration::from_secs(60), "{done:?}");
        }
        assert_eq!(std::fs::read_dir(directory.path()).unwrap().count(), 0);
    }

    #[test]
    fn no_room_is_an_error_not_an_empty_disturbance() {
        let room = Room {
            cores: 1,
            available_memory: 0,
            free_disk: 0,
            directory: PathBuf::new(),
        };
        let refused = Disturbance::plan(&room)
            .iter()
            .filter(|planned| matches!(planned.name(), "memory" | "disk"))
            .map(|planned| planned.run(Duration::ZERO, &AtomicBool::new(false)))
            .filter(|outcome| matches!(outcome, Err(DisturbError::NoRoom { .. })))
            .count();
        assert_eq!(refused, 2);
    }
}
