//! What `/metrics` says, by value.

use super::http;
use std::net::SocketAddr;

/// One scrape.
pub struct Scrape {
    pub text: String,
}

impl Scrape {
    pub fn of(admin: SocketAddr) -> Self {
        let response = http::get(admin, "/metrics");
        assert_eq!(response.status, 200);
        Self {
            text: String::from_utf8(response.body).unwrap(),
        }
    }

    /// The value of a series, written as Prometheus writes it but without the prefix: `deliveries_duplicate_total{app="default"}`.
    pub fn maybe(&self, series: &str) -> Option<f64> {
        let full = format!("icr_bridge_{series} ");
        let line = self.text.lines().find(|line| line.starts_with(&full))?;
        line.rsplit(' ').next()?.parse().ok()
    }

    pub fn value(&self, series: &str) -> f64 {
        self.maybe(series)
            .unwrap_or_else(|| panic!("no series {series} in\n{}", self.text))
    }

    /// A metric of the process itself, such as `resident_memory_bytes`.
    pub fn process(&self, name: &str) -> f64 {
        let full = format!("process_{name} ");
        let line = self.text.lines().find(|line| line.starts_with(&full));
        line.and_then(|line| line.rsplit(' ').next()?.parse().ok())
            .unwrap_or_else(|| panic!("no series {full}in\n{}", self.text))
    }

    /// The sum of a metric over all its labels.
    pub fn sum(&self, name: &str) -> f64 {
        let full = format!("icr_bridge_{name}");
        let mine = |line: &&str| {
            line.strip_prefix(&full)
                .is_some_and(|rest| rest.starts_with(['{', ' ']))
        };
        self.text
            .lines()
            .filter(mine)
            .filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok())
            .sum()
    }
}
