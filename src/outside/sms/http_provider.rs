//! Whoever takes a message by HTTP: described by settings of our own (`TRUEGATE_SMS_HTTP_..`).

use anyhow::{Context as _, bail};
use reqwest::header::{CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};
use serde_json::{Map, Value};
use url::Url;

use super::{Failure, Message, exchange, refused, unreachable};
use crate::config::Truegate;
use crate::outside::Http;
use crate::outside::templates::go::GoTemplate;
use crate::urls::percent::{self, Part};

pub(super) struct HttpProvider {
    url: Url,
    headers: HeaderMap,
    body: GoTemplate,
    form: Form,
}

/// How values are escaped in the body.
#[derive(Clone, Copy)]
enum Form {
    /// For the inside of a JSON text.
    Json,
    /// For a value of a URL-encoded form.
    Urlencoded,
    /// Not at all.
    Plain,
}

impl HttpProvider {
    /// The error is for the operator's terminal.
    pub(super) fn new(config: &Truegate) -> anyhow::Result<Self> {
        let url = config.sms_http_url.clone();
        let url = url.context("TRUEGATE_SMS_HTTP_URL is required with GOTRUE_SMS_PROVIDER=http")?;
        let headers = headers(config).context("TRUEGATE_SMS_HTTP_HEADERS")?;
        let form = Form::of(&headers);
        let body = GoTemplate::text(&config.sms_http_body).context("TRUEGATE_SMS_HTTP_BODY")?;
        let provider = Self {
            url,
            headers,
            body,
            form,
        };
        provider.check().context("TRUEGATE_SMS_HTTP_BODY")?;
        Ok(provider)
    }

    /// Tries the template on a message that needs escaping.
    fn check(&self) -> anyhow::Result<()> {
        let body = self.body(Message {
            phone: "15550000001",
            text: "\"a\" & b\\\n",
            channel: "sms",
            code: "123456",
        })?;
        if body.contains("<no value>") {
            bail!("there is nothing but .Phone, .Message and .Code");
        }
        if matches!(self.form, Form::Json) {
            serde_json::from_str::<Value>(&body)
                .context("a body made of it is no JSON, as its Content-Type says")?;
        }
        Ok(())
    }

    pub(super) async fn send(&self, http: &Http, message: Message<'_>) -> Result<(), Failure> {
        let body = self.body(message);
        let body = body.map_err(|problem| Failure::Template(problem.to_string()))?;
        let client = http.client().map_err(|cause| unreachable(&cause))?;
        let request = client.post(self.url.clone()).headers(self.headers.clone());
        let (status, _) = exchange(http, request.body(body)).await?;
        if status.is_success() {
            return Ok(());
        }
        Err(refused(format!(
            "the provider answered {}",
            status.as_u16()
        )))
    }

    fn body(&self, message: Message<'_>) -> anyhow::Result<String> {
        let mut variables = Map::new();
        for (name, text) in [
            ("Phone", message.phone),
            ("Message", message.text),
            ("Code", message.code),
        ] {
            variables.insert(name.into(), self.form.escape(text).into());
        }
        Ok(self.body.render(&variables)?)
    }
}

fn headers(config: &Truegate) -> anyhow::Result<HeaderMap> {
    let mut headers = HeaderMap::new();
    for (name, values) in config.sms_http_headers.iter() {
        let name = HeaderName::try_from(name).with_context(|| format!("{name:?}"))?;
        for value in values {
            // Not the error's own words: they may repeat a secret.
            let value = HeaderValue::try_from(value);
            let Ok(mut value) = value else {
                bail!("{name}: its value is no header's");
            };
            value.set_sensitive(true);
            headers.append(name.clone(), value);
        }
    }
    headers
        .entry(CONTENT_TYPE)
        .or_insert(HeaderValue::from_static("application/json"));
    Ok(headers)
}

impl Form {
    fn of(headers: &HeaderMap) -> Self {
        let header = headers.get(CONTENT_TYPE);
        let media_type = header.and_then(|value| value.to_str().ok()).unwrap_or("");
        match media_type.split(';').next().unwrap_or_default().trim() {
            "application/json" => Self::Json,
            "application/x-www-form-urlencoded" => Self::Urlencoded,
            _ => Self::Plain,
        }
    }

    fn escape(self, text: &str) -> String {
        match self {
            Self::Json => {
                let quoted = Value::from(text).to_string();
                let inner = quoted
                    .strip_prefix('"')
                    .and_then(|text| text.strip_suffix('"'));
                inner.unwrap_or_default().to_owned()
            }
            Self::Urlencoded => percent::escape(text.as_bytes(), Part::Query).into_owned(),
            Self::Plain => text.to_owned(),
        }
    }
}
