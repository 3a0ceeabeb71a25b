//! Runs a listener until it is told to stop. Signals are ours: actix's own handlers stay off.

use super::admin::{self, Admin};
use super::connections::Limits;
use super::guard::{Guard, guard};
use super::socket;
use super::stream::{Opener, Stream};
use super::webhook::{Ingress, webhook};
use crate::config::Http;
use actix_http::error::DispatchError;
use actix_http::{Extensions, HttpService};
use actix_service::{ServiceFactoryExt, fn_service, map_config};
use actix_web::dev::{AppConfig, Server, ServerHandle};
use actix_web::middleware::from_fn;
use actix_web::rt::net::TcpStream;
use actix_web::web::{self, Data};
use actix_web::{App, HttpServer};
use socket2::Socket;
use std::net::{Shutdown, TcpListener};
use std::os::fd::AsRawFd;
use std::time::{Duration, Instant};

/// For actix to stop looking at the listening socket before it is shut down under it: else it reports an error.
const PAUSING: Duration = Duration::from_millis(3);

/// For handshakes that have begun to come to their end before the listening socket closes: a round trip to a proxy nearby. Who tries to
/// connect meanwhile gets through a second later, so it is not longer.
const HANDSHAKES: Duration = Duration::from_millis(3);

/// How long the closing waits for what is left in the listening socket's queue, when no worker has a place for it.
const QUEUE_LIMIT: Duration = Duration::from_millis(500);

/// For a client to take the end of its connection in.
const DISCONNECTING: Duration = Duration::from_secs(1);

/// Of the admin listener: scrapes and probes are few.
const ADMIN_WORKERS: usize = 1;

/// Whose a listening socket is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Keeper {
    /// Ours alone: it closes when the bridge leaves.
    Process,
    /// The service manager's, which keeps it open for the next process.
    ServiceManager,
}

/// A listener at work.
pub struct Running {
    handle: ServerHandle,
    socket: Socket,
}

impl Running {
    fn start(server: Server, socket: Socket) -> Self {
        let handle = server.handle();
        actix_web::rt::spawn(server);
        Self { handle, socket }
    }

    /// Takes no further connections; those accepted are served on.
    ///
    /// A socket of our own closes: who comes now is refused, and can go elsewhere, but nobody who came before is. One that the service
    /// manager keeps stays as it is: who comes now waits in its queue for the next process.
    pub async fn close(&self, keeper: Keeper) {
        if keeper == Keeper::Process {
            self.empty_queue().await;
        }
        self.handle.pause().await;
        // The accepting thread has been told, and takes a moment to obey.
        tokio::time::sleep(PAUSING).await;
        if keeper == Keeper::Process {
            // A listening socket that is merely not read would go on completing handshakes. Where the system does not know this
            // (macOS), it does until the end.
            let _ = self.socket.shutdown(Shutdown::Both);
        }
    }

    /// Lets nobody into the listening socket's queue any more, and waits until all who are in it have been accepted.
    async fn empty_queue(&self) {
        const STEP: Duration = Duration::from_millis(1);
        let begun = Instant::now();
        let handshakes = match socket::ignore_newcomers(&self.socket) {
            Ok(()) => HANDSHAKES,
            Err(error) => {
                tracing::debug!("newcomers cannot be ignored while the queue is emptied: {error}");
                Duration::ZERO
            }
        };
        tokio::time::sleep(handshakes).await;
        while socket::has_input(self.socket.as_raw_fd()) && begun.elapsed() < QUEUE_LIMIT {
            tokio::time::sleep(STEP).await;
        }
    }

    /// Ends at once. Who is served orderly is up to the caller, see [`super::connections`].
    pub async fn stop(&self) {
        self.handle.stop(false).await;
    }
}

/// Starts the ingress on a bound listener.
///
/// Built from the parts that `HttpServer` is made of: it has no place for streams of our own making.
pub fn ingress(
    listener: TcpListener,
    ingress: Data<Ingress>,
    settings: &Http,
    opener: Opener,
) -> std::io::Result<Running> {
    let socket = Socket::from(listener.try_clone()?);
    let connections = ingress.connections.clone();
    // actix counts them per worker.
    let places = settings.max_connections.div_ceil(settings.workers);
    let limits = Limits {
        idle: settings.keep_alive + settings.header_timeout,
        places,
    };
    let (keep_alive, header_timeout) = (settings.keep_alive, settings.header_timeout);
    let service = move || {
        let ingress = Data::clone(&ingress);
        let app = App::new()
            .app_data(ingress)
            .default_service(web::to(webhook));
        let (opener, connections) = (opener.clone(), connections.clone());
        let open = fn_service(move |stream: TcpStream| {
            let peer = stream.peer_addr().ok();
            let stream = opener.open(stream);
            async move { Ok::<_, DispatchError>((stream, peer)) }
        });
        let http = HttpService::build()
            .keep_alive(keep_alive)
            .client_request_timeout(header_timeout)
            .client_disconnect_timeout(DISCONNECTING)
            .on_connect_ext(move |stream: &Stream, data: &mut Extensions| {
                connections.opened(stream.as_raw_fd(), data, limits);
            })
            .h1(map_config(app, |()| AppConfig::default()));
        open.and_then(http)
    };
    let server = Server::build()
        .disable_signals()
        .workers(settings.workers)
        .max_concurrent_connections(places)
        .listen("ingress", listener, service)?
        .run();
    Ok(Running::start(server, socket))
}

/// Starts the admin listener.
pub fn admin(
    listener: TcpListener,
    admin: Data<Admin>,
    rule: Data<Guard>,
) -> std::io::Result<Running> {
    let socket = Socket::from(listener.try_clone()?);
    let server = HttpServer::new(move || {
        App::new()
            .app_data(Data::clone(&admin))
            .app_data(Data::clone(&rule))
            .wrap(from_fn(guard))
            .configure(admin::routes)
    })
    .disable_signals()
    .workers(ADMIN_WORKERS)
    .listen(listener)?
    .run();
    Ok(Running::start(server, socket))
}
