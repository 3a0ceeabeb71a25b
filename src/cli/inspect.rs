//! `inspect`: which deliveries are in a journal, what each was, and what became of it.
//!
//! It reads files alone: beside a running bridge, whose work it neither needs nor disturbs, or in a copy. Nothing that a sender chose
//! reaches the terminal as anything but text, and personal data only where it is asked for.

mod detail;
mod follow;
mod output;
mod row;
mod shown;

use super::print::errln;
use super::selection::Criteria;
use super::{Exit, explain};
use crate::config::{self, Variables};
use crate::domain::privacy::Mask;
use crate::domain::record::RecordSettings;
use crate::domain::selection::Selection;
use crate::journal::storage::Disk;
use crate::journal::view::View;
use crate::journal::{OpenError, Sequence};
use crate::survey::{Found, Step, Survey};
use clap::Args;
use detail::Facts;
use output::{Output, span, words};
use row::Row;
use std::collections::{BTreeSet, VecDeque};
use std::io::{self, IsTerminal};
use std::ops::ControlFlow;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use uuid::Uuid;

/// How many deliveries a terminal shows unless told otherwise: about a screen.
const SCREEN: usize = 20;

/// How many `--follow` begins with, as `tail -f` does.
const TAIL: usize = 10;

/// A live bridge notes an outcome within a second of its cursor passing it.
const NOTED_WITHIN: Duration = Duration::from_millis(1500);

/// What `--help` says at the end.
pub(super) const AFTER_HELP: &str = "\
Needs only ICR_BRIDGE_JOURNAL_DIR. Works beside a running bridge and on a copy, takes no lock and changes
nothing. A list has a line a delivery, the newest last. With --id each is shown in full: what came, what was
proven, what became of it and why, and its record as the ICR_BRIDGE_ settings of this environment make it.

Outcomes: pending (not published yet), published, quarantined, held (no topic took it: kept on disk, tried
again), unknown (publishing has passed it, and the note of what became of it was lost).

With --json each delivery is one object in one line:
  sequence, id, accepted_at, app, event, organization, installation, transaction   (null: not known)
  outcome, reason, topic, partition, offset   (null: does not apply)
  held_copy    whether the journal has it no more, and this is the copy that is held
  unreadable   only where this bridge cannot read the record: why; all that is in it is null then
and with --id also
  came         {headers: [[name, value]…], body}
  proven       {signature, secret_position, fingerprint, outer_mismatch, payload}
  record       {topic, key, headers: [[name, value]…], value}
where body, payload and value are {bytes, and one of: json; text (what is not JSON, or is JSON that not every
parser takes); base64; withheld (why)}.

Exit codes: 0 also where nothing matches, or the reader closes the pipe; 1 no delivery with this id; 64 usage;
74 something cannot be read.";

#[derive(Debug, Args)]
pub(super) struct Options {
    /// Go on with what comes, each delivery again when its outcome is known, until Ctrl-C
    #[arg(long, short)]
    follow: bool,
    /// Only the newest N [default: 20 on a terminal, 10 with --follow, else all]
    #[arg(long, value_name = "N", conflicts_with_all = ["all", "ids"])]
    last: Option<usize>,
    /// All of them, also on a terminal
    #[arg(long, conflicts_with = "ids")]
    all: bool,
    /// One JSON object a line
    #[arg(long)]
    json: bool,
    /// Show personal data, and what may hold some: senders, addresses, signedData, unintelligible payloads
    #[arg(long)]
    show_personal_data: bool,
    #[command(flatten)]
    criteria: Criteria,
}

