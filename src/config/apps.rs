//! Reads which apps are open, and their first secrets. Fails closed: an app without a secret does not start.

use super::environment::Environment;
use super::secrets::{App, SecretSource, read_file};
use crate::domain::signature::SecretSet;
use std::path::PathBuf;

/// The name under which `/webhook` is known everywhere.
pub const DEFAULT_APP: &str = "default";

/// The apps in force, `default` first; every problem goes to `env`.
pub(super) fn read(env: &mut Environment) -> Vec<App> {
    let before = env.problems.len();
    let mut apps: Vec<App> = default_app(env).into_iter().collect();
    apps.extend(further_apps(env));
    if apps.is_empty() && env.problems.len() == before {
        env.problem(
            "WEBHOOK_SECRET",
            "is required, or WEBHOOK_SECRET_FILE, or APP_SECRET_FILES: without a secret nothing can be proven",
        );
    }
    apps
}

/// The secrets of one app; what is wrong with them, and with nothing else, goes to `env`.
pub(super) fn secrets_of(env: &mut Environment, app: &str) -> Option<SecretSet> {
    env.problems.clear();
    if app == DEFAULT_APP {
        return default_app(env).map(|app| app.secrets);
    }
    let text = env.text("APP_SECRET_FILES").unwrap_or_default().to_owned();
    let mut entries = text
        .split(',')
        .filter_map(|entry| entry.trim().split_once('='));
    let (_, path) = entries.find(|(name, _)| *name == app)?;
    app_with_file(env, "APP_SECRET_FILES", app, path).map(|app| app.secrets)
}

/// The names of the apps alone, as far as they can be read: for commands that prove nothing.
pub(super) fn names(env: &Environment) -> Vec<String> {
    let secret =
        env.typed("WEBHOOK_SECRET").is_some() || env.typed("WEBHOOK_SECRET_FILE").is_some();
    let default = secret.then_some(DEFAULT_APP);
    let further = env.text("APP_SECRET_FILES").unwrap_or_default();
    let further = further.split(',').filter_map(|entry| entry.split_once('='));
    let further = further
        .map(|(name, _)| name.trim())
        .filter(|name| is_app_name(name));
    default
        .into_iter()
        .chain(further)
        .map(str::to_owned)
        .collect()
}

fn default_app(env: &mut Environment) -> Option<App> {
    let variable = env.typed("WEBHOOK_SECRET").map(str::to_owned);
    let file = env.typed("WEBHOOK_SECRET_FILE").map(str::to_owned);
    match (variable, file) {
        (None, None) => None,
        (Some(_), Some(_)) => {
            env.problem(
                "WEBHOOK_SECRET",
                "is set together with WEBHOOK_SECRET_FILE; set one of them",
            );
            None
        }
        (Some(secret), None) => match SecretSet::single(secret.as_bytes()) {
            Ok(secrets) => Some(App {
                name: DEFAULT_APP.to_owned(),
                source: SecretSource::Variable,
                secrets,
            }),
            Err(_) => {
                env.problem(
                    "WEBHOOK_SECRET",
                    "is empty; set the secret exactly as typed at ICR",
                );
                None
            }
        },
        (None, Some(path)) => app_with_file(env, "WEBHOOK_SECRET_FILE", DEFAULT_APP, &path),
    }
}

fn further_apps(env: &mut Environment) -> Vec<App> {
    let text = env.text("APP_SECRET_FILES").unwrap_or_default().to_owned();
    let mut apps: Vec<App> = Vec::new();
    for entry in text
        .split(',')
        .map(str::trim)
        .filter(|entry| !entry.is_empty())
    {
        let Some((name, path)) = entry.split_once('=') else {
            env.problem(
                "APP_SECRET_FILES",
                format!("`{entry}` is not of the form name=/path/to/file"),
            );
            continue;
        };
        if !is_app_name(name) {
            env.problem(
                "APP_SECRET_FILES",
                format!("`{name}` is no app name: [a-z0-9-]{{1,32}}"),
            );
        } else if name == DEFAULT_APP || name == "none" {
            env.problem(
                "APP_SECRET_FILES",
                format!("`{name}` is reserved; choose another name"),
            );
        } else if apps.iter().any(|app| app.name == name) {
            env.problem("APP_SECRET_FILES", format!("names `{name}` twice"));
        } else {
            apps.extend(app_with_file(env, "APP_SECRET_FILES", name, path));
        }
    }
    apps
}

fn app_with_file(
    env: &mut Environment,
    variable: &'static str,
    name: &str,
    path: &str,
) -> Option<App> {
    if path.is_empty() {
        env.problem(variable, "names no file");
        return None;
    }
    let path = PathBuf::from(path);
    match read_file(&path) {
        Ok(secrets) => Some(App {
            name: name.to_owned(),
            source: SecretSource::File(path),
            secrets,
        }),
        Err(error) => {
            env.problem(variable, format!("app {name}: {error}"));
            None
        }
    }
}

fn is_app_name(name: &str) -> bool {
    (1..=32).contains(&name.len())
        && name
            .bytes()
            .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-')
}
