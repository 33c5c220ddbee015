//! Hooks: the operator's own programs, asked at certain points of an act. Those that this version does not call yet
//! stand in [`later`](super::later).

use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use url::Url;

use super::report::Report;
use super::settings::{Definition, Setting};
use super::value::{self, Value};

/// All hooks.
#[derive(Debug, Clone)]
pub struct Hooks {
    /// Asked to send a text message, instead of a provider.
    pub send_sms: Hook,
}

/// A hook.
#[derive(Debug, Clone, Deserialize)]
pub struct Hook {
    /// Whether it is asked.
    #[serde(deserialize_with = "value::deserialize")]
    pub enabled: bool,
    /// Where: `https://..`, on this machine also `http://..`, or `pg-functions://postgres/<schema>/<function>`.
    #[serde(deserialize_with = "value::deserialize")]
    pub uri: Option<String>,
    /// What its requests are signed with.
    #[serde(deserialize_with = "value::deserialize")]
    pub secrets: HookSecrets,
}

const SEND_SMS: &str = "GOTRUE_HOOK_SEND_SMS_";

/// `GOTRUE_HOOK_SEND_SMS_..`.
pub(super) fn send_sms() -> Definition {
    Definition {
        prefix: SEND_SMS,
        about: &[" The hook that is asked to send a text message, instead of a provider."],
        settings: vec![
            Setting::new::<bool>("enabled", &[" Whether it is asked."]).default("false"),
            Setting::new::<Option<String>>(
                "uri",
                &[" An https address; on this machine http will do."],
            ),
            Setting::new::<HookSecrets>(
                "secrets",
                &[" What requests are signed with: v1,whsec_<base64>, several separated by |."],
            ),
        ],
    }
}

impl Hooks {
    pub(super) fn settle(&self, report: &mut Report) {
        self.send_sms.settle(SEND_SMS, report);
    }
}

impl Hook {
    /// GoTrue's rules (its `ValidateExtensibilityPoint`), which hold for hooks that are off as well.
    fn settle(&self, prefix: &str, report: &mut Report) {
        let Some(uri) = &self.uri else {
            if self.enabled {
                report.mistake(
                    format!("{prefix}URI"),
                    "it is required where the hook is on",
                );
            }
            return;
        };
        let Ok(url) = Url::parse(uri) else {
            report.mistake(format!("{prefix}URI"), "it is not a URL");
            return;
        };
        match url.scheme() {
            "pg-functions" if is_function(&url) => {
                if self.enabled {
                    let what = "hooks in Postgres functions are not called in this version: what needs them fails";
                    report.warn(format!("{prefix}URI"), what);
                }
                return;
            }
            "pg-functions" => {
                let fault = "it is not pg-functions://postgres/<schema>/<function>";
                report.mistake(format!("{prefix}URI"), fault);
                return;
            }
            "http" if !is_here(&url) => {
                let fault = "http is for localhost, 127.0.0.1, [::1] and host.docker.internal; make it https";
                report.mistake(format!("{prefix}URI"), fault);
            }
            "http" | "https" => {}
            _ => report.mistake(
                format!("{prefix}URI"),
                "it is neither https:// nor pg-functions://",
            ),
        }
        let HookSecrets(secrets) = &self.secrets;
        if let Some(fault) = secrets
            .iter()
            .find_map(|secret| fault(secret, self.enabled))
        {
            report.mistake(format!("{prefix}SECRETS"), fault);
        }
        if self.enabled && secrets.is_empty() {
            let what = "it is not set: the hook cannot know who asks";
            report.warn(format!("{prefix}SECRETS"), what);
        }
    }

    /// Whether it is a program on this machine.
    #[must_use]
    pub fn is_here(&self) -> bool {
        let url = self.uri.as_deref().and_then(|uri| Url::parse(uri).ok());
        url.is_some_and(|url| is_here(&url))
    }
}

fn is_here(url: &Url) -> bool {
    matches!(
        url.host_str(),
        Some("localhost" | "127.0.0.1" | "[::1]" | "host.docker.internal")
    )
}

/// `/<schema>/<function>`, both plain names; what follows is not looked at.
fn is_function(url: &Url) -> bool {
    let is_name = |name: &str| {
        name.len() <= 63
            && name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
            && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
    };
    let mut parts = url.path().split('/').skip(1);
    parts.next().is_some_and(is_name) && parts.next().is_some_and(is_name)
}

