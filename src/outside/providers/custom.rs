//! Custom providers: what an administrator has described takes the place of a file of facts.

use anyhow::{Context as _, bail, ensure};
use secrecy::SecretString;
use serde_json::{Map, Value};

use super::{Claims, ClientAuth, Profile, Provider, Visit};
use crate::clock::Timestamp;
use crate::outside::Http;
use crate::outside::oidc::{Issuer, Oidc};

/// What is known of a custom provider.
pub struct Description {
    /// Its identifier, with `custom:`.
    pub identifier: String,
    /// Our id there.
    pub client_id: String,
    /// Our secret there.
    pub client_secret: SecretString,
    /// Our callback.
    pub redirect_uri: String,
    /// What is asked for.
    pub scopes: Vec<String>,
    /// Whether it wants a PKCE challenge from us.
    pub pkce: bool,
    /// Whether users without an e-mail address may sign in.
    pub email_optional: bool,
    /// Further parameters of the authorization URL; they win over all others.
    pub parameters: Vec<(String, String)>,
    /// How it is asked who somebody is.
    pub endpoints: Endpoints,
    /// Further audiences of its ID tokens.
    pub acceptable_client_ids: Vec<String>,
    /// What stands for a claim: the name of another one, or a value that is no text.
    pub attribute_mapping: Map<String, Value>,
    /// Claims of its own that are kept.
    pub custom_claims_allowlist: Vec<String>,
}

/// Where a custom provider is.
pub enum Endpoints {
    /// As described.
    Oauth2 {
        /// Where browsers go.
        authorization_url: String,
        /// Where codes are traded for tokens.
        token_url: String,
        /// Where it tells who somebody is.
        userinfo_url: String,
    },
    /// As the issuer describes itself.
    Oidc(Box<Issuer>),
}

/// What only custom providers have.
#[expect(clippy::struct_field_names, reason = "GoTrue's name")]
pub(super) struct Custom {
    issuer: Option<Box<Issuer>>,
    userinfo_url: Option<String>,
    email_optional: bool,
    acceptable_client_ids: Vec<String>,
    attribute_mapping: Map<String, Value>,
    custom_claims_allowlist: Vec<String>,
}

impl Provider {
    /// A custom provider. `http` decides where it may be.
    pub fn custom(
        http: Http,
        oidc: Oidc,
        described: Description,
        now: Timestamp,
    ) -> anyhow::Result<Self> {
        let (authorization_url, token_url, userinfo_url, issuer) = match described.endpoints {
            Endpoints::Oauth2 {
                authorization_url,
                token_url,
                userinfo_url,
            } => (authorization_url, token_url, Some(userinfo_url), None),
            Endpoints::Oidc(issuer) => {
                let says = &issuer.discovery;
                let userinfo_url = says.userinfo_endpoint().ok().map(str::to_owned);
                let (authorization_url, token_url) = (
                    says.authorization_endpoint()?.to_owned(),
                    says.token_endpoint()?.to_owned(),
                );
                (authorization_url, token_url, userinfo_url, Some(issuer))
            }
        };
        Ok(Self {
            name: described.identifier,
            client_id: described.client_id,
            client_secret: described.client_secret,
            client_auth: ClientAuth::Basic,
            redirect_uri: described.redirect_uri,
            request_token_url: None,
            authorization_url,
            token_url,
            api: String::new(),
            scopes: described.scopes,
            parameters: described.parameters,
            form_post: false,
            pkce: described.pkce,
            email_optional: described.email_optional,
            now,
            http,
            oidc,
            custom: Some(Custom {
                issuer,
                userinfo_url,
                email_optional: described.email_optional,
                acceptable_client_ids: described.acceptable_client_ids,
                attribute_mapping: described.attribute_mapping,
                custom_claims_allowlist: described.custom_claims_allowlist,
            }),
        })
    }
}

/// The answer of a userinfo endpoint (OpenID Connect Core 1.0, section 5.3).
struct Userinfo {
    claims: Claims,
    /// To the letter.
    said: Map<String, Value>,
}

impl Userinfo {
    async fn ask(visit: &Visit<'_>, url: &str) -> anyhow::Result<Self> {
        let said: Map<String, Value> = visit.raw(url).await?;
        let claims = serde_json::from_value(Value::Object(said.clone())).context("userinfo")?;
        Ok(Self { claims, said })
    }
}

impl Custom {
    /// Who signed in: by the ID token, where there is one, else by userinfo.
    pub(super) async fn profile(&self, visit: &Visit<'_>) -> anyhow::Result<Profile> {
        let id_token = visit.tokens.id_token().filter(|token| !token.is_empty());
        if let Some((issuer, id_token)) = self.issuer.as_ref().zip(id_token) {
            return self.profile_of_token(visit, issuer, id_token).await;
        }
        let Some(url) = &self.userinfo_url else {
            bail!("no ID token or userinfo endpoint available");
        };
        let userinfo = Userinfo::ask(visit, url).await?;
        let claims = self.adapt(userinfo.claims, &userinfo.said);
        let verified = claims.email_verified;
        Ok(Profile::of(claims, verified))
    }

