//! External identity providers: where they are, and what they say of the person who signed in there.
//!
//! Each provider is one file of facts. What they share is written once: finding one by name (here), trading its code
//! for tokens (`exchange.rs`, or `oauth1.rs`), asking it with these tokens (`visit.rs`), and what it says in the end
//! (`profile.rs`).

use std::borrow::Cow;

use oauth2::basic::BasicClient;
use oauth2::{
    AuthUrl, ClientId, CsrfToken, PkceCodeChallenge, PkceCodeVerifier, RedirectUrl, Scope,
};
use secrecy::SecretString;
use url::Url;

use crate::clock::Timestamp;
use crate::config;
use crate::outside::Http;
use crate::outside::oidc::Oidc;
use crate::urls::query::Pairs;

mod custom;
mod exchange;
mod oauth1;
mod profile;
mod visit;

mod apple;
mod azure;
mod bitbucket;
mod discord;
mod facebook;
mod figma;
mod fly;
mod github;
mod gitlab;
mod google;
mod kakao;
mod keycloak;
mod linkedin;
mod linkedin_oidc;
mod notion;
mod slack;
mod slack_oidc;
mod snapchat;
mod spotify;
mod twitch;
mod twitter;
mod vercel_marketplace;
mod workos;
mod x;
mod zoom;

pub use custom::{Description, Endpoints};
pub use exchange::Tokens;
pub use profile::{Audience, Claims, Email, Profile, full_name};
pub use visit::Visit;

use custom::Custom;

/// What is fixed about a provider.
pub struct Facts {
    /// The host of its pages for people. The operator may name another for both hosts, and has to where there is none.
    auth_host: &'static str,
    /// The host of its API, where that is another.
    api_host: &'static str,
    /// The issuer whose document names its endpoints, in place of those below; no URL is configured for it.
    issuer: Option<&'static str>,
    /// The endpoint for request tokens, below the host of its pages: it speaks OAuth 1.0a.
    request_token: Option<&'static str>,
    /// The authorization endpoint, below the host of its pages.
    authorize: &'static str,
    /// The token endpoint.
    token: Place,
    /// What is always asked for.
    scopes: &'static [&'static str],
    /// Whether applications may ask for more.
    more_scopes: bool,
    /// Whether the browser comes back with a form; such a provider takes no further parameters.
    form_post: bool,
    /// Whether it wants a PKCE challenge from us.
    pkce: bool,
    /// How we prove at the token endpoint who we are.
    client_auth: ClientAuth,
}

impl Facts {
    /// What most providers have in common; each names its hosts and paths.
    const PLAIN: Self = Self {
        auth_host: "",
        api_host: "",
        issuer: None,
        request_token: None,
        authorize: "",
        token: Place::Auth(""),
        scopes: &[],
        more_scopes: true,
        form_post: false,
        pkce: false,
        client_auth: ClientAuth::Basic,
    };
}

/// A path at one of a provider's hosts.
#[derive(Debug, Clone, Copy)]
enum Place {
    Auth(&'static str),
    Api(&'static str),
}

/// How a client proves who it is (RFC 6749, section 2.3.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum ClientAuth {
    /// HTTP Basic; where that is refused, in the body.
    Basic,
    /// In the body.
    Body,
    /// In the body, with the secret under the name `secret` as well.
    BodyTwice,
}

/// Finds the files of the built-in providers by name.
macro_rules! built_in {
    ($($name:ident)+) => {
        fn facts(name: &str) -> Option<&'static Facts> {
            Some(match name {
                $(stringify!($name) => &$name::FACTS,)+
                _ => return None,
            })
        }

        async fn profile_of(name: &str, visit: &Visit<'_>) -> anyhow::Result<Profile> {
            match name {
                $(stringify!($name) => $name::profile(visit).await,)+
                _ => anyhow::bail!("{name} is no provider"),
            }
        }
    };
}