/// What is wrong with a secret. GoTrue starts with a pair of keys as well, and then fails to sign with it.
fn fault(secret: &SecretString, enabled: bool) -> Option<&'static str> {
    let is_base64 = |text: &str| {
        text.chars()
            .all(|c| c.is_ascii_alphanumeric() || "+/=".contains(c))
    };
    let secret = secret.expose_secret();
    if let Some(key) = secret.strip_prefix("v1,whsec_") {
        let fine = key.len() >= 32 && is_base64(key);
        return (!fine).then_some("a secret is not v1,whsec_ and 32 or more characters of base64");
    }
    let keys = secret
        .strip_prefix("v1a,whpk_")
        .and_then(|keys| keys.split_once(":whsk_"));
    match keys {
        Some((public, private))
            if [public, private]
                .iter()
                .all(|key| key.len() >= 44 && is_base64(key)) =>
        {
            enabled.then_some("a pair of keys (v1a,..) cannot sign; make it v1,whsec_<base64>")
        }
        _ => Some("a secret is not v1,whsec_<base64>"),
    }
}

/// Secrets, separated by `|`.
#[derive(Debug, Clone, Default)]
pub struct HookSecrets(pub Vec<SecretString>);

impl Value for HookSecrets {
    const FORM: &'static str = "a list of secrets, separated by |";
    const MAY_BE_EMPTY: bool = true;
    const SECRET: bool = true;

    fn parse(text: &str) -> Option<Self> {
        let parts = text.split('|').filter(|part| !part.is_empty());
        Some(Self(parts.map(Into::into).collect()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECRET: &str = "v1,whsec_dHdpbi10d2luLXR3aW4tdHdpbi10d2luLXR3aW4tdHc=";

    /// Mistakes, then warnings, without the variables' names.
    fn told(enabled: bool, uri: &str, secrets: &str) -> Vec<String> {
        let mut report = Report::default();
        let hook = Hook {
            enabled,
            uri: Some(uri.to_owned()).filter(|uri| !uri.is_empty()),
            secrets: HookSecrets::parse(secrets).unwrap(),
        };
        hook.settle("", &mut report);
        let mistakes = report.mistakes.iter().map(ToString::to_string);
        let warnings = report.warnings.iter().map(ToString::to_string);
        mistakes.chain(warnings).collect()
    }

    #[test]
    fn addresses_that_may_be_asked() {
        for uri in [
            "https://hooks.example.com/sms?a=1",
            "http://localhost:3000/sms",
            "http://127.0.0.1/",
            "http://[::1]:8/",
            "http://host.docker.internal/sms",
        ] {
            assert!(told(true, uri, SECRET).is_empty(), "{uri}");
        }
        for (uri, told_of) in [
            ("", "URI: it is required where the hook is on"),
            ("hooks.example.com", "URI: it is not a URL"),
            (
                "ftp://hooks.example.com",
                "URI: it is neither https:// nor pg-functions://",
            ),
            (
                "http://hooks.example.com",
                "URI: http is for localhost, 127.0.0.1, [::1] and host.docker.internal; make it https",
            ),
            (
                "http://localhost.example.com",
                "URI: http is for localhost, 127.0.0.1, [::1] and host.docker.internal; make it https",
            ),
            (
                "pg-functions://postgres/public",
                "URI: it is not pg-functions://postgres/<schema>/<function>",
            ),
            (
                "pg-functions://postgres/public/a-b",
                "URI: it is not pg-functions://postgres/<schema>/<function>",
            ),
        ] {
            assert_eq!(told(true, uri, SECRET), [told_of], "{uri}");
        }
        // A wrong address is a mistake even while the hook is off.
        assert_eq!(told(false, "http://example.com", "").len(), 1);
        assert!(told(false, "", "").is_empty());
    }

    #[test]
    fn secrets_that_sign() {
        let uri = "https://hooks.example.com";
        let pair = format!("v1a,whpk_{0}:whsk_{0}", "A".repeat(44));
        for secrets in [
            SECRET,
            &format!("{SECRET}|{SECRET}"),
            &format!("|{SECRET}|"),
        ] {
            assert!(told(true, uri, secrets).is_empty(), "{secrets}");
        }
        for secrets in [
            "whsec_dHdpbi10d2luLXR3aW4tdHdpbi10d2luLXR3aW4tdHc=",
            "v1,whsec_short",
            "v1,whsec_dHdpbi10d2luLXR3aW4tdHdpbi10d2luLXR3aW4 dHc=",
            "v1a,whpk_A:whsk_A",
            &format!("{SECRET}|x"),
        ] {
            let told = told(true, uri, secrets);
            assert!(
                matches!(told.as_slice(), [one] if one.starts_with("SECRETS: a secret is not")),
                "{secrets}: {told:?}"
            );
        }
        assert_eq!(
            told(true, uri, &pair),
            ["SECRETS: a pair of keys (v1a,..) cannot sign; make it v1,whsec_<base64>"]
        );
        assert!(told(false, uri, &pair).is_empty());
        assert_eq!(
            told(true, uri, ""),
            ["SECRETS: it is not set: the hook cannot know who asks"]
        );
    }

    #[test]
    fn a_postgres_function_is_named() {
        assert_eq!(
            told(true, "pg-functions://postgres/auth/send_sms", ""),
            [
                "URI: hooks in Postgres functions are not called in this version: what needs them fails"
            ]
        );
    }
}
