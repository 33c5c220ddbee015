//! The dev inbox over HTTP: those of Mailpit's routes that test suites call, with its JSON, and a page
//! for people. It shows sign-in links, so it answers only to pages and names of this machine.

use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use axum::Router;
use axum::extract::{Path, Query, Request, State};
use axum::middleware::{Next, from_fn};
use axum::response::sse::{Event, KeepAlive, Sse};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use futures_util::Stream;
use http::{HeaderMap, HeaderValue, StatusCode, Uri, header};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::mail::{Head, Mail};
use super::mailbox::{Kept, Mailbox};
use search::Search;

mod search;

/// Mails per list where the request names no number, as Mailpit's.
const PAGE: usize = 50;

/// What our own page may load: itself, and mails in their frame.
const PAGE_POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src data:; frame-src 'self'; \
                           base-uri 'none'; form-action 'none'; frame-ancestors 'none'";
/// What a mail may do, even when opened outside its frame: look good, show images, open links in new tabs.
const MAIL_POLICY: &str = "sandbox allow-popups allow-popups-to-escape-sandbox; default-src 'none'; style-src 'unsafe-inline' https:; \
                           img-src data: http: https:; font-src data: https:";

type Box = State<Arc<Mailbox>>;

/// Everything the inbox answers.
pub fn router(mailbox: Arc<Mailbox>) -> Router {
    Router::new()
        .route(
            "/",
            get(asset(
                "text/html; charset=utf-8",
                include_str!("inbox/page.html"),
            )),
        )
        .route(
            "/inbox.css",
            get(asset(
                "text/css; charset=utf-8",
                include_str!("inbox/page.css"),
            )),
        )
        .route(
            "/inbox.js",
            get(asset(
                "text/javascript; charset=utf-8",
                include_str!("inbox/page.js"),
            )),
        )
        .route("/events", get(events))
        .route("/view/{file}", get(view))
        .route("/api/v1/info", get(info))
        .route("/api/v1/messages", get(list).delete(delete))
        .route("/api/v1/search", get(find).delete(delete_found))
        .route("/api/v1/message/{id}", get(message))
        .route("/api/v1/message/{id}/headers", get(headers))
        .route("/api/v1/message/{id}/raw", get(raw))
        .route("/sms", post(text_message))
        .route("/readyz", get("ok"))
        .layer(from_fn(only_from_here))
        .with_state(mailbox)
}

/// Other sites may point a name of theirs at 127.0.0.1 and read along (DNS rebinding): they are refused by
/// the name they come under. Pages of this machine may read, wherever they are served from.
async fn only_from_here(request: Request, next: Next) -> Response {
    let host = request
        .headers()
        .get(header::HOST)
        .and_then(|host| host.to_str().ok());
    let host = host.or_else(|| request.uri().authority().map(http::uri::Authority::as_str));
    if !host.is_some_and(|host| is_loopback(&format!("http://{host}"))) {
        return (
            StatusCode::MISDIRECTED_REQUEST,
            "the dev inbox answers under localhost and 127.0.0.1 only\n",
        )
            .into_response();
    }
    let origin = request.headers().get(header::ORIGIN).cloned();
    let origin = origin.filter(|origin| origin.to_str().is_ok_and(is_loopback));
    let mut response = if request.method() == http::Method::OPTIONS {
        let methods = [
            (header::ACCESS_CONTROL_ALLOW_METHODS, "GET, DELETE"),
            (header::ACCESS_CONTROL_ALLOW_HEADERS, "content-type"),
        ];
        (StatusCode::NO_CONTENT, methods).into_response()
    } else {
        next.run(request).await
    };
    let headers = response.headers_mut();
    if let Some(origin) = origin {
        headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, origin);
    }
    headers.insert(header::VARY, HeaderValue::from_static("origin"));
    headers.insert(
        header::X_CONTENT_TYPE_OPTIONS,
        HeaderValue::from_static("nosniff"),
    );
    headers.insert(
        header::REFERRER_POLICY,
        HeaderValue::from_static("no-referrer"),
    );
    headers
        .entry(header::CONTENT_SECURITY_POLICY)
        .or_insert(HeaderValue::from_static(PAGE_POLICY));
    response
}