built_in! {
    apple azure bitbucket discord facebook figma fly github gitlab google kakao keycloak linkedin linkedin_oidc notion
    slack slack_oidc snapchat spotify twitch twitter vercel_marketplace workos x zoom
}

/// A provider, made ready for one sign-in.
pub struct Provider {
    name: String,
    client_id: String,
    client_secret: SecretString,
    client_auth: ClientAuth,
    redirect_uri: String,
    /// Where it speaks OAuth 1.0a.
    request_token_url: Option<String>,
    authorization_url: String,
    token_url: String,
    /// The base URL of its API.
    api: String,
    scopes: Vec<String>,
    /// Further parameters of the authorization URL; they win over all others.
    parameters: Vec<(String, String)>,
    form_post: bool,
    pkce: bool,
    email_optional: bool,
    /// When the person came by: signed requests tell the time, and tokens have theirs.
    now: Timestamp,
    http: Http,
    /// What only custom providers have; they have no file of facts.
    custom: Option<Custom>,
    oidc: Oidc,
}

/// What the browser brings back from a provider.
pub enum Answer<'a> {
    /// OAuth 2.0.
    Code {
        /// `code`.
        code: &'a str,
        /// Ours, where the provider wanted a PKCE challenge.
        verifier: Option<&'a str>,
    },
    /// OAuth 1.0a.
    OAuth1 {
        /// `oauth_token`: the request token that the browser was sent away with.
        token: &'a str,
        /// `oauth_verifier`: the proof that the person has approved it.
        verifier: &'a str,
    },
}

