//! Counters of the Linux kernel that sysinfo does not give, parsed from the text of `/proc` files.

/// A sector of `/proc/diskstats` is 512 bytes, whatever the device
/// (Documentation/admin-guide/iostats.rst).
const SECTOR_BYTES: u64 = 512;

/// Devices that stand on others or on memory: counting them would count a write twice.
const VIRTUAL: [&str; 6] = ["loop", "ram", "zram", "dm-", "md", "sr"];

/// The number after `name` on a line of its own, as in `/proc/stat` (`ctxt 123`) and `/proc/vmstat`.
pub(super) fn counter(text: &str, name: &str) -> Option<u64> {
    text.lines()
        .filter_map(|line| line.split_once(' '))
        .find(|(key, _)| *key == name)
        .and_then(|(_, value)| value.trim().parse().ok())
}

/// Bytes read and written since boot, summed over the whole disks of `/proc/diskstats`. sysinfo
/// gives these for mounted file systems only, which leaves nothing inside a container.
pub(super) fn disk_bytes(text: &str) -> Option<(u64, u64)> {
    let mut disks: Vec<&str> = Vec::new();
    let mut sum = None;
    for line in text.lines() {
        let columns: Vec<&str> = line.split_whitespace().collect();
        let (Some(name), Some(read), Some(written)) =
            (columns.get(2), columns.get(5), columns.get(9))
        else {
            continue;
        };
        let skip = VIRTUAL.iter().any(|prefix| name.starts_with(prefix))
            || disks.iter().any(|disk| is_partition(name, disk));
        let (Ok(read), Ok(written)) = (read.parse::<u64>(), written.parse::<u64>()) else {
            continue;
        };
        if !skip {
            disks.push(name);
            let (all_read, all_written) = sum.unwrap_or((0, 0));
            sum = Some((
                all_read + read * SECTOR_BYTES,
                all_written + written * SECTOR_BYTES,
            ));
        }
    }
    sum
}

/// Whether `name` is a partition of `disk`: `sda1` of `sda`, `nvme0n1p2` of `nvme0n1`. The kernel
/// lists a disk before its partitions.
fn is_partition(name: &str, disk: &str) -> bool {
    name.strip_prefix(disk)
        .map(|rest| rest.strip_prefix('p').unwrap_or(rest))
        .is_some_and(|rest| !rest.is_empty() && rest.bytes().all(|byte| byte.is_ascii_digit()))
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
mod tests {
    use super::*;

    #[test]
    fn a_counter_is_found_by_its_whole_name() {
        let text = "cpu  1 2 3\npgfaults 1\npgfault 42\nctxt 7\n";
        assert_eq!(counter(text, "pgfault"), Some(42));
        assert_eq!(counter(text, "ctxt"), Some(7));
        assert_eq!(counter(text, "processes"), None);
    }

    #[test]
    fn partitions_and_virtual_devices_are_not_counted_twice() {
        let text = "\
            7 0 loop0 9 9 900 9 9 9 900 0 0 0 0\n\
            8 0 sda 1 0 10 0 1 0 20 0 0 0 0\n\
            8 1 sda1 1 0 10 0 1 0 20 0 0 0 0\n\
            65 0 sdaa 1 0 1 0 1 0 1 0 0 0 0\n\
            259 0 nvme0n1 1 0 100 0 1 0 200 0 0 0 0\n\
            259 1 nvme0n1p1 1 0 100 0 1 0 200 0 0 0 0\n\
            253 0 dm-0 1 0 100 0 1 0 200 0 0 0 0\n";
        assert_eq!(disk_bytes(text), Some((111 * 512, 221 * 512)));
        assert_eq!(disk_bytes("garbage\n"), None);
    }

    proptest::proptest! {
        #[test]
        fn no_text_breaks_the_parsers(text in ".{0,200}") {
            counter(&text, "ctxt");
            disk_bytes(&text);
        }
    }
}
