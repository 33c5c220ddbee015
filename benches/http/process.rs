//! What processes use, as Linux counts it in /proc.

use std::fs;
use std::time::Duration;

/// Linux shows times in hundredths of a second.
const TICK: Duration = Duration::from_millis(10);

struct Process {
    id: u32,
    parent: u32,
    /// Its own CPU time, and that of its children that have ended.
    cpu: Duration,
}

fn all() -> Vec<Process> {
    let folders = fs::read_dir("/proc").expect("Linux").flatten();
    folders
        .filter_map(|folder| {
            let id = folder.file_name().to_str()?.parse().ok()?;
            // A process may end at any moment.
            let stat = fs::read_to_string(folder.path().join("stat")).ok()?;
            // Behind the name, which may hold anything: state, parent, .., and as fields 11 to 14 the times.
            let fields: Vec<&str> = stat.rsplit_once(')')?.1.split_whitespace().collect();
            let ticks = fields[11..15]
                .iter()
                .map(|text| text.parse::<u32>().unwrap());
            Some(Process {
                id,
                parent: fields[1].parse().ok()?,
                cpu: TICK * ticks.sum(),
            })
        })
        .collect()
}

/// The CPU time of a process and of all that descend from it, ended or not.
pub fn cpu(root: u32) -> Duration {
    let all = all();
    let mut family = vec![root];
    let mut next = 0;
    while let Some(&parent) = family.get(next) {
        let children = all.iter().filter(|process| process.parent == parent);
        family.extend(children.map(|process| process.id));
        next += 1;
    }
    let members = all.iter().filter(|process| family.contains(&process.id));
    members.map(|process| process.cpu).sum()
}

/// The parent of a process.
pub fn parent(id: u32) -> u32 {
    let all = all();
    let process = all.iter().find(|process| process.id == id);
    process.expect("it runs on this machine").parent
}

/// The memory that a process has in use, in KiB.
pub fn memory(id: u32) -> u32 {
    let status = fs::read_to_string(format!("/proc/{id}/status")).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let size = line.unwrap().trim().trim_end_matches(" kB");
    size.parse().unwrap()
}
