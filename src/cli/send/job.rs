//! From the command line to something that can be run: everything is checked before the first delivery goes.

use super::SendError;
use super::captured;
use super::events::{Events, What};
use super::options::{Options, Shares};
use super::secret;
use super::turns::Turns;
use crate::cli::print::errln;
use crate::config::Variables;
use crate::domain::event::EventKind;
use crate::domain::json;
use crate::load::{Pace, Plan};
use crate::simulator::Simulator;
use std::io::Read;
use std::path::Path;
use std::sync::Arc;
use uuid::Uuid;

/// How many organizations take turns: a prime, so that each meets every event.
const ORGANIZATIONS: u64 = 97;

/// So many deliveries, and so many a second, may go to another machine without being asked for by name.
const REMOTE_LIMIT: u64 = 100;

/// Connections of a closed loop.
const CLOSED_CONCURRENCY: u16 = 16;

/// Connections of an open loop: more, since a stall must not slow it.
const OPEN_CONCURRENCY: u16 = 256;

/// What to do, checked.
pub(super) struct Job {
    pub(super) plan: Plan,
    pub(super) source: What,
    /// One delivery, whose answer is shown.
    pub(super) single: bool,
}

impl Job {
    pub(super) fn prepare(options: &Options, variables: Variables) -> Result<Self, SendError> {
        options.check().map_err(SendError::Usage)?;
        let target = options.target().map_err(SendError::Usage)?;
        let mut plan = Plan {
            pace: options
                .load
                .rate
                .map_or(Pace::Closed, |rate| Pace::Open { rate }),
            count: options.count(),
            duration: options.load.duration,
            concurrency: concurrency(options).into(),
            timeout: options.load.timeout,
            ..Plan::new(target)
        };
        let source = if options.what.fixture.is_some() {
            // How many it holds is known once it is read.
            captured(options, &plan, variables)?
        } else {
            check_remote(options, &plan)?;
            simulated(options, &plan, variables)?
        };
        if let What::Captured(captured) = &source {
            plan.count = Some(captured.len() as u64);
        }
        check_remote(options, &plan)?;
        Ok(Self {
            single: options.is_single(),
            plan,
            source,
        })
    }

    /// Whether each delivery is shown with its name.
    pub(super) fn is_captured(&self) -> bool {
        matches!(self.source, What::Captured(_))
    }
}

fn concurrency(options: &Options) -> u16 {
    let default = if options.is_single() || options.what.fixture.is_some() {
        1
    } else if options.load.rate.is_some() {
        OPEN_CONCURRENCY
    } else {
        CLOSED_CONCURRENCY
    };
    options.load.concurrency.unwrap_or(default)
}

/// Load goes to another machine only where that is meant.
fn check_remote(options: &Options, plan: &Plan) -> Result<(), SendError> {
    let many = plan.total().is_none_or(|total| total > REMOTE_LIMIT);
    let fast = options
        .load
        .rate
        .is_some_and(|rate| rate > REMOTE_LIMIT as f64);
    if plan.target.is_loopback() || options.load.allow_remote_load || !(many || fast) {
        return Ok(());
    }
    Err(SendError::Usage(format!(
        "this may be more than {REMOTE_LIMIT} deliveries, or more than {REMOTE_LIMIT} a second, to another machine ({}); add --allow-remote-load if that is meant, or lower --count and --rate",
        plan.target
    )))
}

fn simulator(options: &Options, plan: &Plan, variables: Variables) -> Result<Simulator, SendError> {
    let secrets = secret::find(&options.secret, &plan.target, variables)?;
    let (_, run) = Uuid::now_v7().as_u64_pair();
    Ok(Simulator::new(secrets, ORGANIZATIONS, run))
}

fn captured(options: &Options, plan: &Plan, variables: Variables) -> Result<What, SendError> {
    let text = read("--fixture", options.what.fixture.as_deref())?;
    let mut captured = captured::read(&text, &options.what.name)?;
    if options.what.re_sign {
        let simulator = simulator(options, plan, variables)?;
        captured = captured
            .into_iter()
            .map(|captured| captured.re_signed(&simulator))
            .collect::<Result<_, _>>()?;
    }
    Ok(What::Captured(Arc::new(captured)))
}

fn simulated(options: &Options, plan: &Plan, variables: Variables) -> Result<What, SendError> {
    let payload = options.what.payload.as_deref();
    let text = payload
        .map(|path| read("--payload", Some(path)))
        .transpose()?;
    let simulator = simulator(options, plan, variables)?;
    match text {
        Some(text) => signed(options, simulator, text.trim()).map_err(SendError::Usage),
        None => events(options, simulator).map_err(SendError::Usage),
    }
}

fn signed(options: &Options, simulator: Simulator, text: &str) -> Result<What, String> {
    if let Err(error) = serde_json::from_str::<serde::de::IgnoredAny>(text) {
        return Err(format!(
            "--payload: this is not JSON ({error}); ICR signs a JSON object, such as {{\"event\": \"installed\", …}}"
        ));
    }
    if options.is_single() {
        return Ok(What::Payload(Arc::new(simulator.sign_json(text))));
    }
    if !json::is_object(text) {
        return Err("--payload: as load it must be a JSON object, so that each delivery can have a `state` of its own; leave --count, --rate and --duration away to send it once".to_owned());
    }
    Ok(What::Payloads(Arc::new((simulator, text.to_owned()))))
}

fn events(options: &Options, simulator: Simulator) -> Result<What, String> {
    let known = || {
        EventKind::ALL
            .iter()
            .filter(|kind| **kind != EventKind::Other)
    };
    let names = match &options.what.event {
        Some(name) => vec![name.clone()],
        None => known().map(|kind| kind.label().to_owned()).collect(),
    };
    if let Some(name) = options
        .what
        .event
        .as_deref()
        .filter(|name| EventKind::of(name) == EventKind::Other)
    {
        let meant = known().find(|kind| kind.label().eq_ignore_ascii_case(name));
        let meant = meant.map(|kind| format!("; did you mean {}?", kind.label()));
        errln!(
            "note: `{name}` is none of ICR's seven events; a bridge publishes it as an unknown one{}",
            meant.unwrap_or_default()
        );
    }
    let simulator = match options.what.size {
        Some(size) => sized(simulator, &names, size)?,
        None => simulator,
    };
    let turns = Turns::new(&options.shares);
    let Shares { repeat, .. } = options.shares;
    Ok(What::Events(Arc::new(Events::new(
        simulator,
        names,
        turns,
        repeat > 0,
    ))))
}

/// Bodies of this size, if they can be so short.
fn sized(simulator: Simulator, names: &[String], size: usize) -> Result<Simulator, String> {
    let natural = |name: &String| simulator.named(name, u64::from(u32::MAX)).body.len();
    let least = names.iter().map(natural).max().unwrap_or_default();
    if size < least {
        return Err(format!(
            "--size {size} is too small: a body takes up to {least} bytes anyway"
        ));
    }
    Ok(simulator.with_body_bytes(size))
}

fn read(option: &str, path: Option<&Path>) -> Result<String, SendError> {
    let path = path.unwrap_or(Path::new("-"));
    let mut bytes = Vec::new();
    let read = if path == Path::new("-") {
        std::io::stdin().lock().read_to_end(&mut bytes)
    } else {
        std::fs::File::open(path).and_then(|mut file| file.read_to_end(&mut bytes))
    };
    read.map_err(|error| SendError::Io(format!("{option} {}: {error}", path.display())))?;
    String::from_utf8(bytes)
        .map_err(|error| SendError::Usage(format!("{option}: this is not UTF-8 ({error})")))
}
