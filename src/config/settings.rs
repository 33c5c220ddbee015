//! How a section of settings is declared and read: each name, default and line of explanation stands in
//! one place, from which the struct, its reading (`envy`, `serde`) and `.env.example` are made.

use serde::de::DeserializeOwned;

use super::environment::Environment;
use super::report::Report;
use super::value::Value;

/// Declares a section.
///
/// ```ignore
/// settings! {
///     /// Outgoing mail.                              the heading in `.env.example`
///     pub struct Smtp("GOTRUE_SMTP_") {
///         /// Port of the relay.                      one explanation, two uses
///         port: u16 = "587",                          GOTRUE_SMTP_PORT; the default as its text
///         /// Host of the relay.
///         host: Option<String> = "",
///         /// Public address.
///         url("GOTRUE_LONG", "SHORT"): Url => "https://..",   own names, the first wins; required, with an example
///     } and {
///         /// Filled in by the section's own code.
///         extra: Named<String>,
///     }
/// }
/// ```
macro_rules! settings {
    (
        $(#[doc = $about:literal])+
        pub struct $Section:ident($prefix:literal) {
            $(
                $(#[doc = $doc:literal])+
                $field:ident $(($($name:literal),+))?: $Type:ty $(= $default:literal)? $(=> $example:literal)?,
            )+
        } $(and {
            $($(#[doc = $extra_doc:literal])+ $extra:ident: $Extra:ty,)+
        })?
    ) => {
        $(#[doc = $about])+
        #[derive(Debug, Clone, serde::Deserialize)]
        pub struct $Section {
            $(
                $(#[doc = $doc])+
                #[serde(deserialize_with = "crate::config::value::deserialize")]
                pub $field: $Type,
            )+
            $($(
                $(#[doc = $extra_doc])+
                #[serde(skip)]
                pub $extra: $Extra,
            )+)?
        }

        impl $crate::config::settings::Section for $Section {
            fn definition() -> $crate::config::settings::Definition {
                $crate::config::settings::Definition {
                    prefix: $prefix,
                    about: &[$($about),+],
                    settings: vec![$(
                        $crate::config::settings::Setting::new::<$Type>(stringify!($field), &[$($doc),+])
                            $(.named(&[$($name),+]))?
                            $(.default($default))?
                            $(.required($example))?,
                    )+],
                }
            }
        }
    };
}
pub(super) use settings;

/// A struct that is read from variables of one prefix.
pub trait Section: DeserializeOwned {
    /// Its settings.
    fn definition() -> Definition;
}

/// What is known about a section.
pub struct Definition {
    /// The start of its variables' names.
    pub prefix: &'static str,
    /// Its heading in `.env.example`.
    pub about: &'static [&'static str],
    /// Its settings, in the order of their declaration.
    pub settings: Vec<Setting>,
}

/// What is known about a setting.
pub struct Setting {
    field: String,
    names: &'static [&'static str],
    about: &'static [&'static str],
    form: &'static str,
    may_be_empty: bool,
    /// The default, or for a required setting an example.
    text: &'static str,
    required: bool,
}

impl Setting {
    pub fn new<T: Value>(field: &str, about: &'static [&'static str]) -> Self {
        Self {
            field: field.to_owned(),
            names: &[],
            about,
            form: T::FORM,
            may_be_empty: T::MAY_BE_EMPTY,
            text: "",
            required: false,
        }
    }

    /// Whether it may be set to the empty text.
    #[cfg(test)]
    pub fn may_be_empty(&self) -> bool {
        self.may_be_empty
    }

    /// Read from these variables, of which the first that is set counts.
    pub fn named(self, names: &'static [&'static str]) -> Self {
        Self { names, ..self }
    }

    /// Has this text where it is not set.
    pub fn default(self, text: &'static str) -> Self {
        Self { text, ..self }
    }

    /// Has to be set, for example to this text.
    pub fn required(self, text: &'static str) -> Self {
        Self {
            text,
            required: true,
            ..self
        }
    }
}

impl Definition {
    /// The same without explanations, for a section whose like has explained itself.
    pub fn without_words(mut self) -> Self {
        self.about = &[];
        for setting in &mut self.settings {
            setting.about = &[];
        }
        self
    }

    /// The names of all variables that are read for this section.
    pub fn names(&self) -> impl Iterator<Item = String> {
        self.settings
            .iter()
            .flat_map(|setting| self.names_of(setting))
    }

    /// The names of one setting; the first that is set counts.
    pub fn names_of(&self, setting: &Setting) -> Vec<String> {
        if setting.names.is_empty() {
            return vec![self.key(setting)];
        }
        setting.names.iter().map(|&name| name.to_owned()).collect()
    }

    /// Under this name `envy` finds the field.
    fn key(&self, setting: &Setting) -> String {
        format!("{}{}", self.prefix, setting.field.to_uppercase())
    }

    /// Reads a section, and reports each variable that does not fit. `None` only if a declared default
    /// does not parse.
    pub fn read<T: DeserializeOwned>(
        &self,
        environment: &Environment,
        report: &mut Report,
    ) -> Option<T> {
        let envy = envy::prefixed(self.prefix);
        let mut texts: Vec<_> = self
            .settings
            .iter()
            .map(|s| (self.key(s), s.text.to_owned()))
            .collect();
        for (at, setting) in self.settings.iter().enumerate() {
            let names = self.names_of(setting);
            let found = names
                .iter()
                .find_map(|name| Some((name, environment.get(name)?)));
            let Some((name, text)) = found else {
                if setting.required {
                    let name = names.last().map_or("", String::as_str);
                    report.mistake(
                        name,
                        format!("it is required; for example {}", setting.text),
                    );
                }
                continue;
            };
            if text.is_empty() && !setting.may_be_empty {
                let fault = format!(
                    "it is set, but empty; remove it, or make it {}",
                    setting.form
                );
                report.mistake(name, fault);
                continue;
            }
            // envy stops at the first mistake, so each variable is tried alone, among defaults.
            let mut trial = texts.clone();
            if let Some((_, place)) = trial.get_mut(at) {
                text.clone_into(place);
            }
            match envy.from_iter::<_, T>(trial.clone()) {
                Ok(_) => texts = trial,
                Err(fault) => report.mistake(name, fault.to_string()),
            }
        }
        envy.from_iter(texts)
            .map_err(|fault| report.mistake(self.prefix, fault.to_string()))
            .ok()
    }

    /// The section's part of `.env.example`.
    pub fn example(&self, out: &mut String) {
        out.push('\n');
        for text in self.about {
            out.push_str("##");
            out.push_str(text);
            out.push('\n');
        }
        for setting in &self.settings {
            if !setting.about.is_empty() {
                out.push('\n');
            }
            for text in setting.about {
                out.push('#');
                out.push_str(text);
                out.push('\n');
            }
            if setting.required {
                out.push_str("# Required; for example:\n");
            }
            let names = self.names_of(setting);
            let name = names.last().map_or("", String::as_str);
            for part in ["# ", name, "=", setting.text, "\n"] {
                out.push_str(part);
            }
        }
    }
}