/// Whether an origin is this machine.
fn is_loopback(origin: &str) -> bool {
    let Ok(origin) = origin.parse::<Uri>() else {
        return false;
    };
    let host = origin.host().unwrap_or_default().trim_matches(['[', ']']);
    host == "localhost"
        || host.ends_with(".localhost")
        || host
            .parse::<std::net::IpAddr>()
            .is_ok_and(|address| address.is_loopback())
}

fn asset(
    content_type: &'static str,
    text: &'static str,
) -> impl IntoResponse + Clone + Send + Sync + 'static {
    (
        [
            (header::CONTENT_TYPE, content_type),
            (header::CACHE_CONTROL, "no-cache"),
        ],
        text,
    )
}

fn json(value: &impl Serialize) -> Response {
    match serde_json::to_string(value) {
        Ok(text) => ([(header::CONTENT_TYPE, "application/json")], text).into_response(),
        Err(error) => (StatusCode::INTERNAL_SERVER_ERROR, error.to_string()).into_response(),
    }
}

/// Mailpit's form of a mail in a list.
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Summary<'a> {
    #[serde(flatten)]
    head: &'a Head,
    read: bool,
    created: String,
    attachments: usize,
    snippet: String,
}

/// Mailpit's form of a mail alone.
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Full<'a> {
    #[serde(flatten)]
    head: &'a Head,
    return_path: &'static str,
    date: String,
    text: &'a str,
    #[serde(rename = "HTML")]
    html: &'a str,
    inline: [(); 0],
    attachments: [(); 0],
}

fn date(mail: &Mail) -> String {
    mail.received
        .to_rfc3339_opts(chrono::SecondsFormat::Millis, true)
}

/// The same names as Mailpit's query parameters.
#[derive(Deserialize)]
struct Paging {
    #[serde(default)]
    start: usize,
    limit: Option<usize>,
    #[serde(default)]
    query: String,
}

fn page(mailbox: &Mailbox, paging: &Paging, search: &Search) -> Response {
    let all = mailbox.all();
    let unread = |mails: &mut dyn Iterator<Item = &Arc<Kept>>| {
        mails
            .filter(|kept| !kept.read.load(Ordering::Relaxed))
            .count()
    };
    let found: Vec<&Arc<Kept>> = all.iter().filter(|kept| search.matches(kept)).collect();
    let shown = found
        .iter()
        .skip(paging.start)
        .take(paging.limit.unwrap_or(PAGE));
    let messages: Vec<Summary<'_>> = shown
        .map(|kept| Summary {
            head: &kept.mail.head,
            read: kept.read.load(Ordering::Relaxed),
            created: date(&kept.mail),
            attachments: 0,
            snippet: kept.mail.snippet(),
        })
        .collect();
    json(&json!({
        "total": all.len(),
        "unread": unread(&mut all.iter()),
        "count": messages.len(),
        "messages_count": found.len(),
        "messages_unread": unread(&mut found.iter().copied()),
        "start": paging.start,
        "tags": [],
        "messages": messages,
    }))
}

async fn list(State(mailbox): Box, Query(paging): Query<Paging>) -> Response {
    page(&mailbox, &paging, &Search::default())
}

async fn find(State(mailbox): Box, Query(paging): Query<Paging>) -> Response {
    match Search::parse(&paging.query) {
        Some(search) => page(&mailbox, &paging, &search),
        None => refuse(StatusCode::BAD_REQUEST, "no search query"),
    }
}

/// The body names the mails; none named: all.
async fn delete(State(mailbox): Box, body: String) -> Response {
    #[derive(Default, Deserialize)]
    struct Named {
        #[serde(rename = "IDs", alias = "ids", default)]
        ids: Vec<String>,
    }
    let named = if body.trim().is_empty() {
        Ok(Named::default())
    } else {
        serde_json::from_str(&body)
    };
    match named {
        Ok(Named { ids }) => {
            mailbox.remove(|kept| ids.is_empty() || ids.contains(&kept.mail.head.id));
            "ok".into_response()
        }
        Err(error) => refuse(StatusCode::BAD_REQUEST, &error.to_string()),
    }
}

