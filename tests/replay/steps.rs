//! Runs the steps of a scenario, one after the other.

use std::collections::HashMap;

use chrono::TimeDelta;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value, json};
use tokio_postgres::{Client, SimpleQueryMessage};

use super::cipher::Cipher;
use super::documents::{object, replace_words};
use super::expect::{Context, Difference, compare};
use super::placeholders::Names;
use super::scenario::{Scenario, Step, fill};
use super::server::Server;
use super::sources::Got;
use super::specs::{Encode, Http, Look, Named, Wanted};
use super::standin::{self, Received, Standin};
use super::webhooks;
use crate::support::database::Database;
use crate::support::token::{Keys, Recipe};

/// A step that did not do what it did when it was recorded.
pub struct Failure {
    /// Counted from one.
    pub step: usize,
    /// What the step does.
    pub label: String,
    pub differences: Vec<Difference>,
}

/// Replays a scenario on a database that is empty but migrated. `patient` goes on after a failure.
pub async fn replay(
    scenario: &Scenario,
    standin: &Standin,
    database: &Database,
    patient: bool,
) -> Vec<Failure> {
    let environment = scenario.environment(standin);
    let keys = Keys::of(&environment);
    let own_words = !environment
        .keys()
        .any(|name| name.starts_with("GOTRUE_MAILER_TEMPLATES_"));
    let saved = variables(&environment, standin);
    let server = match Server::start(environment, database).await {
        Ok(server) => server,
        Err(why) => {
            let (label, differences) = ("start".into(), vec![Difference::failure(why)]);
            return vec![Failure {
                step: 0,
                label,
                differences,
            }];
        }
    };
    let rows = database.connect().await;
    let names = Names::new(&scenario.patterns);
    let mut run = Run {
        server,
        rows,
        standin,
        keys,
        names,
        saved,
        own_words,
    };

    let mut failures = Vec::new();
    for (index, step) in scenario.steps.iter().enumerate() {
        run.server.catch_up();
        let differences = run.step(step).await;
        if !differences.is_empty() {
            failures.push(Failure {
                step: index + 1,
                label: step.label(),
                differences,
            });
            if !patient {
                return failures;
            }
        }
    }
    // Not of the last step, which may be allowed to differ.
    failures.extend(
        run.mails_left(scenario.mails_left)
            .await
            .map(|difference| Failure {
                step: scenario.steps.len() + 1,
                label: "the mails that are left".to_owned(),
                differences: vec![difference],
            }),
    );
    failures
}

/// What every scenario may name: addresses, and tokens of the two roles without a user.
fn variables(environment: &HashMap<String, String>, standin: &Standin) -> HashMap<String, String> {
    let secret = &environment["GOTRUE_JWT_SECRET"];
    let role = |role| {
        let claims = json!({"role": role, "exp": 4_102_444_800_u32});
        Recipe::hs256(secret, claims).sign(&Value::Null, chrono::DateTime::UNIX_EPOCH)
    };
    let mut variables = HashMap::from([
        ("secret".to_owned(), secret.clone()),
        (
            "external_url".to_owned(),
            environment["API_EXTERNAL_URL"].clone(),
        ),
        (
            "site_url".to_owned(),
            environment["GOTRUE_SITE_URL"].clone(),
        ),
        ("anon".to_owned(), role("anon")),
        ("service_role".to_owned(), role("service_role")),
    ]);
    variables.extend(
        standin
            .variables()
            .map(|(name, value)| (name.to_owned(), value)),
    );
    variables
}

/// One pass over one scenario.
struct Run<'a> {
    server: Server,
    rows: Client,
    standin: &'a Standin,
    keys: Keys,
    names: Names,
    /// What earlier steps saved.
    saved: HashMap<String, String>,
    /// True when the words of mails are the server's own, and only their links count.
    own_words: bool,
}

