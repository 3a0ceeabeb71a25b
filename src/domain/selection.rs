//! Which deliveries somebody means: for `inspect` and `replay`, the same words with the same meaning.
//!
//! A selection is judged in two steps, so that a journal of millions is passed quickly: [`Selection::judge`] looks at tag and id
//! alone and rules most out, [`Selection::matches`] looks at the whole delivery and decides.

use super::delivery::{Delivery, Millis};
use super::event::EventKind;
use super::glance::{self, Names};
use super::outcome::Fate;
use super::tag::Tag;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// Criteria, all of which must hold; of several values of one, any. An empty selection means every delivery.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Selection {
    /// Ids of deliveries.
    pub ids: Vec<Uuid>,
    /// Accepted at this time or later.
    pub since: Option<Millis>,
    /// Accepted before this time.
    pub until: Option<Millis>,
    /// Names of events, as ICR writes them; also of deliveries that could not be normalized.
    pub events: Vec<String>,
    /// Organization ids.
    pub organizations: Vec<String>,
    /// Names of apps; `default` for `/webhook`.
    pub apps: Vec<String>,
    /// What became of it.
    pub fates: Vec<Fate>,
}

/// What tag and id say of a delivery; its fate is another matter.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Judgement {
    /// It does not belong.
    No,
    /// The whole delivery must be looked at.
    Perhaps,
    /// It belongs.
    Yes,
}

impl Selection {
    /// Whether a delivery with this tag can belong to it. A tag that cannot be read rules nothing out.
    pub fn may_match(&self, tag: &[u8]) -> bool {
        self.judge(tag, None) != Judgement::No
    }

    /// Whether a delivery with this tag and this id, as far as they can be read, belongs to it.
    pub fn judge(&self, tag: &[u8], id: Option<Uuid>) -> Judgement {
        if id.is_some_and(|id| !any(&self.ids, |wanted| *wanted == id)) {
            return Judgement::No;
        }
        let Some(tag) = Tag::decode(tag) else {
            return Judgement::Perhaps;
        };
        let app = |name: &String| Tag::app_hash(name) == tag.app;
        // The glance that made the tag may have missed an event, never mistaken it.
        let event = |name: &String| tag.kind.is_none_or(|kind| kind == EventKind::of(name));
        if !(self.in_time(tag.accepted_at) && any(&self.apps, app) && any(&self.events, event)) {
            return Judgement::No;
        }
        // A hash may stand for two names, and `Other` does for many.
        let named = tag.kind.is_some_and(|kind| kind != EventKind::Other);
        let certain = id.is_some()
            && self.apps.is_empty()
            && self.organizations.is_empty()
            && (self.events.is_empty() || named);
        if certain {
            Judgement::Yes
        } else {
            Judgement::Perhaps
        }
    }

    /// Whether this is a fate that it asks for.
    pub fn matches_fate(&self, fate: Fate) -> bool {
        any(&self.fates, |wanted| *wanted == fate)
    }

    /// Whether a delivery with this fate belongs to it.
    pub fn matches(&self, delivery: &Delivery<'_>, fate: Fate) -> bool {
        self.in_time(delivery.accepted_at)
            && any(&self.ids, |id| *id == delivery.id)
            && any(&self.apps, |app| app == delivery.app)
            && self.matches_fate(fate)
            && (self.events.is_empty() && self.organizations.is_empty()
                || self.names(&names(delivery)))
    }

    /// Whether a record that cannot be read as a delivery belongs to it. `tagged`: its tag was read, and [`Selection::judge`] did not
    /// rule it out.
    pub fn matches_unreadable(&self, tagged: bool, fate: Fate) -> bool {
        let by_tag = self.since.is_some() || self.until.is_some() || !self.apps.is_empty();
        let by_contents =
            !(self.ids.is_empty() && self.events.is_empty() && self.organizations.is_empty());
        (tagged || !by_tag) && !by_contents && self.matches_fate(fate)
    }

    fn names(&self, names: &Names) -> bool {
        any(&self.events, |event| names.event.as_ref() == Some(event))
            && any(&self.organizations, |organization| {
                names.organization.as_ref() == Some(organization)
            })
    }

    fn in_time(&self, accepted_at: Millis) -> bool {
        self.since.is_none_or(|since| accepted_at >= since)
            && self.until.is_none_or(|until| accepted_at < until)
    }
}

/// What the delivery's payload calls itself.
pub fn names(delivery: &Delivery<'_>) -> Names {
    delivery.verified().map_or_else(
        |_| Names::default(),
        |verified| glance::names(verified.envelope().signed_data()),
    )
}

