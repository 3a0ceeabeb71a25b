//! Topic and key templates: text with placeholders, checked once.
//!
//! **Guarantee.** A topic template names legal Kafka topics only, whatever app and event fill it: letters, digits, `.`, `_` and
//! `-`, 249 characters at most, neither `.` nor `..` (Kafka's `Topic.validate`). `{event}` in a topic is one of eight labels, so
//! that a sender cannot name topics; in a key it is the event's real name.

use super::event::EventKind;

/// Kafka's limit for a topic's name.
const MAX_TOPIC: usize = 249;

/// The longest app name of the HTTP contract.
const MAX_APP: usize = 32;

/// Stands in a key for an organization that an unknown event doesn't have.
const NO_ORGANIZATION: &str = "none";

/// A topic or key template that was checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Template {
    text: String,
    parts: Vec<Part>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Part {
    Literal(String),
    App,
    Event,
    Organization,
}

/// Why a text is no template; the message names the placeholder or what is allowed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct TemplateError(pub String);

impl Template {
    /// A text without placeholders, not checked: for where a template failed and a value is still needed.
    pub fn fixed(text: &str) -> Self {
        Self {
            text: text.to_owned(),
            parts: vec![Part::Literal(text.to_owned())],
        }
    }

    /// A topic template: `{app}` and `{event}` are allowed; what is left must be a legal Kafka topic name (for every value they can take).
    ///
    /// # Errors
    /// A message that names the placeholder, the character or the limit.
    pub fn topic(text: &str) -> Result<Self, TemplateError> {
        let template = Self::parse(text, "{app} and {event}", |part| {
            *part != Part::Organization
        })?;
        for part in &template.parts {
            let Part::Literal(literal) = part else {
                continue;
            };
            let legal = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
            if let Some(bad) = literal.chars().find(|&c| !legal(c)) {
                return Err(TemplateError(format!(
                    "{bad:?} is not allowed in a topic: letters, digits, '.', '_' and '-' are"
                )));
            }
        }
        if matches!(text, "." | "..") {
            return Err(TemplateError(format!(
                "{text:?} is not a topic that Kafka allows"
            )));
        }
        let longest = template.longest_topic();
        if longest > MAX_TOPIC {
            return Err(TemplateError(format!(
                "it can name a topic of {longest} characters; Kafka allows {MAX_TOPIC}"
            )));
        }
        Ok(template)
    }

    /// A key template: `{app}`, `{event}` and `{organization}` are allowed.
    ///
    /// # Errors
    /// A message that names the placeholder.
    pub fn key(text: &str) -> Result<Self, TemplateError> {
        Self::parse(text, "{app}, {event} and {organization}", |_| true)
    }

    /// The text it was made from: the `topic` label.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Whether it contains `{app}`.
    pub fn has_app(&self) -> bool {
        self.parts.contains(&Part::App)
    }

    /// Whether it contains `{event}`.
    pub fn has_event(&self) -> bool {
        self.parts.contains(&Part::Event)
    }

