//! Triggers of the application on `auth.users`: what they see, and what comes of what they do.

use serde_json::{Value, json};

use crate::support::app::{PASSWORD, TestApp};
use crate::support::reply::Reply;

/// Notes what happened to users.
const NOTES: &str = "CREATE TABLE public.notes (note text); \
    CREATE FUNCTION public.note() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN \
    INSERT INTO public.notes VALUES (TG_ARGV[0] || coalesce(' ' || NEW.email_confirmed_at::text, '')); RETURN NEW; END $$; ";

async fn with(triggers: &str) -> TestApp {
    let app = TestApp::new().await;
    let client = app.database().connect().await;
    client.batch_execute(triggers).await.unwrap();
    app
}

async fn column(app: &TestApp, sql: &str) -> Vec<String> {
    let rows = app.database().connect().await.query(sql, &[]).await;
    rows.unwrap().iter().map(|row| row.get(0)).collect()
}

async fn sign_up(app: &TestApp, email: &str) -> Reply {
    let body = json!({"email": email, "password": PASSWORD, "data": {"name": "Alice"}});
    app.visitor().post("/signup", body).await
}

#[tokio::test]
async fn only_a_new_hash_looks_like_a_new_password() {
    // bcrypt of "imported-secret-1", at the least cost.
    const HASH: &str = "$2b$04$e1n7s8QHzDsGl7U6lbI/uOQQALyZ1MNPa6TBPrcuKdL7Hq7EUGEN2";
    let app = with(&format!(
        "{NOTES} CREATE TRIGGER note AFTER UPDATE OF encrypted_password ON auth.users \
         FOR EACH ROW EXECUTE FUNCTION public.note('password')"
    ))
    .await;
    let user = json!({"email": "ann@example.com", "password_hash": HASH, "email_confirm": true});
    app.admin().post("/admin/users", user).await.ok();
    let login = json!({"email": "ann@example.com", "password": "imported-secret-1"});
    for _ in 0..3 {
        app.visitor()
            .post("/token?grant_type=password", login.clone())
            .await
            .ok();
    }
    let notes = column(&app, "SELECT note FROM public.notes").await;
    assert_eq!(notes.len(), 1, "{notes:?}");
}

#[tokio::test]
async fn a_newcomer_is_inserted_and_then_confirmed() {
    let app = with(&format!(
        "{NOTES} CREATE TRIGGER born AFTER INSERT ON auth.users FOR EACH ROW EXECUTE FUNCTION public.note('born'); \
         CREATE TRIGGER confirmed AFTER UPDATE ON auth.users FOR EACH ROW \
         WHEN (OLD.email_confirmed_at IS NULL AND NEW.email_confirmed_at IS NOT NULL) EXECUTE FUNCTION public.note('confirmed')"
    ))
    .await;
    let grant = sign_up(&app, "alice@example.com").await.ok();
    let notes = column(&app, "SELECT left(note, 9) FROM public.notes").await;
    assert_eq!(notes, ["born", "confirmed"]);
    assert_eq!(grant["user"]["user_metadata"]["name"], "Alice");
}

#[tokio::test]
async fn the_answer_to_a_newcomer_shows_what_triggers_have_made_of_the_row() {
    let app = with(
        "CREATE FUNCTION public.before() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN \
           NEW.raw_app_meta_data := NEW.raw_app_meta_data || '{\"tier\": \"free\"}'; RETURN NEW; END $$; \
         CREATE TRIGGER before BEFORE INSERT ON auth.users FOR EACH ROW EXECUTE FUNCTION public.before(); \
         CREATE FUNCTION public.after() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN \
           UPDATE auth.users SET role = 'customer' WHERE id = NEW.id; RETURN NEW; END $$; \
         CREATE TRIGGER after AFTER INSERT ON auth.users FOR EACH ROW EXECUTE FUNCTION public.after()",
    )
    .await;
    let grant = sign_up(&app, "alice@example.com").await.ok();
    let anonymous = app.visitor().post("/signup", json!({})).await;
    assert_eq!(anonymous.status, 422, "switched off: {anonymous:?}");
    let user = &grant["user"];
    assert_eq!(user["role"], "customer");
    assert_eq!(
        user["app_metadata"],
        json!({"provider": "email", "providers": ["email"], "tier": "free"})
    );
    let alice = app.granted(&grant);
    assert_eq!(alice.get("/user").await.ok()["role"], "customer");
}

#[tokio::test]
async fn a_trigger_that_raises_leaves_nothing_behind() {
    let raise = |when: &str| {
        format!(
            "CREATE FUNCTION public.refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN \
             RAISE EXCEPTION 'not you' USING ERRCODE = 'PT403'; END $$; \
             CREATE TRIGGER refuse {when} FOR EACH ROW EXECUTE FUNCTION public.refuse()"
        )
    };
    for (when, status) in [
        ("BEFORE INSERT ON auth.users", 403),
        ("AFTER INSERT ON auth.users", 403),
        ("BEFORE INSERT ON auth.identities", 403),
        ("BEFORE UPDATE ON auth.users", 403),
        ("BEFORE INSERT ON auth.sessions", 500),
    ] {
        let app = with(&raise(when)).await;
        for turn in 0..3 {
            let refused = sign_up(&app, &format!("alice{turn}@example.com")).await;
            assert_eq!(refused.status, status, "{when}: {refused:?}");
        }
        let rows = "SELECT id::text FROM auth.users UNION ALL SELECT id::text FROM auth.identities \
                    UNION ALL SELECT id::text FROM auth.sessions UNION ALL SELECT id::text FROM auth.audit_log_entries";
        assert_eq!(column(&app, rows).await, Vec::<String>::new(), "{when}");
        let client = app.database().connect().await;
        let drop = "DROP FUNCTION public.refuse() CASCADE";
        client.batch_execute(drop).await.unwrap();
        let grant = sign_up(&app, "alice@example.com").await.ok();
        assert_ne!(grant["access_token"], Value::Null, "{when}");
    }
}
