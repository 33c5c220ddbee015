//! Who is measured: a server with its own database, its clients, and the same for the ceilings.

use std::time::Duration;

use futures_util::future::{join, join_all};
use tokio::time::sleep;
use truegate::db::private::PrivatePostgres;

use crate::caller::{Act, Caller};
use crate::ceiling::{self, Asker, Ceiling};
use crate::database::{self, Seed, connect};
use crate::load::{Meter, Round, closed, open};
use crate::process;
use crate::server::{Program, Server};

/// Clients, at most.
const CLIENTS: usize = 64;
/// How often the start is measured.
const STARTS: usize = 5;
/// Refreshes a second, and the clients who do them, while as many others sign in.
pub const CALM: u32 = 20;
const GROUP: usize = 8;

/// A server.
pub struct Contender {
    pub name: &'static str,
    pub program: Program,
    pub server: Server,
    database: String,
    meter: Meter,
    callers: Vec<Caller>,
    pub starts: Vec<Duration>,
    /// The memory before the first request, in MiB.
    pub idle: f64,
    /// How long refreshes took, and how long while others signed in.
    pub calm: Vec<Duration>,
    pub stormy: Vec<Duration>,
}

impl Contender {
    pub async fn new(
        postgres: &PrivatePostgres,
        name: &'static str,
        program: Program,
        seed: &Seed,
    ) -> Self {
        let database = database::create(postgres, &name.to_lowercase()).await;
        drop(Server::start(&program, &database).await);
        seed.sow(&database).await;
        let mut starts = Vec::new();
        for _ in 0..STARTS {
            starts.push(Server::start(&program, &database).await.start);
        }
        let server = Server::start(&program, &database).await;
        sleep(Duration::from_secs(2)).await;
        let idle = server.memory();
        let sessions = seed.sessions(&database).await.take(CLIENTS);
        let callers = sessions
            .enumerate()
            .map(async |(number, sessions)| Caller::new(server.port, number, &sessions).await);
        let callers = join_all(callers).await;
        Self {
            name,
            program,
            meter: Meter {
                server: Some(server.id()),
                postgres: postmaster(&database).await,
            },
            server,
            database,
            callers,
            starts,
            idle,
            calm: Vec::new(),
            stormy: Vec::new(),
        }
    }

    /// So many clients do that.
    pub async fn round(&mut self, act: Act, clients: usize, time: Duration) -> Round {
        let callers = &mut self.callers[..clients];
        let load = closed(callers, time, async |caller| caller.act(act).await);
        self.meter.count(load).await
    }

    /// Refreshes at a leisurely pace, alone and then while others sign in as fast as they can.
    pub async fn storm(&mut self, time: Duration) {
        let (calm, others) = self.callers.split_at_mut(GROUP);
        let refresh = async |caller: &mut Caller| caller.act(Act::RefreshV1).await;
        let login = async |caller: &mut Caller| caller.act(Act::Login).await;
        self.calm.extend(open(calm, CALM, time, refresh).await);
        let storm = closed(&mut others[..GROUP], time, login);
        let (times, _) = join(open(calm, CALM, time, refresh), storm).await;
        self.stormy.extend(times);
    }

    pub async fn postgres_version(&self) -> String {
        let client = connect(&self.database).await;
        let sql = "SELECT 'PostgreSQL ' || split_part(current_setting('server_version'), ' ', 1)";
        client.query_one(sql, &[]).await.unwrap().get(0)
    }
}

/// The ceilings, measured in a contender's database with sessions that its clients do not use.
pub struct Ceilings {
    meter: Meter,
    askers: Vec<Asker>,
    hash: String,
}

impl Ceilings {
    pub async fn new(contender: &Contender, seed: &Seed) -> Self {
        // The clients have used theirs by now: these are others.
        let sessions = seed.sessions(&contender.database).await.take(CLIENTS);
        let askers = sessions.map(|sessions| Asker::new(&contender.database, sessions));
        let askers = join_all(askers).await;
        Self {
            meter: contender.meter,
            askers,
            hash: seed.hash.clone(),
        }
    }

    pub async fn round(&mut self, ceiling: Ceiling, clients: usize, time: Duration) -> Round {
        let hashing = matches!(ceiling, Ceiling::Hash).then(std::process::id);
        let meter = Meter {
            server: hashing,
            ..self.meter
        };
        match ceiling {
            Ceiling::Hash => meter.count(ceiling::hash(&self.hash, time)).await,
            Ceiling::Asked(query) => {
                let askers = &mut self.askers[..clients];
                let load = closed(askers, time, async |asker| asker.ask(query).await);
                meter.count(load).await
            }
        }
    }
}

/// The process from which all others of Postgres come.
async fn postmaster(database: &str) -> u32 {
    let client = connect(database).await;
    let row = client.query_one("SELECT pg_backend_pid()", &[]).await;
    let id: i32 = row.unwrap().get(0);
    process::parent(id.cast_unsigned())
}
