//! Reads which apps are open, and their first secrets. Fails closed: an app without a secret does not start.

use super::environment::Environment;
use super::secrets::{App, SecretSource};
use crate::domain::signature::SecretSet;
use crate::domain::tag::Tag;
use crate::metrics::UNKNOWN_APP;
use crate::secrets::{file, shared};
use std::path::PathBuf;

/// The name under which `/webhook` is known everywhere.
pub const DEFAULT_APP: &str = "default";

/// The longest app name of the HTTP contract.
const MAX_NAME: usize = 32;

/// The apps in force, `default` first; every problem and every doubt goes to `env`.
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
    let sets = apps.iter().map(|app| (app.name.as_str(), &app.secrets));
    for warning in shared(sets) {
        env.warn(warning.to_string());
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
    let mut entries = text.split(',').filter_map(|entry| entry.split_once('='));
    let (_, path) = entries.find(|(name, _)| name.trim() == app)?;
    app_with_file(env, "APP_SECRET_FILES", app, path.trim()).map(|app| app.secrets)
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
            Ok(secrets) => {
                if let Some(doubt) = file::doubt(secret.as_bytes()) {
                    env.warn(format!("app {DEFAULT_APP}: its secret {doubt}"));
                }
                Some(App {
                    name: DEFAULT_APP.to_owned(),
                    source: SecretSource::Variable,
                    secrets,
                })
            }
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
    const VARIABLE: &str = "APP_SECRET_FILES";
    let text = env.text(VARIABLE).unwrap_or_default().to_owned();
    let entries = text
        .split(',')
        .map(str::trim)
        .filter(|entry| !entry.is_empty());
    let mut apps: Vec<App> = Vec::new();
    let mut names = vec![DEFAULT_APP, UNKNOWN_APP];
    for (number, entry) in (1..).zip(entries) {
        // Somebody may have typed secrets here: nothing is repeated that does not look like a name and a path.
        let Some((name, path)) = entry
            .split_once('=')
            .map(|(name, path)| (name.trim(), path.trim()))
            .filter(|(_, path)| !path.trim_matches('=').is_empty())
        else {
            let problem = format!("entry {number} is not of the form name=/path/to/file");
            env.problem(VARIABLE, problem);
            continue;
        };
        if let Some(problem) = name_problem(name, &names) {
            env.problem(VARIABLE, format!("entry {number}: {problem}"));
            continue;
        }
        names.push(name);
        apps.extend(app_with_file(env, VARIABLE, name, path));
    }
    if names.len() == 2 && !text.is_empty() && !env.has_problem(VARIABLE) {
        env.problem(
            VARIABLE,
            "names no app; write name=/path/to/file,…, or leave it out",
        );
    }
    apps
}

/// Why an app cannot have this name beside those `taken`, the reserved ones included.
fn name_problem(name: &str, taken: &[&str]) -> Option<String> {
    if !is_app_name(name) {
        let shown = match name.len() {
            0..=MAX_NAME => format!("`{name}`"),
            _ => "what it names".to_owned(),
        };
        return Some(format!(
            "{shown} is no app name; a name is 1 to 32 lowercase letters, digits and hyphens"
        ));
    }
    if [DEFAULT_APP, UNKNOWN_APP].contains(&name) {
        return Some(format!("`{name}` is reserved; choose another name"));
    }
    if taken.contains(&name) {
        return Some(format!("`{name}` is named twice; name each app once"));
    }
    // The journal's tags know an app by a hash of its name.
    let twin = taken
        .iter()
        .find(|other| Tag::app_hash(other) == Tag::app_hash(name))?;
    Some(format!(
        "`{name}` and `{twin}` cannot be told apart in the journal (their hashes are equal); choose another name"
    ))
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
    match file::read(&path) {
        Ok(read) => {
            if let Some(doubt) = read.doubt {
                env.warn(format!("app {name}: {doubt}"));
            }
            Some(App {
                name: name.to_owned(),
                source: SecretSource::File(path),
                secrets: read.secrets,
            })
        }
        Err(error) => {
            env.problem(variable, format!("app {name}: {error}"));
            None
        }
    }
}

fn is_app_name(name: &str) -> bool {
    (1..=MAX_NAME).contains(&name.len())
        && name
            .bytes()
            .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-')
}
