//! Threads that hash passwords, and nothing else, so that no other request waits for a hash.
//!
//! They start with the first password, stand back for the rest of the process (a lower priority), serve the addresses
//! that callers come from in turn, and give their memory back when there is nothing to do. How many callers may wait
//! is bounded: beyond that they are refused, those of the largest crowd first. Work that nobody waits for any more is
//! skipped.
//!
//! **Time tells nothing.** A sign-in that fails does one hash of *each* kind that is in use here: its own, if the
//! account has one, and an imitation of the others. So an unknown account, one without a password, and a wrong
//! password on a cheap or a dear hash all do the same work. (GoTrue hashes nothing for unknown accounts.)

use std::net::IpAddr;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use tokio::sync::oneshot;
use zeroize::Zeroizing;

use crate::error::{Error, Result, Unavailable};

use super::password::{Memory, PasswordHash, Scheme, Work};

mod queue;

use queue::Queue;

/// How long a thread without work keeps its memory.
const IDLE: Duration = Duration::from_secs(10);
/// How much less urgent than everything else hashing is, in steps of `nice`: as much as can be.
#[cfg(target_os = "linux")]
const NICE: i32 = 19;
/// Kinds that are imitated besides the scheme of new hashes.
const MOST_KINDS: usize = 4;
/// A kind that takes longer than this, in microseconds, is not imitated: one imported account must not make every
/// failed sign-in slow.
const DEAREST: u64 = 1_000_000;

/// How the hasher works.
#[derive(Debug, Clone, Copy)]
pub struct Settings {
    /// How new hashes are made.
    pub scheme: Scheme,
    /// Threads, at least 1.
    pub threads: usize,
    /// Passwords that may wait.
    pub queue: usize,
}

/// Hashes and checks passwords. Dropping it ends its threads.
pub struct Hasher {
    scheme: Scheme,
    kinds: Mutex<Vec<Work>>,
    shared: Arc<Shared>,
}

struct Shared {
    threads: usize,
    state: Mutex<State>,
    wake: Condvar,
}

struct State {
    jobs: Queue<Job>,
    waiting: usize,
    threads: Vec<JoinHandle<()>>,
    closed: bool,
}

type Job = Box<dyn FnOnce(&mut Memory) + Send>;

impl Hasher {
    /// A hasher without threads; they start when they are needed.
    #[must_use]
    pub fn new(settings: Settings) -> Self {
        Self {
            scheme: settings.scheme,
            kinds: Mutex::default(),
            shared: Arc::new(Shared {
                threads: settings.threads,
                state: Mutex::new(State {
                    jobs: Queue::new(settings.queue),
                    waiting: 0,
                    threads: Vec::new(),
                    closed: false,
                }),
                wake: Condvar::new(),
            }),
        }
    }

    /// A new hash of `password` for the database. `ip` is the caller's address, here and below; none is the operator's.
    pub async fn hash(&self, password: &str, ip: Option<IpAddr>) -> Result<String> {
        let (scheme, password) = (self.scheme, copy(password));
        Ok(self
            .run(ip, move |memory| scheme.hash(&password, memory))
            .await??)
    }

    /// Whether `password` belongs to the stored hash. `None`, an empty and an unreadable hash fit no password, and
    /// failing takes the same work for all.
    pub async fn verify(
        &self,
        password: &str,
        stored: Option<&str>,
        ip: Option<IpAddr>,
    ) -> Result<bool> {
        let stored = stored.and_then(|text| PasswordHash::parse(text).ok());
        let own = stored.as_ref().map(PasswordHash::work);
        if let Some(work) = own {
            self.note(work);
        }
        let others: Vec<Work> = self
            .in_use()
            .into_iter()
            .filter(|work| Some(*work) != own)
            .collect();
        let password = copy(password);
        self.run(ip, move |memory| {
            let right = stored.is_some_and(|hash| hash.verify(&password, memory));
            if !right {
                for work in others {
                    work.imitate(&password, memory);
                }
            }
            right
        })
        .await
    }

    /// A hash that no password fits, for accounts that somebody else made.
    #[must_use]
    pub fn unusable_hash(&self) -> String {
        self.scheme.unusable()
    }

    /// A hash in place of `stored`, which `password` was just right for. None where that is as good as a new one, and
    /// while others wait: a storm of sign-ins is no time to hash twice, and there will be another sign-in.
    pub async fn rehash(&self, password: &str, stored: &str, ip: Option<IpAddr>) -> Option<String> {
        let stored = PasswordHash::parse(stored).ok()?;
        if !self.scheme.outdates(stored.work()) || !self.shared.lock().jobs.is_empty() {
            return None;
        }
        self.hash(password, ip).await.ok()
    }

    /// Takes note of a stored hash, so that failed sign-ins imitate its kind. For samples from the database at
    /// start; [`verify`](Self::verify) notes what it meets.
    pub fn saw(&self, stored: &str) {
        if let Ok(hash) = PasswordHash::parse(stored) {
            self.note(hash.work());
        }
    }

