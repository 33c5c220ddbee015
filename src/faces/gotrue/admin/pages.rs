//! Paging by number, and by cursor (GoTrue's `api/pagination.go`).

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http::{HeaderMap, HeaderName, HeaderValue, Uri, header};
use serde::Deserialize;
use serde_json::json;
use uuid::Uuid;

use crate::auth::invalid;
use crate::clock::Timestamp;
use crate::error::{Error, Result};
use crate::urls::query::Pairs;
use crate::web::body::check_syntax;
use crate::web::json::Time;

/// How many rows a page has when nobody says.
const PER_PAGE: u64 = 50;

/// The largest page by cursor.
const MAX_LIMIT: u64 = 1000;

fn bad(reason: impl std::fmt::Display) -> Error {
    invalid(format!("Bad Pagination Parameters: {reason}"))
}

/// Reads an unsigned number as Go's `strconv.ParseUint` does, with its words.
fn number(text: &str) -> Result<u64> {
    let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let reason = if digits {
        "value out of range"
    } else {
        "invalid syntax"
    };
    match text.parse() {
        Ok(number) if digits => Ok(number),
        _ => Err(bad(format!(
            "strconv.ParseUint: parsing {text:?}: {reason}"
        ))),
    }
}

/// A page by number, from 1.
#[derive(Debug, Clone, Copy)]
pub struct Numbered {
    page: u64,
    per_page: u64,
}

impl Numbered {
    /// Reads `page` and `per_page`.
    pub fn parse(query: &Pairs) -> Result<Self> {
        let read = |name, default| match query.get(name) {
            "" => Ok(default),
            text => number(text),
        };
        let (page, per_page) = (read("page", 1)?, read("per_page", PER_PAGE)?);
        if per_page == 0 {
            // GoTrue divides by it.
            return Err(bad("per_page must be greater than 0"));
        }
        Ok(Self { page, per_page })
    }

    /// How many rows.
    pub fn limit(self) -> i64 {
        i64::try_from(self.per_page).unwrap_or(i64::MAX)
    }

    /// How many rows before them.
    pub fn offset(self) -> i64 {
        let before = self.page.saturating_sub(1).saturating_mul(self.per_page);
        i64::try_from(before).unwrap_or(i64::MAX)
    }

    /// `Link` to the next and the last page, and `X-Total-Count`.
    pub fn headers(self, uri: &Uri, total: i64) -> HeaderMap {
        let last = u64::try_from(total)
            .unwrap_or_default()
            .div_ceil(self.per_page);
        let page = |number: u64, rel| {
            format!(
                "<{}>; rel=\"{rel}\"",
                with(uri, "page", &number.to_string())
            )
        };
        let next = (last > self.page).then(|| page(self.page + 1, "next") + ", ");
        let link = next.unwrap_or_default() + &page(last, "last");
        let total = (
            HeaderName::from_static("x-total-count"),
            HeaderValue::from(total),
        );
        link_header(&link).chain([total]).collect()
    }
}

fn link_header(link: &str) -> impl Iterator<Item = (HeaderName, HeaderValue)> {
    HeaderValue::from_str(link)
        .ok()
        .map(|link| (header::LINK, link))
        .into_iter()
}

/// The request's own address with one query parameter set.
fn with(uri: &Uri, name: &str, value: &str) -> String {
    let mut query = Pairs::parse_lenient(uri.query().unwrap_or_default());
    query.set(name, value);
    format!("{}?{}", uri.path(), query.encode())
}

/// A place in the list of users.
#[derive(Debug, Clone, Copy)]
pub struct Cursor {
    created_at: Timestamp,
    id: Uuid,
}

impl Cursor {
    /// Behind this row.
    pub fn after(created_at: Timestamp, id: Uuid) -> Self {
        Self { created_at, id }
    }

    /// The row that the page begins behind.
    pub fn place(self) -> (Timestamp, Uuid) {
        (self.created_at, self.id)
    }

    /// How clients carry it: opaque.
    pub fn encode(self) -> String {
        let text = json!({ "created_at": Time(self.created_at), "id": self.id }).to_string();
        URL_SAFE_NO_PAD.encode(text)
    }

    fn decode(text: &str) -> Result<Self> {
        let bytes = URL_SAFE_NO_PAD
            .decode(text)
            .map_err(|error| bad(format!("invalid cursor encoding: {error}")))?;
        check_syntax(&bytes).map_err(|error| bad(format!("invalid cursor: {error}")))?;
        let wire: Wire = serde_json::from_slice(&bytes).map_err(|_| bad("invalid cursor"))?;
        let id = wire
            .id
            .filter(|id| !id.is_nil())
            .ok_or_else(|| bad("invalid cursor: missing id"))?;
        let created_at = wire
            .created_at
            .ok_or_else(|| bad("invalid cursor: missing created_at"))?;
        Ok(Self { created_at, id })
    }
}

#[derive(Deserialize)]
struct Wire {
    created_at: Option<Timestamp>,
    id: Option<Uuid>,
}

/// A page by cursor.
#[derive(Debug, Clone, Copy)]
pub struct Following {
    /// At most so many rows.
    pub limit: i64,
    /// Behind this one.
    pub after: Option<Cursor>,
}

impl Following {
    /// Reads `limit` and `cursor`.
    pub fn parse(query: &Pairs) -> Result<Self> {
        let limit = match query.get("limit") {
            "" => PER_PAGE,
            text => number(text)?,
        };
        if limit == 0 {
            return Err(bad("limit must be greater than 0"));
        }
        let after = match query.get("cursor") {
            "" => None,
            text => Some(Cursor::decode(text)?),
        };
        Ok(Self {
            limit: i64::try_from(limit.min(MAX_LIMIT)).unwrap_or_default(),
            after,
        })
    }

    /// `Link` to the next page.
    pub fn headers(uri: &Uri, next: Option<&str>) -> HeaderMap {
        let link = next.map(|next| format!("<{}>; rel=\"next\"", with(uri, "cursor", next)));
        link.iter().flat_map(|link| link_header(link)).collect()
    }
}
