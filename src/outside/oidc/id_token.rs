//! ID tokens: what one says, and whether its issuer says so (OpenID Connect Core 1.0, section 3.1.3.7, by the rules
//! of GoTrue's library, go-oidc).

use anyhow::{Context as _, bail, ensure};
use aws_lc_rs::digest;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use chrono::TimeDelta;
use jsonwebtoken::Algorithm;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer};
use serde_json::{Map, Value};

use super::discovery::asymmetric;
use crate::clock::Timestamp;
use crate::outside::providers::Audience;

/// Clocks differ: a token may be this much younger than now.
const EARLY: TimeDelta = TimeDelta::minutes(5);

/// Longer tokens only cost time.
const LONGEST: usize = 64 << 10;

/// A token that its issuer has signed.
pub struct IdToken {
    /// Everything it says, nulls left out.
    claims: Value,
    registered: Registered,
    algorithm: Algorithm,
}

/// The claims that decide whether a token counts.
#[derive(Deserialize, Default)]
#[serde(default)]
struct Registered {
    iss: String,
    sub: String,
    aud: Audience,
    azp: Option<Value>,
    exp: Option<Seconds>,
    nbf: Option<Seconds>,
    iat: Option<Seconds>,
    nonce: String,
    at_hash: String,
}

/// A moment in Unix seconds; a fraction does not count.
#[derive(Clone, Copy)]
struct Seconds(i64);

impl<'de> Deserialize<'de> for Seconds {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[expect(
            clippy::cast_possible_truncation,
            reason = "what is too large is never or always"
        )]
        f64::deserialize(deserializer).map(|seconds| Self(seconds as i64))
    }
}

/// A token as it came: nothing of it is believed yet.
pub(super) struct Unverified<'a> {
    pub(super) kid: Option<String>,
    pub(super) algorithm: Algorithm,
    /// What is signed.
    pub(super) message: &'a str,
    pub(super) signature: &'a str,
}

/// What a JOSE header may hold that concerns us. Keys and addresses of keys that a token brings along (`jwk`, `jku`,
/// `x5u`, `x5c`) are never looked at.
#[derive(Deserialize)]
struct Header {
    alg: String,
    kid: Option<String>,
    // These change what the signature means (RFC 7515 section 4.1.11, RFC 7797, RFC 7516): refused, not ignored.
    crit: Option<Value>,
    b64: Option<Value>,
    zip: Option<Value>,
    enc: Option<Value>,
}

impl<'a> Unverified<'a> {
    /// Takes a token apart; what is no signed JWT in compact form is an error.
    pub(super) fn parse(token: &'a str) -> anyhow::Result<Self> {
        ensure!(token.len() <= LONGEST, "the token is too long");
        let parts = token
            .rsplit_once('.')
            .filter(|(message, _)| message.matches('.').count() == 1);
        let (message, signature) = parts.context("it is no JWT of three parts")?;
        let header = message.split('.').next().unwrap_or_default();
        let header: Header = part(header).context("its header")?;
        let extensions = [&header.crit, &header.b64, &header.zip, &header.enc];
        ensure!(
            extensions.into_iter().all(Option::is_none),
            "its header asks for an extension"
        );
        let algorithm = asymmetric(&header.alg).context("its algorithm is none of ours")?;
        Ok(Self {
            kid: header.kid.filter(|kid| !kid.is_empty()),
            algorithm,
            message,
            signature,
        })
    }

    /// What it says, for who has confirmed the signature.
    pub(super) fn believe(&self) -> anyhow::Result<IdToken> {
        let payload = self.message.split('.').next_back().unwrap_or_default();
        let mut claims: Map<String, Value> = part(payload).context("its claims")?;
        claims.retain(|_, value| !value.is_null());
        let claims = Value::Object(claims);
        Ok(IdToken {
            registered: Registered::deserialize(&claims).context("its claims")?,
            claims,
            algorithm: self.algorithm,
        })
    }
}

