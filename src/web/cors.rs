//! What pages of other origins may do: GoTrue's CORS (`api/api.go`, github.com/rs/cors 1.11), oddities included.
//! A preflight is answered here for every path, with 204; whether it was granted shows in its headers.

use std::convert::Infallible;
use std::future::{Ready, ready};
use std::sync::Arc;
use std::task::{Context, Poll};

use axum::body::Body;
use axum::response::Response;
use futures_util::TryFutureExt;
use futures_util::future::{Either, MapOk};
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, StatusCode, header};
use tower::{Layer, Service};
use url::{Host, Url};

/// Request headers that GoTrue allows.
const HEADERS: [&str; 8] = [
    "accept",
    "authorization",
    "content-type",
    "x-client-info",
    "x-client-ip",
    "x-jwt-aud",
    "x-supabase-api-version",
    "x-use-cookie",
];

const METHODS: [&str; 5] = ["GET", "POST", "PUT", "PATCH", "DELETE"];
const EXPOSED: HeaderValue =
    HeaderValue::from_static("X-Total-Count, Link, X-Supabase-Api-Version");
const ANY: HeaderValue = HeaderValue::from_static("*");
const TRUE: HeaderValue = HeaderValue::from_static("true");
const VARY: HeaderValue = HeaderValue::from_static("Origin");
const VARY_PREFLIGHT: HeaderValue = HeaderValue::from_static(
    "Origin, Access-Control-Request-Method, Access-Control-Request-Headers",
);

/// The layer.
#[derive(Debug, Clone)]
pub struct CorsLayer {
    policy: Arc<Policy>,
}

#[derive(Debug)]
struct Policy {
    /// In lower case, sorted.
    headers: Vec<String>,
    /// Pages on this machine may send any header: in development there is no gateway that would allow `apikey`.
    trusts_loopback: bool,
}

impl CorsLayer {
    /// `more` are request headers allowed besides GoTrue's (`CORS_ALLOWED_HEADERS`).
    #[must_use]
    pub fn new(more: &[String]) -> Self {
        Self::with(more, false)
    }

    /// For `truegate dev`: besides, pages of loopback origins may send any header.
    #[must_use]
    pub fn dev(more: &[String]) -> Self {
        Self::with(more, true)
    }

    fn with(more: &[String], trusts_loopback: bool) -> Self {
        let more = more.iter().map(|name| name.to_lowercase());
        let mut headers: Vec<String> = HEADERS
            .iter()
            .map(ToString::to_string)
            .chain(more)
            .collect();
        headers.sort_unstable();
        headers.dedup();
        Self {
            policy: Arc::new(Policy {
                headers,
                trusts_loopback,
            }),
        }
    }
}

impl<S> Layer<S> for CorsLayer {
    type Service = Cors<S>;

    fn layer(&self, inner: S) -> Cors<S> {
        Cors {
            policy: Arc::clone(&self.policy),
            inner,
        }
    }
}

/// A service behind [`CorsLayer`].
#[derive(Debug, Clone)]
pub struct Cors<S> {
    policy: Arc<Policy>,
    inner: S,
}

impl<S, B> Service<Request<B>> for Cors<S>
where
    S: Service<Request<B>, Response = Response, Error = Infallible>,
{
    type Response = Response;
    type Error = Infallible;
    type Future =
        Either<Ready<Result<Response, Infallible>>, MapOk<S::Future, fn(Response) -> Response>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        if request.method() == Method::OPTIONS
            && given(request.headers(), &header::ACCESS_CONTROL_REQUEST_METHOD)
        {
            return Either::Left(ready(Ok(self.policy.preflight(request.headers()))));
        }
        let is_method =
            request.method() == Method::OPTIONS || METHODS.contains(&request.method().as_str());
        let granted = given(request.headers(), &header::ORIGIN) && is_method;
        let finish: fn(Response) -> Response = if granted { grant } else { vary };
        Either::Right(self.inner.call(request).map_ok(finish))
    }
}