impl Run<'_> {
    async fn step(&mut self, step: &Step) -> Vec<Difference> {
        let (kind, text) = step.action();
        let text = match fill(text, &self.saved) {
            Ok(text) => text,
            Err(name) => {
                return vec![Difference::failure(format!(
                    "no earlier step saved {{{{{name}}}}}"
                ))];
            }
        };
        match kind {
            "http" => self.http(step, &read(&text)).await,
            "mail" => self.mail(step, &read(&text)).await,
            "sql" => self.sql(step, &read::<String>(&text)).await,
            "jwt" => self.jwt(&read(&text), read(&text)),
            "encode" => {
                let encode: Encode = read(&text);
                self.saved.insert(encode.r#as.clone(), encode.result());
                Vec::new()
            }
            "wait" => {
                let seconds: f64 = read(&text);
                #[expect(
                    clippy::cast_possible_truncation,
                    reason = "scenarios wait for seconds"
                )]
                self.server
                    .advance(TimeDelta::milliseconds((seconds * 1000.0) as i64))
                    .await;
                Vec::new()
            }
            "standin" => {
                self.standin.declare(read(&text));
                Vec::new()
            }
            "cipher" => self.cipher(step, &read(&text)),
            "received" => self.received(step, &read(&text)).await,
            unknown => vec![Difference::failure(format!(
                "the replayer does not know the step {unknown:?}"
            ))],
        }
    }

    async fn http(&mut self, step: &Step, http: &Http) -> Vec<Difference> {
        let request = http.request();
        let expect = step.expect();
        let mut answer = None;
        for turn in 1..=http.times {
            let got = match self.server.send(&request).await {
                Ok(got) => got,
                Err(why) => return vec![Difference::failure(why)],
            };
            if turn < http.times && expect["status"] != got.status {
                return vec![Difference::failure(format!(
                    "request {turn} of {}: status {}",
                    http.times, got.status
                ))];
            }
            answer = Some(got);
        }
        let answer = answer.expect("a request is sent at least once");

        let got = answer.document(&expect, step.exact(), http.names_origin());
        let mut differences = self.compare(step, &expect, &got);
        let fails = expect["status"].as_u64() >= Some(500);
        if fails && (400..500).contains(&answer.status) && got.contains_key("body") {
            // A clear refusal where GoTrue fails.
            differences.clear();
        }
        differences.extend(self.save(step, &Got::Answer(&answer)));
        differences
    }

    async fn mail(&mut self, step: &Step, wanted: &Wanted) -> Vec<Difference> {
        let mut expect = step.expect();
        if wanted.none {
            let expected = expect["mails"]
                .as_u64()
                .and_then(|mails| mails.try_into().ok())
                .unwrap();
            let mails = self.server.unread_mails(expected).await;
            return self.compare(step, &expect, &object(json!({"mails": mails})));
        }
        let Some(mail) = self.server.take_mail(wanted.to.as_deref()).await else {
            let to = wanted.to.as_deref().unwrap_or("anybody");
            return vec![Difference::failure(format!("no mail to {to} came"))];
        };
        let mut got = mail.document(&wanted.headers);
        if self.own_words {
            let links = replace_words(&mut expect, usize::MAX);
            replace_words(&mut got, links);
        }
        let mut differences = self.compare(step, &expect, &got);
        differences.extend(self.save(step, &Got::Mail(&mail)));
        differences
    }

    async fn sql(&mut self, step: &Step, sql: &str) -> Vec<Difference> {
        let messages = match self.rows.simple_query(sql).await {
            Ok(messages) => messages,
            Err(error) => return vec![Difference::failure(format!("{error:?} in {sql}"))],
        };
        let mut rows = None;
        for message in messages {
            match message {
                SimpleQueryMessage::RowDescription(_) => rows = Some(Vec::new()),
                SimpleQueryMessage::Row(row) => {
                    let column = |(index, column): (usize, &tokio_postgres::SimpleColumn)| {
                        (
                            column.name().to_owned(),
                            row.get(index).map_or(Value::Null, Value::from),
                        )
                    };
                    let row: Map<String, Value> =
                        row.columns().iter().enumerate().map(column).collect();
                    rows.get_or_insert_default().push(Value::Object(row));
                }
                _ => {}
            }
        }
        let Some(rows) = rows.map(Value::Array) else {
            return Vec::new();
        };
        let mut differences = self.compare(step, &step.expect(), &object(json!({"rows": rows})));
        differences.extend(self.save(step, &Got::Items(&rows)));
        differences
    }

    fn jwt(&mut self, name: &Named, recipe: Recipe) -> Vec<Difference> {
        let token = recipe.sign(standin::jwk(), self.server.now());
        self.saved.insert(name.r#as.clone(), token);
        Vec::new()
    }

    fn cipher(&mut self, step: &Step, cipher: &Cipher) -> Vec<Difference> {
        let got = match cipher.open() {
            Ok(got) => got,
            Err(why) => return vec![Difference::failure(why)],
        };
        if let (Some(name), Some(secret)) = (&cipher.r#as, got["secret"].as_str()) {
            self.saved.insert(name.clone(), secret.to_owned());
        }
        self.compare(step, &step.expect(), &got)
    }

    async fn received(&mut self, step: &Step, look: &Look) -> Vec<Difference> {
        // What is sent beside an answer may come after it.
        #[expect(
            clippy::disallowed_methods,
            reason = "nothing tells when a request does not come"
        )]
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
        let now = self.server.now();
        let document = |request: &Received| {
            let mut document = request.document(&look.headers);
            if let Some(secrets) = &look.secrets {
                document["signature"] = webhooks::is_signed(request, secrets, now).into();
            }
            document
        };
        let requests = Value::Array(self.standin.take().iter().map(document).collect());
        let mut differences =
            self.compare(step, &step.expect(), &object(json!({"requests": requests})));
        differences.extend(self.save(step, &Got::Items(&requests)));
        differences
    }

    async fn mails_left(&mut self, expected: usize) -> Option<Difference> {
        let left = self.server.unread_mails(expected).await;
        let why = || format!("mails unread at the end: expected {expected}, got {left}");
        (left != expected).then(|| Difference::failure(why()))
    }

    fn compare(
        &mut self,
        step: &Step,
        expect: &Map<String, Value>,
        got: &Map<String, Value>,
    ) -> Vec<Difference> {
        let unordered = step.unordered();
        let now = self.server.now();
        let mut context = Context {
            names: &mut self.names,
            keys: &self.keys,
            now,
            unordered: &unordered,
        };
        compare(expect, got, &mut context)
    }

    fn save(&mut self, step: &Step, got: &Got<'_>) -> Vec<Difference> {
        let mut missing = Vec::new();
        for (name, source) in step.save() {
            match got.find(&source) {
                Some(value) => drop(self.saved.insert(name, value)),
                None => missing.push(Difference::failure(format!(
                    "nothing to save as {name} at {source}"
                ))),
            }
        }
        missing
    }
}

/// The specification of a step, whose text has been filled in.
fn read<T: DeserializeOwned>(text: &str) -> T {
    serde_json::from_str(text).unwrap_or_else(|error| panic!("{error} in the step {text}"))
}
