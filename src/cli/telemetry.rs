//! Logs: one JSON object per line with GoTrue's keys (`level`, `msg`, `time`), on standard error or in `LOG_FILE`;
//! for people, one short line.

use std::fmt;
use std::fs::File;
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::Context as _;
use chrono::SecondsFormat;
use serde_json::{Map, Value};
use tracing::field::{Field, Visit};
use tracing::level_filters::LevelFilter;
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::filter::Targets;
use tracing_subscriber::layer::{Context, Layer, SubscriberExt};
use tracing_subscriber::registry::{LookupSpan, Scope};
use tracing_subscriber::util::SubscriberInitExt;

use crate::clock::{Clock, Timestamp};
use crate::config::Log;

/// Logs as a service does. Once per process; the error is for the operator's terminal.
pub fn init(log: &Log, clock: Arc<dyn Clock>) -> anyhow::Result<()> {
    let out: Box<dyn Write + Send> = match &log.file {
        None => Box::new(io::stderr()),
        Some(path) => {
            let file = File::options()
                .append(true)
                .create(true)
                .mode(0o660)
                .open(path);
            Box::new(
                file.with_context(|| format!("GOTRUE_LOG_FILE: cannot open {}", path.display()))?,
            )
        }
    };
    start(
        log.level,
        Lines {
            write: json_line,
            out: Mutex::new(out),
            clock,
        },
    )
}

/// Logs for a person at a terminal: what `truegate dev` does.
pub fn init_for_people(log: &Log, clock: Arc<dyn Clock>) -> anyhow::Result<()> {
    start(
        log.level,
        Lines {
            write: people_line,
            out: Mutex::new(Box::new(io::stderr())),
            clock,
        },
    )
}

fn start(level: LevelFilter, lines: Lines) -> anyhow::Result<()> {
    tracing_subscriber::registry()
        .with(filter(level))
        .with(lines)
        .try_init()
        .context("starting the log")
}

/// Libraries only say what goes wrong, unless everything is asked for.
fn filter(level: LevelFilter) -> Targets {
    let libraries = if level == LevelFilter::TRACE {
        level
    } else {
        level.min(LevelFilter::WARN)
    };
    Targets::new()
        .with_default(libraries)
        .with_target("truegate", level)
}

struct Lines {
    write: fn(Level, Timestamp, Fields) -> String,
    out: Mutex<Box<dyn Write + Send>>,
    clock: Arc<dyn Clock>,
}

fn json_line(level: Level, now: Timestamp, Fields(mut fields): Fields) -> String {
    let message = fields.remove("message").unwrap_or_default();
    fields.insert("msg".into(), message);
    fields.insert("level".into(), level_name(level).into());
    fields.insert(
        "time".into(),
        now.to_rfc3339_opts(SecondsFormat::Millis, true).into(),
    );
    Value::Object(fields).to_string()
}

/// `14:03:59 POST /token 400 in 12 ms: Invalid login credentials`
fn people_line(level: Level, now: Timestamp, Fields(mut fields): Fields) -> String {
    let mut take = |name: &str| match fields.remove(name)? {
        Value::String(text) => Some(text),
        other => Some(other.to_string()),
    };
    let time = now.with_timezone(&chrono::Local).format("%H:%M:%S");
    let message = take("message").unwrap_or_default();
    let error = take("error").map_or_else(String::new, |error| format!(": {error}"));
    if let (Some(method), Some(path), Some(status)) = (take("method"), take("path"), take("status"))
    {
        let nanoseconds: u64 = take("duration")
            .and_then(|text| text.parse().ok())
            .unwrap_or_default();
        return format!(
            "{time} {method} {path} {status} in {} ms{error}",
            nanoseconds / 1_000_000
        );
    }
    fields.remove("request_id");
    let mut line = format!("{time} {}: {message}{error}", level_name(level));
    for (name, value) in &fields {
        line += " ";
        line += name;
        line += "=";
        line += &value.to_string();
    }
    line
}

/// What a span says about the lines within it.
#[derive(Default)]
struct Fields(Map<String, Value>);

impl<S: Subscriber + for<'a> LookupSpan<'a>> Layer<S> for Lines {
    fn on_new_span(&self, attributes: &Attributes<'_>, id: &Id, context: Context<'_, S>) {
        let mut fields = Fields::default();
        attributes.record(&mut fields);
        if let Some(span) = context.span(id) {
            span.extensions_mut().insert(fields);
        }
    }