/// Why it ends early.
#[derive(Debug, thiserror::Error)]
enum Failure {
    #[error("{0}")]
    Open(#[from] OpenError),
    #[error("{path}: {source}")]
    Read { path: PathBuf, source: io::Error },
    #[error("the output cannot be written: {0}")]
    Write(io::Error),
    #[error("signals cannot be handled: {0}")]
    Signals(io::Error),
}

impl From<&Failure> for Exit {
    fn from(failure: &Failure) -> Self {
        match failure {
            Failure::Open(error) => Self::from(error),
            Failure::Read { .. } | Failure::Write(_) | Failure::Signals(_) => Self::Io,
        }
    }
}

pub(super) fn run(options: Options, variables: Variables) -> Exit {
    let selection = match options.criteria.clone().selection() {
        Ok(selection) => selection,
        Err(problem) => {
            errln!("icr-bridge: {problem}");
            return Exit::Usage;
        }
    };
    let inspection = Inspection {
        dir: config::journal_dir(variables.clone()),
        options,
    };
    let ended = if inspection.options.follow {
        follow::run(&inspection, &selection)
    } else if selection.ids.is_empty() {
        inspection.list(&selection)
    } else {
        match config::record_settings(variables) {
            Ok(settings) => inspection.details(&selection, &settings),
            Err(error) => return explain(&error),
        }
    };
    ended.unwrap_or_else(|failure| match failure {
        // The reader has seen enough: `| head`.
        Failure::Write(error) if error.kind() == io::ErrorKind::BrokenPipe => Exit::Done,
        failure => {
            errln!("icr-bridge: {failure}");
            Exit::from(&failure)
        }
    })
}

/// Takes a delivery that matches; says whether it was the last that is wanted.
type Each<'a> = &'a mut dyn FnMut(&mut Output, &Found<'_>) -> Result<ControlFlow<()>, Failure>;

/// What is asked for, and of which journal.
struct Inspection {
    dir: PathBuf,
    options: Options,
}

/// What matches, counted before any of it is shown.
struct Counted {
    matching: u64,
    /// The newest, in order: those to show.
    newest: VecDeque<Sequence>,
}

impl Inspection {
    /// The view; and [`Exit::Io`] where what is held cannot be read, which hides nothing else.
    fn open(&self) -> Result<(View, Exit), Failure> {
        let view = View::open(Arc::new(Disk), &self.dir)?;
        let exit = match view.held() {
            Ok(_) => Exit::Done,
            Err(error) => {
                let dir = self.dir.display();
                errln!("icr-bridge: what is held in {dir} cannot be read: {error}");
                Exit::Io
            }
        };
        Ok((view, exit))
    }

    fn survey<'v>(&self, view: &'v View, selection: &Selection, from: Sequence) -> Survey<'v> {
        let survey = Survey::new(view, selection.clone(), from);
        survey.unwrap_or_else(|_| Survey::without_copies(view, selection.clone(), from))
    }

    fn read(&self) -> impl Fn(io::Error) -> Failure {
        let path = self.dir.clone();
        move |source| Failure::Read {
            path: path.clone(),
            source,
        }
    }

    fn mask(&self, found: &Found<'_>) -> Mask {
        match &found.delivery {
            _ if self.options.show_personal_data => Mask::nothing(),
            Ok(delivery) => Mask::of(delivery),
            Err(_) => Mask::blind(),
        }
    }

    /// How many of the newest are to be shown; `None` for all.
    fn limit(&self, usual: Option<usize>) -> Option<usize> {
        self.options.last.or(usual.filter(|_| !self.options.all))
    }

    /// Counts what matches until told to stop, and finds the newest `limit`. What comes in the way is said when the newest are shown.
    fn count(
        &self,
        view: &View,
        selection: &Selection,
        limit: usize,
        stop: &dyn Fn() -> bool,
    ) -> Counted {
        let mut survey = self.survey(view, selection, 1);
        let mut counted = Counted {
            matching: 0,
            newest: VecDeque::new(),
        };
        while !stop() {
            match survey.mention() {
                Ok(Some(sequence)) => {
                    counted.matching += 1;
                    counted.newest.push_back(sequence);
                    if counted.newest.len() > limit {
                        counted.newest.pop_front();
                    }
                }
                Err(_) if survey.skip().is_some() => {}
                Ok(None) | Err(_) => break,
            }
        }
        counted
    }

