//! CPU and memory of processes, from the kernel's accounting in `/proc`. On systems without it
//! there are no such figures.

use std::fs;
use std::net::IpAddr;

use rustix::param::clock_ticks_per_second;

use super::figures::count;

/// User and system time of a process so far, in seconds; `None` if that cannot be known.
pub fn cpu(pid: u32) -> Option<f64> {
    cpu_of(&format!("/proc/{pid}/stat"))
}

/// The same of its first thread alone. A process with one thread for its runtime does nothing on
/// the others but what would block: reading and writing a database.
pub fn cpu_of_the_first_thread(pid: u32) -> Option<f64> {
    cpu_of(&format!("/proc/{pid}/task/{pid}/stat"))
}

fn cpu_of(path: &str) -> Option<f64> {
    let ticks = ticks(&fs::read_to_string(path).ok()?)?;
    Some(count(ticks) / count(clock_ticks_per_second()))
}

/// The fields `utime` and `stime` of proc(5), added.
fn ticks(stat: &str) -> Option<u64> {
    // The command's name, the second field, may hold spaces; it ends at the last parenthesis.
    let (_, fields) = stat.rsplit_once(") ")?;
    let fields: Vec<&str> = fields.split_whitespace().collect();
    let field = |index: usize| fields.get(index)?.parse::<u64>().ok();
    Some(field(11)? + field(12)?)
}

/// The most memory that a process has had resident, in MiB; `None` if that cannot be known.
pub fn peak_mib(pid: u32) -> Option<f64> {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let peak = status
        .lines()
        .find_map(|line| line.strip_prefix("VmHWM:"))?;
    let kib: f64 = peak.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kib / 1024.0)
}

/// The process of this machine that listens on a TCP port and is called one of `names`; or why it
/// is not known.
pub fn listener(host: &str, port: u16, names: &[&str]) -> Result<u32, String> {
    let here = host == "localhost" || host.parse().is_ok_and(|ip: IpAddr| ip.is_loopback());
    if !here {
        return Err(format!("{host} is not this machine"));
    }
    let sockets: Vec<String> = ["/proc/net/tcp", "/proc/net/tcp6"]
        .iter()
        .filter_map(|table| fs::read_to_string(table).ok())
        .flat_map(|table| listening(&table, port))
        .map(|inode| format!("socket:[{inode}]"))
        .collect();
    if sockets.is_empty() {
        return Err(format!("no process is seen to listen on port {port}"));
    }
    let pids = fs::read_dir("/proc").into_iter().flatten().flatten();
    let pids = pids.filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
    for pid in pids.filter(|pid| holds(*pid, &sockets)) {
        let name = fs::read_to_string(format!("/proc/{pid}/comm")).unwrap_or_default();
        if names.contains(&name.trim()) {
            return Ok(pid);
        }
    }
    let names = names.join(" or ");
    Err(format!(
        "no {names} of this machine can be seen to listen on port {port}"
    ))
}

fn holds(pid: u32, sockets: &[String]) -> bool {
    let handles = fs::read_dir(format!("/proc/{pid}/fd"))
        .into_iter()
        .flatten();
    let mut targets = handles.filter_map(|handle| fs::read_link(handle.ok()?.path()).ok());
    targets.any(|target| {
        sockets
            .iter()
            .any(|socket| target.as_os_str() == socket.as_str())
    })
}

/// The inodes of the sockets that listen on `port`, in a table such as `/proc/net/tcp`.
fn listening(table: &str, port: u16) -> Vec<u64> {
    const LISTEN: &str = "0A";
    let inode = |line: &str| {
        let fields: Vec<&str> = line.split_whitespace().collect();
        let (_, local) = fields.get(1)?.rsplit_once(':')?;
        let same = u16::from_str_radix(local, 16).ok()? == port;
        let listens = *fields.get(3)? == LISTEN;
        (same && listens).then(|| fields.get(9)?.parse().ok())?
    };
    table.lines().skip(1).filter_map(inode).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_with_spaces_and_parentheses_does_not_shift_the_fields() {
        let stat = "7 (a) b (c) S 1 7 7 0 -1 4194304 100 0 0 0 250 50 0 0 20 0 1 0 5 1 1 1";
        assert_eq!(ticks(stat), Some(300));
        assert_eq!(ticks("7 (a"), None);
    }

    #[test]
    fn listening_sockets_are_told_from_connections_by_state_and_port() {
        let table = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n\
            0: 0100007F:1798 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 11 1 x\n\
            1: 0100007F:1798 0100007F:9999 01 00000000:00000000 00:00000000 00000000     0        0 12 1 x\n\
            2: 0100007F:1799 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 13 1 x\n";
        assert_eq!(listening(table, 0x1798), [11]);
        assert!(listening(table, 1).is_empty());
    }

    #[test]
    fn this_process_has_used_some_memory_and_is_found_by_its_port() {
        let own = std::process::id();
        assert!(peak_mib(own).is_some_and(|mib| mib > 1.0));
        assert!(cpu(own).is_some());
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let name = fs::read_to_string(format!("/proc/{own}/comm")).unwrap();
        assert_eq!(super::listener("localhost", port, &[name.trim()]), Ok(own));
        let other = super::listener("127.0.0.1", port, &["beam.smp"]).unwrap_err();
        assert!(other.contains("beam.smp"), "{other}");
        let remote = super::listener("192.0.2.1", port, &[name.trim()]).unwrap_err();
        assert!(remote.contains("not this machine"), "{remote}");
    }
}
