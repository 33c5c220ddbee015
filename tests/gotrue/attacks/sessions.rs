//! Sessions and refresh tokens: attacks 42, 44 and 46 to 48.

use std::collections::HashMap;

use axum::body::Body;
use chrono::TimeDelta;
use serde_json::{Value, json};
use truegate::config::{Config, Seconds};
use truegate::error::Code;

use crate::support::app::{Caller, PASSWORD, TestApp};
use crate::support::reply::Reply;

const ALICE: &str = "alice@example.com";
const VERSIONS: [u32; 2] = [1, 2];

async fn app(version: u32, change: impl FnOnce(&mut Config)) -> TestApp {
    TestApp::with(|config| {
        config.security.refresh_token_algorithm_version = version;
        change(config);
    })
    .await
}

async fn refresh(app: &TestApp, token: &str) -> Reply {
    let body = json!({"refresh_token": token});
    app.visitor()
        .post("/token?grant_type=refresh_token", body)
        .await
}

/// The token that this one is traded for.
async fn next(app: &TestApp, token: &str) -> String {
    let grant = refresh(app, token).await.ok();
    grant["refresh_token"].as_str().unwrap().to_owned()
}

async fn sign_in(app: &TestApp) -> Caller {
    let body = json!({"email": ALICE, "password": PASSWORD});
    let grant = app.visitor().post("/token?grant_type=password", body).await;
    app.granted(&grant.ok())
}

/// Alice, and three generations of refresh tokens of her session.
async fn family(app: &TestApp) -> (Caller, [String; 3]) {
    let alice = app.user(ALICE).await;
    let parent = next(app, &alice.refresh_token).await;
    let child = next(app, &parent).await;
    let family = [alice.refresh_token.clone(), parent, child];
    (alice, family)
}

/// How the newest token of a burnt family is refused: version 2 has no session any more.
fn burnt(version: u32) -> Code {
    if version == 2 {
        Code::RefreshTokenNotFound
    } else {
        Code::RefreshTokenAlreadyUsed
    }
}

async fn all_dead(app: &TestApp, family: &[String], code: Code) {
    for token in family.iter().rev() {
        refresh(app, token).await.refused(400, code);
    }
}

#[tokio::test]
async fn attack_042_the_grandparent_burns_its_family() {
    for version in VERSIONS {
        let app = app(version, |_| {}).await;
        let (alice, family) = family(&app).await;
        let elsewhere = sign_in(&app).await;
        refresh(&app, &family[0])
            .await
            .refused(400, Code::RefreshTokenAlreadyUsed);
        all_dead(&app, &family, burnt(version)).await;
        let seen = alice.get("/user").await;
        if version == 2 {
            seen.refused(403, Code::SessionNotFound);
        } else {
            // GoTrue keeps the session of a version 1 family; nothing can refresh it.
            seen.ok();
        }
        elsewhere.get("/user").await.ok();
        next(&app, &elsewhere.refresh_token).await;
    }
}

#[tokio::test]
async fn attack_042_the_reuse_interval_ends() {
    for version in VERSIONS {
        for seconds in [9, 11] {
            let app = app(version, |config| {
                config.security.refresh_token_reuse_interval = Seconds::new(10);
            })
            .await;
            let (_, family) = family(&app).await;
            app.clock.advance(TimeDelta::seconds(seconds));
            let reused = refresh(&app, &family[0]).await;
            if seconds < 10 {
                reused.ok();
                continue;
            }
            reused.refused(400, Code::RefreshTokenAlreadyUsed);
            // As in GoTrue, the interval counts for what was revoked just now as well.
            app.clock.advance(TimeDelta::seconds(11));
            all_dead(&app, &family, burnt(version)).await;
        }
    }
}

#[tokio::test]
async fn attack_042_without_rotation_the_grandparent_is_refused_alone() {
    for version in VERSIONS {
        let app = app(version, |config| {
            config.security.refresh_token_rotation_enabled = false;
        })
        .await;
        let (_, family) = family(&app).await;
        refresh(&app, &family[0])
            .await
            .refused(400, Code::RefreshTokenAlreadyUsed);
        next(&app, &family[2]).await;
    }
}

#[tokio::test]
async fn attack_042_reuse_is_allowed_only_where_settings_say_so() {
    let app = app(2, |config| config.security.refresh_token_allow_reuse = true).await;
    let (_, family) = family(&app).await;
    assert_eq!(next(&app, &family[0]).await, family[2]);
}

#[tokio::test]
async fn attack_044_who_lost_the_answer_gets_it_again() {
    for version in VERSIONS {
        let app = app(version, |_| {}).await;
        let (_, [_, parent, child]) = family(&app).await;
        for _ in 0..3 {
            assert_eq!(next(&app, &parent).await, child, "version {version}");
            app.clock.advance(TimeDelta::days(30));
        }
        let grandchild = next(&app, &child).await;
        assert_eq!(next(&app, &child).await, grandchild);
        next(&app, &grandchild).await;
    }
}