    fn on_record(&self, id: &Id, values: &Record<'_>, context: Context<'_, S>) {
        if let Some(span) = context.span(id)
            && let Some(fields) = span.extensions_mut().get_mut::<Fields>()
        {
            values.record(fields);
        }
    }

    fn on_event(&self, event: &Event<'_>, context: Context<'_, S>) {
        let mut line = Fields::default();
        for span in context
            .event_scope(event)
            .into_iter()
            .flat_map(Scope::from_root)
        {
            if let Some(Fields(fields)) = span.extensions().get() {
                line.0.extend(fields.clone());
            }
        }
        event.record(&mut line);
        let mut text = (self.write)(*event.metadata().level(), self.clock.now(), line);
        text.push('\n');
        // There is nowhere to complain when the log cannot be written.
        let _ = self
            .out
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .write_all(text.as_bytes());
    }
}

/// logrus' names.
fn level_name(level: Level) -> &'static str {
    match level {
        Level::ERROR => "error",
        Level::WARN => "warning",
        Level::INFO => "info",
        Level::DEBUG => "debug",
        Level::TRACE => "trace",
    }
}

impl Fields {
    fn put(&mut self, field: &Field, value: impl Into<Value>) {
        self.0.insert(field.name().to_owned(), value.into());
    }
}

impl Visit for Fields {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.put(field, format!("{value:?}"));
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.put(field, value);
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.put(field, value);
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.put(field, value);
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.put(field, value);
    }

    fn record_f64(&mut self, field: &Field, value: f64) {
        self.put(field, value);
    }

    fn record_error(&mut self, field: &Field, error: &(dyn std::error::Error + 'static)) {
        let causes = std::iter::successors(Some(error), |error| error.source());
        self.put(
            field,
            causes
                .map(ToString::to_string)
                .collect::<Vec<_>>()
                .join(": "),
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::SystemClock;

    #[derive(Clone, Default)]
    struct Shared(Arc<Mutex<Vec<u8>>>);

    impl Write for Shared {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().write(bytes)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn lines_have_gotrues_keys_and_those_of_their_spans() {
        let out = Shared::default();
        let lines = Lines {
            write: json_line,
            out: Mutex::new(Box::new(out.clone())),
            clock: Arc::new(SystemClock),
        };
        let subscriber = tracing_subscriber::registry()
            .with(filter(LevelFilter::INFO))
            .with(lines);
        tracing::subscriber::with_default(subscriber, || {
            let span = tracing::info_span!(
                "request",
                request_id = "r1",
                auth_event = tracing::field::Empty
            );
            span.record("auth_event", "login");
            let _within = span.enter();
            let error = anyhow::anyhow!("inner").context("outer");
            tracing::warn!(
                status = 404_u16,
                ok = false,
                error = AsRef::<dyn std::error::Error>::as_ref(&error),
                "request \"completed\"\n"
            );
            tracing::debug!("too fine");
            tracing::info!(target: "some_library", "too talkative");
        });
        let text = String::from_utf8(out.0.lock().unwrap().clone()).unwrap();
        assert_eq!(text.lines().count(), 1, "{text}");
        let mut line: Value = serde_json::from_str(&text).unwrap();
        assert!(line["time"].take().as_str().unwrap().ends_with('Z'));
        assert_eq!(
            line,
            serde_json::json!({
                "level": "warning", "msg": "request \"completed\"\n", "time": null, "status": 404, "ok": false,
                "error": "outer: inner", "request_id": "r1", "auth_event": "login",
            })
        );
    }

    #[test]
    fn people_read_short_lines() {
        let line = |fields: Value| {
            let Value::Object(fields) = fields else {
                panic!("not an object")
            };
            let line = people_line(Level::WARN, SystemClock.now(), Fields(fields));
            line.split_once(' ').unwrap().1.to_owned()
        };
        let request = serde_json::json!({
            "message": "request completed", "component": "api", "method": "POST", "path": "/token", "status": 400,
            "duration": 12_345_678, "request_id": "r1", "error": "Invalid login credentials",
        });
        assert_eq!(
            line(request),
            "POST /token 400 in 12 ms: Invalid login credentials"
        );
        let other = serde_json::json!({ "message": "gave up", "request_id": "r1", "error": "refused", "attempts": 3 });
        assert_eq!(line(other), "warning: gave up: refused attempts=3");
    }
}
