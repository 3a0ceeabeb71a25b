//! Whether a topic is compacted, which would destroy deliveries: keys repeat, and compaction keeps the last record of a key.
//!
//! Guarantees: every topic that is written to is asked for its `cleanup.policy` when it turns out to be usable and every
//! [`EVERY`] from then on, in one request over a connection that is there anyway, without waiting for the answer. A compacted topic
//! is told at once and again every [`REPEAT`]; nothing else is done about it, since what the broker does is not ours to stop.
//!
//! rdkafka's admin client would be a second client with threads and connections of its own: hence librdkafka's functions.
use super::line::Line;
use rdkafka::bindings as ffi;
use std::collections::HashMap;
use std::ffi::{CStr, CString};
use std::time::{Duration, Instant};

/// Between two questions. One request of some hundred bytes: this costs nothing, and compaction itself takes minutes to begin.
const EVERY: Duration = Duration::from_secs(30);

/// How often a compacted topic is told again.
const REPEAT: Duration = Duration::from_secs(3600);

/// How long the broker may take.
const PATIENCE_MS: i32 = 10_000;

const CLEANUP_POLICY: &CStr = c"cleanup.policy";

/// What the publisher knows of its topics' policies.
#[derive(Default)]
pub(super) struct Policies {
    /// Topics at the last question, and when it was.
    asked: Option<(usize, Instant)>,
    /// Compacted topics, and when that was told.
    compacted: HashMap<String, Instant>,
}

impl Line {
    /// Asks for policies when it is time to, and tells what came.
    pub(super) fn watch_policies(&mut self) {
        let Some(client) = &mut self.client else {
            return;
        };
        for (topic, policy) in client.questions.answers() {
            self.policies.learn(topic, &policy);
        }
        let due = self
            .policies
            .asked
            .is_none_or(|(topics, at)| topics != self.usable.len() || at.elapsed() >= EVERY);
        if due && !self.usable.is_empty() {
            self.policies.asked = Some((self.usable.len(), Instant::now()));
            let native = client.native_ptr();
            let topics = self.usable.iter().map(String::as_str);
            client.questions.ask(native, topics);
        }
    }
}

impl Policies {
    fn learn(&mut self, topic: String, policy: &str) {
        if !policy.split(',').any(|part| part.trim() == "compact") {
            if self.compacted.remove(&topic).is_some() {
                tracing::info!(
                    "topic {topic} is no longer compacted; replay what it may have lost"
                );
            }
            return;
        }
        let told = self.compacted.get(&topic);
        if told.is_none_or(|at| at.elapsed() >= REPEAT) {
            tracing::error!(
                topic,
                "topic {topic} has cleanup.policy={policy}: compaction deletes all but the newest record of each key, and so destroys \
                 deliveries. Set it to delete now, with kafka-configs.sh --alter --entity-type topics --entity-name {topic} \
                 --add-config cleanup.policy=delete; then publish what is missing with `icr-bridge replay`"
            );
            self.compacted.insert(topic, Instant::now());
        }
    }
}

/// Questions under way at one client. Must be dropped before it.
pub(super) struct Questions(*mut ffi::rd_kafka_queue_t);

// SAFETY: librdkafka's queues may be used from any thread.
unsafe impl Send for Questions {}

impl Questions {
    /// None yet.
    ///
    /// # Safety
    /// `client` must outlive what is returned.
    pub(super) unsafe fn new(client: *mut ffi::rd_kafka_t) -> Self {
        // SAFETY: the client is alive.
        Self(unsafe { ffi::rd_kafka_queue_new(client) })
    }

    /// Asks for these topics. The answer is among [`Questions::answers`] later, or there is none.
    fn ask<'a>(&mut self, client: *mut ffi::rd_kafka_t, topics: impl Iterator<Item = &'a str>) {
        let names: Vec<CString> = topics.filter_map(|name| CString::new(name).ok()).collect();
        // SAFETY: the client is alive; librdkafka copies options and resources, which are destroyed here.
        unsafe {
            let mut resources: Vec<_> = names
                .iter()
                .map(|name| {
                    let topic = ffi::rd_kafka_ResourceType_t::RD_KAFKA_RESOURCE_TOPIC;
                    ffi::rd_kafka_ConfigResource_new(topic, name.as_ptr())
                })
                .filter(|resource| !resource.is_null())
                .collect();
            let operation = ffi::rd_kafka_admin_op_t::RD_KAFKA_ADMIN_OP_DESCRIBECONFIGS;
            let options = ffi::rd_kafka_AdminOptions_new(client, operation);
            // Ten seconds are within its range: it has nothing to say.
            let _ = ffi::rd_kafka_AdminOptions_set_request_timeout(
                options,
                PATIENCE_MS,
                std::ptr::null_mut(),
                0,
            );
            ffi::rd_kafka_DescribeConfigs(
                client,
                resources.as_mut_ptr(),
                resources.len(),
                options,
                self.0,
            );
            ffi::rd_kafka_AdminOptions_destroy(options);
            for resource in resources {
                ffi::rd_kafka_ConfigResource_destroy(resource);
            }
        }
    }

    /// Topics and their policies, as far as answers have come. Where the right to ask is missing, nothing is known.
    fn answers(&mut self) -> Vec<(String, String)> {
        let mut found = Vec::new();
        loop {
            // SAFETY: the queue is alive; an event is destroyed after its parts were copied.
            unsafe {
                let event = ffi::rd_kafka_queue_poll(self.0, 0);
                if event.is_null() {
                    return found;
                }
                let result = ffi::rd_kafka_event_DescribeConfigs_result(event);
                if !result.is_null() {
                    read(result, &mut found);
                }
                ffi::rd_kafka_event_destroy(event);
            }
        }
    }
}

impl Drop for Questions {
    fn drop(&mut self) {
        // SAFETY: made by `rd_kafka_queue_new`, and dropped once.
        unsafe { ffi::rd_kafka_queue_destroy(self.0) };
    }
}

/// # Safety
/// `result` must belong to an event that is alive.
unsafe fn read(
    result: *const ffi::rd_kafka_DescribeConfigs_result_t,
    found: &mut Vec<(String, String)>,
) {
    // SAFETY: librdkafka gives arrays with their lengths, and texts that end with a NUL, all alive as long as the event.
    unsafe {
        let mut count = 0;
        let resources = ffi::rd_kafka_DescribeConfigs_result_resources(result, &raw mut count);
        for resource in (0..count).map(|number| *resources.add(number)) {
            let topic = CStr::from_ptr(ffi::rd_kafka_ConfigResource_name(resource));
            let mut count = 0;
            let entries = ffi::rd_kafka_ConfigResource_configs(resource, &raw mut count);
            for entry in (0..count).map(|number| *entries.add(number)) {
                let name = ffi::rd_kafka_ConfigEntry_name(entry);
                let value = ffi::rd_kafka_ConfigEntry_value(entry);
                if CStr::from_ptr(name) == CLEANUP_POLICY && !value.is_null() {
                    let policy = CStr::from_ptr(value).to_string_lossy().into_owned();
                    found.push((topic.to_string_lossy().into_owned(), policy));
                }
            }
        }
    }
}