    /// Ends the threads after their present jobs; what waits is refused.
    pub fn close(&self) {
        let threads = {
            let mut state = self.shared.lock();
            state.closed = true;
            state.jobs.clear();
            std::mem::take(&mut state.threads)
        };
        self.shared.wake.notify_all();
        for thread in threads {
            // A thread ends in panic only if `catch_unwind` could not hold it; there is nothing to do about it here.
            let _ = thread.join();
        }
    }

    fn note(&self, work: Work) {
        if work == self.scheme.work() || work.weight() > DEAREST {
            return;
        }
        let mut kinds = self.kinds.lock().unwrap_or_else(PoisonError::into_inner);
        if !kinds.contains(&work) {
            kinds.push(work);
            kinds.sort_by_key(|work| std::cmp::Reverse(work.weight()));
            kinds.truncate(MOST_KINDS);
        }
    }

    fn in_use(&self) -> Vec<Work> {
        let kinds = self.kinds.lock().unwrap_or_else(PoisonError::into_inner);
        std::iter::once(self.scheme.work())
            .chain(kinds.iter().copied())
            .collect()
    }

    async fn run<T: Send + 'static>(
        &self,
        ip: Option<IpAddr>,
        work: impl FnOnce(&mut Memory) -> T + Send + 'static,
    ) -> Result<T> {
        let (sender, receiver) = oneshot::channel();
        let job = Box::new(move |memory: &mut Memory| {
            if !sender.is_closed() {
                let done = catch_unwind(AssertUnwindSafe(|| work(memory)));
                // The caller may leave at any moment.
                let _ = sender.send(done);
            }
        });
        self.shared.submit(ip, job)?;
        match receiver.await {
            Ok(Ok(done)) => Ok(done),
            Ok(Err(_)) => Err(anyhow::anyhow!("hashing a password panicked").into()),
            // The job was dropped, for somebody of another address or for good.
            Err(_) => Err(busy()),
        }
    }
}

impl Drop for Hasher {
    fn drop(&mut self) {
        self.close();
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn submit(self: &Arc<Self>, ip: Option<IpAddr>, job: Job) -> Result<()> {
        let mut state = self.lock();
        if state.closed || !state.jobs.push(ip, job) {
            return Err(busy());
        }
        if state.jobs.len() > state.waiting && state.threads.len() < self.threads {
            let shared = Arc::clone(self);
            let spawned = std::thread::Builder::new()
                .name("hasher".to_owned())
                .spawn(move || shared.work());
            match spawned {
                Ok(thread) => state.threads.push(thread),
                Err(_) if state.threads.is_empty() => {
                    state.jobs.clear();
                    return Err(busy());
                }
                Err(_) => {}
            }
        }
        drop(state);
        self.wake.notify_one();
        Ok(())
    }

    /// The life of one thread.
    fn work(&self) {
        // On Linux this is the thread's own priority. Without it hashing is only less polite.
        #[cfg(target_os = "linux")]
        let _ = rustix::process::nice(NICE);
        let mut memory = Memory::default();
        while let Some(job) = self.next(&mut memory) {
            job(&mut memory);
        }
    }

    /// The next job; `None` at the end. Wipes the memory before it rests: under load the next hash overwrites it, and
    /// the next caller need not wait for this.
    fn next(&self, memory: &mut Memory) -> Option<Job> {
        let mut state = self.lock();
        loop {
            if let Some(job) = state.jobs.pop() {
                return Some(job);
            }
            if !memory.is_wiped() {
                drop(state);
                memory.wipe();
                state = self.lock();
                continue;
            }
            if state.closed {
                return None;
            }
            state.waiting += 1;
            state = self.rest(state, memory, IDLE);
            state.waiting -= 1;
        }
    }

    /// Waits for a job; gives the memory back when none has come for so long.
    fn rest<'s>(
        &'s self,
        state: MutexGuard<'s, State>,
        memory: &mut Memory,
        idle: Duration,
    ) -> MutexGuard<'s, State> {
        if memory.is_empty() {
            let woken = self.wake.wait(state);
            return woken.unwrap_or_else(PoisonError::into_inner);
        }
        let woken = self.wake.wait_timeout(state, idle);
        let (state, timeout) = woken.unwrap_or_else(PoisonError::into_inner);
        if timeout.timed_out() {
            memory.give_back();
        }
        state
    }
}

fn copy(password: &str) -> Zeroizing<Vec<u8>> {
    Zeroizing::new(password.as_bytes().to_vec())
}

fn busy() -> Error {
    Error::Unavailable(Unavailable {
        message: "Too many passwords are being checked, please retry after a moment.",
        retry_after: Duration::from_secs(1),
        cause: None,
    })
}

#[cfg(test)]
mod tests;
