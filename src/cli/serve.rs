//! `serve`: the bridge, until a signal.

use super::{Exit, explain};
use crate::app::{Bridge, Listeners, StartError};
use crate::config::{self, Config, ConfigError, Variables};
use crate::handover::{self, HandedOver};
use crate::publisher;
use crate::shutdown::Signals;
use crate::supervision;
use crate::telemetry;
use crate::version::{REVISION, VERSION};
use std::time::Duration;

/// How long the rest may take once a part has ended that the bridge cannot do without.
const BROKEN: Duration = Duration::from_secs(10);

pub(super) fn run(variables: Variables) -> Exit {
    supervision::listen_for_panics();
    let _flush = telemetry::start_apart(&config::log_settings(variables.clone()));
    // SAFETY: this is the process's beginning, and the only call.
    let handed_over = unsafe { handover::take(&variables) };
    let (config, handed_over) = match (Config::read(variables), handed_over) {
        (Ok(config), Ok(handed_over)) => (config, handed_over),
        (Ok(_), Err(problem)) => return explain(&ConfigError(vec![problem])),
        (Err(mut error), handed_over) => {
            error.0.extend(handed_over.err());
            return explain(&error);
        }
    };
    for (name, nearest) in &config.unknown {
        let hint = nearest
            .as_ref()
            .map(|nearest| format!("; did you mean {nearest}?"))
            .unwrap_or_default();
        tracing::warn!(
            variable = name,
            "{name} is no setting and has no effect{hint}"
        );
    }
    for warning in &config.warnings {
        tracing::warn!("{warning}");
    }
    let system = actix_web::rt::System::new();
    let exit = system.block_on(serve(config, handed_over));
    if matches!(exit, Exit::AtOnce | Exit::Broken) {
        // Dropping the runtime would wait for what is not to be waited for.
        std::mem::forget(system);
    }
    exit
}

async fn serve(config: Config, handed_over: HandedOver) -> Exit {
    let (mut signals, bridge) = match start(config, handed_over).await {
        Ok(started) => started,
        Err(error) => {
            tracing::error!("{error}");
            return exit_of(&error);
        }
    };
    let signal = tokio::select! {
        signal = signals.leave(|| bridge.reload_secrets()) => signal,
        why = bridge.ended() => {
            tracing::error!(
                "{why}; the bridge ends, so that a service manager can start it again. What was answered 202 is on disk"
            );
            // What still works finishes its work.
            if tokio::time::timeout(BROKEN, bridge.stop()).await.is_err() {
                tracing::warn!("not everything has ended within {BROKEN:?}");
            }
            return Exit::Broken;
        }
    };
    tracing::info!("{signal}: leaving in order; a second signal leaves at once");
    let mut stop = Box::pin(bridge.stop());
    tokio::select! {
        () = &mut stop => {
            tracing::info!("left in order");
            Exit::Done
        }
        signal = signals.leave(|| {}) => {
            tracing::warn!("{signal} again: leaving at once; the journal holds what is not published");
            std::mem::forget(stop);
            Exit::AtOnce
        }
    }
}

async fn start(config: Config, handed_over: HandedOver) -> Result<(Signals, Bridge), StartError> {
    let signals = Signals::new()?;
    let listeners = Listeners::take(&config, handed_over)?;
    let (ingress, admin) = (
        listeners.ingress.local_addr()?,
        listeners.admin.local_addr()?,
    );
    let (topic, brokers) = (
        config.record.topic.text().to_owned(),
        config.kafka.brokers.clone(),
    );
    let journal = config.journal.dir.display().to_string();
    let scheme = config.http.tls.as_ref().map_or("http", |_| "https");
    let bridge = Bridge::start(config, listeners)?;
    bridge.up().await?;
    tracing::info!(
        "icr-bridge {VERSION} ({REVISION}) listens on {scheme}://{ingress}/webhook, admin on http://{admin}/metrics; journal {journal}; topic {topic} at {brokers}"
    );
    Ok((signals, bridge))
}

fn exit_of(error: &StartError) -> Exit {
    match error {
        StartError::Journal(error) => Exit::from(error),
        StartError::Bind { .. } | StartError::Io(_) => Exit::Io,
        StartError::Publisher(publisher::StartError::Properties(_)) => Exit::Usage,
        StartError::Publisher(publisher::StartError::Thread(_))
        | StartError::Descriptors(_)
        | StartError::Metrics(_) => Exit::Failed,
    }
}
