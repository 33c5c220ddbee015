//! Microsoft's identity platform: tenants of organisations (Entra ID), of their customers (CIAM), and everybody's.

use anyhow::{Context as _, ensure};
use url::Url;

use super::{Facts, Place, Profile, Visit};
use crate::outside::oidc::{claimed_issuer, issuers};

pub const FACTS: Facts = Facts {
    auth_host: "login.microsoftonline.com/common",
    authorize: "/oauth2/v2.0/authorize",
    token: Place::Auth("/oauth2/v2.0/token"),
    scopes: &["openid"],
    ..Facts::PLAIN
};

pub async fn profile(visit: &Visit<'_>) -> anyhow::Result<Profile> {
    let token = visit.tokens.id_token().unwrap_or_default();
    let issuer = claimed_issuer(token).context("Azure's ID token")?;
    ensure!(
        is_accepted(visit.api(), &issuer),
        "Azure's ID token is of {issuer:?}, which is not configured"
    );
    let profile = visit.id_token(&issuer).await?;
    profile.context("Azure gave no ID token")
}

/// Whose tokens count follows from where people are sent: a tenant vouches for its own people. From where all tenants
/// meet, Microsoft's tokens come. Any other host, as of a national cloud, vouches for itself as well.
fn is_accepted(base: &str, issuer: &str) -> bool {
    let own = format!("{base}/v2.0");
    match base.strip_prefix("https://login.microsoftonline.com/") {
        // These issue no tokens themselves.
        Some("common" | "organizations") => issuers::is_microsoft(issuer),
        _ if issuers::is_azure(&own) || issuers::is_azure_ciam(&own) => issuer == own,
        _ => issuers::is_microsoft(issuer) || is_same_host(base, issuer),
    }
}

fn is_same_host(base: &str, issuer: &str) -> bool {
    let origin = |url| Url::parse(url).ok().map(|url| url.origin());
    origin(base).is_some_and(|own| origin(issuer) == Some(own))
}

#[cfg(test)]
mod tests {
    use super::*;

    const TENANT: &str = "https://login.microsoftonline.com/9188040d-6c67-4c5b-b112-36a304b66dad";
    const OTHER: &str = "https://login.microsoftonline.com/11111111-6c67-4c5b-b112-36a304b66dad";
    const CIAM: &str = "https://contoso.ciamlogin.com/9188040d-6c67-4c5b-b112-36a304b66dad";

    #[test]
    fn whose_tokens_count_follows_from_the_configuration() {
        let v2 = |tenant: &str| format!("{tenant}/v2.0");
        let v1 = "https://sts.windows.net/9188040d-6c67-4c5b-b112-36a304b66dad/".to_owned();
        let evil = "https://evil.example.com/v2.0".to_owned();
        let local = "http://127.0.0.1:16090/tenant".to_owned();
        let china = "https://login.partner.microsoftonline.cn";
        for (base, accepted, refused) in [
            (
                "https://login.microsoftonline.com/common",
                vec![v2(TENANT), v2(CIAM), v1.clone()],
                vec![&evil, &local],
            ),
            (
                "https://login.microsoftonline.com/organizations",
                vec![v2(OTHER), v1.clone()],
                vec![&evil],
            ),
            (
                TENANT,
                vec![v2(TENANT)],
                vec![&v2(OTHER), &v2(CIAM), &v1, &evil, &local],
            ),
            (CIAM, vec![v2(CIAM)], vec![&v2(TENANT), &v1, &evil]),
            (
                &format!("{china}/t-1"),
                vec![format!("{china}/t-2/v2.0"), v2(TENANT)],
                vec![&evil, &local],
            ),
            (
                "http://127.0.0.1:16090/azure",
                vec![local.clone(), v2(TENANT)],
                vec![&evil],
            ),
            ("http://127.0.0.1:16091/azure", vec![], vec![&local, &evil]),
            ("data:x", vec![], vec![&"data:x".to_owned()]),
        ] {
            for issuer in accepted {
                assert!(is_accepted(base, &issuer), "{base} {issuer}");
            }
            for issuer in refused {
                assert!(!is_accepted(base, issuer), "{base} {issuer}");
            }
        }
    }
}
