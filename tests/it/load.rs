//! The load engine against endpoints that answer, stall, refuse and break off.

use crate::support::app::{SECRET, TestApp};
use crate::support::endpoint::{ACCEPTED, ACCEPTED_AND_CLOSED, Endpoint, Nobody, Reply};
use icr_bridge::domain::event::EventKind;
use icr_bridge::domain::signature::SecretSet;
use icr_bridge::load::{
    Delivery, Fate, NoAnswer, Observer, Pace, Plan, Stop, Summary, Target, run,
};
use icr_bridge::simulator::Simulator;
use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// Transactions of their own run, each with its number as its tag.
fn transactions(run: u64) -> impl Fn(u64) -> Option<Delivery<u64>> + Send + Sync + 'static {
    let simulator = Simulator::new(SecretSet::single(SECRET.as_bytes()).unwrap(), 5, run);
    move |number| {
        let request = simulator.delivery(EventKind::OrganizationTransaction, number);
        Some(Delivery::of(request, number))
    }
}

fn plan(url: &str) -> Plan {
    Plan::new(Target::parse(url).unwrap())
}

/// Keeps every fate.
#[derive(Clone, Default)]
struct Fates(Arc<Mutex<Vec<Fate<u64>>>>, Arc<Mutex<Vec<u64>>>);

impl Observer<u64> for Fates {
    fn fate(&self, fate: Fate<u64>) {
        self.0.lock().unwrap().push(fate);
    }

    fn unsent(&self, number: u64, _: Instant) {
        self.1.lock().unwrap().push(number);
    }
}

impl Fates {
    fn sent(&self) -> Vec<Fate<u64>> {
        let mut fates = self.0.lock().unwrap().clone();
        fates.sort_by_key(|fate| fate.number);
        fates
    }

    fn numbers(&self) -> Vec<u64> {
        self.sent().iter().map(|fate| fate.number).collect()
    }

    fn unsent(&self) -> Vec<u64> {
        let mut numbers = self.1.lock().unwrap().clone();
        numbers.sort_unstable();
        numbers
    }
}

/// Runs aside, so that the test can act meanwhile.
fn started(plan: Plan, fates: &Fates, stop: &Stop) -> JoinHandle<Summary> {
    let (fates, stop) = (fates.clone(), stop.clone());
    std::thread::spawn(move || run(plan, transactions(7), fates, &stop).unwrap())
}

#[test]
fn every_delivery_of_a_closed_loop_is_answered_and_told_once() {
    let app = TestApp::start(&[]);
    let fates = Fates::default();
    let plan = Plan {
        count: Some(300),
        concurrency: 8,
        ..plan(&format!("http://{}/webhook", app.ingress))
    };
    let summary = run(plan, transactions(1), fates.clone(), &Stop::default()).unwrap();
    assert_eq!((summary.status(202), summary.word("accepted")), (300, 300));
    assert_eq!((summary.deliveries(), summary.unanswered()), (300, 0));
    assert_eq!(fates.numbers(), (0..300).collect::<Vec<_>>());
    let sent = fates.sent();
    assert!(
        sent.iter()
            .all(|fate| fate.tag == fate.number && fate.scheduled == fate.sent)
    );
    let ids: BTreeSet<_> = sent
        .iter()
        .map(|fate| fate.outcome.answer().unwrap().id().unwrap())
        .collect();
    assert_eq!(ids.len(), 300, "every delivery is stored on its own");
    assert!(summary.latency(0.5) > Duration::ZERO && summary.latency(0.5) <= summary.latency(1.0));
    assert_eq!(app.stop().accepted, 300);
}

#[test]
fn an_open_loop_keeps_its_schedule_while_the_server_stalls() {
    let endpoint = Endpoint::start(|_| Reply::Gated(ACCEPTED));
    let fates = Fates::default();
    let plan = Plan {
        pace: Pace::Open { rate: 200.0 },
        count: Some(40),
        concurrency: 4,
        ..plan(&endpoint.url())
    };
    let running = started(plan, &fates, &Stop::default());
    endpoint.wait_for_requests(4);
    // All 40 are due within 200 ms; four are stuck, and the others have no connection.
    std::thread::sleep(Duration::from_millis(300));
    assert_eq!(endpoint.requests(), 4);
    endpoint.open_gate();
    let summary = running.join().unwrap();
    assert_eq!((summary.status(202), summary.deliveries()), (40, 40));
    let sent = fates.sent();
    let start = sent[0].scheduled;
    for fate in &sent {
        let due = Duration::from_secs_f64(fate.number as f64 / 200.0);
        assert_eq!(fate.scheduled - start, due, "the schedule is fixed");
        let stalled = Duration::from_millis(300).saturating_sub(due);
        assert!(
            fate.latency >= stalled,
            "{}: {:?}",
            fate.number,
            fate.latency
        );
        assert!(fate.latency >= fate.sent - fate.scheduled);
    }
    // The last was due 195 ms after the first: with the stall of 300 ms every one took more than 100 ms.
    assert!(summary.latency(0.01) >= Duration::from_millis(100));
    assert_eq!(endpoint.connections(), 4, "no more than the plan allows");
}

