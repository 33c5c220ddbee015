//! Text messages: what stands in them, and who sends them. GoTrue's counterpart is `sms_provider`.
//!
//! Not here: messages that a hook sends.

mod http_provider;
mod messagebird;
mod textlocal;
mod twilio;
mod twilio_verify;
mod vonage;

use anyhow::{Context as _, bail};
use reqwest::{RequestBuilder, StatusCode};
use secrecy::{ExposeSecret, SecretString};
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use crate::config::Config;
use crate::outside::Http;
use crate::outside::client::read_at_most;
use crate::outside::templates::go::GoTemplate;
use crate::urls::query::Pairs;
use http_provider::HttpProvider;

/// Sends text messages.
pub struct Sms {
    http: Http,
    way: Way,
    template: GoTemplate,
}

enum Way {
    /// No provider is named.
    Off,
    /// The provider lacks settings, or is not known: GoTrue says so when a message is to be sent.
    Unfit(String),
    Provider(Box<Provider>),
}

enum Provider {
    Twilio(twilio::Twilio),
    TwilioVerify(twilio_verify::TwilioVerify),
    Messagebird(messagebird::Messagebird),
    Textlocal(textlocal::Textlocal),
    Vonage(vonage::Vonage),
    Http(HttpProvider),
}

/// A message to one phone.
#[derive(Clone, Copy)]
struct Message<'a> {
    /// Digits, without `+`.
    phone: &'a str,
    text: &'a str,
    /// `sms` or `whatsapp`.
    channel: &'a str,
    code: &'a str,
}

/// Why a message was not sent, or a code not found right.
#[derive(Debug)]
pub enum Failure {
    /// There is nobody to send it.
    NoProvider,
    /// The settings are wrong: for the operator.
    Unfit(String),
    /// The template fails: for the operator.
    Template(String),
    /// What the provider said, for the caller.
    Refused(String),
}

fn refused(why: impl Into<String>) -> Failure {
    Failure::Refused(why.into())
}

impl Sms {
    /// Reads the settings; the error is for the operator's terminal. As in GoTrue the template counts only where a
    /// provider is named.
    pub fn new(config: &Config, http: Http) -> anyhow::Result<Self> {
        let way = way(config)?;
        let template = match way {
            Way::Off => GoTemplate::default(),
            Way::Unfit(_) | Way::Provider(_) => template(&config.sms.template)?,
        };
        Ok(Self {
            http,
            way,
            template,
        })
    }

    /// Whether somebody is there to send a message.
    #[must_use]
    pub fn is_on(&self) -> bool {
        !matches!(self.way, Way::Off)
    }

    /// Whether the provider makes and checks the codes itself.
    #[must_use]
    pub fn checks_codes(&self) -> bool {
        matches!(self.provider(), Ok(Provider::TwilioVerify(_)))
    }

    /// Sends a code; only the two of Twilio heed the channel. May take seconds: no connection to the database is held
    /// meanwhile.
    pub async fn send(&self, phone: &str, code: &str, channel: &str) -> Result<(), Failure> {
        let provider = self.provider()?;
        let mut variables = Map::new();
        variables.insert("Code".into(), code.into());
        let text = self.template.render(&variables);
        let text = text.map_err(|problem| Failure::Template(problem.to_string()))?;
        let message = Message {
            phone,
            text: &text,
            channel,
            code,
        };
        let http = &self.http;
        match provider {
            Provider::Twilio(twilio) => twilio.send(http, message).await,
            Provider::TwilioVerify(verify) => verify.send(http, message).await,
            Provider::Messagebird(messagebird) => messagebird.send(http, message).await,
            Provider::Textlocal(textlocal) => textlocal.send(http, message).await,
            Provider::Vonage(vonage) => vonage.send(http, message).await,
            Provider::Http(provider) => provider.send(http, message).await,
        }
    }

    /// Asks the provider whether a code is right, where it [checks them](Self::checks_codes).
    pub async fn check(&self, phone: &str, code: &str) -> Result<(), Failure> {
        match self.provider()? {
            Provider::TwilioVerify(verify) => verify.check(&self.http, phone, code).await,
            _ => Err(Failure::NoProvider),
        }
    }

    fn provider(&self) -> Result<&Provider, Failure> {
        match &self.way {
            Way::Off => Err(Failure::NoProvider),
            Way::Unfit(why) => Err(Failure::Unfit(why.clone())),
            Way::Provider(provider) => Ok(provider),
        }
    }
}

