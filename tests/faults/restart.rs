//! SIGTERM and a new start under load, the socket the bridge's own: only those who come while no process listens are refused.

use crate::harness::load::{Fate, Plan};
use crate::harness::{Excuse, Fault};
use icr_bridge::load::NoAnswer;
use std::time::{Duration, Instant};

/// Refusals further apart than this belong to different restarts.
const APART: Duration = Duration::from_millis(300);

pub const FAULT: Fault = Fault {
    name: "restart",
    title: "SIGTERM and started again, the socket closed and bound anew",
    excuse: Excuse::NobodyListens(
        "no process listens between the end of one and the start of the next",
    ),
    run: |stage| {
        stage.reconnect();
        stage.start();
        stage.load_on_with(Plan {
            rate: 1000,
            connections: 16,
        });
        for _ in stage.rounds(3, 20) {
            let moment = 100 + stage.random(300);
            stage.accept(moment);
            assert_eq!(stage.terminate().code(), Some(0));
            stage.start();
            // So far that refusals of two restarts cannot be taken for those of one.
            stage.accept(600);
        }
        stage.load_off();
        let mut refused: Vec<Instant> = stage
            .sent()
            .iter()
            .filter(|sent| matches!(sent.fate, Fate::NoAnswer(NoAnswer::Refused)))
            .map(|sent| sent.answered)
            .collect();
        refused.sort_unstable();
        let longest = longest(&refused);
        stage.note(format!(
            "nobody listened for {:.0} ms at most, as the refused saw it (who tries in the moment of closing gets through a second later, by TCP's own retry)",
            longest.as_secs_f64() * 1000.0
        ));
        // On a machine that does other things as well a short run proves nothing.
        assert!(
            !stage.is_long() || longest < Duration::from_secs(1),
            "{longest:?}"
        );
    },
};

/// The longest stretch of refusals.
fn longest(refused: &[Instant]) -> Duration {
    let stretches = refused.chunk_by(|one, next| *next - *one < APART);
    let ends = stretches.filter_map(|stretch| Some(*stretch.last()? - *stretch.first()?));
    ends.max().unwrap_or_default()
}