#[test]
fn what_no_connection_was_free_for_until_the_end_is_counted_as_unsent() {
    let endpoint = Endpoint::start(|_| Reply::Gated(ACCEPTED));
    let fates = Fates::default();
    let plan = Plan {
        pace: Pace::Open { rate: 100.0 },
        duration: Some(Duration::from_millis(200)),
        concurrency: 2,
        ..plan(&endpoint.url())
    };
    let running = started(plan, &fates, &Stop::default());
    endpoint.wait_for_requests(2);
    std::thread::sleep(Duration::from_millis(300));
    endpoint.open_gate();
    let summary = running.join().unwrap();
    assert_eq!((summary.status(202), summary.unsent), (2, 18));
    assert_eq!(summary.deliveries(), 20);
    assert_eq!(fates.unsent(), (2..20).collect::<Vec<_>>());
}

#[test]
fn every_way_of_getting_no_answer_has_its_name() {
    type Case = (Reply, NoAnswer);
    let cases: [Case; 4] = [
        (Reply::Reset, NoAnswer::Reset),
        (Reply::Last(""), NoAnswer::Closed),
        (
            Reply::Last("HTTP/1.1 202 Accepted\r\ncontent-length: 51\r\n\r\n{"),
            NoAnswer::Closed,
        ),
        (Reply::Last("SSH-2.0-OpenSSH_9.6\r\n"), NoAnswer::NotHttp),
    ];
    let sent = |url: &str, timeout: Duration| {
        let plan = Plan {
            count: Some(3),
            timeout,
            ..plan(url)
        };
        run(plan, transactions(1), (), &Stop::default()).unwrap()
    };
    let long = Duration::from_secs(30);
    let only = |summary: &Summary, reason: NoAnswer| {
        assert_eq!(summary.no_answer.get(&reason), Some(&3), "{summary:?}");
        assert_eq!((summary.unanswered(), summary.answered()), (3, 0));
    };
    for (reply, reason) in cases {
        let endpoint = Endpoint::start(move |_| reply.clone());
        only(&sent(&endpoint.url(), long), reason);
    }
    only(&sent(&Nobody::new().url(), long), NoAnswer::Refused);
    // Too long for a name: nobody need be asked.
    let nameless = format!("http://{}/", "n".repeat(64));
    only(&sent(&nameless, long), NoAnswer::Unresolved);
    let stalls = Endpoint::start(|_| Reply::Gated(ACCEPTED));
    only(
        &sent(&stalls.url(), Duration::from_millis(50)),
        NoAnswer::Timeout,
    );
}

#[test]
fn what_is_sent_is_never_sent_again_by_itself() {
    let endpoint = Endpoint::start(|number| match number % 3 {
        0 => Reply::Bytes(ACCEPTED),
        1 => Reply::Last(ACCEPTED_AND_CLOSED),
        _ => Reply::Reset,
    });
    let plan = Plan {
        count: Some(30),
        ..plan(&endpoint.url())
    };
    let summary = run(plan, transactions(1), (), &Stop::default()).unwrap();
    assert_eq!(endpoint.requests(), 30);
    assert_eq!((summary.status(202), summary.unanswered()), (20, 10));
}

#[test]
fn stopping_waits_for_what_is_under_way_and_stopping_at_once_does_not() {
    for at_once in [false, true] {
        let endpoint = Endpoint::start(|_| Reply::Gated(ACCEPTED));
        let (fates, stop) = (Fates::default(), Stop::default());
        let plan = Plan {
            concurrency: 3,
            ..plan(&endpoint.url())
        };
        let running = started(plan, &fates, &stop);
        endpoint.wait_for_requests(3);
        stop.stop();
        if at_once {
            stop.at_once();
        } else {
            endpoint.open_gate();
        }
        let summary = running.join().unwrap();
        let given_up = summary
            .no_answer
            .get(&NoAnswer::GivenUp)
            .copied()
            .unwrap_or_default();
        let expected = if at_once { (0, 3) } else { (3, 0) };
        assert_eq!((summary.status(202), given_up), expected);
        assert_eq!((summary.deliveries(), endpoint.requests()), (3, 3));
    }
}

#[test]
fn a_closed_loop_ends_with_its_duration() {
    let endpoint = Endpoint::start(|_| Reply::Bytes(ACCEPTED));
    let (started, fates) = (Instant::now(), Fates::default());
    let plan = Plan {
        duration: Some(Duration::from_millis(200)),
        concurrency: 2,
        ..plan(&endpoint.url())
    };
    let summary = run(plan, transactions(1), fates.clone(), &Stop::default()).unwrap();
    assert!(started.elapsed() >= Duration::from_millis(200));
    assert!(summary.deliveries() > 2 && summary.status(202) == summary.deliveries());
    let end = started + Duration::from_secs(30);
    assert!(fates.sent().iter().all(|fate| fate.sent < end));
    assert_eq!(
        (summary.unsent, endpoint.requests()),
        (0, summary.deliveries())
    );
}

#[test]
fn a_source_that_has_no_more_ends_the_run() {
    let endpoint = Endpoint::start(|_| Reply::Bytes(ACCEPTED));
    let all = transactions(1);
    let source = move |number| (number < 5).then(|| all(number)).flatten();
    let plan = Plan {
        concurrency: 3,
        ..plan(&endpoint.url())
    };
    let summary = run(plan, source, (), &Stop::default()).unwrap();
    assert_eq!((summary.status(202), endpoint.requests()), (5, 5));
}

#[test]
fn a_panic_of_the_source_is_not_swallowed() {
    let endpoint = Endpoint::start(|_| Reply::Bytes(ACCEPTED));
    let url = endpoint.url();
    let source = |_| -> Option<Delivery<()>> { panic!("no more ideas") };
    let ended = std::thread::spawn(move || run(plan(&url), source, (), &Stop::default()));
    assert!(ended.join().is_err());
}
