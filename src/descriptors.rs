//! Open files: how many connections they allow.
//!
//! **Guarantee.** Connections never leave journal and Kafka without a descriptor: what the system allows is shared out at the start, and
//! where it is less than the settings ask for, connections and if need be workers are fewer, which the log and `check-config` say. As all
//! places of connections can then be taken at once, room is made for newcomers before the system refuses them.
//!
//! | of the limit | goes to |
//! |---|---|
//! | 34, and 4 a worker | what an idle bridge has open: measured 30 and 4, with 2 workers and the admin listener's one |
//! | an eighth, up to 150 | segments being read, sealed and deleted, brokers, control socket |
//! | a sixteenth, up to 64 | connections of the admin listener |
//! | the rest | connections of the ingress listener |

use crate::config::Http;
use crate::config::settings::PREFIX;
use crate::http::server::ADMIN_PLACES;

const OWN: usize = 34;
const EACH_WORKER: usize = 4;
const JOURNAL_AND_KAFKA: usize = 150;

/// A worker that could serve fewer connections than this is not worth its descriptors.
const PLACES_EACH: usize = 8;

/// How the descriptors are shared out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Share {
    /// Worker threads of the ingress.
    pub workers: usize,
    /// Connections of the ingress at a time.
    pub places: usize,
    /// Connections of the admin listener at a time.
    pub admin_places: usize,
}

/// The limit is too low for a bridge.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "the system allows {0} open files, too few for a bridge; raise the limit (ulimit -n) to 64 at the least, better to some thousands"
)]
pub struct TooFew(u64);

impl Share {
    /// Of `limit` descriptors, for what the settings ask for.
    pub fn of(limit: u64, http: &Http) -> Result<Self, TooFew> {
        let files = usize::try_from(limit).unwrap_or(usize::MAX);
        let admin_places = (files / 16).clamp(1, ADMIN_PLACES);
        let reserved = OWN + EACH_WORKER + JOURNAL_AND_KAFKA.min(files / 8) + admin_places;
        let left = files.checked_sub(reserved).ok_or(TooFew(limit))?;
        let workers = http.workers.min(left / (EACH_WORKER + PLACES_EACH)).max(1);
        let places = left
            .checked_sub(EACH_WORKER * workers)
            .filter(|places| *places > 0)
            .ok_or(TooFew(limit))?;
        // They are shared evenly, and no worker's share is rounded up.
        let places = places / workers * workers;
        Ok(Self {
            workers,
            places: http.max_connections.min(places),
            admin_places,
        })
    }

    /// Where it is less than the settings ask for, a sentence.
    fn lower(self, limit: u64, http: &Http) -> Option<String> {
        let lowered = |name: &str, asked: usize, given: usize| {
            (given < asked).then(|| format!("{PREFIX}{name} is lowered from {asked} to {given}"))
        };
        let lowered: Vec<String> = [
            lowered("MAX_CONNECTIONS", http.max_connections, self.places),
            lowered("WORKERS", http.workers, self.workers),
        ]
        .into_iter()
        .flatten()
        .collect();
        (!lowered.is_empty()).then(|| {
            format!(
                "the system allows {limit} open files: {}, so that journal and Kafka keep theirs; to serve more, raise the limit (ulimit -n)",
                lowered.join(" and ")
            )
        })
    }
}

/// Raises the limit of open files as far as the system allows, and shares it out; with a sentence where it is less than the settings
/// ask for.
///
/// # Errors
/// Where it is too low for a bridge.
pub fn share_out(http: &Http) -> Result<(Share, Option<String>), TooFew> {
    let wanted = OWN + JOURNAL_AND_KAFKA + ADMIN_PLACES + EACH_WORKER * (http.workers + 1);
    let wanted = (wanted + http.max_connections.next_multiple_of(http.workers)) as u64;
    // Where it cannot be raised, or not be asked for, what is allowed now counts.
    let limit = rlimit::increase_nofile_limit(wanted)
        .or_else(|_| rlimit::Resource::NOFILE.get_soft())
        .unwrap_or(wanted);
    let share = Share::of(limit, http)?;
    Ok((share, share.lower(limit, http)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    fn http(max_connections: usize, workers: usize) -> Http {
        Http {
            listen: ([127, 0, 0, 1], 0).into(),
            tls: None,
            max_body_bytes: 1,
            header_timeout: Duration::ZERO,
            body_timeout: Duration::ZERO,
            keep_alive: Duration::ZERO,
            max_connections,
            workers,
        }
    }

    #[test]
    fn no_limit_is_overdrawn_and_each_worker_has_places() {
        for limit in 0..70_000 {
            for workers in [1, 2, 8, 64, 1024] {
                let Ok(share) = Share::of(limit, &http(10_000, workers)) else {
                    assert!(limit < 64, "{limit}");
                    continue;
                };
                let used = OWN
                    + EACH_WORKER * (share.workers + 1)
                    + share.admin_places
                    + share.places.next_multiple_of(share.workers);
                assert!(used as u64 <= limit, "{limit}: {share:?}");
                assert!(share.places >= share.workers, "{limit}: {share:?}");
                assert!(share.workers <= workers && share.places <= 10_000);
            }
        }
    }

    #[test]
    fn where_there_is_enough_nothing_is_lowered() {
        let asked = http(10_000, 3);
        let share = Share::of(20_000, &asked).unwrap();
        assert_eq!((share.workers, share.places), (3, 10_000));
        assert_eq!(share.lower(20_000, &asked), None);
    }

    #[test]
    fn what_is_lowered_is_said() {
        let asked = http(10_000, 64);
        let share = Share::of(256, &asked).unwrap();
        let said = share.lower(256, &asked).unwrap();
        assert!(
            said.contains("ICR_BRIDGE_MAX_CONNECTIONS is lowered from 10000 to"),
            "{said}"
        );
        assert!(
            said.contains("ICR_BRIDGE_WORKERS is lowered from 64 to"),
            "{said}"
        );
    }
}