/// Whether the header is there and not empty.
fn given(headers: &HeaderMap, name: &HeaderName) -> bool {
    headers.get(name).is_some_and(|value| !value.is_empty())
}

fn vary(mut response: Response) -> Response {
    response.headers_mut().append(header::VARY, VARY);
    response
}

/// Lets the page read the answer. Every page may: what an answer is worth hangs on the token in the request.
fn grant(response: Response) -> Response {
    let mut response = vary(response);
    let headers = response.headers_mut();
    headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, ANY);
    headers.insert(header::ACCESS_CONTROL_ALLOW_CREDENTIALS, TRUE);
    headers.insert(header::ACCESS_CONTROL_EXPOSE_HEADERS, EXPOSED);
    response
}

impl Policy {
    fn preflight(&self, asked: &HeaderMap) -> Response {
        let mut response = Response::new(Body::empty());
        *response.status_mut() = StatusCode::NO_CONTENT;
        let headers = response.headers_mut();
        headers.insert(header::VARY, VARY_PREFLIGHT);
        let method = asked.get(header::ACCESS_CONTROL_REQUEST_METHOD);
        let (Some(method), Some(origin)) = (
            method,
            asked
                .get(header::ORIGIN)
                .filter(|origin| !origin.is_empty()),
        ) else {
            return response;
        };
        let is_method = METHODS
            .iter()
            .chain(&["OPTIONS"])
            .any(|allowed| method == allowed);
        let wanted = asked.get(header::ACCESS_CONTROL_REQUEST_HEADERS);
        if !is_method || !wanted.is_none_or(|wanted| self.allows(wanted, origin)) {
            return response;
        }
        headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, ANY);
        headers.insert(header::ACCESS_CONTROL_ALLOW_METHODS, method.clone());
        if let Some(wanted) = wanted.filter(|wanted| !wanted.is_empty()) {
            headers.insert(header::ACCESS_CONTROL_ALLOW_HEADERS, wanted.clone());
        }
        headers.insert(header::ACCESS_CONTROL_ALLOW_CREDENTIALS, TRUE);
        response
    }

    /// Whether a page may send these headers: names in lower case, sorted, each once, without blanks, as browsers
    /// write them and the library insists.
    fn allows(&self, wanted: &HeaderValue, origin: &HeaderValue) -> bool {
        if wanted.is_empty() || self.trusts_loopback && is_loopback(origin) {
            return true;
        }
        let Ok(wanted) = wanted.to_str() else {
            return false;
        };
        let mut rest = self.headers.iter();
        wanted
            .split(',')
            .all(|name| rest.any(|allowed| allowed == name))
    }
}

