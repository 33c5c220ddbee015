//! A provider that takes its time delays who signs in by it, and nobody else.

use serde_json::json;

use crate::support::provider::{Detour, Provider, TOKEN, USERINFO};

const REFRESHES: usize = 200;

/// While an endpoint says nothing, other people's requests have the one connection to the database for themselves.
async fn delays_nobody(endpoint: &'static str, earlier_requests: usize) {
    let provider = Provider::start().await;
    let app = provider.app_with(|config| config.db.max_pool_size = 1);
    let app = app.await;
    let bob = app.user("bob@example.com").await;
    let detour = Detour::begin(&app, "").await;
    provider.falls_silent_after(0, endpoint);

    let others = async {
        provider.was_asked(earlier_requests + 1).await;
        let mut token = bob.refresh_token.clone();
        for _ in 0..REFRESHES {
            let refresh = json!({"refresh_token": token});
            let grant = bob.post("/token?grant_type=refresh_token", refresh).await;
            let grant = grant.ok();
            grant["refresh_token"]
                .as_str()
                .unwrap()
                .clone_into(&mut token);
        }
        provider.speak();
    };
    let (reply, ()) = tokio::join!(detour.end(&app), others);
    // Nobody had given it up.
    let ann = app.came_back(&reply).get("/user").await.ok();
    assert_eq!(ann["email"], "ann@example.com");
}

#[tokio::test]
async fn a_token_endpoint_that_hangs_delays_nobody() {
    delays_nobody(TOKEN, 0).await;
}

#[tokio::test]
async fn a_userinfo_endpoint_that_hangs_delays_nobody() {
    delays_nobody(USERINFO, 1).await;
}