/// What [`TestApp`] sets, for a server that finds a database.
fn environment(more: &[(&str, &str)]) -> HashMap<String, String> {
    let settings = [
        ("API_EXTERNAL_URL", "https://auth.example.com"),
        ("GOTRUE_SITE_URL", "https://app.example.com"),
        (
            "GOTRUE_JWT_SECRET",
            "a-secret-of-the-tests-with-more-than-32-characters",
        ),
        ("GOTRUE_JWT_AUD", "authenticated"),
        ("GOTRUE_JWT_DEFAULT_GROUP_NAME", "authenticated"),
        ("GOTRUE_MAILER_AUTOCONFIRM", "true"),
        ("GOTRUE_SMTP_ADMIN_EMAIL", "noreply@example.com"),
    ];
    let settings = settings.iter().chain(more);
    settings
        .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
        .collect()
}

/// The next server on the database of this one.
async fn restarted(app: &TestApp, more: &[(&str, &str)]) -> TestApp {
    TestApp::on(app.database(), environment(more))
        .await
        .unwrap()
}

/// Settings under which tokens of version 1 become tokens of version 2.
const UPGRADING: [(&str, &str); 2] = [
    ("GOTRUE_SECURITY_REFRESH_TOKEN_ALGORITHM_VERSION", "2"),
    ("GOTRUE_SECURITY_REFRESH_TOKEN_UPGRADE_PERCENTAGE", "100"),
];

#[tokio::test]
async fn attack_044_who_lost_the_answer_to_an_upgrade_asks_again_within_the_reuse_interval() {
    let old = app(1, |_| {}).await;
    let alice = old.user(ALICE).await;
    let interval = ("GOTRUE_SECURITY_REFRESH_TOKEN_REUSE_INTERVAL", "10");
    let new = restarted(&old, &[UPGRADING[0], UPGRADING[1], interval]).await;
    let lost = next(&new, &alice.refresh_token).await;
    new.clock.advance(TimeDelta::seconds(9));
    let again = next(&new, &alice.refresh_token).await;
    let child = next(&new, &again).await;
    assert_ne!(child, lost);
    next(&new, &child).await;
}

#[tokio::test]
async fn attack_046_a_burnt_family_stays_burnt_whatever_the_clock_says() {
    for version in VERSIONS {
        for step in [TimeDelta::hours(-1), TimeDelta::hours(1)] {
            let app = app(version, |_| {}).await;
            let (_, family) = family(&app).await;
            refresh(&app, &family[0])
                .await
                .refused(400, Code::RefreshTokenAlreadyUsed);
            app.clock.advance(step);
            all_dead(&app, &family, burnt(version)).await;
        }
    }
}

#[tokio::test]
async fn attack_046_a_used_token_stays_used_whatever_the_clock_says() {
    for version in VERSIONS {
        for interval in [0, 10] {
            for step in [TimeDelta::hours(-1), TimeDelta::hours(1)] {
                let app = app(version, |config| {
                    config.security.refresh_token_reuse_interval = Seconds::new(interval);
                })
                .await;
                let (_, family) = family(&app).await;
                app.clock.advance(step);
                refresh(&app, &family[0])
                    .await
                    .refused(400, Code::RefreshTokenAlreadyUsed);
                app.clock.advance(TimeDelta::seconds(11));
                all_dead(&app, &family, burnt(version)).await;
            }
        }
    }
}

#[tokio::test]
async fn attack_046_a_restarted_server_knows_what_was_revoked() {
    for version in VERSIONS {
        let before = app(version, |_| {}).await;
        let (_, family) = family(&before).await;
        let left = sign_in(&before).await;
        assert_eq!(
            left.post("/logout?scope=local", Value::Null).await.status,
            204
        );
        refresh(&before, &family[0])
            .await
            .refused(400, Code::RefreshTokenAlreadyUsed);
        let version_setting = version.to_string();
        let same = [(UPGRADING[0].0, version_setting.as_str())];
        for step in [TimeDelta::zero(), TimeDelta::hours(-1), TimeDelta::hours(2)] {
            let after = restarted(&before, &same).await;
            after.clock.advance(step);
            all_dead(&after, &family, burnt(version)).await;
            refresh(&after, &left.refresh_token)
                .await
                .refused(400, Code::RefreshTokenNotFound);
            // A token that is not issued yet is none, so the clock may not go back for this one.
            if step >= TimeDelta::zero() {
                let seen = after.bearer(&left.access_token).get("/user").await;
                let code = if step.is_zero() {
                    Code::SessionNotFound
                } else {
                    Code::BadJwt
                };
                seen.refused(403, code);
            }
        }
    }
}

/// Two sessions of Alice, after something happened to her account through the first.
async fn after(
    version: u32,
    change: impl FnOnce(&mut Config),
    act: impl AsyncFnOnce(&TestApp, &Caller),
) -> (TestApp, Caller, Caller) {
    let app = app(version, change).await;
    let alice = app.user(ALICE).await;
    let elsewhere = sign_in(&app).await;
    act(&app, &alice).await;
    (app, alice, elsewhere)
}