    /// Every topic that it can name, for these apps. Each once, in the order of the apps.
    pub fn topics<'a>(&self, apps: impl IntoIterator<Item = &'a str>) -> Vec<String> {
        let mut topics = Vec::new();
        for app in apps {
            for &kind in EventKind::ALL {
                let topic = self.fill_topic(app, kind);
                if !topics.contains(&topic) {
                    topics.push(topic);
                }
            }
        }
        topics
    }

    /// The topic for this app and kind of event.
    pub(crate) fn fill_topic(&self, app: &str, kind: EventKind) -> String {
        self.fill(app, kind.label(), "")
    }

    /// The key for this app, the event's real name and its organization.
    pub(crate) fn fill_key(&self, app: &str, event: &str, organization: Option<&str>) -> String {
        self.fill(app, event, organization.unwrap_or(NO_ORGANIZATION))
    }

    fn fill(&self, app: &str, event: &str, organization: &str) -> String {
        let mut out = String::with_capacity(64);
        for part in &self.parts {
            out.push_str(match part {
                Part::Literal(text) => text,
                Part::App => app,
                Part::Event => event,
                Part::Organization => organization,
            });
        }
        out
    }

    fn longest_topic(&self) -> usize {
        let labels = EventKind::ALL.iter().map(|kind| kind.label().len());
        let event = labels.max().unwrap_or_default();
        let length = |part: &Part| match part {
            Part::Literal(text) => text.len(),
            Part::App => MAX_APP,
            Part::Event => event,
            Part::Organization => 0,
        };
        self.parts.iter().map(length).sum()
    }

    fn parse(text: &str, allowed: &str, permits: fn(&Part) -> bool) -> Result<Self, TemplateError> {
        if text.is_empty() {
            return Err(TemplateError("it is empty".to_owned()));
        }
        let mut parts = Vec::new();
        let mut rest = text;
        while let Some(brace) = rest.find(['{', '}']) {
            let (literal, placeholder) = rest.split_at(brace);
            if !literal.is_empty() {
                parts.push(Part::Literal(literal.to_owned()));
            }
            let inner = placeholder
                .strip_prefix('{')
                .and_then(|inner| inner.split_once('}'));
            let Some((name, after)) = inner else {
                return Err(TemplateError(
                    "it has a brace without its partner".to_owned(),
                ));
            };
            let part = match name {
                "app" => Some(Part::App),
                "event" => Some(Part::Event),
                "organization" => Some(Part::Organization),
                _ => None,
            };
            let part = part.filter(permits).ok_or_else(|| {
                TemplateError(format!(
                    "{{{name}}} is not a placeholder here: {allowed} are"
                ))
            })?;
            parts.push(part);
            rest = after;
        }
        if !rest.is_empty() {
            parts.push(Part::Literal(rest.to_owned()));
        }
        Ok(Self {
            text: text.to_owned(),
            parts,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn placeholders_are_filled_in() {
        let topic = Template::topic("icr.{app}.{event}-x").unwrap();
        assert_eq!(
            topic.fill_topic("sandbox", EventKind::Installed),
            "icr.sandbox.installed-x"
        );
        assert_eq!(
            topic.fill_topic("sandbox", EventKind::Other),
            "icr.sandbox.other-x"
        );
        assert_eq!(topic.text(), "icr.{app}.{event}-x");
        assert!(topic.has_app() && topic.has_event());
        let key = Template::key("{event}:{organization}/{app} é").unwrap();
        assert_eq!(
            key.fill_key("a", "brandNew", Some("o{app}")),
            "brandNew:o{app}/a é"
        );
        assert_eq!(key.fill_key("a", "brandNew", None), "brandNew:none/a é");
    }

    #[test]
    fn every_topic_is_listed_once() {
        let apps = ["default", "sandbox"];
        assert_eq!(
            Template::topic("icr.webhooks").unwrap().topics(apps),
            ["icr.webhooks"]
        );
        assert_eq!(
            Template::topic("icr.{app}").unwrap().topics(apps),
            ["icr.default", "icr.sandbox"]
        );
        let all = Template::topic("{app}.{event}").unwrap().topics(apps);
        assert_eq!(all.len(), 16);
        assert!(all.contains(&"sandbox.other".to_owned()));
    }

    #[test]
    fn a_text_that_is_no_template_is_explained() {
        let message = |result: Result<Template, TemplateError>| result.unwrap_err().to_string();
        assert_eq!(message(Template::topic("")), "it is empty");
        assert_eq!(
            message(Template::topic("a b")),
            "' ' is not allowed in a topic: letters, digits, '.', '_' and '-' are"
        );
        assert_eq!(
            message(Template::topic("é")),
            "'é' is not allowed in a topic: letters, digits, '.', '_' and '-' are"
        );
        assert_eq!(
            message(Template::topic("..")),
            "\"..\" is not a topic that Kafka allows"
        );
        assert_eq!(
            message(Template::topic("{organization}")),
            "{organization} is not a placeholder here: {app} and {event} are"
        );
        assert_eq!(
            message(Template::key("{x}")),
            "{x} is not a placeholder here: {app}, {event} and {organization} are"
        );
        for text in ["{app", "app}", "{", "}", "a}{b"] {
            assert_eq!(
                message(Template::key(text)),
                "it has a brace without its partner",
                "{text}"
            );
        }
    }

    #[test]
    fn a_topic_is_short_enough_for_every_value() {
        assert!(Template::topic(&"x".repeat(249)).is_ok());
        assert!(Template::topic(&"x".repeat(250)).is_err());
        assert!(Template::topic(&format!("{}{{app}}{{event}}", "x".repeat(249 - 32 - 23))).is_ok());
        assert!(
            Template::topic(&format!("{}{{app}}{{event}}", "x".repeat(250 - 32 - 23))).is_err()
        );
    }
}
