//! How much of this host a disturbance may use.

use std::path::{Path, PathBuf};
use std::thread;

use sysinfo::{Disks, System};

/// What is free on this host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Room {
    pub cores: usize,
    /// Bytes that can be taken without swapping, within this process's control group.
    pub available_memory: u64,
    /// Bytes on the file system that holds `directory`; 0 when it cannot be told.
    pub free_disk: u64,
    /// Where the temporary file goes. On a file system in memory (often `/tmp`) its writes show in
    /// no disk reading.
    pub directory: PathBuf,
}

impl Room {
    /// Measures this host. What cannot be measured is 0, which rules out the disturbance that
    /// needs it.
    pub fn measure(directory: &Path) -> Self {
        let directory = directory
            .canonicalize()
            .unwrap_or_else(|_| directory.to_owned());
        Self {
            cores: thread::available_parallelism().map_or(1, usize::from),
            available_memory: available_memory(),
            free_disk: free_disk(&directory),
            directory,
        }
    }
}

fn available_memory() -> u64 {
    let Ok(mut system) = System::new() else {
        return 0;
    };
    system.refresh_memory();
    let available = system.available_memory();
    system
        .cgroup_limits()
        .map_or(available, |group| available.min(group.free_memory))
}

fn free_disk(directory: &Path) -> u64 {
    let Ok(disks) = Disks::new_with_refreshed_list() else {
        return 0;
    };
    disks
        .iter()
        .filter(|disk| directory.starts_with(disk.mount_point()))
        .max_by_key(|disk| disk.mount_point().components().count())
        .map_or(0, sysinfo::Disk::available_space)
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
mod tests {
    use super::*;

    #[test]
    fn this_host_has_cores_and_memory() {
        let room = Room::measure(Path::new("."));
        assert!(room.cores > 0 && room.available_memory > 0, "{room:?}");
        assert!(room.directory.is_absolute());
    }
}
