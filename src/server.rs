//! hyper + tower: listeners, the layers that every face shares, graceful shutdown.
//!
//! What a request meets on its way stands in [`stack`], outermost first; [`run`] serves any such
//! service on a listener until told to stop.

use std::convert::Infallible;
use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::Request;
use axum::middleware::{from_fn, from_fn_with_state};
use axum::response::Response;
use http::HeaderName;
use hyper_util::server::graceful::GracefulShutdown;
use tokio::net::TcpListener;
use tower::{Service, ServiceBuilder};
use tower_http::catch_panic::CatchPanicLayer;

use crate::config::{Config, Security};
use crate::faces::gotrue::door;
use crate::web::cors::CorsLayer;
use crate::web::query;

mod connection;
mod layers;
mod listener;
mod request_line;

pub use listener::listen;

/// How long requests under way may take to end once the server is told to stop.
const DRAIN: Duration = Duration::from_mins(1);

/// A pause while the process has no file descriptor or memory left for another connection.
const EXHAUSTED: Duration = Duration::from_millis(50);

/// What the shared layers need to know.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Where a request's name comes from; none: a random UUID.
    pub request_id_header: Option<HeaderName>,
    /// How long a whole request may take; zero: as long as it likes.
    pub max_request_duration: Duration,
    /// The API answers below this path as well as at the root, as behind a gateway that does not strip it.
    pub path_prefix: Option<String>,
    /// What pages of other origins may do.
    pub cors: CorsLayer,
    /// Which headers tell the client's address, for the log.
    pub security: Arc<Security>,
}

impl Settings {
    /// What the configuration says of them.
    #[must_use]
    pub fn new(config: &Config) -> Self {
        Self {
            request_id_header: config
                .api
                .request_id_header
                .as_deref()
                .and_then(|name| name.parse().ok()),
            max_request_duration: config.api.max_request_duration,
            path_prefix: config.truegate.path_prefix.clone(),
            cors: CorsLayer::new(&config.cors.allowed_headers),
            security: Arc::new(config.security.clone()),
        }
    }
}

/// A face in the layers that all faces share; outermost first.
pub fn stack(
    settings: &Settings,
    face: Router,
) -> impl Service<Request, Response = Response, Error = Infallible, Future: Send>
+ Clone
+ Send
+ Sync
+ 'static {
    ServiceBuilder::new()
        // Pages of other origins ask first; the answer is the same for every path.
        .layer(settings.cors.clone())
        // The API below a prefix is the API at the root.
        .map_request(layers::strip_prefix(settings.path_prefix.clone()))
        // A name for the request, in its answer, the logs and error reports.
        .layer(from_fn_with_state(
            settings.request_id_header.clone(),
            layers::name_request,
        ))
        // One line in the log per request, and a span that carries its name into every other line.
        .layer(from_fn_with_state(
            Arc::clone(&settings.security),
            request_line::write,
        ))
        // Errors become answers in the face's own format, also those of the layers below.
        .layer(from_fn(door::render_errors))
        // A bug in one request is that request's 500 and nobody else's trouble.
        .layer(CatchPanicLayer::custom(layers::panicked))
        // No request holds its resources for longer than this.
        .layer(from_fn_with_state(
            settings.max_request_duration,
            layers::time_limit,
        ))
        // Nor sends more than this.
        .map_request(layers::limit_body)
        // Nor what no database can take.
        .layer(from_fn(query::refuse_nul))
        .service(face)
}

/// Serves until `shutdown`, then lets requests under way end, for up to a minute.
pub async fn run<S>(service: S, listener: TcpListener, shutdown: impl Future<Output = ()>)
where
    S: Service<Request, Response = Response, Error = Infallible, Future: Send>
        + Clone
        + Send
        + Sync
        + 'static,
{
    let connections = GracefulShutdown::new();
    let http = connection::builder();
    let mut shutdown = pin!(shutdown);
    loop {
        let accepted = tokio::select! {
            () = &mut shutdown => break,
            accepted = listener.accept() => accepted,
        };
        match accepted {
            Ok((stream, peer)) => {
                tokio::spawn(connection::serve(
                    http.clone(),
                    service.clone(),
                    stream,
                    peer,
                    connections.watcher(),
                ));
            }
            // The client was gone before we looked.
            Err(error) if listener::is_about_one_client(&error) => {}
            Err(error) => {
                tracing::error!(%error, "cannot accept connections");
                if tokio::time::timeout(EXHAUSTED, &mut shutdown).await.is_ok() {
                    break;
                }
            }
        }
    }
    // From here on new connections are refused, so that a load balancer asks another server.
    drop(listener);
    let under_way = connections.count();
    tracing::info!(connections = under_way, "stopping");
    if tokio::time::timeout(DRAIN, connections.shutdown())
        .await
        .is_err()
    {
        tracing::warn!("stopped with requests still under way");
    }
}

#[cfg(test)]
mod tests;
