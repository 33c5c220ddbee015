//! Sends requests to the letter: reqwest would add an `Accept` to each, which GoTrue does not send.

use std::net::SocketAddr;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;
use std::vec::IntoIter;

use anyhow::Context as _;
use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use http::HeaderValue;
use http::header::USER_AGENT;
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::client::legacy::connect::dns::Name;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use reqwest::{Body, Request, Response};
use rustls::ClientConfig;
use tokio::net::lookup_host;
use tokio::time::{Instant, timeout_at};
use tower::{BoxError, Service};

use super::{CONNECT_TIMEOUT, IDLE_TIMEOUT, Manners};
use crate::outside::guard::Guard;

/// How long a connection may be silent before it is looked after.
const KEEP_ALIVE: Duration = Duration::from_secs(15);

/// Asks servers without a proxy.
pub(super) struct Direct {
    client: Client<HttpsConnector<HttpConnector<Names>>, Body>,
    timeout: Duration,
}

/// When an answer has to be there, as a whole; in its extensions.
#[derive(Clone, Copy)]
pub(super) struct Deadline(pub(super) Instant);

impl Direct {
    /// With a guard only by https, and only to addresses that it lets through.
    pub(super) fn new(manners: &Manners, tls: ClientConfig, guard: Option<Guard>) -> Self {
        let https = HttpsConnectorBuilder::new().with_tls_config(tls);
        let https = match &guard {
            Some(_) => https.https_only(),
            None => https.https_or_http(),
        };
        let fixed = manners.names.clone().into();
        let mut connector = HttpConnector::new_with_resolver(Names { fixed, guard });
        connector.enforce_http(false);
        connector.set_connect_timeout(Some(CONNECT_TIMEOUT));
        connector.set_keepalive(Some(KEEP_ALIVE));
        connector.set_nodelay(true);
        let connector = https
            .enable_http1()
            .enable_http2()
            .wrap_connector(connector);
        let client = Client::builder(TokioExecutor::new())
            .pool_timer(TokioTimer::new())
            .pool_idle_timeout(IDLE_TIMEOUT)
            .build(connector);
        Self {
            client,
            timeout: manners.timeout,
        }
    }

    pub(super) async fn send(&self, request: Request) -> anyhow::Result<Response> {
        let limit = request.timeout().copied().unwrap_or(self.timeout);
        let deadline = Instant::now() + limit;
        let mut request = http::Request::<Body>::try_from(request)?;
        let agent = HeaderValue::from_static(super::USER_AGENT);
        request.headers_mut().entry(USER_AGENT).or_insert(agent);
        let response = timeout_at(deadline, self.client.request(request))
            .await
            .with_context(|| format!("no answer within {limit:?}"))??;
        let mut response = response.map(Body::wrap);
        response.extensions_mut().insert(Deadline(deadline));
        Ok(response.into())
    }
}

/// Finds the addresses of names.
#[derive(Clone)]
struct Names {
    /// Names that lead elsewhere than in all the world.
    fixed: Arc<[(&'static str, SocketAddr)]>,
    guard: Option<Guard>,
}

impl Service<Name> for Names {
    type Response = IntoIter<SocketAddr>;
    type Error = BoxError;
    type Future = BoxFuture<'static, Result<Self::Response, Self::Error>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, name: Name) -> Self::Future {
        let Self { fixed, guard } = self.clone();
        async move {
            let mut fixed = fixed.iter();
            if let Some((_, address)) = fixed.find(|(known, _)| *known == name.as_str()) {
                return Ok(vec![*address].into_iter());
            }
            // The client puts the port of the URL in place of the 0.
            let found: Vec<_> = lookup_host((name.as_str(), 0)).await?.collect();
            if let Some(guard) = guard {
                guard.check_addresses(&found)?;
            }
            Ok(found.into_iter())
        }
        .boxed()
    }
}
