//! Load: many who do one thing again and again, and what that takes.

use std::time::Duration;

use futures_util::StreamExt as _;
use futures_util::stream::FuturesUnordered;
use tokio::time::{Instant, sleep_until};

use crate::process;

/// What is counted while there is load.
#[derive(Clone, Copy)]
pub struct Meter {
    /// The process that answers, if it is not Postgres itself.
    pub server: Option<u32>,
    pub postgres: u32,
}

/// What happened while there was load.
pub struct Round {
    /// How long the answers took, the quickest first.
    pub times: Vec<Duration>,
    pub elapsed: Duration,
    pub server: Duration,
    pub postgres: Duration,
}

impl Meter {
    /// Counts while `load` goes on, which says how long each answer took.
    pub async fn count(self, load: impl Future<Output = Vec<Duration>>) -> Round {
        let (server, postgres, begin) =
            (self.server(), process::cpu(self.postgres), Instant::now());
        let mut times = load.await;
        times.sort_unstable();
        Round {
            times,
            elapsed: begin.elapsed(),
            server: self.server().saturating_sub(server),
            postgres: process::cpu(self.postgres).saturating_sub(postgres),
        }
    }

    fn server(self) -> Duration {
        self.server.map_or(Duration::ZERO, process::cpu)
    }
}

impl Round {
    fn requests(&self) -> f64 {
        f64::from(u32::try_from(self.times.len()).unwrap())
    }

    pub fn per_second(&self) -> f64 {
        self.requests() / self.elapsed.as_secs_f64()
    }

    /// Requests per second of CPU time, of the server and of Postgres.
    pub fn per_core_second(&self) -> f64 {
        self.requests() / (self.server + self.postgres).as_secs_f64()
    }

    pub fn server_micros(&self) -> f64 {
        self.server.as_secs_f64() * 1e6 / self.requests()
    }

    pub fn postgres_micros(&self) -> f64 {
        self.postgres.as_secs_f64() * 1e6 / self.requests()
    }

    /// The time that so many percent of the answers did not exceed, in milliseconds.
    pub fn percentile(&self, percent: usize) -> f64 {
        percentile(&self.times, percent)
    }
}

/// Of sorted times, in milliseconds.
pub fn percentile(sorted: &[Duration], percent: usize) -> f64 {
    sorted[(sorted.len() - 1) * percent / 100].as_secs_f64() * 1e3
}

/// Each does it again as soon as it is done, for that long. What is under way then is finished and counts.
pub async fn closed<W>(
    workers: &mut [W],
    time: Duration,
    act: impl AsyncFn(&mut W),
) -> Vec<Duration> {
    let (act, end) = (&act, Instant::now() + time);
    let all: FuturesUnordered<_> = workers
        .iter_mut()
        .map(|worker| async move {
            let mut times = Vec::new();
            let mut begin = Instant::now();
            while begin < end {
                act(worker).await;
                times.push(begin.elapsed());
                begin = Instant::now();
            }
            times
        })
        .collect();
    all.concat().await
}

/// They do it so many times a second, each in its turn, for that long. Who is late because the answer before was
/// counts from when it was due.
pub async fn open<W>(
    workers: &mut [W],
    rate: u32,
    time: Duration,
    act: impl AsyncFn(&mut W),
) -> Vec<Duration> {
    let (act, start) = (&act, Instant::now());
    let pause = Duration::from_secs(1) / rate;
    let period = pause * u32::try_from(workers.len()).unwrap();
    let all: FuturesUnordered<_> = (0_u32..)
        .zip(workers)
        .map(|(number, worker)| async move {
            let mut times = Vec::new();
            let mut due = start + pause * number;
            while due < start + time {
                let late = Instant::now() > due;
                sleep_until(due).await;
                // That the timer is not exact is not the server's fault.
                let begin = if late { due } else { Instant::now() };
                act(worker).await;
                times.push(begin.elapsed());
                due += period;
            }
            times
        })
        .collect();
    all.concat().await
}
