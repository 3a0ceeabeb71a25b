//! Who may use what the admin listener offers beyond metrics and probes.

use super::environment::Environment;
use crate::domain::signature::{SecretSet, secret_lines};
use crate::secrets::file;
use std::path::PathBuf;

/// Access to the admin listener beyond `/metrics`, `/healthz` and `/readyz`.
#[derive(Debug, Clone, Default)]
pub struct AdminAccess {
    /// The tokens at start; `None` where none is asked for, and so nobody but this machine is served.
    pub tokens: Option<SecretSet>,
    /// The file to read them from again, where they came from one.
    pub file: Option<PathBuf>,
    /// Names by which the listener may be addressed, lower case, beside `localhost` and addresses.
    pub hosts: Vec<String>,
}

/// Reads the settings; every problem goes to `env`. Fails closed: what was meant to be a token and is none does not start.
pub(super) fn read(env: &mut Environment) -> AdminAccess {
    let variable = env.typed("ADMIN_TOKEN").map(str::to_owned);
    let file = env.typed("ADMIN_TOKEN_FILE").map(PathBuf::from);
    let tokens = match (&variable, &file) {
        (None, None) => None,
        (Some(_), Some(_)) => {
            env.problem(
                "ADMIN_TOKEN",
                "is set together with ADMIN_TOKEN_FILE; set one of them",
            );
            None
        }
        (Some(token), None) => tokens(env, "ADMIN_TOKEN", token.as_bytes()),
        (None, Some(path)) => match file::contents(path) {
            Ok(contents) => tokens(env, "ADMIN_TOKEN_FILE", &contents),
            Err(error) => {
                env.problem("ADMIN_TOKEN_FILE", error.to_string());
                None
            }
        },
    };
    AdminAccess {
        tokens,
        file,
        hosts: hosts(env),
    }
}

/// One token a line: the first current, the others still accepted.
fn tokens(env: &mut Environment, variable: &'static str, contents: &[u8]) -> Option<SecretSet> {
    let sendable = |token: &[u8]| token.iter().all(u8::is_ascii_graphic);
    if !secret_lines(contents).all(sendable) {
        env.problem(
            variable,
            "holds a character that cannot stand in an Authorization header (a space, perhaps at the end?); make one with `openssl rand -hex 32`",
        );
        return None;
    }
    let set = SecretSet::from_file(contents);
    set.map_err(|_| env.problem(variable, "is empty; make one with `openssl rand -hex 32`"))
        .ok()
}

fn hosts(env: &mut Environment) -> Vec<String> {
    let text = env.text("ADMIN_HOSTS").unwrap_or_default().to_owned();
    let names = text
        .split(',')
        .map(str::trim)
        .filter(|name| !name.is_empty());
    names
        .filter_map(|name| {
            let sound = name
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_'));
            if !sound {
                env.problem(
                    "ADMIN_HOSTS",
                    format!("`{name}` is no host name; leave out scheme, port and wildcards"),
                );
            }
            sound.then(|| name.to_ascii_lowercase())
        })
        .collect()
}
