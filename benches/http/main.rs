//! What clients feel and what it costs: the built binary as a process of its own, a durable Postgres, and requests over
//! connections that are kept, all on this machine.
//!
//! Everything shares the cores, and other people's work comes and goes. So rounds are short and take turns with what they
//! are compared to: the ceilings of this machine, and GoTrue where the environment names one (`GOTRUE`, and
//! `GOTRUE_DB_MIGRATIONS_PATH` for it). What counts are medians, ratios of neighbouring rounds, and CPU time, which a
//! neighbour moves least. `BENCH_SECONDS` is how long a round takes.
#![expect(
    clippy::disallowed_methods,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a benchmark has settings and waits, and fails when it meets the unexpected"
)]

use std::time::Duration;

use tokio::time::sleep;
use truegate::db::private::PrivatePostgres;

use caller::Act;
use ceiling::Ceiling::{self, Asked, Hash};
use ceiling::Query;
use contender::{CALM, Ceilings, Contender};
use database::{Seed, USERS};
use load::Round;
use report::{median, number, times};
use server::Program;

mod caller;
mod ceiling;
mod contender;
mod database;
mod load;
mod process;
mod report;
mod server;

/// Between the last request and the look at the memory.
const REST: Duration = Duration::from_secs(15);

/// What clients do, and how many of them.
struct Scenario {
    name: &'static str,
    clients: usize,
    act: Act,
    ceiling: Option<Ceiling>,
}

#[rustfmt::skip]
const SCENARIOS: [Scenario; 10] = [
    Scenario { name: "health", clients: 8, act: Act::Health, ceiling: None },
    Scenario { name: "jwks", clients: 8, act: Act::Jwks, ceiling: None },
    Scenario { name: "user", clients: 8, act: Act::User, ceiling: Some(Asked(Query::User)) },
    Scenario { name: "user", clients: 64, act: Act::User, ceiling: Some(Asked(Query::User)) },
    Scenario { name: "refresh, version 1", clients: 8, act: Act::RefreshV1, ceiling: Some(Asked(Query::RefreshV1)) },
    Scenario { name: "refresh, version 1", clients: 64, act: Act::RefreshV1, ceiling: Some(Asked(Query::RefreshV1)) },
    Scenario { name: "refresh, version 2", clients: 8, act: Act::RefreshV2, ceiling: Some(Asked(Query::RefreshV2)) },
    Scenario { name: "refresh, version 2", clients: 64, act: Act::RefreshV2, ceiling: Some(Asked(Query::RefreshV2)) },
    Scenario { name: "sign-in", clients: 8, act: Act::Login, ceiling: Some(Hash) },
    Scenario { name: "sign-up", clients: 8, act: Act::Signup, ceiling: Some(Hash) },
];

fn main() {
    let postgres = database::postgres();
    // One thread, as the cores are for the others.
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    runtime.unwrap().block_on(bench(&postgres));
}

async fn bench(postgres: &PrivatePostgres) {
    let seconds = std::env::var("BENCH_SECONDS").map_or(4.0, |text| text.parse().unwrap());
    let time = Duration::from_secs_f64(seconds);
    let seed = Seed::new();
    let mut ours = Contender::new(postgres, "Truegate", Program::truegate(), &seed).await;
    let mut theirs = match Program::gotrue() {
        Some(program) => Some(Contender::new(postgres, "GoTrue", program, &seed).await),
        None => None,
    };
    // Both ways it takes less than ten minutes.
    let rounds = if theirs.is_some() { 3 } else { 5 };
    let mut ceilings = Ceilings::new(&ours, &seed).await;

    let mut results = Vec::new();
    for Scenario {
        name,
        clients,
        act,
        ceiling,
    } in SCENARIOS
    {
        eprintln!("{name}, {clients} clients");
        let mut result = Measured::default();
        for _ in 0..rounds {
            if let Some(ceiling) = ceiling {
                let round = ceilings.round(ceiling, clients, time).await;
                result.ceiling.push(round);
            }
            result.ours.push(ours.round(act, clients, time).await);
            if let Some(theirs) = &mut theirs {
                result.theirs.push(theirs.round(act, clients, time).await);
            }
        }
        results.push(result);
    }
    for _ in 0..rounds {
        eprintln!("refreshes in a storm");
        for contender in std::iter::once(&mut ours).chain(&mut theirs) {
            contender.storm(time * 2).await;
        }
    }
    // What a server means to give back it has given back by then.
    sleep(REST).await;

    println!(
        "Truegate {}; {} cores; {}, durable; {USERS} users; medians of {rounds} rounds of {seconds} s\n",
        env!("CARGO_PKG_VERSION"),
        std::thread::available_parallelism().unwrap(),
        ours.postgres_version().await,
    );
    print_requests(&results);
    print_servers(std::iter::once(&ours).chain(&theirs));
}

