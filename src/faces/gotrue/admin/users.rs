//! `/admin/users`.

use axum::extract::{OriginalUri, State};
use axum::response::IntoResponse as _;
use axum::response::Response;
use secrecy::{ExposeSecret, SecretString};
use serde::Serialize;
use serde_json::{Map, Value};

use super::super::caller::{Operator, Visitor};
use super::super::views::{UserView, done};
use super::pages::{Cursor, Following, Numbered};
use super::subject::Subject;
use crate::app::App;
use crate::auth::admin::{self, Params};
use crate::auth::invalid;
use crate::error::Result;
use crate::models::user::Listing;
use crate::params;
use crate::urls::query::Pairs;
use crate::web::body::Body;
use crate::web::json::Json;

params! {
    /// What an administrator says of an account.
    struct AdminUserParams {
        id: String,
        aud: String,
        role: String,
        email: String,
        phone: String,
        password: Option<SecretString>,
        password_hash: SecretString,
        email_confirm: bool,
        phone_confirm: bool,
        user_metadata: Option<Map<String, Value>>,
        app_metadata: Option<Map<String, Value>>,
        ban_duration: String,
    }
}

params! {
    /// How an account is removed.
    #[expect(non_camel_case_types, reason = "GoTrue's name stands in messages")]
    struct adminUserDeleteParams {
        should_soft_delete: bool,
    }
}

#[derive(Serialize)]
struct UsersView<'a> {
    users: Vec<UserView<'a>>,
    aud: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pagination: Option<Pagination>,
}

#[derive(Serialize)]
struct Pagination {
    #[serde(skip_serializing_if = "Option::is_none")]
    next_cursor: Option<String>,
    has_more: bool,
}

/// `GET /admin/users`.
pub async fn list(
    State(app): State<App>,
    OriginalUri(uri): OriginalUri,
    visitor: Visitor,
) -> Result<Response> {
    let query = Pairs::parse_lenient(uri.query().unwrap_or_default());
    let aud = visitor.client.aud.as_str();
    let mut listing = Listing {
        aud,
        filter: query.get("filter"),
        ascending: is_ascending(&query)?,
        limit: 0,
    };
    let by_number = !query.get("page").is_empty() || !query.get("per_page").is_empty();
    if by_number || !app.config.experimental.cursor_pagination_enabled {
        let numbered = Numbered::parse(&query)?;
        listing.limit = numbered.limit();
        let (users, total) = admin::list::by_number(&app, &listing, numbered.offset()).await?;
        let users = users.iter().map(UserView::listed).collect();
        let view = UsersView {
            users,
            aud,
            pagination: None,
        };
        return Ok((numbered.headers(&uri, total), Json(view)).into_response());
    }

    let following = Following::parse(&query)?;
    // One more than asked tells whether there is a next page.
    listing.limit = following.limit + 1;
    let mut users = admin::list::after(&app, &listing, following.after.map(Cursor::place)).await?;
    let limit = usize::try_from(following.limit).unwrap_or_default();
    let has_more = users.len() > limit;
    users.truncate(limit);
    let next_cursor = users
        .last()
        .filter(|_| has_more)
        .map(|last| Cursor::after(last.created_at, last.id).encode());
    let headers = Following::headers(&uri, next_cursor.as_deref());
    let pagination = Some(Pagination {
        next_cursor,
        has_more,
    });
    let view = UsersView {
        users: users.iter().map(UserView::listed).collect(),
        aud,
        pagination,
    };
    Ok((headers, Json(view)).into_response())
}

/// Reads `sort`: `created_at`, with `asc` or `desc` (the default). The first one counts.
fn is_ascending(query: &Pairs) -> Result<bool> {
    let mut ascending = None;
    for sort in query
        .iter()
        .filter_map(|(name, value)| (name == "sort").then_some(value))
    {
        let (field, direction) = sort
            .split_once(' ')
            .map_or((sort, None), |(field, rest)| (field, Some(rest)));
        if field != "created_at" {
            return Err(invalid(format!(
                "Bad Sort Parameters: bad field for sort '{field}'"
            )));
        }
        let is_ascending = match direction.map(str::to_ascii_uppercase).as_deref() {
            Some("ASC") => true,
            None | Some("DESC") => false,
            Some(_) => {
                let direction = direction.unwrap_or_default();
                return Err(invalid(format!(
                    "Bad Sort Parameters: bad direction for sort '{direction}', only 'asc' and 'desc' allowed"
                )));
            }
        };
        ascending.get_or_insert(is_ascending);
    }
    Ok(ascending.unwrap_or(false))
}

fn read(body: &Body) -> Result<Params> {
    let said: AdminUserParams = body.json()?;
    Ok(Params {
        id: said.id,
        aud: said.aud,
        role: said.role,
        email: said.email,
        phone: said.phone,
        password: said
            .password
            .map(|password| password.expose_secret().to_owned()),
        password_hash: said.password_hash.expose_secret().to_owned(),
        email_confirm: said.email_confirm,
        phone_confirm: said.phone_confirm,
        user_metadata: said.user_metadata,
        app_metadata: said.app_metadata,
        ban_duration: said.ban_duration,
    })
}

/// `POST /admin/users`.
pub async fn create(
    State(app): State<App>,
    Operator(operator): Operator,
    visitor: Visitor,
    body: Body,
) -> Result<Response> {
    let user = admin::create(&app, &visitor.client, &operator, read(&body)?).await?;
    Ok(Json(UserView::from(&user)).into_response())
}

/// `GET /admin/users/{user_id}`.
pub async fn show(Subject(user): Subject) -> Response {
    Json(UserView::from(&*user)).into_response()
}

/// `PUT /admin/users/{user_id}`.
pub async fn update(
    State(app): State<App>,
    Operator(operator): Operator,
    Subject(user): Subject,
    body: Body,
) -> Result<Response> {
    let user = admin::update(&app, &operator, &user, read(&body)?).await?;
    Ok(Json(UserView::from(&user)).into_response())
}

/// `DELETE /admin/users/{user_id}`.
pub async fn delete(
    State(app): State<App>,
    Operator(operator): Operator,
    Subject(user): Subject,
    body: Body,
) -> Result<Response> {
    let said = if body.is_empty() {
        adminUserDeleteParams::default()
    } else {
        body.json()?
    };
    admin::delete(&app, &operator, &user, said.should_soft_delete).await?;
    Ok(done())
}
