//! The effective configuration as `check-config` prints it: every setting, no secret.

use super::Config;
use super::environment::Environment;
use super::settings::{PREFIX, SETTINGS};

/// Name and value of every setting, then what follows from them.
pub(super) fn effective(env: &Environment, config: &Config) -> Vec<(String, String)> {
    let mut lines: Vec<(String, String)> = SETTINGS
        .iter()
        .map(|setting| {
            let value = match (setting.secret, env.text(setting.name)) {
                (_, None) => "(not set)".to_owned(),
                (true, Some(_)) => "(set, not shown)".to_owned(),
                (false, Some(value)) => value.to_owned(),
            };
            (format!("{PREFIX}{}", setting.name), value)
        })
        .collect();
    let names = || config.apps.iter().map(|app| app.name.as_str());
    for app in &config.apps {
        let path = if app.name == super::apps::DEFAULT_APP {
            "/webhook".to_owned()
        } else {
            format!("/webhook/{}", app.name)
        };
        lines.push((
            format!("path of app {}", app.name),
            format!("{path}, {} secret(s) in force", app.secrets.count()),
        ));
    }
    lines.push((
        "topics".to_owned(),
        config.record.topic.topics(names()).join(", "),
    ));
    lines.push((
        "quarantine topics".to_owned(),
        config.record.quarantine_topic.topics(names()).join(", "),
    ));
    lines
}