/// The rounds of a scenario, side by side.
#[derive(Default)]
struct Measured {
    ceiling: Vec<Round>,
    ours: Vec<Round>,
    theirs: Vec<Round>,
}

impl Measured {
    fn ours(&self, figure: impl Fn(&Round) -> f64) -> String {
        number(median(self.ours.iter().map(figure)))
    }

    /// Ours in relation to that of the round beside it; empty where there is none.
    fn ratio(&self, others: &[Round], figure: impl Fn(&Round) -> f64) -> String {
        if others.is_empty() {
            return String::new();
        }
        let pairs = self.ours.iter().zip(others);
        times(median(
            pairs.map(|(ours, other)| figure(ours) / figure(other)),
        ))
    }
}

fn print_requests(results: &[Measured]) {
    let compared = !results[0].theirs.is_empty();
    let mut head = vec![
        "request",
        "clients",
        "per s",
        "p50 ms",
        "p99 ms",
        "server µs",
        "Postgres µs",
        "per core-s",
        "of ceiling, per s",
        "of ceiling, per core-s",
    ];
    if compared {
        head.extend([
            "of GoTrue, p50",
            "of GoTrue, per s",
            "of GoTrue, per core-s",
        ]);
    }
    let mut rows = vec![head.into_iter().map(str::to_owned).collect()];
    for (scenario, result) in SCENARIOS.iter().zip(results) {
        let p50 = |round: &Round| round.percentile(50);
        let mut row = vec![
            scenario.name.to_owned(),
            scenario.clients.to_string(),
            result.ours(Round::per_second),
            result.ours(p50),
            result.ours(|round| round.percentile(99)),
            result.ours(Round::server_micros),
            result.ours(Round::postgres_micros),
            result.ours(Round::per_core_second),
            result.ratio(&result.ceiling, Round::per_second),
            result.ratio(&result.ceiling, Round::per_core_second),
        ];
        if compared {
            row.push(result.ratio(&result.theirs, p50));
            row.push(result.ratio(&result.theirs, Round::per_second));
            row.push(result.ratio(&result.theirs, Round::per_core_second));
        }
        rows.push(row);
    }
    report::print(&rows);
    println!(
        "µs are CPU time of a request; a core-second is one of the server's or of Postgres'. The ceilings: for `user` and `refresh`\n\
         one statement for each request and nothing else, by as many connections straight to Postgres (requests that wait at the\n\
         same time share a statement, and may exceed that); for `sign-in` and `sign-up` hashing alone, on all cores.\n"
    );
}

fn print_servers<'a>(contenders: impl Iterator<Item = &'a Contender>) {
    let calm = format!("p99 ms of {CALM} refreshes/s");
    let mut rows = [
        "",
        "ms to the first 200",
        "MiB idle",
        "MiB after load",
        "MiB on disk",
        &calm,
        "the same while others sign in",
        "times as long",
    ]
    .map(|name| vec![name.to_owned()]);
    for contender in contenders {
        for (row, figure) in rows.iter_mut().zip(figures(contender)) {
            row.push(figure);
        }
    }
    report::print(&rows);
}

fn figures(contender: &Contender) -> [String; 8] {
    let starts = contender.starts.iter().map(Duration::as_secs_f64);
    let p99 = |times: &[Duration]| {
        let mut times = times.to_vec();
        times.sort_unstable();
        load::percentile(&times, 99)
    };
    let (calm, storm) = (p99(&contender.calm), p99(&contender.stormy));
    [
        contender.name.to_owned(),
        number(median(starts) * 1e3),
        number(contender.idle),
        number(contender.server.memory()),
        number(contender.program.size()),
        number(calm),
        number(storm),
        times(storm / calm),
    ]
}