    /// An issuer that keeps to OpenID Connect Core 1.0, section 5.4, tells the address by userinfo alone: where that is
    /// needed it is asked as well, which GoTrue does not. What the ID token says counts for more.
    async fn profile_of_token(
        &self,
        visit: &Visit<'_>,
        issuer: &Issuer,
        id_token: &str,
    ) -> anyhow::Result<Profile> {
        let token = issuer.verify(id_token).await.context("the ID token")?;
        let further = self.acceptable_client_ids.iter().map(String::as_str);
        ensure!(
            token.is_for(further.chain([visit.client_id()])),
            "the ID token is for {:?}",
            token.audience()
        );
        let mut profile = token.profile()?;
        let mut said: Map<String, Value> = token.claims()?;
        if profile.emails.is_empty()
            && !self.email_optional
            && let Some(url) = &self.userinfo_url
        {
            let userinfo = Userinfo::ask(visit, url).await?;
            // Section 5.3.2: whose userinfo it is has to be compared.
            let is_same = userinfo.claims.sub == token.subject();
            ensure!(is_same, "userinfo speaks of somebody else");
            let mapped = self.adapt(userinfo.claims.clone(), &userinfo.said);
            let verified = mapped.email_verified;
            profile.emails = Profile::of(mapped, verified).emails;
            profile.claims = profile.claims.or(userinfo.claims)?;
            for (name, value) in userinfo.said {
                said.entry(name).or_insert(value);
            }
        }
        Ok(Profile {
            claims: self.adapt(profile.claims, &said),
            emails: profile.emails,
        })
    }

    /// Keeps the claims of its own that are listed, and then maps attributes.
    fn adapt(&self, mut claims: Claims, said: &Map<String, Value>) -> Claims {
        for name in &self.custom_claims_allowlist {
            if let Some(value) = said.get(name) {
                claims = claims.with(name, value.clone());
            }
        }
        self.map(&claims).unwrap_or(claims)
    }

    /// Claims with others in their places, all as the provider has said them. (GoTrue goes through the mapping in no
    /// order, so that one that builds upon another may or may not see it.) None where a value does not fit its place:
    /// then nothing is mapped, as in GoTrue.
    fn map(&self, claims: &Claims) -> Option<Claims> {
        let known = claims.clone().into_identity_data();
        let mut mapped = known.clone();
        for (target, source) in &self.attribute_mapping {
            let value = match source {
                Value::String(name) => known.get(name),
                fixed => Some(fixed),
            };
            if let Some(value) = value {
                mapped.insert(target.clone(), value.clone());
            }
        }
        serde_json::from_value(Value::Object(mapped)).ok()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn adapted(mapping: Value, allowlist: &[&str], said: Value) -> Value {
        let Value::Object(attribute_mapping) = mapping else {
            panic!("no object")
        };
        let Value::Object(said) = said else {
            panic!("no object")
        };
        let custom = Custom {
            issuer: None,
            userinfo_url: None,
            email_optional: false,
            acceptable_client_ids: Vec::new(),
            attribute_mapping,
            custom_claims_allowlist: allowlist.iter().map(|&name| name.to_owned()).collect(),
        };
        let claims = serde_json::from_value(Value::Object(said.clone())).unwrap();
        let mut data = custom.adapt(claims, &said).into_identity_data();
        data.retain(|name, _| !name.ends_with("_verified"));
        data.into()
    }

    #[test]
    fn a_claim_stands_for_another() {
        let said = json!({"sub": "1", "name": "Ann", "nickname": "annie", "dept": "x"});
        let mapping = json!({"full_name": "name", "name": "nickname", "nickname": "name"});
        assert_eq!(
            adapted(mapping, &[], said.clone()),
            json!({"sub": "1", "full_name": "Ann", "name": "annie", "nickname": "Ann"})
        );
        // What is no claim that we know is no source, and a text is no fixed value.
        let mapping = json!({"name": "dept", "website": "https://fixed.example.com"});
        assert_eq!(
            adapted(mapping, &[], said),
            json!({"sub": "1", "name": "Ann", "nickname": "annie"})
        );
    }

    #[test]
    fn a_value_that_is_no_text_is_fixed() {
        let mapping = json!({"custom_claims": {"from": "acme"}, "phone_verified": true});
        let said = json!({"sub": "1"});
        assert_eq!(
            adapted(mapping, &[], said),
            json!({"sub": "1", "custom_claims": {"from": "acme"}})
        );
    }

    #[test]
    fn what_does_not_fit_maps_nothing() {
        let mapping = json!({"full_name": "name", "picture": 5});
        let said = json!({"sub": "1", "name": "Ann"});
        assert_eq!(adapted(mapping, &[], said.clone()), said);
    }

    #[test]
    fn only_listed_claims_are_kept() {
        let said = json!({"sub": "1", "groups": ["a"], "secret": "s", "none": null});
        assert_eq!(
            adapted(json!({}), &["groups", "missing", "none"], said),
            json!({"sub": "1", "custom_claims": {"groups": ["a"], "none": null}})
        );
    }
}
