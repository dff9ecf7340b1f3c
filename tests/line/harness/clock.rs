//! A wall clock of its own for a process, which a test sets.

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::process::Command;
use std::time::Duration;

use tempfile::TempDir;

/// Stands before the C library's. The offset is in a file that is mapped, so that it can be changed while a program runs.
const SHIM: &str = r#"
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

static volatile long *offset;

__attribute__((constructor)) static void map(void) {
    int file = open(getenv("OUTLIERD_TEST_CLOCK"), O_RDONLY);
    offset = mmap(NULL, sizeof(long), PROT_READ, MAP_SHARED, file, 0);
}

int clock_gettime(clockid_t clock, struct timespec *now) {
    int outcome = (int)syscall(SYS_clock_gettime, clock, now);
    if (clock == CLOCK_REALTIME && offset) now->tv_sec += *offset;
    return outcome;
}
"#;

/// A clock that is right until it is set.
pub struct Clock {
    folder: TempDir,
    offset: File,
}

impl Clock {
    /// Needs the C compiler that the build needs as well.
    pub fn new() -> Clock {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        std::fs::write(path("clock.c"), SHIM).unwrap();
        let compiled = Command::new("gcc")
            .args(["-shared", "-fPIC", "-O1", "-o"])
            .args([path("clock.so"), path("clock.c")])
            .status();
        assert!(compiled.unwrap().success());
        let offset = File::create_new(path("offset")).unwrap();
        let clock = Clock { folder, offset };
        clock.ahead(Duration::ZERO);
        clock
    }

    /// Sets it so far ahead of the true time.
    pub fn ahead(&self, ahead: Duration) {
        let seconds = i64::try_from(ahead.as_secs()).unwrap();
        self.offset.write_all_at(&seconds.to_ne_bytes(), 0).unwrap();
    }

    /// What a process that goes by it has in its environment.
    pub fn environment(&self) -> [(&'static str, String); 2] {
        let path = |name: &str| self.folder.path().join(name).display().to_string();
        [
            ("LD_PRELOAD", path("clock.so")),
            ("OUTLIERD_TEST_CLOCK", path("offset")),
        ]
    }
}
