//! A gauge that is absent while there is nothing to say: a timestamp of 0 would read as 1970.

use parking_lot::Mutex;
use prometheus::core::{Collector, Desc};
use prometheus::proto::MetricFamily;
use std::sync::Arc;

/// A gauge with an off state.
#[derive(Clone)]
pub struct OptionalGauge<G> {
    gauge: G,
    present: Arc<Mutex<bool>>,
}

impl OptionalGauge<prometheus::Gauge> {
    pub(super) fn new(gauge: prometheus::Gauge) -> Self {
        Self {
            gauge,
            present: Arc::new(Mutex::new(false)),
        }
    }

    /// Shows `value`, or nothing.
    pub fn set(&self, value: Option<f64>) {
        let mut present = self.present.lock();
        *present = value.is_some();
        self.gauge.set(value.unwrap_or_default());
    }
}

impl<G: Collector> Collector for OptionalGauge<G> {
    fn desc(&self) -> Vec<&Desc> {
        self.gauge.desc()
    }

    fn collect(&self) -> Vec<MetricFamily> {
        if *self.present.lock() {
            self.gauge.collect()
        } else {
            Vec::new()
        }
    }
}
