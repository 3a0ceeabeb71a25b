//! The progress bar on a terminal's standard error, and Ctrl-C.

use super::job::Job;
use crate::cli::print::errln;
use crate::load::{Outcome, Stop};
use crate::shutdown::Signals;
use indicatif::{ProgressBar, ProgressState, ProgressStyle};
use parking_lot::Mutex;
use std::collections::BTreeMap;
use std::fmt::Write;
use std::sync::Arc;
use std::time::Duration;

/// How often the bar is drawn while nothing comes.
const TICK: Duration = Duration::from_millis(200);

/// A bar where somebody watches, and where it takes long enough to be watched; else nothing.
#[derive(Clone)]
pub(super) struct Progress {
    bar: ProgressBar,
    answers: Answers,
}

/// Answers by status, and those without under their reason.
type Answers = Arc<Mutex<BTreeMap<String, u64>>>;

impl Progress {
    /// The bar draws to standard error only if that is a terminal.
    pub(super) fn start(job: &Job) -> Self {
        let answers = Answers::default();
        let bar = match (job.single || job.is_captured(), job.plan.total()) {
            (true, _) => ProgressBar::hidden(),
            (false, Some(total)) => ProgressBar::new(total),
            (false, None) => ProgressBar::no_length(),
        };
        let template = if job.plan.total().is_some() {
            "{bar:24} {pos}/{len}  {rate}  {elapsed}, {eta} left  {answers}"
        } else {
            "{spinner} {pos}  {rate}  {elapsed}  {answers}"
        };
        if let Ok(style) = ProgressStyle::with_template(template) {
            let shown = Arc::clone(&answers);
            let rate = |state: &ProgressState, out: &mut dyn Write| {
                // The bar has no other way to fail than this; so below.
                let _ = write!(out, "{:.0}/s", state.per_sec());
            };
            let answers = move |_: &ProgressState, out: &mut dyn Write| {
                for (kind, count) in shown.lock().iter() {
                    let _ = write!(out, "{kind}: {count}  ");
                }
            };
            bar.set_style(style.with_key("rate", rate).with_key("answers", answers));
        }
        if !bar.is_hidden() {
            bar.enable_steady_tick(TICK);
        }
        Self { bar, answers }
    }

    pub(super) fn one_more(&self, outcome: &Outcome) {
        if self.bar.is_hidden() {
            return;
        }
        let kind = match outcome {
            Outcome::Answered(answer) => answer.status.to_string(),
            Outcome::NoAnswer(reason) => reason.name().to_owned(),
        };
        *self.answers.lock().entry(kind).or_default() += 1;
        self.bar.inc(1);
    }

    /// Takes the bar away: the summary says more.
    pub(super) fn finish(&self) {
        self.bar.finish_and_clear();
    }
}

/// The first signal ends the run with its summary, a second one does not wait for what is under way.
///
/// # Errors
/// The signals cannot be taken over, or there is no thread for them.
pub(super) fn stop_on_signals(stop: Stop) -> std::io::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let mut signals = {
        let _entered = runtime.enter();
        Signals::new()?
    };
    let wait = move || {
        runtime.block_on(async {
            let hung_up = stop.clone();
            let name = signals.leave(|| hung_up.at_once()).await;
            stop.stop();
            errln!("{name}: waiting for what is under way; again ends at once");
            signals.leave(|| {}).await;
            stop.at_once();
        });
    };
    // Nobody waits for it: it ends with the process.
    std::thread::Builder::new()
        .name("signals".to_owned())
        .spawn(wait)?;
    Ok(())
}
