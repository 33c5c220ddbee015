//! The issuers that GoTrue knows by name, and how they are told apart.

use url::Url;
use uuid::Uuid;

/// Google.
pub const GOOGLE: &str = "https://accounts.google.com";
/// LinkedIn.
pub const LINKEDIN: &str = "https://www.linkedin.com/oauth";
/// Kakao.
pub const KAKAO: &str = "https://kauth.kakao.com";
/// Vercel's marketplace.
pub const VERCEL_MARKETPLACE: &str = "https://marketplace.vercel.com";
/// Facebook's Limited Login.
pub const FACEBOOK: &str = "https://www.facebook.com";
/// Snapchat.
pub const SNAPCHAT: &str = "https://accounts.snapchat.com/accounts/oauth2/token";
/// Apple, as it describes itself.
pub const APPLE: &str = "https://appleid.apple.com";

/// Apple goes by two names.
#[must_use]
pub fn is_apple(issuer: &str) -> bool {
    issuer == APPLE || issuer == "https://account.apple.com"
}

/// A tenant of Microsoft's identity platform.
#[must_use]
pub fn is_azure(issuer: &str) -> bool {
    issuer
        .strip_prefix("https://login.microsoftonline.com/")
        .is_some_and(is_tenant)
}

/// A tenant for an organisation's customers.
#[must_use]
pub fn is_azure_ciam(issuer: &str) -> bool {
    let host_and_path = issuer.strip_prefix("https://");
    host_and_path
        .and_then(|rest| rest.split_once(".ciamlogin.com/"))
        .is_some_and(|(name, path)| {
            let is_plain =
                |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
            !name.is_empty() && name.bytes().all(is_plain) && is_tenant(path)
        })
}

/// Whether it stands where Microsoft issues tokens to organisations, of either generation.
#[must_use]
pub fn has_azures_host(issuer: &str) -> bool {
    issuer.starts_with("https://login.microsoftonline.com/")
        || issuer.starts_with("https://sts.windows.net/")
}

/// Whether `url` names a tenant of Azure by its id, and the issuer is another one.
#[must_use]
pub fn is_other_tenant(url: &str, issuer: &str) -> bool {
    let tenant = |url| {
        let url = Url::parse(url).ok()?;
        Uuid::try_parse(url.path_segments()?.next()?).ok()
    };
    tenant(url).is_some_and(|own| tenant(issuer) != Some(own))
}

/// Anybody at Microsoft.
#[must_use]
pub fn is_microsoft(issuer: &str) -> bool {
    has_azures_host(issuer) || is_azure_ciam(issuer)
}

/// `<tenant>/v2.0`, with or without a slash behind it.
fn is_tenant(path: &str) -> bool {
    let path = path.strip_suffix('/').unwrap_or(path);
    path.strip_suffix("/v2.0")
        .is_some_and(|tenant| !tenant.is_empty() && !tenant.contains('/'))
}

/// Whether tokens of `issuer` may say that `iss` has made them. Google has left the scheme out at times.
pub(super) fn is_same(issuer: &str, iss: &str) -> bool {
    issuer == iss
        || is_apple(issuer) && is_apple(iss)
        || issuer == GOOGLE && iss == "accounts.google.com"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn microsofts_tenants_are_told_from_others() {
        let tenant = "9188040d-6c67-4c5b-b112-36a304b66dad";
        assert!(is_azure(&format!(
            "https://login.microsoftonline.com/{tenant}/v2.0"
        )));
        assert!(is_azure(&format!(
            "https://login.microsoftonline.com/{tenant}/v2.0/"
        )));
        assert!(is_azure_ciam(&format!(
            "https://contoso-1.ciamlogin.com/{tenant}/v2.0"
        )));
        for other in [
            format!("http://login.microsoftonline.com/{tenant}/v2.0"),
            format!("https://login.microsoftonline.com.evil.example/{tenant}/v2.0"),
            format!("https://login.microsoftonline.com/{tenant}/v2.0//"),
            format!("https://login.microsoftonline.com/{tenant}/x/v2.0"),
            "https://login.microsoftonline.com//v2.0".to_owned(),
            format!("https://evil.example/.ciamlogin.com/{tenant}/v2.0"),
            format!("https://a.b.ciamlogin.com/{tenant}/v2.0"),
            format!("https://.ciamlogin.com/{tenant}/v2.0"),
        ] {
            assert!(!is_azure(&other) && !is_azure_ciam(&other), "{other}");
        }
    }

    #[test]
    fn a_tenant_that_is_configured_by_its_id_is_the_only_one() {
        let own = "https://login.microsoftonline.com/9188040d-6c67-4c5b-b112-36a304b66dad";
        assert!(!is_other_tenant(own, &format!("{own}/v2.0")));
        let old = "https://sts.windows.net/9188040d-6c67-4c5b-b112-36a304b66dad/";
        assert!(!is_other_tenant(own, old));
        let other = "https://login.microsoftonline.com/11111111-6c67-4c5b-b112-36a304b66dad/v2.0";
        assert!(is_other_tenant(own, other));
        assert!(is_other_tenant(
            own,
            "https://login.microsoftonline.com/common/v2.0"
        ));
        for shared in [
            "",
            "https://login.microsoftonline.com/common",
            "https://login.microsoftonline.com/contoso.com",
        ] {
            assert!(!is_other_tenant(shared, other), "{shared}");
        }
    }

    #[test]
    fn only_google_and_apple_have_two_names() {
        assert!(is_same(APPLE, "https://account.apple.com"));
        assert!(is_same(GOOGLE, "accounts.google.com"));
        assert!(!is_same(FACEBOOK, "www.facebook.com"));
        assert!(!is_same(GOOGLE, APPLE));
    }
}
