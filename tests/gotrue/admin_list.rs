//! `X-Total-Count` of `GET /admin/users`: exact while users are few, and not counted for each list where they are many.

use std::time::Duration;

use chrono::TimeDelta;
use futures_util::future::join_all;
use secrecy::{ExposeSecret as _, SecretString};

use crate::support::app::{Caller, TestApp};
use crate::support::database::Database;
use crate::support::wire::Wire;

/// One more than are counted each time.
const MANY: i64 = 100_001;

async fn insert(app: &TestApp, users: i64) {
    let sql = format!(
        "insert into auth.users (instance_id, id, aud, email) \
         select '00000000-0000-0000-0000-000000000000', id, 'authenticated', id || '@example.com' \
         from (select gen_random_uuid() as id from generate_series(1, {users})) new"
    );
    let client = app.database().connect().await;
    client.batch_execute(&sql).await.unwrap();
}

async fn total(admin: &Caller, query: &str) -> i64 {
    let reply = admin.get(&format!("/admin/users?per_page=2&{query}")).await;
    reply.ok();
    reply.header("x-total-count").unwrap().parse().unwrap()
}

#[tokio::test]
async fn few_users_are_counted_for_each_list() {
    let app = TestApp::new().await;
    let admin = app.admin();
    assert_eq!(total(&admin, "").await, 0);
    for users in 1..5 {
        insert(&app, 1).await;
        // On a page that is not full, one that is, and one behind the last.
        for query in [
            "page=1",
            "page=2",
            "page=3",
            "page=9",
            "filter=example",
            "filter=example&page=2",
        ] {
            assert_eq!(total(&admin, query).await, users, "{query}");
        }
        assert_eq!(total(&admin, "filter=nobody").await, 0);
    }
}

#[tokio::test]
async fn many_users_are_counted_once_in_ten_seconds() {
    let wire = Wire::to(&Database::server()).await;
    let app = TestApp::with(|config| {
        config.db.database_url =
            SecretString::from(wire.url(config.db.database_url.expose_secret()));
        config.db.max_pool_size = 1;
    })
    .await;
    let admin = app.admin();
    insert(&app, MANY).await;
    let lists = ["page=1", "page=2", "filter=example"];
    for query in lists {
        assert_eq!(total(&admin, query).await, MANY, "{query}");
    }

    // A page is one round trip, and so is counting.
    insert(&app, 1).await;
    for query in lists {
        let before = wire.round_trips();
        assert_eq!(total(&admin, query).await, MANY, "{query}");
        assert_eq!(wire.round_trips() - before, 1, "{query}");
    }
    app.clock.advance(TimeDelta::seconds(11));
    let before = wire.round_trips();
    let totals = join_all((0..8).map(|_| total(&admin, ""))).await;
    assert_eq!(totals, [MANY + 1; 8]);
    assert_eq!(wire.round_trips() - before, 8 + 1);

    // Whoever asks often does not wait: a new number is there before the old one is too old.
    insert(&app, 1).await;
    app.clock.advance(TimeDelta::seconds(6));
    assert_eq!(total(&admin, "").await, MANY + 1);
    let renewed = async { while total(&admin, "").await != MANY + 2 {} };
    let limit = Duration::from_secs(30);
    tokio::time::timeout(limit, renewed).await.unwrap();
}