async fn delete_found(State(mailbox): Box, Query(paging): Query<Paging>) -> Response {
    match Search::parse(&paging.query) {
        Some(search) => {
            mailbox.remove(|kept| search.matches(kept));
            "ok".into_response()
        }
        None => refuse(StatusCode::BAD_REQUEST, "no search query"),
    }
}

/// Where this machine's Truegate posts its text messages; pages may not.
async fn text_message(State(mailbox): Box, headers: HeaderMap, body: String) -> Response {
    #[derive(Deserialize)]
    struct Posted {
        phone: String,
        message: String,
    }
    if headers.contains_key(header::ORIGIN) {
        return refuse(StatusCode::FORBIDDEN, "not for pages");
    }
    match serde_json::from_str(&body) {
        Ok(Posted { phone, message }) => {
            mailbox.put_text_message(&phone, message);
            "ok".into_response()
        }
        Err(error) => refuse(StatusCode::BAD_REQUEST, &error.to_string()),
    }
}

async fn message(State(mailbox): Box, Path(id): Path<String>) -> Response {
    let Some(kept) = mailbox.find(&id) else {
        return missing();
    };
    mailbox.mark_read(&kept);
    let Mail {
        head, text, html, ..
    } = &kept.mail;
    json(&Full {
        head,
        return_path: "",
        date: date(&kept.mail),
        text,
        html,
        inline: [],
        attachments: [],
    })
}

async fn headers(State(mailbox): Box, Path(id): Path<String>) -> Response {
    let Some(kept) = mailbox.find(&id) else {
        return missing();
    };
    let mut headers = serde_json::Map::new();
    for (name, value) in kept.mail.headers() {
        if let Value::Array(values) = headers.entry(name).or_insert_with(|| json!([])) {
            values.push(value.into());
        }
    }
    json(&headers)
}

async fn raw(State(mailbox): Box, Path(id): Path<String>) -> Response {
    let Some(kept) = mailbox.find(&id) else {
        return missing();
    };
    (
        [(header::CONTENT_TYPE, "text/plain; charset=utf-8")],
        kept.mail.raw.clone(),
    )
        .into_response()
}

/// `/view/ID.html` and `/view/ID.txt`, as Mailpit's.
async fn view(State(mailbox): Box, Path(file): Path<String>) -> Response {
    let Some((id, form)) = file.rsplit_once('.') else {
        return missing();
    };
    let Some(kept) = mailbox.find(id) else {
        return missing();
    };
    match form {
        "html" => {
            let headers = [
                (header::CONTENT_TYPE, "text/html; charset=utf-8"),
                (header::CONTENT_SECURITY_POLICY, MAIL_POLICY),
            ];
            // Links open beside the inbox, not inside its frame.
            (
                headers,
                format!("<base target=\"_blank\">{}", kept.mail.html),
            )
                .into_response()
        }
        "txt" => (
            [(header::CONTENT_TYPE, "text/plain; charset=utf-8")],
            kept.mail.text.clone(),
        )
            .into_response(),
        _ => missing(),
    }
}

async fn info(State(mailbox): Box) -> Response {
    let all = mailbox.all();
    let unread = all
        .iter()
        .filter(|kept| !kept.read.load(Ordering::Relaxed))
        .count();
    json(&json!({ "Version": env!("CARGO_PKG_VERSION"), "Messages": all.len(), "Unread": unread }))
}

/// One event per change of the box.
async fn events(State(mailbox): Box) -> Sse<impl Stream<Item = Result<Event, Infallible>>> {
    let changes = futures_util::stream::unfold(mailbox.changes(), |mut changes| async {
        changes.changed().await.ok()?;
        let count = changes.borrow_and_update().to_string();
        Some((Ok(Event::default().event("change").data(count)), changes))
    });
    Sse::new(changes).keep_alive(KeepAlive::default())
}

fn missing() -> Response {
    refuse(StatusCode::NOT_FOUND, "message not found")
}

fn refuse(status: StatusCode, message: &str) -> Response {
    (status, json(&json!({ "Error": message }))).into_response()
}

#[cfg(test)]
mod tests;
