//! Issuers of OpenID Connect, played at their real names: what all the world finds at `https://accounts.google.com`,
//! a client of these tests finds here.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use aws_lc_rs::encoding::AsBigEndian as _;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair as _};
use axum::body::Bytes;
use axum::response::{IntoResponse, Response};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http::StatusCode;
use http_body_util::BodyExt as _;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use hyper_util::service::TowerToHyperService;
use rustls::ServerConfig;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use serde_json::{Map, Value, json};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio_rustls::TlsAcceptor;
use truegate::clock::Timestamp;
use truegate::outside::{Http, Manners};

use super::token::Recipe;
use crate::replay::standin;

/// Whom the certificate is for.
const HOSTS: [&str; 17] = [
    "accounts.google.com",
    "www.googleapis.com",
    "oauth2.googleapis.com",
    "appleid.apple.com",
    "account.apple.com",
    "login.microsoftonline.com",
    "sts.windows.net",
    "contoso.ciamlogin.com",
    "www.linkedin.com",
    "api.linkedin.com",
    "kauth.kakao.com",
    "marketplace.vercel.com",
    "api.vercel.com",
    "www.facebook.com",
    "accounts.snapchat.com",
    "issuer.example.com",
    "evil.example.com",
];

/// All hosts at once, on one port.
pub struct Issuers {
    address: SocketAddr,
    world: Arc<Mutex<World>>,
    listening: JoinHandle<()>,
}

#[derive(Default)]
struct World {
    /// What is where.
    pages: Vec<(String, StatusCode, Value)>,
    /// What was asked for, with its body.
    asked: Vec<(String, Bytes)>,
    is_away: bool,
}

/// A key that signs.
#[derive(Clone)]
pub struct Key {
    pub alg: &'static str,
    pub jwk: Value,
}

impl Key {
    /// An RSA key, always the same.
    pub fn rsa() -> Self {
        Self {
            alg: "RS256",
            jwk: standin::jwk().clone(),
        }
    }

    /// A new key on a curve.
    pub fn es256(kid: &str) -> Self {
        let pair = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).unwrap();
        let private = pair.private_key().as_be_bytes().unwrap();
        let (x, y) = pair.public_key().as_ref()[1..].split_at(32);
        let [d, x, y] = [private.as_ref(), x, y].map(|part| URL_SAFE_NO_PAD.encode(part));
        Self {
            alg: "ES256",
            jwk: json!({"kty": "EC", "crv": "P-256", "kid": kid, "d": d, "x": x, "y": y}),
        }
    }

    /// A token with these claims.
    pub fn sign(&self, claims: &Value, now: Timestamp) -> String {
        self.sign_with(&json!({"kid": self.jwk["kid"]}), claims, now)
    }

    /// The same with another header, beside `alg` and `typ`.
    pub fn sign_with(&self, header: &Value, claims: &Value, now: Timestamp) -> String {
        let recipe = json!({"alg": self.alg, "key": self.jwk, "header": header, "claims": claims});
        serde_json::from_value::<Recipe>(recipe)
            .unwrap()
            .sign(&Value::Null, now)
    }

    fn public(&self) -> Value {
        let members = ["kty", "kid", "n", "e", "crv", "x", "y"];
        let known = members
            .iter()
            .filter_map(|name| Some((*name, self.jwk.get(*name)?.clone())));
        known
            .map(|(name, value)| (name.to_owned(), value))
            .collect::<Map<_, _>>()
            .into()
    }
}

