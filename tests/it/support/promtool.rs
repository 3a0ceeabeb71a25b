//! Prometheus's own check of what a bridge exposes.

use std::io::Write as _;
use std::process::{Command, Stdio};

/// The promtool that `PROMTOOL` names, else the one on the path. None: the test that wants it is skipped, and has said so.
pub struct Promtool(String);

impl Promtool {
    pub fn find() -> Option<Self> {
        let named = std::env::var("PROMTOOL").unwrap_or_else(|_| "promtool".to_owned());
        let answers = Command::new(&named)
            .arg("--version")
            .output()
            .is_ok_and(|output| output.status.success());
        if !answers {
            super::kafka::skip("there is no promtool; `tests/run metrics` brings it");
            return None;
        }
        Some(Self(named))
    }

    /// What is wrong with this page of metrics, its style included; empty when nothing is.
    pub fn complaints(&self, page: &str) -> String {
        let mut command = Command::new(&self.0);
        command
            .args(["check", "metrics"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let mut child = command.spawn().expect("promtool");
        child
            .stdin
            .take()
            .unwrap()
            .write_all(page.as_bytes())
            .unwrap();
        let output = child.wait_with_output().unwrap();
        let said = format!(
            "{}{}",
            String::from_utf8_lossy(&output.stdout),
            String::from_utf8_lossy(&output.stderr)
        );
        assert!(
            output.status.success() || !said.is_empty(),
            "promtool failed in silence"
        );
        said
    }
}
