//! Lists of users.

use uuid::Uuid;

use super::totals;
use crate::app::App;
use crate::clock::Timestamp;
use crate::error::{Context as _, Result};
use crate::models::user::{Listing, User};

/// A page of the users of an audience, by number; and how many users there are on all pages.
pub async fn by_number(app: &App, listing: &Listing<'_>, offset: i64) -> Result<(Vec<User>, i64)> {
    let mut conn = app.db.get().await?;
    let users = User::list(&mut conn, listing, offset)
        .await
        .public("Database error finding users")?;
    drop(conn);
    let found = i64::try_from(users.len()).unwrap_or(i64::MAX);
    let is_last = found < listing.limit && (found > 0 || offset == 0);
    let total = if is_last {
        offset + found
    } else {
        totals::total(app, listing.aud, listing.filter)
            .await
            .public("Database error finding users")?
    };
    Ok((users, total))
}

/// A page of the users of an audience that begins behind one of them.
pub async fn after(
    app: &App,
    listing: &Listing<'_>,
    after: Option<(Timestamp, Uuid)>,
) -> Result<Vec<User>> {
    let mut conn = app.db.get().await?;
    User::list_after(&mut conn, listing, after)
        .await
        .public("Database error finding users")
}
