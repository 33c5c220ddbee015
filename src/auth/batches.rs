//! What requests ask of Postgres together when they wait together.

use crate::crypto::refresh_token::SignedToken;
use crate::db::{Batch, Pool};
use crate::models::refresh_token::{Exchange, Exchanged, Stored};
use crate::models::session::{Bearer, Named};

/// One batch per kind of question.
pub struct Batches {
    /// Whom bearer tokens name.
    pub bearers: Batch<Named, Option<Bearer>>,
    /// Version 1 refresh tokens, to be exchanged if nothing speaks against it.
    pub stored_tokens: Batch<Exchange<Stored>, Option<Exchanged>>,
    /// The same for version 2.
    pub signed_tokens: Batch<Exchange<SignedToken>, Option<Exchanged>>,
}

impl Batches {
    /// On connections of `pool`; not `together`: each question has a statement of its own.
    #[must_use]
    pub fn new(pool: &Pool, together: bool) -> Self {
        Self {
            bearers: Batch::new(pool.clone(), Bearer::find, together),
            stored_tokens: Batch::new(pool.clone(), Exchange::<Stored>::all, together),
            signed_tokens: Batch::new(pool.clone(), Exchange::<SignedToken>::all, together),
        }
    }
}
