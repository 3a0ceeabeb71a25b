//! `demo`: the whole bridge on an in-process broker, fed with simulated deliveries over real HTTP.

mod bridge;
mod show;
mod tally;

use super::Exit;
use super::print::{self, errln};
use crate::domain::event::EventKind;
use crate::mock_kafka::{ConsumedRecord, MockKafka, MockTopic, TopicReader};
use crate::simulator::{Request, Simulator};
use bridge::DemoBridge;
use clap::Args;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};
use tally::Tally;

/// The bridge's topics in the demo: the defaults.
const TOPICS: [&str; 2] = ["icr.webhooks", "icr.webhooks.quarantine"];

/// Of each topic.
const PARTITIONS: i32 = 6;

/// How long a record may take to arrive before the demo says that it did not.
const ARRIVAL: Duration = Duration::from_secs(15);

#[derive(Debug, Args)]
pub(super) struct Options {
    /// Stop after so many deliveries and print a summary; exit 1 where it does not add up
    #[arg(long, value_name = "N")]
    deliveries: Option<u64>,
    /// Milliseconds between deliveries
    #[arg(long, value_name = "MS", default_value_t = 700)]
    pause: u64,
}

/// What the demo sends: a story in which everything happens once per chapter.
#[derive(Debug, Clone, Copy)]
enum Scene {
    /// A genuine delivery.
    Event(EventKind),
    /// The last transaction once more, byte for byte.
    Repeat,
    /// Signed with a wrong secret.
    Forgery,
    /// Genuine, but no JSON inside.
    Unintelligible,
}

const CHAPTER: [Scene; 12] = [
    Scene::Event(EventKind::Installed),
    Scene::Event(EventKind::OrganizationTransaction),
    Scene::Event(EventKind::WarehouseTransaction),
    Scene::Repeat,
    Scene::Forgery,
    Scene::Event(EventKind::NewPermissionsAccepted),
    Scene::Unintelligible,
    Scene::Event(EventKind::Suspended),
    Scene::Event(EventKind::Unsuspended),
    Scene::Event(EventKind::Other),
    Scene::Event(EventKind::OrganizationTransaction),
    Scene::Event(EventKind::Uninstalled),
];

pub(super) fn run(options: Options) -> Exit {
    match play(options) {
        Ok(exit) => exit,
        Err(error) => match error.downcast::<Unshown>() {
            Ok(unshown) => {
                print::note(Err(unshown.0));
                Exit::Done
            }
            Err(error) => {
                errln!("icr-bridge demo: {error}");
                Exit::Failed
            }
        },
    }
}

/// Anything that keeps the demo from being shown.
type Error = Box<dyn std::error::Error>;

/// Standard output cannot be written, or nobody reads it any more: `demo | head`.
#[derive(Debug, thiserror::Error)]
#[error("standard output: {0}")]
struct Unshown(#[from] std::io::Error);

fn play(options: Options) -> Result<Exit, Error> {
    let kafka = MockKafka::start(&TOPICS.map(|topic| MockTopic::new(topic, PARTITIONS)))?;
    let mut topics = TopicReader::open(kafka.bootstrap_servers(), &TOPICS)?;
    let bridge = DemoBridge::start(kafka.bootstrap_servers())?;
    let interrupted = bridge.interrupted();
    let shown = show::opening(&bridge)
        .map_err(|error| Unshown(error).into())
        .and_then(|()| perform(&options, &bridge, &mut topics, &interrupted));
    let metrics = bridge.metrics()?;
    let stopped = bridge.stop()?;
    let tally = shown?;
    let adds_up = tally.adds_up(&metrics, &stopped);
    show::summary(&tally, &stopped, adds_up).map_err(Unshown)?;
    Ok(if adds_up { Exit::Done } else { Exit::Failed })
}

fn perform(
    options: &Options,
    bridge: &DemoBridge,
    topics: &mut TopicReader,
    interrupted: &Arc<AtomicBool>,
) -> Result<Tally, Error> {
    let simulator = bridge.simulator();
    let mut tally = Tally::default();
    let mut last_transaction = simulator.delivery(EventKind::OrganizationTransaction, 0);
    for (number, scene) in (1..=options.deliveries.unwrap_or(u64::MAX)).zip(CHAPTER.iter().cycle())
    {
        let request = request(&simulator, *scene, story_number(number), &last_transaction);
        if matches!(scene, Scene::Event(kind) if kind.is_transaction()) {
            last_transaction = request.clone();
        }
        let answer = bridge.deliver(&request)?;
        let record = match answer.stored_id() {
            Some(id) => arrival(topics, id)?,
            None => None,
        };
        show::delivery(number, *scene, &answer, record.as_ref()).map_err(Unshown)?;
        tally.count(&answer, record.as_ref());
        wait(Duration::from_millis(options.pause), interrupted);
        if interrupted.load(Ordering::Acquire) {
            break;
        }
    }
    Ok(tally)
}

/// A number of its own for each step, such that a chapter is the story of one organization: they take turns by the number.
fn story_number(step: u64) -> u64 {
    let chapter = (step - 1) / CHAPTER.len() as u64;
    step * bridge::ORGANIZATIONS + chapter % bridge::ORGANIZATIONS
}

/// The record of a delivery, as a consumer gets it.
fn arrival(topics: &mut TopicReader, id: &str) -> Result<Option<ConsumedRecord>, Error> {
    let deadline = Instant::now() + ARRIVAL;
    while let Some(record) = topics.next(deadline.saturating_duration_since(Instant::now()))? {
        if record.header("ce_id") == Some(id) {
            return Ok(Some(record));
        }
    }
    Ok(None)
}

fn request(
    simulator: &Simulator,
    scene: Scene,
    number: u64,
    last_transaction: &Request,
) -> Request {
    match scene {
        Scene::Event(kind) => simulator.delivery(kind, number),
        Scene::Repeat => last_transaction.clone(),
        Scene::Forgery => simulator.forged(EventKind::Installed, number),
        Scene::Unintelligible => simulator.unintelligible(number),
    }
}

/// A pause that Ctrl-C ends.
fn wait(pause: Duration, interrupted: &AtomicBool) {
    const STEP: Duration = Duration::from_millis(20);
    let mut left = pause;
    while !left.is_zero() && !interrupted.load(Ordering::Acquire) {
        std::thread::sleep(left.min(STEP));
        left = left.saturating_sub(STEP);
    }
}