/// Why a provider cannot be used, in GoTrue's words.
#[derive(Debug)]
pub struct Unsupported(pub Cow<'static, str>);

impl Provider {
    /// A built-in provider as configured, by its name in lower case. `scopes` are further ones, separated by commas.
    pub async fn built_in(
        http: &Http,
        oidc: &Oidc,
        config: &config::External,
        name: &str,
        scopes: &str,
        now: Timestamp,
    ) -> Result<Self, Unsupported> {
        let (Some(facts), Some(config)) = (facts(name), config.provider(name)) else {
            return Err(Unsupported(
                format!("Provider {name} could not be found").into(),
            ));
        };
        let missing = |what| Unsupported(Cow::Borrowed(what));
        if !config.enabled {
            return Err(missing("provider is not enabled"));
        }
        let client_id = config.client_id.first();
        let client_id = client_id.ok_or_else(|| missing("missing OAuth client ID"))?;
        let client_secret = config.secret.clone();
        let client_secret = client_secret.ok_or_else(|| missing("missing OAuth secret"))?;
        if config.redirect_uri.is_empty() {
            return Err(missing("missing redirect URI"));
        }
        if config.url.is_empty() && facts.auth_host.is_empty() && facts.issuer.is_none() {
            return Err(missing("unable to find URL for the Keycloak provider"));
        }
        let base = |host: &str| match config.url.as_str() {
            "" => format!("https://{host}"),
            url => url.strip_suffix('/').unwrap_or(url).to_owned(),
        };
        let auth = base(facts.auth_host);
        let api = match facts.api_host {
            "" => auth.clone(),
            host => base(host),
        };
        let (authorization_url, token_url) = match facts.issuer {
            Some(issuer) => discovered(http, oidc, issuer, now)
                .await
                .map_err(|_| missing("its issuer cannot be asked"))?,
            None => (
                format!("{auth}{}", facts.authorize),
                match facts.token {
                    Place::Auth(path) => format!("{auth}{path}"),
                    Place::Api(path) => format!("{api}{path}"),
                },
            ),
        };
        let more = scopes
            .split(',')
            .filter(|_| facts.more_scopes && !scopes.is_empty());
        Ok(Self {
            name: name.to_owned(),
            client_id: client_id.clone(),
            client_secret,
            client_auth: facts.client_auth,
            redirect_uri: config.redirect_uri.clone(),
            request_token_url: facts.request_token.map(|path| format!("{auth}{path}")),
            authorization_url,
            token_url,
            api,
            scopes: facts
                .scopes
                .iter()
                .copied()
                .chain(more)
                .map(str::to_owned)
                .collect(),
            parameters: Vec::new(),
            form_post: facts.form_post,
            pkce: facts.pkce,
            email_optional: config.email_optional,
            now,
            http: http.clone(),
            custom: None,
            oidc: oidc.clone(),
        })
    }

    /// Whether it wants a PKCE challenge from us.
    #[must_use]
    pub const fn requires_pkce(&self) -> bool {
        self.pkce
    }

    /// Whether it speaks OAuth 1.0a: its [`Answer`] has another form.
    #[must_use]
    pub const fn speaks_oauth1(&self) -> bool {
        self.request_token_url.is_some()
    }

    /// Whether users without an e-mail address may sign in.
    #[must_use]
    pub const fn is_email_optional(&self) -> bool {
        self.email_optional
    }

    /// Where the browser goes to sign in. `verifier` answers our challenge, where the provider wants one; `more` are
    /// further parameters, which win over ours of the same name. OAuth 1.0a knows neither: there the provider is asked
    /// for a request token first.
    pub async fn authorization_url(
        &self,
        state: &str,
        verifier: &str,
        more: &[(String, String)],
    ) -> anyhow::Result<String> {
        if let Some(url) = &self.request_token_url {
            return oauth1::authorization_url(self, url, state).await;
        }
        let client = BasicClient::new(ClientId::new(self.client_id.clone()))
            .set_auth_uri(AuthUrl::new(self.authorization_url.clone())?)
            .set_redirect_uri(RedirectUrl::new(self.redirect_uri.clone())?);
        let mut request = client
            .authorize_url(|| CsrfToken::new(state.to_owned()))
            .add_scopes(self.scopes.iter().cloned().map(Scope::new));
        if self.form_post {
            request = request.add_extra_param("response_mode", "form_post");
        }
        let more = more.iter().filter(|_| !self.form_post);
        for (name, value) in more.chain(&self.parameters) {
            request = request.add_extra_param(name, value);
        }
        if self.pkce {
            let verifier = PkceCodeVerifier::new(verifier.to_owned());
            request =
                request.set_pkce_challenge(PkceCodeChallenge::from_code_verifier_sha256(&verifier));
        }
        let own = Url::parse(&self.authorization_url)?.query_pairs().count();
        let mut pairs = Pairs::default();
        for (name, value) in request.url().0.query_pairs().skip(own) {
            pairs.set(&name, &value);
        }
        // Sorted, and behind what the endpoint has of its own, as Go prints them.
        let joint = if self.authorization_url.contains('?') {
            '&'
        } else {
            '?'
        };
        Ok(format!(
            "{}{joint}{}",
            self.authorization_url,
            pairs.encode()
        ))
    }

    /// Trades what the browser brought back for tokens.
    pub async fn exchange(&self, answer: Answer<'_>) -> anyhow::Result<Tokens> {
        match answer {
            Answer::Code { code, verifier } => exchange::exchange(self, code, verifier).await,
            Answer::OAuth1 { token, verifier } => oauth1::exchange(self, token, verifier).await,
        }
    }

    /// Who signed in, as the provider says. `user` is what came along with the code, where it was posted.
    pub async fn profile(&self, tokens: &Tokens, user: &str) -> anyhow::Result<Profile> {
        let visit = Visit::new(self, tokens, user);
        match &self.custom {
            Some(custom) => custom.profile(&visit).await,
            None => profile_of(&self.name, &visit).await,
        }
    }
}

/// The authorization and the token endpoint that an issuer names.
async fn discovered(
    http: &Http,
    oidc: &Oidc,
    issuer: &str,
    now: Timestamp,
) -> anyhow::Result<(String, String)> {
    let discovery = oidc.issuer(http, issuer, now).await?.discovery;
    let authorization = discovery.authorization_endpoint()?.to_owned();
    Ok((authorization, discovery.token_endpoint()?.to_owned()))
}
