//! Identities: nobody's but one's own are linked or unlinked, whatever ids a request names.

use serde_json::{Value, json};
use truegate::error::Code;
use url::Url;

use crate::support::app::{Caller, TestApp};
use crate::support::provider::{Detour, Provider, location, parameter};
use crate::support::reply::Reply;

async fn app(provider: &Provider) -> TestApp {
    provider
        .app_with(|config| config.security.manual_linking_enabled = true)
        .await
}

/// Sets out to link what the provider says; `more` are further parameters.
async fn set_out(caller: &Caller, more: &str) -> Detour {
    let path = format!("/user/identities/authorize?provider=keycloak{more}");
    Detour::of(&caller.get(&path).await)
}

/// Links what the provider says of this person.
async fn link(app: &TestApp, provider: &Provider, caller: &Caller, sub: &str) -> Reply {
    provider.is_signed_in(sub, &format!("{sub}@example.org"), true);
    set_out(caller, "").await.end(app).await
}

/// Provider and subject of each identity, and the ids by which they are unlinked.
async fn identities(caller: &Caller) -> (Vec<String>, Vec<String>) {
    let user = caller.get("/user").await.ok();
    let identities = user["identities"].as_array().unwrap();
    let text = |identity: &Value, name: &str| identity[name].as_str().unwrap().to_owned();
    let known = |identity| format!("{} {}", text(identity, "provider"), text(identity, "id"));
    let ids = identities
        .iter()
        .map(|identity| text(identity, "identity_id"));
    (identities.iter().map(known).collect(), ids.collect())
}

fn refusal(reply: &Reply) -> Option<String> {
    parameter(location(reply).query(), "error_code")
}

#[tokio::test]
async fn nobody_unlinks_what_is_somebody_elses() {
    let provider = Provider::start().await;
    let app = app(&provider).await;
    let (ann, bob) = (
        app.user("ann@example.com").await,
        app.user("bob@example.com").await,
    );
    link(&app, &provider, &ann, "ann").await;
    link(&app, &provider, &bob, "bob").await;
    let (of_ann, ids) = identities(&ann).await;
    assert_eq!(of_ann.len(), 2);
    for id in ids {
        let refused = bob.delete(&format!("/user/identities/{id}")).await;
        refused.refused(422, Code::IdentityNotFound);
    }
    assert_eq!(identities(&ann).await.0, of_ann);
    assert_eq!(identities(&bob).await.0.len(), 2);
}

#[tokio::test]
async fn what_is_somebody_elses_is_not_linked() {
    let provider = Provider::start().await;
    let app = app(&provider).await;
    provider.is_signed_in("ann", "ann@example.com", true);
    let ann = app.came_back(&Detour::make(&app).await);
    let bob = app.user("bob@example.com").await;
    let before = (identities(&ann).await, identities(&bob).await);
    let reply = link(&app, &provider, &bob, "ann").await;
    assert_eq!(refusal(&reply).as_deref(), Some("identity_already_exists"));
    assert!(parameter(location(&reply).fragment(), "access_token").is_none());
    assert_eq!((identities(&ann).await, identities(&bob).await), before);
}

#[tokio::test]
async fn an_invitation_is_not_accepted_with_somebody_elses_identity() {
    let provider = Provider::start().await;
    let app = app(&provider).await;
    let ann = app.came_back(&Detour::make(&app).await);
    let carl = json!({"email": "carl@example.com"});
    app.admin().post("/invite", carl).await.ok();
    let token = app.outbox.take_one().link();
    let token = parameter(token.parse::<Url>().unwrap().query(), "token").unwrap();
    provider.is_signed_in("ann", "carl@example.com", true);
    let detour = Detour::begin(&app, &format!("&invite_token={token}")).await;
    let reply = detour.end(&app).await;
    assert_eq!(refusal(&reply).unwrap(), "identity_already_exists");
    assert_eq!(identities(&ann).await.0, ["keycloak ann"]);
    // With one of his own it is.
    provider.is_signed_in("carl", "carl@example.com", true);
    let detour = Detour::begin(&app, &format!("&invite_token={token}")).await;
    let carl = app.came_back(&detour.end(&app).await);
    assert_eq!(identities(&carl).await.0, ["keycloak carl"]);
}

#[tokio::test]
async fn a_link_is_for_who_set_out() {
    let provider = Provider::start().await;
    let app = app(&provider).await;
    let (ann, bob) = (
        app.user("ann@example.com").await,
        app.user("bob@example.com").await,
    );
    let id = &ann.id;
    let more = format!("&user_id={id}&linking_target_id={id}&link_to={id}&sub={id}");
    provider.is_signed_in("bob", "bob@example.org", true);
    let detour = set_out(&bob, &more).await;
    // Who holds the browser that comes back counts as little.
    let path = format!("/callback?code=a-code&state={}{more}", detour.state);
    let reply = ann.get(&path).await;
    assert_eq!(app.came_back(&reply).id, bob.id);
    assert_eq!(
        identities(&bob).await.0,
        [format!("email {}", bob.id), "keycloak bob".into()]
    );
    assert_eq!(identities(&ann).await.0.len(), 1);
}

#[tokio::test]
async fn who_has_gone_is_linked_to_nothing() {
    let provider = Provider::start().await;
    let app = app(&provider).await;
    let bob = app.user("bob@example.com").await;
    provider.is_signed_in("bob", "bob@example.org", true);
    let detour = set_out(&bob, "").await;
    app.admin()
        .delete(&format!("/admin/users/{}", bob.id))
        .await
        .ok();
    let reply = detour.end(&app).await;
    assert!(refusal(&reply).is_some(), "{reply:?}");
    let database = app.database().connect().await;
    let rows = "SELECT (SELECT count(*) FROM auth.users) + (SELECT count(*) FROM auth.identities)";
    let rows: i64 = database.query_one(rows, &[]).await.unwrap().get(0);
    assert_eq!(rows, 0);
}

#[tokio::test]
async fn nothing_is_linked_where_that_is_off_or_nobody_asks() {
    let provider = Provider::start().await;
    let off = provider.app().await;
    let bob = off.user("bob@example.com").await;
    let path = "/user/identities/authorize?provider=keycloak";
    for path in [path, "/user/identities", "/user/identities/any/path"] {
        let refused = bob.get(path).await;
        refused.refused(404, Code::ManualLinkingDisabled);
    }

    let on = app(&provider).await;
    let refused = on.visitor().get(path).await;
    refused.refused(401, Code::NoAuthorization);
    let id = json!({"id": bob.id});
    let refused = on.admin().call("GET", path, Some(id)).await;
    refused.refused(403, Code::BadJwt);
    assert_eq!(provider.times_asked(), 0);
}