fn is_loopback(origin: &HeaderValue) -> bool {
    let url = origin
        .to_str()
        .ok()
        .and_then(|origin| Url::parse(origin).ok());
    match url.as_ref().and_then(Url::host) {
        Some(Host::Domain(host)) => host == "localhost" || host.ends_with(".localhost"),
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.to_canonical().is_loopback(),
        None => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures_util::FutureExt;
    use tower::service_fn;

    /// The headers of the answer that are CORS' concern, as text.
    fn answer(layer: &CorsLayer, method: &str, lines: &[(&str, &str)]) -> String {
        let mut request = Request::builder().method(method);
        for (name, value) in lines {
            request = request.header(*name, *value);
        }
        let handler = service_fn(async |_: Request<Body>| Ok(Response::new(Body::from("reached"))));
        let mut service = layer.layer(handler);
        let response = service
            .call(request.body(Body::empty()).unwrap())
            .now_or_never()
            .unwrap()
            .unwrap();
        let mut text = response.status().as_str().to_owned();
        for (name, value) in response.headers() {
            let short = name.as_str().replace("access-control-", "");
            text += " ";
            text += &short;
            text += "=";
            text += value.to_str().unwrap();
        }
        text
    }

    const ORIGIN: (&str, &str) = ("origin", "https://app.example.com");

    fn preflight(method: &str, headers: Option<&str>) -> String {
        let mut lines = vec![ORIGIN, ("access-control-request-method", method)];
        lines.extend(headers.map(|headers| ("access-control-request-headers", headers)));
        let more = ["X-Mine".to_owned(), "Accept".to_owned()];
        answer(&CorsLayer::new(&more), "OPTIONS", &lines)
    }

    const REFUSED: &str =
        "204 vary=Origin, Access-Control-Request-Method, Access-Control-Request-Headers";

    #[test]
    fn preflights_as_recorded() {
        let granted = |method: &str, headers: &str| {
            let headers = if headers.is_empty() {
                String::new()
            } else {
                format!(" allow-headers={headers}")
            };
            format!(
                "{REFUSED} allow-origin=* allow-methods={method}{headers} allow-credentials=true"
            )
        };
        for (method, headers) in [
            ("POST", "content-type"),
            ("POST", "authorization,x-supabase-api-version"),
            ("PATCH", "x-client-ip,x-jwt-aud,x-use-cookie"),
            ("PUT", "accept,x-mine"),
            ("DELETE", ""),
            ("OPTIONS", ""),
        ] {
            assert_eq!(preflight(method, Some(headers)), granted(method, headers));
        }
        assert_eq!(preflight("GET", None), granted("GET", ""));
        for (method, headers) in [
            ("POST", "authorization,content-type,x-client-info,apikey"),
            ("TRACE", "content-type"),
            ("HEAD", ""),
            ("post", ""),
            ("POST", "x-unknown"),
            ("POST", "content-type,authorization"),
            ("POST", "authorization, content-type"),
            ("POST", "accept,accept"),
            ("POST", "accept,"),
            ("POST", "Authorization"),
        ] {
            assert_eq!(
                preflight(method, Some(headers)),
                REFUSED,
                "{method} {headers}"
            );
        }
    }

    #[test]
    fn what_is_no_preflight_gets_through() {
        let layer = CorsLayer::new(&[]);
        let granted = "200 vary=Origin allow-origin=* allow-credentials=true \
                       expose-headers=X-Total-Count, Link, X-Supabase-Api-Version";
        assert_eq!(answer(&layer, "GET", &[ORIGIN]), granted);
        assert_eq!(answer(&layer, "OPTIONS", &[ORIGIN]), granted);
        assert_eq!(answer(&layer, "GET", &[("origin", "null")]), granted);
        assert_eq!(answer(&layer, "GET", &[]), "200 vary=Origin");
        assert_eq!(answer(&layer, "HEAD", &[ORIGIN]), "200 vary=Origin");
        assert_eq!(answer(&layer, "OPTIONS", &[]), "200 vary=Origin");
        let method = ("access-control-request-method", "POST");
        assert_eq!(answer(&layer, "OPTIONS", &[method]), REFUSED);
        assert_eq!(answer(&layer, "GET", &[method]), "200 vary=Origin");
    }

    #[test]
    fn in_development_a_page_needs_no_gateway() {
        let ask = |layer: &CorsLayer, origin: &str| {
            let sent = "apikey,authorization,content-type,x-client-info,x-supabase-api-version";
            let lines = [
                ("origin", origin),
                ("access-control-request-method", "POST"),
                ("access-control-request-headers", sent),
            ];
            answer(layer, "OPTIONS", &lines).contains("allow-headers=apikey")
        };
        let dev = CorsLayer::dev(&[]);
        for page in [
            "http://localhost:3000",
            "http://127.0.0.1:5173",
            "http://[::1]:80",
            "https://app.localhost",
        ] {
            assert!(ask(&dev, page), "{page}");
            assert!(!ask(&CorsLayer::new(&[]), page), "{page}");
        }
        for page in [
            "https://evil.com",
            "http://localhost.evil.com",
            "null",
            "http://10.0.0.1",
            "file://",
        ] {
            assert!(!ask(&dev, page), "{page}");
        }
    }
}
