/* The wall clock, shifted by as many seconds as the file in CLOCK_OFFSET says: eight bytes, which may change. */
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

int clock_gettime(clockid_t clock, struct timespec *now) {
    static int file = -1;
    int64_t offset = 0;
    long failed = syscall(SYS_clock_gettime, clock, now);
    if (failed || clock != CLOCK_REALTIME)
        return (int)failed;
    if (file < 0 && getenv("CLOCK_OFFSET"))
        file = open(getenv("CLOCK_OFFSET"), O_RDONLY | O_CLOEXEC);
    if (file >= 0 && pread(file, &offset, sizeof offset, 0) == sizeof offset)
        now->tv_sec += offset;
    return 0;
}
