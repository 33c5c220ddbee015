//! OAuth 1.0a (RFC 5849): every request is signed, and a request token stands where OAuth 2.0 has a code.

use anyhow::bail;
use aws_lc_rs::hmac;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use secrecy::ExposeSecret as _;
use serde_json::Map;
use url::{Position, Url};

use super::{Provider, Tokens, visit};
use crate::crypto::secrets;
use crate::urls::percent::{self, Part};
use crate::urls::query::Pairs;

/// Where the browser goes to sign in. OAuth 1.0a has no `state`: ours travels in the callback's address.
pub(super) async fn authorization_url(
    provider: &Provider,
    request_token_url: &str,
    state: &str,
) -> anyhow::Result<String> {
    let callback = format!("{}?state={state}", provider.redirect_uri);
    let parameters = [("oauth_callback", &*callback)];
    let (token, _) = ask(provider, request_token_url, &parameters).await?;
    let query: Pairs = [("oauth_token", &*token)].into_iter().collect();
    Ok(format!("{}?{}", provider.authorization_url, query.encode()))
}

/// Trades an approved request token for an access token. GoTrue does not keep the request token's secret in between,
/// and Twitter does not insist on it.
pub(super) async fn exchange(
    provider: &Provider,
    token: &str,
    verifier: &str,
) -> anyhow::Result<Tokens> {
    let parameters = [("oauth_token", token), ("oauth_verifier", verifier)];
    let (access_token, secret) = ask(provider, &provider.token_url, &parameters).await?;
    Ok(Tokens {
        access_token,
        refresh_token: None,
        token_type: "OAuth".to_owned(),
        token_secret: Some(secret),
        more: Map::new(),
    })
}

/// Asks for a token and its secret.
async fn ask(
    provider: &Provider,
    url: &str,
    parameters: &[(&str, &str)],
) -> anyhow::Result<(String, String)> {
    let authorization = authorization(provider, url, parameters, "")?;
    let body = visit::get(provider, url, &[("authorization", &authorization)]).await?;
    let told = Pairs::parse(std::str::from_utf8(&body)?)?;
    let (token, secret) = (told.get("oauth_token"), told.get("oauth_token_secret"));
    if token.is_empty() || secret.is_empty() {
        bail!("the provider gave no token");
    }
    Ok((token.to_owned(), secret.to_owned()))
}

/// The `Authorization` of a GET (section 3.5.1).
pub(super) fn authorization(
    provider: &Provider,
    url: &str,
    parameters: &[(&str, &str)],
    token_secret: &str,
) -> anyhow::Result<String> {
    let nonce = secrets::generate_alphanumeric::<32>();
    let timestamp = provider.now.timestamp().to_string();
    let mut parameters = parameters.to_vec();
    parameters.extend([
        ("oauth_consumer_key", &*provider.client_id),
        ("oauth_nonce", &nonce),
        ("oauth_signature_method", "HMAC-SHA1"),
        ("oauth_timestamp", &timestamp),
        ("oauth_version", "1.0"),
    ]);
    let client_secret = provider.client_secret.expose_secret();
    let signature = signature(&Url::parse(url)?, &parameters, client_secret, token_secret);
    parameters.push(("oauth_signature", &signature));
    let parameters: Vec<_> = parameters
        .iter()
        .map(|(name, value)| format!("{name}=\"{}\"", escape(value)))
        .collect();
    Ok(format!("OAuth {}", parameters.join(", ")))
}

/// Signs a GET with HMAC-SHA1 (section 3.4).
fn signature(
    url: &Url,
    parameters: &[(&str, &str)],
    client_secret: &str,
    token_secret: &str,
) -> String {
    let mut pairs: Vec<_> = parameters
        .iter()
        .map(|(name, value)| (escape(name), escape(value)))
        .chain(
            url.query_pairs()
                .map(|(name, value)| (escape(&name), escape(&value))),
        )
        .collect();
    pairs.sort();
    let pairs: Vec<_> = pairs
        .iter()
        .map(|(name, value)| format!("{name}={value}"))
        .collect();
    let text = ["GET", &url[..Position::AfterPath], &pairs.join("&")]
        .map(escape)
        .join("&");
    let key = [client_secret, token_secret].map(escape).join("&");
    let key = hmac::Key::new(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, key.as_bytes());
    STANDARD.encode(hmac::sign(&key, text.as_bytes()))
}

/// All but letters, digits and `-._~` (section 3.6).
fn escape(text: &str) -> String {
    percent::escape(text.as_bytes(), Part::Query).replace('+', "%20")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 5849, section 1.2.
    #[test]
    fn signs_as_the_rfc_does() {
        let url = "http://photos.example.net/photos?file=vacation.jpg&size=original";
        let parameters = [
            ("oauth_consumer_key", "dpf43f3p2l4k3l03"),
            ("oauth_token", "nnch734d00sl2jdk"),
            ("oauth_signature_method", "HMAC-SHA1"),
            ("oauth_timestamp", "137131202"),
            ("oauth_nonce", "chapoH"),
        ];
        let secrets = ("kd94hf93k423kf44", "pfkkdhi9sl3r4s00");
        let signature = signature(&url.parse().unwrap(), &parameters, secrets.0, secrets.1);
        assert_eq!(signature, "MdpQcU8iPSUjWoN/UDMsK2sui9I=");
    }

    /// RFC 5849, section 3.6, and the order of section 3.4.1.3.2: escaped names first.
    #[test]
    fn escapes_and_sorts() {
        assert_eq!(
            escape("Ladies + Gentlemen, a~b-c_d.e!\u{e9}"),
            "Ladies%20%2B%20Gentlemen%2C%20a~b-c_d.e%21%C3%A9"
        );
        let sign = |url: &str| signature(&url.parse().unwrap(), &[("b", "2")], "", "");
        assert_eq!(
            sign("HTTPS://A.example:443/x?c=1&a=z"),
            sign("https://a.example/x?a=z&c=1")
        );
        assert_ne!(
            sign("https://a.example/x?a=z"),
            sign("https://a.example/y?a=z")
        );
    }
}
