//! A topic of its own for each measurement.

use rdkafka::ClientConfig;
use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
use std::sync::atomic::{AtomicU64, Ordering};

/// A name that no other run used; the bridge creates the topic.
pub fn fresh() -> String {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    format!(
        "bench-{}-{}",
        std::process::id(),
        NEXT.fetch_add(1, Ordering::Relaxed)
    )
}

/// The same, created as the bridge creates its own.
pub fn created() -> String {
    let name = fresh();
    let bootstrap = std::env::var("KAFKA_BOOTSTRAP").expect("KAFKA_BOOTSTRAP");
    let mut config = ClientConfig::new();
    let admin: AdminClient<_> = config.set("bootstrap.servers", bootstrap).create().unwrap();
    let topic = NewTopic::new(&name, 6, TopicReplication::Fixed(1));
    let topics = [topic];
    let creating = admin.create_topics(&topics, &AdminOptions::new());
    let runtime = tokio::runtime::Builder::new_current_thread();
    let runtime = { runtime }.enable_all().build().unwrap();
    let created = runtime.block_on(creating).unwrap();
    created.into_iter().for_each(|created| {
        created.unwrap();
    });
    name
}
