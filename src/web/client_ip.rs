//! interim
use crate::config::{RateLimits, Security};
use std::net::IpAddr;
pub fn limit_key(headers: &http::HeaderMap, limits: &RateLimits, _: &Security) -> Option<String> {
    let name = limits.header.as_deref()?;
    let v = headers
        .get(name)?
        .to_str()
        .ok()?
        .split(',')
        .next()?
        .trim()
        .to_owned();
    (!v.is_empty()).then_some(v)
}
pub fn of(headers: &http::HeaderMap, ext: &http::Extensions, _: &Security) -> Option<IpAddr> {
    headers
        .get("x-forwarded-for")
        .and_then(|v| v.to_str().ok())
        .and_then(|v| v.split(',').find_map(|p| p.trim().parse().ok()))
        .or_else(|| {
            ext.get::<axum::extract::ConnectInfo<std::net::SocketAddr>>()
                .map(|c| c.0.ip())
        })
}
