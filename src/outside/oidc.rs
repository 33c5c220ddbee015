//! OpenID Connect: issuers, the keys they sign with, and what their ID tokens say of a person.
//!
//! What issuers publish is kept for a while. Who is trusted is not decided here: whoever names an issuer has made
//! sure that it is one the operator wants.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use anyhow::{Context as _, bail, ensure};
use chrono::TimeDelta;

use crate::clock::Timestamp;
use crate::outside::Http;

mod discovery;
pub mod document;
mod id_token;
pub mod issuers;
mod jwks;
mod kept;
mod profile;

pub use discovery::Discovery;
pub use id_token::{IdToken, claimed_issuer};

use id_token::Unverified;
use jwks::Jwks;
use kept::Kept;

/// How many issuers are remembered. Every tenant of Azure is one, so that callers choose how many there are.
const MAX_ISSUERS: usize = 256;

/// What is known of issuers; cheap to clone.
#[derive(Clone)]
pub struct Oidc(Arc<Parts>);

struct Parts {
    /// How long what they publish is good.
    ttl: TimeDelta,
    issuers: Mutex<Remembered>,
}

#[derive(Default)]
struct Remembered {
    /// By issuer and the address of its document: what one address says of an issuer is not for who asks another.
    known: HashMap<(String, String), (Arc<Published>, u64)>,
    /// Counts the uses.
    uses: u64,
}

/// What an issuer publishes.
#[derive(Default)]
struct Published {
    discovery: Kept<Discovery>,
    jwks: Kept<Jwks>,
}

/// An issuer, as it describes itself now.
pub struct Issuer {
    url: String,
    /// Its endpoints.
    pub discovery: Arc<Discovery>,
    published: Arc<Published>,
    http: Http,
    ttl: TimeDelta,
    now: Timestamp,
}

impl Oidc {
    /// Knows nobody yet.
    #[must_use]
    pub fn new(ttl: Duration) -> Self {
        Self(Arc::new(Parts {
            ttl: TimeDelta::from_std(ttl).unwrap_or(TimeDelta::MAX),
            issuers: Mutex::default(),
        }))
    }

    /// An issuer by its URL, which is compared to the letter. `http` decides where it may be.
    pub async fn issuer(&self, http: &Http, url: &str, now: Timestamp) -> anyhow::Result<Issuer> {
        self.issuer_at(http, url, &Discovery::url(url), now).await
    }

    /// The same for an issuer whose document is elsewhere.
    pub async fn issuer_at(
        &self,
        http: &Http,
        url: &str,
        discovery_url: &str,
        now: Timestamp,
    ) -> anyhow::Result<Issuer> {
        let published = self.published(url, discovery_url);
        let fetch = async || Discovery::fetch(http, discovery_url, url).await;
        let discovery = published.discovery.get(now, self.0.ttl, fetch).await;
        if discovery.is_err() {
            self.forget_empty(url, discovery_url);
        }
        Ok(Issuer {
            url: url.to_owned(),
            discovery: discovery?,
            published,
            http: http.clone(),
            ttl: self.0.ttl,
            now,
        })
    }

    /// Knows nothing of an issuer any more: it is asked anew, wherever its document is.
    pub fn forget(&self, url: &str) {
        let mut issuers = self.remembered();
        issuers.known.retain(|(issuer, _), _| issuer != url);
    }

    fn published(&self, url: &str, discovery_url: &str) -> Arc<Published> {
        let mut issuers = self.remembered();
        issuers.uses += 1;
        let this_use = issuers.uses;
        let key = (url.to_owned(), discovery_url.to_owned());
        if !issuers.known.contains_key(&key) && issuers.known.len() >= MAX_ISSUERS {
            let longest_unused = issuers
                .known
                .iter()
                .min_by_key(|(_, (_, last_use))| *last_use);
            if let Some(key) = longest_unused.map(|(key, _)| key.clone()) {
                issuers.known.remove(&key);
            }
        }
        let (published, last_use) = issuers.known.entry(key).or_default();
        *last_use = this_use;
        published.clone()
    }

    /// An issuer that could not be asked takes no place.
    fn forget_empty(&self, url: &str, discovery_url: &str) {
        let mut issuers = self.remembered();
        let key = (url.to_owned(), discovery_url.to_owned());
        if issuers
            .known
            .get(&key)
            .is_some_and(|(published, _)| published.discovery.is_empty())
        {
            issuers.known.remove(&key);
        }
    }

    fn remembered(&self) -> MutexGuard<'_, Remembered> {
        let Parts { issuers, .. } = &*self.0;
        issuers.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Issuer {
    /// What a token says, if this issuer has signed it and it counts now. Whom it is for is another question.
    pub async fn verify(&self, token: &str) -> anyhow::Result<IdToken> {
        let unverified = Unverified::parse(token)?;
        ensure!(
            self.discovery.algorithms().contains(&unverified.algorithm),
            "{} does not sign with {:?}",
            self.url,
            unverified.algorithm
        );
        if !self
            .is_signed(&unverified)
            .await
            .context("the issuer's keys")?
        {
            bail!("no key of {} has signed the token", self.url);
        }
        let token = unverified.believe()?;
        ensure!(
            issuers::is_same(&self.url, token.issuer()),
            "{} has signed a token that says it is of {}",
            self.url,
            token.issuer()
        );
        token.check_times(self.now)?;
        Ok(token)
    }

    /// A key that nobody has seen yet may be a new one.
    async fn is_signed(&self, token: &Unverified<'_>) -> anyhow::Result<bool> {
        let keys = &self.published.jwks;
        let fetch = async || Jwks::fetch(&self.http, self.discovery.jwks_uri()).await;
        let confirm = |jwks: &Jwks| {
            let kid = token.kid.as_deref();
            jwks.confirm(kid, token.algorithm, token.message, token.signature)
        };
        let known = keys.get(self.now, self.ttl, fetch).await?;
        if confirm(&known) {
            return Ok(true);
        }
        let newer = keys.newer(&known, self.now, self.ttl, fetch).await?;
        Ok(!Arc::ptr_eq(&known, &newer) && confirm(&newer))
    }
}
