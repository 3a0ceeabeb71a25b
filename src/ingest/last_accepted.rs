//! When each app's latest delivery was accepted, for the alarm about an app that has fallen silent.
//!
//! **Guarantee.** It is known again after a restart, however long the app has been silent: from the newest deliveries of the journal,
//! and for an app that is none of these from the journal's memo, which outlives them. A crash may cost what the memo had not been told
//! yet (ten seconds), and that only of an app behind which the newest deliveries have left since.
//!
//! **Form of the memo**: text, a line an app: its name, a space, milliseconds since 1970-01-01 UTC. Apps that are not configured at
//! present keep their line; they may come back. What is no such line is left out.

use super::AppState;
use crate::domain::delivery::Millis;
use std::collections::BTreeMap;
use std::sync::Arc;

/// Lines of apps that are not configured: more than anybody has, and an end to what a file may make us carry.
const MAX_CARRIED: usize = 256;

/// Puts what the memo remembers in force, and returns what keeps it: the text of the memo at any later moment.
pub(super) fn restore(
    memo: &[u8],
    apps: &BTreeMap<String, Arc<AppState>>,
    now: Millis,
) -> impl Fn() -> Vec<u8> + use<> {
    let mut carried = decode(memo);
    for (name, app) in apps {
        if let Some(at) = carried.remove(name) {
            // A time to come would keep the alarm silent: the clock was wrong then, or is now.
            app.accepted_at(at.min(now));
        }
    }
    let carried: BTreeMap<String, Millis> = carried.into_iter().take(MAX_CARRIED).collect();
    let apps: Vec<Arc<AppState>> = apps.values().cloned().collect();
    move || {
        let mut all = carried.clone();
        let known = apps
            .iter()
            .filter_map(|app| Some((app.name.clone(), app.last_accepted()?)));
        all.extend(known);
        encode(&all)
    }
}

fn encode(all: &BTreeMap<String, Millis>) -> Vec<u8> {
    let line = |(name, at): (&String, &Millis)| format!("{name} {}\n", at.0);
    all.iter().map(line).collect::<String>().into_bytes()
}

fn decode(memo: &[u8]) -> BTreeMap<String, Millis> {
    let line = |line: &str| {
        let (name, at) = line.split_once(' ')?;
        Some((name.to_owned(), Millis(at.parse().ok()?)))
    };
    String::from_utf8_lossy(memo)
        .lines()
        .filter_map(line)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_memo_reads_back_and_what_is_no_line_of_it_is_left_out() {
        let all = BTreeMap::from([
            ("default".to_owned(), Millis(1_725_264_900_120)),
            ("sandbox".to_owned(), Millis(0)),
        ]);
        let text = encode(&all);
        assert_eq!(text, b"default 1725264900120\nsandbox 0\n");
        assert_eq!(decode(&text), all);
        let strange = [b"x\n\nx y\nx -1\n\xff\xfe\n".as_slice(), &text, b"torn 17"].concat();
        let mut more = all;
        more.insert("torn".to_owned(), Millis(17));
        assert_eq!(decode(&strange), more);
        assert_eq!(decode(b""), BTreeMap::new());
    }
}