    /// Hands over what matches until that is enough, and says what comes in the way; [`Exit::Io`] where something could not be read.
    fn walk(
        &self,
        survey: &mut Survey<'_>,
        output: &mut Output,
        each: Each<'_>,
    ) -> Result<Exit, Failure> {
        let mut exit = Exit::Done;
        loop {
            let error = match survey.step() {
                Ok(Step::Found(found)) => match each(output, &found)? {
                    ControlFlow::Continue(()) => continue,
                    ControlFlow::Break(()) => return Ok(exit),
                },
                Ok(Step::End) => return Ok(exit),
                Ok(other) => {
                    output.say(&words(&other))?;
                    continue;
                }
                Err(error) => error,
            };
            exit = Exit::Io;
            match survey.skip() {
                Some((from, to)) => {
                    output.say(&format!("{} cannot be read: {error}", span(from, to)))?
                }
                None => {
                    output.say(&format!("{}: {error}", self.dir.display()))?;
                    return Ok(exit);
                }
            }
        }
    }

    fn list(&self, selection: &Selection) -> Result<Exit, Failure> {
        let (view, mut exit) = self.open()?;
        view.await_notes(NOTED_WITHIN);
        let screen = io::stdout().is_terminal().then_some(SCREEN);
        let limit = self.limit(screen);
        let counted = limit.map(|limit| self.count(&view, selection, limit, &|| false));
        let most = counted.as_ref().map(|counted| counted.newest.len());
        let from = counted.as_ref().and_then(|counted| counted.newest.front());
        let mut survey = self.survey(&view, selection, from.copied().unwrap_or(1));
        let mut output = Output::new(self.options.json);
        let mut shown = 0;
        if most != Some(0) {
            let walked = self.walk(&mut survey, &mut output, &mut |output, found| {
                output.row(Row::new(found, &self.mask(found)))?;
                shown += 1;
                let enough = most.is_some_and(|most| shown >= most);
                Ok(if enough {
                    ControlFlow::Break(())
                } else {
                    ControlFlow::Continue(())
                })
            })?;
            exit = exit.or(walked);
        }
        output.flush()?;
        self.sum_up(&view, shown, counted.map(|counted| counted.matching));
        Ok(exit)
    }

    /// Says what was left out, or that there is nothing.
    fn sum_up(&self, view: &View, shown: usize, matching: Option<u64>) {
        let matching = matching.unwrap_or(shown as u64);
        let left_out = matching.saturating_sub(shown as u64);
        if left_out > 0 {
            errln!(
                "The newest {shown} of {matching}: {left_out} older ones are not shown; --last N shows more, --all all of them."
            );
        } else if matching == 0 && view.last() == 0 {
            errln!("{} holds no deliveries.", self.dir.display());
        } else if matching == 0 {
            errln!("No delivery in {} matches.", self.dir.display());
        }
    }

    fn details(&self, selection: &Selection, settings: &RecordSettings) -> Result<Exit, Failure> {
        let (view, exit) = self.open()?;
        view.await_notes(NOTED_WITHIN);
        let mut wanted: BTreeSet<Uuid> = selection.ids.iter().copied().collect();
        let mut output = Output::new(self.options.json);
        let mut survey = self.survey(&view, selection, 1);
        let walked = self.walk(&mut survey, &mut output, &mut |output, found| {
            if let Ok(delivery) = &found.delivery {
                wanted.remove(&delivery.id);
                let mask = self.mask(found);
                let facts = Facts::new(found, delivery, &view, settings, &mask);
                output.detail(Row::new(found, &mask), &facts)?;
            }
            Ok(if wanted.is_empty() {
                ControlFlow::Break(())
            } else {
                ControlFlow::Continue(())
            })
        })?;
        output.flush()?;
        for id in &wanted {
            errln!(
                "icr-bridge: no delivery with the id {id} {}",
                self.where_it_was_sought(selection)
            );
        }
        Ok(match exit.or(walked) {
            Exit::Done if !wanted.is_empty() => Exit::Failed,
            exit => exit,
        })
    }

    fn where_it_was_sought(&self, selection: &Selection) -> String {
        let only_ids = Selection {
            ids: selection.ids.clone(),
            ..Selection::default()
        };
        let others = if *selection == only_ids {
            ""
        } else {
            " that meets the other criteria"
        };
        format!("in {}{others}", self.dir.display())
    }
}
