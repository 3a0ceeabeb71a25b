//! Signature headers make a record larger than its body: what the broker says to that.

use crate::signature_headers::{
    larger_than_a_topic_of_600_000_bytes, only_the_one_that_is_too_large_is_quarantined,
    the_largest_body_of_the_defaults_is_published,
};
use crate::support::kafka::{RealKafka, unique};

#[test]
fn the_largest_body_is_published_with_its_signed_data() {
    let Some(kafka) = RealKafka::from_env() else {
        return;
    };
    let (topic, quarantine) = (kafka.new_topic("sizes", 1), kafka.new_topic("sizes", 1));
    the_largest_body_of_the_defaults_is_published(&kafka.bootstrap, [&topic, &quarantine]);
}

#[test]
fn a_topic_with_a_smaller_limit_quarantines_the_large_one_alone() {
    let Some(kafka) = RealKafka::from_env() else {
        return;
    };
    let (topic, quarantine) = (unique("sizes"), kafka.new_topic("sizes", 1));
    kafka.create_topic(&topic, 1, &[("max.message.bytes", "600000")]);
    only_the_one_that_is_too_large_is_quarantined(
        &kafka.bootstrap,
        [&topic, &quarantine],
        &larger_than_a_topic_of_600_000_bytes(),
    );
}
