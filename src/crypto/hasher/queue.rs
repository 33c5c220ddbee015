//! Who waits for a hash, and whose turn it is. Addresses take turns: a crowd from one does not keep others waiting.

use std::collections::VecDeque;
use std::net::{IpAddr, Ipv6Addr};

/// Jobs by the address that they are done for; of bounded length.
pub(super) struct Queue<J> {
    limit: usize,
    len: usize,
    /// The next one first; none is without jobs.
    sources: VecDeque<(Source, VecDeque<J>)>,
}

/// Whom a job is done for. Of version 6 it is the network: one caller has all addresses of a /64.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Source(Option<IpAddr>);

impl From<Option<IpAddr>> for Source {
    fn from(ip: Option<IpAddr>) -> Self {
        Self(ip.map(|ip| match ip.to_canonical() {
            IpAddr::V6(ip) => Ipv6Addr::from_bits(ip.to_bits() >> 64 << 64).into(),
            v4 @ IpAddr::V4(_) => v4,
        }))
    }
}

impl<J> Queue<J> {
    pub(super) const fn new(limit: usize) -> Self {
        Self {
            limit,
            len: 0,
            sources: VecDeque::new(),
        }
    }

    pub(super) const fn len(&self) -> usize {
        self.len
    }

    pub(super) const fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Adds a job. A full queue takes it in place of one of the address that has the most, unless that is no more
    /// than this one would have: then false.
    pub(super) fn push(&mut self, ip: Option<IpAddr>, job: J) -> bool {
        let source = ip.into();
        if self.len >= self.limit && !self.make_room(source) {
            return false;
        }
        match self.sources.iter_mut().find(|(other, _)| *other == source) {
            Some((_, jobs)) => jobs.push_back(job),
            None => self.sources.push_back((source, [job].into())),
        }
        self.len += 1;
        true
    }

    /// The next job: the oldest of the address whose turn it is.
    pub(super) fn pop(&mut self) -> Option<J> {
        let (source, mut jobs) = self.sources.pop_front()?;
        let job = jobs.pop_front();
        if !jobs.is_empty() {
            self.sources.push_back((source, jobs));
        }
        self.len -= 1;
        job
    }

    pub(super) fn clear(&mut self) {
        *self = Self::new(self.limit);
    }

    /// Drops the youngest job of the address that has the most.
    fn make_room(&mut self, newcomer: Source) -> bool {
        let own = self.sources.iter().find(|(source, _)| *source == newcomer);
        let own = own.map_or(0, |(_, jobs)| jobs.len());
        let crowd = self.sources.iter_mut().max_by_key(|(_, jobs)| jobs.len());
        match crowd {
            Some((_, jobs)) if jobs.len() > own + 1 => {
                jobs.pop_back();
                self.len -= 1;
                true
            }
            _ => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CROWD: &str = "192.0.2.1";

    /// Adds a job that bears the name of its address and a number.
    fn push(queue: &mut Queue<String>, ip: &str, number: usize) -> bool {
        queue.push(ip.parse().ok(), format!("{ip} {number}"))
    }

    fn all(queue: &mut Queue<String>) -> Vec<String> {
        std::iter::from_fn(|| queue.pop()).collect()
    }

    #[test]
    fn addresses_take_turns() {
        let mut queue = Queue::new(100);
        for number in 0..4 {
            assert!(push(&mut queue, CROWD, number));
        }
        for ip in ["192.0.2.2", "192.0.2.3", "192.0.2.2", ""] {
            assert!(push(&mut queue, ip, 0));
        }
        assert_eq!(queue.len(), 8);
        let order = [
            "192.0.2.1 0",
            "192.0.2.2 0",
            "192.0.2.3 0",
            " 0",
            "192.0.2.1 1",
            "192.0.2.2 0",
            "192.0.2.1 2",
            "192.0.2.1 3",
        ];
        assert_eq!(all(&mut queue), order);
        assert!(queue.is_empty());
    }

    #[test]
    fn an_address_that_comes_back_waits_for_its_turn() {
        let mut queue = Queue::new(100);
        push(&mut queue, CROWD, 0);
        push(&mut queue, CROWD, 1);
        push(&mut queue, "192.0.2.2", 0);
        assert_eq!(queue.pop().unwrap(), "192.0.2.1 0");
        assert_eq!(queue.pop().unwrap(), "192.0.2.2 0");
        push(&mut queue, "192.0.2.2", 1);
        assert_eq!(all(&mut queue), ["192.0.2.1 1", "192.0.2.2 1"]);
    }

    #[test]
    fn a_network_of_version_6_is_one_address() {
        let mut queue = Queue::new(100);
        push(&mut queue, "2001:db8:0:1::1", 0);
        push(&mut queue, "2001:db8:0:1:ffff::2", 1);
        push(&mut queue, "2001:db8:0:2::1", 2);
        push(&mut queue, "::ffff:192.0.2.1", 3);
        push(&mut queue, CROWD, 4);
        let order = all(&mut queue).into_iter();
        let order: Vec<_> = order.map(|job| job[job.len() - 1..].to_owned()).collect();
        assert_eq!(order, ["0", "2", "3", "1", "4"]);
    }

    #[test]
    fn a_crowd_makes_room_for_a_stranger() {
        let mut queue = Queue::new(3);
        for number in 0..3 {
            assert!(push(&mut queue, CROWD, number));
        }
        assert!(!push(&mut queue, CROWD, 3), "it has the most itself");
        assert!(push(&mut queue, "192.0.2.2", 0));
        assert_eq!(queue.len(), 3);
        // Two and one: nobody is put in a worse place than the newcomer would have.
        assert!(!push(&mut queue, "192.0.2.2", 1));
        assert!(push(&mut queue, "192.0.2.3", 0));
        assert!(!push(&mut queue, "192.0.2.4", 0));
        assert_eq!(
            all(&mut queue),
            ["192.0.2.1 0", "192.0.2.2 0", "192.0.2.3 0"]
        );
    }
}
