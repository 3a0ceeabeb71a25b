//! Wiring: builds the parts from a configuration, runs them until told to leave, and takes them down in order. Decides nothing.

mod reports;

use crate::config::settings::PREFIX;
use crate::config::{App, Config, Kafka, SecretSource};
use crate::control::{self, Services};
use crate::descriptors::{self, TooFew};
use crate::domain::record::RecordSettings;
use crate::handover::HandedOver;
use crate::http::admin::Admin;
use crate::http::body;
use crate::http::connections::Connections;
use crate::http::guard::Guard;
use crate::http::server::{self, Keeper, Running};
use crate::http::stream::Opener;
use crate::http::webhook::Ingress;
use crate::ingest::{Ingest, Reverifier};
use crate::journal::storage::Disk;
use crate::journal::{Journal, OpenError};
use crate::metrics::Metrics;
use crate::publisher::replay::Replayer;
use crate::publisher::{self, KafkaSettings, Publisher, PublisherSettings, Sink, Timings};
use crate::readiness::Readiness;
use crate::rejected::{self, Ring};
use crate::secrets::{self, Owner};
use crate::shutdown::InFlight;
use crate::supervision::{self, Part};
use crate::tls::{self, Identity, Tls};
use actix_web::web::Data;
use reports::Reports;
use std::net::{SocketAddr, TcpListener};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

/// Connections that the kernel may keep waiting while all workers are busy.
const BACKLOG: i32 = 2048;

/// No connection or request for this long, and the ingress is taken to be drained: answers have left by then.
const QUIET: Duration = Duration::from_millis(50);

/// How long the bridge, still accepting, waits for the connections that were open when it was told to leave: each ends with its next
/// answer, or when it has been idle for a while.
const FAREWELL_LIMIT: Duration = Duration::from_secs(5);

/// How long connections that came in the last moment have for their request. New ones wait for the next process meanwhile.
const LAST_WORDS_LIMIT: Duration = Duration::from_secs(5);

/// The same where nobody listens meanwhile, and new ones are refused.
const LAST_WORDS_LIMIT_CLOSED: Duration = Duration::from_millis(300);

/// How long deliveries that have come completely may still wait for the disk.
const DRAIN_LIMIT: Duration = Duration::from_secs(5);

/// How long the last records may take to Kafka when the bridge leaves; the journal holds the rest. With all that comes before, it
/// stays below a second in which nobody listens.
const LAST_FLUSH: Duration = Duration::from_millis(500);

/// The two listeners. Tests pass port 0.
pub struct Listeners {
    /// For deliveries.
    pub ingress: TcpListener,
    /// Who keeps the ingress's socket.
    pub keeper: Keeper,
    /// For operators.
    pub admin: TcpListener,
}

