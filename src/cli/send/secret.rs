//! Where the secret comes from. Messages name neither a value nor what may be one: somebody may have typed the secret itself.

use super::SendError;
use super::options::Secret;
use crate::config::{self, DEFAULT_APP, Variables};
use crate::domain::signature::SecretSet;
use crate::load::Target;
use crate::secrets::file;
use std::ffi::OsStr;

/// The secret that signs deliveries to `target`.
pub(super) fn find(
    options: &Secret,
    target: &Target,
    variables: Variables,
) -> Result<SecretSet, SendError> {
    if let Some(path) = &options.secret_file {
        return file::read(path)
            .map(|read| read.secrets)
            .map_err(|error| SendError::Usage(format!("--secret-file: {error}")));
    }
    if let Some(name) = &options.secret_env {
        return of_variable(name, &variables).map_err(SendError::Usage);
    }
    let app = app_of(target);
    let found = config::secrets_of(variables, app).map_err(SendError::Config)?;
    found.ok_or_else(|| SendError::Usage(missing(app)))
}

fn of_variable(name: &str, variables: &Variables) -> Result<SecretSet, String> {
    let value = variables
        .iter()
        .find(|(known, _)| known == OsStr::new(name))
        .map(|(_, value)| value)
        .ok_or("--secret-env: no variable of this name is set; give the name of the variable, not the secret, and export it")?;
    let value = value
        .to_str()
        .ok_or("--secret-env: the variable is not UTF-8")?;
    SecretSet::single(value.as_bytes()).map_err(|_| {
        "--secret-env: the variable is empty; set it to the secret exactly as typed at ICR"
            .to_owned()
    })
}

/// The app that a URL of the bridge means: `/webhook/<app>`, behind whatever prefix a proxy takes away.
fn app_of(target: &Target) -> &str {
    match target.path().rsplit_once("/webhook/") {
        Some((_, app)) if !app.is_empty() && !app.contains('/') => app,
        _ => DEFAULT_APP,
    }
}

fn missing(app: &str) -> String {
    let ways = "give --secret-file FILE or --secret-env NAME";
    if app == DEFAULT_APP {
        format!(
            "there is no secret to sign with; {ways}, or set ICR_BRIDGE_WEBHOOK_SECRET_FILE or ICR_BRIDGE_WEBHOOK_SECRET"
        )
    } else {
        format!(
            "there is no secret to sign with for the app `{app}`; {ways}, or set ICR_BRIDGE_APP_SECRET_FILES={app}=FILE"
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_app_is_what_follows_webhook_in_the_url() {
        for (path, app) in [
            ("/webhook", "default"),
            ("/webhook/", "default"),
            ("/webhook/sandbox", "sandbox"),
            ("/icr/webhook/sandbox", "sandbox"),
            ("/webhook/a/b", "default"),
            ("/hooks/icr", "default"),
        ] {
            let target = Target::parse(&format!("http://h{path}")).unwrap();
            assert_eq!(app_of(&target), app, "{path}");
        }
    }
}
