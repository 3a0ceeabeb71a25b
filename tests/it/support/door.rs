//! The ingress alone: real HTTP on a journal whose disk the test holds in its hands. Nothing is published.

use super::app::variables;
use super::gated_disk::GatedDisk;
use super::http::{self, Response};
use super::metrics::Scrape;
use actix_web::web::Data;
use icr_bridge::config::Config;
use icr_bridge::http::connections::Connections;
use icr_bridge::http::stream::Opener;
use icr_bridge::http::webhook::Ingress;
use icr_bridge::http::{body, server};
use icr_bridge::ingest::Ingest;
use icr_bridge::journal::{Journal, Observer};
use icr_bridge::metrics::Metrics;
use icr_bridge::shutdown::InFlight;
use icr_bridge::simulator::Request;
use std::net::{SocketAddr, TcpListener};
use std::path::Path;
use std::sync::Arc;
use std::thread::JoinHandle;
use tokio::sync::oneshot;

struct Silent;

impl Observer for Silent {}

pub struct Door {
    pub ingress: SocketAddr,
    pub journal: Journal,
    disk: GatedDisk,
    metrics: Arc<Metrics>,
    leave: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Door {
    /// Opens on a folder. `settings` come on top of the secret `secret`, and no spare segments, so that whoever syncs is the writer.
    pub fn open(dir: &Path, disk: &GatedDisk, settings: &[(&str, &str)]) -> Self {
        let mut all = vec![
            ("KAFKA_BROKERS", super::app::NO_KAFKA),
            ("WEBHOOK_SECRET", super::app::SECRET),
            ("WORKERS", "2"),
            ("JOURNAL_DIR", dir.to_str().unwrap()),
            ("JOURNAL_SPARE_SEGMENTS", "0"),
            ("JOURNAL_SEGMENT_BYTES", "4MiB"),
        ];
        all.retain(|(name, _)| !settings.iter().any(|(other, _)| other == name));
        all.extend_from_slice(settings);
        let config = Config::read(variables(&all)).unwrap();
        let names = config.apps.iter().map(|app| app.name.as_str());
        let metrics = Arc::new(Metrics::new(names, "icr.webhooks").unwrap());
        let storage = Arc::new(disk.clone());
        let journal = Journal::open(storage, config.journal.clone(), Arc::new(Silent)).unwrap();
        let ingest = Ingest::new(
            journal.clone(),
            &config.apps,
            config.duplicate_window,
            Arc::clone(&metrics),
        )
        .unwrap();
        let ingress = Ingress {
            ingest: Arc::new(ingest),
            metrics: Arc::clone(&metrics),
            in_flight: InFlight::default(),
            connections: Connections::default(),
            bodies: body::Limits::new(config.http.max_body_bytes, config.http.body_timeout),
        };
        let opener = Opener {
            tls: None,
            failed_handshakes: metrics.tls_handshake_failures.clone(),
        };
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let (leave, left) = oneshot::channel();
        let (ready, started) = oneshot::channel();
        let thread = std::thread::spawn(move || {
            actix_web::rt::System::new().block_on(async move {
                let ingress = Data::new(ingress);
                let door = server::ingress(listener, ingress, &config.http, opener).unwrap();
                ready.send(()).unwrap();
                let _ = left.await;
                door.stop().await;
            });
        });
        started.blocking_recv().expect("the door opens");
        Self {
            ingress: address,
            journal,
            disk: disk.clone(),
            metrics,
            leave: Some(leave),
            thread: Some(thread),
        }
    }

    pub fn deliver(&self, request: &Request) -> Response {
        http::post(
            self.ingress,
            "/webhook",
            &[("x-icr-signature-256", &request.signature)],
            &request.body,
        )
    }

    pub fn metrics(&self) -> Scrape {
        Scrape {
            text: self.metrics.collect(&self.journal, 0).unwrap(),
        }
    }

    pub fn close(self) {
        drop(self);
    }
}

impl Drop for Door {
    fn drop(&mut self) {
        // Else whoever waits for a sync would wait for ever, after a panic too.
        self.disk.open_gate();
        if let Some(leave) = self.leave.take() {
            let _ = leave.send(());
        }
        if let Some(thread) = self.thread.take() {
            let ended = thread.join();
            assert!(
                ended.is_ok() || std::thread::panicking(),
                "the door ended in a panic"
            );
        }
        self.journal.close();
    }
}