/// Why the bridge does not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    #[error("{PREFIX}{setting}={address} cannot be bound: {source}")]
    Bind {
        /// The setting's name, without prefix.
        setting: &'static str,
        address: SocketAddr,
        source: std::io::Error,
    },
    /// The journal cannot be opened.
    #[error("the journal cannot be opened: {0}")]
    Journal(#[from] OpenError),
    /// The journal's newest records cannot be read, or threads cannot be started.
    #[error("{0}")]
    Io(#[from] std::io::Error),
    #[error("{0}")]
    Publisher(#[from] publisher::StartError),
    /// The system allows too few open files.
    #[error("{0}")]
    Descriptors(#[from] TooFew),
    /// A programming error in the table of metrics.
    #[error("the metrics cannot be registered: {0}")]
    Metrics(#[from] prometheus::Error),
}

impl Listeners {
    /// Binds both addresses of the configuration.
    pub fn bind(config: &Config) -> Result<Self, StartError> {
        Self::take(config, HandedOver::default())
    }

    /// Takes what the service manager has handed over, and binds the rest.
    pub fn take(config: &Config, handed_over: HandedOver) -> Result<Self, StartError> {
        let keeper = match handed_over.ingress {
            Some(_) => Keeper::ServiceManager,
            None => Keeper::Process,
        };
        let ingress = listener("LISTEN", config.http.listen, handed_over.ingress)?;
        let admin = listener("ADMIN_LISTEN", config.admin_listen, handed_over.admin)?;
        Ok(Self {
            ingress,
            keeper,
            admin,
        })
    }
}

fn listener(
    setting: &'static str,
    address: SocketAddr,
    handed_over: Option<TcpListener>,
) -> Result<TcpListener, StartError> {
    let Some(listener) = handed_over else {
        return bind(setting, address);
    };
    let at = listener.local_addr()?;
    tracing::info!(
        "the service manager has handed over a socket that listens on {at}: {PREFIX}{setting} has no effect"
    );
    Ok(listener)
}

fn bind(setting: &'static str, address: SocketAddr) -> Result<TcpListener, StartError> {
    let listen = || {
        let socket = socket2::Socket::new(
            socket2::Domain::for_address(address),
            socket2::Type::STREAM,
            None,
        )?;
        socket.set_reuse_address(true)?;
        socket.bind(&address.into())?;
        socket.listen(BACKLOG)?;
        Ok(TcpListener::from(socket))
    };
    listen().map_err(|source| StartError::Bind {
        setting,
        address,
        source,
    })
}

/// The bridge at work.
pub struct Bridge {
    ingress: Running,
    keeper: Keeper,
    connections: Connections,
    secrets: secrets::Watch,
    certificates: Option<tls::Watch>,
    admin: Running,
    journal: Journal,
    ingest: Arc<Ingest>,
    ring: Option<Arc<Ring>>,
    reverifier: Reverifier,
    publisher: Publisher,
    readiness: Readiness,
    in_flight: InFlight,
    control: Option<control::Server>,
    shutdown_delay: Duration,
}

impl Bridge {
    /// Opens the journal, then the door, then the way to Kafka. Must run inside an actix system.
    pub fn start(mut config: Config, listeners: Listeners) -> Result<Self, StartError> {
        let (share, lowered) = descriptors::share_out(&config.http)?;
        (config.http.workers, config.http.max_connections) = (share.workers, share.places);
        if let Some(lowered) = lowered {
            tracing::warn!("{lowered}");
        }
        let apps = config.apps.iter().map(|app| app.name.as_str());
        let metrics = Arc::new(Metrics::new(apps, config.record.topic.text())?);
        let journal = Journal::open(
            Arc::new(Disk),
            config.journal.clone(),
            Arc::new(Reports::new(&metrics)),
        )?;
        let ring = rejected::beside(
            &journal,
            &config.journal,
            config.rejected_ring_bytes,
            metrics.ring.clone(),
        )?;
        let ingest = Ingest::new(
            journal.clone(),
            &config.apps,
            config.duplicate_window,
            Arc::clone(&metrics),
        )?;
        let ingest = Arc::new(ingest.with_ring(ring.clone()));
        let reverifier = Reverifier::start(Arc::clone(&ingest))?;
        let readiness = Readiness::default();
        let in_flight = InFlight::default();
        let connections = Connections::default();
        let ingress = Ingress {
            ingest: Arc::clone(&ingest),
            metrics: Arc::clone(&metrics),
            in_flight: in_flight.clone(),
            connections: connections.clone(),
            bodies: body::Limits::new(config.http.max_body_bytes, config.http.body_timeout),
        };
        let admin = Admin {
            metrics: Arc::clone(&metrics),
            journal: journal.clone(),
            low_water_bytes: config.journal.low_water_bytes,
            readiness: readiness.clone(),
        };
        let shutdown_delay = config.shutdown_delay;
        let door = Data::new(ingress);
        let (tls, certificates) = match &config.http.tls {
            None => (None, None),
            Some(identity) => {
                let (tls, watch) = start_tls(identity, &metrics)?;
                (Some(tls), Some(watch))
            }
        };
        let opener = Opener {
            tls,
            failed_handshakes: metrics.tls_handshake_failures.clone(),
        };
        let ingress = server::ingress(listeners.ingress, Data::clone(&door), &config.http, opener)?;
        let guard = Data::new(Guard::new(&config.admin_access));
        let secrets = secrets::Watch::start(
            watched(&config),
            metrics.secret_reload_failures.clone(),
            // Whoever else wants to know of a rotation is told here.
            {
                let guard = Data::clone(&guard);
                move |owner, secrets| match owner {
                    Owner::App(app) => door.ingest.replace_secrets(app, secrets),
                    Owner::Admin => guard.replace_tokens(secrets.clone()),
                }
            },
        )?;
        let plain = Opener {
            tls: None,
            failed_handshakes: metrics.tls_handshake_failures.clone(),
        };
        let admin = server::admin(
            listeners.admin,
            Data::new(admin),
            guard,
            plain,
            share.admin_places,
        )?;
        let dir = config.journal.dir;
        let apps = config.apps.into_iter().map(|app| app.name).collect();
        let settings = publisher_settings(apps, config.record, config.kafka);
        let sink: Arc<dyn Sink> = metrics;
        let replayer = Replayer::new(journal.clone(), settings.clone(), Arc::clone(&sink), true)?;
        let publisher = Publisher::start(journal.clone(), settings, sink)?;
        let services = Services {
            journal: journal.clone(),
            replayer: Some(replayer),
            ingest: Some(Arc::clone(&ingest)),
        };
        Ok(Self {
            control: listen_for_commands(&dir, services),
            ingress,
            keeper: listeners.keeper,
            connections,
            secrets,
            certificates,
            admin,
            journal,
            ingest,
            ring,
            reverifier,
            publisher,
            readiness,
            in_flight,
            shutdown_delay,
        })
    }

    /// Waits until both listeners are served.
    ///
    /// # Errors
    /// Where one is not.
    pub async fn up(&self) -> Result<(), StartError> {
        self.ingress.up().await?;
        Ok(self.admin.up().await?)
    }

    /// Waits until a part has ended that the bridge cannot do without; the reason.
    pub async fn ended(&self) -> String {
        let certificates = self.certificates.as_ref();
        let parts = vec![
            Part::essential("the journal's writer or housekeeping", || {
                self.journal.has_ended()
            }),
            Part::essential("the publisher", || self.publisher.has_ended()),
            Part::essential("the watch over secret files", || self.secrets.has_ended()),
            Part::essential("the watch over certificate and key", move || {
                certificates.is_some_and(tls::Watch::has_ended)
            }),
            Part::spare("the ring of rejected deliveries", || {
                self.ring.as_ref().is_some_and(|ring| ring.has_ended())
            }),
            Part::spare("the thread that judges rejected deliveries again", || {
                self.reverifier.has_ended()
            }),
        ];
        tokio::select! {
            why = self.ingress.ended() => why,
            why = self.admin.ended() => why,
            why = supervision::first_ended(parts) => why,
        }
    }

    /// Has the secret files, and certificate and key, read at once, as SIGHUP asks for.
    pub fn reload_secrets(&self) {
        self.secrets.read_now();
        if let Some(certificates) = &self.certificates {
            certificates.read_now();
        }
    }

    /// Not ready, each answer closes its connection → accept on for the delay, and until those who were here have left → close the
    /// ingress → answer who has come in → flush to Kafka → save the cursor.
    pub async fn stop(self) {
        self.readiness.leave();
        self.connections.leave();
        tokio::time::sleep(self.shutdown_delay).await;
        self.connections.old_ones_gone(FAREWELL_LIMIT).await;
        if let Some(control) = &self.control {
            control.leave();
        }
        self.ingress.close(self.keeper).await;
        self.drain().await;
        self.ingress.stop().await;
        let Self {
            admin,
            journal,
            reverifier,
            publisher,
            control,
            ingest,
            ..
        } = self;
        if let Some(control) = control {
            control.stop().await;
        }
        // They wait for disk and broker: off the async threads.
        let down = tokio::task::spawn_blocking(move || {
            reverifier.stop();
            ingest.close();
            // It says so itself where it does not come to its end.
            let _ = publisher.stop(LAST_FLUSH);
            journal.close();
            ingest.flush_log();
        });
        if let Err(error) = down.await {
            tracing::error!("leaving in disorder: {error}");
        }
        admin.stop().await;
    }

    /// Waits for the connections that are left, and then for the deliveries among them that wait for the disk.
    async fn drain(&self) {
        let limit = match self.keeper {
            Keeper::ServiceManager => LAST_WORDS_LIMIT,
            Keeper::Process => LAST_WORDS_LIMIT_CLOSED,
        };
        let left = self.connections.all_gone(QUIET, limit).await;
        if left == 0 {
            return;
        }
        if self.in_flight.quiet(QUIET, DRAIN_LIMIT).await {
            tracing::warn!("{left} connections had not sent their request by then, and are closed");
        } else {
            tracing::warn!(
                "deliveries still waited for the disk after {DRAIN_LIMIT:?}; they are not answered, but stored if the disk takes them"
            );
        }
    }
}

/// The control socket. Without it the bridge serves all the same.
fn listen_for_commands(dir: &Path, services: Services) -> Option<control::Server> {
    match control::Server::start(dir, services) {
        Ok(server) => Some(server),
        Err(error) => {
            let path = dir.join(control::address::NAME);
            tracing::warn!(
                "{}: no control socket ({error}); the bridge serves on, but commands such as drain cannot reach it",
                path.display()
            );
            None
        }
    }
}

/// Puts an identity in force, and watches its files.
fn start_tls(identity: &Identity, metrics: &Metrics) -> std::io::Result<(Tls, tls::Watch)> {
    let tls = Tls::new(identity);
    let expiry = metrics.tls_certificate_expiry.clone();
    let show = move |identity: &Identity| expiry.set(Some(identity.not_after() as f64));
    show(identity);
    let failures = metrics.secret_reload_failures.clone();
    let watch = tls::Watch::start(tls.clone(), identity.clone(), failures, show)?;
    Ok((tls, watch))
}

/// Every app for the watch over its secrets, and the admin listener's tokens.
fn watched(config: &Config) -> Vec<secrets::Watched> {
    let watched = |app: &App| secrets::Watched {
        owner: Owner::App(app.name.clone()),
        secrets: app.secrets.clone(),
        file: match &app.source {
            SecretSource::Variable => None,
            SecretSource::File(path) => Some(path.clone()),
        },
    };
    let access = &config.admin_access;
    let tokens = access.tokens.as_ref().map(|tokens| secrets::Watched {
        owner: Owner::Admin,
        secrets: tokens.clone(),
        file: access.file.clone(),
    });
    config.apps.iter().map(watched).chain(tokens).collect()
}

/// What the publisher takes of the configuration.
pub fn publisher_settings(
    apps: Vec<String>,
    record: RecordSettings,
    kafka: Kafka,
) -> PublisherSettings {
    PublisherSettings {
        kafka: KafkaSettings {
            brokers: kafka.brokers,
            properties: kafka.properties,
            create_topics: kafka.create_topics,
            partitions: kafka.partitions,
            replication: kafka.replication_factor,
            apps,
        },
        record,
        window: kafka.window,
        timings: Timings::default(),
    }
}