/// Says that a session is over: at once, and for both of its tokens.
async fn is_over(app: &TestApp, caller: &Caller, access: Code, refreshing: Code) {
    caller.get("/user").await.refused(403, access);
    caller
        .put("/user", json!({"data": {}}))
        .await
        .refused(403, access);
    refresh(app, &caller.refresh_token)
        .await
        .refused(400, refreshing);
}

async fn goes_on(app: &TestApp, caller: &Caller) {
    caller.get("/user").await.ok();
    next(app, &caller.refresh_token).await;
}

fn account(alice: &Caller) -> String {
    format!("/admin/users/{}", alice.id)
}

#[tokio::test]
async fn attack_047_a_ban_counts_at_once() {
    for version in VERSIONS {
        let (app, alice, elsewhere) = after(
            version,
            |_| {},
            async |app, alice| {
                let body = json!({"ban_duration": "1h"});
                app.admin().put(&account(alice), body).await.ok();
            },
        )
        .await;
        for caller in [&alice, &elsewhere] {
            is_over(&app, caller, Code::UserBanned, Code::UserBanned).await;
        }
        let body = json!({"email": ALICE, "password": PASSWORD});
        app.visitor()
            .post("/token?grant_type=password", body)
            .await
            .refused(400, Code::UserBanned);
    }
}

#[tokio::test]
async fn attack_047_a_deleted_account_is_gone_at_once() {
    for version in VERSIONS {
        for softly in [true, false] {
            let (app, alice, elsewhere) = after(
                version,
                |_| {},
                async |app, alice| {
                    let request = http::Request::delete(account(alice))
                        .header(
                            "authorization",
                            format!("Bearer {}", app.admin().access_token),
                        )
                        .header("content-type", "application/json")
                        .body(Body::from(
                            json!({"should_soft_delete": softly}).to_string(),
                        ))
                        .unwrap();
                    app.send(request).await.ok();
                },
            )
            .await;
            let access = if softly {
                Code::SessionNotFound
            } else {
                Code::UserNotFound
            };
            for caller in [&alice, &elsewhere] {
                is_over(&app, caller, access, Code::RefreshTokenNotFound).await;
            }
        }
    }
}

#[tokio::test]
async fn attack_047_a_new_password_ends_the_other_sessions_at_once() {
    for version in VERSIONS {
        let (app, alice, elsewhere) = after(
            version,
            |_| {},
            async |_, alice| {
                alice
                    .put("/user", json!({"password": "another-horse-2"}))
                    .await
                    .ok();
            },
        )
        .await;
        is_over(
            &app,
            &elsewhere,
            Code::SessionNotFound,
            Code::RefreshTokenNotFound,
        )
        .await;
        goes_on(&app, &alice).await;
    }
}

#[tokio::test]
async fn attack_047_a_password_from_the_administrator_ends_all_sessions_at_once() {
    for version in VERSIONS {
        let (app, alice, elsewhere) = after(
            version,
            |_| {},
            async |app, alice| {
                let body = json!({"password": "another-horse-2"});
                app.admin().put(&account(alice), body).await.ok();
            },
        )
        .await;
        for caller in [&alice, &elsewhere] {
            is_over(
                &app,
                caller,
                Code::SessionNotFound,
                Code::RefreshTokenNotFound,
            )
            .await;
        }
    }
}

#[tokio::test]
async fn attack_047_a_session_that_was_signed_out_is_over_at_once() {
    for version in VERSIONS {
        for (scope, ends_own, ends_other) in [
            ("global", true, true),
            ("local", true, false),
            ("others", false, true),
        ] {
            let (app, alice, elsewhere) = after(
                version,
                |_| {},
                async |_, alice| {
                    let path = format!("/logout?scope={scope}");
                    assert_eq!(alice.post(&path, Value::Null).await.status, 204);
                },
            )
            .await;
            for (caller, ends) in [(&alice, ends_own), (&elsewhere, ends_other)] {
                if ends {
                    is_over(
                        &app,
                        caller,
                        Code::SessionNotFound,
                        Code::RefreshTokenNotFound,
                    )
                    .await;
                } else {
                    goes_on(&app, caller).await;
                }
            }
        }
    }
}

#[tokio::test]
async fn attack_048_a_token_of_version_1_is_dead_after_its_upgrade() {
    let old = app(1, |_| {}).await;
    let (_, family) = family(&old).await;
    let new = restarted(&old, &UPGRADING).await;
    // The servers' clocks differ by less than a test takes, and the later server's must be the later one.
    new.clock.advance(TimeDelta::minutes(1));
    let upgraded = next(&new, &family[2]).await;
    for app in [&new, &old] {
        all_dead(app, &family, Code::RefreshTokenAlreadyUsed).await;
    }
    // What stands for the upgrade among the tokens of version 1 is no token either.
    let client = old.database().connect().await;
    let witness = "SELECT token FROM auth.refresh_tokens ORDER BY id DESC LIMIT 1";
    let witness: String = client.query_one(witness, &[]).await.unwrap().get(0);
    assert!(!family.contains(&witness));
    refresh(&new, &witness)
        .await
        .refused(400, Code::RefreshTokenAlreadyUsed);
    next(&new, &upgraded).await;
}
