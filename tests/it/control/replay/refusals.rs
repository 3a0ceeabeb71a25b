//! When a replay does not, or not at once, go through.

use super::*;

fn serving(journal: &Path, kafka: &MockKafka, count: u64) -> (Serving, Vec<String>) {
    let bridge = Serving::start(journal, &[("KAFKA_BROKERS", kafka.bootstrap_servers())]);
    let ids = accept_transactions(&bridge, 0..count);
    until_published(&bridge);
    (bridge, ids)
}

/// Until a replay of a trickle has published something.
fn until_it_runs(bridge: &Serving) {
    eventually("the replay is under way", || {
        (bridge.metrics().value("records_replayed_total") > 0.0).then_some(())
    });
}

/// Two chunks, of which the second waits for a minute.
const SLOW: [&str; 3] = ["--all", "--rate", "5"];

#[test]
fn a_second_replay_is_refused_while_one_is_under_way_and_a_count_is_not() {
    let (dir, kafka) = (tempfile::tempdir().unwrap(), kafka());
    let (bridge, _) = serving(dir.path(), &kafka, 300);
    let first = start(dir.path(), &SLOW);
    until_it_runs(&bridge);
    let (code, text) = said(&on(dir.path(), &["replay", "--all"]));
    assert_eq!(code, 1, "{text}");
    assert!(
        text.contains("a replay is under way") && text.contains("of 300"),
        "{text}"
    );
    let counted = json(&on(dir.path(), &["replay", "--all", "--dry-run", "--json"]));
    assert_eq!(counted["selected"], 300);
    interrupt(&first);
    finish(first);
    let output = on(dir.path(), &["replay", "--outcome", "quarantined"]);
    assert_eq!(said(&output).0, 0, "the way is free again");
}

#[test]
fn an_interrupted_replay_ends_in_the_bridge_and_says_how_far_it_came() {
    let (dir, kafka) = (tempfile::tempdir().unwrap(), kafka());
    let (bridge, _) = serving(dir.path(), &kafka, 300);
    let replay = start(dir.path(), &SLOW);
    until_it_runs(&bridge);
    interrupt(&replay);
    let output = finish(replay);
    assert_eq!(output.status.code(), Some(1));
    let summary = json(&output);
    assert_eq!(
        (&summary["end"], &summary["selected"]),
        (&"cancelled".into(), &300.into())
    );
    let done = summary["published"].as_u64().unwrap();
    assert!((1..300).contains(&done), "{summary}");
    assert_eq!(
        split(read(&kafka, MAIN, 300 + done as usize)).0.len() as u64,
        done
    );
    assert_eq!(ledger(dir.path()), [300, 300, 0, 0, 0]);
    assert_eq!(
        said(&on(dir.path(), &["replay", "--event", "installed"])).0,
        0
    );
}

#[test]
fn a_replay_whose_command_is_killed_ends_as_well() {
    let (dir, kafka) = (tempfile::tempdir().unwrap(), kafka());
    let (bridge, _) = serving(dir.path(), &kafka, 300);
    let mut replay = start(dir.path(), &SLOW);
    until_it_runs(&bridge);
    replay.kill().unwrap();
    replay.wait().unwrap();
    eventually("the way is free", || {
        (said(&on(dir.path(), &["replay", "--event", "installed"])).0 == 0).then_some(())
    });
    eventually("the log says so", || {
        let told = |line: &String| line.contains("replay cancelled");
        bridge.log().iter().any(told).then_some(())
    });
}

#[test]
fn a_bridge_that_leaves_ends_a_replay_in_order() {
    let (dir, kafka) = (tempfile::tempdir().unwrap(), kafka());
    let (bridge, _) = serving(dir.path(), &kafka, 300);
    let replay = start(dir.path(), &SLOW);
    until_it_runs(&bridge);
    assert_eq!(bridge.terminate().code(), Some(0));
    let output = finish(replay);
    assert_eq!(output.status.code(), Some(1));
    assert_eq!(json(&output)["end"], "leaving");
    assert_eq!(ledger(dir.path()), [300, 300, 0, 0, 0]);
}

