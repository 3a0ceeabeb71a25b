//! Runs a listener until it is told to stop. Signals are ours: actix's own handlers stay off.

use super::admin::{self, Admin};
use super::guard::{Guard, guard};
use super::idle;
use super::webhook::{Ingress, webhook};
use crate::config::Http;
use actix_web::dev::{Server, ServerHandle};
use actix_web::middleware::from_fn;
use actix_web::web::{self, Data};
use actix_web::{App, HttpServer};
use socket2::Socket;
use std::net::{Shutdown, TcpListener};
use std::time::Duration;

/// For actix to stop looking at the listening socket before it is shut down under it.
const PAUSING: Duration = Duration::from_millis(10);

/// Of the admin listener: scrapes and probes are few.
const ADMIN_WORKERS: usize = 1;

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

    /// Takes no further connections: who comes now is refused, and can go elsewhere. Those accepted are served on.
    pub async fn close(&self) {
        self.handle.pause().await;
        // The accepting thread has been told, and takes a moment to obey.
        tokio::time::sleep(PAUSING).await;
        // A listening socket that is merely not read would go on completing handshakes. Where the system does not know this
        // (macOS), it does until the end.
        let _ = self.socket.shutdown(Shutdown::Both);
    }

    /// Ends at once. Who is served orderly is up to the caller, see [`crate::shutdown::InFlight`].
    pub async fn stop(&self) {
        self.handle.stop(false).await;
    }
}

/// Starts the ingress on a bound listener.
pub fn ingress(
    listener: TcpListener,
    ingress: Data<Ingress>,
    settings: &Http,
) -> std::io::Result<Running> {
    let socket = Socket::from(listener.try_clone()?);
    let longest_idle = settings.keep_alive + settings.header_timeout;
    let server = HttpServer::new(move || {
        App::new()
            .app_data(Data::clone(&ingress))
            .default_service(web::to(webhook))
    })
    .on_connect(move |io, data| idle::connected(io, data, longest_idle))
    .disable_signals()
    .workers(settings.workers)
    // actix counts them per worker.
    .max_connections(settings.max_connections.div_ceil(settings.workers))
    .client_request_timeout(settings.header_timeout)
    .client_disconnect_timeout(Duration::from_secs(1))
    .keep_alive(settings.keep_alive)
    .listen(listener)?
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