/// Who a token says has made it; not to be believed, only to know whom to ask.
pub fn claimed_issuer(token: &str) -> anyhow::Result<String> {
    #[derive(Deserialize)]
    struct Claims {
        #[serde(default)]
        iss: Option<String>,
    }
    let mut parts = token.split('.');
    let (Some(_), Some(payload), Some(_), None) =
        (parts.next(), parts.next(), parts.next(), parts.next())
    else {
        bail!("it is no JWT of three parts");
    };
    Ok(part::<Claims>(payload)?.iss.unwrap_or_default())
}

/// One part of a token: JSON in base64url, in its one spelling.
fn part<T: DeserializeOwned>(encoded: &str) -> anyhow::Result<T> {
    Ok(serde_json::from_slice(&URL_SAFE_NO_PAD.decode(encoded)?)?)
}

impl IdToken {
    /// Whether it counts now. `exp` has to be there.
    pub(super) fn check_times(&self, now: Timestamp) -> anyhow::Result<()> {
        let Registered { exp, nbf, .. } = &self.registered;
        let moment = |Seconds(at): Seconds| chrono::DateTime::from_timestamp(at, 0);
        let exp = exp.and_then(moment).context("it never ends")?;
        ensure!(now <= exp, "it has expired");
        if let Some(nbf) = nbf {
            let nbf = moment(*nbf).context("it never begins")?;
            ensure!(nbf <= now + EARLY, "it does not count yet");
        }
        Ok(())
    }

    /// Whether it came with this access token. A token that names none came with any.
    pub fn check_access_token(&self, access_token: &str) -> anyhow::Result<()> {
        if self.at_hash().is_empty() {
            return Ok(());
        }
        let algorithm = match self.algorithm {
            Algorithm::RS256 | Algorithm::PS256 | Algorithm::ES256 => &digest::SHA256,
            Algorithm::RS384 | Algorithm::PS384 | Algorithm::ES384 => &digest::SHA384,
            _ => &digest::SHA512,
        };
        let digest = digest::digest(algorithm, access_token.as_bytes());
        let (half, _) = digest.as_ref().split_at(algorithm.output_len / 2);
        ensure!(
            URL_SAFE_NO_PAD.encode(half) == self.at_hash(),
            "its at_hash is of another access token"
        );
        Ok(())
    }

    /// Whether it is for one of these clients. Of a token for several audiences we have to be the one it was made
    /// for, too (`azp`). For one audience `azp` does not count: Google names the Android app there.
    #[must_use]
    pub fn is_for<'c>(&self, clients: impl IntoIterator<Item = &'c str>) -> bool {
        let audience = self.audience();
        let azp = self.registered.azp.as_ref().and_then(Value::as_str);
        let clients = clients.into_iter().filter(|client| !client.is_empty());
        let (mut is_audience, mut is_authorized) = (false, audience.len() == 1);
        for client in clients {
            is_audience |= audience.iter().any(|aud| aud == client);
            is_authorized |= azp == Some(client);
        }
        is_audience && is_authorized
    }

    /// Who has made it.
    #[must_use]
    pub fn issuer(&self) -> &str {
        &self.registered.iss
    }

    /// Whom it is about.
    #[must_use]
    pub fn subject(&self) -> &str {
        &self.registered.sub
    }

    /// Whom it is for.
    #[must_use]
    pub fn audience(&self) -> &[String] {
        &self.registered.aud.0
    }

    /// What it was asked for with; empty for none.
    #[must_use]
    pub fn nonce(&self) -> &str {
        &self.registered.nonce
    }

    fn at_hash(&self) -> &str {
        &self.registered.at_hash
    }

    /// Its claims, read as `T`.
    pub fn claims<T: DeserializeOwned>(&self) -> anyhow::Result<T> {
        T::deserialize(&self.claims).context("the claims of the ID token")
    }
}