/// No wish, or one that is met.
fn any<T>(wishes: &[T], met: impl FnMut(&T) -> bool) -> bool {
    wishes.is_empty() || wishes.iter().any(met)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::envelope::Envelope;
    use crate::signature::Signature;
    use base64::{Engine as _, prelude::BASE64_STANDARD};

    const PAYLOAD: &str =
        r#"{"event":"suspended","installation":{"id":"i","organization":{"id":"o"}}}"#;

    fn body(payload: &str) -> Vec<u8> {
        format!(r#"{{"signedData":"{}"}}"#, BASE64_STANDARD.encode(payload)).into_bytes()
    }

    fn delivery(body: &[u8]) -> Delivery<'_> {
        Delivery {
            id: Uuid::from_u128(7),
            accepted_at: Millis(1000),
            app: "sandbox",
            secret_position: 0,
            signature: Signature::from_bytes([0; 32]),
            token: Envelope::parse(body).unwrap().token(),
            headers: Vec::new(),
            body,
        }
    }

    fn tag(payload: &str) -> [u8; Tag::LENGTH] {
        let signed_data = BASE64_STANDARD.encode(payload);
        let body = format!(r#"{{"signedData":"{signed_data}"}}"#);
        let glance = glance::glance(&Envelope::parse(body.as_bytes()).unwrap());
        Tag::new(&glance, Millis(1000), "sandbox", &[0; 32]).encode()
    }

    /// Each criterion alone: one that holds, one that does not.
    fn pairs() -> Vec<(Selection, Selection)> {
        let all = Selection::default;
        let text = |text: &str| vec![text.to_owned()];
        vec![
            (
                Selection {
                    ids: vec![Uuid::from_u128(8), Uuid::from_u128(7)],
                    ..all()
                },
                Selection {
                    ids: vec![Uuid::from_u128(8)],
                    ..all()
                },
            ),
            (
                Selection {
                    since: Some(Millis(1000)),
                    ..all()
                },
                Selection {
                    since: Some(Millis(1001)),
                    ..all()
                },
            ),
            (
                Selection {
                    until: Some(Millis(1001)),
                    ..all()
                },
                Selection {
                    until: Some(Millis(1000)),
                    ..all()
                },
            ),
            (
                Selection {
                    events: text("suspended"),
                    ..all()
                },
                Selection {
                    events: text("installed"),
                    ..all()
                },
            ),
            (
                Selection {
                    organizations: text("o"),
                    ..all()
                },
                Selection {
                    organizations: text("i"),
                    ..all()
                },
            ),
            (
                Selection {
                    apps: text("sandbox"),
                    ..all()
                },
                Selection {
                    apps: text("default"),
                    ..all()
                },
            ),
            (
                Selection {
                    fates: vec![Fate::Held, Fate::Published],
                    ..all()
                },
                Selection {
                    fates: vec![Fate::Pending],
                    ..all()
                },
            ),
        ]
    }

    #[test]
    fn each_criterion_lets_in_what_it_names_and_nothing_else() {
        let body = body(PAYLOAD);
        let delivery = delivery(&body);
        assert!(Selection::default().matches(&delivery, Fate::Published));
        for (holds, fails) in pairs() {
            assert!(holds.matches(&delivery, Fate::Published), "{holds:?}");
            assert!(holds.may_match(&tag(PAYLOAD)), "{holds:?}");
            assert!(!fails.matches(&delivery, Fate::Published), "{fails:?}");
        }
    }

    #[test]
    fn the_tag_rules_out_times_apps_and_events() {
        for (_, fails) in pairs() {
            let seen_in_tag = fails.since.is_some()
                || fails.until.is_some()
                || !fails.apps.is_empty()
                || !fails.events.is_empty();
            assert_eq!(fails.may_match(&tag(PAYLOAD)), !seen_in_tag, "{fails:?}");
            assert!(fails.may_match(b"no tag of ours"), "{fails:?}");
        }
    }

    #[test]
    fn tag_and_id_decide_alone_where_they_can() {
        let id = Some(Uuid::from_u128(7));
        for (holds, fails) in pairs() {
            let by_contents = !(holds.organizations.is_empty() && holds.apps.is_empty());
            let expected = if by_contents {
                Judgement::Perhaps
            } else {
                Judgement::Yes
            };
            assert_eq!(holds.judge(&tag(PAYLOAD), id), expected, "{holds:?}");
            assert_eq!(holds.judge(&tag(PAYLOAD), None), Judgement::Perhaps);
            assert_eq!(holds.judge(b"no tag of ours", id), Judgement::Perhaps);
            let decided = fails.organizations.is_empty() && fails.fates.is_empty();
            let judged = fails.judge(&tag(PAYLOAD), id);
            assert_eq!(judged == Judgement::No, decided, "{fails:?}");
        }
        let unknown = Selection {
            events: vec!["brandNew".to_owned()],
            ..Selection::default()
        };
        let tag = tag(r#"{"event":"brandOld"}"#);
        assert_eq!(unknown.judge(&tag, id), Judgement::Perhaps);
    }

    #[test]
    fn a_delivery_that_cannot_be_normalized_is_found_by_what_it_calls_itself() {
        let payload = r#"{"event":"organizationTransaction","installation":{"id":"i","organization":{"id":"o"}}}"#;
        let body = body(payload);
        let wanted = Selection {
            events: vec!["organizationTransaction".to_owned()],
            organizations: vec!["o".to_owned()],
            ..Selection::default()
        };
        assert!(wanted.may_match(&tag(payload)));
        assert!(wanted.matches(&delivery(&body), Fate::Quarantined));
    }

    #[test]
    fn an_unknown_event_is_found_by_its_name() {
        let payload = r#"{"event":"brandNew"}"#;
        let body = body(payload);
        for (name, found) in [("brandNew", true), ("brandOld", false)] {
            let wanted = Selection {
                events: vec![name.to_owned()],
                ..Selection::default()
            };
            assert_eq!(wanted.matches(&delivery(&body), Fate::Published), found);
        }
    }

    #[test]
    fn a_selection_survives_the_wire() {
        for (selection, other) in pairs() {
            for selection in [selection, other] {
                let text = serde_json::to_string(&selection).unwrap();
                assert_eq!(serde_json::from_str::<Selection>(&text).unwrap(), selection);
            }
        }
    }
}
