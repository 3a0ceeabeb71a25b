//! Takes rights to a topic away from [`SASL_USER`](super::SASL_USER), and gives them back.

use super::RealKafka;

const PRINCIPAL: &str = "User:bridge";

impl RealKafka {
    /// Takes [`SASL_USER`] the right to write to a topic that it still sees.
    pub fn deny(&self, topic: &str) {
        self.run_admin(&[
            "acl",
            "--add",
            "--deny-principal",
            PRINCIPAL,
            "--operation",
            "Write",
            "--topic",
            topic,
        ]);
        // A topic with any ACL is closed to all whom none of them allows, so seeing it has to be said.
        self.run_admin(&[
            "acl",
            "--add",
            "--allow-principal",
            "User:*",
            "--operation",
            "Describe",
            "--topic",
            topic,
        ]);
    }

    /// Takes [`SASL_USER`] every right to a topic, that of seeing it included.
    pub fn hide(&self, topic: &str) {
        self.run_admin(&[
            "acl",
            "--add",
            "--deny-principal",
            PRINCIPAL,
            "--operation",
            "All",
            "--topic",
            topic,
        ]);
    }

    /// Ends [`RealKafka::deny`] and [`RealKafka::hide`].
    pub fn grant(&self, topic: &str) {
        self.run_admin(&["acl", "--remove", "--force", "--topic", topic]);
    }
}
