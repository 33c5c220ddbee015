//! What mails are written on: the operators' own templates, loaded from where the settings say and kept for a
//! while, and ours (`defaults/`) for everything else. GoTrue's counterpart is `templatemailer/template.go`.

pub mod go;

mod defaults;
mod source;

use std::sync::{Arc, OnceLock, PoisonError, RwLock};
use std::time::Duration;

use anyhow::Context as _;
use futures_util::future::join_all;
use serde_json::{Map, Value, json};
use tokio::sync::Mutex;

use crate::clock::Timestamp;
use crate::config::{Config, MailKind};
use crate::error::Result;
use crate::outside::Http;
use go::GoTemplate;
use source::Source;

/// All templates of this server.
pub struct Templates {
    slots: Vec<Slot>,
    http: Http,
    rules: Rules,
    /// When a template was last asked for.
    touched: RwLock<Option<Timestamp>>,
}

/// How long what is loaded counts.
struct Rules {
    max_size: usize,
    max_age: Duration,
    retry_interval: Duration,
    max_idle: Duration,
}

/// One kind of mail: what the operator wants it written on, and what came of that.
struct Slot {
    kind: MailKind,
    subject: Option<String>,
    source: Option<Source>,
    own: OnceLock<Arc<Template>>,
    loaded: RwLock<Option<Entry>>,
    loading: Mutex<()>,
}

#[derive(Clone)]
struct Entry {
    template: Arc<Template>,
    made_at: Timestamp,
    checked_at: Timestamp,
    /// Ours, because the operator's could not be loaded.
    stand_in: bool,
}

/// What one kind of mail is written on.
pub struct Template {
    kind: MailKind,
    subject: GoTemplate,
    html: GoTemplate,
    text: Option<GoTemplate>,
}

/// A mail's texts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rendered {
    /// The subject, with values escaped as in HTML (so does GoTrue).
    pub subject: String,
    /// The HTML part.
    pub html: String,
    /// The plain part, which only our own mails have.
    pub text: Option<String>,
}

impl Template {
    /// Fills in the variables. Fails where Go's template would, and then no mail is sent.
    pub fn render(&self, variables: &Map<String, Value>) -> Result<Rendered> {
        let part = |template: &GoTemplate| {
            template
                .render(variables)
                .with_context(|| format!("the template for {}", self.kind.as_str()))
        };
        Ok(Rendered {
            // One line, whatever a value brings along.
            subject: part(&self.subject)?.replace(char::is_control, " "),
            html: part(&self.html)?,
            text: self.text.as_ref().map(part).transpose()?,
        })
    }
}

impl Templates {
    /// Notes where the templates are; they are loaded when first needed.
    #[must_use]
    pub fn new(config: &Config, http: Http) -> Self {
        let mailer = &config.mailer;
        let slot = |kind: MailKind| Slot {
            kind,
            subject: mailer.subject(kind).map(str::to_owned),
            source: mailer
                .template(kind)
                .map(|wanted| Source::new(wanted, &config.site_url)),
            own: OnceLock::new(),
            loaded: RwLock::new(None),
            loading: Mutex::new(()),
        };
        Self {
            slots: MailKind::ALL.into_iter().map(slot).collect(),
            http,
            rules: Rules {
                max_size: mailer.template_max_size,
                max_age: mailer.template_max_age,
                retry_interval: mailer.template_retry_interval,
                max_idle: mailer.template_reloading_max_idle,
            },
            touched: RwLock::new(None),
        }
    }

    /// What a mail of this kind is written on. Never fails: a template that cannot be had is replaced by its last
    /// good version or by ours. May take as long as loading takes (10 s at most), so not inside a transaction.
    pub async fn get(&self, kind: MailKind, now: Timestamp) -> Arc<Template> {
        *self.touched.write().unwrap_or_else(PoisonError::into_inner) = Some(now);
        let Some(slot) = self.slots.iter().find(|slot| slot.kind == kind) else {
            return Arc::new(defaults::template(kind));
        };
        if slot.source.is_none() && slot.subject.is_none() {
            return slot.own();
        }
        let kept = slot.kept();
        if let Some(entry) = kept
            .as_ref()
            .filter(|entry| slot.holds(entry, &self.rules, now))
        {
            return Arc::clone(&entry.template);
        }
        let turn = match &kept {
            None => slot.loading.lock().await,
            Some(entry) => match slot.loading.try_lock() {
                Ok(turn) => turn,
                // Somebody else is loading; the old one is good enough meanwhile.
                Err(_) => return Arc::clone(&entry.template),
            },
        };
        let kept = slot.kept();
        if let Some(entry) = kept
            .as_ref()
            .filter(|entry| slot.holds(entry, &self.rules, now))
        {
            return Arc::clone(&entry.template);
        }
        let (template, _) = self.load(slot, kept, now).await;
        drop(turn);
        template
    }