impl Issuers {
    pub async fn start() -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        let world = Arc::new(Mutex::new(World::default()));
        let listening = tokio::spawn(listen(listener, world.clone()));
        Self {
            address,
            world,
            listening,
        }
    }

    /// Who finds them.
    pub fn http(&self) -> Http {
        let authority = CertificateDer::from_pem_slice(include_bytes!("issuers/ca.pem")).unwrap();
        let names = HOSTS.map(|name| (name, self.address));
        Http::new(Manners {
            authorities: vec![authority],
            names: names.into(),
            ..Manners::default()
        })
    }

    /// An issuer that signs with this key.
    pub fn add(&self, issuer: &str, key: &Key) {
        let base = issuer.strip_suffix('/').unwrap_or(issuer);
        let document = json!({
            "issuer": issuer,
            "jwks_uri": format!("{base}/jwks"),
            "authorization_endpoint": format!("{base}/authorize"),
            "token_endpoint": format!("{base}/token"),
            "id_token_signing_alg_values_supported": ["RS256", "ES256"],
        });
        self.publish(
            &format!("{base}/.well-known/openid-configuration"),
            document,
        );
        self.rotate(issuer, key);
    }

    /// Gives an issuer another key.
    pub fn rotate(&self, issuer: &str, key: &Key) {
        let base = issuer.strip_suffix('/').unwrap_or(issuer);
        self.publish(&format!("{base}/jwks"), json!({"keys": [key.public()]}));
    }

    /// What is found at this address from now on.
    pub fn publish(&self, url: &str, page: Value) {
        self.publish_as(url, StatusCode::OK, page);
    }

    pub fn publish_as(&self, url: &str, status: StatusCode, page: Value) {
        let mut world = self.world.lock().unwrap();
        world.pages.retain(|(known, ..)| known != url);
        world.pages.push((url.to_owned(), status, page));
    }

    /// Nobody answers any more, or everybody again.
    pub fn away(&self, is_away: bool) {
        self.world.lock().unwrap().is_away = is_away;
    }

    /// How often addresses with this ending were asked.
    pub fn asked(&self, ending: &str) -> usize {
        let world = self.world.lock().unwrap();
        world
            .asked
            .iter()
            .filter(|(url, _)| url.ends_with(ending))
            .count()
    }

    /// The last body that was sent to this address.
    pub fn received(&self, url: &str) -> String {
        let world = self.world.lock().unwrap();
        let (_, body) = world
            .asked
            .iter()
            .rfind(|(asked, _)| asked == url)
            .expect("it was asked");
        String::from_utf8(body.to_vec()).unwrap()
    }
}

impl Drop for Issuers {
    fn drop(&mut self) {
        self.listening.abort();
    }
}

async fn listen(listener: TcpListener, world: Arc<Mutex<World>>) {
    let chain = CertificateDer::pem_slice_iter(include_bytes!("issuers/hosts.pem"));
    let key = PrivateKeyDer::from_pem_slice(include_bytes!("issuers/hosts.key")).unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(chain.map(Result::unwrap).collect(), key)
        .unwrap();
    let tls = TlsAcceptor::from(Arc::new(config));
    loop {
        let (stream, _) = listener.accept().await.unwrap();
        let (tls, world) = (tls.clone(), world.clone());
        let service = tower::service_fn(move |request| answer(world.clone(), request));
        tokio::spawn(async move {
            let Ok(stream) = tls.accept(stream).await else {
                return;
            };
            // A client that hangs up early is the client's affair.
            auto::Builder::new(TokioExecutor::new())
                .serve_connection(TokioIo::new(stream), TowerToHyperService::new(service))
                .await
                .ok();
        });
    }
}

async fn answer(
    world: Arc<Mutex<World>>,
    request: http::Request<hyper::body::Incoming>,
) -> Result<Response, std::convert::Infallible> {
    let (head, body) = request.into_parts();
    let body = body.collect().await.unwrap().to_bytes();
    let host = head.uri.host().map(ToOwned::to_owned);
    let host = host.unwrap_or_else(|| head.headers["host"].to_str().unwrap().to_owned());
    let url = format!("https://{host}{}", head.uri.path());
    let mut world = world.lock().unwrap();
    world.asked.push((url.clone(), body));
    let found = world.pages.iter().find(|(known, ..)| *known == url);
    Ok(match found {
        _ if world.is_away => StatusCode::SERVICE_UNAVAILABLE.into_response(),
        Some((_, status, page)) => (*status, page.to_string()).into_response(),
        None => StatusCode::NOT_FOUND.into_response(),
    })
}