fn way(config: &Config) -> anyhow::Result<Way> {
    let sms = &config.sms;
    let provider = match sms.provider.as_str() {
        "" => return Ok(Way::Off),
        "twilio" => twilio::Twilio::new(sms).map(Provider::Twilio),
        "twilio_verify" => twilio_verify::TwilioVerify::new(sms).map(Provider::TwilioVerify),
        "messagebird" => messagebird::Messagebird::new(sms).map(Provider::Messagebird),
        "textlocal" => textlocal::Textlocal::new(sms).map(Provider::Textlocal),
        "vonage" => vonage::Vonage::new(sms).map(Provider::Vonage),
        "http" => Ok(Provider::Http(HttpProvider::new(&config.truegate)?)),
        name => Err(format!("sms Provider {name} could not be found")),
    };
    Ok(match provider {
        Ok(provider) => Way::Provider(Box::new(provider)),
        Err(why) => {
            tracing::warn!("no text message can be sent: {why}");
            Way::Unfit(why)
        }
    })
}

/// The template, tried with a code: one that asks for more than there is would fail at each message.
fn template(source: &str) -> anyhow::Result<GoTemplate> {
    const NAME: &str = "GOTRUE_SMS_TEMPLATE";

    let template = GoTemplate::text(source).context(NAME)?;
    let mut sample = Map::new();
    sample.insert("Code".into(), "123456".into());
    if template
        .render(&sample)
        .context(NAME)?
        .contains("<no value>")
    {
        bail!("{NAME}: there is nothing but .Code");
    }
    Ok(template)
}

/// A setting that has to be there; `what` says in GoTrue's words what is missing.
fn required(text: &str, what: &str) -> Result<String, String> {
    match text {
        "" => Err(format!("missing {what}")),
        text => Ok(text.to_owned()),
    }
}

fn required_secret(text: Option<&SecretString>, what: &str) -> Result<SecretString, String> {
    text.cloned().ok_or_else(|| format!("missing {what}"))
}

/// Where a provider's API is.
fn base(sms: &crate::config::Sms, real: &str) -> String {
    sms.api_base.as_deref().unwrap_or(real).to_owned()
}

/// A form as Go's `url.Values` prints it.
fn form<'a>(pairs: impl IntoIterator<Item = (&'a str, &'a str)>) -> String {
    pairs.into_iter().collect::<Pairs>().encode()
}

/// The longest answer that is read, in bytes.
const MAX_ANSWER: usize = 64 * 1024;

/// Posts a form; gives the status and the body of the answer. What exactly went wrong on the way is told to the
/// operator alone: it may name the account.
async fn post_form(
    http: &Http,
    url: &str,
    form: String,
    authorize: impl FnOnce(RequestBuilder) -> RequestBuilder,
) -> Result<(StatusCode, Vec<u8>), Failure> {
    let client = http.client().map_err(|cause| unreachable(&cause))?;
    let request = client
        .post(url)
        .header("content-type", "application/x-www-form-urlencoded")
        .body(form);
    exchange(http, authorize(request)).await
}

async fn exchange(http: &Http, request: RequestBuilder) -> Result<(StatusCode, Vec<u8>), Failure> {
    let exchanged = async {
        let response = http
            .send(request.build().map_err(reqwest::Error::without_url)?)
            .await?;
        let status = response.status();
        anyhow::Ok((status, read_at_most(response, MAX_ANSWER).await?))
    };
    let (status, body) = exchanged.await.map_err(|error| unreachable(&error))?;
    let body = body.ok_or_else(|| refused("the provider's answer is too long"))?;
    Ok((status, body))
}

fn unreachable(cause: &anyhow::Error) -> Failure {
    tracing::warn!("the provider of text messages cannot be reached: {cause:#}");
    refused("the provider cannot be reached")
}

fn json<T: DeserializeOwned>(body: &[u8]) -> Result<T, Failure> {
    serde_json::from_slice(body).map_err(|_| refused("the provider's answer is not understood"))
}

/// A text, whatever it is in the answer; "" where it is missing.
fn shown(value: Option<&Value>) -> String {
    match value {
        None | Some(Value::Null) => String::new(),
        Some(Value::String(text)) => text.clone(),
        Some(other) => other.to_string(),
    }
}

/// A secret for a form or a header.
fn plain(secret: &SecretString) -> &str {
    secret.expose_secret()
}

#[cfg(test)]
mod tests;
