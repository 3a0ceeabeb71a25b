//! Several apps, each with its own topic.

use crate::apps::each_app_gets_its_own_topic_and_source;
use crate::support::kafka::{RealKafka, unique};

#[test]
fn records_of_several_apps_stand_in_their_own_topics_with_their_source() {
    let Some(kafka) = RealKafka::from_env() else {
        return;
    };
    let prefix = unique("apps");
    for name in ["default", "sandbox", "staging-2", "all-quarantined"] {
        kafka.create_topic(&format!("{prefix}.{name}"), 2, &[]);
    }
    each_app_gets_its_own_topic_and_source(&kafka.bootstrap, &prefix);
}