#[test]
fn while_kafka_is_away_a_replay_waits_and_says_so_and_goes_on() {
    let (dir, kafka) = (tempfile::tempdir().unwrap(), kafka());
    let (bridge, ids_of_all) = serving(dir.path(), &kafka, 20);
    kafka
        .with(|cluster| cluster.broker_down(1))
        .unwrap()
        .unwrap();
    let mut replay = start(dir.path(), &["--all"]);
    let stderr = replay.stderr.take().unwrap();
    let mut lines = std::io::BufRead::lines(std::io::BufReader::new(stderr));
    let told = lines.find(|line| line.as_ref().unwrap().contains("no broker answers"));
    assert!(told.is_some());
    assert_eq!(replay.try_wait().unwrap(), None);
    // Live deliveries are accepted all the same, and come first.
    accept_transactions(&bridge, 20..25);
    kafka.with(|cluster| cluster.broker_up(1)).unwrap().unwrap();
    let output = finish(replay);
    assert_eq!(output.status.code(), Some(0));
    assert_eq!(json(&output)["published"], 20);
    let (replayed, first) = split(read(&kafka, MAIN, 45));
    assert_eq!((ids(&replayed), first.len()), (sorted(ids_of_all), 25));
}

#[test]
fn while_kafka_is_away_a_replay_can_be_cancelled() {
    let (dir, kafka) = (tempfile::tempdir().unwrap(), kafka());
    let (_bridge, _) = serving(dir.path(), &kafka, 3);
    kafka
        .with(|cluster| cluster.broker_down(1))
        .unwrap()
        .unwrap();
    let mut replay = start(dir.path(), &["--all"]);
    let mut byte = [0; 1];
    std::io::Read::read_exact(replay.stderr.as_mut().unwrap(), &mut byte).unwrap();
    interrupt(&replay);
    let output = finish(replay);
    let summary = json(&output);
    assert_eq!(
        (&summary["end"], &summary["published"]),
        (&"cancelled".into(), &0.into())
    );
}

#[test]
fn a_topic_that_is_missing_ends_a_replay_with_a_word() {
    let (dir, kafka) = (tempfile::tempdir().unwrap(), kafka());
    let (bridge, _) = serving(dir.path(), &kafka, 3);
    bridge.terminate();
    let settings = [
        ("JOURNAL_DIR", dir.path().to_str().unwrap()),
        ("KAFKA_BROKERS", kafka.bootstrap_servers()),
        ("KAFKA_TOPIC", "elsewhere"),
    ];
    let (code, text) = said(&run(&["replay", "--all"], &settings));
    assert_eq!(code, 1, "{text}");
    assert!(
        text.contains("topic elsewhere") && text.contains("0 of 3"),
        "{text}"
    );
    assert_eq!(ledger(dir.path()), [3, 3, 0, 0, 0]);
}

#[test]
fn what_is_pending_is_left_to_its_turn() {
    let dir = tempfile::tempdir().unwrap();
    let bridge = Serving::start(dir.path(), &[NO_KAFKA]);
    accept_transactions(&bridge, 0..3);
    let (code, text) = said(&on(dir.path(), &["replay", "--all"]));
    assert_eq!(code, 0, "{text}");
    assert!(
        text.contains("0 of 0") && text.contains("3  skipped: still to be published"),
        "{text}"
    );
}

#[test]
fn damage_in_the_journal_is_told_and_the_rest_is_replayed() {
    let (dir, kafka) = (tempfile::tempdir().unwrap(), kafka());
    let (bridge, _) = serving(dir.path(), &kafka, 50);
    bridge.terminate();
    let segment = dir.path().join(format!("{:020}.log", 1));
    let mut bytes = std::fs::read(&segment).unwrap();
    let at = bytes
        .windows(10)
        .position(|part| part == b"signedData")
        .unwrap();
    bytes[at] ^= 1;
    std::fs::write(&segment, bytes).unwrap();
    let bridge = Serving::start(dir.path(), &[("KAFKA_BROKERS", kafka.bootstrap_servers())]);
    let output = on(dir.path(), &["replay", "--all", "--json"]);
    let summary = json(&output);
    assert_eq!(output.status.code(), Some(1), "{summary}");
    assert_eq!(
        (&summary["published"], &summary["missing"]),
        (&49.into(), &1.into())
    );
    drop(bridge);
}
