//! Where an operator's template is: a URL, a path of the site, or (ours) a file.

use std::path::PathBuf;
use std::time::Duration;

use reqwest::header::LOCATION;
use reqwest::{Method, Request};
use tokio::io::AsyncReadExt as _;
use url::Url;

use crate::outside::Http;

/// How long loading may take, redirects included (GoTrue's `Cache.fetch`).
const TIMEOUT: Duration = Duration::from_secs(10);
/// How many redirects are followed, as Go's client does.
const MAX_REDIRECTS: usize = 10;

#[derive(Debug, PartialEq, Eq)]
pub(super) enum Source {
    Http(String),
    File(PathBuf),
}

impl Source {
    /// What does not start with `http` is a path of the site, unless it is a `file:` URL.
    pub(super) fn new(wanted: &str, site_url: &str) -> Self {
        let file = Url::parse(wanted).ok().filter(|url| url.scheme() == "file");
        match file.and_then(|url| url.to_file_path().ok()) {
            Some(path) => Self::File(path),
            None if wanted.starts_with("http") => Self::Http(wanted.to_owned()),
            None => Self::Http(format!("{site_url}{wanted}")),
        }
    }

    /// The template, cut after `max_size` bytes (as GoTrue cuts it). The error says why there is none.
    pub(super) async fn load(&self, http: &Http, max_size: usize) -> Result<String, String> {
        let bytes = match self {
            Self::Http(url) => tokio::time::timeout(TIMEOUT, fetch(http, url, max_size))
                .await
                .map_err(|_| format!("no answer within {} s", TIMEOUT.as_secs()))??,
            Self::File(path) => read(path, max_size)
                .await
                .map_err(|error| error.to_string())?,
        };
        Ok(text(&bytes))
    }
}

async fn fetch(http: &Http, url: &str, max_size: usize) -> Result<Vec<u8>, String> {
    let mut url = Url::parse(url).map_err(|error| error.to_string())?;
    for _ in 0..=MAX_REDIRECTS {
        let request = Request::new(Method::GET, url.clone());
        let mut response = http.send(request).await.map_err(|error| reason(&error))?;
        let status = response.status();
        if status.is_redirection() {
            let location = response
                .headers()
                .get(LOCATION)
                .and_then(|location| location.to_str().ok());
            url = location
                .and_then(|location| url.join(location).ok())
                .ok_or_else(|| {
                    format!("status code {} without a good Location", status.as_u16())
                })?;
            continue;
        }
        if status.as_u16() != 200 {
            return Err(format!("status code {}", status.as_u16()));
        }
        let mut bytes = Vec::new();
        while let Some(chunk) = response
            .chunk()
            .await
            .map_err(|error| reason(&error.without_url().into()))?
        {
            bytes.extend_from_slice(&chunk);
            if bytes.len() >= max_size {
                bytes.truncate(max_size);
                break;
            }
        }
        return Ok(bytes);
    }
    Err(format!("stopped after {MAX_REDIRECTS} redirects"))
}

/// The whole chain of causes.
fn reason(error: &anyhow::Error) -> String {
    format!("{error:#}")
}

async fn read(path: &PathBuf, max_size: usize) -> std::io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    let file = tokio::fs::File::open(path).await?;
    file.take(max_size as u64).read_to_end(&mut bytes).await?;
    Ok(bytes)
}

/// UTF-8; a character that was cut in two at the end is dropped.
fn text(bytes: &[u8]) -> String {
    match std::str::from_utf8(bytes) {
        Err(error) if error.error_len().is_none() => {
            String::from_utf8_lossy(bytes.get(..error.valid_up_to()).unwrap_or_default())
                .into_owned()
        }
        _ => String::from_utf8_lossy(bytes).into_owned(),
    }
}