    /// Loads what will soon be too old, so that no request has to wait for it; nothing after some time without
    /// mails. For `GOTRUE_MAILER_TEMPLATE_RELOADING_ENABLED`, once every retry interval.
    pub async fn reload(&self, now: Timestamp) {
        let touched = *self
            .touched
            .write()
            .unwrap_or_else(PoisonError::into_inner)
            .get_or_insert(now);
        if age(touched, now) >= self.rules.max_idle {
            return;
        }
        let ahead = Rules {
            max_age: self.rules.max_age * 9 / 10,
            ..self.rules
        };
        let stale = self.slots.iter().filter(|slot| {
            slot.source.is_some()
                && !slot
                    .kept()
                    .is_some_and(|entry| slot.holds(&entry, &ahead, now))
        });
        join_all(stale.map(async |slot| {
            let _turn = slot.loading.lock().await;
            self.load(slot, slot.kept(), now).await;
        }))
        .await;
    }

    /// Loads every template that is configured and tries it on an ordinary user; one line for each that would not
    /// be sent as its author meant it, for the operator's terminal.
    pub async fn check(&self, now: Timestamp) -> Vec<String> {
        let configured = self
            .slots
            .iter()
            .filter(|slot| slot.source.is_some() || slot.subject.is_some());
        let problems = join_all(configured.map(async |slot| {
            let _turn = slot.loading.lock().await;
            let (template, problem) = self.load(slot, slot.kept(), now).await;
            match (problem, template.render(&sample())) {
                (Some(problem), _) => Some(format!("{problem}; our own text is sent instead")),
                (None, Err(crate::error::Error::Failed(failure))) => Some(format!(
                    "{:#}: no mail would be sent to a user without metadata",
                    failure.cause
                )),
                (None, _) => None,
            }
        }))
        .await;
        problems.into_iter().flatten().collect()
    }

    /// Loads a slot's template and keeps what came of it; the problem is logged and returned.
    async fn load(
        &self,
        slot: &Slot,
        kept: Option<Entry>,
        now: Timestamp,
    ) -> (Arc<Template>, Option<String>) {
        let result = self.fresh(slot).await;
        let (entry, problem) = match (result, kept) {
            (Ok(template), _) => {
                let template = Arc::new(template);
                (
                    Entry {
                        template,
                        made_at: now,
                        checked_at: now,
                        stand_in: false,
                    },
                    None,
                )
            }
            (Err(problem), Some(kept)) => (
                Entry {
                    checked_at: now,
                    ..kept
                },
                Some(problem),
            ),
            (Err(problem), None) => (
                Entry {
                    template: slot.own(),
                    made_at: now,
                    checked_at: now,
                    stand_in: true,
                },
                Some(problem),
            ),
        };
        if let Some(problem) = &problem {
            tracing::error!(
                mail_type = slot.kind.as_str(),
                "mail template not used: {problem}"
            );
        }
        let template = Arc::clone(&entry.template);
        *slot.loaded.write().unwrap_or_else(PoisonError::into_inner) = Some(entry);
        (template, problem)
    }

    /// Subject and body as the settings want them. When one of the two is no good, neither is used, as in GoTrue.
    async fn fresh(&self, slot: &Slot) -> Result<Template, String> {
        let name = slot.kind.as_str().to_uppercase();
        let subject = slot
            .subject
            .as_deref()
            .unwrap_or_else(|| defaults::subject(slot.kind));
        let subject = GoTemplate::html(subject)
            .map_err(|problem| format!("GOTRUE_MAILER_SUBJECTS_{name}: {problem}"))?;
        let Some(source) = &slot.source else {
            return Ok(Template {
                subject,
                ..defaults::template(slot.kind)
            });
        };
        let html = source
            .load(&self.http, self.rules.max_size)
            .await
            .and_then(|text| GoTemplate::html(&text).map_err(|problem| problem.to_string()))
            .map_err(|problem| format!("GOTRUE_MAILER_TEMPLATES_{name}: {problem}"))?;
        Ok(Template {
            kind: slot.kind,
            subject,
            html,
            text: None,
        })
    }
}

impl Slot {
    fn own(&self) -> Arc<Template> {
        Arc::clone(
            self.own
                .get_or_init(|| Arc::new(defaults::template(self.kind))),
        )
    }

    fn kept(&self) -> Option<Entry> {
        self.loaded
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// Whether an entry still counts. A subject alone comes from the settings, and does for good.
    fn holds(&self, entry: &Entry, rules: &Rules, now: Timestamp) -> bool {
        self.source.is_none()
            || (!entry.stand_in && age(entry.made_at, now) < rules.max_age)
            || age(entry.checked_at, now) < rules.retry_interval
    }
}

fn age(since: Timestamp, now: Timestamp) -> Duration {
    (now - since).to_std().unwrap_or_default()
}

/// The variables of every kind, for an ordinary user.
fn sample() -> Map<String, Value> {
    let variables = json!({
        "SiteURL": "https://example.com",
        "ConfirmationURL": "https://example.com/verify?token=0&type=signup&redirect_to=https://example.com",
        "Email": "ann@example.com",
        "NewEmail": "new@example.com",
        "OldEmail": "old@example.com",
        "SendingTo": "new@example.com",
        "Token": "123456",
        "TokenHash": "0",
        "RedirectTo": "https://example.com",
        "Phone": "15550000002",
        "OldPhone": "15550000001",
        "Provider": "google",
        "FactorType": "totp",
        "Data": {},
    });
    match variables {
        Value::Object(variables) => variables,
        _ => Map::new(),
    }
}

#[cfg(test)]
mod tests;
